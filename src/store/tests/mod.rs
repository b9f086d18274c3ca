mod sync_steps;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

use super::*;
use crate::telemetry::{LogFormat, LogLevel, Masker};

/// What is logged on this thread. [`Store`] logs on the thread that awaits it.
struct Logged {
    lines: Arc<StdMutex<Vec<String>>>,
    _until_dropped: DefaultGuard,
}

impl Logged {
    fn start() -> Self {
        let lines = Arc::new(StdMutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let sink: telemetry::Sink = Arc::new(move |line| {
            let line = String::from_utf8(line.to_vec()).unwrap();
            written.lock().unwrap().push(line);
        });
        let format = LogFormat::Human { colour: false };
        let subscriber = telemetry::subscriber(LogLevel::Info, format, Masker::new([]), sink);
        Self {
            lines,
            _until_dropped: tracing::subscriber::set_default(subscriber),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn directory_with_path() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state").join("portolan.sqlite3");
    (directory, path)
}

fn new_run() -> NewRun {
    NewRun {
        trigger: "once",
        started: Timestamp::now(),
    }
}

/// A run of which every field says something.
fn finished() -> FinishedRun {
    FinishedRun {
        resync: Some(Uuid::new_v4()),
        outcome: Outcome::Partly,
        error: Some("half of the deletion could not be looked at".to_owned()),
        totals: Totals {
            written: 5,
            unchanged: 4,
            failed: 3,
            deleted: 2,
            withheld: 7,
        },
        kinds: vec![
            KindRecord {
                resource: 0,
                kind: "incident".to_owned(),
                fetched: 13,
                filtered: 1,
                mapped: 12,
                written: 5,
                unchanged: 4,
                failed: 3,
                duration: Duration::from_millis(1_260),
                is_complete: false,
                errors: vec!["could not list incidents".to_owned()],
            },
            KindRecord {
                resource: 1,
                kind: "services".to_owned(),
                is_complete: true,
                ..KindRecord::default()
            },
        ],
        withheld: vec![WithheldRecord {
            blueprint: "incident".to_owned(),
            entities: 7,
            rate: Some(0.25),
            reason: "incomplete".to_owned(),
            detail: Some("incident".to_owned()),
        }],
    }
}

async fn record(store: &Store, finished: FinishedRun) {
    let run = store.run_began(new_run()).await;
    store.run_ended(run, finished).await;
}

fn outcomes(runs: &[RunRecord]) -> Vec<Option<Outcome>> {
    runs.iter().map(|run| run.outcome).collect()
}

#[test]
fn the_migrations_work() {
    schema::MIGRATIONS.validate().unwrap();
}

#[tokio::test]
async fn a_run_is_remembered_whole_by_who_opens_the_file_later() {
    let logged = Logged::start();
    let (_directory, path) = directory_with_path();
    record(&Store::open(&path).await, finished()).await;

    let store = Store::open(&path).await;

    let run = store.runs(10).await.unwrap().remove(0);
    let expected = finished();
    assert_eq!(run.trigger, "once");
    assert!(run.resync.is_some());
    assert!(run.ended.unwrap() >= run.started);
    assert!(run.duration.is_some());
    assert_eq!(run.outcome, Some(Outcome::Partly));
    assert_eq!(run.error, expected.error);
    assert_eq!(run.totals, expected.totals);
    assert_eq!(run.kinds, expected.kinds);
    assert_eq!(run.withheld, expected.withheld);
    assert_eq!(logged.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_else_may_read_what_is_created() {
    let (_directory, path) = directory_with_path();

    record(&Store::open(&path).await, finished()).await;

    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_run_that_never_ended_is_interrupted_once_the_next_begins() {
    let (_directory, path) = directory_with_path();
    let _never_ended = Store::open(&path).await.run_began(new_run()).await;
    let store = Store::open(&path).await;
    assert_eq!(outcomes(&store.runs(10).await.unwrap()), [None]);

    record(&store, finished()).await;

    let runs = store.runs(10).await.unwrap();
    assert_eq!(
        outcomes(&runs),
        [Some(Outcome::Partly), Some(Outcome::Interrupted)]
    );
    assert_eq!(runs[1].ended, None);
}

#[tokio::test]
async fn a_run_that_was_called_interrupted_too_early_corrects_that() {
    let (_directory, path) = directory_with_path();
    let (one, other) = (Store::open(&path).await, Store::open(&path).await);
    let of_one = one.run_began(new_run()).await;
    let of_other = other.run_began(new_run()).await;

    one.run_ended(of_one, finished()).await;
    other.run_ended(of_other, finished()).await;

    assert_eq!(
        outcomes(&one.runs(10).await.unwrap()),
        [Some(Outcome::Partly), Some(Outcome::Partly)]
    );
}

#[tokio::test]
async fn the_newest_thousand_runs_are_remembered() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    for number in 0..1_003 {
        let mut finished = finished();
        finished.totals.written = number;
        record(&store, finished).await;
    }

    let runs = store.runs(u32::MAX).await.unwrap();

    let written: Vec<u64> = runs.iter().map(|run| run.totals.written).collect();
    assert_eq!(written, (3..1_003).rev().collect::<Vec<_>>());
    assert_eq!(store.runs(2).await.unwrap(), runs[..2]);
    let left = |connection: &mut Connection| {
        connection.query_one(
            "SELECT count(DISTINCT run) FROM run_error NATURAL JOIN run_kind",
            [],
            |row| row.get::<_, u64>(0),
        )
    };
    assert_eq!(store.attempt("count", left).await, Some(1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_opens_a_new_file_together_shares_it() {
    for _ in 0..50 {
        let (_directory, path) = directory_with_path();
        let opening = [&path, &path, &path].map(|path| {
            let path = path.clone();
            tokio::spawn(async move { Store::open(&path).await })
        });
        for opened in opening {
            let store = opened.await.unwrap();
            assert_eq!(store.shared.place, path.display().to_string());
        }
    }
}

#[tokio::test]
async fn many_tasks_may_use_it_at_once() {
    let logged = Logged::start();
    let (_directory, path) = directory_with_path();
    let (one, other) = (Store::open(&path).await, Store::open(&path).await);

    let tasks = (0..40).map(|number| {
        let store = if number % 2 == 0 { &one } else { &other };
        async move {
            record(store, finished()).await;
            assert!(!store.runs(5).await.unwrap().is_empty());
        }
    });
    futures_util::future::join_all(tasks).await;

    let runs = one.runs(100).await.unwrap();
    assert_eq!(outcomes(&runs), [Some(Outcome::Partly); 40]);
    assert_eq!(logged.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn text_from_outside_is_masked_before_it_is_cut() {
    let (directory, path) = directory_with_path();
    let secret = format!("ya29.{}", "invented".repeat(5));
    let text = format!("{} {secret}", "x".repeat(LONGEST_TEXT - 20));
    let mut leaky = finished();
    leaky.error = Some(text.clone());
    leaky.kinds[0].errors = vec![text.clone(); 9];
    leaky.withheld[0].detail = Some(text);
    let store = Store::open(&path).await;

    record(&store, leaky).await;

    let run = store.runs(1).await.unwrap().remove(0);
    assert_eq!(run.kinds[0].errors.len(), 3);
    assert!(run.error.unwrap().chars().count() <= LONGEST_TEXT + 1);
    for entry in fs::read_dir(directory.path().join("state")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"invented"));
    }
}

/// Opens what cannot be used: says why, once, and works all the same.
async fn refused(path: &Path, reason: &str) {
    let logged = Logged::start();

    let store = Store::open(path).await;

    record(&store, finished()).await;
    assert_eq!(
        outcomes(&store.runs(9).await.unwrap()),
        [Some(Outcome::Partly)]
    );
    let lines = logged.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [reason, "OCEAN__STATE_PATH", &path.display().to_string()] {
        assert!(lines[0].contains(part), "no `{part}` in {lines:?}");
    }
}

#[tokio::test]
async fn a_path_that_leads_through_a_file_is_refused() {
    let (directory, path) = directory_with_path();
    File::create(directory.path().join("state")).unwrap();

    refused(&path, "its directory cannot be created").await;
}

#[tokio::test]
async fn a_directory_is_refused() {
    let (_directory, path) = directory_with_path();
    fs::create_dir_all(&path).unwrap();

    refused(&path, "it is not a file").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_kept() {
    let (_directory, path) = directory_with_path();
    let letter = "Dear Sir or Madam, ".repeat(100);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &letter).unwrap();

    refused(&path, "file is not a database").await;

    assert_eq!(fs::read_to_string(&path).unwrap(), letter);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_kept() {
    let (_directory, path) = directory_with_path();
    record(&Store::open(&path).await, finished()).await;
    let mut damaged = fs::read(&path).unwrap();
    damaged[100..].fill(0xff);
    fs::write(&path, &damaged).unwrap();

    refused(&path, "malformed").await;

    assert_eq!(fs::read(&path).unwrap(), damaged);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_kept() {
    let (_directory, path) = directory_with_path();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE song (title TEXT)")
        .unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();

    refused(&path, "the database of another program").await;

    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_kept() {
    let (_directory, path) = directory_with_path();
    record(&Store::open(&path).await, finished()).await;
    let later = Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 1_000).unwrap();
    drop(later);

    refused(&path, "a later version of this program wrote it").await;

    let later = Connection::open(&path).unwrap();
    let runs: u64 = later
        .query_one("SELECT count(*) FROM run", [], |row| row.get(0))
        .unwrap();
    assert_eq!(runs, 1);
}

#[tokio::test]
async fn a_file_that_somebody_keeps_to_himself_is_refused() {
    let (_directory, path) = directory_with_path();
    record(&Store::open(&path).await, finished()).await;
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .unwrap();

    refused(&path, "database is locked").await;
}

#[tokio::test]
async fn a_directory_that_may_only_be_read_is_refused() {
    let (_directory, path) = directory_with_path();
    let parent = path.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    fs::set_permissions(parent, Permissions::from_mode(0o500)).unwrap();
    // Permissions do not bind root.
    if File::create(parent.join("probe")).is_err() {
        refused(&path, "it cannot be created").await;
    }
    fs::set_permissions(parent, Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn whoever_looks_leaves_the_log_of_a_killed_process_as_it_is() {
    let (_directory, path) = directory_with_path();
    let (_other, copy) = directory_with_path();
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    let of_log = |path: &Path| path.with_file_name(format!("{}-wal", file_name(path)));
    let store = Store::open(&path).await;
    record(&store, finished()).await;
    // As they lie there when a process is killed.
    fs::copy(&path, &copy).unwrap();
    fs::copy(of_log(&path), of_log(&copy)).unwrap();
    let bytes = || [&copy, &of_log(&copy)].map(|path| fs::read(path).unwrap());
    let before = bytes();

    let looking = Store::look_into(&copy).await.unwrap();
    assert_eq!(looking.runs(10).await.unwrap().len(), 1);
    drop(looking);

    assert!(bytes() == before);
    assert_eq!(Store::open(&copy).await.runs(10).await.unwrap().len(), 1);
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_a_stranger_may_have_planted_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let (open_to_all, own) = (root.join("open"), root.join("own"));
    for directory in [&open_to_all, &own] {
        fs::create_dir(directory).unwrap();
        File::create(directory.join("file")).unwrap();
        symlink("file", directory.join("link")).unwrap();
    }
    fs::set_permissions(&open_to_all, Permissions::from_mode(0o1777)).unwrap();
    // Root's files are always trusted, and the tests may run as root.
    let mut owner = fs::metadata(&root).unwrap().uid();
    if owner == 0 {
        owner = 4_711;
        for name in ["file", "link"] {
            for entry in [open_to_all.join(name), own.join(name)] {
                std::os::unix::fs::lchown(entry, Some(owner), None).unwrap();
            }
        }
        std::os::unix::fs::chown(&root, Some(owner), None).unwrap();
    }
    let found = |path: &Path, us: u32| {
        let found = file::planted(path, us).unwrap();
        found.is_some_and(|found| found.starts_with(&root) && found != root)
    };

    for name in ["file", "link"] {
        assert!(found(&open_to_all.join(name), owner + 1), "{name}");
        assert!(!found(&open_to_all.join(name), owner), "{name}");
        assert!(!found(&own.join(name), owner + 1), "{name}");
    }
}

#[tokio::test]
async fn writes_that_fail_later_are_said_once() {
    let logged = Logged::start();
    let (_directory, path) = directory_with_path();
    let store = Store::open(&path).await;
    record(&store, finished()).await;
    // No page more than there are: a full disk.
    let fill = |connection: &mut Connection| {
        connection.pragma_update_and_check(None, "max_page_count", 1, |_| Ok(()))
    };
    store.attempt("fill", fill).await.unwrap();

    for _ in 0..50 {
        record(&store, finished()).await;
    }

    let lines = logged.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("database or disk is full"), "{lines:?}");
    assert!(lines[0].contains(&path.display().to_string()), "{lines:?}");
}
