//! Readers that have gone, and disks that are full.

use std::fs::File;
use std::process::{Command, Output, Stdio};

const OBJECTS: &str = "{\"id\": \"P1\", \"status\": \"triggered\"}\n";

/// The binary with these for its standard output and error, on a file of objects.
fn run(arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("objects.ndjson"), OBJECTS).unwrap();
    let lines = "{\"filter\": \".\", \"input\": 1}\n";
    std::fs::write(directory.path().join("lines.ndjson"), lines).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .env_clear()
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What nobody reads any more.
fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

const MAP: [&str; 4] = ["map", "--kind", "incidents", "objects.ndjson"];
const EXPLAIN: [&str; 5] = ["map", "--kind", "incidents", "--explain", "objects.ndjson"];
const JQ: [&str; 3] = ["jq", ".id", "objects.ndjson"];
const LINES: [&str; 3] = ["jq", "--lines", "lines.ndjson"];

#[test]
fn who_has_seen_enough_changes_no_exit_code() {
    for (arguments, code) in [
        (&MAP[..], 0),
        (&EXPLAIN, 0),
        (&JQ, 0),
        (&LINES, 0),
        (&["jq", ".id[]", "objects.ndjson"], 1),
        (&["jq", ".id |", "objects.ndjson"], 2),
        (&["map", "objects.ndjson"], 2),
        (&["run"], 2),
        (&["plan"], 2),
        (&["record", "folder"], 2),
    ] {
        let output = run(arguments, gone(), gone());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_could_not_be_saved_are_a_failure() {
    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
            .into()
    };
    for arguments in [&MAP[..], &EXPLAIN, &JQ, &LINES] {
        let output = run(arguments, full(), Stdio::piped());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = "error: cannot write to standard output: No space left on device";
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
