//! The history of runs: what each resync did, kind by kind, and what it did not
//! delete.
//!
//! A run is noted when it begins and again when it ends. One that never ended,
//! because the process was killed, is called interrupted when the next one
//! begins: only one process has any business with the file, so nobody else can
//! be running. Should two share it by mistake, the one that is called
//! interrupted too early corrects that when it ends.

use std::error::Error;
use std::str::FromStr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{Store, kept};

/// Runs that are remembered; with one every quarter of an hour, ten days.
const REMEMBERED: u32 = 1_000;

/// Error texts kept of one kind. The log has them all.
const ERRORS_A_KIND: usize = 3;

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Who wanted it.
    pub trigger: &'static str,
    pub started: Timestamp,
}

/// A run that has begun; to be given back at its end.
#[derive(Debug)]
pub struct RunInProgress {
    /// None if its beginning could not be noted.
    row: Option<i64>,
    run: NewRun,
    clock: Instant,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedRun {
    /// What the resync is called towards Port, where it got so far.
    pub resync: Option<Uuid>,
    pub outcome: Outcome,
    /// Why there was no resync, or why not all of it.
    pub error: Option<String>,
    pub totals: Totals,
    pub kinds: Vec<KindRecord>,
    pub withheld: Vec<WithheldRecord>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Partly,
    Failed,
    /// It was asked to stop.
    Stopped,
    /// Its process ended before it did.
    Interrupted,
}

/// Entities of a run, over all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub written: u64,
    pub unchanged: u64,
    pub failed: u64,
    pub deleted: u64,
    pub withheld: u64,
}

/// What became of one resource config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindRecord {
    /// Its place in the mapping.
    pub resource: usize,
    pub kind: String,
    pub fetched: u64,
    pub filtered: u64,
    pub mapped: u64,
    pub written: u64,
    pub unchanged: u64,
    pub failed: u64,
    pub duration: Duration,
    pub is_complete: bool,
    /// The first few.
    pub errors: Vec<String>,
}

/// Entities of one blueprint that were not deleted for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct WithheldRecord {
    pub blueprint: String,
    pub entities: u64,
    pub rate: Option<f64>,
    pub reason: String,
    pub detail: Option<String>,
}

/// A run as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// Its number in this file.
    pub number: i64,
    pub resync: Option<Uuid>,
    pub trigger: String,
    pub started: Timestamp,
    /// Not known of a run that was interrupted.
    pub ended: Option<Timestamp>,
    pub duration: Option<Duration>,
    /// None while it runs.
    pub outcome: Option<Outcome>,
    pub error: Option<String>,
    pub totals: Totals,
    /// In the order of the mapping.
    pub kinds: Vec<KindRecord>,
    pub withheld: Vec<WithheldRecord>,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Done,
        Self::Partly,
        Self::Failed,
        Self::Stopped,
        Self::Interrupted,
    ];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }
}

impl ToSql for Outcome {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.as_str().to_sql()
    }
}

impl FromSql for Outcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

impl Store {
    /// Notes that a run begins.
    pub async fn run_began(&self, run: NewRun) -> RunInProgress {
        let clock = Instant::now();
        let new = run.clone();
        let row = self.attempt("note the beginning of a run", move |connection| {
            begin(connection, &new)
        });
        RunInProgress {
            row: row.await,
            run,
            clock,
        }
    }

    /// Notes how it ended.
    pub async fn run_ended(&self, run: RunInProgress, finished: FinishedRun) {
        let ended = Timestamp::now();
        let duration = run.clock.elapsed();
        let end =
            move |connection: &mut Connection| end(connection, &run, &finished, ended, duration);
        // Whether it worked has been said.
        let _noted: Option<()> = self.attempt("note the end of a run", end).await;
    }

    /// The newest runs first, at most so many; `None` if they cannot be read, which is
    /// said here.
    pub async fn runs(&self, limit: u32) -> Option<Vec<RunRecord>> {
        self.attempt("read the history of runs", move |connection| {
            newest(connection, limit)
        })
        .await
    }
}

fn begin(connection: &mut Connection, run: &NewRun) -> rusqlite::Result<i64> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "UPDATE run SET outcome = ? WHERE outcome IS NULL",
        [Outcome::Interrupted],
    )?;
    transaction.execute(
        "INSERT INTO run (trigger, started) VALUES (?, ?)",
        params![run.trigger, run.started.to_string()],
    )?;
    let row = transaction.last_insert_rowid();
    transaction.execute(
        "DELETE FROM run WHERE id NOT IN (SELECT id FROM run ORDER BY id DESC LIMIT ?)",
        [REMEMBERED],
    )?;
    transaction.commit()?;
    Ok(row)
}

/// Writes the whole run: its beginning may not have got there.
fn end(
    connection: &mut Connection,
    run: &RunInProgress,
    finished: &FinishedRun,
    ended: Timestamp,
    duration: Duration,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let totals = finished.totals;
    transaction.execute(
        "INSERT OR REPLACE INTO run (id, resync, trigger, started, ended, duration_ms, outcome, error,
             written, unchanged, failed, deleted, withheld)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            run.row,
            finished.resync.map(|resync| resync.to_string()),
            run.run.trigger,
            run.run.started.to_string(),
            ended.to_string(),
            milliseconds(duration),
            finished.outcome,
            finished.error.as_deref().map(kept),
            totals.written,
            totals.unchanged,
            totals.failed,
            totals.deleted,
            totals.withheld,
        ],
    )?;
    let row = transaction.last_insert_rowid();
    for kind in &finished.kinds {
        transaction.execute(
            "INSERT INTO run_kind (run, resource, kind, fetched, filtered, mapped, written, unchanged, failed,
                 duration_ms, complete)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                row,
                kind.resource,
                kept(&kind.kind),
                kind.fetched,
                kind.filtered,
                kind.mapped,
                kind.written,
                kind.unchanged,
                kind.failed,
                milliseconds(kind.duration),
                kind.is_complete,
            ],
        )?;
        for (place, error) in kind.errors.iter().take(ERRORS_A_KIND).enumerate() {
            transaction.execute(
                "INSERT INTO run_error (run, resource, place, message) VALUES (?, ?, ?, ?)",
                params![row, kind.resource, place, kept(error)],
            )?;
        }
    }
    for (place, withheld) in finished.withheld.iter().enumerate() {
        transaction.execute(
            "INSERT INTO run_withheld (run, place, blueprint, entities, rate, reason, detail)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                row,
                place,
                kept(&withheld.blueprint),
                withheld.entities,
                withheld.rate,
                withheld.reason,
                withheld.detail.as_deref().map(kept),
            ],
        )?;
    }
    transaction.commit()
}

fn newest(connection: &mut Connection, limit: u32) -> rusqlite::Result<Vec<RunRecord>> {
    // One transaction, so that all tables are seen at one moment.
    let transaction = connection.transaction()?;
    let mut runs = transaction.prepare("SELECT * FROM run ORDER BY id DESC LIMIT ?")?;
    let mut kinds =
        transaction.prepare("SELECT * FROM run_kind WHERE run = ? ORDER BY resource")?;
    let mut errors = transaction
        .prepare("SELECT message FROM run_error WHERE run = ? AND resource = ? ORDER BY place")?;
    let mut withheld =
        transaction.prepare("SELECT * FROM run_withheld WHERE run = ? ORDER BY place")?;
    let mut records = Vec::new();
    for record in runs.query_map([limit], run_of)? {
        let mut record = record?;
        let id = record.number;
        record.kinds = kinds.query_map([id], kind_of)?.collect::<Result<_, _>>()?;
        for kind in &mut record.kinds {
            kind.errors = errors
                .query_map(params![id, kind.resource], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
        }
        record.withheld = withheld
            .query_map([id], withheld_of)?
            .collect::<Result<_, _>>()?;
        records.push(record);
    }
    Ok(records)
}

/// A row of `run`, without what other tables have of it.
fn run_of(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let resync: Option<String> = row.get("resync")?;
    let started: String = row.get("started")?;
    let ended: Option<String> = row.get("ended")?;
    Ok(RunRecord {
        number: row.get("id")?,
        resync: resync.as_deref().map(parsed).transpose()?,
        trigger: row.get("trigger")?,
        started: parsed(&started)?,
        ended: ended.as_deref().map(parsed).transpose()?,
        duration: row
            .get::<_, Option<u64>>("duration_ms")?
            .map(Duration::from_millis),
        outcome: row.get("outcome")?,
        error: row.get("error")?,
        totals: Totals {
            written: row.get("written")?,
            unchanged: row.get("unchanged")?,
            failed: row.get("failed")?,
            deleted: row.get("deleted")?,
            withheld: row.get("withheld")?,
        },
        kinds: Vec::new(),
        withheld: Vec::new(),
    })
}

fn kind_of(row: &Row<'_>) -> rusqlite::Result<KindRecord> {
    Ok(KindRecord {
        resource: row.get("resource")?,
        kind: row.get("kind")?,
        fetched: row.get("fetched")?,
        filtered: row.get("filtered")?,
        mapped: row.get("mapped")?,
        written: row.get("written")?,
        unchanged: row.get("unchanged")?,
        failed: row.get("failed")?,
        duration: Duration::from_millis(row.get("duration_ms")?),
        is_complete: row.get("complete")?,
        errors: Vec::new(),
    })
}

fn withheld_of(row: &Row<'_>) -> rusqlite::Result<WithheldRecord> {
    Ok(WithheldRecord {
        blueprint: row.get("blueprint")?,
        entities: row.get("entities")?,
        rate: row.get("rate")?,
        reason: row.get("reason")?,
        detail: row.get("detail")?,
    })
}

/// A value that is kept as text.
pub(crate) fn parsed<T>(text: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
