//! What replicas tell each other beside events.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use portolan::catalog::{EntityKey, SharedWrites};
use portolan::live_events::recent_writes::SharedRecentWrites;
use portolan::live_events::relay::{Relay, Wanted};
use portolan::sync::Trigger;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, RedisServer, shared};

async fn relay(redis: &RedisServer) -> Relay {
    let shared = shared(&redis.settings()).await;
    let relay = Relay::shared(shared.clone());
    let (keeper, listener) = (relay.clone(), CancellationToken::new());
    tokio::spawn({
        let stop = listener.clone();
        async move { keeper.keep(&stop).await }
    });
    tokio::spawn(async move { shared.listen(&listener).await });
    relay
}

async fn next(relay: &Relay) -> Wanted {
    timeout(PATIENCE, relay.next()).await.unwrap()
}

#[tokio::test]
async fn what_one_replica_hears_of_reaches_the_leader_at_once_and_once() {
    let redis = RedisServer::start();
    let (leader, other) = (relay(&redis).await, relay(&redis).await);
    other.give(Wanted::Reconcile);
    assert_eq!(next(&leader).await, Wanted::Reconcile);
    // Both have begun to listen by now.
    let waiting = tokio::spawn({
        let leader = leader.clone();
        async move { (next(&leader).await, Instant::now()) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;

    let given = Instant::now();
    other.give(Wanted::Resync(Trigger::Webhook));
    let (wanted, at) = waiting.await.unwrap();

    assert_eq!(wanted, Wanted::Resync(Trigger::Webhook));
    assert!(at - given < Duration::from_secs(2));
    let more = timeout(Duration::from_millis(300), leader.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn what_is_wanted_while_nobody_leads_waits_and_so_it_does_while_the_redis_is_away() {
    let mut redis = RedisServer::start();
    let other = relay(&redis).await;
    other.give(Wanted::Resync(Trigger::Port));
    redis.kill();
    other.give(Wanted::Reconcile);
    other.give(Wanted::Reconcile);
    tokio::time::sleep(Duration::from_millis(100)).await;
    redis.restart();

    let leader = relay(&redis).await;
    let mut wanted = [next(&leader).await, next(&leader).await];
    wanted.sort_by_key(|wanted| *wanted == Wanted::Reconcile);

    assert_eq!(wanted, [Wanted::Resync(Trigger::Port), Wanted::Reconcile]);
}

#[tokio::test]
async fn within_one_process_it_is_the_same_without_a_redis() {
    let relay = Relay::alone();
    relay.give(Wanted::Reconcile);
    relay.give(Wanted::Reconcile);

    assert_eq!(next(&relay).await, Wanted::Reconcile);
    assert!(
        timeout(Duration::from_millis(50), relay.next())
            .await
            .is_err()
    );
}

async fn recent_writes(redis: &RedisServer) -> SharedRecentWrites {
    SharedRecentWrites::new(shared(&redis.settings()).await)
}

fn incident(identifier: &str) -> EntityKey {
    EntityKey::of("incident", identifier)
}

#[tokio::test]
async fn what_a_live_event_wrote_after_a_page_was_asked_for_is_known_to_all_replicas() {
    let redis = RedisServer::start();
    let (resyncing, other) = (recent_writes(&redis).await, recent_writes(&redis).await);
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    let earlier = Timestamp::now();
    other.note(vec![(incident("before"), earlier)]).await;
    pause().await;
    let asked = Timestamp::now();
    pause().await;
    let later = Timestamp::now();
    let written = ["after", "twice"].map(|name| (incident(name), later));
    other.note(written.to_vec()).await;
    // What is noted late about an earlier time takes nothing back.
    other.note(vec![(incident("twice"), earlier)]).await;

    let entities = ["before", "after", "twice", "never"].map(incident);
    let noted = resyncing.noted(entities.to_vec()).await;

    let newer: Vec<Option<bool>> = noted
        .iter()
        .map(|noted| noted.map(|noted| noted > asked))
        .collect();
    assert_eq!(newer, [Some(false), Some(true), Some(true), None]);
}

#[tokio::test]
async fn what_one_replica_is_writing_no_other_writes_meanwhile() {
    let redis = RedisServer::start();
    let (first, second) = (recent_writes(&redis).await, recent_writes(&redis).await);
    let some = ["a", "b"].map(incident).to_vec();
    let held = first.claim(some).await;
    held.renew().await;

    // It has taken nothing while it waits.
    let overlapping = ["b", "c"].map(incident).to_vec();
    let waiting = timeout(
        Duration::from_millis(300),
        second.claim(overlapping.clone()),
    )
    .await;
    assert!(waiting.is_err());
    let others = timeout(PATIENCE, second.claim(vec![incident("c")])).await;
    others.unwrap().release().await;

    held.release().await;
    let held = timeout(PATIENCE, second.claim(overlapping)).await.unwrap();
    let keys: Vec<String> = redis.says(&["KEYS", "*claim:*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    held.release().await;
    let keys: Vec<String> = redis.says(&["KEYS", "*claim:*"]).await;
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn a_claim_of_a_replica_that_is_gone_ends_by_itself() {
    let redis = RedisServer::start();
    let writes = recent_writes(&redis).await;

    drop(writes.claim(vec![incident("a")]).await);

    let key: Vec<String> = redis.says(&["KEYS", "*claim:*"]).await;
    let left: i64 = redis.says(&["PTTL", &key[0]]).await;
    assert!((1..=30_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_note_waits_for_a_redis_that_comes_back() {
    let mut redis = RedisServer::start();
    let writes = recent_writes(&redis).await;
    redis.kill();
    let noting = tokio::spawn({
        let writes = writes.clone();
        async move { writes.note(vec![(incident("a"), Timestamp::now())]).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!noting.is_finished());

    redis.restart();

    timeout(PATIENCE, noting).await.unwrap().unwrap();
    assert!(writes.noted(vec![incident("a")]).await[0].is_some());
}
