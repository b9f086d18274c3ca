//! Webhook subscriptions, and the webhooks that they get.

use serde_json::{Value, json};
use url::Url;

use super::super::super::tests::{Caller, pagerduty_caller};
use super::super::super::{Matcher, Sandbox};
use super::{empty, ids};

const PATH: &str = "/webhook_subscriptions";

fn wanted(url: &str) -> Value {
    json!({"webhook_subscription": {
        "type": "webhook_subscription", "description": "test",
        "delivery_method": {
            "type": "http_delivery_method", "url": url,
            "custom_headers": [{"name": "X-Token", "value": "t0ken"}],
        },
        "events": ["incident.triggered", "incident.annotated", "service.deleted"],
        "filter": {"type": "account_reference"},
    }})
}

async fn subscribed() -> (Sandbox, Caller, Value) {
    let sandbox = empty().await;
    let caller = pagerduty_caller(&sandbox);
    let reply = caller.post(PATH, &wanted("https://hook.example/a")).await;
    assert_eq!(reply.status, 201);
    let created = reply.body["webhook_subscription"].clone();
    (sandbox, caller, created)
}

#[tokio::test]
async fn the_secret_and_the_headers_are_shown_to_nobody_but_the_creator() {
    let (sandbox, caller, created) = subscribed().await;
    let id = created["id"].as_str().unwrap();
    let delivery = &created["delivery_method"];
    assert!(delivery["secret"].is_string() && delivery["temporarily_disabled"] == false);
    assert_eq!(delivery["custom_headers"][0]["value"], "t0ken");
    assert_eq!(created["active"], true);

    let single = caller.get(&format!("{PATH}/{id}")).await.body;
    let list = caller.get(&format!("{PATH}?total=true")).await.body;

    let single = &single["webhook_subscription"]["delivery_method"];
    assert!(single["secret"].is_null());
    assert_eq!(single["custom_headers"][0]["value"], "-- redacted --");
    assert_eq!((&list["more"], &list["total"]), (&json!(false), &json!(1)));
    let listed = &list["webhook_subscriptions"][0]["delivery_method"];
    assert!(listed["secret"].is_null() && listed.get("temporarily_disabled").is_none());
    assert_eq!(sandbox.pagerduty.webhook_subscriptions(), [created]);
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let (_sandbox, caller, _) = subscribed().await;
    let mut of_service = wanted("https://hook.example/b");
    of_service["webhook_subscription"]["filter"] =
        json!({"type": "service_reference", "id": "PS1"});
    caller.post(PATH, &of_service).await;

    let second = caller.get(&format!("{PATH}?limit=1&offset=1")).await.body;
    let account = caller
        .get(&format!("{PATH}?filter_type=account"))
        .await
        .body;
    let service = format!("{PATH}?filter_type=service&filter_id=PS1");
    let service = caller.get(&service).await.body;

    assert_eq!(ids(&second["webhook_subscriptions"]), ["PWS00002"]);
    assert_eq!(ids(&account["webhook_subscriptions"]), ["PWS00001"]);
    assert_eq!(ids(&service["webhook_subscriptions"]), ["PWS00002"]);
    let unsaid = caller.get(&format!("{PATH}?filter_type=team")).await;
    assert_eq!(unsaid.status, 400);
}

#[tokio::test]
async fn what_it_tells_can_be_changed_and_where_it_is_sent_cannot() {
    let (sandbox, caller, created) = subscribed().await;
    let one = format!("{PATH}/{}", created["id"].as_str().unwrap());
    let put = async |change: Value| {
        let body = json!({ "webhook_subscription": change });
        caller.call("PUT", &one, Some(&body)).await.status
    };

    assert_eq!(
        put(json!({"events": ["incident.resolved"], "active": false})).await,
        200
    );
    for refused in [
        json!({"delivery_method": {"type": "http_delivery_method", "url": "https://x.example"}}),
        json!({"events": []}),
        json!({"events": ["incident.exploded"]}),
        json!({"events": ["incident.resolved", "incident.resolved"]}),
        json!({"filter": {"type": "service_reference"}}),
        json!({"colour": "red"}),
    ] {
        assert_eq!(put(refused.clone()).await, 400, "{refused}");
    }

    let now = &sandbox.pagerduty.webhook_subscriptions()[0];
    assert_eq!(now["events"], json!(["incident.resolved"]));
    assert_eq!(now["active"], false);
    assert_eq!(now["delivery_method"], created["delivery_method"]);
    assert_eq!(caller.call("DELETE", &one, None).await.status, 204);
    assert_eq!(caller.call("DELETE", &one, None).await.status, 404);
    assert_eq!(put(json!({"active": true})).await, 404);
    assert!(sandbox.problems().is_empty());
}

#[tokio::test]
async fn an_account_may_offer_less() {
    let (sandbox, caller, _) = subscribed().await;
    sandbox.pagerduty.withdraw_event_type("service.deleted");

    let refused = caller.post(PATH, &wanted("https://hook.example/b")).await;

    assert_eq!(refused.status, 400);
    assert_eq!(sandbox.pagerduty.webhook_subscriptions().len(), 1);
}

#[tokio::test]
async fn who_is_given_up_for_the_time_being_hears_nothing_until_enabled() {
    let (sandbox, caller, created) = subscribed().await;
    let pagerduty = &sandbox.pagerduty;
    let id = created["id"].as_str().unwrap();
    pagerduty.open_incident("Q1", "Errors", json!({"type": "website"}));
    assert_eq!(pagerduty.webhooks("incident.triggered", "Q1").len(), 1);

    assert!(pagerduty.disable_webhook_subscription(id));
    assert!(!pagerduty.disable_webhook_subscription("missing"));
    let single = caller.get(&format!("{PATH}/{id}")).await.body;
    let delivery = &single["webhook_subscription"]["delivery_method"];
    assert_eq!(delivery["temporarily_disabled"], true);
    assert!(pagerduty.webhooks("incident.triggered", "Q1").is_empty());

    let enabled = caller
        .call("POST", &format!("{PATH}/{id}/enable"), None)
        .await;
    assert_eq!(enabled.status, 200);
    assert_eq!(pagerduty.webhooks("incident.triggered", "Q1").len(), 1);
}

#[tokio::test]
async fn a_webhook_is_as_documented() {
    let (sandbox, _, created) = subscribed().await;
    let pagerduty = &sandbox.pagerduty;
    pagerduty.open_incident("Q1", "Errors", json!({"type": "website"}));

    let [webhook] = &pagerduty.webhooks("incident.triggered", "Q1")[..] else {
        panic!("one subscription, one webhook")
    };

    assert_eq!(webhook.url.as_str(), "https://hook.example/a");
    assert_eq!(webhook.header("user-agent"), Some("PagerDuty-Webhook/V3.0"));
    assert_eq!(webhook.header("content-type"), Some("application/json"));
    assert_eq!(webhook.header("x-token"), Some("t0ken"));
    assert_eq!(
        webhook.header("x-webhook-subscription"),
        created["id"].as_str()
    );
    let signature = webhook.header("x-pagerduty-signature").unwrap();
    assert_eq!((signature.len(), &signature[..3]), (67, "v1="));
    let reference = |kind: &str, path: &str, id: &str, summary: &str| {
        json!({
            "id": id, "type": kind, "summary": summary,
            "self": format!("https://api.pagerduty.com/{path}/{id}"),
            "html_url": format!("https://example.pagerduty.com/{path}/{id}"),
        })
    };
    let user = reference("user_reference", "users", "PUSER01", "On Call");
    let policy = "escalation_policy_reference";
    let told = webhook.json();
    let expected = json!({"event": {
        "id": told["event"]["id"], "event_type": "incident.triggered",
        "resource_type": "incident", "occurred_at": "2026-06-01T12:00:00.000Z",
        "agent": user, "client": null,
        "data": {
            "id": "Q1", "type": "incident", "self": "https://api.pagerduty.com/incidents/Q1",
            "html_url": "https://example.pagerduty.com/incidents/Q1", "number": 1,
            "status": "triggered", "incident_key": "Q1", "created_at": "2026-06-01T12:00:00Z",
            "title": "Errors",
            "service": reference("service_reference", "services", "PSERVICE", "Service"),
            "assignees": [user],
            "escalation_policy": reference(policy, "escalation_policies", "PPOLICY", "Default"),
            "teams": [], "priority": null, "urgency": "high", "conference_bridge": null,
            "resolve_reason": null, "incident_type": {"name": "incident_default"},
        },
    }});
    assert_eq!(told, expected);
    let again = &pagerduty.webhooks("incident.triggered", "Q1")[0];
    assert_ne!(webhook.header("x-webhook-id"), again.header("x-webhook-id"));
    let forged = webhook
        .clone()
        .altered(|body| body["event"]["id"] = "other".into());
    assert_eq!(forged.header("x-pagerduty-signature"), Some(signature));
    assert_ne!(forged.body, webhook.body);
}

#[tokio::test]
async fn what_belongs_to_an_incident_only_names_it() {
    let (sandbox, ..) = subscribed().await;
    let pagerduty = &sandbox.pagerduty;
    pagerduty.open_incident("Q1", "Errors", json!({"type": "website"}));
    let url = Url::parse("https://elsewhere.example/").unwrap();
    for (event, kind) in [
        ("incident.annotated", "incident_note"),
        ("incident.status_update_published", "incident_status_update"),
        ("incident.responder.added", "incident_responder"),
        ("incident.responder.replied", "incident_responder"),
        (
            "incident.conference_bridge.updated",
            "incident_conference_bridge",
        ),
        (
            "incident.custom_field_values.updated",
            "incident_field_values",
        ),
        ("incident.role.assigned", "incident_role"),
        ("incident.task.created", "incident_task"),
        ("incident.workflow.started", "incident_workflow_instance"),
        (
            "incident.action_invocation.created",
            "incident_action_invocation",
        ),
    ] {
        let webhook = pagerduty.webhook_to(&url, event, "Q1");
        let told = webhook.json();
        let data = &told["event"]["data"];
        assert_eq!(data["type"], kind, "{event}");
        assert_eq!(data["incident"]["id"], "Q1", "{event}");
        assert_ne!(data["id"], "Q1", "{event}");
        assert_eq!(told["event"]["resource_type"], "incident", "{event}");
        assert!(webhook.header("x-pagerduty-signature").is_some());
        assert_eq!(webhook.url, url);
    }
}

#[tokio::test]
async fn a_service_is_told_of_even_when_it_is_gone() {
    let (sandbox, caller, _) = subscribed().await;
    let pagerduty = &sandbox.pagerduty;
    pagerduty.open_incident("Q1", "Errors", json!({"type": "website"}));
    let mut of_another = wanted("https://hook.example/b");
    of_another["webhook_subscription"]["filter"] = json!({"type": "service_reference", "id": "PX"});
    caller.post(PATH, &of_another).await;
    let service = pagerduty.remove("services", "PSERVICE").unwrap();

    let webhooks = pagerduty.webhooks_about("service.deleted", &service);

    assert_eq!(
        webhooks.len(),
        1,
        "the other one is told of another service"
    );
    let event = &webhooks[0].json()["event"];
    assert_eq!(event["data"]["id"], "PSERVICE");
    assert_eq!(event["data"]["type"], "service");
    assert_eq!(event["resource_type"], "service");
    let ping = &pagerduty.ping_webhooks()[0].json()["event"];
    assert_eq!(
        (&ping["event_type"], &ping["data"]["type"]),
        (&json!("pagey.ping"), &json!("ping"))
    );
    assert_eq!(pagerduty.requested(&Matcher::post(PATH)), 2);
}
