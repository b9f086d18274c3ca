//! The service: everything that runs for as long as the process does.
//!
//! ```text
//! web server ─▶ credentials ─▶ prepare Port ─▶ listener, schedule ─▶ ready
//!     │                                            │
//!     ├──────────── POST /resync ──────────────────┴─requests─▶ runner: one resync after another
//!     │                                                                       │
//!     └─ POST /{account} ──hints─▶ incident sync: one pass after another ◀─hints─┘
//! ```
//!
//! A task ends when it is asked to stop, and never before: one that does takes
//! the others with it, and the process ends with 1, for an orchestrator to start
//! it again. What a resync or a pass runs into is no such end; see
//! [`super::runner`] and [`super::incident_sync`]. Nor is a Port that is away, as
//! long as there are incidents to be kept in step.

mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::tasks::Tasks;
use super::Exit;
use super::incident_sync::IncidentSync;
use super::logging::shipping;
use super::runner::{Runner, beating};
use super::start::{Started, start};
use crate::causes::with_hint;
use crate::event_listener::{self, Polling, Queue, Requests, last_served};
use crate::reconcile::hints::{Hint, Hints, hints};
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
    let port = settings.application.port;
    tracing::info!(port, "Serving health and metrics on port {port}");
    // A resync may be asked for before anybody can run it, and so may a pass.
    let (requests, queue) = event_listener::requests();
    let (hints, taker) = hints();
    let hints = sync.is_some().then_some(hints);
    let mut tasks = Tasks::new(stop);
    let state = web_state(settings, &health, &requests, hints.as_ref());
    tasks.spawn("web server", web::serve(listener, state, stop.clone()));
    if let Some(sync) = sync {
        let passes = sync.serve(taker, stop.clone());
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

    let is_alone = hints.is_none();
    let started = match start_catalog(settings, catalog, is_alone, &health, stop).await {
        Some(Ok(started)) => started,
        other => {
            tasks.end().await;
            return other.map_or(Ok(()), |failed| failed.map(drop));
        }
    };
    health.meet(Requirement::PortToken);
    let port = started.resync.port.clone();
    let ingest = started.log_ingest.clone();
    let serving = async {
        let running = Attached {
            settings,
            catalog,
            store,
            hints,
        };
        running.attach(started, &health, (requests, queue), &mut tasks);
        until_stopped(tasks, &health).await
    };
    shipping(shipper, &port, ingest.as_ref(), serving).await
}

async fn until_stopped(mut tasks: Tasks, health: &Health) -> Result<(), Exit> {
    let outcome = tasks.watch().await;
    health.stopping();
    tasks.end().await;
    outcome
}

/// Everything that a resync needs. Each attempt to reach somebody is bounded, and
/// so is their number; all in all it may take minutes, in which this is not
/// stuck. Where the catalog is not alone, a Port that is away is waited for.
/// None: it was stopped.
async fn start_catalog(
    settings: &Settings,
    catalog: &CatalogSettings,
    is_alone: bool,
    health: &Health,
    stop: &CancellationToken,
) -> Option<Result<Started, Exit>> {
    loop {
        let starting = beating(health, Box::pin(start(settings, catalog)));
        match stop.run_until_cancelled(starting).await? {
            Err(Exit::Failed) if !is_alone => {
                let seconds = BEFORE_ANOTHER_START.as_secs();
                tracing::warn!(
                    seconds,
                    "The catalog could not be started; it is tried again in {seconds} s, and the incident sync goes on meanwhile"
                );
                let pause = beating(health, sleep(BEFORE_ANOTHER_START));
                stop.run_until_cancelled(pause).await?;
            }
            outcome => return Some(outcome),
        }
    }
}

/// What resyncs run with.
struct Attached<'a> {
    settings: &'a Settings,
    catalog: &'a CatalogSettings,
    store: Store,
    /// Who is told when a resync has ended.
    hints: Option<Hints>,
}

impl Attached<'_> {
    /// Starts whoever asks for resyncs, and who runs them. Then the process is ready.
    fn attach(
        self,
        started: Started,
        health: &Health,
        (requests, queue): (Requests, Queue),
        tasks: &mut Tasks,
    ) {
        let Self {
            settings,
            catalog,
            store,
            hints,
        } = self;
        let next = catalog.scheduled_resync_interval.map(|interval| {
            // Beside any listener, also beside one that never asks for a resync
            // itself: whoever sets it wants it.
            let (next, asking) = event_listener::schedule(interval, requests.clone());
            tasks.spawn_until_stopped("schedule", asking);
            next
        });
        if let EventListener::Polling {
            interval,
            resync_on_start,
        } = catalog.event_listener
        {
            let polling = Polling {
                interval,
                resync_on_start,
                served: last_served(&started.last_state),
            };
            let port = started.resync.port.clone();
            tasks.spawn_until_stopped("event listener", async move {
                polling.run(&port, &requests).await
            });
        }
        let wait = settings.live_events.shutdown_wait;
        let runner = Runner::new(started.resync, store, wait).hinting(hints);
        let running = runner.serve(queue, next, health.clone(), tasks.stop.clone());
        tasks.spawn("runner of resyncs", running);
        health.meet(Requirement::Listener);
        say_what_is_listened_to(catalog);
    }
}

/// What the web server is to know.
fn web_state(
    settings: &Settings,
    health: &Health,
    requests: &Requests,
    hints: Option<&Hints>,
) -> web::State {
    let catalog = settings.catalog.as_ref();
    let is_called = |catalog: &&CatalogSettings| {
        matches!(catalog.event_listener, EventListener::Webhook { .. })
    };
    let resync = catalog.filter(is_called).map(|catalog| {
        let requests = requests.clone();
        ResyncRoute {
            secret: catalog.port.client_secret.clone(),
            integration: catalog.integration.identifier.clone(),
            ask: Arc::new(move || requests.request(Trigger::Webhook)),
        }
    });
    let pagerstatus = settings
        .incident_sync
        .as_ref()
        .and_then(|sync| sync.pagerstatus.as_ref())
        .zip(hints)
        .map(|(pagerstatus, hints)| {
            let hints = hints.clone();
            PagerstatusRoute {
                accounts: pagerstatus.accounts.iter().cloned().collect(),
                hint: Arc::new(move || hints.give(Hint::Webhook)),
            }
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

fn say_what_is_listened_to(catalog: &CatalogSettings) {
    let listener = catalog.event_listener.type_name();
    match catalog.scheduled_resync_interval {
        None => tracing::info!(listener, "Listening as {listener}"),
        Some(interval) => {
            let minutes = interval.as_secs() / 60;
            tracing::info!(
                listener,
                minutes,
                "Listening as {listener}, and resyncing every {minutes} minutes"
            );
        }
    }
}
