//! One value of an entity from one raw object.

use serde_json::{Map, Value};

use super::finding::{Cause, Findings, Severity};
use super::raw::Input;
use crate::{
    jq::{Filter, Limits, RunError, Val, from_val},
    resource_config::{Expression, Search, SearchRule, SearchValue, Template},
};

/// What a field becomes: the first output of its expression; none and null are
/// the same.
pub fn field(filter: &Filter, input: &Val, limits: &Limits) -> Result<Option<Value>, RunError> {
    match filter.first(input)? {
        None | Some(Val::Null) => Ok(None),
        Some(output) => from_val(&output, limits).map(Some),
    }
}

/// The same, a failure told in words.
pub(super) fn first(
    expression: &Expression,
    input: &Input<'_>,
    limits: &Limits,
) -> Result<Option<Value>, String> {
    input.field(&expression.filter, limits).map_err(failure)
}

/// How a failed expression is told.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that it can be given to `map_err`"
)]
pub(super) fn failure(error: RunError) -> String {
    format!("failed: {error}")
}

/// Evaluates templates on one object, noting which expressions gave nothing.
pub(super) struct Evaluation<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) limits: &'a Limits,
    pub(super) findings: &'a mut Findings,
    /// What an expression without a value costs.
    pub(super) severity: Severity,
    /// What to call the object.
    pub(super) label: Option<&'a str>,
}

impl Evaluation<'_> {
    pub(super) fn template(&mut self, template: &Template) -> Value {
        match template {
            Template::Expression(expression) => self.expression(expression, "the field is null"),
            Template::Search(search) => self.search(search).map_or(Value::Null, Value::Object),
            Template::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, field)| (key.clone(), self.template(field)));
                Value::Object(fields.collect())
            }
            Template::List(items) => items.iter().map(|item| self.template(item)).collect(),
        }
    }

    pub(super) fn expression(&mut self, expression: &Expression, consequence: &str) -> Value {
        let (cause, message) = match first(expression, self.input, self.limits) {
            Ok(Some(value)) => return value,
            Ok(None) => (Cause::Null, None),
            Err(error) => (Cause::Failed, Some(error)),
        };
        self.findings.note(
            expression,
            (self.severity, cause),
            || {
                let message = message.as_deref().unwrap_or("gave null or nothing");
                format!("{message}; {consequence}")
            },
            || self.label.map(str::to_owned),
        );
        Value::Null
    }

    /// None when one of the rules has nothing to compare with: as a query, a
    /// rule with null would find an entity that merely lacks the property.
    pub(super) fn search(&mut self, search: &Search) -> Option<Map<String, Value>> {
        let mut rules = Vec::with_capacity(search.rules.len());
        for rule in &search.rules {
            rules.push(Value::Object(match rule {
                SearchRule::Nested(search) => self.search(search)?,
                SearchRule::Compare { fixed, value } => {
                    let mut rule = fixed.clone();
                    let value = match value {
                        None => None,
                        Some(SearchValue::Literal(literal)) => Some(literal.clone()),
                        Some(SearchValue::Expression(expression)) => {
                            match self.expression(expression, "there is nothing to search for") {
                                Value::Null => return None,
                                value => Some(value),
                            }
                        }
                    };
                    rule.extend(value.map(|value| ("value".to_owned(), value)));
                    rule
                }
            }));
        }
        Some(Map::from_iter([
            (
                "combinator".to_owned(),
                Value::from(search.combinator.as_str()),
            ),
            ("rules".to_owned(), Value::Array(rules)),
        ]))
    }
}

pub(super) fn type_name(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::BStr(_) | Val::TStr(_) => "a text",
        Val::Arr(_) => "a list",
        Val::Obj(_) => "an object",
    }
}

pub(super) fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
