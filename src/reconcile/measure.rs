//! What a pass leaves in metrics and in the log.
//!
//! A pass comes every minute and mostly finds what the last one found, so what
//! was said is not said again until it changes.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::desired::{Desired, Wish};
use super::model::PageId;
use super::plan::{Reason, Withheld};
use super::record::Key;
use super::report::{Report, Seen};
use super::step::StepKind;
use super::{Ending, Outcome, Reconciler};
use crate::telemetry::metrics::{self, SyncPass};

impl Reconciler {
    pub(super) fn measure(&self, report: &Report) {
        let ending = report.ending();
        metrics::sync_pass(match ending {
            Ending::Done => SyncPass::Done,
            Ending::Partly => SyncPass::Partly,
            Ending::Failed => SyncPass::Failed,
        });
        if ending == Ending::Done {
            metrics::sync_last_success((self.now)());
        }
        if report.seen != Seen::Nothing {
            metrics::sync_managed_incidents(report.pages.iter().map(|page| page.managed).sum());
        }
        let withheld: Vec<Reason> = report
            .pages
            .iter()
            .flat_map(|page| page.withheld.iter().map(|withheld| withheld.reason))
            .collect();
        let by_reason = Reason::ALL.map(|reason| {
            let count = withheld.iter().filter(|one| **one == reason).count();
            (reason.as_str(), count)
        });
        metrics::sync_withheld(&by_reason);
    }

    /// How long the oldest source incident has been waiting to be announced.
    pub(super) fn measure_unannounced(&self, wish: &Wish, report: &Report) {
        let unannounced: BTreeSet<(&PageId, &Key)> = report
            .pages
            .iter()
            .flat_map(|page| {
                let steps = page.steps.iter().filter(|applied| {
                    let opens = matches!(applied.step.kind, StepKind::Open | StepKind::Reopen);
                    opens && applied.outcome != Outcome::Done
                });
                let steps = steps.map(|applied| (&page.page.id, &applied.step.key));
                let withheld = page.withheld.iter().filter(|one| one.incident.is_none());
                steps.chain(withheld.map(|one| (&page.page.id, &one.key)))
            })
            .collect();
        let oldest = wish
            .incidents
            .iter()
            .filter(|desired| unannounced.contains(&(&desired.page, &desired.key)))
            .filter_map(Desired::opens_since)
            .min();
        let age = oldest.map(|since| {
            Duration::try_from((self.now)().duration_since(since)).unwrap_or_default()
        });
        metrics::sync_oldest_unannounced(age);
    }

    /// Says something unless the last pass said it, too; whether it was said.
    pub(super) fn say(&self, line: &str, is_trouble: bool) -> bool {
        let is_new = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let was_said = memory.said_before.contains(line);
            memory.said.insert(line.to_owned()) && !was_said
        };
        match (is_new, is_trouble) {
            (false, _) => {}
            (true, true) => tracing::warn!("{line}"),
            (true, false) => tracing::info!("{line}"),
        }
        is_new
    }

    /// What is said from now on is said by another pass.
    pub(super) fn begin_to_say(&self) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.said_before = std::mem::take(&mut memory.said);
    }

    pub(super) fn say_problems(&self, problems: &[String]) {
        for problem in problems {
            self.say(problem, true);
        }
    }

    /// Says what is held back, and why.
    pub(super) fn say_withheld(&self, withheld: &[Withheld]) {
        for one in withheld {
            let what = match &one.incident {
                Some(incident) => format!("incident {incident} ({})", one.key),
                None => one.key.to_string(),
            };
            let line = format!(
                "Status page {}: {what} stays as it is: {}",
                one.page, one.detail
            );
            self.say(&line, one.reason.is_trouble());
        }
    }
}
