//! Incidents and alerts of those who are on call: the side that is followed.
//!
//! Three kinds of objects are made alike here: who sent it, whether somebody
//! has acknowledged it, since when it stands as it does, and who has it. What a
//! rule or a text wants beyond that it finds in the object as the API sent it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{AlertSource, Status};
use super::model::{instant, list, text};
use super::record::{RecordedSource, short_digest};

/// Names a source incident among all accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId {
    pub source: AlertSource,
    /// The account as the settings name it.
    pub account: String,
    pub id: String,
}

/// An unresolved incident or alert.
#[derive(Clone, Debug)]
pub struct SourceIncident {
    pub id: SourceId,
    pub status: Status,
    pub created: Timestamp,
    /// Since when it has that status.
    pub since: Timestamp,
    pub assigned: Assigned,
    pub object: Arc<Value>,
}

/// Who has it, and how it came to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Digest of their identifiers.
    pub digest: String,
    /// By an escalation policy rather than by somebody.
    pub by_escalation: bool,
}

/// How a source incident stands that is not among the unresolved any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Over, since then where the API says.
    Over(Option<Timestamp>),
    /// It is there and unresolved: the list that did not show it is behind.
    Unresolved,
    /// Nobody can tell, so nothing may be concluded.
    Unknown,
}

impl SourceIncident {
    /// None of what is over; a list may still show it. Without the time of its
    /// creation it counts as old: what is odd must not be taken for gone.
    pub fn parse(source: AlertSource, account: &str, object: Value) -> Option<Self> {
        let id = SourceId {
            source,
            account: account.to_owned(),
            id: text(&object, "id")?.to_owned(),
        };
        let created = instant(&object, created_key(source)).unwrap_or(Timestamp::UNIX_EPOCH);
        let status = status(source, &object)?;
        Some(Self {
            id,
            status,
            created,
            since: since(source, status, &object).unwrap_or(created),
            assigned: assigned(source, &object),
            object: Arc::new(object),
        })
    }

    pub fn recorded(&self) -> RecordedSource {
        RecordedSource {
            id: self.id.clone(),
            status: self.status,
            assigned: self.assigned.digest.clone(),
        }
    }
}

impl Ending {
    /// From the object as the API shows it by its identifier; none where it is
    /// gone for good.
    pub fn of(source: AlertSource, object: Option<&Value>) -> Self {
        let Some(object) = object else {
            return Self::Over(None);
        };
        if status(source, object).is_some() {
            return Self::Unresolved;
        }
        if !matches!(text(object, "status"), Some("resolved" | "closed")) {
            return Self::Unknown;
        }
        let at = match source {
            AlertSource::Pagerduty => {
                instant(object, "resolved_at").or_else(|| instant(object, "last_status_change_at"))
            }
            AlertSource::OpsgenieAlert => {
                after_creation(object, "closeTime").or_else(|| instant(object, "updatedAt"))
            }
            AlertSource::OpsgenieIncident => instant(object, "updatedAt"),
        };
        Self::Over(at)
    }
}

const fn created_key(source: AlertSource) -> &'static str {
    match source {
        AlertSource::Pagerduty => "created_at",
        AlertSource::OpsgenieAlert | AlertSource::OpsgenieIncident => "createdAt",
    }
}

/// None of what is over.
fn status(source: AlertSource, object: &Value) -> Option<Status> {
    let status = source.status(text(object, "status")?)?;
    // Opsgenie says beside the status of an alert that it was acknowledged.
    let is_acknowledged = source == AlertSource::OpsgenieAlert
        && object.get("acknowledged").and_then(Value::as_bool) == Some(true);
    Some(if is_acknowledged {
        Status::Acknowledged
    } else {
        status
    })
}

fn since(source: AlertSource, status: Status, object: &Value) -> Option<Timestamp> {
    match (source, status) {
        (AlertSource::Pagerduty, _) => instant(object, "last_status_change_at"),
        (AlertSource::OpsgenieAlert, Status::Acknowledged) => {
            after_creation(object, "ackTime").or_else(|| instant(object, "updatedAt"))
        }
        (AlertSource::OpsgenieAlert | AlertSource::OpsgenieIncident, _) => None,
    }
}

/// Opsgenie's reports count milliseconds from the creation of an alert.
fn after_creation(alert: &Value, key: &str) -> Option<Timestamp> {
    let elapsed = alert.get("report")?.get(key)?.as_u64()?;
    instant(alert, "createdAt")?
        .checked_add(Duration::from_millis(elapsed))
        .ok()
}

fn assigned(source: AlertSource, object: &Value) -> Assigned {
    match source {
        AlertSource::Pagerduty => {
            let mut who: Vec<&str> = list(object, "assignments")
                .iter()
                .filter_map(|assignment| text(assignment.get("assignee")?, "id"))
                .collect();
            who.sort_unstable();
            Assigned {
                digest: short_digest(&who.join(" ")),
                by_escalation: text(object, "assigned_via") == Some("escalation_policy"),
            }
        }
        AlertSource::OpsgenieAlert | AlertSource::OpsgenieIncident => Assigned {
            digest: short_digest(text(object, "owner").unwrap_or_default()),
            by_escalation: false,
        },
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            account,
            id,
        } = self;
        write!(formatter, "{}/{account}/{id}", source.as_str())
    }
}

/// Neither the name of a source nor an identifier has a slash in it; the name of
/// an account may.
impl FromStr for SourceId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (source, rest) = text.split_once('/').ok_or(())?;
        let (account, id) = rest.rsplit_once('/').ok_or(())?;
        Ok(Self {
            source: source.parse().map_err(drop)?,
            account: account.to_owned(),
            id: id.to_owned(),
        })
    }
}
