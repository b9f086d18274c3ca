//! How vendors count requests.
//!
//! Counting always goes on, so that limits can be switched on in the middle of
//! a test; only the refusal is optional. Times are tokio's, so that a paused
//! clock governs them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// A rate limit as a vendor applies it.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    pub requests: u32,
    pub window: Duration,
    /// True: any span of that length may hold so many requests. False: the
    /// count starts afresh at the end of each window.
    pub rolling: bool,
    /// Whether requests beyond the limit are refused.
    pub enforced: bool,
}

/// Where a caller stands after the request that was just counted.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub limit: u32,
    pub remaining: u32,
    /// How long until there is room again.
    pub reset: Duration,
    pub window: Duration,
    pub exceeded: bool,
}

pub(super) struct RateLimiter {
    limit: RateLimit,
    counted: HashMap<String, VecDeque<Instant>>,
}

impl RateLimiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            counted: HashMap::new(),
        }
    }

    /// Applies another limit from now on, to callers with a clean slate.
    pub(super) fn set(&mut self, limit: RateLimit) {
        *self = Self::new(limit);
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    pub(super) fn count(&mut self, bucket: &str) -> Usage {
        let RateLimit {
            requests,
            window,
            rolling,
            enforced,
        } = self.limit;
        if !enforced {
            // A client that slows down as its share shrinks must not do so for
            // a limit that does not hold.
            let remaining = requests.saturating_sub(1);
            return Usage {
                limit: requests,
                remaining,
                reset: window,
                window,
                exceeded: false,
            };
        }
        let now = Instant::now();
        let times = self.counted.entry(bucket.to_owned()).or_default();
        if rolling {
            while times
                .front()
                .is_some_and(|&first| now.duration_since(first) >= window)
            {
                times.pop_front();
            }
        } else if times
            .front()
            .is_some_and(|&first| now.duration_since(first) >= window)
        {
            times.clear();
        }
        let exceeded = times.len() >= requests as usize;
        if !exceeded {
            times.push_back(now);
        }
        let reset = times.front().map_or(window, |&first| {
            window.saturating_sub(now.duration_since(first))
        });
        let used = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Usage {
            limit: requests,
            remaining: requests.saturating_sub(used),
            reset,
            window,
            exceeded,
        }
    }
}
