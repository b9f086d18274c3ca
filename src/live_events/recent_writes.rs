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
//! milliseconds, which resyncs leave room for ([`RecentWrites::LIST_LAG`]). It is only
//! replaced when it has become another one by more than [`STEP`]: what a process notes
//! comes back to it as the very millisecond it was, so that nobody takes their own note
//! for somebody else's. When it is replaced in the middle of an event, that may happen;
//! then the event is looked at again.
//!
//! # A Redis that is away
//!
//! Every question is repeated for [`PATIENCE`]. That is longer than this replica
//! may lead or work on an event without the Redis, so who goes on after that acts
//! for nobody else. What is left is a resync that is run once, beside a service: it
//! goes on without protection, which is said, and asks every [`LOOK_AGAIN`].

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
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

/// KEYS: claims. ARGV: token, milliseconds. All of them or none.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for _, key in ipairs(KEYS) do
           local token = redis.call('GET', key)
           if token and token ~= ARGV[1] then return 0 end
         end
         for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
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

/// How often one that has been away for longer is asked.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

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
    away: Arc<Mutex<Option<Away>>>,
}

/// A Redis that does not answer.
#[derive(Clone, Copy, Debug)]
struct Away {
    since: Instant,
    /// Since when it has been given up.
    given_up: Option<Instant>,
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
    keys: Vec<String>,
    token: String,
}

impl SharedRecentWrites {
    pub fn new(redis: SharedRedis) -> Self {
        Self {
            redis,
            clock: Arc::default(),
            away: Arc::default(),
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
    async fn patiently<T, Answer>(&self, ask: impl Fn() -> Answer) -> Option<T>
    where
        Answer: Future<Output = Result<T, RedisFault>>,
    {
        while !self.is_given_up() {
            let answer = ask().await.ok();
            if self.notice(answer.is_some()) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(200..600))).await;
        }
        None
    }

    /// Whether it is not worth a question at the moment.
    fn is_given_up(&self) -> bool {
        let given_up = self.away().and_then(|away| away.given_up);
        given_up.is_some_and(|since| since.elapsed() < LOOK_AGAIN)
    }

    /// Whether that is all that comes of asking.
    fn notice(&self, has_answered: bool) -> bool {
        let mut away = self.away();
        if has_answered {
            *away = None;
            return true;
        }
        let Away { since, given_up } = away.get_or_insert_with(|| Away {
            since: Instant::now(),
            given_up: None,
        });
        if since.elapsed() < PATIENCE {
            return false;
        }
        if given_up.replace(Instant::now()).is_none() {
            tracing::warn!(
                "Going on without the Redis: a live event and a resync that write the same entity at the same time may undo each other"
            );
        }
        true
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self) -> String {
        self.redis.key("written")
    }
}

impl SharedWrites for SharedRecentWrites {
    fn note(&self, entities: Vec<(EntityKey, Timestamp)>) -> BoxFuture<'_, ()> {
        async move {
            self.patiently(|| self.try_note(&entities)).await;
        }
        .boxed()
    }

    fn noted(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Instants> {
        async move {
            self.patiently(|| self.try_noted(&entities))
                .await
                .unwrap_or_else(|| vec![None; entities.len()])
        }
        .boxed()
    }

    fn claim(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Box<dyn SharedClaim>> {
        async move {
            let keys = entities
                .iter()
                .map(|entity| self.redis.key(&format!("claim:{entity}")))
                .collect();
            let claim = Claim {
                writes: self.clone(),
                keys,
                token: uuid::Uuid::new_v4().simple().to_string(),
            };
            // None: it is away for too long, and so are the others from it.
            while let Some(false) = self.patiently(|| claim.try_claim()).await {
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
            // There is another attempt before it ends.
            let _is_ours = self.try_claim().await;
        }
        .boxed()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            let token = [self.token.clone().into_bytes()];
            if self.writes.is_given_up() {
                return;
            }
            // Failing that it ends by itself.
            let _released: Result<(), RedisFault> =
                self.writes.redis.run(&RELEASE, &self.keys, &token).await;
        }
        .boxed()
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
}
