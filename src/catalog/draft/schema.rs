//! What a blueprint would take: the checks of Port that can be made from its
//! definition.
//!
//! Only what is certain is refused here. Formats are left to Port, whose patterns
//! are not known; `--validate` asks it.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::api::BlueprintRelations;
use crate::catalog::digest::{Field, Shape};

/// A blueprint's definition.
pub(super) struct Schema {
    definition: Value,
    pub(super) shape: Shape,
    /// Whether Port has it already.
    pub(super) is_in_port: bool,
}

/// Why Port would not take an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn invalid(message: String) -> Self {
        Self {
            status: 422,
            code: "invalid_request",
            message,
        }
    }

    pub(super) fn not_found(message: String) -> Self {
        Self {
            status: 404,
            code: "not_found",
            message,
        }
    }
}

impl Schema {
    pub(super) fn new(definition: Value, is_in_port: bool) -> Self {
        Self {
            shape: Shape::of(&definition),
            definition,
            is_in_port,
        }
    }

    /// Where its relations lead.
    pub(super) fn relations(&self) -> BlueprintRelations {
        let relations = self.definition["relations"].as_object();
        let target = |relation: &Value| relation["target"].as_str().map(str::to_owned);
        relations
            .into_iter()
            .flatten()
            .map(|(name, relation)| (name.clone(), target(relation)))
            .collect()
    }

    /// Whether what is sent fits. Relations have no searches in them any more.
    pub(super) fn check(&self, entity: &Map<String, Value>) -> Result<(), Refusal> {
        for (name, value) in section(entity, "properties") {
            self.check_property(name, value)?;
        }
        for (name, value) in section(entity, "relations") {
            let Some(is_to_many) = self.shape.is_to_many(name) else {
                let message = format!("the blueprint has no relation `{name}`");
                return Err(Refusal::invalid(message));
            };
            let fits = match value {
                Value::Null | Value::String(_) => true,
                Value::Array(targets) => is_to_many && targets.iter().all(Value::is_string),
                _ => false,
            };
            if !fits {
                let message = format!("`relations.{name}` does not fit the relation");
                return Err(Refusal::invalid(message));
            }
        }
        Ok(())
    }

    /// Brings what fits to the form in which Port shows it: what may be several is a
    /// list, though it was sent as one.
    pub(super) fn bring_to_form(&self, entity: &mut Map<String, Value>) {
        let listed = |value: &mut Value| {
            if value.is_string() {
                *value = Value::Array(vec![value.take()]);
            }
        };
        if let Some(team) = entity.get_mut("team") {
            listed(team);
        }
        let relations = entity.get_mut("relations").and_then(Value::as_object_mut);
        for (name, value) in relations.into_iter().flatten() {
            if self.shape.is_to_many(name) == Some(true) {
                listed(value);
            }
        }
    }

    /// Whether nothing that is required would be missing.
    pub(super) fn check_whole(&self, entity: &Fields) -> Result<(), Refusal> {
        let properties = self.definition["schema"]["required"].as_array();
        let properties = properties.into_iter().flatten().filter_map(Value::as_str);
        let relations = self.definition["relations"].as_object();
        let relations = relations
            .into_iter()
            .flatten()
            .filter(|(_, relation)| relation["required"] == true)
            .map(|(name, _)| name.as_str());
        let required = properties
            .map(Field::Property)
            .chain(relations.map(Field::Relation));
        for field in required {
            let is_missing = match entity.get(field) {
                None => true,
                Some(Value::Array(targets)) if matches!(field, Field::Relation(_)) => {
                    targets.is_empty()
                }
                Some(_) => false,
            };
            if is_missing {
                return Err(Refusal::invalid(format!("`{field}` is required")));
            }
        }
        Ok(())
    }

    fn check_property(&self, name: &str, value: &Value) -> Result<(), Refusal> {
        let property = &self.definition["schema"]["properties"][name];
        if value.is_null() || property.is_null() {
            return Ok(());
        }
        let kind = property["type"].as_str().unwrap_or_default();
        let fits = match kind {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            _ => true,
        };
        if !fits {
            let message = format!("`properties.{name}` must be of type {kind}");
            return Err(Refusal::invalid(message));
        }
        let choices = property["enum"].as_array();
        if choices.is_some_and(|choices| !choices.contains(value)) {
            let message = format!("`properties.{name}` must be one of the allowed values");
            return Err(Refusal::invalid(message));
        }
        Ok(())
    }
}

/// The members of an object within an entity.
pub(super) fn section<'a>(
    entity: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let section = entity.get(name).and_then(Value::as_object);
    section.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let definition = json!({
            "schema": {
                "properties": {
                    "name": {"type": "string", "enum": ["a", "b"]}, "size": {"type": "number"},
                    "odd": {"type": "something new"},
                },
                "required": ["name"],
            },
            "relations": {
                "one": {"target": "team", "many": false, "required": true},
                "many": {"target": "user", "many": true},
            },
        });
        Schema::new(definition, true)
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_not_known_is_not() {
        let schema = schema();
        let table = [
            (json!({"properties": {"name": "a", "size": 1.5}}), None),
            (json!({"properties": {"name": null, "size": null}}), None),
            (json!({"properties": {"odd": [], "elsewhere": {}}}), None),
            (json!({"relations": {"one": null, "many": ["x"]}}), None),
            (json!({"relations": {"many": "x"}}), None),
            (
                json!({"properties": {"size": "1"}}),
                Some("`properties.size` must be of type number"),
            ),
            (
                json!({"properties": {"name": "c"}}),
                Some("`properties.name` must be one of the allowed values"),
            ),
            (
                json!({"relations": {"one": ["x"]}}),
                Some("`relations.one` does not fit the relation"),
            ),
            (
                json!({"relations": {"none": null}}),
                Some("the blueprint has no relation `none`"),
            ),
        ];
        for (entity, expected) in table {
            let refusal = schema.check(entity.as_object().unwrap()).err();
            let refusal = refusal.map(|refusal| refusal.message);
            assert_eq!(refusal.as_deref(), expected, "{entity}");
        }
    }

    #[test]
    fn what_is_required_has_to_be_there_in_the_end() {
        let table = [
            (
                json!({"properties": {"name": "a"}, "relations": {"one": "x"}}),
                true,
            ),
            (
                json!({"properties": {"name": null}, "relations": {"one": "x"}}),
                false,
            ),
            (
                json!({"properties": {"name": "a"}, "relations": {"one": []}}),
                false,
            ),
        ];
        for (entity, fits) in table {
            let checked = schema().check_whole(&Fields::of(&entity));
            assert_eq!(checked.is_ok(), fits, "{entity}");
        }
    }
}
