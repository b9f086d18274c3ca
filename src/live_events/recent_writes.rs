//! What live events wrote a short time ago, known to all replicas.
//!
//! A resync reads a page, maps it and writes it seconds or minutes later. What a
//! live event wrote in between, on whichever replica, is newer and must stay. Every
//! live event therefore notes what it writes or deletes *before* it does so, with
//! the time as of which it knows the object; a resync asks, right before it writes
//! or deletes, which of its entities somebody knows as of a later time than its page.
//! What is noted after that question is only protected if the resync asks once more
//! after its write and fetches again what was noted meanwhile.
//!
//! # Whose clock
//!
//! Clocks of machines differ by more than the seconds this is about, so all times
//! here are the Redis' own. A process asks for it (`TIME`) at most every half minute,
//! and from then on counts with its monotonic clock. The answer was given at some
//! moment between question and answer: that difference, and half a thousandth of
//! what has passed since, is how far off a time can be. In doubt the live event is
//! the newer one: its time is rounded up, that of a page down. (The worst that comes
//! of it is an entity that waits for the next resync; the other way round, something
//! that people saw in the catalog would be taken back.)

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Script;

use super::shared_redis::{RedisFault, SharedRedis};

/// KEYS: written. ARGV: milliseconds that it is kept, time, members. A time that
/// is known already is never replaced by an earlier one.
static NOTE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2] - ARGV[1])
         for i = 3, #ARGV do redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[i]) end
         redis.call('PEXPIRE', KEYS[1], ARGV[1])
         return 1",
    )
});

/// Longer than any resync takes.
const KEPT: Duration = Duration::from_hours(6);

const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Identifiers in one question.
const AT_ONCE: usize = 1000;

/// What live events wrote; clones are of one replica.
#[derive(Clone, Debug)]
pub struct SharedRecentWrites {
    redis: SharedRedis,
    clock: Arc<Mutex<Option<Reading>>>,
}

/// One look at the Redis' clock, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    asked: Instant,
    answered: Instant,
    time: u64,
}

impl SharedRecentWrites {
    pub fn new(redis: SharedRedis) -> Self {
        Self {
            redis,
            clock: Arc::default(),
        }
    }

    /// Notes that an entity is about to be written or deleted, as the source knew
    /// it at `fetched`: when the source's answer was there.
    pub async fn note(
        &self,
        blueprint: &str,
        identifier: &str,
        fetched: Instant,
    ) -> Result<(), RedisFault> {
        let time = self.clock().await?.at_the_latest(fetched);
        let arguments = [
            KEPT.as_millis().to_string().into_bytes(),
            time.to_string().into_bytes(),
            member(blueprint, identifier).into_bytes(),
        ];
        self.redis.run(&NOTE, &[self.key()], &arguments).await
    }

    /// Which of these entities a live event knows as of a later time than `asked`:
    /// when the source was asked for the page they are from.
    pub async fn newer_than<'a>(
        &self,
        blueprint: &str,
        identifiers: &[&'a str],
        asked: Instant,
    ) -> Result<HashSet<&'a str>, RedisFault> {
        let mut newer = HashSet::new();
        if identifiers.is_empty() {
            return Ok(newer);
        }
        let page = self.clock().await?.at_the_earliest(asked);
        for some in identifiers.chunks(AT_ONCE) {
            let mut command = redis::cmd("ZMSCORE");
            command.arg(self.key());
            for identifier in some {
                command.arg(member(blueprint, identifier));
            }
            let times: Vec<Option<u64>> = self.redis.ask(&command).await?;
            let known = some.iter().zip(times);
            newer.extend(
                known
                    .filter(|(_, time)| time.is_some_and(|time| time >= page))
                    .map(|(identifier, _)| *identifier),
            );
        }
        Ok(newer)
    }

    fn key(&self) -> String {
        self.redis.key("written")
    }

    async fn clock(&self) -> Result<Reading, RedisFault> {
        let last = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = last.filter(|reading| reading.answered.elapsed() < ASK_AGAIN) {
            return Ok(reading);
        }
        let asked = Instant::now();
        let (seconds, micros): (u64, u64) = self.redis.ask(&redis::cmd("TIME")).await?;
        let reading = Reading {
            asked,
            answered: Instant::now(),
            time: seconds * 1000 + micros / 1000,
        };
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        Ok(reading)
    }
}

impl Reading {
    /// The Redis' time at that moment, or a little more.
    fn at_the_latest(self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.asked);
        let before = self.asked.saturating_duration_since(moment);
        self.time + millis(since) + drift(since.max(before)) + 1 - millis(before).min(self.time)
    }

    /// The Redis' time at that moment, or a little less.
    fn at_the_earliest(self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.answered);
        let before = self.answered.saturating_duration_since(moment);
        (self.time + millis(since)).saturating_sub(millis(before) + drift(since.max(before)) + 1)
    }
}

/// How far two clocks run apart in a time.
fn drift(over: Duration) -> u64 {
    millis(over) / 2000
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A blueprint's identifier has no slash.
fn member(blueprint: &str, identifier: &str) -> String {
    format!("{blueprint}/{identifier}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_events_time_is_rounded_up_and_that_of_a_page_down() {
        let long_ago = Instant::now();
        let asked = long_ago + Duration::from_secs(20);
        let reading = Reading {
            asked,
            answered: asked + Duration::from_millis(40),
            time: 1_000_000,
        };

        for moment in [
            long_ago,
            asked,
            asked + Duration::from_millis(20),
            asked + Duration::from_secs(20),
        ] {
            let width = reading.at_the_latest(moment) - reading.at_the_earliest(moment);
            assert!((40..=65).contains(&width), "{width}");
        }
    }
}
