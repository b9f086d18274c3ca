//! One raw object on its way to becoming an entity: whether it is wanted, and
//! what it is called. Without answers to these there is no entity, so here an
//! expression that falls short costs the object, not a field.

use serde_json::Value;

use super::{
    entity::EntityIdentifier,
    evaluate::{Evaluation, failure, first, json_type_name, type_name},
    finding::{Cause, Findings, Severity},
    identifier,
};
use crate::{
    jq::{Limits, Val},
    resource_config::{Expression, Template},
};

const LOST: &str = "the object is lost";

pub(super) struct Subject<'a> {
    pub(super) input: Val,
    pub(super) limits: &'a Limits,
    /// What to call the object in findings.
    pub(super) label: Option<String>,
}

impl Subject<'_> {
    pub(super) fn is_selected(&self, query: &Expression, findings: &mut Findings) -> Option<bool> {
        let (cause, message) = match query.filter.first(&self.input) {
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

    pub(super) fn identifier(
        &self,
        template: &Template,
        findings: &mut Findings,
    ) -> Option<EntityIdentifier> {
        let Template::Expression(expression) = template else {
            let found = self
                .evaluation(Severity::Error, findings)
                .template(template);
            return (!found.is_null()).then_some(EntityIdentifier::Search(found));
        };
        let (cause, message) = match first(expression, &self.input, self.limits) {
            Ok(Some(Value::String(text))) => return self.checked(expression, text, findings),
            Ok(Some(Value::Number(number))) => {
                let text = number.to_string();
                let whole = text.strip_suffix(".0").unwrap_or(&text);
                return self.checked(expression, whole.to_owned(), findings);
            }
            // An expression may build the search that a document could have spelt out.
            Ok(Some(Value::Object(search))) if search.contains_key("rules") => {
                return Some(EntityIdentifier::Search(Value::Object(search)));
            }
            Ok(Some(other)) => {
                let found = json_type_name(&other);
                (
                    Cause::WrongType,
                    format!("gave {found} as identifier, Port wants a text; {LOST}"),
                )
            }
            Ok(None) => {
                let remedy = "if it is not wanted, let selector.query leave it out";
                (
                    Cause::Null,
                    format!("gave no identifier; {LOST} ({remedy})"),
                )
            }
            Err(error) => (Cause::Failed, format!("{error}; {LOST}")),
        };
        self.lost(findings, expression, cause, || message);
        None
    }

    fn checked(
        &self,
        expression: &Expression,
        identifier: String,
        findings: &mut Findings,
    ) -> Option<EntityIdentifier> {
        let Err(refusal) = identifier::check(&identifier) else {
            return Some(EntityIdentifier::Text(identifier));
        };
        let message = || {
            let remedy = identifier::remedy(expression.filter.text(), refusal)
                .map_or_else(String::new, |remedy| format!("; use `{remedy}`"));
            format!("gave an identifier that Port would refuse: {refusal}{remedy}")
        };
        // What was refused is the best name the object has.
        let sample = || {
            Some(identifier)
                .filter(|text| !text.is_empty())
                .or_else(|| self.label.clone())
        };
        findings.note(
            expression,
            (Severity::Error, Cause::Refused),
            message,
            sample,
        );
        None
    }

    pub(super) fn blueprint(
        &self,
        expression: &Expression,
        findings: &mut Findings,
    ) -> Option<String> {
        let (cause, message) = match first(expression, &self.input, self.limits) {
            Ok(Some(Value::String(text))) => match identifier::check_blueprint(&text) {
                Ok(()) => return Some(text),
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
            Ok(None) => (Cause::Null, "gave no blueprint".to_owned()),
            Err(error) => (Cause::Failed, error),
        };
        self.lost(findings, expression, cause, || format!("{message}; {LOST}"));
        None
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
