//! `portolan events`: what was given up, beside a service that goes on.

use std::path::PathBuf;
use std::time::Duration;

use portolan::live_events::LocalSpool;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::receiver::{ACKNOWLEDGED, Receiver, component};
use crate::program::{portolan, small_sandbox, with};

/// A file with two events that were given up and one that waits.
async fn given_up() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.sqlite3");
    let receiver = Receiver::with_spool(LocalSpool::open(&path).await).await;
    assert_eq!(
        receiver.status("/webhook", component().to_string()).await,
        200
    );
    for taken in receiver.taken().await.into_values() {
        receiver.spool.bury(taken, "the mapping is wrong").await;
    }
    assert_eq!(receiver.status("/webhook", ACKNOWLEDGED).await, 200);
    receiver.stopped().await;
    (directory, path)
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_put_back_while_the_service_runs() {
    let (_directory, path) = given_up().await;
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment(),
        "OCEAN__STATE_PATH",
        &path.display().to_string(),
    );
    // The service has the file open meanwhile.
    let service = LocalSpool::open(&path).await;
    let events = async |arguments: &[&str]| {
        let arguments = [&["events"], arguments].concat();
        portolan(&arguments, &environment).await
    };

    let table = events(&[]).await.expect_code(0).stdout;
    assert!(table.contains("waiting: 1, the first since 20"), "{table}");
    assert!(table.contains("given up: 2"), "{table}");
    assert!(
        table.contains("statuspage//component/c7d0n5xq2l1a"),
        "{table}"
    );
    assert!(table.contains("the mapping is wrong"), "{table}");
    let listed: Value =
        serde_json::from_str(&events(&["--json"]).await.expect_code(0).stdout).unwrap();
    assert_eq!(
        (&listed["waiting"], &listed["dead"]),
        (&json!(1), &json!(2))
    );
    let dead = listed["dead_events"].as_array().unwrap();
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(dead[0]["attempts"], 1);

    let partly = events(&["--replay", id, "4711"]).await.expect_code(3);
    assert!(
        partly.stdout.contains("Put back 1 of 2"),
        "{}",
        partly.stdout
    );
    events(&["--replay", "4711"]).await.expect_code(1);
    events(&["--replay", id, "--replay-all"])
        .await
        .expect_code(2);
    let all = events(&["--replay-all", "--json"]).await.expect_code(0);
    assert_eq!(all.stdout.trim(), r#"{"replayed":1}"#);

    let mut found = 0;
    while found < 3 {
        let taken = timeout(Duration::from_mins(1), service.take())
            .await
            .unwrap();
        found += taken.events.len();
        service.done(taken).await;
    }
    let left = service.counts().await.unwrap();
    assert_eq!((left.waiting, left.dead), (0, 0));
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_list() {
    let sandbox = small_sandbox().await;
    for (path, reason) in [
        (":memory:", "OCEAN__STATE_PATH is `:memory:`"),
        (
            "/nonexistent/portolan.sqlite3",
            "There is no state database",
        ),
    ] {
        let environment = with(sandbox.environment(), "OCEAN__STATE_PATH", path);
        let outcome = portolan(&["events"], &environment).await.expect_code(2);
        let errors = outcome.logged("ERROR");
        assert!(
            errors.iter().any(|error| error.contains(reason)),
            "{errors:?}"
        );
    }
}
