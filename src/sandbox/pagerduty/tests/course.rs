//! Incidents that a test opens, and what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::clock::Clock;
use super::super::super::tests::{Caller, pagerduty_caller, small};
use super::super::super::{Sandbox, SandboxOptions};
use super::super::AssignedVia;

const FULL: &str = "include[]=first_trigger_log_entries&include[]=assignees";

/// An account with nothing but the incident `Q1`, opened at noon of the first
/// of June 2026 by something that is tagged.
async fn opened() -> (Sandbox, Caller, Clock) {
    let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
        .await
        .unwrap();
    sandbox.pagerduty.clear();
    let details = json!({"tags": "env:prod,component:c1", "graph": "x".repeat(1_000)});
    let channel =
        json!({"type": "api", "summary": "5xx", "details": details, "details_omitted": false});
    sandbox.pagerduty.open_incident("Q1", "Errors", channel);
    let caller = pagerduty_caller(&sandbox);
    (sandbox, caller, clock)
}

async fn incident(caller: &Caller) -> Value {
    let reply = caller.get("/incidents/Q1").await;
    reply.body["incident"].clone()
}

#[tokio::test]
async fn an_open_incident_has_everything_that_can_be_included() {
    let (sandbox, caller, _) = opened().await;

    let single = caller.get(&format!("/incidents/Q1?{FULL}")).await.body;
    let single = &single["incident"];
    let list = caller
        .get(&format!(
            "/incidents?date_range=all&statuses[]=triggered&{FULL}"
        ))
        .await;
    let list = &list.body["incidents"][0];

    assert_eq!(single, list);
    assert_eq!(
        (&single["status"], &single["title"]),
        (&json!("triggered"), &json!("Errors"))
    );
    for time in ["created_at", "updated_at", "last_status_change_at"] {
        assert_eq!(single[time], "2026-06-01T12:00:00Z", "{time}");
    }
    let channel = &single["first_trigger_log_entry"]["channel"];
    assert_eq!(channel["details"]["tags"], "env:prod,component:c1");
    assert_eq!(
        single["assignments"][0]["assignee"]["email"],
        "puser01@example.com"
    );
    let service = single["service"]["id"].as_str().unwrap();
    assert!(sandbox.pagerduty.object("services", service).is_some());
    let policy = single["escalation_policy"]["id"].as_str().unwrap();
    assert!(
        sandbox
            .pagerduty
            .object("escalation_policies", policy)
            .is_some()
    );
    sandbox
        .pagerduty
        .open_incident("Q2", "More errors", json!({"type": "website"}));
    assert_eq!(
        sandbox.pagerduty.count("services"),
        1,
        "the second is one of the same"
    );
    assert_eq!(
        sandbox.pagerduty.object("incidents", "Q2").unwrap()["incident_number"],
        2
    );
}

#[tokio::test]
async fn in_an_account_with_services_it_is_one_of_the_first() {
    let sandbox = small().await;
    let before = sandbox.pagerduty.counts();

    sandbox
        .pagerduty
        .open_incident("Q1", "Errors", json!({"type": "website"}));

    let after = sandbox.pagerduty.counts();
    assert_eq!(after["services"], before["services"]);
    assert_eq!(after["users"], before["users"]);
    assert_eq!(after["incidents"], before["incidents"] + 1);
}

#[tokio::test]
async fn acknowledging_and_a_timeout_change_the_status_and_its_time() {
    let (sandbox, caller, clock) = opened().await;
    clock.advance(Duration::from_mins(1));
    assert!(sandbox.pagerduty.acknowledge("Q1"));
    clock.advance(Duration::from_mins(1));
    assert!(sandbox.pagerduty.acknowledge("Q1"), "once more");

    let acknowledged = incident(&caller).await;
    assert_eq!(acknowledged["status"], "acknowledged");
    assert_eq!(
        acknowledged["last_status_change_at"],
        "2026-06-01T12:01:00Z"
    );
    assert_eq!(
        acknowledged["last_status_change_by"]["type"],
        "user_reference"
    );
    assert_eq!(acknowledged["updated_at"], "2026-06-01T12:02:00Z");
    assert_eq!(
        acknowledged["acknowledgements"][0]["at"],
        "2026-06-01T12:02:00Z"
    );
    assert_eq!(
        acknowledged["acknowledgements"][0]["acknowledger"],
        acknowledged["assignments"][0]["assignee"]
    );

    clock.advance(Duration::from_mins(1));
    assert!(sandbox.pagerduty.unacknowledge("Q1"));
    assert!(!sandbox.pagerduty.unacknowledge("Q1"));

    let triggered = incident(&caller).await;
    assert_eq!(
        (&triggered["status"], &triggered["acknowledgements"]),
        (&json!("triggered"), &json!([]))
    );
    assert_eq!(triggered["last_status_change_at"], "2026-06-01T12:03:00Z");
    assert_eq!(
        triggered["last_status_change_by"]["type"],
        "service_reference"
    );
}

#[tokio::test]
async fn what_is_resolved_is_nobodys_and_stays_resolved() {
    let (sandbox, caller, clock) = opened().await;
    sandbox.pagerduty.acknowledge("Q1");
    clock.advance(Duration::from_secs(90));

    assert!(sandbox.pagerduty.resolve("Q1"));

    let resolved = incident(&caller).await;
    assert_eq!(resolved["status"], "resolved");
    for time in ["resolved_at", "updated_at", "last_status_change_at"] {
        assert_eq!(resolved[time], "2026-06-01T12:01:30Z", "{time}");
    }
    assert_eq!(resolved["assignments"], json!([]));
    assert_eq!(resolved["acknowledgements"], json!([]));
    assert!(!sandbox.pagerduty.acknowledge("Q1") && !sandbox.pagerduty.resolve("Q1"));
    assert!(
        !sandbox
            .pagerduty
            .reassign("Q1", "PUSER01", AssignedVia::DirectAssignment)
    );
    assert!(!sandbox.pagerduty.resolve("missing"));
}

#[tokio::test]
async fn somebody_else_can_be_made_responsible() {
    let (sandbox, caller, clock) = opened().await;
    sandbox.pagerduty.acknowledge("Q1");
    clock.advance(Duration::from_mins(1));

    assert!(
        sandbox
            .pagerduty
            .reassign("Q1", "PSECOND", AssignedVia::DirectAssignment)
    );

    let reassigned = incident(&caller).await;
    assert_eq!(reassigned["assigned_via"], "direct_assignment");
    assert_eq!(reassigned["assignments"][0]["assignee"]["id"], "PSECOND");
    assert_eq!(reassigned["assignments"][0]["at"], "2026-06-01T12:01:00Z");
    assert_eq!(reassigned["updated_at"], "2026-06-01T12:01:00Z");
    assert_eq!(reassigned["status"], "acknowledged");
    assert_eq!(reassigned["last_status_change_at"], "2026-06-01T12:00:00Z");
    assert!(sandbox.pagerduty.object("users", "PSECOND").is_some());
    assert!(
        sandbox
            .pagerduty
            .reassign("Q1", "PSECOND", AssignedVia::EscalationPolicy)
    );
    assert_eq!(incident(&caller).await["assigned_via"], "escalation_policy");
}

#[tokio::test]
async fn a_large_channel_is_shown_by_its_log_entry_alone_and_on_request() {
    let (sandbox, caller, _) = opened().await;
    assert!(sandbox.pagerduty.omit_channel("Q1"));
    assert!(!sandbox.pagerduty.omit_channel("missing"));
    let body =
        json!({"type": "email", "summary": "5xx", "body": "Component: c2", "body_omitted": false});
    sandbox.pagerduty.open_incident("Q2", "Mail", body);
    sandbox.pagerduty.omit_channel("Q2");

    let list = caller
        .get(&format!("/incidents?date_range=all&{FULL}"))
        .await
        .body;
    let channel = |number: usize| &list["incidents"][number]["first_trigger_log_entry"]["channel"];
    assert_eq!(channel(0)["details_omitted"], true);
    assert!(channel(0)["details"].is_null() && channel(0)["type"] == "api");
    assert_eq!(channel(1)["body_omitted"], true);
    assert!(channel(1)["body"].is_null());

    let id = list["incidents"][0]["first_trigger_log_entry"]["id"]
        .as_str()
        .unwrap();
    let entry = async |query: &str| {
        let reply = caller.get(&format!("/log_entries/{id}{query}")).await;
        reply.body["log_entry"]["channel"].clone()
    };
    assert_eq!(entry("").await["details_omitted"], true);
    let whole = entry("?include[]=channels").await;
    assert_eq!(whole["details"]["tags"], "env:prod,component:c1");
    assert_eq!(whole["details_omitted"], false);
    assert!(sandbox.problems().is_empty());
}
