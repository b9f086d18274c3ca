//! The service: everything that runs for as long as the process does.
//!
//! ```text
//! every replica                                    the one that leads
//! web server ─▶ credentials ─▶ ready               prepare Port ─▶ listener, schedule
//!     │                                                                  │ requests
//!     ├─ POST /resync ───────────┐                                       ▼
//!     ├─ POST /{account} ────────┼─▶ relay ──┬──requests─▶ runner: one resync after another
//!     │                          │           │                           │
//!     │                          │           └──hints─▶ incident sync ◀──┘ hint
//!     └─ POST /integration/webhook ─▶ spool
//!                                       └─▶ workers: one object after another
//! ```
//!
//! A process that shares no Redis with others is the one that leads.
//!
//! A task ends when it is asked to stop, and never before: one that does takes
//! the others with it, and the process ends with 1, for an orchestrator to start
//! it again. What a resync or a pass runs into is no such end; see
//! [`super::runner`] and [`super::incident_sync`]. Nor is a Port that is away, as
//! long as there are incidents to be kept in step, or where it was there at the start
//! and is wanted again by a replica that begins to lead.

mod leader;
mod live;
mod replicas;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::leader::Leader;
use self::live::LiveEvents;
use self::replicas::Replicas;
use self::tasks::Tasks;
use super::Exit;
use super::incident_sync::IncidentSync;
use super::logging::shipping;
use super::runner::{Runner, beating};
use super::start::{Connected, Prepared, connect};
use crate::causes::with_hint;
use crate::event_listener::{self, Queue, Requests};
use crate::live_events::relay::{Relay, Wanted};
use crate::reconcile::hints::{Hints, Taker, hints};
use crate::settings::{CatalogSettings, EventListener, Settings};
use crate::store::Store;
use crate::sync::Trigger;
use crate::telemetry::{Shipper, metrics};
use crate::web::{self, Health, PagerstatusRoute, Requirement, ResyncRoute};

/// How long a start that failed waits before it is tried again, where something
/// else is running meanwhile that must not be stopped by it.
const BEFORE_ANOTHER_START: Duration = Duration::from_mins(1);

/// Serves until `stop` is cancelled, which is the one good end.
pub(super) async fn serve(
    settings: &Settings,
    sync: Option<IncidentSync>,
    store: Store,
    shipper: Option<&Shipper>,
    stop: &CancellationToken,
) -> Result<(), Exit> {
    metrics::start();
    let health = Health::new();
    health.meet(Requirement::Settings);
    let listener = web::bind(settings.application.port)
        .await
        .map_err(|error| {
            tracing::error!("Cannot start: {}", with_hint(&error, error.hint()));
            Exit::NotStarted
        })?;
    let replicas = Replicas::open(settings).await?;
    let mut tasks = Tasks::new(stop, replicas.leadership.clone());
    // Either may be asked for before anybody can run it.
    let (requests, queue) = event_listener::requests();
    let (hints, taker) = hints();
    let hints = sync.is_some().then_some(hints);
    let relay_of_hints = hints.as_ref().map(|_| &replicas.relay);
    let live = LiveEvents::open(settings, replicas.redis.as_ref()).await;
    let state = web::State {
        webhook: live.as_ref().map(|live| live.route(relay_of_hints)),
        ..web_state(settings, &health, &replicas.relay, hints.is_some())
    };
    let port = settings.application.port;
    let webhooks = if live.is_some() {
        ", metrics and webhooks"
    } else {
        " and metrics"
    };
    tracing::info!(port, "Serving health{webhooks} on port {port}");
    tasks.spawn("web server", web::serve(listener, state, stop.clone()));
    replicas.attend(&mut tasks);
    if let Some(sync) = sync {
        replicas.serve_wishes(requests.clone(), hints.clone(), &mut tasks);
        let passes = keep_in_step(sync, taker, replicas.redis.is_some(), &mut tasks);
        if settings.catalog.is_some() {
            tasks.spawn("incident sync", passes);
        } else {
            let health = health.clone();
            tasks.spawn("incident sync", async move {
                beating(&health, Box::pin(passes)).await;
            });
        }
    }
    let Some(catalog) = &settings.catalog else {
        // There is no Port to give a token, and nobody to ask for resyncs.
        health.meet(Requirement::PortToken);
        health.meet(Requirement::Listener);
        return until_stopped(tasks, &health).await;
    };

    let service = Service {
        settings,
        catalog,
        store,
        health,
        replicas,
        live,
        hints,
        asked: (requests, queue),
        stop,
    };
    service.serve(shipper, tasks).await
}

/// A service with a catalog, before anybody could be reached.
struct Service<'a> {
    settings: &'a Settings,
    catalog: &'a CatalogSettings,
    store: Store,
    health: Health,
    replicas: Replicas,
    live: Option<LiveEvents>,
    /// Where there is an incident sync.
    hints: Option<Hints>,
    asked: (Requests, Queue),
    stop: &'a CancellationToken,
}

impl Service<'_> {
    async fn serve(self, shipper: Option<&Shipper>, mut tasks: Tasks) -> Result<(), Exit> {
        let (connected, prepared) = match self.start().await {
            Some(Ok(started)) => started,
            other => {
                tasks.end().await;
                return other.map_or(Ok(()), |failed| failed.map(drop));
            }
        };
        self.health.meet(Requirement::PortToken);
        let ingest = if let Some(prepared) = &prepared {
            prepared.log_ingest.clone()
        } else {
            let asking = beating(&self.health, Box::pin(connected.log_ingest()));
            self.stop.run_until_cancelled(asking).await.flatten()
        };
        let (ingest, ingest_known) = watch::channel(ingest);
        let port = connected.resync.port.clone();
        let health = self.health.clone();
        let serving = async {
            if let Err(exit) = self.attach(connected, prepared, ingest, &mut tasks) {
                tasks.end().await;
                return Err(exit);
            }
            until_stopped(tasks, &health).await
        };
        shipping(shipper, &port, ingest_known, serving).await
    }

    /// Everything that a resync needs; Port itself is left to whoever leads, where
    /// that may be another one. Each attempt to reach somebody is bounded, and so is
    /// their number; all in all it may take minutes, in which this is not stuck.
    /// Where the catalog is not alone, a Port that is away is waited for. None: it was
    /// stopped.
    async fn start(&self) -> Option<Result<(Connected, Option<Prepared>), Exit>> {
        let Self {
            settings, catalog, ..
        } = self;
        let redis = self.replicas.redis.as_ref();
        loop {
            let starting = async {
                let connected = connect(settings, catalog, redis).await?;
                let prepared = match redis {
                    Some(_) => None,
                    None => Some(connected.prepare(catalog).await?),
                };
                Ok((connected, prepared))
            };
            let starting = beating(&self.health, Box::pin(starting));
            match self.stop.run_until_cancelled(starting).await? {
                // Whatever is the matter, it must not take the incident sync along;
                // and as long as it lasts, the process is not ready.
                Err(_) if self.hints.is_some() => {
                    let seconds = BEFORE_ANOTHER_START.as_secs();
                    tracing::warn!(
                        seconds,
                        "The catalog could not be started; it is tried again in {seconds} s, and the incident sync goes on meanwhile"
                    );
                    let pause = beating(&self.health, sleep(BEFORE_ANOTHER_START));
                    self.stop.run_until_cancelled(pause).await?;
                }
                outcome => return Some(outcome),
            }
        }
    }

    /// Has events worked on, and the work of the leader done whenever it is this
    /// replica's. Then the process is ready; with KAFKA, and nobody else to lead, once
    /// that is known to work or not to.
    fn attach(
        self,
        connected: Connected,
        prepared: Option<Prepared>,
        ingest: watch::Sender<Option<Url>>,
        tasks: &mut Tasks,
    ) -> Result<(), Exit> {
        let Self {
            settings,
            catalog,
            store,
            health,
            replicas,
            live,
            hints,
            asked: (requests, queue),
            stop,
        } = self;
        let subscriptions = match live {
            Some(live) => live.attach(settings, catalog, &connected.resync, tasks)?,
            None => None,
        };
        if hints.is_none() {
            replicas.serve_wishes(requests.clone(), None, tasks);
        }
        let wait = settings.live_events.shutdown_wait;
        let is_shared = replicas.redis.is_some();
        let has_incident_sync = hints.is_some();
        let leader = Leader {
            catalog: catalog.clone(),
            #[cfg(feature = "kafka")]
            outbound: settings.outbound.clone(),
            runner: Runner::new(Arc::clone(&connected.resync), store, wait).hinting(hints),
            connected,
            prepared,
            has_incident_sync,
            ingest,
            subscriptions,
            requests,
            relay: replicas.relay,
            is_shared,
            #[cfg(feature = "kafka")]
            health: health.clone(),
            stop: stop.clone(),
        };
        let terms = tasks.terms();
        let beat = health.clone();
        tasks.spawn_with_exit("work of the leader", async move {
            beating(&beat, Box::pin(leader.serve(queue, terms))).await
        });
        if is_shared || !matches!(catalog.event_listener, EventListener::Kafka(_)) {
            health.meet(Requirement::Listener);
        }
        Ok(())
    }
}

/// Runs passes of the incident sync while this replica leads. Where another one may
/// have led before, what that one opened is waited for: lists do not show it yet, and
/// the journal that knows of it is the other one's.
fn keep_in_step(
    sync: IncidentSync,
    mut taker: Taker,
    is_shared: bool,
    tasks: &mut Tasks,
) -> impl Future<Output = ()> + Send + use<> {
    let (terms, stop) = (tasks.terms(), tasks.stop.clone());
    let settling = if is_shared {
        sync.settle()
    } else {
        Duration::ZERO
    };
    async move {
        while let Some(term) = terms.next().await {
            let passes = Box::pin(async {
                if stop.run_until_cancelled(sleep(settling)).await.is_some() {
                    sync.serve(&mut taker, &stop).await;
                }
            });
            if term.within(passes).await.is_some() {
                return;
            }
        }
    }
}

async fn until_stopped(mut tasks: Tasks, health: &Health) -> Result<(), Exit> {
    let outcome = tasks.watch().await;
    health.stopping();
    tasks.end().await;
    outcome
}

/// What the web server is to know. What it is asked for is passed on to whoever
/// leads.
fn web_state(
    settings: &Settings,
    health: &Health,
    relay: &Relay,
    has_incident_sync: bool,
) -> web::State {
    let catalog = settings.catalog.as_ref();
    let is_called = |catalog: &&CatalogSettings| {
        matches!(catalog.event_listener, EventListener::Webhook { .. })
    };
    let wanting = |wanted| -> web::Ask {
        let relay = relay.clone();
        Arc::new(move || relay.give(wanted))
    };
    let resync = catalog.filter(is_called).map(|catalog| ResyncRoute {
        secret: catalog.port.client_secret.clone(),
        integration: catalog.integration.identifier.clone(),
        ask: wanting(Wanted::Resync(Trigger::Webhook)),
    });
    let pagerstatus = settings
        .incident_sync
        .as_ref()
        .filter(|_| has_incident_sync)
        .and_then(|sync| sync.pagerstatus.as_ref())
        .map(|pagerstatus| PagerstatusRoute {
            accounts: pagerstatus.accounts.iter().cloned().collect(),
            hint: wanting(Wanted::Reconcile),
        });
    web::State {
        health: health.clone(),
        path_prefix: settings.live_events.path_prefix.clone(),
        ocean_names: settings.metrics.ocean_names,
        resync,
        pagerstatus,
        webhook: None,
    }
}
