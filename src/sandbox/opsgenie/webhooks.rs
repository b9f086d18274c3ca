//! What Opsgenie's webhook integration sends. It is set up by hand and tells of
//! alerts only; nothing is signed. The alert in it is not the alert of the API:
//! its identifier is its `alertId`, and its times are numbers.

use serde_json::{Value, json};
use url::Url;

use super::super::webhook::WebhookRequest;
use super::{Opsgenie, Simulator, instant_at};

impl Simulator<Opsgenie> {
    /// What an integration with this address is sent when this is done to an
    /// alert (`Create`, `Acknowledge`, `AddTags`, …).
    ///
    /// # Panics
    /// When there is no such alert.
    pub fn webhook_to(&self, url: &Url, action: &str, alert: &str) -> WebhookRequest {
        let alert = self
            .object("alerts", alert)
            .unwrap_or_else(|| panic!("there is no alert {alert}"));
        webhook_about(url, action, &alert)
    }

    /// The same for an alert as it was: one that is deleted is told of afterwards.
    pub fn webhook_about(&self, url: &Url, action: &str, alert: &Value) -> WebhookRequest {
        webhook_about(url, action, alert)
    }
}

fn webhook_about(url: &Url, action: &str, alert: &Value) -> WebhookRequest {
    let updated = instant_at(alert, "updatedAt").map(jiff::Timestamp::as_nanosecond);
    let updated = updated.and_then(|instant| i64::try_from(instant).ok());
    let created = instant_at(alert, "createdAt").map(jiff::Timestamp::as_millisecond);
    let teams = alert["teams"].as_array().into_iter().flatten();
    let teams: Vec<&Value> = teams.map(|team| &team["id"]).collect();
    let mut told = json!({
        "alertId": alert["id"], "message": alert["message"], "tags": alert["tags"],
        "tinyId": alert["tinyId"], "entity": alert["entity"], "alias": alert["alias"],
        "createdAt": created, "updatedAt": updated, "username": "on.call@example.com",
        "userId": "7b0e4a52-0000-4000-8000-000000000001", "teams": teams, "recipients": [],
        "responders": alert["responders"], "source": alert["source"],
        "priority": alert["priority"],
    });
    let mut extra = json!({});
    match action {
        "Create" => {
            told["description"] = alert["description"].clone();
            told["details"] = alert["details"].clone();
        }
        "AddNote" => told["note"] = "Looking into it.".into(),
        "AddTags" => told["addedTags"] = "urgent".into(),
        "RemoveTags" => told["removedTags"] = "urgent".into(),
        "UpdatePriority" => told["oldPriority"] = "P5".into(),
        "Escalate" | "EscalateNext" => {
            extra = json!({"escalationId": "e-1", "escalationName": "Everybody"});
        }
        _ => {}
    }
    let mut body = json!({
        "action": action, "source": {"name": "web", "type": "web"}, "integrationId": "i-1",
        "integrationName": "Port", "alert": told,
    });
    if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
        body.extend(extra);
    }
    WebhookRequest::new(url.clone(), &body)
}
