//! Comparing what is mapped with what Port shows, a segment at a time.
//!
//! The fields of a blueprint that the same resource configs map are a segment.
//! Since a resource config is outranked by whole segments, an entity can still
//! be compared when some of its fields are left to another one.

use std::collections::BTreeMap;
use std::hash::RandomState;

use serde_json::Value;

use super::by_entity::ByEntity;
use super::current::Contribution;
use super::digest::{Field, Shape, fields, shown_fields};
use super::ledger::{Fingerprint, Fingerprints};
use crate::api::Shown;
use crate::mapping::Entity;
use crate::resource_config::MappedFields;

/// How entities of one blueprint are compared.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    segments: Vec<Segment>,
    /// What has to be read to compare.
    pub(super) shown: Shown,
}

/// What is compared as one.
enum Segment {
    /// Fields that the same resource configs map.
    Fields(MappedFields),
    /// Without merging, an entity is replaced whole.
    Everything,
}

/// Digests of entities: a row each, a number a segment.
#[derive(Default)]
pub(super) struct Digests {
    rows: ByEntity<u32>,
    numbers: Vec<u64>,
}

impl Plan {
    pub(super) fn new(
        blueprint: &str,
        shape: Shape,
        contributions: &[Contribution],
        merge: bool,
    ) -> Self {
        if !merge {
            return Self {
                shape,
                segments: vec![Segment::Everything],
                shown: Shown {
                    all: true,
                    ..Shown::default()
                },
            };
        }
        let feeding: Vec<(usize, &MappedFields)> = contributions
            .iter()
            .enumerate()
            .filter(|(_, contribution)| contribution.may_feed(blueprint))
            .map(|(index, contribution)| (index, &contribution.fields))
            .collect();
        let mut mapped: BTreeMap<Field<'_>, Vec<usize>> = BTreeMap::new();
        for &(index, fields) in &feeding {
            for field in names(fields) {
                mapped.entry(field).or_default().push(index);
            }
        }
        let mut segments: BTreeMap<Vec<usize>, MappedFields> = BTreeMap::new();
        let mut shown = Shown::default();
        for (field, configs) in mapped {
            let segment = segments.entry(configs).or_default();
            match field {
                Field::Title => {
                    segment.title = true;
                    shown.fields.push("title");
                }
                Field::Icon => {
                    segment.icon = true;
                    shown.fields.push("icon");
                }
                Field::Team => {
                    segment.team = true;
                    shown.fields.push("team");
                }
                // Port may refuse to show what the blueprint does not have.
                Field::Property(name) => {
                    segment.properties.insert(name.to_owned());
                    if shape.has_property(name) {
                        shown.properties.push(name.to_owned());
                    }
                }
                Field::Relation(name) => {
                    segment.relations.insert(name.to_owned());
                    if shape.has_relation(name) {
                        shown.relations.push(name.to_owned());
                    }
                }
            }
        }
        Self {
            shape,
            segments: segments.into_values().map(Segment::Fields).collect(),
            shown,
        }
    }

    /// Whether the entity is what these digests were made of. What it does not
    /// mention does not count, if Port merges.
    pub(super) fn is_equal(&self, hasher: &RandomState, entity: &Entity, digests: &[u64]) -> bool {
        let mut mentioned = 0;
        for (segment, digest) in self.segments.iter().zip(digests) {
            match segment.compare(&self.shape, hasher, entity, *digest) {
                Some(fields) => mentioned += fields,
                None => return false,
            }
        }
        // What no resource config maps was not read, and may be anything.
        mentioned == fields(entity).count()
    }
}

/// The fields of an entity that a resource config maps.
fn names(fields: &MappedFields) -> impl Iterator<Item = Field<'_>> {
    let own = [
        (fields.title, Field::Title),
        (fields.icon, Field::Icon),
        (fields.team, Field::Team),
    ];
    own.into_iter()
        .filter_map(|(mapped, field)| mapped.then_some(field))
        .chain(fields.properties.iter().map(|name| Field::Property(name)))
        .chain(fields.relations.iter().map(|name| Field::Relation(name)))
}

/// Whether the entity does without something that its resource config maps: it
/// depends on what could not be fetched.
pub(super) fn lacks_any(mapped: &MappedFields, entity: &Entity) -> bool {
    names(mapped).any(|name| !fields(entity).any(|(field, _)| field == name))
}

impl Segment {
    fn has(&self, field: Field<'_>) -> bool {
        let Self::Fields(fields) = self else {
            return true;
        };
        match field {
            Field::Title => fields.title,
            Field::Icon => fields.icon,
            Field::Team => fields.team,
            Field::Property(name) => fields.properties.contains(name),
            Field::Relation(name) => fields.relations.contains(name),
        }
    }

    /// The sum over its fields, so that their order does not count.
    fn digest<'a>(
        &self,
        shape: &Shape,
        hasher: &RandomState,
        fields: impl Iterator<Item = (Field<'a>, &'a Value)>,
    ) -> Option<u64> {
        fields
            .filter(|(field, _)| self.has(*field))
            .try_fold(0_u64, |sum, (field, value)| {
                Some(sum.wrapping_add(shape.digest(hasher, field, value)?))
            })
    }

    /// How many of its fields the entity mentions, if they are what Port has.
    fn compare(
        &self,
        shape: &Shape,
        hasher: &RandomState,
        entity: &Entity,
        digest: u64,
    ) -> Option<usize> {
        let mentioned = fields(entity).filter(|(field, _)| self.has(*field)).count();
        let is_partial = matches!(self, Self::Fields(mapped) if mentioned < names(mapped).count());
        let is_equal = if is_partial {
            // Either all of it is left to another resource config, or some could
            // not be fetched and there is no telling what the rest alone was.
            mentioned == 0
        } else {
            self.digest(shape, hasher, fields(entity)) == Some(digest)
        };
        is_equal.then_some(mentioned)
    }
}

impl Digests {
    /// How many entities these are of.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn has(&self, entity: Fingerprint) -> bool {
        self.rows.contains(entity)
    }

    /// Of one entity, a number a segment of the plan.
    pub(super) fn of(&self, entity: Fingerprint, plan: &Plan) -> Option<&[u64]> {
        let row = *self.rows.get(entity)? as usize;
        let segments = plan.segments.len();
        self.numbers.get(row * segments..(row + 1) * segments)
    }

    /// Takes in an entity as Port shows it.
    pub(super) fn take(
        &mut self,
        blueprint: &str,
        entity: &Value,
        plan: &Plan,
        fingerprints: &Fingerprints,
        hasher: &RandomState,
    ) {
        let Some(identifier) = entity.get("identifier").and_then(Value::as_str) else {
            return;
        };
        let Ok(row) = u32::try_from(self.rows.len()) else {
            return;
        };
        let fingerprint = fingerprints.of(blueprint, identifier);
        if self.rows.contains(fingerprint) {
            // Pages may shift while they are read; what came first is as good.
            return;
        }
        self.rows.insert(fingerprint, row);
        self.numbers.extend(plan.segments.iter().map(|segment| {
            // A value of no known form is equal to nothing. 0 is what an entity
            // has that is null throughout.
            segment
                .digest(&plan.shape, hasher, shown_fields(entity))
                .unwrap_or(u64::MAX)
        }));
    }
}
