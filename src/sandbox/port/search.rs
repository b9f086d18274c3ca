//! Search rules: whether an entity passes a query.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::deletion::Place;
use super::entities::Stored;
use super::integration::text;
use super::{Port, Refusal, known_keys};

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
}

/// A combinator and its rules, which may be queries themselves.
pub(super) struct Query<'a> {
    query: &'a Value,
    /// What each rule about relations finds, by the text of the rule.
    related: BTreeMap<String, BTreeSet<Place>>,
}

impl<'a> Query<'a> {
    pub(super) fn new(port: &Port, query: &'a Value) -> Result<Self, Refusal> {
        let mut related = BTreeMap::new();
        let mut waiting = vec![query];
        while let Some(rule) = waiting.pop() {
            waiting.extend(rule["rules"].as_array().into_iter().flatten());
            if rule["operator"] == "relatedTo" {
                related.insert(rule.to_string(), port.related_to(rule)?);
            }
        }
        Ok(Self { query, related })
    }

    /// Whether an entity passes.
    pub(super) fn passes(&self, candidate: &Candidate) -> Result<bool, Refusal> {
        self.passes_part(self.query, candidate)
    }

    fn passes_part(&self, part: &Value, candidate: &Candidate) -> Result<bool, Refusal> {
        let Some(rules) = part["rules"].as_array() else {
            if part["operator"] == "relatedTo" {
                let place = (
                    candidate.blueprint.to_owned(),
                    candidate.identifier.to_owned(),
                );
                let found = self.related.get(&part.to_string());
                return Ok(found.is_some_and(|found| found.contains(&place)));
            }
            return rule(part, candidate);
        };
        let all = match part["combinator"].as_str() {
            Some("and") => true,
            Some("or") => false,
            _ => return Err(Refusal::invalid("\"combinator\" must be \"and\" or \"or\"")),
        };
        for rule in rules {
            if self.passes_part(rule, candidate)? != all {
                return Ok(!all);
            }
        }
        Ok(all)
    }
}

impl Port {
    /// What has to do with an entity, or with any of several of one blueprint:
    /// downstream what relates to it, upstream what it relates to, each over any
    /// number of entities, and both unless a direction is given.
    fn related_to(&self, rule: &Value) -> Result<BTreeSet<Place>, Refusal> {
        let body = rule.as_object().cloned().unwrap_or_default();
        // Port knows `required` as well; the sandbox does not.
        known_keys(&body, &["operator", "blueprint", "value", "direction"])?;
        let blueprint = rule["blueprint"]
            .as_str()
            .ok_or_else(|| Refusal::invalid("A rule with relatedTo must have a \"blueprint\""))?;
        let of: Option<Vec<&str>> = match &rule["value"] {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let of: BTreeSet<Place> = of
            .ok_or_else(|| Refusal::invalid("The value of relatedTo must be text, or a list"))?
            .into_iter()
            .map(|identifier| (blueprint.to_owned(), identifier.to_owned()))
            .collect();
        let mut found = BTreeSet::new();
        if rule["direction"] != "upstream" {
            found.extend(closure(&of, |places| self.dependents(places)));
        }
        if rule["direction"] != "downstream" {
            found.extend(closure(&of, |places| self.targets(places)));
        }
        Ok(found)
    }

    /// What these relate to.
    fn targets(&self, of: &BTreeSet<Place>) -> Vec<Place> {
        let mut targets = Vec::new();
        for (blueprint, identifier) in of {
            let Ok(stored) = self.stored(blueprint, identifier) else {
                continue;
            };
            let schema = self.blueprints.get(blueprint);
            for (name, related) in &stored.relations {
                let relation = schema.and_then(|schema| schema.relations.get(name));
                for (relation, target) in relation
                    .into_iter()
                    .flat_map(|relation| related.targets().iter().map(move |id| (relation, id)))
                {
                    let place = (relation.target.clone(), target.clone());
                    if !of.contains(&place) {
                        targets.push(place);
                    }
                }
            }
        }
        targets
    }
}

/// Everything that is reached, without where it began.
fn closure(of: &BTreeSet<Place>, step: impl Fn(&BTreeSet<Place>) -> Vec<Place>) -> BTreeSet<Place> {
    let mut reached = of.clone();
    loop {
        let further = step(&reached);
        if further.is_empty() {
            return reached.difference(of).cloned().collect();
        }
        reached.extend(further);
    }
}

fn rule(rule: &Value, candidate: &Candidate) -> Result<bool, Refusal> {
    let operator = rule["operator"]
        .as_str()
        .ok_or_else(|| Refusal::invalid("A rule must have an \"operator\""))?;
    let wanted = &rule["value"];
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
