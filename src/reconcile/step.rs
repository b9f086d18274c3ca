//! One change of a status page: what a plan is made of.
//!
//! A step is complete: the texts are rendered, the record is written out, and
//! nothing is left to be decided when it is carried out. What is printed is
//! therefore exactly what is sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::config::ComponentStatus;
use super::model::{ComponentId, IncidentId, ObservedPage, PageId, PublicIncident, Update};
use super::record::{Key, Ownership, Record, Text};

/// What kind of change it is.
pub use crate::store::SyncStepKind as StepKind;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub page: PageId,
    pub kind: StepKind,
    /// None while there is none yet.
    pub incident: Option<IncidentId>,
    pub key: Key,
    /// Why, in words.
    pub reason: String,
    /// What it is called; given once, when it is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The components that the incident is about from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<BTreeSet<ComponentId>>,
    /// The statuses that components get.
    pub components: BTreeMap<ComponentId, ComponentStatus>,
    /// Whether subscribers hear of it.
    pub notify: bool,
    /// The record that the incident carries from then on.
    pub record: Record,
    /// Since when it ought to have been open.
    #[serde(skip)]
    pub opens_since: Option<Timestamp>,
    /// Steps of a later round build on those of the earlier ones.
    #[serde(skip)]
    pub round: usize,
}

impl Step {
    /// The components that it calls operational again.
    pub fn freed(&self) -> impl Iterator<Item = &ComponentId> {
        let components = self.components.iter();
        components
            .filter(|(_, status)| **status == ComponentStatus::Operational)
            .map(|(id, _)| id)
    }

    /// Whether readers of the page see an update because of it.
    pub const fn is_public(&self) -> bool {
        self.status.is_some() || self.body.is_some()
    }

    /// The incident as it is sent. `metadata`: what the incident carries now; a
    /// change replaces all of it, so what is not ours is sent along.
    pub fn payload(&self, metadata: &Map<String, Value>) -> Value {
        let mut payload = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("status", &self.status),
            ("body", &self.body),
        ] {
            if let Some(text) = text {
                payload.insert(key.to_owned(), json!(text));
            }
        }
        // The components of a restoration are set one by one, beside the incident.
        if self.kind != StepKind::Restore {
            if let Some(attached) = &self.attached {
                payload.insert("component_ids".to_owned(), json!(attached));
            }
            if !self.components.is_empty() {
                payload.insert("components".to_owned(), json!(self.components));
            }
        }
        payload.insert(
            "metadata".to_owned(),
            Value::Object(self.record.in_metadata(metadata)),
        );
        // Nobody is told of what has no words; the API would tell unasked.
        let notify = self.is_public() && self.notify;
        payload.insert("deliver_notifications".to_owned(), json!(notify));
        Value::Object(payload)
    }

    /// The page as it is once this has been done, for planning what comes next.
    pub fn foresee(&self, page: &mut ObservedPage, now: Timestamp) {
        for (id, status) in &self.components {
            if let Some(component) = page.components.get_mut(id) {
                component.status = Some(*status);
            }
        }
        let Some(id) = &self.incident else {
            let id = IncidentId::from(format!("({})", self.key).as_str());
            page.unresolved.insert(0, self.foreseen(id, now));
            return;
        };
        let place =
            |incidents: &[PublicIncident]| incidents.iter().position(|incident| incident.id == *id);
        let mut incident = if let Some(place) = place(&page.unresolved) {
            page.unresolved.remove(place)
        } else if let Some(place) = place(&page.resolved) {
            page.resolved.remove(place)
        } else {
            return;
        };
        self.change(&mut incident, now);
        if incident.is_resolved() {
            page.resolved.push(incident);
        } else {
            page.unresolved.push(incident);
        }
    }

    fn foreseen(&self, id: IncidentId, now: Timestamp) -> PublicIncident {
        let mut incident = PublicIncident {
            id,
            name: self.name.clone().unwrap_or_default(),
            status: String::new(),
            created: now,
            updated: now,
            resolved: None,
            components: BTreeSet::new(),
            newest: None,
            updates: Vec::new(),
            metadata: Map::new(),
            ownership: Ownership::Others,
        };
        self.change(&mut incident, now);
        incident
    }

    fn change(&self, incident: &mut PublicIncident, now: Timestamp) {
        if let Some(status) = &self.status {
            incident.status.clone_from(status);
            incident.resolved = incident.is_resolved().then_some(now);
        }
        if self.is_public() {
            incident.updates.insert(0, now);
            incident.newest = Some(Update {
                id: format!("({})", self.kind.as_str()),
                text: Text {
                    status: incident.status.clone(),
                    body: self.body.clone().unwrap_or_default(),
                },
            });
        }
        if let Some(attached) = &self.attached {
            incident.components.clone_from(attached);
        }
        incident.metadata = self.record.in_metadata(&incident.metadata);
        incident.updated = now;
        incident.ownership = Ownership::Ours(self.record.clone());
    }
}
