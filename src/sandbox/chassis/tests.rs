//! The chassis through real HTTP, in front of the vendors.

use std::time::{Duration, Instant};

use serde_json::json;

use super::super::tests::{pagerduty_caller, port_caller, small, statuspage_caller};
use super::{Answer, Matcher, RateLimit};

#[tokio::test]
async fn a_scripted_answer_is_given_so_many_times_and_no_more() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    let busy = Answer::status(503).with_header("retry-after", "0");
    sandbox.pagerduty.fault(Matcher::get("/services*"), busy, 2);

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(caller.get("/services").await.status);
    }

    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(caller.get("/teams").await.status, 200);
}

#[tokio::test]
async fn a_cut_connection_carries_nothing_out_and_one_cut_mid_body_does() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    let blueprint = json!({"identifier": "one", "title": "One", "schema": {"properties": {}}});
    sandbox
        .port
        .fault(Matcher::post("/v1/blueprints"), Answer::cut(), 1);
    sandbox
        .port
        .fault(Matcher::post("/v1/blueprints"), Answer::cut_mid_body(), 1);

    assert!(
        caller
            .try_call("POST", "/v1/blueprints", Some(&blueprint))
            .await
            .is_err()
    );
    assert!(sandbox.port.blueprints().is_empty());
    assert!(
        caller
            .try_call("POST", "/v1/blueprints", Some(&blueprint))
            .await
            .is_err()
    );
    assert!(sandbox.port.blueprints().contains_key("one"));
    let seen: Vec<_> = sandbox.port.requests_to(&Matcher::post("/v1/blueprints"));
    assert_eq!([seen[0].status, seen[1].status], [None, Some(201)]);
}

#[tokio::test]
async fn a_truncated_body_is_no_json_and_an_error_page_is_html() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);
    sandbox
        .statuspage
        .fault(Matcher::any(), Answer::truncated(), 1);
    sandbox
        .statuspage
        .fault(Matcher::any(), Answer::html(502), 1);

    let truncated = caller.get("/v1/pages").await;
    let page = caller.get("/v1/pages").await;

    assert!(truncated.status == 200 && truncated.body.is_string());
    assert!(
        page.status == 502
            && page.headers["content-type"]
                .to_str()
                .unwrap()
                .contains("html")
    );
}

#[tokio::test]
async fn a_delay_comes_before_the_answer() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);
    let slow = Answer::real().after(Duration::from_millis(80));
    sandbox.statuspage.fault(Matcher::any(), slow, 1);

    let start = Instant::now();
    let reply = caller.get("/v1/pages").await;

    assert!(reply.status == 200 && start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn the_log_keeps_what_was_asked_but_no_credentials() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    caller
        .post(
            "/v1/entities/search",
            &json!({"combinator": "and", "rules": []}),
        )
        .await;
    caller
        .get("/v1/blueprints/with%2Fslash?api_key=secret")
        .await;

    let requests = sandbox.port.requests();

    assert_eq!(requests.len(), 3);
    assert!(requests[0].body.is_none(), "a login is not recorded");
    assert_eq!(requests[1].json()["combinator"], "and");
    assert_eq!(requests[2].path, "/v1/blueprints/with%2Fslash");
    assert_eq!(requests[2].parameter("api_key"), Some("[hidden]"));
    assert!(
        requests[2]
            .header("user-agent")
            .unwrap()
            .starts_with("port-ocean/")
    );
    let everything = format!("{requests:?}");
    assert!(
        !everything.contains("Bearer") && !everything.contains(super::super::port::CLIENT_SECRET)
    );
}

#[tokio::test]
async fn what_the_vendors_hold_can_be_changed_from_another_shell_and_that_is_no_request() {
    let sandbox = small().await;
    let statuspage = statuspage_caller(&sandbox);
    let pagerduty = pagerduty_caller(&sandbox);
    sandbox.statuspage.random_faults(Some(1));
    let id = sandbox.statuspage.objects("component")[0]["id"].clone();
    let component = format!("/sandbox/objects/component/{}", id.as_str().unwrap());

    let changed = statuspage
        .call("PATCH", &component, Some(&json!({"name": "Renamed"})))
        .await;
    let read = statuspage.get(&component).await;
    let new = json!({"id": "PNEW", "name": "New"});
    let added = pagerduty
        .call("POST", "/sandbox/objects/services", Some(&new))
        .await;
    let listed = pagerduty.get("/sandbox/objects/services").await;
    let removed = statuspage.call("DELETE", &component, None).await;
    let gone = statuspage.get(&component).await;
    let unknown = statuspage.get("/sandbox/objects/componnt").await;

    let statuses = [&changed, &added, &removed, &gone, &unknown].map(|reply| reply.status);
    assert_eq!(statuses, [200, 200, 200, 404, 404]);
    assert_eq!(read.body["name"], "Renamed");
    assert_eq!(listed.body["PNEW"], new);
    assert_eq!(sandbox.pagerduty.object("services", "PNEW"), Some(new));
    assert!(sandbox.statuspage.requests().is_empty());
    assert!(sandbox.problems().is_empty());
}

#[tokio::test]
async fn what_was_asked_can_be_seen_counted_and_forgotten_from_another_shell() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    let blueprint = json!({"identifier": "one", "title": "One", "schema": {"properties": {}}});
    caller.post("/v1/blueprints", &blueprint).await;
    caller
        .post("/v1/blueprints/one/entities", &json!({"identifier": "e"}))
        .await;

    let all = caller.get("/sandbox/requests").await;
    let some = caller
        .get("/sandbox/requests?method=POST&path=/v1/blueprints*")
        .await;
    let entities = caller.get("/sandbox/entities/one").await;
    caller.call("DELETE", "/sandbox/requests", None).await;
    let none = caller.get("/sandbox/requests").await;

    assert_eq!(all.body["count"], 3);
    assert_eq!(some.body["count"], 2);
    assert_eq!(some.body["requests"][0]["path"], "/v1/blueprints");
    assert_eq!(some.body["requests"][0]["status"], 201);
    assert_eq!(entities.body["e"]["identifier"], "e");
    assert_eq!(none.body["count"], 0);
}

#[tokio::test]
async fn a_resync_can_be_asked_for_from_another_shell() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    sandbox.port.insert_integration("mine", &json!({}));

    caller.call("POST", "/sandbox/resync-request", None).await;

    let asked = caller.get("/v1/integration/mine/resync-request").await;
    assert!(asked.body["request"]["id"].is_string());
}

#[tokio::test]
async fn a_rolling_window_makes_room_again_when_it_has_passed() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);
    let limit = RateLimit {
        requests: 2,
        window: Duration::from_millis(300),
        rolling: true,
        enforced: true,
    };
    sandbox.statuspage.set_rate_limit(limit);

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(caller.get("/v1/pages").await.status);
    }
    // The window is real time: the one place where a test has to let some pass.
    tokio::time::sleep(Duration::from_millis(320)).await;
    statuses.push(caller.get("/v1/pages").await.status);

    assert_eq!(statuses, [200, 200, 429, 200]);
}

#[tokio::test]
async fn an_expectation_that_is_not_met_is_a_problem() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    sandbox
        .pagerduty
        .expect(Matcher::get("/users").with_query("offset", "100"), 1);
    caller.get("/users?offset=0").await;
    assert_eq!(sandbox.pagerduty.problems().len(), 1);

    caller.get("/users?offset=100").await;

    assert!(sandbox.pagerduty.problems().is_empty());
}
