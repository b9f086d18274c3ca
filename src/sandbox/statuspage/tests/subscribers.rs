//! Webhook subscribers, and what they are sent.

use serde_json::{Value, json};
use url::Url;

use super::super::super::tests::statuspage_caller;
use super::Halyard;

async fn subscribe(halyard: &Halyard, endpoint: &str) -> (u16, Value) {
    let caller = statuspage_caller(&halyard.sandbox);
    let body = json!({"subscriber": {"endpoint": endpoint}});
    let reply = caller.post("/v1/pages/page/subscribers", &body).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn only_a_page_that_has_them_takes_webhook_subscribers_and_takes_them_twice() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let allow = |allowed: bool| {
        statuspage.update("statuspage", "page", |page| {
            page["allow_webhook_subscribers"] = allowed.into();
        })
    };
    allow(false);
    assert_eq!(subscribe(&halyard, "https://hook.example/a").await.0, 422);
    allow(true);

    let (status, one) = subscribe(&halyard, "https://hook.example/a").await;
    let (_, two) = subscribe(&halyard, "https://hook.example/a").await;

    assert_eq!((status, &one["mode"]), (201, &json!("webhook")));
    assert_eq!(one["created_at"], "2026-06-01T12:00:00.000Z");
    assert_ne!(one["id"], two["id"]);
    assert_eq!(statuspage.subscribers("page"), [one, two]);
    assert_eq!(subscribe(&halyard, "nowhere").await.0, 422);
}

#[tokio::test]
async fn who_is_in_quarantine_is_told_nothing_until_reactivated_and_may_leave() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let caller = statuspage_caller(&halyard.sandbox);
    let (_, subscriber) = subscribe(&halyard, "https://hook.example/a").await;
    let id = subscriber["id"].as_str().unwrap();
    let incident = halyard.open(json!({"name": "Errors"})).await;
    let told = || statuspage.incident_webhooks(&incident).len();
    assert_eq!(told(), 1);

    assert!(statuspage.quarantine(id) && !statuspage.quarantine("missing"));
    assert_eq!(told(), 0);
    assert_eq!(halyard.get("subscribers?type=webhook").await, json!([]));
    let all = halyard.get("subscribers?type=webhook&state=all").await;
    assert_eq!(all[0]["quarantined_at"], "2026-06-01T12:00:00.000Z");

    let path = "/v1/pages/page/subscribers";
    let reactivate = format!("{path}/reactivate");
    let unknown = json!({"subscribers": ["missing"]});
    assert_eq!(caller.post(&reactivate, &unknown).await.status, 404);
    let body = json!({ "subscribers": [id] });
    assert_eq!(caller.post(&reactivate, &body).await.status, 201);
    assert_eq!(told(), 1);
    statuspage.quarantine(id);
    let all = json!({"subscribers": "all", "type": "webhook"});
    assert_eq!(caller.post(&reactivate, &all).await.status, 201);
    assert_eq!(told(), 1);

    let one = format!("{path}/{id}");
    assert_eq!(caller.call("DELETE", &one, None).await.status, 200);
    assert_eq!(caller.call("DELETE", &one, None).await.status, 404);
    assert_eq!(told(), 0);
    assert!(halyard.sandbox.problems().is_empty());
}

#[tokio::test]
async fn webhooks_are_as_documented() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let incident = halyard
        .open(json!({"name": "Errors", "body": "We look into it.", "components": {"api": "partial_outage"}}))
        .await;
    let url = Url::parse("https://hook.example/a?token=t").unwrap();

    let of_incident = statuspage.incident_webhook_to(&url, &incident);
    let of_component = statuspage.component_webhook_to(&url, "api", "operational");

    assert_eq!(of_incident.url, url);
    assert_eq!(of_incident.header("content-type"), Some("application/json"));
    let told = of_incident.json();
    assert_eq!(
        told["page"],
        json!({"id": "page", "status_indicator": "major", "status_description": "Partial System Outage"})
    );
    assert_eq!(told["meta"]["generated_at"], "2026-06-01T12:00:00.000Z");
    assert_eq!(told["incident"]["id"], incident.as_str());
    assert_eq!(told["incident"]["components"][0]["id"], "api");
    assert_eq!(
        told["incident"]["incident_updates"][0]["body"],
        "We look into it."
    );
    assert!(told["incident"].get("metadata").is_none());
    let told = of_component.json();
    assert_eq!(told["component"]["status"], "partial_outage");
    assert_eq!(told["component_update"]["component_id"], "api");
    assert_eq!(told["component_update"]["old_status"], "operational");
    assert_eq!(told["component_update"]["new_status"], "partial_outage");
    assert_eq!(told["page"]["id"], "page");
}
