//! What one pass came to, for whoever asked for it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::apply::{Applied, Outcome};
use super::config::Mode;
use super::model::{ComponentId, Page, PageId};
use super::plan::Withheld;

/// What one pass came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub mode: Mode,
    pub pages: Vec<PageReport>,
    /// Whatever could not be read or was not understood: one line each, with
    /// the remedy where one is known.
    pub problems: Vec<String>,
    /// Components that source incidents name and no page has: one line each.
    pub unknown_components: Vec<String>,
    /// How much of what there is could be seen.
    pub seen: Seen,
    /// When it is worth looking again, before the interval is over.
    pub again_at: Option<Timestamp>,
}

/// What was done, or would be done, on one page.
#[derive(Clone, Debug, Serialize)]
pub struct PageReport {
    pub page: Page,
    /// How many subscribers hear of what is published, where that was asked for
    /// and the key may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<u64>,
    pub steps: Vec<Applied>,
    pub withheld: Vec<Withheld>,
    /// Own incidents that are unresolved, whoever looks after them, as the page
    /// was before.
    pub managed: usize,
    /// What the page's components are called.
    #[serde(skip)]
    pub names: BTreeMap<ComponentId, String>,
}

/// How much could be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Everything,
    /// Nothing was resolved, or a page was left alone.
    Partly,
    /// No page could be read, so nothing was done.
    Nothing,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is as it ought to be, or as the guards want it.
    Done,
    /// Something could not be read or done.
    Partly,
    Failed,
}

impl Report {
    /// Of a pass that was asked to stop before it had seen anything.
    pub(super) fn stopped(mode: Mode) -> Self {
        Self {
            mode,
            pages: Vec::new(),
            problems: Vec::new(),
            unknown_components: Vec::new(),
            seen: Seen::Partly,
            again_at: None,
        }
    }

    pub fn ending(&self) -> Ending {
        let is_trouble =
            |applied: &Applied| matches!(applied.outcome, Outcome::Refused | Outcome::Unknown);
        let mut pages = self.pages.iter();
        let has_trouble = pages.any(|page| {
            page.steps.iter().any(is_trouble)
                || page
                    .withheld
                    .iter()
                    .any(|withheld| withheld.reason.is_trouble())
        });
        match self.seen {
            Seen::Nothing => Ending::Failed,
            Seen::Partly => Ending::Partly,
            Seen::Everything if has_trouble || !self.problems.is_empty() => Ending::Partly,
            Seen::Everything => Ending::Done,
        }
    }

    /// Steps with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let steps = self.pages.iter().flat_map(|page| &page.steps);
        steps.filter(|applied| applied.outcome == outcome).count()
    }

    /// How long until it is worth looking again, at most `interval`.
    pub fn pause(&self, now: Timestamp, interval: Duration) -> Duration {
        let until = self
            .again_at
            .and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        match self.again_at {
            Some(_) => until.unwrap_or_default().min(interval),
            None => interval,
        }
    }

    pub fn page(&self, id: &PageId) -> Option<&PageReport> {
        self.pages.iter().find(|report| report.page.id == *id)
    }
}
