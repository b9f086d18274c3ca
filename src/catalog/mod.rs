//! The sink: what the mapping made goes to Port, and what Port needs to begin with.
//!
//! - [`prepare()`] makes Port ready at the start: integration, blueprints, mapping.
//! - `blueprints` creates the default ones and completes what a killed start left.
//! - [`Defaults`] is what there is to create at the first one.
//! - [`Writer`] stores entities in bulk and accounts for every one of them.
//! - `order` sorts entities so that relation targets come first.

mod blueprints;
mod comparison;
mod current;
mod defaults;
mod digest;
mod held;
mod ledger;
mod mapped;
mod order;
mod postponed;
mod prepare;
mod request;
mod stale;
mod writer;
mod written;

pub use current::Contribution;
pub use defaults::{Defaults, DefaultsError, OwnMapping};
pub use mapped::MappedEntities;
pub use prepare::{Preparation, PrepareError, prepare};
pub use stale::{Deletion, DeletionRules, Feed, Withheld, WithheldReason, delete_stale};
pub use writer::{ToWrite, WriteLimits, Writer};
pub use written::{Refusal, Written};
