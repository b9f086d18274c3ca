//! A Statuspage account: pages, component groups, components, incidents.
//!
//! Faithful in what trips clients up: lists are bare arrays without a total, a
//! page beyond the end is an empty array, a page size above the maximum is cut
//! down without a word, subscribers count pages from 0 where everything else
//! counts from 1, the list of pages ignores paging, and groups show up among
//! the components as components that are groups.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::chassis::{RateLimit, Reply, Request, Simulator, Usage, World};
use super::objects;
use super::table::{Facts, Row, Table, array, instant_at, text_at};

/// The key that opens every page of the sandbox.
pub const API_KEY: &str = "sandbox-statuspage-key-3f9c1e7ab2d84560";

const PAGE_SIZE: usize = 100;

/// 60 requests in any span of 60 seconds, per key.
pub(super) const RATE_LIMIT: RateLimit = RateLimit {
    requests: 60,
    window: Duration::from_mins(1),
    rolling: true,
    enforced: false,
};

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
    too_many: TooMany,
    paged_pages: bool,
}

struct Object {
    page: String,
    status: String,
    created: Option<Timestamp>,
    scheduled: bool,
    kind: String,
    endpoint_state: String,
    updates: usize,
}

impl Facts for Object {
    fn of(object: &Value) -> Self {
        let state = match object.get("quarantined_at") {
            Some(Value::String(_)) => "quarantined",
            _ => "active",
        };
        Self {
            page: text_at(object, "page_id").to_owned(),
            status: text_at(object, "status").to_owned(),
            created: instant_at(object, "created_at"),
            scheduled: object.get("scheduled_for").is_some_and(Value::is_string),
            kind: text_at(object, "mode").to_owned(),
            endpoint_state: state.to_owned(),
            updates: object
                .get("incident_updates")
                .and_then(Value::as_array)
                .map_or(0, Vec::len),
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
    pub(super) fn new() -> Self {
        Self {
            keys: BTreeMap::from([(API_KEY.to_owned(), None)]),
            tables: KINDS.map(|kind| (kind, Table::default())).into(),
            too_many: TooMany::TooManyRequests,
            paged_pages: false,
        }
    }

    /// Inserts an object, or replaces the one with its `id`.
    ///
    /// # Panics
    /// When there is no such kind.
    pub(super) fn insert(&mut self, kind: &str, object: &Value) {
        self.table_mut(kind).insert(object);
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

    /// The key's view of the account, or the refusal it gets.
    fn authenticate(&self, request: &Request) -> Result<Option<&BTreeSet<String>>, Reply> {
        credential(request)
            .and_then(|key| self.keys.get(&key))
            .map(Option::as_ref)
            .ok_or_else(|| error(401, "Could not authenticate"))
    }

    fn pages(&self, request: &Request, visible: Option<&BTreeSet<String>>) -> Result<Reply, Reply> {
        let pages = self
            .table("statuspage")
            .rows()
            .filter(|row| visible.is_none_or(|visible| visible.contains(&row.id)));
        if self.paged_pages {
            return Ok(list(paged(request, "per_page", 1, pages)?));
        }
        Ok(list(pages.collect()))
    }

    fn below_page(&self, request: &Request, page: &str, rest: &[&str]) -> Result<Reply, Reply> {
        match rest {
            ["component-groups"] => Ok(list(paged(
                request,
                "per_page",
                1,
                self.of_page("component_group", page),
            )?)),
            ["component-groups", id] => self.single("component_group", page, id),
            ["components"] => self.components(request, page),
            ["components", id] => self.single("component", page, id).or_else(|refusal| {
                self.groups_as_components(page)
                    .into_iter()
                    .find(|group| text_at(group, "id") == *id)
                    .map(|group| Reply::json(200, &group))
                    .ok_or(refusal)
            }),
            ["incidents"] => self.incidents(request, page, "limit", |_| true),
            ["incidents", "unresolved"] => self.incidents(request, page, "per_page", |facts| {
                !facts.scheduled && !["resolved", "postmortem"].contains(&facts.status.as_str())
            }),
            ["incidents", "active_maintenance"] => {
                self.incidents(request, page, "per_page", |facts| {
                    ["in_progress", "verifying"].contains(&facts.status.as_str())
                })
            }
            ["incidents", "upcoming"] => self.incidents(request, page, "per_page", |facts| {
                facts.status.as_str() == "scheduled"
            }),
            ["incidents", "scheduled"] => {
                self.incidents(request, page, "per_page", |facts| facts.scheduled)
            }
            ["incidents", id] => self.single("incident", page, id),
            ["subscribers"] => self.subscribers(request, page),
            ["subscribers", id] => self.single("subscriber", page, id),
            _ => Err(error(404, "Not found").unexpected()),
        }
    }

    fn single(&self, kind: &str, page: &str, id: &str) -> Result<Reply, Reply> {
        self.table(kind)
            .row(id)
            .filter(|row| row.facts.page == page)
            .map(|row| Reply::raw_json(200, row.text.to_string()))
            .ok_or_else(|| error(404, "Record not found"))
    }

    fn components(&self, request: &Request, page: &str) -> Result<Reply, Reply> {
        let groups: Vec<String> = self
            .groups_as_components(page)
            .iter()
            .map(Value::to_string)
            .collect();
        let components = self.of_page("component", page).map(|row| &*row.text);
        let all = components.chain(groups.iter().map(String::as_str));
        Ok(Reply::raw_json(
            200,
            array(paged(request, "per_page", 1, all)?),
        ))
    }

    /// Each group once more, as the list of components shows it.
    fn groups_as_components(&self, page: &str) -> Vec<Value> {
        self.of_page("component_group", page)
            .map(|row| {
                let group = row.object();
                json!({
                    "id": row.id, "page_id": page, "group_id": null,
                    "created_at": group["created_at"], "updated_at": group["updated_at"],
                    "group": true, "name": group["name"], "description": group["description"],
                    "position": group["position"], "status": "operational", "showcase": false,
                    "only_show_if_degraded": false, "automation_email": null, "start_date": null,
                    "components": group["components"],
                })
            })
            .collect()
    }

    fn incidents(
        &self,
        request: &Request,
        page: &str,
        size: &str,
        wanted: impl Fn(&Object) -> bool,
    ) -> Result<Reply, Reply> {
        let sought = request.parameter("q").map(str::to_lowercase);
        let mut incidents: Vec<_> = self
            .of_page("incident", page)
            .filter(|row| wanted(&row.facts))
            .filter(|row| {
                sought
                    .as_ref()
                    .is_none_or(|sought| row.text.to_lowercase().contains(sought))
            })
            .collect();
        incidents.sort_by_key(|row| std::cmp::Reverse(row.facts.created));
        Ok(list(paged(request, size, 1, incidents.into_iter())?))
    }

    fn subscribers(&self, request: &Request, page: &str) -> Result<Reply, Reply> {
        let kind = request.parameter("type");
        let state = request.parameter("state").unwrap_or("active");
        let subscribers = self
            .of_page("subscriber", page)
            .filter(|row| kind.is_none_or(|kind| row.facts.kind == kind))
            .filter(|row| state == "all" || row.facts.endpoint_state == state);
        Ok(list(paged(request, "limit", 0, subscribers)?))
    }

    fn route(&self, request: &Request) -> Result<Reply, Reply> {
        let (method, mut segments) = request.route();
        let visible = self.authenticate(request)?;
        // Any path may end in `.json`.
        if let Some(last) = segments.last_mut() {
            *last = last.strip_suffix(".json").unwrap_or(last);
        }
        match (method, segments.as_slice()) {
            ("GET", ["v1", "pages"]) => self.pages(request, visible),
            ("GET", ["v1", "pages", page, rest @ ..]) => {
                let row = self.table("statuspage").row(page);
                let row = row.ok_or_else(|| error(404, "Page not found"))?;
                if visible.is_some_and(|visible| !visible.contains(*page)) {
                    return Err(error(403, "Not authorized"));
                }
                if rest.is_empty() {
                    return Ok(Reply::raw_json(200, row.text.to_string()));
                }
                self.below_page(request, page, rest)
            }
            _ => Err(error(404, "Not found").unexpected()),
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

/// The key, by whichever of the three ways it was sent.
fn credential(request: &Request) -> Option<String> {
    let header = request
        .header("authorization")
        .map(|value| value.strip_prefix("OAuth ").unwrap_or(value).trim());
    header
        .or_else(|| request.parameter("api_key"))
        .map(str::to_owned)
}

fn list(rows: Vec<&Row<Object>>) -> Reply {
    Reply::raw_json(200, array(rows.into_iter().map(|row| &*row.text)))
}

/// The part of a list that was asked for.
fn paged<T>(
    request: &Request,
    size: &str,
    first: usize,
    all: impl Iterator<Item = T>,
) -> Result<Vec<T>, Reply> {
    let number = |name: &str, default: usize| {
        request.parameter(name).map_or(Ok(default), |text| {
            text.parse()
                .map_err(|_| error(400, &format!("{name} must be a number")))
        })
    };
    let size = number(size, PAGE_SIZE)?.clamp(1, PAGE_SIZE);
    let page = number("page", first)?.saturating_sub(first);
    Ok(all.skip(page.saturating_mul(size)).take(size).collect())
}

impl Simulator<Statuspage> {
    /// The objects of a kind, in no particular order.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.world(|world| match kind {
            "incident_update" => world
                .table("incident")
                .rows()
                .flat_map(|row| match row.object()["incident_updates"].take() {
                    Value::Array(updates) => updates,
                    _ => Vec::new(),
                })
                .collect(),
            _ => world.table(kind).objects(),
        })
    }

    pub fn object(&self, kind: &str, id: &str) -> Option<Value> {
        self.world(|world| world.table(kind).get(id))
    }

    /// How many objects of a kind there are. Groups are not counted among the
    /// components, though the list of components shows them.
    pub fn count(&self, kind: &str) -> usize {
        self.world(|world| match kind {
            "incident_update" => world
                .table("incident")
                .rows()
                .map(|row| row.facts.updates)
                .sum(),
            _ => world.table(kind).len(),
        })
    }

    /// [`count`](Self::count) for every kind of the catalog.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        [
            "statuspage",
            "component_group",
            "component",
            "incident",
            "incident_update",
        ]
        .map(|kind| (kind, self.count(kind)))
        .into()
    }

    /// Inserts an object, or replaces the one with its `id`. All but pages
    /// need a `page_id`.
    pub fn insert(&self, kind: &str, object: &Value) {
        self.world(|world| world.insert(kind, object));
    }

    /// Changes an object in place; false when there is none.
    pub fn update(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.world(|world| world.table_mut(kind).update(id, change))
    }

    pub fn remove(&self, kind: &str, id: &str) -> Option<Value> {
        self.world(|world| world.table_mut(kind).remove(id))
    }

    /// Removes the objects that do not pass; says how many.
    pub fn retain(&self, kind: &str, keep: impl FnMut(&Value) -> bool) -> usize {
        self.world(|world| world.table_mut(kind).retain(keep))
    }

    /// Removes every object.
    pub fn clear(&self) {
        self.world(|world| {
            for table in world.tables.values_mut() {
                *table = Table::default();
            }
        });
    }

    /// Accepts one more key, for these pages only or, with `None`, for all.
    pub fn accept_key(&self, key: &str, pages: Option<&[&str]>) {
        let pages = pages.map(|pages| pages.iter().map(|&page| page.to_owned()).collect());
        self.world(|world| world.keys.insert(key.to_owned(), pages));
    }

    /// No longer accepts a key.
    pub fn revoke_key(&self, key: &str) {
        self.world(|world| world.keys.remove(key));
    }

    /// With which status a caller is refused that asks too often; 429 unless told otherwise.
    pub fn refuse_excess_with(&self, status: TooMany) {
        self.world(|world| world.too_many = status);
    }

    /// Whether the list of pages obeys `page` and `per_page`. It does not unless told so.
    pub fn page_the_pages(&self, paged: bool) {
        self.world(|world| world.paged_pages = paged);
    }
}
