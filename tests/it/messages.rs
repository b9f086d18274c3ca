//! What an operator reads while a run goes on, word for word.
//!
//! Ports and times differ from run to run and are replaced; everything else is
//! what the binary printed.

use std::fmt::Write as _;
use std::process::Stdio;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, run_in, small_sandbox, with};

/// `WARNING message` for each log line from this level on, with the simulators
/// named instead of their addresses.
fn said(outcome: &Outcome, sandbox: &Sandbox, levels: &[&str]) -> String {
    let mut text = String::new();
    for line in outcome.lines() {
        let level = line["level"].as_str().unwrap();
        if levels.contains(&level) {
            let message = line["message"].as_str().unwrap();
            writeln!(text, "{level} {}", stable(message, sandbox)).unwrap();
        }
    }
    text
}

const TROUBLE: [&str; 2] = ["WARNING", "ERROR"];

fn stable(message: &str, sandbox: &Sandbox) -> String {
    let mut text = message.to_owned();
    for (name, url) in [
        ("http://port", sandbox.port.url()),
        ("http://statuspage", sandbox.statuspage.url()),
        ("http://pagerduty", sandbox.pagerduty.url()),
    ] {
        text = text.replace(url.as_str().trim_end_matches('/'), name);
    }
    for (changing, shown) in [(r"\d+\.\d s\b", "… s"), (r"trace [0-9a-f]{32}", "trace …")] {
        let changing = regex::Regex::new(changing).unwrap();
        text = changing.replace_all(&text, shown).into_owned();
    }
    text
}

async fn sandbox_with(resources: &[Value]) -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "thing", &[("position", "number")], &[]);
    install(&sandbox, &json!({ "resources": resources }));
    sandbox
}

fn thing(kind: &str, identifier: &str, properties: &Value) -> Value {
    resource(
        kind,
        &json!({"identifier": identifier, "blueprint": "\"thing\"", "properties": properties}),
    )
}

#[tokio::test]
async fn refused_credentials() {
    let sandbox = small_sandbox().await;
    let mut environment = sandbox.environment();
    for name in [
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN",
        "OCEAN__PORT__CLIENT_SECRET",
    ] {
        environment = with(environment, name, "not-the-right-one");
    }

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"
    ERROR Cannot work with Port: POST http://port/v1/auth/access_token answered 401: The client id and secret do not belong together (trace …). Hint: check OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, and that OCEAN__PORT__BASE_URL is your organization's region: https://api.us.getport.io in the US
    ERROR Cannot work with Statuspage: GET http://statuspage/v1/pages answered 401: Could not authenticate. Hint: check OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY: the key is wrong or has been revoked
    ERROR Cannot work with PagerDuty: GET http://pagerduty/users answered 401: Authorization required. Hint: check OCEAN__INTEGRATION__CONFIG__TOKEN (or …__PAGERDUTY_TOKEN): it is wrong, has been revoked or belongs to another region; accounts in the EU need …__API_URL=https://api.eu.pagerduty.com
    ");
}

#[tokio::test]
async fn a_host_where_nobody_listens() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment_for(SourceName::Pagerduty),
        "OCEAN__INTEGRATION__CONFIG__API_URL",
        // The discard port: nobody listens there.
        "http://127.0.0.1:9",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(1);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"ERROR Cannot work with PagerDuty: GET http://127.0.0.1:9/users could not connect (5 attempts): Connection refused (os error 111). Hint: check that a firewall lets this address through, and HTTPS_PROXY and NO_PROXY if a proxy is needed");
}

#[tokio::test]
async fn a_token_that_cannot_be_sent() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment_for(SourceName::Pagerduty),
        "OCEAN__INTEGRATION__CONFIG__TOKEN",
        "two\nlines",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"ERROR Cannot start: the PagerDuty token cannot be sent in a header: it holds a line break or another control character. Hint: check the setting for a stray line break");
}

#[tokio::test]
async fn a_folder_of_defaults_that_is_not_there() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment(),
        "OCEAN__RESOURCES_PATH",
        "/nonexistent/resources",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"ERROR Cannot start: there is no folder /nonexistent/resources with default blueprints and mapping. Hint: correct OCEAN__RESOURCES_PATH, or leave it out for the defaults that come with the program");
    // An empty mapping would have been stored, and kept for good.
    assert!(sandbox.port.integration().is_none());

    // The original's own folder stands for what is built in.
    let environment = with(environment, "OCEAN__RESOURCES_PATH", ".port/resources");
    portolan(&["run"], &environment).await.expect_code(0);
}

#[tokio::test]
async fn a_mapping_with_mistakes_keeps_its_carets() {
    let sandbox = sandbox_with(&[
        thing("component", ".id", &json!({"position": ".position |"})),
        thing("incidnt", ".id", &json!({})),
    ])
    .await;

    let outcome = run_in(&sandbox).await.expect_code(1);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"
    ERROR Nothing was resynced: the mapping in Port has 2 problems

      resources[0].port.entity.mappings.properties.position
          .position |
                     ^
        unexpected end of the expression, expected an expression

      resources[1].kind
        there is no kind `incidnt`
        hint: did you mean `incident`?

    Hint: correct the mapping on the data source's page in Port
    ");
}

#[tokio::test]
async fn expressions_and_entities_that_fail() {
    let sandbox = sandbox_with(&[
        thing("statuspage", ".name", &json!({})),
        thing(
            "component_group",
            ".id",
            &json!({"position": ".name | tonumber"}),
        ),
        thing("component", "\"one\"", &json!({})),
    ])
    .await;

    let outcome = run_in(&sandbox).await.expect_code(3);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @r#"
    ERROR resources[0].port.entity.mappings.identifier: `.name` gave an identifier that Port would refuse: it contains a space; use `.name | gsub("[^A-Za-z0-9@_.+:\\\\/=-]"; "-")` (3 objects, one of them `Ctrlv Solutions`)
    WARNING resources[1].port.entity.mappings.properties.position: `.name | tonumber` failed: string ("Backend") cannot be parsed as a number; the field is null (7 objects, one of them `9w477s340zqt`)
    WARNING `component` gave an identifier twice for 33 of its objects, `one` for example; the later object was kept. Hint: an identifier expression that tells them apart keeps both
    WARNING Resync partly done: 41 entities written, 0 unchanged, 0 deleted, 3 failed in … s; the lines above say why
    "#);
}

#[tokio::test]
async fn a_kind_that_cannot_be_listed() {
    let sandbox = sandbox_with(&[
        thing("component", ".id", &json!({})),
        thing("schedules", ".id", &json!({})),
    ])
    .await;
    sandbox
        .pagerduty
        .fault(Matcher::get("/schedules"), Answer::status(403), 1);

    let outcome = run_in(&sandbox).await.expect_code(3);

    insta::assert_snapshot!(said(&outcome, &sandbox, &TROUBLE), @"
    ERROR `schedules` is incomplete, 0 entities were resynced: could not list schedules from offset 0: GET http://pagerduty/schedules answered 403: Access Denied: The sandbox was told to fail here. Hint: the owner of the token may not read this: check its role and scopes
    WARNING Resync partly done: 34 entities written, 0 unchanged, 0 deleted, 0 failed in … s; the lines above say why
    ");
    assert!(outcome.stdout.contains("| schedules (incomplete) |"));
}

#[tokio::test]
async fn a_first_start_on_a_terminalless_machine() {
    let sandbox = small_sandbox().await;

    let outcome = portolan(&["run"], &sandbox.environment_for(SourceName::Pagerduty))
        .await
        .expect_code(0);

    insta::assert_snapshot!(said(&outcome, &sandbox, &["INFO", "WARNING", "ERROR"]), @"
    INFO Starting Portolan 0.1.0 as integration `portolan-sandbox` of type `pagerduty`
    INFO Created the integration in Port
    INFO Created 6 blueprints in Port
    INFO Resynced 16 entities of `services`, 16 of them changed
    INFO Resynced 14 entities of `incidents (resources[1])`, 14 of them changed
    INFO Resynced 50 entities of `incidents (resources[2])`, 50 of them changed
    INFO Resynced 8 entities of `schedules`, 8 of them changed
    INFO Resynced 27 entities of `oncalls`, 27 of them changed
    INFO Resynced 7 entities of `escalation_policies`, 7 of them changed
    INFO Resynced 28 entities of `users`, 28 of them changed
    INFO Resync done: 150 entities written, 0 unchanged, 0 deleted in … s
    ");
}

#[tokio::test]
async fn what_the_sandbox_prints() {
    let outcome = portolan(&["sandbox"], &[]).await.expect_code(0);

    let (table, entities) = outcome.stdout.split_once("\n\n").unwrap();
    let names: Vec<&str> = table
        .lines()
        .map(|row| row.trim_matches('|').split('|').next().unwrap().trim())
        .collect();
    let mut entities = entities.lines();
    let heading = entities.next().unwrap();
    let entities = entities.map(|entity| {
        let entity: Value = serde_json::from_str(entity).unwrap();
        let keys: Vec<&String> = entity.as_object().unwrap().keys().collect();
        format!("{}: {keys:?}", entity["blueprint"])
    });
    insta::assert_snapshot!(
        [names.join("\n"), heading.to_owned(), entities.collect::<Vec<_>>().join("\n")].join("\n\n"),
        @r#"
        kind
        --------------------------
        statuspage
        component_group
        component
        statuspage.incident
        incident_update
        services
        incidents (resources[6])
        incidents (resources[7])
        schedules
        oncalls
        escalation_policies
        users
        user
        team
        schedule
        service
        alert
        opsgenie.incident
        schedule-oncall
        total

        Three of the entities that the simulated Port holds now:

        "statuspageComponent": ["identifier", "title", "icon", "blueprint", "team", "properties", "relations", "createdAt", "createdBy", "updatedAt", "updatedBy"]
        "pagerdutyService": ["identifier", "title", "icon", "blueprint", "team", "properties", "relations", "createdAt", "createdBy", "updatedAt", "updatedBy"]
        "opsGenieAlert": ["identifier", "title", "icon", "blueprint", "team", "properties", "relations", "createdAt", "createdBy", "updatedAt", "updatedBy"]
        "#
    );
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
        .arg("sandbox")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(child.stdout.take());

    let output = child.wait_with_output().await.unwrap();

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
