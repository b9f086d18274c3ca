//! What a resync did.

use std::time::Duration;

use uuid::Uuid;

use crate::catalog::Written;
use crate::mapping::Findings;

/// What a resync did, kind by kind.
#[derive(Debug)]
pub struct ResyncReport {
    /// Names the resync towards Port.
    pub id: Uuid,
    /// From the first request to the last answer.
    pub duration: Duration,
    /// By index of the resource config.
    pub kinds: Vec<KindReport>,
}

/// What became of one resource config.
#[derive(Debug, Default)]
pub struct KindReport {
    /// The kind as the mapping writes it; with its place, `incidents (resources[7])`,
    /// where several resource configs have the same.
    pub kind: String,
    /// Raw objects, after `itemsToParse`.
    pub fetched: u64,
    /// Objects that the selector left out.
    pub filtered: u64,
    /// Entities made.
    pub mapped: u64,
    /// Objects that are not in Port although they were selected, whatever the reason
    /// on this side.
    pub unmappable: u64,
    /// What the catalog did with the entities.
    pub written: Written,
    /// From the first request for it to its last page.
    pub duration: Duration,
    /// Why it is incomplete, one line each.
    pub errors: Vec<String>,
    /// What its expressions ran into.
    pub findings: Findings,
}

impl KindReport {
    /// Objects that are not in Port although they were selected.
    pub fn failed(&self) -> u64 {
        self.unmappable + self.written.refused
    }

    /// Whether everything there is was listed and mapped without an error.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && !self.findings.has_errors() && self.unmappable == 0
    }
}

/// How a resync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is in Port.
    Done,
    /// Some kinds or entities are not.
    Partly,
    /// Nothing came of it.
    Failed,
}

impl ResyncReport {
    /// How the resync ended, over all kinds.
    pub fn ending(&self) -> Ending {
        let broken = |kind: &KindReport| !kind.errors.is_empty();
        if self
            .kinds
            .iter()
            .all(|kind| kind.is_complete() && kind.failed() == 0)
        {
            Ending::Done
        } else if self.kinds.iter().all(broken) && self.stored() == 0 {
            Ending::Failed
        } else {
            Ending::Partly
        }
    }

    /// Whether Port shall be told that the resync failed: some kind is
    /// incomplete. Refused entities alone do not make it so.
    pub fn is_incomplete(&self) -> bool {
        self.kinds.iter().any(|kind| !kind.is_complete())
    }

    /// Entities stored in all.
    pub fn stored(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.written.stored).sum()
    }
}
