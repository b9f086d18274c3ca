//! Plans of what is not known for certain: searches that Port is to resolve, and a Port
//! that does not answer.

use portolan::sandbox::{Answer, Matcher};
use serde_json::json;

use super::cases::{company, mapping, pages, parts};
use super::{plan, resync_as_planned};
use crate::installed::resource;
use crate::program::portolan;

#[tokio::test]
async fn what_port_searches_for_is_planned_by_what_the_search_finds_now() {
    let (sandbox, environment) = company().await;
    let by_title = |value: &str| {
        json!({
            "combinator": "and",
            "rules": [{"property": "$title", "operator": "=", "value": value}],
        })
    };
    let related = resource(
        "component",
        &json!({
            "identifier": ".id", "blueprint": "\"part\"", "relations": {"page": by_title("\"Page\"")},
        }),
    );
    let found = resource(
        "statuspage",
        &json!({
            "identifier": by_title("\"c1\""), "blueprint": "\"part\"",
            "properties": {"status": "\"watched\""},
        }),
    );
    sandbox
        .port
        .set_mapping(mapping(&[pages(), related, found]));

    let planned = plan(&sandbox, &[], &environment).await;

    // Nothing is deleted of a blueprint in which Port searches.
    assert_eq!(planned.told(), ["change part/c1", "create part/c4"]);
    assert_eq!(
        planned.entities()[0]["fields"],
        json!([{"field": "properties.status", "old": "operational", "new": "watched"}])
    );
    assert_eq!(
        planned.entities()[1]["fields"],
        json!([{"field": "relations.page", "old": null, "new": "page"}])
    );
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();

    let again = plan(&sandbox, &["--exit-code"], &environment).await;
    assert_eq!(again.told(), [""; 0]);
    assert!(again.catalog()["rewritten"].as_u64() > Some(0));
    again.outcome.expect_code(0);
}

#[tokio::test]
async fn a_search_that_finds_nothing_or_too_much_is_refused() {
    let (sandbox, environment) = company().await;
    let searching = |operator: &str, value: &str| {
        resource(
            "statuspage",
            &json!({
                "identifier": {"combinator": "and", "rules": [
                    {"property": "$title", "operator": operator, "value": value},
                ]},
                "blueprint": "\"part\"", "properties": {"status": "\"watched\""},
            }),
        )
    };
    let searches = [searching("=", "\"nobody\""), searching("!=", "\"nobody\"")];
    sandbox.port.set_mapping(mapping(&searches));

    let planned = plan(&sandbox, &[], &environment).await;

    let refused = |place: usize| &planned.catalog()["kinds"][place]["refusals"][0]["reason"];
    assert_eq!(refused(0), "the search finds no entity");
    assert_eq!(refused(1), "the search finds 3 entities");
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_cannot_be_compared_and_stays_the_same_is_nothing_to_do() {
    let (sandbox, environment) = company().await;
    portolan(&["run"], &environment).await.expect_code(0);
    // Entities cannot be read page by page, nor by their names.
    for path in ["/v1/blueprints/part/entities/search", "/v1/entities/search"] {
        sandbox
            .port
            .fault(Matcher::post(path), Answer::status(403), 1);
    }

    let planned = plan(&sandbox, &["--exit-code"], &environment).await;

    assert_eq!(planned.told(), [""; 0]);
    assert_eq!(planned.catalog()["rewritten"], 3);
    planned.outcome.expect_code(0);
}

#[tokio::test]
async fn where_port_does_not_say_what_it_has_there_is_no_plan_for_it() {
    let (sandbox, environment) = company().await;
    let search = Matcher::post("/v1/entities/search");
    sandbox.port.fault(search, Answer::status(403), usize::MAX);

    let planned = plan(&sandbox, &[], &environment).await;

    assert_eq!(planned.told(), ["delete part/c3"]);
    assert_eq!(planned.document["summary"]["refused"], 2);
    planned.outcome.expect_code(3);
}

#[tokio::test]
async fn a_kind_that_nobody_could_read_is_a_plan_that_failed() {
    let (sandbox, environment) = company().await;
    sandbox.port.set_mapping(mapping(&[parts()]));
    let components = Matcher::get("/v1/pages/*/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), usize::MAX);

    let planned = plan(&sandbox, &["--exit-code"], &environment).await;

    let errors = &planned.catalog()["kinds"][0]["errors"];
    assert!(errors[0].as_str().unwrap().contains("403"), "{errors}");
    planned.outcome.expect_code(1);
}
