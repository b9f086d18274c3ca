//! What Port has already is not written again.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, run_in, small_sandbox};

const BULK: &str = "/v1/blueprints/*/entities/bulk";
const PAGED: &str = "/v1/blueprints/*/entities/search";
const GROUPS: &str = "/v1/entities/search";

/// A status page with these components and nothing else.
async fn with_components(names: &[&str]) -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    sandbox.pagerduty.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for (number, name) in names.iter().enumerate() {
        sandbox.statuspage.insert(
            "component",
            &json!({"id": format!("c{number}"), "page_id": "page", "name": name, "group": false}),
        );
    }
    sandbox
}

fn rename(sandbox: &Sandbox, id: &str, name: &str) {
    let renamed = sandbox
        .statuspage
        .update("component", id, |component| component["name"] = name.into());
    assert!(renamed);
}

/// Written and unchanged in all.
fn totals(outcome: &Outcome) -> (u64, u64) {
    let rows = outcome.summary();
    let (name, counts) = rows.last().unwrap();
    assert_eq!(name, "total");
    (counts[3], counts[4])
}

/// Identifiers of the entities that were written, in order of arrival.
fn written(sandbox: &Sandbox) -> Vec<String> {
    sandbox
        .port
        .requests_to(&Matcher::post(BULK))
        .iter()
        .flat_map(|request| request.json()["entities"].as_array().unwrap().clone())
        .map(|entity| entity["identifier"].as_str().unwrap().to_owned())
        .collect()
}

fn component_mapping(extra: &Value) -> Value {
    let mut mapping = json!({"resources": [resource("component", &json!({
        "identifier": ".id",
        "title": ".name",
        "blueprint": "\"thing\"",
        "properties": {"name": ".name", "unknown": ".name"},
    }))]});
    for (key, value) in extra.as_object().unwrap() {
        mapping[key] = value.clone();
    }
    mapping
}

async fn component_sandbox(extra: &Value) -> Sandbox {
    let names: Vec<String> = (0..120).map(|number| format!("Name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sandbox = with_components(&names).await;
    blueprint(
        &sandbox,
        "thing",
        &[("name", "string"), ("own", "string")],
        &[],
    );
    install(&sandbox, &component_mapping(extra));
    sandbox
}

#[tokio::test]
async fn only_what_changed_is_written() {
    let sandbox = component_sandbox(&json!({})).await;
    let first = run_in(&sandbox).await.expect_code(0);
    assert_eq!(totals(&first), (120, 0));
    rename(&sandbox, "c7", "Renamed");
    sandbox.clear_requests();

    let second = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&second), (1, 119));
    assert_eq!(written(&sandbox), ["c7"]);
    assert_eq!(
        sandbox.port.entity("thing", "c7").unwrap()["properties"]["name"],
        "Renamed"
    );
    assert_eq!(
        sandbox.port.requested(&Matcher::post(PAGED)),
        1,
        "a page holds a thousand entities"
    );
}

#[tokio::test]
async fn what_somebody_else_changed_in_port_is_set_right() {
    let sandbox = component_sandbox(&json!({})).await;
    run_in(&sandbox).await.expect_code(0);
    let agent = sandbox.port.datasource("thing", "c1").unwrap();
    // By this installation's own hand, so that it stays its own.
    sandbox.port.insert_entity(
        "thing",
        &json!({"identifier": "c1", "title": "Other", "properties": {"own": "kept"}}),
        &agent,
    );
    // By somebody else, who owns it from then on.
    sandbox.port.insert_entity(
        "thing",
        &json!({"identifier": "c2", "properties": {"own": "kept"}}),
        "somebody",
    );
    sandbox.clear_requests();

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(written(&sandbox), ["c1", "c2"]);
    let entity = sandbox.port.entity("thing", "c1").unwrap();
    assert_eq!(entity["title"], "Name 1");
    assert_eq!(entity["properties"]["own"], "kept");
    assert_eq!(sandbox.port.datasource("thing", "c2").unwrap(), agent);
}

#[tokio::test]
async fn without_merging_what_the_mapping_does_not_mention_is_a_difference() {
    let sandbox = component_sandbox(&json!({"enableMergeEntity": false})).await;
    run_in(&sandbox).await.expect_code(0);
    sandbox.clear_requests();
    run_in(&sandbox).await.expect_code(0);
    assert_eq!(written(&sandbox), [""; 0]);

    let agent = sandbox.port.datasource("thing", "c1").unwrap();
    let own = json!({"identifier": "c1", "properties": {"own": "not kept"}});
    sandbox.port.insert_entity("thing", &own, &agent);
    run_in(&sandbox).await.expect_code(0);

    assert_eq!(written(&sandbox), ["c1"]);
    let entity = sandbox.port.entity("thing", "c1").unwrap();
    assert_eq!(entity["properties"], json!({"name": "Name 1"}));
}

#[tokio::test]
async fn where_the_paged_search_is_refused_entities_are_looked_up_in_groups() {
    let sandbox = component_sandbox(&json!({})).await;
    run_in(&sandbox).await.expect_code(0);
    rename(&sandbox, "c7", "Renamed");
    sandbox.clear_requests();
    let refused = Answer::json(404, &json!({"ok": false, "error": "not_found"}));
    sandbox.port.fault(Matcher::post(PAGED), refused, 1);

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&outcome), (1, 119));
    assert_eq!(written(&sandbox), ["c7"]);
    assert_eq!(
        sandbox.port.requested(&Matcher::post(GROUPS)),
        3,
        "pages of 100 and 20 in groups of 50"
    );
    assert!(outcome.logged("WARNING").is_empty());
}

#[tokio::test]
async fn what_cannot_be_compared_is_written() {
    let sandbox = component_sandbox(&json!({})).await;
    run_in(&sandbox).await.expect_code(0);
    sandbox.clear_requests();
    let refused = Answer::json(403, &json!({"ok": false, "error": "forbidden"}));
    sandbox.port.fault(Matcher::post(PAGED), refused.clone(), 1);
    sandbox.port.fault(Matcher::post(GROUPS), refused, 10);

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&outcome), (120, 0));
    let warnings = outcome.logged("WARNING");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("could not read the entities of `thing`")
            || warnings[0].contains("Could not read the entities of `thing`"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn entities_that_several_objects_and_resource_configs_give_are_written_once() {
    let sandbox = with_components(&["A", "B", "C"]).await;
    blueprint(
        &sandbox,
        "thing",
        &[("name", "string"), ("other", "string")],
        &[],
    );
    // All three objects are one entity, twice over, and disagree in each field.
    let mapping = |name: &str| {
        resource(
            "component",
            &json!({
                "identifier": ".page_id",
                "blueprint": "\"thing\"",
                "properties": {"name": format!("\"{name} \" + .name"), "other": ".name"},
            }),
        )
    };
    install(
        &sandbox,
        &json!({"resources": [mapping("first"), mapping("second")]}),
    );
    run_in(&sandbox).await.expect_code(0);
    let entity = sandbox.port.entity("thing", "page").unwrap();
    assert_eq!(entity["properties"]["name"], "second C");
    sandbox.clear_requests();

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&outcome), (0, 6));
    assert_eq!(written(&sandbox), [""; 0]);
}

#[tokio::test]
async fn a_blueprint_that_an_expression_decides_is_compared_too() {
    let sandbox = with_components(&["A", "B"]).await;
    blueprint(&sandbox, "thing", &[("name", "string")], &[]);
    let mut mapping = component_mapping(&json!({}));
    mapping["resources"][0]["port"]["entity"]["mappings"]["blueprint"] = json!("\"thi\" + \"ng\"");
    install(&sandbox, &mapping);
    run_in(&sandbox).await.expect_code(0);
    rename(&sandbox, "c1", "Renamed");
    sandbox.clear_requests();

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&outcome), (1, 1));
    assert_eq!(written(&sandbox), ["c1"]);
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_not_followed_for_ever() {
    let sandbox = component_sandbox(&json!({})).await;
    run_in(&sandbox).await.expect_code(0);
    sandbox.clear_requests();
    let page = |next: &str| {
        let known =
            json!({"identifier": "c7", "title": "Name 7", "properties": {"name": "Name 7"}});
        Answer::json(200, &json!({"ok": true, "entities": [known], "next": next}))
    };
    let after_a = Matcher::post(PAGED).with_body("\"from\":\"a\"");
    sandbox.port.fault(after_a, page("b"), 1_000);
    sandbox.port.fault(Matcher::post(PAGED), page("a"), 1_000);

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(totals(&outcome), (119, 1));
}
