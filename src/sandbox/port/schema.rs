//! Blueprints as schemas: what a blueprint may look like, and which values fit one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use url::Url;

use super::{Refusal, known_keys};

/// A blueprint, as it is shown and as values are checked against it.
pub(super) struct Blueprint {
    pub(super) raw: Value,
    pub(super) properties: BTreeMap<String, Property>,
    pub(super) required: Vec<String>,
    pub(super) relations: BTreeMap<String, Relation>,
}

pub(super) struct Property {
    kind: String,
    format: Option<String>,
    choices: Option<Vec<Value>>,
}

pub(super) struct Relation {
    pub(super) target: String,
    pub(super) many: bool,
    pub(super) required: bool,
}

const KEYS: [&str; 16] = [
    "identifier",
    "title",
    "icon",
    "description",
    "schema",
    "relations",
    "mirrorProperties",
    "calculationProperties",
    "aggregationProperties",
    "teamInheritance",
    "ownership",
    "changelogDestination",
    // Set by Port, and sent back by whoever sends a whole blueprint back.
    "createdAt",
    "createdBy",
    "updatedAt",
    "updatedBy",
];

const KINDS: [&str; 5] = ["string", "number", "boolean", "object", "array"];

impl Blueprint {
    /// Checks a blueprint; `exists` says whether there is one of that name.
    pub(super) fn read(raw: Value, exists: impl Fn(&str) -> bool) -> Result<Self, Refusal> {
        let Value::Object(body) = &raw else {
            return Err(Refusal::invalid("A blueprint must be an object"));
        };
        known_keys(body, &KEYS)?;
        let identifier = text(body, "identifier")?;
        if !blueprint_identifier(identifier) {
            return Err(Refusal::invalid(format!(
                "\"{identifier}\" is no blueprint identifier"
            )));
        }
        short(text(body, "title")?, 100)?;
        if let Some(description) = body.get("description").and_then(Value::as_str) {
            short(description, 200)?;
        }
        let schema = section(body, "schema")?
            .ok_or_else(|| Refusal::invalid("body must have the object \"schema\""))?;
        let properties = section(schema, "properties")?
            .into_iter()
            .flatten()
            .map(|(key, property)| Ok((key.clone(), Property::read(key, property)?)))
            .collect::<Result<_, Refusal>>()?;
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        let known = |target: &str| target == identifier || exists(target);
        let relations = section(body, "relations")?
            .into_iter()
            .flatten()
            .map(|(key, relation)| Ok((key.clone(), Relation::read(key, relation, known)?)))
            .collect::<Result<BTreeMap<_, _>, Refusal>>()?;
        check_computed(body, &relations, known)?;
        Ok(Self {
            properties,
            required: required.map(str::to_owned).collect(),
            relations,
            raw,
        })
    }

    /// Checks one value that is not null. Properties that the schema does not
    /// have are taken in and never shown.
    pub(super) fn check(&self, key: &str, value: &Value) -> Result<(), Refusal> {
        self.properties
            .get(key)
            .map_or(Ok(()), |property| property.check(key, value))
    }
}

/// Properties that Port computes.
fn check_computed(
    body: &Map<String, Value>,
    relations: &BTreeMap<String, Relation>,
    known: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    for (key, property) in section(body, "calculationProperties")?
        .into_iter()
        .flatten()
    {
        let complete = ["title", "calculation", "type"]
            .iter()
            .all(|field| property.get(field).is_some_and(Value::is_string));
        if !complete {
            return Err(Refusal::invalid(format!(
                "calculationProperties/{key} is not complete"
            )));
        }
    }
    for (key, property) in section(body, "mirrorProperties")?.into_iter().flatten() {
        let first = property["path"]
            .as_str()
            .and_then(|path| path.split('.').next());
        if !first.is_some_and(|first| relations.contains_key(first)) {
            return Err(Refusal::invalid(format!(
                "mirrorProperties/{key} follows no relation"
            )));
        }
    }
    for (key, property) in section(body, "aggregationProperties")?
        .into_iter()
        .flatten()
    {
        if !property["target"].as_str().is_some_and(&known) {
            let message = format!("aggregationProperties/{key} has a target that does not exist");
            return Err(Refusal::invalid(message));
        }
    }
    Ok(())
}

impl Property {
    fn read(key: &str, property: &Value) -> Result<Self, Refusal> {
        if !property_key(key) {
            return Err(Refusal::invalid(format!(
                "\"{key}\" is no property identifier"
            )));
        }
        let kind = property["type"].as_str().unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(Refusal::invalid(format!(
                "schema/properties/{key} has no known type"
            )));
        }
        if let Some(title) = property["title"].as_str() {
            short(title, 100)?;
        }
        Ok(Self {
            kind: kind.to_owned(),
            format: property["format"].as_str().map(str::to_owned),
            choices: property["enum"].as_array().cloned(),
        })
    }

    fn check(&self, key: &str, value: &Value) -> Result<(), Refusal> {
        let fits = match self.kind.as_str() {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            // Accounts in the wild hold lists whose items do not fit: items are not checked.
            _ => value.is_array(),
        };
        if !fits {
            let message = format!("\"/properties/{key}\" must be {}", self.kind);
            return Err(Refusal::invalid(message));
        }
        if self
            .choices
            .as_ref()
            .is_some_and(|choices| !choices.contains(value))
        {
            let message = format!("\"/properties/{key}\" must be one of the allowed values");
            return Err(Refusal::invalid(message));
        }
        if let (Some(format), Some(text)) = (&self.format, value.as_str()) {
            let fits = match format.as_str() {
                "date-time" => text.parse::<Timestamp>().is_ok(),
                "url" => Url::parse(text).is_ok_and(|url| url.has_host()),
                "user" | "email" => is_email(text),
                _ => true,
            };
            if !fits {
                let message = format!("\"/properties/{key}\" must match format \"{format}\"");
                return Err(Refusal::invalid(message));
            }
        }
        Ok(())
    }
}

impl Relation {
    fn read(key: &str, relation: &Value, known: impl Fn(&str) -> bool) -> Result<Self, Refusal> {
        if !property_key(key) {
            return Err(Refusal::invalid(format!(
                "\"{key}\" is no relation identifier"
            )));
        }
        let target = relation["target"]
            .as_str()
            .ok_or_else(|| Refusal::invalid(format!("relations/{key} has no target")))?;
        if !known(target) {
            let message = format!("relations/{key} has the target \"{target}\", which is missing");
            return Err(Refusal::invalid(message));
        }
        Ok(Self {
            target: target.to_owned(),
            many: relation["many"].as_bool().unwrap_or_default(),
            required: relation["required"].as_bool().unwrap_or_default(),
        })
    }
}

/// Whether Port takes this as the identifier of an entity.
pub(super) fn entity_identifier(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.chars().count() <= 1000
        && text
            .chars()
            .all(|one| one.is_alphabetic() || "0123456789@_.+:\\/=-".contains(one))
}

fn blueprint_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= 100
        && text
            .chars()
            .all(|one| one.is_alphabetic() || "0123456789@_.+:\\/-".contains(one))
}

fn property_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "@_=\\-".contains(one))
}

fn is_email(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|one: char| one == '@' || one.is_whitespace())
    };
    text.split_once('@')
        .is_some_and(|(name, host)| plain(name) && plain(host) && host.contains('.'))
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    super::required_text(body, key)
}

fn short(text: &str, limit: usize) -> Result<(), Refusal> {
    if text.chars().count() > limit {
        return Err(Refusal::invalid(format!(
            "A text is longer than {limit} characters"
        )));
    }
    Ok(())
}

/// An object within an object, when it is there.
fn section<'a>(
    body: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(section)) => Ok(Some(section)),
        Some(_) => Err(Refusal::invalid(format!("\"{key}\" must be an object"))),
    }
}
