//! Several objects, or several resource configs, that write one entity.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, run_in, small_sandbox, with};

/// Statuspage with one page, and these objects on it.
async fn one_page(objects: &[(&str, Value)]) -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for (kind, object) in objects {
        let mut object = object.clone();
        object["page_id"] = json!("page");
        sandbox.statuspage.insert(kind, &object);
    }
    sandbox
}

fn component(id: &str, name: &str) -> (&'static str, Value) {
    ("component", json!({"id": id, "name": name, "group": false}))
}

/// Mapped, settled (written or left as it is) and failed in all.
#[track_caller]
fn totals(outcome: &Outcome) -> (u64, u64, u64) {
    let rows = outcome.summary();
    let (name, [_, _, mapped, written, unchanged, failed]) = rows.last().unwrap();
    assert_eq!(name, "total");
    (*mapped, written + unchanged, *failed)
}

#[tokio::test]
async fn an_entity_that_waited_for_its_target_keeps_what_every_resource_config_said() {
    let sandbox = one_page(&[
        component("c1", "One"),
        ("component_group", json!({"id": "g1", "name": "Group"})),
    ])
    .await;
    let properties = [
        ("first", "string"),
        ("both", "string"),
        ("second", "string"),
    ];
    blueprint(&sandbox, "team", &[], &[]);
    blueprint(&sandbox, "page", &properties, &[("owner", "team")]);
    let writing = |kind: &str, name: &str, relations: Value| {
        let mut resource = resource(
            kind,
            &json!({
                "identifier": ".page_id",
                "title": format!("\"{name}\""),
                "blueprint": "\"page\"",
                "properties": {name: format!("\"{name}\""), "both": format!("\"{name}\"")},
                "relations": relations,
            }),
        );
        resource["selector"]["query"] = json!(".group != true");
        resource
    };
    install(
        &sandbox,
        &json!({
            "createMissingRelatedEntities": false,
            "resources": [
                writing("component_group", "first", json!({})),
                writing("component", "second", json!({"owner": ".page_id"})),
                resource("statuspage", &json!({"identifier": ".id", "blueprint": "\"team\""})),
            ],
        }),
    );
    // The second resource config comes first, and the target last of all.
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/component-groups"),
        Answer::real().after(Duration::from_millis(150)),
        1,
    );
    sandbox.port.fault(
        Matcher::post("/v1/blueprints/team/entities/bulk"),
        Answer::real().after(Duration::from_millis(300)),
        1,
    );

    let outcome = run_in(&sandbox).await.expect_code(0);

    let entity = sandbox.port.entity("page", "page").unwrap();
    assert_eq!(entity["title"], "second");
    assert_eq!(
        entity["properties"],
        json!({"first": "first", "both": "second", "second": "second"})
    );
    assert_eq!(entity["relations"]["owner"], "page");
    assert_eq!(totals(&outcome), (3, 3, 0));
}

#[tokio::test]
async fn of_two_objects_with_one_identifier_the_later_is_kept_though_the_earlier_had_to_wait() {
    let sandbox = one_page(&[component("c1", "earlier"), component("c2", "later")]).await;
    blueprint(&sandbox, "owner", &[], &[]);
    blueprint(&sandbox, "thing", &[], &[("owner", "owner")]);
    install(
        &sandbox,
        &json!({
            "createMissingRelatedEntities": false,
            "resources": [
                resource("component", &json!({
                    "identifier": ".page_id",
                    "title": ".name",
                    "blueprint": "\"thing\"",
                    "relations": {"owner": "if .id == \"c1\" then .id else null end"},
                })),
                resource("component", &json!({"identifier": ".id", "blueprint": "\"owner\""})),
            ],
        }),
    );
    // One entity a request: the two objects do not meet before they are sent.
    let environment = with(
        sandbox.environment_for(SourceName::Statuspage),
        "OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH",
        "1",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    let entity = sandbox.port.entity("thing", "page").unwrap();
    assert_eq!(entity["title"], "later");
    assert_eq!(entity["relations"]["owner"], Value::Null);
    assert_eq!(totals(&outcome), (4, 4, 0));
}

#[tokio::test]
async fn without_merging_the_later_resource_config_replaces_the_whole_entity() {
    for slow in ["/v1/pages/*/components", "/v1/pages/*/component-groups"] {
        let sandbox = one_page(&[
            component("c1", "One"),
            component("c2", "Two"),
            ("component_group", json!({"id": "g1", "name": "Group"})),
        ])
        .await;
        blueprint(
            &sandbox,
            "page",
            &[("first", "string"), ("second", "string")],
            &[],
        );
        let writing = |kind: &str, name: &str| {
            let mut resource = resource(
                kind,
                &json!({
                    "identifier": ".page_id",
                    "blueprint": "\"page\"",
                    "properties": {name: ".name"},
                }),
            );
            resource["selector"]["query"] = json!(".group != true");
            resource
        };
        install(
            &sandbox,
            &json!({
                "enableMergeEntity": false,
                "resources": [writing("component", "first"), writing("component_group", "second")],
            }),
        );
        sandbox.statuspage.fault(
            Matcher::get(slow),
            Answer::real().after(Duration::from_millis(150)),
            1,
        );

        let outcome = run_in(&sandbox).await.expect_code(0);

        let entity = sandbox.port.entity("page", "page").unwrap();
        assert_eq!(
            entity["properties"],
            json!({"second": "Group"}),
            "slow: {slow}"
        );
        assert_eq!(totals(&outcome), (3, 3, 0), "slow: {slow}");
    }
}

#[tokio::test]
async fn searches_reach_port_as_they_are_written() {
    let sandbox = one_page(&[component("c1", "One"), component("c2", "Two")]).await;
    blueprint(&sandbox, "owner", &[("label", "string")], &[]);
    blueprint(
        &sandbox,
        "thing",
        &[("label", "string"), ("seen", "string")],
        &[("owner", "owner")],
    );
    let equals = |property: &str, value: &str| json!({"combinator": "and", "rules": [{"property": property, "operator": "=", "value": value}]});
    install(
        &sandbox,
        &json!({"resources": [
            // What the searches find is only there when everything else is.
            resource("component", &json!({
                "identifier": equals("label", ".name"),
                "blueprint": "\"thing\"",
                "properties": {"seen": "\"yes\""},
                "relations": {"owner": equals("label", ".name")},
            })),
            resource("component", &json!({
                "identifier": "\"owner-\" + .id",
                "blueprint": "\"owner\"",
                "properties": {"label": ".name"},
            })),
            resource("component", &json!({
                "identifier": ".id",
                "blueprint": "\"thing\"",
                "properties": {"label": ".name"},
            })),
        ]}),
    );

    run_in(&sandbox).await.expect_code(0);

    let entity = sandbox.port.entity("thing", "c2").unwrap();
    assert_eq!(entity["properties"], json!({"label": "Two", "seen": "yes"}));
    assert_eq!(entity["relations"]["owner"], "owner-c2");
    assert_eq!(sandbox.port.entities("thing").len(), 2);
}

#[tokio::test]
async fn targets_that_nothing_maps_are_created_where_the_mapping_says_so() {
    let sandbox = one_page(&[component("c1", "One")]).await;
    blueprint(&sandbox, "owner", &[], &[]);
    blueprint(&sandbox, "thing", &[], &[("owner", "owner")]);
    install(
        &sandbox,
        &json!({
            "createMissingRelatedEntities": true,
            "resources": [resource("component", &json!({
                "identifier": ".id",
                "blueprint": "\"thing\"",
                "relations": {"owner": ".page_id"},
            }))],
        }),
    );

    run_in(&sandbox).await.expect_code(0);

    assert!(sandbox.port.entity("owner", "page").is_some());
    let bulk = Matcher::post("/v1/blueprints/thing/entities/bulk");
    let sent = sandbox.port.requests_to(&bulk);
    let parameter = |name: &str| sent[0].parameter(name).map(str::to_owned);
    assert_eq!(parameter("merge").unwrap(), "true");
    assert_eq!(
        parameter("create_missing_related_entities").unwrap(),
        "true"
    );
    assert_eq!(parameter("ocean_info_event_type").unwrap(), "resync");
    assert!(parameter("ocean_info_resync_id").is_some());
}
