//! What an event is: the object it is about, and what was said of it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::spool::Lease;
use crate::settings::SourceName;

/// The object that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub source: SourceName,
    /// None where the source's only account has no name, or where there are
    /// several and the request did not say which of them it came from.
    pub account: Option<String>,
    pub thing: Thing,
    /// As the vendor writes it.
    pub id: String,
    /// Statuspage: the page.
    pub page: Option<String>,
}

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    PagerdutyIncident,
    PagerdutyService,
    StatuspagePage,
    StatuspageComponent,
    StatuspageIncident,
    OpsgenieAlert,
}

/// A word that names no [`Thing`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there are no live events about `{0}`")]
pub struct UnknownThing(String);

impl Thing {
    /// Every kind of object that there are events about.
    pub const ALL: [Self; 6] = [
        Self::PagerdutyIncident,
        Self::PagerdutyService,
        Self::StatuspagePage,
        Self::StatuspageComponent,
        Self::StatuspageIncident,
        Self::OpsgenieAlert,
    ];

    /// The name in the spool.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PagerdutyIncident => "pagerduty_incident",
            Self::PagerdutyService => "pagerduty_service",
            Self::StatuspagePage => "statuspage_page",
            Self::StatuspageComponent => "statuspage_component",
            Self::StatuspageIncident => "statuspage_incident",
            Self::OpsgenieAlert => "opsgenie_alert",
        }
    }

    /// The vendor's own word for it.
    const fn word(self) -> &'static str {
        match self {
            Self::PagerdutyIncident | Self::StatuspageIncident => "incident",
            Self::PagerdutyService => "service",
            Self::StatuspagePage => "page",
            Self::StatuspageComponent => "component",
            Self::OpsgenieAlert => "alert",
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Thing {
    type Err = UnknownThing;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|thing| thing.as_str() == text)
            .ok_or_else(|| UnknownThing(text.to_owned()))
    }
}

impl Subject {
    /// `pagerduty/eu/incident/PX1`: what is worked on one at a time, and what log
    /// lines call it. Different subjects have different keys.
    pub fn key(&self) -> String {
        let account = self.account.as_deref().unwrap_or_default();
        format!(
            "{}/{}/{}/{}",
            self.source,
            escaped(account),
            self.thing.word(),
            escaped(&self.id)
        )
    }

    /// Whether incident sync may have to do something because of it.
    pub const fn concerns_incident(&self) -> bool {
        match self.thing {
            Thing::PagerdutyIncident | Thing::StatuspageIncident | Thing::OpsgenieAlert => true,
            Thing::PagerdutyService | Thing::StatuspagePage | Thing::StatuspageComponent => false,
        }
    }
}

/// So that a slash in a name does not make two keys one.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['/', '%']) {
        Cow::Owned(text.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(text)
    }
}

/// An event as it came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// The same for every delivery of it.
    pub delivery: String,
    pub subject: Subject,
    /// In the vendor's words.
    pub event_type: String,
    /// Whether the event says that the object is gone.
    pub is_gone: bool,
    /// The object as the event shows it.
    pub payload: Value,
    pub received: Timestamp,
}

/// An event in the spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpooledEvent {
    pub id: String,
    pub event: NewEvent,
}

/// What somebody works on: everything that waited for one subject. It has to be
/// given back to the spool; one that is dropped instead is waiting again.
#[derive(Debug)]
pub struct Taken {
    pub subject: Subject,
    /// Oldest first, all of one subject.
    pub events: Vec<SpooledEvent>,
    /// 1 at first.
    pub attempt: u32,
    pub(super) lease: Lease,
}

impl Taken {
    pub const fn new(
        subject: Subject,
        events: Vec<SpooledEvent>,
        attempt: u32,
        lease: Lease,
    ) -> Self {
        Self {
            subject,
            events,
            attempt,
            lease,
        }
    }

    /// False once somebody else may have it: then nothing must be written any more.
    pub fn is_ours(&self) -> bool {
        self.lease.is_ours()
    }

    /// When the first of it came in.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.events.iter().map(|one| one.event.received).min()
    }
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadEvent {
    pub id: String,
    pub event: NewEvent,
    pub attempts: u32,
    /// What the last attempt ended in.
    pub error: String,
    pub died: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(account: Option<&str>, thing: Thing, id: &str) -> Subject {
        Subject {
            source: SourceName::Pagerduty,
            account: account.map(str::to_owned),
            thing,
            id: id.to_owned(),
            page: None,
        }
    }

    #[test]
    fn a_key_names_source_account_thing_and_object() {
        let key = |account, thing, id| subject(account, thing, id).key();

        assert_eq!(
            key(Some("eu"), Thing::PagerdutyIncident, "PX1"),
            "pagerduty/eu/incident/PX1"
        );
        assert_eq!(
            key(None, Thing::PagerdutyService, "PX1"),
            "pagerduty//service/PX1"
        );
        assert_ne!(
            key(Some("a/incident/b"), Thing::PagerdutyIncident, "c"),
            key(Some("a"), Thing::PagerdutyIncident, "b/incident/c")
        );
        assert_ne!(
            key(None, Thing::PagerdutyIncident, "a%2Fb"),
            key(None, Thing::PagerdutyIncident, "a/b")
        );
    }

    #[test]
    fn every_thing_is_read_as_it_is_written() {
        for thing in Thing::ALL {
            assert_eq!(thing.as_str().parse(), Ok(thing));
            assert_eq!(serde_json::to_value(thing).unwrap(), thing.as_str());
        }
        assert!("pagerduty_team".parse::<Thing>().is_err());
    }

    #[test]
    fn somebody_elses_lease_is_not_ours() {
        let lease = Lease::held();
        let taken = Taken::new(
            subject(None, Thing::PagerdutyIncident, "PX1"),
            Vec::new(),
            1,
            lease.clone(),
        );
        assert!(taken.is_ours());

        lease.lose();

        assert!(!taken.is_ours());
    }
}
