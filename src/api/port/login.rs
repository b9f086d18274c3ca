//! Keeps an access token for Port.
//!
//! One login at a time: whoever finds the token missing, expired or refused
//! queues for the turn to log in, and on getting it first looks whether someone
//! before has done so. A token is replaced shortly before it expires, so that a
//! request does not set out with one that ends on the way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use crate::api::ApiError;
use crate::http::{HttpClient, Request, RetryPolicy};
use crate::telemetry;

/// How long before its end a token is replaced, or a tenth of its life where
/// that is less.
const MARGIN: Duration = Duration::from_mins(1);
/// What a token's life is taken for where Port does not say.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// Logs in, and remembers the token.
pub(super) struct Login {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    user_agent: HeaderValue,
    turn: Semaphore,
    /// How many logins have failed.
    failures: AtomicUsize,
    token: Mutex<Option<Token>>,
}

/// A token to send, and which one it is.
#[derive(Clone)]
pub(super) struct Token {
    text: Arc<SecretString>,
    /// Ready to be sent; marked as sensitive.
    pub(super) header: HeaderValue,
    expires: Instant,
}

impl Token {
    /// The bare token, to keep it out of messages.
    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }
}

impl Login {
    pub(super) fn new(
        url: Url,
        client_id: String,
        client_secret: SecretString,
        user_agent: HeaderValue,
    ) -> Self {
        Self {
            url,
            client_id,
            client_secret,
            user_agent,
            turn: Semaphore::new(1),
            failures: AtomicUsize::new(0),
            token: Mutex::default(),
        }
    }

    pub(super) fn secret(&self) -> &str {
        self.client_secret.expose_secret()
    }

    /// The token to use now.
    pub(super) async fn token(
        &self,
        http: &HttpClient,
        policy: &RetryPolicy,
    ) -> Result<Token, ApiError> {
        match self.usable(None) {
            Some(token) => Ok(token),
            None => self.renew(http, policy, None).await,
        }
    }

    /// Another token than `refused`: one that someone else got meanwhile, or a
    /// new one.
    pub(super) async fn renew(
        &self,
        http: &HttpClient,
        policy: &RetryPolicy,
        refused: Option<&Token>,
    ) -> Result<Token, ApiError> {
        let failures = self.failures.load(Ordering::Relaxed);
        // Fails only once closed, and nobody closes it.
        let _turn = self.turn.acquire().await;
        if let Some(token) = self.usable(refused) {
            return Ok(token);
        }
        // Someone before has just been patient in vain. If each of those who
        // waited were as patient, one after the other, an outage would last
        // many times as long for the last of them.
        let once = RetryPolicy {
            attempts: 1,
            ..policy.clone()
        };
        let is_first = self.failures.load(Ordering::Relaxed) == failures;
        let result = self
            .log_in(http, if is_first { policy } else { &once })
            .await;
        if result.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Logs in whether or not there is a token.
    pub(super) async fn log_in(
        &self,
        http: &HttpClient,
        policy: &RetryPolicy,
    ) -> Result<Token, ApiError> {
        let credentials = json!({
            "clientId": self.client_id,
            "clientSecret": self.client_secret.expose_secret(),
        });
        let request = Request::new(Method::POST, self.url.clone(), policy)
            .header(USER_AGENT, self.user_agent.clone())
            .json(credentials.to_string())
            .safe_to_repeat();
        let mut reply = http.send(&request).await?;
        if !reply.is_success() {
            return Err(ApiError::refused(reply, hint, &[self.secret()]));
        }

        let body = reply.body.take().unwrap_or_default();
        let text = body
            .get("accessToken")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let header = HeaderValue::try_from(format!("Bearer {text}"));
        let (Ok(mut header), false) = (header, text.is_empty()) else {
            return Err(ApiError::malformed(
                &reply,
                "there is no access token in it",
            ));
        };
        header.set_sensitive(true);
        let life = body
            .get("expiresIn")
            .and_then(Value::as_u64)
            .map_or(USUAL_LIFE, Duration::from_secs)
            // An instant has an end; no token lives for a year.
            .min(Duration::from_hours(8760));
        let token = Token {
            text: Arc::new(SecretString::from(text)),
            header,
            expires: Instant::now() + life.saturating_sub(MARGIN.min(life / 10)),
        };
        telemetry::learn("Port", &token.text);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        debug!("Logged in to Port");
        Ok(token)
    }

    fn usable(&self, refused: Option<&Token>) -> Option<Token> {
        let token = self
            .token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let is_refused = refused.is_some_and(|refused| refused.is_same(&token));
        (!is_refused && Instant::now() < token.expires).then_some(token)
    }
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        400 | 401 | 403 | 404 | 422 => Some(
            "check OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, and that OCEAN__PORT__BASE_URL is your organization's region: https://api.us.getport.io in the US",
        ),
        _ => None,
    }
}
