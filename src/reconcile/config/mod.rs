//! The incident-sync document: what is announced, how it is said, and with how much
//! patience.

mod words;

pub use words::{AlertSource, ComponentStatus, Group, IncidentStatus, Mode, Status, UnknownWord};
