//! An event ends in the very entities that a resync would have written.

use std::fs;

use portolan::live_events::{NewEvent, Thing};
use portolan::sandbox::pagerduty::AssignedVia;
use portolan::sandbox::{Answer, Matcher};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use super::world::{World, event, on_page, open_alert, open_incident, text};
use crate::catalog::assert_same;

/// The mapping of a fixture, for those kinds alone that there are events of.
fn mapping(name: &str, kinds: &[&str]) -> Value {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/fixtures/mapping/{name}/mapping.yaml");
    let mut mapping: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let resources = mapping["resources"].as_array_mut().unwrap();
    resources.retain(|resource| kinds.contains(&resource["kind"].as_str().unwrap()));
    mapping["createMissingRelatedEntities"] = json!(true);
    mapping
}

/// Processes an event over what is in Port, and again after the entities were
/// taken away, and compares each time with what a resync leaves.
async fn assert_like_a_resync(world: &World, event: &NewEvent, place: (&str, &str), all: &[&str]) {
    world.process_all(event.clone()).await;
    let after_event = world.entities(all);
    assert!(
        after_event.contains_key(&(place.0.to_owned(), place.1.to_owned())),
        "{place:?}"
    );
    world.resync_apart().await;
    assert_same(
        &world.entities(all),
        &after_event,
        "the resync after an event",
    );

    assert!(world.sandbox.port.remove_entity(place.0, place.1));
    world.process_all(event.clone()).await;
    let created = world.entities(all);
    assert_same(&created, &after_event, "an event of what was not there");
    assert!(
        world.sandbox.problems().is_empty(),
        "{:?}",
        world.sandbox.problems()
    );
}

const PAGERDUTY: [&str; 2] = ["pagerdutyIncident", "pagerdutyService"];

async fn pagerduty_worlds() -> Vec<World> {
    let kinds = ["services", "incidents"];
    let mut worlds = vec![World::new(SourceName::Pagerduty).await];
    for name in [
        "pagerduty-first-documented",
        "pagerduty-second-documented",
        "pagerduty-incident-analytics",
    ] {
        let mapping = mapping(name, &kinds);
        worlds.push(World::mapped(SourceName::Pagerduty, &mapping).await);
    }
    worlds
}

#[tokio::test]
async fn an_incident_of_pagerduty_is_followed_from_its_beginning_to_its_end() {
    for world in pagerduty_worlds().await {
        world.resync_apart().await;
        let pagerduty = &world.sandbox.pagerduty;
        let place = ("pagerdutyIncident", "PLIVE01");
        let event = |what: &str| event(Thing::PagerdutyIncident, "PLIVE01", what);

        open_incident(&world);
        let incident = pagerduty.object("incidents", "PLIVE01").unwrap();
        let service = text(&incident, "/service/id").to_owned();
        pagerduty.update("services", &service, |service| {
            service["status"] = json!("critical");
        });
        assert_like_a_resync(&world, &event("incident.triggered"), place, &PAGERDUTY).await;
        // Not every one of the mappings has services.
        let port = &world.sandbox.port;
        let stored = port.stored_properties("pagerdutyService", &service);
        let status = stored.unwrap()["status"].clone();
        assert!(status == "critical" || status.is_null(), "{status}");

        assert!(pagerduty.acknowledge("PLIVE01"));
        pagerduty.update("services", &service, |service| {
            service["status"] = json!("warning");
        });
        assert_like_a_resync(&world, &event("incident.acknowledged"), place, &PAGERDUTY).await;
        let user = pagerduty.objects("users")[1]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(pagerduty.reassign("PLIVE01", &user, AssignedVia::DirectAssignment));
        assert_like_a_resync(&world, &event("incident.reassigned"), place, &PAGERDUTY).await;

        assert!(pagerduty.resolve("PLIVE01"));
        pagerduty.update("services", &service, |service| {
            service["status"] = json!("active");
        });
        world.process_all(event("incident.resolved")).await;
        let after_event = world.entities(&PAGERDUTY);
        world.resync_apart().await;
        assert_same(&world.entities(&PAGERDUTY), &after_event, "resolved");
    }
}

#[tokio::test]
async fn a_service_of_pagerduty_has_its_on_calls_and_figures() {
    for world in pagerduty_worlds().await.into_iter().take(3) {
        world.resync_apart().await;
        let service = world.sandbox.pagerduty.objects("services").swap_remove(0);
        let id = text(&service, "/id");
        world.sandbox.pagerduty.update("services", id, |service| {
            service["name"] = json!("Another name");
            service["status"] = json!("disabled");
        });

        let event = event(Thing::PagerdutyService, id, "service.updated");
        assert_like_a_resync(&world, &event, ("pagerdutyService", id), &PAGERDUTY).await;
    }
}

const STATUSPAGE: [&str; 4] = [
    "statuspage",
    "statuspageComponent",
    "statuspageIncident",
    "statuspageIncidentUpdate",
];

async fn statuspage_worlds() -> Vec<World> {
    let kinds = ["statuspage", "component", "incident", "incident_update"];
    let documented = mapping("statuspage-documented", &kinds);
    vec![
        World::new(SourceName::Statuspage).await,
        World::mapped(SourceName::Statuspage, &documented).await,
    ]
}

#[tokio::test]
async fn pages_components_and_incidents_of_statuspage_are_followed() {
    for world in statuspage_worlds().await {
        world.resync_apart().await;
        let statuspage = &world.sandbox.statuspage;

        let page = statuspage.objects("statuspage").swap_remove(0);
        let id = text(&page, "/id");
        statuspage.update("statuspage", id, |page| {
            page["headline"] = json!("Back soon");
        });
        let event = event(Thing::StatuspagePage, id, "update");
        assert_like_a_resync(&world, &event, ("statuspage", id), &STATUSPAGE).await;

        let component = statuspage.objects("component").swap_remove(0);
        let id = text(&component, "/id");
        statuspage.update("component", id, |component| {
            component["status"] = json!("major_outage");
        });
        let event = on_page(Thing::StatuspageComponent, &component);
        assert_like_a_resync(&world, &event, ("statuspageComponent", id), &STATUSPAGE).await;

        let incident = statuspage.objects("incident").swap_remove(0);
        let id = text(&incident, "/id");
        let mut update = incident["incident_updates"][0].clone();
        update["id"] = json!("liveupdate01");
        update["body"] = json!("It is fixed");
        // Updates without components have none rather than an empty list.
        update["affected_components"] = Value::Null;
        statuspage.update("incident", id, |incident| {
            incident["status"] = json!("resolved");
            incident["incident_updates"]
                .as_array_mut()
                .unwrap()
                .insert(0, update);
        });
        // The webhook shows less than there is.
        let mut shown = incident.clone();
        shown.as_object_mut().unwrap().shift_remove("components");
        let event = on_page(Thing::StatuspageIncident, &shown);
        assert_like_a_resync(&world, &event, ("statuspageIncident", id), &STATUSPAGE).await;
        let update = ("statuspageIncidentUpdate", "liveupdate01");
        assert_like_a_resync(&world, &event, update, &STATUSPAGE).await;
    }
}

const OPSGENIE: [&str; 1] = ["opsGenieAlert"];

async fn opsgenie_worlds() -> Vec<World> {
    let mut worlds = vec![World::new(SourceName::Opsgenie).await];
    for name in ["opsgenie-earlier-generation", "opsgenie-related-incidents"] {
        let mapping = mapping(name, &["alert"]);
        worlds.push(World::mapped(SourceName::Opsgenie, &mapping).await);
    }
    worlds
}

#[tokio::test]
async fn an_alert_of_opsgenie_is_what_the_list_shows_of_it() {
    for world in opsgenie_worlds().await {
        world.resync_apart().await;
        let opsgenie = &world.sandbox.opsgenie;
        open_alert(&world, "Disk full");
        let event = |what: &str| {
            let mut event = event(Thing::OpsgenieAlert, "live-1", what);
            event.payload = json!({"alertId": "live-1"});
            event
        };
        let place = ("opsGenieAlert", "live-1");
        assert_like_a_resync(&world, &event("Create"), place, &OPSGENIE).await;
        // The single alert has a description, the list does not.
        let stored = world
            .sandbox
            .port
            .stored_properties(place.0, place.1)
            .unwrap();
        assert_eq!(stored.get("description"), None);

        assert!(opsgenie.acknowledge_alert("live-1"));
        assert_like_a_resync(&world, &event("Acknowledge"), place, &OPSGENIE).await;

        assert!(opsgenie.unacknowledge_alert("live-1"));
        assert_like_a_resync(&world, &event("UnAcknowledge"), place, &OPSGENIE).await;
    }
}

#[tokio::test]
async fn an_alert_of_an_incident_that_its_alias_does_not_name_is_found_by_asking() {
    let mapping = mapping("opsgenie-earlier-generation", &["alert"]);
    let world = World::mapped(SourceName::Opsgenie, &mapping).await;
    world.resync_apart().await;
    open_alert(&world, "Disk full");
    let incident = world.sandbox.opsgenie.objects("incidents").swap_remove(0);
    world
        .sandbox
        .opsgenie
        .associate(text(&incident, "/id"), "live-1");

    let event = event(Thing::OpsgenieAlert, "live-1", "AddNote");
    assert_like_a_resync(&world, &event, ("opsGenieAlert", "live-1"), &OPSGENIE).await;
    let entity = world
        .sandbox
        .port
        .entity("opsGenieAlert", "live-1")
        .unwrap();
    assert_eq!(entity["relations"]["relatedIncident"], incident["id"]);

    // The incidents are not asked again for the next one.
    world.sandbox.clear_requests();
    world.process(event).await.unwrap();
    let asked = Matcher::get("/v1/incidents*");
    assert_eq!(world.sandbox.opsgenie.requested(&asked), 0);
}

#[tokio::test]
async fn an_alert_that_an_incident_created_asks_that_incident_alone() {
    let mapping = mapping("opsgenie-earlier-generation", &["alert"]);
    let world = World::mapped(SourceName::Opsgenie, &mapping).await;
    let opsgenie = &world.sandbox.opsgenie;
    world.resync_apart().await;
    let incident = "70413a06-38d6-4c85-92b8-5ebc900d42e2";
    opsgenie.open_incident(incident, "Checkout", &[]);
    open_alert(&world, "Look at the checkout");
    opsgenie.update("alerts", "live-1", |alert| {
        alert["alias"] = json!(format!("{incident}_1"));
    });
    opsgenie.associate(incident, "live-1");

    let event = event(Thing::OpsgenieAlert, "live-1", "Create");
    assert_like_a_resync(&world, &event, ("opsGenieAlert", "live-1"), &OPSGENIE).await;
    let entity = world
        .sandbox
        .port
        .entity("opsGenieAlert", "live-1")
        .unwrap();
    assert_eq!(entity["relations"]["relatedIncident"], incident);

    world.sandbox.clear_requests();
    world.process(event).await.unwrap();
    assert_eq!(opsgenie.requested(&Matcher::get("/v1/incidents")), 0);
    assert_eq!(
        opsgenie.requested(&Matcher::get("/v1/incidents/*/associated-alert-ids")),
        1
    );
}

#[tokio::test]
async fn what_could_not_be_fetched_keeps_its_value() {
    let world = World::new(SourceName::Pagerduty).await;
    world.resync_apart().await;
    let pagerduty = &world.sandbox.pagerduty;
    let entity = |id: &str| world.sandbox.port.entity("pagerdutyService", id).unwrap();
    let services = pagerduty.objects("services");
    let on_call =
        |service: &&Value| entity(text(service, "/id"))["properties"]["oncall"].is_string();
    let id = text(services.iter().find(on_call).unwrap(), "/id");
    let before = entity(id);
    pagerduty.update("services", id, |service| service["name"] = json!("Renamed"));
    pagerduty.fault(Matcher::get("/oncalls"), Answer::status(403), usize::MAX);
    pagerduty.fault(
        Matcher::post("/analytics/*"),
        Answer::status(403),
        usize::MAX,
    );

    let event = event(Thing::PagerdutyService, id, "service.updated");
    assert_eq!(world.process(event).await.unwrap().written, 1);

    let after = entity(id);
    assert_eq!(after["title"], "Renamed");
    assert_eq!(after["properties"], before["properties"]);
}

#[tokio::test]
async fn resource_configs_see_no_more_than_a_resync_shows_them() {
    let incidents = |number: usize, include: Value| {
        json!({
            "kind": "incidents",
            "selector": {"query": "true", "apiQueryParams": {"include": include, "date_range": "all"}},
            "port": {"entity": {"mappings": {
                "identifier": format!(".id + \"-{number}\""),
                "blueprint": "\"pagerdutyIncident\"",
                "properties": {"seen": "[.assignments[].assignee.email, .first_trigger_log_entry.channel]"},
            }}},
        })
    };
    let mapping = json!({"resources": [
        incidents(0, json!([])),
        incidents(1, json!(["assignees"])),
        incidents(2, json!(["first_trigger_log_entries", "assignees"])),
        incidents(3, json!(["assignees", "first_trigger_log_entries"])),
    ]});
    let world = World::mapped(SourceName::Pagerduty, &mapping).await;
    world.resync_apart().await;
    world.sandbox.pagerduty.open_incident(
        "PLIVE01",
        "Slow",
        json!({"type": "api", "details": {"a": 1}}),
    );

    world.sandbox.clear_requests();
    let event = event(Thing::PagerdutyIncident, "PLIVE01", "incident.triggered");
    assert_eq!(world.process(event).await.unwrap().written, 4);

    let asked = Matcher::get("/incidents/PLIVE01");
    assert_eq!(
        world.sandbox.pagerduty.requested(&asked),
        3,
        "a request for each set"
    );
    let after_event = world.entities(&PAGERDUTY);
    world.resync_apart().await;
    assert_same(
        &world.entities(&PAGERDUTY),
        &after_event,
        "with different includes",
    );
}
