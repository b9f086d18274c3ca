//! Whose an incident is: the ownership record in its metadata.
//!
//! Whatever Portolan opens carries `metadata.portolan`. It says for which
//! components and which source incidents the public incident stands, and a
//! digest of the text that Portolan wrote last. Nothing else is remembered
//! anywhere: the state database may be lost, another machine may take over, and
//! the page itself still says what belongs to whom.
//!
//! The digest is how a human is noticed. An update that is not the one we wrote
//! last was written by somebody else, so somebody else looks after the incident
//! now, and it is left alone. What humans can do about it:
//!
//! | `metadata.portolan.hold` | meaning |
//! |---|---|
//! | absent | ours, until a human writes an update |
//! | `true` | left alone, whoever wrote last |
//! | `false` | handed back: ours again, the human's update included |
//!
//! Incidents of Pagerstatus have no metadata, but a watermark in the text of
//! their oldest update; those are adopted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::alert::SourceId;
use super::config::{ComponentStatus, Status};
use super::model::{ComponentId, Update, list, text};

/// The key of the record in an incident's metadata.
pub const METADATA_KEY: &str = "portolan";

/// What Pagerstatus puts at the end of the text of an incident that it opens.
pub const WATERMARK: char = '⛈';

/// Source incidents that one record names. A component that fails all day has
/// many, and what matters are the newest.
const MOST_SOURCES: usize = 50;

/// What one public incident stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Everything that happens to one component.
    Component(ComponentId),
    /// One source incident with all its components.
    Incident(SourceId),
}

/// The record of an incident that is ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub owner: String,
    pub key: Key,
    /// The rule that opened it, by its name.
    pub rule: String,
    /// The status that we gave each component.
    #[serde(default)]
    pub components: BTreeMap<ComponentId, ComponentStatus>,
    /// The source incidents it stood for, also those that are over.
    #[serde(default)]
    pub sources: Vec<RecordedSource>,
    /// Digest of the text that was written last.
    pub hash: String,
    /// Components that somebody else still held when this was resolved, and
    /// that have to return to operational once nobody does.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owes: BTreeSet<ComponentId>,
    /// Resolved in favour of an older one; never reopened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// A source incident as it was when the record was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSource {
    #[serde(flatten)]
    pub id: SourceId,
    pub status: Status,
    /// Digest of who had it, to notice when somebody else gets it. Never the
    /// names: metadata may be read by whoever can read the page's API.
    #[serde(default)]
    pub assigned: String,
}

/// Whose an incident is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Somebody else's; never touched.
    Others,
    /// Ours, and nobody else wrote in it.
    Ours(Record),
    /// Ours, and handed back by a human, whose text stands.
    HandedBack(Record),
    /// Ours once; a human looks after it now.
    Human(Option<Record>, Hands),
    /// Pagerstatus opened it for this component, and nobody wrote in it since.
    Pagerstatus(ComponentId),
}

/// Why a human is taken to look after an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hands {
    /// The newest update is not Portolan's.
    Wrote,
    /// `metadata.portolan.hold` is true.
    Hold,
    /// The record cannot be read, so nobody knows what it stands for.
    Unreadable,
}

/// What an update says: its status and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub status: String,
    pub body: String,
}

impl Text {
    /// A digest that does not mind how the API stores line ends and blanks.
    pub fn hash(&self) -> String {
        let words: Vec<&str> = self.body.split_whitespace().collect();
        short_digest(&format!("{}\n{}", self.status, words.join(" ")))
    }
}

/// Sixteen hexadecimal digits: enough to tell texts apart, not to hide anything.
pub fn short_digest(text: &str) -> String {
    use fmt::Write as _;
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut hexadecimal, byte| {
            // Writing into a string does not fail.
            write!(hexadecimal, "{byte:02x}").unwrap_or_default();
            hexadecimal
        })
}

impl Ownership {
    /// `updates`: newest first.
    pub(super) fn of(
        owner: &str,
        metadata: &Map<String, Value>,
        newest: Option<&Update>,
        updates: &[Value],
        components: &BTreeSet<ComponentId>,
    ) -> Self {
        match metadata.get(METADATA_KEY) {
            Some(record) => Self::of_record(owner, record, newest),
            None => Self::of_watermark(owner, newest, updates, components),
        }
    }

    fn of_record(owner: &str, record: &Value, newest: Option<&Update>) -> Self {
        // Another installation's, whatever else it says.
        if text(record, "owner").is_some_and(|other| other != owner) {
            return Self::Others;
        }
        let Ok(parsed) = Record::deserialize(record) else {
            return Self::Human(None, Hands::Unreadable);
        };
        match record.get("hold") {
            Some(Value::Bool(true)) => return Self::Human(Some(parsed), Hands::Hold),
            Some(Value::Bool(false)) => return Self::HandedBack(parsed),
            _ => {}
        }
        match newest {
            Some(newest) if newest.text.hash() != parsed.hash => {
                Self::Human(Some(parsed), Hands::Wrote)
            }
            _ => Self::Ours(parsed),
        }
    }

    fn of_watermark(
        owner: &str,
        newest: Option<&Update>,
        updates: &[Value],
        components: &BTreeSet<ComponentId>,
    ) -> Self {
        let has_watermark = |body: &str| body.contains(WATERMARK);
        let Some(oldest) = updates.last() else {
            return Self::Others;
        };
        if !text(oldest, "body").is_some_and(has_watermark) {
            return Self::Others;
        }
        let affected = list(oldest, "affected_components");
        let component = affected
            .iter()
            .rev()
            .find_map(|component| text(component, "code"))
            .map(ComponentId::from)
            .or_else(|| components.last().cloned());
        let is_untouched = newest.is_some_and(|newest| has_watermark(&newest.text.body));
        match component {
            None => Self::Human(None, Hands::Unreadable),
            Some(component) if !is_untouched => {
                let key = Key::Component(component);
                Self::Human(Some(Record::new(owner, key, "")), Hands::Wrote)
            }
            Some(component) => Self::Pagerstatus(component),
        }
    }

    /// Whether it is, or was, opened by this installation or by Pagerstatus.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Others)
    }

    /// Whether Portolan may change it.
    pub fn is_in_our_hands(&self) -> bool {
        matches!(
            self,
            Self::Ours(_) | Self::HandedBack(_) | Self::Pagerstatus(_)
        )
    }

    /// The components that it was opened for, as far as it has not given them up.
    pub(super) fn components(&self) -> BTreeSet<ComponentId> {
        if let Self::Pagerstatus(component) = self {
            return BTreeSet::from([component.clone()]);
        }
        let opened_for = |record: &Record| match &record.key {
            // Of one that a human took from Pagerstatus no more is known.
            Key::Component(component) if record.components.is_empty() => {
                BTreeSet::from([component.clone()])
            }
            _ => BTreeSet::new(),
        };
        self.record()
            .map(|record| {
                let held = record.components.keys();
                let held = held.filter(|id| !record.owes.contains(*id)).cloned();
                held.chain(opened_for(record)).collect()
            })
            .unwrap_or_default()
    }

    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Ours(record) | Self::HandedBack(record) => Some(record),
            Self::Human(record, _) => record.as_ref(),
            Self::Others | Self::Pagerstatus(_) => None,
        }
    }
}

impl Record {
    /// A record that says nothing yet but whose it is and what it stands for.
    pub fn new(owner: &str, key: Key, rule: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            key,
            rule: rule.to_owned(),
            components: BTreeMap::new(),
            sources: Vec::new(),
            hash: String::new(),
            owes: BTreeSet::new(),
            superseded: false,
        }
    }

    /// The metadata of an incident with this record in it: whatever else is
    /// there stays.
    pub fn in_metadata(&self, metadata: &Map<String, Value>) -> Map<String, Value> {
        let mut metadata = metadata.clone();
        // A record is plain data, which JSON can hold.
        let record = serde_json::to_value(self).unwrap_or_default();
        metadata.insert(METADATA_KEY.to_owned(), record);
        metadata
    }

    /// Takes source incidents up: those it stands for now, oldest first, after
    /// those that are over. Where there are too many, the first are forgotten;
    /// that depends on nothing else, so that saying the same twice changes
    /// nothing.
    pub fn remember(&mut self, sources: impl IntoIterator<Item = RecordedSource>) {
        let current: Vec<RecordedSource> = sources.into_iter().collect();
        self.sources
            .retain(|known| !current.iter().any(|source| source.id == known.id));
        self.sources.extend(current);
        let superfluous = self.sources.len().saturating_sub(MOST_SOURCES);
        self.sources.drain(..superfluous);
    }

    /// Whether it may have had to forget some of them.
    pub fn is_full(&self) -> bool {
        self.sources.len() >= MOST_SOURCES
    }

    pub fn names(&self, source: &SourceId) -> bool {
        self.sources.iter().any(|known| known.id == *source)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(id) => write!(formatter, "component:{id}"),
            Self::Incident(id) => write!(formatter, "incident:{id}"),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = match text.split_once(':') {
            Some(("component", id)) if !id.is_empty() => Some(Self::Component(id.into())),
            Some(("incident", id)) => id.parse().ok().map(Self::Incident),
            _ => None,
        };
        key.ok_or_else(|| serde::de::Error::custom("not a key of an incident"))
    }
}
