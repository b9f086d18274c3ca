//! The tasks of the process: the only place that spawns.
//!
//! Stopping is bounded whatever the other end of a connection does: the runner of
//! resyncs by its own deadlines, everything else by [`STOPPING`].

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::commands::Exit;
use crate::commands::runner::LONGEST_END;

/// What all tasks together may take to end. The log lines that they leave take a
/// few seconds more, and an orchestrator kills after thirty.
const STOPPING: Duration = LONGEST_END.saturating_add(Duration::from_secs(1));

/// The tasks of the process, by name.
pub(super) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    /// Asks all of them to end.
    pub(super) stop: CancellationToken,
}

impl Tasks {
    pub(super) fn new(stop: &CancellationToken) -> Self {
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            stop: stop.clone(),
        }
    }

    /// A task that ends by itself once `stop` is cancelled.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// A task that may be dropped at any moment.
    pub(super) fn spawn_until_stopped<T: Send>(
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
    pub(super) async fn watch(&mut self) -> Result<(), Exit> {
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
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        let all = async { while self.set.join_next().await.is_some() {} };
        if timeout(STOPPING, all).await.is_err() {
            tracing::warn!("Not everything came to its end in time; the process ends all the same");
        }
    }
}
