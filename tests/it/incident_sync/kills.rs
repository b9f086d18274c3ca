//! The process is killed at any moment, and nothing is ever announced twice.
//!
//! Each process is killed with SIGKILL after a number of requests that is drawn
//! by chance, so that it falls between any two steps, in the middle of a write
//! as well as before it. The next one begins with nothing but the page and the
//! state database.

use fastrand::Rng;
use portolan::sandbox::Matcher;
use serde_json::Value;
use tempfile::TempDir;

use super::world::{COMPONENTS, World, text};
use crate::program::{kill_in_when, portolan_in};

const KILLS: usize = 100;
const SEED: u64 = 5;

/// A pass makes about so many requests when it has something to do.
const REQUESTS_OF_A_PASS: usize = 24;

fn requests(world: &World) -> usize {
    let any = Matcher::any();
    world.statuspage().requested(&any) + world.pagerduty().requested(&any)
}

/// Something happens to those on call.
fn live_on(world: &World, chance: &mut Rng, sources: &mut Vec<String>) {
    for _ in 0..chance.usize(1..4) {
        let which = chance.usize(0..=sources.len());
        match sources.get(which) {
            None => {
                let id = format!("PX{}", sources.len() + 1);
                let first = chance.usize(0..COMPONENTS.len());
                let second = chance.usize(0..COMPONENTS.len());
                world.acknowledged(&id, &[COMPONENTS[first].0, COMPONENTS[second].0]);
                sources.push(id);
            }
            // What is over already stays so.
            Some(id) if chance.bool() => {
                world.pagerduty().resolve(id);
            }
            Some(id) => {
                world.pagerduty().acknowledge(id);
            }
        }
    }
}

#[tokio::test]
async fn a_process_that_is_killed_anywhere_leaves_nothing_that_the_next_does_not_put_right() {
    let world = World::start_at(portolan::sandbox::Clock::real()).await;
    let directory = TempDir::new().unwrap();
    let environment = world.environment(&serde_json::json!({
        "mode": "apply",
        // What is in doubt after a kill is looked for by the next process at once:
        // the simulator shows what it was told.
        "guards": {"settle": "0s", "reopenWithin": "0s", "maxChangesPerHour": null},
    }));
    let mut chance = Rng::with_seed(SEED);
    let mut sources = Vec::new();
    let mut killed = 0;
    while killed < KILLS {
        live_on(&world, &mut chance, &mut sources);
        let moment = requests(&world) + chance.usize(0..REQUESTS_OF_A_PASS);
        let is_due = || requests(&world) >= moment;
        let outcome = kill_in_when(directory.path(), &["reconcile"], &environment, is_due).await;
        killed += usize::from(outcome.code.is_none());
        assert_eq!(
            world.statuspage().overlaps(),
            Vec::<String>::new(),
            "after {killed} kills"
        );
    }

    for _ in 0..2 {
        portolan_in(directory.path(), &["reconcile"], &environment)
            .await
            .expect_code(0);
    }
    let report = portolan_in(
        directory.path(),
        &["reconcile", "--plan", "--json"],
        &environment,
    )
    .await
    .expect_code(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["pages"][0]["steps"], serde_json::json!([]));
    for (component, _) in COMPONENTS {
        let is_affected = world
            .pagerduty()
            .objects("incidents")
            .iter()
            .any(|incident| {
                let entry = text(&incident["first_trigger_log_entry"], "id").to_owned();
                let entry = world.pagerduty().object("log_entries", &entry).unwrap();
                incident["status"] == "acknowledged" && entry.to_string().contains(component)
            });
        let holders = world.unresolved().into_iter().filter(|incident| {
            let mut components = incident["components"].as_array().unwrap().iter();
            components.any(|held| held["id"] == component)
        });
        assert_eq!(holders.count(), usize::from(is_affected), "{component}");
    }
    world.assert_sound();
}
