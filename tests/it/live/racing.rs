//! A resync that runs at the same time undoes nothing that an event did.
//!
//! A page, or an answer of Port, is made and then held at a gate while the event
//! is processed, so that it shows what was true before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portolan::catalog::{Defaults, EntityKey, RecentWrites};
use portolan::live_events::{Lease, NewEvent, SpooledEvent, Taken, Thing};
use portolan::sandbox::{Answer, Clock, Gate, Matcher, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use portolan::sync::{LiveError, LiveProcessor, ResyncReport};
use serde_json::{Value, json};

use super::world::{World, on_page, resync, run};

const BLUEPRINT: &str = "statuspageComponent";
const LIST: &str = "/v1/pages/live-page/components";
const BULK: &str = "/v1/blueprints/statuspageComponent/entities/bulk";

fn component(status: &str) -> Value {
    json!({
        "id": "live-1", "page_id": "live-page", "name": "Checkout", "group": false,
        "status": status, "position": 1,
    })
}

fn changed() -> NewEvent {
    on_page(Thing::StatuspageComponent, &component(""))
}

/// One page with one component, which is in Port, and a mapping that leaves out
/// components with a major outage. No kind but this one is mapped.
async fn world(clock: Clock) -> World {
    let options = SandboxOptions::default();
    let sandbox = Sandbox::start_at(options, clock).await.unwrap();
    sandbox.statuspage.clear();
    let page = json!({"id": "live-page", "name": "Page"});
    sandbox.statuspage.insert("statuspage", &page);
    sandbox
        .statuspage
        .insert("component", &component("operational"));
    let Defaults {
        blueprints,
        mut mapping,
        ..
    } = Defaults::embedded(&[SourceName::Statuspage]).unwrap();
    let resources = mapping["resources"].as_array_mut().unwrap();
    resources.retain(|resource| resource["kind"] == "component");
    resources[0]["selector"]["query"] = json!(".status != \"major_outage\"");
    resources[0]["port"]["entity"]["mappings"]["relations"] = json!({});
    // Nothing but what is tested here keeps a resync from deleting.
    mapping["entityDeletionThreshold"] = json!(1.0);
    let world = World::on(sandbox, SourceName::Statuspage, &blueprints, &mapping);
    assert_eq!(world.resync_apart().await.stored(), 1);
    world
}

/// Runs a resync whose reply to this is held while something happens.
async fn resync_around(
    world: &World,
    sandbox_side: impl FnOnce(&Gate),
    meanwhile: impl Future<Output = ()>,
) -> ResyncReport {
    let gate = Gate::closed();
    sandbox_side(&gate);
    let during = async {
        gate.reached().await;
        meanwhile.await;
        gate.open();
    };
    let (report, ()) = tokio::join!(Box::pin(run(&world.resync)), during);
    report
}

fn hold_list(world: &World) -> impl FnOnce(&Gate) + '_ {
    |gate| {
        let list = Answer::real().held(gate);
        world.sandbox.statuspage.fault(Matcher::get(LIST), list, 1);
    }
}

fn status(world: &World) -> Option<String> {
    let entity = world.sandbox.port.entity(BLUEPRINT, "live-1")?;
    Some(entity["properties"]["status"].as_str()?.to_owned())
}

fn set(world: &World, status: &str) {
    world
        .sandbox
        .statuspage
        .insert("component", &component(status));
}

#[tokio::test]
async fn a_page_from_before_does_not_overwrite_what_an_event_wrote() {
    let world = world(Clock::real()).await;
    // The page differs from what is in Port, so it would be written.
    set(&world, "degraded_performance");

    let report = resync_around(&world, hold_list(&world), async {
        set(&world, "partial_outage");
        assert_eq!(world.process(changed()).await.unwrap().written, 1);
    })
    .await;

    assert_eq!(status(&world).as_deref(), Some("partial_outage"));
    assert_eq!((report.stored(), report.unchanged()), (0, 1));
}

#[tokio::test]
async fn a_page_from_before_does_not_bring_back_what_an_event_deleted() {
    let world = world(Clock::real()).await;
    set(&world, "degraded_performance");

    resync_around(&world, hold_list(&world), async {
        set(&world, "major_outage");
        assert_eq!(world.process(changed()).await.unwrap().deleted, 1);
    })
    .await;

    assert_eq!(status(&world), None);
}

#[tokio::test]
async fn what_an_event_wrote_is_not_deleted_for_not_being_on_a_page_from_before() {
    // Port's clock is behind, so that it calls older than the resync what was
    // written during it.
    let behind = Timestamp::now() - SignedDuration::from_mins(30);
    let world = world(Clock::fixed(behind)).await;
    set(&world, "major_outage");
    assert_eq!(world.process(changed()).await.unwrap().deleted, 1);

    let report = resync_around(&world, hold_list(&world), async {
        set(&world, "partial_outage");
        assert_eq!(world.process(changed()).await.unwrap().written, 1);
    })
    .await;

    assert_eq!(status(&world).as_deref(), Some("partial_outage"));
    assert_eq!(report.deletion.deleted_in_all(), 0);
    assert!(report.deletion.is_done());
}

#[tokio::test]
async fn an_event_waits_for_what_the_resync_has_on_its_way_to_port() {
    let world = world(Clock::real()).await;
    set(&world, "degraded_performance");
    world.sandbox.clear_requests();
    let written = || world.sandbox.port.requested(&Matcher::post(BULK));

    let gate = Gate::closed();
    let stored = Answer::real().held(&gate);
    world.sandbox.port.fault(Matcher::post(BULK), stored, 1);
    let event = async {
        gate.reached().await;
        set(&world, "partial_outage");
        let opening = async {
            let fetched = Matcher::get("/v1/pages/live-page/components/live-1");
            while world.sandbox.statuspage.requested(&fetched) == 0 {
                tokio::task::yield_now().await;
            }
            // It has all it needs, and time enough to do wrong.
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(written(), 1);
            gate.open();
        };
        tokio::join!(world.process(changed()), opening).0
    };
    let (outcome, report) = tokio::join!(event, run(&world.resync));
    assert_eq!(report.stored(), 1);

    assert_eq!(outcome.unwrap().written, 1);
    assert_eq!(written(), 2);
    assert_eq!(status(&world).as_deref(), Some("partial_outage"));
}

#[tokio::test]
async fn an_event_that_somebody_else_has_after_the_wait_writes_nothing() {
    let world = world(Clock::real()).await;
    set(&world, "degraded_performance");
    world.sandbox.clear_requests();
    let gate = Gate::closed();
    let stored = Answer::real().held(&gate);
    world.sandbox.port.fault(Matcher::post(BULK), stored, 1);
    let lease = Lease::held();
    let event = changed();
    let spooled = SpooledEvent {
        id: "1".to_owned(),
        event: event.clone(),
    };
    let taken = Taken::new(event.subject, vec![spooled], 1, lease.clone());
    let event = async {
        gate.reached().await;
        set(&world, "partial_outage");
        let losing = async {
            let fetched = Matcher::get("/v1/pages/live-page/components/live-1");
            while world.sandbox.statuspage.requested(&fetched) == 0 {
                tokio::task::yield_now().await;
            }
            // It waits for the resync's request by now.
            tokio::time::sleep(Duration::from_millis(100)).await;
            lease.lose();
            gate.open();
        };
        tokio::join!(world.processor.process(&taken), losing).0
    };
    let (processed, _) = tokio::join!(event, run(&world.resync));

    let result = processed.result;
    assert!(matches!(result, Err(LiveError::Again(_))), "{result:?}");
    assert_eq!(world.sandbox.port.requested(&Matcher::post(BULK)), 1);
    assert_eq!(status(&world).as_deref(), Some("degraded_performance"));
}

#[tokio::test]
async fn an_event_that_another_one_knows_later_of_is_looked_at_again() {
    let world = world(Clock::real()).await;
    set(&world, "partial_outage");
    let entity = EntityKey::of(BLUEPRINT, "live-1");
    // Whoever noted this may never get to write it.
    let later = Timestamp::now() + SignedDuration::from_mins(1);
    world.resync.recent.note(&[entity], later).await;

    let outcome = world.process(changed()).await;

    assert!(matches!(outcome, Err(LiveError::Again(_))), "{outcome:?}");
    assert_eq!(status(&world).as_deref(), Some("operational"));
}

#[tokio::test]
async fn a_page_from_after_an_event_is_written_though_it_is_what_port_had_before() {
    let world = world(Clock::real()).await;
    // Port was read before the event, and the page is asked for after it.
    let (reading, listing) = (Gate::closed(), Gate::closed());
    let search = Matcher::post("/v1/blueprints/statuspageComponent/entities/search");
    world
        .sandbox
        .port
        .fault(search, Answer::real().held(&reading), 1);
    let pages = Matcher::get("/v1/pages");
    world
        .sandbox
        .statuspage
        .fault(pages, Answer::real().held(&listing), 1);
    let during = async {
        tokio::join!(reading.reached(), listing.reached());
        set(&world, "partial_outage");
        assert_eq!(world.process(changed()).await.unwrap().written, 1);
        set(&world, "operational");
        reading.open();
        listing.open();
    };

    let (report, ()) = tokio::join!(run(&world.resync), during);

    assert_eq!(report.stored(), 1);
    assert_eq!(status(&world).as_deref(), Some("operational"));
}

#[tokio::test]
async fn a_list_that_lags_behind_counts_as_older() {
    let world = world(Clock::real()).await;
    let lagging = resync(
        &world.sandbox,
        SourceName::Statuspage,
        RecentWrites::new(RecentWrites::LIST_LAG),
    );
    let processor = LiveProcessor::beside(&lagging, Duration::ZERO);
    set(&world, "partial_outage");
    let event = super::world::taken(changed());
    assert_eq!(processor.process(&event).await.result.unwrap().written, 1);
    // As the list still shows it.
    set(&world, "operational");

    run(&lagging).await;

    assert_eq!(status(&world).as_deref(), Some("partial_outage"));
    world.resync_apart().await;
    assert_eq!(status(&world).as_deref(), Some("operational"));
}
