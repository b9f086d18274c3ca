//! Locks that this process holds, and until when it may act on them.
//!
//! A lock ends by the Redis' clock, and whoever holds it stops acting on it by
//! its own, a margin earlier. Its own count begins before the lock was asked for,
//! so that it never begins later than the Redis': how long the answer took does
//! not matter. The clock is the monotonic one, which nobody sets. (It stands
//! still while a virtual machine is suspended: after that, work that was sent
//! before arrives late, whatever is done here.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// A lock on a subject; it is given back when dropped.
#[derive(Debug)]
pub struct RedisLease {
    lock: Arc<Lock>,
    locks: Arc<Locks>,
    is_settled: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Lock {
    pub(super) subject: String,
    pub(super) token: String,
    until: Mutex<Instant>,
}

/// All locks that are held, and what has to be done about those that were.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: Mutex<HashMap<String, Arc<Lock>>>,
    /// Tokens that nobody works with any more, though the Redis thinks so.
    abandoned: Mutex<Vec<String>>,
    pub(super) has_abandoned: Notify,
}

/// A token that is on its way: the Redis may give a lock for it although nobody
/// waits for the answer any more.
pub(super) struct Asked<'locks> {
    locks: &'locks Locks,
    token: Option<String>,
}

impl RedisLease {
    /// Whether nobody else can have it.
    pub(in crate::live_events) fn is_ours(&self) -> bool {
        Instant::now() < self.lock.until()
    }

    /// Somebody else may have it from now on.
    pub(in crate::live_events) fn lose(&self) {
        self.lock.lose();
    }

    pub(super) fn subject(&self) -> &str {
        &self.lock.subject
    }

    pub(super) fn token(&self) -> &str {
        &self.lock.token
    }

    /// The Redis has been told, or knows better.
    pub(super) fn settle(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        self.locks.held().remove(&self.lock.token);
        if !self.is_settled.load(Ordering::Relaxed) {
            self.locks.abandon(self.lock.token.clone());
        }
    }
}

impl Lock {
    pub(super) fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds for longer, but not again: who has once been told that it is not
    /// theirs any more has stopped in the middle.
    pub(super) fn prolong(&self, until: Instant) {
        let mut current = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() < *current {
            *current = until;
        }
    }

    /// Somebody else has it, or may have.
    pub(super) fn lose(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Locks {
    /// Announces a token before the Redis hears of it.
    pub(super) fn ask(&self) -> Asked<'_> {
        Asked {
            locks: self,
            token: Some(uuid::Uuid::new_v4().simple().to_string()),
        }
    }

    /// Those that are to be renewed.
    pub(super) fn all(&self) -> Vec<Arc<Lock>> {
        self.held().values().cloned().collect()
    }

    /// What was abandoned; the caller sees to it.
    pub(super) fn take_abandoned(&self) -> Vec<String> {
        std::mem::take(&mut *self.abandoned())
    }

    pub(super) fn abandon(&self, token: String) {
        self.abandoned().push(token);
        self.has_abandoned.notify_one();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Arc<Lock>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abandoned(&self) -> MutexGuard<'_, Vec<String>> {
        self.abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The Redis gave nothing.
    pub(super) fn was_refused(mut self) {
        self.token = None;
    }

    /// The Redis gave a lock.
    pub(super) fn was_given(
        mut self,
        subject: String,
        until: Instant,
        locks: &Arc<Locks>,
    ) -> RedisLease {
        let lock = Arc::new(Lock {
            subject,
            token: self.token.take().unwrap_or_default(),
            until: Mutex::new(until),
        });
        locks.held().insert(lock.token.clone(), Arc::clone(&lock));
        RedisLease {
            lock,
            locks: Arc::clone(locks),
            is_settled: AtomicBool::new(false),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.locks.abandon(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_lost_is_not_regained() {
        let locks = Arc::new(Locks::default());
        let soon = Instant::now() + Duration::from_mins(1);
        let held = locks.ask().was_given("S".to_owned(), soon, &locks);
        assert!(held.is_ours());

        held.lose();
        locks.all()[0].prolong(soon);

        assert!(!held.is_ours());
    }

    #[test]
    fn what_is_dropped_on_the_way_is_given_back() {
        let locks = Arc::new(Locks::default());
        let until = Instant::now();

        drop(locks.ask());
        locks.ask().was_refused();
        locks
            .ask()
            .was_given("A".to_owned(), until, &locks)
            .settle();
        drop(locks.ask().was_given("B".to_owned(), until, &locks));

        assert_eq!(locks.take_abandoned().len(), 2);
        assert!(locks.all().is_empty());
    }
}
