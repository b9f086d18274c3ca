//! Sends requests until they are answered or not worth sending again.

mod body;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::debug;
use url::Url;

use self::body::Unread;
use super::connection::{self, BuildError};
use super::error::{BodyProblem, Call, HttpError, verb};
use super::headers::is_daily_quota_spent;
use super::last_answer::Memory;
use super::retry::{Decision, Failed, Outcome, RetryPolicy, decide};
use super::{LastAnswer, Pacer, RateHeaders, SafeUrl, Slot};
use crate::settings::OutboundSettings;
use crate::telemetry::metrics::{self, ApiOutcome};

/// The largest page of any API is a few MiB.
const BODY_CAP: usize = 64 * 1024 * 1024;
/// More of an error than this does not make it clearer.
const ERROR_BODY_CAP: usize = 64 * 1024;

/// One API, as seen from the wire.
#[derive(Clone)]
pub struct HttpClient {
    connection: reqwest::Client,
    pacer: Arc<Pacer>,
    rate_headers: RateHeaders,
    deadline: Duration,
    body_cap: usize,
    memory: Arc<Memory>,
}

/// What a 2xx has to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A JSON document.
    Json,
    /// Nothing: that it succeeded is all there is to know.
    Success,
}

/// Makes a value of a JSON document, or of what is wanted of it. May be asked again for
/// the same request, where a document turned out to be broken.
pub type ReadBody<'a> = dyn Fn(&[u8]) -> serde_json::Result<Value> + Sync + 'a;

/// A request and how much patience it deserves.
pub struct Request<'policy> {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    repeatable: bool,
    expect: Expect,
    read: Option<&'policy ReadBody<'policy>>,
    policy: &'policy RetryPolicy,
}

impl<'policy> Request<'policy> {
    /// A request that is repeated if its method is safe to repeat.
    pub fn new(method: Method, url: Url, policy: &'policy RetryPolicy) -> Self {
        let repeatable = method.is_idempotent();
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            repeatable,
            expect: Expect::Json,
            read: None,
            policy,
        }
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(body.into());
        self
    }

    /// Says that sending the request twice does no harm, whatever its method.
    #[must_use]
    pub fn safe_to_repeat(mut self) -> Self {
        self.repeatable = true;
        self
    }

    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Reads what a 2xx brings in this way.
    #[must_use]
    pub fn reading(mut self, read: &'policy ReadBody<'policy>) -> Self {
        self.read = Some(read);
        self
    }

    fn parse(&self, body: &[u8]) -> serde_json::Result<Value> {
        match self.read {
            Some(read) => read(body),
            None => serde_json::from_slice(body),
        }
    }

    fn call(&self, attempts: u32) -> Call {
        Call {
            method: verb(&self.method),
            url: SafeUrl::from(&self.url),
            attempts,
        }
    }
}

/// An answer, whatever its status.
pub struct Reply {
    pub call: Call,
    pub status: u16,
    pub headers: HeaderMap,
    /// Always there on a 2xx of which JSON was expected; elsewhere where it
    /// could be read.
    pub body: Option<Value>,
    /// When a refusal for a rate limit says that asking is of use again.
    pub ask_again: Option<Timestamp>,
    /// A quota counted by the day is used up.
    pub quota_spent: bool,
    /// The body was cut short, so that what it explained is not known. Asking
    /// again is worth more than the status alone: a 404 that the API explains
    /// means "absent", one that nobody explains means nothing.
    damaged: bool,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// An attempt that brought no usable answer.
enum Failure {
    Transport(Outcome, reqwest::Error),
    TimedOut,
    Body(u16, BodyProblem),
}

impl HttpClient {
    /// `verify`: whether certificates are checked. `deadline`: what one attempt
    /// may take, from connecting to the last byte.
    pub fn new(
        outbound: &OutboundSettings,
        verify: bool,
        deadline: Duration,
        pacer: Arc<Pacer>,
        rate_headers: RateHeaders,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            connection: connection::connection(outbound, verify, deadline)?,
            pacer,
            rate_headers,
            deadline,
            body_cap: BODY_CAP,
            memory: Arc::default(),
        })
    }

    /// What came with the last answer, in whichever part of the API.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.memory.last()
    }

    /// The same API with other patience, and without waiting for the others.
    pub(crate) fn apart(&self, pacer: Arc<Pacer>, deadline: Duration) -> Self {
        Self {
            pacer,
            deadline,
            rate_headers: RateHeaders::RetryAfter,
            memory: Arc::default(),
            ..self.clone()
        }
    }

    /// The same API in a part of it that is counted apart.
    pub(crate) fn paced_by(&self, pacer: Arc<Pacer>) -> Self {
        Self {
            pacer,
            ..self.clone()
        }
    }

    #[cfg(test)]
    pub(crate) fn with_body_cap(mut self, cap: usize) -> Self {
        self.body_cap = cap;
        self
    }

    /// Sends the request, again where that can help, and brings back the last
    /// answer. An answer other than 2xx is a reply, not an error.
    pub async fn send(&self, request: &Request<'_>) -> Result<Reply, HttpError> {
        let mut attempt = 1;
        let mut waited = Duration::ZERO;
        loop {
            let slot = self.pacer.acquire().await;
            let began = Instant::now();
            let result = self.attempt(request, attempt, slot).await;
            let took = began.elapsed();
            metrics::api_request(self.pacer.api(), measured(&result), took);
            let result = match result {
                Ok(reply) if reply.is_success() => return Ok(reply),
                other => other,
            };
            waited += took;
            let (outcome, ordered, quota_spent) = match &result {
                Ok(reply) if reply.damaged && Outcome::Status(reply.status).is_final() => {
                    (Outcome::UnusableBody, None, reply.quota_spent)
                }
                Ok(reply) => (
                    Outcome::Status(reply.status),
                    self.rate_headers.ordered_wait(reply.status, &reply.headers),
                    reply.quota_spent,
                ),
                Err(failure) => (failure.outcome(), None, false),
            };
            let failed = Failed {
                outcome,
                repeatable: request.repeatable,
                attempt,
                waited,
                ordered,
                quota_spent,
            };
            let Decision::RetryAfter(wait) = decide(request.policy, &failed, fastrand::f64())
            else {
                return result
                    .map(|reply| Reply {
                        ask_again: ask_again(ordered),
                        ..reply
                    })
                    .map_err(|failure| self.error(failure, request.call(attempt)));
            };
            debug!(
                request = %request.call(attempt),
                ?outcome,
                attempt,
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "A request did not succeed and is sent again",
            );
            metrics::api_retry(self.pacer.api());
            if outcome.is_rate_limit() {
                // Everyone waits; this request waits with them, at the pacer.
                self.pacer.hold(wait);
            } else {
                self.pacer.back_off(wait).await;
            }
            waited += wait;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        request: &Request<'_>,
        attempt: u32,
        slot: Slot,
    ) -> Result<Reply, Failure> {
        let mut sent = self
            .connection
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone());
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let exchange = async {
            let mut response = sent.send().await.map_err(Failure::transport)?;
            // Answered: the server has counted the request by now.
            drop(slot);
            let status = response.status().as_u16();
            self.pacer
                .observe(self.rate_headers.announced(response.headers()));
            self.memory.take(self.rate_headers, response.headers());
            let (body, damaged) = if (200..300).contains(&status) {
                let body = self.read_success(&mut response, request).await?;
                (body, false)
            } else {
                read_refusal(&mut response).await
            };
            let headers = std::mem::take(response.headers_mut());
            Ok(Reply {
                call: request.call(attempt),
                status,
                quota_spent: is_daily_quota_spent(status, &headers),
                headers,
                body,
                ask_again: None,
                damaged,
            })
        };
        timeout(self.deadline, exchange)
            .await
            .unwrap_or(Err(Failure::TimedOut))
    }

    async fn read_success(
        &self,
        response: &mut reqwest::Response,
        request: &Request<'_>,
    ) -> Result<Option<Value>, Failure> {
        if request.expect == Expect::Success {
            return Ok(read_leniently(response, self.body_cap).await);
        }
        let status = response.status().as_u16();
        let problem = match body::read(response, self.body_cap).await {
            Ok(body) => match request.parse(&body) {
                Ok(value) => return Ok(Some(value)),
                Err(error) if error.is_eof() && !body.is_empty() => BodyProblem::CutShort,
                Err(_) => BodyProblem::NotJson,
            },
            Err(Unread::CutShort) => BodyProblem::CutShort,
            Err(Unread::TooLarge) => BodyProblem::TooLarge(self.body_cap),
        };
        Err(Failure::Body(status, problem))
    }

    fn error(&self, failure: Failure, call: Call) -> HttpError {
        match failure {
            Failure::Transport(outcome, source) => match outcome {
                Outcome::NotTrusted => HttpError::NotTrusted { call, source },
                Outcome::NotConnected if source.is_dns() => HttpError::NoSuchHost { call, source },
                Outcome::NotConnected => HttpError::NotConnected { call, source },
                _ => HttpError::Interrupted { call, source },
            },
            Failure::TimedOut => HttpError::TimedOut {
                call,
                within: self.deadline,
            },
            Failure::Body(status, problem) => HttpError::Body {
                call,
                status,
                problem,
            },
        }
    }
}

/// What the metrics call it.
fn measured(result: &Result<Reply, Failure>) -> ApiOutcome {
    match result {
        Ok(reply) => ApiOutcome::Status(reply.status),
        Err(Failure::TimedOut) => ApiOutcome::TimedOut,
        Err(Failure::Body(..)) => ApiOutcome::UnusableBody,
        Err(Failure::Transport(Outcome::NotConnected, _)) => ApiOutcome::NotConnected,
        Err(Failure::Transport(Outcome::NotTrusted, _)) => ApiOutcome::NotTrusted,
        Err(Failure::Transport(..)) => ApiOutcome::Interrupted,
    }
}

/// What an answer other than 2xx says, and whether the rest of it got lost.
async fn read_refusal(response: &mut reqwest::Response) -> (Option<Value>, bool) {
    match body::read(response, ERROR_BODY_CAP).await {
        Ok(body) => match serde_json::from_slice(&body) {
            Ok(value) => (Some(value), false),
            Err(error) => (None, error.is_eof() && !body.is_empty()),
        },
        Err(Unread::CutShort) => (None, true),
        Err(Unread::TooLarge) => (None, false),
    }
}

/// The body of an answer whose status already says what counts.
async fn read_leniently(response: &mut reqwest::Response, cap: usize) -> Option<Value> {
    let body = body::read(response, cap).await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn ask_again(ordered: Option<Duration>) -> Option<Timestamp> {
    Timestamp::now().checked_add(ordered?).ok()
}

impl Failure {
    fn transport(error: reqwest::Error) -> Self {
        let outcome = if is_about_trust(&error) {
            Outcome::NotTrusted
        } else if error.is_connect() {
            Outcome::NotConnected
        } else {
            Outcome::Interrupted
        };
        // The address is said by the error around it, without its query.
        Self::Transport(outcome, error.without_url())
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Transport(outcome, _) => *outcome,
            Self::TimedOut => Outcome::TimedOut,
            Self::Body(_, BodyProblem::TooLarge(_)) => Outcome::TooLarge,
            Self::Body(..) => Outcome::UnusableBody,
        }
    }
}

/// Whether the server's certificate was refused. Other trouble in TLS may pass.
fn is_about_trust(error: &(dyn StdError + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    // An I/O error leaves what it wraps out of its chain.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => is_about_trust(wrapped),
        None => error.source().is_some_and(is_about_trust),
    }
}

#[cfg(test)]
mod tests;
