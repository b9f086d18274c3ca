//! The sandbox as a whole, and the client that its parts' tests call it with.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use serde_json::{Value, json};
use url::Url;

use super::chassis::Matcher;
use super::{Clock, DatasetSize, Sandbox, SandboxOptions, opsgenie, pagerduty, port, statuspage};
use crate::settings::SourceName;

/// Calls one vendor with one credential.
pub(super) struct Caller {
    client: reqwest::Client,
    base: Url,
    authorization: String,
}

/// A reply, read to its end.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Caller {
    pub(super) fn new(base: Url, authorization: &str) -> Self {
        // Another test may have been first; either way there is one now.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            client,
            base,
            authorization: authorization.to_owned(),
        }
    }

    pub(super) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Received> {
        let url = self.base.join(path).unwrap();
        let mut request = self
            .client
            .request(method.parse().unwrap(), url)
            .header(AUTHORIZATION, &self.authorization)
            .header(
                USER_AGENT,
                "port-ocean/portolan/0.1.0/portolan-sandbox/exporter",
            )
            .timeout(Duration::from_secs(10));
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Ok(Received {
            status,
            headers,
            body,
        })
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Received {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Received {
        self.call("GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Received {
        self.call("POST", path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Received {
        self.call("PATCH", path, Some(body)).await
    }
}

/// A caller whom Statuspage knows.
pub(super) fn statuspage_caller(sandbox: &Sandbox) -> Caller {
    Caller::new(
        sandbox.statuspage.url(),
        &format!("OAuth {}", statuspage::API_KEY),
    )
}

/// A caller whom PagerDuty knows.
pub(super) fn pagerduty_caller(sandbox: &Sandbox) -> Caller {
    Caller::new(
        sandbox.pagerduty.url(),
        &format!("Token token={}", pagerduty::TOKEN),
    )
}

/// A caller whom Opsgenie knows.
pub(super) fn opsgenie_caller(sandbox: &Sandbox) -> Caller {
    Caller::new(
        sandbox.opsgenie.url(),
        &format!("GenieKey {}", opsgenie::API_TOKEN),
    )
}

/// A caller who has logged in to Port.
pub(super) async fn port_caller(sandbox: &Sandbox) -> Caller {
    let anonymous = Caller::new(sandbox.port.url(), "");
    let login = json!({"clientId": port::CLIENT_ID, "clientSecret": port::CLIENT_SECRET});
    let reply = anonymous.post("/v1/auth/access_token", &login).await;
    assert_eq!(reply.status, 200);
    let token = reply.body["accessToken"].as_str().unwrap();
    Caller::new(sandbox.port.url(), &format!("Bearer {token}"))
}

pub(super) async fn small() -> Sandbox {
    Sandbox::start(SandboxOptions::default()).await.unwrap()
}

#[tokio::test]
async fn every_kind_of_the_small_company_has_objects() {
    let sandbox = small().await;

    assert_eq!(sandbox.statuspage.count("statuspage"), 3);
    assert!(sandbox.statuspage.counts().values().all(|&count| count > 0));
    assert!(sandbox.pagerduty.counts().values().all(|&count| count > 0));
    assert!(sandbox.opsgenie.counts().values().all(|&count| count > 0));
    let objects: usize = sandbox.pagerduty.counts().values().sum::<usize>()
        + sandbox.opsgenie.counts().values().sum::<usize>()
        + sandbox.statuspage.counts().values().sum::<usize>();
    assert!((300..900).contains(&objects), "{objects} objects");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_company_and_another_seed_another() {
    let clock = Clock::fixed("2026-03-01T12:00:00Z".parse().unwrap());
    let start = async |seed| {
        let options = SandboxOptions {
            seed,
            ..SandboxOptions::default()
        };
        Sandbox::start_at(options, clock.clone()).await.unwrap()
    };
    let (one, same, other) = (start(7).await, start(7).await, start(8).await);

    assert_eq!(
        one.pagerduty.objects("incidents"),
        same.pagerduty.objects("incidents")
    );
    assert_eq!(
        one.statuspage.objects("incident"),
        same.statuspage.objects("incident")
    );
    assert_eq!(
        one.opsgenie.objects("alerts"),
        same.opsgenie.objects("alerts")
    );
    assert_ne!(
        one.pagerduty.objects("incidents"),
        other.pagerduty.objects("incidents")
    );
}

#[tokio::test]
async fn the_environment_names_each_vendor_where_it_listens() {
    let sandbox = small().await;

    let environment = sandbox.environment();
    let value = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .unwrap()
    };
    assert_eq!(value("OCEAN__INTEGRATION__TYPE"), "portolan");
    assert!(!value("OCEAN__PORT__BASE_URL").ends_with('/'));
    let hosts = [
        value("OCEAN__PORT__BASE_URL"),
        value("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST"),
        value("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_API_URL"),
        value("OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL"),
    ];
    assert_eq!(BTreeSet::from(hosts).len(), 4);

    for (source, token) in [
        (SourceName::Statuspage, "STATUSPAGE_API_KEY"),
        (SourceName::Pagerduty, "TOKEN"),
        (SourceName::Opsgenie, "API_TOKEN"),
    ] {
        let single = sandbox.environment_for(source);
        let token = format!("OCEAN__INTEGRATION__CONFIG__{token}");
        assert!(single.iter().any(|(name, _)| *name == token));
        let kind = source.as_str().to_owned();
        assert!(single.contains(&("OCEAN__INTEGRATION__TYPE".to_owned(), kind)));
    }
}

#[tokio::test]
async fn a_patient_client_gets_through_every_fault() {
    let options = SandboxOptions {
        faults: true,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let caller = pagerduty_caller(&sandbox);
    let mut troubles = 0;

    for offset in 0..60 {
        let path = format!("/incidents?limit=1&offset={offset}");
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries <= 4, "{path} never answered");
            match caller.try_call("GET", &path, None).await {
                Ok(reply) if reply.status == 200 && reply.body.is_object() => break,
                _ => troubles += 1,
            }
        }
    }

    assert!(troubles > 0, "the faults are on");
}

#[tokio::test]
async fn a_stopped_sandbox_no_longer_listens() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);
    assert_eq!(caller.get("/v1/pages").await.status, 200);

    sandbox.stop().await;

    assert!(caller.try_call("GET", "/v1/pages", None).await.is_err());
}

#[tokio::test]
async fn what_a_test_forbids_is_reported_along_with_what_no_vendor_knows() {
    let sandbox = small().await;
    let caller = pagerduty_caller(&sandbox);
    sandbox.pagerduty.forbid(Matcher::get("/users"));
    assert_eq!(caller.get("/users").await.status, 200);
    assert_eq!(caller.get("/no_such_thing").await.status, 404);

    let problems = sandbox.problems();

    assert!(
        problems.iter().any(|one| one.contains("GET /users")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|one| one.contains("GET /no_such_thing")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn the_large_company_reaches_beyond_what_pagerduty_and_opsgenie_list() {
    let options = SandboxOptions {
        dataset: DatasetSize::Large,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let caller = pagerduty_caller(&sandbox);

    let recent = caller
        .get("/incidents?statuses[]=resolved&limit=100&offset=9900&total=true")
        .await;

    assert_eq!(recent.body["more"], true);
    assert!(recent.body["total"].as_u64().unwrap() > 10_000);
    assert_eq!(
        caller
            .get("/incidents?statuses[]=resolved&limit=100&offset=9901")
            .await
            .status,
        400
    );
    let caller = opsgenie_caller(&sandbox);
    let open = caller.get("/v2/alerts/count?query=status:open").await.body;
    assert!(open["data"]["count"].as_u64().unwrap() > 20_000);
    let last = caller.get("/v2/alerts?limit=100&offset=19900").await.body;
    assert!(last["paging"]["next"].is_string());
}
