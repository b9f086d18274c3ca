//! The local state database: a cache and a spool, never the truth.
//!
//! One SQLite file for what is worth remembering from one run to the next: the
//! history of runs, the trail of incident sync, and live events that wait.
//! Deleting it loses that,
//! and nothing else, so nothing in here may fail the program or hold it up: a
//! file that cannot be used is replaced by a database in memory, a write that
//! fails is lost, and either is said once. Not so with live events, which were
//! promised to somebody: they have a connection of their own ([`connect`]), and
//! `live_events::spool` says what becomes of what fails.
//!
//! # How it is laid out
//!
//! [`Store`] is the one handle, cheap to clone. Each concern is a module that
//! adds its methods to it (`runs.rs`, `sync_steps.rs`) and its tables to `schema.rs`. It speaks
//! in types of its own: who wants something remembered translates, so that the
//! store depends on nobody.
//!
//! SQLite blocks, the runtime must not be: every call runs on a thread for
//! blocking work, one at a time behind a mutex. A thread of its own and a
//! channel would order the calls just the same and need a message type for
//! each; a pool of connections would gain nothing, for SQLite writes one at a
//! time anyway and all calls are short.
//!
//! # What it must never do
//!
//! Decide what is in Port or what is to be deleted there: only Port and the
//! sources know. Delete or overwrite a file that it cannot read. Hold a secret:
//! text from outside goes through [`kept`].

mod file;
mod runs;
mod schema;
mod sync_steps;

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use crate::causes::one_line;
use crate::telemetry;

pub use file::OpenError;
pub(crate) use runs::parsed;
pub use runs::{
    FinishedRun, KindRecord, NewRun, Outcome, RunInProgress, RunRecord, Totals, WithheldRecord,
};
pub use sync_steps::{
    NewSyncStep, SyncMode, SyncOutcome, SyncStepInProgress, SyncStepKind, SyncStepRecord,
    UnsettledOpen,
};

/// SQLite's own name for a database that is no file.
pub const IN_MEMORY: &str = ":memory:";

/// Longest text from outside that is kept, in characters.
const LONGEST_TEXT: usize = 500;

/// The state database.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connection: Mutex<Connection>,
    /// The file, or [`IN_MEMORY`].
    place: String,
    /// A failure is told once: what it costs is known then, and a full disk
    /// would repeat it for ever.
    has_said: AtomicBool,
}

impl Store {
    /// Opens the file or creates it; a database in memory, and a warning, where
    /// that is not possible. No warning where [`IN_MEMORY`] was asked for.
    pub async fn open(path: &Path) -> Self {
        let owned = path.to_owned();
        let opened = spawn_blocking(move || {
            (owned != Path::new(IN_MEMORY))
                .then(|| file::open(&owned))
                .transpose()
        });
        let connection = match opened.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                warn_of_file(path, &error);
                None
            }
            Err(panicked) => {
                warn_of_file(path, &panicked);
                None
            }
        };
        match connection {
            Some(connection) => Self::new(connection, path.display().to_string()),
            None => Self::new(file::in_memory(), IN_MEMORY.to_owned()),
        }
    }

    /// The file as it is, for whoever only looks into it, also while a service works
    /// with it: nothing can be noted in what this returns.
    pub async fn look_into(path: &Path) -> Result<Self, OpenError> {
        let owned = path.to_owned();
        let connection = spawn_blocking(move || file::look_into(&owned))
            .await
            .map_err(OpenError::BrokenOff)??;
        Ok(Self::new(connection, path.display().to_string()))
    }

    /// Whether a start would take a file in this place, before it looks into it. Nothing
    /// is opened, so it does not matter what lies there.
    pub fn look_at_place(path: &Path) -> Result<(), OpenError> {
        file::look_at_place(path)
    }

    /// Whether this user may create the file, as far as permissions tell.
    pub fn may_be_created(path: &Path) -> std::io::Result<bool> {
        file::may_be_created(path)
    }

    fn new(connection: Connection, place: String) -> Self {
        Self {
            shared: Arc::new(Shared {
                connection: Mutex::new(connection),
                place,
                has_said: AtomicBool::new(false),
            }),
        }
    }

    /// Whether all of it ends with the process, as asked for or for want of a
    /// file. Then it knows nothing of the process before, either.
    pub fn is_in_memory(&self) -> bool {
        self.shared.place == IN_MEMORY
    }

    /// Does `work` without blocking the runtime. None when it failed, which is
    /// said here and need not concern the caller. `task`: what fails then, as
    /// in "could not …".
    async fn attempt<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.shared);
        let done = spawn_blocking(move || {
            let connection = shared.connection.lock();
            // Who panicked rolled its transaction back.
            work(&mut connection.unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.say(task, &error),
            Err(panicked) => self.say(task, &panicked),
        }
        None
    }

    fn say(&self, task: &str, error: &dyn Error) {
        if self.shared.has_said.swap(true, Ordering::Relaxed) {
            return;
        }
        let place = &self.shared.place;
        tracing::warn!(
            path = place,
            "Could not {task} in the state database {place}: {}. Nothing but history and the trail of incident sync depends on it, and no further \
             failure of it will be told. Hint: check the free space and the permissions there, or name another file with \
             OCEAN__STATE_PATH",
            one_line(error)
        );
    }
}

/// A connection for somebody who has to know what became of each write, and
/// writes more than the rest of the program together: the spool of live events,
/// whose tables are in here, too. [`IN_MEMORY`] gives a database of its own.
pub(crate) async fn connect(path: &Path) -> Result<Connection, OpenError> {
    if path == Path::new(IN_MEMORY) {
        return Ok(file::in_memory());
    }
    let owned = path.to_owned();
    spawn_blocking(move || file::open(&owned))
        .await
        .map_err(OpenError::BrokenOff)?
}

fn warn_of_file(path: &Path, error: &dyn Error) {
    let path = path.display();
    tracing::warn!(
        %path,
        "Cannot use {path} as the state database: {}. The history of runs and the trail of incident sync are kept in memory and end with the process. \
         Hint: set OCEAN__STATE_PATH to a file in a directory that this user may write to, or to `{IN_MEMORY}` to do without",
        one_line(error)
    );
}

/// Text from outside as it may be kept: without secrets, and not longer than
/// anybody reads. In this order, or half a secret would not be recognised.
pub(crate) fn kept(text: &str) -> String {
    let mut masked = telemetry::masker().mask(text).into_owned();
    if let Some((end, _)) = masked.char_indices().nth(LONGEST_TEXT) {
        masked.truncate(end);
        masked.push('…');
    }
    masked
}

/// A moment as text that sorts as time does: always as many digits.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests;
