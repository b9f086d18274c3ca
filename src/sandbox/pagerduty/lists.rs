//! The lists and their filters.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::chassis::{Reply, Request};
use super::parameters::{Page, choices, flag, instant, months, sorting};
use super::{Object, Pagerduty, Row, array, invalid};

/// The longest range of on-calls that may be asked for.
const ONCALL_RANGE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The longest range of incidents that may be asked for, in months.
const INCIDENT_RANGE: i64 = 6;

impl Pagerduty {
    pub(super) fn list(&self, endpoint: &str, request: &Request) -> Result<Reply, Reply> {
        let rows = match endpoint {
            "incidents" => self.incidents(request)?,
            "oncalls" => self.oncalls(request)?,
            "log_entries" => self.log_entries(request)?,
            _ => self.named(endpoint, request)?,
        };
        self.page(endpoint, &rows, request)
    }

    pub(super) fn log_of_incident(&self, id: &str, request: &Request) -> Result<Reply, Reply> {
        self.row("incidents", id)?;
        let entries: Vec<_> = self
            .log_entries(request)?
            .into_iter()
            .filter(|row| row.facts.incident == id)
            .collect();
        self.page("log_entries", &entries, request)
    }

    fn page(
        &self,
        endpoint: &str,
        rows: &[&Row<Object>],
        request: &Request,
    ) -> Result<Reply, Reply> {
        let Page {
            offset,
            limit,
            with_total,
        } = Page::of(request)?;
        let include = request.parameters("include[]");
        let objects: Vec<_> = rows
            .iter()
            .skip(offset)
            .take(limit)
            .map(|row| self.rendered(endpoint, row, &include))
            .collect();
        let objects = array(objects.iter().map(AsRef::as_ref));
        let more = offset + limit < rows.len();
        let total = if with_total {
            rows.len().to_string()
        } else {
            "null".to_owned()
        };
        Ok(Reply::raw_json(
            200,
            format!(
                "{{\"{endpoint}\":{objects},\"limit\":{limit},\"offset\":{offset},\
                 \"total\":{total},\"more\":{more}}}"
            ),
        ))
    }

    fn incidents(&self, request: &Request) -> Result<Vec<&Row<Object>>, Reply> {
        let statuses = choices(
            request,
            "statuses[]",
            &["triggered", "acknowledged", "resolved"],
        )?;
        let urgencies = choices(request, "urgencies[]", &["high", "low"])?;
        choices(request, "date_range", &["all"])?;
        let services = request.parameters("service_ids[]");
        let teams = request.parameters("team_ids[]");
        let users = request.parameters("user_ids[]");
        let key = request.parameter("incident_key");
        let range = self.incident_range(request)?;
        let sorting = sorting(
            request,
            &["incident_number", "created_at", "resolved_at", "urgency"],
        )?;

        let mut incidents: Vec<_> = self
            .rows("incidents")
            .filter(|Row { facts, .. }| {
                among(&statuses, &facts.status)
                    && among(&urgencies, &facts.urgency)
                    && among(&services, &facts.service)
                    && any_among(&teams, &facts.teams)
                    // Naming users leaves out what is resolved.
                    && (users.is_empty() || facts.status != "resolved")
                    && any_among(&users, &facts.users)
                    && key.is_none_or(|key| facts.key == key)
                    && range.is_none_or(|(since, until)| {
                        facts.created.is_some_and(|created| since <= created && created < until)
                    })
            })
            .collect();
        incidents.sort_by(|one, other| {
            let (one, other) = (&one.facts, &other.facts);
            let mut order = Ordering::Equal;
            for (field, descending) in &sorting {
                let next = match *field {
                    "incident_number" => one.number.cmp(&other.number),
                    "resolved_at" => one.resolved.cmp(&other.resolved),
                    "urgency" => one.urgency.cmp(&other.urgency),
                    _ => one.created.cmp(&other.created),
                };
                order = order.then(if *descending { next.reverse() } else { next });
            }
            order
                .then_with(|| one.created.cmp(&other.created))
                .then(one.number.cmp(&other.number))
        });
        Ok(incidents)
    }

    /// `None` is all of history.
    fn incident_range(&self, request: &Request) -> Result<Option<(Timestamp, Timestamp)>, Reply> {
        let since = instant(request, "since")?;
        let until = instant(request, "until")?;
        if request.parameter("date_range") == Some("all") {
            return Ok(None);
        }
        let until = until.unwrap_or_else(|| self.clock.now());
        let since = since.unwrap_or_else(|| months(until, -1));
        if since > until {
            return Err(invalid("Since must not be after until"));
        }
        if months(since, INCIDENT_RANGE) < until {
            return Err(invalid(
                "The range of dates must not be longer than 6 months",
            ));
        }
        Ok(Some((since, until)))
    }

    fn oncalls(&self, request: &Request) -> Result<Vec<&Row<Object>>, Reply> {
        let users = request.parameters("user_ids[]");
        let policies = request.parameters("escalation_policy_ids[]");
        let schedules = request.parameters("schedule_ids[]");
        let now = self.clock.now();
        let since = instant(request, "since")?.unwrap_or(now);
        let until = instant(request, "until")?.unwrap_or(since);
        if until < since {
            return Err(invalid("Since must not be after until"));
        }
        if until.duration_since(since) > ONCALL_RANGE {
            return Err(invalid(
                "The range of dates must not be longer than 90 days",
            ));
        }
        let oncalls = self.rows("oncalls").filter(|Row { facts, .. }| {
            among(&users, &facts.users.first().cloned().unwrap_or_default())
                && among(&policies, &facts.policy)
                && among(&schedules, &facts.schedule)
                && facts.start.is_none_or(|start| start <= until)
                && facts.end.is_none_or(|end| end > since)
        });
        if !flag(request, "earliest")?.unwrap_or_default() {
            return Ok(oncalls.collect());
        }
        // Per policy, level and user only the first shift.
        let mut earliest: BTreeMap<_, &Row<Object>> = BTreeMap::new();
        for row in oncalls {
            let facts = &row.facts;
            let shift = (&facts.policy, facts.level, &facts.users);
            let first = earliest.entry(shift).or_insert(row);
            if facts.start < first.facts.start {
                *first = row;
            }
        }
        Ok(earliest.into_values().collect())
    }

    fn log_entries(&self, request: &Request) -> Result<Vec<&Row<Object>>, Reply> {
        let since = instant(request, "since")?;
        let until = instant(request, "until")?;
        let teams = request.parameters("team_ids[]");
        let mut entries: Vec<_> = self
            .rows("log_entries")
            .filter(|Row { facts, .. }| {
                since.is_none_or(|since| facts.created >= Some(since))
                    && until.is_none_or(|until| facts.created < Some(until))
                    && any_among(&teams, &facts.teams)
            })
            .collect();
        entries.sort_by_key(|row| std::cmp::Reverse(row.facts.created));
        Ok(entries)
    }

    /// Everything whose objects have names.
    fn named(&self, endpoint: &str, request: &Request) -> Result<Vec<&Row<Object>>, Reply> {
        let teams = request.parameters("team_ids[]");
        let users = request.parameters("user_ids[]");
        let sought = request.parameter("query").map(str::to_lowercase);
        let name = request.parameter("name");
        let mut rows: Vec<_> = self
            .rows(endpoint)
            .filter(|Row { facts, .. }| {
                any_among(&teams, &facts.teams)
                    && any_among(&users, &facts.users)
                    && name.is_none_or(|name| facts.name == name)
                    && sought
                        .as_ref()
                        .is_none_or(|sought| facts.name.to_lowercase().contains(sought))
            })
            .collect();
        for (field, descending) in sorting(request, &["name", "id"])? {
            rows.sort_by(|one, other| {
                let order = match field {
                    "name" => one.facts.name.cmp(&other.facts.name),
                    _ => one.id.cmp(&other.id),
                };
                if descending { order.reverse() } else { order }
            });
        }
        Ok(rows)
    }
}

/// Whether a value passes a filter; an empty filter lets everything pass.
fn among(wanted: &[&str], value: &str) -> bool {
    wanted.is_empty() || wanted.contains(&value)
}

fn any_among(wanted: &[&str], values: &[String]) -> bool {
    wanted.is_empty() || values.iter().any(|value| wanted.contains(&value.as_str()))
}
