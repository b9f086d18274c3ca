//! A Port account: blueprints, entities, and the integrations that write them.
//!
//! It starts empty, as a new account does, and refuses what Port refuses:
//! values that do not fit the blueprint's schema, relations that it does not
//! have, related entities that do not exist, identifiers with characters that
//! are not allowed, requests that are too large. What Port computes by itself
//! (calculation, mirror and aggregation properties) is stored and never
//! computed; nobody writes it, so nobody compares it.

mod access;
mod blueprints;
mod deletion;
mod entities;
mod integration;
mod schema;
mod search;
mod searches;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use self::entities::Stored;
use self::integration::Integration;
use self::schema::Blueprint;
use super::chassis::remote::done;
use super::chassis::{RateLimit, Reply, Request, Simulator, Usage, World};
use super::clock::Clock;

/// The client that may log in to the sandbox's account.
pub const CLIENT_ID: &str = "sandbox-port-client-2b7e91d4c08f";
pub const CLIENT_SECRET: &str = "sandbox-port-secret-6a94e0d3f1b75c28e7fd";

/// The account's user in Port's Kafka.
pub const KAFKA_USERNAME: &str = "sandbox-kafka-user-5c1d80f7";
pub const KAFKA_PASSWORD: &str = "sandbox-kafka-password-93be0a47d25f6c18";

/// How long a token is good for unless a test says otherwise.
const TOKEN_LIFETIME: Duration = Duration::from_hours(3);

/// What any request body may hold at most.
const BODY_LIMIT: usize = 1024 * 1024;

/// One bucket for the whole organisation.
pub(super) const RATE_LIMIT: RateLimit = RateLimit {
    requests: 1000,
    window: Duration::from_mins(1),
    rolling: false,
    enforced: false,
};

/// Port, simulated.
pub type PortSimulator = Simulator<Port>;

pub struct Port {
    clock: Clock,
    url: Url,
    client_id: String,
    client_secret: String,
    token_lifetime: Duration,
    /// The tokens handed out, and until when each is good.
    tokens: BTreeMap<String, Timestamp>,
    organization: Value,
    provisioned_types: Vec<String>,
    integrations: BTreeMap<String, Integration>,
    blueprints: BTreeMap<String, Arc<Blueprint>>,
    /// By blueprint and identifier.
    entities: BTreeMap<String, BTreeMap<String, Stored>>,
    /// Actions, scorecards and pages, by what they are and their identifier.
    resources: BTreeMap<(&'static str, String), Value>,
    /// What was sent to the ingest routes: the route and the body.
    ingested: Vec<(String, Value)>,
    requests: u64,
}

/// Why Port refuses something.
#[derive(Clone, Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, "invalid_request", message)
    }

    fn not_found(what: &str, identifier: &str) -> Self {
        let message = format!("{what} with identifier \"{identifier}\" was not found");
        Self::new(404, "not_found", message)
    }

    fn reply(&self) -> Reply {
        Reply::json(
            self.status,
            &json!({"ok": false, "error": self.code, "message": self.message}),
        )
    }
}

type Answered = Result<Reply, Refusal>;

impl Port {
    pub(super) fn new(clock: Clock, url: &Url) -> Self {
        Self {
            clock,
            url: url.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            token_lifetime: TOKEN_LIFETIME,
            tokens: BTreeMap::new(),
            organization: json!({
                "id": "org_sandbox", "name": "Sandbox", "featureFlags": [],
            }),
            provisioned_types: Vec::new(),
            integrations: BTreeMap::new(),
            blueprints: BTreeMap::new(),
            entities: BTreeMap::new(),
            resources: BTreeMap::new(),
            ingested: Vec::new(),
            requests: 0,
        }
    }

    fn log_in(&mut self, request: &Request) -> Answered {
        let body = object(request)?;
        let given = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        if given("clientId") != self.client_id || given("clientSecret") != self.client_secret {
            return Err(Refusal::new(
                401,
                "invalid_credentials",
                "The client id and secret do not belong together",
            ));
        }
        let number = self.tokens.len() + 1;
        let token = format!("sandbox-port-token-{number:04}-{:x}", fastrand::u64(..));
        let now = self.clock.now();
        let until = now.saturating_add(self.token_lifetime).unwrap_or(now);
        self.tokens.insert(token.clone(), until);
        Ok(Reply::json(
            200,
            &json!({
                "ok": true, "accessToken": token,
                "expiresIn": self.token_lifetime.as_secs(), "tokenType": "Bearer",
            }),
        ))
    }

    fn authorize(&self, request: &Request) -> Result<(), Refusal> {
        let now = self.clock.now();
        request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| self.tokens.get(token))
            .filter(|&&until| now < until)
            .map(|_| ())
            .ok_or_else(|| Refusal::new(401, "unauthorized", "The token is missing or not valid"))
    }

    fn route(&mut self, request: &Request) -> Answered {
        if request.body.len() > BODY_LIMIT {
            return Err(Refusal::new(413, "payload_too_large", "The limit is 1 MiB"));
        }
        let (method, segments) = request.route();
        if (method, segments.as_slice()) == ("POST", &["v1", "auth", "access_token"]) {
            return self.log_in(request);
        }
        self.authorize(request)?;
        match segments.as_slice() {
            ["v1", "organization"] if method == "GET" => {
                Ok(ok("organization", self.organization.clone()))
            }
            ["v1", "kafka-credentials"] if method == "GET" => Ok(ok(
                "credentials",
                json!({"username": KAFKA_USERNAME, "password": KAFKA_PASSWORD}),
            )),
            ["v1", "integration", rest @ ..] => self.integration_route(method, rest, request),
            ["ingest", rest @ ..] => self.ingest(method, rest, request),
            ["v1", "blueprints", rest @ ..] => self.blueprint_route(method, rest, request),
            ["v1", "entities", "search"] if method == "POST" => self.search(request),
            ["v1", "actions"] if method == "POST" => self.create_resource("action", request),
            ["v1", "pages"] if method == "POST" => self.create_resource("page", request),
            _ => Err(no_route()),
        }
    }

    fn blueprint_route(&mut self, method: &str, rest: &[&str], request: &Request) -> Answered {
        match (method, rest) {
            ("GET", []) => Ok(ok(
                "blueprints",
                self.blueprints
                    .values()
                    .map(|blueprint| blueprint.raw.clone())
                    .collect::<Value>(),
            )),
            ("POST", []) => self.create_blueprint(request),
            ("POST", ["entities", "datasource-entities"]) => self.datasource_entities(request),
            ("GET", [id]) => Ok(ok("blueprint", self.blueprint(id)?.raw.clone())),
            ("PUT", [id]) => self.change_blueprint(id, request, false),
            ("PATCH", [id]) => self.change_blueprint(id, request, true),
            ("DELETE", [id]) => self.delete_blueprint(id),
            ("POST", [id, "scorecards"]) => {
                self.blueprint(id)?;
                self.create_resource("scorecard", request)
            }
            ("POST", [id, "actions"]) => {
                self.blueprint(id)?;
                self.create_resource("action", request)
            }
            ("POST", [id, "entities"]) => self.upsert_one(id, request),
            ("POST", [id, "entities", "bulk"]) => self.upsert_many(id, request),
            ("POST", [id, "entities", "search"]) => self.search_blueprint(id, request),
            ("GET", [id, "entities", entity]) => {
                self.blueprint(id)?;
                let stored = self.stored(id, entity)?;
                Ok(ok("entity", self.shown(id, entity, stored)))
            }
            ("GET", [id, "entities-count"]) => {
                self.blueprint(id)?;
                Ok(ok("count", self.entities.get(*id).map_or(0, BTreeMap::len)))
            }
            ("DELETE", [id, "entities", entity]) => self.delete_one(id, entity, request),
            ("POST", [id, "bulk", "entities", "delete"]) => self.delete_many(id, request),
            _ => Err(no_route()),
        }
    }

    /// Actions, scorecards and pages are kept, and otherwise left alone.
    fn create_resource(&mut self, what: &'static str, request: &Request) -> Answered {
        let body = object(request)?;
        let identifier = required_text(&body, "identifier")?.to_owned();
        let key = (what, identifier);
        if self.resources.contains_key(&key) {
            let message = format!("There is a {what} \"{}\" already", key.1);
            return Err(Refusal::new(409, "conflict", message));
        }
        let body = Value::Object(body);
        self.resources.insert(key, body.clone());
        let reply = json!({"ok": true, (what): body});
        Ok(Reply::json(201, &reply))
    }
}

impl World for Port {
    const NAME: &'static str = "Port";

    fn answer(&mut self, request: &Request) -> Reply {
        self.requests += 1;
        match self.route(request) {
            Ok(reply) => reply,
            Err(refusal) if refusal.code == NO_ROUTE => Refusal {
                code: "not_found",
                ..refusal
            }
            .reply()
            .unexpected(),
            Err(refusal) => refusal.reply(),
        }
    }

    fn refusal(&self, status: u16, text: &str) -> Reply {
        let code = match status {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            413 => "payload_too_large",
            422 => "invalid_request",
            429 => "too_many_requests",
            _ => "internal_error",
        };
        Refusal::new(status, code, text).reply()
    }

    fn control(&mut self, method: &str, path: &[&str], _body: Option<Value>) -> Option<Reply> {
        match (method, path) {
            ("GET", ["entities", blueprint]) if self.blueprints.contains_key(*blueprint) => {
                Some(Reply::json(200, &json!(self.all_shown(blueprint))))
            }
            ("POST", ["resync-request"]) => {
                self.request_resync();
                Some(done())
            }
            _ => None,
        }
    }

    fn bucket(&self, request: &Request) -> Option<String> {
        // What is ingested goes elsewhere and is not counted.
        (!request.path.starts_with("/ingest/")).then(|| "organisation".to_owned())
    }

    fn over_limit(&self, _usage: &Usage) -> Reply {
        self.refusal(429, "Too many requests")
    }

    fn finish(&self, reply: &mut Reply, usage: Option<&Usage>) {
        reply
            .headers
            .push(("x-trace-id".to_owned(), format!("{:032x}", self.requests)));
        if let Some(usage) = usage {
            // The reset is an instant here, in seconds of the epoch.
            let now = self.clock.now();
            let reset = now.saturating_add(usage.reset).unwrap_or(now).as_second() + 1;
            for (name, value) in [
                ("x-ratelimit-limit", usage.limit.to_string()),
                ("x-ratelimit-remaining", usage.remaining.to_string()),
                ("x-ratelimit-reset", reset.to_string()),
                ("x-ratelimit-period", usage.window.as_secs().to_string()),
            ] {
                reply.headers.push((name.to_owned(), value));
            }
        }
    }
}

/// Marks a refusal as one for a route that does not exist; never sent.
const NO_ROUTE: &str = "no_route";

fn no_route() -> Refusal {
    Refusal::new(404, NO_ROUTE, "There is no such route")
}

fn ok(key: &str, value: impl Into<Value>) -> Reply {
    let value = value.into();
    Reply::json(200, &json!({"ok": true, (key): value}))
}

/// The body, which has to be an object.
fn object(request: &Request) -> Result<Map<String, Value>, Refusal> {
    match request.json() {
        Some(Value::Object(body)) => Ok(body),
        _ => Err(Refusal::invalid("The body must be an object")),
    }
}

fn required_text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    body.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::invalid(format!("body must have the string \"{key}\"")))
}

/// Refuses keys that a body must not have.
fn known_keys(body: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refusal::invalid(format!("body must not have \"{key}\""))),
        None => Ok(()),
    }
}

/// A boolean query parameter.
fn flag(request: &Request, name: &str) -> Result<bool, Refusal> {
    match request.parameter(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::invalid(format!(
            "querystring {name} must be boolean"
        ))),
    }
}
