//! What is not done, and why not.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::reconcile::model::{ComponentId, IncidentId, PageId};
use crate::reconcile::record::Key;

/// Something that would be done, were it not for the reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Withheld {
    pub page: PageId,
    pub key: Key,
    pub incident: Option<IncidentId>,
    pub components: Vec<ComponentId>,
    pub reason: Reason,
    /// What the reason is about, in words.
    pub detail: String,
    /// When it is worth looking again, where that is known.
    pub due: Option<Timestamp>,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has not been acknowledged for long enough.
    HoldDown,
    /// It has not been over for long enough.
    Grace,
    /// The component is under maintenance.
    Maintenance,
    /// Somebody else's incident holds the component.
    OthersIncident,
    /// A human looks after the incident.
    Human,
    /// A human resolved it while its source incidents went on.
    ClosedByHand,
    /// Enough has been published within an hour.
    Cap,
    /// A write may still be under way.
    Settling,
    /// An alert account could not be read.
    Incomplete,
    /// An expression failed for one of its source incidents.
    Undecided,
    /// One of its source incidents is of an account that is not configured.
    UnknownAccount,
    /// How one of its source incidents ended is not known.
    EndingUnknown,
    /// A text could not be made.
    Text,
}

impl Reason {
    pub const ALL: [Self; 13] = [
        Self::HoldDown,
        Self::Grace,
        Self::Maintenance,
        Self::OthersIncident,
        Self::Human,
        Self::ClosedByHand,
        Self::Cap,
        Self::Settling,
        Self::Incomplete,
        Self::Undecided,
        Self::UnknownAccount,
        Self::EndingUnknown,
        Self::Text,
    ];

    /// As metrics and the audit trail name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HoldDown => "hold_down",
            Self::Grace => "grace",
            Self::Maintenance => "maintenance",
            Self::OthersIncident => "others_incident",
            Self::Human => "human",
            Self::ClosedByHand => "closed_by_hand",
            Self::Cap => "cap",
            Self::Settling => "settling",
            Self::Incomplete => "incomplete",
            Self::Undecided => "undecided",
            Self::UnknownAccount => "unknown_account",
            Self::EndingUnknown => "ending_unknown",
            Self::Text => "text",
        }
    }

    /// Whether somebody has to do something about it; the others pass, or are
    /// meant to be so.
    pub const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Incomplete
                | Self::Undecided
                | Self::UnknownAccount
                | Self::EndingUnknown
                | Self::Text
                | Self::Cap
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
