//! One run, in a process that does nothing but measure it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Outcome, say};

/// Tells the process that measures one run from the one that measures all of them.
pub(super) const FLAG: &str = "--measure";

/// So many of the last lines that a failed run wrote are told.
const LINES_TOLD: usize = 6;

/// What the system says of one run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Measured {
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_mebibytes: f64,
}

/// Runs the program to its end, with these settings and nothing of this process's own.
pub(super) fn run(
    arguments: &[&str],
    mut environment: BTreeMap<String, String>,
) -> Outcome<Measured> {
    let directory = TempDir::new()?;
    let state = directory.path().join("state.sqlite3");
    environment.insert("OCEAN__STATE_PATH".to_owned(), state.display().to_string());
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, super::program::PATH])
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES_TOLD)..].join("\n");
        let command = arguments.join(" ");
        return Err(format!("`portolan {command}` failed:\n{last}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a command and prints what it took.
pub(super) fn measure(command: &[String]) -> Outcome<()> {
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
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let peak = usage.max_rss() as f64;
    // Kibibytes on Linux, bytes on macOS.
    let mebibyte = if cfg!(target_os = "macos") {
        1_048_576.0
    } else {
        1024.0
    };
    let measured = Measured {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak_mebibytes: peak / mebibyte,
    };
    say(&serde_json::to_string(&measured)?)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// The middle one; of an even number the higher of the two.
pub(super) fn median<T>(all: &[T], what: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What is typical of several runs: each figure's median.
pub(super) fn typical(all: &[Measured]) -> Measured {
    Measured {
        wall_seconds: median(all, |one| one.wall_seconds),
        cpu_seconds: median(all, |one| one.cpu_seconds),
        peak_mebibytes: median(all, |one| one.peak_mebibytes),
    }
}
