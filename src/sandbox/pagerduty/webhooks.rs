//! What PagerDuty sends when something happens: webhooks of the third version.
//!
//! The incident in one is not the incident of the REST API: it has a `number`
//! and `assignees`, and lacks its times of change and its log entry. Where the
//! event is about something that belongs to an incident, `data` is that thing,
//! with an identifier of its own or none, and the incident is only named in it.

use std::fmt::Write as _;

use ring::hmac;
use serde_json::{Value, json};
use url::Url;

use super::super::webhook::WebhookRequest;
use super::subscriptions::Subscription;
use super::{Pagerduty, Simulator, ids, text_at};

impl Simulator<Pagerduty> {
    /// What each subscription that hears of it is sent when this happens to an
    /// incident or a service (`incident.annotated`, `service.updated`).
    ///
    /// # Panics
    /// When there is no such incident or service.
    pub fn webhooks(&self, event_type: &str, id: &str) -> Vec<WebhookRequest> {
        let object = self.concerned(event_type, id);
        self.webhooks_about(event_type, &object)
    }

    /// The same for an incident or a service as it was: one that is deleted is
    /// told of afterwards.
    pub fn webhooks_about(&self, event_type: &str, object: &Value) -> Vec<WebhookRequest> {
        self.world(|world| {
            let event = world.event(event_type, object);
            let service = match event_type.split('.').next() {
                Some("service") => text_at(object, "id"),
                _ => text_at(&object["service"], "id"),
            };
            let teams = ids(&object["teams"]);
            let rows = world.subscriptions.rows.iter();
            rows.filter(|row| row.hears(event_type, service, &teams))
                .map(|row| request(row, &event))
                .collect()
        })
    }

    /// The same for somebody at this address, subscribed or not: with the headers
    /// and the secret of the subscription of this address, where there is one.
    ///
    /// # Panics
    /// When there is no such incident or service.
    pub fn webhook_to(&self, url: &Url, event_type: &str, id: &str) -> WebhookRequest {
        let object = self.concerned(event_type, id);
        self.world(|world| {
            let event = world.event(event_type, &object);
            let subscription = world.subscriptions.rows.iter().find(|row| row.url == *url);
            subscription.map_or_else(
                || signed(WebhookRequest::new(url.clone(), &event), "pdsecret-nobody"),
                |row| request(row, &event),
            )
        })
    }

    /// The test message that somebody asks for in PagerDuty's pages.
    pub fn ping_webhooks(&self) -> Vec<WebhookRequest> {
        self.world(|world| {
            let event = world.event("pagey.ping", &Value::Null);
            let rows = world.subscriptions.rows.iter();
            rows.map(|row| request(row, &event)).collect()
        })
    }

    fn concerned(&self, event_type: &str, id: &str) -> Value {
        let endpoint = match event_type.split('.').next() {
            Some("service") => "services",
            _ => "incidents",
        };
        self.object(endpoint, id)
            .unwrap_or_else(|| panic!("there is no {id} among the {endpoint}"))
    }
}

impl Pagerduty {
    /// The body, with an identifier that no other event has.
    fn event(&mut self, event_type: &str, object: &Value) -> Value {
        self.events += 1;
        let resource = event_type.split('.').next().unwrap_or_default();
        let agent = reference(&object["assignments"][0]["assignee"], "user_reference");
        let data = match resource {
            "pagey" => json!({"type": "ping", "message": "Hello from your friend Pagey!"}),
            "service" => about_service(event_type, object),
            _ => self.about_incident(event_type, object),
        };
        json!({"event": {
            "id": format!("01SANDBOX{:017}", self.events), "event_type": event_type,
            "resource_type": resource, "occurred_at": format!("{:.3}", self.clock.now()),
            "agent": agent, "client": null, "data": data,
        }})
    }

    fn about_incident(&self, event_type: &str, incident: &Value) -> Value {
        let own = format!("{}{:05}", "Q0SANDBOX", self.events);
        let this = reference(incident, "incident_reference");
        match event_type {
            "incident.annotated" => json!({
                "html_url": null, "id": own, "incident": this, "self": null,
                "content": "Looking into it.", "trimmed": false, "type": "incident_note",
            }),
            "incident.status_update_published" => json!({
                "id": own, "incident": this, "message": "A fix is rolling out.",
                "trimmed": false, "type": "incident_status_update",
            }),
            "incident.responder.added" | "incident.responder.replied" => {
                let replied = event_type.ends_with("replied");
                json!({
                    "incident": this,
                    "user": reference(&incident["assignments"][0]["assignee"], "user_reference"),
                    "escalation_policy": null, "message": "Please help",
                    "state": if replied { "accepted" } else { "pending" },
                    "type": "incident_responder",
                })
            }
            "incident.conference_bridge.updated" => json!({
                "incident": this, "conference_numbers": [{"label": "", "number": "+1 415-555-1212"}],
                "conference_url": "https://example.com/bridge", "type": "incident_conference_bridge",
            }),
            "incident.custom_field_values.updated" => json!({
                "incident": this, "custom_fields": [], "changed_custom_fields": [],
                "type": "incident_field_values",
            }),
            _ if event_type.starts_with("incident.role.") => {
                json!({"id": own, "incident": this, "type": "incident_role"})
            }
            _ if event_type.starts_with("incident.task.") => {
                json!({"id": own, "incident": this, "type": "incident_task"})
            }
            _ if event_type.starts_with("incident.workflow.") => json!({
                "id": own, "incident": this, "summary": "Escalate",
                "type": "incident_workflow_instance",
            }),
            _ if event_type.starts_with("incident.action_invocation.") => json!({
                "id": own, "incident": this, "type": "incident_action_invocation",
            }),
            _ => as_told(incident),
        }
    }
}

/// An incident as webhooks show it.
fn as_told(incident: &Value) -> Value {
    let references = |list: &Value, kind: &str| -> Vec<Value> {
        let list = list.as_array().into_iter().flatten();
        list.map(|one| reference(one, kind)).collect()
    };
    let assignments = incident["assignments"].as_array().into_iter().flatten();
    let assignees: Vec<Value> = assignments
        .map(|one| reference(&one["assignee"], "user_reference"))
        .collect();
    json!({
        "id": incident["id"], "type": "incident", "self": incident["self"],
        "html_url": incident["html_url"], "number": incident["incident_number"],
        "status": incident["status"], "incident_key": incident["incident_key"],
        "created_at": incident["created_at"], "title": incident["title"],
        "service": reference(&incident["service"], "service_reference"),
        "assignees": assignees,
        "escalation_policy": reference(&incident["escalation_policy"], "escalation_policy_reference"),
        "teams": references(&incident["teams"], "team_reference"),
        "priority": reference(&incident["priority"], "priority_reference"),
        "urgency": incident["urgency"], "conference_bridge": null,
        "resolve_reason": incident["resolve_reason"],
        "incident_type": incident["incident_type"],
    })
}

fn about_service(event_type: &str, service: &Value) -> Value {
    if event_type == "service.custom_field_values.updated" {
        return json!({
            "service": reference(service, "service_reference"), "custom_fields": [],
            "changed_custom_fields": [], "type": "service_field_values",
        });
    }
    let teams = service["teams"].as_array().into_iter().flatten();
    let teams: Vec<Value> = teams
        .map(|team| reference(team, "team_reference"))
        .collect();
    json!({
        "id": service["id"], "type": "service", "self": service["self"],
        "html_url": service["html_url"], "summary": service["summary"],
        "alert_creation": service["alert_creation"], "teams": teams,
    })
}

/// What stands for an object; null where there is none.
fn reference(object: &Value, kind: &str) -> Value {
    if object["id"].is_null() {
        return Value::Null;
    }
    json!({
        "id": object["id"], "type": kind, "summary": object["summary"],
        "self": object["self"], "html_url": object["html_url"],
    })
}

fn request(to: &Subscription, event: &Value) -> WebhookRequest {
    // The same each time one event is sent to one subscription.
    let id = format!("{}-{}", text_at(&event["event"], "id"), to.id);
    let mut request = WebhookRequest::new(to.url.clone(), event)
        .with_header("X-Webhook-Id", id)
        .with_header("X-Webhook-Subscription", &to.id);
    for (name, value) in &to.headers {
        request = request.with_header(name, value);
    }
    signed(request, &to.secret)
}

fn signed(request: WebhookRequest, secret: &str) -> WebhookRequest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signature = "v1=".to_owned();
    for byte in hmac::sign(&key, &request.body).as_ref() {
        // Writing to a string cannot fail.
        let _infallible = write!(signature, "{byte:02x}");
    }
    request
        .with_header("User-Agent", "PagerDuty-Webhook/V3.0")
        .with_header("X-PagerDuty-Signature", signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_vendors_example() {
        let body = r#"{"event":{"id":"01EXAMPLE","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-01-02T03:04:05.678Z","agent":null,"client":null,"data":{"id":"PINC001","type":"incident","status":"acknowledged"}}}"#;
        let url = Url::parse("https://portolan.example/").unwrap();
        let mut request = WebhookRequest::new(url, &Value::Null);
        request.body = body.into();

        let signed = signed(request, "pdsecret-alpha");

        assert_eq!(
            signed.header("x-pagerduty-signature"),
            Some("v1=8dfa1c1ecd3990dd192671838e5644081f179c6338b14b002c3991597913f485")
        );
    }
}
