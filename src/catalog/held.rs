//! Entities that differ from what Port has, and may yet turn out the same.
//!
//! Two objects may have one identifier, and several resource configs one
//! blueprint. What Port has then is what the last of them said, and the first
//! differs from it every time: sent at once, it would be written and
//! overwritten at each resync for ever. So it waits for what comes later; if
//! that makes it equal to what Port has, nothing is sent at all.
//!
//! It waits until the end of the listings, or until too much does.

use std::collections::{BTreeMap, HashMap};

use super::ledger::Fingerprint;
use super::request::Pending;

/// What may wait, by the size of the bodies; some thousand entities.
const BYTES: usize = 4 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    /// By the order in which they came.
    entities: BTreeMap<u64, Pending>,
    places: HashMap<Fingerprint, u64>,
    next: u64,
    bytes: usize,
}

impl Held {
    pub(super) fn hold(&mut self, fingerprint: Fingerprint, pending: Pending) {
        self.bytes += pending.body.len();
        self.places.insert(fingerprint, self.next);
        self.entities.insert(self.next, pending);
        self.next += 1;
    }

    /// Takes the entity out, if it waits.
    pub(super) fn release(&mut self, fingerprint: Fingerprint) -> Option<Pending> {
        let place = self.places.remove(&fingerprint)?;
        let pending = self.entities.remove(&place)?;
        self.bytes -= pending.body.len();
        Some(pending)
    }

    /// The one that waits longest, if too much waits.
    pub(super) fn overflow(&mut self) -> Option<Pending> {
        if self.bytes <= BYTES {
            return None;
        }
        self.pop()
    }

    /// The one that waits longest.
    pub(super) fn pop(&mut self) -> Option<Pending> {
        let (_, pending) = self.entities.pop_first()?;
        self.bytes -= pending.body.len();
        if let Some(fingerprint) = pending.fingerprint {
            self.places.remove(&fingerprint);
        }
        Some(pending)
    }
}
