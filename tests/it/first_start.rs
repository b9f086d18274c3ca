//! What a first start puts into Port, and what it leaves alone.

use std::collections::BTreeMap;
use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::program::{portolan, run_in, small_sandbox, with};

#[tokio::test]
async fn a_first_start_creates_the_integration_the_blueprints_and_the_mapping() {
    let sandbox = small_sandbox().await;

    run_in(&sandbox).await.expect_code(0);

    let integration = sandbox.port.integration().unwrap();
    assert_eq!(integration["installationAppType"], "portolan");
    assert_eq!(integration["arePortResourcesInitialized"], true);
    assert_eq!(
        integration["config"]["resources"].as_array().unwrap().len(),
        19
    );
    let blueprints = sandbox.port.blueprints();
    assert_eq!(blueprints.len(), 17);
    let incident = &blueprints["statuspageIncident"];
    assert!(incident["relations"]["components"].is_object());
    assert!(incident["calculationProperties"]["category"].is_object());
}

#[tokio::test]
async fn a_blueprint_that_exists_stays_as_it_is_and_keeps_no_other_from_being_created() {
    let sandbox = small_sandbox().await;
    let own = json!({
        "identifier": "statuspage",
        "title": "Our pages",
        "schema": {"properties": {"url": {"type": "string"}}, "required": []},
        "relations": {},
    });
    sandbox.port.insert_blueprint(&own);
    let before = sandbox.port.blueprints()["statuspage"].clone();

    run_in(&sandbox).await.expect_code(0);

    let blueprints = sandbox.port.blueprints();
    assert_eq!(blueprints["statuspage"], before);
    assert_eq!(blueprints.len(), 17);
}

#[tokio::test]
async fn a_set_up_that_fails_is_taken_back_and_made_up_for_by_the_next_start() {
    let sandbox = small_sandbox().await;
    sandbox.port.fault(
        Matcher::patch("/v1/blueprints/statuspageIncident"),
        Answer::status(422),
        1,
    );

    let outcome = run_in(&sandbox).await.expect_code(1);

    assert!(sandbox.port.blueprints().is_empty());
    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("statuspageIncident"), "{errors:?}");

    run_in(&sandbox).await.expect_code(0);
    assert_eq!(sandbox.port.blueprints().len(), 17);
}

/// A default blueprint as a start leaves it that is killed before its relations.
fn bare(blueprint: &Value) -> Value {
    let mut bare = blueprint.clone();
    bare.as_object_mut().unwrap().retain(|key, _| {
        ["identifier", "title", "icon", "description", "schema"].contains(&key.as_str())
    });
    bare
}

#[tokio::test]
async fn what_a_killed_start_left_unfinished_is_completed_and_what_a_person_changed_is_not() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let whole = definitions(&sandbox);
    sandbox.port.clear();
    let page = bare(&whole["statuspage"]);
    let component = bare(&whole["statuspageComponent"]);
    let mut related = bare(&whole["statuspageIncident"]);
    related["relations"] = whole["statuspageIncident"]["relations"].clone();
    let target = bare(&whole["pagerdutyIncident"]);
    let mut own = bare(&whole["pagerdutyService"]);
    own["title"] = json!("Our services");
    for blueprint in [&page, &component, &target, &related, &own] {
        let mut blueprint = blueprint.clone();
        blueprint["createdBy"] = json!("somebody");
        blueprint["createdAt"] = json!("2026-01-01T00:00:00Z");
        sandbox.port.insert_blueprint(&blueprint);
    }

    let outcome = portolan(&["run"], &sandbox.environment()).await;

    let after = definitions(&sandbox);
    for (identifier, blueprint) in &whole {
        if identifier == "pagerdutyService" {
            assert_eq!(after[identifier], own);
        } else {
            assert_eq!(after[identifier], *blueprint);
        }
    }
    let said = outcome.logged("INFO");
    let completed = said.iter().find(|line| line.starts_with("Completed 4"));
    let names = ": statuspage, statuspageComponent, statuspageIncident, pagerdutyIncident";
    assert!(
        completed.is_some_and(|line| line.ends_with(names)),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_blueprint_that_looks_unfinished_once_all_is_set_up_is_somebodys() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let stripped = bare(&definitions(&sandbox)["statuspageComponent"]);
    sandbox.port.insert_blueprint(&stripped);

    run_in(&sandbox).await;

    assert_eq!(definitions(&sandbox)["statuspageComponent"], stripped);
}

#[tokio::test]
async fn a_set_up_that_fails_takes_back_only_what_it_created_itself() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let whole = definitions(&sandbox);
    sandbox.port.clear();
    sandbox
        .port
        .insert_blueprint(&bare(&whole["statuspageComponent"]));
    // Carried out, but the answer is lost: nobody can tell whose it is.
    let creation = Matcher::post("/v1/blueprints").with_body("\"pagerdutyIncident\"");
    let lost = Answer::status(502).after(Duration::from_millis(200));
    sandbox.port.fault(creation.clone(), lost, 1);
    sandbox.port.clear_requests();
    let carrying_out = async {
        while sandbox.port.requested(&creation) == 0 {
            tokio::task::yield_now().await;
        }
        let carried_out = bare(&whole["pagerdutyIncident"]);
        sandbox.port.insert_blueprint(&carried_out);
    };

    let (outcome, ()) = tokio::join!(run_in(&sandbox), carrying_out);

    outcome.expect_code(1);
    let left: Vec<String> = sandbox.port.blueprints().into_keys().collect();
    assert_eq!(left, ["pagerdutyIncident", "statuspageComponent"]);

    run_in(&sandbox).await.expect_code(0);
    assert_eq!(definitions(&sandbox), whole);
}

/// The blueprints, without the times.
fn definitions(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let mut blueprints = sandbox.port.blueprints();
    for blueprint in blueprints.values_mut() {
        let members = blueprint.as_object_mut().unwrap();
        members.retain(|key, _| !["createdAt", "createdBy", "updatedAt"].contains(&key.as_str()));
    }
    blueprints
}

#[tokio::test]
async fn half_an_answer_about_a_blueprint_is_asked_for_again() {
    let sandbox = small_sandbox().await;
    // Cut off, "there is no such blueprint" says nothing about the blueprint.
    sandbox.port.fault(
        Matcher::get("/v1/blueprints/statuspageIncident"),
        Answer::truncated(),
        2,
    );

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.blueprints().len(), 17);
}

#[tokio::test]
async fn nothing_is_created_when_the_settings_say_so() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment_for(SourceName::Statuspage),
        "OCEAN__INITIALIZE_PORT_RESOURCES",
        "false",
    );

    // Nothing can be stored either: there is no blueprint to store it in.
    portolan(&["run"], &environment).await.expect_code(3);

    assert!(sandbox.port.blueprints().is_empty());
}

#[tokio::test]
async fn resources_of_ones_own_replace_the_defaults() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("blueprints.yaml"),
        "- identifier: page\n  title: Page\n  schema: {properties: {}, required: []}\n  relations: {}\n",
    )
    .unwrap();
    std::fs::write(
        directory.path().join("port-app-config.yml"),
        concat!(
            "resources:\n",
            "  - kind: statuspage\n",
            "    selector: {query: \"true\"}\n",
            "    port:\n",
            "      entity:\n",
            "        mappings: {identifier: .id, title: .name, blueprint: '\"page\"'}\n",
        ),
    )
    .unwrap();
    let environment = with(
        sandbox.environment_for(SourceName::Statuspage),
        "OCEAN__RESOURCES_PATH",
        directory.path().to_str().unwrap(),
    );

    portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(
        sandbox.port.entities("page").len(),
        sandbox.statuspage.count("statuspage")
    );
    assert_eq!(sandbox.port.blueprints().len(), 1);
}

#[tokio::test]
async fn mistakes_in_a_mapping_of_ones_own_are_shown_where_they_stand() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("port-app-config.yaml");
    std::fs::write(
        &file,
        concat!(
            "resources:\n",
            "  - kind: statuspage\n",
            "    selector: {query: \"true\"}\n",
            "    port:\n",
            "      entity:\n",
            "        mappings:\n",
            "          identifier: .id\n",
            "          title: .name |\n",
            "          blueprint: '\"page\"'\n",
        ),
    )
    .unwrap();
    let environment = with(
        sandbox.environment_for(SourceName::Statuspage),
        "OCEAN__RESOURCES_PATH",
        directory.path().to_str().unwrap(),
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    let place = format!("{}:8:18", file.display());
    assert!(errors[0].contains(&place), "{errors:?}");
    assert!(sandbox.port.integration().is_none());
}

#[tokio::test]
async fn an_integration_that_port_hosts_is_not_run_here_as_well() {
    let sandbox = small_sandbox().await;
    sandbox.port.insert_integration(
        portolan::sandbox::IDENTIFIER,
        &json!({"installationType": "Saas", "config": {"resources": []}}),
    );

    let outcome = run_in(&sandbox).await.expect_code(2);

    assert!(outcome.logged("ERROR")[0].contains("hosted by Port"));
}
