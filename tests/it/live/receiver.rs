//! A server that takes webhooks into a spool of its own, and what vendors send it.

use std::collections::BTreeMap;
use std::path::Path;

use portolan::live_events::{Authenticator, LocalSpool, Spool, Taken, derived_token};
use portolan::settings::SourceName;
use portolan::store::IN_MEMORY;
use portolan::web::{self, Accounts, Health, State, WebhookRoute};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// PagerDuty's documented body, and what its example secrets make of it.
pub(crate) const ACKNOWLEDGED: &str = r#"{"event":{"id":"01EXAMPLE","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-01-02T03:04:05.678Z","agent":null,"client":null,"data":{"id":"PINC001","type":"incident","status":"acknowledged"}}}"#;
pub(crate) const ALPHA: &str = "8dfa1c1ecd3990dd192671838e5644081f179c6338b14b002c3991597913f485";
pub(crate) const BETA: &str = "38a2c910c64ee1ae5d2bdb476ca668f1c70a1d6e8f4f261daef39f4eba6cad8d";

pub(crate) fn component() -> Value {
    json!({
        "meta": {"unsubscribe": "https://status.example.com/?unsubscribe=s1", "generated_at": "2026-02-03T04:05:06.789Z"},
        "page": {"id": "p9k3w8s2v5t1", "status_indicator": "major", "status_description": "Outage"},
        "component_update": {"id": "cu1", "component_id": "c7d0n5xq2l1a", "new_status": "major_outage"},
        "component": {"id": "c7d0n5xq2l1a", "name": "Checkout", "status": "major_outage"},
    })
}

pub(crate) fn alert(action: &str) -> Value {
    json!({
        "action": action, "integrationId": "i-1", "source": {"name": "web", "type": "web"},
        "alert": {"alertId": "70413a06-38d6-4c85-92b8-5ebc900d42e2", "message": "Slow"},
    })
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub(crate) fn token() -> String {
    derived_token(&secret("invented-client-secret"), "my-integration")
        .expose_secret()
        .to_owned()
}

/// A server that takes webhooks, and what it keeps.
pub(crate) struct Receiver {
    pub(crate) client: Client,
    pub(crate) address: String,
    pub(crate) spool: Spool,
    pub(crate) authenticator: Authenticator,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::with_spool(LocalSpool::open(Path::new(IN_MEMORY)).await).await
    }

    pub(crate) async fn with_spool(spool: LocalSpool) -> Self {
        let authenticator = Authenticator::new(&[secret(&token())], &[secret("pdsecret-alpha")]);
        Self::with(spool, authenticator).await
    }

    pub(crate) async fn with(spool: LocalSpool, authenticator: Authenticator) -> Self {
        let spool = Spool::Local(spool);
        let accounts: Accounts = [
            (SourceName::Pagerduty, Some("eu".to_owned())),
            (SourceName::Pagerduty, Some("the us".to_owned())),
            (SourceName::Statuspage, None),
            (SourceName::Opsgenie, Some("main".to_owned())),
        ]
        .into_iter()
        .collect();
        let state = State {
            health: Health::new(),
            path_prefix: None,
            ocean_names: false,
            resync: None,
            pagerstatus: None,
            webhook: Some(WebhookRoute {
                authenticator: authenticator.clone(),
                spool: spool.clone(),
                accounts,
                hint: None,
                is_detailed: false,
            }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            address,
            spool,
            authenticator,
            server: tokio::spawn(web::serve(listener, state, stop.clone())),
            stop,
        }
    }

    /// A request with nothing that proves anything. `path`: below `/integration`.
    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let url = format!("http://{}/integration{path}", self.address);
        self.client.post(url).body(body)
    }

    /// The same with the token.
    pub(crate) async fn send(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.post(path, body)
            .header("X-Portolan-Token", token())
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, path: &str, body: impl Into<reqwest::Body>) -> u16 {
        self.send(path, body).await.status().as_u16()
    }

    pub(crate) async fn waiting(&self) -> u64 {
        self.spool.counts().await.unwrap().waiting
    }

    /// Everything that waits, by subject.
    pub(crate) async fn taken(&self) -> BTreeMap<String, Taken> {
        let mut all = BTreeMap::new();
        while self.waiting().await
            > all
                .values()
                .map(|one: &Taken| one.events.len() as u64)
                .sum()
        {
            let taken = self.spool.take().await;
            all.insert(taken.subject.key(), taken);
        }
        all
    }

    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}
