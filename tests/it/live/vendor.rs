//! A vendor whose alerts change all the time, and who tells of each change until it
//! is taken.
//!
//! Most events are about a few alerts that change often, as in an incident; there
//! the last state counts. Others are about alerts of which the vendor tells once:
//! each of these is missing if its event is lost.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portolan::live_events::derived_token;
use portolan::sandbox::port::CLIENT_SECRET;
use portolan::sandbox::{IDENTIFIER, Matcher, Sandbox, WebhookRequest};
use portolan::settings::SourceName;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use super::receiver::secret;
use crate::catalog::catalog;
use crate::installed::{blueprint, install, resource};
use crate::program::{portolan_in, small_sandbox, with};
use crate::running::Running;

/// Of so many deliveries one is made twice, at the same time.
const DOUBLED: usize = 10;

/// Before the vendor tries again what was not taken. Real ones wait for seconds.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// How much there is to tell.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// So many at a time tell of something; each has alerts of its own, so that what
    /// is told of one alert is told in order.
    pub(super) senders: usize,
    /// How often each sender goes round: it changes its busy alerts, and opens others
    /// that it tells of once.
    pub(super) rounds: usize,
    /// A multiple of four.
    pub(super) busy: usize,
    pub(super) once: usize,
}

impl Plan {
    pub(super) const fn events(self) -> usize {
        self.senders * self.rounds * (self.busy + self.once)
    }
}

/// The vendor's end.
pub(super) struct Vendor {
    pub(super) plan: Plan,
    pub(super) sandbox: Sandbox,
    client: Client,
    token: String,
    /// Where processes listen.
    ports: Mutex<Vec<u16>>,
    pub(super) taken: AtomicUsize,
    pub(super) refused: AtomicUsize,
    /// So many events are not exceeded.
    limit: AtomicUsize,
}

impl Vendor {
    pub(super) async fn start(plan: Plan) -> Self {
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
        // Those that are told of, and none of the company's own.
        alerts["selector"]["query"] =
            json!("(.status == \"open\") and (.id | test(\"^(busy|once)-\"))");
        install(&sandbox, &json!({"resources": [alerts]}));
        drop(rustls::crypto::ring::default_provider().install_default());
        let token = derived_token(&secret(CLIENT_SECRET), IDENTIFIER);
        Self {
            plan,
            sandbox,
            client: Client::builder().no_proxy().build().unwrap(),
            token: token.expose_secret().to_owned(),
            ports: Mutex::default(),
            taken: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
        }
    }

    /// A service with this event listener.
    pub(super) fn environment(&self, listener: &str) -> Vec<(String, String)> {
        let environment = self.sandbox.environment_for(SourceName::Opsgenie);
        let environment = with(environment, "OCEAN__EVENT_LISTENER__TYPE", listener);
        with(environment, "OCEAN__EVENT_WORKERS_COUNT", "16")
    }

    /// From now on it can be told to this process as well.
    pub(super) async fn begin(
        &self,
        directory: &Path,
        environment: &[(String, String)],
    ) -> Running {
        let running = Running::start_in(directory, environment).await;
        self.ports.lock().unwrap().push(running.port);
        running
    }

    /// Somebody else may get the port of a process that has ended.
    pub(super) fn forget(&self, running: &Running) {
        let port = running.port;
        self.ports.lock().unwrap().retain(|one| *one != port);
    }

    pub(super) async fn until_taken(&self, count: usize) {
        until(|| self.taken.load(Ordering::Relaxed) >= count).await;
    }

    /// Tells of no more than so many events, until another limit is set.
    pub(super) fn allow(&self, count: usize) {
        self.limit.store(count, Ordering::Relaxed);
    }

    /// Sends it until it is taken, to any of the processes that there are by then.
    pub(super) async fn deliver(&self, webhook: &WebhookRequest) {
        loop {
            let ports = self.ports.lock().unwrap().clone();
            if let Some(port) = fastrand::choice(&ports) {
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
        let may_be = || self.taken.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed);
        until(may_be).await;
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

    /// All that one sender tells; gives what it told once, one delivery of each round.
    pub(super) async fn send(&self, sender: usize) -> Vec<WebhookRequest> {
        let mut some = Vec::new();
        for round in 0..self.plan.rounds {
            for busy in 0..self.plan.busy {
                let id = format!("busy-{sender}-{busy}");
                let (action, alert) = self.change(&id, busy, round);
                self.tell(action, &alert, sender + busy + round).await;
            }
            for once in 0..self.plan.once {
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
            match (busy % 4, round + 1 == self.plan.rounds) {
                (0, true) => {
                    let alert = opsgenie.remove("alerts", id).unwrap();
                    return ("Delete", alert);
                }
                (1, true) => {
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

    pub(super) fn writes(&self) -> usize {
        let writes = Matcher::post("/v1/blueprints/*/entities/bulk");
        self.sandbox.port.requested(&writes)
    }

    /// Waits until nothing waits; nothing may have been given up.
    pub(super) async fn until_done(&self, directory: &Path, environment: &[(String, String)]) {
        loop {
            let told = portolan_in(directory, &["events", "--json"], environment).await;
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
    pub(super) fn assert_all_is_right(&self) {
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
        let Plan {
            senders,
            rounds,
            busy,
            once,
        } = self.plan;
        assert_eq!(wanted.len(), senders * (busy / 2 + rounds * once));
        let wrong = wanted.iter().filter(|row| !found.contains(row));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&[Value; 4]>::new());
        assert_eq!(
            found.len(),
            wanted.len(),
            "there is more than there should be"
        );
    }
}

pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(5)).await;
    }
}
