//! Requests that change what the public sees.
//!
//! Statuspage knows no idempotency key: an incident that is created twice is
//! there twice, an update that is sent twice is told to all subscribers twice,
//! and neither can be taken back. So these requests are never marked as safe to
//! repeat: only what a rate limit turned away, or what never got there, is sent
//! again. After every other failure [`ApiError::may_have_had_effect`] says
//! whether to look before writing again.
//!
//! The status of a component is the exception: setting it twice changes nothing.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{StatuspageClient, hint, object};
use crate::api::ApiError;
use crate::http::Request;

impl StatuspageClient {
    /// Opens an incident. `incident` is what the API takes for one: `name`,
    /// `status`, `body`, `components`, `metadata` and so on.
    pub async fn create_incident(
        &self,
        page_id: &str,
        incident: &Value,
    ) -> Result<Value, ApiError> {
        let url = self.url(&["pages", page_id, "incidents"]);
        let body = json!({ "incident": incident });
        let change = Change::once(Method::POST, url, &body);
        self.write(change, "an incident").await
    }

    /// Changes an incident; what `incident` leaves out stays. Every change of
    /// status or text adds an update.
    pub async fn update_incident(
        &self,
        page_id: &str,
        id: &str,
        incident: &Value,
    ) -> Result<Value, ApiError> {
        let url = self.url(&["pages", page_id, "incidents", id]);
        let body = json!({ "incident": incident });
        let change = Change::once(Method::PATCH, url, &body);
        self.write(change, "an incident").await
    }

    /// Sets the status of a component, outside of any incident.
    pub async fn set_component_status(
        &self,
        page_id: &str,
        id: &str,
        status: &str,
    ) -> Result<Value, ApiError> {
        let url = self.url(&["pages", page_id, "components", id]);
        let body = json!({ "component": { "status": status } });
        let change = Change {
            is_safe_to_repeat: true,
            ..Change::once(Method::PATCH, url, &body)
        };
        self.write(change, "a component").await
    }

    /// Sends it, and gives back `what` it made.
    async fn write(&self, change: Change, what: &str) -> Result<Value, ApiError> {
        let request = || {
            let request = Request::new(change.method.clone(), change.url.clone(), &self.writing)
                .json(change.body.clone());
            if change.is_safe_to_repeat {
                request.safe_to_repeat()
            } else {
                request
            }
        };
        let (reply, key) = self.key.send(&self.http, request).await?;
        if !reply.is_success() {
            return Err(ApiError::refused(reply, hint_for_writing, &[key.token()]));
        }
        object(reply, what)
    }
}

struct Change {
    method: Method,
    url: Url,
    body: Bytes,
    is_safe_to_repeat: bool,
}

impl Change {
    fn once(method: Method, url: Url, body: &Value) -> Self {
        Self {
            method,
            url,
            body: Bytes::from(body.to_string()),
            is_safe_to_repeat: false,
        }
    }
}

fn hint_for_writing(status: u16) -> Option<&'static str> {
    match status {
        403 => Some(
            "the owner of the API key may not publish on this status page: give the user a role that may, or use another key",
        ),
        404 => Some(
            "the incident or the component may have been deleted meanwhile; if not, check that the page is one of this API key's, and OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
        ),
        422 => Some(
            "Statuspage does not take what was to be published: check the template's texts and statuses, and that the components are on this page",
        ),
        other => hint(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::*;
    use crate::api::BaseUrl;
    use crate::http::testing::{Answer, Server, everything_said};

    fn created() -> Answer {
        Answer::json(&json!({"id": "i1"})).with_status(201)
    }

    #[tokio::test]
    async fn an_incident_is_created_and_changed_as_it_is_given() {
        let changed = Answer::json(&json!({"id": "i1", "status": "resolved"}));
        let server = Server::answering([created(), changed]).await;
        let client = client(&server);
        let new = json!({"name": "Errors", "metadata": {"portolan": {"owner": "us"}}});

        let incident = client.create_incident("p/1", &new).await.unwrap();
        assert_eq!(incident["id"], "i1");
        let resolved = json!({"status": "resolved"});
        let incident = client.update_incident("p1", "i1", &resolved).await.unwrap();
        assert_eq!(incident["status"], "resolved");

        let received = server.received();
        assert_eq!(received[0].method, "POST");
        assert_eq!(received[0].target, "/v1/pages/p%2F1/incidents");
        assert_eq!(received[0].header("content-type"), "application/json");
        assert!(received[0].header("authorization").starts_with("OAuth "));
        assert_eq!(received[0].json(), json!({"incident": new}));
        assert_eq!(received[1].method, "PATCH");
        assert_eq!(received[1].target, "/v1/pages/p1/incidents/i1");
        assert_eq!(received[1].json(), json!({"incident": resolved}));
    }

    #[tokio::test]
    async fn what_may_have_been_published_is_not_sent_again() {
        let table = [
            Answer::status(408),
            Answer::status(500),
            Answer::status(502),
            Answer::status(503),
            Answer::status(504),
            Answer::status(201).body("<html>"),
            Answer::status(201).body(r#"{"id": "#).cut_short(),
            Answer::json(&json!([])).with_status(201),
            Answer::json(&json!({"status": "investigating"})).with_status(201),
        ];
        for answer in table {
            let server = Server::deciding(move |_| answer.clone()).await;
            let client = client(&server);

            let error = client.create_incident("p1", &json!({})).await.unwrap_err();
            assert!(error.may_have_had_effect(), "{error}");
            let update = client.update_incident("p1", "i1", &json!({})).await;
            assert!(update.unwrap_err().may_have_had_effect());

            assert_eq!(server.count(), 2, "{error}");
        }
    }

    #[tokio::test]
    async fn what_certainly_was_not_published_is_sent_again_where_that_may_help() {
        let busy = || Answer::status(420);
        let server = Server::answering([busy(), Answer::status(429), created()]).await;
        client(&server)
            .create_incident("p1", &json!({}))
            .await
            .unwrap();
        assert_eq!(server.count(), 3);

        for status in [400, 401, 403, 404, 422] {
            let refusal = Answer::json(&json!({"error": ["Name can't be blank"]}));
            let server = Server::answering([refusal.with_status(status)]).await;
            let error = client(&server)
                .update_incident("p1", "i1", &json!({}))
                .await
                .unwrap_err();
            assert!(!error.may_have_had_effect(), "{error}");
            assert_eq!(error.status(), Some(status));
            assert!(error.hint().is_some() || status == 400);
            assert!(everything_said(&error).contains("blank"));
            assert_eq!(server.count(), 1);
        }
    }

    #[tokio::test]
    async fn a_server_that_nobody_reaches_has_published_nothing() {
        let server = Server::answering([]).await;
        let mut gone = client(&server);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        gone.base = BaseUrl::new(&Url::parse(&url).unwrap()).unwrap();
        let error = gone.create_incident("p1", &json!({})).await.unwrap_err();
        assert!(!error.may_have_had_effect(), "{error}");
    }

    #[tokio::test]
    async fn the_status_of_a_component_may_be_set_again() {
        let component = Answer::json(&json!({"id": "c1", "status": "operational"}));
        let server = Server::answering([Answer::status(503), component]).await;

        let component = client(&server)
            .set_component_status("p1", "c1", "operational")
            .await
            .unwrap();

        assert_eq!(component["status"], "operational");
        let received = server.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[1].method, "PATCH");
        assert_eq!(received[1].target, "/v1/pages/p1/components/c1");
        let expected = json!({"component": {"status": "operational"}});
        assert_eq!(received[1].json(), expected);
    }

    #[test]
    fn a_refused_write_is_not_told_to_be_read() {
        for status in [403, 404, 422] {
            assert_ne!(hint_for_writing(status), hint(status));
        }
        assert_eq!(hint_for_writing(401), hint(401));
    }
}
