//! What the program is meant to reach, each beside what was measured.

use portolan::sandbox::DatasetSize;
use serde::Serialize;

use super::curve::{Curve, LINEAR};
use super::paced::Paced;
use super::program::Program;
use super::stage::Row;
use super::workload::State;
use super::{Figures, real};

/// So many times less processor time than the original takes.
const TIMES_LESS_CPU: f64 = 40.0;
const PEAK_MEBIBYTES: f64 = 48.0;
/// Of the original's requests to the vendor.
const SHARE_OF_REQUESTS: f64 = 0.5;
/// Of the original's requests, for those to Port where nothing changed. How many of its
/// requests went to Port is not known.
const PORTS_SHARE_UNCHANGED: f64 = 0.1;
/// The smallest run, from start to exit, beside what the servers take.
const SMALLEST_MILLISECONDS: f64 = 60.0;
/// About 100 are meant; how long identifiers are makes a difference.
const BYTES_PER_ENTITY: f64 = 150.0;
const USED_PERCENT: f64 = 95.0;
const BINARY_MEGABYTES: f64 = 20.0;

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtMost,
    AtLeast,
}

/// How a figure is written.
#[derive(Clone, Copy)]
struct Unit {
    text: &'static str,
    digits: usize,
}

const TIMES: Unit = Unit {
    text: " times",
    digits: 1,
};
const MULTIPLE: Unit = Unit {
    text: " times",
    digits: 2,
};
const MEBIBYTES: Unit = Unit {
    text: " MiB",
    digits: 1,
};
const MEGABYTES: Unit = Unit {
    text: " MB",
    digits: 1,
};
const MILLISECONDS: Unit = Unit {
    text: " ms",
    digits: 1,
};
const PERCENT: Unit = Unit {
    text: " %",
    digits: 1,
};
const BYTES: Unit = Unit {
    text: " bytes",
    digits: 0,
};
const REQUESTS: Unit = Unit {
    text: " requests",
    digits: 0,
};

impl Unit {
    fn told(self, value: f64) -> String {
        format!("{value:.*}{}", self.digits, self.text)
    }
}

/// A figure, and what it is held against.
#[derive(Serialize)]
pub(super) struct Target {
    what: String,
    measured: f64,
    #[serde(serialize_with = "text_of")]
    unit: Unit,
    /// Nothing for what is told for its own sake.
    #[serde(flatten)]
    held: Option<Held>,
}

#[derive(Serialize)]
struct Held {
    bound: Bound,
    wanted: f64,
    met: bool,
}

fn text_of<S: serde::Serializer>(unit: &Unit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(unit.text.trim())
}

impl Target {
    fn at_most(what: String, wanted: f64, measured: f64, unit: Unit) -> Self {
        let held = Held {
            bound: Bound::AtMost,
            wanted,
            met: measured <= wanted,
        };
        Self::new(what, measured, unit, Some(held))
    }

    fn at_least(what: String, wanted: f64, measured: f64, unit: Unit) -> Self {
        let held = Held {
            bound: Bound::AtLeast,
            wanted,
            met: measured >= wanted,
        };
        Self::new(what, measured, unit, Some(held))
    }

    const fn new(what: String, measured: f64, unit: Unit, held: Option<Held>) -> Self {
        Self {
            what,
            measured,
            unit,
            held,
        }
    }

    /// Whether it is met; nothing where there is nothing to meet.
    pub(super) fn met(&self) -> Option<bool> {
        self.held.as_ref().map(|held| held.met)
    }

    /// What, wanted, measured, and by how much that misses it.
    pub(super) fn told(&self) -> [String; 4] {
        let measured = self.unit.told(self.measured);
        let (wanted, verdict) = match &self.held {
            None => ("–".to_owned(), "–".to_owned()),
            Some(held) => {
                let wanted = self.unit.told(held.wanted);
                let wanted = match held.bound {
                    Bound::AtMost => format!("at most {wanted}"),
                    Bound::AtLeast => format!("at least {wanted}"),
                };
                (wanted, self.verdict(held))
            }
        };
        [self.what.clone(), wanted, measured, verdict]
    }

    fn verdict(&self, held: &Held) -> String {
        if held.met {
            return "✓".to_owned();
        }
        let off = (self.measured - held.wanted).abs();
        let share = if held.wanted > 0.0 {
            format!(" ({:.0} %)", off / held.wanted * 100.0)
        } else {
            String::new()
        };
        let side = match held.bound {
            Bound::AtMost => "too much",
            Bound::AtLeast => "too little",
        };
        format!("✗ {}{share} {side}", self.unit.told(off))
    }
}

/// Every target that something was measured for.
pub(super) fn all(figures: &Figures) -> Vec<Target> {
    let rows = figures.rows.iter().flat_map(of_row);
    let curves = figures.curves.iter().flat_map(of_curve);
    let paced = figures.paced.iter().flat_map(of_pace);
    let program = figures.program.iter().flat_map(of_program);
    rows.chain(curves).chain(paced).chain(program).collect()
}

fn of_row(row: &Row) -> Vec<Target> {
    let Row {
        title, measured, ..
    } = row;
    let mut targets = Vec::new();
    if let Some(original) = &row.original {
        let less = row.scaled(original, original.cpu_seconds) / measured.cpu_seconds;
        let what = format!("{title}: CPU of an entity, less than the original's");
        targets.push(Target::at_least(what, TIMES_LESS_CPU, less, TIMES));

        if let Some(upstream) = row.workload.upstream(original) {
            let most = row.scaled(original, upstream) * SHARE_OF_REQUESTS;
            let what = format!(
                "{title}: requests to the vendor, half the original's for as many entities"
            );
            let ours = real(row.vendor_requests);
            targets.push(Target::at_most(what, most, ours, REQUESTS));
        }

        let theirs = row.scaled(original, original.requests);
        if row.workload.state == State::Unchanged {
            let most = theirs * PORTS_SHARE_UNCHANGED;
            let what = format!(
                "{title}: requests to Port, a tenth of all of the original's for as many entities"
            );
            let ours = real(row.port_requests);
            targets.push(Target::at_most(what, most, ours, REQUESTS));
        }
    }
    targets.push(peak(row));
    if row.workload.dataset == DatasetSize::Examples {
        let wall = measured.wall_seconds * 1e3;
        let own = wall - row.answering_seconds * 1e3;
        let what = format!("{title}: start to exit, less the time in which a server was answering");
        targets.push(Target::at_most(
            what,
            SMALLEST_MILLISECONDS,
            own,
            MILLISECONDS,
        ));
        let what = format!("{title}: start to exit, that included");
        targets.push(Target::new(what, wall, MILLISECONDS, None));
    }
    targets
}

fn peak(row: &Row) -> Target {
    let what = format!("{}: peak memory", row.title);
    let measured = row.measured.peak_mebibytes;
    Target::at_most(what, PEAK_MEBIBYTES, measured, MEBIBYTES)
}

fn of_curve(curve: &Curve) -> Vec<Target> {
    let title = &curve.title;
    let mut targets: Vec<_> = curve.points.iter().map(peak).collect();
    if let Some(&slope) = curve.bytes_per_entity.last() {
        let what = format!("{title}: memory of an entity more, at a hundred times against ten");
        targets.push(Target::at_most(what, BYTES_PER_ENTITY, slope, BYTES));
    }
    let what = format!("{title}: linear, CPU of an entity at a hundred times against ten");
    let growth = curve.cpu_growth;
    targets.push(Target::at_most(what, LINEAR, growth, MULTIPLE));
    targets
}

fn of_pace(paced: &Paced) -> [Target; 2] {
    let title = format!("{}, {} a minute", paced.title, paced.allowed_per_minute);
    let used = format!("{title}: share used of whole minutes");
    let refused = format!("{title}: refused");
    [
        Target::at_least(used, USED_PERCENT, paced.used_percent, PERCENT),
        Target::at_most(refused, 0.0, real(paced.refused), REQUESTS),
    ]
}

fn of_program(program: &Program) -> [Target; 2] {
    let binary = "The binary, stripped".to_owned();
    let start = "`portolan --version`: start to exit".to_owned();
    let took = program.start.wall_seconds * 1e3;
    [
        Target::at_most(binary, BINARY_MEGABYTES, program.megabytes, MEGABYTES),
        Target::new(start, took, MILLISECONDS, None),
    ]
}
