//! What is run, and what the original took for it.

use clap::ValueEnum as _;
use portolan::sandbox::DatasetSize;
use portolan::settings::SourceName;
use serde::Serialize;

/// What is in Port when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Nothing.
    First,
    /// All that the run will find, as a run before it left it. Its own state database is
    /// new: what an earlier run knew would only help.
    Unchanged,
}

/// One source's resync of one company.
#[derive(Clone, Copy)]
pub(super) struct Workload {
    pub(super) source: SourceName,
    pub(super) dataset: DatasetSize,
    /// How many times the dataset.
    pub(super) times: u16,
    pub(super) state: State,
}

/// What the original took, the start of its interpreter included, on a machine of two
/// cores. Its requests to the vendor and to Port were counted together.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Original {
    pub(super) entities: f64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_mebibytes: f64,
    pub(super) requests: f64,
}

/// The rows of the table. Those of one company stand together: it is made up once.
pub(super) const TABLE: [Workload; 10] = {
    use DatasetSize::{Examples, Large, Medium};
    use SourceName::{Opsgenie, Pagerduty, Statuspage};
    use State::{First, Unchanged};
    [
        // About as many entities as the original had.
        of(Statuspage, Large, 6, First),
        of(Statuspage, Large, 6, Unchanged),
        of(Pagerduty, Large, 1, First),
        of(Pagerduty, Large, 1, Unchanged),
        of(Opsgenie, Large, 1, First),
        of(Opsgenie, Large, 1, Unchanged),
        of(Statuspage, Medium, 1, First),
        of(Pagerduty, Medium, 1, First),
        of(Statuspage, Examples, 1, First),
        of(Statuspage, Examples, 1, Unchanged),
    ]
};

const fn of(source: SourceName, dataset: DatasetSize, times: u16, state: State) -> Workload {
    Workload {
        source,
        dataset,
        times,
        state,
    }
}

impl State {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Workload {
    /// As it is asked for.
    pub(super) fn name(self) -> String {
        let source = self.source.as_str();
        let (dataset, state) = (self.dataset(), self.state.title());
        format!("{source} {dataset} {state}")
    }

    /// As it is told.
    pub(super) fn title(self) -> String {
        let source = self.source.title();
        let (dataset, state) = (self.dataset(), self.state.title());
        match self.times {
            1 => format!("{source}, {dataset}, {state}"),
            times => format!("{source}, {dataset} × {times}, {state}"),
        }
    }

    pub(super) fn dataset(self) -> String {
        let value = self.dataset.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many of the original's requests went to the vendor, by reckoning: all but those
    /// that write twenty entities each and those that look up fifty. Nothing for a
    /// handful of entities, of which others are the most.
    pub(super) fn upstream(self, original: &Original) -> Option<f64> {
        if self.dataset == DatasetSize::Examples {
            return None;
        }
        let written = match self.state {
            State::First => original.entities / 20.0,
            State::Unchanged => 0.0,
        };
        Some(original.requests - written - original.entities / 50.0)
    }

    /// What the original took for the same. Nobody measured Opsgenie's second resync, nor
    /// anything of medium size.
    pub(super) const fn original(self) -> Option<Original> {
        use DatasetSize::{Examples, Large};
        use SourceName::{Opsgenie, Pagerduty, Statuspage};
        use State::{First, Unchanged};
        let (entities, wall_seconds, cpu_seconds, peak_mebibytes, requests) =
            match (self.source, self.dataset, self.state) {
                (Statuspage, Large, First) => (114_719.0, 164.0, 229.0, 270.0, 10_395.0),
                (Statuspage, Large, Unchanged) => (114_719.0, 161.0, 224.0, 630.0, 4_938.0),
                (Pagerduty, Large, First) => (18_696.0, 42.0, 41.0, 111.0, 1_904.0),
                (Pagerduty, Large, Unchanged) => (18_696.0, 35.0, 42.0, 130.0, 969.0),
                (Opsgenie, Large, First) => (16_774.0, 32.0, 30.0, 141.0, 2_408.0),
                (Statuspage, Examples, First) => (11.0, 1.4, 1.4, 85.0, 81.0),
                _ => return None,
            };
        Some(Original {
            entities,
            wall_seconds,
            cpu_seconds,
            peak_mebibytes,
            requests,
        })
    }
}
