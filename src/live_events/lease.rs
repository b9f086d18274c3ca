//! Who has the events of a subject.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether whoever took the events still has them. Clones are the same lease.
#[derive(Clone, Debug)]
pub struct Lease(Arc<AtomicBool>);

impl Lease {
    /// A lease that is held until it is lost.
    pub fn held() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Somebody else may have the events from now on.
    pub fn lose(&self) {
        self.0.store(false, Ordering::Release);
    }

    pub(super) fn is_ours(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
