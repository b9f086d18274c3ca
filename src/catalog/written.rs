//! What became of the entities that were mapped, counted by resource config.

use super::request::named;
use crate::mapping::Entity;

/// Refused entities that are named; the rest is counted.
const NAMED_REFUSALS: usize = 5;

/// What became of the entities of one resource config.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Stored, each object that led to an entity counted.
    pub stored: u64,
    /// Not sent, because Port has it as it is, or a later resource config or a
    /// live event said otherwise.
    pub unchanged: u64,
    /// Refused by Port, or never answered.
    pub refused: u64,
    /// Some of the refused, with Port's reason.
    pub refusals: Vec<Refusal>,
    /// Objects whose identifier another object of the same resource config had.
    pub collisions: u64,
    /// One such identifier.
    pub collision: Option<String>,
}

/// An entity that Port would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it should have gone.
    pub blueprint: String,
    /// Which entity.
    pub identifier: String,
    /// Port's words.
    pub reason: String,
}

impl Written {
    /// Notes an object whose identifier another one had.
    pub(super) fn note_collision(&mut self, entity: &Entity) {
        self.collisions += 1;
        if self.collision.is_none() {
            self.collision = Some(named(entity));
        }
    }

    /// Notes that Port would not take an entity, made of so many objects.
    pub(super) fn refuse(&mut self, objects: u64, entity: &Entity, reason: &str) {
        self.refused += objects;
        if self.refusals.len() < NAMED_REFUSALS {
            self.refusals.push(Refusal {
                blueprint: entity.blueprint.clone(),
                identifier: named(entity),
                reason: reason.to_owned(),
            });
        }
    }
}
