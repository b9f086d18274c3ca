//! Opsgenie's search language, as far as it is used.
//!
//! `status:open AND isSeen:false AND createdAt>=1700000000000`: fields are
//! spelt as they are here and no other way, since an unknown field finds
//! nothing; instants are milliseconds since 1970.

use std::fmt;

/// What alerts and incidents can be searched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    CreatedAt,
    LastOccurredAt,
    SnoozedUntil,
    Message,
    Status,
    IsSeen,
    Acknowledged,
    Snoozed,
    Priority,
    Owner,
    Teams,
    AcknowledgedBy,
    ClosedBy,
}

impl Field {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "createdAt",
            Self::LastOccurredAt => "lastOccurredAt",
            Self::SnoozedUntil => "snoozedUntil",
            Self::Message => "message",
            Self::Status => "status",
            Self::IsSeen => "isSeen",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Priority => "priority",
            Self::Owner => "owner",
            Self::Teams => "teams",
            Self::AcknowledgedBy => "acknowledgedBy",
            Self::ClosedBy => "closedBy",
        }
    }
}

/// How a field stands to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Sign {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => ":",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// Conditions that all have to hold; none at all finds everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpsgenieQuery(Vec<String>);

impl OpsgenieQuery {
    /// With one more condition.
    #[must_use]
    pub fn and(mut self, field: Field, sign: Sign, value: &str) -> Self {
        let (field, sign) = (field.as_str(), sign.as_str());
        self.0.push(format!("{field}{sign}{}", quoted(value)));
        self
    }

    /// With the condition that the field has any of these values.
    #[must_use]
    pub fn and_any(mut self, field: Field, values: &[String]) -> Self {
        match values {
            [] => self,
            [value] => self.and(field, Sign::Equal, value),
            values => {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                let field = field.as_str();
                self.0.push(format!("{field}:({})", values.join(" OR ")));
                self
            }
        }
    }

    /// The same of what was created in this window: from its first millisecond
    /// to before its last. An end that is left out is open.
    #[must_use]
    pub fn created_within(&self, since: Option<i64>, until: Option<i64>) -> Self {
        let own = match self.0.as_slice() {
            [] => Vec::new(),
            _ => vec![format!("({self})")],
        };
        let mut query = Self(own);
        if let Some(since) = since {
            query = query.and(Field::CreatedAt, Sign::GreaterOrEqual, &since.to_string());
        }
        if let Some(until) = until {
            query = query.and(Field::CreatedAt, Sign::Less, &until.to_string());
        }
        query
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for OpsgenieQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" AND "))
    }
}

/// A value as it is written behind a field. What would be read as more than a
/// value is quoted; quotes and alternatives of the author's own stay.
fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty()
        && !value.starts_with('-')
        && !matches!(value, "AND" | "OR" | "NOT")
        && value
            .chars()
            .all(|character| character.is_alphanumeric() || "@._-*+".contains(character));
    if is_plain || is_quoted(value) || is_alternatives(value) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `"disk full"`
fn is_quoted(value: &str) -> bool {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains(['"', '\\']))
}

/// `(disk OR cpu)`: one pair of parentheses around everything.
fn is_alternatives(value: &str) -> bool {
    let inner = value
        .strip_prefix('(')
        .and_then(|value| value.strip_suffix(')'));
    inner.is_some_and(|inner| !inner.contains(['(', ')', '"']) && inner.contains(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_joined_in_their_order() {
        let query = OpsgenieQuery::default()
            .and(Field::Status, Sign::Equal, "open")
            .and(Field::IsSeen, Sign::Equal, "false")
            .and(Field::LastOccurredAt, Sign::Greater, "1700000000000")
            .and_any(Field::Teams, &["red".to_owned(), "light blue".to_owned()])
            .and_any(Field::Teams, &["red".to_owned()])
            .and_any(Field::Teams, &[]);
        assert_eq!(
            query.to_string(),
            "status:open AND isSeen:false AND lastOccurredAt>1700000000000 \
             AND teams:(red OR \"light blue\") AND teams:red"
        );
    }

    #[test]
    fn a_window_leaves_the_conditions_as_they_are() {
        let open = OpsgenieQuery::default().and(Field::Status, Sign::Equal, "open");
        let all = OpsgenieQuery::default();
        let table = [
            (
                open.created_within(Some(1), Some(2)),
                "(status:open) AND createdAt>=1 AND createdAt<2",
            ),
            (
                open.created_within(None, Some(2)),
                "(status:open) AND createdAt<2",
            ),
            (all.created_within(Some(1), None), "createdAt>=1"),
            (all.created_within(None, None), ""),
        ];
        for (query, expected) in table {
            assert_eq!(query.to_string(), expected);
        }
    }

    #[test]
    fn a_value_stays_one_value() {
        let table = [
            ("open", "open"),
            ("ann@example.com", "ann@example.com"),
            ("disk*", "disk*"),
            ("disk full", "\"disk full\""),
            ("a:b", "\"a:b\""),
            ("-quiet", "\"-quiet\""),
            ("50%", "\"50%\""),
            ("Zürich", "Zürich"),
            ("x OR status:closed", "\"x OR status:closed\""),
            ("OR", "\"OR\""),
            ("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""),
            ("\"disk full\"", "\"disk full\""),
            ("(disk OR cpu)", "(disk OR cpu)"),
            ("(a) OR (b)", "\"(a) OR (b)\""),
        ];
        for (value, expected) in table {
            assert_eq!(quoted(value), expected);
        }
    }
}
