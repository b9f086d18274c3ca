//! What was said already, so that it is said once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Remembers what was said: for good, or for a time where somebody may need to
/// hear it again.
#[derive(Default)]
pub(super) struct Said {
    again_after: Option<Duration>,
    said: Mutex<HashMap<String, Instant>>,
}

impl Said {
    /// What is said may be said again after so long.
    pub(super) fn again_after(time: Duration) -> Self {
        Self {
            again_after: Some(time),
            ..Self::default()
        }
    }

    /// Whether it is time to say this; asking counts as saying it.
    pub(super) fn is_news(&self, what: &str) -> bool {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: &Instant| self.again_after.is_some_and(|time| now - *at >= time);
        if said.get(what).is_some_and(|at| !is_old(at)) {
            return false;
        }
        said.insert(what.to_owned(), now);
        true
    }
}
