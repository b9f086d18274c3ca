//! What the spool promises when nothing goes wrong, and when little does.

use std::time::Duration;

use portolan::live_events::spool::{Counts, RedisSpool, SpoolTimes};

use super::{RedisServer, event, finds_nothing, numbers, shared, take};

#[tokio::test]
async fn what_one_replica_accepts_another_works_on() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);

    let put = one
        .spool
        .put(&[event("A", 1), event("B", 1)])
        .await
        .unwrap();
    assert_eq!((put.stored, put.duplicates), (2, 0));
    let counts = other.spool.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (2, 0));
    assert_eq!(counts.oldest, Some(event("A", 1).received));

    let taken = take(&other.spool).await;
    assert!(taken.is_ours() && taken.attempt == 1);
    assert_eq!(taken.events[0].event, event("A", 1));
    assert_eq!(taken.subject, event("A", 1).subject);
    other.spool.done(taken).await;
    let taken = take(&one.spool).await;
    assert_eq!(taken.subject.id, "B");
    one.spool.done(taken).await;

    assert_eq!(one.spool.counts().await.unwrap(), Counts::default());
    for key in ["waiting", "due", "locks", "held", "attempts", "lost"] {
        let key = format!("portolan:{{my-integration}}:{key}");
        let exists: bool = redis.says(&["EXISTS", &key]).await;
        assert!(!exists, "{key} is left over");
    }
}

#[tokio::test]
async fn a_waiting_replica_hears_of_an_event_at_once() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);
    one.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&other.spool).await;
    other.spool.done(taken).await;
    let waiting = tokio::spawn({
        let spool = other.spool.clone();
        async move { take(&spool).await.events.len() }
    });

    one.spool.put(&[event("A", 2)]).await.unwrap();

    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn a_delivery_is_stored_once_whoever_accepts_it_and_also_when_it_is_done() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);
    one.spool.put(&[event("A", 1)]).await.unwrap();

    let again = other
        .spool
        .put(&[event("A", 1), event("A", 2)])
        .await
        .unwrap();
    assert_eq!((again.stored, again.duplicates), (1, 1));
    let taken = take(&one.spool).await;
    assert_eq!(numbers(&taken), [1, 2]);
    one.spool.done(taken).await;

    let again = other.spool.put(&[event("A", 1)]).await.unwrap();
    assert_eq!((again.stored, again.duplicates), (0, 1));
    assert!(finds_nothing(&one.spool).await);
}

#[tokio::test]
async fn a_burst_for_one_subject_is_taken_as_one_and_what_comes_meanwhile_waits() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);
    for number in 0..50 {
        one.spool.put(&[event("A", number)]).await.unwrap();
    }

    let taken = take(&one.spool).await;
    assert_eq!(numbers(&taken), (0..50).collect::<Vec<_>>());
    one.spool.put(&[event("A", 50)]).await.unwrap();
    assert!(finds_nothing(&other.spool).await);
    one.spool.done(taken).await;

    assert_eq!(numbers(&take(&other.spool).await), [50]);
}

#[tokio::test]
async fn subjects_that_begin_alike_are_not_mixed_up() {
    let redis = RedisServer::start();
    let replica = redis.replica().await;
    let subjects = ["A", "A\0", "A\0B", "A\u{1}", "A%00", "AA"];
    for subject in subjects {
        replica.spool.put(&[event(subject, 1)]).await.unwrap();
    }

    let mut found = Vec::new();
    for _ in subjects {
        let taken = take(&replica.spool).await;
        assert_eq!(taken.events.len(), 1);
        found.push(taken.subject.id.clone());
        replica.spool.done(taken).await;
    }
    found.sort();
    assert_eq!(found, subjects);
}

#[tokio::test]
async fn what_is_put_off_comes_again_when_it_is_due_with_all_that_came_since() {
    let redis = RedisServer::start();
    let replica = redis.replica().await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&replica.spool).await;

    let put_off = std::time::Instant::now();
    let delay = Duration::from_millis(700);
    replica.spool.later(taken, delay, "busy").await;
    replica.spool.put(&[event("A", 2)]).await.unwrap();
    let taken = take(&replica.spool).await;

    assert!(put_off.elapsed() >= delay);
    assert_eq!((numbers(&taken), taken.attempt), (vec![1, 2], 2));
    replica.spool.done(taken).await;
    replica.spool.put(&[event("A", 3)]).await.unwrap();
    assert_eq!(take(&replica.spool).await.attempt, 1);
}

#[tokio::test]
async fn what_is_given_up_is_listed_until_it_is_replayed() {
    let redis = RedisServer::start();
    let replica = redis.replica().await;
    let spool = &replica.spool;
    spool.put(&[event("A", 1), event("A", 2)]).await.unwrap();
    let taken = take(spool).await;
    spool.put(&[event("A", 3)]).await.unwrap();
    spool.bury(taken, "the mapping is wrong").await;

    let dead = spool.dead(10).await.unwrap();
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (1, 2));
    assert_eq!(dead[0].event, event("A", 2));
    assert_eq!(
        (dead[0].attempts, dead[0].error.as_str()),
        (1, "the mapping is wrong")
    );
    assert_eq!(spool.dead(1).await.unwrap().len(), 1);

    let ids = [dead[1].id.clone(), "nonsense".to_owned(), "1-1".to_owned()];
    assert_eq!(spool.replay(&ids).await.unwrap(), 1);
    assert_eq!(numbers(&take(spool).await), [3, 1]);
    assert_eq!(spool.dead(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn work_that_is_broken_off_is_given_back_at_once_and_does_not_count() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);
    one.spool.put(&[event("A", 1)]).await.unwrap();

    let began = std::time::Instant::now();
    drop(take(&one.spool).await);
    let again = take(&other.spool).await;

    assert_eq!(again.attempt, 1);
    drop(again);
    other.stop().await;
    let taken = take(&one.spool).await;
    assert_eq!(taken.attempt, 1);
    // The first two seconds are those of a Redis that has just been started.
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn what_a_hanging_replica_has_goes_to_another_once_it_has_let_go() {
    let redis = RedisServer::start();
    let hanging = redis.hanging_replica().await;
    let replica = redis.replica().await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();

    let stuck = take(&hanging).await;
    let taken = take(&replica.spool).await;

    assert!(taken.is_ours() && !stuck.is_ours());
    assert_eq!(taken.attempt, 2);
    // It comes to, and must not take away what is another's by now.
    hanging.done(stuck).await;
    assert_eq!(replica.spool.counts().await.unwrap().waiting, 1);
    replica.spool.done(taken).await;
    assert_eq!(replica.spool.counts().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn what_is_in_work_stays_with_who_works_on_it_for_as_long_as_that_takes() {
    let redis = RedisServer::start();
    let (one, other) = (redis.replica().await, redis.replica().await);
    one.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&one.spool).await;

    for _ in 0..6 {
        assert!(finds_nothing(&other.spool).await);
        assert!(taken.is_ours());
    }
    one.spool.done(taken).await;
}

#[tokio::test]
async fn an_event_that_no_replica_survives_ends_among_the_dead_letters() {
    let redis = RedisServer::start();
    let short = SpoolTimes {
        lock: Duration::from_millis(300),
        margin: Duration::from_millis(100),
    };
    let dying = RedisSpool::new(shared(&redis.settings()).await, short);
    dying.put(&[event("A", 1)]).await.unwrap();

    for _ in 0..8 {
        assert_eq!(numbers(&take(&dying).await), [1]);
    }
    dying.put(&[event("A", 2)]).await.unwrap();

    assert_eq!(numbers(&take(&dying).await), [2]);
    let dead = dying.dead(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts), (1, 8));
    assert!(dead[0].error.contains("8 replicas in a row"), "{dead:?}");
}

#[tokio::test]
async fn what_this_version_cannot_read_is_a_dead_letter_and_holds_nobody_up() {
    let redis = RedisServer::start();
    let replica = redis.replica().await;
    let key = "portolan:{my-integration}:events";
    let foreign = [
        "XADD",
        key,
        "*",
        "subject",
        "X",
        "event",
        "{\"of\":\"a later version\"}",
    ];
    let _: String = redis.says(&foreign).await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();

    assert_eq!(take(&replica.spool).await.subject.id, "A");
    assert_eq!(replica.spool.counts().await.unwrap().dead, 1);
}

#[tokio::test]
async fn events_whose_index_was_deleted_are_found_again() {
    let redis = RedisServer::start();
    let spool = redis.hanging_replica().await;
    spool.put(&[event("A", 1), event("B", 1)]).await.unwrap();
    let taken = take(&spool).await;
    spool.later(taken, Duration::ZERO, "").await;

    // As eviction would do it; and long ago.
    let key = |name: &str| format!("portolan:{{my-integration}}:{name}");
    let (waiting, due, events) = (key("waiting"), key("due"), key("events"));
    let _: () = redis.says(&["DEL", &waiting, &due]).await;
    let pending: Vec<(String, String, u64, u64)> = redis
        .says(&["XPENDING", &events, "workers", "-", "+", "10"])
        .await;
    for (id, ..) in &pending {
        let idle = [
            "XCLAIM", &events, "workers", "old", "0", id, "IDLE", "3600000",
        ];
        let _: redis::Value = redis.says(&idle).await;
    }
    let replica = redis.replica().await;

    assert_eq!(pending.len(), 2);
    assert_eq!(take(&replica.spool).await.subject.id, "A");
    assert_eq!(take(&replica.spool).await.subject.id, "B");
}
