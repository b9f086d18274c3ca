//! The lists, and what they show of an object.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::super::chassis::{Reply, Request};
use super::super::table::array;
use super::parameters::{Page, sorting};
use super::search::{Found, Search, found};
use super::{Object, Opsgenie, Row};

/// What alerts can be sorted by.
const ALERT_ORDERS: [&str; 20] = [
    "createdAt",
    "updatedAt",
    "tinyId",
    "alias",
    "message",
    "status",
    "acknowledged",
    "isSeen",
    "snoozed",
    "snoozedUntil",
    "count",
    "lastOccurredAt",
    "source",
    "owner",
    "integration.name",
    "integration.type",
    "report.ackTime",
    "report.closeTime",
    "report.acknowledgedBy",
    "report.closedBy",
];
const INCIDENT_ORDERS: [&str; 6] = [
    "createdAt",
    "tinyId",
    "message",
    "status",
    "isSeen",
    "owner",
];

impl Opsgenie {
    pub(super) fn list(&self, kind: &str, request: &Request) -> Result<Reply, Reply> {
        if kind == "teams" || kind == "schedules" {
            return self.whole_list(kind, request);
        }
        let page = Page::of(self, kind, request)?;
        let rows = self.sorted(kind, request)?;
        let shown: Vec<_> = rows
            .iter()
            .skip(page.offset)
            .take(page.limit)
            .map(|row| {
                if kind == "alerts" {
                    without(row, &["description", "details", "entity", "actions"])
                } else {
                    Cow::Borrowed(&*row.text)
                }
            })
            .collect();
        let shown = array(shown.iter().map(AsRef::as_ref));
        let paging = page.paging(self, request, rows.len());
        let mut members = format!("\"data\":{shown},\"paging\":{paging}");
        if kind == "users" {
            members = format!("\"totalCount\":{},{members}", rows.len());
        }
        Ok(self.envelope(&members))
    }

    /// Teams and schedules come all at once, whatever is asked for.
    fn whole_list(&self, kind: &str, request: &Request) -> Result<Reply, Reply> {
        let schedules = kind == "schedules";
        let hidden: &[&str] = match request.parameter("expand") {
            None | Some("") if schedules => &["rotations"],
            Some("rotation") if schedules => &[],
            Some(_) if schedules => {
                return Err(self.invalid("expand", "must be one of [rotation]"));
            }
            _ => &["members"],
        };
        let shown: Vec<_> = self
            .table(kind)
            .rows()
            .map(|row| without(row, hidden))
            .collect();
        let shown = array(shown.iter().map(AsRef::as_ref));
        let expandable = if schedules {
            "\"expandable\":[\"rotation\"],"
        } else {
            ""
        };
        Ok(self.envelope(&format!("{expandable}\"data\":{shown}")))
    }

    pub(super) fn count_alerts(&self, request: &Request) -> Result<Reply, Reply> {
        let count = self.searched("alerts", request)?.count();
        Ok(self.data(&format!("{{\"count\":{count}}}")))
    }

    fn sorted(&self, kind: &str, request: &Request) -> Result<Vec<&Row<Object>>, Reply> {
        let (orders, usual): (&[&str], _) = match kind {
            "alerts" => (&ALERT_ORDERS, Some(("createdAt", true))),
            "incidents" => (&INCIDENT_ORDERS, Some(("createdAt", true))),
            "users" => (&["username", "fullName", "insertedAt"], None),
            _ => (&["name"], None),
        };
        let (field, descending) = sorting(self, request, ["sort", "sortField"], orders)?;
        let mut rows: Vec<_> = self.searched(kind, request)?.collect();
        let field = field.or(usual.map(|(field, _)| field));
        let Some(field) = field else {
            return Ok(rows);
        };
        // Objects come in the order in which they were made, so that most of
        // this sorts what is sorted.
        if descending.unwrap_or(usual.is_some_and(|(_, descending)| descending)) {
            rows.reverse();
            rows.sort_by_cached_key(|row| Reverse(order(row, field)));
        } else {
            rows.sort_by_cached_key(|row| order(row, field));
        }
        Ok(rows)
    }

    fn searched(
        &self,
        kind: &str,
        request: &Request,
    ) -> Result<impl Iterator<Item = &Row<Object>>, Reply> {
        // Nobody has saved a search in this account.
        if request.parameter("searchIdentifier").is_some() {
            return Err(self.error(404, "Saved search does not exist"));
        }
        let query = request.parameter("query").unwrap_or_default();
        let teams = |name: &str| {
            let teams = self.table("teams").rows();
            let named = teams.filter(|team| team.facts.name.eq_ignore_ascii_case(name));
            named.map(|team| team.id.clone()).collect()
        };
        let search =
            Search::parse(kind, query, &teams).map_err(|reason| self.invalid("query", &reason))?;
        Ok(self
            .table(kind)
            .rows()
            .filter(move |row| search.matches(row)))
    }
}

/// Where an object comes in an order.
fn order<'a>(row: &'a Row<Object>, field: &str) -> Found<'a> {
    match field {
        "insertedAt" => found(row, "createdAt"),
        "report.acknowledgedBy" => found(row, "acknowledgedBy"),
        "report.closedBy" => found(row, "closedBy"),
        "report.ackTime" | "report.closeTime" => {
            let (_, time) = field.split_at("report.".len());
            Found::Number(row.object()["report"][time].as_i64())
        }
        _ => found(row, field),
    }
}

/// An object without some of its fields.
fn without<'a>(row: &'a Row<Object>, hidden: &[&str]) -> Cow<'a, str> {
    if hidden.is_empty() {
        return Cow::Borrowed(&row.text);
    }
    let mut object = row.object();
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| !hidden.contains(&name.as_str()));
    }
    Cow::Owned(object.to_string())
}
