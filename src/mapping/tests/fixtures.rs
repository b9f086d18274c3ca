//! Every directory of `tests/fixtures/mapping` is a case:
//!
//! - `payload.json`: `objects` by kind, `columns` by kind and key (one value an
//!   object, `"unavailable"` for what could not be fetched), and what is
//!   `unavailable` for all objects of a kind, as paths (`"[]"` for each element);
//!   `source`: the only one that is on, where not all of them are;
//! - `mapping.yaml`: the document, every resource of which is applied;
//! - `entities.json`: the bodies for Port, the counts and the findings, resource
//!   by resource, and `notes` on what deserves an explanation.
//!
//! With `WRITE_FIXTURES=1` in the environment the results are written instead
//! of compared; look at the difference before keeping it.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    excerpt::{Excerpt, To},
    jq::Step,
    mapping::{Cause, Severity},
};

#[test]
fn every_fixture_gives_its_entities() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mapping");
    let mut cases: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());

    let failed: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read_to_string(case.join(name)).unwrap_or_default();
    let payload: Value = serde_json::from_str(&read("payload.json")).unwrap();
    let expected: Map<String, Value> =
        serde_json::from_str(&read("entities.json")).unwrap_or_default();

    let mut found = Map::new();
    found.extend(
        expected
            .get("notes")
            .map(|notes| ("notes".to_owned(), notes.clone())),
    );
    found.insert(
        "resources".to_owned(),
        results(
            &payload,
            &resources_for(&read("mapping.yaml"), &sources(&payload)),
        ),
    );

    if std::env::var_os("WRITE_FIXTURES").is_some() {
        let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
        fs::write(case.join("entities.json"), text).unwrap();
    } else if found != expected {
        let pretty = |value: &Map<String, Value>| serde_json::to_string_pretty(value).unwrap();
        return Err(difference(
            &case.display().to_string(),
            &pretty(&expected),
            &pretty(&found),
        ));
    }
    Ok(())
}

fn sources(payload: &Value) -> Vec<SourceName> {
    let is_on = |source: &SourceName| match payload["source"].as_str() {
        Some(only) => source.as_str() == only,
        None => true,
    };
    SourceName::ALL.into_iter().filter(is_on).collect()
}

/// What each resource makes of the objects of its kind.
fn results(payload: &Value, resources: &[Arc<ResourceConfig>]) -> Value {
    let mut results = vec![Value::Null; resources.len()];
    let kinds: BTreeSet<_> = resources
        .iter()
        .map(|config| config.kind.to_string())
        .collect();
    for kind in kinds {
        let batch = batch(payload, &kind);
        let consumers: Vec<_> = resources
            .iter()
            .filter(|config| config.kind.to_string() == kind)
            .map(|config| Consumer {
                config: Arc::clone(config),
                columns: batch.columns.iter().map(|column| column.key).collect(),
            })
            .collect();
        let mapped = map(&batch, &consumers);
        let of_what_is_read = map(&read_of(&batch, &consumers), &consumers);
        for ((consumer, mapped), of_what_is_read) in
            consumers.iter().zip(mapped).zip(of_what_is_read)
        {
            let summary = summary(&mapped);
            assert_eq!(self::summary(&of_what_is_read), summary, "{kind}");
            results[consumer.config.index] = summary;
        }
    }
    Value::Array(results)
}

/// The batch as a resync has it: of each object what the expressions can read, and by
/// what it is called.
fn read_of(batch: &RawBatch, consumers: &[Consumer]) -> RawBatch {
    let mut paths: Vec<Vec<To<'_>>> = vec![vec![To::Key("id")]];
    for consumer in consumers {
        consumer.config.for_each_expression(&mut |expression| {
            paths.extend(expression.filter.reads().map(Iterator::collect::<Vec<_>>));
        });
    }
    let excerpt = Excerpt::of(paths);
    let objects = batch.objects.iter();
    RawBatch {
        objects: objects.map(|object| excerpt.taken_from(object)).collect(),
        ..batch.clone()
    }
}

fn batch(payload: &Value, kind: &str) -> RawBatch {
    let columns = payload["columns"][kind].as_object().into_iter().flatten();
    let unavailable = payload["unavailable"][kind]
        .as_array()
        .into_iter()
        .flatten();
    RawBatch {
        objects: payload["objects"][kind]
            .as_array()
            .cloned()
            .unwrap_or_default(),
        columns: columns
            .map(|(key, values)| {
                let values = values.as_array().unwrap().iter().cloned();
                let values: Vec<_> = values
                    .map(|value| (value != "unavailable").then_some(value))
                    .collect();
                column(key.clone().leak(), &values)
            })
            .collect(),
        unavailable: unavailable
            .map(|path| {
                let steps = path
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|step| step.as_str().unwrap());
                steps
                    .map(|step| match step {
                        "[]" => Step::Each,
                        key => Step::Key(key.to_owned().into()),
                    })
                    .collect()
            })
            .collect(),
    }
}

fn summary(mapped: &Mapped) -> Value {
    assert_eq!(
        mapped.failed > 0,
        mapped.findings.has_errors(),
        "an object is lost exactly when an error says so"
    );
    let entities = mapped.entities.len() as u64;
    assert_eq!(
        mapped.examined,
        mapped.filtered_out + mapped.failed + entities,
        "every object is accounted for"
    );
    let findings: Vec<_> = mapped
        .findings
        .iter()
        .map(|finding| {
            let mut finding = finding.clone();
            if finding.cause == Cause::Failed {
                // The engine's words are not what is tested here.
                finding.message = "failed".to_owned();
            }
            match finding.severity {
                Severity::Error => format!("error: {finding}"),
                Severity::Warning => format!("warning: {finding}"),
            }
        })
        .collect();
    json!({
        "examined": mapped.examined,
        "filtered_out": mapped.filtered_out,
        "failed": mapped.failed,
        "entities": mapped.entities,
        "findings": findings,
    })
}

/// The first lines that differ.
fn difference(case: &str, expected: &str, found: &str) -> String {
    let mut lines = expected.lines().zip(found.lines()).enumerate();
    match lines.find(|(_, (expected, found))| expected != found) {
        Some((line, (expected, found))) => {
            format!(
                "{case}/entities.json:{}\n  expected {expected}\n  found    {found}",
                line + 1
            )
        }
        None => format!("{case}/entities.json: the lengths differ"),
    }
}
