//! The time as the simulators see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// What time it is: really, or as a test says. Clones share one time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    /// The real time.
    pub fn real() -> Self {
        Self::default()
    }

    /// Stands still until it is set or advanced.
    pub fn fixed(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Some(now))))
    }

    pub fn now(&self) -> Timestamp {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or_else(Timestamp::now)
    }

    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Moves a clock that stands still; one that shows the real time stops there.
    pub fn advance(&self, by: Duration) {
        let now = self.now();
        self.set(now.saturating_add(by).unwrap_or(now));
    }
}
