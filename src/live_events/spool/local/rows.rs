//! What the spool is made of in the database; the tables are in `store::schema`.
//!
//! `live_subject` has a row for each subject that has rows in `live_event`, which
//! says when it is due and how often it was tried. An event that is given up moves
//! to `live_dead_event` and keeps its number, by which it can be put back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::super::super::event::{DeadEvent, NewEvent, SpooledEvent, Subject, Taken};
use super::super::{Counts, Put, SpoolError};
use super::leases::Leases;
use super::writer::Trouble;
use crate::store::{moment, parsed};

/// How long a delivery is remembered. PagerDuty, the most patient, tries for 48
/// hours.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// Deliveries that are forgotten at once: others wait meanwhile.
const FORGOTTEN_AT_ONCE: usize = 5_000;

/// What is taken of one subject at once, in events and in bytes of their payloads.
/// More of them than this say nothing new, and their payloads must not fill the
/// memory; the rest is taken next.
const TAKEN_EVENTS: usize = 1_000;
const TAKEN_BYTES: usize = 8 << 20;

/// What was given up is kept, but does not grow for ever.
const DEAD: u32 = 100_000;

/// What a look for work came to.
#[derive(Debug)]
pub(super) enum Found {
    Taken(Taken),
    /// The first of what waits is due then.
    DueIn(Duration),
    Nothing,
}

pub(super) fn put(
    connection: &Connection,
    events: &[NewEvent],
    limit: u64,
    now: Timestamp,
) -> Result<Put, Trouble> {
    let now = moment(now);
    let mut put = Put::default();
    let mut remember = connection.prepare(
        "INSERT INTO live_delivery (delivery, seen) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )?;
    let mut store = connection.prepare(
        "INSERT INTO live_event (subject, delivery, source, account, thing, object, page, event_type, gone, payload,
             received)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut expect = connection
        .prepare("INSERT INTO live_subject (key, due) VALUES (?, ?) ON CONFLICT DO NOTHING")?;
    for event in events {
        if remember.execute(params![event.delivery, now])? == 0 {
            put.duplicates += 1;
            continue;
        }
        let subject = &event.subject;
        let key = subject.key();
        store.execute(params![
            key,
            event.delivery,
            subject.source.as_str(),
            subject.account,
            subject.thing.as_str(),
            subject.id,
            subject.page,
            event.event_type,
            event.is_gone,
            event.payload.to_string(),
            moment(event.received),
        ])?;
        expect.execute(params![key, now])?;
        put.stored += 1;
    }
    if put.stored > 0 && is_beyond(connection, limit)? {
        return Err(Trouble::Refused(SpoolError::Full { limit }));
    }
    Ok(put)
}

/// Whether more than so many events wait. They are counted only where the range
/// of their numbers leaves a doubt, since counting many takes time.
fn is_beyond(connection: &Connection, limit: u64) -> rusqlite::Result<bool> {
    let range: u64 = connection.query_one(
        "SELECT (SELECT max(id) FROM live_event) - (SELECT min(id) FROM live_event) + 1",
        [],
        |row| row.get(0),
    )?;
    Ok(range > limit && waiting(connection)? > limit)
}

fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_one("SELECT count(*) FROM live_event", [], |row| row.get(0))
}

/// The subject that has been due for longest and that nobody has.
pub(super) fn find(
    connection: &Connection,
    leases: &Arc<Leases>,
    now: Timestamp,
) -> rusqlite::Result<Found> {
    let mut subjects =
        connection.prepare("SELECT key, due, attempts FROM live_subject ORDER BY due, key")?;
    let mut rows = subjects.query([])?;
    while let Some(row) = rows.next()? {
        let due: Timestamp = parsed(&row.get::<_, String>("due")?)?;
        let key: String = row.get("key")?;
        if due > now {
            // What is held is no matter: whoever holds it says when it is free.
            return Ok(Found::DueIn(due.duration_since(now).unsigned_abs()));
        }
        let Some(lease) = leases.take(&key) else {
            continue;
        };
        let attempts: u32 = row.get("attempts")?;
        let events = match events_of(connection, &key) {
            Ok(events) => events,
            Err(error) => {
                // Not for its sake must all others wait.
                tracing::error!("Cannot read the live events of {key}: {error}");
                leases.rest(key, std::time::Instant::now() + super::REST);
                continue;
            }
        };
        let Some(first) = events.first() else {
            connection.execute("DELETE FROM live_subject WHERE key = ?", [&key])?;
            continue;
        };
        let subject = first.event.subject.clone();
        return Ok(Found::Taken(Taken::new(
            subject,
            events,
            attempts.saturating_add(1),
            lease,
        )));
    }
    Ok(Found::Nothing)
}

fn events_of(connection: &Connection, key: &str) -> rusqlite::Result<Vec<SpooledEvent>> {
    let mut statement =
        connection.prepare("SELECT * FROM live_event WHERE subject = ? ORDER BY id LIMIT ?")?;
    let mut rows = statement.query(params![key, TAKEN_EVENTS])?;
    let mut events: Vec<SpooledEvent> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get_ref("payload")?.as_str()?.len();
        if bytes > TAKEN_BYTES && !events.is_empty() {
            break;
        }
        events.push(SpooledEvent {
            id: row.get::<_, i64>("id")?.to_string(),
            event: event_of(row)?,
        });
    }
    Ok(events)
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<NewEvent> {
    Ok(NewEvent {
        delivery: row.get("delivery")?,
        subject: Subject {
            source: parsed(&row.get::<_, String>("source")?)?,
            account: row.get("account")?,
            thing: parsed(&row.get::<_, String>("thing")?)?,
            id: row.get("object")?,
            page: row.get("page")?,
        },
        event_type: row.get("event_type")?,
        is_gone: row.get("gone")?,
        payload: parsed::<Value>(&row.get::<_, String>("payload")?)?,
        received: parsed(&row.get::<_, String>("received")?)?,
    })
}

/// What was taken, by number.
pub(super) fn ids(taken: &Taken) -> Vec<String> {
    taken.events.iter().map(|event| event.id.clone()).collect()
}

pub(super) fn done(
    connection: &Connection,
    key: &str,
    ids: &[String],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare("DELETE FROM live_event WHERE id = ?")?;
    for id in ids {
        delete.execute([id])?;
    }
    begin_anew(connection, key, now)
}

/// What has come in meanwhile is due at once, and nobody has tried it yet.
fn begin_anew(connection: &Connection, key: &str, now: Timestamp) -> rusqlite::Result<()> {
    let left = connection
        .query_row(
            "SELECT 1 FROM live_event WHERE subject = ? LIMIT 1",
            [key],
            |_| Ok(()),
        )
        .optional()?;
    match left {
        Some(()) => connection.execute(
            "UPDATE live_subject SET due = ?, attempts = 0, error = NULL WHERE key = ?",
            params![moment(now), key],
        )?,
        None => connection.execute("DELETE FROM live_subject WHERE key = ?", [key])?,
    };
    Ok(())
}

pub(super) fn later(
    connection: &Connection,
    key: &str,
    attempt: u32,
    due: Timestamp,
    error: &str,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE live_subject SET due = ?, attempts = ?, error = ? WHERE key = ?",
        params![moment(due), attempt, error, key],
    )?;
    Ok(())
}

pub(super) fn bury(
    connection: &Connection,
    key: &str,
    ids: &[String],
    attempts: u32,
    error: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let died = moment(now);
    let mut bury = connection.prepare(
        "INSERT OR REPLACE INTO live_dead_event
         SELECT live_event.*, ?, ?, ? FROM live_event WHERE id = ?",
    )?;
    for id in ids {
        bury.execute(params![attempts, error, died, id])?;
    }
    connection.execute(
        "DELETE FROM live_dead_event WHERE id IN
             (SELECT id FROM live_dead_event ORDER BY died DESC, id DESC LIMIT -1 OFFSET ?)",
        [DEAD],
    )?;
    done(connection, key, ids, now)
}

pub(super) fn dead(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<DeadEvent>> {
    let mut statement =
        connection.prepare("SELECT * FROM live_dead_event ORDER BY died DESC, id DESC LIMIT ?")?;
    let rows = statement.query_map([limit], |row| {
        Ok(DeadEvent {
            id: row.get::<_, i64>("id")?.to_string(),
            event: event_of(row)?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
            died: parsed(&row.get::<_, String>("died")?)?,
        })
    })?;
    rows.collect()
}

pub(super) fn replay(
    connection: &Connection,
    ids: &[String],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut back = connection.prepare(
        "INSERT INTO live_event
         SELECT id, subject, delivery, source, account, thing, object, page, event_type, gone, payload, received
         FROM live_dead_event WHERE id = ?
         RETURNING subject",
    )?;
    let mut forget = connection.prepare("DELETE FROM live_dead_event WHERE id = ?")?;
    let mut expect = connection.prepare(
        "INSERT INTO live_subject (key, due) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET due = excluded.due, attempts = 0, error = NULL",
    )?;
    let mut count = 0;
    // What is no number names nothing.
    for id in ids.iter().filter_map(|id| id.parse::<i64>().ok()) {
        let key: Option<String> = back.query_row([id], |row| row.get(0)).optional()?;
        if let Some(key) = key {
            forget.execute([id])?;
            expect.execute(params![key, moment(now)])?;
            count += 1;
        }
    }
    Ok(count)
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    // Numbers are given in the order of coming in.
    let oldest: Option<String> = connection
        .query_row(
            "SELECT received FROM live_event ORDER BY id LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(Counts {
        waiting: waiting(connection)?,
        dead: connection.query_one("SELECT count(*) FROM live_dead_event", [], |row| row.get(0))?,
        oldest: oldest.as_deref().map(parsed).transpose()?,
    })
}

/// Forgets some deliveries, and lets nothing wait for a time that the clock has
/// been put back from. Whether that was all there was to forget.
pub(super) fn tidy(
    connection: &Connection,
    now: Timestamp,
    longest_pause: Duration,
) -> Result<bool, Trouble> {
    let forgotten = connection.execute(
        "DELETE FROM live_delivery WHERE delivery IN
             (SELECT delivery FROM live_delivery WHERE seen < ? LIMIT ?)",
        params![moment(now - REMEMBERED), FORGOTTEN_AT_ONCE],
    )?;
    connection.execute(
        "UPDATE live_subject SET due = ? WHERE due > ?",
        params![moment(now), moment(now + longest_pause)],
    )?;
    Ok(forgotten < FORGOTTEN_AT_ONCE)
}
