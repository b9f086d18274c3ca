//! Webhooks, as the vendors send them: method, headers and body.
//!
//! The simulators make requests and do not send them by themselves: what is
//! sent, when, how often and with which forgery is the test's affair. Who wants
//! the vendor's patience has [`WebhookRequest::deliver`].

use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

/// How long a vendor waits for an answer: the shortest that any of them has.
const ANSWER: Duration = Duration::from_secs(5);

/// The first pause before a webhook is sent again; it doubles. Vendors begin
/// with seconds, which would only make tests slow.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A `POST` that a vendor sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The last answer; `None` when there never was one.
    pub status: Option<u16>,
    pub attempts: u32,
}

impl WebhookRequest {
    pub(super) fn new(url: Url, body: &Value) -> Self {
        Self {
            url,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: Bytes::from(body.to_string()),
        }
    }

    #[must_use]
    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same, somewhere else.
    #[must_use]
    pub fn to(self, url: Url) -> Self {
        Self { url, ..self }
    }

    /// The same with a header set to something else, or taken away.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        let value = value.map(|value| (name.to_owned(), value.to_owned()));
        self.headers.extend(value);
        self
    }

    /// The same with another body under the old headers, a signature among them.
    #[must_use]
    pub fn altered(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut body = self.json();
        change(&mut body);
        self.body = Bytes::from(body.to_string());
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value.as_str()))
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Sends it once, and gives the status of the answer.
    pub async fn post(&self, client: &reqwest::Client) -> reqwest::Result<u16> {
        let mut request = client
            .post(self.url.clone())
            .timeout(ANSWER)
            .body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        Ok(response.status().as_u16())
    }

    /// Sends it until it is taken, as vendors do: again after no answer, 429 and
    /// 5xx, for as long as `patience` lasts; any other answer is the last one.
    pub async fn deliver(&self, client: &reqwest::Client, patience: Duration) -> Delivered {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let status = self.post(client).await.ok();
            let again = status.is_none_or(|status| status == 429 || status >= 500);
            if !again || began.elapsed() + pause > patience {
                return Delivered { status, attempts };
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Caller, small};
    use super::super::{Answer, Matcher};
    use super::*;

    #[tokio::test]
    async fn a_webhook_is_sent_again_until_it_is_taken_or_refused() {
        let sandbox = small().await;
        // Sets up what a client needs for TLS, which nothing here uses.
        drop(Caller::new(sandbox.opsgenie.url(), ""));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = sandbox.opsgenie.url().join("/hook").unwrap();
        let webhook = WebhookRequest::new(url, &json!({"a": 1})).with_header("X-Token", "t");
        let hooks = Matcher::post("/hook");
        for answer in [Answer::cut(), Answer::status(503), Answer::status(429)] {
            sandbox.opsgenie.fault(hooks.clone(), answer, 1);
        }
        sandbox
            .opsgenie
            .fault(hooks.clone(), Answer::status(202), 1);
        let patience = Duration::from_mins(1);

        let taken = webhook.deliver(&client, patience).await;
        let refused = webhook.deliver(&client, patience).await;
        sandbox
            .opsgenie
            .fault(hooks.clone(), Answer::status(500), 1);
        let given_up = webhook.deliver(&client, Duration::ZERO).await;

        let delivered = |status, attempts| Delivered {
            status: Some(status),
            attempts,
        };
        assert_eq!(taken, delivered(202, 4));
        assert_eq!(refused.attempts, 1, "{refused:?}");
        assert_eq!(given_up, delivered(500, 1));
        let received = sandbox.opsgenie.requests_to(&hooks);
        assert_eq!(received[0].header("x-token"), Some("t"));
        assert_eq!(received[3].json(), json!({"a": 1}));
    }

    #[test]
    fn a_header_can_be_forged_or_left_out() {
        let url = Url::parse("https://hook.example/").unwrap();
        let webhook = WebhookRequest::new(url, &json!({})).with_header("X-Token", "t");

        let forged = webhook.clone().with("x-token", Some("other"));

        assert_eq!(forged.header("X-Token"), Some("other"));
        assert_eq!(webhook.with("x-token", None).header("X-Token"), None);
    }
}
