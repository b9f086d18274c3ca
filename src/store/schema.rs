//! The tables, and how a file of an earlier version gets them.
//!
//! A migration that was released is never changed; what is to be different
//! becomes another one at the end. Times are text in UTC and durations whole
//! milliseconds, so that the file can be read with the `sqlite3` shell.

use rusqlite_migration::{M, Migrations};

/// `Port`: marks a file as ours, in the header where `file` and SQLite look.
pub(super) const APPLICATION_ID: i32 = 0x506f_7274;

/// Numbered by their place; the file's `user_version` is how many it has seen.
pub(super) const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

const STEPS: &[M<'static>] = &[M::up(RUNS), M::up(SYNC_STEPS), M::up(LIVE_EVENTS)];

const RUNS: &str = "PRAGMA application_id = 0x506f7274;

    -- Without an outcome: still running, or the process ended before it did.
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        resync TEXT,
        trigger TEXT NOT NULL,
        started TEXT NOT NULL,
        ended TEXT,
        duration_ms INTEGER,
        outcome TEXT CHECK (outcome IN ('done', 'partly', 'failed', 'stopped', 'interrupted')),
        error TEXT,
        written INTEGER NOT NULL DEFAULT 0,
        unchanged INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        deleted INTEGER NOT NULL DEFAULT 0,
        withheld INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE run_kind (
        run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        resource INTEGER NOT NULL,
        kind TEXT NOT NULL,
        fetched INTEGER NOT NULL,
        filtered INTEGER NOT NULL,
        mapped INTEGER NOT NULL,
        written INTEGER NOT NULL,
        unchanged INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        complete INTEGER NOT NULL,
        PRIMARY KEY (run, resource)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run_error (
        run INTEGER NOT NULL,
        resource INTEGER NOT NULL,
        place INTEGER NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (run, resource, place),
        FOREIGN KEY (run, resource) REFERENCES run_kind (run, resource) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE run_withheld (
        run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        blueprint TEXT NOT NULL,
        entities INTEGER NOT NULL,
        rate REAL,
        reason TEXT NOT NULL,
        detail TEXT,
        PRIMARY KEY (run, place)
    ) STRICT, WITHOUT ROWID;";

const SYNC_STEPS: &str = "
    -- Without an outcome: under way, or the process ended before it did.
    CREATE TABLE sync_step (
        id INTEGER PRIMARY KEY,
        began TEXT NOT NULL,
        ended TEXT,
        page TEXT NOT NULL,
        incident TEXT,
        key TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN
            ('open', 'update', 'reopen', 'resolve', 'restore', 'adopt', 'take_back', 'record')),
        components TEXT NOT NULL,
        reason TEXT NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('plan', 'apply')),
        outcome TEXT CHECK (outcome IN ('done', 'refused', 'unknown', 'skipped', 'planned')),
        detail TEXT
    ) STRICT;";

const LIVE_EVENTS: &str = "
    -- Numbers are never used twice: a dead event keeps its own.
    CREATE TABLE live_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subject TEXT NOT NULL,
        delivery TEXT NOT NULL,
        source TEXT NOT NULL,
        account TEXT,
        thing TEXT NOT NULL,
        object TEXT NOT NULL,
        page TEXT,
        event_type TEXT NOT NULL,
        gone INTEGER NOT NULL,
        payload TEXT NOT NULL,
        received TEXT NOT NULL
    ) STRICT;
    CREATE INDEX live_event_of_subject ON live_event (subject);

    -- One for each subject that events wait for.
    CREATE TABLE live_subject (
        key TEXT PRIMARY KEY,
        due TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX live_subject_due ON live_subject (due, key);

    CREATE TABLE live_delivery (
        delivery TEXT PRIMARY KEY,
        seen TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX live_delivery_seen ON live_delivery (seen);

    -- The columns of live_event first, and in their order.
    CREATE TABLE live_dead_event (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        delivery TEXT NOT NULL,
        source TEXT NOT NULL,
        account TEXT,
        thing TEXT NOT NULL,
        object TEXT NOT NULL,
        page TEXT,
        event_type TEXT NOT NULL,
        gone INTEGER NOT NULL,
        payload TEXT NOT NULL,
        received TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        error TEXT NOT NULL,
        died TEXT NOT NULL
    ) STRICT;
    CREATE INDEX live_dead_event_died ON live_dead_event (died);";
