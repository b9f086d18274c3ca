//! A PagerDuty account: services, incidents, on-calls and who they belong to.
//!
//! Faithful in what trips clients up: without `include[]` there are only
//! references, without a range or `date_range=all` only incidents of the last
//! month, no page may reach beyond the 10,000th object, a permanent on-call
//! has neither schedule nor start nor end, and `total` is null unless asked for.
//! What triggered an incident may be too large for it, and is then only shown
//! by its log entry when the channels are asked for.

mod access;
mod analytics;
mod course;
mod expand;
mod lists;
mod parameters;
mod subscriptions;
#[cfg(test)]
mod tests;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::chassis::{RateLimit, Reply, Request, Simulator, Usage, World};
use super::clock::Clock;
use super::objects;
use super::table::{Facts, Row, Table, array, instant_at, text_at};

use self::subscriptions::Subscriptions;

pub use self::course::AssignedVia;

/// The token that opens the sandbox's account, as `Token token=` or `Bearer`.
pub const TOKEN: &str = "sandbox-pagerduty-token-8d51f0c2e7a94b36";

/// 960 requests a minute, counted per token and minute.
pub(super) const RATE_LIMIT: RateLimit = RateLimit {
    requests: 960,
    window: Duration::from_mins(1),
    rolling: false,
    enforced: false,
};

/// What one analytics token may ask for in a day, when that is limited.
const DAILY_QUOTA: u32 = 10_000;

/// PagerDuty, simulated. `endpoint` in its methods is the name in the path of
/// the list: `services`, `incidents`, `oncalls`, … A list that the sandbox
/// does not fill comes into being with the first object inserted.
pub type PagerdutySimulator = Simulator<Pagerduty>;

pub struct Pagerduty {
    tokens: BTreeSet<String>,
    clock: Clock,
    tables: BTreeMap<String, Table<Object>>,
    /// Custom field values by endpoint and identifier.
    custom_fields: BTreeMap<(String, String), Vec<Value>>,
    /// Log entries whose channels are too large to be shown unless asked for.
    large_channels: BTreeSet<String>,
    /// What is left of today's analytics quota; `None`: no quota is announced.
    daily_quota: Option<u32>,
    subscriptions: Subscriptions,
    /// How many events were told so far.
    events: u32,
}

/// What listings filter and sort by. One type for all endpoints: a field that
/// an endpoint does not have is empty.
struct Object {
    name: String,
    number: i64,
    status: String,
    urgency: String,
    key: String,
    created: Option<Timestamp>,
    resolved: Option<Timestamp>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    level: i64,
    service: String,
    policy: String,
    schedule: String,
    incident: String,
    teams: Vec<String>,
    users: Vec<String>,
}

impl Facts for Object {
    fn of(object: &Value) -> Self {
        let id_at = |key: &str| text_at(&object[key], "id").to_owned();
        let number_at = |key: &str| object[key].as_i64().unwrap_or_default();
        Self {
            name: text_at(object, "name").to_owned(),
            number: number_at("incident_number"),
            status: text_at(object, "status").to_owned(),
            urgency: text_at(object, "urgency").to_owned(),
            key: text_at(object, "incident_key").to_owned(),
            created: instant_at(object, "created_at"),
            resolved: instant_at(object, "resolved_at"),
            start: instant_at(object, "start"),
            end: instant_at(object, "end"),
            level: number_at("escalation_level"),
            service: id_at("service"),
            policy: id_at("escalation_policy"),
            schedule: id_at("schedule"),
            incident: id_at("incident"),
            teams: ids(&object["teams"]),
            users: users_of(object),
        }
    }
}

fn ids(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|object| text_at(object, "id").to_owned())
        .collect()
}

/// Whoever an object involves: assignees, the person on call, members of a
/// schedule, targets of a policy's rules.
fn users_of(object: &Value) -> Vec<String> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut users = ids(&object["users"]);
    users.extend(
        items(&object["assignments"])
            .iter()
            .map(|one| text_at(&one["assignee"], "id").to_owned()),
    );
    users.extend(object["user"]["id"].as_str().map(str::to_owned));
    for rule in items(&object["escalation_rules"]) {
        users.extend(ids(&rule["targets"]));
    }
    users
}

/// The lists that exist from the start, and what one of their objects is called.
const ENDPOINTS: [(&str, &str); 9] = [
    ("services", "service"),
    ("incidents", "incident"),
    ("schedules", "schedule"),
    ("oncalls", "oncall"),
    ("escalation_policies", "escalation_policy"),
    ("users", "user"),
    ("teams", "team"),
    ("priorities", "priority"),
    ("log_entries", "log_entry"),
];

impl Pagerduty {
    pub(super) fn new(clock: Clock) -> Self {
        let tables = ENDPOINTS.map(|(endpoint, _)| (endpoint.to_owned(), Table::default()));
        Self {
            tokens: BTreeSet::from([TOKEN.to_owned()]),
            clock,
            tables: tables.into(),
            custom_fields: BTreeMap::new(),
            large_channels: BTreeSet::new(),
            daily_quota: None,
            subscriptions: Subscriptions::default(),
            events: 0,
        }
    }

    /// Inserts an object, or replaces the one with its `id`.
    pub(super) fn insert(&mut self, endpoint: &str, object: &Value) {
        self.tables
            .entry(endpoint.to_owned())
            .or_default()
            .insert(object);
    }

    /// Changes an object in place; false when there is none.
    pub(super) fn update(
        &mut self,
        endpoint: &str,
        id: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        self.tables
            .get_mut(endpoint)
            .is_some_and(|table| table.update(id, change))
    }

    pub(super) fn set_custom_fields(&mut self, endpoint: &str, id: &str, values: Vec<Value>) {
        self.custom_fields
            .insert((endpoint.to_owned(), id.to_owned()), values);
    }

    fn rows(&self, endpoint: &str) -> impl Iterator<Item = &Row<Object>> {
        self.tables.get(endpoint).into_iter().flat_map(Table::rows)
    }

    fn row(&self, endpoint: &str, id: &str) -> Result<&Row<Object>, Reply> {
        let row = self.tables.get(endpoint).and_then(|table| table.row(id));
        row.ok_or_else(|| error(404, 2100, "Not Found", &[]))
    }

    fn route(&mut self, request: &Request) -> Result<Reply, Reply> {
        let authorized = token(request).is_some_and(|token| self.tokens.contains(token));
        if !authorized {
            return Err(error(401, 2006, "Authorization required", &[]));
        }
        let (method, segments) = request.route();
        match (method, segments.as_slice()) {
            ("GET", ["analytics", "raw", "incidents", id]) => {
                self.spend_quota()?;
                self.raw_incident(id)
            }
            ("POST", ["analytics", "metrics", "incidents", "services"]) => {
                self.spend_quota()?;
                self.service_metrics(request)
            }
            ("POST", ["analytics", "raw", "incidents"]) => {
                self.spend_quota()?;
                self.raw_incidents(request)
            }
            (_, ["webhook_subscriptions", rest @ ..]) => self.subscriptions_route(request, rest),
            ("GET", [endpoint]) if self.tables.contains_key(*endpoint) => {
                self.list(endpoint, request)
            }
            ("GET", [endpoint, id]) if singular(endpoint).is_some() => {
                self.single(endpoint, id, request)
            }
            ("GET", ["incidents", id, "log_entries"]) => self.log_of_incident(id, request),
            (
                "GET",
                [
                    endpoint @ ("services" | "incidents"),
                    id,
                    "custom_fields",
                    "values",
                ],
            ) => {
                self.row(endpoint, id)?;
                let key = ((*endpoint).to_owned(), (*id).to_owned());
                let values = self.custom_fields.get(&key).cloned().unwrap_or_default();
                Ok(Reply::json(200, &json!({"custom_fields": values})))
            }
            _ => Err(error(404, 2100, "Not Found", &[]).unexpected()),
        }
    }

    fn single(&self, endpoint: &str, id: &str, request: &Request) -> Result<Reply, Reply> {
        let row = self.row(endpoint, id)?;
        let text = self.rendered(endpoint, row, &request.parameters("include[]"));
        let name = singular(endpoint).unwrap_or(endpoint);
        Ok(Reply::raw_json(200, format!("{{\"{name}\":{text}}}")))
    }

    fn spend_quota(&mut self) -> Result<(), Reply> {
        match &mut self.daily_quota {
            Some(0) => Err(error(429, 2020, "Rate Limit Exceeded", &[])),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn singular(endpoint: &str) -> Option<&'static str> {
    let (_, name) = ENDPOINTS.iter().find(|(name, _)| *name == endpoint)?;
    // An on-call has no identifier, and priorities are only listed.
    (!["oncall", "priority"].contains(name)).then_some(*name)
}

impl World for Pagerduty {
    const NAME: &'static str = "PagerDuty";

    fn answer(&mut self, request: &Request) -> Reply {
        let analytics = request.path.starts_with("/analytics/");
        let reply = self.route(request).unwrap_or_else(|refusal| refusal);
        match self.daily_quota {
            Some(left) if analytics => reply
                .with_header("daily-ratelimit-limit", &DAILY_QUOTA.to_string())
                .with_header("daily-ratelimit-remaining", &left.to_string())
                .with_header("daily-ratelimit-reset", "43200"),
            _ => reply,
        }
    }

    fn refusal(&self, status: u16, text: &str) -> Reply {
        let (code, message) = match status {
            400 => (2001, "Invalid Input Provided"),
            401 => (2006, "Authorization required"),
            403 => (2010, "Access Denied"),
            404 => (2100, "Not Found"),
            429 => (2020, "Rate Limit Exceeded"),
            _ => (5001, "Internal Server Error"),
        };
        error(status, code, message, &[text])
    }

    fn control(&mut self, method: &str, path: &[&str], body: Option<Value>) -> Option<Reply> {
        let ["objects", endpoint, rest @ ..] = path else {
            return None;
        };
        objects::control(self.tables.get_mut(*endpoint)?, method, rest, body)
    }

    fn bucket(&self, request: &Request) -> Option<String> {
        token(request).map(str::to_owned)
    }

    fn over_limit(&self, _usage: &Usage) -> Reply {
        error(429, 2020, "Rate Limit Exceeded", &[])
    }

    fn finish(&self, reply: &mut Reply, usage: Option<&Usage>) {
        if let Some(usage) = usage {
            // Seconds until the reset, never an instant.
            let reset = usage.reset.as_secs_f64().ceil();
            for (name, value) in [
                ("ratelimit-limit", usage.limit.to_string()),
                ("ratelimit-remaining", usage.remaining.to_string()),
                ("ratelimit-reset", format!("{reset:.0}")),
            ] {
                reply.headers.push((name.to_owned(), value));
            }
        }
    }
}

/// The token, however it was sent.
fn token(request: &Request) -> Option<&str> {
    let header = request.header("authorization")?;
    header
        .strip_prefix("Token token=")
        .or_else(|| header.strip_prefix("Bearer "))
        .map(str::trim)
}

fn error(status: u16, code: u32, message: &str, details: &[&str]) -> Reply {
    let mut error = json!({"message": message, "code": code});
    if !details.is_empty() {
        error["errors"] = json!(details);
    }
    Reply::json(status, &json!({"error": error}))
}

fn invalid(what: &str) -> Reply {
    error(400, 2001, "Invalid Input Provided", &[what])
}
