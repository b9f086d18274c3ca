//! What replicas tell each other beside events.

use std::time::{Duration, Instant};

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

#[tokio::test]
async fn what_a_live_event_wrote_after_a_page_was_asked_for_is_known_to_all_replicas() {
    let redis = RedisServer::start();
    let resyncing = SharedRecentWrites::new(shared(&redis.settings()).await);
    let other = SharedRecentWrites::new(shared(&redis.settings()).await);
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    let earlier = Instant::now();
    other.note("incident", "before", earlier).await.unwrap();
    pause().await;
    let asked = Instant::now();
    pause().await;
    other
        .note("incident", "after", Instant::now())
        .await
        .unwrap();
    other
        .note("incident", "twice", Instant::now())
        .await
        .unwrap();
    other
        .note("service", "elsewhere", Instant::now())
        .await
        .unwrap();
    // What is noted late about an earlier time takes nothing back.
    other.note("incident", "twice", earlier).await.unwrap();

    let identifiers = ["before", "after", "twice", "elsewhere", "never"];
    let newer = resyncing.newer_than("incident", &identifiers, asked).await;

    let mut newer: Vec<_> = newer.unwrap().into_iter().collect();
    newer.sort_unstable();
    assert_eq!(newer, ["after", "twice"]);
}
