//! What becomes of incidents, as far as tests have a hand in it.

use serde_json::{Value, json};

use super::{Pagerduty, Simulator, Table, text_at};

/// How somebody came to be responsible for an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignedVia {
    EscalationPolicy,
    DirectAssignment,
}

impl AssignedVia {
    const fn text(self) -> &'static str {
        match self {
            Self::EscalationPolicy => "escalation_policy",
            Self::DirectAssignment => "direct_assignment",
        }
    }
}

impl Simulator<Pagerduty> {
    /// An incident that is triggered now, through this channel. It is one of the
    /// first service's and of the first user's; in an account without any they
    /// come into being with it.
    pub fn open_incident(&self, id: &str, title: &str, channel: Value) {
        self.world(|world| world.open(id, title, channel));
    }

    /// The first user who is responsible acknowledges it; false when it is not open.
    pub fn acknowledge(&self, id: &str) -> bool {
        self.world(|world| {
            let now = world.now();
            world.change(id, &["triggered", "acknowledged"], |incident| {
                let by = responsible(incident);
                incident["acknowledgements"] = json!([{"at": now, "acknowledger": by}]);
                enter(incident, "acknowledged", by, &now);
            })
        })
    }

    /// What a timeout does to an acknowledgement: it is triggered again. False
    /// when it is not acknowledged.
    pub fn unacknowledge(&self, id: &str) -> bool {
        self.world(|world| {
            let now = world.now();
            world.change(id, &["acknowledged"], |incident| {
                incident["acknowledgements"] = json!([]);
                enter(incident, "triggered", incident["service"].clone(), &now);
            })
        })
    }

    /// False when it is not open.
    pub fn resolve(&self, id: &str) -> bool {
        self.world(|world| {
            let now = world.now();
            world.change(id, &["triggered", "acknowledged"], |incident| {
                let by = responsible(incident);
                incident["acknowledgements"] = json!([]);
                incident["assignments"] = json!([]);
                incident["resolved_at"] = now.as_str().into();
                incident["alert_counts"] = json!({"all": 1, "triggered": 0, "resolved": 1});
                incident["is_mergeable"] = false.into();
                enter(incident, "resolved", by, &now);
            })
        })
    }

    /// Makes somebody else responsible; false when it is not open. Its status
    /// stays: PagerDuty may trigger it again, which is
    /// [`unacknowledge`](Self::unacknowledge).
    pub fn reassign(&self, id: &str, user: &str, via: AssignedVia) -> bool {
        self.world(|world| {
            let user = world.user(Some(user));
            let now = world.now();
            world.change(id, &["triggered", "acknowledged"], |incident| {
                incident["assignments"] = json!([{"at": now, "assignee": user}]);
                incident["assigned_via"] = via.text().into();
            })
        })
    }

    /// From now on what triggered an incident is too large to be shown with it:
    /// only its log entry shows it, with `include[]=channels`. False when there
    /// is no such incident.
    pub fn omit_channel(&self, id: &str) -> bool {
        self.world(|world| {
            let incident = world.tables.get("incidents").and_then(|all| all.get(id));
            let Some(incident) = incident else {
                return false;
            };
            let entry = text_at(&incident["first_trigger_log_entry"], "id");
            world.large_channels.insert(entry.to_owned());
            true
        })
    }
}

impl Pagerduty {
    /// The time as PagerDuty writes it: whole seconds.
    fn now(&self) -> String {
        format!("{:.0}", self.clock.now())
    }

    fn open(&mut self, id: &str, title: &str, channel: Value) {
        let now = self.now();
        let user = self.user(None);
        let service = self.service();
        let policy = service["escalation_policy"].clone();
        let service = reference(&service);
        let last = self.rows("incidents").map(|row| row.facts.number).max();
        let number = last.unwrap_or_default() + 1;
        let summary = format!("[#{number}] {title}");
        let mut incident = object("incident", "incidents", id, &summary);
        let entry_id = format!("R{id}");
        let mut entry = object(
            "trigger_log_entry",
            "log_entries",
            &entry_id,
            "Triggered through the API.",
        );
        let trigger = reference(&entry);
        extend(
            &mut entry,
            json!({
                "created_at": now, "agent": service, "channel": null, "service": service,
                "incident": reference(&incident), "teams": [], "contexts": [],
                "event_details": {"description": title},
            }),
        );
        extend(
            &mut incident,
            json!({
                "incident_number": number, "title": title, "description": title,
                "created_at": now, "updated_at": now, "status": "triggered",
                "incident_key": id, "service": service,
                "assignments": [{"at": now, "assignee": user}], "acknowledgements": [],
                "assigned_via": "escalation_policy", "last_status_change_at": now,
                "last_status_change_by": service, "resolved_at": null,
                "first_trigger_log_entry": trigger,
                "alert_counts": {"all": 1, "triggered": 1, "resolved": 0},
                "is_mergeable": true, "escalation_policy": policy, "teams": [],
                "pending_actions": [], "alert_grouping": null, "basic_alert_grouping": null,
                "impacted_services": [service], "priority": null, "resolve_reason": null,
                "incidents_responders": [], "responder_requests": [],
                "incident_type": {"name": "incident_default"}, "urgency": "high",
            }),
        );
        entry["channel"] = channel;
        self.insert("log_entries", &entry);
        self.insert("incidents", &incident);
    }

    /// Changes an incident that is in one of these statuses; false when it is not.
    fn change(&mut self, id: &str, from: &[&str], change: impl FnOnce(&mut Value)) -> bool {
        let row = self.row("incidents", id).ok();
        if !row.is_some_and(|row| from.contains(&row.facts.status.as_str())) {
            return false;
        }
        let now = self.now();
        self.update("incidents", id, |incident| {
            change(incident);
            incident["updated_at"] = now.into();
        })
    }

    /// A reference to the user of that identifier, or to the first one.
    fn user(&mut self, id: Option<&str>) -> Value {
        let found = match id {
            Some(id) => self.tables.get("users").and_then(|users| users.get(id)),
            None => self.first("users"),
        };
        let user = found.unwrap_or_else(|| {
            let id = id.unwrap_or("PUSER01");
            let mut user = object("user", "users", id, "On Call");
            let address = format!("{}@example.com", id.to_lowercase());
            extend(
                &mut user,
                json!({
                    "name": "On Call", "email": address, "time_zone": "Etc/UTC", "role": "user",
                    "teams": [], "contact_methods": [], "notification_rules": [],
                }),
            );
            self.insert("users", &user);
            user
        });
        reference(&user)
    }

    /// The first service.
    fn service(&mut self) -> Value {
        if let Some(service) = self.first("services") {
            return service;
        }
        let mut policy = object(
            "escalation_policy",
            "escalation_policies",
            "PPOLICY",
            "Default",
        );
        let mut service = object("service", "services", "PSERVICE", "Service");
        extend(
            &mut policy,
            json!({
                "name": "Default", "escalation_rules": [], "services": [reference(&service)],
                "num_loops": 0, "teams": [], "description": null,
            }),
        );
        extend(
            &mut service,
            json!({
                "name": "Service", "description": null, "status": "critical", "teams": [],
                "created_at": self.now(), "escalation_policy": reference(&policy),
                "integrations": [],
            }),
        );
        self.insert("escalation_policies", &policy);
        self.insert("services", &service);
        service
    }

    fn first(&self, endpoint: &str) -> Option<Value> {
        let mut rows = self.tables.get(endpoint).into_iter().flat_map(Table::rows);
        rows.next().map(super::Row::object)
    }
}

/// Whoever an incident is assigned to first.
fn responsible(incident: &Value) -> Value {
    incident["assignments"][0]["assignee"].clone()
}

/// Brings an incident into a status, unless it is in it.
fn enter(incident: &mut Value, status: &str, by: Value, now: &str) {
    if incident["status"] != status {
        incident["status"] = status.into();
        incident["last_status_change_at"] = now.into();
        incident["last_status_change_by"] = by;
    }
}

/// The fields that every object has.
fn object(kind: &str, path: &str, id: &str, summary: &str) -> Value {
    json!({
        "id": id, "type": kind, "summary": summary,
        "self": format!("https://api.pagerduty.com/{path}/{id}"),
        "html_url": format!("https://example.pagerduty.com/{path}/{id}"),
    })
}

fn extend(object: &mut Value, own: Value) {
    if let (Some(object), Value::Object(own)) = (object.as_object_mut(), own) {
        object.extend(own);
    }
}

/// What stands for an object in other objects.
fn reference(object: &Value) -> Value {
    json!({
        "id": object["id"], "type": format!("{}_reference", text_at(object, "type")),
        "summary": object["summary"], "self": object["self"], "html_url": object["html_url"],
    })
}
