//! Searches: `status:open AND createdAt>=1700000000000`.
//!
//! A field that there is not, a value of the wrong kind or a word too many is
//! an error that says what is wrong, where Opsgenie itself might look the word
//! up somewhere else.

mod parse;

use std::borrow::Cow;

use serde_json::Value;

use super::super::chassis::glob;
use super::super::table::text_at;
use super::{Object, Row};

/// What a field holds, and so what may be asked of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Milliseconds since 1970, or a plain number.
    Number,
    Flag,
    Text,
    /// Identifiers of teams, asked for by these or by name.
    Teams,
}

/// What can be searched of alerts and of incidents.
const ALERT_FIELDS: [(&str, Holds); 28] = [
    ("createdAt", Holds::Number),
    ("lastOccurredAt", Holds::Number),
    ("snoozedUntil", Holds::Number),
    ("tinyId", Holds::Number),
    ("count", Holds::Number),
    ("isSeen", Holds::Flag),
    ("acknowledged", Holds::Flag),
    ("snoozed", Holds::Flag),
    ("alertId", Holds::Text),
    ("alias", Holds::Text),
    ("message", Holds::Text),
    ("description", Holds::Text),
    ("source", Holds::Text),
    ("entity", Holds::Text),
    ("status", Holds::Text),
    ("owner", Holds::Text),
    ("acknowledgedBy", Holds::Text),
    ("closedBy", Holds::Text),
    ("recipients", Holds::Text),
    ("teams", Holds::Teams),
    ("responders", Holds::Teams),
    ("integration.name", Holds::Text),
    ("integration.type", Holds::Text),
    ("tag", Holds::Text),
    ("actions", Holds::Text),
    ("details.key", Holds::Text),
    ("details.value", Holds::Text),
    ("priority", Holds::Text),
];
const USER_FIELDS: [(&str, Holds); 9] = [
    ("createdAt", Holds::Number),
    ("blocked", Holds::Flag),
    ("verified", Holds::Flag),
    ("username", Holds::Text),
    ("fullName", Holds::Text),
    ("role", Holds::Text),
    ("locale", Holds::Text),
    ("timeZone", Holds::Text),
    ("userAddress", Holds::Text),
];
const SERVICE_FIELDS: [(&str, Holds); 5] = [
    ("id", Holds::Text),
    ("name", Holds::Text),
    ("description", Holds::Text),
    ("tag", Holds::Text),
    ("teamId", Holds::Text),
];

/// What objects have to be like.
pub(super) enum Search {
    Everything,
    Not(Box<Search>),
    And(Vec<Search>),
    Or(Vec<Search>),
    Is(&'static str, Wanted),
}

/// What a field has to be.
pub(super) enum Wanted {
    Number(Comparison, i64),
    Flag(bool),
    /// Any of these, `*` being anything, in whatever case.
    Text(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Search {
    /// Reads a search; `teams` finds the teams that have a name. An empty
    /// search finds everything.
    pub(super) fn parse(
        kind: &str,
        query: &str,
        teams: &dyn Fn(&str) -> Vec<String>,
    ) -> Result<Self, String> {
        let fields: &[(&str, Holds)] = match kind {
            "users" => &USER_FIELDS,
            "services" => &SERVICE_FIELDS,
            _ => &ALERT_FIELDS,
        };
        parse::parse(query, fields, teams)
    }

    pub(super) fn matches(&self, row: &Row<Object>) -> bool {
        match self {
            Self::Everything => true,
            Self::Not(search) => !search.matches(row),
            Self::And(searches) => searches.iter().all(|search| search.matches(row)),
            Self::Or(searches) => searches.iter().any(|search| search.matches(row)),
            Self::Is(field, wanted) => wanted.matches(&found(row, field)),
        }
    }
}

impl Wanted {
    fn matches(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Number(comparison, wanted), Found::Number(Some(found))) => match comparison {
                Comparison::Equal => found == wanted,
                Comparison::Less => found < wanted,
                Comparison::LessOrEqual => found <= wanted,
                Comparison::Greater => found > wanted,
                Comparison::GreaterOrEqual => found >= wanted,
            },
            (Self::Flag(wanted), Found::Flag(found)) => wanted == found,
            (Self::Text(wanted), Found::Texts(found)) => wanted
                .iter()
                .any(|wanted| found.iter().any(|found| resembles(wanted, found))),
            _ => false,
        }
    }
}

/// Whether a text is what is wanted, or has it as one of its words, or, when
/// several words are wanted, among its own.
fn resembles(wanted: &str, found: &str) -> bool {
    let found = found.to_lowercase();
    glob(wanted, &found)
        || found.split_whitespace().any(|word| glob(wanted, word))
        || (wanted.contains(' ') && found.contains(wanted))
}

/// What an object has in a field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found<'a> {
    Number(Option<i64>),
    Flag(bool),
    Texts(Vec<Cow<'a, str>>),
}

/// What an object has in a field. What is seldom asked for is looked up in the
/// object itself.
pub(super) fn found<'a>(row: &'a Row<Object>, field: &str) -> Found<'a> {
    let facts = &row.facts;
    let text = |text: &'a str| Found::Texts(vec![Cow::Borrowed(text)]);
    match field {
        "createdAt" => Found::Number(facts.created_at),
        "updatedAt" => Found::Number(facts.updated_at),
        "lastOccurredAt" => Found::Number(facts.last_occurred_at),
        "snoozedUntil" => Found::Number(facts.snoozed_until),
        "tinyId" => Found::Number(Some(facts.tiny_id)),
        "count" => Found::Number(Some(facts.count)),
        "isSeen" => Found::Flag(facts.is_seen),
        "acknowledged" => Found::Flag(facts.acknowledged),
        "snoozed" => Found::Flag(facts.snoozed),
        "alertId" | "id" => text(&row.id),
        "message" | "name" | "fullName" => text(&facts.name),
        "username" => text(&facts.username),
        "alias" => text(&facts.alias),
        "status" => text(&facts.status),
        "priority" => text(&facts.priority),
        "owner" => text(&facts.owner),
        _ => looked_up(&row.object(), field),
    }
}

fn looked_up<'a>(object: &Value, field: &str) -> Found<'a> {
    let ids = |list: &Value, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter(|one| wanted(text_at(one, "type")))
            .map(|one| text_at(one, "id").to_owned())
            .collect()
    };
    let strings = |list: &Value| -> Vec<String> {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let list = list.iter().filter_map(Value::as_str);
        list.map(str::to_owned).collect()
    };
    let details = || object["details"].as_object().into_iter().flatten();
    let texts = match field {
        "blocked" | "verified" => return Found::Flag(object[field] == true),
        "teams" => [
            ids(&object["teams"], &|_| true),
            ids(&object["responders"], &|kind| kind == "team"),
        ]
        .concat(),
        "responders" => ids(&object["responders"], &|_| true),
        "recipients" => ids(&object["responders"], &|kind| kind == "user"),
        "tag" => strings(&object["tags"]),
        "actions" => strings(&object["actions"]),
        "acknowledgedBy" | "closedBy" => vec![text_at(&object["report"], field).to_owned()],
        "integration.name" => vec![text_at(&object["integration"], "name").to_owned()],
        "integration.type" => vec![text_at(&object["integration"], "type").to_owned()],
        "details.key" => details().map(|(key, _)| key.clone()).collect(),
        "details.value" => details()
            .filter_map(|(_, value)| value.as_str().map(str::to_owned))
            .collect(),
        "role" => vec![text_at(&object["role"], "name").to_owned()],
        "userAddress" => {
            let parts = object["userAddress"].as_object().into_iter().flatten();
            parts
                .filter_map(|(_, part)| part.as_str().map(str::to_owned))
                .collect()
        }
        _ => vec![text_at(object, field).to_owned()],
    };
    Found::Texts(texts.into_iter().map(Cow::Owned).collect())
}
