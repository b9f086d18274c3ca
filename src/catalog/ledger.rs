//! Which resource configs have written which entity in this resync.
//!
//! Two resource configs may map to one entity, and the later one in the
//! document wins, whatever finished first. What an earlier one has to say must
//! then not overwrite what the later one already said, so the ledger remembers
//! for every entity who mapped it, and how far it got. Some forty bytes an
//! entity: a fingerprint of 128 bits instead of its name, and the number of a
//! set instead of the set.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::by_entity::ByEntity;

/// Stands for one entity: blueprint and identifier. In four parts, so that what a table
/// holds beside it adds no more than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u32; 4]);

impl Fingerprint {
    /// The first half: a hash, with a seed that nobody can guess.
    pub(super) fn hash(self) -> u64 {
        let [first, second, ..] = self.0;
        u64::from(first) << 32 | u64::from(second)
    }

    /// Something else of it that is as good as random.
    pub(super) fn last(self) -> u32 {
        self.0[3]
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(Self::hash(*self));
    }
}

/// Makes fingerprints. Clones make the same ones.
#[derive(Clone, Default)]
pub(super) struct Fingerprints(RandomState, RandomState);

impl Fingerprints {
    pub(super) fn of(&self, blueprint: &str, identifier: &str) -> Fingerprint {
        let entity = (blueprint, identifier);
        let (first, second) = (self.0.hash_one(entity), self.1.hash_one(entity));
        #[expect(clippy::cast_possible_truncation, reason = "the other half follows")]
        let halves = |hash: u64| [(hash >> 32) as u32, hash as u32];
        let ([a, b], [c, d]) = (halves(first), halves(second));
        Fingerprint([a, b, c, d])
    }

    /// For other things that are to be hashed where nobody can guess the seed.
    pub(super) fn hasher(&self) -> &RandomState {
        &self.0
    }
}

/// Remembers who mapped which entity, and how far it got.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) fingerprints: Fingerprints,
    entities: ByEntity<Entry>,
    sets: Sets,
}

/// What is known of one entity.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Number of the set of resource configs that mapped it.
    writers: u32,
    /// Whether it was put where it waits to be sent, or further.
    sent: bool,
    /// Whether Port has stored it.
    stored: bool,
}

/// Who had written an entity before it was noted. Both may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// The same resource config: its identifier expression gives one identifier
    /// for two objects.
    pub(super) by_same: bool,
    /// A later resource config.
    pub(super) by_later: bool,
}

impl Ledger {
    pub(super) fn fingerprint(&self, blueprint: &str, identifier: &str) -> Fingerprint {
        self.fingerprints.of(blueprint, identifier)
    }

    /// Notes that resource config `config` writes the entity.
    pub(super) fn note(&mut self, entity: Fingerprint, config: usize) -> Before {
        let known = self.writers(entity);
        let before = Before {
            by_same: known.contains(&config),
            by_later: known.iter().any(|&writer| writer > config),
        };
        if !before.by_same {
            let known = known.to_vec();
            let set = self.sets.with(&known, config);
            self.entities.get_or_default(entity).writers = set;
        }
        before
    }

    /// The resource configs that wrote the entity.
    pub(super) fn writers(&self, entity: Fingerprint) -> &[usize] {
        self.entities
            .get(entity)
            .map(|entry| self.sets.members(entry.writers))
            .unwrap_or_default()
    }

    /// Whether this resync writes the entity, so that what Port held before says
    /// nothing any more.
    pub(super) fn is_sent(&self, entity: Fingerprint) -> bool {
        self.entities.get(entity).is_some_and(|entry| entry.sent)
    }

    /// Notes that the entity, which is noted, is on its way to Port.
    pub(super) fn send(&mut self, entity: Fingerprint) {
        if let Some(entry) = self.entities.get_mut(entity) {
            entry.sent = true;
        }
    }

    /// Whether Port has stored the entity in this resync.
    pub(super) fn is_stored(&self, entity: Fingerprint) -> bool {
        self.entities.get(entity).is_some_and(|entry| entry.stored)
    }

    /// Notes that Port has stored the entity. True for the first time.
    pub(super) fn store(&mut self, entity: Fingerprint) -> bool {
        self.entities
            .get_mut(entity)
            .is_some_and(|entry| !std::mem::replace(&mut entry.stored, true))
    }
}

/// Distinct sets of resource configs, numbered. There are few: as many as there
/// are ways in which resource configs share entities.
#[derive(Default)]
struct Sets {
    members: Vec<Vec<usize>>,
    numbers: HashMap<Vec<usize>, u32>,
}

impl Sets {
    fn members(&self, number: u32) -> &[usize] {
        self.members
            .get(number as usize)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn with(&mut self, known: &[usize], config: usize) -> u32 {
        let mut set = known.to_vec();
        set.push(config);
        set.sort_unstable();
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.members.push(set.clone());
        self.numbers.insert(set, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_who_wrote_before_and_who_wrote_later() {
        let mut ledger = Ledger::default();
        let entity = ledger.fingerprint("service", "a");

        let before = |by_same, by_later| Before { by_same, by_later };

        assert_eq!(ledger.note(entity, 1), before(false, false));
        assert_eq!(ledger.note(entity, 1), before(true, false));
        assert_eq!(ledger.note(entity, 4), before(false, false));
        assert_eq!(ledger.note(entity, 0), before(false, true));
        assert_eq!(ledger.note(entity, 1), before(true, true));
        assert_eq!(ledger.writers(entity), [0, 1, 4]);
    }

    #[test]
    fn the_same_identifier_in_another_blueprint_is_another_entity() {
        let mut ledger = Ledger::default();
        let service = ledger.fingerprint("service", "a");
        let team = ledger.fingerprint("team", "a");

        assert_eq!(ledger.note(service, 0), Before::default());
        assert_eq!(ledger.note(team, 0), Before::default());
        assert_ne!(
            ledger.fingerprint("ab", "c"),
            ledger.fingerprint("a", "bc"),
            "where the blueprint ends is part of the fingerprint"
        );
    }
}
