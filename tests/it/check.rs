//! `portolan check`: whether a run would find all it needs.

use std::fs;

use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, portolan_in, run_in, small_sandbox, with, without};

const URL: &str = "OCEAN__BASE_URL";

async fn check(sandbox: &Sandbox) -> Outcome {
    portolan(&["check"], &sandbox.environment()).await
}

/// A service with live events, at an address where nobody is.
fn service(sandbox: &Sandbox) -> Vec<(String, String)> {
    let environment = with(
        sandbox.environment(),
        "OCEAN__EVENT_LISTENER__TYPE",
        "POLLING",
    );
    with(environment, URL, "http://127.0.0.1:9")
}

/// Lines that begin with a sign.
fn signed(outcome: &Outcome, sign: char) -> Vec<&str> {
    let lines = outcome.stdout.lines();
    lines.filter(|line| line.starts_with(sign)).collect()
}

/// Fails unless one line with this sign has all of these texts.
#[track_caller]
fn expect_line(outcome: &Outcome, sign: char, texts: &[&str]) {
    let lines = signed(outcome, sign);
    let found = lines
        .iter()
        .filter(|line| texts.iter().all(|text| line.contains(text)));
    assert_eq!(found.count(), 1, "{sign} {texts:?}\n{}", outcome.stdout);
}

/// Nothing was asked of anybody that changes anything.
#[track_caller]
fn expect_no_writes(sandbox: &Sandbox) {
    let requests = [
        sandbox.port.requests(),
        sandbox.statuspage.requests(),
        sandbox.pagerduty.requests(),
        sandbox.opsgenie.requests(),
    ];
    for request in requests.concat() {
        let is_login = request.path == "/v1/auth/access_token";
        assert!(
            request.method == "GET" || is_login,
            "{} {}",
            request.method,
            request.path
        );
    }
}

#[tokio::test]
async fn before_the_first_start_everything_is_looked_at_and_nothing_written() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();

    let outcome = portolan_in(directory.path(), &["check"], &service(&sandbox)).await;

    expect_no_writes(&sandbox);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(sandbox.port.problems(), Vec::<String>::new());
    for (about, text) in [
        ("settings", "of type `portolan`"),
        ("Port", "the credentials are accepted"),
        ("Statuspage", "the credentials are accepted"),
        ("PagerDuty", "may read pagerduty users"),
        ("Opsgenie", "opsgenie alerts"),
        ("mapping", "resource configs are right"),
        (
            "clocks",
            "agrees with Port, Statuspage, PagerDuty, Opsgenie",
        ),
        ("rate limits", "PagerDuty: 60000 requests a minute"),
        ("state database", "the first start creates it"),
    ] {
        expect_line(&outcome, '✓', &[about, text]);
    }
    expect_line(&outcome, '!', &["Port", "there is no integration"]);
    expect_line(&outcome, '!', &["public address", "could not connect"]);
    expect_line(
        &outcome,
        '!',
        &["webhooks", "subscription of PagerDuty", "create"],
    );
    // The one thing that is not as it should be: a page that takes no webhooks.
    assert_eq!(signed(&outcome, '✗').len(), 1, "{}", outcome.stdout);
    expect_line(&outcome, '✗', &["takes no webhook subscribers", "Hint:"]);
    outcome.expect_code(2);
}

#[tokio::test]
async fn after_a_run_everything_is_as_it_should_be() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);

    let outcome = check(&sandbox).await.expect_code(0);

    expect_line(&outcome, '✓', &["Port", "the integration", "is there"]);
    assert!(signed(&outcome, '✗').is_empty());

    let outcome = portolan(&["check", "--json"], &sandbox.environment()).await;
    let document: Value = serde_json::from_str(&outcome.expect_code(0).stdout).unwrap();
    assert_eq!(document["ready"], true);
    assert_eq!(document["findings"][0]["verdict"], "good");
}

#[tokio::test]
async fn three_different_mistakes_of_a_mapping_are_shown_each_with_place_and_remedy() {
    const MAPPING: &str = "\
resources:
  - kind: component
    selector:
      query: .group == false |
    port:
      entity:
        mappings:
          identifier: .id
          blueprint: '\"thing\"'
          properties:
            statos: .status
          relations:
            pge: .page_id
";
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "page", &[], &[]);
    blueprint(
        &sandbox,
        "thing",
        &[("status", "string")],
        &[("page", "page")],
    );
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mapping.yaml"), MAPPING).unwrap();
    let arguments = ["check", "--mapping", "mapping.yaml"];
    let environment = sandbox.environment();

    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    assert_eq!(signed(&outcome, '✗').len(), 3, "{}", outcome.stdout);
    for (place, remedy) in [
        (
            "mapping.yaml:4:14 resources[0].selector.query",
            "Hint: correct",
        ),
        (
            "mapping.yaml:11:21 resources[0].port",
            "did you mean `status`",
        ),
        (
            "mapping.yaml:13:18 resources[0].port",
            "did you mean `page`?",
        ),
    ] {
        expect_line(&outcome, '✗', &[place, remedy]);
    }
    assert!(
        outcome
            .stdout
            .contains("\n      .group == false |\n                       ^\n")
    );
    outcome.expect_code(2);
    expect_no_writes(&sandbox);

    // The same once it is in Port, where it has no lines.
    install(&sandbox, &serde_yaml::from_str(MAPPING).unwrap());
    let outcome = portolan(&["check", "--json"], &environment).await;
    let document: Value = serde_json::from_str(&outcome.expect_code(2).stdout).unwrap();
    let findings = document["findings"].as_array().unwrap().iter();
    let bad: Vec<_> = findings
        .filter(|finding| finding["verdict"] == "bad")
        .map(|finding| (&finding["place"]["path"], &finding["remedy"]))
        .collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(
        bad.iter()
            .all(|(path, remedy)| path.is_string() && remedy.is_string())
    );
}

#[tokio::test]
async fn what_a_blueprint_requires_and_where_its_relations_lead_is_looked_at() {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "page", &[], &[]);
    sandbox.port.insert_blueprint(&json!({
        "identifier": "thing",
        "title": "thing",
        "schema": {"properties": {"name": {"type": "string", "title": "name"}}, "required": ["name"]},
        "relations": {"page": {"target": "page", "title": "page", "many": false, "required": true}},
    }));
    let things = json!({"identifier": ".id", "blueprint": "\"thing\""});
    let others = json!({"identifier": ".id", "blueprint": "\"other\""});
    install(
        &sandbox,
        &json!({"resources": [resource("component", &things), resource("incident", &others)]}),
    );

    let outcome = check(&sandbox).await;

    expect_line(
        &outcome,
        '✗',
        &["requires the property `name`", "Hint: map it"],
    );
    expect_line(&outcome, '✗', &["requires the relation `page`"]);
    expect_line(&outcome, '✗', &["no blueprint `other` in Port"]);
    outcome.expect_code(2);
}

#[tokio::test]
async fn every_problem_of_the_settings_is_a_line() {
    let sandbox = small_sandbox().await;
    let environment = without(sandbox.environment(), "OCEAN__PORT__CLIENT_SECRET");
    let environment = with(environment, "OCEAN__CLIENT_TIMEOUT", "soon");

    let outcome = portolan(&["check"], &environment).await;

    expect_line(&outcome, '✗', &["OCEAN__PORT__CLIENT_SECRET", "Hint:"]);
    expect_line(&outcome, '✗', &["OCEAN__CLIENT_TIMEOUT", "`soon`"]);
    outcome.expect_code(2);
    assert!(sandbox.port.requests().is_empty());
}

#[tokio::test]
async fn credentials_that_are_refused_do_not_hide_what_else_is_wrong() {
    let sandbox = small_sandbox().await;
    let secret = "wrong-secret-of-port-5511";
    let environment = with(sandbox.environment(), "OCEAN__PORT__CLIENT_SECRET", secret);
    let token = "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN";
    let environment = with(environment, token, "wrong-token-of-pagerduty-7733");
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/incidents"),
        Answer::status(403),
        100,
    );

    let outcome = portolan(&["check"], &environment).await;

    expect_line(&outcome, '✗', &["✗ Port:", "Hint:"]);
    expect_line(&outcome, '✗', &["✗ PagerDuty:", "401"]);
    expect_line(&outcome, '✗', &["✗ Statuspage:", "incidents", "403"]);
    expect_line(
        &outcome,
        '!',
        &["mapping", "Port could not be asked", "--mapping FILE"],
    );
    assert!(!outcome.stdout.contains("✓ mapping"), "{}", outcome.stdout);
    let printed = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!printed.contains(secret) && !printed.contains("wrong-token"));
    outcome.expect_code(2);
}

#[tokio::test]
async fn an_integration_that_port_hosts_cannot_run_here() {
    let sandbox = small_sandbox().await;
    sandbox.port.insert_integration(
        IDENTIFIER,
        &json!({"installationAppType": "portolan", "installationType": "SaasOauth2"}),
    );

    let outcome = check(&sandbox).await;

    expect_line(
        &outcome,
        '✗',
        &["hosted by Port", "OCEAN__INTEGRATION__IDENTIFIER"],
    );
    outcome.expect_code(2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_found_by_what_the_others_say() {
    let sandbox = small_sandbox().await;
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&ahead)
        .unwrap();
    // It is told of a clock that is wrong although the credentials are refused, for
    // which that may be the reason.
    let refused = Answer::status(401).with_header("date", &date);
    sandbox.pagerduty.fault(Matcher::any(), refused, 1_000);

    let outcome = check(&sandbox).await;

    expect_line(&outcome, '✗', &["clocks", "PagerDuty", "ahead of", "Hint:"]);
    expect_line(&outcome, '✓', &["clocks", "Port, Statuspage, Opsgenie"]);
    outcome.expect_code(2);
}

#[tokio::test]
async fn the_address_for_opsgenie_is_shown_with_its_token_only_when_asked_for() {
    let sandbox = small_sandbox().await;
    let environment = service(&sandbox);

    let masked = portolan(&["check"], &environment).await;
    expect_line(
        &masked,
        '!',
        &[
            "/integration/webhook/opsgenie?token=…",
            "--show-webhook-urls",
        ],
    );

    let shown = portolan(&["check", "--show-webhook-urls"], &environment).await;
    let (_, token) = shown.stdout.split_once("/opsgenie?token=").unwrap();
    let token: String = token
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    assert!(token.len() >= 32, "{}", shown.stdout);
    assert!(!shown.stderr.contains(&token) && !masked.stdout.contains(&token));
}

#[tokio::test]
async fn a_state_database_that_cannot_be_used_is_said() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes");
    fs::write(&file, "somebody's notes, and not a database at all").unwrap();
    for (path, text) in [
        (file.clone(), "cannot be used"),
        (file.join("state.sqlite3"), "cannot be created"),
    ] {
        let path = path.display().to_string();
        let environment = with(sandbox.environment(), "OCEAN__STATE_PATH", &path);
        let outcome = portolan(&["check"], &environment).await;
        expect_line(
            &outcome,
            '✗',
            &["state database", text, "OCEAN__STATE_PATH"],
        );
        outcome.expect_code(2);
    }
}

#[tokio::test]
async fn the_rules_of_the_incident_sync_are_read_where_it_is_on() {
    let sandbox = small_sandbox().await;
    let mode = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE";
    let rules = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC";
    let environment = with(sandbox.environment(), mode, "plan");

    let outcome = portolan(&["check"], &environment).await.expect_code(0);
    expect_line(&outcome, '✓', &["incident sync", "its mode is `plan`"]);

    let environment = with(environment, rules, r#"{"rulez": []}"#);
    let outcome = portolan(&["check"], &environment).await.expect_code(2);
    expect_line(
        &outcome,
        '✗',
        &["incident sync", "`rulez`", "did you mean `rules`?"],
    );
}

#[tokio::test]
async fn accounts_that_only_the_incident_sync_has_are_looked_at() {
    let sandbox = small_sandbox().await;
    let environment = with(sandbox.environment(), "STATUSPAGE_PAGE", "any");
    let environment = with(environment, "STATUSPAGE_KEY", "wrong-key-of-pagerstatus-11");
    let environment = with(environment, "PD_ACCOUNT_ACME", "wrong-token-of-acme-2244");

    let outcome = portolan(&["check"], &environment).await;

    expect_line(
        &outcome,
        '✗',
        &["Statuspage (account `pagerstatus`)", "401"],
    );
    expect_line(&outcome, '✗', &["PagerDuty (account `acme`)", "401"]);
    outcome.expect_code(2);

    let mode = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE";
    let outcome = portolan(&["check"], &with(environment, mode, "off")).await;
    outcome.expect_code(0);
}

#[tokio::test]
async fn what_a_start_would_not_take_for_a_state_database_is_said_without_opening_it() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    // Whoever opens a pipe to write waits for somebody who reads.
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (path, text) in [
        (link, "it cannot be created"),
        (pipe, "it is not a file"),
        ("/dev/null".into(), "it is not a file"),
    ] {
        let path = path.display().to_string();
        let environment = with(sandbox.environment(), "OCEAN__STATE_PATH", &path);
        let outcome = portolan(&["check"], &environment).await;
        expect_line(&outcome, '✗', &["state database", text, "Hint:"]);
        outcome.expect_code(2);
    }
}

#[tokio::test]
async fn a_secret_that_somebody_wrote_into_an_expression_is_not_shown() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment();
    let secret = environment
        .iter()
        .find(|(name, _)| name == "OCEAN__PORT__CLIENT_SECRET");
    let (_, secret) = secret.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mapping = json!({"resources": [{
        "kind": "component",
        "selector": {"query": format!(".token == {secret:?} |")},
        "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": "\"thing\""}}},
    }]});
    fs::write(directory.path().join("mapping.json"), mapping.to_string()).unwrap();

    for arguments in [
        &["check", "--mapping", "mapping.json"][..],
        &["check", "--mapping", "mapping.json", "--json"],
    ] {
        let outcome = portolan_in(directory.path(), arguments, &environment).await;
        assert!(
            !outcome.stdout.contains(secret.as_str()),
            "{}",
            outcome.stdout
        );
        assert!(outcome.stdout.contains("[REDACTED]"), "{}", outcome.stdout);
        outcome.expect_code(2);
    }
}

#[tokio::test]
async fn the_redis_of_an_incident_sync_without_a_catalog_is_looked_at() {
    let sandbox = small_sandbox().await;
    let mut environment = sandbox.environment();
    environment.retain(|(name, _)| name.starts_with("OCEAN__INTEGRATION__CONFIG__"));
    let mode = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE";
    let environment = with(environment, mode, "plan");
    let redis = "OCEAN__LIVE_EVENTS__REDIS__URL";
    let environment = with(environment, redis, "redis://127.0.0.1:1");

    let outcome = portolan(&["check"], &environment).await;

    expect_line(&outcome, '✓', &["incident sync", "its mode is `plan`"]);
    expect_line(&outcome, '✗', &["Redis", "cannot be reached", "Hint:"]);
    outcome.expect_code(2);
}
