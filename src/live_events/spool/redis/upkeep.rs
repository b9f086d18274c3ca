//! What has to be done beside the work: renew locks, give back what was
//! abandoned, tidy up.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{RedisSpool, millis, scripts, text};
use crate::live_events::shared_redis::RedisFault;

const TIDY_EVERY: Duration = Duration::from_mins(1);

/// An entry that nobody has touched for so long is looked at: it may be one that
/// the index does not know (a key was deleted or evicted).
const STALE: Duration = Duration::from_mins(10);

/// A replica that has nothing and was not heard of for so long does not come back.
const FORGOTTEN: Duration = Duration::from_hours(1);

impl RedisSpool {
    /// Renews the locks of what is in work until `stop`, which is to come after
    /// all work has ended. Without it locks expire in the middle of the work.
    pub async fn keep(&self, stop: &CancellationToken) {
        let every = self.times.used() / 3;
        let mut renewal = tokio::time::interval(every);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tidying = tokio::time::interval(TIDY_EVERY);
        tidying.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut has_looked = false;
        loop {
            // A renewal that waits for its answer must not hold up the rest, nor
            // the other way round; each of them has its deadline.
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renewal.tick() => self.renew().await,
                () = self.locks.has_abandoned.notified() => self.give_back_abandoned().await,
                _ = tidying.tick() => {
                    if !has_looked {
                        has_looked = self.look_at_durability().await.is_ok();
                    }
                    self.tidy().await;
                }
            }
        }
        self.give_back_abandoned().await;
    }

    async fn renew(&self) {
        let held = self.locks.all();
        if held.is_empty() {
            return;
        }
        let mut arguments = vec![text(millis(self.times.lock))];
        for lock in &held {
            arguments.push(lock.subject.as_bytes().to_vec());
            arguments.push(lock.token.as_bytes().to_vec());
        }
        let until = Instant::now() + self.times.used();
        let renewed: Result<Vec<bool>, RedisFault> = self.run(&scripts::RENEW, &arguments).await;
        // Without an answer they hold for as long as they did.
        for (lock, is_ours) in held.iter().zip(renewed.into_iter().flatten()) {
            if is_ours {
                lock.prolong(until);
            } else {
                lock.lose();
            }
        }
    }

    async fn give_back_abandoned(&self) {
        let tokens = self.locks.take_abandoned();
        if tokens.is_empty() {
            return;
        }
        let arguments: Vec<Vec<u8>> = tokens
            .iter()
            .map(|token| token.as_bytes().to_vec())
            .collect();
        let given: Result<(), RedisFault> = self.run(&scripts::ABANDON, &arguments).await;
        if given.is_err() {
            // The locks expire. They are not tried again: a Redis that was away
            // for long would be asked for all of them each time.
            tracing::debug!(count = tokens.len(), "Locks are left to expire");
        }
    }

    async fn tidy(&self) {
        let arguments = [
            self.redis.replica().as_bytes().to_vec(),
            text(millis(STALE)),
            text(self.redis.settings().stream_ttl.as_secs()),
            text(millis(FORGOTTEN)),
        ];
        let tidied: Result<(u64, u64), RedisFault> = self.run(&scripts::TIDY, &arguments).await;
        let Ok((found, expired)) = tidied else { return };
        if found > 0 {
            tracing::warn!(
                found,
                "{found} live events wait that no replica knew of; something other than this program deletes keys in the Redis"
            );
        }
        if expired > 0 {
            tracing::warn!(
                expired,
                "{expired} live events that had been given up, and that nobody replayed, have expired"
            );
        }
    }

    /// Says what makes the Redis less of a safe place than it could be.
    async fn look_at_durability(&self) -> Result<(), RedisFault> {
        let facts = self.redis.facts().await?;
        if facts.keeps_log == Some(false) {
            tracing::warn!(
                "The Redis keeps no log of what it is told: accepted live events are lost with it since its last snapshot. Hint: set `appendonly yes`"
            );
        }
        if let Some(policy) = facts.eviction.as_deref().filter(|_| facts.evicts()) {
            tracing::warn!(
                policy,
                "The Redis deletes keys when its memory is full (`maxmemory-policy {policy}`), live events among them. Hint: set `maxmemory-policy noeviction`"
            );
        }
        Ok(())
    }
}
