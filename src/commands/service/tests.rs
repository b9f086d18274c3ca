//! Ten minutes of a service, in a moment: the service itself, HTTP over loopback
//! and the sandbox, on a clock that stands still until the test moves it.
//!
//! The clock of tokio runs on by itself whenever nothing is left to do but to
//! wait, and an answer that is on its way over the network looks like that. It is
//! held back by a blocking task for as long as the test lasts.

use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use super::serve;
use crate::commands::Exit;
use crate::sandbox::{Answer, Clock, IDENTIFIER, Matcher, Sandbox, SandboxOptions};
use crate::settings::{self, Inputs, Overrides, Settings};
use crate::store::{IN_MEMORY, Store};

/// Really, not on the clock: what waits longer is stuck.
const PATIENCE: Duration = Duration::from_mins(1);

const POLLING: &str = r#"{"type":"POLLING","interval":20}"#;
const EVERY_THREE_MINUTES: &str = "3";

/// A service under way, and the clock it lives by.
struct Simulation {
    sandbox: Sandbox,
    clock: Clock,
    began: Instant,
    service: JoinHandle<Result<(), Exit>>,
    stop: CancellationToken,
    /// Dropped, it lets the clock run on by itself.
    _still: mpsc::Sender<()>,
}

impl Simulation {
    async fn start() -> Self {
        let (still, held) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let clock = Clock::fixed(morning());
        let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
            .await
            .unwrap();
        sandbox.port.insert_blueprint(&json!({
            "identifier": "thing",
            "title": "Thing",
            "schema": {"properties": {}, "required": []},
            "relations": {},
        }));
        let mappings = json!({"identifier": ".id", "title": ".name", "blueprint": "\"thing\""});
        sandbox.port.insert_integration(
            IDENTIFIER,
            &json!({
                "installationAppType": "portolan",
                "arePortResourcesInitialized": true,
                "config": {"resources": [{
                    "kind": "component",
                    "selector": {"query": "true"},
                    "port": {"entity": {"mappings": mappings}},
                }]},
            }),
        );
        let settings = settings_for(&sandbox);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        Self {
            sandbox,
            clock,
            began: Instant::now(),
            service: spawn_local(async move {
                let store = Store::open(&settings.state_path).await;
                serve(&settings, None, store, None, &stopping).await
            }),
            stop,
            _still: still,
        }
    }

    /// Lets time pass until so many seconds after the start. Every question that
    /// falls into them is answered in its own second.
    async fn pass_to(&self, second: u64) {
        while self.began.elapsed() < Duration::from_secs(second) {
            let since = Duration::from_nanos(self.began.elapsed().subsec_nanos().into());
            self.pass(Duration::from_secs(1).saturating_sub(since))
                .await;
            let questions = usize::try_from(self.began.elapsed().as_secs() / 20 + 1).unwrap();
            self.until("Port is asked every 20 seconds", |sandbox| {
                let asked = sandbox.port.requests_to(&questions_to_port());
                asked.iter().filter(|one| one.status.is_some()).count() >= questions
            })
            .await;
        }
    }

    /// Waits for something to be so. The clock hardly moves meanwhile: as far as
    /// a request may need that lost its connection and is about to be repeated.
    async fn until(&self, what: &str, is_so: impl Fn(&Sandbox) -> bool) {
        const NUDGE: Duration = Duration::from_millis(10);
        let began = std::time::Instant::now();
        let mut nudges = 0;
        while !is_so(&self.sandbox) {
            assert!(
                began.elapsed() < PATIENCE,
                "in vain waited until {what}, {:?} after the start; states: {:?}",
                self.began.elapsed(),
                states(&self.sandbox)
            );
            if nudges < 90 && began.elapsed() > NUDGE * (nudges + 1) {
                nudges += 1;
                self.pass(NUDGE).await;
            }
            yield_now().await;
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        advance(time).await;
    }

    /// Waits until so many resyncs are through, and no other runs.
    async fn until_completed(&self, resyncs: usize) {
        let expected = ["running", "completed"].repeat(resyncs);
        self.until(&format!("{resyncs} resyncs are through"), |sandbox| {
            states(sandbox) == expected
        })
        .await;
    }

    /// Asks for a resync in Port that reads for so long, and waits until it does:
    /// it begins with the next question.
    async fn resync_that_takes(&self, time: Duration) {
        let read = self.sandbox.statuspage.requested(&list());
        self.sandbox
            .statuspage
            .fault(list(), Answer::real().after(time), 1);
        self.sandbox.port.request_resync();
        let second = self.began.elapsed().as_secs();
        self.pass_to(second.next_multiple_of(20)).await;
        self.until("the resync reads", |sandbox| {
            sandbox.statuspage.requested(&list()) > read
        })
        .await;
    }

    /// What was asked for now has been asked for twice again: had it led to
    /// another resync, that would show.
    async fn and_no_more(&self, resyncs: usize) {
        let second = self.began.elapsed().as_secs();
        self.pass_to(second + 40).await;
        self.until_completed(resyncs).await;
    }
}

fn morning() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn settings_for(sandbox: &Sandbox) -> Settings {
    let mut environment = sandbox.environment();
    environment.retain(|(name, _)| name != "OCEAN__EVENT_LISTENER__TYPE");
    for (name, value) in [
        ("OCEAN__EVENT_LISTENER", POLLING),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", EVERY_THREE_MINUTES),
        ("OCEAN__STATE_PATH", IN_MEMORY),
        ("APPLICATION__PORT", &free_port().to_string()),
    ] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    let inputs = Inputs {
        environment: environment
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect(),
        directory: "/nonexistent".into(),
        overrides: Overrides::default(),
    };
    settings::load(inputs).unwrap().settings
}

/// A port that nobody listens on, as of now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn questions_to_port() -> Matcher {
    Matcher::get("/v1/integration/*/resync-request")
}

/// The one list that a resync asks for.
fn list() -> Matcher {
    Matcher::get("/v1/pages/*/components")
}

fn states(sandbox: &Sandbox) -> Vec<String> {
    let told = sandbox.port.resync_states();
    told.iter()
        .map(|state| state["status"].as_str().unwrap().to_owned())
        .collect()
}

/// How many seconds lie between the end that was told and the next resync that was.
fn rest(state: &Value) -> f64 {
    let time = |name: &str| -> Timestamp { state[name].as_str().unwrap().parse().unwrap() };
    let rest = time("nextResync").duration_since(time("lastResyncEnd"));
    rest.as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn in_ten_minutes_each_request_leads_to_one_resync_and_none_overlaps() {
    LocalSet::new().run_until(ten_minutes()).await;
}

async fn ten_minutes() {
    let simulation = Simulation::start().await;
    let sandbox = &simulation.sandbox;
    simulation.until_completed(1).await;

    // A request, and two before the next question.
    simulation.pass_to(65).await;
    sandbox.port.request_resync();
    simulation.pass_to(80).await;
    simulation.until_completed(2).await;
    simulation.and_no_more(2).await;
    simulation.pass_to(142).await;
    sandbox.port.request_resync();
    simulation.pass_to(150).await;
    sandbox.port.request_resync();
    simulation.pass_to(160).await;
    simulation.until_completed(3).await;

    // The schedule.
    simulation.pass_to(179).await;
    simulation.until_completed(3).await;
    simulation.pass_to(180).await;
    simulation.until_completed(4).await;
    simulation.and_no_more(4).await;

    // Two requests that are seen while a resync runs.
    let slow = Duration::from_secs(45);
    simulation.pass_to(235).await;
    simulation.resync_that_takes(slow).await;
    for second in [250, 270] {
        simulation.pass_to(second).await;
        sandbox.port.request_resync();
    }
    simulation.pass_to(280).await;
    assert_eq!(states(sandbox).last().unwrap(), "running");
    simulation.pass_to(286).await;
    simulation.until_completed(6).await;
    simulation.and_no_more(6).await;

    // A request and the schedule in one second: neither stands for the other,
    // since the first has begun when the second comes.
    simulation.pass_to(350).await;
    sandbox.port.request_resync();
    simulation.pass_to(360).await;
    simulation.until_completed(8).await;
    simulation.and_no_more(8).await;

    // A request and the schedule while a resync runs.
    simulation.pass_to(495).await;
    simulation.resync_that_takes(slow).await;
    simulation.pass_to(510).await;
    sandbox.port.request_resync();
    simulation.pass_to(540).await;
    assert_eq!(states(sandbox).last().unwrap(), "running");
    simulation.pass_to(546).await;
    simulation.until_completed(10).await;
    // What the schedule asked for in between is not what comes next.
    for ended in sandbox.port.resync_states().iter().rev().step_by(2).take(2) {
        assert!((170.0..176.0).contains(&rest(ended)), "{ended}");
    }
    simulation.and_no_more(10).await;

    // The end, in the middle of a resync.
    simulation.pass_to(590).await;
    simulation.resync_that_takes(Duration::from_secs(50)).await;
    simulation.stop.cancel();
    simulation
        .until("it is told as aborted", |sandbox| {
            states(sandbox).last().unwrap() == "aborted"
        })
        .await;
    let sandbox = simulation.stopped().await;
    let mut expected = ["running", "completed"].repeat(10);
    expected.extend(["running", "aborted"]);
    assert_eq!(states(&sandbox), expected);
    for state in sandbox.port.resync_states() {
        assert_eq!(state["intervalInMinuets"], 3, "{state}");
        assert!(state["nextResync"].is_string(), "{state}");
    }
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

/// Port's being told that a resync is completed.
fn completion() -> Matcher {
    Matcher::patch("/v1/integration/*/resync-state").with_body("completed")
}

impl Simulation {
    /// The resync of the start is through, and Port did not take it.
    async fn with_an_untold_end() -> Self {
        let simulation = Self::start().await;
        let port = &simulation.sandbox.port;
        // This status is not asked about again.
        port.fault(completion(), Answer::status(501), 1);
        simulation
            .until("the end is told in vain", |sandbox| {
                let told = sandbox.port.requests_to(&completion());
                told.iter().any(|one| one.status.is_some())
            })
            .await;
        assert_eq!(states(&simulation.sandbox), ["running"]);
        simulation
    }

    async fn stopped(self) -> Sandbox {
        self.stop.cancel();
        self.until("the service has ended", |_| self.service.is_finished())
            .await;
        assert_eq!(self.service.await.unwrap(), Ok(()));
        self.sandbox
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_port_did_not_take_is_told_later() {
    let test = async {
        let simulation = Simulation::with_an_untold_end().await;
        // Before the schedule asks for another.
        simulation.pass_to(170).await;
        simulation.until_completed(1).await;

        let sandbox = simulation.stopped().await;
        assert_eq!(states(&sandbox), ["running", "completed"], "and once");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_port_did_not_take_is_told_before_the_process_ends() {
    let test = async {
        let sandbox = Simulation::with_an_untold_end().await.stopped().await;
        assert_eq!(states(&sandbox), ["running", "completed"]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_resync_that_was_done_when_it_was_asked_to_stop_is_told_as_done() {
    let test = async {
        let simulation = Simulation::start().await;
        let sandbox = &simulation.sandbox;
        let listing = Matcher::post("/v1/blueprints/entities/datasource-entities");
        let slow = Answer::real().after(Duration::from_secs(2));
        sandbox.port.fault(listing.clone(), slow, 1);
        simulation
            .until("it looks for what to delete", |sandbox| {
                sandbox.port.requested(&listing) > 0
            })
            .await;

        simulation.stop.cancel();
        simulation.pass(Duration::from_secs(2)).await;

        let sandbox = simulation.stopped().await;
        assert_eq!(states(&sandbox), ["running", "completed"]);
    };
    LocalSet::new().run_until(test).await;
}
