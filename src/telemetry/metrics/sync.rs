//! What incident sync measures.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::labels::{
    ReasonLabels, SyncCall, SyncCallLabels, SyncPass, SyncPassLabels, SyncStepLabels,
};
use super::registry::METRICS;

/// A pass has ended.
pub fn sync_pass(result: SyncPass) {
    METRICS
        .sync_passes
        .get_or_create(&SyncPassLabels { result })
        .inc();
}

/// A pass that ended at this moment read everything and did all it wanted to.
pub fn sync_last_success(at: Timestamp) {
    METRICS.sync_last_success.set(at.as_second());
}

/// So many public incidents are open and looked after.
pub fn sync_managed_incidents(count: usize) {
    METRICS.sync_managed_incidents.set(whole(count));
}

/// A step has ended. Both are names of the few that the trail knows, see
/// [`SyncStepKind`](crate::store::SyncStepKind) and
/// [`SyncOutcome`](crate::store::SyncOutcome).
pub fn sync_step(kind: &'static str, result: &'static str) {
    METRICS
        .sync_steps
        .get_or_create(&SyncStepLabels { kind, result })
        .inc();
}

/// These steps were held back by the last pass. `reason` is one of a few names;
/// of those that are not among them none was.
pub fn sync_withheld(by_reason: &[(&'static str, usize)]) {
    static KNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = |reason| by_reason.iter().any(|(counted, _)| *counted == reason);
    for reason in known.iter().copied().filter(|reason| !counted(*reason)) {
        METRICS
            .sync_withheld
            .get_or_create(&ReasonLabels { reason })
            .set(0);
    }
    for &(reason, count) in by_reason {
        METRICS
            .sync_withheld
            .get_or_create(&ReasonLabels { reason })
            .set(whole(count));
        if !known.contains(&reason) {
            known.push(reason);
        }
    }
}

/// Since when the oldest incident that should be public is not; none when all are.
pub fn sync_oldest_unannounced(age: Option<Duration>) {
    let seconds = age.unwrap_or_default().as_secs();
    METRICS
        .sync_oldest_unannounced
        .set(i64::try_from(seconds).unwrap_or(i64::MAX));
}

/// An incident became public so long after it was acknowledged.
pub fn sync_announced_after(delay: Duration) {
    METRICS.sync_announced_after.observe(delay.as_secs_f64());
}

/// Somebody called Pagerstatus' webhook.
pub fn sync_called(call: SyncCall) {
    METRICS
        .sync_calls
        .get_or_create(&SyncCallLabels { result: call })
        .inc();
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
