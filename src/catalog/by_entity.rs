//! Tables of all entities of a resync, which are most of the memory that it needs for
//! their number.
//!
//! A table that is full doubles, and while it does there are both. So that this is
//! never the whole of it, it is cut into parts, each of which grows at its own time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::ledger::Fingerprint;

/// A power of two; the more, the less there is twice.
const PARTS: usize = 32;

type Part<T> = HashMap<Fingerprint, T, BuildHasherDefault<AsItIs>>;

/// Something about each entity.
pub(super) struct ByEntity<T> {
    parts: [Part<T>; PARTS],
}

impl<T> Default for ByEntity<T> {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Part::default()),
        }
    }
}

impl<T> ByEntity<T> {
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(HashMap::len).sum()
    }

    pub(super) fn contains(&self, entity: Fingerprint) -> bool {
        self.get(entity).is_some()
    }

    pub(super) fn get(&self, entity: Fingerprint) -> Option<&T> {
        self.parts[place(entity)].get(&entity)
    }

    pub(super) fn get_mut(&mut self, entity: Fingerprint) -> Option<&mut T> {
        self.parts[place(entity)].get_mut(&entity)
    }

    /// Replaces what was known.
    pub(super) fn insert(&mut self, entity: Fingerprint, value: T) {
        self.parts[place(entity)].insert(entity, value);
    }
}

impl<T: Default> ByEntity<T> {
    pub(super) fn get_or_default(&mut self, entity: Fingerprint) -> &mut T {
        self.parts[place(entity)].entry(entity).or_default()
    }
}

/// The part that an entity is in. Not by what the part itself goes by.
fn place(entity: Fingerprint) -> usize {
    entity.last() as usize % PARTS
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Fingerprints;
    use super::*;

    #[test]
    fn what_is_put_in_is_found_whichever_part_it_is_in() {
        let fingerprints = Fingerprints::default();
        let entity = |number: u32| fingerprints.of("blueprint", &number.to_string());
        let mut table = ByEntity::default();
        for number in 0..1_000 {
            *table.get_or_default(entity(number)) = number;
        }
        table.insert(entity(7), 8);
        assert_eq!(table.len(), 1_000);
        assert_eq!(table.get(entity(7)), Some(&8));
        assert_eq!(table.get(entity(999)), Some(&999));
        assert!(!table.contains(entity(1_000)));
        // Were they all in one part, nothing would be gained.
        assert!(table.parts.iter().all(|part| part.len() < 100));
    }
}
