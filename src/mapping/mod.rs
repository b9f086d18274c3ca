//! Raw object to entity; pure: no I/O, no clock.
//!
//! A batch of raw objects goes through every resource config that reads it.
//! What simple expressions give, paths above all, is told by the object as it is.
//! For others it is converted to a jq value once, as far as they read it; the
//! configs, and the objects that `itemsToParse` makes of it, share that value.
//!
//! Ocean's rules hold: the first output of an expression counts, and a field
//! whose expression gives nothing or fails is null. Two things differ. What
//! went wrong is collected as [`Findings`] instead of vanishing, because an
//! object that was lost here must not be taken for one that is gone upstream.
//! And a field that depends on data which could not be fetched is left out of
//! the entity, so that Port keeps what it knew: null would erase it.
//!
//! A failing expression, however badly it fails, costs its field or its object,
//! never the batch.

mod entity;
mod evaluate;
mod explain;
mod finding;
pub mod identifier;
mod items;
mod plan;
mod raw;
mod subject;
#[cfg(test)]
mod tests;

pub use entity::{Entity, EntityIdentifier};
pub use evaluate::field;
pub use explain::{Asked, Explained, Fate, explain};
pub use finding::{Cause, Finding, Findings, Severity};
pub use raw::{Column, Consumer, RawBatch};

use crate::jq::Limits;

/// What one consumer got out of one batch.
#[derive(Clone, Debug, Default)]
pub struct Mapped {
    pub entities: Vec<Entity>,
    /// Raw objects looked at, counted after `itemsToParse`: the sum of what was
    /// filtered out, what failed and the entities.
    pub examined: u64,
    pub filtered_out: u64,
    /// Objects that gave no entity although they were not filtered out. Each
    /// has an error among the findings.
    pub failed: u64,
    pub findings: Findings,
}

impl Mapped {
    /// Counts an object whose items are not known as one that was lost.
    fn lose_object(&mut self) {
        self.examined += 1;
        self.failed += 1;
    }
}

/// What names an entity in Port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub blueprint: String,
    pub identifier: String,
}

/// Whose entities are to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of all objects, whatever the selector makes of them.
    All,
    /// Of those that the selector leaves out.
    Unselected,
}

/// Names the entities that the objects would have, or had, without making them;
/// one list per consumer, in order.
///
/// Meant for finding what is to be deleted, so what is not certain is left out:
/// an object whose selector fails, an identifier that needs data which could
/// not be fetched, an entity that Port finds by a search.
///
/// Must be called on a large stack, as [`map_batch`].
pub fn identify(
    batch: &RawBatch,
    consumers: &[Consumer],
    which: Which,
    limits: &Limits,
) -> Vec<Vec<Identity>> {
    let plans: Vec<_> = consumers
        .iter()
        .map(|consumer| plan::Plan::new(consumer, batch, limits))
        .collect();
    let read = raw::read_by(consumers.iter().map(|consumer| &*consumer.config));
    let mut identities: Vec<_> = consumers.iter().map(|_| Vec::new()).collect();
    for index in 0..batch.objects.len() {
        let object = raw::Object::new(batch, index, &read);
        for (plan, identities) in plans.iter().zip(&mut identities) {
            plan.identify(&object, which, identities);
        }
    }
    identities
}

/// Runs every consumer on every object; one result per consumer, in order.
///
/// Must be called on a large stack (`jq::on_large_stack`), as every use of a filter.
pub fn map_batch(batch: &RawBatch, consumers: &[Consumer], limits: &Limits) -> Vec<Mapped> {
    let plans: Vec<_> = consumers
        .iter()
        .map(|consumer| plan::Plan::new(consumer, batch, limits))
        .collect();
    let read = raw::read_by(consumers.iter().map(|consumer| &*consumer.config));
    let mut mapped: Vec<_> = consumers.iter().map(|_| Mapped::default()).collect();
    for index in 0..batch.objects.len() {
        let object = raw::Object::new(batch, index, &read);
        for (plan, mapped) in plans.iter().zip(&mut mapped) {
            plan.map(&object, mapped);
        }
    }
    mapped
}
