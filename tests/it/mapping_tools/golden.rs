//! `portolan map --test`: recorded objects against the entities expected of them.

use std::path::Path;

use super::{MAPPING, fed, mapping_in};
use crate::program::Outcome;

const OBJECTS: &str = r#"{"id": "P1", "title": "One", "status": "open", "people": [], "service": {"id": "S", "summary": "Shop"}}
{"id": "P2", "title": "Two", "status": "open", "people": []}
"#;

fn recorded() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| text);
    std::fs::create_dir(directory.path().join("recorded")).unwrap();
    let file = directory.path().join("recorded/incidents@eu.ndjson");
    std::fs::write(file, OBJECTS).unwrap();
    directory
}

async fn test(directory: &Path, more: &[&str]) -> Outcome {
    let arguments = ["map", "--mapping", "mapping.yaml", "--test", "recorded"];
    fed(directory, &[&arguments, more].concat(), &[], "").await
}

#[tokio::test]
async fn what_was_written_is_what_is_expected() {
    let directory = recorded();
    let outcome = test(directory.path(), &[]).await.expect_code(1);
    insta::assert_snapshot!(outcome.stdout, @"
    incidents@eu.ndjson: nothing is expected of it yet; --update writes what its objects become
    1 difference
    ");

    let outcome = test(directory.path(), &["--update"]).await.expect_code(0);
    assert_eq!(outcome.stdout, "Wrote what is expected of 1 file\n");
    let outcome = test(directory.path(), &[]).await.expect_code(0);
    insta::assert_snapshot!(outcome.stdout, @"No difference in 1 file");
    insta::assert_snapshot!(outcome.stderr, @"incidents@eu.ndjson: 2 objects of `incidents`: 2 entities, 0 filtered, 0 failed");
}

#[tokio::test]
async fn every_field_that_differs_is_told() {
    let directory = recorded();
    test(directory.path(), &["--update"]).await.expect_code(0);
    mapping_in(directory.path(), |text| {
        text.replace("title: .title", "title: .title | ascii_upcase")
            .replace(
                "            service: .service.summary\n",
                "            shop: .service.summary\n",
            )
            .replace(".status != \"resolved\"", ".id != \"P2\"")
    });
    let more = "{\"id\": \"P3\", \"title\": \"Three\", \"people\": []}\n";
    let file = directory.path().join("recorded/incidents@eu.ndjson");
    std::fs::write(file, format!("{OBJECTS}{more}")).unwrap();

    let outcome = test(directory.path(), &[]).await.expect_code(1);
    insta::assert_snapshot!(outcome.stdout, @r#"
    incidents@eu.ndjson: incident `P1` differs
        properties.service: "Shop" → (not mapped)
        properties.shop: (not mapped) → "Shop"
        title: "One" → "ONE"
    incidents@eu.ndjson: incident `P2` is not made any more
    incidents@eu.ndjson: incident `P3` is new
    3 differences
    "#);
}

#[tokio::test]
async fn neither_the_order_of_lines_nor_of_keys_is_a_difference() {
    let directory = recorded();
    test(directory.path(), &["--update"]).await.expect_code(0);
    let golden = directory
        .path()
        .join("recorded/expected/incidents@eu.ndjson");
    let written = std::fs::read_to_string(&golden).unwrap();
    let turned: Vec<String> = written
        .lines()
        .rev()
        .map(|line| {
            let entity: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
            let turned: serde_json::Map<_, _> = entity.into_iter().rev().collect();
            serde_json::Value::Object(turned).to_string()
        })
        .collect();
    assert_ne!(turned.join("\n"), written.trim_end());
    std::fs::write(&golden, turned.join("\n")).unwrap();
    test(directory.path(), &[]).await.expect_code(0);
}

#[tokio::test]
async fn a_folder_that_is_not_as_it_should_be_is_told() {
    let directory = recorded();
    test(directory.path(), &["--update"]).await.expect_code(0);
    let golden = directory.path().join("recorded/expected");
    std::fs::write(golden.join("users.ndjson"), "").unwrap();
    let outcome = test(directory.path(), &[]).await.expect_code(1);
    assert!(
        outcome
            .stdout
            .starts_with("expected/users.ndjson: no recorded file of that name")
    );

    std::fs::write(golden.join("incidents@eu.ndjson"), "{\n").unwrap();
    let outcome = test(directory.path(), &[]).await.expect_code(1);
    assert!(
        outcome
            .stderr
            .contains("incidents@eu.ndjson:2:1 is not JSON"),
        "{}",
        outcome.stderr
    );

    let manifest = directory.path().join("recorded/manifest.json");
    let file = r#"{"file": "../mapping.ndjson", "kind": "incidents", "source": "pagerduty", "account": null, "objects": 1, "complete": true}"#;
    let text = format!(
        r#"{{"recorded": "", "portolan": "", "mapping": "", "emails_replaced": true, "files": [{file}]}}"#
    );
    std::fs::write(&manifest, text).unwrap();
    let outcome = test(directory.path(), &[]).await.expect_code(1);
    assert!(
        outcome.stderr.contains("a file that is none of its folder"),
        "{}",
        outcome.stderr
    );

    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let outcome = fed(directory.path(), &["map", "--test", "empty"], &[], "").await;
    assert!(
        outcome
            .expect_code(1)
            .stderr
            .contains("holds no recorded objects")
    );
}

#[tokio::test]
async fn a_kind_that_the_mapping_has_not_is_refused() {
    let directory = recorded();
    let services = MAPPING.replace("incidents", "services");
    std::fs::write(directory.path().join("mapping.yaml"), services).unwrap();
    let outcome = test(directory.path(), &[]).await.expect_code(2);
    assert!(
        outcome
            .stderr
            .contains("mapping.yaml has no kind `incidents`"),
        "{}",
        outcome.stderr
    );
}
