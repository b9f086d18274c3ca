//! From a selector to the requests that list what it selects.

use std::fmt;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::resource_config::{
    EscalationPoliciesSelector, IncidentsSelector, OncallsSelector, PagerdutyKind,
    SchedulesSelector, ServicesSelector,
};

/// Ocean counts a month of a selector as thirty days.
const DAYS_A_MONTH: i64 = 30;

/// One dataset: an endpoint, and the listings that together give it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) endpoint: String,
    pub(super) parts: Vec<Part>,
}

/// Query parameters and the time range that they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) query: Vec<(String, String)>,
    pub(super) range: Range,
}

/// Which objects of an endpoint by their time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// Whatever the API gives without being asked for a range.
    Unspecified,
    /// The whole history (`date_range=all`).
    All,
    /// From the first instant to the last.
    Between(Timestamp, Timestamp),
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.endpoint)?;
        let mut statuses = self
            .parts
            .iter()
            .flat_map(|part| &part.query)
            .filter(|(key, _)| key == "statuses[]")
            .map(|(_, status)| status.as_str());
        if let Some(first) = statuses.next() {
            write!(formatter, " ({first}")?;
            for status in statuses {
                write!(formatter, ", {status}")?;
            }
            formatter.write_str(")")?;
        }
        Ok(())
    }
}

impl Request {
    /// The whole of an endpoint, without parameters.
    pub(super) fn plain(endpoint: &str) -> Self {
        Self::single(endpoint, Query::default())
    }

    fn single(endpoint: &str, query: Query) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            parts: vec![Part {
                query: query.0,
                range: Range::Unspecified,
            }],
        }
    }

    /// Incidents with these statuses over the whole history, each with what
    /// triggered it.
    pub(super) fn incidents_ever(statuses: &[&str]) -> Self {
        let statuses: Vec<String> = statuses.iter().map(|&status| status.to_owned()).collect();
        let query = Query::default()
            .many("include", &["first_trigger_log_entries".to_owned()])
            .many("statuses", &statuses);
        Self {
            endpoint: "incidents".to_owned(),
            parts: vec![Part {
                query: query.0,
                range: Range::All,
            }],
        }
    }

    /// What to ask for to get all objects of `kind`.
    pub(super) fn for_kind(kind: &PagerdutyKind, now: Timestamp) -> Self {
        match kind {
            PagerdutyKind::Services(selector) => services(selector),
            PagerdutyKind::Incidents(selector) => incidents(selector, now),
            PagerdutyKind::Schedules(selector) => schedules(selector, now),
            PagerdutyKind::Oncalls(selector) => oncalls(selector, now),
            PagerdutyKind::EscalationPolicies(selector) => escalation_policies(selector),
            PagerdutyKind::Other(endpoint) => Self::plain(endpoint),
        }
    }
}

/// Parameters in the order in which they are added.
#[derive(Clone, Default)]
struct Query(Vec<(String, String)>);

impl Query {
    fn one(mut self, key: &str, value: Option<&str>) -> Self {
        self.0
            .extend(value.map(|value| (key.to_owned(), value.to_owned())));
        self
    }

    fn many(mut self, key: &str, values: &[String]) -> Self {
        let key = format!("{key}[]");
        self.0
            .extend(values.iter().map(|value| (key.clone(), value.clone())));
        self
    }

    fn months(self, key: &str, now: Timestamp, months: Option<i64>) -> Self {
        match months {
            // Nought means "from now", which is what the API does unasked.
            None | Some(0) => self,
            Some(months) => self.one(key, Some(&utc(days_from(now, months * DAYS_A_MONTH)))),
        }
    }
}

fn services(selector: &ServicesSelector) -> Request {
    Request::single(
        "services",
        Query::default()
            .many("include", &selector.include)
            .one("sort_by", selector.sort_by.as_deref())
            .many("team_ids", &selector.team_ids)
            .one("time_zone", selector.time_zone.as_deref()),
    )
}

fn schedules(selector: &SchedulesSelector, now: Timestamp) -> Request {
    Request::single(
        "schedules",
        Query::default()
            .many("include", &selector.include)
            .one("time_zone", selector.time_zone.as_deref())
            .months(
                "since",
                now,
                selector.since_months.map(|months| -i64::from(months)),
            )
            .months("until", now, selector.until_months.map(i64::from)),
    )
}

fn oncalls(selector: &OncallsSelector, now: Timestamp) -> Request {
    let earliest = selector.earliest.map(|earliest| earliest.to_string());
    Request::single(
        "oncalls",
        Query::default()
            .many("include", &selector.include)
            .many("user_ids", &selector.user_ids)
            .many("escalation_policy_ids", &selector.escalation_policy_ids)
            .many("schedule_ids", &selector.schedule_ids)
            .one("time_zone", selector.time_zone.as_deref())
            .one("earliest", earliest.as_deref())
            .months("since", now, Some(-i64::from(selector.since_months)))
            .months("until", now, Some(i64::from(selector.until_months))),
    )
}

fn escalation_policies(selector: &EscalationPoliciesSelector) -> Request {
    Request::single(
        "escalation_policies",
        Query::default()
            .many("include", &selector.include)
            .many("team_ids", &selector.team_ids)
            .many("user_ids", &selector.user_ids),
    )
}

/// Unasked, the API gives the incidents of the last month, so that an older
/// open incident would drop out of the catalog while people still work on it.
/// Open incidents are therefore asked for over the whole history, resolved ones
/// as the API does by default, unless the selector says a range.
fn incidents(selector: &IncidentsSelector, now: Timestamp) -> Request {
    let base = Query::default()
        .one("incident_key", selector.incident_key.as_deref())
        .many("include", &selector.include)
        .many("service_ids", &selector.service_ids)
        .one("sort_by", selector.sort_by.as_deref())
        .many("team_ids", &selector.team_ids)
        .one("time_zone", selector.time_zone.as_deref())
        .many("urgencies", &selector.urgencies)
        .many("user_ids", &selector.user_ids);
    let part = |statuses: &[String], range, base: Query| Part {
        query: base.many("statuses", statuses).0,
        range,
    };

    let parts = if let Some(date_range) = selector.date_range.as_deref() {
        if date_range == "all" {
            vec![part(&selector.statuses, Range::All, base)]
        } else {
            let base = base.one("date_range", Some(date_range));
            vec![part(&selector.statuses, Range::Unspecified, base)]
        }
    } else if selector.since.is_some() || selector.until.is_some() {
        if let Some((since, until)) = given_range(selector, now) {
            vec![part(&selector.statuses, Range::Between(since, until), base)]
        } else {
            // Not a range that we can read: the API shall say what it thinks of it.
            let base = base
                .one("since", selector.since.as_deref())
                .one("until", selector.until.as_deref());
            vec![part(&selector.statuses, Range::Unspecified, base)]
        }
    } else {
        let wanted = |status: &str| {
            selector.statuses.is_empty() || selector.statuses.iter().any(|wanted| wanted == status)
        };
        let open: Vec<String> = ["triggered", "acknowledged"]
            .into_iter()
            .filter(|status| wanted(status))
            .map(str::to_owned)
            .collect();
        let other: Vec<String> = if selector.statuses.is_empty() {
            vec!["resolved".to_owned()]
        } else {
            let is_open = |status: &String| open.contains(status);
            let others = selector.statuses.iter().filter(|status| !is_open(status));
            others.cloned().collect()
        };
        let mut parts = Vec::new();
        // Open ones first: an incident resolved between the two listings is
        // then seen twice rather than not at all.
        if !open.is_empty() {
            parts.push(part(&open, Range::All, base.clone()));
        }
        if !other.is_empty() {
            parts.push(part(&other, Range::Unspecified, base));
        }
        parts
    };
    Request {
        endpoint: "incidents".to_owned(),
        parts,
    }
}

/// The selector's range, when both ends are known: an absent end is now, an
/// absent beginning is left to the API.
fn given_range(selector: &IncidentsSelector, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let since = parse_date(selector.since.as_deref()?)?;
    let until = match &selector.until {
        Some(until) => parse_date(until)?,
        None => now,
    };
    (since < until).then_some((since, until))
}

/// An instant, or a date that means its first instant in UTC.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// An instant as PagerDuty's documents write it: seconds, `Z`.
pub(super) fn utc(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `days` later (or, below nought, earlier); at the ends of the calendar, the end.
pub(super) fn days_from(now: Timestamp, days: i64) -> Timestamp {
    // A selector may hold any number, so the sum must not panic.
    now.saturating_add(SignedDuration::from_hours(days.saturating_mul(24)))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn pairs(part: &Part) -> Vec<(&str, &str)> {
        part.query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    fn statuses(names: &[&str]) -> IncidentsSelector {
        IncidentsSelector {
            statuses: names.iter().map(|name| (*name).to_owned()).collect(),
            ..IncidentsSelector::default()
        }
    }

    #[test]
    fn open_incidents_are_asked_for_over_the_whole_history() {
        let request = incidents(&statuses(&["triggered", "acknowledged"]), now());

        assert_eq!(request.parts.len(), 1);
        assert_eq!(request.parts[0].range, Range::All);
        assert_eq!(
            pairs(&request.parts[0]),
            [("statuses[]", "triggered"), ("statuses[]", "acknowledged")]
        );
        assert_eq!(request.to_string(), "incidents (triggered, acknowledged)");
    }

    #[test]
    fn resolved_incidents_keep_the_default_of_the_api() {
        let request = incidents(&statuses(&["resolved"]), now());

        assert_eq!(request.parts.len(), 1);
        assert_eq!(request.parts[0].range, Range::Unspecified);
    }

    #[test]
    fn without_statuses_open_and_resolved_incidents_are_listed_one_after_the_other() {
        let request = incidents(&statuses(&[]), now());

        let ranges: Vec<_> = request.parts.iter().map(|part| part.range).collect();
        assert_eq!(ranges, [Range::All, Range::Unspecified]);
        assert_eq!(pairs(&request.parts[1]), [("statuses[]", "resolved")]);
    }

    #[test]
    fn a_range_of_the_selector_wins_over_the_whole_history() {
        let selector = IncidentsSelector {
            since: Some("2026-01-01".to_owned()),
            ..statuses(&["triggered"])
        };
        let since = "2026-01-01T00:00:00Z".parse().unwrap();

        let request = incidents(&selector, now());

        assert_eq!(request.parts[0].range, Range::Between(since, now()));
    }

    #[test]
    fn a_range_that_is_no_date_is_left_to_the_api() {
        let selector = IncidentsSelector {
            since: Some("yesterday".to_owned()),
            ..IncidentsSelector::default()
        };

        let request = incidents(&selector, now());

        assert_eq!(request.parts[0].range, Range::Unspecified);
        assert_eq!(pairs(&request.parts[0]), [("since", "yesterday")]);
    }

    #[test]
    fn months_without_end_end_with_the_calendar() {
        let months = i64::from(u32::MAX) * DAYS_A_MONTH;

        assert_eq!(days_from(now(), months), Timestamp::MAX);
        assert_eq!(days_from(now(), -months), Timestamp::MIN);
    }

    #[test]
    fn months_are_thirty_days_and_nought_is_left_out() {
        let selector = OncallsSelector {
            include: vec!["users".to_owned()],
            since_months: 0,
            until_months: 3,
            user_ids: Vec::new(),
            escalation_policy_ids: Vec::new(),
            schedule_ids: Vec::new(),
            time_zone: None,
            earliest: None,
        };

        let request = oncalls(&selector, now());

        assert_eq!(
            pairs(&request.parts[0]),
            [("include[]", "users"), ("until", "2027-02-19T12:00:00Z")]
        );
    }
}
