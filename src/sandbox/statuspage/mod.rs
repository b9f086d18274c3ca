//! A Statuspage account: pages, component groups, components, incidents.
//!
//! Faithful in what trips clients up: lists are bare arrays without a total, a
//! page beyond the end is an empty array, a page size above the maximum is cut
//! down without a word, subscribers count pages from 0 where everything else
//! counts from 1, the list of pages ignores paging, and groups show up among
//! the components as components that are groups. Every update of an incident
//! tells its subscribers, nothing is recognised as a repetition, and lists may
//! lag behind what was written.
//!
//! Where it is not known how lenient Statuspage is with what it is sent, this
//! one is strict. It also watches: whoever reads [`overlaps`](Simulator::overlaps)
//! sees every moment at which two incidents of the program held one component,
//! however short it was.

mod access;
mod body;
mod lists;
mod people;
mod subscribers;
#[cfg(test)]
mod tests;
mod watch;
mod webhooks;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::lists::Lag;
use self::watch::Watch;
use super::chassis::{RateLimit, Reply, Request, Simulator, Usage, World};
use super::clock::Clock;
use super::objects;
use super::table::{Facts, Row, Table, array, instant_at, text_at};

pub use self::watch::Notification;

/// The key that opens every page of the sandbox.
pub const API_KEY: &str = "sandbox-statuspage-key-3f9c1e7ab2d84560";

/// 60 requests in any span of 60 seconds, per key.
pub(super) const RATE_LIMIT: RateLimit = RateLimit {
    requests: 60,
    window: Duration::from_mins(1),
    rolling: true,
    enforced: false,
};

/// With this character Portolan's predecessor signed the first update of its incidents.
const WATERMARK: char = '⛈';

/// The status of a reply to a caller that asks too often: both are seen in the wild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    EnhanceYourCalm = 420,
    TooManyRequests = 429,
}

/// Statuspage, simulated. `kind` in its methods is one of `statuspage`,
/// `component_group`, `component`, `incident`, `subscriber`, and, where
/// something is only counted or read, `incident_update`.
pub type StatuspageSimulator = Simulator<Statuspage>;

pub struct Statuspage {
    /// What each key may see; `None` is every page.
    keys: BTreeMap<String, Option<BTreeSet<String>>>,
    tables: BTreeMap<&'static str, Table<Object>>,
    clock: Clock,
    chance: fastrand::Rng,
    too_many: TooMany,
    paged_pages: bool,
    /// How many active e-mail subscribers a page is said to have, beside those in the table.
    crowds: BTreeMap<String, u64>,
    lag: Lag,
    watch: Watch,
}

struct Object {
    page: String,
    status: String,
    created: Option<Timestamp>,
    scheduled: bool,
    kind: String,
    endpoint_state: String,
    updates: usize,
    /// The components of an incident, and the status that its copies of them have.
    components: Vec<(String, String)>,
    /// An incident that Portolan or its predecessor opened.
    own: bool,
}

impl Object {
    /// Whether this is an incident that goes on, and no maintenance.
    fn unresolved(&self) -> bool {
        !self.scheduled && !["resolved", "postmortem"].contains(&self.status.as_str())
    }
}

impl Facts for Object {
    fn of(object: &Value) -> Self {
        let state = match object.get("quarantined_at") {
            Some(Value::String(_)) => "quarantined",
            _ => "active",
        };
        let list = |key: &str| object.get(key).and_then(Value::as_array);
        let updates = list("incident_updates");
        let components = list("components").into_iter().flatten();
        let components = components.filter(|one| one.is_object());
        let signed = updates
            .and_then(|updates| updates.last())
            .is_some_and(|oldest| text_at(oldest, "body").contains(WATERMARK));
        Self {
            page: text_at(object, "page_id").to_owned(),
            status: text_at(object, "status").to_owned(),
            created: instant_at(object, "created_at"),
            scheduled: object.get("scheduled_for").is_some_and(Value::is_string),
            kind: text_at(object, "mode").to_owned(),
            endpoint_state: state.to_owned(),
            updates: updates.map_or(0, Vec::len),
            components: components
                .map(|one| (text_at(one, "id").into(), text_at(one, "status").into()))
                .collect(),
            own: signed || object.pointer("/metadata/portolan").is_some(),
        }
    }
}

const KINDS: [&str; 5] = [
    "statuspage",
    "component_group",
    "component",
    "incident",
    "subscriber",
];

impl Statuspage {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            keys: BTreeMap::from([(API_KEY.to_owned(), None)]),
            tables: KINDS.map(|kind| (kind, Table::default())).into(),
            clock,
            chance: fastrand::Rng::with_seed(5),
            too_many: TooMany::TooManyRequests,
            paged_pages: false,
            crowds: BTreeMap::new(),
            lag: Lag::default(),
            watch: Watch::default(),
        }
    }

    /// Inserts an object, or replaces the one with its `id`.
    ///
    /// # Panics
    /// When there is no such kind.
    pub(super) fn insert(&mut self, kind: &str, object: &Value) {
        self.table_mut(kind).insert(object);
    }

    /// The components that no unresolved incident and no maintenance concerns,
    /// page after page.
    pub(super) fn free_components(&self) -> Vec<String> {
        let incidents = self.table("incident").rows();
        let held: BTreeSet<&str> = incidents
            .filter(|row| {
                let over = ["resolved", "postmortem", "completed"];
                !over.contains(&row.facts.status.as_str())
            })
            .flat_map(|row| row.facts.components.iter().map(|(id, _)| id.as_str()))
            .collect();
        self.table("component")
            .rows()
            .filter(|row| row.facts.status == "operational" && !held.contains(row.id.as_str()))
            .map(|row| row.id.clone())
            .collect()
    }

    fn table(&self, kind: &str) -> &Table<Object> {
        self.tables
            .get(kind)
            .unwrap_or_else(|| panic!("Statuspage has no kind `{kind}`"))
    }

    fn table_mut(&mut self, kind: &str) -> &mut Table<Object> {
        self.tables
            .get_mut(kind)
            .unwrap_or_else(|| panic!("Statuspage has no kind `{kind}`"))
    }

    fn of_page<'a>(&'a self, kind: &str, page: &'a str) -> impl Iterator<Item = &'a Row<Object>> {
        self.table(kind)
            .rows()
            .filter(move |row| row.facts.page == page)
    }

    /// The object, when it is of that page.
    fn row_of(&self, kind: &str, page: &str, id: &str) -> Result<&Row<Object>, Reply> {
        let row = self.table(kind).row(id);
        row.filter(|row| row.facts.page == page)
            .ok_or_else(|| error(404, "Record not found"))
    }

    /// The key's view of the account, or the refusal it gets.
    fn authenticate(&self, request: &Request) -> Result<Option<&BTreeSet<String>>, Reply> {
        credential(request)
            .and_then(|key| self.keys.get(&key))
            .map(Option::as_ref)
            .ok_or_else(|| error(401, "Could not authenticate"))
    }

    fn route(&mut self, request: &Request) -> Result<Reply, Reply> {
        let (method, mut segments) = request.route();
        let visible = self.authenticate(request)?;
        // Any path may end in `.json`.
        if let Some(last) = segments.last_mut() {
            *last = last.strip_suffix(".json").unwrap_or(last);
        }
        match (method, segments.as_slice()) {
            ("GET", ["v1", "pages"]) => self.pages(request, visible),
            (_, ["v1", "pages", page, rest @ ..]) => {
                let row = self.table("statuspage").row(page);
                let row = row.ok_or_else(|| error(404, "Page not found"))?;
                if visible.is_some_and(|visible| !visible.contains(*page)) {
                    return Err(error(403, "Not authorized"));
                }
                match (method, rest) {
                    ("GET", []) => Ok(Reply::raw_json(200, row.text.to_string())),
                    ("GET", rest) => self.below_page(request, page, rest),
                    (_, rest) => self.write(request, page, rest),
                }
            }
            _ => Err(no_route()),
        }
    }
}

impl World for Statuspage {
    const NAME: &'static str = "Statuspage";

    fn answer(&mut self, request: &Request) -> Reply {
        self.route(request).unwrap_or_else(|refusal| refusal)
    }

    fn refusal(&self, status: u16, text: &str) -> Reply {
        error(status, text)
    }

    fn control(&mut self, method: &str, path: &[&str], body: Option<Value>) -> Option<Reply> {
        let ["objects", kind, rest @ ..] = path else {
            return None;
        };
        let (_, table) = self.tables.iter_mut().find(|(known, _)| known == &kind)?;
        objects::control(table, method, rest, body)
    }

    fn bucket(&self, request: &Request) -> Option<String> {
        credential(request)
    }

    fn over_limit(&self, _usage: &Usage) -> Reply {
        error(self.too_many as u16, "Too many requests")
    }
}

fn error(status: u16, text: &str) -> Reply {
    let body = if status == 422 {
        json!({"error": [text]})
    } else {
        json!({"error": text})
    };
    Reply::json(status, &body)
}

fn no_route() -> Reply {
    error(404, "Not found").unexpected()
}

/// The key, by whichever of the three ways it was sent.
fn credential(request: &Request) -> Option<String> {
    let header = request
        .header("authorization")
        .map(|value| value.strip_prefix("OAuth ").unwrap_or(value).trim());
    header
        .or_else(|| request.parameter("api_key"))
        .map(str::to_owned)
}

/// An instant as Statuspage writes those of its own: to the millisecond.
fn stamp(instant: Timestamp) -> String {
    format!("{instant:.3}")
}
