//! Whole runs of the release binary against the simulators, which are in another
//! process: wall clock, processor time, peak memory, and requests.
//!
//! ```sh
//! scripts/bench                      # all of it, three runs each, as a table
//! scripts/bench --runs 1 pagerduty   # what has this in its name, once
//! scripts/bench --json               # for machines
//! scripts/bench paced                # against the vendors' rate limits; takes minutes
//! ```
//!
//! Each run is one `portolan run --once`. It is measured by a process of its own, for
//! the system counts processor time and memory of all that a process has waited for.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use portolan::sandbox::{DatasetSize, Matcher, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

/// Tells the process that measures one run from the one that measures all of them.
const MEASURE: &str = "--measure";

const RUNS: usize = 3;

const SIZES: [(&str, DatasetSize); 3] = [
    ("small", DatasetSize::Small),
    ("medium", DatasetSize::Medium),
    ("large", DatasetSize::Large),
];

const SOURCES: [SourceName; 3] = [
    SourceName::Statuspage,
    SourceName::Pagerduty,
    SourceName::Opsgenie,
];

/// What the original took for an entity in its large first resync and in one that
/// changed nothing, on a machine of the same size: processor time in microseconds, and
/// requests for a thousand entities. Nobody measured Opsgenie's second resync.
fn original(source: SourceName, state: State) -> Option<(f64, f64)> {
    let (seconds, requests, entities) = match (source, state) {
        (SourceName::Statuspage, State::First) => (229.0, 10_395.0, 114_719.0),
        (SourceName::Statuspage, State::Unchanged) => (224.0, 4_938.0, 114_719.0),
        (SourceName::Pagerduty, State::First) => (41.0, 1_904.0, 18_696.0),
        (SourceName::Pagerduty, State::Unchanged) => (42.0, 969.0, 18_696.0),
        (SourceName::Opsgenie, State::First) => (30.0, 2_408.0, 16_774.0),
        (SourceName::Opsgenie, State::Unchanged) => return None,
    };
    Some((seconds * 1e6 / entities, requests * 1e3 / entities))
}

/// What is in Port when the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    First,
    Unchanged,
}

/// What the system says of one run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Measured {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_mebibytes: f64,
}

/// One row: the median of the runs.
#[derive(Clone, Debug, Serialize)]
struct Row {
    source: &'static str,
    dataset: &'static str,
    state: State,
    entities: usize,
    #[serde(flatten)]
    measured: Measured,
    vendor_requests: usize,
    port_requests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    times_less_cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times_fewer_requests: Option<f64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` itself gives a flag.
    arguments.retain(|argument| argument != "--bench");
    if arguments.first().is_some_and(|first| first == MEASURE) {
        return measure(&arguments[1..]);
    }
    let asked = Asked::parse(arguments)?;
    if asked.is_wanted("paced") && !asked.names.is_empty() {
        return paced().await;
    }
    let mut rows = Vec::new();
    for (dataset, size) in SIZES {
        for source in SOURCES {
            for state in [State::First, State::Unchanged] {
                let name = format!("{} {dataset} {state:?}", source.as_str()).to_lowercase();
                if asked.is_wanted(&name) {
                    eprintln!("{name} …");
                    rows.push(row(source, dataset, size, state, asked.runs).await?);
                }
            }
        }
    }
    asked.print(&rows)
}

/// The command line.
struct Asked {
    runs: usize,
    as_json: bool,
    /// Parts of names; all of them where there is none.
    names: Vec<String>,
}

impl Asked {
    fn parse(arguments: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let mut asked = Self {
            runs: RUNS,
            as_json: false,
            names: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => asked.as_json = true,
                "--runs" => {
                    let runs = arguments.next().ok_or("--runs needs a number")?;
                    asked.runs = runs.parse().map_err(|_| "--runs needs a number")?;
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("there is no {flag}; there are --runs N and --json").into());
                }
                _ => asked.names.push(argument),
            }
        }
        Ok(asked)
    }

    fn is_wanted(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        self.names.is_empty() || names.any(|part| name.contains(part.as_str()))
    }

    #[expect(clippy::print_stdout, reason = "the result of a benchmark")]
    fn print(&self, rows: &[Row]) -> Result<(), Box<dyn Error>> {
        if self.as_json {
            println!(
                "{}",
                serde_json::to_string_pretty(&json!({ "rows": rows }))?
            );
            return Ok(());
        }
        println!(
            "| workload | entities | wall | CPU | CPU/entity | peak memory | requests: vendor | Port | CPU, times less | requests, times fewer |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        for row in rows {
            println!("{}", row.told());
        }
        Ok(())
    }
}

impl Row {
    fn told(&self) -> String {
        let Measured {
            wall_seconds,
            cpu_seconds,
            peak_mebibytes,
        } = self.measured;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let of_one = cpu_seconds * 1e6 / self.entities.max(1) as f64;
        let times =
            |factor: Option<f64>| factor.map_or("–".to_owned(), |factor| format!("{factor:.0}"));
        let state = match self.state {
            State::First => "first",
            State::Unchanged => "nothing changed",
        };
        format!(
            "| {} {}, {state} | {} | {wall_seconds:.2} s | {cpu_seconds:.2} s | {of_one:.0} µs | {peak_mebibytes:.0} MiB | {} | {} | {} | {} |",
            self.source,
            self.dataset,
            self.entities,
            self.vendor_requests,
            self.port_requests,
            times(self.times_less_cpu),
            times(self.times_fewer_requests),
        )
    }
}

/// Runs one workload so many times.
async fn row(
    source: SourceName,
    dataset: &'static str,
    size: DatasetSize,
    state: State,
    runs: usize,
) -> Result<Row, Box<dyn Error>> {
    let mut all = Vec::new();
    let mut counted = (0, 0, 0);
    let mut sandbox = None;
    for _ in 0..runs.max(1) {
        // A first resync needs a Port in which there is nothing yet.
        if state == State::First || sandbox.is_none() {
            let company = company(size).await?;
            if state == State::Unchanged {
                run(&company, source)?;
            }
            sandbox = Some(company);
        }
        let Some(sandbox) = &sandbox else { continue };
        sandbox.clear_requests();
        all.push(run(sandbox, source)?);
        counted = (
            entities(sandbox),
            vendor_requests(sandbox, source),
            sandbox.port.requested(&Matcher::any()),
        );
    }
    let (entities, vendor_requests, port_requests) = counted;
    let measured = Measured {
        wall_seconds: median(&all, |one| one.wall_seconds),
        cpu_seconds: median(&all, |one| one.cpu_seconds),
        peak_mebibytes: median(&all, |one| one.peak_mebibytes),
    };
    // Of a handful of entities the start of the process would be all that is compared.
    let original = original(source, state).filter(|_| size == DatasetSize::Large);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (of, requests) = (entities as f64, (vendor_requests + port_requests) as f64);
    Ok(Row {
        source: source.title(),
        dataset,
        state,
        entities,
        measured,
        vendor_requests,
        port_requests,
        times_less_cpu: original.map(|(micros, _)| micros * of / (measured.cpu_seconds * 1e6)),
        times_fewer_requests: original.map(|(_, of_thousand)| of_thousand * of / 1e3 / requests),
    })
}

async fn company(dataset: DatasetSize) -> std::io::Result<Sandbox> {
    let options = SandboxOptions {
        dataset,
        ..SandboxOptions::default()
    };
    Sandbox::start(options).await
}

/// One run, in a process that measures it.
fn run(sandbox: &Sandbox, source: SourceName) -> Result<Measured, Box<dyn Error>> {
    let directory = TempDir::new()?;
    // What limits a real run is measured by `paced`.
    let limits = ["STATUSPAGE", "PAGERDUTY"].map(|api| {
        let name = format!("OCEAN__RATE_LIMITS__{api}_PER_MINUTE");
        (name, "1000000".to_owned())
    });
    let mut environment: BTreeMap<_, _> = sandbox.environment_for(source).into_iter().collect();
    environment.extend(limits);
    measured_run(&directory, environment)
}

fn measured_run(
    directory: &TempDir,
    mut environment: BTreeMap<String, String>,
) -> Result<Measured, Box<dyn Error>> {
    let state = directory.path().join("state.sqlite3");
    environment.insert("OCEAN__STATE_PATH".to_owned(), state.display().to_string());
    let output = Command::new(std::env::current_exe()?)
        .args([MEASURE, env!("CARGO_BIN_EXE_portolan"), "run", "--once"])
        .env_clear()
        .envs(environment)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the run failed: {told}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a command and prints what it took.
#[expect(clippy::print_stdout, reason = "what the other process reads")]
fn measure(command: &[String]) -> Result<(), Box<dyn Error>> {
    let [program, arguments @ ..] = command else {
        return Err("there is nothing to measure".into());
    };
    let began = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()?;
    let wall = began.elapsed();
    if !status.success() {
        return Err(format!("it ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let micros = time.tv_usec() as f64;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let whole = time.tv_sec() as f64;
        whole + micros / 1e6
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let peak = usage.max_rss() as f64;
    let measured = Measured {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        // Kibibytes on Linux, bytes on macOS.
        peak_mebibytes: peak
            / if cfg!(target_os = "macos") {
                1_048_576.0
            } else {
                1024.0
            },
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn entities(sandbox: &Sandbox) -> usize {
    sandbox.port.entity_counts().values().sum()
}

fn vendor_requests(sandbox: &Sandbox, source: SourceName) -> usize {
    let any = Matcher::any();
    match source {
        SourceName::Statuspage => sandbox.statuspage.requested(&any),
        SourceName::Pagerduty => sandbox.pagerduty.requested(&any),
        SourceName::Opsgenie => sandbox.opsgenie.requested(&any),
    }
}

fn median(all: &[Measured], what: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How much of what the vendors allow in a minute is used, and whether they ever had
/// to refuse.
#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
async fn paced() -> Result<(), Box<dyn Error>> {
    println!("| API | allowed a minute | requests | wall | used | refused |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (source, size, allowed) in [
        (SourceName::Statuspage, DatasetSize::Large, 60.0),
        (SourceName::Pagerduty, DatasetSize::Large, 960.0),
    ] {
        let sandbox = Sandbox::start(SandboxOptions {
            dataset: size,
            rate_limits: true,
            ..SandboxOptions::default()
        })
        .await?;
        let directory = TempDir::new()?;
        let environment = sandbox.environment_for(source).into_iter().collect();
        let measured = measured_run(&directory, environment)?;
        let requests = vendor_requests(&sandbox, source);
        let all = match source {
            SourceName::Statuspage => sandbox.statuspage.requests(),
            _ => sandbox.pagerduty.requests(),
        };
        let refused = all
            .iter()
            .filter(|one| matches!(one.status, Some(420 | 429)))
            .count();
        let wall = Duration::from_secs_f64(measured.wall_seconds);
        // A limit of so many in any minute lets so many through at once in the first.
        let minutes = wall.as_secs_f64() / 60.0;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let used = requests as f64 / (allowed * minutes.max(1.0)) * 100.0;
        println!(
            "| {} | {allowed:.0} | {requests} | {:.1} s | {used:.0} % | {refused} |",
            source.title(),
            wall.as_secs_f64(),
        );
    }
    Ok(())
}
