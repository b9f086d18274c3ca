//! Live events: what vendors tell of their own accord, by webhook.

pub mod event;
mod lease;
pub mod subscriptions;

pub use event::{DeadEvent, NewEvent, SpooledEvent, Subject, Taken, Thing};
pub use lease::Lease;
