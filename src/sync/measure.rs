//! A resync in metrics.
//!
//! Every resync that begins is counted once: by its report, as failed where it
//! has none, and as stopped where whoever ran it did not wait for its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::report::{Ending, KindReport, ResyncReport};
use super::request::Trigger;
use crate::catalog::Deletion;
use crate::resource_config::ResourceConfig;
use crate::telemetry::metrics::ocean::LastResync;
use crate::telemetry::metrics::{self, ObjectResult, ResyncResult, SourceKind};

/// Runs a resync and counts it.
pub(super) async fn measured<E>(
    trigger: Trigger,
    resync: impl Future<Output = Result<ResyncReport, E>>,
) -> Result<ResyncReport, E> {
    let mut running = Running::begin(trigger);
    let outcome = resync.await;
    running.result = if let Ok(report) = &outcome {
        result(report)
    } else {
        not_begun(running.began.elapsed()).publish();
        ResyncResult::Failed
    };
    outcome
}

/// The mapping is read: these are its kinds.
pub(super) fn began(configs: &[Arc<ResourceConfig>]) {
    let kinds = configs
        .iter()
        .map(|config| SourceKind::new(Some(config.kind.source()), &config.kind_text));
    metrics::kinds_known(kinds.collect());
}

/// Adds what a resync did to the metrics.
pub(super) fn measure(report: &ResyncReport) {
    for kind in &report.kinds {
        objects(kind);
    }
    let incomplete: BTreeSet<_> = report
        .kinds
        .iter()
        .filter(|kind| !kind.is_complete())
        .map(|kind| (kind.source, &kind.kind_text))
        .collect();
    let now = Timestamp::now();
    for kind in &report.kinds {
        if !incomplete.contains(&(kind.source, &kind.kind_text)) {
            metrics::kind_succeeded(&labels(kind), now);
        }
    }
    if !report.stopped {
        deletion(&report.deletion);
    }
    ocean(report).publish();
}

/// A resync that runs until this is dropped.
struct Running {
    trigger: Trigger,
    began: Instant,
    result: ResyncResult,
}

impl Running {
    fn begin(trigger: Trigger) -> Self {
        metrics::resync_began();
        Self {
            trigger,
            began: Instant::now(),
            result: ResyncResult::Stopped,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::resync_ended(self.trigger.as_str(), self.result, self.began.elapsed());
    }
}

fn result(report: &ResyncReport) -> ResyncResult {
    match report.ending() {
        _ if report.stopped => ResyncResult::Stopped,
        Ending::Done => ResyncResult::Done,
        Ending::Partly => ResyncResult::Partly,
        Ending::Failed => ResyncResult::Failed,
    }
}

fn labels(kind: &KindReport) -> SourceKind {
    SourceKind::new(kind.source, &kind.kind_text)
}

fn objects(kind: &KindReport) {
    let labels = labels(kind);
    let counts = [
        (ObjectResult::Fetched, kind.fetched),
        (ObjectResult::Filtered, kind.filtered),
        (ObjectResult::Mapped, kind.mapped),
        (ObjectResult::Failed, kind.unmappable),
        (ObjectResult::Written, kind.written.stored),
        (ObjectResult::Unchanged, kind.written.unchanged),
        (ObjectResult::Refused, kind.written.refused),
    ];
    for (result, count) in counts {
        metrics::objects(&labels, result, count);
    }
}

fn deletion(deletion: &Deletion) {
    metrics::entities_deleted(deletion.deleted_in_all());
    for withheld in &deletion.withheld {
        metrics::deletion_withheld(withheld.reason.as_str(), withheld.entities);
    }
    match deletion.error {
        // What is stale is not known, so what was known stands.
        Some(_) => metrics::deletion_failed(),
        None => metrics::stale_entities(deletion.withheld_in_all()),
    }
}

/// In Port Ocean's words. It times a kind's parts apart, and here they run side
/// by side: both of its phases get the time from the first request to the last
/// page.
fn ocean(report: &ResyncReport) -> LastResync {
    let last = LastResync::default();
    for kind in &report.kinds {
        let name = format!("{}-{}", kind.kind_text, kind.index);
        last.duration(&name, "extract", kind.duration);
        last.duration(&name, "resync", kind.duration);
        last.success(&name, "resync", kind.is_complete());
        let counts = [
            ("extract", "raw_extracted", kind.fetched),
            ("transform", "transformed", kind.mapped),
            ("transform", "filtered_out", kind.filtered),
            ("transform", "failed", kind.unmappable),
            ("load", "loaded", kind.written.stored),
            ("load", "skipped", kind.written.unchanged),
            ("load", "failed", kind.written.refused),
        ];
        for (phase, object_count_type, count) in counts {
            last.count(&name, phase, object_count_type, count);
        }
    }
    if !report.stopped {
        let deletion = &report.deletion;
        let name = "__reconciliation__";
        last.duration(name, "delete", deletion.duration);
        last.count(name, "delete", "deleted", deletion.deleted_in_all());
        last.success(name, "delete", deletion.is_done());
    }
    last.duration("__resync__", "resync", report.duration);
    last.success("__resync__", "resync", !report.is_incomplete());
    last
}

/// A resync that has nothing to tell of any kind is shown as well, or the one
/// before would be taken for it.
fn not_begun(duration: Duration) -> LastResync {
    let last = LastResync::default();
    last.duration("__resync__", "resync", duration);
    last.success("__resync__", "resync", false);
    last
}

#[cfg(test)]
mod tests {
    use tokio::sync::Mutex;

    use super::*;
    use crate::catalog::{Withheld, WithheldReason, Written};
    use crate::settings::SourceName;
    use crate::telemetry::metrics::Exposition;

    /// The value of a series as it is exposed; `-` when there is none.
    fn value(series: &str) -> String {
        let text = metrics::expose(Exposition::OpenMetrics, true);
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .unwrap_or("-")
            .to_owned()
    }

    fn kind(kind_text: &str, index: usize) -> KindReport {
        KindReport {
            kind_text: kind_text.to_owned(),
            index,
            source: Some(SourceName::Pagerduty),
            fetched: 9,
            filtered: 2,
            mapped: 6,
            unmappable: 0,
            written: Written {
                stored: 3,
                unchanged: 2,
                refused: 1,
                ..Written::default()
            },
            duration: Duration::from_millis(1500),
            ..KindReport::default()
        }
    }

    /// All count in one registry.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

    #[tokio::test(start_paused = true)]
    async fn what_a_resync_did_is_added_up_and_the_last_one_shown_in_oceans_words() {
        let _turn = ONE_AT_A_TIME.lock().await;
        let mut broken = kind("measured broken", 2);
        broken.errors = vec!["could not be listed".to_owned()];
        let report = ResyncReport {
            kinds: vec![kind("measured", 0), kind("measured broken", 1), broken],
            deletion: Deletion {
                deleted: [("service".to_owned(), 4)].into(),
                withheld: vec![Withheld {
                    blueprint: "service".to_owned(),
                    entities: 5,
                    rate: None,
                    reason: WithheldReason::Threshold,
                }],
                duration: Duration::from_secs(2),
                ..Deletion::default()
            },
            duration: Duration::from_mins(1),
            ..ResyncReport::default()
        };
        let before = Timestamp::now().as_second();

        measure(&report);

        let object = |kind, phase, result| {
            let labels =
                format!(r#"source="pagerduty",kind="{kind}",phase="{phase}",result="{result}""#);
            value(&format!("portolan_objects_total{{{labels}}}"))
        };
        assert_eq!(object("measured", "extract", "fetched"), "9");
        assert_eq!(object("measured broken", "extract", "fetched"), "18");
        assert_eq!(object("measured", "transform", "filtered"), "2");
        assert_eq!(object("measured", "transform", "mapped"), "6");
        assert_eq!(object("measured", "transform", "failed"), "0");
        assert_eq!(object("measured", "load", "written"), "3");
        assert_eq!(object("measured", "load", "unchanged"), "2");
        assert_eq!(object("measured", "load", "refused"), "1");

        let success = |kind| {
            let labels = format!(r#"source="pagerduty",kind="{kind}""#);
            value(&format!(
                "portolan_last_success_timestamp_seconds{{{labels}}}"
            ))
        };
        assert!(success("measured").parse::<i64>().unwrap() >= before);
        assert_eq!(success("measured broken"), "-", "one of two is incomplete");

        assert_eq!(value("portolan_entities_deleted_total"), "4");
        assert_eq!(value("portolan_stale_entities"), "5");
        assert_eq!(
            value(r#"portolan_deletions_withheld_total{reason="threshold"}"#),
            "5"
        );

        let phase =
            |name, kind, phase| value(&format!(r#"{name}{{kind="{kind}",phase="{phase}"}}"#));
        assert_eq!(phase("duration_seconds", "measured-0", "resync"), "1.5");
        assert_eq!(phase("duration_seconds", "__resync__", "resync"), "60.0");
        assert_eq!(phase("success", "measured-0", "resync"), "1");
        assert_eq!(phase("success", "measured broken-2", "resync"), "0");
        assert_eq!(phase("success", "__reconciliation__", "delete"), "0");
        let skipped = r#"object_count{kind="measured-0",phase="load",object_count_type="skipped"}"#;
        assert_eq!(value(skipped), "2");

        measure(&ResyncReport::default());
        assert_eq!(value(skipped), "-", "only the last resync is shown");
        assert_eq!(value("portolan_stale_entities"), "0");
    }

    #[tokio::test]
    async fn what_the_last_resync_could_not_find_out_is_not_shown_as_good() {
        let _turn = ONE_AT_A_TIME.lock().await;
        let withheld = Withheld {
            blueprint: "service".to_owned(),
            entities: 5,
            rate: None,
            reason: WithheldReason::Threshold,
        };
        let of_deletion = |deletion| ResyncReport {
            deletion,
            ..ResyncReport::default()
        };
        measure(&of_deletion(Deletion {
            withheld: vec![withheld],
            ..Deletion::default()
        }));
        measure(&of_deletion(Deletion {
            error: Some("could not read".to_owned()),
            ..Deletion::default()
        }));
        assert_eq!(value("portolan_stale_entities"), "5");

        let whole = r#"success{kind="__resync__",phase="resync"}"#;
        measure(&ResyncReport::default());
        assert_eq!(value(whole), "1");
        let failed = measured(Trigger::Start, async { Err(()) });
        failed.await.unwrap_err();
        assert_eq!(value(whole), "0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_resync_is_counted_whether_it_ends_fails_or_is_dropped() {
        let _turn = ONE_AT_A_TIME.lock().await;
        let count = |result| {
            let labels = format!(r#"trigger="webhook",result="{result}""#);
            value(&format!("portolan_resyncs_total{{{labels}}}"))
        };
        let done = async { Ok::<_, ()>(ResyncReport::default()) };
        let stopped = async {
            Ok::<_, ()>(ResyncReport {
                stopped: true,
                ..ResyncReport::default()
            })
        };
        measured(Trigger::Webhook, done).await.unwrap();
        measured(Trigger::Webhook, stopped).await.unwrap();
        let failed = async { Err(()) };
        measured(Trigger::Webhook, failed).await.unwrap_err();
        let dropped = measured(Trigger::Webhook, std::future::pending::<Result<_, ()>>());
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, dropped).await.unwrap_err();

        assert_eq!(count("done"), "1");
        assert_eq!(count("failed"), "1");
        assert_eq!(count("stopped"), "2");
        assert_eq!(count("partly"), "-");
    }
}
