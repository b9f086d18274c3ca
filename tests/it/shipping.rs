//! Log lines on their way to Port.

use std::time::{Duration, Instant};

use portolan::sandbox::{Answer, Matcher};
use serde_json::Value;

use crate::program::{portolan, run_in, with};
use crate::reporting::{ingest_at, ingested, seven_components, warnings};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

#[tokio::test]
async fn log_lines_reach_port_as_they_are_printed() {
    let sandbox = seven_components().await;

    let outcome = run_in(&sandbox).await.expect_code(0);

    let shipped: Vec<Value> = ingested(&sandbox, "logs")
        .iter()
        .flat_map(|body| body["logs"].as_array().unwrap().clone())
        .collect();
    let printed: Vec<Value> = outcome.lines().collect();
    let heads = |lines: &[Value]| {
        let keys = ["timestamp", "level", "message"];
        let mut heads: Vec<String> = lines
            .iter()
            .map(|line| keys.map(|key| line[key].to_string()).join(" "))
            .collect();
        heads.sort();
        heads
    };
    assert_eq!(heads(&shipped), heads(&printed));
    let of_kind = shipped
        .iter()
        .find(|line| line["extra"]["resource_kind"] == "component")
        .unwrap();
    assert_eq!(of_kind["extra"]["written"], 7);
    let instance = &shipped[0]["extra"]["instance"];
    assert!(instance.is_string());
    assert!(
        shipped
            .iter()
            .all(|line| line["extra"]["instance"] == *instance)
    );
}

#[tokio::test]
async fn what_is_logged_on_account_of_shipping_stays_here() {
    let sandbox = seven_components().await;
    let environment = with(sandbox.environment(), "APPLICATION__LOG_LEVEL", "DEBUG");
    sandbox
        .port
        .fault(Matcher::post("/ingest/logs"), Answer::status(400), 1);
    // Long enough for a second request.
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::real().after(Duration::from_secs(6)),
        1,
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(warnings(&outcome, "log lines"), 1);
    assert_eq!(
        outcome
            .logged("INFO")
            .iter()
            .filter(|line| line.contains("reach Port again"))
            .count(),
        1
    );
    for body in ingested(&sandbox, "logs") {
        let text = body.to_string();
        assert!(
            !text.contains("log lines") && !text.contains("Log lines"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_port_that_does_not_take_log_lines_does_not_hold_up_the_end() {
    let sandbox = seven_components().await;
    let logs = Matcher::post("/ingest/logs");
    sandbox
        .port
        .fault(logs, Answer::real().after(FOR_EVER), usize::MAX);
    let began = Instant::now();

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(warnings(&outcome, "last log lines"), 1);
    assert_eq!(sandbox.port.entity_counts()["part"], 8);
}

#[tokio::test]
async fn lines_that_port_does_not_allow_are_no_reason_to_log_in_again_and_again() {
    let sandbox = seven_components().await;
    let logs = Matcher::post("/ingest/logs");
    sandbox
        .port
        .fault(logs.clone(), Answer::status(401), usize::MAX);
    // Long enough for a second request.
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::real().after(Duration::from_secs(6)),
        1,
    );

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(warnings(&outcome, "log lines"), 1);
    // Once, and once more with a new token.
    let first_lines = logs.with_body("Starting Portolan");
    assert_eq!(sandbox.port.requested(&first_lines), 2);
}

#[tokio::test]
async fn log_lines_do_not_leave_in_clear_text_either() {
    let sandbox = seven_components().await;
    // Whatever the name leads to: it is not asked.
    ingest_at(&sandbox, "logAttributes", "http://ingest.example.com/in");

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(warnings(&outcome, "neither https nor Port's own"), 1);
}

#[tokio::test]
async fn log_lines_stay_here_where_the_settings_say_so() {
    let sandbox = seven_components().await;
    let off = with(
        sandbox.environment(),
        "APPLICATION__ENABLE_HTTP_LOGGING",
        "false",
    );

    portolan(&["run"], &off).await.expect_code(0);

    assert_eq!(sandbox.port.requested(&Matcher::path("/ingest/logs")), 0);
}
