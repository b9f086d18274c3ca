//! What the sources no longer have is deleted from Port, and nothing else.
//!
//! Whatever a share has to be below is in `shares`; here it is 1. What is not
//! known well enough, and clocks that do not agree, are in `doubts`.

mod doubts;
mod shares;

use std::collections::BTreeSet;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{run_in, small_sandbox};

/// This installation, in an earlier version.
const OURS: &str = "port-ocean/portolan/0.0.1/portolan-sandbox/exporter";

const LISTING: &str = "/v1/blueprints/entities/datasource-entities";
const BULK_DELETE: &str = "/v1/blueprints/*/bulk/entities/delete";

/// A Statuspage with one page and these components, and a Port with blueprints
/// for pages, parts, and notes of somebody else's.
async fn company(components: &[&str]) -> Sandbox {
    fill(small_sandbox().await, components)
}

fn fill(sandbox: Sandbox, components: &[&str]) -> Sandbox {
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for id in components {
        let component = json!({"id": id, "name": id, "page_id": "page", "group": false});
        sandbox.statuspage.insert("component", &component);
    }
    blueprint(&sandbox, "page", &[], &[]);
    blueprint(
        &sandbox,
        "part",
        &[("name", "string")],
        &[("page", "page"), ("above", "part")],
    );
    blueprint(
        &sandbox,
        "note",
        &[],
        &[("page", "page"), ("part", "part"), ("next", "note")],
    );
    // The definition has to know notes before parts may relate to them.
    let mut part = sandbox.port.blueprints()["part"].clone();
    part["relations"]["note"] =
        json!({"target": "note", "title": "note", "many": true, "required": false});
    sandbox.port.insert_blueprint(&part);
    sandbox
}

fn pages() -> Value {
    resource(
        "statuspage",
        &json!({"identifier": ".id", "blueprint": "\"page\""}),
    )
}

fn parts() -> Value {
    resource(
        "component",
        &json!({
            "identifier": ".id",
            "blueprint": "\"part\"",
            "properties": {"name": ".name"},
        }),
    )
}

/// A mapping that lets everything go that there is no other reason to keep.
fn mapping(resources: &[Value]) -> Value {
    json!({
        "deleteDependentEntities": true,
        "createMissingRelatedEntities": false,
        "entityDeletionThreshold": 1,
        "resources": resources,
    })
}

fn singly(resources: &[Value]) -> Value {
    let mut mapping = mapping(resources);
    mapping["deleteDependentEntities"] = json!(false);
    mapping
}

fn insert(sandbox: &Sandbox, blueprint: &str, identifier: &str, relations: &Value) {
    let entity = json!({"identifier": identifier, "relations": relations});
    sandbox.port.insert_entity(blueprint, &entity, OURS);
}

fn insert_of_others(sandbox: &Sandbox, blueprint: &str, identifier: &str, relations: &Value) {
    let entity = json!({"identifier": identifier, "relations": relations});
    sandbox.port.insert_entity(blueprint, &entity, "somebody");
}

/// Everything in Port, `blueprint/identifier`.
fn catalog(sandbox: &Sandbox) -> BTreeSet<String> {
    let of = |blueprint: &String| {
        let entities = sandbox.port.entities(blueprint).into_keys();
        let named: Vec<_> = entities.map(|id| format!("{blueprint}/{id}")).collect();
        named
    };
    sandbox.port.blueprints().keys().flat_map(of).collect()
}

#[track_caller]
fn expect_catalog(sandbox: &Sandbox, expected: &[&str]) {
    let catalog = catalog(sandbox);
    let catalog: Vec<&str> = catalog.iter().map(String::as_str).collect();
    assert_eq!(catalog, expected);
    assert_eq!(sandbox.problems(), [""; 0]);
}

#[tokio::test]
async fn what_is_gone_upstream_is_deleted_by_the_next_resync() {
    for mapping in [mapping(&[pages(), parts()]), singly(&[pages(), parts()])] {
        let sandbox = company(&["c1", "c2", "c3"]).await;
        install(&sandbox, &mapping);
        run_in(&sandbox).await.expect_code(0);
        expect_catalog(&sandbox, &["page/page", "part/c1", "part/c2", "part/c3"]);

        sandbox.statuspage.remove("component", "c2");
        run_in(&sandbox).await.expect_code(0);

        expect_catalog(&sandbox, &["page/page", "part/c1", "part/c3"]);
        let states = sandbox.port.resync_states();
        assert_eq!(states.last().unwrap()["status"], "completed");
    }
}

#[tokio::test]
async fn a_resync_that_leaves_nothing_over_deletes_nothing() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    run_in(&sandbox).await.expect_code(0);
    sandbox.port.forbid(Matcher::post(BULK_DELETE));

    run_in(&sandbox).await.expect_code(0);

    expect_catalog(&sandbox, &["page/page", "part/c1"]);
}

#[tokio::test]
async fn what_somebody_else_wrote_is_never_touched() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    for (number, agent) in [
        "somebody",
        "port-ocean/portolan/0.0.1/another/exporter",
        "port-ocean/pagerduty/0.0.1/portolan-sandbox/exporter",
        "port-ocean/portolan/0.0.1/portolan-sandbox",
    ]
    .iter()
    .enumerate()
    {
        let entity = json!({"identifier": format!("other{number}")});
        sandbox.port.insert_entity("part", &entity, agent);
    }
    insert(&sandbox, "part", "ours", &json!({}));

    run_in(&sandbox).await.expect_code(0);

    let others = ["part/other0", "part/other1", "part/other2", "part/other3"];
    let expected = [&["page/page", "part/c1"], &others[..]].concat();
    expect_catalog(&sandbox, &expected);
}

#[tokio::test]
async fn a_kind_whose_listing_fails_half_way_withholds_its_blueprint_alone() {
    let components: Vec<String> = (0..150).map(|number| format!("c{number:03}")).collect();
    let components: Vec<&str> = components.iter().map(String::as_str).collect();
    let sandbox = company(&components).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    run_in(&sandbox).await.expect_code(0);
    insert(&sandbox, "page", "gone", &json!({}));
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/page/components").with_query("page", "2"),
        Answer::status(403),
        10,
    );

    run_in(&sandbox).await.expect_code(3);

    assert_eq!(sandbox.port.entities("part").len(), 150);
    assert!(sandbox.port.entity("page", "gone").is_none());
    let states = sandbox.port.resync_states();
    assert_eq!(states.last().unwrap()["status"], "failed");
}

#[tokio::test]
async fn an_expression_or_a_selector_that_fails_for_one_object_withholds_its_blueprint() {
    let mut by_expression = parts();
    by_expression["port"]["entity"]["mappings"]["identifier"] =
        json!("if .id == \"c1\" then error(\"no\") else .id end");
    let mut by_selector = parts();
    by_selector["selector"]["query"] = json!("if .id == \"c1\" then error(\"no\") else true end");
    for failing in [by_expression, by_selector] {
        let sandbox = company(&["c1", "c2"]).await;
        install(&sandbox, &mapping(&[pages(), parts()]));
        run_in(&sandbox).await.expect_code(0);
        insert(&sandbox, "part", "gone", &json!({}));
        insert(&sandbox, "page", "gone", &json!({}));
        sandbox.port.set_mapping(mapping(&[pages(), failing]));

        run_in(&sandbox).await.expect_code(3);

        expect_catalog(&sandbox, &["page/page", "part/c1", "part/c2", "part/gone"]);
    }
}

#[tokio::test]
async fn an_incomplete_kind_whose_blueprint_is_computed_withholds_everything() {
    let sandbox = company(&["c1"]).await;
    let mut computed = parts();
    computed["port"]["entity"]["mappings"]["blueprint"] =
        json!("if .id == \"c1\" then \"part\" else null end");
    install(&sandbox, &mapping(&[pages(), computed]));
    insert(&sandbox, "part", "gone", &json!({}));
    insert(&sandbox, "page", "gone", &json!({}));
    insert(&sandbox, "note", "gone", &json!({}));

    run_in(&sandbox).await.expect_code(0);
    expect_catalog(&sandbox, &["page/page", "part/c1"]);

    for blueprint in ["part", "page", "note"] {
        insert(&sandbox, blueprint, "gone", &json!({}));
    }
    let components = Matcher::get("/v1/pages/page/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), 10);
    run_in(&sandbox).await.expect_code(3);

    let stay = [
        "note/gone",
        "page/gone",
        "page/page",
        "part/c1",
        "part/gone",
    ];
    expect_catalog(&sandbox, &stay);
}

#[tokio::test]
async fn what_a_removed_resource_config_wrote_goes_unless_that_is_too_much() {
    let sandbox = company(&["c1", "c2"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    run_in(&sandbox).await.expect_code(0);
    let mut without_parts = mapping(&[pages()]);
    without_parts["entityDeletionThreshold"] = json!(0.5);

    sandbox.port.set_mapping(without_parts);
    run_in(&sandbox).await.expect_code(3);
    expect_catalog(&sandbox, &["page/page", "part/c1", "part/c2"]);

    sandbox.port.set_mapping(mapping(&[pages()]));
    run_in(&sandbox).await.expect_code(0);
    expect_catalog(&sandbox, &["page/page"]);
}

#[tokio::test]
async fn a_threshold_of_zero_deletes_nothing_ever() {
    let sandbox = company(&["c1"]).await;
    let mut never = mapping(&[pages(), parts()]);
    never["entityDeletionThreshold"] = json!(0);
    install(&sandbox, &never);
    insert(&sandbox, "part", "gone", &json!({}));

    run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["page/page", "part/c1", "part/gone"]);
}

#[tokio::test]
async fn what_was_mapped_stays_even_if_port_would_not_take_it() {
    let sandbox = company(&["c1"]).await;
    let mut refused = parts();
    // The blueprint wants text.
    refused["port"]["entity"]["mappings"]["properties"]["name"] = json!("5");
    install(&sandbox, &mapping(&[pages(), refused]));
    insert(&sandbox, "part", "c1", &json!({}));
    insert(&sandbox, "part", "gone", &json!({}));

    run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["page/page", "part/c1"]);
}

#[tokio::test]
async fn a_cascade_that_would_take_a_mapped_entity_is_withheld() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    insert(&sandbox, "page", "direct", &json!({}));
    insert(&sandbox, "page", "indirect", &json!({}));
    insert(&sandbox, "page", "free", &json!({}));
    insert_of_others(&sandbox, "note", "note", &json!({"page": "indirect"}));
    insert_of_others(&sandbox, "note", "alone", &json!({"page": "free"}));
    // Merging keeps these relations, although the mapping does not have them.
    insert(
        &sandbox,
        "part",
        "c1",
        &json!({"page": "direct", "note": ["note"]}),
    );

    run_in(&sandbox).await.expect_code(3);

    // What belongs to others may go along with what has to go.
    let stay = [
        "note/note",
        "page/direct",
        "page/indirect",
        "page/page",
        "part/c1",
    ];
    expect_catalog(&sandbox, &stay);
}

#[tokio::test]
async fn a_cascade_that_would_take_what_is_withheld_is_withheld_too() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    insert(&sandbox, "page", "gone", &json!({}));
    insert(&sandbox, "page", "free", &json!({}));
    insert(&sandbox, "part", "gone", &json!({"page": "gone"}));
    let components = Matcher::get("/v1/pages/page/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), 10);

    run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["page/gone", "page/page", "part/gone"]);
}

#[tokio::test]
async fn what_a_candidate_itself_relates_to_does_not_keep_it() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    // The same identifier in another blueprint is another entity.
    insert(&sandbox, "page", "c1", &json!({}));
    insert(
        &sandbox,
        "part",
        "gone",
        &json!({"page": "page", "above": "c1"}),
    );
    insert(
        &sandbox,
        "part",
        "below",
        &json!({"page": "c1", "above": "gone"}),
    );

    run_in(&sandbox).await.expect_code(0);

    expect_catalog(&sandbox, &["page/page", "part/c1"]);
}

#[tokio::test]
async fn nothing_goes_along_with_anything_if_dependents_are_to_stay() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &singly(&[pages(), parts()]));
    insert(&sandbox, "page", "free", &json!({}));
    insert(&sandbox, "page", "held", &json!({}));
    insert(&sandbox, "page", "held/too", &json!({}));
    insert(&sandbox, "part", "bottom", &json!({"page": "free"}));
    insert(&sandbox, "part", "a-middle", &json!({"above": "bottom"}));
    insert(
        &sandbox,
        "part",
        "z-top",
        &json!({"above": "a-middle", "page": "free"}),
    );
    insert_of_others(&sandbox, "note", "note", &json!({"page": "held"}));
    insert(&sandbox, "part", "c1", &json!({"page": "held/too"}));

    run_in(&sandbox).await.expect_code(3);

    let stay = [
        "note/note",
        "page/held",
        "page/held/too",
        "page/page",
        "part/c1",
    ];
    expect_catalog(&sandbox, &stay);
    let deletions = Matcher::delete("*").with_query("delete_dependents", "true");
    assert_eq!(sandbox.port.requested(&deletions), 0);
    assert_eq!(sandbox.port.requested(&Matcher::post(BULK_DELETE)), 0);
}

#[tokio::test]
async fn any_identifier_that_port_allows_can_be_deleted() {
    for mapping in [mapping(&[pages(), parts()]), singly(&[pages(), parts()])] {
        let sandbox = company(&["c1"]).await;
        install(&sandbox, &mapping);
        for identifier in [
            "a/b/c",
            "grüße",
            "部品",
            "x@y+z=1",
            r"back\slash",
            "...",
            "a:b",
        ] {
            insert(&sandbox, "part", identifier, &json!({}));
        }

        run_in(&sandbox).await.expect_code(0);

        expect_catalog(&sandbox, &["page/page", "part/c1"]);
    }
}

#[tokio::test]
async fn twelve_thousand_entities_are_listed_in_pages_and_deleted_in_bulk() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    // Nothing relates to these, so nothing has to be looked up for them.
    blueprint(&sandbox, "line", &[], &[("page", "page")]);
    for number in 0..12_000 {
        insert(&sandbox, "line", &format!("line-{number}"), &json!({}));
    }
    sandbox
        .port
        .forbid(Matcher::post("/v1/blueprints/*/entities/search").with_body("relatedTo"));

    run_in(&sandbox).await.expect_code(0);

    expect_catalog(&sandbox, &["page/page", "part/c1"]);
    assert_eq!(sandbox.port.requested(&Matcher::post(LISTING)), 3);
    let bulk = sandbox.port.requests_to(&Matcher::post(BULK_DELETE));
    assert_eq!(bulk.len(), 120);
}

#[tokio::test]
async fn half_a_listing_deletes_nothing() {
    let endless = json!({"ok": true, "next": "again",
                         "entities": [{"identifier": "gone", "blueprint": "page"}]});
    for (answer, times) in [
        (Answer::status(403), 10),
        (Answer::json(200, &endless), 10),
        (Answer::json(200, &json!({"ok": true})), 10),
    ] {
        let sandbox = company(&["c1"]).await;
        install(&sandbox, &mapping(&[pages(), parts()]));
        insert(&sandbox, "page", "gone", &json!({}));
        for number in 0..5_000 {
            insert(&sandbox, "note", &number.to_string(), &json!({}));
        }
        let second_page = Matcher::post(LISTING).with_body("\"from\"");
        sandbox.port.fault(second_page, answer, times);
        sandbox.port.forbid(Matcher::post(BULK_DELETE));

        run_in(&sandbox).await.expect_code(3);

        assert_eq!(catalog(&sandbox).len(), 5_003);
        assert_eq!(sandbox.problems(), [""; 0]);
    }
}

#[tokio::test]
async fn one_entity_that_port_refuses_to_delete_does_not_spare_the_others() {
    for mapping in [mapping(&[pages(), parts()]), singly(&[pages(), parts()])] {
        let sandbox = company(&["c1"]).await;
        install(&sandbox, &mapping);
        for number in 0..30 {
            insert(&sandbox, "part", &format!("gone{number}"), &json!({}));
        }
        for matcher in [
            Matcher::post(BULK_DELETE).with_body("\"gone7\""),
            Matcher::delete("*/entities/gone7"),
        ] {
            sandbox.port.fault(matcher, Answer::status(422), 100);
        }

        run_in(&sandbox).await.expect_code(3);

        expect_catalog(&sandbox, &["page/page", "part/c1", "part/gone7"]);
    }
}

#[tokio::test]
async fn what_depends_on_a_candidate_has_to_be_known_before_it_goes() {
    let search = Matcher::post("/v1/blueprints/part/entities/search");
    let table = [
        (
            search.with_body("\"blueprint\":\"page\""),
            vec!["page/gone", "page/page", "part/c1"],
        ),
        (
            Matcher::get("/v1/blueprints"),
            vec![
                "note/gone",
                "page/gone",
                "page/page",
                "part/c1",
                "part/gone",
            ],
        ),
    ];
    for (matcher, stay) in table {
        let sandbox = company(&["c1"]).await;
        install(&sandbox, &mapping(&[pages(), parts()]));
        for blueprint in ["note", "page", "part"] {
            insert(&sandbox, blueprint, "gone", &json!({}));
        }
        sandbox.port.fault(matcher, Answer::status(403), 100);

        run_in(&sandbox).await.expect_code(3);

        expect_catalog(&sandbox, &stay);
    }
}
