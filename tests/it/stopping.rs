//! A signal ends the program soon, and Port is told. Whether it resyncs once or
//! stays makes no difference.

use std::time::{Duration, Instant};

use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::json;

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, small_sandbox, with, without};
use crate::running::{Running, polling};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

/// What an orchestrator waits before it kills.
const GRACE: Duration = Duration::from_secs(30);

fn components() -> Matcher {
    Matcher::get("/v1/pages/*/components")
}

fn state(status: &str) -> Matcher {
    Matcher::patch("/v1/integration/*/resync-state").with_body(status)
}

/// A sandbox in which a resync gets stuck in the middle of listing.
async fn stuck() -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox
        .statuspage
        .fault(components(), Answer::real().after(FOR_EVER), 1);
    sandbox
}

async fn in_the_middle(environment: &[(String, String)], sandbox: &Sandbox) -> Running {
    let running = Running::start(environment).await;
    running
        .until("the resync reads", || {
            sandbox.statuspage.requested(&components()) > 0
        })
        .await;
    running
}

fn statuses(sandbox: &Sandbox) -> Vec<String> {
    let told = sandbox.port.resync_states();
    told.iter()
        .map(|state| state["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_resync_that_is_stopped_is_told_as_aborted() {
    for (environment, sandbox) in [
        (Sandbox::environment as fn(&Sandbox) -> _, stuck().await),
        (polling, stuck().await),
    ] {
        let running = in_the_middle(&environment(&sandbox), &sandbox).await;
        let outcome = running.terminate().await.expect_code(143);

        assert_eq!(statuses(&sandbox), ["running", "aborted"]);
        let told = sandbox.port.resync_states();
        assert!(told.last().unwrap()["lastResyncEnd"].is_string());
        // It ended by itself, and said what it had done.
        assert!(!outcome.stderr.contains("broken off"), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_resync_that_is_stopped_writes_what_it_has() {
    let sandbox = small_sandbox().await;
    for name in ["thing", "place"] {
        blueprint(&sandbox, name, &[], &[]);
    }
    let writing = |kind: &str, name: &str| {
        let mappings = json!({"identifier": ".id", "title": ".name", "blueprint": name});
        resource(kind, &mappings)
    };
    let mapping = json!({"resources": [
        writing("component", "\"thing\""),
        writing("statuspage", "\"place\""),
    ]});
    install(&sandbox, &mapping);
    sandbox
        .statuspage
        .fault(components(), Answer::real().after(FOR_EVER), usize::MAX);
    // The page is read, and on its way into Port, when the signal comes.
    let places = Matcher::post("/v1/blueprints/place/entities/bulk");
    sandbox.port.fault(
        places.clone(),
        Answer::real().after(Duration::from_millis(500)),
        1,
    );

    // One at a time, so that the first of them goes as soon as all have come.
    let environment = with(
        sandbox.environment(),
        "OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH",
        "1",
    );
    let running = Running::start(&environment).await;
    running
        .until("the pages are being written, or wait to be", || {
            sandbox.port.requested(&places) > 0 && sandbox.statuspage.requested(&components()) > 0
        })
        .await;
    let outcome = running.terminate().await.expect_code(143);

    assert_eq!(
        sandbox.port.entities("place").len(),
        sandbox.statuspage.count("statuspage")
    );
    assert_eq!(sandbox.port.entities("thing").len(), 0);
    assert_eq!(statuses(&sandbox), ["running", "aborted"]);
    // What there is to say of it is said.
    assert!(outcome.stdout.contains("component (incomplete)"));
}

#[tokio::test]
async fn a_resync_that_is_whole_when_the_signal_comes_is_told_as_completed() {
    let sandbox = small_sandbox().await;
    portolan(&["run"], &sandbox.environment())
        .await
        .expect_code(0);
    let before = statuses(&sandbox).len();
    // Everything is written, and what is gone is looked for.
    let listing = Matcher::post("*/datasource-entities");
    let slow = Answer::real().after(Duration::from_secs(1));
    sandbox.port.fault(listing.clone(), slow, 1);
    let asked = sandbox.port.requested(&listing);

    let running = Running::start(&sandbox.environment()).await;
    running
        .until("it looks for what is gone", || {
            sandbox.port.requested(&listing) > asked
        })
        .await;
    let outcome = running.terminate().await.expect_code(143);

    assert_eq!(statuses(&sandbox)[before..], ["running", "completed"]);
    assert!(outcome.stderr.contains("Resync done"), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_resync_that_cannot_end_by_itself_is_broken_off() {
    let sandbox = small_sandbox().await;
    sandbox.port.fault(
        Matcher::post("/v1/blueprints/*/entities/bulk"),
        Answer::real().after(FOR_EVER),
        usize::MAX,
    );
    let environment = with(
        polling(&sandbox),
        "OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN",
        "0.5",
    );

    let running = Running::start(&environment).await;
    let bulk = Matcher::post("/v1/blueprints/*/entities/bulk");
    running
        .until("the resync writes", || sandbox.port.requested(&bulk) > 0)
        .await;
    let outcome = running.terminate().await.expect_code(143);

    assert_eq!(statuses(&sandbox), ["running", "aborted"]);
    let warnings = outcome.logged("WARNING");
    assert!(
        warnings.iter().any(|line| line.contains("broken off")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_port_that_does_not_answer_does_not_hold_up_the_end() {
    let sandbox = stuck().await;
    sandbox
        .port
        .fault(state("aborted"), Answer::real().after(FOR_EVER), usize::MAX);

    let running = in_the_middle(&sandbox.environment(), &sandbox).await;
    let began = Instant::now();
    running.terminate().await.expect_code(143);

    assert!(began.elapsed() < GRACE);
}

#[tokio::test]
async fn a_long_wait_is_cut_to_what_an_orchestrator_allows() {
    let sandbox = stuck().await;
    sandbox
        .port
        .fault(state("aborted"), Answer::real().after(FOR_EVER), usize::MAX);
    let environment = with(
        polling(&sandbox),
        "OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN",
        "3600",
    );

    let running = in_the_middle(&environment, &sandbox).await;
    let began = Instant::now();
    running.terminate().await.expect_code(143);

    assert!(began.elapsed() < GRACE);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let sandbox = stuck().await;
    sandbox
        .port
        .fault(state("aborted"), Answer::real().after(FOR_EVER), usize::MAX);
    let environment = with(
        polling(&sandbox),
        "OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN",
        "3600",
    );

    let running = in_the_middle(&environment, &sandbox).await;
    running.signal("TERM").await;
    running.until_logged("Stopping because of signal 15").await;
    let began = Instant::now();
    running.signal("INT").await;
    running.end().await.expect_code(130);

    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_service_without_a_resync_under_way_ends_soon_and_leaves_the_state_alone() {
    let sandbox = small_sandbox().await;
    let environment = with(
        polling(&sandbox),
        "OCEAN__EVENT_LISTENER__RESYNC_ON_START",
        "false",
    );
    let running = Running::start(&environment).await;
    running.until_logged("Listening").await;

    let began = Instant::now();
    running.terminate().await.expect_code(143);

    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(sandbox.port.resync_states().is_empty());
}

#[tokio::test]
async fn a_start_can_be_stopped_as_well() {
    let sandbox = small_sandbox().await;
    let organization = Matcher::get("/v1/organization");
    sandbox
        .port
        .fault(organization.clone(), Answer::real().after(FOR_EVER), 2);

    for (number, environment) in [sandbox.environment(), polling(&sandbox)]
        .iter()
        .enumerate()
    {
        let running = Running::start(environment).await;
        running
            .until("it is in the middle of its start", || {
                sandbox.port.requested(&organization) > number
            })
            .await;
        running.terminate().await.expect_code(143);
    }

    assert!(sandbox.port.resync_states().is_empty());
}

#[tokio::test]
async fn a_kind_of_two_accounts_is_incomplete_until_both_are_read() {
    let sandbox = small_sandbox().await;
    let hanging = small_sandbox().await;
    for place in [&sandbox, &hanging] {
        place.statuspage.clear();
        let page = json!({"id": "page", "name": "Page"});
        place.statuspage.insert("statuspage", &page);
    }
    blueprint(&sandbox, "place", &[], &[]);
    let page = json!({"identifier": ".id", "blueprint": "\"place\""});
    install(
        &sandbox,
        &json!({"resources": [resource("statuspage", &page)]}),
    );
    let pages = Matcher::get("/v1/pages");
    // The first of them shows that the key is good.
    hanging.statuspage.fault(pages.clone(), Answer::real(), 1);
    hanging
        .statuspage
        .fault(pages.clone(), Answer::real().after(FOR_EVER), usize::MAX);
    let key = |sandbox: &Sandbox| {
        let mut environment = sandbox.environment().into_iter();
        let key = environment.find(|(name, _)| name.ends_with("__STATUSPAGE_API_KEY"));
        key.unwrap().1
    };
    let account = |name: &str, sandbox: &Sandbox| json!({"name": name, "api_key": key(sandbox), "host": sandbox.statuspage.url()});
    let accounts = json!([account("quick", &sandbox), account("slow", &hanging)]);
    let environment = without(
        sandbox.environment(),
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
    );
    let environment = without(environment, "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST");
    let environment = with(
        environment,
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS",
        &accounts.to_string(),
    );

    let running = Running::start(&environment).await;
    running
        .until("one account is read and the other is being read", || {
            hanging.statuspage.requested(&pages) > 1
                && sandbox
                    .port
                    .requested(&Matcher::post("*/place/entities/search"))
                    > 0
        })
        .await;
    let outcome = running.terminate().await.expect_code(143);

    assert!(
        outcome.stdout.contains("statuspage (incomplete)"),
        "{}",
        outcome.stdout
    );
}
