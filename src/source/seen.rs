//! Which objects of a listing were seen.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

/// Objects by id, or by their whole content where they have none (on-calls).
/// Eight bytes an object.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    /// Whether `object` is new.
    pub(super) fn insert(&mut self, object: &Value) -> bool {
        let hash = match object.get("id").and_then(Value::as_str) {
            Some(id) => self.hasher.hash_one(id),
            None => self.hasher.hash_one(object.to_string()),
        };
        self.hashes.insert(hash)
    }

    /// How many different objects were seen.
    pub(super) fn len(&self) -> u64 {
        self.hashes.len() as u64
    }
}
