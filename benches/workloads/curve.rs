//! How time and memory grow with what there is: companies of the same kind, each ten
//! times the one before.

use portolan::sandbox::DatasetSize;
use portolan::settings::SourceName;
use serde::Serialize;

use super::asked::Asked;
use super::stage::{Row, Stage};
use super::workload::{State, Workload};
use super::{Outcome, real};

/// So many times as much an entity may take when there are ten times as many, for growth
/// to be called linear.
pub(super) const LINEAR: f64 = 1.25;

const SOURCES: [SourceName; 3] = [
    SourceName::Statuspage,
    SourceName::Opsgenie,
    SourceName::Pagerduty,
];

/// How many small datasets each point is: for Statuspage about 1,100, 11,500 and 115,000
/// entities. PagerDuty lists no more than 10,000 people and on-calls, so there it is half
/// as many.
const fn times(source: SourceName) -> [u16; 3] {
    match source {
        SourceName::Statuspage | SourceName::Opsgenie => [6, 60, 600],
        SourceName::Pagerduty => [3, 30, 300],
    }
}

/// The points of one source, from the smallest to the largest.
#[derive(Serialize)]
pub(super) struct Curve {
    pub(super) title: String,
    pub(super) points: Vec<Row>,
    /// By how many bytes the peak of memory grew for each entity more, from each point to
    /// the next.
    pub(super) bytes_per_entity: Vec<f64>,
    /// The processor time of an entity at the last point, as a multiple of that at the
    /// point before. The first point is left out: there the start of the process counts.
    pub(super) cpu_growth: f64,
}

/// Every curve there is.
fn all() -> impl Iterator<Item = (SourceName, State)> {
    let states = [State::First, State::Unchanged];
    SOURCES
        .into_iter()
        .flat_map(move |source| states.map(|state| (source, state)))
}

fn name(source: SourceName, state: State) -> String {
    format!("curve {} {}", source.as_str(), state.title())
}

/// As they are asked for.
pub(super) fn names() -> impl Iterator<Item = String> {
    all().map(|(source, state)| name(source, state))
}

/// Measures the curves that are wanted, point after point: those of one company together.
pub(super) async fn measure(asked: &Asked, stage: &mut Stage) -> Outcome<Vec<Curve>> {
    let wanted: Vec<_> = all()
        .filter(|&(source, state)| asked.wants(&name(source, state)))
        .collect();
    let mut curves: Vec<_> = wanted.iter().map(|_| Vec::new()).collect();
    for point in 0..3 {
        for (points, &(source, state)) in curves.iter_mut().zip(&wanted) {
            let workload = Workload {
                source,
                dataset: DatasetSize::Small,
                times: times(source)[point],
                state,
            };
            points.push(stage.row(workload, asked.runs).await?);
        }
    }
    let told = curves.into_iter().zip(wanted);
    Ok(told
        .map(|(points, (source, state))| Curve::of(source, state, points))
        .collect())
}

impl Curve {
    pub(super) fn is_linear(&self) -> bool {
        self.cpu_growth <= LINEAR
    }

    fn of(source: SourceName, state: State, points: Vec<Row>) -> Self {
        let pairs = || points.iter().zip(points.iter().skip(1));
        let slope = |(from, to): (&Row, &Row)| {
            let bytes = (to.measured.peak_mebibytes - from.measured.peak_mebibytes) * 1_048_576.0;
            bytes / (real(to.entities) - real(from.entities)).max(1.0)
        };
        let growth = pairs()
            .map(|(from, to)| to.cpu_micros_per_entity() / from.cpu_micros_per_entity())
            .next_back();
        Self {
            title: format!("Curve of {}, {}", source.title(), state.title()),
            bytes_per_entity: pairs().map(slope).collect(),
            cpu_growth: growth.unwrap_or_default(),
            points,
        }
    }
}
