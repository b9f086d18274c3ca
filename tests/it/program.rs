//! Runs the real binary as its users do: environment in, exit code and output out.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portolan::sandbox::{Sandbox, SandboxOptions};
use tokio::process::Command;

/// Nothing here takes this long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a run of the binary left behind.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Messages of the log lines of this level, `ERROR` for example.
    pub(crate) fn logged(&self, level: &str) -> Vec<String> {
        self.lines()
            .filter(|line| line["level"] == level)
            .filter_map(|line| Some(line["message"].as_str()?.to_owned()))
            .collect()
    }

    /// Log lines that are JSON, which all are once settings are read.
    pub(crate) fn lines(&self) -> impl Iterator<Item = serde_json::Value> {
        self.stderr
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
    }

    /// Fails with everything that was printed unless the exit code is as expected.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The counts of the summary, by row: fetched, filtered, mapped, written, unchanged, failed.
    pub(crate) fn summary(&self) -> Vec<(String, [u64; 6])> {
        self.stdout
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                let counts: Vec<u64> = cells
                    .get(1..7)?
                    .iter()
                    .map_while(|cell| cell.parse().ok())
                    .collect();
                Some((cells.first()?.to_string(), counts.try_into().ok()?))
            })
            .collect()
    }
}

/// The binary with this environment and nothing else.
pub(crate) async fn portolan(arguments: &[&str], environment: &[(String, String)]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    portolan_in(directory.path(), arguments, environment).await
}

/// The same in a working directory with files in it.
pub(crate) async fn portolan_in(
    directory: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Outcome {
    let child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .env_clear()
        .envs(with_state_in(directory, environment))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("the program did not end")
        .unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The environment with a state database in the directory, unless it names one:
/// tests that run side by side have no state in common.
pub(crate) fn with_state_in(
    directory: &Path,
    environment: &[(String, String)],
) -> Vec<(String, String)> {
    let path = directory.join("state.sqlite3");
    let own = ("OCEAN__STATE_PATH".to_owned(), path.display().to_string());
    // Of two of a name, the later one is set.
    std::iter::once(own)
        .chain(environment.iter().cloned())
        .collect()
}

/// `portolan run` against the sandbox, with both sources.
pub(crate) async fn run_in(sandbox: &Sandbox) -> Outcome {
    portolan(&["run"], &sandbox.environment()).await
}

/// A sandbox with the small company.
pub(crate) async fn small_sandbox() -> Sandbox {
    Sandbox::start(SandboxOptions::default()).await.unwrap()
}

/// Sets or replaces a variable.
pub(crate) fn with(
    mut environment: Vec<(String, String)>,
    name: &str,
    value: &str,
) -> Vec<(String, String)> {
    environment.retain(|(known, _)| known != name);
    environment.push((name.to_owned(), value.to_owned()));
    environment
}

/// Leaves a variable out.
pub(crate) fn without(mut environment: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    environment.retain(|(known, _)| known != name);
    environment
}

/// Starts the binary, sends it SIGTERM once `ready` says so, and waits for its end.
pub(crate) async fn terminate_when(
    environment: &[(String, String)],
    ready: impl FnMut() -> bool,
) -> Outcome {
    signal_when("TERM", environment, ready).await
}

/// The same with SIGKILL, after which there is no code. A program that is done
/// before `ready` says so has one.
pub(crate) async fn kill_when(
    environment: &[(String, String)],
    ready: impl FnMut() -> bool,
) -> Outcome {
    signal_when("KILL", environment, ready).await
}

/// SIGKILL for any command, in a directory that is kept.
pub(crate) async fn kill_in_when(
    directory: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    ready: impl FnMut() -> bool,
) -> Outcome {
    signal_in_when("KILL", directory, arguments, environment, ready).await
}

/// SIGTERM for any command.
pub(crate) async fn terminate_command_when(
    arguments: &[&str],
    environment: &[(String, String)],
    ready: impl FnMut() -> bool,
) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    signal_in_when("TERM", directory.path(), arguments, environment, ready).await
}

async fn signal_when(
    signal: &str,
    environment: &[(String, String)],
    ready: impl FnMut() -> bool,
) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    signal_in_when(signal, directory.path(), &["run"], environment, ready).await
}

async fn signal_in_when(
    signal: &str,
    directory: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    mut ready: impl FnMut() -> bool,
) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .env_clear()
        .envs(with_state_in(directory, environment))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let process = child.id().unwrap().to_string();
    let stopping = async {
        let mut is_over = false;
        while !ready() && !is_over {
            tokio::task::yield_now().await;
            is_over = child.try_wait().unwrap().is_some();
        }
        if !is_over {
            // The shell's own: a small machine has no program of that name.
            let killed = Command::new("sh")
                .args(["-c", &format!("kill -{signal} {process}")])
                .status();
            assert!(killed.await.unwrap().success());
        }
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(PATIENCE, stopping)
        .await
        .expect("the program did not end");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
