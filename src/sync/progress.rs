//! How far a resync is, for whoever watches.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Counters that a resync moves and a progress bar reads.
#[derive(Debug, Default)]
pub struct Progress {
    /// Set once the mapping is read, by index of the resource config.
    pub kinds: OnceLock<Vec<KindProgress>>,
    /// Entities that are in Port as they should be: stored, or unchanged.
    pub settled: Arc<AtomicU64>,
}

/// How far one resource config is.
#[derive(Debug, Default)]
pub struct KindProgress {
    /// The kind as the mapping writes it.
    pub kind: String,
    /// Raw objects read.
    pub fetched: AtomicU64,
    /// Entities made of them.
    pub mapped: AtomicU64,
    /// Whether its data have been read to the end, or the reading failed.
    pub ended: AtomicBool,
}
