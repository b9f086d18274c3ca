//! What is mapped gets into Port, and what does not is counted and named.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{run_in, small_sandbox};

const BULK: &str = "/v1/blueprints/*/entities/bulk";

/// Components of Statuspage as things with a name and a status.
fn components(properties: &Value) -> Value {
    resource(
        "component",
        &json!({
            "identifier": ".id",
            "title": ".name",
            "blueprint": "\"thing\"",
            "properties": properties,
        }),
    )
}

async fn sandbox_with_things(mapping: &Value) -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(
        &sandbox,
        "thing",
        &[("status", "string"), ("position", "number")],
        &[],
    );
    install(&sandbox, mapping);
    sandbox
}

fn listed_components(sandbox: &Sandbox) -> usize {
    // The API lists groups as components, too.
    sandbox.statuspage.count("component") + sandbox.statuspage.count("component_group")
}

#[tokio::test]
async fn an_entity_that_port_refuses_is_named_and_stops_nobody_else() {
    let sandbox = sandbox_with_things(&json!({"resources": [components(&json!({
        // A text where the blueprint wants a number, for one of them.
        "position": "if .position == 1 then \"first\" else .position end",
    }))]}))
    .await;

    let outcome = run_in(&sandbox).await.expect_code(3);

    let (_, [fetched, _, mapped, written, _, failed]) = outcome.summary().remove(0);
    assert_eq!(fetched, mapped);
    assert_eq!(written + failed, mapped);
    assert!(
        failed > 0 && written > 0,
        "{written} written, {failed} failed"
    );
    assert_eq!(sandbox.port.entities("thing").len() as u64, written);
    let errors = outcome.logged("ERROR");
    assert!(
        errors
            .iter()
            .any(|error| error.contains("Port refused") && error.contains("position")),
        "{errors:?}"
    );
    // Refused entities do not make the resync a failed one in Port.
    assert_eq!(
        sandbox.port.resync_states().last().unwrap()["status"],
        "completed"
    );
}

#[tokio::test]
async fn a_request_that_is_too_large_or_spoilt_is_halved() {
    for status in [413, 422, 400] {
        let sandbox = sandbox_with_things(&json!({"resources": [components(&json!({}))]})).await;
        sandbox
            .port
            .fault(Matcher::post(BULK), Answer::status(status), 1);

        run_in(&sandbox).await.expect_code(0);

        assert_eq!(
            sandbox.port.entities("thing").len(),
            listed_components(&sandbox),
            "after a {status}"
        );
    }
}

#[tokio::test]
async fn what_port_stumbles_over_is_sent_again() {
    let sandbox = sandbox_with_things(&json!({"resources": [components(&json!({}))]})).await;
    sandbox
        .port
        .fault(Matcher::post(BULK), Answer::status(503), 1);
    sandbox.port.fault(Matcher::post(BULK), Answer::cut(), 1);

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(
        sandbox.port.entities("thing").len(),
        listed_components(&sandbox)
    );
}

#[tokio::test]
async fn a_token_that_port_withdraws_is_renewed() {
    let sandbox = sandbox_with_things(&json!({"resources": [components(&json!({}))]})).await;
    sandbox
        .port
        .fault(Matcher::post(BULK), Answer::status(401), 1);

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(
        sandbox
            .port
            .requested(&Matcher::post("/v1/auth/access_token")),
        2
    );
}

#[tokio::test]
async fn entities_wait_for_their_relation_targets() {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "page", &[], &[]);
    blueprint(&sandbox, "group", &[], &[("page", "page")]);
    blueprint(
        &sandbox,
        "part",
        &[("status", "string")],
        &[("group", "group"), ("page", "page")],
    );
    let of = |kind: &str, blueprint: &str, relations: Value| {
        resource(
            kind,
            &json!({
                "identifier": ".id",
                "title": ".name",
                "blueprint": format!("\"{blueprint}\""),
                "properties": if blueprint == "part" { json!({"status": ".status"}) } else { json!({}) },
                "relations": relations,
            }),
        )
    };
    // What depends on others comes first.
    install(
        &sandbox,
        &json!({
            "createMissingRelatedEntities": false,
            "resources": [
                of("component", "part", json!({"group": ".group_id", "page": ".page_id"})),
                of("component_group", "group", json!({"page": ".page_id"})),
                of("statuspage", "page", json!({})),
            ],
        }),
    );
    // The pages come last for certain.
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/component-groups"),
        Answer::real().after(Duration::from_millis(100)),
        1,
    );

    run_in(&sandbox).await.expect_code(0);

    for part in sandbox.port.entities("part").values() {
        assert!(part["title"].is_string(), "the whole entity: {part}");
        assert!(part["properties"]["status"].is_string(), "{part}");
        assert!(part["relations"]["page"].is_string(), "{part}");
    }
    assert_eq!(
        sandbox.port.entities("part").len(),
        listed_components(&sandbox)
    );
}

#[tokio::test]
async fn a_relation_target_that_never_comes_is_told() {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "page", &[], &[]);
    blueprint(&sandbox, "part", &[], &[("page", "page")]);
    install(
        &sandbox,
        &json!({
            "createMissingRelatedEntities": false,
            "resources": [resource("component", &json!({
                "identifier": ".id",
                "blueprint": "\"part\"",
                "relations": {"page": ".page_id"},
            }))],
        }),
    );

    let outcome = run_in(&sandbox).await.expect_code(3);

    let (_, [_, _, mapped, written, _, failed]) = outcome.summary().remove(0);
    assert_eq!((written, failed), (0, mapped));
}

#[tokio::test]
async fn the_later_resource_config_wins_whatever_finishes_first() {
    for slow in ["/v1/pages/*/components", "/v1/pages/*/component-groups"] {
        let sandbox = small_sandbox().await;
        blueprint(
            &sandbox,
            "page",
            &[
                ("first", "string"),
                ("both", "string"),
                ("second", "string"),
            ],
            &[],
        );
        let writing = |kind: &str, name: &str| {
            resource(
                kind,
                &json!({
                    "identifier": ".page_id",
                    "title": format!("\"{name}\""),
                    "blueprint": "\"page\"",
                    "properties": {name: format!("\"{name}\""), "both": format!("\"{name}\"")},
                }),
            )
        };
        install(
            &sandbox,
            &json!({"resources": [writing("component", "first"), writing("component_group", "second")]}),
        );
        sandbox.statuspage.fault(
            Matcher::get(slow),
            Answer::real().after(Duration::from_millis(150)),
            1,
        );

        run_in(&sandbox).await.expect_code(0);

        // Only pages that have groups are written by both.
        let groups = sandbox.statuspage.objects("component_group");
        let page = groups[0]["page_id"].as_str().unwrap();
        let entity = sandbox.port.entity("page", page).unwrap();
        assert_eq!(entity["title"], "second", "slow: {slow}");
        assert_eq!(
            entity["properties"],
            json!({"first": "first", "both": "second", "second": "second"}),
            "slow: {slow}"
        );
    }
}

#[tokio::test]
async fn identifiers_that_two_objects_share_are_told_once() {
    let sandbox = sandbox_with_things(&json!({"resources": [resource("component", &json!({
        "identifier": ".page_id",
        "blueprint": "\"thing\"",
    }))]}))
    .await;

    let outcome = run_in(&sandbox).await.expect_code(0);

    let warnings: Vec<String> = outcome
        .logged("WARNING")
        .into_iter()
        .filter(|warning| warning.contains("gave an identifier twice"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        sandbox.port.entities("thing").len(),
        sandbox.statuspage.count("statuspage")
    );
}

#[tokio::test]
async fn an_identifier_that_port_would_refuse_is_caught_before_it_is_sent() {
    let sandbox = sandbox_with_things(&json!({"resources": [resource("component", &json!({
        "identifier": "\"not allowed: \" + .id",
        "blueprint": "\"thing\"",
    }))]}))
    .await;

    let outcome = run_in(&sandbox).await.expect_code(3);

    let errors = outcome.logged("ERROR");
    assert!(
        errors.iter().any(|error| error.contains("gsub")),
        "the expression to use instead: {errors:?}"
    );
    assert_eq!(sandbox.port.requested(&Matcher::post(BULK)), 0);
}
