//! What live events measure, from the webhook to the catalog.

use std::time::Duration;

use super::labels::{LiveLabels, LiveResult, WebhookLabels, WebhookResult};
use super::registry::METRICS;
use crate::settings::SourceName;

/// Somebody called a route for webhooks. `source`: whose it was, if that is known.
pub fn webhook_answered(source: Option<SourceName>, result: WebhookResult, took: Duration) {
    METRICS
        .webhooks
        .get_or_create(&WebhookLabels::new(source, result))
        .inc();
    METRICS.webhook_duration.observe(took.as_secs_f64());
}

/// An attempt at so many events has ended.
pub fn live_events(source: SourceName, result: LiveResult, count: usize) {
    METRICS
        .live_events
        .get_or_create(&LiveLabels::new(source, result))
        .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
}

/// So long after it had come in, an event was done.
pub fn live_event_done_after(delay: Duration) {
    METRICS.live_event_done_after.observe(delay.as_secs_f64());
}

/// How full the spool is, and how long the first of those that wait has been
/// there.
pub fn live_events_in_spool(waiting: u64, dead: u64, oldest: Option<Duration>) {
    let seconds = oldest.unwrap_or_default().as_secs();
    for (gauge, value) in [
        (&METRICS.live_events_waiting, waiting),
        (&METRICS.live_events_dead, dead),
        (&METRICS.live_events_oldest, seconds),
    ] {
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// Whether this process leads from now on.
pub fn leads(leads: bool) {
    METRICS.leader.set(i64::from(leads));
}
