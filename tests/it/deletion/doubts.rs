//! What is not known for certain does not go.

use std::time::Duration;

use jiff::Timestamp;
use portolan::sandbox::{Clock, SandboxOptions};

use super::*;

/// The company, and a clock of Port's that is an hour behind and stands still.
async fn company_behind(components: &[&str]) -> (Sandbox, Clock) {
    let clock = Clock::fixed(Timestamp::now() - Duration::from_hours(1));
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone()).await;
    (fill(sandbox.unwrap(), components), clock)
}

fn named(sandbox: &Sandbox, identifier: &str, name: &str) {
    let entity = json!({"identifier": identifier, "properties": {"name": name}});
    sandbox.port.insert_entity("part", &entity, OURS);
}

/// Parts that have the name already, whatever their identifiers are.
fn parts_by_name(identifier: &Value) -> Value {
    let mut parts = parts();
    let mappings = &mut parts["port"]["entity"]["mappings"];
    mappings["identifier"] = identifier.clone();
    mappings["title"] = json!(".name");
    parts
}

#[tokio::test]
async fn nothing_goes_of_a_blueprint_in_which_port_searches_for_entities() {
    let spelt_out = json!({"combinator": "and",
        "rules": [{"property": "name", "operator": "=", "value": ".name"}]});
    let made_up =
        json!(r#"{combinator: "and", rules: [{property: "name", operator: "=", value: .name}]}"#);
    for identifier in [spelt_out, made_up] {
        // Behind, so that what the search has found seems not to be written.
        let (sandbox, clock) = company_behind(&["c1"]).await;
        install(&sandbox, &mapping(&[pages(), parts_by_name(&identifier)]));
        named(&sandbox, "found", "c1");
        named(&sandbox, "left", "somebody");
        insert(&sandbox, "page", "gone", &json!({}));

        run_in(&sandbox).await.expect_code(0);

        expect_catalog(&sandbox, &["page/page", "part/found", "part/left"]);
        let found = sandbox.port.entity("part", "found").unwrap();
        assert_eq!(found["title"], "c1");

        // Somebody else may have made what is left when there is nothing to find.
        clock.advance(Duration::from_mins(1));
        sandbox.statuspage.remove("component", "c1");
        run_in(&sandbox).await.expect_code(0);
        expect_catalog(&sandbox, &["page/page", "part/found", "part/left"]);
    }
}

#[tokio::test]
async fn what_a_resync_writes_stays_though_port_s_clock_is_behind() {
    let (sandbox, clock) = company_behind(&["c1", "c2", "c3"]).await;
    let mut parts = parts();
    parts["port"]["entity"]["mappings"]["relations"] =
        json!({"page": ".page_id", "note": "[\"stub\"]"});
    let mut mapping = mapping(&[parts]);
    mapping["createMissingRelatedEntities"] = json!(true);
    install(&sandbox, &mapping);
    insert(&sandbox, "part", "gone", &json!({}));

    run_in(&sandbox).await.expect_code(0);
    let first = ["note/stub", "page/page", "part/c1", "part/c2", "part/c3"];
    expect_catalog(&sandbox, &first);

    clock.advance(Duration::from_mins(1));
    sandbox.statuspage.remove("component", "c2");
    sandbox.statuspage.update("component", "c3", |component| {
        component["name"] = json!("Renamed");
    });
    run_in(&sandbox).await.expect_code(0);

    expect_catalog(&sandbox, &["note/stub", "page/page", "part/c1", "part/c3"]);
}

#[tokio::test]
async fn what_a_resync_writes_does_not_count_twice_though_port_s_clock_is_behind() {
    let ids: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (sandbox, clock) = company_behind(&ids).await;
    let mut mapping = mapping(&[parts()]);
    mapping["entityDeletionThreshold"] = json!(0.4);
    install(&sandbox, &mapping);
    run_in(&sandbox).await.expect_code(0);

    // Half of ten go, the others change, and ten are new.
    clock.advance(Duration::from_mins(1));
    for (number, id) in ids.iter().enumerate() {
        if number < 5 {
            sandbox.statuspage.remove("component", id);
        } else {
            sandbox.statuspage.update("component", id, |component| {
                component["name"] = json!("Renamed");
            });
        }
        let new =
            json!({"id": format!("n{number}"), "name": "New", "page_id": "page", "group": false});
        sandbox.statuspage.insert("component", &new);
    }
    let outcome = run_in(&sandbox).await.expect_code(3);

    assert_eq!(sandbox.port.entities("part").len(), 20);
    let warnings = outcome.logged("WARNING").join("\n");
    assert!(warnings.contains("50.0 %"), "{warnings}");
}

#[tokio::test]
async fn a_mapping_without_resources_deletes_nothing_below_a_threshold_of_one() {
    let sandbox = company(&["c1"]).await;
    let mut empty = mapping(&[]);
    empty["entityDeletionThreshold"] = json!(0.99);
    install(&sandbox, &empty);
    insert(&sandbox, "part", "gone", &json!({}));

    run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["part/gone"]);
}

#[tokio::test]
async fn a_cascade_spares_what_an_incomplete_kind_feeds_though_port_s_clock_is_ahead() {
    let (sandbox, clock) = company_behind(&["c1"]).await;
    install(&sandbox, &mapping(&[pages(), parts()]));
    insert(&sandbox, "page", "gone", &json!({}));
    insert(&sandbox, "page", "free", &json!({}));
    clock.advance(Duration::from_hours(2));
    // Later than the resync begins, so not among what was there before.
    insert(&sandbox, "part", "unlisted", &json!({"page": "gone"}));
    let components = Matcher::get("/v1/pages/page/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), 10);

    run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["page/gone", "page/page", "part/unlisted"]);
}

#[tokio::test]
async fn what_stands_on_two_pages_of_the_listing_counts_once() {
    let ids: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sandbox = company(&ids).await;
    let mut mapping = mapping(&[parts()]);
    mapping["entityDeletionThreshold"] = json!(0.4);
    install(&sandbox, &mapping);
    run_in(&sandbox).await.expect_code(0);
    for id in &ids[..5] {
        sandbox.statuspage.remove("component", id);
    }
    // The five that stay come twice.
    let named = |id: &&str| json!({"identifier": id, "blueprint": "part"});
    let page = |entities: Vec<Value>, next: Value| {
        Answer::json(
            200,
            &json!({"ok": true, "entities": entities, "next": next}),
        )
    };
    let listing = || Matcher::post(LISTING);
    let first = page(ids[5..].iter().map(named).collect(), json!("more"));
    let second = page(ids.iter().map(named).collect(), Value::Null);
    sandbox
        .port
        .fault(listing().with_body("\"from\""), second, 1);
    sandbox.port.fault(listing(), first, 1);

    run_in(&sandbox).await.expect_code(3);

    assert_eq!(sandbox.port.entities("part").len(), 10);
}

#[tokio::test]
async fn a_port_that_puts_off_every_deletion_is_not_asked_for_each_entity() {
    let sandbox = company(&["c1"]).await;
    install(&sandbox, &singly(&[pages(), parts()]));
    for number in 0..40 {
        insert(&sandbox, "part", &format!("gone{number}"), &json!({}));
    }
    let later = Answer::status(429).with_header("retry-after", "3600");
    sandbox.port.fault(Matcher::delete("*"), later, 1_000);

    run_in(&sandbox).await.expect_code(3);

    // Four in a row, and as many as were on their way together.
    assert!(sandbox.port.requested(&Matcher::delete("*")) <= 8);
    assert_eq!(sandbox.port.entities("part").len(), 41);
}
