//! Keeps the requests of one key within the limits of its API.
//!
//! A vendor counts per key, so everything that uses a key shares one
//! [`Pacer`], also when the key is listed twice. Three things make a request
//! wait:
//!
//! - the window: at most so many requests in any rolling minute. A slot is free
//!   again one minute after the *answer* of the request that used it, because
//!   the server may have counted it at any time until then;
//! - what the API announces with its replies: when little is left, it is spread
//!   over the time left; when nothing is left, nothing is sent;
//! - a hold: after a refusal for the rate limit, every request of the key waits
//!   as long as the refused one, rather than running into the same wall.
//!
//! Requests start in the order in which they asked. The one at the head of the
//! queue holds the turnstile (a semaphore with one permit, which tokio hands
//! out in order) while it waits; no lock is held meanwhile. Waiting can be
//! abandoned at any point: the turnstile passes to the next, and a request
//! abandoned under way counts as used, since the server may have seen it.

mod state;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::info;

use self::state::{State, Turn};
use super::Announced;
use crate::telemetry::metrics;

/// Waiting longer than this is said.
const WORTH_SAYING: Duration = Duration::from_secs(10);

/// The rate limit of one key.
pub struct Pacer {
    api: &'static str,
    turnstile: Semaphore,
    /// Wakes the head of the queue when what it waits for may have changed.
    changed: Notify,
    state: Mutex<State>,
}

/// Permission to send one request; to be dropped once it is answered.
#[must_use]
pub struct Slot {
    pacer: Arc<Pacer>,
}

impl Pacer {
    /// A pacer of its own. `api` names the vendor in messages; without a limit
    /// only holds and what the API announces make requests wait.
    pub fn new(api: &'static str, per_minute: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            api,
            turnstile: Semaphore::new(1),
            changed: Notify::new(),
            state: Mutex::new(State::new(per_minute)),
        })
    }

    /// The pacer of this key on this host, the same one for everyone who asks.
    pub(crate) fn shared(
        api: &'static str,
        host: &str,
        key: &str,
        per_minute: Option<u32>,
    ) -> Arc<Self> {
        // Hashed with a seed of this process, so that the key itself is not
        // kept. Should two ever collide, they are paced as one.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static PACERS: LazyLock<Mutex<HashMap<u64, Arc<Pacer>>>> = LazyLock::new(Mutex::default);

        let identity = SEED.hash_one((api, host, key));
        let mut pacers = PACERS.lock().unwrap_or_else(PoisonError::into_inner);
        // A pacer outlives its clients until the server, too, has forgotten
        // their requests.
        let now = Instant::now();
        pacers.retain(|_, pacer| Arc::strong_count(pacer) > 1 || !pacer.state().is_idle(now));
        if let Some(pacer) = pacers.get(&identity) {
            pacer.state().tighten(per_minute);
            return Arc::clone(pacer);
        }
        let pacer = Self::new(api, per_minute);
        pacers.insert(identity, Arc::clone(&pacer));
        pacer
    }

    /// The vendor, as messages name it.
    pub(super) const fn api(&self) -> &'static str {
        self.api
    }

    /// Waits for the key's turn.
    pub async fn acquire(self: &Arc<Self>) -> Slot {
        // Fails only once closed, and nobody closes it.
        let _head_of_the_queue = self.turnstile.acquire().await;
        // Only the head's wait is the rate limit's; the others wait for the head.
        let began = Instant::now();
        loop {
            match self.turn() {
                Turn::Now => {
                    metrics::api_rate_limit_waited(self.api, began.elapsed());
                    return Slot {
                        pacer: Arc::clone(self),
                    };
                }
                // Whichever comes first; then the state says what is next.
                Turn::At(instant) => drop(timeout_at(instant, self.changed.notified()).await),
                Turn::WhenAnswered => self.changed.notified().await,
            }
        }
    }

    /// Keeps every request of the key back for this long.
    pub fn hold(&self, wait: Duration) {
        self.state().hold(Instant::now(), wait);
        self.changed.notify_one();
    }

    /// Takes in what a reply said about the rate limit.
    pub fn observe(&self, announced: Announced) {
        metrics::api_budget(self.api, announced.limit, announced.remaining);
        self.state().observe(Instant::now(), announced);
        self.changed.notify_one();
    }

    /// Waits `wait`, saying so when it is long. For what is not the key's
    /// affair but one request's.
    pub(crate) async fn back_off(&self, wait: Duration) {
        if wait > WORTH_SAYING {
            let seconds = wait.as_secs();
            info!(
                api = self.api,
                seconds, "Waiting {seconds} s before asking {} again", self.api
            );
        }
        sleep_until(Instant::now() + wait).await;
    }

    fn turn(&self) -> Turn {
        let now = Instant::now();
        let mut state = self.state();
        let turn = state.turn(now);
        match turn {
            Turn::Now => state.start(now),
            Turn::At(until) => {
                if state.announce(now, until, WORTH_SAYING) {
                    let waiting = until.duration_since(now);
                    // u64, because a field of u128 would be written as text.
                    let seconds = waiting.as_secs() + u64::from(waiting.subsec_nanos() > 0);
                    let api = self.api;
                    info!(api, seconds, "Waiting {seconds} s for {api}'s rate limit");
                }
            }
            Turn::WhenAnswered => {}
        }
        turn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pacer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pacer")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pacer.state().end(Instant::now());
        self.pacer.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
