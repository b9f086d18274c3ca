//! Runs resyncs, one after another, and brings the one that runs to an end when
//! the process is to end.
//!
//! There is one runner in a process, and it does nothing else; that is why two
//! triggers never run two resyncs at once. Of several replicas only the one that
//! leads runs any, and its resync is broken off when it does not lead any more.
//! Nothing that a resync runs into ends the runner: what went wrong is logged, and
//! the next request tries again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::history;
use crate::api::ResyncStatus;
use crate::causes::with_hint;
use crate::event_listener::Queue;
use crate::live_events::leader::Term;
use crate::reconcile::hints::{Hint, Hints};
use crate::store::Store;
use crate::sync::{
    NextScheduled, Progress, Resync, ResyncError, ResyncReport, ResyncRequest, Trigger,
};
use crate::web::Health;

/// The most that a resync which is asked to stop may take to write what it has,
/// whatever the settings say: an orchestrator kills what is still there after
/// half a minute, and Port is to be told before.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What telling Port may take then.
const TELLING: Duration = Duration::from_secs(5);

/// Between two beats of a process that is alive.
const BEAT: Duration = Duration::from_secs(2);

/// Everything that ending a resync may take.
pub(super) const LONGEST_END: Duration = LONGEST_WAIT.saturating_add(TELLING);

/// Runs resyncs.
pub(super) struct Runner {
    resync: Arc<Resync>,
    store: Store,
    wait: Duration,
    hints: Option<Hints>,
}

impl Runner {
    /// Each resync is noted in `store`. One that is asked to stop may go on for
    /// `wait`, within reason.
    pub(super) fn new(resync: Arc<Resync>, store: Store, wait: Duration) -> Self {
        Self {
            resync,
            store,
            wait: wait.min(LONGEST_WAIT),
            hints: None,
        }
    }

    /// Hints at the end of each resync, whatever came of it.
    pub(super) fn hinting(mut self, hints: Option<Hints>) -> Self {
        self.hints = hints;
        self
    }

    /// Runs one resync for each request until `stop` is cancelled or the term is
    /// over. Returns a request that was not served to its end.
    pub(super) async fn serve(
        &self,
        queue: &mut Queue,
        next: Option<NextScheduled>,
        term: &Term,
        stop: &CancellationToken,
    ) -> Option<Trigger> {
        let mut unserved = None;
        loop {
            let requested = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                requested = term.within(self.idle_until(queue.next())) => requested,
            };
            let Some(trigger) = requested else { break };
            let request = ResyncRequest {
                trigger,
                next_scheduled: next.clone(),
            };
            tracing::info!(%trigger, "Resyncing, as asked for by: {trigger}");
            let progress = Progress::default();
            let outcome = self.run(&request, &progress, term, stop).await;
            unserved = match &outcome {
                None => Some(trigger),
                Some(Ok(report)) if report.stopped => Some(trigger),
                Some(_) => None,
            };
            if let Some(Err(error)) = outcome {
                tracing::error!("{}", explain(&error));
            }
            if let Some(hints) = &self.hints {
                hints.give(Hint::Resync);
            }
        }
        // The last occasion, if Port did not take the end of the last resync.
        let telling = timeout(TELLING, self.resync.state.tell_late());
        if let Some(Err(_)) = term.within(telling).await {
            tracing::warn!("Could not tell Port in time how the last resync ended");
        }
        unserved
    }

    /// Waits for the next request.
    async fn idle_until(&self, requested: impl Future<Output = Trigger>) -> Trigger {
        tokio::select! {
            trigger = requested => trigger,
            never = self.resync.state.keep_telling_late() => match never {},
        }
    }

    /// Runs one resync. None where it had to be broken off: it was asked to stop,
    /// and did not within the wait, and Port has been told; or the term was over,
    /// and telling Port is for whoever leads now.
    pub(super) async fn run(
        &self,
        request: &ResyncRequest,
        progress: &Progress,
        term: &Term,
        stop: &CancellationToken,
    ) -> Option<Result<ResyncReport, ResyncError>> {
        let noted = history::began(&self.store, request).await;
        let running = term.within(self.run_stoppable(request, progress, stop));
        let outcome = running.await.unwrap_or_else(|| {
            tracing::warn!(
                "The resync was broken off, since this replica does not lead any more: what was written stays in Port, \
                 and whoever leads next resyncs again"
            );
            None
        });
        history::ended(&self.store, noted, outcome.as_ref()).await;
        outcome
    }

    async fn run_stoppable(
        &self,
        request: &ResyncRequest,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Option<Result<ResyncReport, ResyncError>> {
        let out_of_time = async {
            stop.cancelled().await;
            sleep(self.wait).await;
        };
        tokio::select! {
            outcome = self.resync.run(request, progress, stop) => return Some(outcome),
            () = out_of_time => {}
        }
        tracing::warn!(
            "The resync did not end within {:?} of being asked to and was broken off: what was written stays in Port, \
             the rest is missing until the next resync",
            self.wait
        );
        let next = request.next_scheduled.as_ref();
        let telling = self.resync.state.ended(ResyncStatus::Aborted, next);
        if timeout(TELLING, telling).await.is_err() {
            tracing::warn!("Could not tell Port in time that the resync was broken off");
        }
        None
    }
}

/// Does `work` and beats meanwhile. Both are one task, so work that blocks it
/// stops the beat.
pub(super) async fn beating<T>(health: &Health, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ticks = interval(BEAT);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = ticks.tick() => health.beat(),
        }
    }
}

/// Why there was no resync. The mistakes of a mapping keep their lines, or the
/// carets would stand under nothing.
pub(super) fn explain(error: &ResyncError) -> String {
    match error {
        ResyncError::Invalid(mapping) => format!(
            "Nothing was resynced: {mapping}\n\nHint: correct the mapping on the data source's page in Port"
        ),
        error => format!("Nothing was resynced: {}", with_hint(error, error.hint())),
    }
}
