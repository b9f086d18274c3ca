//! Replicas that crash and hang at any moment, on a Redis that is killed too.
//!
//! Each event carries its number within its subject, and all that is done is told
//! to one book, which knows the rules: at least once, in order, by one at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portolan::live_events::event::Taken;
use portolan::live_events::spool::RedisSpool;
use tokio::task::JoinSet;

use super::{RedisServer, Replica, event, eventually, numbers};

const SUBJECTS: u32 = 24;
const EVENTS: u32 = 25;

/// What was done with every subject.
#[derive(Default)]
struct Book {
    subjects: Mutex<HashMap<String, Page>>,
    works: AtomicU64,
}

#[derive(Default)]
struct Page {
    /// Who wrote last, and everybody who did before: they must not any more.
    writers: Vec<u64>,
    /// The last event that was worked off.
    last: u64,
    times: BTreeMap<u64, u32>,
}

impl Book {
    fn begin(&self) -> u64 {
        self.works.fetch_add(1, Ordering::Relaxed)
    }

    /// One of the writes of a work: whoever writes after somebody else has begun
    /// to has been two at once with them.
    fn write(&self, taken: &Taken, work: u64) {
        if !taken.is_ours() {
            return;
        }
        let mut subjects = self.subjects.lock().unwrap();
        let page = subjects.entry(taken.subject.id.clone()).or_default();
        if page.writers.last() != Some(&work) {
            assert!(
                !page.writers.contains(&work),
                "{}: two at once",
                taken.subject.id
            );
            page.writers.push(work);
        }
    }

    /// The end of a work, right before it is told to the spool.
    fn end(&self, taken: &Taken) {
        if !taken.is_ours() {
            return;
        }
        let mut subjects = self.subjects.lock().unwrap();
        let page = subjects.entry(taken.subject.id.clone()).or_default();
        let numbers = numbers(taken);
        assert!(
            numbers.windows(2).all(|two| two[0] + 1 == two[1]) && numbers[0] <= page.last + 1,
            "{}: {numbers:?} after {}",
            taken.subject.id,
            page.last
        );
        for number in numbers {
            *page.times.entry(number).or_default() += 1;
            page.last = page.last.max(number);
        }
    }

    fn is_complete(&self) -> bool {
        let subjects = self.subjects.lock().unwrap();
        subjects.len() == SUBJECTS as usize
            && subjects
                .values()
                .all(|page| page.times.len() == EVENTS as usize)
    }
}

/// Takes and works, now and then in vain.
async fn work(spool: RedisSpool, book: Arc<Book>) {
    loop {
        let taken = spool.take().await;
        let work = book.begin();
        // Some take longer than a lock holds that is not renewed.
        let steps = if fastrand::u32(0..15) == 0 { 400 } else { 4 };
        for _ in 0..fastrand::u32(1..=steps) {
            book.write(&taken, work);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
        }
        if fastrand::u32(0..20) == 0 {
            let soon = Duration::from_millis(fastrand::u64(0..200));
            spool.later(taken, soon, "in vain").await;
        } else {
            book.end(&taken);
            spool.done(taken).await;
        }
    }
}

/// A replica with two workers. Dropping both is a crash.
async fn replica(redis: &RedisServer, book: &Arc<Book>) -> (Replica, JoinSet<()>) {
    let replica = redis.replica().await;
    let mut workers = JoinSet::new();
    for _ in 0..2 {
        workers.spawn(work(replica.spool.clone(), Arc::clone(book)));
    }
    (replica, workers)
}

/// A vendor: events of each subject one after the other, at whichever replica, and
/// again until they are accepted; every third one is delivered twice.
async fn deliver(spools: Vec<RedisSpool>, subject: String) -> usize {
    let mut stored = 0;
    for number in 1..=EVENTS {
        for _ in 0..=u32::from(number % 3 == 0) {
            loop {
                let spool = fastrand::choice(&spools).unwrap();
                match spool.put(&[event(&subject, number)]).await {
                    Ok(put) => {
                        stored += put.stored;
                        break;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..400))).await;
    }
    stored
}

/// A work that panics has broken a rule.
async fn expect_cancelled(mut workers: JoinSet<()>) {
    workers.abort_all();
    while let Some(ended) = workers.join_next().await {
        assert!(ended.unwrap_err().is_cancelled(), "a rule was broken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_crashes_every_event_is_worked_on_in_order_and_by_one_at_a_time() {
    let mut redis = RedisServer::start();
    let book = Arc::new(Book::default());
    let entries = [redis.hanging_replica().await, redis.hanging_replica().await];
    let mut vendors = JoinSet::new();
    for subject in 0..SUBJECTS {
        vendors.spawn(deliver(entries.to_vec(), format!("S{subject}")));
    }
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(replica(&redis, &book).await);
    }

    let began = Instant::now();
    let mut crashes = 0;
    while began.elapsed() < Duration::from_secs(12) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..700))).await;
        crashes += 1;
        if crashes == 8 {
            redis.restart();
        }
        let (mut crashing, workers) = replicas.swap_remove(fastrand::usize(0..3));
        if fastrand::bool() {
            // Only what renews the locks hangs; the work goes on for a while.
            crashing.tasks.abort_all();
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..2500))).await;
        }
        // Before the workers, lest it gives back what they drop.
        crashing.tasks.shutdown().await;
        expect_cancelled(workers).await;
        drop(crashing);
        replicas.push(replica(&redis, &book).await);
    }

    let mut stored = 0;
    while let Some(delivered) = vendors.join_next().await {
        stored += delivered.unwrap();
    }
    // An answer that got lost in the restart makes the repetition a duplicate.
    let all = (SUBJECTS * EVENTS) as usize;
    assert!(
        (all - 2 * SUBJECTS as usize..=all).contains(&stored),
        "{stored}"
    );
    eventually("all events are worked off", async || book.is_complete()).await;
    let spool = replicas[0].0.spool.clone();
    eventually("nothing waits", async || {
        spool.counts().await.is_ok_and(|counts| counts.waiting == 0)
    })
    .await;
    assert_eq!(spool.counts().await.unwrap().dead, 0);
    for (_, workers) in replicas {
        expect_cancelled(workers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nothing_crashes_every_event_is_worked_on_once() {
    let redis = RedisServer::start();
    let book = Arc::new(Book::default());
    let mut spools = Vec::new();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let (replica, workers) = replica(&redis, &book).await;
        spools.push(replica.spool.clone());
        replicas.push((replica, workers));
    }
    let mut vendors = JoinSet::new();
    for subject in 0..SUBJECTS {
        vendors.spawn(deliver(spools.clone(), format!("S{subject}")));
    }

    let stored: usize = vendors.join_all().await.into_iter().sum();
    eventually("all events are worked off", async || book.is_complete()).await;

    assert_eq!(stored, (SUBJECTS * EVENTS) as usize);
    let subjects = book.subjects.lock().unwrap();
    for (subject, page) in &*subjects {
        assert!(page.times.values().all(|times| *times == 1), "{subject}");
    }
}
