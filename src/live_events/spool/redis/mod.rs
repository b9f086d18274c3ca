//! The spool in a Redis: any replica accepts events, any works on them.
//!
//! # What is in which key
//!
//! | key | type | what |
//! |---|---|---|
//! | `events` | stream | every event that is not done: its subject and the event as JSON; the group `workers` says which of them are known to the index, and which replica has them |
//! | `waiting` | sorted set | the index: `{subject}\0{entry}` in the order of bytes, that is by subject and age |
//! | `due` | sorted set | subjects that may be worked on, and from when on |
//! | `locks` | sorted set | subjects in work, and until when nobody else takes them |
//! | `held` | hash | subject in work → token of the lock, last entry that was taken with it |
//! | `attempts` | hash | subject → how often it was begun |
//! | `lost` | hash | subject → how many replicas in a row were gone before its end |
//! | `dead` | stream | events that were given up |
//! | `delivery:{digest}` | string | this delivery was accepted; for a week |
//! | `bell:events` | stream | see `shared_redis` |
//!
//! A subject that has waiting entries is either in `due` or in `locks`. An entry
//! stays in `events`, in the group and in `waiting` until it is done or dead; what
//! is in work is what waits up to the entry that `held` names. So taking moves
//! nothing, and there is no place between two places where an event could be lost.
//!
//! # Where somebody can stop in the middle
//!
//! Whatever changes more than one key is one script, which Redis executes, and
//! writes to its log, as a whole. That leaves these places:
//!
//! - *Before `put` has an answer*: the sender hears of no success and sends the
//!   event again; if it was stored, the mark of its delivery makes it a duplicate,
//!   which is a success. Mark and entry cannot be there without each other.
//! - *After `put`, before anybody has looked*: the entry is in the stream, and the
//!   group gives it to whoever looks next.
//! - *`take` has locked a subject, nobody got the answer* (the future was dropped,
//!   the answer was late, the connection broke): the token is known here before it
//!   is sent, and is given back by [`RedisSpool::keep`]. If the process is gone as
//!   well, the lock expires.
//! - *During the work*: the lock is not renewed any more and expires; another
//!   replica takes all that waits of the subject, in the old order. What was
//!   written to the catalog is written again: at least once, not exactly once.
//! - *The work is done, `done` never arrives*: the same.
//! - *`done` arrives, its answer does not*: it is repeated, and finds that the
//!   token has no lock; the same as if somebody else had taken over in between.
//! - *A replica stalls and comes back*: [`RedisLease::is_ours`] is false by its own clock
//!   before the lock expires, and its token gives nothing back that is another's.
//! - *An event brings every replica down that touches it*: `lost` counts that, and
//!   after [`MAY_BE_LOST`] times it is dead.
//!
//! # What rests on the Redis
//!
//! An accepted event is as durable as the Redis is set up to make it: with
//! `appendonly yes` and `appendfsync everysec` a machine that fails takes the last
//! second with it, without it everything since the last snapshot. `maxmemory-policy`
//! must be `noeviction`. [`RedisSpool::keep`] says so where it finds it otherwise.
//! A Redis that was started a moment ago gives nothing out until whoever could
//! still hold a lock that it has forgotten has stopped using it. After a failover to
//! a copy that was behind there is no such pause: a subject may then be worked on
//! twice at once for some seconds, with the later one fetching the newer state.
//!
//! Needs Redis 6.2 or later, or Valkey.

mod held;
mod scripts;
mod upkeep;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redis::Script;
use ring::digest::{SHA256, digest};

use self::held::Locks;
use super::{Counts, Lease, Put, SpoolError};
use crate::live_events::event::{DeadEvent, NewEvent, SpooledEvent, Subject, Taken};
use crate::live_events::shared_redis::{Bell, RedisFault, SharedRedis};

pub use self::held::RedisLease;

/// How long the same delivery is a duplicate, in seconds.
const A_WEEK: u32 = 7 * 86_400;

/// How many replicas in a row may be gone before the end of a subject's work. In
/// the course of an ordinary day replicas are stopped and killed too, but not so
/// often in the middle of the same one.
const MAY_BE_LOST: u32 = 8;

/// How much one [`RedisSpool::take`] gives: a burst of any size is worked off in
/// pieces.
const MOST_EVENTS: u32 = 256;
const MOST_BYTES: u32 = 4 * 1024 * 1024;

/// What an entry consists of: field and value, twice.
type Entry = (String, Vec<String>);

/// How long locks hold.
#[derive(Clone, Copy, Debug)]
pub struct SpoolTimes {
    /// Until another replica may take a subject whose lock is not renewed.
    pub lock: Duration,
    /// How much earlier its holder stops using it.
    pub margin: Duration,
}

impl Default for SpoolTimes {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(12),
            margin: Duration::from_secs(4),
        }
    }
}

impl SpoolTimes {
    fn used(self) -> Duration {
        self.lock.saturating_sub(self.margin)
    }
}

/// Events of all replicas; clones are of one replica.
#[derive(Clone, Debug)]
pub struct RedisSpool {
    redis: SharedRedis,
    times: SpoolTimes,
    locks: Arc<Locks>,
    keys: Arc<[String]>,
}

enum Found {
    Work(Taken),
    /// And when something is due, if that is known.
    Nothing(Option<Duration>),
}

impl RedisSpool {
    /// The spool of the installation whose Redis this is. Somebody has to run
    /// [`Self::keep`].
    pub fn new(redis: SharedRedis, times: SpoolTimes) -> Self {
        let names = [
            "events", "waiting", "due", "locks", "held", "attempts", "lost", "dead",
        ];
        let mut keys = names.map(|name| redis.key(name)).to_vec();
        keys.push(redis.bell_key(Bell::Events));
        Self {
            redis,
            times,
            locks: Arc::default(),
            keys: keys.into(),
        }
    }

    /// Stores events, all or none; those that were stored before are counted.
    pub async fn put(&self, events: &[NewEvent]) -> Result<Put, SpoolError> {
        if events.is_empty() {
            return Ok(Put::default());
        }
        let mut keys = self.keys.to_vec();
        let mut arguments = vec![text(A_WEEK)];
        for event in events {
            keys.push(self.delivery_key(&event.delivery));
            arguments.push(escaped(&event.subject.key()).into_bytes());
            arguments.push(json(event));
        }
        let stored: usize = self
            .redis
            .run(&scripts::PUT, &keys, &arguments)
            .await
            .map_err(failed("store live events"))?;
        if stored > 0 {
            self.redis.ring_here(Bell::Events);
        }
        Ok(Put {
            stored,
            duplicates: events.len() - stored,
        })
    }

    /// Waits for events that are due. Nobody gets events of their subject until
    /// they are given back: with [`Self::done`] and its kin, or by dropping them.
    /// Dropping the future loses nothing.
    pub async fn take(&self) -> Taken {
        loop {
            let mut rung = std::pin::pin!(self.redis.bell(Bell::Events).notified());
            // From here on no ring is missed.
            rung.as_mut().enable();
            let wait = match self.try_take().await {
                Ok(Found::Work(taken)) => return taken,
                Ok(Found::Nothing(due)) => due.unwrap_or(Duration::MAX).min(self.redis.block()),
                // Which has been said.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1000))).await;
                    continue;
                }
            };
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn try_take(&self) -> Result<Found, RedisFault> {
        let asked = self.locks.ask();
        let arguments = [
            asked.token().as_bytes().to_vec(),
            self.redis.replica().as_bytes().to_vec(),
            text(millis(self.times.lock)),
            text(millis(self.times.used())),
            text(self.redis.settings().read_count.min(1000)),
            text(MAY_BE_LOST),
            text(MOST_EVENTS),
            text(MOST_BYTES),
        ];
        let until = Instant::now() + self.times.used();
        let reply: Vec<String> = self.run(&scripts::TAKE, &arguments).await?;
        let mut reply = reply.into_iter();
        if reply.next().as_deref() != Some("work") {
            asked.was_refused();
            let due: Option<i64> = reply.next().and_then(|text| text.parse().ok());
            return Ok(Found::Nothing(due.and_then(|millis| {
                Some(Duration::from_millis(u64::try_from(millis).ok()?))
            })));
        }
        let subject = reply.next().unwrap_or_default();
        let attempt = reply.next().and_then(|text| text.parse().ok()).unwrap_or(1);
        let held = asked.was_given(subject, until, &self.locks);
        let mut events = Vec::new();
        while let (Some(id), Some(event)) = (reply.next(), reply.next()) {
            match serde_json::from_str(&event) {
                Ok(event) => events.push(SpooledEvent { id, event }),
                Err(error) => {
                    let why = format!("this version cannot read it: {error}");
                    tracing::error!(entry = id, "Gave up a live event: {why}");
                    self.give_back(&held, "bury", Duration::ZERO, &why).await;
                    return Ok(Found::Nothing(Some(Duration::ZERO)));
                }
            }
        }
        let Some(subject) = events.first().map(|first| first.event.subject.clone()) else {
            return Ok(Found::Nothing(Some(Duration::ZERO)));
        };
        let lease = Lease::Redis(Arc::new(held));
        Ok(Found::Work(Taken::new(subject, events, attempt, lease)))
    }

    /// The events need nothing any more.
    pub async fn done(&self, taken: Taken) {
        self.end(&taken, "done", Duration::ZERO, "").await;
    }

    /// The events are due again after a while.
    pub async fn later(&self, taken: Taken, after: Duration, error: &str) {
        let subject: &Subject = &taken.subject;
        tracing::debug!(
            subject = subject.key(),
            attempt = taken.attempt,
            "Another try in {after:?}: {error}"
        );
        self.end(&taken, "later", after, "").await;
    }

    /// The events are given up: they are dead letters from now on.
    pub async fn bury(&self, taken: Taken, error: &str) {
        self.end(&taken, "bury", Duration::ZERO, error).await;
    }

    /// Who has lost the lock has not done all of the work, whatever they think:
    /// it is done again, by whoever gets it next.
    async fn end(&self, taken: &Taken, what: &str, after: Duration, error: &str) {
        if let Lease::Redis(held) = &taken.lease {
            let what = if held.is_ours() { what } else { "later" };
            self.give_back(held, what, after, error).await;
        }
    }

    /// Repeated until the Redis has answered: meanwhile nobody else gets the
    /// subject, or somebody has it, and then this is of no consequence.
    async fn give_back(&self, held: &RedisLease, what: &str, after: Duration, error: &str) {
        let arguments = [
            held.subject().as_bytes().to_vec(),
            held.token().as_bytes().to_vec(),
            what.as_bytes().to_vec(),
            text(millis(after)),
            error.as_bytes().to_vec(),
        ];
        loop {
            let given: Result<bool, RedisFault> = self.run(&scripts::GIVE_BACK, &arguments).await;
            match given {
                Ok(is_ours) => {
                    if !is_ours {
                        tracing::debug!(
                            subject = held.subject(),
                            "Somebody else has taken over before `{what}` could be told"
                        );
                    }
                    held.settle();
                    self.redis.ring_here(Bell::Events);
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1000))).await,
            }
        }
    }

    /// Dead letters, the newest first.
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadEvent>, SpoolError> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg(self.redis.key("dead"))
            .arg(&["+", "-", "COUNT"])
            .arg(limit);
        let entries: Vec<Entry> = self
            .redis
            .ask(&command)
            .await
            .map_err(failed("list what was given up"))?;
        Ok(entries.into_iter().filter_map(dead_event).collect())
    }

    /// Lets dead letters wait again; how many there were of these.
    pub async fn replay(&self, ids: &[String]) -> Result<usize, SpoolError> {
        let ids: Vec<Vec<u8>> = ids
            .iter()
            .filter(|id| is_entry_id(id))
            .map(|id| id.as_bytes().to_vec())
            .collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let replayed = self
            .run(&scripts::REPLAY, &ids)
            .await
            .map_err(failed("put back what was given up"))?;
        self.redis.ring_here(Bell::Events);
        Ok(replayed)
    }

    /// How much there is.
    pub async fn counts(&self) -> Result<Counts, SpoolError> {
        let events = self.redis.key("events");
        let ask = async {
            let waiting = self.redis.ask(redis::cmd("XLEN").arg(&events)).await?;
            let dead = redis::cmd("XLEN").arg(self.redis.key("dead")).to_owned();
            let dead = self.redis.ask(&dead).await?;
            let mut first = redis::cmd("XRANGE");
            first.arg(&events).arg(&["-", "+", "COUNT", "1"]);
            let first: Vec<Entry> = self.redis.ask(&first).await?;
            let oldest = first.first().and_then(|(_, fields)| {
                let event: NewEvent = serde_json::from_str(fields.get(3)?).ok()?;
                Some(event.received)
            });
            Ok(Counts {
                waiting,
                dead,
                oldest,
            })
        };
        ask.await.map_err(failed("count live events"))
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[Vec<u8>],
    ) -> Result<T, RedisFault> {
        self.redis.run(script, &self.keys, arguments).await
    }

    /// A digest, because what a vendor calls a delivery may be of any length.
    fn delivery_key(&self, delivery: &str) -> String {
        let digest = digest(&SHA256, delivery.as_bytes());
        let mut name = "delivery:".to_owned();
        for byte in digest.as_ref() {
            // Writing to a string cannot fail.
            let _infallible = write!(name, "{byte:02x}");
        }
        self.redis.key(&name)
    }
}

fn failed(task: &'static str) -> impl Fn(RedisFault) -> SpoolError {
    move |source| SpoolError::Redis { task, source }
}

fn dead_event((id, fields): Entry) -> Option<DeadEvent> {
    let field = |name: &str| {
        let at = fields.iter().step_by(2).position(|field| field == name)?;
        fields.get(2 * at + 1)
    };
    let died = id.split('-').next()?.parse().ok()?;
    let event = match serde_json::from_str(field("event")?) {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(
                entry = id,
                "A dead letter is not listed, because this version cannot read it: {error}"
            );
            return None;
        }
    };
    Some(DeadEvent {
        event,
        attempts: field("attempts")?.parse().ok()?,
        error: field("error")?.clone(),
        died: Timestamp::from_millisecond(died).ok()?,
        id,
    })
}

fn is_entry_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(millis, sequence)| {
        [millis, sequence]
            .iter()
            .all(|part| part.parse::<u64>().is_ok())
    })
}

/// Without the byte that separates subject and entry in the index.
fn escaped(subject: &str) -> String {
    subject.replace('%', "%25").replace('\0', "%00")
}

fn json(event: &NewEvent) -> Vec<u8> {
    // Strings, numbers and JSON: there is nothing that could not be written.
    serde_json::to_vec(event).unwrap_or_default()
}

fn text(number: impl Into<u64>) -> Vec<u8> {
    number.into().to_string().into_bytes()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
