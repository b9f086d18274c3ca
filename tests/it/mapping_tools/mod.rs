//! `portolan jq`, `map` and `record`: mappings tried without writing anything, by
//! the real binary.

mod explain;
mod golden;
mod jq;
mod map;
mod output;
mod record;

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::program::Outcome;

/// The binary in a directory, with this on its standard input and this for an
/// environment.
async fn fed(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = async move {
        // A program that refuses its arguments does not read.
        stdin.write_all(input.as_bytes()).await.ok();
    };
    let ((), output) = tokio::join!(feeding, child.wait_with_output());
    let output = output.unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same anywhere, without an environment.
async fn run(arguments: &[&str], input: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    fed(directory.path(), arguments, &[], input).await
}

/// JSON values, one a line.
fn values(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A mapping of one kind that has a bit of everything.
const MAPPING: &str = r#"resources:
  - kind: incidents
    selector:
      query: .status != "resolved"
    port:
      entity:
        mappings:
          identifier: .id
          title: .title
          blueprint: '"incident"'
          properties:
            service: .service.summary
            names: .people | map(.name) | join(",")
          relations:
            service: .service.id
"#;

/// Writes the mapping, changed, and says where it is.
fn mapping_in(directory: &Path, change: impl FnOnce(String) -> String) -> String {
    let path = directory.join("mapping.yaml");
    std::fs::write(&path, change(MAPPING.to_owned())).unwrap();
    "mapping.yaml".to_owned()
}
