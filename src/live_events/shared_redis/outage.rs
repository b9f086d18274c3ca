//! Says once that the Redis is away, and once that it is back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::RedisFault;
use crate::causes::with_hint;

/// A refusal (out of memory, for example) comes with every command until
/// somebody does something about it.
const REPEAT_REFUSAL: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    away_since: Option<Instant>,
    refusal_told: Option<Instant>,
}

impl Outage {
    pub(super) fn since(&self) -> Option<Instant> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.away_since
    }

    pub(super) fn notice<T>(&self, result: &Result<T, RedisFault>, place: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Err(fault) if fault.is_outage() => {
                if known.away_since.is_some() {
                    tracing::debug!(place, "{}", with_hint(fault, None));
                    return;
                }
                known.away_since = Some(Instant::now());
                tracing::warn!(
                    place,
                    "Without the Redis live events are neither accepted nor worked on, and nobody leads: {}",
                    with_hint(fault, fault.hint())
                );
            }
            answered => {
                if let Some(since) = known.away_since.take() {
                    let seconds = since.elapsed().as_secs();
                    tracing::info!(
                        place,
                        seconds,
                        "The Redis at {place} answers again after {seconds} s"
                    );
                }
                let Err(refusal) = answered else { return };
                if known
                    .refusal_told
                    .is_none_or(|told| told.elapsed() >= REPEAT_REFUSAL)
                {
                    known.refusal_told = Some(Instant::now());
                    tracing::error!(place, "{}", with_hint(refusal, refusal.hint()));
                }
            }
        }
    }
}
