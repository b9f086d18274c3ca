//! A process that stays: what asks it for a resync, and how it ends.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portolan::sandbox::port::CLIENT_SECRET;
use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox};
use reqwest::Method;
use ring::hmac;
use serde_json::json;

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, small_sandbox, with};
use crate::running::{Running, listening, polling};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

/// The one list that the mapping of [`installed`] asks for.
fn list() -> Matcher {
    Matcher::get("/v1/pages/*/components")
}

/// Questions whether a resync is wanted.
fn questions() -> Matcher {
    Matcher::get("/v1/integration/*/resync-request")
}

/// A sandbox past its first start, with so small a mapping that a resync takes
/// no time.
pub(crate) async fn installed() -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "thing", &[], &[]);
    let mappings = json!({"identifier": ".id", "title": ".name", "blueprint": "\"thing\""});
    install(
        &sandbox,
        &json!({"resources": [resource("component", &mappings)]}),
    );
    sandbox
}

/// What Port was told of the resyncs.
pub(crate) fn states(sandbox: &Sandbox) -> Vec<String> {
    let told = sandbox.port.resync_states();
    told.iter()
        .map(|state| state["status"].as_str().unwrap().to_owned())
        .collect()
}

/// How many resyncs Port was told of the end of.
pub(crate) fn completed(sandbox: &Sandbox) -> usize {
    states(sandbox)
        .iter()
        .filter(|state| *state == "completed")
        .count()
}

/// Waits until the program has asked Port, since now, twice: whatever the first
/// answer led to has been asked for by then.
async fn asked_twice(running: &Running, sandbox: &Sandbox) {
    let before = sandbox.port.requested(&questions());
    running
        .until("Port is asked twice more", || {
            sandbox.port.requested(&questions()) >= before + 2
        })
        .await;
}

#[tokio::test]
async fn the_start_resyncs_and_so_does_each_request_in_port_once() {
    let sandbox = installed().await;
    // Made before the start, so the start serves it.
    sandbox.port.request_resync();

    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the start has resynced", || completed(&sandbox) == 1)
        .await;
    asked_twice(&running, &sandbox).await;
    assert_eq!(states(&sandbox), ["running", "completed"]);

    sandbox.port.request_resync();
    running
        .until("the request is served", || completed(&sandbox) == 2)
        .await;
    asked_twice(&running, &sandbox).await;

    running.terminate().await.expect_code(143);
    assert_eq!(
        states(&sandbox),
        ["running", "completed", "running", "completed"]
    );
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn requests_during_a_resync_are_exactly_one_more() {
    let sandbox = installed().await;
    sandbox
        .statuspage
        .fault(list(), Answer::real().after(Duration::from_secs(5)), 1);

    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the resync of the start reads", || {
            sandbox.statuspage.requested(&list()) == 1
        })
        .await;
    for _ in 0..2 {
        sandbox.port.request_resync();
        asked_twice(&running, &sandbox).await;
    }
    assert_eq!(states(&sandbox), ["running"], "asking goes on meanwhile");
    running
        .until("both are served", || completed(&sandbox) == 2)
        .await;
    asked_twice(&running, &sandbox).await;

    running.terminate().await.expect_code(143);
    assert_eq!(
        states(&sandbox),
        ["running", "completed", "running", "completed"]
    );
}

#[tokio::test]
async fn a_failed_resync_ends_nothing_and_the_next_request_tries_again() {
    let sandbox = installed().await;
    let mapping = sandbox.port.integration().unwrap()["config"].clone();
    sandbox
        .port
        .set_mapping(json!({"resources": [{"kind": "nonsense"}]}));

    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the resync has failed", || {
            states(&sandbox) == ["running", "failed"]
        })
        .await;
    sandbox.port.set_mapping(mapping);
    sandbox.port.request_resync();
    running
        .until("the next has not", || completed(&sandbox) == 1)
        .await;

    let outcome = running.terminate().await.expect_code(143);
    assert_eq!(outcome.logged("ERROR").len(), 1);
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
}

#[tokio::test]
async fn without_a_resync_at_the_start_a_request_from_meanwhile_is_served() {
    let sandbox = installed().await;
    let environment = with(
        polling(&sandbox),
        "OCEAN__EVENT_LISTENER__RESYNC_ON_START",
        "false",
    );
    sandbox.port.request_resync();
    let running = Running::start(&environment).await;
    running
        .until("the request is served", || completed(&sandbox) == 1)
        .await;
    running.terminate().await.expect_code(143);

    // Served already.
    let running = Running::start(&environment).await;
    asked_twice(&running, &sandbox).await;
    asked_twice(&running, &sandbox).await;
    running.terminate().await.expect_code(143);
    assert_eq!(completed(&sandbox), 1);

    sandbox.port.request_resync();
    let running = Running::start(&environment).await;
    running
        .until("the later one is served", || completed(&sandbox) == 2)
        .await;
    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn a_port_that_is_away_for_a_while_is_said_once_and_asked_again() {
    let sandbox = installed().await;
    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the start has resynced", || completed(&sandbox) == 1)
        .await;

    sandbox
        .port
        .fault(questions(), Answer::status(503), usize::MAX);
    running.until_logged("Could not ask Port").await;
    for _ in 0..3 {
        asked_twice(&running, &sandbox).await;
    }
    sandbox.port.request_resync();
    sandbox.port.clear_faults();
    running
        .until("the request is served", || completed(&sandbox) == 2)
        .await;

    let outcome = running.terminate().await.expect_code(143);
    let warnings = outcome.logged("WARNING");
    assert_eq!(
        warnings
            .iter()
            .filter(|warning| warning.contains("Could not ask Port"))
            .count(),
        1,
        "{warnings:?}"
    );
    assert!(
        outcome
            .logged("INFO")
            .iter()
            .any(|line| line.contains("says again"))
    );
}

#[tokio::test]
async fn what_a_crash_left_running_is_corrected_before_anything_else() {
    let sandbox = installed().await;
    sandbox
        .statuspage
        .fault(list(), Answer::real().after(FOR_EVER), 1);
    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the resync reads", || {
            sandbox.statuspage.requested(&list()) == 1
        })
        .await;
    running.signal("KILL").await;
    assert_eq!(running.end().await.code, None);
    assert_eq!(states(&sandbox), ["running"]);

    let running = Running::start(&polling(&sandbox)).await;
    running
        .until("the start has resynced", || completed(&sandbox) == 1)
        .await;
    running.terminate().await.expect_code(143);

    assert_eq!(
        states(&sandbox),
        ["running", "aborted", "running", "completed"]
    );
    let corrected = &sandbox.port.resync_states()[1];
    assert!(corrected["lastResyncEnd"].is_string(), "{corrected}");
    assert!(corrected.get("lastResyncStart").is_none(), "{corrected}");
}

#[tokio::test]
async fn a_listener_that_never_resyncs_leaves_the_state_to_another() {
    for listener in ["WEBHOOKS_ONLY", "ACTIONS_ONLY"] {
        let sandbox = installed().await;
        // Somebody else's, in the middle of it.
        sandbox
            .statuspage
            .fault(list(), Answer::real().after(FOR_EVER), 1);
        let once = Running::start(&sandbox.environment()).await;
        once.until("the other one reads", || {
            sandbox.statuspage.requested(&list()) == 1
        })
        .await;

        let running = Running::start(&listening(&sandbox, listener)).await;
        running.until_logged("Listening").await;
        sandbox.port.request_resync();
        running.terminate().await.expect_code(143);

        assert_eq!(states(&sandbox), ["running"], "{listener}");
        assert_eq!(sandbox.port.requested(&questions()), 0);
    }
}

#[tokio::test]
#[cfg_attr(feature = "kafka", ignore = "this program can listen to Kafka")]
async fn a_program_without_kafka_refuses_it_and_says_what_to_use_instead() {
    let sandbox = installed().await;
    let outcome = portolan(&["run"], &listening(&sandbox, "KAFKA"))
        .await
        .expect_code(2);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("--features kafka") && errors[0].contains("POLLING"),
        "{errors:?}"
    );
    assert_eq!(sandbox.port.requests().len(), 0);
}

#[tokio::test]
async fn wrong_credentials_end_a_service_at_its_start() {
    let sandbox = installed().await;
    sandbox.port.set_credentials("somebody", "else");

    let outcome = Running::start(&polling(&sandbox))
        .await
        .end()
        .await
        .expect_code(2);

    assert!(outcome.logged("ERROR")[0].contains("Cannot work with Port"));
}

#[tokio::test]
async fn a_source_that_is_away_ends_a_service_at_its_start_to_be_started_again() {
    let sandbox = installed().await;
    sandbox
        .pagerduty
        .fault(Matcher::any(), Answer::status(503), usize::MAX);

    let outcome = Running::start(&polling(&sandbox))
        .await
        .end()
        .await
        .expect_code(1);

    assert!(outcome.logged("ERROR")[0].contains("Cannot work with PagerDuty"));
}

/// A WEBHOOK service whose address, as Port is to know it, ends in a slash.
fn called(sandbox: &Sandbox) -> Vec<(String, String)> {
    with(
        listening(sandbox, "WEBHOOK"),
        "OCEAN__EVENT_LISTENER__APP_HOST",
        "https://portolan.example.org/",
    )
}

/// Posts a wish for a resync, signed with this secret; returns the status.
pub(crate) async fn call(running: &Running, secret: &str) -> u16 {
    let body = json!({"action": "RESYNC", "context": {"integrationId": IDENTIFIER}}).to_string();
    let timestamp = "1763719198000";
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    let response = running
        .request(Method::POST, "/resync")
        .header("x-port-timestamp", timestamp)
        .header(
            "x-port-signature",
            format!("v1,{}", BASE64_STANDARD.encode(tag)),
        )
        .body(body)
        .send();
    response.await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_call_asks_for_a_resync_if_it_is_signed_right_or_not_at_all() {
    let sandbox = installed().await;
    let running = Running::start(&called(&sandbox)).await;
    running.until_logged("Listening").await;
    assert_eq!(
        sandbox.port.integration().unwrap()["changelogDestination"],
        json!({"type": "WEBHOOK", "url": "https://portolan.example.org/resync"})
    );

    assert_eq!(call(&running, "of somebody else").await, 401);
    assert_eq!(call(&running, CLIENT_SECRET).await, 200);
    running
        .until("it has resynced", || completed(&sandbox) == 1)
        .await;
    let unsigned = running
        .request(Method::POST, "/resync")
        .send()
        .await
        .unwrap();
    assert_eq!(unsigned.status().as_u16(), 200);
    running
        .until("it has resynced again", || completed(&sandbox) == 2)
        .await;

    running.terminate().await.expect_code(143);
    // Neither the start nor the wrong call had asked for any, nor was Port asked.
    assert_eq!(
        states(&sandbox),
        ["running", "completed", "running", "completed"]
    );
    assert_eq!(sandbox.port.requested(&questions()), 0);
}

#[tokio::test]
async fn calls_during_a_resync_are_answered_at_once_and_are_one_more() {
    let sandbox = installed().await;
    let slow = Answer::real().after(Duration::from_secs(3));
    sandbox.statuspage.fault(list(), slow, 1);
    let running = Running::start(&called(&sandbox)).await;
    running.until_logged("Listening").await;

    assert_eq!(call(&running, CLIENT_SECRET).await, 200);
    running
        .until("the resync reads", || {
            sandbox.statuspage.requested(&list()) == 1
        })
        .await;
    for _ in 0..3 {
        assert_eq!(call(&running, CLIENT_SECRET).await, 200);
    }
    assert_eq!(states(&sandbox), ["running"]);
    running
        .until("both are done", || completed(&sandbox) == 2)
        .await;

    running.terminate().await.expect_code(143);
    assert_eq!(
        states(&sandbox),
        ["running", "completed", "running", "completed"]
    );
}

#[tokio::test]
async fn the_other_listeners_are_not_called_and_port_is_told_so() {
    let sandbox = installed().await;
    let running = Running::start(&called(&sandbox)).await;
    running.until_logged("Listening").await;
    running.terminate().await.expect_code(143);

    let running = Running::start(&polling(&sandbox)).await;
    running.until_logged("Listening").await;
    let response = running
        .request(Method::POST, "/resync")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 404);
    running.terminate().await.expect_code(143);

    assert_eq!(
        sandbox.port.integration().unwrap()["changelogDestination"],
        json!({})
    );
}

#[tokio::test]
async fn it_is_alive_from_the_beginning_and_ready_once_it_listens() {
    let sandbox = installed().await;
    let login = Matcher::post("/v1/auth/access_token");
    let slow = Answer::real().after(Duration::from_secs(2));
    sandbox.port.fault(login.clone(), slow, 1);
    let environment = with(polling(&sandbox), "OCEAN__PATH_PREFIX", "/sync");
    let running = Running::start(&environment).await;
    running
        .until("it logs in", || sandbox.port.requested(&login) > 0)
        .await;
    let status = async |path: &str| {
        let response = running.request(Method::GET, path).send().await.unwrap();
        response.status().as_u16()
    };

    assert_eq!(status("/sync/health/live").await, 200);
    assert_eq!(status("/sync/health/ready").await, 503);
    running.until_logged("Listening").await;
    assert_eq!(status("/sync/health/ready").await, 200);
    assert_eq!(status("/sync/health/live").await, 200);
    assert_eq!(status("/sync/metrics").await, 200);
    assert_eq!(status("/health/live").await, 404);

    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_before_anything_is_asked() {
    let sandbox = installed().await;
    let holder = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let environment = with(polling(&sandbox), "APPLICATION__PORT", &port);

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert!(errors[0].contains("APPLICATION__PORT"), "{errors:?}");
    assert_eq!(sandbox.port.requests().len(), 0);
}

#[tokio::test]
async fn the_flag_once_wins_over_the_listener() {
    let sandbox = installed().await;

    let outcome = portolan(&["run", "--once"], &polling(&sandbox))
        .await
        .expect_code(0);

    assert!(outcome.stdout.contains("total"));
    assert_eq!(states(&sandbox), ["running", "completed"]);
    assert_eq!(sandbox.port.requested(&questions()), 0);
}
