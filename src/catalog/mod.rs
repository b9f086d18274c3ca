//! The sink: what the mapping made goes to Port, and what Port needs to begin with.
//!
//! - [`prepare()`] makes Port ready at the start: integration, blueprints, mapping;
//!   [`foresee()`] says what that would be.
//! - `blueprints` creates the default ones and completes what a killed start left.
//! - [`Defaults`] is what there is to create at the first one.
//! - [`Writer`] stores what differs in bulk and accounts for every entity.
//! - `current` reads what Port holds, `comparison` and `digest` tell what differs.
//! - `held` and `postponed` keep entities that may yet turn out the same, or that
//!   lack a relation target; `order` sorts those so that targets come first.
//! - `paging` follows Port's cursors, and not for ever.
//! - `ledger` and [`MappedEntities`] remember what this resync mapped.
//! - [`delete_stale()`] deletes what is left over, unless there is a reason not to.
//! - [`Sink`] is where both write: Port, or a [`Draft`] that answers as Port would.
//! - [`LiveWriter`] stores and deletes the few entities of one live event.
//! - [`RecentWrites`] keeps a resync from undoing that.

mod blueprints;
mod by_entity;
mod comparison;
mod current;
mod defaults;
mod digest;
mod draft;
mod held;
mod ledger;
mod live;
mod mapped;
mod order;
mod paging;
mod postponed;
mod prepare;
mod recent;
mod request;
mod sink;
mod stale;
mod writer;
mod written;

pub use current::Contribution;
pub use defaults::{Defaults, DefaultsError, OwnMapping};
pub use draft::{Action, Changes, Draft, EntityChange, FieldChange};
pub use live::{FailureKind, LiveChanges, LiveFailure, LiveWriter, LiveWritten};
pub use mapped::MappedEntities;
pub use prepare::{Foreseen, Preparation, PrepareError, foresee, prepare};
pub use recent::{EntityKey, Instants, RecentWrites, SharedClaim, SharedWrites};
pub use sink::Sink;
pub use stale::{Deletion, DeletionRules, Feed, Withheld, WithheldReason, delete_stale};
pub use writer::{ToWrite, WriteLimits, Writer};
pub use written::{Refusal, Written};
