//! What can be read, and what the lists show of it.
//!
//! Lists of incidents can be told to lag: they then show each incident as it
//! was some time ago, while the single incident is shown as it is. What a test
//! inserts or changes itself is shown at once, as if it had always been so.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::chassis::{Reply, Request};
use super::{Object, Row, Statuspage, array, error, no_route, text_at};

const PAGE_SIZE: usize = 100;

/// What can be subscribed with, as the count of subscribers names it.
const MODES: [&str; 5] = ["email", "sms", "webhook", "integration_partner", "slack"];

/// How far lists of incidents are behind, and what they show instead.
#[derive(Default)]
pub(super) struct Lag {
    by: SignedDuration,
    /// What was written lately, in the order in which it was written.
    earlier: Vec<Earlier>,
}

/// An incident as it was before it was written.
struct Earlier {
    written: Timestamp,
    id: String,
    /// `None` when it was not there.
    row: Option<Row<Object>>,
}

/// An incident as a list knows it.
struct Listed<'a> {
    row: &'a Row<Object>,
    /// Before it was written: its components are as they were then, too.
    as_it_was: bool,
}

impl Lag {
    pub(super) fn set(&mut self, by: SignedDuration) {
        self.by = by;
        self.earlier.clear();
    }

    /// Whether lists do not know yet what was written then.
    fn hides(&self, written: Timestamp, now: Timestamp) -> bool {
        now.duration_since(written) < self.by
    }
}

impl Statuspage {
    /// To be called before an incident is written.
    pub(super) fn remember(&mut self, id: &str) {
        if self.lag.by.is_zero() {
            return;
        }
        let now = self.clock.now();
        let row = self.table("incident").row(id).map(|row| {
            let text = self.shown(row);
            Row::new(
                id.to_owned(),
                &serde_json::from_str(&text).unwrap_or_default(),
            )
        });
        let mut earlier = std::mem::take(&mut self.lag.earlier);
        earlier.retain(|one| self.lag.hides(one.written, now));
        earlier.push(Earlier {
            written: now,
            id: id.to_owned(),
            row,
        });
        self.lag.earlier = earlier;
    }

    pub(super) fn pages(
        &self,
        request: &Request,
        visible: Option<&BTreeSet<String>>,
    ) -> Result<Reply, Reply> {
        let pages = self
            .table("statuspage")
            .rows()
            .filter(|row| visible.is_none_or(|visible| visible.contains(&row.id)));
        if self.paged_pages {
            return Ok(list(paged(request, "per_page", 1, pages)?));
        }
        Ok(list(pages.collect()))
    }

    pub(super) fn below_page(
        &self,
        request: &Request,
        page: &str,
        rest: &[&str],
    ) -> Result<Reply, Reply> {
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
            ["incidents", "unresolved"] => {
                self.incidents(request, page, "per_page", Object::unresolved)
            }
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
            ["incidents", id] => {
                let row = self.row_of("incident", page, id)?;
                Ok(Reply::raw_json(200, self.shown(row).into_owned()))
            }
            ["subscribers"] => self.subscribers(request, page),
            ["subscribers", "count"] => self.count_subscribers(request, page),
            ["subscribers", id] => self.single("subscriber", page, id),
            _ => Err(no_route()),
        }
    }

    fn single(&self, kind: &str, page: &str, id: &str) -> Result<Reply, Reply> {
        let row = self.row_of(kind, page, id)?;
        Ok(Reply::raw_json(200, row.text.to_string()))
    }

    /// An incident as it is shown: with its components as they are now.
    pub(super) fn shown<'a>(&self, row: &'a Row<Object>) -> Cow<'a, str> {
        let components = self.table("component");
        let current = row.facts.components.iter().all(|(id, status)| {
            let component = components.row(id);
            component.is_none_or(|component| component.facts.status == *status)
        });
        if current {
            return Cow::Borrowed(&row.text);
        }
        let mut incident = row.object();
        let copies = incident.get_mut("components").and_then(Value::as_array_mut);
        for copy in copies.into_iter().flatten() {
            if let Some(component) = components.get(text_at(copy, "id")) {
                *copy = component;
            }
        }
        Cow::Owned(incident.to_string())
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
            .listed()
            .into_iter()
            .filter(|one| one.row.facts.page == page && wanted(&one.row.facts))
            .filter(|one| {
                sought
                    .as_ref()
                    .is_none_or(|sought| self.text_of(one).to_lowercase().contains(sought))
            })
            .collect();
        // Of those created at the same time the one inserted later comes first.
        incidents.reverse();
        incidents.sort_by_key(|one| Reverse(one.row.facts.created));
        let incidents = paged(request, size, 1, incidents.into_iter())?;
        let texts: Vec<_> = incidents.iter().map(|one| self.text_of(one)).collect();
        Ok(Reply::raw_json(200, array(texts.iter().map(AsRef::as_ref))))
    }

    fn text_of<'a>(&self, listed: &Listed<'a>) -> Cow<'a, str> {
        if listed.as_it_was {
            Cow::Borrowed(&listed.row.text)
        } else {
            self.shown(listed.row)
        }
    }

    /// The incidents as lists know them.
    fn listed(&self) -> Vec<Listed<'_>> {
        let now = self.clock.now();
        let mut earlier = BTreeMap::new();
        for one in &self.lag.earlier {
            if self.lag.hides(one.written, now) {
                earlier.entry(&one.id).or_insert(one.row.as_ref());
            }
        }
        let before = |row| Listed {
            row,
            as_it_was: true,
        };
        let mut listed: Vec<_> = self
            .table("incident")
            .rows()
            .filter_map(|row| match earlier.remove(&row.id) {
                None => Some(Listed {
                    row,
                    as_it_was: false,
                }),
                Some(was) => was.map(before),
            })
            .collect();
        // What has been deleted meanwhile.
        listed.extend(earlier.into_values().flatten().map(before));
        listed
    }

    fn subscribers(&self, request: &Request, page: &str) -> Result<Reply, Reply> {
        Ok(list(paged(
            request,
            "limit",
            0,
            self.subscribed(request, page),
        )?))
    }

    fn subscribed<'a>(
        &'a self,
        request: &'a Request,
        page: &'a str,
    ) -> impl Iterator<Item = &'a Row<Object>> {
        let kind = request.parameter("type");
        let state = request.parameter("state").unwrap_or("active");
        self.of_page("subscriber", page)
            .filter(move |row| kind.is_none_or(|kind| row.facts.kind == kind))
            .filter(move |row| state == "all" || row.facts.endpoint_state == state)
    }

    fn count_subscribers(&self, request: &Request, page: &str) -> Result<Reply, Reply> {
        let only = request.parameter("type");
        if only.is_some_and(|mode| !MODES.contains(&mode)) {
            return Err(error(400, "type is not a kind of subscription"));
        }
        let state = request.parameter("state").unwrap_or("active");
        if !["active", "unconfirmed", "quarantined", "all"].contains(&state) {
            return Err(error(400, "state is not a state of subscriptions"));
        }
        let crowd = self.crowds.get(page).copied().unwrap_or_default();
        let mut counts = BTreeMap::new();
        for mode in MODES {
            let extra = mode == "email" && ["active", "all"].contains(&state);
            counts.insert(mode, if extra { crowd } else { 0 });
        }
        for row in self.subscribed(request, page) {
            if let Some(count) = counts.get_mut(row.facts.kind.as_str()) {
                *count += 1;
            }
        }
        counts.retain(|mode, _| only.is_none_or(|only| only == *mode));
        Ok(Reply::json(200, &json!(counts)))
    }
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
