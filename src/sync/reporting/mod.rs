//! What Port is told while a resync runs, beside the entities: how each kind
//! stands, a sign of life, examples of raw objects.
//!
//! ```text
//! resync ─Reporter─▶ bounded channels ─▶ examples, metrics, webhook    side by side
//!                 └▶ over (token) ─────▶ heartbeat, and the end of all
//! ```
//!
//! All of it is best effort. The resync never waits for it: what does not fit
//! into a channel is left out. What fails is said once, with its cause, and is
//! then left alone until the next resync, but for two: signs of life go on, since
//! one that gets lost in an hour must not look like the end, and the last states
//! of the kinds are tried even if an earlier one did not arrive. After the resync
//! everything here has [`GRACE`] to finish, whatever Port does.

mod examples;
mod metrics;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;
use uuid::Uuid;

use self::examples::Examples;
use self::metrics::Kinds;
use super::report::ResyncReport;
use crate::api::{ApiError, Integration, KindMetrics, MetricsOrigin, PortClient};
use crate::causes::with_hint;
use crate::mapping::{Consumer, RawBatch};
use crate::resource_config::ResourceConfig;
use crate::settings::Runtime;

/// What is still to be told when a resync ends may take this long: less than a
/// process has that was asked to stop, for the state of the resync comes after.
const GRACE: Duration = Duration::from_secs(3);

/// What to tell, as the settings say.
#[derive(Clone, Debug)]
pub struct Reporting {
    /// Whether a few raw objects of each kind go to Port, masked.
    pub send_examples: bool,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// Where the metrics go as well.
    pub webhook_url: Option<Url>,
    pub runtime: Runtime,
}

impl Reporting {
    /// A reporter for one resync, and what does its work: to be polled beside
    /// the resync. It ends, soon, when every clone of the reporter is dropped.
    pub(super) fn start(
        &self,
        port: &PortClient,
        integration: &Integration,
        id: Uuid,
    ) -> (Reporter, impl Future<Output = ()> + use<>) {
        let over = CancellationToken::new();
        let ended = Arc::new(OnceLock::new());
        let (examples, taken) = examples::channel(self.send_examples);
        let (kinds, noted) = metrics::channel();
        let reporter = Reporter(Arc::new(Notes {
            examples,
            kinds,
            ended: Arc::clone(&ended),
            _over: over.clone().drop_guard(),
        }));

        let origin = MetricsOrigin {
            event_id: id,
            installation_type: self.runtime.as_str(),
        };
        let port = port.clone();
        let ingest = integration.metric_ingest.clone();
        let webhook = self.webhook_url.clone();
        let pause = self.heartbeat;
        let telling = async move {
            let examples = examples::tell(&port, taken);
            let metrics = async {
                match &ingest {
                    Some(ingest) => metrics::tell(&port, ingest, origin, noted, &ended).await,
                    None => Ok(()),
                }
            };
            let webhook = async {
                let Some(webhook) = &webhook else {
                    return Ok(());
                };
                over.cancelled().await;
                match ended.get() {
                    Some(metrics) => port.post_to_webhook(webhook, origin, metrics).await,
                    None => Ok(()),
                }
            };
            let heartbeat = async {
                if let Some(ingest) = &ingest {
                    beat(&port, ingest, id, pause, &over).await;
                }
            };
            tokio::join!(
                best_effort("raw examples", &over, examples),
                best_effort("metrics", &over, metrics),
                heartbeat,
                best_effort("metrics for the webhook", &over, webhook),
            );
        };
        // Out of the resync's own future, which would carry all of it about.
        (reporter, Box::pin(telling))
    }
}

/// Takes notes of a resync and tells Port; nobody waits for it.
#[derive(Clone)]
pub(super) struct Reporter(Arc<Notes>);

struct Notes {
    examples: Option<Examples>,
    kinds: Kinds,
    /// The last word. Not in a channel, for it must not meet a full one.
    ended: Arc<OnceLock<Vec<KindMetrics>>>,
    _over: DropGuard,
}

impl Reporter {
    /// One that nobody listens to.
    pub(super) fn silent() -> Self {
        Self(Arc::new(Notes {
            examples: None,
            kinds: metrics::channel().0,
            ended: Arc::default(),
            _over: CancellationToken::new().drop_guard(),
        }))
    }

    /// The mapping is read; every kind is about to begin.
    pub(super) fn began(&self, configs: &[Arc<ResourceConfig>]) {
        self.0.kinds.began(configs);
        if let Some(examples) = &self.0.examples {
            examples.began(configs.len());
        }
    }

    /// A kind's first request is about to be sent. Called once for each account
    /// that has the kind.
    pub(super) fn kind_began(&self, config: &ResourceConfig) {
        self.0.kinds.kind_began(config);
    }

    /// How many raw objects of each kind are wanted as they are.
    pub(super) fn wanted_examples(&self) -> usize {
        self.0.examples.as_ref().map_or(0, |_| examples::WANTED)
    }

    /// Raw objects of a kind, as they were read. Called for every page, so it
    /// must be cheap once it has seen enough.
    pub(super) fn raw_objects(&self, consumer: &Consumer, batch: &RawBatch) {
        if let Some(examples) = &self.0.examples {
            examples.take(consumer, batch);
        }
    }

    /// Everything is written and deleted; the last thing that is called.
    pub(super) fn ended(&self, report: &ResyncReport) {
        self.0.ended.get_or_init(|| self.0.kinds.ended(report));
    }
}

/// Shows Port that the resync is still at work, until it is over.
async fn beat(
    port: &PortClient,
    ingest: &Url,
    id: Uuid,
    pause: Duration,
    over: &CancellationToken,
) {
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beating = async {
        let mut has_failed = false;
        loop {
            ticks.tick().await;
            if let Err(error) = port.heartbeat(ingest, id).await
                && !std::mem::replace(&mut has_failed, true)
            {
                tracing::warn!(
                    what = "signs of life",
                    "Could not send a sign of life; the next ones are sent all the same: {}",
                    with_hint(&error, error.hint())
                );
            }
        }
    };
    // Nobody needs a sign of life from what is over.
    over.run_until_cancelled(beating).await;
}

/// Does the work as far as it goes, and says so when that is not to the end.
async fn best_effort(
    what: &'static str,
    over: &CancellationToken,
    work: impl Future<Output = Result<(), ApiError>>,
) {
    let late = async {
        over.cancelled().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        result = work => if let Err(error) = result {
            tracing::warn!(
                what,
                "Could not send {what}, and this resync sends no more of them: {}",
                with_hint(&error, error.hint())
            );
        },
        () = late => tracing::warn!(
            what,
            "Could not send the last {what} of this resync within {} s of its end",
            GRACE.as_secs()
        ),
    }
}
