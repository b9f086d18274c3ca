//! Answers that go wrong: scripted by a test, or sprinkled over a whole run.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

use super::{Gate, RecordedRequest, Reply, Request, World};

/// Out of a thousand requests, so many meet a fault.
const FAULTS_PER_MILLE: u64 = 60;

/// A request and its repetitions meet at most this many faults in a row, so
/// that a client which tries four times always gets through.
const IN_A_ROW: u32 = 2;

/// Which requests something applies to.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    method: Option<String>,
    path: Option<String>,
    query: Vec<(String, String)>,
    body: Option<String>,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of one method whose path matches; `*` stands for any run of characters.
    pub fn new(method: &str, path: &str) -> Self {
        let method = Some(method.to_ascii_uppercase());
        Self {
            method,
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Only requests of this method.
    #[must_use]
    pub fn with_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub fn patch(path: &str) -> Self {
        Self::new("PATCH", path)
    }

    pub fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    /// Requests of any method whose path matches.
    pub fn path(path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Only requests that have this query parameter with this value.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Only requests whose body contains this text.
    #[must_use]
    pub fn with_body(mut self, text: &str) -> Self {
        self.body = Some(text.to_owned());
        self
    }

    pub fn matches(&self, request: &Request) -> bool {
        self.fits(&request.method, &request.path, &request.query)
            && self
                .body
                .as_ref()
                .is_none_or(|text| String::from_utf8_lossy(&request.body).contains(text.as_str()))
    }

    /// The same for a request of the past, as far as its body was recorded.
    pub fn matches_recorded(&self, request: &RecordedRequest) -> bool {
        self.fits(&request.method, &request.path, &request.query)
            && self.body.as_ref().is_none_or(|text| {
                request
                    .body
                    .as_deref()
                    .is_some_and(|body| body.contains(text.as_str()))
            })
    }

    fn fits(&self, method: &str, path: &str, query: &[(String, String)]) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.path.as_ref().is_none_or(|pattern| glob(pattern, path))
            && self.query.iter().all(|wanted| query.contains(wanted))
    }
}

/// Whether a text matches a pattern in which `*` stands for any run of characters.
pub(in super::super) fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// What a request that meets a fault gets instead of, or along with, the real answer.
#[derive(Clone, Debug)]
pub struct Answer {
    shape: Shape,
    headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) gate: Option<Gate>,
}

#[derive(Clone, Debug)]
enum Shape {
    Real,
    Status(u16),
    Body(u16, &'static str, Bytes),
    Damaged(Damage),
}

/// What happens to a reply on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Nothing arrives and nothing was done.
    Cut,
    /// The connection ends in the middle of the body.
    CutMidBody,
    /// Correct HTTP around half a body.
    Truncated,
}

impl Answer {
    fn of(shape: Shape) -> Self {
        Self {
            shape,
            headers: Vec::new(),
            delay: Duration::ZERO,
            gate: None,
        }
    }

    /// The real answer; useful with [`Answer::after`].
    pub fn real() -> Self {
        Self::of(Shape::Real)
    }

    /// An error in the vendor's own shape; the request is not carried out.
    pub fn status(status: u16) -> Self {
        Self::of(Shape::Status(status))
    }

    /// This JSON; the request is not carried out.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::of(Shape::Body(
            status,
            "application/json",
            body.to_string().into(),
        ))
    }

    /// This body; the request is not carried out.
    pub fn body(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::of(Shape::Body(status, content_type, body.into()))
    }

    /// A proxy's error page; the request is not carried out.
    pub fn html(status: u16) -> Self {
        const PAGE: &str = "<!DOCTYPE html><html><head><title>Please stand by</title></head>\
                            <body><h1>We will be right back</h1></body></html>";
        Self::body(status, "text/html; charset=utf-8", PAGE)
    }

    /// The connection ends without a word; the request is not carried out.
    pub fn cut() -> Self {
        Self::of(Shape::Damaged(Damage::Cut))
    }

    /// The request is carried out, but the connection ends in the middle of the reply.
    pub fn cut_mid_body() -> Self {
        Self::of(Shape::Damaged(Damage::CutMidBody))
    }

    /// The request is carried out; half of the reply arrives and looks complete to HTTP.
    pub fn truncated() -> Self {
        Self::of(Shape::Damaged(Damage::Truncated))
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Waits before the request is carried out.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Carries the request out, and holds the reply back until the gate is open.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The reply, when it does not come from the world.
    pub(super) fn reply(&self, world: &impl World) -> Option<Reply> {
        let mut reply = match &self.shape {
            Shape::Real | Shape::Damaged(_) => return None,
            Shape::Status(status) => world.refusal(*status, "The sandbox was told to fail here"),
            Shape::Body(status, kind, body) => Reply::text(*status, kind, body.clone()),
        };
        reply.headers.extend(self.headers.iter().cloned());
        Some(reply)
    }

    pub(super) fn damage(&self) -> Option<Damage> {
        match self.shape {
            Shape::Damaged(damage) => Some(damage),
            _ => None,
        }
    }
}

/// The faults that a test asked for, used up in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Script(Vec<(Matcher, Answer, usize)>);

impl Script {
    pub(super) fn add(&mut self, matcher: Matcher, answer: Answer, times: usize) {
        self.0.push((matcher, answer, times));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn take(&mut self, request: &Request) -> Option<Answer> {
        let (_, answer, left) = self
            .0
            .iter_mut()
            .find(|(matcher, _, left)| *left > 0 && matcher.matches(request))?;
        *left -= 1;
        Some(answer.clone())
    }
}

/// Faults all over the place, but the same ones for the same seed: whether the
/// n-th request to a path fails depends on nothing but the seed, the path and n.
#[derive(Default)]
pub(super) struct RandomFaults {
    seed: Option<u64>,
    asked: HashMap<(String, String), u64>,
    in_a_row: HashMap<u64, u32>,
}

impl RandomFaults {
    pub(super) fn set(&mut self, seed: Option<u64>) {
        *self = Self {
            seed,
            ..Self::default()
        };
    }

    pub(super) fn pick(&mut self, request: &Request) -> Option<Answer> {
        let seed = self.seed?;
        let route = (request.method.clone(), request.path.clone());
        let asked = self.asked.entry(route).or_default();
        *asked += 1;
        let same = hash(&(
            &request.method,
            &request.path,
            &request.query,
            &request.body,
        ));
        let in_a_row = self.in_a_row.get(&same).copied().unwrap_or_default();
        let draw = hash(&(seed, &request.method, &request.path, *asked));
        let fails = draw % 1000 < FAULTS_PER_MILLE && in_a_row < IN_A_ROW;
        if !fails {
            self.in_a_row.remove(&same);
            return None;
        }
        self.in_a_row.insert(same, in_a_row + 1);
        Some(fault(draw / 1000, may_be_repeated(request)))
    }
}

/// A client may not know whether a request that creates something was carried
/// out, so it does not repeat it; it is only ever told to come back later.
fn may_be_repeated(request: &Request) -> bool {
    const SAFE_POSTS: [&str; 6] = [
        "/auth/access_token",
        "/entities",
        "/entities/bulk",
        "/search",
        "/datasource-entities",
        "/entities/delete",
    ];
    match request.method.as_str() {
        "POST" => {
            SAFE_POSTS.iter().any(|end| request.path.ends_with(end))
                || request.path.starts_with("/analytics/")
        }
        "PATCH" => false,
        _ => true,
    }
}

fn fault(draw: u64, may_be_repeated: bool) -> Answer {
    if !may_be_repeated {
        return Answer::status(429).with_header(
            "retry-after",
            if draw.is_multiple_of(2) { "0" } else { "1" },
        );
    }
    match draw % 9 {
        0 => Answer::status(500),
        1 => Answer::status(502),
        2 => Answer::status(503),
        3 => Answer::status(429).with_header("retry-after", "0"),
        4 => Answer::status(429).with_header("retry-after", "1"),
        5 => Answer::cut(),
        6 => Answer::cut_mid_body(),
        7 => Answer::html(if draw.is_multiple_of(2) { 502 } else { 200 }),
        _ if draw.is_multiple_of(2) => Answer::truncated(),
        _ => Answer::real().after(Duration::from_millis(150 + draw % 600)),
    }
}

/// The standard hasher with its fixed keys: the same in every process.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(glob("/services", "/services"));
        assert!(!glob("/services", "/services/P1"));
        assert!(glob("/services*", "/services/P1/x"));
        assert!(glob("/v1/pages/*/incidents", "/v1/pages/abc/incidents"));
        assert!(!glob("/v1/pages/*/incidents", "/v1/pages/abc/incidents/i1"));
        assert!(glob("*/entities/*", "/v1/blueprints/b/entities/bulk"));
    }
}
