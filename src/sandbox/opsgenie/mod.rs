//! An Opsgenie account: alerts, incidents, services, and the teams, schedules
//! and people behind them.
//!
//! Faithful in what trips clients up: no page may reach beyond the 20,000th
//! object, the next page is an address to follow as it is, lists leave out what
//! only the single object shows (an alert's description, a team's members, a
//! schedule's rotations), and a search understands only the fields that there
//! are, spelt as they are. Where it is not known how lenient Opsgenie is with
//! a search, this one is strict: a client's mistake must not pass for an
//! empty list.

mod access;
mod course;
mod lists;
mod parameters;
mod search;
#[cfg(test)]
mod tests;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::chassis::{RateLimit, Reply, Request, Simulator, Usage, World};
use super::clock::Clock;
use super::objects;
use super::table::{Facts, Row, Table, instant_at, text_at};

/// The key that opens the sandbox's account, as `GenieKey`.
pub const API_TOKEN: &str = "5a7d0b16-sandbox-opsgenie-key-93c4e8f21d60";

/// 600 requests a minute, counted per key and domain. What an account really
/// may do depends on its plan and its number of users.
pub(super) const RATE_LIMIT: RateLimit = RateLimit {
    requests: 600,
    window: Duration::from_mins(1),
    rolling: true,
    enforced: false,
};

/// Opsgenie, simulated. `kind` in its methods is the name in the path of the
/// list: `alerts`, `incidents`, `services`, `teams`, `schedules`, `users`.
pub type OpsgenieSimulator = Simulator<Opsgenie>;

pub struct Opsgenie {
    /// What each key may not read.
    keys: BTreeMap<String, BTreeSet<String>>,
    tables: BTreeMap<&'static str, Table<Object>>,
    clock: Clock,
    /// User names of who is on call now, by schedule.
    oncalls: BTreeMap<String, Vec<String>>,
    /// Alerts of incidents, by incident, beside those whose alias says so.
    associated: BTreeMap<String, BTreeSet<String>>,
    /// Where the addresses of further pages point.
    pages_at: String,
    answered: u64,
}

/// What listings filter and sort by. One type for all kinds: a field that a
/// kind does not have is empty.
struct Object {
    /// The message of an alert or incident, the name of anything else.
    name: String,
    username: String,
    tiny_id: i64,
    alias: String,
    status: String,
    priority: String,
    owner: String,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    last_occurred_at: Option<i64>,
    snoozed_until: Option<i64>,
    count: i64,
    is_seen: bool,
    acknowledged: bool,
    snoozed: bool,
}

impl Facts for Object {
    fn of(object: &Value) -> Self {
        let text = |key: &str| text_at(object, key).to_owned();
        let flag = |key: &str| object[key].as_bool().unwrap_or_default();
        let millisecond = |key: &str| instant_at(object, key).map(Timestamp::as_millisecond);
        let names = ["message", "fullName", "name"];
        Self {
            name: names.map(text).concat(),
            username: text("username"),
            tiny_id: text_at(object, "tinyId").parse().unwrap_or_default(),
            alias: text("alias"),
            status: text("status"),
            priority: text("priority"),
            owner: text("owner"),
            created_at: millisecond("createdAt"),
            updated_at: millisecond("updatedAt"),
            last_occurred_at: millisecond("lastOccurredAt"),
            snoozed_until: millisecond("snoozedUntil"),
            count: object["count"].as_i64().unwrap_or_default(),
            is_seen: flag("isSeen"),
            acknowledged: flag("acknowledged"),
            snoozed: flag("snoozed"),
        }
    }
}

/// The lists, and the version of the API that each belongs to.
const KINDS: [(&str, &str); 6] = [
    ("alerts", "v2"),
    ("incidents", "v1"),
    ("services", "v1"),
    ("teams", "v2"),
    ("schedules", "v2"),
    ("users", "v2"),
];

impl Opsgenie {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            keys: BTreeMap::from([(API_TOKEN.to_owned(), BTreeSet::new())]),
            tables: KINDS.map(|(kind, _)| (kind, Table::default())).into(),
            clock,
            oncalls: BTreeMap::new(),
            associated: BTreeMap::new(),
            pages_at: String::new(),
            answered: 0,
        }
    }

    /// From now on further pages are to be had at this address.
    pub(super) fn pages_at(&mut self, url: &Url) {
        url.as_str()
            .trim_end_matches('/')
            .clone_into(&mut self.pages_at);
    }

    /// Inserts an object, or replaces the one with its `id`.
    pub(super) fn insert(&mut self, kind: &str, object: &Value) {
        self.table_mut(kind).insert(object);
    }

    /// Changes an object in place; false when there is none.
    pub(super) fn update(&mut self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.table_mut(kind).update(id, change)
    }

    /// Says who is on call for a schedule now.
    pub(super) fn set_oncalls(&mut self, schedule: &str, usernames: Vec<String>) {
        self.oncalls.insert(schedule.to_owned(), usernames);
    }

    /// Makes an alert one of an incident's, whatever its alias says.
    pub(super) fn associate(&mut self, incident: &str, alert: &str) {
        self.associated
            .entry(incident.to_owned())
            .or_default()
            .insert(alert.to_owned());
    }

    fn table(&self, kind: &str) -> &Table<Object> {
        self.tables
            .get(kind)
            .unwrap_or_else(|| panic!("Opsgenie has no list of {kind}"))
    }

    fn table_mut(&mut self, kind: &str) -> &mut Table<Object> {
        self.tables
            .get_mut(kind)
            .unwrap_or_else(|| panic!("Opsgenie has no list of {kind}"))
    }

    fn route(&self, request: &Request) -> Result<Reply, Reply> {
        let denied = self.authenticate(request)?;
        let (method, mut segments) = request.route();
        // The documented address of the list of incidents ends in a slash.
        if segments.last() == Some(&"") {
            segments.pop();
        }
        let kind = match (method, segments.as_slice()) {
            ("GET", [version, kind, ..]) => KINDS.iter().find(|known| **known == (*kind, *version)),
            _ => None,
        };
        let Some((kind, _)) = kind else {
            return Err(self.error(404, "No handler found").unexpected());
        };
        if denied.contains(*kind) {
            return Err(self.error(403, "You are not authorized to access this resource"));
        }
        match (*kind, &segments[2..]) {
            (_, []) => self.list(kind, request),
            ("alerts", ["count"]) => self.count_alerts(request),
            ("schedules", ["on-calls"]) => self.all_oncalls(request),
            ("schedules", [id, "on-calls"]) => {
                let by = request.parameter("scheduleIdentifierType");
                let schedule = self.find(kind, id, by)?;
                let oncalls = self.oncalls_of(schedule, flag(self, request, "flat")?);
                Ok(self.data(&oncalls.to_string()))
            }
            ("incidents", [id, "associated-alert-ids"]) => {
                let incident = self.find(kind, id, request.parameter("identifierType"))?;
                Ok(self.data(&json!(self.alerts_of(&incident.id)).to_string()))
            }
            (_, [id]) => {
                let row = self.find(kind, id, request.parameter("identifierType"))?;
                Ok(self.data(&row.text))
            }
            _ => Err(self.error(404, "No handler found").unexpected()),
        }
    }

    /// What the caller may not read.
    fn authenticate(&self, request: &Request) -> Result<&BTreeSet<String>, Reply> {
        let known = key(request).and_then(|key| self.keys.get(key));
        known.ok_or_else(|| self.error(401, "Could not authenticate"))
    }

    /// The object, by its identifier or what else the caller says identifies it.
    fn find(&self, kind: &str, id: &str, by: Option<&str>) -> Result<&Row<Object>, Reply> {
        let table = self.table(kind);
        let found = match (kind, by.unwrap_or("id")) {
            // Users are known by either name without saying so.
            ("users", "id") => table
                .row(id)
                .or_else(|| table.rows().find(|row| row.facts.username == id)),
            (_, "id") => table.row(id),
            ("alerts", "alias") => table.rows().find(|row| row.facts.alias == id),
            ("alerts" | "incidents", "tiny") => table
                .rows()
                .find(|row| Ok(row.facts.tiny_id) == id.parse::<i64>()),
            ("teams" | "schedules", "name") => table.rows().find(|row| row.facts.name == id),
            (_, by) => {
                let allowed = format!("Identifier type [{by}] is not valid for {kind}");
                return Err(self.invalid("identifierType", &allowed));
            }
        };
        found.ok_or_else(|| self.error(404, &format!("No object exists with id [{id}]")))
    }

    /// The identifiers of an incident's alerts. The alias of an alert that an
    /// incident has sent out begins with the incident's identifier.
    fn alerts_of(&self, incident: &str) -> BTreeSet<&str> {
        let said = self.table("alerts").rows().filter(|row| {
            let rest = row.facts.alias.strip_prefix(incident);
            rest.is_some_and(|rest| rest.starts_with('_'))
        });
        let told = self.associated.get(incident).into_iter().flatten();
        said.map(|row| row.id.as_str())
            .chain(told.map(String::as_str))
            .collect()
    }

    fn all_oncalls(&self, request: &Request) -> Result<Reply, Reply> {
        let flat = flag(self, request, "flat")?;
        let oncalls = self.table("schedules").rows();
        let oncalls: Vec<_> = oncalls.map(|row| self.oncalls_of(row, flat)).collect();
        Ok(self.data(&json!(oncalls).to_string()))
    }

    fn oncalls_of(&self, schedule: &Row<Object>, flat: bool) -> Value {
        let object = schedule.object();
        let mut reply = json!({"_parent": {
            "id": object["id"], "name": object["name"], "enabled": object["enabled"],
        }});
        let usernames = self.oncalls.get(&schedule.id);
        let usernames = usernames.map(Vec::as_slice).unwrap_or_default();
        if flat {
            reply["onCallRecipients"] = json!(usernames);
        } else {
            let users = self.table("users");
            let participant = |username: &String| {
                let user = users.rows().find(|row| row.facts.username == *username);
                json!({"id": user.map(|row| &row.id), "name": username, "type": "user"})
            };
            reply["onCallParticipants"] = usernames.iter().map(participant).collect();
        }
        reply
    }

    fn data(&self, text: &str) -> Reply {
        self.envelope(&format!("\"data\":{text}"))
    }

    /// A reply with these members and those that every reply has.
    fn envelope(&self, members: &str) -> Reply {
        let id = self.request_id();
        Reply::raw_json(
            200,
            format!("{{{members},\"took\":0.012,\"requestId\":\"{id}\"}}"),
        )
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        let id = self.request_id();
        Reply::json(
            status,
            &json!({"message": message, "took": 0.001, "requestId": id}),
        )
    }

    /// A request that is understood and cannot be carried out.
    fn invalid(&self, parameter: &str, reason: &str) -> Reply {
        let body = json!({
            "message": "Request body is not processable. Please check the errors.",
            "errors": {parameter: reason}, "took": 0.001, "requestId": self.request_id(),
        });
        Reply::json(422, &body)
    }

    fn request_id(&self) -> String {
        format!("c1d5e2a0-0000-4000-8000-{:012x}", self.answered)
    }
}

impl World for Opsgenie {
    const NAME: &'static str = "Opsgenie";

    fn answer(&mut self, request: &Request) -> Reply {
        self.answered += 1;
        self.route(request).unwrap_or_else(|refusal| refusal)
    }

    fn refusal(&self, status: u16, text: &str) -> Reply {
        self.error(status, text)
    }

    fn control(&mut self, method: &str, path: &[&str], body: Option<Value>) -> Option<Reply> {
        match path {
            ["objects", kind, rest @ ..] => {
                objects::control(self.tables.get_mut(*kind)?, method, rest, body)
            }
            ["oncalls", rest @ ..] => access::control_oncalls(self, method, rest, body),
            _ => None,
        }
    }

    fn bucket(&self, request: &Request) -> Option<String> {
        key(request).map(|key| format!("{key} {}", domain(request)))
    }

    fn over_limit(&self, _usage: &Usage) -> Reply {
        self.error(429, "You are making too many requests!")
    }

    fn finish(&self, reply: &mut Reply, usage: Option<&Usage>) {
        if let Some(usage) = usage {
            let state = if usage.exceeded { "THROTTLED" } else { "OK" };
            for (name, value) in [
                ("x-ratelimit-state", state.to_owned()),
                ("x-ratelimit-reason", "ACCOUNT".to_owned()),
                (
                    "x-ratelimit-period-in-sec",
                    usage.window.as_secs().to_string(),
                ),
            ] {
                reply.headers.push((name.to_owned(), value));
            }
        }
    }
}

fn key(request: &Request) -> Option<&str> {
    let header = request.header("authorization")?;
    header.strip_prefix("GenieKey ").map(str::trim)
}

/// Each domain has a bucket of its own, so that who searches may still read.
fn domain(request: &Request) -> &'static str {
    let (_, segments) = request.route();
    match segments.get(1..).unwrap_or_default() {
        ["alerts" | "users"] | ["alerts", "count"] | ["schedules", .., "on-calls"] => "search",
        ["alerts", ..] => "alert",
        ["incidents", ..] => "incident",
        _ => "configuration",
    }
}

fn flag(world: &Opsgenie, request: &Request, name: &str) -> Result<bool, Reply> {
    match request.parameter(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(world.invalid(name, "must be true or false")),
    }
}
