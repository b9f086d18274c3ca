//! The incident sync in a process that stays: woken by webhooks, by resyncs and
//! by the clock, with Port, without it, and while it is away.

use portolan::sandbox::{Answer, Matcher};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{COMPONENTS, World};
use crate::program::{portolan, with};
use crate::running::Running;

/// Nothing but hints wakes a pass: the interval is longer than the test.
fn rarely() -> Value {
    json!({"mode": "apply", "interval": "1h"})
}

/// The environment of the catalog with the incident sync beside it.
fn beside_the_catalog(world: &World, listener: &str) -> Vec<(String, String)> {
    let mut environment = world.sandbox.environment();
    environment.extend(world.environment(&rarely()));
    // The account of the single token is a source of the catalog already.
    environment.retain(|(name, _)| !name.ends_with("PAGERDUTY_ACCOUNTS"));
    with(environment, "OCEAN__EVENT_LISTENER__TYPE", listener)
}

#[tokio::test]
async fn pagerstatus_webhooks_are_answered_in_its_words_and_wake_a_pass() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    let environment = with(
        world.pagerstatus(),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC",
        &json!({"interval": "1h"}).to_string(),
    );
    let running = Running::start(&environment).await;
    running
        .until("the first pass is over", || {
            let lists = Matcher::get("/v1/pages/*/components*");
            world.statuspage().requested(&lists) > 0
        })
        .await;

    let ask = async |method: Method, path: &str, body: &str| {
        let answer = running
            .request(method, path)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let hello = ask(Method::GET, "/", "").await;
    assert_eq!(hello, (200, r#"["Hello from Pagerstatus"]"#.to_owned()));
    let v2 = |event: &str| json!({"messages": [{"event": event}]}).to_string();
    let v3 = |event: &str| json!({"event": {"event_type": event}}).to_string();
    for (account, body, expected) in [
        (
            "hugops",
            v2("incident.trigger"),
            (200, r#"["No need to sync"]"#),
        ),
        ("hugops", v3("pagey.ping"), (200, r#"["No need to sync"]"#)),
        (
            "HugOps",
            v2("incident.acknowledge"),
            (200, r#"["Performed sync"]"#),
        ),
    ] {
        let (status, text) = ask(Method::POST, &format!("/{account}"), &body).await;
        assert_eq!((status, text.as_str()), expected, "{body}");
    }
    assert_eq!(
        ask(Method::POST, "/nobody", &v2("incident.acknowledge"))
            .await
            .0,
        404
    );
    assert_eq!(
        ask(Method::POST, "/hugops", "{\"messages\": 7}").await.0,
        400
    );

    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    let woken = ask(Method::POST, "/hugops", &v3("incident.acknowledged")).await;
    assert_eq!(woken, (200, r#"["Performed sync"]"#.to_owned()));
    running
        .until("the incident is public", || world.unresolved().len() == 1)
        .await;
    let ready = running
        .request(Method::GET, "/health/ready")
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    running.terminate().await.expect_code(143);
    world.assert_sound();
}

#[tokio::test]
async fn the_end_of_a_resync_wakes_a_pass() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    let environment = with(
        beside_the_catalog(&world, "POLLING"),
        "OCEAN__EVENT_LISTENER__INTERVAL",
        "1",
    );
    let running = Running::start(&environment).await;
    running.until_logged("Resync").await;
    running
        .until("the first resync is over", || {
            let integration = world.sandbox.port.integration();
            integration
                .is_some_and(|integration| integration["resyncState"]["status"] == "completed")
        })
        .await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);

    world.sandbox.port.request_resync();

    running
        .until("the incident is public", || world.unresolved().len() == 1)
        .await;
    running.terminate().await.expect_code(143);
    world.assert_sound();
}

#[tokio::test]
async fn a_port_that_is_away_stops_no_status_page() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    world
        .sandbox
        .port
        .fault(Matcher::any(), Answer::cut(), 1_000_000);
    world.acknowledged("PX1", &[COMPONENTS[0].0]);

    let running = Running::start(&beside_the_catalog(&world, "POLLING")).await;

    running
        .until("the incident is public", || world.unresolved().len() == 1)
        .await;
    running.terminate().await.expect_code(143);
    world.assert_sound();
}

#[tokio::test]
async fn a_run_that_is_asked_for_once_ends_with_a_pass() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    portolan(&["run"], &beside_the_catalog(&world, "ONCE"))
        .await
        .expect_code(0);
    assert_eq!(world.unresolved().len(), 1);

    // Without a catalog the pass is all there is; with nothing on, that is said.
    world.pagerduty().resolve("PX1");
    let alone = with(world.pagerstatus(), "OCEAN__EVENT_LISTENER__TYPE", "ONCE");
    portolan(&["run"], &alone).await.expect_code(3);
    assert_eq!(
        world.unresolved().len(),
        1,
        "it is of an account that is not configured"
    );
    let off = with(
        world.pagerstatus(),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC",
        &json!({"mode": "off"}).to_string(),
    );
    let outcome = portolan(&["run"], &off).await.expect_code(2);
    assert!(
        outcome.stderr.contains("Nothing to do"),
        "{}",
        outcome.stderr
    );
    world.assert_sound();
}

#[tokio::test]
async fn the_default_changes_nothing_but_says_what_it_would_do() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    let environment = with(
        beside_the_catalog(&world, "ONCE"),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC",
        "{\"interval\": \"5m\"}",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(world.statuspage().count("incident"), 0);
    let said = outcome.logged("INFO").join("\n");
    assert!(said.contains("would open component:"), "{said}");
}
