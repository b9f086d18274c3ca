//! Statuspage, PagerDuty and Opsgenie in one process: one mapping, one resync,
//! one summary.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Unit};
use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::{Value, json};

use crate::catalog::{assert_same, catalog, deleted, written};
use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, run_in, small_sandbox, with};

fn kinds(mapping: &Value) -> Vec<&str> {
    let resources = mapping["resources"].as_array().unwrap().iter();
    resources
        .map(|resource| resource["kind"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn one_resync_brings_all_three_into_the_catalog_and_ends_in_one_summary() {
    let sandbox = small_sandbox().await;

    let outcome = run_in(&sandbox).await.expect_code(0);

    let integration = sandbox.port.integration().unwrap();
    let stored = kinds(&integration["config"]);
    assert_eq!(stored.len(), 19);
    let qualified: Vec<_> = stored.iter().filter(|kind| kind.contains('.')).collect();
    assert_eq!(qualified, [&"statuspage.incident", &"opsgenie.incident"]);
    for (blueprint, objects) in [
        ("statuspageComponent", sandbox.statuspage.count("component")),
        ("statuspageIncident", sandbox.statuspage.count("incident")),
        ("pagerdutyService", sandbox.pagerduty.count("services")),
        ("pagerdutyUser", sandbox.pagerduty.count("users")),
        ("opsGenieService", sandbox.opsgenie.count("services")),
        ("opsGenieUser", sandbox.opsgenie.count("users")),
        ("opsGenieTeam", sandbox.opsgenie.count("teams")),
    ] {
        assert!(objects > 0, "{blueprint}");
        assert_eq!(
            sandbox.port.entities(blueprint).len(),
            objects,
            "{blueprint}"
        );
    }
    // A row for each resource config, and one for the total.
    let rows = outcome.summary();
    assert_eq!(rows.len(), 20, "{}", outcome.stdout);
    assert_eq!(rows.last().unwrap().0, "total");
    let states = sandbox.port.resync_states();
    assert_eq!(states.len(), 2, "one resync begins and ends: {states:?}");
    assert_eq!(states[1]["status"], "completed");
    assert_eq!(sandbox.problems(), Vec::<String>::new());

    sandbox.clear_requests();
    run_in(&sandbox).await.expect_code(0);

    assert_eq!(written(&sandbox), BTreeSet::new());
    assert_eq!(deleted(&sandbox), BTreeSet::new());
}

#[tokio::test]
async fn a_public_incident_leads_to_the_pagerduty_incidents_that_it_stands_for() {
    let sandbox = small_sandbox().await;
    let component = sandbox
        .statuspage
        .objects("component")
        .into_iter()
        .find(|component| component["group"] == false && component["status"] == "operational")
        .unwrap();
    let component = component["id"].as_str().unwrap();
    let a_minute_ago = Timestamp::now() - SignedDuration::from_mins(1);
    let a_minute_ago = a_minute_ago.round(Unit::Second).unwrap().to_string();
    for id in ["PLINK1", "PLINK2"] {
        let tags = format!("component:{component}");
        let channel = json!({"type": "api", "details": {"tags": tags}});
        sandbox.pagerduty.open_incident(id, "5xx", channel);
        assert!(sandbox.pagerduty.acknowledge(id));
        // Analytics are asked for up to the last full second: both resyncs must see
        // the incident in them.
        sandbox.pagerduty.update("incidents", id, |incident| {
            incident["created_at"] = a_minute_ago.as_str().into();
        });
    }
    let apply = with(
        sandbox.environment(),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE",
        "apply",
    );
    portolan(&["reconcile"], &apply).await.expect_code(0);
    let key = format!("component:{component}");
    let announced = sandbox.statuspage.objects("incident").into_iter();
    let announced: Vec<Value> = announced
        .filter(|incident| incident["metadata"]["portolan"]["key"] == key)
        .collect();
    let [announced] = announced.as_slice() else {
        panic!("{announced:?}")
    };

    run_in(&sandbox).await.expect_code(0);

    let blueprint = &sandbox.port.blueprints()["statuspageIncident"];
    let relation = &blueprint["relations"]["pagerdutyIncidents"];
    assert_eq!(relation["target"], "pagerdutyIncident");
    let stands_for = |incident: &Value| -> Vec<Value> {
        let sources = incident["metadata"]["portolan"]["sources"].as_array();
        let of_pagerduty = sources
            .into_iter()
            .flatten()
            .filter(|source| source["source"] == "pagerduty");
        of_pagerduty.map(|source| source["id"].clone()).collect()
    };
    let expected = stands_for(announced);
    assert!(expected.contains(&json!("PLINK1")) && expected.contains(&json!("PLINK2")));
    for incident in sandbox.statuspage.objects("incident") {
        let id = incident["id"].as_str().unwrap();
        let entity = sandbox.port.entity("statuspageIncident", id).unwrap();
        let related = &entity["relations"]["pagerdutyIncidents"];
        let related = related.as_array().cloned().unwrap_or_default();
        assert_eq!(related, stands_for(&incident), "{id}");
    }
    assert_eq!(sandbox.problems(), Vec::<String>::new());

    sandbox.clear_requests();
    run_in(&sandbox).await.expect_code(0);

    assert_eq!(written(&sandbox), BTreeSet::new());
    assert_eq!(deleted(&sandbox), BTreeSet::new());

    // PagerDuty forgets it, the public incident does not: the link stays whole.
    sandbox.pagerduty.remove("incidents", "PLINK1").unwrap();
    run_in(&sandbox).await.expect_code(0);

    let kept = sandbox.port.entity("pagerdutyIncident", "PLINK1").unwrap();
    assert_eq!(kept["title"], "5xx");
}

fn things(kind: &str) -> Value {
    resource(
        kind,
        &json!({"identifier": ".id", "blueprint": "\"thing\""}),
    )
}

async fn sandbox_with(kinds: &[&str]) -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(&sandbox, "thing", &[], &[]);
    let resources: Vec<Value> = kinds.iter().map(|kind| things(kind)).collect();
    install(&sandbox, &json!({ "resources": resources }));
    sandbox
}

#[tokio::test]
async fn an_ambiguous_bare_kind_is_refused_and_the_candidates_are_named() {
    let sandbox = sandbox_with(&["incident", "component"]).await;

    let outcome = run_in(&sandbox).await.expect_code(1);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in [
        "resources[0].kind",
        "several sources have a kind `incident`",
        "`statuspage.incident` or `opsgenie.incident`",
    ] {
        assert!(errors[0].contains(part), "{errors:?}");
    }
    // Nothing was fetched for a mapping with a mistake, nothing written.
    assert_eq!(
        sandbox.opsgenie.requested(&Matcher::get("/v1/incidents")),
        0
    );
    assert_eq!(
        sandbox
            .statuspage
            .requested(&Matcher::get("/v1/pages/*/components")),
        0
    );
    assert!(sandbox.port.entities("thing").is_empty());
    assert_eq!(
        sandbox.port.resync_states().last().unwrap()["status"],
        "failed"
    );
}

#[tokio::test]
async fn an_ambiguous_kind_in_a_file_of_ones_own_keeps_the_process_from_starting() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let mapping = json!({"resources": [things("incident")]});
    let file = directory.path().join("port-app-config.json");
    std::fs::write(file, mapping.to_string()).unwrap();
    let environment = with(
        sandbox.environment(),
        "OCEAN__RESOURCES_PATH",
        directory.path().to_str().unwrap(),
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert!(errors[0].contains("`opsgenie.incident`"), "{errors:?}");
    assert!(sandbox.port.integration().is_none());
}

#[tokio::test]
async fn qualified_kinds_come_from_their_own_source() {
    let sandbox = sandbox_with(&["opsgenie.incident", "statuspage.incident"]).await;

    let outcome = run_in(&sandbox).await.expect_code(0);

    let counts: Vec<u64> = outcome
        .summary()
        .iter()
        .map(|(_, [fetched, ..])| *fetched)
        .collect();
    let expected = [
        sandbox.opsgenie.count("incidents") as u64,
        sandbox.statuspage.count("incident") as u64,
    ];
    assert_eq!(counts[..2], expected);
    assert_eq!(
        sandbox.port.entities("thing").len() as u64,
        expected.iter().sum::<u64>()
    );
}

#[tokio::test]
async fn what_two_sources_stored_stays_good_when_the_third_is_turned_on() {
    let sandbox = small_sandbox().await;
    let mut two = sandbox.environment();
    two.retain(|(name, _)| !name.contains("OPSGENIE"));
    portolan(&["run"], &two).await.expect_code(0);
    let before = catalog(&sandbox);
    let stored = sandbox.port.integration().unwrap()["config"].clone();
    assert_eq!(kinds(&stored).len(), 12);

    run_in(&sandbox).await.expect_code(0);

    assert_same(&catalog(&sandbox), &before, "with Opsgenie on");
    assert_eq!(sandbox.port.integration().unwrap()["config"], stored);
}

#[tokio::test]
async fn when_opsgenie_refuses_its_entities_stay_and_the_others_go_on() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let before = catalog(&sandbox);
    let component = sandbox.statuspage.objects("component")[0].clone();
    let component = component["id"].as_str().unwrap();
    sandbox
        .statuspage
        .update("component", component, |component| {
            component["description"] = json!("Said after Opsgenie was gone");
        });
    for list in ["incidents", "services", "teams", "schedules"] {
        let list = Matcher::get(&format!("/*/{list}"));
        sandbox
            .opsgenie
            .fault(list, Answer::status(410), usize::MAX);
    }

    let outcome = run_in(&sandbox).await.expect_code(3);

    let after = catalog(&sandbox);
    for (place, entity) in &before {
        if place.0.starts_with("opsGenie") {
            assert_eq!(after.get(place), Some(entity), "{place:?}");
        }
    }
    let changed = sandbox
        .port
        .entity("statuspageComponent", component)
        .unwrap();
    assert_eq!(
        changed["properties"]["description"],
        "Said after Opsgenie was gone"
    );
    assert_eq!(deleted(&sandbox), BTreeSet::new());
    assert!(!outcome.stdout.contains("statuspage.incident (incomplete)"));
}
