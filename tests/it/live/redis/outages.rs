//! A Redis that is away, full, or has just come back.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use portolan::catalog::{EntityKey, SharedWrites};
use portolan::live_events::leader::{Leadership, LeaseTimes};
use portolan::live_events::recent_writes::SharedRecentWrites;
use portolan::live_events::relay::{Relay, Wanted};
use tokio_util::sync::CancellationToken;

use super::{RedisServer, event, numbers, take};

#[tokio::test]
async fn while_the_redis_is_away_nothing_is_accepted_and_what_was_accepted_comes_back_with_it() {
    let mut redis = RedisServer::start();
    let replica = redis.replica().await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&replica.spool).await;
    let waiting = tokio::spawn({
        let spool = replica.spool.clone();
        async move { numbers(&take(&spool).await) }
    });

    redis.kill();
    let asked = Instant::now();
    let refused = replica.spool.put(&[event("A", 2)]).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(4));
    let told = portolan::causes::one_line(&refused);
    assert!(
        told.contains("could not store live events in the Redis: the Redis at 127.0.0.1:"),
        "{told}"
    );
    let finishing = tokio::spawn({
        let spool = replica.spool.clone();
        async move { spool.done(taken).await }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    redis.restart();

    finishing.await.unwrap();
    replica.spool.put(&[event("A", 2)]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), [2]);
}

#[tokio::test]
async fn a_replica_starts_without_its_redis_and_finds_it_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let replica = redis.replica().await;
    assert!(replica.spool.put(&[event("A", 1)]).await.is_err());
    assert!(replica.spool.counts().await.is_err());

    redis.restart();

    replica.spool.put(&[event("A", 1)]).await.unwrap();
    assert_eq!(take(&replica.spool).await.subject.id, "A");
}

#[tokio::test]
async fn a_connection_that_hangs_is_replaced() {
    let redis = RedisServer::start();
    let replica = redis.replica().await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();

    let asked = Instant::now();
    let _: () = redis.says(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    assert!(replica.spool.put(&[event("A", 2)]).await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(3));

    tokio::time::sleep(Duration::from_millis(1500)).await;
    // It may have been stored after all, and then it is no second time.
    let put = replica.spool.put(&[event("A", 2)]).await.unwrap();
    assert_eq!(put.stored + put.duplicates, 1);
    assert_eq!(numbers(&take(&replica.spool).await), [1, 2]);
}

#[tokio::test]
async fn a_wrong_password_is_only_a_reason_to_try_again() {
    let redis = RedisServer::with(&["--requirepass", "right"]);
    let mut settings = redis.settings();
    settings.password = Some("wrong".into());
    let wrong = super::RedisSpool::new(super::shared(&settings).await, super::TIMES);

    let refused = wrong.put(&[event("A", 1)]).await.unwrap_err();
    let told = portolan::causes::one_line(&refused);
    assert!(
        told.contains("cannot be reached") && !told.contains("wrong"),
        "{told}"
    );

    {
        let url = format!("redis://:right@127.0.0.1:{}", redis.port);
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("CONFIG");
        command.arg(&["SET", "requirepass", "wrong"]);
        let _: () = command.query_async(&mut connection).await.unwrap();
    }
    wrong.put(&[event("A", 1)]).await.unwrap();
}

#[tokio::test]
async fn a_user_that_may_do_what_the_documentation_says_is_enough() {
    let documented = include_str!("../../../../docs/operations.md");
    let rights = "~portolan:* +@all -@admin -@dangerous +info";
    assert!(documented.contains(&format!("`{rights}`")));
    let redis = RedisServer::start();
    let mut command = vec!["ACL", "SETUSER", "ours", "on", ">secret"];
    command.extend(rights.split(' '));
    let _: () = redis.says(&command).await;
    let mut settings = redis.settings();
    settings.username = Some("ours".to_owned());
    settings.password = Some("secret".into());

    let spool = super::RedisSpool::new(super::shared(&settings).await, super::TIMES);
    let other = super::shared(&settings).await;
    let replica = super::Replica::run(spool, other.clone());
    replica.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&replica.spool).await;
    replica.spool.done(taken).await;
    assert_eq!(replica.spool.counts().await.unwrap().waiting, 0);
    let entity = EntityKey::of("incident", "A");
    let written = SharedRecentWrites::new(other.clone());
    written.note(vec![(entity, Timestamp::now())]).await;
    assert!(written.noted(vec![entity]).await[0].is_some());
    written.claim(vec![entity]).await.release().await;
    let keys: Vec<String> = redis.says(&["KEYS", "*claim:*"]).await;
    assert_eq!(keys, Vec::<String>::new());
    let relay = Relay::shared(other.clone());
    relay.give(Wanted::Reconcile);
    let stopped = CancellationToken::new();
    stopped.cancel();
    relay.keep(&stopped).await;
    assert_eq!(relay.next().await, Wanted::Reconcile);
    let leadership = Leadership::shared(other, LeaseTimes::default());
    let keeping = CancellationToken::new();
    tokio::select! {
        () = leadership.keep(&keeping) => {}
        term = leadership.term() => assert!(!term.is_over()),
    }
}

#[tokio::test]
async fn a_full_redis_refuses_new_events_and_lets_go_of_those_it_has() {
    let redis = RedisServer::with(&["--maxmemory", "6mb", "--maxmemory-policy", "noeviction"]);
    let replica = redis.replica().await;
    let spool = &replica.spool;
    let mut stored = 0;
    let refused = loop {
        let mut large = event(&format!("S{stored}"), 1);
        large.payload = "x".repeat(100_000).into();
        match spool.put(&[large]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };

    assert!(
        portolan::causes::one_line(&refused).contains("OOM"),
        "{refused:?}"
    );
    assert!(stored > 10);
    for _ in 0..stored {
        let taken = take(spool).await;
        assert!(taken.is_ours());
        spool.done(taken).await;
    }
    assert_eq!(spool.counts().await.unwrap().waiting, 0);
    spool.put(&[event("A", 1)]).await.unwrap();
}

#[tokio::test]
async fn a_full_redis_does_not_hold_up_who_works_off_what_it_has() {
    let redis = RedisServer::start();
    // Less than it needs when it is empty.
    let _: () = redis.says(&["CONFIG", "SET", "maxmemory", "100kb"]).await;
    let writes = SharedRecentWrites::new(super::shared(&redis.settings()).await);
    let entity = EntityKey::of("incident", "A");

    writes.note(vec![(entity, Timestamp::now())]).await;
    let held = writes.claim(vec![entity]).await;

    assert!(writes.noted(vec![entity]).await[0].is_some());
    let keys: Vec<String> = redis.says(&["KEYS", "*claim:*"]).await;
    assert_eq!(keys.len(), 1, "others are not kept from it");
    held.release().await;
}
