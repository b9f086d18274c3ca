//! Raw object to entity; pure: no I/O, no clock.
//!
//! A batch of raw objects goes through every resource config that reads it.
//! Each object is converted to a jq value once; the configs, and the objects
//! that `itemsToParse` makes of it, share that value.
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
mod finding;
pub mod identifier;
mod items;
mod plan;
mod raw;
mod subject;
#[cfg(test)]
mod tests;

pub use entity::{Entity, EntityIdentifier};
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

/// Runs every consumer on every object; one result per consumer, in order.
///
/// Must be called on a large stack (`jq::on_large_stack`), as every use of a filter.
pub fn map_batch(batch: &RawBatch, consumers: &[Consumer], limits: &Limits) -> Vec<Mapped> {
    let plans: Vec<_> = consumers
        .iter()
        .map(|consumer| plan::Plan::new(consumer, batch, limits))
        .collect();
    let mut mapped: Vec<_> = consumers.iter().map(|_| Mapped::default()).collect();
    for index in 0..batch.objects.len() {
        let mut object = raw::Object::new(batch, index);
        for (plan, mapped) in plans.iter().zip(&mut mapped) {
            plan.map(&mut object, mapped);
        }
    }
    mapped
}
