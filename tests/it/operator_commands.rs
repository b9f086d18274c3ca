//! The commands that only tell or print: `runs`, `defaults`, `export`, what shells and
//! manual readers get.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use portolan::catalog::Defaults;
use portolan::jq::{Jq, Limits};
use portolan::resource_config::{MappingDocument, parse_text};
use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use portolan::store::{NewSyncStep, Store, SyncMode, SyncOutcome, SyncStepKind};
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, portolan_in, small_sandbox, with};

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

    // Of none it could only say that nothing has run, which is not so.
    runs(&["--limit", "0"]).await.expect_code(2);
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

fn mapping_of(text: &str, sources: &[SourceName]) -> MappingDocument {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let parsed = parse_text(text, "printed", sources, &jq).unwrap();
    assert_eq!(parsed.warnings, Vec::<String>::new());
    parsed.document
}

#[tokio::test]
async fn defaults_are_printed_as_a_first_start_would_store_them() {
    use SourceName::{Opsgenie, Pagerduty, Statuspage};
    for sources in [
        &[Statuspage][..],
        &[Statuspage, Pagerduty],
        &SourceName::ALL,
    ] {
        let mut arguments = vec!["defaults", "--mapping"];
        if sources.len() < 3 {
            // In any order.
            for source in sources.iter().rev() {
                arguments.extend(["--source", source.as_str()]);
            }
        }
        let outcome = portolan(&arguments, &[]).await.expect_code(0);
        let printed: Value = serde_yaml::from_str(&outcome.stdout).unwrap();
        let mut expected = Defaults::embedded(sources).unwrap();
        assert_eq!(printed, expected.mapping, "{sources:?}");
        let document = mapping_of(&outcome.stdout, sources);
        assert!(!document.resources.is_empty());

        arguments[1] = "--blueprints";
        let outcome = portolan(&arguments, &[]).await.expect_code(0);
        let printed: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(printed, std::mem::take(&mut expected.blueprints));
    }
    let both = portolan(&["defaults", "--source", Opsgenie.as_str()], &[]).await;
    let stdout = both.expect_code(0).stdout;
    let (mapping, blueprints) = stdout.split_once("\n---\n").unwrap();
    assert!(!mapping_of(mapping, &[Opsgenie]).resources.is_empty());
    assert!(blueprints.starts_with('['));
}

#[tokio::test]
async fn an_unknown_source_has_no_defaults() {
    let outcome = portolan(&["defaults", "--source", "jira"], &[])
        .await
        .expect_code(2);
    assert!(
        outcome.stderr.contains("`jira` is no source"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = portolan(&["completions", shell], &[]).await.expect_code(0);
        for word in ["reconcile", "exit-zero", "replay-all"] {
            assert!(outcome.stdout.contains(word), "{shell}: {word}");
        }
    }
    portolan(&["completions", "tcsh"], &[]).await.expect_code(2);
}

#[tokio::test]
async fn the_manual_has_a_page_for_the_program_and_one_for_each_command() {
    let page = portolan(&["man"], &[]).await.expect_code(0).stdout;
    assert!(page.contains(".TH portolan 1"), "{page}");
    assert!(page.contains("Exit codes:"), "{page}");

    let page = portolan(&["man", "run"], &[]).await.expect_code(0).stdout;
    assert!(page.contains(".TH portolan-run 1"), "{page}");
    assert!(page.contains("exit\\-zero"), "{page}");

    let outcome = portolan(&["man", "fly"], &[]).await.expect_code(2);
    assert!(outcome.stderr.contains("there is no command `fly`"));
}

/// Without anything of Port.
fn without_port(sandbox: &Sandbox) -> Vec<(String, String)> {
    let mut environment = sandbox.environment();
    environment.retain(|(name, _)| !name.starts_with("OCEAN__PORT__"));
    environment
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    let lines = outcome.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Blueprint and identifier of each.
fn names(entities: &[Value]) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entities = entities.iter();
    entities
        .map(|entity| (text(&entity["blueprint"]), text(&entity["identifier"])))
        .collect()
}

#[tokio::test]
async fn an_export_is_what_a_resync_would_send_without_a_word_to_port() {
    let sandbox = small_sandbox().await;

    let outcome = portolan(&["export"], &without_port(&sandbox))
        .await
        .expect_code(0);

    assert!(sandbox.port.requests().is_empty());
    let exported = lines(&outcome);
    assert!(exported.len() > 100);
    let total = outcome
        .stderr
        .lines()
        .find(|line| line.starts_with("| total"));
    assert!(
        total.unwrap().contains(&format!(" {} ", exported.len())),
        "{total:?}"
    );

    portolan(&["run"], &sandbox.environment())
        .await
        .expect_code(0);
    let sent = sandbox
        .port
        .requests_to(&Matcher::post("/v1/blueprints/*/entities/bulk"));
    let mut written = BTreeSet::new();
    for request in &sent {
        let blueprint = request.path.split('/').nth(3).unwrap().to_owned();
        for entity in request.json()["entities"].as_array().unwrap() {
            let identifier = entity["identifier"].as_str().unwrap().to_owned();
            written.insert((blueprint.clone(), identifier));
        }
    }
    assert_eq!(names(&exported), written);
}

#[tokio::test]
async fn an_export_by_a_mapping_of_ones_own_reads_what_that_names() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let things =
        json!({"identifier": ".id", "blueprint": "\"thing\"", "properties": {"name": ".name"}});
    let mapping = json!({"resources": [resource("statuspage", &things)]});
    fs::write(directory.path().join("mapping.json"), mapping.to_string()).unwrap();
    let arguments = ["export", "--mapping", "mapping.json"];

    let outcome = portolan_in(directory.path(), &arguments, &without_port(&sandbox))
        .await
        .expect_code(0);

    let exported = lines(&outcome);
    assert_eq!(exported.len(), 3);
    assert!(exported[0]["properties"]["name"].is_string());
    assert_eq!(
        sandbox
            .statuspage
            .requested(&Matcher::get("/v1/pages/*/components")),
        0
    );

    fs::write(directory.path().join("mapping.json"), "resources: 7").unwrap();
    let outcome = portolan_in(directory.path(), &arguments, &without_port(&sandbox))
        .await
        .expect_code(2);
    assert!(outcome.logged("ERROR")[0].contains("`resources` has to be a list"));
}

#[tokio::test]
async fn an_export_ends_as_a_resync_would() {
    let sandbox = small_sandbox().await;
    let environment = without_port(&sandbox);
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/*/components"),
        Answer::json(404, &json!({"error": "no components here"})),
        100,
    );

    let outcome = portolan(&["export"], &environment).await.expect_code(3);
    assert!(!lines(&outcome).is_empty());
    let errors = outcome.logged("ERROR");
    assert!(
        errors
            .iter()
            .any(|error| error.contains("`component` is incomplete")),
        "{errors:?}"
    );

    let token = "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN";
    let refused = with(environment, token, "wrong-token-of-pagerduty-7733");
    let outcome = portolan(&["export"], &refused).await.expect_code(2);
    assert!(outcome.stdout.is_empty());
    assert!(outcome.logged("ERROR")[0].contains("Cannot work with PagerDuty"));

    let nothing = [(
        "OCEAN__INTEGRATION__IDENTIFIER".to_owned(),
        "mine".to_owned(),
    )];
    let outcome = portolan(&["export"], &nothing).await.expect_code(2);
    assert!(
        outcome
            .stderr
            .contains("the credentials of at least one source")
    );
    assert!(
        !outcome.stderr.contains("OCEAN__PORT__"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn output_that_does_not_fit_is_a_failure() {
    for arguments in [
        &["defaults", "--mapping"][..],
        &["completions", "bash"],
        &["man"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(arguments)
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}
