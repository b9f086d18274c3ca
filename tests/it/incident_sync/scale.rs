//! Much at once, within the rate limit: 150 acknowledged incidents about 300
//! components, at 60 requests a minute, without one refusal.
//!
//! The minutes are those of a clock that stands still until the test moves it:
//! whenever the reconciler waits for its turn, time passes.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use portolan::sandbox::Matcher;
use serde_json::json;
use tokio::time::advance;

use super::world::{World, apply, kinds, look};
use crate::program::with;

const INCIDENTS: usize = 150;

/// Really, not on the clock: so long without a request, and it waits.
const STILL: Duration = Duration::from_millis(4);

/// How far the clock moves then.
const MOVE: Duration = Duration::from_millis(500);

/// Does the work and lets time pass whenever it waits for that; says how much.
async fn passing_time<T>(world: &World, work: impl Future<Output = T>) -> (T, Duration) {
    let passed = Cell::new(Duration::ZERO);
    let time = async {
        loop {
            let before = requests(world);
            let began = std::time::Instant::now();
            while began.elapsed() < STILL {
                tokio::task::yield_now().await;
            }
            if requests(world) == before {
                world.clock.advance(MOVE);
                advance(MOVE).await;
                passed.set(passed.get() + MOVE);
            }
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = time => unreachable!("time passes for ever"),
    };
    (result, passed.get())
}

fn requests(world: &World) -> usize {
    let any = Matcher::any();
    let answered = |requests: Vec<portolan::sandbox::RecordedRequest>| {
        requests
            .iter()
            .filter(|request| request.status.is_some())
            .count()
    };
    answered(world.statuspage().requests_to(&any)) + answered(world.pagerduty().requests_to(&any))
}

#[tokio::test(start_paused = true)]
async fn a_bad_day_is_announced_within_the_rate_limit_and_without_a_refusal() {
    // Without this the clock would run on by itself while answers are under way.
    let (_still, held) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || held.recv());
    let world = World::start().await;
    world.statuspage().enforce_rate_limit(true);
    for number in 0..INCIDENTS {
        let components = [0, 1].map(|half| format!("c{half}x{number:09}"));
        for (half, component) in components.iter().enumerate() {
            world.add_component(component, &format!("Component {number}.{half}"));
        }
        world.acknowledged(&format!("PX{number}"), &[&components[0], &components[1]]);
    }
    let document = json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]});
    let environment = with(
        world.environment(&document),
        "OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE",
        "60",
    );
    let reconciler = world.reconciler_of(&environment).await;

    let (report, took) = passing_time(&world, apply(&reconciler)).await;

    assert_eq!(kinds(&report), ["open"; INCIDENTS]);
    assert_eq!(world.unresolved().len(), INCIDENTS);
    let refused = world.statuspage().requests();
    let refused = refused
        .iter()
        .filter(|request| matches!(request.status, Some(420 | 429)));
    assert_eq!(refused.count(), 0);
    // Two requests an incident, and a dozen to see what there is.
    let minutes = took.as_secs_f64() / 60.0;
    assert!(
        (4.0..7.0).contains(&minutes),
        "it took {minutes:.1} minutes"
    );
    let (next, _) = passing_time(&world, look(&reconciler)).await;
    assert_eq!(kinds(&next), Vec::<&str>::new());
    world.assert_sound();
}
