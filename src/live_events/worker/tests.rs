use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::live_events::{LocalSpool, NewEvent, Subject, Thing};
use crate::settings::SourceName;
use crate::store::IN_MEMORY;

/// Long enough for a busy machine, and no test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

fn event(object: &str, number: usize) -> NewEvent {
    NewEvent {
        delivery: format!("{object}-{number}"),
        subject: Subject {
            source: SourceName::Opsgenie,
            account: None,
            thing: Thing::OpsgenieAlert,
            id: object.to_owned(),
            page: None,
        },
        event_type: "Create".to_owned(),
        is_gone: false,
        payload: json!({"alertId": object}),
        received: Timestamp::now(),
    }
}

fn workers() -> Workers {
    Workers {
        count: 4,
        time_limit: PATIENCE,
        give_up_after: Duration::from_hours(24),
        shutdown_wait: Duration::ZERO,
        is_detailed: true,
    }
}

async fn spool_with(objects: &[&str]) -> Spool {
    let spool = Spool::Local(LocalSpool::open(Path::new(IN_MEMORY)).await);
    let events: Vec<_> = objects.iter().map(|object| event(object, 0)).collect();
    spool.put(&events).await.unwrap();
    spool
}

/// Lets the closure have what it borrows, however long.
fn processing<P>(process: P) -> P
where
    P: for<'a> Fn(&'a Taken) -> BoxFuture<'a, Processed>,
{
    process
}

/// Works with `process` until `is_over`.
async fn work<P>(workers: &Workers, spool: &Spool, process: P, is_over: impl AsyncFn() -> bool)
where
    P: for<'a> Fn(&'a Taken) -> BoxFuture<'a, Processed>,
{
    let stop = CancellationToken::new();
    let watching = async {
        while !is_over().await {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    timeout(PATIENCE, async {
        tokio::join!(workers.run(spool, process, &stop), watching)
    })
    .await
    .expect("it comes to its end");
}

async fn is_empty(spool: &Spool) -> bool {
    spool.counts().await.unwrap().waiting == 0
}

#[tokio::test]
async fn nothing_that_an_event_runs_into_ends_a_worker_or_loses_the_event() {
    let spool = spool_with(&["fine", "panics", "panics at once", "hangs", "fails"]).await;
    let mut workers = workers();
    workers.count = 1;
    workers.time_limit = Duration::from_millis(50);
    let process = processing(|taken| {
        let is_first = taken.attempt == 1;
        match taken.subject.id.as_str() {
            "panics at once" if is_first => panic!("as it is to be tested"),
            "panics" if is_first => Box::pin(async { panic!("as it is to be tested") }),
            "hangs" if is_first => Box::pin(std::future::pending()),
            "fails" if is_first => {
                Box::pin(async { Err(LiveError::Again("not there yet".to_owned())).into() })
            }
            _ => Box::pin(async { Ok(LiveOutcome::default()).into() }),
        }
    });

    work(&workers, &spool, process, async || is_empty(&spool).await).await;

    assert_eq!(spool.dead(9).await.unwrap(), []);
}

#[tokio::test]
async fn what_no_other_attempt_can_help_is_put_aside_at_once() {
    let spool = spool_with(&["fine", "wrong"]).await;
    let process = processing(|taken| {
        let is_wrong = taken.subject.id == "wrong";
        Box::pin(async move {
            if is_wrong {
                Err(LiveError::Never("the mapping is wrong".to_owned())).into()
            } else {
                Ok(LiveOutcome::default()).into()
            }
        })
    });

    work(&workers(), &spool, process, async || is_empty(&spool).await).await;

    let dead = spool.dead(9).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].event.subject.id, "wrong");
    assert_eq!(
        (dead[0].error.as_str(), dead[0].attempts),
        ("the mapping is wrong", 1)
    );
}

#[tokio::test]
async fn what_an_event_leads_to_is_worked_on_whatever_came_of_the_event() {
    // One more than there is room for, had a webhook told of it.
    let spool = LocalSpool::open_with_limit(Path::new(IN_MEMORY), 2).await;
    let spool = Spool::Local(spool);
    let incidents = [event("fine", 0), event("refused", 0)];
    spool.put(&incidents).await.unwrap();
    assert!(spool.put(&[event("another", 0)]).await.is_err());
    let worked_on = Mutex::new(BTreeMap::<String, usize>::new());
    let process = processing(|taken| {
        let id = taken.subject.id.clone();
        let (result, also) = match id.as_str() {
            "fine" => (Ok(LiveOutcome::default()), vec![event("service-1", 0)]),
            "refused" => {
                let refused = LiveError::Never("a relation is wrong".to_owned());
                (Err(refused), vec![event("service-2", 0)])
            }
            _ => (Ok(LiveOutcome::default()), Vec::new()),
        };
        *worked_on.lock().unwrap().entry(id).or_default() += 1;
        Box::pin(async move { Processed { result, also } })
    });
    let mut workers = workers();
    workers.count = 1;

    work(&workers, &spool, process, async || is_empty(&spool).await).await;

    let worked_on = worked_on.into_inner().unwrap();
    let expected = ["fine", "refused", "service-1", "service-2"].map(|id| (id.to_owned(), 1));
    assert_eq!(worked_on, BTreeMap::from(expected));
    assert_eq!(spool.dead(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_waited_for_long_enough_is_given_up() {
    let spool = spool_with(&["away"]).await;
    let mut workers = workers();
    // The first pause fits into it, and the second does not.
    workers.give_up_after = Duration::from_millis(1_500);
    let process =
        processing(|_| Box::pin(async { Err(LiveError::Again("away".to_owned())).into() }));

    work(&workers, &spool, process, async || is_empty(&spool).await).await;

    let dead = spool.dead(9).await.unwrap();
    assert_eq!(dead[0].attempts, 2);
}

#[tokio::test]
async fn one_subject_is_worked_on_by_one_worker_and_in_order() {
    let spool = spool_with(&[]).await;
    let inside = Arc::new(AtomicUsize::new(0));
    let seen: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
    let process = processing(|taken| {
        let (inside, seen) = (Arc::clone(&inside), Arc::clone(&seen));
        let object = taken.subject.id.clone();
        let deliveries: Vec<_> = taken
            .events
            .iter()
            .map(|one| one.event.delivery.clone())
            .collect();
        Box::pin(async move {
            if object == "busy" {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            }
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            if object == "busy" {
                inside.fetch_sub(1, Ordering::SeqCst);
            }
            seen.lock()
                .unwrap()
                .entry(object)
                .or_default()
                .extend(deliveries);
            Ok(LiveOutcome::default()).into()
        })
    });
    let put = async {
        for number in 0..100 {
            spool
                .put(&[event("busy", number), event("other", number)])
                .await
                .unwrap();
        }
    };
    let all = async || {
        let seen = seen.lock().unwrap();
        seen.values().map(Vec::len).sum::<usize>() == 200
    };

    let workers = workers();
    tokio::join!(work(&workers, &spool, process, all), put);

    let seen = seen.lock().unwrap();
    for object in ["busy", "other"] {
        let expected: Vec<_> = (0..100)
            .map(|number| format!("{object}-{number}"))
            .collect();
        assert_eq!(seen[object], expected);
    }
}

#[tokio::test]
async fn what_is_in_work_when_it_stops_gets_a_little_time_and_the_rest_stays() {
    let spool = spool_with(&["quick", "endless", "untouched"]).await;
    let begun = AtomicUsize::new(0);
    let stop = CancellationToken::new();
    let mut workers = workers();
    workers.count = 2;
    workers.shutdown_wait = Duration::from_secs(1);
    let process = processing(|taken| {
        begun.fetch_add(1, Ordering::SeqCst);
        if begun.load(Ordering::SeqCst) == 2 {
            stop.cancel();
        }
        let is_first = taken.subject.id == "endless";
        let stop = stop.clone();
        Box::pin(async move {
            stop.cancelled().await;
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok(LiveOutcome::default()).into()
        })
    });

    timeout(PATIENCE, workers.run(&spool, process, &stop))
        .await
        .unwrap();

    assert_eq!(begun.load(Ordering::SeqCst), 2);
    let left = spool.counts().await.unwrap();
    assert!(
        (1..=2).contains(&left.waiting) && left.dead == 0,
        "{left:?}"
    );
    let mut left: Vec<_> = Vec::new();
    while let Ok(taken) = timeout(Duration::from_millis(200), spool.take()).await {
        left.push(taken);
    }
    assert!(left.iter().all(|taken| taken.attempt == 1));
}

#[test]
fn pauses_grow_from_a_second_to_a_minute() {
    let pauses: Vec<_> = (1..=9)
        .map(|attempt| pause_after(attempt).as_secs())
        .collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    for _ in 0..100 {
        let pause = with_jitter(LONGEST_PAUSE);
        assert!(
            (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&pause),
            "{pause:?}"
        );
    }
}

#[test]
fn pauses_add_up_to_the_time_after_which_an_event_is_given_up() {
    let mut sum = Duration::ZERO;
    for attempt in 1..2_000 {
        sum += pause_after(attempt);
        assert_eq!(waited_after(attempt), sum, "{attempt}");
    }
    assert!(waited_after(u32::MAX) > Duration::from_hours(24 * 365));
}
