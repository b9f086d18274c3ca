//! Search rules: whether an entity passes a query.

use std::cell::OnceCell;
use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::Refusal;
use super::entities::Stored;
use super::integration::text;

/// An entity under examination. Its properties are parsed only when a rule asks.
pub(super) struct Candidate<'a> {
    blueprint: &'a str,
    identifier: &'a str,
    stored: &'a Stored,
    properties: OnceCell<Map<String, Value>>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(blueprint: &'a str, identifier: &'a str, stored: &'a Stored) -> Self {
        Self {
            blueprint,
            identifier,
            stored,
            properties: OnceCell::new(),
        }
    }

    fn value(&self, property: &str) -> Value {
        match property {
            "$identifier" => json!(self.identifier),
            "$blueprint" => json!(self.blueprint),
            "$title" => json!(self.stored.title),
            "$icon" => json!(self.stored.icon),
            "$team" => json!(self.stored.team),
            "$datasource" => json!(&*self.stored.datasource),
            "$createdAt" => json!(text(self.stored.created)),
            "$updatedAt" => json!(text(self.stored.updated)),
            _ => self
                .properties
                .get_or_init(|| self.stored.properties())
                .get(property)
                .cloned()
                .unwrap_or_default(),
        }
    }

    fn is_related_to(&self, identifier: &str) -> bool {
        self.stored
            .relations
            .iter()
            .any(|(_, related)| related.targets().iter().any(|target| target == identifier))
    }
}

/// Whether an entity passes a query: a combinator and its rules, which may be
/// queries themselves.
pub(super) fn passes(query: &Value, candidate: &Candidate) -> Result<bool, Refusal> {
    let Some(rules) = query["rules"].as_array() else {
        return rule(query, candidate);
    };
    let all = match query["combinator"].as_str() {
        Some("and") => true,
        Some("or") => false,
        _ => return Err(Refusal::invalid("\"combinator\" must be \"and\" or \"or\"")),
    };
    for rule in rules {
        if passes(rule, candidate)? != all {
            return Ok(!all);
        }
    }
    Ok(all)
}

fn rule(rule: &Value, candidate: &Candidate) -> Result<bool, Refusal> {
    let operator = rule["operator"]
        .as_str()
        .ok_or_else(|| Refusal::invalid("A rule must have an \"operator\""))?;
    let wanted = &rule["value"];
    if operator == "relatedTo" {
        return Ok(wanted
            .as_str()
            .is_some_and(|id| candidate.is_related_to(id)));
    }
    let property = rule["property"]
        .as_str()
        .ok_or_else(|| Refusal::invalid("A rule must have a \"property\""))?;
    let value = candidate.value(property);
    let text = |test: fn(&str, &str) -> bool| {
        value
            .as_str()
            .zip(wanted.as_str())
            .is_some_and(|(value, wanted)| test(value, wanted))
    };
    Ok(match operator {
        "=" => value == *wanted,
        "!=" => value != *wanted,
        "in" => list(wanted)?.contains(&value),
        "notIn" => !list(wanted)?.contains(&value),
        "contains" => contains(&value, wanted),
        "doesNotContain" => !contains(&value, wanted),
        "containsAny" => list(wanted)?.iter().any(|wanted| contains(&value, wanted)),
        "beginsWith" => text(|value, wanted| value.starts_with(wanted)),
        "doesNotBeginsWith" => !text(|value, wanted| value.starts_with(wanted)),
        "endsWith" => text(|value, wanted| value.ends_with(wanted)),
        "doesNotEndsWith" => !text(|value, wanted| value.ends_with(wanted)),
        "isEmpty" => is_empty(&value),
        "isNotEmpty" => !is_empty(&value),
        ">" => compare(&value, wanted) == Some(Ordering::Greater),
        ">=" => compare(&value, wanted).is_some_and(Ordering::is_ge),
        "<" => compare(&value, wanted) == Some(Ordering::Less),
        "<=" => compare(&value, wanted).is_some_and(Ordering::is_le),
        "between" => between(&value, wanted),
        "notBetween" => !between(&value, wanted),
        _ => return Err(Refusal::invalid(format!("\"{operator}\" is no operator"))),
    })
}

fn list(wanted: &Value) -> Result<&Vec<Value>, Refusal> {
    wanted
        .as_array()
        .ok_or_else(|| Refusal::invalid("The value of the rule must be a list"))
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(value), Value::String(wanted)) => value.contains(wanted.as_str()),
        (Value::Array(values), wanted) => values.contains(wanted),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

fn compare(value: &Value, wanted: &Value) -> Option<Ordering> {
    match (value, wanted) {
        (Value::Number(value), Value::Number(wanted)) => {
            value.as_f64()?.partial_cmp(&wanted.as_f64()?)
        }
        (Value::String(value), Value::String(wanted)) => {
            let instants = value
                .parse::<jiff::Timestamp>()
                .ok()
                .zip(wanted.parse::<jiff::Timestamp>().ok());
            Some(instants.map_or_else(|| value.cmp(wanted), |(one, other)| one.cmp(&other)))
        }
        _ => None,
    }
}

fn between(value: &Value, range: &Value) -> bool {
    compare(value, &range["from"]).is_some_and(Ordering::is_ge)
        && compare(value, &range["to"]).is_some_and(Ordering::is_le)
}
