//! The rules of the simulated account, through real HTTP.

mod course;

use serde_json::{Value, json};
use url::Url;

use super::super::tests::{Caller, opsgenie_caller, small};
use super::super::{Clock, RateLimit, Sandbox, SandboxOptions};

/// An account with nothing in it, in which it is noon of the first of June 2026.
async fn empty() -> Sandbox {
    let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock)
        .await
        .unwrap();
    sandbox.opsgenie.clear();
    sandbox
}

fn ids(reply: &Value) -> Vec<&str> {
    let list = reply["data"].as_array().unwrap().iter();
    list.map(|one| one["id"].as_str().unwrap()).collect()
}

/// Three alerts, `a` being the oldest.
fn insert_alerts(sandbox: &Sandbox) {
    let team = json!({"id": "T1", "name": "Card Payments"});
    sandbox.opsgenie.insert("teams", &team);
    for (id, created, own) in [
        (
            "a",
            "2026-05-01T00:00:00Z",
            json!({"status": "open", "message": "Disk full", "priority": "P1", "acknowledged": true,
                   "report": {"acknowledgedBy": "kim@example.com"}, "tags": ["disk", "eu west"]}),
        ),
        (
            "b",
            "2026-05-02T00:00:00.5Z",
            json!({"status": "closed", "message": "Queue grows fast", "owner": "kim@example.com",
                   "responders": [{"type": "team", "id": "T1"}], "details": {"Zone": "b"}}),
        ),
        (
            "c",
            "2026-05-03T00:00:00Z",
            json!({"status": "open", "message": "Says \"no\"", "isSeen": true, "priority": "P2"}),
        ),
    ] {
        let mut alert = json!({"id": id, "tinyId": "1", "alias": id, "createdAt": created});
        alert
            .as_object_mut()
            .unwrap()
            .extend(own.as_object().unwrap().clone());
        sandbox.opsgenie.insert("alerts", &alert);
    }
}

fn encoded(query: &str) -> String {
    url::form_urlencoded::byte_serialize(query.as_bytes()).collect()
}

#[tokio::test]
async fn a_key_is_needed_and_some_keys_may_not_read_everything() {
    let sandbox = small().await;
    let with = |authorization: &str| Caller::new(sandbox.opsgenie.url(), authorization);
    sandbox
        .opsgenie
        .accept_key("alerts-only", &["teams", "services"]);
    let limited = with("GenieKey alerts-only");

    let wrong = with("GenieKey wrong").get("/v2/alerts").await;
    let bearer = with(&format!("Bearer {}", super::API_TOKEN));

    assert_eq!(wrong.status, 401);
    assert!(wrong.body["message"].is_string() && wrong.body["requestId"].is_string());
    assert_eq!(bearer.get("/v2/alerts").await.status, 401);
    assert_eq!(limited.get("/v2/teams").await.status, 403);
    assert_eq!(limited.get("/v2/alerts").await.status, 200);
}

#[tokio::test]
async fn the_address_of_the_next_page_is_whole_and_missing_on_the_last() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);
    let alerts = sandbox.opsgenie.count("alerts");

    let first = caller.get("/v2/alerts").await.body;
    assert_eq!(ids(&first).len(), 20, "unless more are asked for");
    let query = encoded("status: open OR status: closed");
    let mut next = format!("/v2/alerts?query={query}&limit=33&order=asc");
    let mut seen = Vec::new();
    loop {
        let page = caller.get(&next).await.body;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["paging"]["next"].as_str() {
            Some(address) => address.clone_into(&mut next),
            None => break,
        }
        assert!(next.starts_with(sandbox.opsgenie.url().as_str()));
    }

    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), alerts);
    let elsewhere = Url::parse("https://elsewhere.example.com/").unwrap();
    sandbox.opsgenie.set_pages_at(&elsewhere);
    let page = caller.get("/v2/alerts?limit=1").await.body;
    assert_eq!(
        page["paging"]["next"],
        "https://elsewhere.example.com/v2/alerts?limit=1&offset=1"
    );
}

#[tokio::test]
async fn no_page_reaches_beyond_the_20_000th_object_or_has_more_than_100() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);

    for list in ["/v2/alerts", "/v1/incidents", "/v1/services"] {
        let status = async |query: &str| caller.get(&format!("{list}?{query}")).await.status;
        assert_eq!(status("limit=100&offset=19900").await, 200, "{list}");
        assert_eq!(status("limit=100&offset=19901").await, 422, "{list}");
        assert_eq!(status("limit=101").await, 422, "{list}");
        assert_eq!(status("sort=colour").await, 422, "{list}");
    }
    let users = caller.get("/v2/users?limit=1&offset=30000").await;
    assert_eq!(users.status, 200);
    assert_eq!(
        users.body["totalCount"],
        json!(sandbox.opsgenie.count("users"))
    );
}

#[tokio::test]
async fn searches_find_what_they_ask_for() {
    let sandbox = empty().await;
    insert_alerts(&sandbox);
    let caller = opsgenie_caller(&sandbox);
    let second_of_may = "2026-05-02T00:00:00.5Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond();

    for (query, expected) in [
        (String::new(), "c b a"),
        ("status:open".to_owned(), "c a"),
        ("status: closed OR priority = p1".to_owned(), "b a"),
        ("NOT status:open".to_owned(), "b"),
        ("status:(open OR closed) AND isSeen:true".to_owned(), "c"),
        (format!("createdAt>{second_of_may}"), "c"),
        (format!("createdAt >= {second_of_may}"), "c b"),
        (format!("createdAt<{second_of_may}"), "a"),
        (
            format!("createdAt>=0 AND createdAt<={second_of_may} AND (status:open OR status:none)"),
            "a",
        ),
        ("acknowledged:true".to_owned(), "a"),
        ("acknowledged:false".to_owned(), "c b"),
        ("acknowledgedBy:kim@example.com".to_owned(), "a"),
        ("owner: \"kim@example.com\"".to_owned(), "b"),
        ("teams:\"card payments\"".to_owned(), "b"),
        ("responders:T1".to_owned(), "b"),
        ("message:\"queue grows\"".to_owned(), "b"),
        ("message:\"queue fast\"".to_owned(), ""),
        (r#"message:"Says \"no\"""#.to_owned(), "c"),
        ("message:gro*".to_owned(), "b"),
        ("disk".to_owned(), "a"),
        ("tag:\"eu west\"".to_owned(), "a"),
        ("details.key:zone AND details.value:b".to_owned(), "b"),
    ] {
        let path = format!("query={}", encoded(&query));
        let found = caller.get(&format!("/v2/alerts?{path}")).await;
        assert_eq!(found.status, 200, "{query}: {}", found.body);
        assert_eq!(ids(&found.body).join(" "), expected, "{query}");
        let count = caller.get(&format!("/v2/alerts/count?{path}")).await.body;
        assert_eq!(
            count["data"]["count"],
            expected.split_whitespace().count(),
            "{query}"
        );
    }
}

#[tokio::test]
async fn searches_that_nobody_understands_are_refused() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);

    for query in [
        "created_at:1",
        "is_seen:true",
        "acknowledged:True",
        "createdAt:2026-05-01T00:00:00Z",
        "status>open",
        "message:Disk full",
        "status:",
        "status:open AND",
        "(status:open",
        "status:open)",
        "status:open and priority:P1",
        "message:\"Disk",
    ] {
        let reply = caller
            .get(&format!("/v2/alerts?query={}", encoded(query)))
            .await;
        assert_eq!(reply.status, 422, "{query}");
        assert!(reply.body["errors"]["query"].is_string(), "{query}");
    }
    let nested = format!("{}status:open", "(".repeat(5_000));
    let reply = caller.get(&format!("/v1/incidents?query={nested}")).await;
    assert_eq!(reply.status, 422);
}

#[tokio::test]
async fn lists_leave_out_what_the_single_object_shows() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);

    let alerts = caller.get("/v2/alerts?limit=1").await.body;
    let alert = &alerts["data"][0];
    assert!(alert["alias"].is_string() && alert.get("description").is_none());
    for (by, name) in [("id", "id"), ("alias", "alias"), ("tiny", "tinyId")] {
        let path = format!(
            "/v2/alerts/{}?identifierType={by}",
            alert[name].as_str().unwrap()
        );
        let single = caller.get(&path).await.body;
        assert_eq!(single["data"][name], alert[name]);
        assert!(single["data"]["description"].is_string() && single["data"]["details"].is_object());
    }

    let teams = caller.get("/v2/teams").await.body;
    assert_eq!(ids(&teams).len(), sandbox.opsgenie.count("teams"));
    assert!(teams["data"][0].get("members").is_none() && teams.get("paging").is_none());
    let team = caller
        .get("/v2/teams/Data%20Science%20Team?identifierType=name")
        .await
        .body;
    assert_eq!(
        team["data"]["members"][0]["user"]["username"],
        "testuser@gmail.com"
    );

    let plain = caller.get("/v2/schedules").await.body;
    let expanded = caller.get("/v2/schedules?expand=rotation").await.body;
    assert!(plain["data"][0].get("rotations").is_none());
    assert!(expanded["data"][0]["rotations"][0]["participants"].is_array());

    let missing = caller.get("/v2/teams/no-such-team").await;
    assert_eq!(missing.status, 404);
    assert!(sandbox.problems().is_empty(), "what is missing has a route");
}

#[tokio::test]
async fn on_calls_are_user_names_or_participants() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);
    let path = "/v2/schedules/d55e148e-d320-4766-9dcf-4fc2ce9daef1/on-calls";

    let flat = caller.get(&format!("{path}?flat=true")).await.body;
    let full = caller.get(path).await.body;

    assert_eq!(
        flat["data"]["_parent"]["name"],
        "Data Science Team_schedule"
    );
    assert_eq!(
        flat["data"]["onCallRecipients"],
        json!(["testuser@gmail.com"])
    );
    let participant = &full["data"]["onCallParticipants"][0];
    assert_eq!(participant["type"], "user");
    assert_eq!(participant["id"], "ce544b61-7b35-43ea-89ee-a8750638d3a4");
    sandbox
        .opsgenie
        .set_oncalls("d55e148e-d320-4766-9dcf-4fc2ce9daef1", &[]);
    let nobody = caller.get(&format!("{path}?flat=true")).await.body;
    assert_eq!(nobody["data"]["onCallRecipients"], json!([]));
    let all = caller.get("/v2/schedules/on-calls?flat=true").await.body;
    assert_eq!(
        all["data"].as_array().unwrap().len(),
        sandbox.opsgenie.count("schedules")
    );
}

#[tokio::test]
async fn an_incident_knows_its_alerts_by_their_alias_or_because_it_was_told() {
    let sandbox = empty().await;
    let caller = opsgenie_caller(&sandbox);
    sandbox.opsgenie.insert("incidents", &json!({"id": "i1"}));
    for (id, alias) in [("a", "i1_x"), ("b", "i11_x"), ("c", "else")] {
        let alert = json!({"id": id, "alias": alias});
        sandbox.opsgenie.insert("alerts", &alert);
    }
    sandbox.opsgenie.associate("i1", "c");

    let alerts = caller
        .get("/v1/incidents/i1/associated-alert-ids")
        .await
        .body;

    assert_eq!(alerts["data"], json!(["a", "c"]));
    let missing = caller.get("/v1/incidents/i2/associated-alert-ids").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn the_rate_limit_counts_each_domain_by_itself() {
    let sandbox = small().await;
    let caller = opsgenie_caller(&sandbox);
    let limit = RateLimit {
        requests: 1,
        enforced: true,
        ..sandbox.opsgenie.rate_limit()
    };
    sandbox.opsgenie.set_rate_limit(limit);

    let granted = caller.get("/v2/alerts").await;
    let refused = caller.get("/v2/alerts").await;
    let other = caller.get("/v2/teams").await;

    assert_eq!(
        (granted.status, refused.status, other.status),
        (200, 429, 200)
    );
    assert_eq!(granted.headers["x-ratelimit-state"], "OK");
    assert_eq!(refused.headers["x-ratelimit-state"], "THROTTLED");
    assert_eq!(refused.headers["x-ratelimit-period-in-sec"], "60");
    assert!(refused.body["message"].is_string());
}
