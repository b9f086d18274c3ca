//! How resyncs stand, told to Port.
//!
//! The state is for people to look at; a resync does not depend on it. But Port
//! shows what it was told last, and a service may have nothing to do for days:
//! an end that Port could not be told when it came is told later, or Port would
//! show a resync that never ends.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::request::NextScheduled;
use crate::api::{ApiError, PortClient, ResyncState, ResyncStatus};
use crate::causes::one_line;

/// Between two attempts to tell an end late.
const PAUSE: Duration = Duration::from_mins(1);

/// Tells Port how resyncs stand.
pub struct StateInPort {
    port: PortClient,
    /// Minutes between scheduled resyncs; none without a schedule.
    interval_minutes: Option<u64>,
    /// The end of the last resync, where Port does not know it yet.
    untold: Mutex<Option<ResyncState>>,
}

impl StateInPort {
    pub const fn new(port: PortClient, interval_minutes: Option<u64>) -> Self {
        Self {
            port,
            interval_minutes,
            untold: Mutex::new(None),
        }
    }

    pub(super) async fn began(&self, started: Timestamp, next: Option<&NextScheduled>) {
        *self.untold() = None;
        self.tell(ResyncState {
            status: ResyncStatus::Running,
            last_resync_start: Some(started),
            last_resync_end: None,
            next_resync: next.and_then(NextScheduled::time),
            interval_in_minutes: self.interval_minutes,
        })
        .await;
    }

    /// It ends now.
    pub async fn ended(&self, status: ResyncStatus, next: Option<&NextScheduled>) {
        self.tell(ResyncState {
            status,
            last_resync_start: None,
            last_resync_end: Some(Timestamp::now()),
            next_resync: next.and_then(NextScheduled::time),
            interval_in_minutes: self.interval_minutes,
        })
        .await;
    }

    async fn tell(&self, state: ResyncState) {
        let Err(error) = self.port.set_resync_state(&state).await else {
            return;
        };
        tracing::warn!(
            "Could not tell Port the state of the resync: {}",
            one_line(&error)
        );
        if state.last_resync_end.is_some() && may_pass(&error) {
            *self.untold() = Some(state);
        }
    }

    /// Somebody else has resynced since: the end of the last one is nobody's
    /// business any more.
    pub fn forget(&self) {
        *self.untold() = None;
    }

    /// Tells the end of the last resync, if Port does not know it yet.
    pub async fn tell_late(&self) {
        let untold = self.untold().clone();
        let Some(state) = untold else { return };
        match self.port.set_resync_state(&state).await {
            Ok(()) => {
                *self.untold() = None;
                tracing::info!("Port knows now how the last resync ended");
            }
            Err(error) => tracing::debug!(
                "Still could not tell Port how the last resync ended: {}",
                one_line(&error)
            ),
        }
    }

    /// Does so again and again. To be dropped when the next resync begins.
    pub async fn keep_telling_late(&self) -> Infallible {
        loop {
            sleep(PAUSE).await;
            self.tell_late().await;
        }
    }

    fn untold(&self) -> MutexGuard<'_, Option<ResyncState>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether Port may take it another time.
fn may_pass(error: &ApiError) -> bool {
    matches!(error.status(), None | Some(408 | 429 | 500..))
}
