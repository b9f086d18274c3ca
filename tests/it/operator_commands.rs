//! The commands that only tell or print: `runs`, and what needs no service.

use std::fs;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::store::{NewSyncStep, Store, SyncMode, SyncOutcome, SyncStepKind};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan_in, small_sandbox};

/// A mapping of two kinds with a blueprint each.
fn install_two_kinds(sandbox: &Sandbox) {
    let resources = [("statuspage", "place"), ("component", "thing")].map(|(kind, name)| {
        blueprint(sandbox, name, &[], &[]);
        let mappings = json!({"identifier": ".id", "blueprint": format!("{name:?}")});
        resource(kind, &mappings)
    });
    install(sandbox, &json!({"resources": resources}));
}

/// Statuspage does not list components any more.
fn break_components(sandbox: &Sandbox) {
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::json(404, &json!({"error": "no components here"})),
        100,
    );
}

#[tokio::test]
async fn runs_tells_of_resyncs_and_of_the_incident_sync_newest_first() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let environment = sandbox.environment();
    install_two_kinds(&sandbox);
    portolan_in(directory.path(), &["run"], &environment)
        .await
        .expect_code(0);
    break_components(&sandbox);
    portolan_in(directory.path(), &["run"], &environment)
        .await
        .expect_code(3);
    // A service that works with the file meanwhile.
    let service = Store::open(&directory.path().join("state.sqlite3")).await;
    let step = NewSyncStep {
        began: "2026-02-03T04:05:06Z".parse().unwrap(),
        page: "p1".to_owned(),
        incident: None,
        key: "component c1".to_owned(),
        kind: SyncStepKind::Open,
        components: vec!["c1".to_owned()],
        reason: "PINC7 was acknowledged".to_owned(),
        mode: SyncMode::Apply,
    };
    let began = service.step_began(step).await;
    let at = "2026-02-03T04:05:07Z".parse().unwrap();
    service
        .step_ended(began, at, SyncOutcome::Done, Some("inc1".to_owned()), None)
        .await;
    let runs = async |arguments: &[&str]| {
        let arguments = [&["runs"], arguments].concat();
        portolan_in(directory.path(), &arguments, &environment).await
    };

    let table = runs(&[]).await.expect_code(0).stdout;
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("once")).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].starts_with("| 2 ") && rows[0].contains("| partly "));
    assert!(rows[1].starts_with("| 1 ") && rows[1].contains("| done "));
    assert!(
        table.contains("| component c1 | inc1     | apply | done    |"),
        "{table}"
    );

    let limited = runs(&["--limit", "1", "--json"]).await.expect_code(0);
    let document: Value = serde_json::from_str(&limited.stdout).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 1);
    assert_eq!(document["runs"][0]["outcome"], "partly");
    assert_eq!(document["steps"][0]["incident"], "inc1");
    let resync = document["runs"][0]["resync"].as_str().unwrap();

    let detail = runs(&["--run", "2"]).await.expect_code(0).stdout;
    assert!(
        detail.contains("component (resources[1]) (incomplete)"),
        "{detail}"
    );
    assert!(detail.contains("no components here"), "{detail}");
    // What it could not list was not deleted.
    assert!(detail.contains("| incomplete "), "{detail}");
    assert_eq!(runs(&["--run", resync]).await.expect_code(0).stdout, detail);

    let absent = runs(&["--run", "77"]).await.expect_code(1);
    assert!(absent.stdout.is_empty());
    assert!(absent.logged("ERROR")[0].contains("There is no run `77`"));
}

#[tokio::test]
async fn runs_makes_no_database_where_there_is_none() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();

    let outcome = portolan_in(directory.path(), &["runs"], &sandbox.environment())
        .await
        .expect_code(2);

    assert!(outcome.logged("ERROR")[0].contains("There is no state database"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn runs_leaves_a_file_alone_that_is_not_its_own() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite3");
    fs::write(&path, "somebody's notes, and not a database at all").unwrap();

    let outcome = portolan_in(directory.path(), &["runs"], &sandbox.environment())
        .await
        .expect_code(1);

    assert!(outcome.logged("ERROR")[0].contains("Cannot look into"));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "somebody's notes, and not a database at all"
    );
}
