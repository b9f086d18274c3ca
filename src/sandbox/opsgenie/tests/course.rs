//! Alerts and incidents that a test opens, and what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::clock::Clock;
use super::super::super::tests::{Caller, opsgenie_caller};
use super::super::super::{Sandbox, SandboxOptions};
use super::ids;

/// An account with nothing in it, at noon of the first of June 2026.
async fn account() -> (Sandbox, Caller, Clock) {
    let clock = Clock::fixed("2026-06-01T12:00:00.0005Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
        .await
        .unwrap();
    sandbox.opsgenie.clear();
    let caller = opsgenie_caller(&sandbox);
    (sandbox, caller, clock)
}

async fn alert(caller: &Caller) -> Value {
    caller.get("/v2/alerts/a1").await.body["data"].clone()
}

#[tokio::test]
async fn an_alert_is_acknowledged_taken_back_and_closed() {
    let (sandbox, caller, clock) = account().await;
    let opsgenie = &sandbox.opsgenie;
    opsgenie.open_alert("a1", "Errors", &["env:prod", "component:c1"]);
    let open = alert(&caller).await;
    assert_eq!(
        (&open["status"], &open["acknowledged"]),
        (&json!("open"), &json!(false))
    );
    assert_eq!(
        (&open["createdAt"], &open["report"]),
        (&json!("2026-06-01T12:00:00Z"), &Value::Null)
    );
    assert_eq!(open["tags"], json!(["env:prod", "component:c1"]));

    clock.advance(Duration::from_millis(61_500));
    assert!(opsgenie.acknowledge_alert("a1"));
    assert!(!opsgenie.acknowledge_alert("a1"));
    let acknowledged = alert(&caller).await;
    assert_eq!(
        (
            &acknowledged["acknowledged"],
            &acknowledged["report"]["ackTime"]
        ),
        (&json!(true), &json!(61_500))
    );
    assert_eq!(
        acknowledged["report"]["acknowledgedBy"],
        acknowledged["owner"]
    );
    assert_eq!(acknowledged["updatedAt"], "2026-06-01T12:01:01.5Z");
    let found = caller
        .get("/v2/alerts?query=status:open%20AND%20acknowledged:true")
        .await;
    assert_eq!(ids(&found.body), ["a1"]);

    assert!(opsgenie.unacknowledge_alert("a1") && !opsgenie.unacknowledge_alert("a1"));
    let taken_back = alert(&caller).await;
    assert_eq!(taken_back["acknowledged"], false);
    assert_eq!(
        taken_back["report"]["ackTime"], 61_500,
        "it was acknowledged once"
    );

    assert!(opsgenie.tag_alert("a1", &["component:c2"]));
    clock.advance(Duration::from_millis(500));
    assert!(opsgenie.close_alert("a1") && !opsgenie.close_alert("a1"));
    assert!(!opsgenie.acknowledge_alert("a1"));
    let closed = alert(&caller).await;
    assert_eq!(
        (&closed["status"], &closed["tags"]),
        (&json!("closed"), &json!(["component:c2"]))
    );
    assert_eq!(closed["report"]["closeTime"], 62_000);
    assert!(!opsgenie.close_alert("missing") && !opsgenie.tag_alert("missing", &[]));
}

#[tokio::test]
async fn an_incident_is_opened_and_resolved() {
    let (sandbox, caller, clock) = account().await;
    sandbox
        .opsgenie
        .open_incident("i1", "Errors", &["component:c1"]);
    sandbox.opsgenie.open_incident("i2", "More errors", &[]);
    clock.advance(Duration::from_mins(1));

    assert!(sandbox.opsgenie.resolve_incident("i1") && !sandbox.opsgenie.resolve_incident("i1"));

    let resolved = caller.get("/v1/incidents/i1").await.body["data"].clone();
    assert_eq!(
        (&resolved["status"], &resolved["tags"]),
        (&json!("resolved"), &json!(["component:c1"]))
    );
    assert_eq!(resolved["createdAt"], "2026-06-01T12:00:00Z");
    assert_eq!(resolved["updatedAt"], "2026-06-01T12:01:00Z");
    assert_eq!(resolved["impactEndDate"], resolved["updatedAt"]);
    let open = caller.get("/v1/incidents?query=status:open").await.body;
    assert_eq!(ids(&open), ["i2"]);
    assert_eq!(open["data"][0]["tinyId"], "2");
}

#[tokio::test]
async fn the_alert_of_a_webhook_has_its_identifier_and_its_times_in_another_form() {
    let (sandbox, ..) = account().await;
    let opsgenie = &sandbox.opsgenie;
    opsgenie.open_alert("a1", "Errors", &["env:prod"]);
    let url = url::Url::parse("https://hook.example/a?token=t").unwrap();

    let webhook = opsgenie.webhook_to(&url, "Create", "a1");
    let tagged = opsgenie.webhook_to(&url, "AddTags", "a1").json();
    let gone = opsgenie.remove("alerts", "a1").unwrap();
    let deleted = opsgenie.webhook_about(&url, "Delete", &gone).json();

    assert_eq!(webhook.url, url);
    assert_eq!(webhook.header("content-type"), Some("application/json"));
    let told = webhook.json();
    assert_eq!(told["action"], "Create");
    assert_eq!(told["alert"]["alertId"], "a1");
    assert!(told["alert"].get("id").is_none());
    assert_eq!(told["alert"]["createdAt"], 1_780_315_200_000_i64);
    assert_eq!(told["alert"]["updatedAt"], 1_780_315_200_000_000_000_i64);
    assert_eq!(told["alert"]["description"], "Errors");
    assert_eq!(tagged["alert"]["addedTags"], "urgent");
    assert!(tagged["alert"].get("description").is_none());
    assert_eq!(
        (&deleted["action"], &deleted["alert"]["alertId"]),
        (&json!("Delete"), &json!("a1"))
    );
}
