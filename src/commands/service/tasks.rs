//! The tasks of the process: the only place that spawns.
//!
//! Stopping is bounded whatever the other end of a connection does: the runner of
//! resyncs by its own deadlines, everything else by [`STOPPING`].
//!
//! Of several replicas one leads at a time. What only the leader may do is done in
//! its [`Terms`]; when all of that has ended, and not before, the lead is given
//! back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commands::Exit;
use crate::commands::runner::LONGEST_END;
use crate::live_events::leader::{Leadership, Term};

/// What all tasks together may take to end. The log lines that they leave take a
/// few seconds more, and an orchestrator kills after thirty.
const STOPPING: Duration = LONGEST_END.saturating_add(Duration::from_secs(1));

/// The tasks of the process, by name.
pub(super) struct Tasks {
    set: JoinSet<Option<Exit>>,
    names: HashMap<Id, &'static str>,
    /// Asks all of them to end.
    pub(super) stop: CancellationToken,
    leadership: Leadership,
    has_stood: bool,
    /// Cancelled when nothing is done as the leader any more: by the last guard.
    led: CancellationToken,
    guard: Arc<DropGuard>,
}

/// The times in which this process leads, for one task.
pub(super) struct Terms {
    leadership: Leadership,
    stop: CancellationToken,
    _guard: Arc<DropGuard>,
}

impl Tasks {
    pub(super) fn new(stop: &CancellationToken, leadership: Leadership) -> Self {
        let led = CancellationToken::new();
        Self {
            set: JoinSet::new(),
            names: HashMap::new(),
            stop: stop.clone(),
            leadership,
            has_stood: false,
            guard: Arc::new(led.clone().drop_guard()),
            led,
        }
    }

    /// A task that ends by itself once `stop` is cancelled.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.spawn_with_exit(name, async {
            task.await;
            None
        });
    }

    /// The same, where it may find that the process has to end: with this exit, and
    /// the reason has been said.
    pub(super) fn spawn_with_exit(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Option<Exit>> + Send + 'static,
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

    /// A task that ends by itself once the work of the leader has ended, which is
    /// after `stop`.
    pub(super) fn spawn_until_led<Task>(
        &mut self,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> Task,
    ) where
        Task: Future<Output = ()> + Send + 'static,
    {
        let task = task(self.led.clone());
        self.spawn(name, task);
    }

    /// For a task that acts as the leader. The first one makes this process stand
    /// for the lead.
    pub(super) fn terms(&mut self) -> Terms {
        if !std::mem::replace(&mut self.has_stood, true) {
            let leadership = self.leadership.clone();
            self.spawn_until_led("lease of the leader", |led| async move {
                leadership.keep(&led).await;
            });
        }
        Terms {
            leadership: self.leadership.clone(),
            stop: self.stop.clone(),
            _guard: Arc::clone(&self.guard),
        }
    }

    /// Until they are asked to stop. An end before that is a failure.
    pub(super) async fn watch(&mut self) -> Result<(), Exit> {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            Some(ended) = self.set.join_next_with_id() => ended,
        };
        let (id, reason) = match ended {
            Ok((_, Some(exit))) => return Err(exit),
            Ok((id, None)) => (id, "it ended by itself".to_owned()),
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
    pub(super) async fn end(self) {
        let Self {
            mut set,
            stop,
            guard,
            ..
        } = self;
        stop.cancel();
        drop(guard);
        let all = async { while set.join_next().await.is_some() {} };
        if timeout(STOPPING, all).await.is_err() {
            tracing::warn!("Not everything came to its end in time; the process ends all the same");
        }
    }
}

impl Terms {
    /// Waits for the next one. None: the process was asked to stop.
    pub(super) async fn next(&self) -> Option<Term> {
        self.stop.run_until_cancelled(self.leadership.term()).await
    }
}
