//! The service: everything that runs for as long as the process does.
//!
//! ```text
//! credentials ─▶ prepare Port ─▶ listener, schedule ─▶ ready
//!                                     │
//!                                     └─requests─▶ runner: one resync after another
//! ```
//!
//! A task ends when it is asked to stop, and never before: one that does takes
//! the others with it, and the process ends with 1, for an orchestrator to start
//! it again. What a resync runs into is no such end; see [`super::runner`].

mod tasks;
#[cfg(test)]
mod tests;

use tokio_util::sync::CancellationToken;

use self::tasks::Tasks;
use super::Exit;
use super::runner::Runner;
use super::start::{Started, start};
use crate::event_listener::{self, Polling, last_served};
use crate::settings::{EventListener, Settings};

/// Serves until `stop` is cancelled, which is the one good end.
pub(super) async fn serve(settings: &Settings, stop: &CancellationToken) -> Result<(), Exit> {
    let mut tasks = Tasks::new(stop);
    let served = async {
        let Some(started) = stop.run_until_cancelled(start(settings)).await else {
            return Ok(());
        };
        attach(settings, started?, &mut tasks);
        tasks.watch().await
    };
    let outcome = served.await;
    tasks.end().await;
    outcome
}

/// Starts whoever asks for resyncs, and who runs them.
fn attach(settings: &Settings, started: Started, tasks: &mut Tasks) {
    let Started { resync, last_state } = started;
    let (requests, queue) = event_listener::requests();
    let port = resync.port.clone();
    let runner = Runner::new(resync, settings.live_events.shutdown_wait);
    let next = settings.scheduled_resync_interval.map(|interval| {
        let (next, asking) = event_listener::schedule(interval, requests.clone());
        tasks.spawn_until_stopped("schedule", asking);
        next
    });
    tasks.spawn(
        "runner of resyncs",
        runner.serve(queue, next, tasks.stop.clone()),
    );
    if let EventListener::Polling {
        interval,
        resync_on_start,
    } = settings.event_listener
    {
        let polling = Polling {
            interval,
            resync_on_start,
            served: last_served(&last_state),
        };
        tasks.spawn_until_stopped("event listener", async move {
            polling.run(&port, &requests).await
        });
    }
    let listener = settings.event_listener.type_name();
    match settings.scheduled_resync_interval {
        None => tracing::info!(listener, "Listening for resync requests as {listener}"),
        Some(interval) => {
            let minutes = interval.as_secs() / 60;
            tracing::info!(
                listener,
                minutes,
                "Listening for resync requests as {listener}, and resyncing every {minutes} minutes"
            );
        }
    }
}
