//! `portolan map`: entities from objects at hand, the very ones a resync makes.

use std::collections::BTreeMap;

use portolan::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{MAPPING, fed, mapping_in, run, values};
use crate::program::{run_in, small_sandbox};

const OBJECTS: &str = r#"
{"id": "P1", "title": "One", "status": "open", "service": {"id": "S", "summary": "Shop"}, "people": [{"name": "A"}]}
{"id": "P2", "title": "Two", "status": "open", "service": null, "people": null}
{"id": "P3", "title": "Three", "status": "resolved"}"#;

#[tokio::test]
async fn objects_come_one_by_one_as_an_array_and_as_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mapping = mapping_in(directory.path(), |text| text);
    let lines: Vec<Value> = values(OBJECTS.trim());
    let array = Value::from(lines.clone()).to_string();
    let mut printed = Vec::new();
    for input in [OBJECTS, &array] {
        let outcome = fed(
            directory.path(),
            &["map", "--mapping", &mapping],
            &[],
            input,
        )
        .await;
        printed.push(outcome.expect_code(0).stdout);
    }
    std::fs::write(directory.path().join("one.json"), lines[0].to_string()).unwrap();
    std::fs::write(
        directory.path().join("rest.json"),
        json!(lines[1..]).to_string(),
    )
    .unwrap();
    let arguments = ["map", "one.json", "rest.json", "--mapping", &mapping];
    let outcome = fed(directory.path(), &arguments, &[], "")
        .await
        .expect_code(0);
    printed.push(outcome.stdout);

    assert!(printed.iter().all(|one| *one == printed[0]), "{printed:?}");
    insta::assert_snapshot!(printed[0], @r#"
    {"identifier":"P1","blueprint":"incident","title":"One","properties":{"service":"Shop","names":"A"},"relations":{"service":"S"}}
    {"identifier":"P2","blueprint":"incident","title":"Two","properties":{"service":null,"names":null},"relations":{"service":null}}
    "#);
    insta::assert_snapshot!(outcome.stderr, @r#"
    warning: mapping.yaml:13:20  resources[0].port.entity.mappings.properties.names
          .people | map(.name) | join(",")
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        failed: cannot iterate over null; the field is null (1 object, `P2`)
        hint: `[]` wants a list or an object: `[]?` gives nothing where there is none, and `// []` before it makes null an empty list
    3 objects of `incidents`: 2 entities, 1 filtered, 0 failed
    "#);
}

#[tokio::test]
async fn an_object_that_fails_is_told_and_changes_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let mapping = mapping_in(directory.path(), |text| text);
    let arguments = ["map", "--mapping", &mapping];
    let input = r#"[{"id": "a b", "status": "x"}, {"id": "c", "status": "x", "people": []}]"#;
    let outcome = fed(directory.path(), &arguments, &[], input)
        .await
        .expect_code(3);

    assert_eq!(values(&outcome.stdout).len(), 1);
    insta::assert_snapshot!(outcome.stderr, @r#"
    error: mapping.yaml:8:23  resources[0].port.entity.mappings.identifier
          .id
          ^^^
        gave an identifier that Port would refuse: it contains a space; use `.id | gsub("[^A-Za-z0-9@_.+:\\\\/=-]"; "-")` (1 object, `a b`)
    2 objects of `incidents`: 1 entity, 0 filtered, 1 failed
    "#);
}

#[tokio::test]
async fn input_that_cannot_be_mapped_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let mapping = mapping_in(directory.path(), |text| text);
    let arguments = ["map", "--mapping", &mapping];
    let refused = async |input: &str| {
        let outcome = fed(directory.path(), &arguments, &[], input)
            .await
            .expect_code(1);
        assert_eq!(outcome.stdout, "");
        outcome.stderr
    };
    insta::assert_snapshot!(refused("[{\"id\": 1}, 7]").await, @"
    error: value 2 of the input is no object
        hint: give the objects as the API lists them, without what is around them: `portolan jq .incidents page.json | portolan map …`
    ");
    for page in [
        "{\"incidents\": [{\"id\": 1}], \"more\": false}",
        "{\"data\": []}",
    ] {
        let stderr = refused(page).await;
        assert!(
            stderr.starts_with("error: value 1 of the input is a whole page"),
            "{stderr}"
        );
    }
    insta::assert_snapshot!(refused("{\"id\": 1}\n{\"id\": }").await, @r#"
    error: standard input:2:8 is not JSON
          {"id": }
                 ^
        expected value
    "#);
}

#[tokio::test]
async fn the_kind_is_asked_for_where_it_is_not_plain() {
    let directory = tempfile::tempdir().unwrap();
    let second = MAPPING
        .replace("resources:\n", "")
        .replace("incidents", "services");
    mapping_in(directory.path(), |text| text + &second);
    let refused = async |arguments: &[&str]| {
        let arguments = [&["map"], arguments].concat();
        let outcome = fed(directory.path(), &arguments, &[], "{}")
            .await
            .expect_code(2);
        assert_eq!(outcome.stdout, "");
        outcome.stderr
    };
    insta::assert_snapshot!(refused(&["--mapping", "mapping.yaml"]).await, @"
    error: mapping.yaml has several kinds
        hint: say which the objects are with --kind, one of incidents, services
    ");
    insta::assert_snapshot!(refused(&["--mapping", "mapping.yaml", "--kind", "users"]).await, @"
    error: mapping.yaml has no kind `users`
        hint: it has incidents, services
    ");
    insta::assert_snapshot!(refused(&["--kind", "incident"]).await, @"
    error: several sources have a kind `incident`
        hint: say which one: `statuspage.incident` or `opsgenie.incident`
    ");
    insta::assert_snapshot!(refused(&["--kind", "log_entries"]).await, @"
    error: no default mapping has a kind `log_entries`
        hint: they have statuspage, component_group, component, statuspage.incident, incident_update, services, incidents, schedules, oncalls, escalation_policies, users, user, team, schedule, service, alert, opsgenie.incident, schedule-oncall; any other needs a mapping of its own with --mapping
    ");
    insta::assert_snapshot!(refused(&[]).await, @"
    error: the objects may be of any kind
        hint: say which with --kind, one of statuspage, component_group, component, statuspage.incident, incident_update, services, incidents, schedules, oncalls, escalation_policies, users, user, team, schedule, service, alert, opsgenie.incident, schedule-oncall; or give a mapping of one kind with --mapping
    ");
    insta::assert_snapshot!(refused(&["--mapping", "none.yaml"]).await, @"error: cannot read none.yaml: No such file or directory (os error 2)");
    std::fs::write(directory.path().join("empty.yaml"), "resources: []").unwrap();
    insta::assert_snapshot!(refused(&["--mapping", "empty.yaml"]).await, @"
    error: empty.yaml has no resources
        hint: give it a list `resources`, each of them with kind, selector and port
    ");
    let arguments = [
        "map",
        "--mapping",
        "mapping.yaml",
        "--kind",
        "pagerduty.services",
    ];
    fed(directory.path(), &arguments, &[], r#"{"id": "S"}"#)
        .await
        .expect_code(0);
}

#[tokio::test]
async fn a_mapping_of_one_source_says_by_its_kinds_whose_it_is() {
    let directory = tempfile::tempdir().unwrap();
    mapping_in(directory.path(), |text| {
        text.replace("kind: incidents", "kind: incident")
    });
    for kind in ["incident", "statuspage.incident"] {
        let arguments = ["map", "--mapping", "mapping.yaml", "--kind", kind];
        let outcome = fed(directory.path(), &arguments, &[], r#"{"id": "I"}"#).await;
        assert_eq!(values(&outcome.expect_code(0).stdout)[0]["identifier"], "I");
    }
    let json = r#"{"resources": [{"kind": "alert", "selector": {"query": true}, "port": {"entity":
        {"mappings": {"identifier": ".id", "blueprint": "\"a\""}}}}]}"#;
    std::fs::write(directory.path().join("mapping.json"), json).unwrap();
    let arguments = ["map", "--mapping", "mapping.json"];
    let outcome = fed(directory.path(), &arguments, &[], r#"{"id": "A"}"#).await;
    assert_eq!(values(&outcome.expect_code(0).stdout)[0]["blueprint"], "a");
}

#[tokio::test]
async fn only_resource_configs_that_would_ask_for_an_object_map_it() {
    let incidents = r#"[{"id": "OPEN", "status": "triggered"}, {"id": "OVER", "status": "resolved", "created_at": "2015-10-06T21:30:42Z"},
        {"id": "ODD", "status": "snoozed"}]"#;
    let outcome = run(&["map", "--kind", "incidents"], incidents)
        .await
        .expect_code(0);

    let entities = values(&outcome.stdout);
    let assignees: BTreeMap<&str, bool> = entities
        .iter()
        .map(|entity| {
            let has = entity["properties"].get("assignees").is_some();
            (entity["identifier"].as_str().unwrap(), has)
        })
        .collect();
    // The default mapping has a resource config for open and one for resolved incidents.
    assert_eq!(assignees, BTreeMap::from([("OPEN", true), ("OVER", false)]));
    assert_eq!(entities.len(), 2);
    assert!(
        outcome
            .stderr
            .ends_with(", 1 that no selector asks the API for\n"),
        "{}",
        outcome.stderr
    );
}

/// What Port holds of a blueprint, as far as a mapping writes it.
fn held(sandbox: &Sandbox, blueprint: &str) -> BTreeMap<String, Value> {
    let entities = sandbox.port.entities(blueprint);
    let part = |entity: &Value| json!({"title": entity["title"], "properties": entity["properties"], "relations": entity["relations"]});
    entities
        .iter()
        .map(|(id, entity)| (id.clone(), part(entity)))
        .collect()
}

#[tokio::test]
async fn the_entities_are_those_of_a_resync() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    for (kind, objects, blueprint) in [
        (
            "component",
            sandbox.statuspage.objects("component"),
            "statuspageComponent",
        ),
        (
            "escalation_policies",
            sandbox.pagerduty.objects("escalation_policies"),
            "pagerdutyEscalationPolicy",
        ),
        ("user", sandbox.opsgenie.objects("users"), "opsGenieUser"),
    ] {
        let input = Value::from(objects).to_string();
        let outcome = run(&["map", "--kind", kind], &input).await.expect_code(0);
        let held = held(&sandbox, blueprint);
        let mapped = values(&outcome.stdout);
        assert!(!mapped.is_empty(), "{kind}");
        assert_eq!(mapped.len(), held.len(), "{kind}");
        let mut compared = 0;
        for entity in mapped {
            let expected = &held[entity["identifier"].as_str().unwrap()];
            assert_eq!(entity["title"], expected["title"]);
            for part in ["properties", "relations"] {
                for (key, value) in entity[part].as_object().unwrap() {
                    // Enrichment is not in these objects, and Port keeps nothing that
                    // the blueprint does not have.
                    if let Some(known) = expected[part].get(key).filter(|_| !value.is_null()) {
                        assert_eq!(value, known, "{kind}: {key}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 0, "{kind}");
    }
}
