//! The service: everything that runs for as long as the process does.
//!
//! ```text
//! web server ─▶ credentials ─▶ prepare Port ─▶ listener, schedule ─▶ ready
//!     │                                            │
//!     └──────────── POST /resync ──────────────────┴─requests─▶ runner: one resync after another
//! ```
//!
//! A task ends when it is asked to stop, and never before: one that does takes
//! the others with it, and the process ends with 1, for an orchestrator to start
//! it again. What a resync runs into is no such end; see [`super::runner`].

mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::tasks::Tasks;
use super::Exit;
use super::logging::shipping;
use super::runner::{Runner, beating};
use super::start::{Started, start};
use crate::causes::with_hint;
use crate::event_listener::{self, Polling, Queue, Requests, last_served};
use crate::settings::{CatalogSettings, EventListener, Settings};
use crate::store::Store;
use crate::sync::Trigger;
use crate::telemetry::{Shipper, metrics};
use crate::web::{self, Health, Requirement, ResyncRoute};

/// Serves until `stop` is cancelled, which is the one good end.
pub(super) async fn serve(
    settings: &Settings,
    catalog: &CatalogSettings,
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
    // A resync may be asked for before anybody can run it.
    let (requests, queue) = event_listener::requests();
    let mut tasks = Tasks::new(stop);
    let state = web_state(settings, catalog, &health, &requests);
    tasks.spawn("web server", web::serve(listener, state, stop.clone()));

    // Each attempt to reach somebody is bounded, and so is their number; all in all
    // it may take minutes, in which this is not stuck.
    let starting = beating(&health, Box::pin(start(settings, catalog)));
    let started = match stop.run_until_cancelled(starting).await {
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
        let store = Store::open(&settings.state_path).await;
        attach(
            settings,
            catalog,
            started,
            store,
            &health,
            (requests, queue),
            &mut tasks,
        );
        let outcome = tasks.watch().await;
        health.stopping();
        tasks.end().await;
        outcome
    };
    shipping(shipper, &port, ingest.as_ref(), serving).await
}

/// Starts whoever asks for resyncs, and who runs them. Then the process is ready.
fn attach(
    settings: &Settings,
    catalog: &CatalogSettings,
    started: Started,
    store: Store,
    health: &Health,
    (requests, queue): (Requests, Queue),
    tasks: &mut Tasks,
) {
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
    let runner = Runner::new(started.resync, store, wait);
    let running = runner.serve(queue, next, health.clone(), tasks.stop.clone());
    tasks.spawn("runner of resyncs", running);
    health.meet(Requirement::Listener);
    say_what_is_listened_to(catalog);
}

/// What the web server is to know.
fn web_state(
    settings: &Settings,
    catalog: &CatalogSettings,
    health: &Health,
    requests: &Requests,
) -> web::State {
    let is_called = matches!(catalog.event_listener, EventListener::Webhook { .. });
    let resync = is_called.then(|| {
        let requests = requests.clone();
        ResyncRoute {
            secret: catalog.port.client_secret.clone(),
            integration: catalog.integration.identifier.clone(),
            ask: Arc::new(move || requests.request(Trigger::Webhook)),
        }
    });
    web::State {
        health: health.clone(),
        path_prefix: settings.live_events.path_prefix.clone(),
        ocean_names: settings.metrics.ocean_names,
        resync,
        pagerstatus: None,
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
