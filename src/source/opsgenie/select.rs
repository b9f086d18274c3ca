//! Whether Opsgenie's search would find an alert, as far as its documents say how
//! it searches.
//!
//! Flags, instants, statuses and priorities are exact. How texts are taken apart
//! and compared is not documented: one that is the same, or has what is wanted
//! as a word of its own, is found; one that has nothing of it is not; what lies
//! between is left to Opsgenie.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::query::instant;
use crate::resource_config::{Comparison, Operator, OpsgenieKind, OpsgenieSearch};
use crate::source::live::Standing;

/// Teams by name, in lower case.
#[derive(Default)]
pub(super) struct Teams {
    by_name: HashMap<String, Vec<String>>,
    is_unknown: bool,
}

impl Teams {
    pub(super) fn of(teams: &[Value]) -> Self {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for team in teams {
            let text = |key: &str| team.get(key).and_then(Value::as_str);
            if let (Some(id), Some(name)) = (text("id"), text("name")) {
                let ids = by_name.entry(name.to_lowercase()).or_default();
                ids.push(id.to_owned());
            }
        }
        Self {
            by_name,
            is_unknown: false,
        }
    }

    /// Nobody knows what the teams are called.
    pub(super) fn unknown() -> Self {
        Self {
            is_unknown: true,
            ..Self::default()
        }
    }
}

/// Whether this is an id, and so no name.
pub(super) fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// Whether the API would have listed the object for its kind, whenever it is of.
pub(in crate::source) fn may_list(kind: &OpsgenieKind, object: &Value) -> bool {
    let (OpsgenieKind::Alert(search) | OpsgenieKind::Incident(search)) = kind else {
        return true;
    };
    let timeless = OpsgenieSearch {
        created_at: None,
        last_occurred_at: None,
        snoozed_until: None,
        ..search.clone()
    };
    alert_stands(&timeless, object, &Teams::unknown()) != Standing::Excluded
}

/// Whether the list of alerts would have had the alert for the selector.
pub(super) fn alert_stands(search: &OpsgenieSearch, alert: &Value, teams: &Teams) -> Standing {
    let field = |key: &str| alert.get(key).filter(|value| !value.is_null());
    let text = |key: &str| field(key).and_then(Value::as_str);
    let report = |key: &str| alert.get("report")?.get(key)?.as_str();
    let is = |wanted: &Option<String>, found: Option<&str>| {
        let is_it = wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        Standing::from(is_it)
    };
    let flag = |wanted: Option<bool>, names: &[&str]| {
        let found = names.iter().find_map(|name| field(name)?.as_bool());
        let is_it = wanted.is_none_or(|wanted| found.unwrap_or_default() == wanted);
        Standing::from(is_it)
    };
    let like = |wanted: &Option<String>, found: Option<&str>| match wanted {
        Some(wanted) => found.map_or(Standing::Excluded, |found| resembles(wanted, found)),
        None => Standing::Included,
    };
    let when = |wanted: &Option<Comparison>, key: &str| match wanted {
        Some(wanted) => holds(wanted, field(key)),
        None => Standing::Included,
    };
    is(&search.status, text("status"))
        .and(|| is(&search.priority, text("priority")))
        .and(|| flag(search.is_seen, &["isSeen", "seen"]))
        .and(|| flag(search.acknowledged, &["acknowledged"]))
        .and(|| flag(search.snoozed, &["snoozed"]))
        .and(|| when(&search.created_at, "createdAt"))
        .and(|| when(&search.last_occurred_at, "lastOccurredAt"))
        .and(|| when(&search.snoozed_until, "snoozedUntil"))
        .and(|| of_teams(&search.teams, alert, teams))
        .and(|| like(&search.owner, text("owner")))
        .and(|| like(&search.acknowledged_by, report("acknowledgedBy")))
        .and(|| like(&search.closed_by, report("closedBy")))
        .and(|| like(&search.message, text("message")))
}

fn holds(wanted: &Comparison, found: Option<&Value>) -> Standing {
    let Ok(wanted_at) = instant(wanted).parse::<i64>() else {
        return Standing::Undecided;
    };
    let found = found.and_then(|found| match found {
        Value::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
        number => number.as_i64(),
    });
    let Some(found) = found else {
        return Standing::Excluded;
    };
    Standing::from(match wanted.operator {
        Operator::Equal => found == wanted_at,
        Operator::Less => found < wanted_at,
        Operator::LessOrEqual => found <= wanted_at,
        Operator::Greater => found > wanted_at,
        Operator::GreaterOrEqual => found >= wanted_at,
    })
}

fn of_teams(wanted: &[String], alert: &Value, teams: &Teams) -> Standing {
    if wanted.is_empty() {
        return Standing::Included;
    }
    let list = |key: &str| {
        alert
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let responders = list("responders").filter(|one| one.get("type").is_none_or(|of| of == "team"));
    let own: Vec<&str> = list("teams")
        .chain(responders)
        .filter_map(|one| one.get("id")?.as_str())
        .collect();
    let named = |name: &String| teams.by_name.get(&name.to_lowercase());
    let is_found = |team: &String| {
        let mut ids = named(team).into_iter().flatten();
        own.contains(&team.as_str()) || ids.any(|id| own.contains(&id.as_str()))
    };
    if wanted.iter().any(is_found) {
        return Standing::Included;
    }
    // A pattern of names, or names that could not be read.
    let is_open =
        |team: &String| team.contains(['*', '(', '"']) || (teams.is_unknown && !is_id(team));
    if wanted.iter().any(is_open) {
        Standing::Undecided
    } else {
        Standing::Excluded
    }
}

/// Whether a text is what is wanted, in whatever case; `*` is anything.
fn resembles(wanted: &str, found: &str) -> Standing {
    let (wanted, found) = (wanted.trim().to_lowercase(), found.to_lowercase());
    let alternatives = wanted
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'));
    if let Some(alternatives) = alternatives {
        let found = alternatives
            .split(" or ")
            .map(|wanted| resembles(wanted, &found));
        return found.fold(Standing::Excluded, |any, one| match (any, one) {
            (Standing::Included, _) | (_, Standing::Included) => Standing::Included,
            (Standing::Undecided, _) | (_, Standing::Undecided) => Standing::Undecided,
            _ => Standing::Excluded,
        });
    }
    let wanted = wanted
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(&wanted);
    let is_found = glob(wanted, &found)
        || found.split_whitespace().any(|word| glob(wanted, word))
        || (wanted.contains(' ') && found.contains(wanted));
    if is_found {
        return Standing::Included;
    }
    let mut pieces = wanted
        .split(|character: char| !character.is_alphanumeric())
        .filter(|piece| !piece.is_empty());
    if pieces.any(|piece| found.contains(piece)) {
        Standing::Undecided
    } else {
        Standing::Excluded
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEAM: &str = "4513b7ea-3b91-438f-b7e4-e3e54af9147c";
    const OTHER: &str = "9c7f1d2e-3b91-438f-b7e4-e3e54af9147c";

    fn alert() -> Value {
        json!({
            "id": "a", "message": "Disk full on db-1", "status": "open", "priority": "P2",
            "acknowledged": true, "isSeen": false, "snoozed": false, "owner": "ann@example.com",
            "createdAt": "2026-01-01T00:00:00Z", "lastOccurredAt": "2026-01-02T00:00:00Z",
            "teams": [], "responders": [{"type": "team", "id": TEAM}, {"type": "user", "id": OTHER}],
            "report": {"acknowledgedBy": "bob@example.com"},
        })
    }

    fn stands(change: impl FnOnce(&mut OpsgenieSearch)) -> Standing {
        let mut search = OpsgenieSearch::default();
        change(&mut search);
        let teams = Teams::of(&[
            json!({"id": TEAM, "name": "Red"}),
            json!({"id": OTHER, "name": "Blue"}),
        ]);
        alert_stands(&search, &alert(), &teams)
    }

    fn compare(operator: Operator, operand: &str) -> Comparison {
        Comparison {
            operator,
            operand: operand.to_owned(),
        }
    }

    #[test]
    fn each_condition_is_applied_to_the_alert() {
        use Standing::{Excluded, Included, Undecided};
        type Change = fn(&mut OpsgenieSearch);
        let table: [(Change, Standing); 24] = [
            (|_| {}, Included),
            (|s| s.status = Some("open".into()), Included),
            (|s| s.status = Some("closed".into()), Excluded),
            (|s| s.priority = Some("P2".into()), Included),
            (|s| s.priority = Some("P1".into()), Excluded),
            (|s| s.acknowledged = Some(true), Included),
            (|s| s.acknowledged = Some(false), Excluded),
            (|s| s.is_seen = Some(true), Excluded),
            (|s| s.snoozed = Some(false), Included),
            (
                |s| s.created_at = Some(compare(Operator::GreaterOrEqual, "2026-01-01")),
                Included,
            ),
            (
                |s| s.created_at = Some(compare(Operator::Greater, "1767225600000")),
                Excluded,
            ),
            (
                |s| s.created_at = Some(compare(Operator::Greater, "25-10-2025")),
                Undecided,
            ),
            (
                |s| s.last_occurred_at = Some(compare(Operator::Less, "2026-01-01")),
                Excluded,
            ),
            (
                |s| s.snoozed_until = Some(compare(Operator::Less, "2027-01-01")),
                Excluded,
            ),
            (
                |s| s.teams = vec![OTHER.to_owned(), TEAM.to_owned()],
                Included,
            ),
            (|s| s.teams = vec!["red".to_owned()], Included),
            (|s| s.teams = vec!["Blue".to_owned()], Excluded),
            (|s| s.teams = vec!["Gr*".to_owned()], Undecided),
            (|s| s.owner = Some("Ann@example.com".into()), Included),
            (|s| s.owner = Some("eve@other.org".into()), Excluded),
            (|s| s.acknowledged_by = Some("bob*".into()), Included),
            (|s| s.closed_by = Some("bob*".into()), Excluded),
            (|s| s.message = Some("cpu".into()), Excluded),
            // What is not known does not matter where something else excludes.
            (
                |s| {
                    s.message = Some("Disks".into());
                    s.status = Some("closed".into());
                },
                Excluded,
            ),
        ];
        for (number, (change, expected)) in table.into_iter().enumerate() {
            assert_eq!(stands(change), expected, "case {number}");
        }
    }

    #[test]
    fn texts_are_found_left_out_or_left_to_opsgenie() {
        use Standing::{Excluded, Included, Undecided};
        for (wanted, expected) in [
            ("disk full on db-1", Included),
            ("disk", Included),
            ("\"full on\"", Included),
            ("disk*", Included),
            ("*db-1", Included),
            ("(cpu OR disk)", Included),
            ("(cpu OR memory)", Excluded),
            ("disk empty", Undecided),
            ("db", Undecided),
            ("*full", Included),
            ("*ful?", Undecided),
            ("memory", Excluded),
        ] {
            assert_eq!(resembles(wanted, "Disk full on db-1"), expected, "{wanted}");
        }
    }

    #[test]
    fn a_name_is_left_to_opsgenie_where_the_teams_could_not_be_read() {
        let search = OpsgenieSearch {
            teams: vec!["Red".to_owned()],
            ..OpsgenieSearch::default()
        };

        let standing = alert_stands(&search, &alert(), &Teams::unknown());

        assert_eq!(standing, Standing::Undecided);
    }
}
