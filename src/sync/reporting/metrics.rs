//! How each kind stands, in the terms in which Port draws it: a state, and
//! durations and counts by phase.
//!
//! Every kind is `pending` when the mapping is read, `syncing` from its first
//! request on, and has its last state when the whole resync is over, for only
//! then is it known what became of its entities.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use url::Url;

use crate::api::{ApiError, KindMetrics, MetricsOrigin, PortClient, SyncState};
use crate::causes::one_line;
use crate::resource_config::ResourceConfig;
use crate::sync::report::{Ending, KindReport, ResyncReport};

/// States that wait to be told. More kinds than this begin at once in no mapping;
/// what is left out is made good at the end.
const WAITING: usize = 64;

/// Last states that are told at a time.
const AT_A_TIME: usize = 4;

/// Port's names for what is about no kind.
const DELETION: &str = "__reconciliation__";
const WHOLE: &str = "__resync__";

/// The states of one or all kinds.
pub(super) enum Note {
    All(Vec<KindMetrics>),
    One(KindMetrics),
}

/// Takes notes of how the kinds stand.
pub(super) struct Kinds {
    kinds: OnceLock<Vec<Kind>>,
    sender: mpsc::Sender<Note>,
}

struct Kind {
    name: String,
    blueprint: String,
    began: AtomicBool,
}

pub(super) fn channel() -> (Kinds, mpsc::Receiver<Note>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let kinds = Kinds {
        kinds: OnceLock::new(),
        sender,
    };
    (kinds, receiver)
}

impl Kinds {
    pub(super) fn began(&self, configs: &[Arc<ResourceConfig>]) {
        let kinds = self.kinds.get_or_init(|| {
            configs
                .iter()
                .map(|config| Kind {
                    name: config.kind_text.clone(),
                    blueprint: config.mapping.blueprint.filter.text().to_owned(),
                    began: AtomicBool::new(false),
                })
                .collect()
        });
        let pending = kinds.iter().enumerate();
        let pending =
            pending.map(|(index, kind)| kind.metrics(index, SyncState::Pending, json!({})));
        self.note(Note::All(pending.collect()));
    }

    pub(super) fn kind_began(&self, config: &ResourceConfig) {
        let kind = self.kinds.get().and_then(|kinds| kinds.get(config.index));
        if let Some(kind) = kind.filter(|kind| !kind.began.swap(true, Ordering::Relaxed)) {
            self.note(Note::One(kind.metrics(
                config.index,
                SyncState::Syncing,
                json!({}),
            )));
        }
    }

    /// Everything there is to say in the end: the kinds, then the whole.
    pub(super) fn ended(&self, report: &ResyncReport) -> Vec<KindMetrics> {
        let kinds = self.kinds.get().map_or(&[][..], Vec::as_slice);
        let each = kinds
            .iter()
            .zip(&report.kinds)
            .enumerate()
            .map(|(index, (kind, tally))| {
                let state = state(tally, report.stopped);
                kind.metrics(index, state, phases(tally, state))
            });
        each.chain([deletion(report), whole(report)]).collect()
    }

    /// A full channel: Port is slow, and hears of it at the end.
    fn note(&self, note: Note) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(note) {
            tracing::debug!("Port is not told each step of this resync: it did not keep up");
        }
    }
}

impl Kind {
    fn metrics(&self, index: usize, state: SyncState, phases: Value) -> KindMetrics {
        KindMetrics {
            kind: self.name.clone(),
            index: Some(index),
            state,
            blueprint: Some(self.blueprint.clone()),
            phases,
        }
    }
}

/// Tells the states as they come, then the last ones. These whatever became of
/// those before: without them Port would show kinds as under way for ever.
pub(super) async fn tell(
    port: &PortClient,
    ingest: &Url,
    origin: MetricsOrigin,
    mut notes: mpsc::Receiver<Note>,
    ended: &OnceLock<Vec<KindMetrics>>,
) -> Result<(), ApiError> {
    let mut has_failed = false;
    while let Some(note) = notes.recv().await {
        // Once the last states are known the earlier ones are old news.
        if has_failed || ended.get().is_some() {
            continue;
        }
        let told = match note {
            Note::All(metrics) => port.post_metrics(ingest, origin, &metrics).await,
            Note::One(metrics) => port.put_kind_metrics(ingest, origin, &metrics).await,
        };
        if let Err(error) = told {
            has_failed = true;
            tracing::debug!(
                "Port is told no more steps of this resync, only its end: {}",
                one_line(&error)
            );
        }
    }
    let Some(metrics) = ended.get() else {
        return Ok(());
    };
    let (kinds, whole): (Vec<_>, Vec<_>) = metrics
        .iter()
        .cloned()
        .partition(|metrics| metrics.index.is_some());
    // Collected, since the compiler cannot tell of a closure over references that
    // it may move between threads.
    let each: Vec<_> = kinds
        .iter()
        .map(|kind| port.put_kind_metrics(ingest, origin, kind))
        .collect();
    stream::iter(each)
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    port.post_metrics(ingest, origin, &whole).await
}

fn state(kind: &KindReport, stopped: bool) -> SyncState {
    if kind.is_complete() {
        SyncState::Completed
    } else if stopped {
        SyncState::Aborted
    } else {
        SyncState::Failed
    }
}

fn phases(kind: &KindReport, state: SyncState) -> Value {
    json!({
        "extract": {
            "object_count_type": {"raw_extracted": count(kind.fetched)},
            "duration_seconds": kind.duration.as_secs_f64(),
        },
        "transform": {"object_count_type": {
            "transformed": count(kind.mapped),
            "filtered_out": count(kind.filtered),
            "failed": count(kind.unmappable),
        }},
        "load": {"object_count_type": {
            "loaded": count(kind.written.stored),
            "skipped": count(kind.written.unchanged),
            "failed": count(kind.written.refused),
        }},
        "resync": outcome(kind.duration, state),
    })
}

fn deletion(report: &ResyncReport) -> KindMetrics {
    let deletion = &report.deletion;
    let state = if report.stopped {
        SyncState::Aborted
    } else if deletion.is_done() {
        SyncState::Completed
    } else {
        SyncState::Failed
    };
    let mut phase = outcome(deletion.duration, state);
    phase["object_count_type"] = json!({
        "deleted": count(deletion.deleted_in_all()),
        "skipped": count(deletion.withheld_in_all()),
    });
    about_all(DELETION, state, json!({ "delete": phase }))
}

fn whole(report: &ResyncReport) -> KindMetrics {
    let state = if report.stopped {
        SyncState::Aborted
    } else if report.ending() == Ending::Failed || report.is_incomplete() {
        SyncState::Failed
    } else {
        SyncState::Completed
    };
    let phase = outcome(report.duration, state);
    about_all(WHOLE, state, json!({ "resync": phase }))
}

fn about_all(name: &str, state: SyncState, phases: Value) -> KindMetrics {
    KindMetrics {
        kind: name.to_owned(),
        index: None,
        state,
        blueprint: None,
        phases,
    }
}

fn outcome(duration: Duration, state: SyncState) -> Value {
    let success = if state == SyncState::Completed {
        1.0
    } else {
        0.0
    };
    json!({"duration_seconds": duration.as_secs_f64(), "success": success})
}

fn count(objects: u64) -> Value {
    json!({ "object_count": objects })
}
