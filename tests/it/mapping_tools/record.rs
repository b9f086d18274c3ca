//! `portolan record`: what a resync would map, into a folder that can be mapped again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};
use tokio::process::Command;

use super::values;
use crate::program::{portolan_in, run_in, small_sandbox, with};

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_str(&read(folder, "manifest.json")).unwrap()
}

/// What Port holds, by blueprint and identifier.
fn held(sandbox: &Sandbox, blueprints: &[&str]) -> BTreeMap<(String, String), Value> {
    let all = blueprints.iter().flat_map(|blueprint| {
        let entities = sandbox.port.entities(blueprint);
        entities
            .into_iter()
            .map(|(id, entity)| (((*blueprint).to_owned(), id), entity))
    });
    all.collect()
}

#[tokio::test]
async fn what_is_recorded_maps_to_what_a_resync_writes() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    sandbox.clear_requests();
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["record", "recorded", "--keep-emails"];
    let environment = sandbox.environment();
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    let outcome = outcome.expect_code(0);
    assert!(
        outcome.stdout.contains("incidents.ndjson: "),
        "{}",
        outcome.stdout
    );
    assert_eq!(outcome.logged("ERROR"), Vec::<String>::new());
    // Only read.
    for request in sandbox.port.requests() {
        let is_login = request.path.ends_with("/auth/access_token");
        assert!(
            request.method == "GET" || is_login,
            "{} {}",
            request.method,
            request.path
        );
    }

    let folder = directory.path().join("recorded");
    let manifest = manifest(&folder);
    assert_eq!(manifest["mapping"], "the mapping in Port");
    let files = manifest["files"].as_array().unwrap();
    assert!(files.len() > 15, "{manifest}");
    for file in files {
        let lines = read(&folder, file["file"].as_str().unwrap())
            .lines()
            .count();
        assert_eq!(json!(lines), file["objects"], "{file}");
        assert_eq!(file["complete"], true, "{file}");
    }

    let mut compared = 0;
    for (kind, blueprint) in [
        ("services", "pagerdutyService"),
        ("incidents", "pagerdutyIncident"),
        ("team", "opsGenieTeam"),
        ("component", "statuspageComponent"),
        ("incident_update", "statuspageIncidentUpdate"),
    ] {
        let file = format!("recorded/{kind}.ndjson");
        let arguments = ["map", "--kind", kind, &file];
        let outcome = portolan_in(directory.path(), &arguments, &[])
            .await
            .expect_code(0);
        let held = held(&sandbox, &[blueprint]);
        for entity in values(&outcome.stdout) {
            let identifier = entity["identifier"].as_str().unwrap().to_owned();
            let known = &held[&(blueprint.to_owned(), identifier)];
            for (key, value) in entity["properties"].as_object().unwrap() {
                let known = known["properties"].get(key).unwrap_or(&Value::Null);
                assert_eq!(value, known, "{kind} {key}");
                compared += usize::from(!value.is_null());
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[tokio::test]
async fn neither_secrets_nor_addresses_are_saved() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment_for(SourceName::Pagerduty);
    let token = environment
        .iter()
        .find(|(name, _)| name.ends_with("__TOKEN"))
        .map(|(_, value)| value.clone())
        .unwrap();
    let mut user = sandbox.pagerduty.objects("users")[0].clone();
    let address = user["email"].as_str().unwrap().to_owned();
    user["description"] = json!(format!("uses {token} and {}", address.to_uppercase()));
    sandbox.pagerduty.insert("users", &user);

    let directory = tempfile::tempdir().unwrap();
    let arguments = ["record", "recorded", "--defaults"];
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    outcome.expect_code(0);
    let folder = directory.path().join("recorded");
    assert_eq!(manifest(&folder)["emails_replaced"], true);
    let mut addresses = 0;
    for file in manifest(&folder)["files"].as_array().unwrap() {
        let text = read(&folder, file["file"].as_str().unwrap());
        assert!(!text.contains(&token), "{file}");
        assert!(
            !text.to_lowercase().contains(&address.to_lowercase()),
            "{file}"
        );
        addresses += text.matches("@example.com").count();
    }
    assert!(addresses > 10);
    let users = values(&read(&folder, "users.ndjson"));
    let recorded = users
        .iter()
        .find(|other| other["id"] == user["id"])
        .unwrap();
    let invented = recorded["email"].as_str().unwrap();
    assert_eq!(
        recorded["description"],
        format!("uses [REDACTED] and {invented}")
    );

    // The same again gives the same.
    let before = read(&folder, "users.ndjson");
    portolan_in(directory.path(), &arguments, &environment)
        .await
        .expect_code(0);
    assert_eq!(read(&folder, "users.ndjson"), before);
}

#[tokio::test]
async fn a_recording_is_tested_against_what_it_gave() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let environment = sandbox.environment();
    let record = ["record", "recorded", "--defaults"];
    portolan_in(directory.path(), &record, &environment)
        .await
        .expect_code(0);
    let update = ["map", "--test", "recorded", "--update"];
    // The default mapping for all three is more than that of each; each file goes by its kind.
    let outcome = portolan_in(directory.path(), &update, &[])
        .await
        .expect_code(0);
    assert!(
        outcome.stdout.starts_with("Wrote what is expected of "),
        "{}",
        outcome.stdout
    );
    let test = ["map", "--test", "recorded"];
    let outcome = portolan_in(directory.path(), &test, &[])
        .await
        .expect_code(0);
    assert!(
        outcome.stdout.starts_with("No difference in "),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn a_listing_cut_short_is_said_in_the_manifest_and_by_the_exit_code() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    sandbox
        .pagerduty
        .fault(Matcher::get("/users"), Answer::status(404), usize::MAX);
    let environment = sandbox.environment_for(SourceName::Pagerduty);
    let arguments = ["record", "recorded", "--defaults"];
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    let outcome = outcome.expect_code(3);
    assert!(
        outcome
            .stdout
            .contains("users.ndjson: 0 objects, incomplete"),
        "{}",
        outcome.stdout
    );
    let logged = outcome.logged("ERROR");
    assert!(
        logged
            .iter()
            .any(|line| line.starts_with("users.ndjson is incomplete: ")),
        "{logged:?}"
    );
    let manifest = manifest(&directory.path().join("recorded"));
    let files = manifest["files"].as_array().unwrap();
    let incomplete: Vec<_> = files
        .iter()
        .filter(|file| file["complete"] == false)
        .collect();
    assert!(
        incomplete.iter().any(|file| file["kind"] == "users"),
        "{manifest}"
    );
    assert!(
        incomplete.iter().all(|file| file["errors"][0].is_string()),
        "{manifest}"
    );
    assert!(
        files.iter().any(|file| file["complete"] == true),
        "{manifest}"
    );
    let update = ["map", "--test", "recorded", "--update"];
    let outcome = portolan_in(directory.path(), &update, &[]).await;
    let warning = "warning: users.ndjson was not listed to its end when it was recorded\n";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    let names = std::fs::read_dir(directory.path().join("recorded")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.all(|name| !name.ends_with(".partial")));
}

#[tokio::test]
async fn without_a_mapping_there_is_nothing_to_record() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let environment = sandbox.environment();
    let outcome = portolan_in(directory.path(), &["record", "to"], &environment).await;
    let logged = outcome.expect_code(2).logged("ERROR");
    assert!(logged[0].contains("not in Port yet"), "{logged:?}");
    assert!(!directory.path().join("to").exists());

    let mapping = "resources:\n  - kind: incidents\n    selector: {query: '.x |'}\n    port: {entity: {mappings: {identifier: .id, blueprint: '\"b\"'}}}\n";
    std::fs::write(directory.path().join("mapping.yaml"), mapping).unwrap();
    let arguments = ["record", "to", "--mapping", "mapping.yaml"];
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    let logged = outcome.expect_code(2).logged("ERROR");
    assert!(logged[0].contains("mapping.yaml:3:23"), "{logged:?}");

    let outcome = portolan_in(
        directory.path(),
        &["record", "to"],
        &with(Vec::new(), "X", "y"),
    )
    .await;
    assert!(
        outcome
            .expect_code(2)
            .stderr
            .contains("OCEAN__PORT__CLIENT_ID")
    );
}

#[tokio::test]
async fn each_account_has_files_of_its_own_and_two_lists_of_a_kind_share_one() {
    let us = small_sandbox().await;
    let eu = small_sandbox().await;
    eu.pagerduty.clear();
    let incident = |id: &str, status: &str| json!({"id": id, "type": "incident", "status": status, "created_at": "2026-01-02T03:04:05Z"});
    eu.pagerduty
        .insert("incidents", &incident("Q1", "triggered"));
    eu.pagerduty
        .insert("incidents", &incident("Q2", "resolved"));
    let account = |name: &str, sandbox: &Sandbox| json!({"name": name, "token": portolan::sandbox::pagerduty::TOKEN, "api_url": sandbox.pagerduty.url()});
    let accounts = json!([account("us", &us), account("eu", &eu)]);
    let environment: Vec<_> = us
        .environment_for(SourceName::Pagerduty)
        .into_iter()
        .filter(|(name, _)| !name.starts_with("OCEAN__INTEGRATION__CONFIG__"))
        .collect();
    let environment = with(
        environment,
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
        &accounts.to_string(),
    );
    // The first two lists overlap, and the third has the other incident.
    let config = |statuses: &str| {
        format!(
            "  - kind: incidents\n    selector: {{query: 'true', apiQueryParams: {{date_range: all, statuses: {statuses}}}}}\n    \
             port: {{entity: {{mappings: {{identifier: .id, blueprint: '\"b\"'}}}}}}\n"
        )
    };
    let lists = ["[triggered]", "[triggered, acknowledged]", "[resolved]"];
    let mapping = format!("resources:\n{}", lists.map(config).concat());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mapping.yaml"), mapping).unwrap();
    let arguments = ["record", "recorded", "--mapping", "mapping.yaml"];
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;
    outcome.expect_code(0);

    let folder = directory.path().join("recorded");
    let europe = values(&read(&folder, "incidents@eu.ndjson"));
    let ids: Vec<_> = europe.iter().map(|incident| &incident["id"]).collect();
    assert_eq!(ids, ["Q1", "Q2"]);
    let count = read(&folder, "incidents@us.ndjson").lines().count();
    assert_eq!(count, us.pagerduty.count("incidents"));
    let told = manifest(&folder);
    let accounts: Vec<_> = told["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["account"])
        .collect();
    assert_eq!(accounts, ["eu", "us"]);
    // Nothing was asked of Port, whose credentials the settings want all the same.
    assert!(us.port.requests().is_empty());

    let update = [
        "map",
        "--mapping",
        "mapping.yaml",
        "--test",
        "recorded",
        "--update",
    ];
    portolan_in(directory.path(), &update, &[])
        .await
        .expect_code(0);
    // Q1 by two resource configs, Q2 by one.
    assert_eq!(
        read(&folder, "expected/incidents@eu.ndjson")
            .lines()
            .count(),
        3
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_ends_a_recording_and_what_was_recorded_before_stays() {
    let sandbox = small_sandbox().await;
    for number in 0..600 {
        let user = json!({"id": format!("PU{number}"), "type": "user", "name": "Somebody"});
        sandbox.pagerduty.insert("users", &user);
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("recorded");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("services.ndjson"), "{}\n").unwrap();
    // Whatever is written there meets a disk without room.
    std::os::unix::fs::symlink("/dev/full", folder.join("users.ndjson.partial")).unwrap();

    let environment = sandbox.environment_for(SourceName::Pagerduty);
    let arguments = ["record", "recorded", "--defaults"];
    let outcome = portolan_in(directory.path(), &arguments, &environment).await;

    let logged = outcome.expect_code(1).logged("ERROR");
    let said = "Cannot write into recorded: No space left on device";
    assert!(
        logged.iter().any(|line| line.starts_with(said)),
        "{logged:?}"
    );
    assert_eq!(read(&folder, "services.ndjson"), "{}\n");
    let names = std::fs::read_dir(&folder).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["services.ndjson"], "nothing half written is left");
}

#[tokio::test]
async fn a_recording_that_is_stopped_leaves_the_one_before() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let environment = sandbox.environment_for(SourceName::Pagerduty);
    let arguments = ["record", "recorded", "--defaults"];
    portolan_in(directory.path(), &arguments, &environment)
        .await
        .expect_code(0);
    let folder = directory.path().join("recorded");
    let before = contents(&folder);
    assert!(before.len() > 5, "{:?}", before.keys());

    sandbox.clear_requests();
    let users = Matcher::get("/users");
    let never = Answer::real().after(Duration::from_mins(10));
    sandbox.pagerduty.fault(users.clone(), never, usize::MAX);
    let child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while sandbox.pagerduty.requested(&users) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kill = format!("kill -INT {}", child.id().unwrap());
    let killed = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().await.unwrap();

    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("recorded is as it was before"), "{said}");
    assert_eq!(contents(&folder), before);
}

/// The files of a folder, by name.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| (name.clone(), read(folder, &name)))
        .collect()
}
