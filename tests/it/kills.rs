//! A process that is killed leaves nothing that the next run does not put right.
//!
//! It is killed with SIGKILL, at moments that are counted in the requests that
//! the simulators have seen: drawn by chance, the same each time, from the whole
//! of a first start and from the whole of a resync with much to do.

use std::collections::BTreeMap;

use portolan::catalog::Defaults;
use portolan::sandbox::{Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::Value;

use crate::catalog::{assert_same, catalog};
use crate::program::{kill_when, run_in, small_sandbox};
use crate::upstream::live_through_a_day;

/// Kills of each of the two runs.
const KILLS: usize = 10;

const SEED: u64 = 20;

/// Requests that all three simulators have seen since their logs were cleared.
fn requests(sandbox: &Sandbox) -> usize {
    let any = Matcher::any();
    sandbox.port.requested(&any)
        + sandbox.statuspage.requested(&any)
        + sandbox.pagerduty.requested(&any)
}

/// Moments of a run that makes so many requests, one in each tenth of it.
fn moments(chance: &mut fastrand::Rng, run: usize) -> Vec<usize> {
    (0..KILLS)
        .map(|tenth| chance.usize(tenth * run / KILLS..(tenth + 1) * run / KILLS))
        .collect()
}

/// Runs and kills after so many requests; whether it lived that long.
async fn killed_after(sandbox: &Sandbox, moment: usize) -> bool {
    sandbox.clear_requests();
    let outcome = kill_when(&sandbox.environment(), || requests(sandbox) >= moment).await;
    outcome.code.is_none()
}

/// The run after a kill: it ends well, and what it leaves is whole.
async fn expect_put_right(sandbox: &Sandbox, when: &str) {
    run_in(sandbox).await.expect_code(0);

    let state = &sandbox.port.integration().unwrap()["resyncState"];
    assert_eq!(state["status"], "completed", "{when}");
    let defaults = Defaults::embedded(&SourceName::ALL).unwrap().blueprints;
    let found = sandbox.port.blueprints();
    assert_eq!(found.len(), defaults.len(), "{when}");
    for wanted in &defaults {
        let identifier = wanted["identifier"].as_str().unwrap();
        assert_eq!(says(&found[identifier]), says(wanted), "{when}");
    }
}

/// What a blueprint says, without what Port adds and what is empty.
fn says(blueprint: &Value) -> BTreeMap<&str, &Value> {
    let members = blueprint.as_object().unwrap().iter();
    members
        .map(|(key, value)| (key.as_str(), value))
        .filter(|(key, _)| !["createdAt", "updatedAt"].contains(key))
        .filter(|(_, value)| value.as_object().is_none_or(|section| !section.is_empty()))
        .collect()
}

#[tokio::test]
async fn a_first_start_that_is_killed_is_made_up_for_by_the_next() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    let undisturbed = catalog(&sandbox);
    let moments = moments(&mut fastrand::Rng::with_seed(SEED), requests(&sandbox));
    eprintln!("seed {SEED}: killed after {moments:?} requests");

    let mut killed = 0;
    for moment in moments {
        let when = format!("killed after {moment} requests of a first start");
        sandbox.port.clear();
        killed += usize::from(killed_after(&sandbox, moment).await);
        expect_put_right(&sandbox, &when).await;
        assert_same(&catalog(&sandbox), &undisturbed, &when);
    }
    assert!(killed >= KILLS - 1, "only {killed} were killed in time");
}

#[tokio::test]
async fn a_later_resync_that_is_killed_is_made_up_for_by_the_next() {
    let sandbox = small_sandbox().await;
    run_in(&sandbox).await.expect_code(0);
    live_through_a_day(&sandbox, SEED);
    sandbox.clear_requests();
    run_in(&sandbox).await.expect_code(0);
    let moments = moments(&mut fastrand::Rng::with_seed(SEED + 1), requests(&sandbox));
    eprintln!("seed {SEED}: killed after {moments:?} requests");

    let mut killed = 0;
    for (day, moment) in (SEED + 1..).zip(moments) {
        let when = format!("killed after {moment} requests of the resync of day {day}");
        live_through_a_day(&sandbox, day);
        killed += usize::from(killed_after(&sandbox, moment).await);
        expect_put_right(&sandbox, &when).await;
        let after = catalog(&sandbox);

        sandbox.port.clear();
        run_in(&sandbox).await.expect_code(0);
        assert_same(&after, &catalog(&sandbox), &when);
    }
    assert!(killed >= KILLS - 1, "only {killed} were killed in time");
}
