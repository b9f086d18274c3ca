//! Live events: what vendors tell by webhook.

pub mod event;
mod lease;

pub use event::{DeadEvent, NewEvent, SpooledEvent, Subject, Taken, Thing};
pub use lease::Lease;
