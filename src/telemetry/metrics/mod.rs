//! Every metric, as a typed function.
//!
//! Whoever measures something calls the function that is named for it and knows
//! nothing of names, labels and registries. There is one registry a process,
//! since there is one process to be scraped.
//!
//! Labels come from enums, from the API's name and, for kinds, from the mapping;
//! never from identifiers, messages or addresses: each new value is a series
//! that is kept for ever. `docs/operations.md` describes every metric, and a
//! test compares it with what is exposed.
//!
//! Names begin with `portolan_` and use base units. The names of Port Ocean
//! stand beside them, see [`ocean`].

mod exposition;
mod labels;
mod live;
pub mod ocean;
mod registry;
mod sync;

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub use self::exposition::Exposition;
pub use self::labels::{
    ApiOutcome, KafkaMessage, LiveResult, ObjectResult, ResyncCall, ResyncResult, SourceKind,
    SyncCall, SyncPass, WebhookResult,
};
pub use self::live::{
    leads, live_event_done_after, live_events, live_events_in_spool, webhook_answered,
};
pub use self::sync::{
    sync_announced_after, sync_called, sync_last_success, sync_managed_incidents,
    sync_oldest_unannounced, sync_pass, sync_step, sync_withheld,
};

use self::labels::{
    ApiLabels, CallLabels, MessageLabels, ObjectLabels, ReasonLabels, RequestLabels, ResyncLabels,
};
use self::registry::METRICS;

/// Everything that is measured, as text.
pub fn expose(exposition: Exposition, ocean_names: bool) -> String {
    let mut text = String::new();
    registry::encode(&mut text, &METRICS.registry);
    if ocean_names {
        ocean::encode(&mut text);
    }
    exposition.finish(text)
}

/// The process starts. Whatever is called here first counts as its start, so
/// let it be this.
pub fn start() {
    LazyLock::force(&METRICS);
}

/// A resync begins; it is to be ended with [`resync_ended`].
pub fn resync_began() {
    METRICS.resync_in_progress.inc();
}

/// A resync has ended. `trigger` is one of a few names.
pub fn resync_ended(trigger: &'static str, result: ResyncResult, duration: Duration) {
    METRICS.resync_in_progress.dec();
    METRICS
        .resyncs
        .get_or_create(&ResyncLabels { trigger, result })
        .inc();
    METRICS.resync_duration.observe(duration.as_secs_f64());
}

/// These are the kinds of the mapping, and no other: each has a time of its
/// last success from now on, `0` until there is one.
pub fn kinds_known(kinds: Vec<SourceKind>) {
    static KNOWN: Mutex<Vec<SourceKind>> = Mutex::new(Vec::new());

    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for gone in known.iter().filter(|kind| !kinds.contains(kind)) {
        METRICS.last_success.remove(gone);
    }
    for kind in &kinds {
        // Creating it is what counts.
        drop(METRICS.last_success.get_or_create(kind));
    }
    *known = kinds;
}

/// Everything of this kind was listed and mapped.
pub fn kind_succeeded(kind: &SourceKind, at: Timestamp) {
    METRICS.last_success.get_or_create(kind).set(at.as_second());
}

/// What became of so many objects of a kind.
pub fn objects(kind: &SourceKind, result: ObjectResult, count: u64) {
    let labels = ObjectLabels::new(kind, result);
    METRICS.objects.get_or_create(&labels).inc_by(count);
}

/// So many entities were deleted.
pub fn entities_deleted(count: u64) {
    METRICS.entities_deleted.inc_by(count);
}

/// A deletion ended early, or could not look at all.
pub fn deletion_failed() {
    METRICS.deletion_errors.inc();
}

/// So many entities were not deleted. `reason` is one of a few names.
pub fn deletion_withheld(reason: &'static str, count: u64) {
    METRICS
        .deletions_withheld
        .get_or_create(&ReasonLabels { reason })
        .inc_by(count);
}

/// So many entities in all are kept although the sources have them no more.
pub fn stale_entities(count: u64) {
    METRICS
        .stale_entities
        .set(i64::try_from(count).unwrap_or(i64::MAX));
}

/// A request to an API was answered, or was not.
pub fn api_request(api: &'static str, outcome: ApiOutcome, duration: Duration) {
    METRICS
        .api_requests
        .get_or_create(&RequestLabels::new(api, outcome))
        .inc();
    METRICS
        .api_request_duration
        .get_or_create(&ApiLabels::new(api))
        .observe(duration.as_secs_f64());
}

/// A request is about to be sent once more.
pub fn api_retry(api: &'static str) {
    METRICS
        .api_retries
        .get_or_create(&ApiLabels::new(api))
        .inc();
}

/// A key of this API was kept from sending for so long.
pub fn api_rate_limit_waited(api: &'static str, wait: Duration) {
    METRICS
        .api_rate_limit_wait
        .get_or_create(&ApiLabels::new(api))
        .inc_by(wait.as_secs_f64());
}

/// What an API said about its rate limit.
pub fn api_budget(api: &'static str, limit: Option<u64>, remaining: Option<u64>) {
    let labels = ApiLabels::new(api);
    let announced = [
        (limit, &METRICS.api_budget_limit),
        (remaining, &METRICS.api_budget_left),
    ];
    for (count, gauge) in announced {
        if let Some(count) = count {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauge.get_or_create(&labels).set(count);
        }
    }
}

/// Somebody called `POST /resync`.
pub fn resync_called(call: ResyncCall) {
    METRICS
        .resync_calls
        .get_or_create(&CallLabels { result: call })
        .inc();
}

/// A message came from Port's Kafka.
pub fn kafka_message(result: KafkaMessage) {
    METRICS
        .kafka_messages
        .get_or_create(&MessageLabels { result })
        .inc();
}
