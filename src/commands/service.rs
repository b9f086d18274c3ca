//! The service: everything that runs for as long as the process does.
//!
//! ```text
//! credentials ─▶ prepare Port ─▶ listener, schedule ─▶ ready
//!                                     │
//!                                     └─requests─▶ runner: one resync after another
//! ```
//!
//! The only place that spawns. A task ends when it is asked to stop, and never
//! before: one that does takes the others with it, and the process ends with 1,
//! for an orchestrator to start it again. What a resync runs into is no such
//! end; see [`super::runner`].
//!
//! Stopping is bounded whatever the other end does: the runner by its own
//! deadlines, everything else by [`STOPPING`].

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::runner::{LONGEST_END, Runner};
use super::start::{Started, start};
use crate::event_listener::{self, Polling, last_served};
use crate::settings::{EventListener, Settings};

/// What all tasks together may take to end.
const STOPPING: Duration = LONGEST_END.saturating_add(Duration::from_secs(2));

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

/// The tasks of the process, by name.
struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

impl Tasks {
    fn new(stop: &CancellationToken) -> Self {
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            stop: stop.clone(),
        }
    }

    /// A task that ends by itself once `stop` is cancelled.
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// A task that may be dropped at any moment.
    fn spawn_until_stopped<T: Send>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    /// Until they are asked to stop. An end before that is a failure.
    async fn watch(&mut self) -> Result<(), Exit> {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            Some(ended) = self.set.join_next_with_id() => ended,
        };
        let (id, reason) = match ended {
            Ok((id, ())) => (id, "it ended by itself".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let task = self.names.get(&id).copied().unwrap_or("task");
        tracing::error!(
            task,
            "The {task} must not end and did ({reason}), so the process ends. Hint: have it started again"
        );
        Err(Exit::Failed)
    }

    /// Asks all of them to end, and waits for it.
    async fn end(mut self) {
        self.stop.cancel();
        let all = async { while self.set.join_next().await.is_some() {} };
        if timeout(STOPPING, all).await.is_err() {
            tracing::warn!("Not everything came to its end in time; the process ends all the same");
        }
    }
}
