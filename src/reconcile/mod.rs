//! Keeps public Statuspage incidents in step with on-call incidents: a level-triggered
//! loop that observes both sides, computes what is desired, plans and applies.

pub mod config;
pub mod text;
