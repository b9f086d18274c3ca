//! A plan for people at a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use super::document::{CatalogPlan, Document};
use crate::catalog::{Action, EntityChange, FieldChange};
use crate::commands::output::printable;
use crate::commands::reconcile;

/// Of a value that is shown, in characters; JSON has all of it.
const LONGEST_VALUE: usize = 200;

pub(super) fn told(document: &Document) -> String {
    let mut text = String::new();
    if let Some(plan) = &document.catalog {
        tell_catalog(&mut text, plan);
    }
    if let Some(report) = &document.incidents {
        line(&mut text, reconcile::steps(report).trim_end());
        line(&mut text, "");
    }
    let summary = document.summary.told();
    line(&mut text, &format!("Plan: {summary}. Nothing was changed."));
    text.trim_end().to_owned()
}

fn tell_catalog(text: &mut String, plan: &CatalogPlan) {
    let integration = &plan.integration;
    line(
        text,
        &format!(
            "Integration `{}` of type `{}`, planned with {}",
            integration.identifier, integration.kind, plan.mapping
        ),
    );
    for note in plan.notes() {
        line(text, &note);
    }
    line(text, "");
    for change in &plan.changes.entities {
        for told in entity(change) {
            line(text, &told);
        }
    }
    if !plan.changes.entities.is_empty() {
        line(text, "");
    }
    let problems = plan.problems();
    for problem in &problems {
        line(text, &format!("! {problem}"));
    }
    if !problems.is_empty() {
        line(text, "");
    }
}

/// The lines of one entity, the first of which begins with what would be done.
pub(super) fn entity(change: &EntityChange) -> Vec<String> {
    let (sign, word) = match change.action {
        Action::Create => ('+', "create"),
        Action::Change => ('!', "change"),
        Action::Delete => ('-', "delete"),
    };
    let because = change.because.as_ref();
    let because = because.map_or(String::new(), |because| format!(": {because}"));
    let mut lines = vec![format!(
        "{sign} {word} {}/{}{because}",
        change.blueprint, change.identifier
    )];
    lines.extend(change.fields.iter().map(|change| field(sign, change)));
    lines
}

fn field(sign: char, change: &FieldChange) -> String {
    let FieldChange { field, old, new } = change;
    if sign == '+' {
        format!("{sign}     {field}: {}", shown(new))
    } else {
        format!("{sign}     {field}: {} → {}", shown(old), shown(new))
    }
}

/// A value on one line, of a bounded length.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn line(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    writeln!(text, "{}", printable(line)).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_says_what_it_was_and_what_it_would_be() {
        let change = EntityChange {
            action: Action::Change,
            blueprint: "service".to_owned(),
            identifier: "P1".to_owned(),
            fields: vec![FieldChange {
                field: "properties.status".to_owned(),
                old: json!("active\nfor long"),
                new: Value::Null,
            }],
            because: None,
        };

        assert_eq!(
            entity(&change),
            [
                "! change service/P1",
                r#"!     properties.status: "active\nfor long" → null"#,
            ]
        );
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let mut text = String::new();
        line(&mut text, "! `\u{1b}[2Jé` \u{9b}1m\r");

        assert_eq!(text, "! `\\u{1b}[2Jé` \\u{9b}1m\\r\n");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let told = shown(&json!("ü".repeat(500)));

        assert_eq!(told.chars().count(), LONGEST_VALUE + 1);
        assert!(told.ends_with('…'));
    }
}
