//! Five kills and an outage of Port while the vendor tells of five thousand things:
//! what was answered with 200 is in the catalog in the end.
//!
//! Alerts change all the time, and each change is told of, by a sender that tries
//! again until it is taken. Most events are about a few alerts that change often,
//! as in an incident; there the last state counts. Others are about alerts of which
//! the vendor tells once: each of these is missing if its event is lost.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use portolan::live_events::derived_token;
use portolan::sandbox::port::CLIENT_SECRET;
use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox, WebhookRequest};
use portolan::settings::SourceName;
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use url::Url;

use super::receiver::secret;
use crate::catalog::catalog;
use crate::installed::{blueprint, install, resource};
use crate::program::{portolan_in, small_sandbox, with};
use crate::running::Running;

/// So many at a time tell of something; each has alerts of its own, so that what is
/// told of one alert is told in order.
const SENDERS: usize = 25;

/// How often each sender goes round: it changes its busy alerts, and opens others
/// that it tells of once.
const ROUNDS: usize = 20;
const BUSY: usize = 8;
const ONCE: usize = 2;
const EVENTS: usize = SENDERS * ROUNDS * (BUSY + ONCE);

/// Of so many deliveries one is made twice, at the same time.
const DOUBLED: usize = 10;

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

/// Before a vendor tries again what was not taken. Vendors wait for seconds.
const PAUSE: Duration = Duration::from_millis(20);

/// Nothing here takes this long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

/// The vendor's end.
struct Vendor {
    sandbox: Sandbox,
    client: Client,
    token: String,
    /// Where the process listens; 0 while there is none.
    port: AtomicU16,
    taken: AtomicUsize,
    refused: AtomicUsize,
    is_port_down: AtomicBool,
    is_port_back: AtomicBool,
}

impl Vendor {
    async fn start() -> Self {
        let sandbox = small_sandbox().await;
        blueprint(
            &sandbox,
            "alert",
            &[("status", "string"), ("acknowledged", "boolean")],
            &[],
        );
        let mappings = json!({
            "identifier": ".id", "title": ".message", "blueprint": "\"alert\"",
            "properties": {"status": ".status", "acknowledged": ".acknowledged"},
        });
        let mut alerts = resource("alert", &mappings);
        alerts["selector"]["query"] = json!(".status == \"open\"");
        install(&sandbox, &json!({"resources": [alerts]}));
        drop(rustls::crypto::ring::default_provider().install_default());
        let token = derived_token(&secret(CLIENT_SECRET), IDENTIFIER);
        Self {
            sandbox,
            client: Client::builder().no_proxy().build().unwrap(),
            token: token.expose_secret().to_owned(),
            port: AtomicU16::new(0),
            taken: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            is_port_down: AtomicBool::new(false),
            is_port_back: AtomicBool::new(false),
        }
    }

    /// The service, which only webhooks have write something.
    fn environment(&self) -> Vec<(String, String)> {
        let environment = self.sandbox.environment_for(SourceName::Opsgenie);
        let environment = with(environment, "OCEAN__EVENT_LISTENER__TYPE", "WEBHOOKS_ONLY");
        with(environment, "OCEAN__EVENT_WORKERS_COUNT", "16")
    }

    async fn until_taken(&self, count: usize) {
        until(|| self.taken.load(Ordering::Relaxed) >= count).await;
    }

    /// Sends it until it is taken, to wherever the process is by then.
    async fn deliver(&self, webhook: &WebhookRequest) {
        loop {
            let port = self.port.load(Ordering::Relaxed);
            if port != 0 {
                let url = format!("http://127.0.0.1:{port}/integration/webhook");
                let webhook = webhook.clone().to(url.parse().unwrap());
                match webhook.post(&self.client).await {
                    Ok(200) => return,
                    Ok(503) | Err(_) => self.refused.fetch_add(1, Ordering::Relaxed),
                    Ok(other) => panic!("a webhook is answered with {other}"),
                };
            }
            sleep(PAUSE).await;
        }
    }

    /// Tells of one thing, sometimes twice.
    async fn tell(&self, action: &str, alert: &Value, number: usize) -> WebhookRequest {
        let nowhere = Url::parse("http://portolan.example/").unwrap();
        let webhook = self.sandbox.opsgenie.webhook_about(&nowhere, action, alert);
        let webhook = webhook.with("X-Portolan-Token", Some(&self.token));
        if number.is_multiple_of(DOUBLED) {
            tokio::join!(self.deliver(&webhook), self.deliver(&webhook));
        } else {
            self.deliver(&webhook).await;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        webhook
    }

    /// All that one sender tells; gives one delivery of each round.
    async fn send(&self, sender: usize) -> Vec<WebhookRequest> {
        let mut some = Vec::new();
        for round in 0..ROUNDS {
            until(|| {
                self.taken.load(Ordering::Relaxed) < WAIT_AT
                    || self.is_port_back.load(Ordering::Relaxed)
            })
            .await;
            for busy in 0..BUSY {
                let id = format!("busy-{sender}-{busy}");
                let (action, alert) = self.change(&id, busy, round);
                self.tell(action, &alert, sender + busy + round).await;
            }
            for once in 0..ONCE {
                let id = format!("once-{sender}-{round}-{once}");
                self.sandbox.opsgenie.open_alert(&id, "Told of once", &[]);
                let alert = self.sandbox.opsgenie.object("alerts", &id).unwrap();
                let webhook = self.tell("Create", &alert, sender + once + round).await;
                if once == 0 {
                    some.push(webhook);
                }
            }
        }
        some
    }

    /// Something happens to an alert: what it is called, and the alert by then.
    fn change(&self, id: &str, busy: usize, round: usize) -> (&'static str, Value) {
        let opsgenie = &self.sandbox.opsgenie;
        let message = format!("Round {round}");
        let action = if round == 0 {
            opsgenie.open_alert(id, &message, &[]);
            "Create"
        } else {
            opsgenie.update("alerts", id, |alert| alert["message"] = json!(message));
            match (round + 1, busy % 4) {
                (ROUNDS, 0) => {
                    let alert = opsgenie.remove("alerts", id).unwrap();
                    return ("Delete", alert);
                }
                (ROUNDS, 1) => {
                    assert!(opsgenie.close_alert(id));
                    "Close"
                }
                _ if opsgenie.acknowledge_alert(id) => "Acknowledge",
                _ => {
                    assert!(opsgenie.unacknowledge_alert(id));
                    "UnAcknowledge"
                }
            }
        };
        (action, opsgenie.object("alerts", id).unwrap())
    }

    /// Kills the process and starts another, time after time; gives the last one.
    /// One that finds no Port at its start gives up after a while, and is started
    /// again, as whatever runs it would do.
    async fn kill_and_start(&self, directory: &Path) -> Running {
        let mut running = self.begin(directory).await;
        for kill in 1..=KILLS {
            // One that has not begun to work has nothing to lose.
            let before = self.writes();
            let is_due = || {
                let is_at_work =
                    self.is_port_down.load(Ordering::Relaxed) || self.writes() > before;
                is_at_work && self.taken.load(Ordering::Relaxed) >= kill * BETWEEN_KILLS
            };
            while !is_due() {
                until(|| is_due() || running.has_ended()).await;
                if running.has_ended() {
                    self.port.store(0, Ordering::Relaxed);
                    running.end().await.expect_code(GAVE_UP);
                    running = self.begin(directory).await;
                }
            }
            running.signal("KILL").await;
            // Somebody else may get the port.
            self.port.store(0, Ordering::Relaxed);
            let outcome = running.end().await;
            assert_eq!(outcome.code, None, "it had ended: {}", outcome.stderr);
            running = self.begin(directory).await;
        }
        running
    }

    fn writes(&self) -> usize {
        let writes = Matcher::post("/v1/blueprints/*/entities/bulk");
        self.sandbox.port.requested(&writes)
    }

    async fn begin(&self, directory: &Path) -> Running {
        let running = Running::start_in(directory, &self.environment()).await;
        self.port.store(running.port, Ordering::Relaxed);
        running
    }

    async fn outage(&self) {
        self.until_taken(DOWN_FROM).await;
        let port = &self.sandbox.port;
        port.fault(Matcher::any(), Answer::status(503), usize::MAX);
        self.is_port_down.store(true, Ordering::Relaxed);
        sleep(OUTAGE).await;
        port.clear_faults();
        self.is_port_down.store(false, Ordering::Relaxed);
        self.is_port_back.store(true, Ordering::Relaxed);
    }

    /// Waits until nothing waits; nothing may have been given up.
    async fn until_done(&self, directory: &Path) {
        let environment = self.environment();
        loop {
            let told = portolan_in(directory, &["events", "--json"], &environment).await;
            let told: Value = serde_json::from_str(&told.expect_code(0).stdout).unwrap();
            assert_eq!(told["dead"], 0, "{told}");
            if told["waiting"] == 0 {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Each open alert that was told of is in the catalog as it is now, and nothing
    /// else.
    #[track_caller]
    fn assert_all_is_right(&self) {
        let alerts = self.sandbox.opsgenie.objects("alerts");
        let told = alerts.iter().filter(|alert| {
            let id = alert["id"].as_str().unwrap();
            id.starts_with("busy-") || id.starts_with("once-")
        });
        let mut wanted: Vec<[Value; 4]> = told
            .filter(|alert| alert["status"] == "open")
            .map(|alert| ["id", "message", "status", "acknowledged"].map(|key| alert[key].clone()))
            .collect();
        let mut found: Vec<[Value; 4]> = catalog(&self.sandbox)
            .into_iter()
            .map(|((blueprint, id), entity)| {
                assert_eq!(blueprint, "alert", "{id}");
                let properties = &entity["properties"];
                let shown = [
                    &entity["title"],
                    &properties["status"],
                    &properties["acknowledged"],
                ];
                let [title, status, acknowledged] = shown.map(Value::clone);
                [id.into(), title, status, acknowledged]
            })
            .collect();
        for rows in [&mut wanted, &mut found] {
            rows.sort_by_key(|row| row[0].to_string());
        }
        assert_eq!(wanted.len(), SENDERS * (BUSY / 2 + ROUNDS * ONCE));
        let wrong = wanted.iter().filter(|row| !found.contains(row));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&[Value; 4]>::new());
        assert_eq!(
            found.len(),
            wanted.len(),
            "there is more than there should be"
        );
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(5)).await;
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
    let vendor = Vendor::start().await;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();

    let all = async {
        let senders = (0..SENDERS).map(|sender| vendor.send(sender));
        let (running, (), told) = tokio::join!(
            vendor.kill_and_start(directory),
            vendor.outage(),
            join_all(senders),
        );
        vendor.until_done(directory).await;
        (running, told.concat())
    };
    let (running, told) = timeout(PATIENCE, all).await.expect("it comes to its end");

    assert_eq!(vendor.taken.load(Ordering::Relaxed), EVENTS);
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
        .buffer_unordered(SENDERS)
        .collect::<()>()
        .await;
    let after = (
        counted(&running, "duplicate").await,
        counted(&running, "stored").await,
    );
    assert_eq!(after, (before.0 + told.len(), before.1));
    vendor.until_done(directory).await;
    let asked = vendor.sandbox.opsgenie.requested(&Matcher::any());
    let written = Matcher::path("/v1/blueprints/*");
    let written = vendor.sandbox.port.requested(&written);
    assert_eq!((asked, written), (0, 0), "worked on a second time");
    vendor.assert_all_is_right();
    running.terminate().await.expect_code(143);
}
