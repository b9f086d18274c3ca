//! The event listener KAFKA, against librdkafka's own mock of a cluster.
//!
//! The mock speaks neither TLS nor SASL; see [`secured`] for these.

mod broker;
mod cluster;
mod secured;

use portolan::sandbox::{IDENTIFIER, Matcher, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};

use self::cluster::Cluster;
use crate::program::with;
use crate::running::{Running, listening};
use crate::service::{completed, installed, states};

const CHANGE_LOG: &str = "org_sandbox.change.log";

/// A service that listens to this cluster.
fn environment(sandbox: &Sandbox, cluster: &Cluster) -> Vec<(String, String)> {
    let environment = with(
        listening(sandbox, "KAFKA"),
        "OCEAN__EVENT_LISTENER__BROKERS",
        &cluster.brokers(),
    );
    let environment = with(
        environment,
        "OCEAN__EVENT_LISTENER__KAFKA_SECURITY_ENABLED",
        "false",
    );
    with(
        environment,
        "OCEAN__EVENT_LISTENER__CONSUMER_POLL_TIMEOUT",
        "0.1",
    )
}

/// Somebody pressed Resync.
fn order(integration: &str) -> Value {
    json!({"action": "RESYNC", "context": {"integrationId": integration}})
}

/// The integration as it is now, as Port writes it into the change log.
fn change(sandbox: &Sandbox) -> Value {
    json!({
        "action": "UPDATE",
        "resourceType": "integration",
        "context": {"integrationId": IDENTIFIER},
        "diff": {"after": sandbox.port.integration().unwrap()},
        "changelogDestination": {"type": "KAFKA"},
    })
}

/// How many messages the process has heard, by what became of them.
async fn heard(running: &Running, result: &str) -> u64 {
    let response = running.request(Method::GET, "/metrics").send().await;
    let text = response.unwrap().text().await.unwrap();
    let sample = format!("portolan_kafka_messages_total{{result=\"{result}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&sample))
        .map_or(0, |count| count.parse().unwrap())
}

async fn until_heard(running: &Running, result: &str, count: u64) {
    running
        .until_async(&format!("{count} messages are {result}"), async || {
            heard(running, result).await >= count
        })
        .await;
}

/// Starts a service and waits until it hears. A group that is new begins at the end
/// of the topic, wherever that is when the broker is asked, so it is called until
/// it answers.
async fn start(environment: &[(String, String)], cluster: &Cluster, topic: &str) -> Running {
    let running = Running::start(environment).await;
    running.until_logged("Listening to 1 partition").await;
    running
        .until_async("it hears", async || {
            cluster.say(topic, "resync, please");
            heard(&running, "unreadable").await > 0
        })
        .await;
    running
}

#[tokio::test]
async fn orders_and_changes_of_this_integration_are_resynced_and_nothing_else_is() {
    let sandbox = installed().await;
    let cluster = Cluster::start();
    let running = start(&environment(&sandbox, &cluster), &cluster, CHANGE_LOG).await;
    let integration = sandbox.port.integration().unwrap();
    assert_eq!(
        integration["changelogDestination"],
        json!({"type": "KAFKA"})
    );
    assert_eq!(states(&sandbox), Vec::<String>::new(), "none at the start");

    cluster.say(CHANGE_LOG, &order("somebody-elses"));
    cluster.say(
        CHANGE_LOG,
        &json!({"action": "CREATE", "diff": {"after": {"identifier": "entity"}}}),
    );
    until_heard(&running, "ignored", 2).await;
    cluster.say(CHANGE_LOG, &order(IDENTIFIER));
    running
        .until("the order is served", || completed(&sandbox) == 1)
        .await;

    // What the resync itself has changed.
    cluster.say(CHANGE_LOG, &change(&sandbox));
    until_heard(&running, "ignored", 3).await;
    let mut edited = change(&sandbox);
    edited["diff"]["after"]["updatedAt"] = json!("2026-11-29T10:00:00.000Z");
    cluster.say(CHANGE_LOG, &edited);
    running
        .until("the change is served", || completed(&sandbox) == 2)
        .await;

    let outcome = running.terminate().await.expect_code(143);
    assert_eq!(states(&sandbox), ["running", "completed"].repeat(2));
    assert_eq!(outcome.logged("WARNING").len(), 1, "of the signal");
    let credentials = Matcher::get("/v1/kafka-credentials");
    assert_eq!(sandbox.port.requested(&credentials), 0);
}

#[tokio::test]
async fn an_organization_with_a_topic_of_requests_is_listened_to_there() {
    let topic = "org_sandbox.integration.resync.requests";
    let sandbox = installed().await;
    sandbox
        .port
        .set_feature_flags(&["OCEAN_KAFKA_INTEGRATION_RESYNC_REQUESTS_TOPIC_ENABLED"]);
    let cluster = Cluster::start();
    let running = start(&environment(&sandbox, &cluster), &cluster, topic).await;

    cluster.say(topic, &json!({"context": {"integrationId": IDENTIFIER}}));
    running
        .until("it is served", || completed(&sandbox) == 1)
        .await;

    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn what_was_served_before_a_restart_is_not_served_again_and_what_was_said_meanwhile_is() {
    let sandbox = installed().await;
    let cluster = Cluster::start();
    let environment = environment(&sandbox, &cluster);
    let running = start(&environment, &cluster, CHANGE_LOG).await;
    cluster.say(CHANGE_LOG, &order(IDENTIFIER));
    running
        .until("it is served", || completed(&sandbox) == 1)
        .await;
    let end = cluster.end_of(CHANGE_LOG);
    running
        .until("it is committed", || cluster.committed(CHANGE_LOG) == end)
        .await;
    running.signal("KILL").await;
    running.end().await;

    cluster.say(CHANGE_LOG, &order(IDENTIFIER));
    let running = Running::start(&environment).await;
    running
        .until("the order from meanwhile is served", || {
            completed(&sandbox) == 2
        })
        .await;
    assert_eq!(heard(&running, "accepted").await, 1);
    assert_eq!(heard(&running, "unreadable").await, 0);
    running.terminate().await.expect_code(143);
    assert_eq!(cluster.committed(CHANGE_LOG), cluster.end_of(CHANGE_LOG));
    assert_eq!(states(&sandbox), ["running", "completed"].repeat(2));
}

#[tokio::test]
async fn brokers_that_are_away_are_said_once_and_listened_to_when_they_are_back() {
    let sandbox = installed().await;
    let cluster = Cluster::start();
    cluster.goes_away();

    let running = Running::start(&environment(&sandbox, &cluster)).await;
    running.until_logged("no broker can be reached").await;
    let ready = running.request(Method::GET, "/health/ready").send();
    assert_eq!(ready.await.unwrap().status().as_u16(), 200);
    cluster.comes_back();
    running.until_logged("Listening to 1 partition").await;
    running.until_logged("can be listened to again").await;
    running
        .until_async("it hears", async || {
            cluster.say(CHANGE_LOG, "resync, please");
            heard(&running, "unreadable").await > 0
        })
        .await;

    cluster.goes_away();
    running
        .until("they are missed again", || {
            running.logged("no broker can be reached") == 2
        })
        .await;
    cluster.comes_back();
    cluster.say(CHANGE_LOG, &order(IDENTIFIER));
    running
        .until("the order is served", || completed(&sandbox) == 1)
        .await;
    cluster.goes_away();
    running
        .until("they are missed once more", || {
            running.logged("no broker can be reached") == 3
        })
        .await;

    let outcome = running.terminate().await.expect_code(143);
    let mut warnings = outcome.logged("WARNING");
    warnings.retain(|warning| !warning.starts_with("Stopping because"));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("Hint:"), "{warnings:?}");
}

#[tokio::test]
async fn a_second_process_stands_by_and_takes_over() {
    let sandbox = installed().await;
    let cluster = Cluster::start();
    let environment = environment(&sandbox, &cluster);
    let first = start(&environment, &cluster, CHANGE_LOG).await;
    let second = Running::start(&environment).await;
    second.until_logged("Another process listens").await;
    let ready = second.request(Method::GET, "/health/ready").send();
    assert_eq!(ready.await.unwrap().status().as_u16(), 200);

    first.terminate().await.expect_code(143);
    second.until_logged("Listening to 1 partition").await;
    cluster.say(CHANGE_LOG, &order(IDENTIFIER));
    second
        .until("the order is served", || completed(&sandbox) == 1)
        .await;

    second.terminate().await.expect_code(143);
}
