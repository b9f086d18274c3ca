//! What incident sync did, step by step, and why: its audit trail, which is its
//! journal, too.
//!
//! A step is noted before its write leaves and again when it has ended. Should
//! the process die in between, or the answer get lost, the note says that an
//! incident may be public whose identifier nobody knows, and since when.
//!
//! The file is opened with `synchronous = FULL`, so a step that was noted
//! outlives even a power cut: [`Store::step_began`] returns once the row is on
//! the disk. Where it could not be noted, [`SyncStepInProgress::is_noted`] says
//! so, and where the journal cannot be read [`Store::unsettled`] gives none
//! rather than nothing. A database in memory ([`Store::is_in_memory`]), or a file
//! that was deleted, knows nothing of the process before.
//!
//! Identifiers are kept as they are, since they are compared with others; all
//! other text goes through [`kept`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::runs::parsed;
use super::{Store, kept, moment};

/// Steps that are remembered: at the default cap of public changes, at least
/// most of a day; as a rule, months.
const REMEMBERED: u32 = 10_000;

/// Between components, whose identifiers are letters and digits.
const SEPARATOR: &str = " ";

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStepKind {
    /// Opens an incident.
    Open,
    /// Changes an incident or says something on it.
    Update,
    /// Opens an incident again that was resolved a moment ago.
    Reopen,
    Resolve,
    /// Sets a component back to operational, outside of any incident.
    Restore,
    /// Takes over an incident that Pagerstatus opened.
    Adopt,
    /// Takes back an incident that a human has handed back.
    TakeBack,
    /// Writes down whose incident it is, without a word to the public.
    Record,
}

/// Whether steps are taken or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncMode {
    Plan,
    Apply,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    Done,
    /// It certainly had no effect.
    Refused,
    /// No usable answer came: it may have had its effect.
    Unknown,
    /// Seen from near it was not to be done any more.
    Skipped,
    /// It would have been done, but for the mode.
    Planned,
}

/// A step that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSyncStep {
    pub began: Timestamp,
    /// The status page.
    pub page: String,
    /// The public incident, where there is one.
    pub incident: Option<String>,
    /// What the public incident is about: a component or a source incident.
    pub key: String,
    pub kind: SyncStepKind,
    /// The components' identifiers.
    pub components: Vec<String>,
    pub reason: String,
    pub mode: SyncMode,
}

/// A step that has begun; to be given back at its end.
#[derive(Debug)]
pub struct SyncStepInProgress {
    /// None if its beginning could not be noted.
    row: Option<i64>,
    step: NewSyncStep,
}

/// An incident that may be public although no list shows it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsettledOpen {
    pub page: String,
    pub key: String,
    pub components: Vec<String>,
    /// When it was last written about: its end, or its beginning where that is
    /// not known. A step may have waited long for its turn in between.
    pub last: Timestamp,
    /// Its identifier, where an answer told it.
    pub incident: Option<String>,
}

/// A step as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncStepRecord {
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub page: String,
    pub incident: Option<String>,
    pub key: String,
    pub kind: SyncStepKind,
    pub components: Vec<String>,
    pub reason: String,
    pub mode: SyncMode,
    /// None while it is under way, and if its process ended before it did.
    pub outcome: Option<SyncOutcome>,
    pub detail: Option<String>,
}

impl SyncStepKind {
    const ALL: [Self; 8] = [
        Self::Open,
        Self::Update,
        Self::Reopen,
        Self::Resolve,
        Self::Restore,
        Self::Adopt,
        Self::TakeBack,
        Self::Record,
    ];

    /// The name in the database, in log lines and of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Reopen => "reopen",
            Self::Resolve => "resolve",
            Self::Restore => "restore",
            Self::Adopt => "adopt",
            Self::TakeBack => "take_back",
            Self::Record => "record",
        }
    }
}

impl SyncMode {
    const ALL: [Self; 2] = [Self::Plan, Self::Apply];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }
}

impl SyncOutcome {
    const ALL: [Self; 5] = [
        Self::Done,
        Self::Refused,
        Self::Unknown,
        Self::Skipped,
        Self::Planned,
    ];

    /// The name in the database, in log lines and of the metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::Planned => "planned",
        }
    }
}

/// Keeps a closed choice under its name.
macro_rules! kept_by_name {
    ($($choice:ty),*) => {$(
        impl ToSql for $choice {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.as_str().to_sql()
            }
        }

        impl FromSql for $choice {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                Self::ALL
                    .into_iter()
                    .find(|choice| choice.as_str() == text)
                    .ok_or(FromSqlError::InvalidType)
            }
        }
    )*};
}

kept_by_name!(SyncStepKind, SyncMode, SyncOutcome);

impl SyncStepInProgress {
    /// Whether somebody who reads the journal later would know that it began.
    pub fn is_noted(&self) -> bool {
        self.row.is_some()
    }
}

impl Store {
    /// Notes that a step begins. What was noted is on the disk when this returns.
    pub async fn step_began(&self, step: NewSyncStep) -> SyncStepInProgress {
        let new = step.clone();
        let row = self.attempt("note the beginning of a step", move |connection| {
            begin(connection, &new)
        });
        SyncStepInProgress {
            row: row.await,
            step,
        }
    }

    /// Notes how it ended; `incident`: its identifier, where the step told it.
    pub async fn step_ended(
        &self,
        step: SyncStepInProgress,
        ended: Timestamp,
        outcome: SyncOutcome,
        incident: Option<String>,
        detail: Option<String>,
    ) {
        let end = move |connection: &mut Connection| {
            let SyncStepInProgress { row, step } = step;
            let incident = incident.or_else(|| step.incident.clone());
            let outcome = (ended, outcome, detail.as_deref());
            write(connection, row, &step, incident.as_deref(), Some(outcome))
        };
        // Whether it worked has been said.
        let _noted: Option<()> = self.attempt("note the end of a step", end).await;
    }

    /// Incidents that were to be opened, oldest first, of which it is not certain
    /// that they were not, and about which something was noted at or after
    /// `since`. None if the journal cannot be read, which is not the same as
    /// nothing.
    pub async fn unsettled(&self, since: Timestamp) -> Option<Vec<UnsettledOpen>> {
        self.attempt("read the journal of incident sync", move |connection| {
            unsettled(connection, since)
        })
        .await
    }

    /// The incident that was last opened, or opened again, for each key on a page,
    /// as far as the journal goes back; none if it cannot be read.
    pub async fn last_opened(&self, page: &str) -> BTreeMap<String, String> {
        let page = page.to_owned();
        self.attempt("read the journal of incident sync", move |connection| {
            last_opened(connection, &page)
        })
        .await
        .unwrap_or_default()
    }

    /// The newest steps first, at most so many; `None` if they cannot be read, which
    /// is said here.
    pub async fn sync_steps(&self, limit: u32) -> Option<Vec<SyncStepRecord>> {
        self.attempt("read the trail of incident sync", move |connection| {
            let mut steps =
                connection.prepare("SELECT * FROM sync_step ORDER BY id DESC LIMIT ?")?;
            steps.query_map([limit], record_of)?.collect()
        })
        .await
    }
}

fn begin(connection: &mut Connection, step: &NewSyncStep) -> rusqlite::Result<i64> {
    let transaction = connection.transaction()?;
    write(&transaction, None, step, step.incident.as_deref(), None)?;
    let row = transaction.last_insert_rowid();
    transaction.execute(
        "DELETE FROM sync_step WHERE id <= ?",
        [row - i64::from(REMEMBERED)],
    )?;
    transaction.commit()?;
    Ok(row)
}

/// Writes the whole step: its beginning may not have got there.
fn write(
    connection: &Connection,
    row: Option<i64>,
    step: &NewSyncStep,
    incident: Option<&str>,
    end: Option<(Timestamp, SyncOutcome, Option<&str>)>,
) -> rusqlite::Result<()> {
    let (ended, outcome, detail) = match end {
        Some((ended, outcome, detail)) => (Some(moment(ended)), Some(outcome), detail),
        None => (None, None, None),
    };
    connection.execute(
        "INSERT OR REPLACE INTO sync_step (id, began, ended, page, incident, key, kind, components, reason, mode,
             outcome, detail)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            row,
            moment(step.began),
            ended,
            step.page,
            incident,
            step.key,
            step.kind,
            step.components.join(SEPARATOR),
            kept(&step.reason),
            step.mode,
            outcome,
            detail.map(kept),
        ],
    )?;
    Ok(())
}

fn unsettled(
    connection: &mut Connection,
    since: Timestamp,
) -> rusqlite::Result<Vec<UnsettledOpen>> {
    // One that is done counts as well: lists may be behind.
    let mut opens = connection.prepare(
        "SELECT page, key, components, COALESCE(ended, began) AS last, incident FROM sync_step
         WHERE kind = ? AND mode = ? AND last >= ? AND (outcome IS NULL OR outcome IN (?, ?))
         ORDER BY id",
    )?;
    let wanted = params![
        SyncStepKind::Open,
        SyncMode::Apply,
        moment(since),
        SyncOutcome::Unknown,
        SyncOutcome::Done,
    ];
    let opens = opens.query_map(wanted, |row| {
        let last: String = row.get("last")?;
        let components: String = row.get("components")?;
        Ok(UnsettledOpen {
            page: row.get("page")?,
            key: row.get("key")?,
            components: separated(&components),
            last: parsed(&last)?,
            incident: row.get("incident")?,
        })
    })?;
    opens.collect()
}

fn last_opened(
    connection: &mut Connection,
    page: &str,
) -> rusqlite::Result<BTreeMap<String, String>> {
    // The later row of a key is put in over the earlier one.
    let mut opens = connection.prepare(
        "SELECT key, incident FROM sync_step
         WHERE page = ? AND mode = ? AND kind IN (?, ?) AND outcome = ? AND incident IS NOT NULL
         ORDER BY id",
    )?;
    let wanted = params![
        page,
        SyncMode::Apply,
        SyncStepKind::Open,
        SyncStepKind::Reopen,
        SyncOutcome::Done,
    ];
    let opens = opens.query_map(wanted, |row| Ok((row.get("key")?, row.get("incident")?)))?;
    opens.collect()
}

fn separated(components: &str) -> Vec<String> {
    let components = components.split(SEPARATOR).filter(|id| !id.is_empty());
    components.map(str::to_owned).collect()
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<SyncStepRecord> {
    let began: String = row.get("began")?;
    let ended: Option<String> = row.get("ended")?;
    let components: String = row.get("components")?;
    Ok(SyncStepRecord {
        began: parsed(&began)?,
        ended: ended.as_deref().map(parsed).transpose()?,
        page: row.get("page")?,
        incident: row.get("incident")?,
        key: row.get("key")?,
        kind: row.get("kind")?,
        components: separated(&components),
        reason: row.get("reason")?,
        mode: row.get("mode")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
    })
}
