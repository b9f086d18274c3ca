//! The Redis that the replicas of one installation share.
//!
//! One connection carries all commands of a process ([`SharedRedis`] is cheap to
//! clone), and a second one waits for what the others ring about ([`SharedRedis::listen`]).
//!
//! # What it guarantees
//!
//! - Every command has a deadline, in which connecting is included.
//! - A connection that is lost, silent or of a server that may not write any more
//!   is replaced by the next command. That is decided here and not left to the
//!   library's connection manager, which gives up for good on whatever is no
//!   input or output error: a password that is wrong for a minute, for example.
//! - A Redis that is away is told once, and once more when it is back.
//! - All keys begin with `portolan:{identifier}:`. The braces make a cluster keep
//!   them in one slot, so that scripts can work on several of them; the node that
//!   has the slot is found by following its redirection.
//!
//! What several commands must do together is a script: nothing happens between
//! two commands of a script, neither for others nor in what Redis writes to disk.
//!
//! # What it asks of the Redis
//!
//! Version 6.2 or later, or Valkey. A user of its own needs
//! `~portolan:* +@all -@admin -@dangerous +info`; without `+info` everything works,
//! but a Redis that lost its memory in a restart cannot be told from others.
//!
//! # What it cannot do
//!
//! A command whose answer did not come in time may have been executed, and may
//! still be. Everything that is asked here can be asked again.

mod address;
mod bells;
mod facts;
mod outage;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, Script,
    ServerErrorKind,
};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::settings::RedisSettings;

pub use self::address::OpenError;
pub(super) use self::bells::Bell;
use self::bells::Bells;
pub use self::facts::RedisFacts;
use self::outage::Outage;

/// What a script begins with that must not act on what a Redis forgot in a restart.
pub(super) const YOUNG: &str = include_str!("young.lua");

/// What one command may take. A vendor that sends a webhook waits for two of
/// them at most, and vendors wait for five seconds or more.
const DEADLINE: Duration = Duration::from_secs(2);

/// Why the Redis did not do what it was asked.
#[derive(Debug, Error)]
pub enum RedisFault {
    #[error("the Redis at {place} did not answer within {waited:?}")]
    Silent { place: String, waited: Duration },

    #[error("the Redis at {place} cannot be reached")]
    Unreachable {
        place: String,
        #[source]
        source: RedisError,
    },

    #[error("the Redis at {place} refused")]
    Refused {
        place: String,
        #[source]
        source: RedisError,
    },

    #[error("the Redis cannot be connected to")]
    Settings(#[source] OpenError),
}

impl RedisFault {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Silent { .. } | Self::Unreachable { .. } => {
                Some("check that the Redis runs, and OCEAN__LIVE_EVENTS__REDIS__URL")
            }
            Self::Refused { source, .. } => match source.code() {
                Some("OOM") => Some("give the Redis more memory"),
                Some("NOPERM" | "NOAUTH" | "WRONGPASS") => Some(
                    "check OCEAN__LIVE_EVENTS__REDIS__USERNAME, __PASSWORD and what that user may do: all commands on keys that begin with `portolan:`",
                ),
                _ => None,
            },
        }
    }

    /// Whether nothing at all can be asked of it for the moment.
    fn is_outage(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// The Redis of an installation; clones share one connection.
#[derive(Clone)]
pub struct SharedRedis {
    inner: Arc<Inner>,
}

// By hand: a connection's address may hold a password.
impl fmt::Debug for SharedRedis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SharedRedis")
            .field("place", &self.place())
            .field("replica", &self.inner.replica)
            .finish_non_exhaustive()
    }
}

struct Inner {
    settings: RedisSettings,
    prefix: String,
    /// Which of the replicas this is: for people, and unique.
    replica: String,
    /// Whoever has the permit connects; the others wait for what comes of it.
    connecting: Semaphore,
    state: Mutex<State>,
    generations: AtomicU64,
    outage: Outage,
    bells: Bells,
}

#[derive(Default)]
struct State {
    /// With its number, so that it is discarded once only.
    current: Option<(u64, MultiplexedConnection)>,
    /// The node of a cluster that said to have our keys.
    moved_to: Option<(String, u16)>,
    place: String,
}

impl SharedRedis {
    /// A way to the Redis of the settings, for the installation with this
    /// identifier. Nothing is connected to yet: a Redis that is away is no
    /// reason not to start.
    pub async fn open(settings: &RedisSettings, identifier: &str) -> Result<Self, OpenError> {
        let client = address::client(settings, None).await?;
        let place = client.get_connection_info().addr().to_string();
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                prefix: format!("portolan:{{{identifier}}}:"),
                replica: replica_name(),
                connecting: Semaphore::new(1),
                state: Mutex::new(State {
                    place,
                    ..State::default()
                }),
                generations: AtomicU64::new(0),
                outage: Outage::default(),
                bells: Bells::default(),
            }),
        })
    }

    /// The settings it was opened with.
    pub(super) fn settings(&self) -> &RedisSettings {
        &self.inner.settings
    }

    /// Which of the replicas this is.
    pub fn replica(&self) -> &str {
        &self.inner.replica
    }

    /// Since when nobody here has had an answer; none where the last one came.
    pub(super) fn away_since(&self) -> Option<Instant> {
        self.inner.outage.since()
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.inner.prefix)
    }

    /// Asks for one command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFault> {
        self.within_deadline(command, None).await
    }

    /// Runs a script, which is sent along where the Redis does not know it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, RedisFault> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(keys.len());
        command.arg(keys).arg(arguments);
        self.within_deadline(&command, Some(script)).await
    }

    async fn within_deadline<T: FromRedisValue>(
        &self,
        command: &Cmd,
        script: Option<&Script>,
    ) -> Result<T, RedisFault> {
        let attempted = timeout(DEADLINE, self.attempt(command, script)).await;
        let result = attempted.unwrap_or_else(|_| {
            // Half-open connections look like this.
            self.state().current = None;
            Err(RedisFault::Silent {
                place: self.place(),
                waited: DEADLINE,
            })
        });
        self.inner.outage.notice(&result, &self.place());
        result
    }

    async fn attempt<T: FromRedisValue>(
        &self,
        command: &Cmd,
        script: Option<&Script>,
    ) -> Result<T, RedisFault> {
        let mut has_moved = false;
        loop {
            let (generation, mut connection) = self.connection().await?;
            let error = match asked(&mut connection, command, script).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(node) = other_node(&error).filter(|_| !has_moved) {
                has_moved = true;
                self.state().moved_to = Some(node);
                self.discard(generation);
                continue;
            }
            let place = self.place();
            if must_reconnect(&error) {
                self.discard(generation);
                return Err(RedisFault::Unreachable {
                    place,
                    source: error,
                });
            }
            return Err(RedisFault::Refused {
                place,
                source: error,
            });
        }
    }

    /// The connection there is, else a new one.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisFault> {
        if let Some(current) = self.state().current.clone() {
            return Ok(current);
        }
        // It is never closed.
        let _permit = self.inner.connecting.acquire().await.ok();
        if let Some(current) = self.state().current.clone() {
            return Ok(current);
        }
        let connection = self.connect(DEADLINE).await?;
        let generation = self.inner.generations.fetch_add(1, Ordering::Relaxed);
        self.state().current = Some((generation, connection.clone()));
        Ok((generation, connection))
    }

    /// A connection of its own whose answers may take so long.
    async fn connect(&self, answers_within: Duration) -> Result<MultiplexedConnection, RedisFault> {
        let moved_to = self.state().moved_to.clone();
        let client: Client = address::client(self.settings(), moved_to)
            .await
            .map_err(RedisFault::Settings)?;
        let place = client.get_connection_info().addr().to_string();
        self.state().place.clone_from(&place);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(answers_within));
        let connected = client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        connected.map_err(|source| {
            // The node may be gone; the address in the settings knows another.
            self.state().moved_to = None;
            RedisFault::Unreachable { place, source }
        })
    }

    fn discard(&self, generation: u64) {
        let mut state = self.state();
        if matches!(&state.current, Some((current, _)) if *current == generation) {
            state.current = None;
        }
    }

    fn place(&self) -> String {
        self.state().place.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn asked<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    script: Option<&Script>,
) -> Result<T, RedisError> {
    match (command.query_async(connection).await, script) {
        (Err(error), Some(script))
            if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
        {
            script.load_async(connection).await?;
            command.query_async(connection).await
        }
        (result, _) => result,
    }
}

/// Where a node of a cluster says that our keys are.
fn other_node(error: &RedisError) -> Option<(String, u16)> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
}

/// A server that has become a copy of another one stays one for this connection,
/// whatever its name leads to by now.
fn must_reconnect(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.is_timeout()
        || matches!(
            error.code(),
            Some("READONLY" | "MASTERDOWN" | "LOADING" | "NOAUTH" | "WRONGPASS")
        )
}

/// Which machine, and which process on it.
fn replica_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "replica",
        host => host,
    };
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}-{}", unique.get(..12).unwrap_or_default())
}
