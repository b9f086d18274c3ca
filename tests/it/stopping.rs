//! A signal ends the program soon, and Port is told.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher};

use crate::program::{small_sandbox, terminate_when};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

#[tokio::test]
async fn a_resync_that_is_stopped_is_told_as_aborted() {
    let sandbox = small_sandbox().await;
    let components = Matcher::get("/v1/pages/*/components");
    sandbox
        .statuspage
        .fault(components.clone(), Answer::real().after(FOR_EVER), 1);

    let outcome = terminate_when(&sandbox.environment(), || {
        sandbox.statuspage.requested(&components) > 0
    })
    .await;

    outcome.expect_code(143);
    let states = sandbox.port.resync_states();
    assert_eq!(states.last().unwrap()["status"], "aborted");
    assert!(states.last().unwrap()["lastResyncEnd"].is_string());
}

#[tokio::test]
async fn a_port_that_does_not_answer_does_not_hold_up_the_end() {
    let sandbox = small_sandbox().await;
    let components = Matcher::get("/v1/pages/*/components");
    sandbox
        .statuspage
        .fault(components.clone(), Answer::real().after(FOR_EVER), 1);
    sandbox.port.fault(
        Matcher::patch("/v1/integration/*/resync-state").with_body("aborted"),
        Answer::real().after(FOR_EVER),
        1,
    );
    let began = std::time::Instant::now();

    let outcome = terminate_when(&sandbox.environment(), || {
        sandbox.statuspage.requested(&components) > 0
    })
    .await;

    outcome.expect_code(143);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_start_can_be_stopped_as_well() {
    let sandbox = small_sandbox().await;
    let organization = Matcher::get("/v1/organization");
    sandbox
        .port
        .fault(organization.clone(), Answer::real().after(FOR_EVER), 1);

    let outcome = terminate_when(&sandbox.environment(), || {
        sandbox.port.requested(&organization) > 0
    })
    .await;

    outcome.expect_code(143);
    assert!(sandbox.port.resync_states().is_empty());
}
