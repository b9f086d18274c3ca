//! One leads at a time, and somebody else soon when that one is gone.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use portolan::live_events::leader::{Leadership, LeaseTimes};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{RedisServer, eventually, shared};

const TIMES: LeaseTimes = LeaseTimes {
    lease: Duration::from_millis(1500),
    margin: Duration::from_millis(500),
};

/// A process that wants to lead. Dropping it is a crash.
struct Contender {
    leadership: Leadership,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Contender {
    async fn start(redis: &RedisServer) -> Self {
        let shared = shared(&redis.settings()).await;
        let leadership = Leadership::shared(shared.clone(), TIMES);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (keeper, stopped) = (leadership.clone(), stop.clone());
        tasks.spawn(async move { keeper.keep(&stopped).await });
        let stopped = stop.clone();
        tasks.spawn(async move { shared.listen(&stopped).await });
        Self {
            leadership,
            stop,
            tasks,
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Acts whenever it leads. Once somebody has acted with a higher fence, whoever
/// acts with a lower one has led at the same time.
async fn act(leadership: Leadership, highest: Arc<AtomicU64>, acts: Arc<AtomicU64>) {
    loop {
        if let Some(fence) = leadership.fenced() {
            let before = highest.fetch_max(fence, Ordering::SeqCst);
            assert!(before <= fence, "{fence} acts after {before}");
            acts.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn leads_soon(contenders: &[Contender]) -> usize {
    let mut leader = None;
    eventually("somebody leads", async || {
        leader = contenders
            .iter()
            .position(|contender| contender.leadership.is_leader());
        leader.is_some()
    })
    .await;
    leader.unwrap()
}

#[tokio::test]
async fn one_of_three_leads_and_another_soon_after_it_is_gone() {
    let redis = RedisServer::start();
    let mut contenders = Vec::new();
    for _ in 0..3 {
        contenders.push(Contender::start(&redis).await);
    }
    let first = leads_soon(&contenders).await;
    tokio::time::sleep(TIMES.lease * 2).await;
    let leaders = contenders
        .iter()
        .filter(|contender| contender.leadership.is_leader());
    assert_eq!(leaders.count(), 1);
    assert!(contenders[first].leadership.is_leader());
    let fence = contenders[first].leadership.fenced();

    drop(contenders.swap_remove(first));
    let gone = Instant::now();
    let second = leads_soon(&contenders).await;

    assert!(gone.elapsed() < TIMES.lease + Duration::from_secs(1));
    assert!(contenders[second].leadership.fenced() > fence);
}

#[tokio::test]
async fn a_process_that_is_stopped_gives_the_lead_back_at_once() {
    let redis = RedisServer::start();
    let first = Contender::start(&redis).await;
    let mut told = first.leadership.watch();
    told.wait_for(Option::is_some).await.unwrap();
    let second = Contender::start(&redis).await;
    let mut second_told = second.leadership.watch();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.leadership.is_leader());

    let stopped = Instant::now();
    first.stop().await;
    second_told.wait_for(Option::is_some).await.unwrap();

    assert!(stopped.elapsed() < TIMES.lease / 2);
    assert!(second.leadership.is_leader());
}

#[tokio::test]
async fn who_cannot_reach_the_redis_stops_leading_before_anybody_else_may() {
    let mut redis = RedisServer::start();
    let leader = Contender::start(&redis).await;
    let mut told = leader.leadership.watch();
    let fence = *told.wait_for(Option::is_some).await.unwrap();

    redis.kill();
    let away = Instant::now();
    told.wait_for(Option::is_none).await.unwrap();
    assert!(away.elapsed() + TIMES.margin < TIMES.lease + Duration::from_millis(100));
    assert_eq!(leader.leadership.fenced(), None);

    redis.restart();
    let again = *told.wait_for(Option::is_some).await.unwrap();
    assert!(again > fence);
}

#[tokio::test]
async fn who_was_held_up_makes_not_one_step_more_although_nobody_has_told_it_yet() {
    let redis = RedisServer::start();
    let leader = Contender::start(&redis).await;
    let term = leader.leadership.term().await;
    let steps = AtomicU64::new(0);
    let mut work = pin!(term.within(async {
        steps.fetch_add(1, Ordering::SeqCst);
        // As a process that is stopped: nothing else runs on this thread meanwhile.
        std::thread::sleep(TIMES.lease);
        tokio::task::yield_now().await;
        steps.fetch_add(1, Ordering::SeqCst);
    }));

    assert!(futures_util::poll!(work.as_mut()).is_pending());
    assert_eq!(futures_util::poll!(work.as_mut()), Poll::Ready(None));

    assert_eq!(steps.load(Ordering::SeqCst), 1);
    assert!(term.is_over());
}

#[tokio::test]
async fn who_is_alone_leads() {
    let alone = Leadership::alone();

    assert_eq!(alone.fenced(), Some(0));
    assert_eq!(*alone.watch().borrow(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_crashes_or_hangs_there_are_never_two_leaders() {
    let mut redis = RedisServer::start();
    let (highest, acts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut actors = JoinSet::new();
    let mut contenders = Vec::new();
    let mut terms = 0;
    for round in 0..10 {
        while contenders.len() < 3 {
            let contender = Contender::start(&redis).await;
            actors.spawn(act(
                contender.leadership.clone(),
                Arc::clone(&highest),
                Arc::clone(&acts),
            ));
            contenders.push(contender);
        }
        let leader = leads_soon(&contenders).await;
        terms += 1;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..600))).await;
        match round {
            // With everything that it knew.
            4 => {
                redis.kill();
                std::fs::remove_dir_all(redis.directory.path().join("appendonlydir")).unwrap();
                redis.restart();
            }
            7 => redis.restart(),
            // Its work goes on as long as it thinks that it leads.
            _ => drop(contenders.swap_remove(leader)),
        }
    }

    assert_eq!(terms, 10);
    assert!(acts.load(Ordering::Relaxed) > 100);
    actors.abort_all();
    while let Some(ended) = actors.join_next().await {
        assert!(ended.unwrap_err().is_cancelled(), "two led at once");
    }
}
