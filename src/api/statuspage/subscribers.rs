//! Webhook subscribers of a status page.
//!
//! There is no signature and no header: whoever wants to know that a webhook is
//! genuine puts a secret into the address, which is a secret as a whole then.
//! Statuspage takes the same address twice, so a subscription is never marked as
//! safe to repeat. Unlike all other lists this one counts its pages from 0.

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{StatuspageClient, hint, is_absent};
use crate::api::{ApiError, PAGE_SIZE};
use crate::http::{Expect, Reply, Request};

/// Somebody who is told by webhook.
#[derive(Clone, Debug)]
pub struct WebhookSubscriber {
    pub id: String,
    /// Where webhooks go.
    pub endpoint: SecretString,
    /// Told of nothing, because the endpoint failed for too long.
    pub quarantined: bool,
    pub created: Option<Timestamp>,
}

impl StatuspageClient {
    /// One page of the list, quarantined ones among them. The first page is 0.
    pub async fn webhook_subscribers(
        &self,
        page_id: &str,
        page: u32,
    ) -> Result<Vec<WebhookSubscriber>, ApiError> {
        let mut url = self.url(&["pages", page_id, "subscribers"]);
        url.query_pairs_mut()
            .append_pair("type", "webhook")
            .append_pair("state", "all")
            .append_pair("page", &page.to_string())
            .append_pair("limit", &PAGE_SIZE.to_string());
        let reply = self.ask(Method::GET, &url, None, Expect::Json, &[]).await?;
        let subscribers: Option<Vec<_>> = reply
            .body
            .as_ref()
            .and_then(Value::as_array)
            .and_then(|list| list.iter().map(WebhookSubscriber::read).collect());
        subscribers.ok_or_else(|| {
            ApiError::malformed(&reply, "it is not a list of subscribers with an `id` each")
        })
    }

    /// Subscribes an address to everything that happens on the page.
    pub async fn subscribe_webhook(
        &self,
        page_id: &str,
        endpoint: &SecretString,
    ) -> Result<WebhookSubscriber, ApiError> {
        let url = self.url(&["pages", page_id, "subscribers"]);
        let text = endpoint.expose_secret();
        let body = json!({"subscriber": {"endpoint": text}}).to_string().into();
        let reply = self
            .ask(Method::POST, &url, Some(body), Expect::Json, &[text])
            .await?;
        let subscriber = reply.body.as_ref().and_then(WebhookSubscriber::read);
        subscriber.ok_or_else(|| ApiError::malformed(&reply, "it is not a subscriber with an `id`"))
    }

    /// Lets a quarantined subscriber be told again.
    pub async fn reactivate_subscriber(&self, page_id: &str, id: &str) -> Result<(), ApiError> {
        let url = self.url(&["pages", page_id, "subscribers", "reactivate"]);
        let body = json!({"subscribers": [id]}).to_string().into();
        self.ask(Method::POST, &url, Some(body), Expect::Success, &[])
            .await
            .map(drop)
    }

    /// Takes a subscriber off the list, who may be off it already.
    pub async fn unsubscribe(&self, page_id: &str, id: &str) -> Result<(), ApiError> {
        let mut url = self.url(&["pages", page_id, "subscribers", id]);
        url.query_pairs_mut()
            .append_pair("skip_unsubscription_notification", "true");
        self.ask(Method::DELETE, &url, None, Expect::Success, &[])
            .await
            .map(drop)
    }

    /// The reply, which is a success, or to a deletion says that there is nothing
    /// to delete. `secrets` are kept out of messages.
    async fn ask(
        &self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
        expect: Expect,
        secrets: &[&str],
    ) -> Result<Reply, ApiError> {
        let request = || {
            let request = Request::new(method.clone(), url.clone(), &self.policy).expect(expect);
            match &body {
                Some(body) => request.json(body.clone()),
                None => request,
            }
        };
        let (reply, key) = self.key.send(&self.http, request).await?;
        if reply.is_success() || method == Method::DELETE && is_absent(&reply) {
            return Ok(reply);
        }
        let secrets = [secrets, &[key.token()]].concat();
        Err(ApiError::refused(reply, hint_for_subscribers, &secrets))
    }
}

impl WebhookSubscriber {
    fn read(object: &Value) -> Option<Self> {
        Some(Self {
            id: object["id"].as_str()?.to_owned(),
            endpoint: object["endpoint"].as_str().unwrap_or_default().into(),
            quarantined: object["quarantined_at"].is_string(),
            created: object["created_at"]
                .as_str()
                .and_then(|time| time.parse().ok()),
        })
    }
}

fn hint_for_subscribers(status: u16) -> Option<&'static str> {
    match status {
        403 => Some(
            "the owner of the API key may not manage the subscribers of this status page: give the user a role that may",
        ),
        422 => Some(
            "Statuspage does not take this subscriber: check that the page has webhook subscribers switched on (Subscribers > Settings), and that OCEAN__BASE_URL is an address that Statuspage can reach",
        ),
        other => hint(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::*;
    use crate::http::testing::{Answer, Server, everything_said};

    const ENDPOINT: &str = "https://host.example/hook?token=hunter2";

    fn shown(id: &str, quarantined_at: Option<&str>) -> Value {
        json!({
            "id": id, "mode": "webhook", "endpoint": ENDPOINT,
            "quarantined_at": quarantined_at, "created_at": "2026-01-02T03:04:05.000Z",
        })
    }

    #[tokio::test]
    async fn quarantined_subscribers_are_on_the_list_whose_first_page_is_zero() {
        let list =
            json!([shown("s1", None), shown("s2", Some("2026-02-03T04:05:06Z")), {"id": "s3"}]);
        let server = Server::answering([Answer::json(&list)]).await;

        let list = client(&server).webhook_subscribers("p/1", 0).await.unwrap();

        let states: Vec<_> = list.iter().map(|one| one.quarantined).collect();
        assert_eq!(states, [false, true, false]);
        assert_eq!(list[0].endpoint.expose_secret(), ENDPOINT);
        assert!(list[0].created.is_some() && list[2].created.is_none());
        assert!(!format!("{list:?}").contains("hunter2"));
        assert_eq!(
            server.received()[0].target,
            "/v1/pages/p%2F1/subscribers?type=webhook&state=all&page=0&limit=100"
        );
    }

    #[tokio::test]
    async fn a_list_of_something_else_is_an_error() {
        for body in [json!({}), json!([{"endpoint": ENDPOINT}]), json!(null)] {
            let server = Server::answering([Answer::json(&body)]).await;
            let error = client(&server).webhook_subscribers("p1", 0).await;
            let error = error.unwrap_err();
            assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn subscribing_is_tried_once_and_never_tells_the_address() {
        let server = Server::answering([Answer::json(&shown("s1", None)).with_status(201)]).await;
        let endpoint = SecretString::from(ENDPOINT);
        let subscriber = client(&server)
            .subscribe_webhook("p1", &endpoint)
            .await
            .unwrap();
        assert_eq!(subscriber.id, "s1");
        let received = &server.received()[0];
        assert_eq!(received.method, "POST");
        assert_eq!(received.target, "/v1/pages/p1/subscribers");
        assert_eq!(
            received.json(),
            json!({"subscriber": {"endpoint": ENDPOINT}})
        );

        let server = Server::answering([Answer::status(503)]).await;
        let error = client(&server)
            .subscribe_webhook("p1", &endpoint)
            .await
            .unwrap_err();
        assert!(error.may_have_had_effect());
        assert_eq!(server.count(), 1);

        let refusal = json!({"error": [format!("{ENDPOINT} is not wanted here")]});
        let server = Server::answering([Answer::json(&refusal).with_status(422)]).await;
        let error = client(&server)
            .subscribe_webhook("p1", &endpoint)
            .await
            .unwrap_err();
        assert!(error.hint().unwrap().contains("webhook subscribers"));
        assert!(!everything_said(&error).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_subscriber_is_reactivated_and_taken_off_the_list() {
        let answers = [
            Answer::status(201).body("{}"),
            Answer::json(&shown("s1", None)),
            Answer::json(&json!({"error": "Subscriber not found"})).with_status(404),
        ];
        let server = Server::answering(answers).await;
        let client = client(&server);

        client.reactivate_subscriber("p1", "s1").await.unwrap();
        client.unsubscribe("p1", "s1").await.unwrap();
        client.unsubscribe("p1", "s1").await.unwrap();

        let received = server.received();
        assert_eq!(received[0].target, "/v1/pages/p1/subscribers/reactivate");
        assert_eq!(received[0].json(), json!({"subscribers": ["s1"]}));
        assert_eq!(received[1].method, "DELETE");
        assert_eq!(
            received[1].target,
            "/v1/pages/p1/subscribers/s1?skip_unsubscription_notification=true"
        );
    }
}
