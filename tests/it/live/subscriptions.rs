//! Webhook subscriptions at PagerDuty and Statuspage: one of each, and right,
//! whatever was there before and whatever goes wrong meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portolan::live_events::subscriptions::{Passed, Subscriptions, WebhookAddress};
use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::{self, Inputs, Overrides};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::program::small_sandbox;

const HOST: &str = "https://portolan.example";
const TOKEN: &str = "a-token-of-this-installation";
const PAGERDUTY: &str = "https://portolan.example/integration/webhook/pagerduty";
const STATUSPAGE: &str =
    "https://portolan.example/integration/webhook/statuspage?token=a-token-of-this-installation";

/// A process that keeps subscriptions, and the secrets that it was told.
struct Replica {
    subscriptions: Subscriptions,
    secrets: Arc<Mutex<Vec<String>>>,
}

impl Replica {
    /// One that has just started.
    fn new(sandbox: &Sandbox) -> Self {
        Self::at(sandbox, HOST, TOKEN, &[])
    }

    fn at(sandbox: &Sandbox, host: &str, token: &str, more: &[(&str, &str)]) -> Self {
        let mut environment = sandbox.environment();
        let more = more.iter();
        environment.extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let environment: BTreeMap<_, _> = environment
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let inputs = Inputs {
            environment,
            directory: "/nowhere".into(),
            overrides: Overrides::default(),
        };
        let settings = settings::load(inputs).unwrap().settings;
        let host = host.parse().unwrap();
        let address = WebhookAddress::new(&host, None, "mine", SecretString::from(token));
        let secrets: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&secrets);
        let subscriptions = Subscriptions::new(
            &settings.catalog.unwrap().sources,
            &settings.outbound,
            &settings.rate_limits,
            address,
            Arc::new(move |secret| {
                told.lock().unwrap().push(secret.expose_secret().to_owned());
            }),
        );
        Self {
            subscriptions: subscriptions.unwrap(),
            secrets,
        }
    }

    async fn pass(&self) -> Passed {
        self.subscriptions.pass().await
    }

    /// A pass with which everything is well.
    async fn settle(&self) {
        let passed = self.pass().await;
        assert_eq!(passed.failed, 0, "{passed:?}");
    }
}

/// A company whose status pages all take webhook subscribers.
async fn company() -> Sandbox {
    // For what is subscribed by hand.
    drop(rustls::crypto::ring::default_provider().install_default());
    let sandbox = small_sandbox().await;
    for page in pages(&sandbox) {
        sandbox.statuspage.update("statuspage", &page, |page| {
            page["allow_webhook_subscribers"] = true.into();
        });
    }
    sandbox
}

/// The one subscription at PagerDuty.
#[track_caller]
fn only(sandbox: &Sandbox) -> Value {
    let all = sandbox.pagerduty.webhook_subscriptions();
    let [one] = &all[..] else {
        panic!("there should be one subscription, not {all:?}")
    };
    one.clone()
}

/// The webhook subscribers of a page.
fn hooks(sandbox: &Sandbox, page: &str) -> Vec<Value> {
    let all = sandbox.statuspage.subscribers(page).into_iter();
    all.filter(|one| one["mode"] == "webhook").collect()
}

fn pages(sandbox: &Sandbox) -> Vec<String> {
    let pages = sandbox.statuspage.objects("statuspage");
    pages.iter().map(|page| text(&page["id"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Everything is as it is to be: one subscription and one subscriber a page.
#[track_caller]
fn assert_right(sandbox: &Sandbox) {
    let delivery = &only(sandbox)["delivery_method"];
    assert_eq!(delivery["url"], PAGERDUTY);
    assert_eq!(
        delivery["custom_headers"],
        json!([{"name": "X-Portolan-Token", "value": TOKEN}])
    );
    assert_eq!(delivery["temporarily_disabled"], false);
    for page in pages(sandbox) {
        let hooks = hooks(sandbox, &page);
        assert_eq!(hooks.len(), 1, "{hooks:?}");
        assert_eq!(hooks[0]["endpoint"], STATUSPAGE);
        assert!(hooks[0]["quarantined_at"].is_null());
    }
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

fn writes(sandbox: &Sandbox) -> usize {
    let all = [sandbox.pagerduty.requests(), sandbox.statuspage.requests()].concat();
    all.iter().filter(|one| one.method != "GET").count()
}

/// Changes a subscription at PagerDuty, or adds one, as a person would.
async fn by_hand(sandbox: &Sandbox, method: Method, path: &str, fields: Value) -> Value {
    let url = sandbox.pagerduty.url().join(path).unwrap();
    let token = format!("Token token={}", portolan::sandbox::pagerduty::TOKEN);
    let reply = reqwest::Client::new()
        .request(method, url)
        .header("authorization", token)
        .body(json!({ "webhook_subscription": fields }).to_string())
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success());
    serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
}

/// Subscribes somebody else at PagerDuty.
async fn subscribe(sandbox: &Sandbox, url: &str, description: &str) {
    let fields = json!({
        "type": "webhook_subscription", "description": description,
        "delivery_method": {"type": "http_delivery_method", "url": url},
        "events": ["incident.triggered"], "filter": {"type": "account_reference"},
    });
    by_hand(sandbox, Method::POST, "/webhook_subscriptions", fields).await;
}

fn add_hook(sandbox: &Sandbox, page: &str, id: &str, endpoint: &str) {
    let subscriber = json!({
        "id": id, "page_id": page, "mode": "webhook", "endpoint": endpoint,
        "created_at": "2024-01-02T03:04:05.000Z", "quarantined_at": null,
    });
    sandbox.statuspage.insert("subscriber", &subscriber);
}

#[tokio::test]
async fn what_is_created_at_the_first_start_is_found_at_every_other() {
    let sandbox = company().await;
    // Many others, so that ours is on a later page of either list.
    for number in 0..120 {
        subscribe(
            &sandbox,
            &format!("https://other.example/{number}"),
            "other",
        )
        .await;
        let hook = format!("https://other.example/{number}");
        add_hook(&sandbox, &pages(&sandbox)[0], &format!("s{number}"), &hook);
    }
    let count = sandbox.pagerduty.webhook_subscriptions().len();
    let first = Replica::new(&sandbox);
    first.settle().await;
    let created = writes(&sandbox);
    assert_eq!(created, count + 1 + pages(&sandbox).len());

    for _ in 0..3 {
        Replica::new(&sandbox).settle().await;
    }
    first.settle().await;

    assert_eq!(writes(&sandbox), created);
    assert_eq!(sandbox.pagerduty.webhook_subscriptions().len(), count + 1);
    assert_eq!(hooks(&sandbox, &pages(&sandbox)[0]).len(), 121);
    let subscriptions = sandbox.pagerduty.webhook_subscriptions();
    let ours = subscriptions.last().unwrap();
    let secrets = first.secrets.lock().unwrap().clone();
    assert_eq!(secrets, [text(&ours["delivery_method"]["secret"])]);
}

#[tokio::test]
async fn the_subscription_hears_of_everything_that_concerns_incidents_and_services() {
    let sandbox = company().await;

    Replica::new(&sandbox).settle().await;

    assert_right(&sandbox);
    let subscription = only(&sandbox);
    assert_eq!(subscription["filter"], json!({"type": "account_reference"}));
    let events = subscription["events"].as_array().unwrap();
    assert_eq!(events.len(), 27);
    let incident = text(&sandbox.pagerduty.objects("incidents")[0]["id"]);
    for event in events.iter().filter_map(Value::as_str) {
        if event.starts_with("incident.") {
            let webhooks = sandbox.pagerduty.webhooks(event, &incident);
            assert_eq!(webhooks[0].header("x-portolan-token"), Some(TOKEN));
        }
    }
    assert!(!text(&subscription["description"]).contains(TOKEN));
}

#[tokio::test]
async fn another_token_and_another_address_replace_what_was_there() {
    let sandbox = company().await;
    Replica::at(&sandbox, HOST, "an-earlier-token", &[])
        .settle()
        .await;
    let before = only(&sandbox);

    Replica::new(&sandbox).settle().await;

    assert_right(&sandbox);
    assert_ne!(only(&sandbox)["id"], before["id"]);
    Replica::at(&sandbox, "https://moved.example/x", TOKEN, &[])
        .settle()
        .await;
    assert_eq!(
        only(&sandbox)["delivery_method"]["url"],
        "https://moved.example/x/integration/webhook/pagerduty"
    );
    Replica::new(&sandbox).settle().await;
    assert_right(&sandbox);
}

#[tokio::test]
async fn two_installations_leave_each_other_alone() {
    let sandbox = company().await;
    let other = Replica::at(&sandbox, "https://other.example", "another-token", &[]);
    let ours = Replica::new(&sandbox);

    for replica in [&ours, &other, &ours, &other] {
        replica.settle().await;
    }

    assert_eq!(writes(&sandbox), 2 + 2 * pages(&sandbox).len());
    assert_eq!(sandbox.pagerduty.webhook_subscriptions().len(), 2);
}

#[tokio::test]
async fn what_tells_too_little_is_corrected_in_place() {
    let sandbox = company().await;
    Replica::new(&sandbox).settle().await;
    let before = only(&sandbox);
    let path = format!("/webhook_subscriptions/{}", text(&before["id"]));
    let fields = json!({
        "events": ["incident.triggered"],
        "filter": {"type": "service_reference", "id": "PX"},
    });
    by_hand(&sandbox, Method::PUT, &path, fields).await;

    Replica::new(&sandbox).settle().await;

    assert_eq!(only(&sandbox), before);
}

#[tokio::test]
async fn what_vendors_gave_up_is_revived() {
    let sandbox = company().await;
    let replica = Replica::new(&sandbox);
    replica.settle().await;
    let before = only(&sandbox);
    sandbox
        .pagerduty
        .disable_webhook_subscription(before["id"].as_str().unwrap());
    for page in pages(&sandbox) {
        let subscriber = text(&hooks(&sandbox, &page)[0]["id"]);
        assert!(sandbox.statuspage.quarantine(&subscriber));
    }

    replica.settle().await;

    assert_right(&sandbox);
    assert_eq!(only(&sandbox)["id"], before["id"]);
    let subscribed = Matcher::post("/v1/pages/*/subscribers");
    assert_eq!(
        sandbox.statuspage.requested(&subscribed),
        pages(&sandbox).len()
    );
}

#[tokio::test]
async fn the_originals_subscriptions_are_taken_over() {
    let sandbox = company().await;
    let bare = format!("{HOST}/integration/webhook");
    subscribe(&sandbox, &bare, "Port Ocean Integration").await;
    let page = &pages(&sandbox)[0];
    // It made one at every start.
    for id in ["o1", "o2", "o3"] {
        add_hook(&sandbox, page, id, &bare);
    }

    Replica::new(&sandbox).settle().await;

    assert_right(&sandbox);
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_not_repeated() {
    let sandbox = company().await;
    let creation = || Matcher::post("/webhook_subscriptions");
    sandbox
        .pagerduty
        .fault(creation(), Answer::cut_mid_body(), 1);
    let subscription = || Matcher::post("/v1/pages/*/subscribers");
    sandbox
        .statuspage
        .fault(subscription(), Answer::truncated(), 1);
    let replica = Replica::new(&sandbox);

    replica.settle().await;

    assert_right(&sandbox);
    assert_eq!(sandbox.pagerduty.requested(&creation()), 1);
    assert_eq!(
        sandbox.statuspage.requested(&subscription()),
        pages(&sandbox).len()
    );
    assert!(
        replica.secrets.lock().unwrap().is_empty(),
        "its secret went with it"
    );
}

#[tokio::test]
async fn a_creation_that_never_arrived_is_repeated() {
    let sandbox = company().await;
    let creation = Matcher::post("/webhook_subscriptions");
    sandbox.pagerduty.fault(creation.clone(), Answer::cut(), 1);
    let subscription = Matcher::post("/v1/pages/*/subscribers");
    sandbox
        .statuspage
        .fault(subscription, Answer::status(502), 1);

    Replica::new(&sandbox).settle().await;

    assert_right(&sandbox);
    assert_eq!(sandbox.pagerduty.requested(&creation), 2);
}

#[tokio::test]
async fn replicas_that_start_at_once_end_with_one_of_each() {
    let sandbox = company().await;
    let replicas = [0; 4].map(|_| Replica::new(&sandbox));
    // Each has looked before any has written.
    let slowly = std::time::Duration::from_millis(100);
    let times = 4 * (1 + pages(&sandbox).len());
    let creations = [&"/webhook_subscriptions", &"/v1/pages/*/subscribers"];
    for simulator in creations {
        let matcher = Matcher::post(simulator);
        let answer = Answer::real().after(slowly);
        sandbox
            .pagerduty
            .fault(matcher.clone(), answer.clone(), times);
        sandbox.statuspage.fault(matcher, answer, times);
    }

    let [a, b, c, d] = &replicas;
    tokio::join!(a.settle(), b.settle(), c.settle(), d.settle());

    let created = Matcher::post("/webhook_subscriptions");
    assert!(
        sandbox.pagerduty.requested(&created) > 1,
        "they were not at once"
    );
    assert_right(&sandbox);
    for replica in &replicas {
        replica.settle().await;
    }
    assert_right(&sandbox);
}

#[tokio::test]
async fn two_keys_that_see_the_same_pages_subscribe_once() {
    let sandbox = company().await;
    let accounts = json!([{
        "name": "twin", "api_key": portolan::sandbox::statuspage::API_KEY,
    }]);
    let variable = "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS";
    let replica = Replica::at(&sandbox, HOST, TOKEN, &[(variable, &accounts.to_string())]);

    replica.settle().await;
    replica.settle().await;

    for page in pages(&sandbox) {
        assert_eq!(hooks(&sandbox, &page).len(), 1);
    }
    // Without the second key its address is nobody's any more.
    Replica::new(&sandbox).settle().await;
    assert_right(&sandbox);
}

#[tokio::test]
async fn a_page_without_webhook_subscribers_delays_only_itself() {
    let sandbox = company().await;
    let page = pages(&sandbox)[0].clone();
    let allow = |allowed: bool| {
        sandbox.statuspage.update("statuspage", &page, |page| {
            page["allow_webhook_subscribers"] = allowed.into();
        })
    };
    allow(false);
    let replica = Replica::new(&sandbox);

    let passed = replica.pass().await;

    assert_eq!((passed.failed, passed.passing), (1, 0));
    assert!(hooks(&sandbox, &page).is_empty());
    let asked = format!("/v1/pages/{page}/subscribers");
    assert_eq!(sandbox.statuspage.requested(&Matcher::post(&asked)), 0);
    for other in &pages(&sandbox)[1..] {
        assert_eq!(hooks(&sandbox, other).len(), 1);
    }
    allow(true);
    replica.settle().await;
    assert_right(&sandbox);
}

#[tokio::test]
async fn a_read_only_token_keeps_nobody_else_from_being_subscribed_to() {
    let sandbox = company().await;
    let writing = Matcher::post("/webhook_subscriptions");
    sandbox
        .pagerduty
        .fault(writing.clone(), Answer::status(403), 1);
    let replica = Replica::new(&sandbox);

    let passed = replica.pass().await;

    assert_eq!((passed.failed, passed.passing), (1, 0));
    assert_eq!(sandbox.pagerduty.requested(&writing), 1);
    for page in pages(&sandbox) {
        assert_eq!(hooks(&sandbox, &page).len(), 1);
    }
    replica.settle().await;
    assert_right(&sandbox);
}

#[tokio::test]
async fn an_account_that_offers_fewer_event_types_is_subscribed_to_the_usual_ones() {
    let sandbox = company().await;
    sandbox
        .pagerduty
        .withdraw_event_type("incident.workflow.started");
    let replica = Replica::new(&sandbox);

    replica.settle().await;
    replica.settle().await;
    Replica::new(&sandbox).settle().await;

    assert_eq!(only(&sandbox)["events"].as_array().unwrap().len(), 16);
    assert_right(&sandbox);
}

#[tokio::test]
async fn what_a_person_switched_off_stays_off_and_is_said() {
    let sandbox = company().await;
    let replica = Replica::new(&sandbox);
    replica.settle().await;
    let path = format!("/webhook_subscriptions/{}", text(&only(&sandbox)["id"]));
    let off = json!({"active": false});
    by_hand(&sandbox, Method::PUT, &path, off).await;
    let before = writes(&sandbox);

    let passed = replica.pass().await;

    assert_eq!((passed.failed, passed.passing), (1, 0));
    assert_eq!(writes(&sandbox), before);
    assert_eq!(only(&sandbox)["active"], false);
}
