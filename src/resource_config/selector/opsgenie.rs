//! What a resource config asks of Opsgenie.
//!
//! The values are taken as their author meant them; how Opsgenie wants them
//! written is not said here.

use super::{Options, QueryParameters};
use crate::resource_config::kind::OpsgenieKind;

const STATUSES: &[&str] = &["open", "resolved", "closed"];
const PRIORITIES: &[&str] = &["P1", "P2", "P3", "P4", "P5"];

/// Which alerts or incidents are wanted; everything given has to hold.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct OpsgenieSearch {
    pub created_at: Option<Comparison>,
    pub last_occurred_at: Option<Comparison>,
    pub snoozed_until: Option<Comparison>,
    pub message: Option<String>,
    pub status: Option<String>,
    pub is_seen: Option<bool>,
    pub acknowledged: Option<bool>,
    pub snoozed: Option<bool>,
    pub priority: Option<String>,
    pub owner: Option<String>,
    /// Any of these.
    pub teams: Vec<String>,
    pub acknowledged_by: Option<String>,
    pub closed_by: Option<String>,
}

/// What an instant is compared with, as in `>=2026-01-01`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub operator: Operator,
    /// An instant, a date or milliseconds since 1970.
    pub operand: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let (operator, operand) = [
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("=", Operator::Equal),
        ]
        .into_iter()
        .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, text));
        let operand = operand.trim();
        (!operand.is_empty()).then(|| Self {
            operator,
            operand: operand.to_owned(),
        })
    }
}

/// The kind of this name, one of the known ones, with what its selector asks for.
pub(super) fn kind(name: &str, options: &mut Options<'_, '_>) -> OpsgenieKind {
    match name {
        "alert" => OpsgenieKind::Alert(search(options)),
        "incident" => OpsgenieKind::Incident(search(options)),
        "team" => OpsgenieKind::Team {
            include_members: options.boolean("includeMembers", false),
        },
        "schedule" => OpsgenieKind::Schedule {
            expand_rotation: expand_rotation(options),
        },
        "schedule-oncall" => OpsgenieKind::ScheduleOncall,
        "user" => OpsgenieKind::User,
        _ => OpsgenieKind::Service,
    }
}

fn search(options: &mut Options<'_, '_>) -> OpsgenieSearch {
    let mut query = options.query_parameters();
    let search = OpsgenieSearch {
        created_at: comparison(&mut query, "createdAt"),
        last_occurred_at: comparison(&mut query, "lastOccurredAt"),
        snoozed_until: comparison(&mut query, "snoozedUntil"),
        message: text(&mut query, "message"),
        status: query.choice("status", STATUSES),
        is_seen: query.optional_boolean("isSeen"),
        acknowledged: query.optional_boolean("acknowledged"),
        snoozed: query.optional_boolean("snoozed"),
        priority: query.choice("priority", PRIORITIES),
        owner: text(&mut query, "owner"),
        teams: query.strings("teams"),
        acknowledged_by: text(&mut query, "acknowledgedBy"),
        closed_by: text(&mut query, "closedBy"),
    };
    query.finish();
    search
}

fn expand_rotation(options: &mut Options<'_, '_>) -> bool {
    let mut query = options.query_parameters();
    let expand = query.choice("expand", &["rotation"]);
    query.finish();
    expand.is_some()
}

fn comparison(query: &mut QueryParameters<'_, '_>, name: &'static str) -> Option<Comparison> {
    let (path, value) = query.take(name);
    let written = query.reader.string(&path, value)?;
    let comparison = Comparison::of(&written);
    if comparison.is_none() && !written.trim().is_empty() {
        // Left out, it would select everything.
        let problem = format!("expected an instant after the sign, found {written:?}");
        query.reader.problem(&path, problem, None);
    }
    comparison
}

/// A text; one without anything in it asks for nothing.
fn text(query: &mut QueryParameters<'_, '_>, name: &'static str) -> Option<String> {
    let text = query.string(name)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
