//! Entities that Port may take once the others are there, with its reason.

use std::collections::HashMap;

use super::ledger::Fingerprint;
use super::request::Pending;

/// Entities kept for another try, by the size of their bodies. Beyond it they
/// count as refused, with the remedy: memory stays bounded even when every
/// entity of a first resync lacks its target.
const BYTES: usize = 64 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Postponed {
    entities: Vec<(Pending, String)>,
    bytes: usize,
    /// Where in `entities` an entity is: more than once if resource configs
    /// wrote it one by one.
    places: HashMap<Fingerprint, Vec<usize>>,
}

impl Postponed {
    pub(super) fn len(&self) -> usize {
        self.entities.len()
    }

    pub(super) fn has_room(&self, pending: &Pending) -> bool {
        self.bytes + pending.body.len() <= BYTES
    }

    pub(super) fn push(&mut self, pending: Pending, reason: String) {
        self.bytes += pending.body.len();
        if let Some(fingerprint) = pending.fingerprint {
            let place = self.entities.len();
            self.places.entry(fingerprint).or_default().push(place);
        }
        self.entities.push((pending, reason));
    }

    /// If an earlier object of the same resource config waits for its relation
    /// targets, the later one is laid over it: sent before, it would be
    /// overwritten with what is older. Gives back what found none.
    pub(super) fn absorb(&mut self, fingerprint: Fingerprint, pending: Pending) -> Option<Pending> {
        let Self {
            entities,
            bytes,
            places,
        } = self;
        let place = places.get(&fingerprint).and_then(|places| {
            places.iter().copied().find(|&place| {
                entities.get(place).is_some_and(|(earlier, _)| {
                    let is_shared = |(config, _): &(usize, u64)| {
                        pending.shares.iter().any(|(owner, _)| owner == config)
                    };
                    earlier.shares.iter().any(is_shared)
                })
            })
        });
        let Some((earlier, _)) = place.and_then(|place| entities.get_mut(place)) else {
            return Some(pending);
        };
        *bytes -= earlier.body.len();
        earlier.absorb(pending);
        *bytes += earlier.body.len();
        None
    }

    /// All of them, in the order in which they were postponed.
    pub(super) fn take(&mut self) -> Vec<(Pending, String)> {
        std::mem::take(self).entities
    }
}
