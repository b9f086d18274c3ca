//! Runs resyncs, one after another, and brings the one that runs to an end when
//! the process is to end.
//!
//! There is one runner in a process, and it does nothing else; that is why two
//! triggers never run two resyncs at once. Nothing that a resync runs into ends
//! it: what went wrong is logged, and the next request tries again.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::causes::with_hint;
use crate::event_listener::{NextScheduled, Queue};
use crate::sync::{Progress, Resync, ResyncError, ResyncReport, ResyncRequest};

/// The most that a resync which is asked to stop may take to write what it has,
/// whatever the settings say: an orchestrator kills what is still there after
/// half a minute, and Port is to be told before.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What telling Port may take then.
const TELLING: Duration = Duration::from_secs(5);

/// Everything that ending a resync may take.
pub(super) const LONGEST_END: Duration = LONGEST_WAIT.saturating_add(TELLING);

/// Runs resyncs.
pub(super) struct Runner {
    resync: Resync,
    wait: Duration,
}

impl Runner {
    /// A resync that is asked to stop may go on for `wait`, within reason.
    pub(super) fn new(resync: Resync, wait: Duration) -> Self {
        Self {
            resync,
            wait: wait.min(LONGEST_WAIT),
        }
    }

    /// Runs one resync for each request until `stop` is cancelled.
    pub(super) async fn serve(
        self,
        mut queue: Queue,
        next: Option<NextScheduled>,
        stop: CancellationToken,
    ) {
        loop {
            let trigger = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                trigger = queue.next() => trigger,
            };
            let request = ResyncRequest {
                trigger,
                next_scheduled: next.as_ref().and_then(NextScheduled::time),
            };
            tracing::info!(%trigger, "Resyncing, as asked for by: {trigger}");
            let progress = Progress::default();
            if let Some(Err(error)) = self.run(&request, &progress, &stop).await {
                tracing::error!("{}", explain(&error));
            }
        }
    }

    /// Runs one resync. None where it had to be broken off: it was asked to stop,
    /// and did not within the wait. Port has been told then.
    pub(super) async fn run(
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
        let telling = self.resync.tell_aborted(request.next_scheduled);
        if timeout(TELLING, telling).await.is_err() {
            tracing::warn!("Could not tell Port in time that the resync was broken off");
        }
        None
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
