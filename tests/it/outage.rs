//! Whatever goes wrong in a later resync: nothing is deleted that is still there
//! or could not be checked, what can be written is written, and neither the exit
//! code nor the state in Port says that all is well when it is not.
//!
//! All of them begin alike: an account with services on three pages and a few
//! users was resynced once. Since then of both one object is gone, one has
//! another name, and one is new.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, small_sandbox};

const FOR_EVER: usize = usize::MAX;

fn id(letter: char, number: u32) -> String {
    format!("{letter}{number:05}")
}

fn insert(sandbox: &Sandbox, letter: char, number: u32, name: &str) {
    let (endpoint, kind) = match letter {
        'S' => ("services", "service"),
        _ => ("users", "user"),
    };
    sandbox.pagerduty.insert(
        endpoint,
        &json!({"id": id(letter, number), "type": kind, "name": name, "number": number}),
    );
}

/// What services become, with these mappings beside the usual ones.
fn mapping(selector: &str, differing: &Value) -> Value {
    let mut mappings = json!({
        "identifier": ".id", "title": ".name", "blueprint": "\"service\"",
        "properties": {"number": ".number"},
    });
    for (key, value) in differing.as_object().unwrap() {
        mappings[key] = value.clone();
    }
    let mut services = resource("services", &mappings);
    services["selector"]["query"] = json!(selector);
    let users = json!({"identifier": ".id", "title": ".name", "blueprint": "\"person\""});
    // No threshold: nothing but the reason in question shall keep anything.
    json!({"entityDeletionThreshold": 1, "resources": [services, resource("users", &users)]})
}

/// The account on the second day, with this mapping.
async fn second_day(mapping: &Value) -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.pagerduty.clear();
    for number in 0..250 {
        insert(&sandbox, 'S', number, "first day");
    }
    for number in 0..30 {
        insert(&sandbox, 'U', number, "first day");
    }
    blueprint(&sandbox, "service", &[("number", "number")], &[]);
    blueprint(&sandbox, "person", &[], &[]);
    install(&sandbox, &self::mapping("true", &json!({})));
    run(&sandbox).await.expect_code(0);

    sandbox.port.set_mapping(mapping.clone());
    for (letter, endpoint, new) in [('S', "services", 250), ('U', "users", 30)] {
        sandbox.pagerduty.remove(endpoint, &id(letter, 3));
        insert(&sandbox, letter, 5, "second day");
        insert(&sandbox, letter, new, "second day");
    }
    sandbox.clear_requests();
    sandbox
}

async fn run(sandbox: &Sandbox) -> Outcome {
    portolan(&["run"], &sandbox.environment_for(SourceName::Pagerduty)).await
}

/// The title of a service or a user in the catalog.
fn title(sandbox: &Sandbox, letter: char, number: u32) -> Option<String> {
    let blueprint = if letter == 'S' { "service" } else { "person" };
    let entity = sandbox.port.entity(blueprint, &id(letter, number))?;
    entity["title"].as_str().map(str::to_owned)
}

/// The three objects that are not what they were: is one gone, has one its new
/// name, is one there?
fn news(sandbox: &Sandbox, letter: char) -> [bool; 3] {
    let new = if letter == 'S' { 250 } else { 30 };
    [
        title(sandbox, letter, 3).is_none(),
        title(sandbox, letter, 5).as_deref() == Some("second day"),
        title(sandbox, letter, new).is_some(),
    ]
}

/// Whatever is still there upstream is still there in the catalog.
#[track_caller]
fn assert_nothing_lost(sandbox: &Sandbox) {
    for (letter, endpoint, old) in [('S', "services", 250), ('U', "users", 30)] {
        for number in 0..old {
            if sandbox
                .pagerduty
                .object(endpoint, &id(letter, number))
                .is_some()
            {
                assert!(title(sandbox, letter, number).is_some(), "{letter}{number}");
            }
        }
    }
}

fn state(sandbox: &Sandbox) -> Value {
    sandbox.port.resync_states().last().unwrap()["status"].clone()
}

/// The services could not be read to the end: they stay, and all else goes on.
#[track_caller]
fn assert_only_services_withheld(sandbox: &Sandbox) {
    assert_nothing_lost(sandbox);
    let [gone, renamed, _] = news(sandbox, 'S');
    assert!(!gone, "what could not be checked is deleted");
    assert!(renamed, "what could be written is not written");
    assert_eq!(news(sandbox, 'U'), [true; 3]);
    assert_eq!(state(sandbox), "failed");
}

/// The next run, with nothing in its way, makes up for everything.
async fn assert_made_up_for(sandbox: &Sandbox) {
    sandbox.pagerduty.clear_faults();
    sandbox.port.clear_faults();
    run(sandbox).await.expect_code(0);
    assert_nothing_lost(sandbox);
    assert_eq!(news(sandbox, 'S'), [true; 3]);
    assert_eq!(news(sandbox, 'U'), [true; 3]);
    assert_eq!(state(sandbox), "completed");
}

fn services_from(offset: &str) -> Matcher {
    Matcher::get("/services").with_query("offset", offset)
}

#[tokio::test]
async fn a_list_that_breaks_off_in_the_middle_deletes_nothing_of_its_blueprint() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    sandbox
        .pagerduty
        .fault(services_from("100"), Answer::status(403), FOR_EVER);

    run(&sandbox).await.expect_code(3);

    assert_only_services_withheld(&sandbox);
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn a_page_that_leaves_objects_out_deletes_nothing_of_its_blueprint() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    let short = json!({"services": [], "limit": 100, "offset": 100, "total": 250, "more": false});
    sandbox
        .pagerduty
        .fault(services_from("100"), Answer::json(200, &short), FOR_EVER);

    run(&sandbox).await.expect_code(3);

    assert_only_services_withheld(&sandbox);
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn a_page_that_arrives_in_half_is_asked_for_again() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    for damaged in [Answer::truncated(), Answer::cut_mid_body()] {
        sandbox.pagerduty.fault(services_from("100"), damaged, 1);
    }

    run(&sandbox).await.expect_code(0);

    assert_nothing_lost(&sandbox);
    assert_eq!(news(&sandbox, 'S'), [true; 3]);
    assert_eq!(state(&sandbox), "completed");
}

#[tokio::test]
async fn a_list_beyond_pagerdutys_cap_deletes_nothing_of_its_blueprint() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    for number in 251..10_003 {
        insert(&sandbox, 'S', number, "too many");
    }

    let outcome = run(&sandbox).await.expect_code(3);

    assert!(outcome.logged("ERROR")[0].contains("10000 of 10002"));
    assert_nothing_lost(&sandbox);
    assert!(!news(&sandbox, 'S')[0]);
    assert_eq!(news(&sandbox, 'U'), [true; 3]);
    assert_eq!(state(&sandbox), "failed");
}

#[tokio::test]
async fn an_object_whose_identifier_fails_stays_and_so_does_the_rest_of_its_blueprint() {
    let identifier = "if .id == \"S00007\" then error(\"no\") else .id end";
    let sandbox = second_day(&mapping("true", &json!({"identifier": identifier}))).await;

    run(&sandbox).await.expect_code(3);

    assert_only_services_withheld(&sandbox);
    sandbox.port.set_mapping(mapping("true", &json!({})));
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn an_object_whose_selector_fails_stays_and_so_does_the_rest_of_its_blueprint() {
    let selector = "if .id == \"S00007\" then error(\"no\") else true end";
    let sandbox = second_day(&mapping(selector, &json!({}))).await;

    run(&sandbox).await.expect_code(3);

    assert_only_services_withheld(&sandbox);
    sandbox.port.set_mapping(mapping("true", &json!({})));
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn a_property_that_fails_is_null_and_keeps_nothing_from_being_deleted() {
    let number = "if .id == \"S00007\" then error(\"no\") else .number end";
    let sandbox = second_day(&mapping("true", &json!({"properties": {"number": number}}))).await;

    run(&sandbox).await.expect_code(0);

    let entity = sandbox.port.entity("service", &id('S', 7)).unwrap();
    assert!(entity["properties"].get("number").is_none());
    assert_nothing_lost(&sandbox);
    assert_eq!(news(&sandbox, 'S'), [true; 3]);
    assert_eq!(state(&sandbox), "completed");
}

#[tokio::test]
async fn an_entity_that_port_refuses_stays_as_it_was() {
    let number = "if .id == \"S00005\" then \"many\" else .number end";
    let sandbox = second_day(&mapping("true", &json!({"properties": {"number": number}}))).await;

    run(&sandbox).await.expect_code(3);

    assert_nothing_lost(&sandbox);
    // Everything was read, so what is gone is gone.
    assert_eq!(news(&sandbox, 'S'), [true, false, true]);
    assert_eq!(news(&sandbox, 'U'), [true; 3]);
}

#[tokio::test]
async fn a_port_that_does_not_say_what_it_holds_deletes_nothing() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    let question = Matcher::post("/v1/blueprints/entities/datasource-entities");
    sandbox
        .port
        .fault(question.clone(), Answer::status(403), FOR_EVER);

    run(&sandbox).await.expect_code(3);

    assert!(sandbox.port.requested(&question) > 0);
    assert_nothing_lost(&sandbox);
    assert_eq!(news(&sandbox, 'S'), [false, true, true]);
    assert_eq!(news(&sandbox, 'U'), [false, true, true]);
    assert_eq!(state(&sandbox), "failed");
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn a_port_that_refuses_every_entity_keeps_what_it_has_and_the_run_failed() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    sandbox.port.fault(
        Matcher::post("/v1/blueprints/*/entities/bulk"),
        Answer::status(403),
        FOR_EVER,
    );

    run(&sandbox).await.expect_code(3);

    assert_nothing_lost(&sandbox);
    for letter in ['S', 'U'] {
        let [_, renamed, new] = news(&sandbox, letter);
        assert!(!renamed && !new);
    }
    assert_made_up_for(&sandbox).await;
}

#[tokio::test]
async fn a_port_that_stumbles_at_every_step_is_waited_for() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    for route in [
        "/v1/auth/access_token",
        "/v1/integration*",
        "/v1/blueprints/*/entities/search",
        "/v1/blueprints/*/entities/bulk",
        "/v1/blueprints/entities/datasource-entities",
        "/v1/blueprints/*/bulk/entities/delete",
    ] {
        for answer in [Answer::status(503), Answer::html(502), Answer::cut()] {
            sandbox.port.fault(Matcher::path(route), answer, 1);
        }
    }

    run(&sandbox).await.expect_code(0);

    assert_nothing_lost(&sandbox);
    assert_eq!(news(&sandbox, 'S'), [true; 3]);
    assert_eq!(news(&sandbox, 'U'), [true; 3]);
    assert_eq!(state(&sandbox), "completed");
}

/// How long Port is down. Each request that meets it may wait as long again.
const OUTAGE: Duration = Duration::from_secs(6);

#[tokio::test]
async fn an_outage_of_port_in_the_middle_of_a_resync_costs_nothing_but_time() {
    let sandbox = second_day(&mapping("true", &json!({}))).await;
    let asked = services_from("100");
    let outage = async {
        while sandbox.pagerduty.requested(&asked) == 0 {
            tokio::task::yield_now().await;
        }
        sandbox
            .port
            .fault(Matcher::any(), Answer::status(503), FOR_EVER);
        // The outage is real time, as the waiting of the program is.
        tokio::time::sleep(OUTAGE).await;
        sandbox.port.clear_faults();
    };

    let (outcome, ()) = tokio::join!(run(&sandbox), outage);

    outcome.expect_code(0);
    assert_nothing_lost(&sandbox);
    assert_eq!(news(&sandbox, 'S'), [true; 3]);
    assert_eq!(news(&sandbox, 'U'), [true; 3]);
    assert_eq!(state(&sandbox), "completed");
}
