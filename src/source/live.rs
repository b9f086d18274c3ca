//! One object instead of a list of them: what an event is about, as a resync
//! would hand it on.
//!
//! The vendors' webhooks show less of an object than their lists, and differently,
//! so they only say what to look at. What is fetched then goes through the very
//! enrichment of a resync. What a selector asks of the API (`statuses`,
//! `team_ids`, …) is asked of the object here: the API was not.
//!
//! Only of an object that is gone there is nothing but what the event showed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{opsgenie, pagerduty, statuspage};
use crate::live_events::{Subject, Thing};
use crate::mapping::{Column, Consumer, RawBatch};
use crate::resource_config::{Kind, OpsgenieKind, PagerdutyKind, ResourceConfig, StatuspageKind};

/// What was found out about the object of an event.
#[derive(Debug)]
pub struct Live {
    pub presence: Presence,
    /// An instant at which the answer was there: what it shows is at most as new.
    pub fetched: Timestamp,
    /// What each resource config has of it. Nothing unless it is there.
    pub views: Vec<LiveView>,
}

/// Whether the object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Present,
    /// The API knows no such object.
    Gone,
    /// It is of a part of the account that the settings leave out.
    OutOfScope,
}

/// One shape of the object's data, and who sees it.
#[derive(Debug)]
pub struct LiveView {
    pub consumers: Vec<Consumer>,
    pub batch: RawBatch,
    pub standing: Standing,
}

/// Whether a resync would have listed the object for a resource config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Included,
    Excluded,
    /// Only the API itself can tell.
    Undecided,
}

impl Standing {
    /// Where everything has to hold: one that does not excludes, whatever is not
    /// known of the others.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Excluded => self,
            Self::Included => other(),
            Self::Undecided => match other() {
                Self::Excluded => Self::Excluded,
                Self::Included | Self::Undecided => Self::Undecided,
            },
        }
    }
}

impl From<bool> for Standing {
    fn from(passes: bool) -> Self {
        if passes {
            Self::Included
        } else {
            Self::Excluded
        }
    }
}

impl Live {
    /// The object is not there.
    pub(super) fn without(presence: Presence) -> Self {
        Self {
            presence,
            fetched: Timestamp::now(),
            views: Vec::new(),
        }
    }
}

/// What messages call the object of an event: `PagerDuty incident PX1`.
pub fn described(subject: &Subject) -> String {
    let word = match subject.thing {
        Thing::PagerdutyIncident | Thing::StatuspageIncident => "incident",
        Thing::PagerdutyService => "service",
        Thing::StatuspagePage => "page",
        Thing::StatuspageComponent => "component",
        Thing::OpsgenieAlert => "alert",
    };
    format!("{} {word} {}", subject.source.title(), subject.id)
}

/// Whether events about such a thing may change what this kind is made of.
pub fn concerns(thing: Thing, kind: &Kind) -> bool {
    match thing {
        Thing::PagerdutyIncident => matches!(kind, Kind::Pagerduty(PagerdutyKind::Incidents(_))),
        Thing::PagerdutyService => matches!(kind, Kind::Pagerduty(PagerdutyKind::Services(_))),
        Thing::StatuspagePage => matches!(kind, Kind::Statuspage(StatuspageKind::Statuspage)),
        Thing::StatuspageComponent => matches!(kind, Kind::Statuspage(StatuspageKind::Component)),
        Thing::StatuspageIncident => matches!(
            kind,
            Kind::Statuspage(StatuspageKind::Incident | StatuspageKind::IncidentUpdate)
        ),
        Thing::OpsgenieAlert => matches!(kind, Kind::Opsgenie(OpsgenieKind::Alert(_))),
    }
}

/// What an object that is not there any more consisted of, as far as an event
/// shows it: enough to name its entities, and nothing else.
///
/// The id is the one thing that is certain. Where the payload is of something
/// else (the note on an incident), it is all there is.
pub fn remains(
    subject: &Subject,
    configs: &[Arc<ResourceConfig>],
    payload: &Value,
) -> Vec<LiveView> {
    let own = match subject.thing {
        Thing::PagerdutyIncident | Thing::PagerdutyService => pagerduty::remains(subject, payload),
        Thing::StatuspagePage | Thing::StatuspageComponent | Thing::StatuspageIncident => {
            statuspage::remains(subject, payload)
        }
        Thing::OpsgenieAlert => opsgenie::remains(subject, payload),
    };
    let object = own.unwrap_or_else(|| json!({"id": subject.id}));
    let plain = |kinds: &dyn Fn(&Kind) -> bool, objects: Vec<Value>| LiveView {
        consumers: consumers(configs, kinds),
        batch: RawBatch {
            objects,
            ..RawBatch::default()
        },
        standing: Standing::Excluded,
    };
    let views = if subject.thing == Thing::StatuspageIncident {
        let updates = statuspage::updates_of(&object);
        let is_update =
            |kind: &Kind| matches!(kind, Kind::Statuspage(StatuspageKind::IncidentUpdate));
        let is_incident = |kind: &Kind| concerns(subject.thing, kind) && !is_update(kind);
        vec![
            plain(&is_incident, vec![object]),
            plain(&is_update, updates),
        ]
    } else {
        let is_of_it = |kind: &Kind| concerns(subject.thing, kind);
        vec![plain(&is_of_it, vec![object])]
    };
    views
        .into_iter()
        .filter(|view| !view.consumers.is_empty())
        .collect()
}

/// The resource configs of these kinds, without enrichment.
pub(super) fn consumers(
    configs: &[Arc<ResourceConfig>],
    is_wanted: &dyn Fn(&Kind) -> bool,
) -> Vec<Consumer> {
    configs
        .iter()
        .filter(|config| is_wanted(&config.kind))
        .map(|config| Consumer {
            config: Arc::clone(config),
            columns: Vec::new(),
        })
        .collect()
}

/// An object beside which nothing was fetched, so that what needs it is known to
/// be missing.
pub(super) fn bare(object: Value, columns: &[&'static str]) -> RawBatch {
    let missing = |key: &&'static str| Column {
        key,
        values: vec![None],
    };
    RawBatch {
        objects: vec![object],
        columns: columns.iter().map(missing).collect(),
        ..RawBatch::default()
    }
}

/// The payload, if it shows the subject itself, under the name that the API has
/// for its identifier.
pub(super) fn shown(subject: &Subject, payload: &Value, id: &str) -> Option<Value> {
    let shown = payload.get(id).and_then(Value::as_str)?;
    if shown != subject.id {
        return None;
    }
    let mut object = payload.clone();
    object
        .as_object_mut()?
        .insert("id".to_owned(), json!(subject.id));
    Some(object)
}
