//! Mishaps that are easily forgotten: refused and late steps, clocks and lists that
//! are behind, rules and accounts that change between two passes.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher};
use serde_json::{Value, json};

use super::world::{COMPONENTS, PAGE, World, apply, kinds, reasons, text};
use crate::program::{portolan, with, without};
use crate::running::Running;

fn by_incident() -> Value {
    json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]})
}

#[tokio::test]
async fn what_follows_from_a_step_is_not_done_when_that_step_was_refused() {
    let world = World::start().await;
    let reconciler = world.reconciler(&by_incident()).await;
    let [checkout, search, ..] = COMPONENTS.map(|(id, _)| id);
    world.acknowledged("PX1", &[checkout]);
    apply(&reconciler).await;
    world.acknowledged("PX2", &[checkout, search]);
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    world.assert_sound();

    // The first is over, and the second takes its component; but the first
    // cannot be resolved.
    world.pagerduty().resolve("PX1");
    let first = text(&world.unresolved()[1], "id").to_owned();
    let write = Matcher::patch(&format!("/v1/pages/*/incidents/{first}"));
    world.statuspage().fault(write, Answer::status(422), 1);
    apply(&reconciler).await;

    world.assert_sound();
}

#[tokio::test]
async fn a_page_in_doubt_is_left_alone_until_it_has_settled_however_many_passes_there_are() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    apply(&reconciler).await;
    world.pagerduty().resolve("PX1");
    let write = Matcher::patch("/v1/pages/*/incidents/*");
    world.statuspage().fault(write, Answer::cut(), 1);
    let report = apply(&reconciler).await;
    assert_eq!(report.pages[0].steps[0].outcome.as_str(), "unknown");

    // Settling takes fifteen seconds; hints wake a pass every five.
    for _ in 0..2 {
        world.clock.advance(Duration::from_secs(5));
        let report = apply(&reconciler).await;
        assert_eq!(reasons(&report), ["settling"]);
        assert_eq!(kinds(&report), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn an_acknowledgement_that_is_taken_back_ends_what_only_acknowledgements_keep_open() {
    let world = World::start().await;
    let document =
        json!({"rules": [{"name": "all", "source": "pagerduty", "keep": ["acknowledged"]}]});
    let reconciler = world.reconciler(&document).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    world.pagerduty().unacknowledge("PX1");
    let report = apply(&reconciler).await;
    assert_eq!(
        kinds(&report),
        ["resolve"],
        "{:?}",
        report.pages[0].withheld
    );
}

#[tokio::test]
async fn what_no_rule_is_about_any_more_is_resolved() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    assert_eq!(kinds(&apply(&reconciler).await), ["open"]);
    // From now on the rules are about the other account alone.
    let document =
        json!({"rules": [{"name": "pagerduty", "source": "pagerduty", "accounts": ["two"]}]});
    let reconciler = world.reconciler(&document).await;
    let report = apply(&reconciler).await;
    assert_eq!(
        kinds(&report),
        ["resolve"],
        "{:?}",
        report.pages[0].withheld
    );
}

#[tokio::test]
async fn what_a_human_resolves_stays_resolved_though_a_hundred_incidents_are_newer() {
    let world = World::start().await;
    for number in 0..102 {
        let component = format!("cx{number:010}");
        world.add_component(&component, &format!("Component {number}"));
        world.acknowledged(&format!("PX{number}"), &[&component]);
        world.clock.advance(Duration::from_secs(1));
    }
    let reconciler = world.reconciler(&json!({})).await;
    assert_eq!(kinds(&apply(&reconciler).await), ["open"; 102]);
    let first = world
        .unresolved()
        .into_iter()
        .find(|incident| incident["metadata"]["portolan"]["key"] == "component:cx0000000000")
        .unwrap();
    world
        .statuspage()
        .human_update(text(&first, "id"), "resolved", "It was a false alarm.");
    // All were opened at one moment of the clock; which of them are shown as the
    // newest is up to the API, so the first is made an older one.
    world
        .statuspage()
        .update("incident", text(&first, "id"), |incident| {
            incident["created_at"] = json!("2026-03-02T08:00:00Z");
        });

    world.clock.advance(Duration::from_mins(1));
    let report = apply(&reconciler).await;
    assert_eq!(kinds(&report), Vec::<&str>::new());
    assert_eq!(reasons(&report), ["closed_by_hand"]);
}

#[tokio::test]
async fn a_component_that_somebody_else_took_during_a_long_pass_is_not_called_operational() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let [checkout, search, ..] = COMPONENTS.map(|(id, _)| id);
    world.acknowledged("PX1", &[checkout]);
    apply(&reconciler).await;
    world.clock.advance(Duration::from_secs(1));
    world.acknowledged("PX2", &[search]);
    apply(&reconciler).await;
    world.pagerduty().resolve("PX1");
    world.pagerduty().resolve("PX2");
    // At one request a second a plan takes minutes; here its first write does.
    let write = Matcher::patch("/v1/pages/*/incidents/*");
    let slow = Answer::real().after(Duration::from_millis(600));
    world.statuspage().fault(write.clone(), slow, 1);

    let meanwhile = async {
        while world.statuspage().requested(&write) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let held = world.statuspage().object("component", search).unwrap();
        let now = world.clock.now().to_string();
        world.statuspage().insert(
            "incident",
            &json!({
                "id": "others", "page_id": PAGE, "name": "Somebody else's", "status": "investigating",
                "impact": "minor", "created_at": now, "updated_at": now, "resolved_at": null,
                "components": [held], "metadata": {}, "scheduled_for": null,
                "incident_updates": [{
                    "id": "othersu", "incident_id": "others", "status": "investigating", "body": "Hm.",
                    "affected_components": null, "created_at": now, "updated_at": now, "display_at": now,
                }],
            }),
        );
    };
    let (report, ()) = tokio::join!(apply(&reconciler), meanwhile);

    assert_eq!(kinds(&report)[0], "resolve");
    assert_ne!(world.status_of(search), "operational");
}

#[tokio::test]
async fn an_opening_that_waited_long_for_its_turn_has_its_time_to_show_up_all_the_same() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    // Lists are ten seconds behind, which is less than `settle`; and the write
    // waits: for its turn at the rate limit, for a slow answer.
    world.statuspage().lag_lists(Duration::from_secs(10));
    let write = Matcher::post("/v1/pages/*/incidents");
    let slow = Answer::real().after(Duration::from_millis(400));
    world.statuspage().fault(write.clone(), slow, 1);
    let meanwhile = async {
        while world.statuspage().requested(&write) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.clock.advance(Duration::from_secs(20));
    };
    let (report, ()) = tokio::join!(apply(&reconciler), meanwhile);
    assert_eq!(kinds(&report), ["open"]);

    // A hint wakes the next pass five seconds later.
    world.clock.advance(Duration::from_secs(5));
    apply(&reconciler).await;
    assert_eq!(world.statuspage().count("incident"), 1);
    world.assert_sound();
}

#[tokio::test]
async fn a_key_that_sees_no_page_is_no_success() {
    let world = World::start().await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    world.statuspage().remove("statuspage", PAGE);
    let outcome = portolan(
        &["reconcile"],
        &world.environment(&json!({"mode": "apply"})),
    )
    .await;
    assert_ne!(outcome.code, Some(0), "stdout: {:?}", outcome.stdout);
}

#[tokio::test]
async fn an_account_that_is_given_for_the_catalog_as_well_goes_on_being_the_same() {
    let world = World::start().await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    let environment = world.pagerstatus();
    portolan(&["reconcile"], &environment).await.expect_code(0);
    assert_eq!(world.unresolved().len(), 1);

    // The catalog is to read the same account with the same token.
    let environment = with(
        environment,
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN",
        portolan::sandbox::pagerduty::TOKEN,
    );
    world.pagerduty().resolve("PX1");
    let outcome = portolan(&["reconcile"], &environment).await;
    assert_eq!(world.unresolved().len(), 0, "{}", outcome.stderr);
}

#[tokio::test]
async fn credentials_that_port_refuses_do_not_end_the_incident_sync() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    let mut environment = world.environment(&json!({"mode": "apply", "interval": "5s"}));
    environment.extend(world.sandbox.environment());
    let environment = with(environment, "OCEAN__PORT__CLIENT_SECRET", "of-last-year");
    let environment = with(environment, "OCEAN__EVENT_LISTENER__TYPE", "POLLING");
    let environment = without(
        environment,
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
    );
    let running = Running::start(&environment).await;
    running.until_logged("Cannot work with Port").await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    running
        .until("the incident is public", || world.unresolved().len() == 1)
        .await;
    let ready = running
        .request(reqwest::Method::GET, "/health/ready")
        .send();
    assert_eq!(ready.await.unwrap().status(), 503);
    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn two_processes_at_once_announce_it_once() {
    let world = World::start().await;
    let one = world.reconciler(&json!({})).await;
    let other = world.reconciler(&json!({})).await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    // The other has seen the page when it waits for PagerDuty; meanwhile the
    // first announces it.
    let slow = Answer::real().after(Duration::from_millis(800));
    let list = Matcher::get("/incidents");
    world.pagerduty().fault(list.clone(), slow, 1);
    let late = async { apply(&other).await };
    let first = async {
        while world.pagerduty().requested(&list) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        apply(&one).await
    };
    let (late, first) = tokio::join!(late, first);

    assert_eq!(first.pages[0].steps[0].outcome.as_str(), "done");
    assert_eq!(late.pages[0].steps[0].outcome.as_str(), "skipped");
    assert_eq!(world.statuspage().count("incident"), 1);
    world.assert_sound();
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_nothing_is_written_while_it_cannot_be_found() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let [checkout, search, login, ..] = COMPONENTS.map(|(id, _)| id);
    let write = Matcher::post("/v1/pages/*/incidents");
    world.acknowledged("PX1", &[checkout]);
    world
        .statuspage()
        .fault(write.clone(), Answer::cut_mid_body(), 1);
    let report = apply(&reconciler).await;
    assert_eq!(
        report.pages[0].steps[0].outcome.as_str(),
        "done",
        "it was found"
    );

    world.acknowledged("PX2", &[search]);
    world.acknowledged("PX3", &[login]);
    world.statuspage().fault(write.clone(), Answer::cut(), 1);
    let report = apply(&reconciler).await;
    let outcomes: Vec<_> = report.pages[0]
        .steps
        .iter()
        .map(|step| step.outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["unknown", "skipped"]);
    assert_eq!(world.statuspage().requested(&write), 2);
    world.clock.advance(Duration::from_secs(16));
    assert_eq!(kinds(&apply(&reconciler).await), ["open", "open"]);
    world.assert_sound();
}

#[tokio::test]
async fn what_an_account_that_cannot_be_read_stands_for_stays_open() {
    let world = World::start().await;
    let reconciler = world.reconciler(&json!({})).await;
    let [checkout, search, ..] = COMPONENTS.map(|(id, _)| id);
    world.acknowledged("PX1", &[checkout]);
    let channel = json!({"type": "api", "details": {"tags": format!("component:{search}")}});
    world.second.pagerduty.open_incident("PY1", "down", channel);
    world.second.pagerduty.acknowledge("PY1");
    assert_eq!(kinds(&apply(&reconciler).await), ["open", "open"]);

    // Both are over, and one account cannot be asked.
    world.pagerduty().resolve("PX1");
    world.second.pagerduty.resolve("PY1");
    let lists = Matcher::get("/incidents");
    world
        .second
        .pagerduty
        .fault(lists, Answer::status(403), usize::MAX);
    let report = apply(&reconciler).await;
    assert_eq!(kinds(&report), Vec::<&str>::new());
    assert_eq!(reasons(&report), ["incomplete", "incomplete"]);

    world.second.pagerduty.clear_faults();
    assert_eq!(kinds(&apply(&reconciler).await), ["resolve", "resolve"]);
    world.assert_sound();
}
