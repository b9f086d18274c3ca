//! Catalogs that were built with the earlier generation of the mapping: services
//! by name, with what enrichment adds.

use std::collections::BTreeSet;

use portolan::catalog::Defaults;
use portolan::sandbox::Sandbox;
use portolan::settings::SourceName;
use serde_json::{Value, json};

use super::{run, text};
use crate::catalog::written;
use crate::installed::install;
use crate::program::small_sandbox;

const MAPPING: &str =
    include_str!("../../fixtures/mapping/opsgenie-earlier-generation/mapping.yaml");

/// Its blueprints had properties of what later became relations and mirrors.
fn earlier_blueprints() -> Vec<Value> {
    let mut blueprints = Defaults::embedded(&[SourceName::Opsgenie])
        .unwrap()
        .blueprints;
    for blueprint in &mut blueprints {
        blueprint["mirrorProperties"] = json!({});
        blueprint["aggregationProperties"] = json!({});
        let people = json!({"type": "array", "items": {"type": "string", "format": "user"}});
        let properties = blueprint["schema"]["properties"].as_object_mut().unwrap();
        properties.insert("oncallTeam".to_owned(), json!({"type": "string"}));
        properties.insert("teamMembers".to_owned(), people.clone());
        properties.insert("oncallUsers".to_owned(), people);
        properties.insert("numOpenIncidents".to_owned(), json!({"type": "number"}));
        properties.insert("responders".to_owned(), json!({"type": "array"}));
    }
    blueprints
}

async fn installed() -> Sandbox {
    let sandbox = small_sandbox().await;
    for blueprint in earlier_blueprints() {
        sandbox.port.insert_blueprint(&blueprint);
    }
    install(&sandbox, &serde_yaml::from_str(MAPPING).unwrap());
    sandbox
}

/// As the mapping makes an identifier of a name.
fn identifier(name: &str) -> String {
    let keep = |character: char| character.is_ascii_alphanumeric() || "@_.:/=-".contains(character);
    name.chars()
        .map(|character| if keep(character) { character } else { '-' })
        .collect()
}

fn has_impact_on(incident: &Value, service: &str) -> bool {
    let services = incident["impactedServices"].as_array();
    services.is_some_and(|services| services.iter().any(|id| id == service))
}

#[tokio::test]
async fn services_carry_team_members_on_calls_and_open_incidents() {
    let sandbox = installed().await;

    run(&sandbox).await.expect_code(0);

    let schedules = sandbox.opsgenie.objects("schedules");
    let incidents = sandbox.opsgenie.objects("incidents");
    let services = sandbox.opsgenie.objects("services");
    assert!(!services.is_empty());
    let (mut with_oncalls, mut with_incidents) = (0, 0);
    for service in &services {
        let name = text(service, "/name");
        let entity = sandbox.port.entity("opsGenieService", &identifier(name));
        let entity = entity.unwrap_or_else(|| panic!("there is no {name}"));
        let properties = &entity["properties"];
        let team = sandbox.opsgenie.object("teams", text(service, "/teamId"));
        let team = team.unwrap();
        assert_eq!(properties["oncallTeam"], team["name"]);
        let members = team["members"].as_array().unwrap().iter();
        let members: Vec<_> = members.map(|member| &member["user"]["username"]).collect();
        assert_eq!(properties["teamMembers"], json!(members));
        let open = incidents.iter().filter(|incident| {
            incident["status"] == "open" && has_impact_on(incident, text(service, "/id"))
        });
        let open = open.count();
        assert_eq!(properties["numOpenIncidents"], json!(open), "{name}");
        with_incidents += usize::from(open > 0);
        let owned = schedules
            .iter()
            .filter(|schedule| schedule["ownerTeam"]["id"] == team["id"]);
        if let [schedule] = owned.collect::<Vec<_>>().as_slice() {
            let oncalls = sandbox.opsgenie.oncalls(text(schedule, "/id"));
            assert_eq!(properties["oncallUsers"], json!(oncalls));
            with_oncalls += 1;
        }
    }
    assert!(with_oncalls > 0 && with_incidents > 0);
}

#[tokio::test]
async fn incidents_lead_to_services_and_alerts_to_the_incident_that_opsgenie_says() {
    let sandbox = installed().await;
    let incident = sandbox.opsgenie.objects("incidents")[0].clone();
    let alert = sandbox.opsgenie.objects("alerts")[0].clone();
    let alert = text(&alert, "/id");
    sandbox.opsgenie.update("alerts", alert, |alert| {
        alert["alias"] = json!("an alias without an id");
    });
    sandbox.opsgenie.associate(text(&incident, "/id"), alert);

    run(&sandbox).await.expect_code(0);

    let incidents = sandbox.opsgenie.objects("incidents");
    assert_eq!(
        sandbox.port.entities("opsGenieIncident").len(),
        incidents.len()
    );
    for incident in &incidents {
        let entity = sandbox
            .port
            .entity("opsGenieIncident", text(incident, "/id"));
        let entity = entity.unwrap();
        assert_eq!(entity["properties"]["responders"], incident["responders"]);
        let impacted = incident["impactedServices"]
            .as_array()
            .into_iter()
            .flatten();
        let expected: BTreeSet<String> = impacted
            .map(|id| sandbox.opsgenie.object("services", id.as_str().unwrap()))
            .map(|service| identifier(text(&service.unwrap(), "/name")))
            .collect();
        let found = entity["relations"]["services"]
            .as_array()
            .into_iter()
            .flatten();
        let found = found.map(|id| id.as_str().unwrap().to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    }
    let related = sandbox.port.entity("opsGenieAlert", alert).unwrap();
    assert_eq!(related["relations"]["relatedIncident"], incident["id"]);
    for alert in sandbox.opsgenie.objects("alerts") {
        let entity = sandbox
            .port
            .entity("opsGenieAlert", text(&alert, "/id"))
            .unwrap();
        let of = text(&alert, "/alias").split('_').next().unwrap();
        if sandbox.opsgenie.object("incidents", of).is_some() {
            assert_eq!(entity["relations"]["relatedIncident"], of);
        }
    }
}

#[tokio::test]
async fn a_second_resync_writes_nothing() {
    let sandbox = installed().await;
    run(&sandbox).await.expect_code(0);
    sandbox.clear_requests();

    run(&sandbox).await.expect_code(0);

    assert_eq!(written(&sandbox), BTreeSet::new());
}
