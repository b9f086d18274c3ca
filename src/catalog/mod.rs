//! The sink: what the mapping made goes to Port, and what Port needs to begin with.
//!
//! - [`defaults`] prepares Port at the first start: integration, blueprints, mapping.
//! - [`writer`] stores entities in bulk and accounts for every one of them.
//! - `order` sorts entities so that relation targets come first.

mod defaults;
mod ledger;
mod order;
mod request;
mod writer;

pub use defaults::{Defaults, DefaultsError, Preparation, PrepareError, prepare};
pub use writer::{Refusal, ToWrite, WriteLimits, Writer, Written};
