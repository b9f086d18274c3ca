//! Which of the replicas leads.
//!
//! Resyncs, schedules and the incident sync run in one replica at a time; the
//! others accept webhooks, work on events, and stand by. A replica leads while it
//! has the lease in the Redis, which it renews every third of its time.
//!
//! # Never two at once
//!
//! A leader stops calling itself one by its own monotonic clock, a margin before
//! the Redis lets the lease expire, and its clock starts before the renewal is
//! sent. However late an answer is, nobody else leads before that. Whoever acts as
//! the leader does so in [`Term::within`], which looks at the clock before each step
//! and drops the work at once when the term is over.
//!
//! Each time somebody begins to lead, the fence is a larger number. It tells one
//! term from another.
//!
//! A Redis that was started a moment ago gives no lease until every leader that it
//! may have forgotten has stopped by itself. What remains: after a failover to a
//! copy that was behind, there may be two leaders until the first one's next
//! renewal, a third of the lease. A step that was sent before the end of the lease
//! may arrive after it; the margin is there for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use redis::Script;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::shared_redis::{Bell, RedisFault, SharedRedis, YOUNG};
use crate::telemetry::metrics;

static LEAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("{YOUNG}\n{}", include_str!("lead.lua"))));

/// KEYS: lease, bell. Only what is one's own is given back.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('DEL', KEYS[1])
         redis.call('XADD', KEYS[2], 'MAXLEN', 8, '*', 'rung', '1')
         return 1",
    )
});

/// How long the lease holds.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// Until another replica may lead when the leader is gone.
    pub lease: Duration,
    /// How much earlier the leader stops.
    pub margin: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            margin: Duration::from_secs(3),
        }
    }
}

impl LeaseTimes {
    fn used(self) -> Duration {
        self.lease.saturating_sub(self.margin)
    }
}

/// Whether this process leads.
#[derive(Clone, Debug)]
pub enum Leadership {
    /// There is one process.
    Alone(Alone),
    /// There may be several.
    Shared(SharedLeadership),
}

/// The only process leads all the time.
#[derive(Clone, Debug)]
pub struct Alone(Arc<watch::Sender<Option<u64>>>);

/// One of several.
#[derive(Clone, Debug)]
pub struct SharedLeadership {
    redis: SharedRedis,
    times: LeaseTimes,
    /// What the Redis is told: another one for each start, even on one machine.
    who: String,
    told: Arc<watch::Sender<Option<u64>>>,
    held: Arc<Mutex<Option<Held>>>,
}

/// The lease, as far as this process knows.
#[derive(Clone, Copy, Debug)]
struct Held {
    fence: u64,
    until: Instant,
}

/// One time of leading: what is done as the leader is done in it, and ends with it.
#[derive(Clone, Debug)]
pub struct Term {
    leadership: Leadership,
    fence: u64,
}

impl Leadership {
    /// There is no Redis, and nobody else.
    pub fn alone() -> Self {
        Self::Alone(Alone(Arc::new(watch::Sender::new(Some(0)))))
    }

    /// One of the replicas that share this Redis. It stands by until
    /// [`Self::keep`] runs.
    pub fn shared(redis: SharedRedis, times: LeaseTimes) -> Self {
        let who = redis.replica().to_owned();
        Self::Shared(SharedLeadership {
            redis,
            times,
            who,
            told: Arc::new(watch::Sender::new(None)),
            held: Arc::default(),
        })
    }

    /// The fence of this process while it leads, by its own clock. A process that is
    /// alone has the fence 0.
    pub fn fenced(&self) -> Option<u64> {
        match self {
            Self::Alone(_) => Some(0),
            Self::Shared(shared) => shared.fenced(),
        }
    }

    pub fn is_leader(&self) -> bool {
        self.fenced().is_some()
    }

    /// Changes whenever this process begins to lead (to its fence) or ends to.
    pub fn watch(&self) -> watch::Receiver<Option<u64>> {
        match self {
            Self::Alone(Alone(told)) => told.subscribe(),
            Self::Shared(shared) => shared.told.subscribe(),
        }
    }

    /// Waits until this process leads.
    pub async fn term(&self) -> Term {
        let mut told = self.watch();
        loop {
            // It is never closed: its other end is in here.
            let fence = told.wait_for(Option::is_some).await;
            let fence = fence.ok().and_then(|fence| *fence);
            // By the clock it may be over before that is told.
            match self.fenced() {
                Some(current) if Some(current) == fence => {
                    return Term {
                        leadership: self.clone(),
                        fence: current,
                    };
                }
                _ => drop(told.changed().await),
            }
        }
    }

    /// Asks for the lease and renews it, until `stop`; then it is given back at
    /// once. What is done as the leader is to have ended before.
    pub async fn keep(&self, stop: &CancellationToken) {
        match self {
            Self::Alone(_) => {
                metrics::leads(true);
                stop.cancelled().await;
            }
            Self::Shared(shared) => shared.keep(stop).await,
        }
    }
}

impl Term {
    /// That of a process which has no others beside it.
    pub fn always() -> Self {
        Self {
            leadership: Leadership::alone(),
            fence: 0,
        }
    }

    /// Whether somebody else leads, or may.
    pub fn is_over(&self) -> bool {
        self.leadership.fenced() != Some(self.fence)
    }

    /// Waits for its end.
    pub async fn over(&self) {
        let mut told = self.leadership.watch();
        // It is never closed: its other end is in here.
        drop(told.wait_for(|fence| *fence != Some(self.fence)).await);
    }

    /// Does `work` as long as this process leads. None: it does not any more, and the
    /// work was dropped where it stood. Also after the process was stopped for a
    /// while, not one step is made before the clock has been looked at.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut over = pin!(self.over());
        let mut work = pin!(work);
        poll_fn(|context| {
            if over.as_mut().poll(context).is_ready() || self.is_over() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// What came of asking for the lease.
enum Answer {
    Leads(u64),
    /// Another one does, or nobody yet, for so long at most.
    StandsBy {
        wait: Duration,
        leader: String,
    },
}

impl SharedLeadership {
    fn fenced(&self) -> Option<u64> {
        self.held()
            .filter(|held| Instant::now() < held.until)
            .map(|held| held.fence)
    }

    fn held(&self) -> Option<Held> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep(&self, stop: &CancellationToken) {
        let mut other = String::new();
        loop {
            let mut rung = std::pin::pin!(self.redis.bell(Bell::Leader).notified());
            rung.as_mut().enable();
            let wait = tokio::select! {
                () = stop.cancelled() => break,
                wait = self.look(&mut other) => wait,
                // An answer that is late is no reason to lead for longer.
                () = self.end_of_term() => continue,
            };
            let leads = self.held().is_some();
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
                () = rung, if !leads => {}
                () = self.end_of_term() => {}
            }
        }
        self.give_back().await;
    }

    /// One look at the lease, and when to look again.
    async fn look(&self, other: &mut String) -> Duration {
        let asked = Instant::now();
        match self.ask().await {
            Ok(Answer::Leads(fence)) => {
                let until = asked + self.times.used();
                if !self.hold(Held { fence, until }) {
                    return Duration::ZERO;
                }
                other.clear();
                self.times.used() / 3
            }
            Ok(Answer::StandsBy { wait, leader }) => {
                self.set(None);
                if !leader.is_empty() && *other != leader {
                    tracing::info!(leader, "Standing by: {leader} leads");
                }
                *other = leader;
                // A moment later than the end of the lease, lest it is not yet.
                wait.min(self.times.lease / 3) + Duration::from_millis(fastrand::u64(5..50))
            }
            // Which has been said; the term goes on to its end.
            Err(_) => self.times.lease / 10,
        }
    }

    async fn ask(&self) -> Result<Answer, RedisFault> {
        let keys = [self.redis.key("lease"), self.redis.key("fence")];
        let leads = u8::from(self.fenced().is_some());
        let arguments = [
            self.who.as_bytes().to_vec(),
            self.times.lease.as_millis().to_string().into_bytes(),
            self.times.used().as_millis().to_string().into_bytes(),
            leads.to_string().into_bytes(),
        ];
        let (leads, number, leader): (bool, u64, String) =
            self.redis.run(&LEAD, &keys, &arguments).await?;
        Ok(if leads {
            Answer::Leads(number)
        } else {
            let wait = Duration::from_millis(number);
            Answer::StandsBy { wait, leader }
        })
    }

    /// When the term ends by the own clock. Never without one.
    async fn end_of_term(&self) {
        let Some(held) = self.held() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(held.until.into()).await;
        self.set(None);
    }

    /// Begins a term, or goes on with one, unless that has ended meanwhile: somebody
    /// may have noticed, so there is a new one to be asked for.
    fn hold(&self, held: Held) -> bool {
        let mut current = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = current.is_some_and(|before| before.until <= Instant::now());
        let next = (!has_ended).then_some(held);
        self.change(&mut current, next);
        !has_ended
    }

    fn set(&self, held: Option<Held>) {
        let mut current = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut current, held);
    }

    fn change(&self, current: &mut Option<Held>, held: Option<Held>) {
        let before = std::mem::replace(current, held);
        match (before, held) {
            (None, Some(Held { fence, .. })) => {
                tracing::info!(fence, "This replica leads (fence {fence})");
            }
            (Some(_), None) => tracing::info!("This replica does not lead any more"),
            _ => {}
        }
        metrics::leads(held.is_some());
        let fence = held.map(|held| held.fence);
        self.told.send_if_modified(|told| {
            let changes = *told != fence;
            *told = fence;
            changes
        });
    }

    async fn give_back(&self) {
        self.set(None);
        let keys = [self.redis.key("lease"), self.redis.bell_key(Bell::Leader)];
        let who = [self.who.as_bytes().to_vec()];
        let given: Result<(), RedisFault> = self.redis.run(&GIVE_BACK, &keys, &who).await;
        if given.is_err() {
            tracing::debug!("The lease is left to expire");
        }
    }
}
