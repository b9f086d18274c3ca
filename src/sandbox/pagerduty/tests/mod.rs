//! The rules of the simulated account, through real HTTP.

mod course;
mod subscriptions;

use serde_json::{Value, json};

use super::super::tests::{Caller, pagerduty_caller, small};
use super::super::{Clock, RateLimit, Sandbox, SandboxOptions};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect()
}

/// An account with nothing in it, in which it is noon of the first of June 2026.
async fn empty() -> Sandbox {
    let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock)
        .await
        .unwrap();
    sandbox.pagerduty.clear();
    sandbox
}

fn incident(id: &str, created_at: &str, status: &str) -> Value {
    json!({"id": id, "type": "incident", "created_at": created_at, "status": status})
}

#[tokio::test]
async fn a_token_is_needed_and_either_form_of_it_will_do() {
    let sandbox = small().await;
    let wrong = Caller::new(sandbox.pagerduty.url(), "Token token=wrong")
        .get("/services")
        .await;
    let bearer = Caller::new(sandbox.pagerduty.url(), &format!("Bearer {}", super::TOKEN));

    assert_eq!(
        (wrong.status, &wrong.body["error"]["code"]),
        (401, &json!(2006))
    );
    assert_eq!(bearer.get("/services").await.status, 200);
}

#[tokio::test]
async fn pages_say_whether_there_is_more_and_the_total_only_when_asked() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    let users = sandbox.pagerduty.count("users");

    let first = caller.get("/users").await.body;
    let all = caller.get("/users?limit=1000&total=true").await.body;

    assert_eq!(first["users"].as_array().unwrap().len(), 25);
    assert_eq!(
        (&first["more"], &first["total"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!((&all["more"], &all["limit"]), (&json!(false), &json!(100)));
    assert_eq!(all["total"], users);
    assert_eq!(
        caller.get("/users?limit=100&offset=9901").await.body["error"]["code"],
        2001
    );
}

#[tokio::test]
async fn incidents_without_a_range_are_those_of_the_last_month() {
    let sandbox = empty().await;
    let caller = pagerduty_caller(&sandbox);
    for (id, created_at) in [
        ("OLD", "2025-11-30T00:00:00Z"),
        ("SPRING", "2026-04-20T00:00:00Z"),
        ("NEW", "2026-05-30T00:00:00Z"),
    ] {
        sandbox
            .pagerduty
            .insert("incidents", &incident(id, created_at, "resolved"));
    }

    let recent = caller.get("/incidents").await.body;
    let all = caller
        .get("/incidents?date_range=all&since=2026-05-01T00:00:00Z")
        .await
        .body;
    let window = caller
        .get("/incidents?since=2026-04-01&until=2026-05-01T00:00:00Z")
        .await;
    let long = caller.get("/incidents?since=2025-11-30T00:00:00Z").await;

    assert_eq!(ids(&recent["incidents"]), ["NEW"]);
    assert_eq!(ids(&all["incidents"]), ["OLD", "SPRING", "NEW"]);
    assert_eq!(ids(&window.body["incidents"]), ["SPRING"]);
    assert_eq!(long.status, 400);
}

#[tokio::test]
async fn filters_and_sorting_apply_and_unknown_values_are_refused() {
    let sandbox = empty().await;
    let caller = pagerduty_caller(&sandbox);
    for (id, day, status) in [
        ("A", 28, "triggered"),
        ("B", 29, "resolved"),
        ("C", 30, "acknowledged"),
    ] {
        let created = format!("2026-05-{day}T00:00:00Z");
        sandbox
            .pagerduty
            .insert("incidents", &incident(id, &created, status));
    }

    let open = caller
        .get("/incidents?statuses[]=triggered&statuses[]=acknowledged&sort_by=created_at:desc")
        .await;

    assert_eq!(ids(&open.body["incidents"]), ["C", "A"]);
    assert_eq!(caller.get("/incidents?statuses[]=closed").await.status, 400);
    assert_eq!(caller.get("/incidents?sort_by=colour").await.status, 400);
}

#[tokio::test]
async fn references_are_expanded_only_when_included() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    let path = "/incidents?statuses[]=triggered&statuses[]=acknowledged";

    let plain = caller.get(path).await.body;
    let full = caller
        .get(&format!(
            "{path}&include[]=assignees&include[]=first_trigger_log_entries"
        ))
        .await
        .body;

    let assignee = |list: &Value| list["incidents"][0]["assignments"][0]["assignee"].clone();
    assert_eq!(assignee(&plain)["type"], "user_reference");
    assert!(assignee(&plain)["email"].is_null());
    assert!(
        assignee(&full)["email"]
            .as_str()
            .unwrap()
            .ends_with("@example.com")
    );
    let entry = &full["incidents"][0]["first_trigger_log_entry"];
    assert!(entry["agent"]["summary"].is_string() && entry["channel"].is_object());
    assert!(plain["incidents"][0]["first_trigger_log_entry"]["channel"].is_null());
}

#[tokio::test]
async fn on_calls_are_those_of_the_moment_or_of_at_most_90_days() {
    let sandbox = empty().await;
    let caller = pagerduty_caller(&sandbox);
    let shift = |policy: &str, start: Value, end: Value| {
        json!({"escalation_policy": {"id": policy}, "user": {"id": "U"}, "schedule": null,
               "escalation_level": 1, "start": start, "end": end})
    };
    let at = |text: &str| json!(text);
    for shift in [
        shift(
            "NOW",
            at("2026-05-31T00:00:00Z"),
            at("2026-06-07T00:00:00Z"),
        ),
        shift(
            "NEXT",
            at("2026-06-07T00:00:00Z"),
            at("2026-06-14T00:00:00Z"),
        ),
        shift(
            "PAST",
            at("2026-05-24T00:00:00Z"),
            at("2026-05-31T00:00:00Z"),
        ),
        shift("ALWAYS", Value::Null, Value::Null),
    ] {
        sandbox.pagerduty.insert("oncalls", &shift);
    }
    let policies = |list: &Value| -> Vec<String> {
        let list = list["oncalls"].as_array().unwrap().iter();
        list.map(|one| one["escalation_policy"]["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let now = caller.get("/oncalls").await.body;
    let month = caller.get("/oncalls?until=2026-07-01T12:00:00Z").await.body;
    let of_policy = caller
        .get("/oncalls?escalation_policy_ids[]=ALWAYS")
        .await
        .body;

    assert_eq!(policies(&now), ["NOW", "ALWAYS"]);
    assert_eq!(policies(&month), ["NOW", "NEXT", "ALWAYS"]);
    assert_eq!(policies(&of_policy), ["ALWAYS"]);
    assert_eq!(
        caller
            .get("/oncalls?until=2026-08-30T12:00:00Z")
            .await
            .status,
        200
    );
    assert_eq!(
        caller
            .get("/oncalls?until=2026-08-30T12:00:01Z")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn objects_and_custom_fields_are_found_by_identifier_or_not_at_all() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    let field = json!({"id": "F", "name": "tier", "value": "gold"});
    sandbox
        .pagerduty
        .set_custom_fields("services", "PGAAJBE", vec![field]);

    assert_eq!(
        caller.get("/services/PGAAJBE").await.body["service"]["name"],
        "My Test Service"
    );
    let fields = caller
        .get("/services/PGAAJBE/custom_fields/values")
        .await
        .body;
    assert_eq!(fields["custom_fields"][0]["value"], "gold");
    let missing = caller.get("/services/PNOSUCH").await;
    assert_eq!(
        (missing.status, &missing.body["error"]["code"]),
        (404, &json!(2100))
    );
    assert!(
        sandbox.problems().is_empty(),
        "a missing object is no missing route"
    );
}

#[tokio::test]
async fn analytics_have_a_row_per_service_and_page_through_incidents() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    let service = sandbox.pagerduty.objects("incidents")[0]["service"]["id"].clone();
    let filters = json!({"filters": {"service_ids": [service]}});

    let metrics = caller
        .post("/analytics/metrics/incidents/services", &filters)
        .await
        .body;
    let mut body = json!({"limit": 20});
    let mut seen = Vec::new();
    loop {
        let page = caller.post("/analytics/raw/incidents", &body).await.body;
        seen.extend(ids(&page["data"]).into_iter().map(str::to_owned));
        body["starting_after"] = page["last"].clone();
        if page["more"] == false {
            break;
        }
    }

    assert_eq!(metrics["data"].as_array().unwrap().len(), 1);
    assert_eq!(metrics["data"][0]["service_id"], service);
    assert!(metrics["data"][0]["mean_seconds_to_first_ack"].is_number());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), sandbox.pagerduty.count("incidents"));
    let too_many = caller
        .post("/analytics/raw/incidents", &json!({"limit": 1001}))
        .await;
    assert_eq!(too_many.status, 400);
}

#[tokio::test]
async fn a_spent_daily_quota_is_announced() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    sandbox.pagerduty.set_daily_quota(Some(1));
    let path = "/analytics/metrics/incidents/services";

    assert_eq!(caller.post(path, &json!({})).await.status, 200);
    let refused = caller.post(path, &json!({})).await;

    assert_eq!(
        (refused.status, &refused.body["error"]["code"]),
        (429, &json!(2020))
    );
    assert_eq!(refused.headers["daily-ratelimit-remaining"], "0");
    assert_eq!(
        caller.get("/services").await.status,
        200,
        "only analytics have the quota"
    );
}

#[tokio::test]
async fn the_rate_limit_is_announced_always_and_enforced_when_told_to() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    assert_eq!(caller.get("/teams").await.headers["ratelimit-limit"], "960");
    let limit = RateLimit {
        requests: 1,
        enforced: true,
        ..sandbox.pagerduty.rate_limit()
    };
    sandbox.pagerduty.set_rate_limit(limit);

    let granted = caller.get("/teams").await;
    let refused = caller.get("/teams").await;

    assert_eq!(
        (granted.status, &granted.headers["ratelimit-remaining"]),
        (200, &"0".parse().unwrap())
    );
    assert_eq!(
        (refused.status, &refused.body["error"]["code"]),
        (429, &json!(2020))
    );
    assert_eq!(
        refused.headers["ratelimit-reset"], "60",
        "seconds, not an instant"
    );
}
