//! Wakes who waits when another replica has something for it.
//!
//! A bell is a stream of a few entries that say nothing: who has done something
//! that others wait for adds one in the same script. A lost ring costs time and
//! nothing else, for everybody who waits for a bell also looks by themselves
//! every now and then.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, RedisFault, SharedRedis};

/// A burst of rings is heard as one.
const PAUSE: Duration = Duration::from_millis(10);
const BEFORE_RECONNECTING: Duration = Duration::from_millis(500);

/// What is rung for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live_events) enum Bell {
    /// There are live events to work on.
    Events,
    /// The leader is wanted, or wanted no more.
    Leader,
}

impl Bell {
    const ALL: [Self; 2] = [Self::Events, Self::Leader];

    const fn name(self) -> &'static str {
        match self {
            Self::Events => "bell:events",
            Self::Leader => "bell:leader",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Bells {
    events: Notify,
    leader: Notify,
}

type Streams = Option<Vec<(String, Vec<(String, Vec<String>)>)>>;

impl SharedRedis {
    /// The key of a bell, for scripts that ring it.
    pub(in crate::live_events) fn bell_key(&self, bell: Bell) -> String {
        self.key(bell.name())
    }

    /// Wakes those who wait in this process.
    pub(in crate::live_events) fn ring_here(&self, bell: Bell) {
        self.bell(bell).notify_waiters();
    }

    /// What wakes who waits for the bell.
    pub(in crate::live_events) fn bell(&self, bell: Bell) -> &Notify {
        match bell {
            Bell::Events => &self.inner.bells.events,
            Bell::Leader => &self.inner.bells.leader,
        }
    }

    /// How long one look at the bells, or a wait for one, takes at most.
    pub(in crate::live_events) fn block(&self) -> Duration {
        let (shortest, longest) = (Duration::from_millis(50), Duration::from_secs(5));
        self.settings().block.clamp(shortest, longest)
    }

    /// Listens to the bells of all replicas until `stop`. Without it everything
    /// works, a second or so later.
    pub async fn listen(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                fault = self.hear() => {
                    // It is away for the commands as well, which say so.
                    tracing::debug!("Not listening to other replicas: {}", crate::causes::one_line(&fault));
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(BEFORE_RECONNECTING) => {}
            }
        }
    }

    /// Listens until it cannot any more.
    async fn hear(&self) -> RedisFault {
        match self.try_hear().await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn try_hear(&self) -> Result<std::convert::Infallible, RedisFault> {
        let mut connection = self.connect(self.block() + DEADLINE).await?;
        let unreachable = |source| RedisFault::Unreachable {
            place: self.place(),
            source,
        };
        let mut last = Vec::new();
        for bell in Bell::ALL {
            let id = last_ring(&mut connection, &self.bell_key(bell)).await;
            last.push((bell, id.map_err(unreachable)?));
            // Nobody knows what was rung before.
            self.ring_here(bell);
        }
        let block = u64::try_from(self.block().as_millis()).unwrap_or(1000);
        loop {
            let mut command = redis::cmd("XREAD");
            command.arg("BLOCK").arg(block).arg("STREAMS");
            command.arg(
                last.iter()
                    .map(|(bell, _)| self.bell_key(*bell))
                    .collect::<Vec<_>>(),
            );
            command.arg(last.iter().map(|(_, id)| id).collect::<Vec<_>>());
            let rung: Streams = command
                .query_async(&mut connection)
                .await
                .map_err(unreachable)?;
            for (key, entries) in rung.into_iter().flatten() {
                for (bell, id) in &mut last {
                    if self.bell_key(*bell) == key
                        && let Some((newest, _)) = entries.last()
                    {
                        id.clone_from(newest);
                        self.ring_here(*bell);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn last_ring(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> redis::RedisResult<String> {
    let newest: Vec<(String, Vec<String>)> = redis::cmd("XREVRANGE")
        .arg(key)
        .arg(&["+", "-", "COUNT", "1"])
        .query_async(connection)
        .await?;
    let id = newest.into_iter().next().map(|(id, _)| id);
    Ok(id.unwrap_or_else(|| "0-0".to_owned()))
}
