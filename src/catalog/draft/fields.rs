//! The fields of an entity as a draft keeps them: by name, and only those that have
//! a value.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;

use serde_json::{Map, Value};

use super::changes::FieldChange;
use crate::catalog::digest::{Field, Shape, shown_fields};

/// By `title`, `properties.status`, …
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// Of an entity as Port shows it, or as it is sent.
    pub(super) fn of(entity: &Value) -> Self {
        let mut fields = Self::default();
        fields.overlay(entity);
        fields
    }

    /// Lays what is sent over what is there. Null clears a field.
    pub(super) fn overlay(&mut self, entity: &Value) {
        for (field, value) in shown_fields(entity) {
            if value.is_null() {
                self.0.remove(&field.to_string());
            } else {
                self.0.insert(field.to_string(), value.clone());
            }
        }
    }

    pub(super) fn get(&self, field: Field<'_>) -> Option<&Value> {
        self.0.get(&field.to_string())
    }

    /// The relations, as Port shows them.
    pub(super) fn relations(&self) -> Map<String, Value> {
        let relations = self.0.iter().filter_map(|(name, value)| {
            let Field::Relation(name) = Field::named(name) else {
                return None;
            };
            Some((name.to_owned(), value.clone()))
        });
        relations.collect()
    }

    /// What differs between this and what comes after it, as Port sees it. What the
    /// blueprint does not have, nobody is ever shown.
    pub(super) fn changed_to(&self, after: &Self, shape: &Shape) -> Vec<FieldChange> {
        let hasher = RandomState::new();
        let names: BTreeSet<&String> = self.0.keys().chain(after.0.keys()).collect();
        let null = Value::Null;
        let changed = names.into_iter().filter_map(|name| {
            let value = |fields: &'_ Self| fields.0.get(name).cloned().unwrap_or_default();
            let (old, new) = (value(self), value(after));
            let digest = |value: &Value| shape.digest(&hasher, Field::named(name), value);
            let is_nothing = digest(&null) == digest(&old) && digest(&null) == digest(&new);
            let is_same = digest(&old) == digest(&new);
            (!is_nothing && !is_same).then(|| FieldChange {
                field: name.clone(),
                old,
                new,
            })
        });
        changed.collect()
    }
}
