//! Port's Kafka: a topic of the organization, in which it is said when somebody
//! wants a resync or changes the mapping.
//!
//! ```text
//! Port ─▶ organization, credentials ─▶ session: join the group, read, ask, commit ─┐
//!   ▲                                                                              │
//!   └───────────── a pause; longer each time, until it works ◀── it broke ─────────┘
//! ```
//!
//! **Guarantees.** A message is committed after its resync has been asked for,
//! never before; so a process that comes back hears what was said meanwhile, and
//! not again what it has heard. Brokers that are away are said once and tried for
//! ever; nothing here ends the process.
//!
//! **Accepted losses.** A commit that got lost means one resync too many. A group
//! that has never committed begins at the end of the topic: what was said before
//! this integration first listened is served by whatever started it. Which topic
//! it is gets decided when a session begins, by a flag of the organization.
//!
//! The client is librdkafka, whose calls block. All of it lives on a thread of its
//! own, from which Port is asked as well; the runtime only waits for its end.

mod config;
mod failure;
mod message;
mod session;
mod standing;
#[cfg(test)]
mod tests;

use std::panic::resume_unwind;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::config::Access;
use self::failure::Failure;
use self::message::Topic;
use self::standing::Standing;
use super::Requests;
use crate::api::PortClient;
use crate::settings::{IntegrationSettings, KafkaSettings, OutboundSettings};

/// Leaving the group takes one round trip; whoever waits longer waits for a broker
/// that is not there, and the group finds out by itself.
const LEAVING: Duration = Duration::from_secs(3);
/// Between two sessions at first, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How to listen, and as whom.
#[derive(Clone, Debug)]
pub struct Kafka {
    pub settings: KafkaSettings,
    pub integration: IntegrationSettings,
    /// Whom to trust.
    pub outbound: OutboundSettings,
}

impl Kafka {
    /// Listens until it is asked to stop. `settled` is called when the group has
    /// been joined, and also when that failed for the first time: nobody should
    /// wait for Kafka who can do without.
    pub async fn run(
        self,
        port: PortClient,
        requests: Requests,
        settled: impl Fn() + Send + 'static,
        stop: CancellationToken,
    ) {
        let listener = Listener {
            kafka: self,
            port,
            requests,
            runtime: Handle::current(),
            stop: stop.clone(),
            standing: Standing::new(settled),
        };
        let listening = spawn_blocking(move || listener.listen());
        let too_long = async {
            stop.cancelled().await;
            sleep(LEAVING).await;
        };
        tokio::select! {
            ended = listening => {
                if let Err(error) = ended
                    && let Ok(panic) = error.try_into_panic()
                {
                    resume_unwind(panic);
                }
            }
            () = too_long => tracing::debug!("Port's Kafka was left without a farewell"),
        }
    }
}

/// What the thread works with.
struct Listener<S> {
    kafka: Kafka,
    port: PortClient,
    requests: Requests,
    runtime: Handle,
    stop: CancellationToken,
    standing: Standing<S>,
}

impl<S: Fn()> Listener<S> {
    fn listen(mut self) {
        let mut failures = 0;
        loop {
            self.standing.begins();
            let Err(failure) = self.session() else {
                // It was asked to stop.
                return;
            };
            if self.standing.has_joined() {
                failures = 0;
            }
            self.standing.failed(&failure);
            let pause = self.stop.run_until_cancelled(sleep(pause(failures)));
            if self.runtime.block_on(pause).is_none() {
                return;
            }
            failures += 1;
        }
    }

    /// From asking Port to a stop, or to something that only a new beginning can
    /// mend.
    fn session(&mut self) -> Result<(), Failure> {
        let asking = self.stop.run_until_cancelled(self.access());
        let Some(access) = self.runtime.block_on(asking) else {
            return Ok(());
        };
        self.follow(&access?)
    }

    /// What Port says of its Kafka.
    async fn access(&self) -> Result<Access, Failure> {
        let organization = self.port.organization().await.map_err(Failure::Port)?;
        let topic = Topic::of(&organization);
        let organization = organization.id.ok_or(Failure::NoOrganization)?;
        let credentials = if self.kafka.settings.security_enabled {
            let asked = self.port.kafka_credentials().await;
            Some(asked.map_err(Failure::Port)?)
        } else {
            None
        };
        Ok(Access {
            organization,
            topic,
            credentials,
        })
    }
}

fn pause(failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures);
    SHORTEST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}
