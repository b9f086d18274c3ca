//! What Port is told beside the catalog: raw examples, log lines, metrics and
//! signs of life.
//!
//! All of it is sent once and soon or not at all: nothing is repeated, and no
//! call takes longer than [`DEADLINE`], the login before it included. It has
//! a pacer of its own, so that a refusal here never holds up the entities.
//!
//! Port says where metrics and logs go, and it may be any host. The token goes
//! with them, so such an address has to be https, or Port's own, or on this
//! machine: an address that would carry the token over the network for
//! everyone to read is refused before anything is sent.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, USER_AGENT};
use serde_json::{Value, json};
use tokio::time::timeout;
use url::{Host, Url};
use uuid::Uuid;

use super::{CORE_VERSION, INTEGRATION_VERSION, PortClient};
use crate::api::ApiError;
use crate::http::{Call, Expect, HttpError, Request, RetryPolicy, SafeUrl};

/// What one call may take. Nobody waits for it longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Sent once, whatever comes of it.
const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    ..RetryPolicy::STANDARD
};

/// How a resource config stands, as Port counts it.
#[derive(Clone, Debug, PartialEq)]
pub struct KindMetrics {
    /// The kind as the mapping writes it, or `__resync__` and its like.
    pub kind: String,
    /// Its place in the mapping; none for what is about the whole resync.
    pub index: Option<usize>,
    pub state: SyncState,
    /// The expression for the blueprint, as the mapping writes it.
    pub blueprint: Option<String>,
    /// Durations and counts by phase.
    pub phases: Value,
}

/// Which resync metrics are about, and where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsOrigin {
    pub event_id: Uuid,
    pub installation_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    Pending,
    Syncing,
    Completed,
    Failed,
    Aborted,
}

impl SyncState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Syncing => "syncing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

impl KindMetrics {
    /// `incident-3`; Port's name for the resource config.
    fn identifier(&self) -> String {
        match self.index {
            Some(index) => format!("{}-{index}", self.kind),
            None => self.kind.clone(),
        }
    }
}

impl PortClient {
    /// Shows raw objects of a kind to whoever edits the mapping in Port. Each
    /// is given as JSON, masked.
    pub async fn send_examples(&self, kind: &str, examples: &[Bytes]) -> Result<(), ApiError> {
        let identifier = &self.0.identifier;
        let url = self.url(&["integration", identifier, "kinds", kind, "examples"]);
        let mut body = Vec::from(br#"{"examples":["#);
        body.extend(examples.join(&b','));
        body.extend(b"]}");
        self.tell(Method::POST, url, body).await
    }

    /// Log lines, each given as JSON.
    pub async fn ship_logs(&self, ingest: &Url, records: &[String]) -> Result<(), ApiError> {
        let body = format!(r#"{{"logs":[{}]}}"#, records.join(","));
        self.tell(Method::POST, ingest.clone(), body).await
    }

    /// How several kinds stand.
    pub async fn post_metrics(
        &self,
        ingest: &Url,
        origin: MetricsOrigin,
        metrics: &[KindMetrics],
    ) -> Result<(), ApiError> {
        let url = below(ingest, &["syncMetrics"]);
        let body = self.metrics_of_kinds(origin, metrics);
        self.tell(Method::POST, url, body.to_string()).await
    }

    /// How one kind stands.
    pub async fn put_kind_metrics(
        &self,
        ingest: &Url,
        origin: MetricsOrigin,
        metrics: &KindMetrics,
    ) -> Result<(), ApiError> {
        let event = origin.event_id.to_string();
        let kind = metrics.identifier();
        let url = below(ingest, &["syncMetrics", "resync", &event, "kind", &kind]);
        let body = json!({"syncKindMetrics": self.metrics_of_kind(origin, metrics)});
        self.tell(Method::PUT, url, body.to_string()).await
    }

    /// Says that the resync is still at work.
    pub async fn heartbeat(&self, ingest: &Url, event_id: Uuid) -> Result<(), ApiError> {
        let body = json!({"eventId": event_id.to_string()});
        self.tell(
            Method::POST,
            below(ingest, &["heartbeat"]),
            body.to_string(),
        )
        .await
    }

    /// The same metrics for whoever the settings name. Who that is has no
    /// business with Port's token.
    pub async fn post_to_webhook(
        &self,
        webhook: &Url,
        origin: MetricsOrigin,
        metrics: &[KindMetrics],
    ) -> Result<(), ApiError> {
        let body = self.metrics_of_kinds(origin, metrics);
        let request = Request::new(Method::POST, webhook.clone(), &ONCE)
            .json(body.to_string())
            .expect(Expect::Success);
        let reply = self.0.beside.send(&request).await?;
        if reply.is_success() {
            Ok(())
        } else {
            Err(ApiError::refused(reply, |_| None, &[]))
        }
    }

    fn metrics_of_kinds(&self, origin: MetricsOrigin, metrics: &[KindMetrics]) -> Value {
        let kinds: Vec<Value> = metrics
            .iter()
            .map(|kind| self.metrics_of_kind(origin, kind))
            .collect();
        json!({ "syncKindsMetrics": kinds })
    }

    fn metrics_of_kind(&self, origin: MetricsOrigin, metrics: &KindMetrics) -> Value {
        json!({
            "integrationType": self.0.kind,
            "installationType": origin.installation_type,
            "executionMode": "single_process",
            "integrationIdentifier": self.0.identifier,
            "integrationVersion": INTEGRATION_VERSION,
            "oceanVersion": CORE_VERSION,
            "kindIdentifier": metrics.identifier(),
            "kind": metrics.kind,
            "kindIndex": metrics.index.unwrap_or_default(),
            "eventId": origin.event_id.to_string(),
            "syncState": metrics.state.as_str(),
            "blueprint": metrics.blueprint,
            "metrics": {"phase": metrics.phases},
        })
    }

    /// Sends once, with the token.
    async fn tell(&self, method: Method, url: Url, body: impl Into<Bytes>) -> Result<(), ApiError> {
        if !self.may_see_token(&url) {
            return Err(ApiError::InClear {
                url: SafeUrl::from(&url),
            });
        }
        let late = HttpError::TimedOut {
            call: Call {
                method: if method == Method::PUT { "PUT" } else { "POST" },
                url: SafeUrl::from(&url),
                attempts: 1,
            },
            within: DEADLINE,
        };
        let request = Request::new(method, url, &ONCE)
            .header(USER_AGENT, self.0.agent.clone())
            .json(body)
            .expect(Expect::Success);
        timeout(DEADLINE, self.tell_with_token(request))
            .await
            .unwrap_or_else(|_| Err(late.into()))
    }

    async fn tell_with_token(&self, mut request: Request<'_>) -> Result<(), ApiError> {
        let super::Inner {
            http,
            beside,
            login,
            policy,
            ..
        } = &*self.0;
        // As patient as for entities: a failed login makes those impatient who
        // wait for the same, one that is given up does not.
        let mut token = login.token(http, policy).await?;
        request = request.header(AUTHORIZATION, token.header.clone());
        let mut reply = beside.send(&request).await?;
        if reply.status == 401 {
            token = login.renew(http, policy, Some(&token)).await?;
            request = request.header(AUTHORIZATION, token.header.clone());
            reply = beside.send(&request).await?;
        }
        if reply.is_success() {
            return Ok(());
        }
        Err(ApiError::refused(
            reply,
            |_| None,
            &[login.secret(), token.text()],
        ))
    }

    /// Whether nobody on the way can read what is sent there, or Port's token
    /// goes that way already.
    fn may_see_token(&self, url: &Url) -> bool {
        let is_local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        url.scheme() == "https" || is_local || self.0.base.is_origin_of(url)
    }
}

/// The address with more segments, its query kept.
fn below(ingest: &Url, path: &[&str]) -> Url {
    let mut url = ingest.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, client, logins, port};
    use super::*;
    use crate::http::testing::Answer;

    fn done() -> Answer {
        Answer::json(&json!({"ok": true}))
    }

    #[tokio::test]
    async fn the_kind_is_one_segment_of_the_path_whatever_is_in_it() {
        let server = port([done()]).await;

        let examples = [Bytes::from_static(b"{\"id\":1}"), Bytes::from_static(b"2")];
        let sent = client(&server).send_examples("a/b c", &examples).await;

        sent.unwrap();
        let request = &asked(&server)[0];
        assert_eq!(
            request.target,
            "/v1/integration/my-statuspage/kinds/a%2Fb%20c/examples"
        );
        assert_eq!(request.json(), json!({"examples": [{"id": 1}, 2]}));
    }

    #[tokio::test]
    async fn what_fails_is_not_sent_again() {
        for status in [429, 500, 503] {
            let server = port([Answer::status(status), done()]).await;
            let event = Uuid::nil();

            let sent = client(&server).heartbeat(&server.url, event).await;

            assert_eq!(sent.unwrap_err().status(), Some(status));
            assert_eq!(asked(&server).len(), 1);
        }
    }

    #[tokio::test]
    async fn a_token_that_was_withdrawn_is_renewed() {
        let server = port([Answer::status(401), done()]).await;

        let sent = client(&server).heartbeat(&server.url, Uuid::nil()).await;

        sent.unwrap();
        assert_eq!(logins(&server), 2);
    }

    #[tokio::test]
    async fn the_token_goes_only_where_nobody_else_can_read_it() {
        let server = port([]).await;
        let client = client(&server);
        let table = [
            ("https://ingest.example.com/logs", true),
            ("http://127.0.0.1:1/logs", true),
            ("http://localhost:1/logs", true),
            ("http://[::1]:1/logs", true),
            ("http://ingest.example.com/logs", false),
            ("http://127.0.0.1.example.com/logs", false),
            ("http://localhost.example.com/logs", false),
            ("http://10.0.0.1/logs", false),
        ];
        for (url, may) in table {
            let url = Url::parse(url).unwrap();
            assert_eq!(client.may_see_token(&url), may, "{url}");
        }
        let refused = Url::parse("http://ingest.example.com/logs?key=x").unwrap();
        let error = client.ship_logs(&refused, &[]).await.unwrap_err();
        assert!(matches!(error, ApiError::InClear { .. }));
        assert!(!error.to_string().contains("key"));
        assert_eq!(server.received().len(), 0);
    }

    #[test]
    fn a_route_is_joined_to_the_address_and_its_query_kept() {
        for base in [
            "https://in.example.com/v1?a=b",
            "https://in.example.com/v1/?a=b",
        ] {
            let url = below(&Url::parse(base).unwrap(), &["kind", "a/b-0"]);
            assert_eq!(url.as_str(), "https://in.example.com/v1/kind/a%2Fb-0?a=b");
        }
    }
}
