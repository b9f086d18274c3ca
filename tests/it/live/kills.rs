//! Five kills and an outage of Port while the vendor tells of five thousand things:
//! what was answered with 200 is in the catalog in the end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use portolan::sandbox::{Answer, Matcher};
use reqwest::Method;
use tokio::time::{sleep, timeout};

use super::vendor::{Plan, Vendor, until};
use crate::running::Running;

const PLAN: Plan = Plan {
    senders: 25,
    rounds: 20,
    busy: 8,
    once: 2,
};

/// A kill after each so many events that were taken.
const KILLS: usize = 5;
const BETWEEN_KILLS: usize = 900;

/// Port is down from the first of these numbers of events, and the second is not
/// exceeded before it is back: two kills fall into the outage, and two follow it.
const DOWN_FROM: usize = 1_500;
const WAIT_AT: usize = 3_000;

/// The outage is real time, as the waiting of the program is.
const OUTAGE: Duration = Duration::from_secs(20);

/// The exit code of a process that could not start its work.
const GAVE_UP: i32 = 1;

/// Nothing here takes this long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

/// A service, which only webhooks have write something, and what befalls it.
struct Service {
    vendor: Vendor,
    environment: Vec<(String, String)>,
    is_port_down: AtomicBool,
}

impl Service {
    /// Kills the process and starts another, time after time; gives the last one.
    /// One that finds no Port at its start gives up after a while, and is started
    /// again, as whatever runs it would do.
    async fn kill_and_start(&self, directory: &Path) -> Running {
        let vendor = &self.vendor;
        let begin = || vendor.begin(directory, &self.environment);
        let mut running = begin().await;
        for kill in 1..=KILLS {
            // One that has not begun to work has nothing to lose.
            let before = vendor.writes();
            let is_due = || {
                let is_at_work =
                    self.is_port_down.load(Ordering::Relaxed) || vendor.writes() > before;
                is_at_work && vendor.taken.load(Ordering::Relaxed) >= kill * BETWEEN_KILLS
            };
            while !is_due() {
                until(|| is_due() || running.has_ended()).await;
                if running.has_ended() {
                    vendor.forget(&running);
                    running.end().await.expect_code(GAVE_UP);
                    running = begin().await;
                }
            }
            running.signal("KILL").await;
            vendor.forget(&running);
            let outcome = running.end().await;
            assert_eq!(outcome.code, None, "it had ended: {}", outcome.stderr);
            running = begin().await;
        }
        running
    }

    async fn outage(&self) {
        self.vendor.until_taken(DOWN_FROM).await;
        let port = &self.vendor.sandbox.port;
        port.fault(Matcher::any(), Answer::status(503), usize::MAX);
        self.is_port_down.store(true, Ordering::Relaxed);
        sleep(OUTAGE).await;
        port.clear_faults();
        self.is_port_down.store(false, Ordering::Relaxed);
        self.vendor.allow(usize::MAX);
    }
}

/// How often the process has answered webhooks so.
async fn counted(running: &Running, result: &str) -> usize {
    let answer = running.request(Method::GET, "/metrics").send().await;
    let text = answer.unwrap().text().await.unwrap();
    let label = format!("result=\"{result}\"");
    text.lines()
        .filter(|line| line.starts_with("portolan_webhooks_total{") && line.contains(&label))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_and_an_outage_of_port_lose_no_event_and_write_none_twice() {
    let vendor = Vendor::start(PLAN).await;
    vendor.allow(WAIT_AT);
    let service = Service {
        environment: vendor.environment("WEBHOOKS_ONLY"),
        vendor,
        is_port_down: AtomicBool::new(false),
    };
    let (vendor, environment) = (&service.vendor, &service.environment);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();

    let all = async {
        let senders = (0..PLAN.senders).map(|sender| vendor.send(sender));
        let (running, (), told) = tokio::join!(
            service.kill_and_start(directory),
            service.outage(),
            join_all(senders),
        );
        vendor.until_done(directory, environment).await;
        (running, told.concat())
    };
    let (running, told) = timeout(PATIENCE, all).await.expect("it comes to its end");

    assert_eq!(vendor.taken.load(Ordering::Relaxed), PLAN.events());
    assert!(
        vendor.refused.load(Ordering::Relaxed) > 0,
        "no kill was felt"
    );
    vendor.assert_all_is_right();
    assert_eq!(vendor.sandbox.problems(), Vec::<String>::new());

    // Once more what was told before, between and after the kills.
    let before = (
        counted(&running, "duplicate").await,
        counted(&running, "stored").await,
    );
    vendor.sandbox.clear_requests();
    stream::iter(&told)
        .map(|webhook| vendor.deliver(webhook))
        .buffer_unordered(PLAN.senders)
        .collect::<()>()
        .await;
    let after = (
        counted(&running, "duplicate").await,
        counted(&running, "stored").await,
    );
    assert_eq!(after, (before.0 + told.len(), before.1));
    vendor.until_done(directory, environment).await;
    let asked = vendor.sandbox.opsgenie.requested(&Matcher::any());
    let written = Matcher::path("/v1/blueprints/*");
    let written = vendor.sandbox.port.requested(&written);
    assert_eq!((asked, written), (0, 0), "worked on a second time");
    vendor.assert_all_is_right();
    running.terminate().await.expect_code(143);
}
