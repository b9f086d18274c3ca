//! Deletes what the sources no longer have.
//!
//! Deleting is the one thing a resync cannot take back, so this looks for
//! reasons to refuse:
//!
//! ```text
//! listing ─▶ verdict ─▶ cascade ─▶ removal
//! ```
//!
//! - `listing`: what this installation was the last to write, before the resync
//!   began, and what of it the resync did not map. Half a listing deletes nothing.
//! - `verdict`: nothing goes of a blueprint that an incomplete kind feeds, and
//!   nothing beyond the thresholds. Pure.
//! - `cascade`: Port deletes along what relates to an entity; if that would take
//!   what has to stay, the entity stays.
//! - `removal`: the rest, dependents first.
//!
//! Never deleted is what this resync mapped, whatever Port made of it, nor what a
//! live event has written since it began.
//!
//! Accepted: whether an entity was written before the resync is judged by
//! Port's clock against this machine's. Where this one is ahead, what somebody
//! else wrote in the name of this installation at the beginning of the resync
//! counts as older than it.

mod cascade;
mod listing;
mod relations;
mod removal;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::listing::Listing;
use self::relations::Relations;
use self::removal::Removal;
use super::mapped::MappedEntities;
use super::recent::RecentWrites;
use super::sink::Sink;
use crate::causes::{one_line, with_hint};

/// Requests in flight. Port counts requests, and deleting is in no hurry.
const AT_A_TIME: usize = 4;

/// Begins what is said where a cascade cannot be foreseen.
const UNKNOWN_DEPENDENTS: &str = "could not look up what depends on it";

/// Identifiers by blueprint.
type Names = BTreeMap<String, Vec<String>>;

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
    /// Whether Port finds its entities by a search, so that nobody here knows
    /// which they are. An expression may make one up, too; of that the mapped
    /// entities tell.
    pub searches: bool,
}

impl Feed {
    fn may_feed(&self, blueprint: &str) -> bool {
        self.blueprint.as_deref().is_none_or(|fed| fed == blueprint)
    }
}

impl DeletionRules {
    /// Whether an entity of the blueprint that this resync did not map may be
    /// there all the same: a kind that feeds it is incomplete, or is found by
    /// searches.
    fn is_doubtful(&self, blueprint: &str) -> bool {
        let is_doubtful = |feed: &Feed| !feed.is_complete || feed.searches;
        let mut feeds = self.feeds.iter();
        feeds.any(|feed| is_doubtful(feed) && feed.may_feed(blueprint))
    }
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

impl Withheld {
    /// The reason in words.
    pub fn why(&self) -> String {
        let rate = self
            .rate
            .map(|rate| format!("{:.1} %", rate * 100.0))
            .unwrap_or_default();
        match &self.reason {
            WithheldReason::Incomplete { kinds } => {
                let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
                format!("incomplete: {}", kinds.join(", "))
            }
            WithheldReason::Threshold => {
                format!("{rate} of all entities would go, more than `entityDeletionThreshold`")
            }
            WithheldReason::BlueprintThreshold => {
                format!("{rate} of the blueprint would go, more than `entityDeletionThreshold`")
            }
            WithheldReason::Cascade { example } => {
                format!("Port would delete `{example}` with it, which must stay")
            }
            WithheldReason::Refused { reason } => format!("refused: {reason}"),
        }
    }
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

    /// Adds to what was withheld of a blueprint for the same kind of reason; the
    /// first of those reasons stands for all.
    fn withhold(&mut self, blueprint: &str, entities: u64, reason: WithheldReason) {
        let known = self
            .withheld
            .iter_mut()
            .find(|known| known.blueprint == blueprint && known.reason.as_str() == reason.as_str());
        match known {
            Some(known) => known.entities += entities,
            None => self.withheld.push(Withheld {
                blueprint: blueprint.to_owned(),
                entities,
                rate: None,
                reason,
            }),
        }
    }

    fn withhold_all(&mut self, names: &Names, reason: &str) {
        for (blueprint, identifiers) in names {
            let reason = WithheldReason::Refused {
                reason: reason.to_owned(),
            };
            self.withhold(blueprint, identifiers.len() as u64, reason);
        }
    }

    /// Entities in all that would have been deleted.
    pub fn withheld_in_all(&self) -> u64 {
        self.withheld.iter().map(|withheld| withheld.entities).sum()
    }
}

/// Deletes what this installation wrote before the resync and the resync did not
/// map, unless there is a reason not to. `recent`: what live events have written.
pub async fn delete_stale(
    sink: &Sink,
    mapped: &MappedEntities,
    rules: &DeletionRules,
    recent: &Arc<RecentWrites>,
) -> Deletion {
    let began = Instant::now();
    let mut deletion = match listing::read(sink, mapped, rules, recent).await {
        Ok(listing) => delete_listed(sink, mapped, rules, recent, listing).await,
        Err(error) => Deletion {
            error: Some(with_hint(&error, error.hint())),
            ..Deletion::default()
        },
    };
    deletion.duration = began.elapsed();
    deletion
}

async fn delete_listed(
    sink: &Sink,
    mapped: &MappedEntities,
    rules: &DeletionRules,
    recent: &Arc<RecentWrites>,
    listing: Listing,
) -> Deletion {
    let Listing {
        counts,
        own,
        mut names,
        kept,
        mut staying,
        ..
    } = listing;
    let mut deletion = Deletion {
        kept,
        withheld: verdict::withheld(&counts, own, rules),
        ..Deletion::default()
    };
    for withheld in &deletion.withheld {
        let blueprint = &withheld.blueprint;
        let identifiers = names.remove(blueprint).unwrap_or_default();
        let fingerprints = identifiers
            .iter()
            .map(|identifier| mapped.ledger.fingerprint(blueprint, identifier));
        staying.extend(fingerprints);
    }
    if names.is_empty() {
        return deletion;
    }

    let at_work = (Arc::clone(recent), recent.as_listed(rules.before));
    let relations = sink.relations().await.map(Relations::new);
    if !rules.delete_dependents {
        let removal = Removal::new(sink, rules.batch, at_work, &mut deletion);
        // Without an order Port refuses more often, and is asked once more.
        removal
            .without_dependents(&names, relations.as_ref().ok())
            .await;
        return deletion;
    }
    let relations = match relations {
        // Port may not show every blueprint to everybody. Where it hides one
        // that is ours, nothing can be said of what relates to what.
        Ok(relations) if counts.keys().all(|blueprint| relations.knows(blueprint)) => relations,
        unusable => {
            let problem = match unusable {
                Ok(_) => "Port does not show all blueprints".to_owned(),
                Err(error) => one_line(&error),
            };
            deletion.withhold_all(&names, &format!("{UNKNOWN_DEPENDENTS}: {problem}"));
            return deletion;
        }
    };
    let check = cascade::Check {
        sink,
        mapped,
        rules,
        recent,
        withheld: &deletion.withheld,
        relations: &relations,
        staying: &staying,
    };
    let mut spared = check.spared(&names).await;
    for (blueprint, identifiers) in &mut names {
        identifiers.retain(|identifier| {
            let entity = mapped.ledger.fingerprint(blueprint, identifier);
            let Some(reason) = spared.remove(&entity) else {
                return true;
            };
            deletion.withhold(blueprint, 1, reason);
            false
        });
    }
    let removal = Removal::new(sink, rules.batch, at_work, &mut deletion);
    removal.with_dependents(&names, &relations).await;
    deletion
}
