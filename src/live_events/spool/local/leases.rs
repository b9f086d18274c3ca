//! Who works on what: in memory, because it ends with the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::super::Lease;

/// The subjects that nobody else may have.
#[derive(Debug, Default)]
pub(super) struct Leases {
    all: Mutex<All>,
    /// Something came in, or is free again.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct All {
    subjects: HashMap<String, Hold>,
    /// Of the last lease.
    number: u64,
}

#[derive(Debug, PartialEq)]
enum Hold {
    /// Somebody works on it.
    By(u64),
    /// Nobody may before then.
    Until(Instant),
}

impl Leases {
    /// A lease of the subject, unless it is held.
    pub(super) fn take(self: &Arc<Self>, key: &str) -> Option<Lease> {
        let mut all = self.all();
        let number = all.number + 1;
        match all.subjects.entry(key.to_owned()) {
            Entry::Occupied(mut entry) => match entry.get() {
                Hold::Until(then) if *then <= Instant::now() => {
                    entry.insert(Hold::By(number));
                }
                Hold::Until(_) | Hold::By(_) => return None,
            },
            Entry::Vacant(entry) => {
                entry.insert(Hold::By(number));
            }
        }
        all.number = number;
        drop(all);
        Some(Lease::Local(Arc::new(LocalLease {
            leases: Arc::clone(self),
            key: key.to_owned(),
            number,
        })))
    }

    /// Nobody may have the subject before then.
    pub(super) fn rest(&self, key: String, until: Instant) {
        self.all().subjects.insert(key, Hold::Until(until));
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // Every change is complete before anything could panic.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the subject when it is dropped.
pub struct LocalLease {
    leases: Arc<Leases>,
    key: String,
    number: u64,
}

impl fmt::Debug for LocalLease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LocalLease({}, {})", self.key, self.number)
    }
}

impl Drop for LocalLease {
    fn drop(&mut self) {
        let mut all = self.leases.all();
        if all.subjects.get(&self.key) == Some(&Hold::By(self.number)) {
            all.subjects.remove(&self.key);
        }
        drop(all);
        self.leases.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_subject_is_had_by_one_until_it_is_dropped() {
        let leases = Arc::new(Leases::default());
        let lease = leases.take("a").unwrap();
        assert!(leases.take("a").is_none());
        assert!(leases.take("b").is_some());

        drop(lease);

        assert!(leases.take("a").is_some());
    }

    #[test]
    fn a_subject_that_rests_is_had_by_nobody_before_its_time() {
        let leases = Arc::new(Leases::default());
        let lease = leases.take("a").unwrap();
        leases.rest("a".to_owned(), Instant::now() + Duration::from_mins(1));
        drop(lease);
        assert!(leases.take("a").is_none());

        leases.rest("a".to_owned(), Instant::now());

        assert!(leases.take("a").is_some());
    }
}
