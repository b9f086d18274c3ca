//! Opens the file, or says why it cannot be used. Nothing that lies there is
//! ever deleted or written over: it may be somebody else's.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};
use rusqlite_migration::MigrationDefinitionError;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::task::JoinError;

use super::schema;

/// What another process that writes to the file is waited for. Only one has any
/// business there, so it is somebody with a shell or a copy being made.
const PATIENCE: Duration = Duration::from_secs(2);

/// Root may replace any file whatever we check.
const ROOT: u32 = 0;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("its directory cannot be created")]
    Directory(#[source] io::Error),

    #[error("it cannot be created")]
    Create(#[source] io::Error),

    #[error("it is not a file")]
    NotAFile,

    #[error("who it belongs to cannot be found out")]
    Owner(#[source] io::Error),

    #[error("{} belongs to another user and lies where everybody may create files", .0.display())]
    Planted(PathBuf),

    #[error("it may only be read")]
    ReadOnly,

    #[error("it is the database of another program")]
    Foreign,

    #[error("a later version of this program wrote it")]
    Newer,

    #[error(
        "an earlier version of this program wrote it, and none of this version has worked with it since"
    )]
    Older,

    #[error("its tables cannot be brought up to date")]
    Migrate(#[source] rusqlite_migration::Error),

    #[error("SQLite refuses it")]
    Sqlite(#[from] rusqlite::Error),

    #[error("opening it was broken off")]
    BrokenOff(#[source] JoinError),

    #[error("no thread can be started for it")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// Whether it is in order for a process that works with it.
    pub fn is_settled_by_a_start(&self) -> bool {
        matches!(self, Self::Older)
    }
}

/// Opens the file, which is created if it is missing, and brings its tables up
/// to date. Blocks, and has to be called within a runtime.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let path = std::path::absolute(path).map_err(OpenError::Create)?;
    create(&path)?;
    let us = our_user().map_err(OpenError::Owner)?;
    if let Some(planted) = planted(&path, us).map_err(OpenError::Owner)? {
        return Err(OpenError::Planted(planted));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    if connection.is_readonly(MAIN_DB)? {
        return Err(OpenError::ReadOnly);
    }
    // Before anything is changed.
    if !is_ours(&connection)? {
        return Err(OpenError::Foreign);
    }
    prepare(connection)
}

/// Opens a file that is there for whoever only looks into it: it is neither created
/// nor brought up to date. Somebody may be working with it. Blocks.
///
/// Not with SQLite's read-only flag: who opens a write-ahead log that way and is the
/// last to leave it, leaves it behind.
pub(super) fn look_into(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    if has_log(path) {
        // Of a process that was killed, or of another program. Whoever closes last writes
        // it into the file, which is for the next start to do.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    if !is_ours(&connection)? {
        return Err(OpenError::Foreign);
    }
    match schema::MIGRATIONS.pending_migrations(&connection) {
        Ok(0) => Ok(connection),
        Ok(..0) => Err(OpenError::Newer),
        Ok(_) => Err(OpenError::Older),
        Err(error) => Err(OpenError::Migrate(error)),
    }
}

/// Whether there is a write-ahead log beside the file.
fn has_log(path: &Path) -> bool {
    // SQLite follows links before it names the log.
    fs::canonicalize(path).is_ok_and(|path| {
        let mut log = path.into_os_string();
        log.push("-wal");
        Path::new(&log).exists()
    })
}

/// What a start refuses before it opens the file: one that is none, and a place where
/// others may have put it. Of a file that is not there yet, the way to it counts.
pub(super) fn look_at_place(path: &Path) -> Result<(), OpenError> {
    let path = std::path::absolute(path).map_err(OpenError::Create)?;
    match fs::metadata(&path) {
        Ok(found) if !found.is_file() => return Err(OpenError::NotAFile),
        // A link that leads nowhere is not followed to create something there.
        Err(error) if path.is_symlink() => return Err(OpenError::Create(error)),
        Ok(_) | Err(_) => {}
    }
    let us = our_user().map_err(OpenError::Owner)?;
    let mut way = path.ancestors();
    let there = way.find(|entry| entry.exists()).unwrap_or(&path);
    match planted(there, us).map_err(OpenError::Owner)? {
        Some(planted) => Err(OpenError::Planted(planted)),
        None => Ok(()),
    }
}

/// A database that ends with the process.
pub(super) fn in_memory() -> Connection {
    Connection::open_in_memory()
        .map_err(OpenError::from)
        .and_then(prepare)
        .expect("a database in memory takes nothing but memory, and its tables are constant")
}

fn create(path: &Path) -> Result<(), OpenError> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(OpenError::Directory)?;
    }
    // Not by SQLite, which would take the umask's permissions and follow a link.
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(path).map_err(OpenError::Create)?.is_file() {
                Ok(())
            } else {
                Err(OpenError::NotAFile)
            }
        }
        Err(error) => Err(OpenError::Create(error)),
    }
}

/// The user whom this process acts as. The standard library does not tell; the
/// other end of a socket sees it.
fn our_user() -> io::Result<u32> {
    let (ours, _theirs) = UnixStream::pair()?;
    Ok(ours.peer_cred()?.uid())
}

/// What on the way to the file somebody else may have put there.
///
/// Where everybody may create files, as in `/tmp`, anybody may have been first,
/// with a directory of their own or with a link to a file of ours. Elsewhere
/// the owner says nothing: a volume may show any.
pub(super) fn planted(path: &Path, us: u32) -> io::Result<Option<PathBuf>> {
    for (entry, directory) in path.ancestors().zip(path.ancestors().skip(1)) {
        let is_open_to_all = fs::metadata(directory)?.mode() & 0o002 != 0;
        let owner = fs::symlink_metadata(entry)?.uid();
        if is_open_to_all && owner != us && owner != ROOT {
            return Ok(Some(entry.to_owned()));
        }
    }
    Ok(None)
}

/// Whether this user may create the file, as far as permissions tell: those of the
/// innermost directory that is there. Of groups nothing is known, so theirs count.
pub(super) fn may_be_created(path: &Path) -> io::Result<bool> {
    let path = std::path::absolute(path)?;
    let mut directories = path.ancestors().skip(1).map(fs::metadata);
    let is_missing = |found: &io::Result<fs::Metadata>| matches!(found, Err(error) if error.kind() == io::ErrorKind::NotFound);
    let Some(directory) = directories.find(|found| !is_missing(found)).transpose()? else {
        return Ok(false);
    };
    let us = our_user()?;
    // To write in it, and to enter it.
    let (mode, both) = (directory.mode(), 0o3);
    let of_owner = directory.uid() == us && (mode >> 6) & both == both;
    let of_others = directory.uid() != us && ((mode >> 3) & both == both || mode & both == both);
    Ok(directory.is_dir() && (us == ROOT || of_owner || of_others))
}

/// Whether the database is new or was made by this program.
fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: u64 =
        connection.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(tables == 0 || application == schema::APPLICATION_ID)
}

/// SQLite waits for nobody while it does this, not even within the timeout.
fn change_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Sets the connection up and migrates.
///
/// - WAL: who reads the file meanwhile neither waits nor makes us wait.
/// - `synchronous = FULL`: what was committed outlives a power cut. History alone
///   could do without, but what incident sync notes before it publishes cannot,
///   nor can events that a vendor was told we have; there are a few commits a
///   run, so it costs nothing to speak of.
/// - `temp_store`: the root file system may be read-only.
fn prepare(mut connection: Connection) -> Result<Connection, OpenError> {
    change_to_wal(&connection)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    // What another process did in between is not to be done again.
    let migrated = schema::MIGRATIONS
        .to_latest(&mut connection)
        .or_else(|_| schema::MIGRATIONS.to_latest(&mut connection));
    match migrated {
        Ok(()) => Ok(connection),
        Err(rusqlite_migration::Error::MigrationDefinition(
            MigrationDefinitionError::DatabaseTooFarAhead,
        )) => Err(OpenError::Newer),
        Err(error) => Err(OpenError::Migrate(error)),
    }
}
