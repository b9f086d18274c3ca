//! What comes of a live event.

use thiserror::Error;

/// What became of the entities of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveOutcome {
    pub written: u64,
    pub deleted: u64,
    pub unchanged: u64,
}

/// Why an event could not be worked on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LiveError {
    /// Worth another try: the network, a service that is away or overloaded, an
    /// object that its own API does not know yet.
    #[error("{0}")]
    Again(String),
    /// It will be the same tomorrow: the body or the mapping is wrong.
    #[error("{0}")]
    Never(String),
}
