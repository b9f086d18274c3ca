//! As Port's own brokers are reached: TLS, and SCRAM with the user that Port names.

use portolan::sandbox::port::{KAFKA_PASSWORD, KAFKA_USERNAME};
use portolan::sandbox::{Matcher, Sandbox};

use super::broker;
use crate::program::with;
use crate::running::{Running, listening};
use crate::service::installed;

/// Gave the broker of the tests its certificate.
const AUTHORITY: &str = include_str!("../../../src/http/fixtures/authority.pem");

fn environment(sandbox: &Sandbox, broker: &str) -> Vec<(String, String)> {
    let environment = with(
        listening(sandbox, "KAFKA"),
        "OCEAN__EVENT_LISTENER__BROKERS",
        broker,
    );
    with(environment, "APPLICATION__LOG_LEVEL", "DEBUG")
}

/// The same for a process that trusts the broker's authority.
fn trusting(environment: Vec<(String, String)>) -> (tempfile::TempDir, Vec<(String, String)>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authorities.pem");
    std::fs::write(&file, AUTHORITY).unwrap();
    let environment = with(environment, "SSL_CERT_FILE", file.to_str().unwrap());
    (directory, environment)
}

fn credentials() -> Matcher {
    Matcher::get("/v1/kafka-credentials")
}

#[tokio::test]
async fn the_user_that_port_names_proves_over_tls_to_know_the_password() {
    let sandbox = installed().await;
    let (address, visitors) = broker::start(KAFKA_PASSWORD);
    let (_directory, environment) = trusting(environment(&sandbox, &address));

    let running = Running::start(&environment).await;
    running
        .until("somebody came", || !visitors.so_far().is_empty())
        .await;

    // The broker says nothing more, and the group cannot be left.
    let outcome = running.terminate().await.expect_code(143);
    assert_eq!(visitors.so_far()[0], (KAFKA_USERNAME.to_owned(), true));
    assert_eq!(sandbox.port.requested(&credentials()), 1);
    assert!(!outcome.stderr.contains(KAFKA_PASSWORD));
    assert!(
        !outcome.stderr.contains("Not everything came to its end"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn a_user_that_is_refused_is_said_and_asked_for_anew() {
    let sandbox = installed().await;
    let (address, visitors) = broker::start("another password");
    let (_directory, environment) = trusting(environment(&sandbox, &address));

    let running = Running::start(&environment).await;
    running.until_logged("the brokers refuse the user").await;
    running
        .until("Port is asked again", || {
            sandbox.port.requested(&credentials()) > 1
        })
        .await;

    let outcome = running.terminate().await.expect_code(143);
    assert_eq!(visitors.so_far()[0], (KAFKA_USERNAME.to_owned(), false));
    assert!(!outcome.stderr.contains(KAFKA_PASSWORD));
}

#[tokio::test]
async fn a_broker_whose_certificate_nobody_vouches_for_is_told_no_password() {
    let sandbox = installed().await;
    let (address, visitors) = broker::start(KAFKA_PASSWORD);

    let running = Running::start(&environment(&sandbox, &address)).await;
    running.until_logged("certificate verify failed").await;
    running.until_logged("no broker can be reached").await;

    running.terminate().await.expect_code(143);
    assert_eq!(visitors.so_far(), []);
}
