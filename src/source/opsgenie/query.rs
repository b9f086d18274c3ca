//! From a kind and its selector to the list that holds what it selects.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{Field, OpsgenieList, OpsgenieQuery, Sign};
use crate::resource_config::{Comparison, Operator, OpsgenieKind, OpsgenieSearch};

/// One dataset: a list, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) list: OpsgenieList,
    pub(super) query: OpsgenieQuery,
}

impl Request {
    /// A list with everything in it.
    pub(super) fn whole(list: OpsgenieList) -> Self {
        Self {
            list,
            query: OpsgenieQuery::default(),
        }
    }

    /// What of a list is open, which acknowledged alerts are, too.
    pub(super) fn open(list: OpsgenieList) -> Self {
        Self {
            list,
            query: OpsgenieQuery::default().and(Field::Status, Sign::Equal, "open"),
        }
    }

    /// What to ask for to get all objects of `kind`.
    pub(super) fn for_kind(kind: &OpsgenieKind) -> Self {
        let searched = |list, search| Self {
            list,
            query: query(search),
        };
        match kind {
            OpsgenieKind::Alert(search) => searched(OpsgenieList::Alerts, search),
            OpsgenieKind::Incident(search) => searched(OpsgenieList::Incidents, search),
            OpsgenieKind::Service => Self::whole(OpsgenieList::Services),
            OpsgenieKind::Team { .. } => Self::whole(OpsgenieList::Teams),
            OpsgenieKind::Schedule {
                expand_rotation: true,
            } => Self::whole(OpsgenieList::SchedulesWithRotations),
            OpsgenieKind::Schedule {
                expand_rotation: false,
            }
            | OpsgenieKind::ScheduleOncall => Self::whole(OpsgenieList::Schedules),
            OpsgenieKind::User => Self::whole(OpsgenieList::Users),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.list.as_str())?;
        if self.query.is_empty() {
            return Ok(());
        }
        write!(formatter, " ({})", self.query)
    }
}

/// The conditions in the order in which the original wrote them.
fn query(search: &OpsgenieSearch) -> OpsgenieQuery {
    let mut query = OpsgenieQuery::default();
    for (field, comparison) in [
        (Field::CreatedAt, &search.created_at),
        (Field::LastOccurredAt, &search.last_occurred_at),
        (Field::SnoozedUntil, &search.snoozed_until),
    ] {
        if let Some(comparison) = comparison {
            query = query.and(field, sign(comparison.operator), &instant(comparison));
        }
    }
    let text = |query: OpsgenieQuery, field, value: &Option<String>| match value {
        Some(value) => query.and(field, Sign::Equal, value),
        None => query,
    };
    let flag = |query: OpsgenieQuery, field, value: Option<bool>| match value {
        Some(true) => query.and(field, Sign::Equal, "true"),
        Some(false) => query.and(field, Sign::Equal, "false"),
        None => query,
    };
    query = text(query, Field::Message, &search.message);
    query = text(query, Field::Status, &search.status);
    query = flag(query, Field::IsSeen, search.is_seen);
    query = flag(query, Field::Acknowledged, search.acknowledged);
    query = flag(query, Field::Snoozed, search.snoozed);
    query = text(query, Field::Priority, &search.priority);
    query = text(query, Field::Owner, &search.owner);
    query = query.and_any(Field::Teams, &search.teams);
    query = text(query, Field::AcknowledgedBy, &search.acknowledged_by);
    text(query, Field::ClosedBy, &search.closed_by)
}

const fn sign(operator: Operator) -> Sign {
    match operator {
        Operator::Equal => Sign::Equal,
        Operator::Less => Sign::Less,
        Operator::LessOrEqual => Sign::LessOrEqual,
        Operator::Greater => Sign::Greater,
        Operator::GreaterOrEqual => Sign::GreaterOrEqual,
    }
}

/// Milliseconds, where the operand is an instant or a date (its first instant
/// in UTC); whatever else it is, Opsgenie is left to understand.
pub(super) fn instant(comparison: &Comparison) -> String {
    let text = &comparison.operand;
    let instant = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    instant.map_or_else(
        || text.clone(),
        |instant| instant.as_millisecond().to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(operator: Operator, operand: &str) -> Comparison {
        Comparison {
            operator,
            operand: operand.to_owned(),
        }
    }

    #[test]
    fn a_selector_becomes_one_query_with_opsgenies_names_and_values() {
        let text = |text: &str| Some(text.to_owned());
        let search = OpsgenieSearch {
            created_at: Some(comparison(Operator::GreaterOrEqual, "2026-01-01")),
            last_occurred_at: Some(comparison(Operator::Less, "2026-01-01T00:00:00.5Z")),
            snoozed_until: Some(comparison(Operator::Equal, "1700000000000")),
            message: text("disk full"),
            status: text("open"),
            is_seen: Some(true),
            acknowledged: Some(false),
            snoozed: Some(false),
            priority: text("P1"),
            owner: text("ann@example.com"),
            teams: vec!["red".to_owned(), "blue".to_owned()],
            acknowledged_by: text("bob@example.com"),
            closed_by: text("eve@example.com"),
        };

        let request = Request::for_kind(&OpsgenieKind::Alert(search));

        assert_eq!(
            request.query.to_string(),
            "createdAt>=1767225600000 AND lastOccurredAt<1767225600500 \
             AND snoozedUntil:1700000000000 AND message:\"disk full\" AND status:open \
             AND isSeen:true AND acknowledged:false AND snoozed:false AND priority:P1 \
             AND owner:ann@example.com AND teams:(red OR blue) \
             AND acknowledgedBy:bob@example.com AND closedBy:eve@example.com"
        );
    }

    #[test]
    fn an_empty_selector_asks_for_everything() {
        let request = Request::for_kind(&OpsgenieKind::Incident(OpsgenieSearch::default()));

        assert_eq!(request, Request::whole(OpsgenieList::Incidents));
        assert_eq!(request.to_string(), "incidents");
    }

    #[test]
    fn what_is_no_date_is_left_to_opsgenie() {
        let search = OpsgenieSearch {
            created_at: Some(comparison(Operator::Greater, "25-10-2025")),
            ..OpsgenieSearch::default()
        };

        let request = Request::for_kind(&OpsgenieKind::Alert(search));

        assert_eq!(request.to_string(), "alerts (createdAt>25-10-2025)");
    }

    #[test]
    fn schedules_and_their_on_calls_are_one_list_unless_rotations_are_wanted() {
        let plain = Request::for_kind(&OpsgenieKind::Schedule {
            expand_rotation: false,
        });
        let expanded = Request::for_kind(&OpsgenieKind::Schedule {
            expand_rotation: true,
        });

        assert_eq!(plain, Request::for_kind(&OpsgenieKind::ScheduleOncall));
        assert_ne!(plain, expanded);
    }
}
