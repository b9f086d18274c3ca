//! What a resync did.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::request::Trigger;
use crate::catalog::{Deletion, Written};
use crate::mapping::Findings;
use crate::resource_config::ResourceConfig;
use crate::settings::SourceName;

/// What a resync did, kind by kind.
#[derive(Debug, Default)]
pub struct ResyncReport {
    /// Names the resync towards Port.
    pub id: Uuid,
    /// Who wanted it.
    pub trigger: Trigger,
    pub started: Timestamp,
    /// From the first request to the last answer.
    pub duration: Duration,
    /// By index of the resource config.
    pub kinds: Vec<KindReport>,
    /// What became of what the sources no longer have.
    pub deletion: Deletion,
    /// Whether it was asked to stop before its end.
    pub stopped: bool,
}

/// What became of one resource config.
#[derive(Debug, Default)]
pub struct KindReport {
    /// The kind as the mapping writes it; with its place, `incidents (resources[7])`,
    /// where several resource configs have the same.
    pub kind: String,
    /// The kind alone, as the mapping writes it.
    pub kind_text: String,
    /// Its place in the mapping.
    pub index: usize,
    /// Where its objects come from; none only for a kind of no source.
    pub source: Option<SourceName>,
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
    /// Nothing has happened yet.
    pub(super) fn new(config: &ResourceConfig, label: String) -> Self {
        Self {
            kind: label,
            kind_text: config.kind_text.clone(),
            index: config.index,
            source: Some(config.kind.source()),
            ..Self::default()
        }
    }

    /// Objects that are not in Port although they were selected.
    pub fn failed(&self) -> u64 {
        self.unmappable + self.written.refused
    }

    /// Whether everything there is was listed and became an entity, so that what
    /// is not among them is gone. A property or relation whose expression fails
    /// is null, as it is with Ocean: the default mapping of Statuspage fails like
    /// that for every incident update without components, and the entity is there.
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
        let is_done = |kind: &KindReport| kind.is_complete() && kind.failed() == 0;
        if self.kinds.iter().all(is_done) && self.deletion.is_done() {
            Ending::Done
        } else if !self.kinds.is_empty() && self.kinds.iter().all(broken) && self.settled() == 0 {
            Ending::Failed
        } else {
            Ending::Partly
        }
    }

    /// Whether Port shall be told that the resync failed: some kind is
    /// incomplete, or a deletion was withheld. Refused entities alone do not
    /// make it so.
    pub fn is_incomplete(&self) -> bool {
        self.kinds.iter().any(|kind| !kind.is_complete()) || !self.deletion.is_done()
    }

    /// Entities stored in all.
    pub fn stored(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.written.stored).sum()
    }

    /// Entities in all that Port had as they are.
    pub fn unchanged(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.written.unchanged).sum()
    }

    /// Entities that are in Port as they should be.
    fn settled(&self) -> u64 {
        self.stored() + self.unchanged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Withheld, WithheldReason};

    #[test]
    fn a_deletion_withheld_for_an_empty_mapping_is_no_failure() {
        let withheld = Withheld {
            blueprint: "thing".to_owned(),
            entities: 5,
            rate: Some(1.0),
            reason: WithheldReason::Threshold,
        };
        let mut report = ResyncReport::default();
        assert_eq!(report.ending(), Ending::Done);

        report.deletion.withheld.push(withheld);

        assert_eq!(report.ending(), Ending::Partly);
    }
}
