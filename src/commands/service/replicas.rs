//! What the replicas of an installation share. One that is alone is a replica as
//! well: it always leads, and what it hears of it carries to itself.

use super::tasks::Tasks;
use crate::commands::Exit;
use crate::commands::start::shared_redis;
use crate::event_listener::Requests;
use crate::live_events::leader::{Leadership, LeaseTimes};
use crate::live_events::relay::{Relay, Wanted};
use crate::live_events::shared_redis::SharedRedis;
use crate::reconcile::hints::{Hint, Hints};
use crate::settings::Settings;

/// The way to the others, if there may be any.
pub(super) struct Replicas {
    pub(super) redis: Option<SharedRedis>,
    pub(super) leadership: Leadership,
    pub(super) relay: Relay,
}

impl Replicas {
    /// Connects to nothing yet: a Redis that is away is waited for.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Exit> {
        let redis = shared_redis(settings).await?;
        let (leadership, relay) = match &redis {
            None => (Leadership::alone(), Relay::alone()),
            Some(redis) => {
                let replica = redis.replica();
                tracing::info!(
                    replica,
                    "Sharing the work with other replicas through a Redis, as {replica}"
                );
                let leadership = Leadership::shared(redis.clone(), LeaseTimes::default());
                (leadership, Relay::shared(redis.clone()))
            }
        };
        Ok(Self {
            redis,
            leadership,
            relay,
        })
    }

    /// Listens to the others, and tells them what is wanted of the leader.
    pub(super) fn attend(&self, tasks: &mut Tasks) {
        if let Some(redis) = self.redis.clone() {
            tasks.spawn_until_led("bells of other replicas", |led| async move {
                redis.listen(&led).await;
            });
        }
        let relay = self.relay.clone();
        tasks.spawn_until_led("relay to the leader", |led| async move {
            relay.keep(&led).await;
        });
    }

    /// Passes on what is wanted of the leader, while this replica is the one.
    pub(super) fn serve_wishes(&self, requests: Requests, hints: Option<Hints>, tasks: &mut Tasks) {
        let relay = self.relay.clone();
        let terms = tasks.terms();
        tasks.spawn_until_stopped("wishes of all replicas", async move {
            while let Some(term) = terms.next().await {
                while let Some(wanted) = term.within(relay.next()).await {
                    match wanted {
                        Wanted::Resync(trigger) => requests.request(trigger),
                        Wanted::Reconcile => {
                            if let Some(hints) = &hints {
                                hints.give(Hint::Webhook);
                            }
                        }
                    }
                }
            }
        });
    }
}
