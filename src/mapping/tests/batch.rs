use serde_json::json;

use super::*;
use crate::mapping::{Cause, EntityIdentifier, Findings, Severity};

const SERVICES: &str = r#"
resources:
- kind: services
  selector: {query: "true"}
  port: {entity: {mappings: {identifier: .id, blueprint: '"a"', properties: {keys: keys, level: .__oncall_user}}}}
- kind: services
  selector: {query: '.id != "S2"'}
  port: {entity: {mappings: {identifier: .id, blueprint: '"b"', properties: {keys: keys, level: .__oncall_user}}}}
"#;

fn services() -> RawBatch {
    RawBatch {
        objects: vec![json!({"id": "S1"}), json!({"id": "S2"})],
        columns: vec![
            column("__analytics", &[Some(json!(1)), Some(json!(null))]),
            column("__oncall_user", &[Some(json!(2)), None]),
        ],
        unavailable: vec![],
    }
}

fn consumers(columns: [&[&'static str]; 2]) -> Vec<Consumer> {
    let configs = resources(SERVICES).into_iter().zip(columns);
    configs
        .map(|(config, columns)| Consumer {
            config,
            columns: columns.to_vec(),
        })
        .collect()
}

#[test]
fn a_consumer_sees_the_columns_it_asked_for_and_no_others() {
    let mapped = map(
        &services(),
        &consumers([&["__analytics"], &["__oncall_user", "__unheard_of"]]),
    );

    let properties = |mapped: &Mapped| json!(mapped.entities[0].properties);
    assert_eq!(
        properties(&mapped[0]),
        json!({"keys": ["__analytics", "id"], "level": null})
    );
    assert_eq!(
        properties(&mapped[1]),
        json!({"keys": ["__oncall_user", "id"], "level": 2})
    );
    assert_eq!(
        (mapped[1].examined, mapped[1].filtered_out, mapped[1].failed),
        (2, 1, 0)
    );
}

#[test]
fn a_column_that_is_missing_elsewhere_does_not_matter_to_who_does_not_see_it() {
    let mapped = map(&services(), &consumers([&["__analytics"], &[]]));

    assert_eq!(
        json!(mapped[0].entities[1].properties),
        json!({"keys": ["__analytics", "id"], "level": null})
    );
}

#[test]
fn a_column_too_short_is_missing_where_it_ends() {
    let mut batch = services();
    batch.columns[1].values.truncate(1);
    let mapped = map(&batch, &consumers([&["__oncall_user"], &[]]));

    assert!(mapped[0].entities[0].properties.contains_key("level"));
    assert!(!mapped[0].entities[1].properties.contains_key("level"));
}

#[test]
fn an_empty_batch_gives_an_empty_result_for_each_consumer() {
    let mapped = map(&RawBatch::default(), &consumers([&[], &[]]));

    assert_eq!(mapped.len(), 2);
    assert!(
        mapped
            .iter()
            .all(|mapped| mapped.examined == 0 && mapped.findings.is_empty())
    );
}

#[test]
fn findings_of_several_batches_add_up() {
    let mut all = Findings::default();
    let consumers = consumers([&[], &[]]);
    for id in ["S1", "S2"] {
        let batch = RawBatch {
            objects: vec![json!({"id": id}), json!({"id": 1})],
            ..RawBatch::default()
        };
        for mapped in map(&batch, &consumers) {
            all.merge(mapped.findings);
        }
    }

    let found: Vec<_> = all
        .iter()
        .map(|finding| (finding.cause, finding.count, finding.sample.as_deref()))
        .collect();
    assert_eq!(
        found,
        [(Cause::Null, 4, Some("S1")), (Cause::Null, 3, Some("S1"))]
    );
    assert!(!all.has_errors());
}

#[test]
fn a_finding_reads_alone_on_one_line() {
    let mapping = SERVICES.replace("keys: keys", "\"keys\": \".id\\n  | error\"");
    let configs = resources(&mapping);
    let consumer = Consumer {
        config: Arc::clone(&configs[0]),
        columns: vec![],
    };
    let mapped = map(&services(), &[consumer]).remove(0);

    let finding = mapped.findings.iter().next().unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    insta::assert_snapshot!(finding, @"resources[0].port.entity.mappings.properties.keys: `.id | error` failed: S1; the field is null (2 objects, one of them `S1`)");
}

#[test]
fn an_expression_that_runs_away_costs_its_field_only() {
    let mapping = SERVICES.replace("keys: keys", "keys: '[repeat(.)]'");
    let configs = resources(&mapping);
    let consumer = Consumer {
        config: Arc::clone(&configs[0]),
        columns: vec![],
    };
    let mapped = map(&services(), &[consumer]).remove(0);

    assert_eq!(mapped.entities.len(), 2);
    assert_eq!(mapped.entities[0].properties["keys"], json!(null));
    assert_eq!(mapped.failed, 0);
    assert!(
        mapped
            .findings
            .iter()
            .any(|finding| finding.cause == Cause::Failed && finding.count == 2)
    );
}

#[test]
fn only_a_text_is_an_identifier_that_can_be_compared() {
    assert_eq!(EntityIdentifier::Text("a".into()).as_text(), Some("a"));
    assert_eq!(EntityIdentifier::Search(json!({})).as_text(), None);
}

#[test]
fn integers_are_kept_to_the_last_digit() {
    let numbers = json!([
        12_345_678_901_234_567_890_u64,
        i64::MIN,
        9_007_199_254_740_993_i64
    ]);
    let batch = RawBatch {
        objects: vec![json!({"id": numbers[0]})],
        columns: vec![column("__oncall_user", &[Some(numbers.clone())])],
        unavailable: vec![],
    };
    let mapped = map(&batch, &consumers([&["__oncall_user"], &[]]));

    assert_eq!(mapped[0].entities[0].properties["level"], numbers);
    assert_eq!(
        mapped[0].entities[0].identifier.as_text(),
        Some("12345678901234567890")
    );
}
