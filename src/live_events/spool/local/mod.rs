//! The spool in the state database, for one process.
//!
//! ```text
//! put, done, later, bury ─▶ writer: one thread, one transaction for all that wait ─▶ fsync ─▶ answers
//! take ─────────────────▶    "      looks for a subject that is due and that nobody has
//! ```
//!
//! What is on the disk is what waits, how often it was tried, when it is due, what
//! was given up, and what was delivered within the last week. Who works on what is
//! in memory only: after a restart nobody does, so that everything which was taken
//! and not given back waits again.
//!
//! A file that cannot be used makes [`LocalSpool::put`] fail, and the vendor try
//! again later: an event that was answered with 2xx must outlive the process. The
//! one exception is a state database that the settings want in memory: who says so
//! wants it so, and is told at the start what it means.
//!
//! Payloads are kept as they came. They are the vendor's own data, which Port is
//! about to get, and the mapping of an object that is gone needs its identifiers
//! unchanged; they leave the file with the event. The secrets of a request are in
//! its head, of which nothing is kept. The texts of errors are masked.
//!
//! The file belongs to one process. Another may look at what was given up, and put
//! it back (`portolan events`): that is noticed within [`LOOK_AGAIN`].

mod leases;
#[cfg(test)]
mod model;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::sleep;

pub use self::leases::LocalLease;

use self::leases::Leases;
use self::rows::Found;
use self::writer::Writer;
use super::super::event::{DeadEvent, NewEvent, Taken};
use super::{Counts, Put, SpoolError};
use crate::causes::with_hint;
use crate::store::{self, IN_MEMORY, OpenError, kept};

/// Events that may wait. An account sends that many in months; here it takes
/// a few hundred megabytes.
pub const LIMIT: u64 = 1_000_000;

/// How long a change that another process made may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How long a subject is left alone that could not be given back.
const REST: Duration = Duration::from_mins(1);

/// Pages that are written before they are moved to where they belong, which whoever
/// writes next has to wait for. Pages that change with every event are moved once
/// for all of them, so seldom and much is better than often and little.
const CHECKPOINT_PAGES: u32 = 8_000;

/// Between two attempts to read a database that could not be read.
const PAUSE: Duration = Duration::from_secs(5);

/// Between two looks for deliveries that need not be remembered any more.
const TIDY_EVERY: Duration = Duration::from_mins(10);

/// The longest pause before another attempt. What is due later than this was
/// written before the clock was put back.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The spool of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalSpool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: String,
    writer: Result<Writer, Arc<OpenError>>,
    leases: Arc<Leases>,
    limit: u64,
    /// None: not yet in this process.
    tidied: Mutex<Option<Instant>>,
    /// A failure is told when it begins and when it ends.
    is_failing: AtomicBool,
}

impl LocalSpool {
    /// The spool in this file, which is created if it is missing. Says so where
    /// events cannot be kept, or not for longer than the process lives.
    pub async fn open(path: &Path) -> Self {
        Self::open_with_limit(path, LIMIT).await
    }

    /// The same, for so many events.
    pub async fn open_with_limit(path: &Path, limit: u64) -> Self {
        let place = path.display().to_string();
        let connected = store::connect(path).await.and_then(|connection| {
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            Writer::start(connection, place.clone()).map_err(OpenError::Thread)
        });
        let spool = Self {
            shared: Arc::new(Shared {
                place,
                writer: connected.map_err(Arc::new),
                leases: Arc::default(),
                limit,
                tidied: Mutex::new(None),
                is_failing: AtomicBool::new(false),
            }),
        };
        match spool.writer() {
            Err(error) => tracing::error!(
                "Live events cannot be accepted, and webhooks are answered with 503: {}",
                with_hint(&error, error.hint())
            ),
            Ok(_) if path == Path::new(IN_MEMORY) => tracing::warn!(
                "Live events that wait are lost when the process ends, because OCEAN__STATE_PATH is `{IN_MEMORY}`"
            ),
            Ok(_) => {}
        }
        spool
    }

    /// Whether events can be stored at all.
    pub fn usable(&self) -> Result<(), SpoolError> {
        self.writer().map(drop)
    }

    fn writer(&self) -> Result<&Writer, SpoolError> {
        let shared = &self.shared;
        shared
            .writer
            .as_ref()
            .map_err(|source| SpoolError::Unusable {
                place: shared.place.clone(),
                source: Arc::clone(source),
            })
    }

    /// See [`super::Spool::put`].
    pub async fn put(&self, events: &[NewEvent]) -> Result<Put, SpoolError> {
        self.put_up_to(self.shared.limit, events).await
    }

    /// See [`super::Spool::put_following`].
    pub async fn put_following(&self, events: &[NewEvent]) -> Result<Put, SpoolError> {
        self.put_up_to(u64::MAX, events).await
    }

    async fn put_up_to(&self, limit: u64, events: &[NewEvent]) -> Result<Put, SpoolError> {
        let events = events.to_vec();
        let put = self
            .writer()?
            .write("store live events", move |connection| {
                rows::put(connection, &events, limit, Timestamp::now())
            })
            .await?;
        for _ in 0..put.stored {
            self.shared.leases.changed.notify_one();
        }
        Ok(put)
    }

    /// See [`super::Spool::take`].
    pub async fn take(&self) -> Taken {
        loop {
            let changed = self.shared.leases.changed.notified();
            let wait = match self.look().await {
                Ok(Found::Taken(taken)) => {
                    // There may be more than one, and only one waiter was woken.
                    self.shared.leases.changed.notify_one();
                    return taken;
                }
                Ok(Found::DueIn(wait)) => wait.min(LOOK_AGAIN),
                Ok(Found::Nothing) => LOOK_AGAIN,
                // Nothing will ever be in it.
                Err(SpoolError::Unusable { .. }) => std::future::pending().await,
                Err(error) => {
                    self.say(&error);
                    PAUSE
                }
            };
            tokio::select! {
                () = changed => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Looks once.
    async fn look(&self) -> Result<Found, SpoolError> {
        let writer = self.writer()?;
        self.tidy(writer).await?;
        let leases = Arc::clone(&self.shared.leases);
        let found = writer
            .read("look for live events", move |connection| {
                rows::find(connection, &leases, Timestamp::now())
            })
            .await?;
        self.shared.is_failing.store(false, Ordering::Relaxed);
        Ok(found)
    }

    /// What is due now, if there is anything.
    #[cfg(test)]
    pub(super) async fn take_now(&self) -> Option<Taken> {
        match self.look().await.unwrap() {
            Found::Taken(taken) => Some(taken),
            Found::DueIn(_) | Found::Nothing => None,
        }
    }

    /// Forgets deliveries that nobody repeats any more.
    async fn tidy(&self, writer: &Writer) -> Result<(), SpoolError> {
        let due = |tidied: &Option<Instant>| tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY);
        if !due(&lock(&self.shared.tidied)) {
            return Ok(());
        }
        let is_tidy = writer
            .write("forget old deliveries of live events", |connection| {
                rows::tidy(connection, Timestamp::now(), LONGEST_PAUSE)
            })
            .await?;
        if is_tidy {
            *lock(&self.shared.tidied) = Some(Instant::now());
        }
        Ok(())
    }

    /// See [`super::Spool::done`].
    pub async fn done(&self, taken: Taken) {
        let ids = rows::ids(&taken);
        self.give_back(
            taken,
            "note that live events are done",
            move |connection, key| rows::done(connection, key, &ids, Timestamp::now()),
        )
        .await;
    }

    /// See [`super::Spool::later`].
    pub async fn later(&self, taken: Taken, after: Duration, error: &str) {
        let (attempt, error) = (taken.attempt, kept(error));
        let after = after.min(LONGEST_PAUSE);
        self.give_back(taken, "put live events off", move |connection, key| {
            rows::later(connection, key, attempt, Timestamp::now() + after, &error)
        })
        .await;
    }

    /// See [`super::Spool::bury`].
    pub async fn bury(&self, taken: Taken, error: &str) {
        let (ids, attempt, error) = (rows::ids(&taken), taken.attempt, kept(error));
        self.give_back(taken, "put live events aside", move |connection, key| {
            rows::bury(connection, key, &ids, attempt, &error, Timestamp::now())
        })
        .await;
    }

    /// Writes what became of it, and then lets others have the subject. Where it
    /// cannot be written the events are still there and will be worked on again,
    /// but not at once: a full disk does not get emptier by it.
    async fn give_back(
        &self,
        taken: Taken,
        task: &'static str,
        work: impl FnOnce(&rusqlite::Connection, &str) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let key = taken.subject.key();
        let of = key.clone();
        let written = async {
            self.writer()?
                .write(task, move |connection| Ok(work(connection, &of)?))
                .await
        };
        if let Err(error) = written.await {
            self.say(&error);
            self.shared.leases.rest(key, Instant::now() + REST);
        }
        drop(taken);
    }

    /// See [`super::Spool::dead`].
    pub async fn dead(&self, limit: u32) -> Result<Vec<DeadEvent>, SpoolError> {
        self.writer()?
            .read("read what was given up", move |connection| {
                rows::dead(connection, limit)
            })
            .await
    }

    /// See [`super::Spool::replay`].
    pub async fn replay(&self, ids: &[String]) -> Result<usize, SpoolError> {
        let ids = ids.to_vec();
        let count = self
            .writer()?
            .write("put back what was given up", move |connection| {
                Ok(rows::replay(connection, &ids, Timestamp::now())?)
            })
            .await?;
        for _ in 0..count {
            self.shared.leases.changed.notify_one();
        }
        Ok(count)
    }

    /// See [`super::Spool::counts`].
    pub async fn counts(&self) -> Result<Counts, SpoolError> {
        self.writer()?.read("count live events", rows::counts).await
    }

    /// Once, until it works again: a full disk would repeat it for ever.
    fn say(&self, error: &SpoolError) {
        if !self.shared.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "Live events are held up: {}",
                with_hint(error, error.hint())
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
