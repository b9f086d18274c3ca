//! What the public page is spared: humans are left alone, maintenances are not
//! announced as outages, and flapping does not flap in public.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{COMPONENTS, PAGE, World, apply, kinds, look, reasons, text};

/// One rule for whatever carries a tag, and these guards.
fn with_guards(guards: &Value) -> Value {
    json!({"guards": guards})
}

#[tokio::test]
async fn what_a_human_has_taken_over_is_left_alone_until_it_is_handed_back() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let checkout = COMPONENTS[0].0;
    world.acknowledged("PX1", &[checkout]);
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    let id = text(&world.unresolved()[0], "id").to_owned();

    world
        .statuspage()
        .human_update(&id, "identified", "A database ran full.");
    world.pagerduty().resolve("PX1");
    world.acknowledged("PX2", &[checkout]);
    let report = apply(&reconciler).await;
    assert_eq!(
        kinds(&report),
        Vec::<&str>::new(),
        "neither changed nor joined by another"
    );
    assert_eq!(reasons(&report), ["human"]);
    world.pagerduty().resolve("PX2");
    assert_eq!(kinds(&apply(&reconciler).await), Vec::<&str>::new());
    assert_eq!(world.incident(&id)["status"], "identified");

    world.statuspage().update("incident", &id, |incident| {
        incident["metadata"]["portolan"]["hold"] = json!(false);
    });
    assert_eq!(kinds(&apply(&reconciler).await), ["resolve"]);
    assert_eq!(world.incident(&id)["status"], "resolved");
    assert_eq!(world.status_of(checkout), "operational");
    world.assert_sound();
}

#[tokio::test]
async fn what_a_human_resolves_stays_resolved_until_something_new_happens() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    apply(&reconciler).await;
    let id = text(&world.unresolved()[0], "id").to_owned();
    world
        .statuspage()
        .human_update(&id, "resolved", "It was a false alarm.");

    let report = apply(&reconciler).await;
    assert_eq!(kinds(&report), Vec::<&str>::new());
    assert_eq!(reasons(&report), ["closed_by_hand"]);

    world.acknowledged("PX2", &[COMPONENTS[0].0]);
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    assert_eq!(
        text(&world.incident(&id)["incident_updates"][0], "body"),
        "It was a false alarm."
    );
    world.assert_sound();
}

#[tokio::test]
async fn a_maintenance_is_no_outage_and_keeps_its_component() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let [checkout, search, ..] = COMPONENTS.map(|(id, _)| id);
    world.acknowledged("PX1", &[search]);
    apply(&reconciler).await;
    let maintenance = world
        .statuspage()
        .start_maintenance(PAGE, &[checkout, search]);

    world.acknowledged("PX2", &[checkout]);
    world.pagerduty().resolve("PX1");
    let report = apply(&reconciler).await;
    assert_eq!(kinds(&report), ["resolve"], "what is over is over");
    assert_eq!(reasons(&report), ["maintenance"]);
    assert_eq!(world.status_of(search), "under_maintenance");

    world.statuspage().end_maintenance(&maintenance);
    let report = apply(&reconciler).await;
    assert_eq!(kinds(&report), ["record", "open"]);
    assert_eq!(world.status_of(search), "operational");
    assert_eq!(world.status_of(checkout), "partial_outage");
    assert_eq!(kinds(&look(&reconciler).await), Vec::<&str>::new());
    world.assert_sound();
}

/// Fifty times in a minute: a monitor opens an incident, somebody acknowledges
/// it, it resolves itself; a pass after each.
async fn flap(world: &World, document: &Value) -> usize {
    let reconciler = world.reconciler(document).await;
    for round in 0..50 {
        let id = format!("PX{round}");
        world.acknowledged(&id, &[COMPONENTS[0].0]);
        apply(&reconciler).await;
        world.clock.advance(Duration::from_millis(600));
        world.pagerduty().resolve(&id);
        apply(&reconciler).await;
        world.clock.advance(Duration::from_millis(600));
    }
    // Long after, all is quiet.
    world.clock.advance(Duration::from_mins(90));
    apply(&reconciler).await;
    assert_eq!(kinds(&look(&reconciler).await), Vec::<&str>::new());
    assert_eq!(world.unresolved(), Vec::<Value>::new());
    assert_eq!(world.status_of(COMPONENTS[0].0), "operational");
    world.assert_sound();
    world.statuspage().notifications().len()
}

#[tokio::test]
async fn flapping_is_as_calm_in_public_as_the_guards_say() {
    let world = World::start().await;
    // Too short to be worth a word.
    assert_eq!(
        flap(&world, &with_guards(&json!({"openAfter": "30s"}))).await,
        0
    );

    // One incident that goes on until it has been quiet for a while.
    world.clear();
    let grace = flap(
        &World::start().await,
        &with_guards(&json!({"resolveAfter": "5m"})),
    )
    .await;
    assert_eq!(grace, 2);

    // However wild, no more than so much in an hour; and the last word, that it
    // is over, is said when there is room for it again.
    let capped = flap(
        &World::start().await,
        &with_guards(&json!({"maxChangesPerHour": 4})),
    )
    .await;
    assert_eq!(capped, 4, "opened and resolved, twice");
}

#[tokio::test]
async fn a_recurrence_goes_on_where_the_last_one_ended() {
    let world = World::start().await;
    let reconciler = world
        .reconciler(&with_guards(&json!({"reopenWithin": "10m"})))
        .await;
    for (round, minutes) in [(1, 5), (2, 11), (3, 0)] {
        let id = format!("PX{round}");
        world.acknowledged(&id, &[COMPONENTS[0].0]);
        apply(&reconciler).await;
        world.pagerduty().resolve(&id);
        apply(&reconciler).await;
        world.clock.advance(Duration::from_mins(minutes));
    }
    // The second came five minutes after the first, the third eleven minutes
    // after the second.
    assert_eq!(world.statuspage().count("incident"), 2);
    world.assert_sound();
}

#[tokio::test]
async fn subscribers_hear_of_what_the_document_says_they_should() {
    let world = World::start().await;
    let document = json!({"notify": {"opened": true, "resolved": false}});
    let reconciler = world.reconciler(&document).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    apply(&reconciler).await;
    world.pagerduty().resolve("PX1");
    apply(&reconciler).await;
    assert_eq!(world.statuspage().notifications().len(), 1);
}

#[tokio::test]
async fn opsgenie_is_followed_as_well() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let opsgenie = world.opsgenie();
    opsgenie.open_alert(
        "alert-1",
        "too slow",
        &[&format!("component:{}", COMPONENTS[0].0)],
    );
    opsgenie.open_incident(
        "incident-1",
        "down",
        &[&format!("component_{}", COMPONENTS[1].0)],
    );
    assert_eq!(
        kinds(&apply(&reconciler).await),
        ["open"],
        "the alert is not acknowledged"
    );

    opsgenie.acknowledge_alert("alert-1");
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    opsgenie.unacknowledge_alert("alert-1");
    assert_eq!(
        kinds(&apply(&reconciler).await),
        Vec::<&str>::new(),
        "it is not over"
    );
    opsgenie.close_alert("alert-1");
    opsgenie.resolve_incident("incident-1");
    assert_eq!(kinds(&apply(&reconciler).await), ["resolve", "resolve"]);
    world.assert_sound();
}
