//! What the history of runs keeps of a resync: from the words of `sync` to
//! those of `store`, which know nothing of each other.
//!
//! Never a reason for anything: a resync goes on whether it is remembered or not.

use jiff::Timestamp;

use crate::catalog::{Deletion, Withheld, WithheldReason};
use crate::causes::one_line;
use crate::mapping::Severity;
use crate::store::{
    FinishedRun, KindRecord, NewRun, Outcome, RunInProgress, Store, Totals, WithheldRecord,
};
use crate::sync::{Ending, KindReport, ResyncError, ResyncReport, ResyncRequest};

/// Notes that a resync begins. What it returns belongs to [`ended`].
pub(super) async fn began(store: &Store, request: &ResyncRequest) -> RunInProgress {
    let run = NewRun {
        trigger: request.trigger.as_str(),
        started: Timestamp::now(),
    };
    store.run_began(run).await
}

/// Notes how it ended; without an outcome, that it was broken off.
pub(super) async fn ended(
    store: &Store,
    run: RunInProgress,
    outcome: Option<&Result<ResyncReport, ResyncError>>,
) {
    store.run_ended(run, finished(outcome)).await;
}

fn finished(outcome: Option<&Result<ResyncReport, ResyncError>>) -> FinishedRun {
    match outcome {
        Some(Ok(report)) => reported(report),
        Some(Err(error)) => without_report(Outcome::Failed, Some(one_line(error))),
        None => without_report(Outcome::Stopped, None),
    }
}

fn without_report(outcome: Outcome, error: Option<String>) -> FinishedRun {
    FinishedRun {
        resync: None,
        outcome,
        error,
        totals: Totals::default(),
        kinds: Vec::new(),
        withheld: Vec::new(),
    }
}

fn reported(report: &ResyncReport) -> FinishedRun {
    let outcome = match report.ending() {
        _ if report.stopped => Outcome::Stopped,
        Ending::Done => Outcome::Done,
        Ending::Partly => Outcome::Partly,
        Ending::Failed => Outcome::Failed,
    };
    FinishedRun {
        resync: Some(report.id),
        outcome,
        error: report.deletion.error.clone(),
        totals: totals(&report.kinds, &report.deletion),
        kinds: report.kinds.iter().map(kind).collect(),
        withheld: report.deletion.withheld.iter().map(withheld).collect(),
    }
}

fn totals(kinds: &[KindReport], deletion: &Deletion) -> Totals {
    Totals {
        written: kinds.iter().map(|kind| kind.written.stored).sum(),
        unchanged: kinds.iter().map(|kind| kind.written.unchanged).sum(),
        failed: kinds.iter().map(KindReport::failed).sum(),
        deleted: deletion.deleted_in_all(),
        withheld: deletion.withheld_in_all(),
    }
}

fn kind(report: &KindReport) -> KindRecord {
    KindRecord {
        resource: report.index,
        kind: report.kind_text.clone(),
        fetched: report.fetched,
        filtered: report.filtered,
        mapped: report.mapped,
        written: report.written.stored,
        unchanged: report.written.unchanged,
        failed: report.failed(),
        duration: report.duration,
        is_complete: report.is_complete(),
        errors: errors(report),
    }
}

/// What the log said of it at ERROR, in the same order.
fn errors(report: &KindReport) -> Vec<String> {
    let findings = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string);
    let refusals = report.written.refusals.iter().map(|refusal| {
        format!(
            "Port refused `{}` of blueprint `{}`: {}",
            refusal.identifier, refusal.blueprint, refusal.reason
        )
    });
    let incomplete = report.errors.iter().cloned();
    incomplete.chain(findings).chain(refusals).collect()
}

fn withheld(withheld: &Withheld) -> WithheldRecord {
    let detail = match &withheld.reason {
        WithheldReason::Incomplete { kinds } => Some(kinds.join(", ")),
        WithheldReason::Cascade { example } => Some(example.clone()),
        WithheldReason::Refused { reason } => Some(reason.clone()),
        WithheldReason::Threshold | WithheldReason::BlueprintThreshold => None,
    };
    WithheldRecord {
        blueprint: withheld.blueprint.clone(),
        entities: withheld.entities,
        rate: withheld.rate,
        reason: withheld.reason.as_str().to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Refusal, Written};

    fn kind_report(stored: u64) -> KindReport {
        KindReport {
            kind: "incident (resources[2])".to_owned(),
            kind_text: "incident".to_owned(),
            index: 2,
            fetched: 13,
            filtered: 1,
            mapped: 11,
            unmappable: 1,
            written: Written {
                stored,
                unchanged: 4,
                refused: 2,
                refusals: vec![Refusal {
                    blueprint: "thing".to_owned(),
                    identifier: "a-1".to_owned(),
                    reason: "`position` must be a number".to_owned(),
                }],
                ..Written::default()
            },
            duration: Duration::from_millis(1_260),
            errors: vec!["could not list incidents".to_owned()],
            ..KindReport::default()
        }
    }

    fn report() -> ResyncReport {
        ResyncReport {
            id: Uuid::from_u128(7),
            kinds: vec![kind_report(5), kind_report(6)],
            deletion: Deletion {
                deleted: [("thing".to_owned(), 2), ("page".to_owned(), 1)].into(),
                withheld: vec![
                    Withheld {
                        blueprint: "thing".to_owned(),
                        entities: 8,
                        rate: Some(0.5),
                        reason: WithheldReason::BlueprintThreshold,
                    },
                    Withheld {
                        blueprint: "page".to_owned(),
                        entities: 1,
                        rate: None,
                        reason: WithheldReason::Incomplete {
                            kinds: vec!["incident".to_owned(), "statuspage".to_owned()],
                        },
                    },
                ],
                error: Some("could not read the entities of `part`".to_owned()),
                ..Deletion::default()
            },
            ..ResyncReport::default()
        }
    }

    #[test]
    fn a_report_is_kept_with_its_kinds_and_what_was_withheld() {
        let kept = finished(Some(&Ok(report())));

        assert_eq!(kept.resync, Some(Uuid::from_u128(7)));
        assert_eq!(kept.outcome, Outcome::Partly);
        assert_eq!(
            kept.error.as_deref(),
            Some("could not read the entities of `part`")
        );
        assert_eq!(
            kept.totals,
            Totals {
                written: 11,
                unchanged: 8,
                failed: 6,
                deleted: 3,
                withheld: 9,
            }
        );
        assert_eq!(
            kept.kinds[0],
            KindRecord {
                resource: 2,
                kind: "incident".to_owned(),
                fetched: 13,
                filtered: 1,
                mapped: 11,
                written: 5,
                unchanged: 4,
                failed: 3,
                duration: Duration::from_millis(1_260),
                is_complete: false,
                errors: vec![
                    "could not list incidents".to_owned(),
                    "Port refused `a-1` of blueprint `thing`: `position` must be a number"
                        .to_owned(),
                ],
            }
        );
        let withheld: Vec<_> = kept
            .withheld
            .iter()
            .map(|withheld| (withheld.reason.as_str(), withheld.detail.as_deref()))
            .collect();
        assert_eq!(
            withheld,
            [
                ("blueprint_threshold", None),
                ("incomplete", Some("incident, statuspage"))
            ]
        );
    }

    #[test]
    fn what_was_asked_to_stop_was_stopped_with_a_report_or_without() {
        let mut stopped = report();
        stopped.stopped = true;

        assert_eq!(finished(Some(&Ok(stopped))).outcome, Outcome::Stopped);
        assert_eq!(finished(None).outcome, Outcome::Stopped);
    }

    #[test]
    fn a_resync_that_could_not_begin_is_a_failed_run_with_its_reason() {
        let kept = finished(Some(&Err(ResyncError::NoIntegration)));

        assert_eq!(kept.outcome, Outcome::Failed);
        assert!(kept.error.unwrap().contains("does not exist in Port"));
    }
}
