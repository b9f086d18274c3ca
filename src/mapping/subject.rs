//! One raw object on its way to becoming an entity: whether it is wanted, and
//! what it is called. Without answers to these there is no entity, so here an
//! expression that falls short costs the object, not a field.

use serde_json::Value;

use super::{
    entity::EntityIdentifier,
    evaluate::{Evaluation, failure, first, json_type_name, type_name},
    finding::{Cause, Findings, Severity},
    identifier,
    raw::Input,
};
use crate::{
    jq::{Limits, RunError, Val, to_val},
    resource_config::{Expression, Template},
};

const LOST: &str = "the object is lost";
const LEFT_OUT: &str = "the object is left out";

/// Why there is no entity for an object that was selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// The mapping gives it no identifier or no blueprint, and did not fail at
    /// it. Ocean passes such objects over, and mappings rely on it.
    LeftOut,
    /// Something went wrong, so that the kind is not complete.
    Lost,
}

pub(super) struct Subject<'a> {
    pub(super) input: Input<'a>,
    pub(super) limits: &'a Limits,
    /// What to call the object in findings.
    pub(super) label: Option<String>,
}

impl Subject<'_> {
    pub(super) fn is_selected(&self, query: &Expression, findings: &mut Findings) -> Option<bool> {
        let (cause, message) = match self.selected(query) {
            Ok(Some(Val::Bool(selected))) => return Some(selected),
            Ok(None) => (
                Cause::WrongType,
                "gave nothing instead of true or false".to_owned(),
            ),
            Ok(Some(other)) => (
                Cause::WrongType,
                format!("gave {} instead of true or false", type_name(&other)),
            ),
            Err(error) => (Cause::Failed, failure(error)),
        };
        self.lost(findings, query, cause, || format!("{message}; {LOST}"));
        None
    }

    fn selected(&self, query: &Expression) -> Result<Option<Val>, RunError> {
        match self.input.told(&query.filter, self.limits) {
            // What can be told is a value, be it null.
            Some(told) => told.map(|value| Some(to_val(&value.unwrap_or_default()))),
            None => query.filter.first(&self.input.val(&query.filter)),
        }
    }

    pub(super) fn identifier(
        &self,
        template: &Template,
        findings: &mut Findings,
    ) -> Result<EntityIdentifier, Dropped> {
        let Template::Expression(expression) = template else {
            let found = self
                .evaluation(Severity::Error, findings)
                .template(template);
            return if found.is_null() {
                Err(Dropped::Lost)
            } else {
                Ok(EntityIdentifier::Search(found))
            };
        };
        let (cause, message) = match first(expression, &self.input, self.limits) {
            Ok(Some(Value::String(text))) if text.is_empty() => {
                return Err(self.left_out(findings, expression, "identifier"));
            }
            Ok(Some(Value::String(text))) => return Self::checked(expression, text, findings),
            Ok(Some(Value::Number(number))) => {
                let text = number.to_string();
                let whole = text.strip_suffix(".0").unwrap_or(&text);
                return Self::checked(expression, whole.to_owned(), findings);
            }
            // An expression may build the search that a document could have spelt out.
            Ok(Some(Value::Object(search))) if search.contains_key("rules") => {
                return Ok(EntityIdentifier::Search(Value::Object(search)));
            }
            Ok(Some(other)) => {
                let found = json_type_name(&other);
                (
                    Cause::WrongType,
                    format!("gave {found} as identifier, Port wants a text; {LOST}"),
                )
            }
            Ok(None) => return Err(self.left_out(findings, expression, "identifier")),
            Err(error) => (Cause::Failed, format!("{error}; {LOST}")),
        };
        self.lost(findings, expression, cause, || message);
        Err(Dropped::Lost)
    }

    fn checked(
        expression: &Expression,
        identifier: String,
        findings: &mut Findings,
    ) -> Result<EntityIdentifier, Dropped> {
        let Err(refusal) = identifier::check(&identifier) else {
            return Ok(EntityIdentifier::Text(identifier));
        };
        let message = || {
            let remedy = identifier::remedy(expression.filter.text(), refusal)
                .map_or_else(String::new, |remedy| format!("; use `{remedy}`"));
            format!("gave an identifier that Port would refuse: {refusal}{remedy}")
        };
        // What was refused is the best name the object has.
        findings.note(
            expression,
            (Severity::Error, Cause::Refused),
            message,
            || Some(identifier),
        );
        Err(Dropped::Lost)
    }

    pub(super) fn blueprint(
        &self,
        expression: &Expression,
        findings: &mut Findings,
    ) -> Result<String, Dropped> {
        let (cause, message) = match first(expression, &self.input, self.limits) {
            Ok(Some(Value::String(text))) => match identifier::check_blueprint(&text) {
                Ok(()) => return Ok(text),
                Err(identifier::Refusal::Empty) => {
                    return Err(self.left_out(findings, expression, "blueprint"));
                }
                Err(refusal) => (
                    Cause::Refused,
                    format!("gave an identifier that no blueprint can have: {refusal}"),
                ),
            },
            Ok(Some(other)) => (
                Cause::WrongType,
                format!(
                    "gave {} as blueprint, Port wants a text",
                    json_type_name(&other)
                ),
            ),
            Ok(None) => return Err(self.left_out(findings, expression, "blueprint")),
            Err(error) => (Cause::Failed, error),
        };
        self.lost(findings, expression, cause, || format!("{message}; {LOST}"));
        Err(Dropped::Lost)
    }

    /// Notes that the mapping has no entity for the object.
    fn left_out(
        &self,
        findings: &mut Findings,
        expression: &Expression,
        missing: &'static str,
    ) -> Dropped {
        let message = || {
            format!(
                "gave no {missing}; {LEFT_OUT} (if that is meant, a condition in selector.query says so)"
            )
        };
        findings.note(
            expression,
            (Severity::Warning, Cause::LeftOut),
            message,
            || self.label.clone().filter(|label| !label.is_empty()),
        );
        Dropped::LeftOut
    }

    /// For the fields, once it is known whose they are.
    pub(super) fn evaluation<'s>(
        &'s self,
        severity: Severity,
        findings: &'s mut Findings,
    ) -> Evaluation<'s> {
        Evaluation {
            input: &self.input,
            limits: self.limits,
            findings,
            severity,
            label: self.label.as_deref(),
        }
    }

    /// Notes why the object gives no entity.
    pub(super) fn lost(
        &self,
        findings: &mut Findings,
        expression: &Expression,
        cause: Cause,
        message: impl FnOnce() -> String,
    ) {
        findings.note(expression, (Severity::Error, cause), message, || {
            self.label.clone()
        });
    }
}
