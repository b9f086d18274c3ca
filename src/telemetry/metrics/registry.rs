//! The one registry: each metric's name, unit and help.

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{
    ApiLabels, CallLabels, LiveLabels, MessageLabels, ObjectLabels, ReasonLabels, RequestLabels,
    ResyncLabels, SourceKind, SyncCallLabels, SyncPassLabels, SyncStepLabels, WebhookLabels,
};

/// What the process has measured so far.
pub(super) static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Seconds that a resync takes: from one that finds nothing to do to one of a
/// large account within its rate limits.
const RESYNC_SECONDS: [f64; 12] = [
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
];

/// Seconds that a request takes; the last is the usual deadline.
const REQUEST_SECONDS: [f64; 10] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// Seconds from an acknowledgement to what the public sees of it: at once, after
/// the usual minute between two passes, or after an outage.
const ANNOUNCED_SECONDS: [f64; 10] = [
    2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
];

/// Seconds that a webhook may take: what it should take, and what the most
/// impatient vendor allows.
const WEBHOOK_SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 5.0];

/// Seconds from a webhook to the catalog: at once, after some attempts, or after
/// an outage.
const LIVE_SECONDS: [f64; 11] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
];

type Seconds = Counter<f64, AtomicU64>;

pub(super) struct Metrics {
    pub(super) registry: Registry,
    pub(super) resyncs: Family<ResyncLabels, Counter>,
    pub(super) resync_duration: Histogram,
    pub(super) resync_in_progress: Gauge,
    pub(super) resync_calls: Family<CallLabels, Counter>,
    pub(super) kafka_messages: Family<MessageLabels, Counter>,
    pub(super) last_success: Family<SourceKind, Gauge>,
    pub(super) objects: Family<ObjectLabels, Counter>,
    pub(super) entities_deleted: Counter,
    pub(super) deletion_errors: Counter,
    pub(super) deletions_withheld: Family<ReasonLabels, Counter>,
    pub(super) stale_entities: Gauge,
    pub(super) api_requests: Family<RequestLabels, Counter>,
    pub(super) api_request_duration: Family<ApiLabels, Histogram>,
    pub(super) api_retries: Family<ApiLabels, Counter>,
    pub(super) api_rate_limit_wait: Family<ApiLabels, Seconds>,
    pub(super) api_budget_left: Family<ApiLabels, Gauge>,
    pub(super) api_budget_limit: Family<ApiLabels, Gauge>,
    pub(super) sync_passes: Family<SyncPassLabels, Counter>,
    pub(super) sync_last_success: Gauge,
    pub(super) sync_calls: Family<SyncCallLabels, Counter>,
    pub(super) sync_managed_incidents: Gauge,
    pub(super) sync_steps: Family<SyncStepLabels, Counter>,
    pub(super) sync_withheld: Family<ReasonLabels, Gauge>,
    pub(super) sync_oldest_unannounced: Gauge,
    pub(super) sync_announced_after: Histogram,
    pub(super) webhooks: Family<WebhookLabels, Counter>,
    pub(super) webhook_duration: Histogram,
    pub(super) live_events: Family<LiveLabels, Counter>,
    pub(super) live_event_done_after: Histogram,
    pub(super) live_events_waiting: Gauge,
    pub(super) live_events_dead: Gauge,
    pub(super) live_events_oldest: Gauge,
    pub(super) leader: Gauge,
}

impl Metrics {
    /// The library puts a full stop after each help text, a counter's `_total`
    /// after its name, and the unit before that.
    fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("portolan"),
            resyncs: Family::default(),
            resync_duration: Histogram::new(RESYNC_SECONDS),
            resync_in_progress: Gauge::default(),
            resync_calls: Family::default(),
            kafka_messages: Family::default(),
            last_success: Family::default(),
            objects: Family::default(),
            entities_deleted: Counter::default(),
            deletion_errors: Counter::default(),
            deletions_withheld: Family::default(),
            stale_entities: Gauge::default(),
            api_requests: Family::default(),
            api_request_duration: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            api_retries: Family::default(),
            api_rate_limit_wait: Family::default(),
            api_budget_left: Family::default(),
            api_budget_limit: Family::default(),
            sync_passes: Family::default(),
            sync_last_success: Gauge::default(),
            sync_calls: Family::default(),
            sync_managed_incidents: Gauge::default(),
            sync_steps: Family::default(),
            sync_withheld: Family::default(),
            sync_oldest_unannounced: Gauge::default(),
            sync_announced_after: Histogram::new(ANNOUNCED_SECONDS),
            webhooks: Family::default(),
            webhook_duration: Histogram::new(WEBHOOK_SECONDS),
            live_events: Family::default(),
            live_event_done_after: Histogram::new(LIVE_SECONDS),
            live_events_waiting: Gauge::default(),
            live_events_dead: Gauge::default(),
            live_events_oldest: Gauge::default(),
            leader: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let mut registry = std::mem::take(&mut self.registry);
        self.register_resyncs(&mut registry);
        self.register_catalog(&mut registry);
        self.register_apis(&mut registry);
        self.register_sync(&mut registry);
        self.register_live_events(&mut registry);
        register_process(&mut registry);
        Self { registry, ..self }
    }

    fn register_resyncs(&self, registry: &mut Registry) {
        registry.register(
            "resyncs",
            "Resyncs that have ended, by what asked for them and how they ended",
            self.resyncs.clone(),
        );
        registry.register_with_unit(
            "resync_duration",
            "How long resyncs took, from the first request to the last answer",
            Unit::Seconds,
            self.resync_duration.clone(),
        );
        registry.register(
            "resync_in_progress",
            "1 while a resync runs",
            self.resync_in_progress.clone(),
        );
        registry.register(
            "resync_calls",
            "Calls of POST /resync, by what became of them",
            self.resync_calls.clone(),
        );
        registry.register(
            "kafka_messages",
            "Messages from Port's Kafka, by what became of them",
            self.kafka_messages.clone(),
        );
        registry.register_with_unit(
            "last_success_timestamp",
            "When a kind was last listed to its end and mapped without an error, as Unix \
             time; 0 before the first time",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    fn register_catalog(&self, registry: &mut Registry) {
        registry.register(
            "objects",
            "Objects of a kind, by how far they got and what became of them there",
            self.objects.clone(),
        );
        registry.register(
            "entities_deleted",
            "Entities deleted from Port because no source has them any more",
            self.entities_deleted.clone(),
        );
        registry.register(
            "deletion_errors",
            "Resyncs whose search for stale entities failed, wholly or in part",
            self.deletion_errors.clone(),
        );
        registry.register(
            "deletions_withheld",
            "Stale entities that were not deleted, by the reason; those of each resync are \
             added anew",
            self.deletions_withheld.clone(),
        );
        registry.register(
            "stale_entities",
            "Stale entities that were left by the last resync that could look for them",
            self.stale_entities.clone(),
        );
    }

    fn register_apis(&self, registry: &mut Registry) {
        registry.register(
            "api_requests",
            "Requests to an API, each attempt counted, by the status of the answer or by \
             what was in its place",
            self.api_requests.clone(),
        );
        registry.register_with_unit(
            "api_request_duration",
            "How long an API took to answer, to the last byte",
            Unit::Seconds,
            self.api_request_duration.clone(),
        );
        registry.register(
            "api_retries",
            "Requests to an API that were sent again",
            self.api_retries.clone(),
        );
        registry.register_with_unit(
            "api_rate_limit_wait",
            "How long requests were held back to keep to the rate limit of an API",
            Unit::Seconds,
            self.api_rate_limit_wait.clone(),
        );
        registry.register(
            "api_budget_left",
            "Requests left of an API's rate limit, as it last announced",
            self.api_budget_left.clone(),
        );
        registry.register(
            "api_budget_limit",
            "Requests in a period of an API's rate limit, as it last announced",
            self.api_budget_limit.clone(),
        );
    }

    fn register_sync(&self, registry: &mut Registry) {
        registry.register(
            "incident_sync_passes",
            "Passes of incident sync that have ended, by how",
            self.sync_passes.clone(),
        );
        registry.register_with_unit(
            "incident_sync_last_success_timestamp",
            "When a pass of incident sync last read everything and did all it wanted to, as \
             Unix time; 0 before the first time",
            Unit::Seconds,
            self.sync_last_success.clone(),
        );
        registry.register(
            "incident_sync_calls",
            "Calls of Pagerstatus' webhook, by what became of them",
            self.sync_calls.clone(),
        );
        registry.register(
            "incident_sync_managed_incidents",
            "Public incidents that are open and that incident sync looks after",
            self.sync_managed_incidents.clone(),
        );
        registry.register(
            "incident_sync_steps",
            "Steps of incident sync, by what they were to do and what became of them",
            self.sync_steps.clone(),
        );
        registry.register(
            "incident_sync_withheld",
            "Steps that the last pass of incident sync held back, by the reason",
            self.sync_withheld.clone(),
        );
        registry.register_with_unit(
            "incident_sync_oldest_unannounced",
            "Age of the oldest incident that should be public and is not; 0 when there is none",
            Unit::Seconds,
            self.sync_oldest_unannounced.clone(),
        );
        registry.register_with_unit(
            "incident_sync_announced_after",
            "How long it took from an acknowledgement to the public incident",
            Unit::Seconds,
            self.sync_announced_after.clone(),
        );
    }

    fn register_live_events(&self, registry: &mut Registry) {
        registry.register(
            "webhooks",
            "Webhooks that came in, by whose they were and what became of them",
            self.webhooks.clone(),
        );
        registry.register_with_unit(
            "webhook_duration",
            "How long it took to answer a webhook, once its head was there",
            Unit::Seconds,
            self.webhook_duration.clone(),
        );
        registry.register(
            "live_events",
            "Live events by what an attempt at them came to, each attempt counted",
            self.live_events.clone(),
        );
        registry.register_with_unit(
            "live_event_done_after",
            "How long it took from the first webhook about an object to the catalog",
            Unit::Seconds,
            self.live_event_done_after.clone(),
        );
        registry.register(
            "live_events_waiting",
            "Live events that are stored and not done yet",
            self.live_events_waiting.clone(),
        );
        registry.register(
            "live_events_dead",
            "Live events that were given up and are kept",
            self.live_events_dead.clone(),
        );
        registry.register_with_unit(
            "live_events_oldest",
            "Age of the live event that has waited longest; 0 when there is none",
            Unit::Seconds,
            self.live_events_oldest.clone(),
        );
        registry.register(
            "leader",
            "1 while this replica leads, which one that is alone always does; 0 while it stands by",
            self.leader.clone(),
        );
    }
}

fn register_process(registry: &mut Registry) {
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("os", OS),
        ("arch", ARCH),
    ];
    let build_info: Family<[(&str, &str); 3], Gauge> = Family::default();
    build_info.get_or_create(&build).set(1);
    registry.register("build_info", "1; what runs is in the labels", build_info);
    registry.register_with_unit(
        "process_start_time",
        "When the process started, as Unix time",
        Unit::Seconds,
        ConstGauge::new(Timestamp::now().as_second()),
    );
}

/// Appends what is in the registry.
pub(super) fn encode(text: &mut String, registry: &Registry) {
    // Writing into a string does not fail.
    text::encode_registry(text, registry).unwrap_or_default();
}
