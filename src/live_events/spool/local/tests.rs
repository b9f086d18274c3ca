use std::fs;
use std::path::PathBuf;

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::live_events::{Subject, Thing};
use crate::settings::SourceName;

/// Long enough for a busy machine, and no test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn event(object: &str, delivery: &str) -> NewEvent {
    NewEvent {
        delivery: delivery.to_owned(),
        subject: Subject {
            source: SourceName::Statuspage,
            account: Some("eu".to_owned()),
            thing: Thing::StatuspageIncident,
            id: object.to_owned(),
            page: Some("p1".to_owned()),
        },
        event_type: "incident".to_owned(),
        is_gone: false,
        payload: json!({"id": object, "name": "Invented", "position": 1.5}),
        // As many digits as are kept.
        received: Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap(),
    }
}

pub(super) fn deliveries(taken: &Taken) -> Vec<String> {
    let events = taken.events.iter();
    events.map(|one| one.event.delivery.clone()).collect()
}

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state").join("portolan.sqlite3");
    (directory, path)
}

async fn in_memory() -> LocalSpool {
    LocalSpool::open(Path::new(IN_MEMORY)).await
}

async fn put(spool: &LocalSpool, events: &[NewEvent]) -> Put {
    spool.put(events).await.unwrap()
}

fn stored(stored: usize, duplicates: usize) -> Put {
    Put { stored, duplicates }
}

/// What there is, one after another, none of it given back.
async fn everything(spool: &LocalSpool) -> Vec<Taken> {
    let mut all = Vec::new();
    while let Some(taken) = spool.take_now().await {
        all.push(taken);
    }
    all
}

#[tokio::test]
async fn what_was_put_is_taken_as_it_was_and_is_gone_once_it_is_done() {
    let spool = in_memory().await;
    let mut gone = event("i2", "d2");
    gone.is_gone = true;
    gone.subject.account = None;
    gone.subject.page = None;
    let events = [event("i1", "d1"), gone];

    for event in &events {
        assert_eq!(put(&spool, std::slice::from_ref(event)).await, stored(1, 0));
    }
    assert_eq!(put(&spool, &[]).await, stored(0, 0));

    for expected in events {
        let taken = spool.take_now().await.unwrap();
        assert_eq!(taken.subject, expected.subject);
        assert_eq!(taken.attempt, 1);
        assert!(taken.is_ours());
        assert_eq!(taken.events.len(), 1);
        assert_eq!(taken.events[0].event, expected);
        spool.done(taken).await;
    }
    assert_eq!(spool.counts().await.unwrap(), Counts::default());
    assert!(spool.take_now().await.is_none());
}

#[tokio::test]
async fn what_waits_for_a_subject_is_taken_together_and_by_one_at_a_time() {
    let spool = in_memory().await;
    put(
        &spool,
        &[event("i1", "a"), event("i2", "b"), event("i1", "c")],
    )
    .await;

    let one = spool.take_now().await.unwrap();
    let other = spool.take_now().await.unwrap();
    assert_eq!(deliveries(&one), ["a", "c"]);
    assert_eq!(deliveries(&other), ["b"]);
    put(&spool, &[event("i1", "d")]).await;
    assert!(spool.take_now().await.is_none(), "somebody has it");

    spool.done(one).await;

    let next = spool.take_now().await.unwrap();
    assert_eq!(deliveries(&next), ["d"]);
    assert_eq!(next.attempt, 1);
}

#[tokio::test]
async fn what_is_dropped_instead_of_given_back_is_waiting_again() {
    let spool = in_memory().await;
    put(&spool, &[event("i1", "a")]).await;

    drop(spool.take_now().await.unwrap());

    assert_eq!(deliveries(&spool.take_now().await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_restart_finds_everything_again() {
    let (_directory, path) = file();
    {
        let spool = LocalSpool::open(&path).await;
        put(
            &spool,
            &[
                event("i1", "a"),
                event("i2", "b"),
                event("i3", "c"),
                event("i4", "d"),
            ],
        )
        .await;
        spool.done(spool.take_now().await.unwrap()).await;
        let failed = spool.take_now().await.unwrap();
        spool.later(failed, Duration::ZERO, "not yet").await;
        spool.bury(spool.take_now().await.unwrap(), "never").await;
        // What somebody works on when the process is killed.
        std::mem::forget(spool.take_now().await.unwrap());
    }

    let spool = LocalSpool::open(&path).await;

    let mut found: Vec<_> = everything(&spool)
        .await
        .iter()
        .map(|taken| (deliveries(taken).concat(), taken.attempt))
        .collect();
    found.sort();
    assert_eq!(found, [("b".to_owned(), 2), ("d".to_owned(), 1)]);
    assert_eq!(spool.dead(9).await.unwrap()[0].event.delivery, "c");
    assert_eq!(
        put(&spool, &[event("i1", "a"), event("i2", "b")])
            .await
            .duplicates,
        2
    );
}

#[tokio::test]
async fn a_delivery_is_stored_once_within_a_week() {
    let (_directory, path) = file();
    let spool = LocalSpool::open(&path).await;
    put(&spool, &[event("i1", "a")]).await;
    let again = [event("i1", "a"), event("i1", "b"), event("i1", "b")];
    assert_eq!(put(&spool, &again).await, stored(1, 2));
    spool.done(spool.take_now().await.unwrap()).await;
    assert_eq!(put(&spool, &again).await, stored(0, 3));
    assert!(spool.take_now().await.is_none());

    let at = |days: i64| moment_ago(days);
    let connection = Connection::open(&path).unwrap();
    for (delivery, seen) in [("a", at(8)), ("b", at(6))] {
        connection
            .execute(
                "UPDATE live_delivery SET seen = ? WHERE delivery = ?",
                [seen, delivery.to_owned()],
            )
            .unwrap();
    }
    *lock(&spool.shared.tidied) = None;
    assert!(spool.take_now().await.is_none());

    assert_eq!(put(&spool, &again).await, stored(1, 2));
}

fn moment_ago(days: i64) -> String {
    store::moment(Timestamp::now() - jiff::SignedDuration::from_hours(24 * days))
}

#[tokio::test]
async fn what_failed_is_due_after_its_pause_with_what_has_come_in_meanwhile() {
    let spool = in_memory().await;
    put(&spool, &[event("i1", "a")]).await;
    let taken = spool.take_now().await.unwrap();
    spool.later(taken, Duration::from_mins(5), "not yet").await;
    put(&spool, &[event("i1", "b"), event("i2", "c")]).await;
    assert_eq!(deliveries(&spool.take_now().await.unwrap()), ["c"]);
    let not_yet = spool.take_now().await;
    assert!(not_yet.is_none() || deliveries(&not_yet.unwrap()) == ["c"]);

    let wake = |connection: &Connection| {
        let due = store::moment(Timestamp::now());
        Ok(connection.execute("UPDATE live_subject SET due = ?", [due])?)
    };
    spool
        .writer()
        .unwrap()
        .write("wake it", wake)
        .await
        .unwrap();
    let mut all = everything(&spool).await;
    all.retain(|taken| taken.subject.id == "i1");
    assert_eq!(deliveries(&all[0]), ["a", "b"]);
    assert_eq!(all[0].attempt, 2);
}

#[tokio::test]
async fn a_pause_ends_by_itself() {
    let spool = in_memory().await;
    put(&spool, &[event("i1", "a")]).await;
    let taken = spool.take_now().await.unwrap();
    spool
        .later(taken, Duration::from_millis(100), "not yet")
        .await;

    let taken = timeout(PATIENCE, spool.take()).await.unwrap();

    assert_eq!(taken.attempt, 2);
}

#[tokio::test]
async fn nothing_waits_for_a_time_that_the_clock_was_put_back_from() {
    let (_directory, path) = file();
    let spool = LocalSpool::open(&path).await;
    put(&spool, &[event("i1", "a")]).await;
    let connection = Connection::open(&path).unwrap();
    connection
        .execute("UPDATE live_subject SET due = ?", [moment_ago(-30)])
        .unwrap();

    *lock(&spool.shared.tidied) = None;

    assert_eq!(deliveries(&spool.take_now().await.unwrap()), ["a"]);
}

#[tokio::test]
async fn what_is_given_up_is_kept_and_can_be_put_back() {
    let (_directory, path) = file();
    let spool = LocalSpool::open(&path).await;
    put(&spool, &[event("i1", "a"), event("i1", "b")]).await;
    let taken = spool.take_now().await.unwrap();
    spool.later(taken, Duration::ZERO, "not yet").await;
    let taken = spool.take_now().await.unwrap();
    put(&spool, &[event("i1", "c")]).await;

    spool
        .bury(taken, "never: ya29.inventedinventedinvented")
        .await;

    let dead = spool.dead(9).await.unwrap();
    let of = |dead: &[DeadEvent]| {
        dead.iter()
            .map(|one| one.event.delivery.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&dead), ["b", "a"], "newest first");
    assert_eq!(dead[0].attempts, 2);
    assert!(
        dead[0].error.starts_with("never: ") && !dead[0].error.contains("invented"),
        "{dead:?}"
    );
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (1, 2));
    let next = spool.take_now().await.unwrap();
    assert_eq!((deliveries(&next), next.attempt), (vec!["c".to_owned()], 1));
    spool.done(next).await;
    assert_eq!(put(&spool, &[event("i1", "a")]).await.duplicates, 1);

    // By another process, as `portolan events` does.
    let other = LocalSpool::open(&path).await;
    let ids = [dead[0].id.clone(), "4711".to_owned(), "none".to_owned()];
    assert_eq!(other.replay(&ids).await.unwrap(), 1);

    let back = spool.take_now().await.unwrap();
    assert_eq!((deliveries(&back), back.attempt), (vec!["b".to_owned()], 1));
    assert_eq!(back.events[0].event, dead[0].event);
    assert_eq!(of(&spool.dead(9).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_spool_that_is_full_takes_nothing_of_a_request() {
    let spool = LocalSpool::open_with_limit(Path::new(IN_MEMORY), 3).await;
    put(&spool, &[event("i1", "a"), event("i2", "b")]).await;
    let two = [event("i3", "c"), event("i3", "d")];

    let error = spool.put(&two).await.unwrap_err();

    assert!(matches!(error, SpoolError::Full { limit: 3 }), "{error}");
    assert_eq!(spool.counts().await.unwrap().waiting, 2);
    assert_eq!(
        put(&spool, &[event("i1", "a"), event("i3", "c")]).await,
        stored(1, 1)
    );
    spool.done(spool.take_now().await.unwrap()).await;
    assert_eq!(put(&spool, &two).await, stored(1, 1), "there is room again");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_takes_nothing() {
    let (directory, path) = file();
    fs::write(directory.path().join("state"), "a file in the way").unwrap();

    let spool = LocalSpool::open(&path).await;

    let error = spool.put(&[event("i1", "a")]).await.unwrap_err();
    assert!(matches!(error, SpoolError::Unusable { .. }), "{error}");
    assert!(spool.usable().is_err());
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
    assert!(timeout(Duration::ZERO, spool.take()).await.is_err());
}

#[tokio::test]
async fn a_full_disk_takes_nothing_and_loses_nothing() {
    let (_directory, path) = file();
    let spool = LocalSpool::open(&path).await;
    put(&spool, &[event("i1", "a")]).await;
    let pages = async |count: u32| {
        let limit = move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", count, |_| Ok(()))
        };
        spool
            .writer()
            .unwrap()
            .read("limit its size", limit)
            .await
            .unwrap();
    };
    pages(1).await;
    let large = |delivery: &str| {
        let mut large = event("i2", delivery);
        large.payload = json!("x".repeat(100_000));
        large
    };

    let puts: Vec<_> = (0..20)
        .map(|number| [large(&format!("l{number}"))])
        .collect();
    let failed = join_all(puts.iter().map(|events| spool.put(events))).await;
    assert!(failed.iter().all(Result::is_err), "{failed:?}");
    assert_eq!(spool.counts().await.unwrap().waiting, 1);

    pages(1_000_000).await;
    let stored = join_all(puts.iter().map(|events| spool.put(events))).await;
    assert!(
        stored.iter().all(|put| put.as_ref().unwrap().stored == 1),
        "{stored:?}"
    );
}

#[tokio::test]
async fn one_that_fails_does_not_take_those_with_it_that_share_its_transaction() {
    let spool = in_memory().await;
    let writer = spool.writer().unwrap();
    let wrong = |connection: &Connection| {
        Ok(connection.execute_batch(
            "INSERT INTO live_delivery VALUES ('x', 'y'); INSERT INTO nothing VALUES (1)",
        )?)
    };
    let (first, second) = ([event("i1", "a")], [event("i1", "b")]);

    let (one, failed, other) = tokio::join!(
        spool.put(&first),
        writer.write("fail", wrong),
        spool.put(&second)
    );

    assert_eq!((one.unwrap().stored, other.unwrap().stored), (1, 1));
    assert!(matches!(
        failed,
        Err(SpoolError::Failed { task: "fail", .. })
    ));
    assert_eq!(
        put(&spool, &[event("i1", "x")]).await.stored,
        1,
        "it was undone"
    );
}

#[tokio::test]
async fn many_that_put_at_once_are_all_stored() {
    let (_directory, path) = file();
    let spool = LocalSpool::open(&path).await;
    let events: Vec<_> = (0..500)
        .map(|number| [event(&format!("i{}", number % 50), &format!("d{number}"))])
        .collect();

    let puts = join_all(events.iter().map(|events| spool.put(events))).await;

    assert!(puts.iter().all(|put| put.as_ref().unwrap().stored == 1));
    let reopened = LocalSpool::open(&path).await;
    assert_eq!(reopened.counts().await.unwrap().waiting, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_waits_is_woken_when_there_is_something_for_them() {
    let spool = in_memory().await;
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.take().await })
        })
        .collect();
    let events: Vec<_> = (0..8)
        .map(|number| event(&format!("i{number}"), &format!("d{number}")))
        .collect();
    for events in events.chunks(3) {
        put(&spool, events).await;
    }
    let taken = timeout(PATIENCE, join_all(waiting)).await.unwrap();
    let mut taken: Vec<_> = taken
        .iter()
        .flat_map(|taken| deliveries(taken.as_ref().unwrap()))
        .collect();
    taken.sort();
    assert_eq!(taken, ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"]);
}

#[tokio::test]
async fn nothing_is_lost_with_somebody_who_stops_waiting() {
    let spool = in_memory().await;
    put(&spool, &[event("i1", "a")]).await;
    for polls in 0..20 {
        let mut taking = Box::pin(spool.take());
        for _ in 0..polls {
            if futures_util::poll!(&mut taking).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(taking);
    }
    let taken = timeout(PATIENCE, spool.take()).await.unwrap();
    assert_eq!(deliveries(&taken), ["a"]);
}

#[tokio::test]
async fn no_more_is_taken_at_once_than_the_memory_is_good_for() {
    let spool = in_memory().await;
    let large = |number: u32| {
        let mut large = event("i1", &format!("d{number}"));
        large.payload = json!("x".repeat(1 << 20));
        large
    };
    for number in 0..10 {
        put(&spool, &[large(number)]).await;
    }
    let first = spool.take_now().await.unwrap();
    assert_eq!(first.events.len(), 7);
    spool.done(first).await;
    assert_eq!(
        deliveries(&spool.take_now().await.unwrap()),
        ["d7", "d8", "d9"]
    );
}
