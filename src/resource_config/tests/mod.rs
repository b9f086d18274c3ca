//! Documents as people write them: what they come to mean, and what they are told.

mod accepted;
mod opsgenie;
mod refused;

use std::collections::BTreeMap;

use super::{Kind, PagerdutyKind, Parsed, ResourceConfig, parse_text};
use crate::{
    jq::{Jq, Limits},
    settings::SourceName,
};

const BOTH: &[SourceName] = &[SourceName::Statuspage, SourceName::Pagerduty];
const OPSGENIE: &[SourceName] = &[SourceName::Opsgenie];

fn jq() -> Jq {
    Jq::new(BTreeMap::new(), Limits::default())
}

fn parsed(text: &str) -> Parsed {
    parse_text(text, "mapping.yaml", BOTH, &jq()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn refused(text: &str) -> String {
    parse_text(text, "mapping.yaml", BOTH, &jq())
        .unwrap_err()
        .to_string()
}

fn warnings(text: &str) -> String {
    parsed(text).warnings.join("\n")
}

/// A document with one resource, everything but the interesting part given.
fn document(kind: &str, selector: &str, port: &str, mappings: &str) -> String {
    format!(
        "resources:
- kind: {kind}
  selector:
    query: 'true'
{}
  port:
{}
    entity:
      mappings:
        identifier: .id
        blueprint: '\"b\"'
{}
",
        indented(selector, 4),
        indented(port, 4),
        indented(mappings, 8),
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{:by$}{line}", ""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn resource(text: &str) -> ResourceConfig {
    let mut resources = parsed(text).document.resources;
    assert_eq!(resources.len(), 1);
    ResourceConfig::clone(&resources.remove(0))
}

fn pagerduty(text: &str) -> PagerdutyKind {
    match resource(text).kind {
        Kind::Pagerduty(kind) => kind,
        other => panic!("{other} is no kind of PagerDuty"),
    }
}
