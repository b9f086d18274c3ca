//! The simulators, and the runs of one workload against them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use portolan::sandbox::{DatasetSize, Matcher, RecordedRequest, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde::Serialize;

use super::measure::{self, Measured, median, typical};
use super::workload::{Original, State, Workload};
use super::{Outcome, real};

/// One row: the median of the runs.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(skip)]
    pub(super) workload: Workload,
    pub(super) title: String,
    source: &'static str,
    dataset: String,
    times: u16,
    state: State,
    pub(super) entities: usize,
    #[serde(flatten)]
    pub(super) measured: Measured,
    /// In so much of the wall clock's time at least one simulator was busy with an
    /// answer, reading and writing it not counted.
    pub(super) answering_seconds: f64,
    pub(super) vendor_requests: usize,
    pub(super) port_requests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original: Option<Original>,
}

impl Row {
    pub(super) fn cpu_micros_per_entity(&self) -> f64 {
        self.measured.cpu_seconds * 1e6 / real(self.entities.max(1))
    }

    /// Something that the original had, for as many entities as there are here.
    pub(super) fn scaled(&self, original: &Original, what: f64) -> f64 {
        what / original.entities * real(self.entities)
    }
}

/// The company of the last workload: the next one is likely to want the same.
#[derive(Default)]
pub(super) struct Stage {
    company: Option<Company>,
}

struct Company {
    dataset: DatasetSize,
    times: u16,
    sandbox: Sandbox,
    /// Whose entities Port has, all of them.
    port_has: Option<SourceName>,
}

impl Stage {
    /// Runs one workload so many times.
    pub(super) async fn row(&mut self, workload: Workload, runs: usize) -> Outcome<Row> {
        eprintln!("{} …", workload.title());
        let source = workload.source;
        let company = self.company(workload.dataset, workload.times).await?;
        if workload.state == State::Unchanged && company.port_has != Some(source) {
            company.empty_port();
            company.run(source)?;
        }
        let mut all = Vec::new();
        let mut answering = Vec::new();
        for _ in 0..runs {
            if workload.state == State::First {
                company.empty_port();
            }
            all.push(company.run(source)?);
            answering.push(company.answering(source));
        }
        let sandbox = &company.sandbox;
        Ok(Row {
            workload,
            title: workload.title(),
            source: source.as_str(),
            dataset: workload.dataset(),
            times: workload.times,
            state: workload.state,
            entities: sandbox.port.entity_counts().values().sum(),
            measured: typical(&all),
            answering_seconds: median(&answering, |one| *one),
            vendor_requests: asked(sandbox, source).len(),
            port_requests: sandbox.port.requested(&Matcher::any()),
            original: workload.original(),
        })
    }

    async fn company(&mut self, dataset: DatasetSize, times: u16) -> Outcome<&mut Company> {
        let same = |company: &Company| (company.dataset, company.times) == (dataset, times);
        if !self.company.as_ref().is_some_and(same) {
            // The old one first: both would take twice the memory.
            if let Some(old) = self.company.take() {
                old.sandbox.stop().await;
            }
            let options = SandboxOptions {
                dataset,
                times,
                ..SandboxOptions::default()
            };
            self.company = Some(Company {
                dataset,
                times,
                sandbox: Sandbox::start(options).await?,
                port_has: None,
            });
        }
        self.company
            .as_mut()
            .ok_or_else(|| "there is no company".into())
    }
}

impl Company {
    fn empty_port(&mut self) {
        self.sandbox.port.clear();
        self.port_has = None;
    }

    /// One run, whose requests alone are remembered afterwards.
    fn run(&mut self, source: SourceName) -> Outcome<Measured> {
        self.sandbox.clear_requests();
        // What limits a real run is measured by `paced`.
        let limits = ["STATUSPAGE", "PAGERDUTY"].map(|api| {
            let name = format!("OCEAN__RATE_LIMITS__{api}_PER_MINUTE");
            (name, "1000000".to_owned())
        });
        let mut environment: BTreeMap<_, _> =
            self.sandbox.environment_for(source).into_iter().collect();
        environment.extend(limits);
        let measured = measure::run(&["run", "--once"], environment)?;
        let problems = self.sandbox.problems();
        if !problems.is_empty() {
            let problems = problems.join("\n");
            return Err(
                format!("the simulators were asked what they should not be:\n{problems}").into(),
            );
        }
        self.port_has = Some(source);
        Ok(measured)
    }

    /// For how many seconds at least one simulator was busy with an answer.
    fn answering(&self, source: SourceName) -> f64 {
        let mut all = self.sandbox.port.requests();
        all.extend(asked(&self.sandbox, source));
        let spans = all.iter().filter_map(|one| Some((one.at, one.answered?)));
        covered(spans.collect()).as_secs_f64()
    }
}

/// How much time these spans cover, counted once where they overlap.
fn covered(mut spans: Vec<(Timestamp, Timestamp)>) -> SignedDuration {
    spans.sort_unstable();
    let mut sum = SignedDuration::ZERO;
    let mut until = Timestamp::MIN;
    for (from, to) in spans {
        let from = from.max(until);
        if to > from {
            sum += to.duration_since(from);
            until = to;
        }
    }
    sum
}

/// What a vendor was asked.
pub(super) fn asked(sandbox: &Sandbox, source: SourceName) -> Vec<RecordedRequest> {
    match source {
        SourceName::Statuspage => sandbox.statuspage.requests(),
        SourceName::Pagerduty => sandbox.pagerduty.requests(),
        SourceName::Opsgenie => sandbox.opsgenie.requests(),
    }
}
