//! Whole lines, from the macros to the sink.

use std::sync::Mutex;

use serde_json::{Value, json};
use tracing::{Level, debug, error, info, info_span, warn};

use super::*;

/// What `work` logs.
fn logged(level: LogLevel, format: LogFormat, work: impl FnOnce()) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let sink: Sink = Arc::new(move |line| {
        written
            .lock()
            .unwrap()
            .push(String::from_utf8(line.to_vec()).unwrap());
    });
    let secrets = [
        SecretString::from("s3cr3t\"quoted"),
        SecretString::from("hunter22"),
    ];
    let subscriber = subscriber(level, format, Masker::new(&secrets), sink);
    tracing::subscriber::with_default(subscriber, work);
    lines.lock().unwrap().clone()
}

fn json_line(work: impl FnOnce()) -> Value {
    let mut lines = logged(LogLevel::Debug, LogFormat::Json, work);
    assert_eq!(lines.len(), 1);
    let mut line: Value = serde_json::from_str(&lines.remove(0)).unwrap();
    let timestamp = line
        .as_object_mut()
        .unwrap()
        .shift_remove("timestamp")
        .unwrap();
    timestamp
        .as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap();
    line
}

#[test]
fn a_line_carries_its_fields_and_those_of_the_spans_around_it() {
    let line = json_line(|| {
        let _resync = info_span!("resync", resync = "r1", kind = "all").entered();
        let kind = info_span!("kind", kind = "incident", pages = tracing::field::Empty);
        kind.record("pages", 3);
        let _kind = kind.entered();
        warn!(entities = 2, share = 0.5, done = true, r#type = ?Some(1), "Resynced {}", 2);
    });

    assert_eq!(
        line,
        json!({
            "level": "WARNING", "message": "Resynced 2", "target": module_path!(),
            "resync": "r1", "kind": "incident", "pages": 3,
            "entities": 2, "share": 0.5, "done": true, "type": "Some(1)",
        })
    );
}

#[test]
fn secrets_are_masked_in_messages_fields_and_spans() {
    let secret = "s3cr3t\"quoted";
    let line = json_line(|| {
        let _span = info_span!("login", user = "hunter22").entered();
        error!(token = secret, debug = ?secret, url = "https://x/?t=s3cr3t%22quoted", "with {secret}");
    });

    assert_eq!(
        line,
        json!({
            "level": "ERROR", "message": "with [REDACTED]", "target": module_path!(),
            "user": "[REDACTED]", "token": "[REDACTED]", "debug": "\"[REDACTED]\"",
            "url": "https://x/?t=[REDACTED]",
        })
    );
}

#[test]
fn secrets_are_masked_in_lines_for_people() {
    let lines = logged(LogLevel::Info, LogFormat::Human { colour: false }, || {
        info!(token = "hunter22", "with hunter22");
    });

    assert!(
        lines[0].ends_with("INFO    with [REDACTED]  token=[REDACTED]\n"),
        "{lines:?}"
    );
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("logging in failed")]
    struct Failed(#[source] std::io::Error);

    let line = json_line(|| {
        let failed = Failed(std::io::Error::other("token hunter22 refused"));
        error!(
            error = &failed as &(dyn std::error::Error + 'static),
            "No login"
        );
    });

    assert_eq!(line["error"], "logging in failed: token [REDACTED] refused");
}

#[test]
fn libraries_are_heard_from_warnings_up_only() {
    let events = || {
        debug!("own");
        debug!(target: "hyper::client", "wire");
        info!(target: "reqwest", "request");
        warn!(target: "rustls", "trouble");
    };

    let messages = |level| {
        logged(level, LogFormat::Json, events)
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone())
            .collect::<Vec<_>>()
    };

    assert_eq!(messages(LogLevel::Debug), ["own", "trouble"]);
    assert_eq!(messages(LogLevel::Info), ["trouble"]);
    assert!(messages(LogLevel::Error).is_empty());
}

#[test]
fn critical_still_logs_errors() {
    let lines = logged(LogLevel::Critical, LogFormat::Json, || {
        error!("no");
        warn!("yes");
    });

    assert_eq!(lines.len(), 1);
    assert!(targets(LogLevel::Critical).would_enable("portolan", &Level::ERROR));
}

#[test]
fn what_is_local_is_printed_but_not_shipped() {
    let shipper = Shipper::default();
    let printed = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&printed);
    let sink: Sink = Arc::new(move |line| {
        let mut all = written.lock().unwrap();
        all.push_str(std::str::from_utf8(line).unwrap());
    });
    let secrets = [SecretString::from("hunter22")];
    let lines = layer::Lines::new(LogFormat::Json, Masker::new(&secrets), sink)
        .shipped_by(Some(shipper.clone()));

    tracing::subscriber::with_default(at_level(LogLevel::Warning, lines), || {
        warn!("uses hunter22");
        let local = tracing::error_span!("shipping", local = true);
        local.in_scope(|| warn!("of the shipper"));
        warn!(target: "hyper", "of a library");
    });

    let waiting: Vec<Value> = shipper.waiting();
    let messages: Vec<&Value> = waiting.iter().map(|record| &record["message"]).collect();
    assert_eq!(messages, ["uses [REDACTED]"]);
    let printed = printed.lock().unwrap();
    assert_eq!(printed.lines().count(), 3);
    assert!(!printed.contains("local"), "{printed}");
}
