//! What can be written, and what follows from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::chassis::{Reply, Request};
use super::body::{self, Change, MAINTENANCE, REALTIME};
use super::{Statuspage, error, no_route, stamp, text_at};

/// The impacts that follow from the statuses of components, the lightest first.
pub(super) const GRAVITY: [(&str, &str); 4] = [
    ("operational", "none"),
    ("degraded_performance", "minor"),
    ("partial_outage", "major"),
    ("major_outage", "critical"),
];

impl Statuspage {
    /// Carries out a write, and looks at what came of it before anybody else can.
    pub(super) fn write(
        &mut self,
        request: &Request,
        page: &str,
        rest: &[&str],
    ) -> Result<Reply, Reply> {
        let reply = match (request.method.as_str(), rest) {
            ("POST", ["incidents"]) => self.create_incident(page, request),
            ("PATCH" | "PUT", ["incidents", id]) => self.change_incident(page, id, request),
            ("DELETE", ["incidents", id]) => self.delete_incident(page, id),
            ("PATCH" | "PUT", ["components", id]) => self.change_component(page, id, request),
            ("POST", ["subscribers"]) => self.subscribe(page, request),
            ("POST", ["subscribers", "reactivate"]) => self.reactivate(page, request),
            ("DELETE", ["subscribers", id]) => self.unsubscribe(page, id),
            _ => Err(no_route()),
        }?;
        self.look();
        Ok(reply)
    }

    fn create_incident(&mut self, page: &str, request: &Request) -> Result<Reply, Reply> {
        let mut change = Change::read(request)?;
        if change.name.is_none() {
            return Err(error(422, "name can't be blank"));
        }
        let planned = change
            .kept
            .get("scheduled_for")
            .is_some_and(Value::is_string);
        let first = if planned {
            "scheduled"
        } else {
            "investigating"
        };
        change.status.get_or_insert_with(|| first.to_owned());
        self.check(page, &change, planned)?;
        let id = self.open(page, change);
        Ok(self.incident_reply(201, &id))
    }

    fn change_incident(&mut self, page: &str, id: &str, request: &Request) -> Result<Reply, Reply> {
        let planned = self.row_of("incident", page, id)?.facts.scheduled;
        let change = Change::read(request)?;
        let planned = match change.kept.get("scheduled_for") {
            Some(start) => start.is_string(),
            None => planned,
        };
        self.check(page, &change, planned)?;
        self.apply(id, change);
        Ok(self.incident_reply(200, id))
    }

    fn delete_incident(&mut self, page: &str, id: &str) -> Result<Reply, Reply> {
        self.row_of("incident", page, id)?;
        let reply = self.incident_reply(200, id);
        self.remember(id);
        self.table_mut("incident").remove(id);
        Ok(reply)
    }

    fn change_component(
        &mut self,
        page: &str,
        id: &str,
        request: &Request,
    ) -> Result<Reply, Reply> {
        self.row_of("component", page, id)?;
        let fields = body::component(request)?;
        let now = stamp(self.clock.now());
        self.table_mut("component").update(id, |component| {
            for (name, value) in fields {
                if component[&name] != value {
                    component[&name] = value;
                    component["updated_at"] = now.as_str().into();
                }
            }
        });
        let row = self.row_of("component", page, id)?;
        Ok(Reply::raw_json(200, row.text.to_string()))
    }

    /// Refuses what does not fit the page or the kind of incident.
    fn check(&self, page: &str, change: &Change, planned: bool) -> Result<(), Reply> {
        let statuses = if planned { MAINTENANCE } else { REALTIME };
        if let Some(status) = &change.status
            && !statuses.contains(&status.as_str())
        {
            let kind = if planned {
                "a maintenance"
            } else {
                "an incident"
            };
            return Err(error(422, &format!("{kind} cannot be {status}")));
        }
        let attached = change.component_ids.iter().flatten();
        let named = change.components.iter().map(|(id, _)| id);
        for id in attached.chain(named) {
            if self.row_of("component", page, id).is_err() {
                return Err(error(422, &format!("component {id} is not on this page")));
            }
        }
        Ok(())
    }

    /// A new incident with its first update. The change has a name and a status.
    pub(super) fn open(&mut self, page: &str, change: Change) -> String {
        let id = self.new_id();
        self.remember(&id);
        let now = stamp(self.clock.now());
        let incident = json!({
            "id": id, "page_id": page, "name": change.name, "status": "investigating",
            "impact": "none", "impact_override": null, "created_at": now, "updated_at": now,
            "started_at": now, "monitoring_at": null, "resolved_at": null,
            "shortlink": format!("https://stspg.io/{id}"), "components": [],
            "incident_updates": [], "metadata": {}, "scheduled_for": null,
            "scheduled_until": null, "scheduled_remind_prior": false,
            "scheduled_reminded_at": null, "scheduled_auto_in_progress": false,
            "scheduled_auto_completed": false,
            "auto_transition_deliver_notifications_at_end": null,
            "auto_transition_deliver_notifications_at_start": null,
            "auto_transition_to_maintenance_state": null,
            "auto_transition_to_operational_state": null, "reminder_intervals": null,
            "postmortem_body": null, "postmortem_body_last_updated_at": null,
            "postmortem_ignored": false, "postmortem_published_at": null,
            "postmortem_notified_subscribers": false, "postmortem_notified_twitter": false,
        });
        self.insert("incident", &incident);
        self.carry_out(&id, change);
        id
    }

    /// Changes an incident that there is.
    pub(super) fn apply(&mut self, id: &str, change: Change) {
        self.remember(id);
        self.carry_out(id, change);
    }

    fn carry_out(&mut self, id: &str, change: Change) {
        let Some(mut incident) = self.table("incident").get(id) else {
            return;
        };
        let now = stamp(self.clock.now());
        let attached = attached(&incident, &change);
        let mut affected = attached.clone();
        for (id, _) in &change.components {
            if !affected.contains(id) {
                affected.push(id.clone());
            }
        }
        let before = self.statuses_of(&affected);
        for (component, status) in &change.components {
            self.set_status(component, status, &now);
        }
        incident["components"] = attached
            .iter()
            .filter_map(|id| self.table("component").get(id))
            .collect();
        if change.is_update() {
            let affected = self.affected(&affected, &before);
            self.append_update(&mut incident, &change, affected, &now);
        }
        incident["updated_at"] = now.into();
        if let Some(name) = change.name {
            incident["name"] = name.into();
        }
        if let Some(metadata) = change.metadata {
            incident["metadata"] = metadata;
        }
        if let Some(forced) = change.impact_override {
            incident["impact_override"] = forced;
        }
        for (name, value) in change.kept {
            incident[name] = value;
        }
        incident["impact"] = impact(&incident);
        self.insert("incident", &incident);
    }

    /// Puts an update before the others, and sets what it says about the whole.
    fn append_update(&mut self, incident: &mut Value, change: &Change, affected: Value, now: &str) {
        let before = text_at(incident, "status").to_owned();
        let status = change.status.clone().unwrap_or_else(|| before.clone());
        let id = text_at(incident, "id").to_owned();
        let mut update = json!({
            "id": self.new_id(), "incident_id": id, "status": status,
            "body": change.body.as_deref().unwrap_or_default(), "affected_components": null,
            "created_at": now, "updated_at": now, "display_at": now,
            "deliver_notifications": !change.silent, "wants_twitter_update": false,
            "tweet_id": null, "custom_tweet": null, "twitter_updated_at": null,
        });
        update["affected_components"] = affected;
        if !change.silent {
            self.watch.deliver(&id, &update);
        }
        match &mut incident["incident_updates"] {
            Value::Array(updates) => updates.insert(0, update),
            none => *none = json!([update]),
        }
        let kept = |field: &str| match &incident[field] {
            Value::Null => json!(now),
            since => since.clone(),
        };
        let (monitoring_at, resolved_at) = match status.as_str() {
            "monitoring" => (kept("monitoring_at"), Value::Null),
            "resolved" | "completed" | "postmortem" => {
                (incident["monitoring_at"].clone(), kept("resolved_at"))
            }
            _ => (Value::Null, Value::Null),
        };
        incident["monitoring_at"] = monitoring_at;
        incident["resolved_at"] = resolved_at;
        incident["status"] = status.into();
    }

    fn statuses_of(&self, components: &[String]) -> BTreeMap<String, String> {
        let rows = components
            .iter()
            .filter_map(|id| self.table("component").row(id));
        rows.map(|row| (row.id.clone(), row.facts.status.clone()))
            .collect()
    }

    fn set_status(&mut self, component: &str, status: &str, now: &str) {
        self.table_mut("component").update(component, |component| {
            if component["status"] != status {
                component["status"] = status.into();
                component["updated_at"] = now.into();
            }
        });
    }

    /// What an update says about components; null when it concerns none.
    fn affected(&self, components: &[String], before: &BTreeMap<String, String>) -> Value {
        let affected: Vec<_> = components
            .iter()
            .filter_map(|id| self.table("component").get(id))
            .map(|component| {
                let id = text_at(&component, "id");
                let group = self
                    .table("component_group")
                    .get(text_at(&component, "group_id"));
                let name = text_at(&component, "name");
                let name = group.map_or_else(
                    || name.to_owned(),
                    |group| format!("{} - {name}", text_at(&group, "name")),
                );
                json!({
                    "code": id, "name": name, "old_status": before.get(id),
                    "new_status": component["status"],
                })
            })
            .collect();
        if affected.is_empty() {
            Value::Null
        } else {
            affected.into()
        }
    }

    fn incident_reply(&self, status: u16, id: &str) -> Reply {
        let row = self.table("incident").row(id);
        let text = row.map(|row| self.shown(row).into_owned());
        Reply::raw_json(status, text.unwrap_or_default())
    }

    /// Twelve letters and digits that no incident has yet.
    pub(super) fn new_id(&mut self) -> String {
        loop {
            let id: String = (0..12).map(|_| self.chance.digit(36)).collect();
            if self.table("incident").row(&id).is_none() {
                return id;
            }
        }
    }
}

/// The components that an incident has after a change. Setting the status of
/// one ties it to the incident, unless the change says which ones it has.
fn attached(incident: &Value, change: &Change) -> Vec<String> {
    if let Some(ids) = &change.component_ids {
        return ids.clone();
    }
    let copies = incident["components"].as_array().into_iter().flatten();
    let mut attached: Vec<_> = copies.map(|one| text_at(one, "id").to_owned()).collect();
    for (id, _) in &change.components {
        if !attached.contains(id) {
            attached.push(id.clone());
        }
    }
    attached
}

/// An incident keeps the gravest impact that it ever had, so that the history
/// of a page still shows it when everything is well again.
fn impact(incident: &Value) -> Value {
    let forced = &incident["impact_override"];
    if forced.is_string() {
        return forced.clone();
    }
    if incident["scheduled_for"].is_string() {
        return "maintenance".into();
    }
    let worst = |found: &dyn Fn(&(&str, &str)) -> bool| GRAVITY.iter().position(found);
    let components = incident["components"].as_array().into_iter().flatten();
    let now = components
        .filter_map(|one| worst(&|(status, _)| *status == text_at(one, "status")))
        .max();
    let ever = worst(&|(_, impact)| *impact == text_at(incident, "impact"));
    let (_, impact) = GRAVITY[now.max(ever).unwrap_or_default()];
    impact.into()
}
