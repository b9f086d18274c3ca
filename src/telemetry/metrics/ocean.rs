//! The last resync under Port Ocean's names, for dashboards that exist.
//!
//! Gauges without a prefix: `duration_seconds`, `object_count` and `success`,
//! with kinds written `{kind}-{index}`. They are replaced as a whole, so that a
//! scrape never sees a part of one resync beside a part of another, and a kind
//! that has left the mapping leaves here too.
//!
//! What the original measures of its own process (`cpu_…`, `memory_…`,
//! `event_loop_latency_…`, `response_size_…`) is not here, nor its
//! `rate_limit_wait_seconds` by endpoint: `docs/operations.md` says what to
//! look at instead.

use std::sync::atomic::AtomicU64;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::registry;

/// What is exposed; none before the first resync.
static LAST: RwLock<Option<Registry>> = RwLock::new(None);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    kind: String,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    kind: String,
    phase: &'static str,
    object_count_type: &'static str,
}

/// One resync, as it is gathered.
#[derive(Default)]
pub struct LastResync {
    durations: Family<PhaseLabels, Gauge<f64, AtomicU64>>,
    counts: Family<CountLabels, Gauge>,
    successes: Family<PhaseLabels, Gauge>,
}

impl LastResync {
    /// What took how long, in one of the original's phases.
    pub fn duration(&self, kind: &str, phase: &'static str, duration: Duration) {
        let kind = kind.to_owned();
        self.durations
            .get_or_create(&PhaseLabels { kind, phase })
            .set(duration.as_secs_f64());
    }

    /// How many objects, by the original's word for what became of them.
    pub fn count(
        &self,
        kind: &str,
        phase: &'static str,
        object_count_type: &'static str,
        count: u64,
    ) {
        let labels = CountLabels {
            kind: kind.to_owned(),
            phase,
            object_count_type,
        };
        self.counts
            .get_or_create(&labels)
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether it went well.
    pub fn success(&self, kind: &str, phase: &'static str, success: bool) {
        let kind = kind.to_owned();
        self.successes
            .get_or_create(&PhaseLabels { kind, phase })
            .set(i64::from(success));
    }

    /// Shows this resync in place of the one before.
    pub fn publish(self) {
        let mut names = Registry::default();
        names.register(
            "duration_seconds",
            "How long a phase of the last resync took",
            self.durations,
        );
        names.register(
            "object_count",
            "Objects in a phase of the last resync",
            self.counts,
        );
        names.register(
            "success",
            "1 if a phase of the last resync went well, else 0",
            self.successes,
        );
        *LAST.write().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }
}

/// Appends the last resync.
pub(super) fn encode(text: &mut String) {
    let last = LAST.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(names) = last.as_ref() {
        registry::encode(text, names);
    }
}
