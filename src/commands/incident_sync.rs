//! The incident sync as part of a process: set up, woken by hints, and at the
//! end of a resync that is run once.
//!
//! It neither waits for the catalog nor for Port. Whatever a pass runs into is
//! said, and the next one tries again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::causes::with_hint;
use crate::reconcile::hints::{Hint, Taker};
use crate::reconcile::{Ask, Ending, Mode, Outcome, Reconciler, Report, SetupError};
use crate::settings::Settings;
use crate::store::Store;

/// Between two passes, however many hints there are: anybody who knows the
/// address may give one, and each pass costs requests.
const BREATH: Duration = Duration::from_secs(5);

/// A reconciler, and how far it may go.
pub(super) struct IncidentSync {
    pub(super) reconciler: Reconciler,
    pub(super) mode: Mode,
}

/// The reconciler that the settings ask for. What is wrong has been said.
pub(super) fn set_up(settings: &Settings, store: &Store) -> Result<Option<IncidentSync>, Exit> {
    let Some(sync) = &settings.incident_sync else {
        return Ok(None);
    };
    let built = Reconciler::new(
        sync,
        &settings.outbound,
        &settings.rate_limits,
        store.clone(),
    );
    let (reconciler, warnings) = built.map_err(|error| {
        match &error {
            SetupError::Document(invalid) => tracing::error!("Cannot start: {invalid}"),
            error => tracing::error!("Cannot start: {}", with_hint(error, error.hint())),
        }
        Exit::NotStarted
    })?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mode = reconciler.mode(sync);
    Ok((mode != Mode::Off).then_some(IncidentSync { reconciler, mode }))
}

impl IncidentSync {
    /// How long it takes until everybody sees what somebody has written. Whoever
    /// writes nothing need not wait.
    pub(super) fn settle(&self) -> Duration {
        if self.mode == Mode::Apply {
            self.reconciler.config.guards.settle
        } else {
            Duration::ZERO
        }
    }

    /// Runs passes until `stop` is cancelled: at once, when the interval is over,
    /// and on hints. May be dropped between any two steps: the next pass, here or in
    /// another process, begins with a look at what is there.
    pub(super) async fn serve(&self, taker: &mut Taker, stop: &CancellationToken) {
        let mode = self.mode;
        tracing::info!(%mode, "Keeping Statuspage incidents in step with on-call incidents (mode {mode})");
        let mut hint = Hint::Start;
        loop {
            tracing::debug!(%hint, "Incident sync: a pass, because of {hint}");
            let report = self.pass(stop).await;
            let next = tokio::time::Instant::now() + BREATH;
            let pause = report
                .pause(Timestamp::now(), self.reconciler.config.interval)
                .max(BREATH);
            let woken = async {
                tokio::select! {
                    hint = taker.next() => hint,
                    () = sleep(pause) => Hint::Interval,
                }
            };
            let Some(woken) = stop.run_until_cancelled(woken).await else {
                return;
            };
            hint = woken;
            if stop.run_until_cancelled(sleep_until(next)).await.is_none() {
                return;
            }
        }
    }

    /// One pass, as far as the settings let it go.
    pub(super) async fn pass(&self, stop: &CancellationToken) -> Report {
        let ask = Ask {
            mode: self.mode,
            with_subscribers: false,
        };
        let report = self.reconciler.pass(ask, stop).await;
        summarize(&report);
        report
    }
}

/// One line on what a pass did, where it did anything.
fn summarize(report: &Report) {
    let count = |outcome| report.count(outcome);
    let (done, planned) = (count(Outcome::Done), count(Outcome::Planned));
    let failed = count(Outcome::Refused) + count(Outcome::Unknown);
    if done + failed > 0 {
        tracing::info!(done, failed, "Incident sync: done {done}, failed {failed}");
    } else {
        tracing::debug!(planned, "Incident sync: {planned} steps planned");
    }
}

/// How a pass that was run for itself ends the process.
pub(super) fn exit(report: &Report) -> Exit {
    match report.ending() {
        Ending::Done => Exit::Done,
        Ending::Partly => Exit::Partly,
        Ending::Failed => Exit::Failed,
    }
}
