//! `portolan map --explain`: why objects become what they become.

use serde_json::json;

use super::{fed, mapping_in};

const OBJECTS: &str = r#"[
    {"id": "P1", "title": "One", "status": "open", "service": null, "people": [{"name": "A"}]},
    {"id": "P2", "title": "Two", "status": "resolved"},
    {"id": "P3", "status": "open", "service": {"id": "S"}, "people": "many"}]"#;

#[tokio::test]
async fn every_field_is_shown_with_its_value_or_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| text);
    let arguments = ["map", "--mapping", "mapping.yaml", "--explain"];
    let outcome = fed(directory.path(), &arguments, &[], OBJECTS)
        .await
        .expect_code(0);

    insta::assert_snapshot!(outcome.stderr, @"3 objects of `incidents`: 2 entities, 1 filtered, 0 failed");
    insta::assert_snapshot!(outcome.stdout, @r#"
    object 1 `P1` by resources[0]: becomes the entity `P1` of `incident`
        selector.query      .status != "resolved" → true
        identifier          .id → "P1"
        blueprint           "incident" → "incident"
        title               .title → "One"
        properties.service  .service.summary → null: `.service` is null
        properties.names    .people | map(.name) | join(",") → "A"
        relations.service   .service.id → null: `.service` is null

    object 2 `P2` by resources[0]: is dropped by selector.query
        selector.query  .status != "resolved" → false: `.status` is "resolved"

    object 3 `P3` by resources[0]: becomes the entity `P3` of `incident`
        selector.query      .status != "resolved" → true
        identifier          .id → "P3"
        blueprint           "incident" → "incident"
        title               .title → null: `.title` is missing
        properties.service  .service.summary → null: `.service.summary` is missing
        properties.names    .people | map(.name) | join(",") → failed
            mapping.yaml:13:20  resources[0].port.entity.mappings.properties.names
                .people | map(.name) | join(",")
                          ^^^^^^^^^^
              failed: cannot iterate over string ("many")
              hint: `[]` wants a list or an object: `[]?` gives nothing where there is none, and `// []` before it makes null an empty list
        relations.service   .service.id → "S"
    "#);
}

#[tokio::test]
async fn an_object_without_an_entity_says_which_expression_took_it() {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| {
        text.replace("query: .status != \"resolved\"", "query: .status")
    });
    let arguments = ["map", "--mapping", "mapping.yaml", "--explain"];
    let object = r#"{"id": "P1", "status": "open"}"#;
    let outcome = fed(directory.path(), &arguments, &[], object)
        .await
        .expect_code(3);
    insta::assert_snapshot!(outcome.stdout, @r#"
    object 1 `P1` by resources[0]: fails
        selector.query  .status → "open"
            mapping.yaml:4:14  resources[0].selector.query
                .status
                ^^^^^^^
              gave a text instead of true or false; the object is lost
              hint: compare, so that it is true or false: `.key == true`, `.key != null`
    "#);

    mapping_in(directory.path(), |text| {
        text.replace("identifier: .id", "identifier: .key")
    });
    let outcome = fed(directory.path(), &arguments, &[], object)
        .await
        .expect_code(0);
    let (head, _) = outcome.stdout.split_once('\n').unwrap();
    assert_eq!(head, "object 1 `P1` by resources[0]: is left out");
    assert!(
        outcome.stdout.contains(".key → null: `.key` is missing"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn items_are_explained_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| {
        text.replace(
            "      entity:",
            "      itemsToParse: .people\n      entity:",
        )
        .replace("identifier: .id", "identifier: .item.name")
    });
    let arguments = ["map", "--mapping", "mapping.yaml", "--explain"];
    let objects = r#"[{"id": "P1", "people": [{"name": "A"}, {"name": "B"}]}, {"id": "P2"}, {"id": "P3", "people": 3}]"#;
    let outcome = fed(directory.path(), &arguments, &[], objects)
        .await
        .expect_code(3);
    let heads: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("object"))
        .collect();
    assert_eq!(
        heads,
        [
            "object 1 `P1` by resources[0], item 1: becomes the entity `A` of `incident`",
            "object 1 `P1` by resources[0], item 2: becomes the entity `B` of `incident`",
            "object 2 `P2` by resources[0]: has no items",
            "object 3 `P3` by resources[0]: fails",
        ]
    );
    assert!(
        outcome.stdout.contains("gave a number instead of a list"),
        "{}",
        outcome.stdout
    );
}

/// Issue 7, Must show 4.
#[tokio::test]
async fn three_mistakes_are_all_shown_each_with_place_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| {
        text.replace("kind: incidents", "kind: incident_s")
            .replace("title: .title", "title: .title | ascii_upcase | trimm")
            .replace(
                "service: .service.id",
                "service: (.service.id | split('-'))",
            )
    });
    let arguments = ["map", "--mapping", "mapping.yaml", "--explain"];
    let outcome = fed(directory.path(), &arguments, &[], OBJECTS)
        .await
        .expect_code(2);
    assert_eq!(outcome.stdout, "");
    insta::assert_snapshot!(outcome.stderr, @"
    error: mapping.yaml has 3 problems

      mapping.yaml:2:11  resources[0].kind
        there is no kind `incident_s`
        hint: did you mean `incident`?

      mapping.yaml:9:18  resources[0].port.entity.mappings.title
          .title | ascii_upcase | trimm
                                  ^^^^^
        undefined function `trimm`; did you mean `trim`?

      mapping.yaml:15:22  resources[0].port.entity.mappings.relations.service
          (.service.id | split('-'))
                               ^
        unexpected `'`
        hint: write strings in double quotes: single quotes are only read as such at the edge of a word
    ");
}

#[tokio::test]
async fn what_an_object_is_called_steers_no_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let mapping = mapping_in(directory.path(), |text| text);
    let object = json!({"id": "Q\u{1b}[2J\nobject 9", "status": "open", "people": null});
    let input = object.to_string();
    for arguments in [
        vec!["map", "--mapping", &mapping, "--explain"],
        vec!["map", "--mapping", &mapping],
    ] {
        let outcome = fed(directory.path(), &arguments, &[], &input).await;
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(told.contains(r"Q\u{1b}[2J object 9"), "{told}");
        let is_steering = |character: char| character.is_control() && character != '\n';
        assert!(!told.contains(is_steering), "{told:?}");
    }
}
