//! Carries what the leader is wanted for from the replica that hears of it.
//!
//! A webhook, or somebody's wish for a resync, may reach any replica; who acts on
//! it is the leader. What is wanted is a set: any number of the same wish are one,
//! as in the queues of a single process. It waits in the Redis until a leader takes
//! it, so that one that is wanted while nobody leads is not lost, and here until
//! the Redis has it.
//!
//! A wish that is taken is with the leader alone. If that one is killed before it
//! has begun to act, the wish is gone; a resync that had begun is seen in Port's
//! state of it, and run by whoever leads next. The incident sync begins each term
//! with a look of its own.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::shared_redis::{Bell, RedisFault, SharedRedis};
use crate::sync::Trigger;

/// KEYS: wanted, bell.
static GIVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('SADD', KEYS[1], unpack(ARGV))
         redis.call('XADD', KEYS[2], 'MAXLEN', 8, '*', 'rung', '1')
         return 1",
    )
});

/// How often the leader looks although nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the leader is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A look at the incidents.
    Reconcile,
    /// A resync, and who wants it.
    Resync(Trigger),
}

impl Wanted {
    const ALL: [Self; 6] = [
        Self::Reconcile,
        Self::Resync(Trigger::Once),
        Self::Resync(Trigger::Start),
        Self::Resync(Trigger::Schedule),
        Self::Resync(Trigger::Port),
        Self::Resync(Trigger::Webhook),
    ];

    fn name(self) -> String {
        match self {
            Self::Reconcile => "reconcile".to_owned(),
            Self::Resync(trigger) => format!("resync:{trigger}"),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wanted| wanted.name() == name)
    }
}

/// The way to the leader; clones are of one replica.
#[derive(Clone, Debug)]
pub struct Relay {
    /// `None`: this process is alone, and what is given here is taken here.
    redis: Option<SharedRedis>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wanted: Mutex<HashSet<Wanted>>,
    rung: Notify,
}

impl Relay {
    /// Within one process.
    pub fn alone() -> Self {
        Self {
            redis: None,
            waiting: Arc::default(),
        }
    }

    /// Between the replicas that share this Redis. Somebody has to run
    /// [`Self::keep`].
    pub fn shared(redis: SharedRedis) -> Self {
        Self {
            redis: Some(redis),
            waiting: Arc::default(),
        }
    }

    /// Wants something of the leader. Never waits.
    pub fn give(&self, wanted: Wanted) {
        self.wanted().insert(wanted);
        self.waiting.rung.notify_one();
    }

    /// What is wanted next. Only the leader may ask: it takes it away from the
    /// others. Dropping the future loses nothing.
    pub async fn next(&self) -> Wanted {
        let Some(redis) = &self.redis else {
            return self.next_here().await;
        };
        loop {
            let mut rung = std::pin::pin!(redis.bell(Bell::Leader).notified());
            rung.as_mut().enable();
            if let Ok(Some(wanted)) = self.take(redis).await {
                return wanted;
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn next_here(&self) -> Wanted {
        loop {
            let first = {
                let mut wanted = self.wanted();
                let first = wanted.iter().next().copied();
                first.and_then(|first| wanted.take(&first))
            };
            match first {
                Some(first) => {
                    // A ring is kept for one waiter only.
                    self.waiting.rung.notify_one();
                    return first;
                }
                None => self.waiting.rung.notified().await,
            }
        }
    }

    /// Brings to the Redis what was given, until `stop`.
    pub async fn keep(&self, stop: &CancellationToken) {
        let Some(redis) = &self.redis else {
            return stop.cancelled().await;
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.waiting.rung.notified() => {}
            }
            while !self.send(redis).await && !stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        // What was given last.
        self.send(redis).await;
    }

    /// Whether the Redis has all of it.
    async fn send(&self, redis: &SharedRedis) -> bool {
        let wanted: Vec<Wanted> = self.wanted().drain().collect();
        if wanted.is_empty() {
            return true;
        }
        let keys = [redis.key("wanted"), redis.bell_key(Bell::Leader)];
        let names: Vec<Vec<u8>> = wanted
            .iter()
            .map(|wanted| wanted.name().into_bytes())
            .collect();
        let given: Result<(), RedisFault> = redis.run(&GIVE, &keys, &names).await;
        if given.is_err() {
            self.wanted().extend(wanted);
            return false;
        }
        redis.ring_here(Bell::Leader);
        true
    }

    /// Looks first and takes it away then: an answer that does not arrive costs a
    /// second look, and not the wish. Whoever wants the same in between is served
    /// by what begins now.
    async fn take(&self, redis: &SharedRedis) -> Result<Option<Wanted>, RedisFault> {
        let key = redis.key("wanted");
        loop {
            let name: Option<String> = redis.ask(redis::cmd("SRANDMEMBER").arg(&key)).await?;
            let Some(name) = name else { return Ok(None) };
            let wanted = Wanted::named(&name);
            let in_between = InBetween {
                relay: self,
                wanted,
            };
            let removed: Result<u32, RedisFault> =
                redis.ask(redis::cmd("SREM").arg(&key).arg(&name)).await;
            in_between.has_arrived();
            match wanted {
                Some(wanted) => return Ok(Some(wanted)),
                // Of a later version. Where it could not be removed it would come again.
                None => removed.map(|_| ())?,
            }
        }
    }

    fn wanted(&self) -> MutexGuard<'_, HashSet<Wanted>> {
        self.waiting
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wish that is neither in the Redis any more, perhaps, nor with the leader yet:
/// where nobody waits for it any longer, it is given again.
struct InBetween<'relay> {
    relay: &'relay Relay,
    wanted: Option<Wanted>,
}

impl InBetween<'_> {
    fn has_arrived(mut self) {
        self.wanted = None;
    }
}

impl Drop for InBetween<'_> {
    fn drop(&mut self) {
        if let Some(wanted) = self.wanted {
            self.relay.give(wanted);
        }
    }
}
