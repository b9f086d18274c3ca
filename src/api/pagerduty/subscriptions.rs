//! Webhook subscriptions: who is told of what happens in the account.
//!
//! What PagerDuty does not offer decides how they can be kept right. What is
//! delivered where, headers included, cannot be changed once a subscription is
//! there. The values of headers are shown to nobody. The secret that webhooks are
//! signed with is in the reply to the creation and nowhere else: a reply that is
//! lost takes it along. And a creation that is sent twice subscribes twice, so it
//! is never marked as safe to repeat.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{PagerdutyClient, VERSION, array, is_absent, more};
use crate::api::error::shape;
use crate::api::{ApiError, PAGE_SIZE};
use crate::http::{Expect, Reply, Request};
use crate::telemetry;

const ENDPOINT: &str = "webhook_subscriptions";

/// A subscription, as PagerDuty shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSubscription {
    pub id: String,
    /// Where webhooks go; none where they are not delivered by HTTP.
    pub url: Option<Url>,
    /// Whether it is switched on.
    pub active: bool,
    /// Whether PagerDuty gave deliveries up for the time being; none where the
    /// reply does not say.
    pub temporarily_disabled: Option<bool>,
    pub description: String,
    pub events: BTreeSet<String>,
    /// The names of the headers that webhooks carry; their values are not shown.
    pub header_names: Vec<String>,
    /// Whether it is told of the whole account.
    pub whole_account: bool,
}

/// The address of somebody else's subscription may be a secret.
impl fmt::Debug for WebhookSubscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WebhookSubscription")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One page of the list.
#[derive(Debug)]
pub struct SubscriptionPage {
    pub subscriptions: Vec<WebhookSubscription>,
    /// Whether there are more after these.
    pub more: bool,
}

/// A subscription to be made, to the whole account.
pub struct NewWebhookSubscription<'a> {
    pub url: &'a Url,
    pub description: &'a str,
    pub events: &'a [&'a str],
    /// Sent along with every webhook.
    pub header: (&'a str, &'a SecretString),
}

/// What came of it.
pub struct CreatedSubscription {
    pub subscription: WebhookSubscription,
    /// What webhooks are signed with. Never shown again.
    pub secret: Option<SecretString>,
}

impl PagerdutyClient {
    pub async fn webhook_subscriptions(&self, offset: u32) -> Result<SubscriptionPage, ApiError> {
        let mut url = self.base.join([ENDPOINT]);
        url.query_pairs_mut()
            .append_pair("offset", &offset.to_string())
            .append_pair("limit", &PAGE_SIZE.to_string());
        let reply = self.ask(Call::new(Method::GET, url), &[]).await?;
        let more = more(&reply)?;
        let call = reply.call.clone();
        let status = reply.status;
        let subscriptions = array(reply, ENDPOINT)?;
        let subscriptions: Option<Vec<_>> = subscriptions
            .iter()
            .map(WebhookSubscription::read)
            .collect();
        let subscriptions = subscriptions.ok_or_else(|| ApiError::Malformed {
            call,
            status,
            problem: "it lists a subscription without an `id`".to_owned(),
        })?;
        Ok(SubscriptionPage {
            subscriptions,
            more,
        })
    }

    /// One subscription; none if there is no such subscription.
    pub async fn webhook_subscription(
        &self,
        id: &str,
    ) -> Result<Option<WebhookSubscription>, ApiError> {
        let url = self.base.join([ENDPOINT, id]);
        let reply = self.ask(Call::about_one(Method::GET, url), &[]).await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        single(&reply).map(Some)
    }

    pub async fn create_webhook_subscription(
        &self,
        new: &NewWebhookSubscription<'_>,
    ) -> Result<CreatedSubscription, ApiError> {
        let (header, value) = new.header;
        let body = json!({"webhook_subscription": {
            "type": "webhook_subscription", "description": new.description,
            "delivery_method": {
                "type": "http_delivery_method", "url": new.url,
                "custom_headers": [{"name": header, "value": value.expose_secret()}],
            },
            "events": new.events, "filter": {"type": "account_reference"},
        }});
        let call = Call {
            body: Some(body.to_string().into()),
            is_safe_to_repeat: false,
            ..Call::new(Method::POST, self.base.join([ENDPOINT]))
        };
        let reply = self.ask(call, &[value.expose_secret()]).await?;
        let secret = reply
            .body
            .as_ref()
            .and_then(|body| body.pointer("/webhook_subscription/delivery_method/secret"))
            .and_then(Value::as_str)
            .map(SecretString::from);
        if let Some(secret) = &secret {
            telemetry::learn("PagerDuty webhooks", secret);
        }
        Ok(CreatedSubscription {
            subscription: single(&reply)?,
            secret,
        })
    }

    /// Sets what a subscription is told of: these events of the whole account.
    /// False if there is no such subscription.
    pub async fn update_webhook_subscription(
        &self,
        id: &str,
        events: &[&str],
    ) -> Result<bool, ApiError> {
        let body = json!({"webhook_subscription": {
            "events": events, "filter": {"type": "account_reference"},
        }});
        let call = Call {
            body: Some(body.to_string().into()),
            ..Call::about_one(Method::PUT, self.base.join([ENDPOINT, id]))
        };
        Ok(!is_absent(&self.ask(call, &[]).await?))
    }

    /// Lets a subscription go on to which deliveries were given up. False if
    /// there is no such subscription.
    pub async fn enable_webhook_subscription(&self, id: &str) -> Result<bool, ApiError> {
        let url = self.base.join([ENDPOINT, id, "enable"]);
        let reply = self.ask(Call::about_one(Method::POST, url), &[]).await?;
        Ok(!is_absent(&reply))
    }

    /// Deletes a subscription. False if there is no such subscription.
    pub async fn delete_webhook_subscription(&self, id: &str) -> Result<bool, ApiError> {
        let url = self.base.join([ENDPOINT, id]);
        let call = Call {
            expect: Expect::Success,
            ..Call::about_one(Method::DELETE, url)
        };
        Ok(!is_absent(&self.ask(call, &[]).await?))
    }

    /// The reply, which is a success unless it says that there is no such
    /// subscription. `secrets` are kept out of messages.
    async fn ask(&self, call: Call, secrets: &[&str]) -> Result<Reply, ApiError> {
        let request = || {
            let mut request = Request::new(call.method.clone(), call.url.clone(), &self.policy)
                .header(ACCEPT, VERSION)
                .expect(call.expect);
            if let Some(body) = &call.body {
                request = request.json(body.clone());
            }
            if call.is_safe_to_repeat {
                request = request.safe_to_repeat();
            }
            request
        };
        let (reply, token) = self.token.send(&self.http, request).await?;
        if reply.is_success() || call.may_be_gone && is_absent(&reply) {
            return Ok(reply);
        }
        let secrets = [secrets, &[token.token()]].concat();
        Err(ApiError::refused(reply, hint, &secrets))
    }
}

struct Call {
    method: Method,
    url: Url,
    body: Option<Bytes>,
    is_safe_to_repeat: bool,
    /// Whether "there is no such thing" is an answer.
    may_be_gone: bool,
    expect: Expect,
}

impl Call {
    fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            body: None,
            is_safe_to_repeat: true,
            may_be_gone: false,
            expect: Expect::Json,
        }
    }

    /// About a subscription that may be gone.
    fn about_one(method: Method, url: Url) -> Self {
        Self {
            may_be_gone: true,
            ..Self::new(method, url)
        }
    }
}

impl WebhookSubscription {
    /// None without an identifier. Anything else may be missing: the list holds
    /// what others made, and may hold what is not invented yet.
    fn read(object: &Value) -> Option<Self> {
        let texts = |list: &Value, read: fn(&Value) -> Option<&str>| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(read).map(str::to_owned).collect()
        };
        let delivery = &object["delivery_method"];
        Some(Self {
            id: object["id"].as_str()?.to_owned(),
            url: delivery["url"].as_str().and_then(|url| url.parse().ok()),
            active: object["active"].as_bool().unwrap_or(true),
            temporarily_disabled: delivery["temporarily_disabled"].as_bool(),
            description: object["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            events: texts(&object["events"], Value::as_str)
                .into_iter()
                .collect(),
            header_names: texts(&delivery["custom_headers"], |header| {
                header["name"].as_str()
            }),
            whole_account: object["filter"]["type"] == "account_reference",
        })
    }
}

fn single(reply: &Reply) -> Result<WebhookSubscription, ApiError> {
    let found = reply
        .body
        .as_ref()
        .and_then(|body| body.get("webhook_subscription"));
    found.and_then(WebhookSubscription::read).ok_or_else(|| {
        let found = shape(found);
        let problem = format!("`webhook_subscription` should be an object with `id`, not {found}");
        ApiError::malformed(reply, problem)
    })
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        400 => Some(
            "PagerDuty does not take this subscription: check that OCEAN__BASE_URL is an address that PagerDuty can reach, and that the account has room for another webhook",
        ),
        403 => Some(
            "managing webhooks takes an API key with full access, not a read-only one, or a token with the scopes webhook_subscriptions.read and webhook_subscriptions.write",
        ),
        other => super::hint(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::*;
    use crate::http::testing::{Answer, Server, everything_said};

    fn shown(id: &str, more: Value) -> Value {
        let mut subscription = json!({
            "id": id, "type": "webhook_subscription", "active": true,
            "delivery_method": {
                "id": "PD", "secret": null, "temporarily_disabled": false,
                "type": "http_delivery_method", "url": "https://host.example/hook",
                "custom_headers": [{"name": "X-Token", "value": "-- redacted --"}],
            },
            "description": "ours", "events": ["incident.triggered"],
            "filter": {"type": "account_reference"},
        });
        if let (Some(object), Value::Object(more)) = (subscription.as_object_mut(), more) {
            object.extend(more);
        }
        subscription
    }

    fn one(id: &str) -> Answer {
        Answer::json(&json!({"webhook_subscription": shown(id, json!({}))}))
    }

    async fn create(server: &Server) -> Result<CreatedSubscription, ApiError> {
        let url = Url::parse("https://host.example/hook").unwrap();
        let token = SecretString::from("hunter2-webhook");
        client(server)
            .create_webhook_subscription(&NewWebhookSubscription {
                url: &url,
                description: "ours",
                events: &["incident.triggered", "service.updated"],
                header: ("X-Token", &token),
            })
            .await
    }

    #[tokio::test]
    async fn pages_are_read_as_far_as_they_can_be() {
        let odd = json!({"id": "P2", "delivery_method": {"type": "pigeon_delivery_method"}});
        let body = json!({
            "webhook_subscriptions": [shown("P1", json!({"active": false})), odd],
            "limit": 100, "offset": 100, "more": true, "total": null,
        });
        let server = Server::answering([Answer::json(&body)]).await;

        let page = client(&server).webhook_subscriptions(100).await.unwrap();

        assert!(page.more);
        let [first, second] = &page.subscriptions[..] else {
            panic!("two of them")
        };
        assert_eq!(first.url.as_ref().unwrap().path(), "/hook");
        assert_eq!(first.header_names, ["X-Token"]);
        assert!(first.whole_account && !first.active);
        assert_eq!(first.temporarily_disabled, Some(false));
        assert!(second.url.is_none() && second.active && !second.whole_account);
        assert_eq!(second.temporarily_disabled, None);
        assert!(!format!("{page:?}").contains("host.example"));
        let target = &server.received()[0].target;
        assert_eq!(target, "/webhook_subscriptions?offset=100&limit=100");
    }

    #[tokio::test]
    async fn a_list_of_something_else_is_an_error() {
        for body in [
            json!({"webhook_subscriptions": [{"url": "https://x"}], "more": false}),
            json!({"webhook_subscriptions": {}, "more": false}),
            json!({"webhook_subscriptions": [], "limit": 100}),
        ] {
            let server = Server::answering([Answer::json(&body)]).await;
            let error = client(&server).webhook_subscriptions(0).await.unwrap_err();
            assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_subscription_is_created_with_its_header_and_tells_its_secret() {
        let delivery = json!({"secret": "s3cret", "url": "https://host.example/hook"});
        let created = shown("P1", json!({"delivery_method": delivery}));
        let answer = Answer::json(&json!({"webhook_subscription": created})).with_status(201);
        let server = Server::answering([answer]).await;

        let created = create(&server).await.unwrap();

        assert_eq!(created.subscription.id, "P1");
        assert_eq!(created.secret.unwrap().expose_secret(), "s3cret");
        let received = &server.received()[0];
        assert_eq!(
            (received.method.as_str(), received.target.as_str()),
            ("POST", "/webhook_subscriptions")
        );
        assert_eq!(
            received.json(),
            json!({"webhook_subscription": {
                "type": "webhook_subscription", "description": "ours",
                "delivery_method": {
                    "type": "http_delivery_method", "url": "https://host.example/hook",
                    "custom_headers": [{"name": "X-Token", "value": "hunter2-webhook"}],
                },
                "events": ["incident.triggered", "service.updated"],
                "filter": {"type": "account_reference"},
            }})
        );
    }

    #[tokio::test]
    async fn a_creation_that_may_have_worked_is_not_sent_again() {
        for answer in [
            Answer::status(502),
            Answer::status(201).body("{").cut_short(),
        ] {
            let server = Server::deciding(move |_| answer.clone()).await;
            let error = create(&server).await.err().unwrap();
            assert!(error.may_have_had_effect(), "{error}");
            assert_eq!(server.count(), 1);
        }
    }

    #[tokio::test]
    async fn a_refusal_says_what_the_token_lacks_and_not_the_webhooks_token() {
        let refusal = json!({"error": {"message": "No hunter2-webhook here", "code": 2010}});
        let server = Server::answering([Answer::json(&refusal).with_status(403)]).await;

        let error = create(&server).await.err().unwrap();

        assert!(error.hint().unwrap().contains("full access"));
        assert!(!everything_said(&error).contains("hunter2"));
        assert!(!error.may_have_had_effect());
    }

    #[tokio::test]
    async fn what_is_done_to_one_subscription_may_be_done_again_and_to_one_that_is_gone() {
        let gone = json!({"error": {"message": "Not Found", "code": 2100}});
        let answers = [
            Answer::status(503),
            one("P1"),
            one("P1"),
            Answer::status(204),
            Answer::json(&gone).with_status(404),
            Answer::json(&gone).with_status(404),
        ];
        let server = Server::answering(answers).await;
        let client = client(&server);

        assert!(client.enable_webhook_subscription("P/1").await.unwrap());
        let events = ["incident.resolved"];
        assert!(
            client
                .update_webhook_subscription("P1", &events)
                .await
                .unwrap()
        );
        assert!(client.delete_webhook_subscription("P1").await.unwrap());
        assert!(!client.delete_webhook_subscription("P1").await.unwrap());
        assert_eq!(client.webhook_subscription("P1").await.unwrap(), None);

        let received = server.received();
        let asked: Vec<_> = received
            .iter()
            .map(|one| format!("{} {}", one.method, one.target))
            .collect();
        assert_eq!(
            asked[1..5],
            [
                "POST /webhook_subscriptions/P%2F1/enable",
                "PUT /webhook_subscriptions/P1",
                "DELETE /webhook_subscriptions/P1",
                "DELETE /webhook_subscriptions/P1",
            ]
        );
        assert_eq!(
            received[2].json(),
            json!({"webhook_subscription": {
                "events": events, "filter": {"type": "account_reference"},
            }})
        );
    }

    #[tokio::test]
    async fn an_address_without_such_a_list_is_an_error() {
        let gone = json!({"error": {"message": "Not Found", "code": 2100}});
        let server = Server::answering([Answer::json(&gone).with_status(404)]).await;
        let error = client(&server).webhook_subscriptions(0).await.unwrap_err();
        assert!(error.is_not_found());
    }
}
