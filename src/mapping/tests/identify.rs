use serde_json::json;

use super::*;
use crate::mapping::{Identity, Which, identify};

const MAPPING: &str = r#"
resources:
- kind: services
  selector: {query: '.status | if . == "broken" then error("no") else . == "on" end'}
  port: {entity: {mappings: {identifier: .id, blueprint: '"a"'}}}
- kind: services
  selector: {query: '.item != "x"'}
  port:
    itemsToParse: .parts
    entity: {mappings: {identifier: '.id + "-" + .item', blueprint: '"part"'}}
- kind: services
  selector: {query: "false"}
  port: {entity: {mappings: {identifier: .__oncall_user, blueprint: '"b"'}}}
- kind: services
  selector: {query: "false"}
  port:
    entity:
      mappings:
        identifier: {combinator: and, rules: [{property: p, operator: '=', value: .id}]}
        blueprint: '"c"'
- kind: services
  selector: {query: "false"}
  port: {entity: {mappings: {identifier: 'if .id == "S1" then error("no") else "a b" end', blueprint: '"d"'}}}
"#;

fn names(which: Which) -> Vec<Vec<String>> {
    let objects = vec![
        json!({"id": "S1", "status": "on", "parts": ["x", "y"]}),
        json!({"id": "S2", "status": "off", "parts": null}),
        json!({"id": "S3", "status": "broken", "parts": "none"}),
    ];
    let batch = RawBatch {
        objects,
        columns: vec![column("__oncall_user", &[Some(json!("u1")), None, None])],
        unavailable: vec![],
    };
    let consumers: Vec<Consumer> = resources(MAPPING)
        .into_iter()
        .map(|config| Consumer {
            config,
            columns: vec!["__oncall_user"],
        })
        .collect();
    let identified =
        on_large_stack_blocking(|| identify(&batch, &consumers, which, &Limits::default()));
    let name = |identity: Identity| format!("{}/{}", identity.blueprint, identity.identifier);
    identified
        .unwrap()
        .into_iter()
        .map(|of_consumer| of_consumer.into_iter().map(name).collect())
        .collect()
}

#[test]
fn only_what_is_certainly_not_selected_is_named() {
    let expected: [&[&str]; 5] = [&["a/S2"], &["part/S1-x"], &["b/u1"], &[], &[]];
    assert_eq!(names(Which::Unselected), expected);
}

#[test]
fn everything_is_named_whose_name_can_be_told() {
    let expected: [&[&str]; 5] = [
        &["a/S1", "a/S2", "a/S3"],
        &["part/S1-x", "part/S1-y"],
        &["b/u1"],
        &[],
        &[],
    ];
    assert_eq!(names(Which::All), expected);
}

#[test]
fn an_identifier_that_is_made_of_the_objects_own_is_nobody_elses() {
    let table = [
        (".id", true),
        (".id | tostring", true),
        ("\"x-\" + .id + .item.id", true),
        (".incident_number | tostring", true),
        (".name", false),
        (".service.id", false),
        (".page_id", false),
        ("\"all\"", false),
    ];
    for (identifier, expected) in table {
        let text = json!({"resources": [{
            "kind": "incidents", "selector": {"query": "true"},
            "port": {"entity": {"mappings": {"identifier": identifier, "blueprint": "\"a\""}}},
        }]});
        let config = resources(&text.to_string()).remove(0);
        assert_eq!(config.names_each_object(), expected, "{identifier}");
    }
}
