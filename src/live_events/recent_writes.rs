//! What live events write, known to all replicas: the notes and claims of
//! [`crate::catalog::RecentWrites`] in the Redis.
//!
//! | key | type | what |
//! |---|---|---|
//! | `written` | sorted set | entity → the Redis' time by which its object had been fetched, in milliseconds |
//! | `claim:{entity}` | string | token of whoever is writing it; expires by itself |
//!
//! # Whose clock
//!
//! Clocks of machines differ by more than the seconds this is about, so the times in
//! the Redis are its own. A process asks for it (`TIME`) at most every half minute, and
//! converts by the difference to its own clock. That difference is known to a few
//! milliseconds, at worst to [`STEP`], and resyncs leave room for more
//! ([`RecentWrites::LIST_LAG`]). It is only replaced when it has become another one: what a process notes
//! comes back to it as the very millisecond it was, so that nobody takes their own note
//! for somebody else's. When it is replaced in the middle of an event, that may happen;
//! then the event is looked at again.
//!
//! # A Redis that is away
//!
//! Every question is repeated for [`PATIENCE`]. That is longer than this replica
//! may lead or work on an event without the Redis, so who goes on after that finds
//! that it may not. What is left is a resync that is run once, beside a service: it
//! goes on without protection, and is not held up by every further question. One
//! that may only be read (or the other way round) is away for writing, whatever
//! reading brings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use redis::Script;

use super::shared_redis::{RedisFault, SharedRedis};
use crate::catalog::{EntityKey, Instants, RecentWrites, SharedClaim, SharedWrites};

/// KEYS: written. ARGV: the oldest time to keep, how many to keep, milliseconds to
/// keep all of it, then time and entity of each. A time that is known already is
/// never replaced by an earlier one.
static NOTE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
         for i = 4, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[i], ARGV[i + 1]) end
         redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
         redis.call('PEXPIRE', KEYS[1], ARGV[3])
         return 1",
    )
});

/// KEYS: written, then claims. ARGV: token, milliseconds. All of them or none. The
/// first command frees memory: then Redis lets a full memory pass, and who works off
/// what fills it is not held up.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('ZREM', KEYS[1], '')
         for i = 2, #KEYS do
           local token = redis.call('GET', KEYS[i])
           if token and token ~= ARGV[1] then return 0 end
         end
         for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2]) end
         return 1",
    )
});

/// KEYS: claims. ARGV: token. Those that are still one's own.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for _, key in ipairs(KEYS) do
           if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
         end
         return 1",
    )
});

/// How long a claim holds whose process does not renew it any more.
const CLAIM_HOLDS: Duration = Duration::from_secs(30);

/// How long a Redis that is away is asked again; see the module.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often one that was away for so long is asked whether it is back.
const ASK_AGAIN: Duration = Duration::from_secs(2);

const ASK_CLOCK_AGAIN: Duration = Duration::from_secs(30);

/// By how many milliseconds a clock may differ from what is known of it: less than
/// that is the way there and back, more is somebody who set it.
const STEP: i64 = 1000;

/// Identifiers in one question.
const AT_ONCE: usize = 1000;

/// What live events write; clones are of one replica.
#[derive(Clone, Debug)]
pub struct SharedRecentWrites {
    redis: SharedRedis,
    clock: Arc<Mutex<Option<Clock>>>,
    reading: Arc<Mutex<Patience>>,
    writing: Arc<Mutex<Patience>>,
    /// Whether it was said that this goes on without the Redis.
    is_said: Arc<AtomicBool>,
}

/// How long one kind of question has been asked in vain.
#[derive(Debug, Default)]
struct Patience {
    in_vain_since: Option<Instant>,
    asked: Option<Instant>,
}

/// How far the Redis' clock is ahead of the own one.
#[derive(Clone, Copy, Debug)]
struct Clock {
    milliseconds: i64,
    looked: Instant,
}

/// Entities that this process is writing.
struct Claim {
    writes: SharedRecentWrites,
    /// That of the notes, then one for each.
    keys: Vec<String>,
    token: String,
    /// Whether the Redis knows of it.
    is_known: bool,
}

impl SharedRecentWrites {
    pub fn new(redis: SharedRedis) -> Self {
        Self {
            redis,
            clock: Arc::default(),
            reading: Arc::default(),
            writing: Arc::default(),
            is_said: Arc::default(),
        }
    }

    async fn try_note(&self, entities: &[(EntityKey, Timestamp)]) -> Result<(), RedisFault> {
        let clock = self.clock().await?;
        let lifetime = RecentWrites::LIFETIME.as_secs() * 1000;
        let oldest = clock.redis_time_of(Timestamp::now()) - lifetime;
        let mut arguments: Vec<Vec<u8>> = [
            oldest,
            i64::try_from(RecentWrites::MOST).unwrap_or(i64::MAX),
            lifetime,
        ]
        .map(|number| number.to_string().into_bytes())
        .to_vec();
        for &(entity, fetched) in entities {
            let time = clock.redis_time_of(fetched);
            arguments.push(time.to_string().into_bytes());
            arguments.push(entity.as_bytes().to_vec());
        }
        self.redis.run(&NOTE, &[self.key()], &arguments).await
    }

    async fn try_noted(&self, entities: &[EntityKey]) -> Result<Instants, RedisFault> {
        let clock = self.clock().await?;
        let mut noted = Vec::with_capacity(entities.len());
        for some in entities.chunks(AT_ONCE) {
            let mut command = redis::cmd("ZMSCORE");
            command.arg(self.key());
            for entity in some {
                command.arg(entity.as_bytes());
            }
            let times: Vec<Option<i64>> = self.redis.ask(&command).await?;
            noted.extend(times.into_iter().map(|time| Some(clock.own_time_of(time?))));
        }
        Ok(noted)
    }

    async fn clock(&self) -> Result<Clock, RedisFault> {
        let last = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = last.filter(|clock| clock.looked.elapsed() < ASK_CLOCK_AGAIN) {
            return Ok(clock);
        }
        let asked = Timestamp::now();
        let (seconds, micros): (i64, i64) = self.redis.ask(&redis::cmd("TIME")).await?;
        let said = seconds * 1000 + micros / 1000;
        let clock = Clock::seen(last, said - asked.as_millisecond());
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        Ok(clock)
    }

    /// Asks again and again where the Redis is away, which it says itself. None: it
    /// has been away for too long.
    async fn patiently<T, Answer>(
        &self,
        patience: &Mutex<Patience>,
        ask: impl Fn() -> Answer,
    ) -> Option<T>
    where
        Answer: Future<Output = Result<T, RedisFault>>,
    {
        let patience = || patience.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !patience().may_ask(self.redis.away_since(), Instant::now()) {
                return None;
            }
            if let Ok(answer) = ask().await {
                *patience() = Patience::default();
                self.is_said.store(false, Ordering::Relaxed);
                return Some(answer);
            }
            if patience().is_over_after_failing(self.redis.away_since(), Instant::now()) {
                if !self.is_said.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "Going on without the Redis: a live event and a resync that write the same entity at the same time may undo each other"
                    );
                }
                return None;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(200..600))).await;
        }
    }

    fn key(&self) -> String {
        self.redis.key("written")
    }
}

impl SharedWrites for SharedRecentWrites {
    fn note(&self, entities: Vec<(EntityKey, Timestamp)>) -> BoxFuture<'_, ()> {
        async move {
            self.patiently(&self.writing, || self.try_note(&entities))
                .await;
        }
        .boxed()
    }

    fn noted(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Instants> {
        async move {
            self.patiently(&self.reading, || self.try_noted(&entities))
                .await
                .unwrap_or_else(|| vec![None; entities.len()])
        }
        .boxed()
    }

    fn claim(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Box<dyn SharedClaim>> {
        async move {
            let claims = entities
                .iter()
                .map(|entity| self.redis.key(&format!("claim:{entity}")));
            let mut claim = Claim {
                writes: self.clone(),
                keys: std::iter::once(self.key()).chain(claims).collect(),
                token: uuid::Uuid::new_v4().simple().to_string(),
                is_known: false,
            };
            // None: it is away for too long, and so are the others from it.
            while let Some(is_ours) = self.patiently(&self.writing, || claim.try_claim()).await {
                if is_ours {
                    claim.is_known = true;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(fastrand::u64(20..100))).await;
            }
            let claim: Box<dyn SharedClaim> = Box::new(claim);
            claim
        }
        .boxed()
    }
}

impl Claim {
    async fn try_claim(&self) -> Result<bool, RedisFault> {
        let arguments = [
            self.token.clone().into_bytes(),
            CLAIM_HOLDS.as_millis().to_string().into_bytes(),
        ];
        self.writes.redis.run(&CLAIM, &self.keys, &arguments).await
    }
}

impl SharedClaim for Claim {
    fn holds_for(&self) -> Duration {
        CLAIM_HOLDS
    }

    fn renew(&self) -> BoxFuture<'_, ()> {
        async move {
            if self.is_known {
                // There is another attempt before it ends.
                let _is_ours = self.try_claim().await;
            }
        }
        .boxed()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            if !self.is_known {
                return;
            }
            let token = [self.token.clone().into_bytes()];
            // Failing that it ends by itself.
            let _released: Result<(), RedisFault> = self
                .writes
                .redis
                .run(&RELEASE, &self.keys[1..], &token)
                .await;
        }
        .boxed()
    }
}

impl Patience {
    /// Not where it is away and has been for too long, but for a look every now and
    /// then: each may take seconds.
    fn may_ask(&mut self, away_since: Option<Instant>, now: Instant) -> bool {
        let asked_lately = self.asked.is_some_and(|asked| now - asked < ASK_AGAIN);
        if away_since.is_some() && asked_lately && self.is_over(away_since, now) {
            return false;
        }
        self.asked = Some(now);
        true
    }

    fn is_over_after_failing(&mut self, away_since: Option<Instant>, now: Instant) -> bool {
        self.in_vain_since.get_or_insert(now);
        self.is_over(away_since, now)
    }

    /// Whether this has been asked in vain for too long, or everything.
    fn is_over(&self, away_since: Option<Instant>, now: Instant) -> bool {
        let since = [self.in_vain_since, away_since];
        let mut since = since.into_iter().flatten();
        since.any(|since| now.saturating_duration_since(since) >= PATIENCE)
    }
}

impl Clock {
    /// What is known after a look at it.
    fn seen(last: Option<Self>, milliseconds: i64) -> Self {
        let is_the_same = |last: &Self| (last.milliseconds - milliseconds).abs() <= STEP;
        Self {
            milliseconds: last
                .filter(is_the_same)
                .map_or(milliseconds, |last| last.milliseconds),
            looked: Instant::now(),
        }
    }

    /// The Redis' time at that moment of the own clock.
    fn redis_time_of(self, moment: Timestamp) -> i64 {
        moment.as_millisecond() + self.milliseconds
    }

    /// The moment of the own clock at that time of the Redis.
    fn own_time_of(self, time: i64) -> Timestamp {
        let time = time.saturating_sub(self.milliseconds);
        // Beyond the limits of the calendar there is nothing to protect from.
        Timestamp::from_millisecond(time).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_the_redis_comes_back_as_the_same_millisecond() {
        let moment: Timestamp = "2026-06-01T12:00:20.123456Z".parse().unwrap();
        let first = Clock::seen(None, -3_600_000);
        // The answer took longer this time.
        let again = Clock::seen(Some(first), -3_600_400);

        let back = again.own_time_of(first.redis_time_of(moment));

        assert_eq!(back.to_string(), "2026-06-01T12:00:20.123Z");
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        let first = Clock::seen(None, 0);
        assert_eq!(Clock::seen(Some(first), 1001).milliseconds, 1001);
    }

    #[test]
    fn patience_ends_once_and_not_with_every_question() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let away = Some(at(0));
        let mut patience = Patience::default();
        assert!(patience.may_ask(None, at(0)) && !patience.is_over_after_failing(away, at(0)));
        assert!(patience.may_ask(away, at(18)) && !patience.is_over_after_failing(away, at(18)));
        assert!(patience.may_ask(away, at(20)) && patience.is_over_after_failing(away, at(20)));

        // The next ones do not wait, and ask only now and then.
        assert!(!patience.may_ask(away, at(21)));
        assert!(patience.may_ask(away, at(22)) && patience.is_over_after_failing(away, at(24)));
        let mut of_another_kind = Patience::default();
        assert!(of_another_kind.may_ask(away, at(24)));
        assert!(of_another_kind.is_over_after_failing(away, at(24)));
        // Somebody else has had an answer.
        assert!(patience.may_ask(None, at(24)));
    }

    #[test]
    fn a_redis_that_refuses_to_be_written_to_ends_patience_though_it_can_be_read() {
        let began = Instant::now();
        let mut writing = Patience::default();
        assert!(!writing.is_over_after_failing(None, began));
        assert!(writing.is_over_after_failing(None, began + PATIENCE));
        assert!(writing.may_ask(None, began + PATIENCE));
    }
}
