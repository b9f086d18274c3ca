//! What is not mapped any more is deleted, and nothing else is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portolan::catalog::Defaults;
use portolan::live_events::{Lease, SpooledEvent, Taken, Thing};
use portolan::sandbox::{Answer, Matcher};
use portolan::settings::SourceName;
use portolan::sync::{LiveError, LiveOutcome, LiveProcessor, Processed};
use serde_json::{Value, json};

use super::world::{World, event, on_page, open_alert, run, taken, text};

/// Open and resolved incidents by two resource configs, one field of each its own.
fn two_of_a_kind(selectors: [&str; 2], statuses: &[Value; 2]) -> Value {
    let config = |number: usize| {
        json!({
            "kind": "incidents",
            "selector": {
                "query": selectors[number],
                "apiQueryParams": {"statuses": statuses[number], "date_range": "all"},
            },
            "port": {"entity": {"mappings": {
                "identifier": ".id",
                "title": ".title",
                "blueprint": "\"pagerdutyIncident\"",
                "properties": {format!("by{number}"): ".status"},
            }}},
        })
    };
    json!({"resources": [config(0), config(1)]})
}

async fn with_incident(mapping: &Value) -> World {
    let world = World::mapped(SourceName::Pagerduty, mapping).await;
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.open_incident("PLIVE01", "Slow", json!({"type": "api"}));
    world.resync_apart().await;
    assert!(world.has("pagerdutyIncident", "PLIVE01"));
    world
}

fn acknowledged() -> portolan::live_events::NewEvent {
    event(Thing::PagerdutyIncident, "PLIVE01", "incident.acknowledged")
}

#[tokio::test]
async fn an_incident_that_goes_from_one_resource_config_to_another_stays() {
    let statuses = [json!(["triggered", "acknowledged"]), json!(["resolved"])];
    let world = with_incident(&two_of_a_kind(["true", "true"], &statuses)).await;
    assert!(world.sandbox.pagerduty.resolve("PLIVE01"));

    let outcome = world.process(acknowledged()).await.unwrap();

    assert_eq!((outcome.written, outcome.deleted), (1, 0));
    let stored = world
        .sandbox
        .port
        .stored_properties("pagerdutyIncident", "PLIVE01");
    let stored = stored.unwrap();
    assert_eq!(stored["by1"], "resolved");
    assert_eq!(
        stored["by0"], "triggered",
        "what only the other one maps is kept"
    );
    let after_event = world.entities(&["pagerdutyIncident"]);
    world.resync_apart().await;
    assert_eq!(world.entities(&["pagerdutyIncident"]), after_event);
}

#[tokio::test]
async fn an_incident_that_no_resource_config_takes_any_more_is_deleted() {
    for (selectors, statuses) in [
        (
            ["true", "true"],
            [json!(["triggered"]), json!(["triggered"])],
        ),
        ([".status != \"resolved\"", "false"], [json!([]), json!([])]),
        (
            [".status != \"resolved\"", "true"],
            [json!([]), json!(["triggered"])],
        ),
    ] {
        let world = with_incident(&two_of_a_kind(selectors, &statuses)).await;
        assert!(world.sandbox.pagerduty.resolve("PLIVE01"));
        let others = world.entities(&["pagerdutyIncident"]).len() - 1;

        let outcome = world.process(acknowledged()).await.unwrap();

        assert_eq!((outcome.written, outcome.deleted), (0, 1), "{selectors:?}");
        assert!(!world.has("pagerdutyIncident", "PLIVE01"));
        assert_eq!(world.entities(&["pagerdutyIncident"]).len(), others);
        // Once more, there is nothing left to do.
        assert_eq!(
            world.process(acknowledged()).await.unwrap(),
            LiveOutcome::default()
        );
    }
}

#[tokio::test]
async fn another_installations_entity_is_left_alone() {
    let statuses = [json!(["triggered"]), json!(["triggered"])];
    let world = with_incident(&two_of_a_kind(["true", "true"], &statuses)).await;
    world.give_away(&("pagerdutyIncident".to_owned(), "PLIVE01".to_owned()));
    assert!(world.sandbox.pagerduty.resolve("PLIVE01"));

    let outcome = world.process(acknowledged()).await.unwrap();

    assert_eq!(outcome, LiveOutcome::default());
    assert!(world.has("pagerdutyIncident", "PLIVE01"));
    assert!(world.sandbox.port.requested(&Matcher::delete("*")) == 0);
}

#[tokio::test]
async fn nothing_is_deleted_that_a_failing_resource_config_may_still_map() {
    let failing = "if .status == \"resolved\" then error(\"no\") else true end";
    let statuses = [json!(["triggered"]), json!([])];
    let world = with_incident(&two_of_a_kind(["true", failing], &statuses)).await;
    assert!(world.sandbox.pagerduty.resolve("PLIVE01"));

    let outcome = world.process(acknowledged()).await;

    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");
    assert!(world.has("pagerdutyIncident", "PLIVE01"));
}

#[tokio::test]
async fn an_entity_that_other_objects_may_share_is_left_to_the_resync() {
    let mut mapping = two_of_a_kind(
        ["true", "true"],
        &[json!(["triggered"]), json!(["triggered"])],
    );
    for resource in mapping["resources"].as_array_mut().unwrap() {
        resource["port"]["entity"]["mappings"]["identifier"] = json!(".service.id");
    }
    let world = World::mapped(SourceName::Pagerduty, &mapping).await;
    world
        .sandbox
        .pagerduty
        .open_incident("PLIVE01", "Slow", json!({"type": "api"}));
    world.resync_apart().await;
    let incident = world
        .sandbox
        .pagerduty
        .object("incidents", "PLIVE01")
        .unwrap();
    assert!(world.sandbox.pagerduty.resolve("PLIVE01"));

    let outcome = world.process(acknowledged()).await.unwrap();

    assert_eq!(outcome, LiveOutcome::default());
    assert!(world.has("pagerdutyIncident", text(&incident, "/service/id")));
}

#[tokio::test]
async fn what_is_gone_upstream_is_deleted_by_what_the_event_showed() {
    let world = World::new(SourceName::Pagerduty).await;
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.insert(
        "services",
        &json!({
            "id": "PLIVES1", "type": "service", "name": "New", "status": "active",
            "teams": [], "html_url": "https://example.com", "escalation_policy": null,
        }),
    );
    world.resync_apart().await;
    assert!(world.has("pagerdutyService", "PLIVES1"));
    let payload = json!({"id": "PLIVES1", "type": "service", "summary": "New"});
    let mut gone = event(Thing::PagerdutyService, "PLIVES1", "service.deleted");
    gone.is_gone = true;
    gone.payload = payload;

    // It was just deleted, and the API has not noticed.
    gone.received = Timestamp::now();
    let outcome = world.process(gone.clone()).await;
    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");

    pagerduty.remove("services", "PLIVES1");
    let outcome = world.process(gone).await.unwrap();
    assert_eq!((outcome.written, outcome.deleted), (0, 1));
    assert!(!world.has("pagerdutyService", "PLIVES1"));
}

#[tokio::test]
async fn what_an_event_says_of_a_missing_object_deletes_no_other() {
    let mut mapping = two_of_a_kind(["true", "true"], &[json!([]), json!([])]);
    for resource in mapping["resources"].as_array_mut().unwrap() {
        resource["port"]["entity"]["mappings"]["identifier"] = json!(".incident_number | tostring");
    }
    let world = World::mapped(SourceName::Pagerduty, &mapping).await;
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.open_incident("PLIVE01", "Slow", json!({"type": "api"}));
    world.resync_apart().await;
    let number = pagerduty.object("incidents", "PLIVE01").unwrap()["incident_number"].clone();
    assert!(world.has("pagerdutyIncident", &number.to_string()));
    let mut forged = event(Thing::PagerdutyIncident, "PBOGUS", "incident.resolved");
    forged.payload = json!({"id": "PBOGUS", "incident_number": number});

    let outcome = world.process(forged).await.unwrap();

    assert_eq!(outcome.deleted, 0);
    assert!(world.has("pagerdutyIncident", &number.to_string()));
}

#[tokio::test]
async fn an_incident_of_statuspage_goes_with_its_updates() {
    let world = World::new(SourceName::Statuspage).await;
    world.resync_apart().await;
    let statuspage = &world.sandbox.statuspage;
    let incident = statuspage.objects("incident").swap_remove(0);
    let updates = incident["incident_updates"].as_array().unwrap().len() as u64;
    statuspage.remove("incident", text(&incident, "/id"));
    let left = |blueprint: &str| world.entities(&[blueprint]).len() as u64;
    let before = (left("statuspageIncident"), left("statuspageIncidentUpdate"));

    let outcome = world
        .process(on_page(Thing::StatuspageIncident, &incident))
        .await;

    // The updates relate to the incident, so they go first.
    assert_eq!(outcome.unwrap().deleted, 1 + updates);
    assert_eq!(left("statuspageIncident"), before.0 - 1);
    assert_eq!(left("statuspageIncidentUpdate"), before.1 - updates);
}

#[tokio::test]
async fn an_entity_that_others_relate_to_is_left_to_the_resync() {
    let world = World::new(SourceName::Statuspage).await;
    world.resync_apart().await;
    let statuspage = &world.sandbox.statuspage;
    let incidents = statuspage.objects("incident");
    let component = incidents
        .iter()
        .find_map(|one| one["components"].get(0))
        .unwrap();
    let mut component = component.clone();
    let id = text(&component, "/id").to_owned();
    component["page_id"] = statuspage.object("component", &id).unwrap()["page_id"].clone();
    statuspage.remove("component", &id);
    let before = world.entities(&["statuspageIncident", "statuspageComponent"]);

    let outcome = world
        .process(on_page(Thing::StatuspageComponent, &component))
        .await;

    assert_eq!(outcome.unwrap().deleted, 0);
    assert_eq!(
        world.entities(&["statuspageIncident", "statuspageComponent"]),
        before
    );
}

#[tokio::test]
async fn an_alert_that_is_closed_or_deleted_goes() {
    for is_deleted in [false, true] {
        let world = World::new(SourceName::Opsgenie).await;
        let opsgenie = &world.sandbox.opsgenie;
        open_alert(&world, "Disk full");
        world.resync_apart().await;
        assert!(world.has("opsGenieAlert", "live-1"));
        let mut event = event(Thing::OpsgenieAlert, "live-1", "Close");
        event.payload = json!({"alertId": "live-1", "message": "Disk full"});
        if is_deleted {
            opsgenie.remove("alerts", "live-1");
            event.is_gone = true;
        } else {
            assert!(opsgenie.close_alert("live-1"));
        }

        assert_eq!(world.process(event).await.unwrap().deleted, 1);
        assert!(!world.has("opsGenieAlert", "live-1"));
    }
}

#[tokio::test]
async fn what_only_opsgenie_can_decide_waits_for_the_resync() {
    let alert = |number: usize, parameters: Value| {
        json!({
            "kind": "alert",
            "selector": {"query": "true", "apiQueryParams": parameters},
            "port": {"entity": {"mappings": {
                "identifier": ".id",
                "blueprint": "\"opsGenieAlert\"",
                "properties": {format!("by{number}"): ".status"},
            }}},
        })
    };
    let mapping = json!({"resources": [
        alert(0, json!({"status": "open"})),
        alert(1, json!({"message": "Disks"})),
    ]});
    let world = World::mapped(SourceName::Opsgenie, &mapping).await;
    let opsgenie = &world.sandbox.opsgenie;
    open_alert(&world, "Disk full of disks");
    let event = event(Thing::OpsgenieAlert, "live-1", "Create");
    assert_eq!(world.process(event.clone()).await.unwrap().written, 1);

    // The alert that is closed may still be one that the other asks for.
    opsgenie.update("alerts", "live-1", |alert| {
        alert["message"] = json!("A disks' failure");
    });
    assert!(opsgenie.close_alert("live-1"));
    assert_eq!(world.process(event).await.unwrap(), LiveOutcome::default());
    assert!(world.has("opsGenieAlert", "live-1"));
}

#[tokio::test]
async fn what_is_not_there_yet_is_waited_for() {
    let world = World::new(SourceName::Pagerduty).await;
    let mut young = acknowledged();
    young.received = Timestamp::now();

    let outcome = world.process(young).await;

    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    assert_eq!(
        world.process(acknowledged()).await.unwrap(),
        LiveOutcome::default()
    );
}

#[tokio::test]
async fn trouble_on_the_way_is_worth_another_try_and_a_refused_entity_is_not() {
    let mapping = two_of_a_kind(["true", "true"], &[json!([]), json!([])]);
    let world = World::mapped(SourceName::Pagerduty, &mapping).await;
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.open_incident("PLIVE01", "Slow", json!({"type": "api"}));
    let bulk = Matcher::post("/v1/blueprints/*/entities/bulk");

    pagerduty.fault(Matcher::get("/incidents/*"), Answer::status(401), 1);
    let outcome = world.process(acknowledged()).await;
    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    world
        .sandbox
        .port
        .fault(bulk.clone(), Answer::status(403), 1);
    let outcome = world.process(acknowledged()).await;
    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    world.sandbox.port.fault(bulk, Answer::status(422), 1);
    let outcome = world.process(acknowledged()).await;
    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");
    // What is wrong with the mapping may be put right.
    world
        .sandbox
        .port
        .set_mapping(json!({"resources": [{"kind": "incidents"}]}));
    let outcome = world.process(acknowledged()).await;
    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    world.sandbox.port.set_mapping(mapping);
    assert_eq!(world.process(acknowledged()).await.unwrap().written, 1);
}

#[tokio::test]
async fn a_service_is_looked_at_although_its_incident_is_refused() {
    let mut mapping = two_of_a_kind(["true", "true"], &[json!([]), json!([])]);
    mapping["resources"].as_array_mut().unwrap().push(json!({
        "kind": "services",
        "selector": {"query": "true"},
        "port": {"entity": {"mappings": {
            "identifier": ".id", "title": ".name", "blueprint": "\"pagerdutyService\"",
        }}},
    }));
    let world = with_incident(&mapping).await;
    let incident = world.sandbox.pagerduty.object("incidents", "PLIVE01");
    let bulk = Matcher::post("/v1/blueprints/*/entities/bulk");
    world.sandbox.port.fault(bulk, Answer::status(422), 1);

    let Processed { result, also } = world.look(acknowledged()).await;

    assert!(matches!(result, Err(LiveError::Never(_))), "{result:?}");
    let [also] = also.as_slice() else {
        panic!("{also:?}")
    };
    assert_eq!(also.subject.thing, Thing::PagerdutyService);
    assert_eq!(also.subject.id, text(&incident.unwrap(), "/service/id"));
}

#[tokio::test]
async fn nothing_is_written_once_somebody_else_has_the_event() {
    let mapping = two_of_a_kind(["true", "true"], &[json!([]), json!([])]);
    let world = World::mapped(SourceName::Pagerduty, &mapping).await;
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.open_incident("PLIVE01", "Slow", json!({"type": "api"}));
    let event = acknowledged();
    let lease = Lease::held();
    let spooled = SpooledEvent {
        id: "1".to_owned(),
        event: event.clone(),
    };
    let taken = Taken::new(event.subject, vec![spooled], 1, lease.clone());
    lease.lose();

    let outcome = world.processor.process(&taken).await.result;

    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    assert!(!world.has("pagerdutyIncident", "PLIVE01"));
}

#[tokio::test]
async fn what_an_entity_relates_to_is_stored_first_and_waited_for() {
    let mut mapping = Defaults::embedded(&[SourceName::Statuspage])
        .unwrap()
        .mapping;
    mapping["createMissingRelatedEntities"] = json!(false);
    let resources = mapping["resources"].as_array_mut().unwrap();
    resources.retain(|resource| {
        ["incident", "incident_update"].contains(&resource["kind"].as_str().unwrap())
    });
    // Updates come first, and relate to their incident.
    resources.reverse();
    for resource in resources {
        let relations = &mut resource["port"]["entity"]["mappings"]["relations"];
        let relations = relations.as_object_mut().unwrap();
        relations.retain(|name, _| name == "incident" || name == "statuspage");
    }
    let world = World::mapped(SourceName::Statuspage, &mapping).await;
    let incident = world.sandbox.statuspage.objects("incident").swap_remove(0);
    let updates = incident["incident_updates"].as_array().unwrap().len() as u64;
    let mut event = on_page(Thing::StatuspageIncident, &incident);

    // The page is not there, and nobody is to create it.
    let outcome = world.process(event.clone()).await;
    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    event.received = Timestamp::now() - SignedDuration::from_hours(1);
    let outcome = world.process(event.clone()).await;
    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");

    let page = json!({"identifier": text(&incident, "/page_id")});
    world
        .sandbox
        .port
        .insert_entity("statuspage", &page, "somebody");
    assert_eq!(world.process(event).await.unwrap().written, 1 + updates);
}

#[tokio::test]
async fn of_several_accounts_the_one_that_has_the_page_is_asked() {
    let world = World::new(SourceName::Statuspage).await;
    world.resync_apart().await;
    let component = world.sandbox.statuspage.objects("component").swap_remove(0);
    let page = text(&component, "/page_id");
    let event = on_page(Thing::StatuspageComponent, &component);
    let accounts = |pages: &[&str]| -> Vec<Value> {
        let account = |(number, page): (usize, &&str)| json!({"name": format!("a{number}"), "page_ids": [page]});
        pages.iter().enumerate().map(account).collect()
    };

    let processor = world.processor_for(&accounts(&["elsewhere", page]));
    let outcome = processor
        .process(&taken(event.clone()))
        .await
        .result
        .unwrap();
    assert_eq!((outcome.written, outcome.deleted), (1, 0));
    let mut of_account = event.clone();
    of_account.subject.account = Some("a1".to_owned());
    assert_eq!(
        processor
            .process(&taken(of_account))
            .await
            .result
            .unwrap()
            .written,
        1
    );
    // The webhook was made when the page was the other account's.
    let mut moved = event.clone();
    moved.subject.account = Some("a0".to_owned());
    let outcome = processor.process(&taken(moved)).await.result.unwrap();
    assert_eq!((outcome.written, outcome.deleted), (1, 0));
    let mut unknown = event.clone();
    unknown.subject.account = Some("b".to_owned());
    let outcome = processor.process(&taken(unknown)).await.result;
    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");

    // A page that the settings leave out is as good as gone.
    let id = text(&component, "/id");
    let incidents = world.sandbox.port.entities("statuspageIncident");
    for incident in incidents.keys() {
        world
            .sandbox
            .port
            .remove_entity("statuspageIncident", incident);
    }
    let updates = world.sandbox.port.entities("statuspageIncidentUpdate");
    for update in updates.keys() {
        world
            .sandbox
            .port
            .remove_entity("statuspageIncidentUpdate", update);
    }
    let processor = world.processor_for(&accounts(&["elsewhere"]));
    assert_eq!(
        processor
            .process(&taken(event))
            .await
            .result
            .unwrap()
            .deleted,
        1
    );
    assert!(!world.has("statuspageComponent", id));
}

#[tokio::test]
async fn a_page_that_lost_its_reader_does_not_look_gone() {
    let world = World::new(SourceName::Statuspage).await;
    world.resync_apart().await;
    let statuspage = &world.sandbox.statuspage;
    let component = statuspage.objects("component").swap_remove(0);
    let page = text(&component, "/page_id");
    let processor = world.processor_for(&[json!({"page_ids": [page]})]);
    statuspage.remove("component", text(&component, "/id"));
    statuspage.remove("statuspage", page);
    let before = world.entities(&["statuspageComponent"]);

    let mut event = on_page(Thing::StatuspageComponent, &component);
    let outcome = processor.process(&taken(event.clone())).await.result;
    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");
    // Nor does what an event does not place on a page.
    event.subject.page = None;
    let outcome = processor.process(&taken(event)).await.result;
    assert!(matches!(outcome, Err(LiveError::Never(_))), "{outcome:?}");

    assert_eq!(world.entities(&["statuspageComponent"]), before);
}

#[tokio::test]
async fn the_mapping_is_used_for_a_while_unless_a_resync_has_read_another() {
    let mapping = two_of_a_kind(["true", "true"], &[json!([]), json!([])]);
    let mut other = mapping.clone();
    for resource in other["resources"].as_array_mut().unwrap() {
        resource["port"]["entity"]["mappings"]["title"] = json!("\"Another\"");
    }
    let world = with_incident(&mapping).await;
    let processor = LiveProcessor::beside(&world.resync, Duration::from_mins(10));
    let title = || {
        world
            .sandbox
            .port
            .entity("pagerdutyIncident", "PLIVE01")
            .unwrap()["title"]
            .clone()
    };
    let reads = || {
        world
            .sandbox
            .port
            .requested(&Matcher::get("/v1/integration/*"))
    };
    processor
        .process(&taken(acknowledged()))
        .await
        .result
        .unwrap();
    let read = reads();

    world.sandbox.port.set_mapping(other);
    processor
        .process(&taken(acknowledged()))
        .await
        .result
        .unwrap();
    assert_eq!((reads(), title()), (read, json!("Slow")));

    run(&world.resync).await;
    processor
        .process(&taken(acknowledged()))
        .await
        .result
        .unwrap();
    assert_eq!((reads(), title()), (read + 1, json!("Another")));
}
