//! What Statuspage sends to webhook subscribers: no signature, no header of its
//! own, and two shapes of bodies, one for incidents and one for components.

use serde_json::{Value, json};
use url::Url;

use super::super::webhook::WebhookRequest;
use super::write::GRAVITY;
use super::{Simulator, Statuspage, stamp, text_at};

/// What an incident says in a webhook.
const TOLD: [&str; 24] = [
    "id",
    "page_id",
    "name",
    "status",
    "impact",
    "impact_override",
    "created_at",
    "updated_at",
    "monitoring_at",
    "resolved_at",
    "shortlink",
    "scheduled_for",
    "scheduled_until",
    "scheduled_remind_prior",
    "scheduled_reminded_at",
    "scheduled_auto_in_progress",
    "scheduled_auto_completed",
    "postmortem_body",
    "postmortem_body_last_updated_at",
    "postmortem_ignored",
    "postmortem_published_at",
    "postmortem_notified_subscribers",
    "postmortem_notified_twitter",
    "components",
];

impl Simulator<Statuspage> {
    /// What each webhook subscriber of its page is sent when an incident or a
    /// maintenance is opened or updated.
    ///
    /// # Panics
    /// When there is no such incident.
    pub fn incident_webhooks(&self, id: &str) -> Vec<WebhookRequest> {
        self.world(|world| world.to_subscribers("incident", id, |world| world.told(id)))
    }

    /// The same for somebody at this address, subscribed or not.
    ///
    /// # Panics
    /// When there is no such incident.
    pub fn incident_webhook_to(&self, url: &Url, id: &str) -> WebhookRequest {
        self.world(|world| {
            let page = world.page_of("incident", id);
            let told = world.told(id);
            world.webhook(url, &page, "none", told)
        })
    }

    /// What each webhook subscriber of its page is sent when a component has got
    /// the status that it has now.
    ///
    /// # Panics
    /// When there is no such component.
    pub fn component_webhooks(&self, id: &str, old_status: &str) -> Vec<WebhookRequest> {
        self.world(|world| {
            let told = |world: &Statuspage| world.changed(id, old_status);
            world.to_subscribers("component", id, told)
        })
    }

    /// The same for somebody at this address, subscribed or not.
    ///
    /// # Panics
    /// When there is no such component.
    pub fn component_webhook_to(&self, url: &Url, id: &str, old_status: &str) -> WebhookRequest {
        self.world(|world| {
            let page = world.page_of("component", id);
            let told = world.changed(id, old_status);
            world.webhook(url, &page, "none", told)
        })
    }
}

impl Statuspage {
    fn to_subscribers(
        &self,
        kind: &str,
        id: &str,
        told: impl Fn(&Self) -> Value,
    ) -> Vec<WebhookRequest> {
        let page = self.page_of(kind, id);
        self.of_page("subscriber", &page)
            .filter(|row| row.facts.kind == "webhook" && row.facts.endpoint_state == "active")
            .filter_map(|row| {
                let url = text_at(&row.object(), "endpoint").parse().ok()?;
                Some(self.webhook(&url, &page, &row.id, told(self)))
            })
            .collect()
    }

    fn page_of(&self, kind: &str, id: &str) -> String {
        let row = self.table(kind).row(id);
        let row = row.unwrap_or_else(|| panic!("there is no {kind} {id}"));
        row.facts.page.clone()
    }

    /// `told` with what every webhook has beside it.
    fn webhook(&self, url: &Url, page: &str, subscriber: &str, told: Value) -> WebhookRequest {
        let subdomain = self.table("statuspage").get(page).unwrap_or_default();
        let subdomain = text_at(&subdomain, "subdomain");
        let (indicator, description) = self.indicator(page);
        let mut body = json!({
            "meta": {
                "unsubscribe": format!("http://{subdomain}.statuspage.io/?unsubscribe={subscriber}"),
                "documentation": "https://support.atlassian.com/statuspage/docs/enable-webhook-notifications/",
                "generated_at": stamp(self.clock.now()),
            },
            "page": {
                "id": page, "status_indicator": indicator, "status_description": description,
            },
        });
        if let (Some(body), Value::Object(told)) = (body.as_object_mut(), told) {
            body.extend(told);
        }
        WebhookRequest::new(url.clone(), &body)
    }

    fn told(&self, id: &str) -> Value {
        let row = self.table("incident").row(id);
        let shown = row.map(|row| self.shown(row).into_owned());
        let shown: Value =
            serde_json::from_str(shown.as_deref().unwrap_or("{}")).unwrap_or_default();
        let mut incident = json!({"backfilled": false});
        for field in TOLD {
            incident[field] = shown[field].clone();
        }
        incident["incident_updates"] = shown["incident_updates"].clone();
        json!({ "incident": incident })
    }

    fn changed(&self, id: &str, old_status: &str) -> Value {
        let component = self.table("component").get(id).unwrap_or_default();
        let now = stamp(self.clock.now());
        let update = json!({
            "id": format!("cu{id}"), "component_id": id, "component_type": "Component",
            "state": "sn_created", "old_status": old_status, "new_status": component["status"],
            "created_at": now,
        });
        let told = [
            "id",
            "page_id",
            "group_id",
            "name",
            "description",
            "position",
            "status",
            "showcase",
            "created_at",
            "updated_at",
        ];
        let told: serde_json::Map<String, Value> = told
            .into_iter()
            .map(|field| (field.to_owned(), component[field].clone()))
            .collect();
        json!({"component_update": update, "component": told})
    }

    /// How the page as a whole is doing: as badly as the worst of its components.
    fn indicator(&self, page: &str) -> (&'static str, &'static str) {
        let components = self.of_page("component", page);
        let worst = components
            .filter_map(|row| {
                GRAVITY
                    .iter()
                    .position(|(status, _)| *status == row.facts.status)
            })
            .max();
        match worst {
            Some(3) => ("critical", "Major System Outage"),
            Some(2) => ("major", "Partial System Outage"),
            Some(1) => ("minor", "Minor Service Outage"),
            _ => ("none", "All Systems Operational"),
        }
    }
}
