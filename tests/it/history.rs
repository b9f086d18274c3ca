//! What a run did is in the state database afterwards, and a database that
//! cannot be used changes nothing about the run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::store::{Outcome, RunRecord, Store};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, small_sandbox, terminate_when, with};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_mins(10);

/// The installation of a sandbox whose state stays from run to run.
struct Installation {
    sandbox: Sandbox,
    directory: TempDir,
}

impl Installation {
    async fn new() -> Self {
        Self {
            sandbox: small_sandbox().await,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.sqlite3")
    }

    fn environment(&self) -> Vec<(String, String)> {
        let path = self.path().display().to_string();
        with(self.sandbox.environment(), "OCEAN__STATE_PATH", &path)
    }

    /// The newest first.
    async fn runs(&self) -> Vec<RunRecord> {
        Store::open(&self.path()).await.runs(100).await.unwrap()
    }
}

#[tokio::test]
async fn a_run_is_remembered_as_its_summary_tells_it() {
    let installation = Installation::new().await;

    let outcome = portolan(&["run"], &installation.environment())
        .await
        .expect_code(0);

    // As whoever looks into the file sees it.
    let database = Connection::open(installation.path()).unwrap();
    let run: (String, String, u64, u64) = database
        .query_one(
            "SELECT trigger, outcome, written, failed FROM run",
            [],
            |row| row.try_into(),
        )
        .unwrap();
    let kinds: Vec<[u64; 6]> = database
        .prepare(
            "SELECT fetched, filtered, mapped, written, unchanged, failed FROM run_kind ORDER BY resource",
        )
        .unwrap()
        .query_map([], |row| {
            Ok([
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ])
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut told: Vec<[u64; 6]> = outcome
        .summary()
        .into_iter()
        .map(|(_, counts)| counts)
        .collect();
    let total = told.pop().unwrap();
    assert_eq!(
        run,
        ("once".to_owned(), "done".to_owned(), total[3], total[5])
    );
    assert!(total[3] > 0);
    assert_eq!(kinds, told);
}

#[tokio::test]
async fn a_state_database_that_cannot_be_used_costs_one_warning() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("state.sqlite3").display().to_string();
    let environment = with(sandbox.environment(), "OCEAN__STATE_PATH", &path);

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    let mut warnings = outcome.logged("WARNING");
    warnings.retain(|warning| warning.contains("state database"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&path), "{warnings:?}");
    assert!(warnings[0].contains("OCEAN__STATE_PATH"), "{warnings:?}");
}

#[tokio::test]
async fn a_secret_in_an_error_is_not_remembered() {
    let installation = Installation::new().await;
    let environment = installation.environment();
    let secret = environment
        .iter()
        .find(|(name, _)| name == "OCEAN__PORT__CLIENT_SECRET")
        .map(|(_, value)| value.as_str())
        .unwrap();
    let sandbox = &installation.sandbox;
    blueprint(sandbox, "thing", &[], &[]);
    let things = json!({"identifier": ".id", "blueprint": "\"thing\""});
    install(
        sandbox,
        &json!({"resources": [resource("component", &things)]}),
    );
    // Statuspage refuses, and repeats a secret that is none of its business.
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::json(404, &json!({"error": format!("no {secret} here")})),
        100,
    );
    let outcome = portolan(&["run"], &environment).await.expect_code(1);

    assert!(!outcome.stderr.contains(secret));
    let run = installation.runs().await.remove(0);
    assert_eq!(run.outcome, Some(Outcome::Failed));
    let error = &run.kinds[0].errors[0];
    assert!(error.contains("no [REDACTED] here"), "{error}");
    for entry in std::fs::read_dir(installation.directory.path()).unwrap() {
        assert!(!contains(&entry.unwrap().path(), secret));
    }
}

fn contains(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_run_that_is_stopped_or_killed_is_not_remembered_as_done() {
    let installation = Installation::new().await;
    let statuspage = &installation.sandbox.statuspage;
    let components = Matcher::get("/v1/pages/*/components");
    let environment = installation.environment();

    statuspage.fault(components.clone(), Answer::real().after(FOR_EVER), 1);
    let stopped = terminate_when(&environment, || statuspage.requested(&components) > 0).await;
    stopped.expect_code(143);

    statuspage.fault(components.clone(), Answer::real().after(FOR_EVER), 1);
    let before = statuspage.requested(&components);
    let mut killed = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .arg("run")
        .env_clear()
        .envs(environment.clone())
        .current_dir(installation.directory.path())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let is_in_the_middle = async {
        while statuspage.requested(&components) == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), is_in_the_middle)
        .await
        .expect("it did not get that far");
    killed.kill().await.unwrap();

    portolan(&["run"], &environment).await.expect_code(0);

    let outcomes: Vec<_> = installation
        .runs()
        .await
        .into_iter()
        .map(|run| run.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            Some(Outcome::Done),
            Some(Outcome::Interrupted),
            Some(Outcome::Stopped)
        ]
    );
}
