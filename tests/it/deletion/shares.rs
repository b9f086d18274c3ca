//! What goes and what stays depends on what else there is.

use super::*;

/// Parts whose page need not be mapped.
fn parts_of_pages() -> Value {
    let mut parts = parts();
    parts["port"]["entity"]["mappings"]["relations"] = json!({"page": ".page_id"});
    parts
}

fn keeping_related(resources: &[Value]) -> Value {
    let mut mapping = mapping(resources);
    mapping["createMissingRelatedEntities"] = json!(true);
    mapping
}

#[tokio::test]
async fn a_share_counts_in_all_and_from_ten_entities_up_in_each_blueprint() {
    // Of so many components so many vanish, beside 31 pages that stay.
    for (components, vanished, code) in [(9, 6, 0), (10, 4, 0), (10, 5, 3), (60, 37, 3)] {
        let ids: Vec<String> = (0..components).map(|number| format!("c{number}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let sandbox = company(&ids).await;
        for number in 0..30 {
            let page = json!({"id": format!("page{number}"), "name": "Page"});
            sandbox.statuspage.insert("statuspage", &page);
        }
        let mut mapping = mapping(&[pages(), parts()]);
        mapping["entityDeletionThreshold"] = json!(0.4);
        install(&sandbox, &mapping);
        run_in(&sandbox).await.expect_code(0);
        for id in &ids[..vanished] {
            sandbox.statuspage.remove("component", id);
        }

        run_in(&sandbox).await.expect_code(code);

        let left = sandbox.port.entities("part").len();
        let expected = if code == 0 {
            components - vanished
        } else {
            components
        };
        assert_eq!(left, expected, "{vanished} of {components}");
        assert_eq!(sandbox.port.entities("page").len(), 31);
    }
}

#[tokio::test]
async fn too_much_in_one_blueprint_does_not_hold_back_another() {
    let ids: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sandbox = company(&ids).await;
    for number in 0..30 {
        let page = json!({"id": format!("page{number}"), "name": "Page"});
        sandbox.statuspage.insert("statuspage", &page);
    }
    let mut mapping = mapping(&[pages(), parts()]);
    mapping["entityDeletionThreshold"] = json!(0.5);
    install(&sandbox, &mapping);
    run_in(&sandbox).await.expect_code(0);
    for id in &ids[..6] {
        sandbox.statuspage.remove("component", id);
    }
    sandbox.statuspage.remove("statuspage", "page7");

    run_in(&sandbox).await.expect_code(3);

    assert_eq!(sandbox.port.entities("part").len(), 10);
    assert_eq!(sandbox.port.entities("page").len(), 30);
}

#[tokio::test]
async fn an_entity_that_was_created_for_a_relation_stays_as_long_as_the_relation() {
    let sandbox = company(&["c1", "c2"]).await;
    install(&sandbox, &keeping_related(&[parts_of_pages()]));

    run_in(&sandbox).await.expect_code(0);
    run_in(&sandbox).await.expect_code(0);
    expect_catalog(&sandbox, &["page/page", "part/c1", "part/c2"]);

    sandbox.statuspage.remove("component", "c1");
    run_in(&sandbox).await.expect_code(0);
    expect_catalog(&sandbox, &["page/page", "part/c2"]);

    sandbox.statuspage.remove("component", "c2");
    run_in(&sandbox).await.expect_code(0);
    expect_catalog(&sandbox, &[]);
}

#[tokio::test]
async fn a_relation_protects_its_target_whichever_resource_config_wrote_last() {
    for resources in [[parts_of_pages(), parts()], [parts(), parts_of_pages()]] {
        let sandbox = company(&["c1"]).await;
        install(&sandbox, &keeping_related(&resources));
        insert(&sandbox, "page", "page", &json!({}));
        insert(&sandbox, "page", "gone", &json!({}));

        run_in(&sandbox).await.expect_code(0);

        expect_catalog(&sandbox, &["page/page", "part/c1"]);
    }
}

#[tokio::test]
async fn a_cascade_is_withheld_for_a_relation_that_the_search_does_not_show() {
    let sandbox = company(&["c1"]).await;
    let mut parts = parts();
    parts["port"]["entity"]["mappings"]["relations"] = json!({"note": "[\"note\"]"});
    install(&sandbox, &keeping_related(&[parts]));
    insert(&sandbox, "page", "gone", &json!({}));
    insert_of_others(&sandbox, "note", "note", &json!({"page": "gone"}));
    let outdated = json!({"ok": true, "entities": []});
    let of_the_note =
        Matcher::post("/v1/blueprints/part/entities/search").with_body("\"blueprint\":\"note\"");
    sandbox
        .port
        .fault(of_the_note, Answer::json(200, &outdated), 1);

    let outcome = run_in(&sandbox).await.expect_code(3);

    expect_catalog(&sandbox, &["note/note", "page/gone", "part/c1"]);
    let warnings = outcome.logged("WARNING").join("\n");
    assert!(warnings.contains("relates to note/note"), "{warnings}");
}
