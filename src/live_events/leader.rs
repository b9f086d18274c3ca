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
//! the leader asks [`Leadership::fenced`] before each step, and not only at the
//! beginning; [`Leadership::watch`] wakes those who wait.
//!
//! Each time somebody begins to lead, the fence is a larger number. What is
//! written down with it can be told from what an earlier leader wrote.
//!
//! A Redis that was started a moment ago gives no lease until every leader that it
//! may have forgotten has stopped by itself. What remains: after a failover to a
//! copy that was behind, there may be two leaders until the first one's next
//! renewal, a third of the lease. A step that was sent before the end of the lease
//! may arrive after it; the margin is there for it.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Script;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::shared_redis::{Bell, RedisFault, SharedRedis, YOUNG};

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
    term: Arc<Mutex<Option<Term>>>,
}

/// A time of leading.
#[derive(Clone, Copy, Debug)]
struct Term {
    fence: u64,
    until: Instant,
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
            term: Arc::default(),
        })
    }

    /// The fence of this process while it leads, by its own clock: whoever acts
    /// as the leader asks before each step. A process that is alone has the fence 0.
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

    /// Asks for the lease and renews it, until `stop`; then it is given back at
    /// once. What is done as the leader is to have ended before.
    pub async fn keep(&self, stop: &CancellationToken) {
        match self {
            Self::Alone(_) => stop.cancelled().await,
            Self::Shared(shared) => shared.keep(stop).await,
        }
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
        self.term()
            .filter(|term| Instant::now() < term.until)
            .map(|term| term.fence)
    }

    fn term(&self) -> Option<Term> {
        *self.term.lock().unwrap_or_else(PoisonError::into_inner)
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
            let leads = self.term().is_some();
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
            // The answer came after the end of the term, which somebody may have
            // noticed: there is a new one to be asked for.
            Ok(Answer::Leads(_)) if self.term().is_some() && self.fenced().is_none() => {
                self.set(None);
                Duration::ZERO
            }
            Ok(Answer::Leads(fence)) => {
                let until = asked + self.times.used();
                self.set(Some(Term { fence, until }));
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
        let Some(term) = self.term() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(term.until.into()).await;
        self.set(None);
    }

    fn set(&self, term: Option<Term>) {
        let before = {
            let mut current = self.term.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, term)
        };
        match (before, term) {
            (None, Some(Term { fence, .. })) => {
                tracing::info!(fence, "This replica leads (fence {fence})");
            }
            (Some(_), None) => tracing::info!("This replica does not lead any more"),
            _ => {}
        }
        let fence = term.map(|term| term.fence);
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
