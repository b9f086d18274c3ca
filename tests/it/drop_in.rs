//! An existing installation changes the image and keeps everything else.

use portolan::sandbox::Matcher;
use portolan::settings::SourceName;

use crate::program::{portolan, run_in, small_sandbox, with};

/// Entities of a blueprint in the sandbox's Port.
fn count(sandbox: &portolan::sandbox::Sandbox, blueprint: &str) -> usize {
    sandbox.port.entities(blueprint).len()
}

#[tokio::test]
async fn the_environment_of_a_pagerduty_workflow_brings_every_object_into_the_catalog() {
    let sandbox = small_sandbox().await;
    // As the documented GitHub workflow of the original sets it, without the
    // type: the image's name said that.
    let environment = [
        ("OCEAN__EVENT_LISTENER", r#"{"type":"ONCE"}"#.to_owned()),
        (
            "OCEAN__INTEGRATION__CONFIG__TOKEN",
            portolan::sandbox::pagerduty::TOKEN.to_owned(),
        ),
        (
            "OCEAN__INTEGRATION__CONFIG__API_URL",
            sandbox.pagerduty.url().to_string(),
        ),
        (
            "OCEAN__PORT__CLIENT_ID",
            portolan::sandbox::port::CLIENT_ID.to_owned(),
        ),
        (
            "OCEAN__PORT__CLIENT_SECRET",
            portolan::sandbox::port::CLIENT_SECRET.to_owned(),
        ),
        ("OCEAN__PORT__BASE_URL", sandbox.port.url().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value));

    portolan(&["run"], &environment).await.expect_code(0);

    for (blueprint, endpoint) in [
        ("pagerdutyService", "services"),
        ("pagerdutySchedule", "schedules"),
        ("pagerdutyEscalationPolicy", "escalation_policies"),
        ("pagerdutyUser", "users"),
    ] {
        assert_eq!(
            count(&sandbox, blueprint),
            sandbox.pagerduty.count(endpoint),
            "{blueprint}"
        );
    }
    assert!(count(&sandbox, "pagerdutyIncident") > 0);
    assert!(count(&sandbox, "pagerdutyOncall") > 0);
    let datasource = sandbox.port.datasource(
        "pagerdutyService",
        sandbox
            .port
            .entities("pagerdutyService")
            .keys()
            .next()
            .unwrap(),
    );
    let datasource = datasource.unwrap();
    assert!(
        datasource.starts_with("port-ocean/pagerduty/"),
        "{datasource}"
    );
    assert!(
        datasource.ends_with("/my-pagerduty-integration/exporter"),
        "{datasource}"
    );
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_environment_of_the_statuspage_chart_brings_every_object_into_the_catalog() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment_for(SourceName::Statuspage),
        "OCEAN__SCHEDULED_RESYNC_INTERVAL",
        "120",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    let groups = sandbox.statuspage.count("component_group");
    for (blueprint, objects) in [
        ("statuspage", sandbox.statuspage.count("statuspage")),
        ("statuspageComponentGroup", groups),
        ("statuspageComponent", sandbox.statuspage.count("component")),
        ("statuspageIncident", sandbox.statuspage.count("incident")),
        (
            "statuspageIncidentUpdate",
            sandbox.statuspage.count("incident_update"),
        ),
    ] {
        assert_eq!(count(&sandbox, blueprint), objects, "{blueprint}");
    }
    // The API lists a group among the components as well; the selector leaves it out.
    let components = outcome
        .summary()
        .into_iter()
        .find(|(kind, _)| kind == "component")
        .unwrap();
    assert_eq!(components.1[1], groups as u64);
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_state_in_port_says_when_the_resync_ran_and_how_it_went() {
    let sandbox = small_sandbox().await;

    run_in(&sandbox).await.expect_code(0);

    let states: Vec<String> = sandbox
        .port
        .resync_states()
        .iter()
        .map(|state| state["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["running", "completed"]);
}

#[tokio::test]
async fn every_dataset_is_listed_once() {
    let sandbox = small_sandbox().await;

    run_in(&sandbox).await.expect_code(0);

    let pages = sandbox.statuspage.requested(&Matcher::get("/v1/pages"));
    // Once to see whether the key is good, once for the pages themselves.
    assert_eq!(pages, 2);
    let users = sandbox.pagerduty.requested(&Matcher::get("/users"));
    // Likewise; the schedules take the addresses from the same listing.
    assert_eq!(users, 2);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let strip = |sandbox: &portolan::sandbox::Sandbox| {
        let mut all = Vec::new();
        for blueprint in sandbox.port.blueprints().into_keys() {
            for (identifier, mut entity) in sandbox.port.entities(&blueprint) {
                entity.as_object_mut().unwrap().remove("updatedAt");
                all.push((blueprint.clone(), identifier, entity));
            }
        }
        all
    };
    let before = strip(&sandbox);
    let blueprints = sandbox.port.blueprints();

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(strip(&sandbox), before);
    assert_eq!(sandbox.port.blueprints(), blueprints);
}
