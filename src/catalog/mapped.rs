//! What a resync has mapped, for whoever has to know what must not be deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::by_entity::ByEntity;
use super::ledger::Ledger;

/// Every entity that a resync mapped, by fingerprint, whether it was written,
/// unchanged or refused; and everything that those entities relate to.
#[derive(Default)]
pub struct MappedEntities {
    pub(super) ledger: Ledger,
    /// Targets of relations whose blueprint is known.
    pub(super) targets: ByEntity<()>,
    /// Blueprints in which Port has searched for an entity to write.
    pub(super) searched: BTreeSet<String>,
    /// Entities that were there before and have been written again, by blueprint.
    pub(super) rewritten: BTreeMap<String, u64>,
}

impl MappedEntities {
    /// Whether this resync mapped the entity.
    pub fn contains(&self, blueprint: &str, identifier: &str) -> bool {
        let entity = self.ledger.fingerprint(blueprint, identifier);
        !self.ledger.writers(entity).is_empty()
    }

    /// Whether Port has stored the entity in this resync: then it is counted by
    /// [`Self::rewritten`] if it was there before, and is new if it was not.
    pub fn is_stored(&self, blueprint: &str, identifier: &str) -> bool {
        let entity = self.ledger.fingerprint(blueprint, identifier);
        self.ledger.is_stored(entity)
    }

    /// Whether an entity that this resync mapped relates to this one. Where the
    /// blueprint of a relation's target is not known, any blueprint counts.
    pub fn is_target(&self, blueprint: &str, identifier: &str) -> bool {
        self.targets
            .contains(self.ledger.fingerprint(blueprint, identifier))
            || self
                .targets
                .contains(self.ledger.fingerprint(ANY_BLUEPRINT, identifier))
    }

    /// Whether any entity of the blueprint may be one that Port has found by a
    /// search in this resync: then nobody here knows which.
    pub fn is_searched(&self, blueprint: &str) -> bool {
        self.searched.contains(blueprint)
    }

    /// Entities of a blueprint that were in Port before this resync and that it
    /// has written; they are not among what was last written before it began.
    pub fn rewritten(&self, blueprint: &str) -> u64 {
        self.rewritten.get(blueprint).copied().unwrap_or_default()
    }

    /// The same over all blueprints.
    pub fn rewritten_in_all(&self) -> u64 {
        self.rewritten.values().sum()
    }
}

/// Stands for the blueprint of a relation's target where that is not known. No
/// blueprint is called so.
pub(super) const ANY_BLUEPRINT: &str = "";
