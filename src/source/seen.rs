//! Which objects of a listing were seen.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::reading::Reading;

/// Objects by id, or by their whole content where they have none (on-calls).
/// Eight bytes an object.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
    /// Whether an object without an id is always new.
    only_by_id: bool,
}

impl Seen {
    /// For objects that are read in this way. Of what has no id, an excerpt is not enough
    /// to tell it from another: twice is better than not at all.
    pub(super) fn of(reading: &Reading) -> Self {
        Self {
            only_by_id: !reading.is_whole(),
            ..Self::default()
        }
    }

    /// Whether `object` is new.
    pub(super) fn insert(&mut self, object: &Value) -> bool {
        let hash = match object.get("id").and_then(Value::as_str) {
            Some(id) => self.hasher.hash_one(id),
            None if self.only_by_id => return true,
            None => self.hasher.hash_one(object.to_string()),
        };
        self.hashes.insert(hash)
    }

    /// How many different objects were seen.
    pub(super) fn len(&self) -> u64 {
        self.hashes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::excerpt::To;
    use crate::source::Detail;
    use crate::source::reading::Listed;

    #[test]
    fn what_has_no_id_is_told_apart_by_all_of_it_or_not_at_all() {
        let excerpt = Reading::of(
            Detail::Read { whole_first: 0 },
            Listed::Itself,
            [vec![To::Key("page_id")]],
        );
        for (reading, is_new_again) in [(Reading::whole(), false), (excerpt, true)] {
            let mut seen = Seen::of(&reading);
            let (named, nameless) = (json!({"id": "a"}), json!({"page_id": "p"}));
            assert!(seen.insert(&named) && seen.insert(&nameless));
            assert!(!seen.insert(&named));
            assert_eq!(seen.insert(&nameless), is_new_again);
        }
    }
}
