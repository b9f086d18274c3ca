//! `portolan sandbox`: what a stranger runs first.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::program::portolan;

#[tokio::test]
async fn it_needs_no_setting_and_brings_everything_into_the_catalog() {
    let outcome = portolan(&["sandbox"], &[]).await.expect_code(0);

    let rows = outcome.summary();
    let (total, counts) = rows.last().unwrap();
    assert_eq!(total, "total");
    let [_, _, mapped, written, _, failed] = *counts;
    assert_eq!((written, failed), (mapped, 0));
    for (kind, [fetched, ..]) in &rows {
        assert!(*fetched > 0, "there is no {kind} to be seen");
    }
    assert!(outcome.stdout.contains("\"blueprint\":"));
    assert!(outcome.logged("ERROR").is_empty());
}

#[tokio::test]
async fn it_gets_through_a_bad_day() {
    let outcome = portolan(&["sandbox", "--faults", "--latency", "1ms"], &[])
        .await
        .expect_code(0);

    let rows = outcome.summary();
    let [_, _, mapped, written, _, failed] = rows.last().unwrap().1;
    assert_eq!((written, failed), (mapped, 0));
}

#[tokio::test]
async fn it_serves_another_run() {
    let mut serving = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["sandbox", "--serve"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let mut environment = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        // A comment ends the list.
        let Some(assignment) = line.strip_prefix("export ") else {
            break;
        };
        let (name, value) = assignment.split_once('=').unwrap();
        environment.push((name.to_owned(), value.trim_matches('\'').to_owned()));
    }

    portolan(&["run"], &environment).await.expect_code(0);

    let base = |variable: &str| {
        let (_, value) = environment
            .iter()
            .find(|(name, _)| name.ends_with(variable))
            .unwrap();
        value.clone()
    };
    let components = format!("{}/sandbox/objects/component", base("STATUSPAGE_HOST"));
    let listed = call("GET", &components, None).await;
    let id = listed.as_object().unwrap().keys().next().unwrap();
    let renamed = json!({"name": "Renamed"});
    call("PATCH", &format!("{components}/{id}"), Some(&renamed)).await;

    let opsgenie = base("OPSGENIE_API_URL");
    let alerts = call("GET", &format!("{opsgenie}/sandbox/objects/alerts"), None).await;
    assert!(!alerts.as_object().unwrap().is_empty());
    let oncalls = format!("{opsgenie}/sandbox/oncalls");
    let somebody = json!(["somebody@example.com"]);
    call("PUT", &format!("{oncalls}/a-schedule"), Some(&somebody)).await;
    assert_eq!(call("GET", &oncalls, None).await["a-schedule"], somebody);

    portolan(&["run"], &environment).await.expect_code(0);

    let entities = format!("{}/sandbox/entities/statuspageComponent", base("BASE_URL"));
    let entities = call("GET", &entities, None).await;
    assert_eq!(entities[id]["title"], "Renamed");
    serving.kill().await.unwrap();
}

/// Asks the sandbox itself for something.
async fn call(method: &str, url: &str, body: Option<&Value>) -> Value {
    // Another test may have been first; either way there is one now.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let reply = request.send().await.unwrap().error_for_status().unwrap();
    serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
}
