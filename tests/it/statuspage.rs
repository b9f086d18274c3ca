//! Statuspage: every page of every list, of the status pages that are asked for.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, small_sandbox, with};

/// Two status pages with this many components, mapped as things.
async fn two_pages(components: usize) -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    for page in ["one", "two"] {
        sandbox
            .statuspage
            .insert("statuspage", &json!({"id": page, "name": page}));
        for number in 0..components {
            sandbox.statuspage.insert(
                "component",
                &json!({"id": format!("{page}-{number}"), "page_id": page, "name": "Component"}),
            );
        }
    }
    blueprint(&sandbox, "thing", &[], &[]);
    blueprint(&sandbox, "page", &[], &[]);
    let mapped = |kind: &str, blueprint: &str| {
        resource(
            kind,
            &json!({"identifier": ".id", "blueprint": format!("\"{blueprint}\"")}),
        )
    };
    install(
        &sandbox,
        &json!({"resources": [mapped("component", "thing"), mapped("statuspage", "page")]}),
    );
    sandbox
}

fn environment(sandbox: &Sandbox) -> Vec<(String, String)> {
    sandbox.environment_for(SourceName::Statuspage)
}

#[tokio::test]
async fn lists_of_more_than_a_page_are_read_to_their_end() {
    for components in [99, 100, 101, 250] {
        let sandbox = two_pages(components).await;

        portolan(&["run"], &environment(&sandbox))
            .await
            .expect_code(0);

        assert_eq!(sandbox.port.entities("thing").len(), 2 * components);
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_paging_is_not_asked_for_ever() {
    let sandbox = two_pages(0).await;
    let all: Vec<Value> = (0..150)
        .map(|number| json!({"id": format!("c{number}"), "page_id": "one"}))
        .collect();
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/one/components"),
        Answer::json(200, &json!(all)),
        usize::MAX,
    );

    let outcome = portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 150);
    let (_, [fetched, ..]) = outcome.summary().remove(0);
    assert_eq!(fetched, 150);
    assert!(outcome.logged("WARNING").is_empty());
}

#[tokio::test]
async fn an_object_that_moves_to_the_next_page_is_counted_once() {
    let sandbox = two_pages(0).await;
    let page = |numbers: std::ops::Range<u32>| -> Value {
        numbers
            .map(|number| json!({"id": format!("c{number}"), "page_id": "one"}))
            .collect()
    };
    let components = Matcher::get("/v1/pages/one/components");
    for (number, objects) in [("1", page(0..100)), ("2", page(99..120))] {
        sandbox.statuspage.fault(
            components.clone().with_query("page", number),
            Answer::json(200, &objects),
            1,
        );
    }

    let outcome = portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    let (_, [fetched, _, _, written, _, _]) = outcome.summary().remove(0);
    assert_eq!((fetched, written), (120, 120));
    assert!(outcome.logged("WARNING").is_empty());
}

#[tokio::test]
async fn only_the_status_pages_that_are_named_are_read() {
    let sandbox = two_pages(3).await;
    let environment = with(
        environment(&sandbox),
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS",
        r#"["two", "two"]"#,
    );

    portolan(&["run"], &environment).await.expect_code(0);

    let things = sandbox.port.entities("thing");
    assert_eq!(things.len(), 3);
    assert!(things.keys().all(|thing| thing.starts_with("two-")));
    let pages = sandbox.port.entities("page");
    assert_eq!(pages.keys().collect::<Vec<_>>(), ["two"]);
    let other = Matcher::get("/v1/pages/one/*");
    assert_eq!(sandbox.statuspage.requested(&other), 0);
    let named = Matcher::get("/v1/pages/two/components");
    assert_eq!(sandbox.statuspage.requested(&named), 1);
}

#[tokio::test]
async fn a_status_page_that_the_key_may_not_read_does_not_hide_the_others() {
    let sandbox = two_pages(3).await;
    let environment = with(
        environment(&sandbox),
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS",
        r#"["gone", "two"]"#,
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(3);

    assert_eq!(sandbox.port.entities("thing").len(), 3);
    assert!(
        outcome
            .logged("ERROR")
            .iter()
            .any(|error| error.contains("page gone") && error.contains("404")),
        "{:?}",
        outcome.logged("ERROR")
    );
    assert!(
        outcome
            .logged("ERROR")
            .iter()
            .any(|error| error.contains("does not see the page `gone`")),
        "{:?}",
        outcome.logged("ERROR")
    );
}

#[tokio::test]
async fn every_page_of_status_pages_is_read_where_they_are_paged() {
    let sandbox = two_pages(0).await;
    for number in 0..150 {
        sandbox.statuspage.insert(
            "statuspage",
            &json!({"id": format!("p{number}"), "name": "Page"}),
        );
    }
    for paged in [false, true] {
        sandbox.statuspage.page_the_pages(paged);

        portolan(&["run"], &environment(&sandbox))
            .await
            .expect_code(0);

        assert_eq!(sandbox.port.entities("page").len(), 152, "paged: {paged}");
        sandbox
            .port
            .entities("page")
            .keys()
            .for_each(|page| assert!(sandbox.port.remove_entity("page", page)));
    }
}
