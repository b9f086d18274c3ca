//! What a simulator was asked, in the order of arrival.
//!
//! Kept for tests and for the sandbox's own summary, and bounded, since a
//! sandbox may run for days. Credentials never get in.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Request;

/// How many requests are remembered; the oldest are forgotten first.
const REQUESTS: usize = 100_000;

/// How many bytes of bodies are remembered in all. Beyond it the oldest bodies
/// are forgotten, their requests are not.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// Headers and parameters whose values are credentials.
const SECRET_NAMES: [&str; 4] = ["authorization", "api_key", "cookie", "proxy-authorization"];

/// A request that a simulator got, and what became of it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// Grows by one with every request of this simulator.
    pub number: u64,
    pub at: Timestamp,
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Stands for the credential that it was sent with: two with the same number had
    /// the same one.
    pub sender: u64,
    /// Names in lower case; the values of credentials are replaced.
    pub headers: Vec<(String, String)>,
    /// The body of a request that writes; logins excepted.
    pub body: Option<Arc<str>>,
    /// The length of the body, recorded or not.
    pub body_bytes: usize,
    /// What was answered; `None` while that is pending or when the connection was cut.
    pub status: Option<u16>,
    /// When it was answered or its connection cut.
    pub answered: Option<Timestamp>,
    /// The vendor has no such route, or a test forbade this request.
    pub unexpected: bool,
    /// The reply was damaged by a fault.
    pub damaged: bool,
}

impl RecordedRequest {
    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.as_str()))
    }

    /// The recorded body as JSON; `null` when there is none.
    pub fn json(&self) -> Value {
        self.body
            .as_deref()
            .and_then(|body| serde_json::from_str(body).ok())
            .unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct RequestLog {
    next: u64,
    requests: VecDeque<RecordedRequest>,
    body_bytes: usize,
    /// Requests up to this number have had their bodies forgotten.
    forgotten: u64,
}

impl RequestLog {
    pub(super) fn arrived(&mut self, request: &Request) -> u64 {
        let number = self.next;
        self.next += 1;
        let body = worth_keeping(request)
            .then(|| Arc::<str>::from(String::from_utf8_lossy(&request.body).as_ref()));
        self.body_bytes += body.as_ref().map_or(0, |body| body.len());
        self.requests.push_back(RecordedRequest {
            number,
            at: Timestamp::now(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: hide(&request.query),
            sender: sender(request),
            headers: hide(&request.headers),
            body,
            body_bytes: request.body.len(),
            status: None,
            answered: None,
            unexpected: false,
            damaged: false,
        });
        self.trim();
        number
    }

    pub(super) fn answered(
        &mut self,
        number: u64,
        status: Option<u16>,
        unexpected: bool,
        damaged: bool,
    ) {
        // Gone when the log was cleared meanwhile.
        if let Some(request) = self.find(number) {
            request.status = status;
            request.answered = Some(Timestamp::now());
            request.unexpected = unexpected;
            request.damaged = damaged;
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.requests.iter()
    }

    /// Forgets everything; numbering goes on.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
        self.body_bytes = 0;
        self.forgotten = self.next;
    }

    fn find(&mut self, number: u64) -> Option<&mut RecordedRequest> {
        let first = self.requests.front()?.number;
        let position = usize::try_from(number.checked_sub(first)?).ok()?;
        self.requests.get_mut(position)
    }

    fn trim(&mut self) {
        while self.requests.len() > REQUESTS {
            if let Some(body) = self.requests.pop_front().and_then(|request| request.body) {
                self.body_bytes -= body.len();
            }
        }
        while self.body_bytes > BODY_BYTES && self.forgotten < self.next {
            let number = self.forgotten;
            self.forgotten += 1;
            if let Some(body) = self.find(number).and_then(|request| request.body.take()) {
                self.body_bytes -= body.len();
            }
        }
    }
}

fn worth_keeping(request: &Request) -> bool {
    request.method != "GET"
        && !request.body.is_empty()
        && !request.path.ends_with("/auth/access_token")
}

fn sender(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.header("authorization").hash(&mut hasher);
    hasher.finish()
}

fn hide(pairs: &[(String, String)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| {
            let secret = SECRET_NAMES
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            let value = if secret { "[hidden]" } else { value };
            (name.clone(), value.to_owned())
        })
        .collect()
}
