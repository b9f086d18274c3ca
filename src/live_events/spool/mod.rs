//! Where events wait, from the moment they are accepted until they are done with.
//!
//! A spool promises:
//!
//! - What [`Spool::put`] has taken outlives the process, and is either all of a
//!   request or nothing.
//! - An event is stored once, however often it is delivered within a week.
//! - Events of one subject are worked on by one worker at a time, oldest first;
//!   [`Spool::take`] gives everything that waits for the subject, so that one fetch
//!   serves it all. What comes in meanwhile waits for the next.
//! - What is given up is kept, and can be put back.
//!
//! It does not promise that an event is worked on only once: after a crash, one
//! that was worked on and not yet given back is worked on again. Every step of
//! that work may be repeated, which is the worker's part of the bargain.

mod local;
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::event::{DeadEvent, NewEvent, Taken};
use super::shared_redis::{RedisFault, SharedRedis};
use crate::settings::Settings;
use crate::store::OpenError;

pub use self::redis::{RedisLease, RedisSpool, SpoolTimes};
pub use local::{LIMIT, LocalLease, LocalSpool};

/// Where events wait.
#[derive(Clone, Debug)]
pub enum Spool {
    /// In the state database of this process.
    Local(LocalSpool),
    /// In a Redis that several processes share.
    Redis(RedisSpool),
}

/// The right to work on a subject. It ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub enum Lease {
    Local(Arc<LocalLease>),
    Redis(Arc<RedisLease>),
    /// Nobody else wants it; for whoever has no spool.
    Alone(Arc<AtomicBool>),
}

impl Lease {
    /// One that is ours until it is lost.
    pub fn held() -> Self {
        Self::Alone(Arc::new(AtomicBool::new(true)))
    }

    /// Somebody else may have it from now on.
    pub fn lose(&self) {
        match self {
            Self::Alone(is_ours) => is_ours.store(false, Ordering::Release),
            Self::Redis(lease) => lease.lose(),
            // This process alone has the file.
            Self::Local(_) => {}
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Alone(is_ours) => is_ours.load(Ordering::Acquire),
            Self::Local(_) => true,
            Self::Redis(lease) => lease.is_ours(),
        }
    }
}

/// What was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Put {
    pub stored: usize,
    /// Of an earlier delivery.
    pub duplicates: usize,
}

/// How full a spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub waiting: u64,
    /// Given up, and kept.
    pub dead: u64,
    /// When the first of those that wait came in.
    pub oldest: Option<Timestamp>,
}

/// An event cannot be stored, or what is stored cannot be reached.
#[derive(Debug, Error)]
pub enum SpoolError {
    #[error("the state database {place} cannot be used, and nothing else outlives the process")]
    Unusable {
        place: String,
        #[source]
        source: Arc<OpenError>,
    },

    #[error("{limit} live events are waiting already, and there is no room for more")]
    Full { limit: u64 },

    #[error("could not {task} in the state database {place}")]
    Failed {
        task: &'static str,
        place: String,
        #[source]
        source: Arc<rusqlite::Error>,
    },

    #[error("could not {task} in the state database {place}: nobody writes to it any more")]
    Ended { task: &'static str, place: String },

    #[error("could not {task} in the Redis")]
    Redis {
        task: &'static str,
        #[source]
        source: RedisFault,
    },
}

impl SpoolError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unusable { .. } => Some(
                "set OCEAN__STATE_PATH to a file on a volume that this user may write to, and start again",
            ),
            Self::Full { .. } => Some(
                "see in the log why live events are not worked on; raise OCEAN__EVENT_WORKERS_COUNT if they only come too fast",
            ),
            Self::Failed { .. } => Some("check the free space and the permissions there"),
            Self::Ended { .. } => Some("start again, and report it"),
            Self::Redis { source, .. } => source.hint(),
        }
    }
}

impl Spool {
    /// The one in the Redis, if there is one; else that in the state database, and
    /// says so where nothing can be stored in it.
    pub async fn open(settings: &Settings, redis: Option<&SharedRedis>) -> Self {
        match redis {
            Some(redis) => Self::Redis(RedisSpool::new(redis.clone(), SpoolTimes::default())),
            None => Self::Local(LocalSpool::open(&settings.state_path).await),
        }
    }

    /// What has to run beside the work until `stop`, which is to come after all work
    /// has ended.
    pub async fn keep(&self, stop: &CancellationToken) {
        match self {
            Self::Local(_) => stop.cancelled().await,
            Self::Redis(spool) => spool.keep(stop).await,
        }
    }

    /// Stores all of these or, failing that, nothing. What it has taken outlives
    /// the process.
    pub async fn put(&self, events: &[NewEvent]) -> Result<Put, SpoolError> {
        match self {
            Self::Local(spool) => spool.put(events).await,
            Self::Redis(spool) => spool.put(events).await,
        }
    }

    /// The same with what events that wait already led to: it has to find room, or
    /// those could never be done, and a full spool never be emptied.
    pub async fn put_following(&self, events: &[NewEvent]) -> Result<Put, SpoolError> {
        match self {
            Self::Local(spool) => spool.put_following(events).await,
            // It is full when the Redis is, whatever is put.
            Self::Redis(spool) => spool.put(events).await,
        }
    }

    /// Waits for a subject that something is to be done about. Nobody else gets
    /// its events until it is given back. May be dropped at any moment.
    pub async fn take(&self) -> Taken {
        match self {
            Self::Local(spool) => spool.take().await,
            Self::Redis(spool) => spool.take().await,
        }
    }

    /// Everything about it is done.
    pub async fn done(&self, taken: Taken) {
        match self {
            Self::Local(spool) => spool.done(taken).await,
            Self::Redis(spool) => spool.done(taken).await,
        }
    }

    /// It is to be tried again, but not before so long has passed.
    pub async fn later(&self, taken: Taken, after: Duration, error: &str) {
        match self {
            Self::Local(spool) => spool.later(taken, after, error).await,
            Self::Redis(spool) => spool.later(taken, after, error).await,
        }
    }

    /// It is given up.
    pub async fn bury(&self, taken: Taken, error: &str) {
        match self {
            Self::Local(spool) => spool.bury(taken, error).await,
            Self::Redis(spool) => spool.bury(taken, error).await,
        }
    }

    /// What was given up, newest first, at most so many.
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadEvent>, SpoolError> {
        match self {
            Self::Local(spool) => spool.dead(limit).await,
            Self::Redis(spool) => spool.dead(limit).await,
        }
    }

    /// Puts back what was given up: as if nobody had tried yet. Tells how many
    /// there were.
    pub async fn replay(&self, ids: &[String]) -> Result<usize, SpoolError> {
        match self {
            Self::Local(spool) => spool.replay(ids).await,
            Self::Redis(spool) => spool.replay(ids).await,
        }
    }

    /// How full it is.
    pub async fn counts(&self) -> Result<Counts, SpoolError> {
        match self {
            Self::Local(spool) => spool.counts().await,
            Self::Redis(spool) => spool.counts().await,
        }
    }
}
