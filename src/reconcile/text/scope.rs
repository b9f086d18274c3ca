//! What a text can speak of.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::reconcile::config::{AlertSource, ComponentStatus};

/// One transition of one public incident, as the texts about it see it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The components of the public incident, in the order in which they are named.
    pub components: Vec<ScopeComponent>,
    /// The names of those that have just come to it.
    pub joined: Vec<String>,
    /// The names of those that have just gone from it.
    pub left: Vec<String>,
    /// The source incident of the transition, as its API gives it.
    pub incident: Value,
    /// All source incidents behind the public one.
    pub incidents: Vec<Value>,
    pub source: AlertSource,
    /// Name of the account that the source incident is from.
    pub account: String,
    pub page: ScopePage,
    /// Name of the rule.
    pub rule: String,
    pub times: Times,
}

#[derive(Clone, Debug, Serialize)]
pub struct ScopeComponent {
    pub id: String,
    pub name: String,
    /// The status that it is given.
    pub status: ComponentStatus,
    /// Name of the group that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ScopePage {
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name in the time zone database.
    pub time_zone: String,
}

/// Given to texts in RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    pub now: Timestamp,
    /// When the source incident began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Timestamp>,
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Seen<'a> {
            component_name: String,
            components: &'a [ScopeComponent],
            component: Option<&'a ScopeComponent>,
            joined: String,
            left: String,
            incident: &'a Value,
            incidents: &'a [Value],
            source: AlertSource,
            account: &'a str,
            page: &'a ScopePage,
            rule: &'a str,
            times: &'a Times,
        }
        let names: Vec<&str> = self
            .components
            .iter()
            .map(|component| component.name.as_str())
            .collect();
        let seen = Seen {
            component_name: listed(&names),
            components: &self.components,
            component: self.components.first(),
            joined: listed(&self.joined),
            left: listed(&self.left),
            incident: &self.incident,
            incidents: &self.incidents,
            source: self.source,
            account: &self.account,
            page: &self.page,
            rule: &self.rule,
            times: &self.times,
        };
        seen.serialize(serializer)
    }
}

/// `A`, `A and B`, `A, B and C`.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// What stands behind a name, as far as it is known before there is an incident.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    List,
    /// An object with these keys.
    Object(&'static [&'static str]),
    /// The vendor's own, so that nothing is known of it.
    Foreign,
}

pub(super) const NAMES: &[(&str, Shape)] = &[
    ("component_name", Shape::Text),
    ("components", Shape::List),
    (
        "component",
        Shape::Object(&["id", "name", "status", "group"]),
    ),
    ("joined", Shape::Text),
    ("left", Shape::Text),
    ("incident", Shape::Foreign),
    ("incidents", Shape::List),
    ("source", Shape::Text),
    ("account", Shape::Text),
    ("page", Shape::Object(&["id", "name", "url", "time_zone"])),
    ("rule", Shape::Text),
    ("times", Shape::Object(&["now", "started", "acknowledged"])),
];

/// A scope in which everything has a value, to try texts on.
pub(super) fn sample() -> Scope {
    let component = |id: &str, name: &str| ScopeComponent {
        id: id.to_owned(),
        name: name.to_owned(),
        status: ComponentStatus::PartialOutage,
        group: Some("Group".to_owned()),
    };
    Scope {
        components: vec![component("c1", "Component"), component("c2", "Other")],
        joined: vec!["Other".to_owned()],
        left: vec!["Former".to_owned()],
        incident: Value::Object(serde_json::Map::new()),
        incidents: vec![Value::Object(serde_json::Map::new())],
        source: AlertSource::Pagerduty,
        account: "account".to_owned(),
        page: ScopePage {
            id: "p1".to_owned(),
            name: "Page".to_owned(),
            url: Some("https://status.example.com".to_owned()),
            time_zone: "UTC".to_owned(),
        },
        rule: "rule".to_owned(),
        times: Times {
            now: Timestamp::UNIX_EPOCH,
            started: Some(Timestamp::UNIX_EPOCH),
            acknowledged: Some(Timestamp::UNIX_EPOCH),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_as_people_write_lists() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["A"]), "A");
        assert_eq!(listed(&["A", "B"]), "A and B");
        assert_eq!(listed(&["A", "B", "C"]), "A, B and C");
    }

    #[test]
    fn the_names_that_are_checked_are_those_that_there_are() {
        let seen = serde_json::to_value(sample()).unwrap();
        let seen = seen.as_object().unwrap();

        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(seen.keys().collect::<Vec<_>>(), names);
        for (name, shape) in NAMES {
            let value = &seen[*name];
            match shape {
                Shape::Text => assert!(value.is_string(), "{name}"),
                Shape::List => assert!(value.is_array(), "{name}"),
                Shape::Object(keys) => {
                    let found: Vec<_> = value.as_object().unwrap().keys().collect();
                    assert_eq!(found, *keys, "{name}");
                }
                Shape::Foreign => assert!(value.is_object(), "{name}"),
            }
        }
    }
}
