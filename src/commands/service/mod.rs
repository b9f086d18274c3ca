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
use crate::settings::{EventListener, Settings};
use crate::store::Store;
use crate::sync::Trigger;
use crate::telemetry::{Shipper, metrics};
use crate::web::{self, Health, Requirement, ResyncRoute};

/// Serves until `stop` is cancelled, which is the one good end.
pub(super) async fn serve(
    settings: &Settings,
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
    let state = web_state(settings, &health, &requests);
    tasks.spawn("web server", web::serve(listener, state, stop.clone()));

    // Each attempt to reach somebody is bounded, and so is their number; all in all
    // it may take minutes, in which this is not stuck.
    let starting = beating(&health, Box::pin(start(settings)));
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

/// Starts whoever asks for resyncs, and who runs them. Then the process is ready;
/// with KAFKA, once that is known to work or not to.
fn attach(
    settings: &Settings,
    started: Started,
    store: Store,
    health: &Health,
    (requests, queue): (Requests, Queue),
    tasks: &mut Tasks,
) {
    let next = settings.scheduled_resync_interval.map(|interval| {
        // Beside any listener, also beside one that never asks for a resync
        // itself: whoever sets it wants it.
        let (next, asking) = event_listener::schedule(interval, requests.clone());
        tasks.spawn_until_stopped("schedule", asking);
        next
    });
    let port = started.resync.port.clone();
    match &settings.event_listener {
        EventListener::Polling {
            interval,
            resync_on_start,
        } => {
            let polling = Polling {
                interval: *interval,
                resync_on_start: *resync_on_start,
                served: last_served(&started.last_state),
            };
            tasks.spawn_until_stopped("event listener", async move {
                polling.run(&port, &requests).await
            });
        }
        #[cfg(feature = "kafka")]
        EventListener::Kafka(kafka) => {
            let kafka = event_listener::Kafka {
                settings: kafka.clone(),
                integration: settings.integration.clone(),
                outbound: settings.outbound.clone(),
            };
            let health = health.clone();
            let settled = move || health.meet(Requirement::Listener);
            let listening = kafka.run(port, requests, settled, tasks.stop.clone());
            tasks.spawn("event listener", listening);
        }
        _ => {}
    }
    let wait = settings.live_events.shutdown_wait;
    let runner = Runner::new(started.resync, store, wait);
    let running = runner.serve(queue, next, health.clone(), tasks.stop.clone());
    tasks.spawn("runner of resyncs", running);
    if !matches!(settings.event_listener, EventListener::Kafka(_)) {
        health.meet(Requirement::Listener);
    }
    say_what_is_listened_to(settings);
}

/// What the web server is to know.
fn web_state(settings: &Settings, health: &Health, requests: &Requests) -> web::State {
    let is_called = matches!(settings.event_listener, EventListener::Webhook { .. });
    let resync = is_called.then(|| {
        let requests = requests.clone();
        ResyncRoute {
            secret: settings.port.client_secret.clone(),
            integration: settings.integration.identifier.clone(),
            ask: Arc::new(move || requests.request(Trigger::Webhook)),
        }
    });
    web::State {
        health: health.clone(),
        path_prefix: settings.live_events.path_prefix.clone(),
        ocean_names: settings.metrics.ocean_names,
        resync,
    }
}

fn say_what_is_listened_to(settings: &Settings) {
    let listener = settings.event_listener.type_name();
    match settings.scheduled_resync_interval {
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
