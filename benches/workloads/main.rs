//! Whole runs of the release binary against the simulators, which are in another
//! process: wall clock, processor time, peak memory, and requests; and how that compares
//! with what the program is meant to reach.
//!
//! ```sh
//! scripts/bench                          # all of it, three runs each: about ten minutes
//! scripts/bench --runs 1 pagerduty       # what has this in its name, once
//! scripts/bench --json > figures.json    # for machines; what is under way is still told
//! scripts/bench curve                    # how it grows with what there is
//! scripts/bench paced                    # against the vendors' rate limits; takes minutes
//! ```
//!
//! Each run is one `portolan run --once`. It is measured by a process of its own, for
//! the system counts processor time and memory of all that a process has waited for.
//!
//! Datasets are not the ones that the original was measured with, and no two have the
//! same mix of objects. So what is compared with it is compared for each entity.

mod asked;
mod curve;
mod measure;
mod paced;
mod program;
mod stage;
mod table;
mod targets;
mod workload;

use std::error::Error;
use std::process::ExitCode;

use serde_json::json;

use self::asked::Asked;
use self::curve::Curve;
use self::paced::Paced;
use self::program::Program;
use self::stage::{Row, Stage};
use self::targets::Target;

/// What went wrong, told to whoever runs the benchmark.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// All that was measured.
#[derive(Default)]
struct Figures {
    rows: Vec<Row>,
    curves: Vec<Curve>,
    paced: Vec<Paced>,
    program: Option<Program>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` itself gives a flag.
    arguments.retain(|argument| argument != "--bench");
    if let [first, command @ ..] = arguments.as_slice()
        && first == measure::FLAG
    {
        return measure::measure(command);
    }
    let asked = Asked::parse(arguments, &names())?;
    if asked.help {
        return say(asked::USAGE);
    }
    let mut figures = Figures::default();
    let outcome = measure_all(&asked, &mut figures).await;
    // What was measured before something failed took its time, and is worth telling.
    print(&asked, &figures)?;
    outcome
}

async fn measure_all(asked: &Asked, figures: &mut Figures) -> Outcome<()> {
    let mut stage = Stage::default();
    if asked.wants(program::NAME) {
        figures.program = Some(Program::measure()?);
    }
    for workload in workload::TABLE {
        if asked.wants(&workload.name()) {
            figures.rows.push(stage.row(workload, asked.runs).await?);
        }
    }
    figures.curves = curve::measure(asked, &mut stage).await?;
    drop(stage);
    for pace in paced::PACES {
        if asked.wants(&pace.name()) {
            figures.paced.push(pace.measure().await?);
        }
    }
    Ok(())
}

/// Everything that can be asked for.
fn names() -> Vec<String> {
    let rows = workload::TABLE.iter().map(|workload| workload.name());
    let paced = paced::PACES.iter().map(paced::Pace::name);
    let program = std::iter::once(program::NAME.to_owned());
    program
        .chain(rows)
        .chain(curve::names())
        .chain(paced)
        .collect()
}

fn print(asked: &Asked, figures: &Figures) -> Outcome<()> {
    let Figures {
        rows,
        curves,
        paced,
        program,
    } = figures;
    let targets = targets::all(figures);
    if asked.as_json {
        let all = json!({
            "runs": asked.runs, "program": program, "rows": rows, "curves": curves,
            "paced": paced, "targets": targets,
        });
        return say(&serde_json::to_string_pretty(&all)?);
    }
    if !rows.is_empty() {
        say(&table::rows(rows))?;
    }
    if !curves.is_empty() {
        say(&table::curves(curves))?;
    }
    if !paced.is_empty() {
        say(&table::paced(paced))?;
    }
    if targets.is_empty() {
        return Ok(());
    }
    say(&table::targets(&targets))?;
    let held: Vec<_> = targets.iter().filter_map(Target::met).collect();
    let missed = held.iter().filter(|met| !**met).count();
    say(&format!("{missed} of {} targets missed.", held.len()))
}

#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
#[expect(clippy::unnecessary_wraps, reason = "ends what can fail")]
fn say(text: &str) -> Outcome<()> {
    println!("{text}");
    Ok(())
}

/// A count to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn real(count: usize) -> f64 {
    count as f64
}
