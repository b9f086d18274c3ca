//! The real binary as a service that the vendors can reach: it asks them for
//! webhooks, and what they tell is in Port before any resync.

use portolan::live_events::derived_token;
use portolan::sandbox::port::CLIENT_SECRET;
use portolan::sandbox::{Clock, IDENTIFIER, Sandbox, WebhookRequest};
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::world::text;
use crate::catalog::{Catalog, assert_same, catalog, deleted, written};
use crate::incident_sync::world::{COMPONENTS, World as Page};
use crate::program::{run_in, small_sandbox, with};
use crate::running::{OWN_ADDRESS, Running, polling};
use crate::service::completed;

/// What events are about, and so what they have to leave as a resync does.
const FOLLOWED: [&str; 7] = [
    "pagerdutyIncident",
    "pagerdutyService",
    "statuspage",
    "statuspageComponent",
    "statuspageIncident",
    "statuspageIncidentUpdate",
    "opsGenieAlert",
];

/// A service on a Port that was resynced once, and that the vendors know the address of.
async fn started(sandbox: &Sandbox, environment: Vec<(String, String)>) -> Running {
    for page in sandbox.statuspage.objects("statuspage") {
        let id = text(&page, "/id");
        sandbox.statuspage.update("statuspage", id, |page| {
            page["allow_webhook_subscribers"] = true.into();
        });
    }
    let running = Running::start(&with(environment, "OCEAN__BASE_URL", OWN_ADDRESS)).await;
    running
        .until("there was a resync", || completed(sandbox) == 1)
        .await;
    running
        .until("everybody is asked for webhooks", || {
            let pages = sandbox.statuspage.objects("statuspage");
            sandbox.pagerduty.webhook_subscriptions().len() == 1
                && pages
                    .iter()
                    .all(|page| hooks(sandbox, text(page, "/id")).len() == 1)
        })
        .await;
    running
}

/// The addresses of a page's webhook subscribers.
fn hooks(sandbox: &Sandbox, page: &str) -> Vec<String> {
    let all = sandbox.statuspage.subscribers(page).into_iter();
    all.filter(|one| one["mode"] == "webhook")
        .map(|one| text(&one, "/endpoint").to_owned())
        .collect()
}

pub(super) fn token() -> String {
    let token = derived_token(&SecretString::from(CLIENT_SECRET), IDENTIFIER);
    token.expose_secret().to_owned()
}

/// The address of the service for what a vendor sends.
fn address(running: &Running, vendor: &str) -> Url {
    let port = running.port;
    let address = format!("http://127.0.0.1:{port}/integration/webhook/{vendor}");
    address.parse().unwrap()
}

fn with_token(mut address: Url, token: &str) -> Url {
    address.query_pairs_mut().append_pair("token", token);
    address
}

pub(super) fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

/// Sends what a vendor sends to the only one who hears of it.
async fn deliver(webhooks: &[WebhookRequest]) {
    let [webhook] = webhooks else {
        panic!("one subscription hears of it, not {webhooks:?}")
    };
    assert_eq!(webhook.post(&client()).await.unwrap(), 200);
}

fn property(sandbox: &Sandbox, blueprint: &str, id: &str, name: &str) -> Value {
    let entity = sandbox.port.entity(blueprint, id).unwrap_or_default();
    entity["properties"][name].clone()
}

/// The first of a list that is so.
fn first(objects: Vec<Value>, is_so: impl Fn(&Value) -> bool) -> String {
    let found = objects.into_iter().find(is_so).unwrap();
    text(&found, "/id").to_owned()
}

fn followed(sandbox: &Sandbox) -> Catalog {
    let mut followed = catalog(sandbox);
    followed.retain(|(blueprint, _), _| FOLLOWED.contains(&blueprint.as_str()));
    for ((blueprint, identifier), entity) in &mut followed {
        let stored = sandbox.port.stored_properties(blueprint, identifier);
        entity["properties"] = stored.unwrap();
    }
    followed
}

#[tokio::test]
async fn what_vendors_tell_a_service_is_in_port_before_any_resync_and_as_after_one() {
    let sandbox = small_sandbox().await;
    let running = started(&sandbox, polling(&sandbox)).await;

    let subscription = sandbox.pagerduty.webhook_subscriptions().swap_remove(0);
    let delivery = &subscription["delivery_method"];
    assert_eq!(delivery["url"], address(&running, "pagerduty").as_str());
    let header = json!([{"name": "X-Portolan-Token", "value": token()}]);
    assert_eq!(delivery["custom_headers"], header);
    for page in sandbox.statuspage.objects("statuspage") {
        let ours = with_token(address(&running, "statuspage"), &token());
        assert_eq!(hooks(&sandbox, text(&page, "/id")), [ours.as_str()]);
    }

    // An incident of PagerDuty, whose service gets better with it.
    let pagerduty = &sandbox.pagerduty;
    let paged = first(pagerduty.objects("incidents"), |incident| {
        incident["status"] == "triggered"
    });
    assert!(pagerduty.acknowledge(&paged));
    let incident = pagerduty.object("incidents", &paged).unwrap();
    let service = text(&incident, "/service/id");
    pagerduty.update("services", service, |service| {
        service["status"] = json!("warning");
        service["name"] = json!("Renamed on the way");
    });
    deliver(&pagerduty.webhooks("incident.acknowledged", &paged)).await;

    // An incident and a component of Statuspage.
    let statuspage = &sandbox.statuspage;
    let public = first(statuspage.objects("incident"), |incident| {
        incident["status"] == "investigating"
    });
    assert!(statuspage.human_update(&public, "identified", "It is the cable."));
    let said = statuspage.object("incident", &public).unwrap();
    let said = text(&said, "/incident_updates/0/id");
    deliver(&statuspage.incident_webhooks(&public)).await;
    let component = first(statuspage.objects("component"), |component| {
        component["status"] == "operational" && component["group"] == false
    });
    statuspage.update("component", &component, |component| {
        component["status"] = json!("partial_outage");
    });
    deliver(&statuspage.component_webhooks(&component, "operational")).await;

    // Two alerts of Opsgenie: closed ones are not in the catalog.
    let opsgenie = &sandbox.opsgenie;
    let hook = with_token(address(&running, "opsgenie"), &token());
    let is_new = |alert: &Value| alert["status"] == "open" && alert["acknowledged"] == false;
    let seen = first(opsgenie.objects("alerts"), is_new);
    assert!(opsgenie.acknowledge_alert(&seen));
    deliver(&[opsgenie.webhook_to(&hook, "Acknowledge", &seen)]).await;
    let over = first(opsgenie.objects("alerts"), is_new);
    assert!(sandbox.port.entity("opsGenieAlert", &over).is_some());
    assert!(opsgenie.close_alert(&over));
    deliver(&[opsgenie.webhook_to(&hook, "Close", &over)]).await;

    let says = |blueprint: &str, id: &str, name: &str, expected: Value| {
        property(&sandbox, blueprint, id, name) == expected
    };
    running
        .until("Port says so", || {
            says("pagerdutyIncident", &paged, "status", json!("acknowledged"))
                && says("pagerdutyService", service, "status", json!("warning"))
                && says("statuspageIncident", &public, "status", json!("identified"))
                && sandbox
                    .port
                    .entity("statuspageIncidentUpdate", said)
                    .is_some()
                && says(
                    "statuspageComponent",
                    &component,
                    "status",
                    json!("partial_outage"),
                )
                && says("opsGenieAlert", &seen, "acknowledged", json!(true))
                && sandbox.port.entity("opsGenieAlert", &over).is_none()
        })
        .await;

    assert_eq!(completed(&sandbox), 1, "none of it was a resync's doing");
    running.terminate().await.expect_code(143);
    let after_events = followed(&sandbox);
    sandbox.clear_requests();
    run_in(&sandbox).await.expect_code(0);
    assert_eq!(completed(&sandbox), 2);
    assert_same(&followed(&sandbox), &after_events, "a resync after events");
    let touched: Vec<_> = written(&sandbox)
        .into_iter()
        .chain(deleted(&sandbox))
        .filter(|(blueprint, _)| FOLLOWED.contains(&blueprint.as_str()))
        .collect();
    assert_eq!(touched, [], "the resync has nothing to write");
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_service_does_not_believe_or_understand_changes_nothing() {
    let sandbox = small_sandbox().await;
    let running = started(&sandbox, polling(&sandbox)).await;
    let pagerduty = &sandbox.pagerduty;
    let paged = first(pagerduty.objects("incidents"), |incident| {
        incident["status"] == "triggered"
    });
    assert!(pagerduty.acknowledge(&paged));
    let alert = first(sandbox.opsgenie.objects("alerts"), |alert| {
        alert["status"] == "open"
    });
    assert!(sandbox.opsgenie.close_alert(&alert));
    let before = catalog(&sandbox);
    sandbox.clear_requests();

    let bare = address(&running, "opsgenie");
    let wrong = with_token(bare.clone(), &"0".repeat(64));
    let ours = with_token(bare.clone(), &token());
    let told = sandbox.opsgenie.webhook_to(&ours, "Close", &alert);
    let [signed] = &pagerduty.webhooks("incident.acknowledged", &paged)[..] else {
        panic!("one subscription hears of it")
    };
    let forged = signed
        .clone()
        .with("X-Portolan-Token", None)
        .altered(|body| body["event"]["event_type"] = json!("incident.resolved"));
    let large = told
        .clone()
        .altered(|body| body["alert"]["description"] = json!("x".repeat(1 << 20)));
    let mut malformed = told.clone();
    malformed.body = "{\"action\": \"Close\", ".into();
    let foreign = told
        .clone()
        .altered(|body| *body = json!({"hello": "there"}));
    for (what, webhook, expected) in [
        ("no token", told.clone().to(bare), 401),
        ("a wrong token", told.clone().to(wrong), 401),
        ("a body that is not the one signed", forged, 401),
        ("a body that is too large", large, 413),
        ("a body that breaks off", malformed, 400),
        ("a body that is nobody's", foreign, 400),
    ] {
        let status = webhook.post(&client()).await.unwrap();
        assert_eq!(status, expected, "{what}");
    }

    let get = async |path: &str| running.request(Method::GET, path).send().await.unwrap();
    assert_eq!(get("/health/ready").await.status(), 200);
    let metrics = get("/metrics").await.text().await.unwrap();
    let stored = metrics
        .lines()
        .filter(|line| line.starts_with("portolan_live_events") && !line.ends_with(" 0"));
    assert_eq!(stored.collect::<Vec<_>>(), Vec::<&str>::new());
    assert_same(&catalog(&sandbox), &before, "refused webhooks");
    assert!(written(&sandbox).is_empty() && deleted(&sandbox).is_empty());

    // What is wrong with the others is not that nobody listens.
    deliver(&[told]).await;
    running
        .until("the alert is gone", || {
            sandbox.port.entity("opsGenieAlert", &alert).is_none()
        })
        .await;
    let outcome = running.terminate().await.expect_code(143);
    assert!(!outcome.stderr.contains(&token()), "{}", outcome.stderr);
}

#[tokio::test]
async fn what_pagerduty_tells_a_service_wakes_a_pass_of_the_incident_sync() {
    let page = Page::start_at(Clock::real()).await;
    // Someone has to be paged before anybody can be told of it.
    page.page_someone("PX1", &[COMPONENTS[0].0]);
    let mut environment = page.sandbox.environment();
    environment.extend(page.environment(&json!({"mode": "apply", "interval": "1h"})));
    // The account of the single token is a source of the catalog already.
    environment.retain(|(name, _)| !name.ends_with("PAGERDUTY_ACCOUNTS"));
    let environment = with(environment, "OCEAN__EVENT_LISTENER__TYPE", "WEBHOOKS_ONLY");
    let environment = with(environment, "APPLICATION__LOG_LEVEL", "DEBUG");
    // Such a service never resyncs.
    run_in(&page.sandbox).await.expect_code(0);
    let running = started(&page.sandbox, environment).await;
    running.until_logged("a pass, because of the start").await;
    assert_eq!(page.unresolved(), Vec::<Value>::new());

    assert!(page.pagerduty().acknowledge("PX1"));
    deliver(&page.pagerduty().webhooks("incident.acknowledged", "PX1")).await;

    running.until_logged("a pass, because of a webhook").await;
    running
        .until("the incident is public", || page.unresolved().len() == 1)
        .await;
    assert_eq!(completed(&page.sandbox), 1);
    running.terminate().await.expect_code(143);
    page.assert_sound();
}
