//! What a draft asks Port: blueprints, what searches find, and what there is of the
//! entities that would be written and of those that they relate to. Each is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::schema::{Refusal, Schema, section};
use super::state::{Place, targets_of};
use super::{Draft, Sent, locked};
use crate::api::{ApiError, Shown};

/// Entities that one lookup names.
const LOOKUP: usize = 50;

impl Draft {
    /// The blueprint, if it is there or would be.
    pub(super) async fn schema(&self, blueprint: &str) -> Result<Option<Arc<Schema>>, ApiError> {
        if let Some(known) = locked(&self.schemas).get(blueprint) {
            return Ok(known.clone());
        }
        // Two that ask at the same time learn the same.
        let definition = self.port.blueprint(blueprint).await?;
        let schema = definition.map(|definition| Arc::new(Schema::new(definition, true)));
        locked(&self.schemas).insert(blueprint.to_owned(), schema.clone());
        Ok(schema)
    }

    /// What is sent, with what its searches find now.
    pub(super) async fn resolved(&self, blueprint: &str, body: &Bytes) -> Result<Sent, ApiError> {
        // It was written here.
        let mut entity: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let identifier = match entity.remove("identifier") {
            Some(Value::String(identifier)) => Ok(identifier),
            Some(query @ Value::Object(_)) => {
                let found = self.found(blueprint, &query).await?;
                match found.as_slice() {
                    [only] => Ok(only.clone()),
                    [] => Err(Refusal::not_found("the search finds no entity".to_owned())),
                    several => {
                        let message = format!("the search finds {} entities", several.len());
                        Err(Refusal::invalid(message))
                    }
                }
            }
            _ => Err(Refusal::invalid("it has no identifier".to_owned())),
        };
        if let Some(query @ Value::Object(_)) = entity.get("team") {
            let teams = self.found("_team", query).await?;
            entity.insert("team".to_owned(), teams.into());
        }
        let searching: Vec<(String, Value)> = section(&entity, "relations")
            .filter(|(_, value)| has_search(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !searching.is_empty()
            && let Some(schema) = self.schema(blueprint).await?
        {
            for (name, value) in searching {
                let targets = self.related(&schema, &name, value).await?;
                entity["relations"][&name] = targets;
            }
        }
        Ok(Sent { identifier, entity })
    }

    /// A relation without its searches.
    async fn related(&self, schema: &Schema, name: &str, value: Value) -> Result<Value, ApiError> {
        let Some(target) = schema.shape.target(name) else {
            return Ok(value);
        };
        let members = match value {
            Value::Array(members) => members,
            only => vec![only],
        };
        let mut targets = Vec::new();
        for member in members {
            if member.is_object() {
                let found = self.found(target, &member).await?;
                targets.extend(found.into_iter().map(Value::String));
            } else {
                targets.push(member);
            }
        }
        Ok(if schema.shape.is_to_many(name) == Some(true) {
            targets.into()
        } else {
            targets.into_iter().next().unwrap_or_default()
        })
    }

    /// The entities of a blueprint that a search finds now.
    async fn found(&self, blueprint: &str, query: &Value) -> Result<Vec<String>, ApiError> {
        let key = (blueprint.to_owned(), query.to_string());
        if let Some(known) = locked(&self.found).get(&key) {
            return Ok(known.clone());
        }
        let entities = self
            .port
            .entities_passing(blueprint, query, &Shown::default())
            .await?;
        let names = entities
            .iter()
            .filter_map(|entity| entity["identifier"].as_str());
        let names: Vec<String> = names.map(str::to_owned).collect();
        locked(&self.found).insert(key, names.clone());
        Ok(names)
    }

    /// Looks up what Port has of these entities, and whether it has what they relate to.
    pub(super) async fn look_up(
        &self,
        blueprint: &str,
        schema: &Schema,
        sent: &[Sent],
    ) -> Result<(), ApiError> {
        let (mut own, mut targets) = (BTreeSet::new(), BTreeSet::<Place>::new());
        {
            let state = self.state();
            for Sent { identifier, entity } in sent {
                if let Ok(identifier) = identifier {
                    let place = (blueprint.to_owned(), identifier.clone());
                    if schema.is_in_port && state.is_unknown(&place) {
                        own.insert(identifier.as_str());
                    }
                }
                let places = targets_of(&schema.shape, entity);
                targets.extend(places.filter(|place| state.is_unknown_target(place)));
            }
        }
        let whole = Shown {
            all: true,
            ..Shown::default()
        };
        let own: Vec<&str> = own.into_iter().collect();
        for group in own.chunks(LOOKUP) {
            let found = self
                .port
                .entities_passing(blueprint, &named(group), &whole)
                .await?;
            self.state().take_entities(blueprint, group, &found);
        }
        let mut by_blueprint: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (blueprint, identifier) in &targets {
            by_blueprint.entry(blueprint).or_default().push(identifier);
        }
        for (blueprint, names) in by_blueprint {
            for group in names.chunks(LOOKUP) {
                let shown = Shown::default();
                let found = self
                    .port
                    .entities_passing(blueprint, &named(group), &shown)
                    .await?;
                self.state().take_targets(blueprint, group, &found);
            }
        }
        Ok(())
    }
}

fn has_search(value: &Value) -> bool {
    match value {
        Value::Array(members) => members.iter().any(Value::is_object),
        only => only.is_object(),
    }
}

/// A rule that entities of these names pass.
fn named(identifiers: &[&str]) -> Value {
    json!({"property": "$identifier", "operator": "in", "value": identifiers})
}
