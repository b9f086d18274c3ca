//! What Port is told beside the catalog: examples, metrics, signs of life. None
//! of it may harm the resync.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, run_in, small_sandbox, with};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

/// The secret of the program's own that the sources' objects are full of.
fn key(sandbox: &Sandbox) -> String {
    let mut environment = sandbox.environment().into_iter();
    let key = environment.find(|(name, _)| name.ends_with("__STATUSPAGE_API_KEY"));
    key.unwrap().1
}

/// One status page with seven components, mapped twice, and itself mapped once.
pub(crate) async fn seven_components() -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for number in 0..7 {
        let component = json!({
            "id": format!("c{number}"), "page_id": "page", "name": format!("Part {number}"),
            "group": false,
            "description": format!("opened with {}", key(&sandbox)),
            "automation_email": format!("component+{number}@example.com"),
        });
        sandbox.statuspage.insert("component", &component);
    }
    blueprint(&sandbox, "part", &[("name", "string")], &[]);
    let part = json!({
        "identifier": ".id", "blueprint": "\"part\"", "properties": {"name": ".name"},
    });
    let mut odd = resource("component", &part);
    odd["selector"]["query"] = json!(".name != \"Part 0\"");
    let page = json!({"identifier": ".id", "blueprint": "'part'"});
    install(
        &sandbox,
        &json!({"resources": [resource("component", &part), odd, resource("statuspage", &page)]}),
    );
    sandbox
}

/// What was sent to this ingest route.
pub(crate) fn ingested(sandbox: &Sandbox, route: &str) -> Vec<Value> {
    sandbox
        .port
        .ingested()
        .into_iter()
        .filter(|(path, _)| path.starts_with(route))
        .map(|(_, body)| body)
        .collect()
}

/// Port gives this address for one kind of report (`metricAttributes`).
pub(crate) fn ingest_at(sandbox: &Sandbox, attributes: &str, url: &str) {
    let mut integration = sandbox.port.integration().unwrap();
    integration[attributes] = json!({"ingestUrl": url});
    sandbox.port.insert_integration(IDENTIFIER, &integration);
}

/// Warnings that speak of `what`.
pub(crate) fn warnings(outcome: &Outcome, what: &str) -> usize {
    let warnings = outcome.logged("WARNING");
    warnings.iter().filter(|line| line.contains(what)).count()
}

/// How long something took is different each time, as are identifiers.
fn without_chance(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match key.as_str() {
                    "duration_seconds" => {
                        assert!(value.as_f64().unwrap() >= 0.0);
                        *value = json!("…");
                    }
                    "eventId" => *value = json!("…"),
                    "integrationVersion" => *value = json!("0.0.0"),
                    _ => without_chance(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_chance),
        _ => {}
    }
}

#[tokio::test]
async fn five_examples_of_each_resource_config_are_sent_and_no_secret_with_them() {
    let sandbox = seven_components().await;

    run_in(&sandbox).await.expect_code(0);

    let mut by_kind: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (kind, example) in sandbox.port.examples() {
        by_kind.entry(kind).or_default().push(example);
    }
    assert_eq!(by_kind["component"].len(), 10);
    assert_eq!(by_kind["statuspage"].len(), 1);
    assert_eq!(by_kind["component"][0]["name"], "Part 0");
    for example in &by_kind["component"] {
        assert_eq!(example["description"], "opened with [REDACTED]");
        assert_eq!(example["automation_email"], "[REDACTED]");
    }
    let examples = Matcher::post("*/examples");
    for request in sandbox.port.requests_to(&examples) {
        assert!(!request.body.unwrap().contains(&key(&sandbox)));
    }
    assert_eq!(sandbox.problems(), [] as [String; 0]);
}

#[tokio::test]
async fn each_kind_is_pending_then_syncing_then_completed() {
    let sandbox = seven_components().await;

    run_in(&sandbox).await.expect_code(0);

    let all = ingested(&sandbox, "metrics/syncMetrics");
    let states = |metrics: &Value| {
        let kinds = metrics["syncKindsMetrics"].as_array().cloned();
        let kinds = kinds.unwrap_or_else(|| vec![metrics["syncKindMetrics"].clone()]);
        kinds
            .iter()
            .map(|kind| {
                let name = kind["kindIdentifier"].as_str().unwrap();
                format!("{name} {}", kind["syncState"].as_str().unwrap())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&all[0]),
        [
            "component-0 pending",
            "component-1 pending",
            "statuspage-2 pending",
        ]
    );
    assert_eq!(
        states(all.last().unwrap()),
        ["__reconciliation__ completed", "__resync__ completed"]
    );
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = Vec::new();
    for line in all[1..all.len() - 1].iter().flat_map(states) {
        let (name, state) = line.split_once(' ').unwrap();
        last.insert(name.to_owned(), state.to_owned());
        seen.push(line);
    }
    for name in ["component-0", "component-1", "statuspage-2"] {
        assert_eq!(last[name], "completed");
        let syncing = format!("{name} syncing");
        // Where the whole is over already, the last state is enough.
        assert!(seen.iter().filter(|line| **line == syncing).count() <= 1);
    }
    // One resync, one name, which the entities carry as well.
    let id = &all[0]["syncKindsMetrics"][0]["eventId"];
    let bulk = sandbox.port.requests_to(&Matcher::post("*/entities/bulk"));
    assert_eq!(
        bulk[0].parameter("ocean_info_resync_id"),
        Some(id.as_str().unwrap())
    );
}

#[tokio::test]
async fn the_last_metrics_of_a_kind_say_what_became_of_its_objects() {
    let sandbox = seven_components().await;

    run_in(&sandbox).await.expect_code(0);

    let route = "metrics/syncMetrics/resync/";
    let mut bodies: Vec<Value> = ingested(&sandbox, route)
        .into_iter()
        .filter(|body| body["syncKindMetrics"]["kindIdentifier"] == "component-1")
        .collect();
    let mut body = bodies.pop().unwrap();
    without_chance(&mut body);
    insta::assert_json_snapshot!(body, @r#"
    {
      "syncKindMetrics": {
        "integrationType": "portolan",
        "installationType": "OnPrem",
        "executionMode": "single_process",
        "integrationIdentifier": "portolan-sandbox",
        "integrationVersion": "0.0.0",
        "oceanVersion": "0.48.12",
        "kindIdentifier": "component-1",
        "kind": "component",
        "kindIndex": 1,
        "eventId": "…",
        "syncState": "completed",
        "blueprint": "\"part\"",
        "metrics": {
          "phase": {
            "extract": {
              "object_count_type": {
                "raw_extracted": {
                  "object_count": 7
                }
              },
              "duration_seconds": "…"
            },
            "transform": {
              "object_count_type": {
                "transformed": {
                  "object_count": 6
                },
                "filtered_out": {
                  "object_count": 1
                },
                "failed": {
                  "object_count": 0
                }
              }
            },
            "load": {
              "object_count_type": {
                "loaded": {
                  "object_count": 6
                },
                "skipped": {
                  "object_count": 0
                },
                "failed": {
                  "object_count": 0
                }
              }
            },
            "resync": {
              "duration_seconds": "…",
              "success": 1.0
            }
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn a_kind_that_was_not_listed_to_its_end_has_failed() {
    let sandbox = seven_components().await;
    let components = Matcher::get("/v1/pages/*/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), usize::MAX);

    run_in(&sandbox).await.expect_code(3);

    let all = ingested(&sandbox, "metrics/syncMetrics");
    let of_kind = |name: &str| {
        let kinds = all.iter().map(|body| &body["syncKindMetrics"]);
        let mut named = kinds.filter(|kind| kind["kindIdentifier"] == name);
        named.next_back().unwrap().clone()
    };
    assert_eq!(of_kind("component-0")["syncState"], "failed");
    assert_eq!(
        of_kind("component-0")["metrics"]["phase"]["resync"]["success"],
        0.0
    );
    assert_eq!(of_kind("statuspage-2")["syncState"], "completed");
    let whole = &all.last().unwrap()["syncKindsMetrics"][1];
    assert_eq!(whole["kindIdentifier"], "__resync__");
    assert_eq!(whole["syncState"], "failed");
}

#[tokio::test]
async fn how_the_kinds_ended_is_told_although_an_earlier_state_was_lost() {
    let sandbox = seven_components().await;
    let pending = Matcher::post("/ingest/metrics/syncMetrics");
    sandbox.port.fault(pending, Answer::status(502), 1);

    let outcome = run_in(&sandbox).await.expect_code(0);

    let all = ingested(&sandbox, "metrics/syncMetrics");
    let ended = all
        .iter()
        .filter(|body| body["syncKindMetrics"]["syncState"] == "completed")
        .count();
    assert_eq!(ended, 3);
    assert_eq!(outcome.logged("WARNING"), [] as [String; 0]);
}

#[tokio::test]
async fn a_long_resync_gives_signs_of_life() {
    let sandbox = seven_components().await;
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::real().after(Duration::from_millis(2_500)),
        1,
    );
    let environment = with(
        sandbox.environment(),
        "OCEAN__STATUS_HEARTBEAT_INTERVAL_SECONDS",
        "1",
    );

    portolan(&["run"], &environment).await.expect_code(0);

    let beats = ingested(&sandbox, "metrics/heartbeat");
    assert!((1..=3).contains(&beats.len()), "{beats:?}");
    let metrics = ingested(&sandbox, "metrics/syncMetrics");
    let id = &metrics[0]["syncKindsMetrics"][0]["eventId"];
    assert_eq!(beats[0], json!({"eventId": id}));
}

#[tokio::test]
async fn a_sign_of_life_that_is_lost_is_not_the_last() {
    let sandbox = seven_components().await;
    let heartbeats = Matcher::post("/ingest/metrics/heartbeat");
    sandbox.port.fault(heartbeats, Answer::status(502), 1);
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::real().after(Duration::from_millis(2_500)),
        1,
    );
    let environment = with(
        sandbox.environment(),
        "OCEAN__STATUS_HEARTBEAT_INTERVAL_SECONDS",
        "1",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(warnings(&outcome, "sign of life"), 1);
    assert!(!ingested(&sandbox, "metrics/heartbeat").is_empty());
}

#[tokio::test]
async fn the_webhook_gets_the_metrics_but_not_the_token() {
    let sandbox = seven_components().await;
    let elsewhere = small_sandbox().await;
    let hook = Matcher::post("/hook");
    elsewhere
        .port
        .fault(hook.clone(), Answer::json(200, &json!({})), 1);
    let url = elsewhere.port.url().join("/hook").unwrap();
    let environment = with(sandbox.environment(), "OCEAN__METRICS__ENABLED", "true");
    let environment = with(environment, "OCEAN__METRICS__WEBHOOK_URL", url.as_str());

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(outcome.logged("WARNING"), [] as [String; 0]);
    let requests = elsewhere.port.requests_to(&hook);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
    let metrics = &requests[0].json()["syncKindsMetrics"];
    assert_eq!(metrics.as_array().unwrap().len(), 5);
    assert_eq!(metrics[0]["syncState"], "completed");
}

#[tokio::test]
async fn reports_that_fail_are_said_once_each_and_harm_nothing() {
    let sandbox = seven_components().await;
    for path in ["/ingest/metrics/*", "*/examples"] {
        sandbox
            .port
            .fault(Matcher::path(path), Answer::status(500), usize::MAX);
    }
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::real().after(Duration::from_millis(2_500)),
        1,
    );
    let environment = with(
        sandbox.environment(),
        "OCEAN__STATUS_HEARTBEAT_INTERVAL_SECONDS",
        "1",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    for what in ["send raw examples", "send metrics", "sign of life"] {
        assert_eq!(warnings(&outcome, what), 1, "{what}");
    }
    assert_eq!(outcome.logged("WARNING").len(), 3);
    assert_eq!(sandbox.port.entity_counts()["part"], 8);
    // Nothing of it is repeated; how the kinds ended is news.
    let metrics = Matcher::path("/ingest/metrics/syncMetrics*");
    let examples = Matcher::post("*/examples");
    assert_eq!(sandbox.port.requested(&examples), 1);
    assert!((2..=4).contains(&sandbox.port.requested(&metrics)));
}

#[tokio::test]
async fn reports_that_hang_do_not_hold_up_the_end() {
    let sandbox = seven_components().await;
    for path in ["/ingest/metrics/*", "*/examples"] {
        let hang = Answer::real().after(FOR_EVER);
        sandbox.port.fault(Matcher::path(path), hang, usize::MAX);
    }
    let began = Instant::now();

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert!(began.elapsed() < Duration::from_secs(20));
    for what in ["last raw examples", "last metrics"] {
        assert_eq!(warnings(&outcome, what), 1, "{what}");
    }
    assert_eq!(sandbox.port.entity_counts()["part"], 8);
}

#[tokio::test]
async fn examples_that_are_switched_off_are_not_sent() {
    let sandbox = seven_components().await;
    let off = with(
        sandbox.environment(),
        "OCEAN__SEND_RAW_DATA_EXAMPLES",
        "false",
    );

    portolan(&["run"], &off).await.expect_code(0);

    assert_eq!(sandbox.port.requested(&Matcher::path("*/examples")), 0);
}

#[tokio::test]
async fn without_an_address_for_it_nothing_is_sent() {
    let sandbox = seven_components().await;
    for attributes in ["metricAttributes", "logAttributes"] {
        ingest_at(&sandbox, attributes, "not an address");
    }

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.requested(&Matcher::path("/ingest/*")), 0);
    assert_eq!(outcome.logged("WARNING"), [] as [String; 0]);
}

#[tokio::test]
async fn the_token_does_not_leave_in_clear_text() {
    let sandbox = seven_components().await;
    // Whatever the name leads to: it is not asked.
    ingest_at(&sandbox, "metricAttributes", "http://ingest.example.com/in");

    let outcome = run_in(&sandbox).await.expect_code(0);

    let warnings = outcome.logged("WARNING");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("neither https nor Port's own"),
        "{warnings:?}"
    );
}
