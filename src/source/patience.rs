//! When to stop asking for an enrichment.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::api::ApiError;

/// Whether it is still worth asking for an enrichment in this resync.
///
/// What is down, or not allowed, would otherwise be asked for with every page
/// or object anew, each time with all retries.
#[derive(Default)]
pub(super) struct Patience(AtomicU32);

impl Patience {
    /// Failures in a row that are put up with.
    const FAILURES: u32 = 3;

    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::FAILURES
    }

    pub(super) fn succeeded(&self) {
        // What is over stays over: all of a page's requests are told alike.
        if !self.is_over() {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, error: &ApiError) {
        match error.status() {
            // The object is gone; that says nothing about others.
            Some(404) => {}
            _ if error.is_quota_spent() => self.0.store(Self::FAILURES, Ordering::Relaxed),
            Some(401..=403) => self.0.store(Self::FAILURES, Ordering::Relaxed),
            _ => {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
