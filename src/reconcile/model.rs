//! What is seen on a status page, in types that cannot be mixed up.
//!
//! Parsing is lenient where the API is (`components` may be null, an update may
//! affect nothing) and strict where a guess would be dangerous: an incident
//! without an id or with a time that is none makes the whole observation fail,
//! because acting on half of a page is worse than not acting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::ComponentStatus;
use super::record::{Ownership, Text};

/// Declares an identifier that is a text and nothing else.
macro_rules! identifier {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

/// The status of the update with which a postmortem is published, and of the
/// incident from then on.
const POSTMORTEM: &str = "postmortem";

identifier!(
    /// A status page.
    PageId
);
identifier!(
    /// A component of a status page; unique over all pages.
    ComponentId
);
identifier!(
    /// A public incident.
    IncidentId
);

/// A status page and everything on it that decides what is done.
#[derive(Clone, Debug)]
pub struct ObservedPage {
    pub page: Page,
    /// Components, without the groups.
    pub components: BTreeMap<ComponentId, Component>,
    /// Newest first.
    pub unresolved: Vec<PublicIncident>,
    /// What is resolved among the newest incidents.
    pub resolved: Vec<PublicIncident>,
    /// Components of maintenances that are under way.
    pub in_maintenance: BTreeSet<ComponentId>,
}

/// A status page, as texts see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    pub id: PageId,
    pub name: String,
    pub url: String,
    /// As Statuspage writes it: an IANA name, or the long name of Rails' list.
    pub time_zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub id: ComponentId,
    pub name: String,
    /// The name of the group it is in.
    pub group: Option<String>,
    /// None where Statuspage says nothing, or a status that is not known here.
    pub status: Option<ComponentStatus>,
}

/// A public incident.
#[derive(Clone, Debug)]
pub struct PublicIncident {
    pub id: IncidentId,
    pub name: String,
    /// As Statuspage writes it.
    pub status: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub resolved: Option<Timestamp>,
    pub components: BTreeSet<ComponentId>,
    /// The newest update: what a human wrote, or what we did.
    pub newest: Option<Update>,
    /// When each update was made, for counting public changes.
    pub updates: Vec<Timestamp>,
    /// All of it, since a change replaces all of it.
    pub metadata: Map<String, Value>,
    pub ownership: Ownership,
}

/// One update of a public incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub id: String,
    pub text: Text,
}

/// An object of Statuspage's that is not what it documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct Malformed {
    /// The object, by its id where it has one.
    pub what: String,
    pub problem: &'static str,
}

impl Page {
    pub fn parse(page: &Value) -> Result<Self, Malformed> {
        let id = text(page, "id").ok_or_else(|| malformed("a status page", "has no id"))?;
        let of = |key| text(page, key).unwrap_or_default().to_owned();
        let domain = of("domain");
        let url = if domain.is_empty() {
            of("url")
        } else {
            format!("https://{domain}")
        };
        Ok(Self {
            id: id.into(),
            name: of("name"),
            url,
            time_zone: of("time_zone"),
        })
    }
}

impl ObservedPage {
    /// What its components are called.
    pub fn names(&self) -> BTreeMap<ComponentId, String> {
        let components = self.components.values();
        components
            .map(|component| (component.id.clone(), component.name.clone()))
            .collect()
    }
}

/// The components of a page by id, each with the name of its group.
pub fn components(objects: &[Value]) -> Result<BTreeMap<ComponentId, Component>, Malformed> {
    let is_group = |object: &Value| object.get("group").and_then(Value::as_bool) == Some(true);
    let groups: BTreeMap<&str, &str> = objects
        .iter()
        .filter(|object| is_group(object))
        .filter_map(|group| Some((text(group, "id")?, text(group, "name")?)))
        .collect();
    objects
        .iter()
        .filter(|object| !is_group(object))
        .map(|object| {
            let id = text(object, "id").ok_or_else(|| malformed("a component", "has no id"))?;
            let group = text(object, "group_id").and_then(|id| groups.get(id));
            let component = Component {
                id: id.into(),
                name: text(object, "name").unwrap_or(id).to_owned(),
                group: group.map(|&name| name.to_owned()),
                status: text(object, "status").and_then(|status| status.parse().ok()),
            };
            Ok((component.id.clone(), component))
        })
        .collect()
}

impl PublicIncident {
    /// `owner`: whose incidents are ours.
    pub fn parse(object: &Value, owner: &str) -> Result<Self, Malformed> {
        let id = text(object, "id").ok_or_else(|| malformed("an incident", "has no id"))?;
        let bad = |problem| malformed(&format!("incident {id}"), problem);
        let created = instant(object, "created_at").ok_or_else(|| bad("has no created_at"))?;
        let updates = list(object, "incident_updates");
        let update = |update: &Value| Update {
            id: text(update, "id").unwrap_or_default().to_owned(),
            text: Text {
                status: text(update, "status").unwrap_or_default().to_owned(),
                body: text(update, "body").unwrap_or_default().to_owned(),
            },
        };
        let metadata = match object.get("metadata") {
            Some(Value::Object(metadata)) => metadata.clone(),
            _ => Map::new(),
        };
        let newest = updates.first().map(update);
        let mut components: BTreeSet<ComponentId> = list(object, "components")
            .iter()
            .filter_map(|component| text(component, "id"))
            .map(ComponentId::from)
            .collect();
        // Who explains afterwards what happened takes nothing over.
        let said = updates
            .iter()
            .map(update)
            .find(|update| update.text.status != POSTMORTEM);
        let ownership = Ownership::of(owner, &metadata, said.as_ref(), updates, &components);
        // Where the page does not say, what is written in the incident counts: an
        // own incident that seems to hold nothing would be opened once more.
        if components.is_empty() {
            components = ownership.components();
        }
        Ok(Self {
            id: id.into(),
            name: text(object, "name").unwrap_or_default().to_owned(),
            status: text(object, "status")
                .ok_or_else(|| bad("has no status"))?
                .to_owned(),
            created,
            updated: instant(object, "updated_at").unwrap_or(created),
            resolved: instant(object, "resolved_at"),
            updates: updates
                .iter()
                .filter_map(|update| instant(update, "created_at"))
                .collect(),
            ownership,
            components,
            newest,
            metadata,
        })
    }

    /// Realtime incidents end in one of these; the other statuses are those of
    /// maintenances.
    pub fn is_resolved(&self) -> bool {
        matches!(self.status.as_str(), "resolved" | POSTMORTEM | "completed")
    }

    /// Whether it is a planned maintenance rather than an incident.
    pub fn is_maintenance(&self) -> bool {
        matches!(
            self.status.as_str(),
            "scheduled" | "in_progress" | "verifying" | "completed"
        )
    }

    /// Whether this is still what `other` was: nobody wrote anything meanwhile.
    pub fn is_as(&self, other: &Self) -> bool {
        let newest = |incident: &Self| incident.newest.as_ref().map(|update| update.id.clone());
        self.status == other.status
            && newest(self) == newest(other)
            && self.metadata == other.metadata
    }
}

/// The components of maintenances that are under way.
pub fn in_maintenance(incidents: &[PublicIncident]) -> BTreeSet<ComponentId> {
    incidents
        .iter()
        .filter(|incident| matches!(incident.status.as_str(), "in_progress" | "verifying"))
        .flat_map(|incident| incident.components.iter().cloned())
        .collect()
}

fn malformed(what: &str, problem: &'static str) -> Malformed {
    Malformed {
        what: what.to_owned(),
        problem,
    }
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

pub(super) fn instant(object: &Value, key: &str) -> Option<Timestamp> {
    text(object, key)?.parse().ok()
}

/// The list at a key; absent and null are an empty one.
pub(super) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}
