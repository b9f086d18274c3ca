//! What live events have written or deleted lately, so that a resync which runs
//! at the same time neither undoes nor overwrites it.
//!
//! ```text
//! live event   fetch ─▶ note ─▶ claim ─▶ write or delete ─▶ release
//! resync       page asked for ─▶ map ─▶ (held, postponed, buffered) ─▶ claim ─▶ still news? ─▶ write ─▶ release
//! ```
//!
//! # Why this is enough
//!
//! A page shows an object as it was at some moment after the page was asked for,
//! and an event's fetch as it was at some moment before its answer was there. A
//! page that was asked for after that answer is at least as new; one asked for
//! before may be older, and is then not written. It may be newer as well. Then
//! the object has changed since, and the event of that change is still to come.
//!
//! Whether an entity is old news is asked as late as can be: when its request is
//! about to leave, wherever the entity waited until then. Of an entity that was
//! put together of several pages the oldest counts.
//!
//! What has left cannot be called back, and two requests may reach Port in either
//! order. So whoever writes or deletes an entity claims it until Port has
//! answered, and a claim is only given when nobody else has one. An event notes
//! its entities before it claims them. A request of the resync that claims later
//! finds the note and leaves the entity out; one that claimed before is waited
//! for, and overwritten. A request that was lost on the way and is repeated is
//! the same claim. All entities of a request are claimed at once, so nobody who
//! holds a claim waits for another.
//!
//! Deleted entities are noted like written ones: a page that still has the object
//! does not bring it back. What a resync found to be stale is old news as soon as
//! an event has written it since the resync began.
//!
//! An entity that was noted while the resync ran is not what Port held before the
//! resync, so it is not compared with that.
//!
//! # What is accepted
//!
//! - Lists may lag behind single objects by seconds ([`RecentWrites::LIST_LAG`]).
//!   A page asked for so soon after an event's fetch counts as older. What changes within that time and has no event of its own waits for
//!   the next resync.
//! - Where several objects make one entity, a page with one of them is left out
//!   because of an event about another. The next resync writes it.
//! - An entity that a live event deleted is created again, empty, when an older
//!   page has something that relates to it and Port is told to create what is
//!   missing. The next resync deletes it.
//! - Notes end after [`RecentWrites::LIFETIME`], longer than any resync takes, and
//!   beyond [`RecentWrites::MOST`] the oldest.
//!
//! Processes that work together share notes and claims through [`SharedWrites`],
//! and everything above holds between them as well; whoever writes down instants
//! there takes care of the clocks of several machines.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{Context, SHA256};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Stands for one entity, the same in every process: 128 bits of a digest of its
/// blueprint and identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey([u8; 16]);

impl EntityKey {
    pub fn of(blueprint: &str, identifier: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(blueprint.as_bytes());
        // In no blueprint's name.
        context.update(&[0]);
        context.update(identifier.as_bytes());
        let mut key = [0; 16];
        for (byte, digest) in key.iter_mut().zip(context.finish().as_ref()) {
            *byte = *digest;
        }
        Self(key)
    }

    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Thirty-two hexadecimal digits.
impl fmt::Display for EntityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for EntityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The instants of some entities, in their order; none of one that nobody noted.
pub type Instants = Vec<Option<Timestamp>>;

/// Where processes that work together tell each other what they write. What fails
/// there is said there, and nobody waits for it longer than for a request to Port.
pub trait SharedWrites: Send + Sync {
    /// Notes entities, each with the instant at which its object had been fetched.
    fn note(&self, entities: Vec<(EntityKey, Timestamp)>) -> BoxFuture<'_, ()>;

    /// The newest such instant of each entity.
    fn noted(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Instants>;

    /// Waits until no other process has any of these, and keeps others from them.
    fn claim(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Box<dyn SharedClaim>>;
}

/// A claim that other processes know of. It ends by itself some time after it was
/// dropped: its process may be gone.
pub trait SharedClaim: Send + Sync {
    /// How long it holds at least without being renewed.
    fn holds_for(&self) -> Duration;

    /// Holds for as long again.
    fn renew(&self) -> BoxFuture<'_, ()>;

    /// Lets go.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// See the module.
#[derive(Default)]
pub struct RecentWrites {
    state: Mutex<State>,
    released: Notify,
    shared: Option<Box<dyn SharedWrites>>,
    list_lag: SignedDuration,
}

#[derive(Default)]
struct State {
    noted: HashMap<EntityKey, Noted>,
    /// By the order in which they were noted; one that was noted again is here
    /// more than once, and the last time counts.
    order: VecDeque<(Timestamp, EntityKey)>,
    claimed: HashSet<EntityKey>,
}

#[derive(Clone, Copy)]
struct Noted {
    /// When its object had been fetched.
    fetched: Timestamp,
    /// When it was noted the last time.
    at: Timestamp,
    /// The same, or when whoever had claimed it was done, if that was later.
    touched: Timestamp,
}

/// Entities that nobody else writes or deletes until this is dropped.
pub(super) struct Claim {
    recent: Arc<RecentWrites>,
    entities: Vec<EntityKey>,
    outdated: HashSet<EntityKey>,
    shared: Option<Box<dyn SharedClaim>>,
}

impl RecentWrites {
    /// How far lists may lag behind what was just fetched one by one.
    pub const LIST_LAG: SignedDuration = SignedDuration::from_secs(10);

    /// How long a note is kept.
    pub const LIFETIME: SignedDuration = SignedDuration::from_hours(12);

    /// Entities that are remembered, some hundred bytes each.
    pub const MOST: usize = 200_000;

    /// A note from further in the future is one from before somebody set the clock.
    const FUTURE: SignedDuration = SignedDuration::from_mins(1);

    /// How long after its fetch an entity of another process may have been
    /// written, so that Port may have held something else before.
    const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_mins(2);

    /// `list_lag` is [`Self::LIST_LAG`] unless a test knows better.
    pub fn new(list_lag: SignedDuration) -> Self {
        Self {
            list_lag,
            ..Self::default()
        }
    }

    /// Shares notes and claims with other processes.
    #[must_use]
    pub fn shared_through(mut self, shared: impl SharedWrites + 'static) -> Self {
        self.shared = Some(Box::new(shared));
        self
    }

    /// Notes what a live event is about to write or delete. `fetched`: when its
    /// object had been fetched.
    pub async fn note(&self, entities: &[EntityKey], fetched: Timestamp) {
        let now = Timestamp::now();
        {
            let mut state = self.state();
            for &entity in entities {
                let noted = state.noted.entry(entity).or_insert(Noted {
                    fetched,
                    at: now,
                    touched: now,
                });
                noted.fetched = noted.fetched.max(fetched);
                noted.at = now;
                noted.touched = noted.touched.max(now);
                state.order.push_back((now, entity));
            }
            state.forget(now);
        }
        if let Some(shared) = &self.shared {
            let notes = entities.iter().map(|&entity| (entity, fetched));
            shared.note(notes.collect()).await;
        }
    }

    /// Whether a live event has fetched the entity's object after this instant.
    pub async fn newer_than(&self, entities: &[(EntityKey, Timestamp)]) -> Vec<bool> {
        let noted = self.noted(entities.iter().map(|(entity, _)| *entity)).await;
        let now = Timestamp::now();
        let future = now.saturating_add(Self::FUTURE).unwrap_or(Timestamp::MAX);
        let newer = noted.into_iter().zip(entities).map(|(noted, (_, than))| {
            noted.is_some_and(|noted| noted.fetched > *than && noted.fetched <= future)
        });
        newer.collect()
    }

    /// The instant that counts for what is on a page: somewhat before the page
    /// was asked for, since lists may lag.
    pub(super) fn as_listed(&self, asked: Timestamp) -> Timestamp {
        asked
            .saturating_sub(self.list_lag)
            .unwrap_or(Timestamp::MIN)
    }

    /// Whether a live event may have changed the entity in Port after this instant.
    pub(super) async fn touched_since(
        &self,
        entities: &[EntityKey],
        instant: Timestamp,
    ) -> Vec<bool> {
        let noted = self.noted(entities.iter().copied()).await;
        let state = self.state();
        noted
            .into_iter()
            .zip(entities)
            .map(|(noted, entity)| {
                let is_touched = noted.is_some_and(|noted| noted.touched >= instant);
                is_touched || (noted.is_some() && state.claimed.contains(entity))
            })
            .collect()
    }

    /// Waits until nobody else has any of these, and keeps others from them. Of
    /// each is said how old the news of it is, to tell what a live event knew
    /// later.
    pub(super) async fn claim(self: &Arc<Self>, wanted: &[(EntityKey, Timestamp)]) -> Claim {
        loop {
            let mut released = pin!(self.released.notified());
            // Before looking, so that what is released in between is not missed.
            released.as_mut().enable();
            {
                let mut state = self.state();
                let is_free = |(entity, _): &(EntityKey, _)| !state.claimed.contains(entity);
                if wanted.iter().all(is_free) {
                    state
                        .claimed
                        .extend(wanted.iter().map(|(entity, _)| *entity));
                    break;
                }
            }
            released.await;
        }
        // From here on dropping releases, also when the next question is broken off.
        let mut claim = Claim {
            recent: Arc::clone(self),
            entities: wanted.iter().map(|(entity, _)| *entity).collect(),
            outdated: HashSet::new(),
            shared: None,
        };
        if let Some(shared) = &self.shared
            && !wanted.is_empty()
        {
            claim.shared = Some(shared.claim(claim.entities.clone()).await);
        }
        let newer = self.newer_than(wanted).await;
        let outdated = wanted.iter().zip(newer).filter(|(_, newer)| *newer);
        claim.outdated = outdated.map(|((entity, _), _)| *entity).collect();
        claim
    }

    /// What is known of each, here and elsewhere.
    async fn noted(&self, entities: impl Iterator<Item = EntityKey>) -> Vec<Option<Noted>> {
        let entities: Vec<EntityKey> = entities.collect();
        let mut noted: Vec<Option<Noted>> = {
            let state = self.state();
            let known = entities.iter().map(|entity| state.noted.get(entity));
            known.map(Option::<&Noted>::copied).collect()
        };
        if let Some(shared) = &self.shared
            && !entities.is_empty()
        {
            let elsewhere = shared.noted(entities).await;
            for (noted, fetched) in noted.iter_mut().zip(elsewhere) {
                let Some(fetched) = fetched else { continue };
                if noted.is_none_or(|noted| noted.fetched < fetched) {
                    let touched = fetched.saturating_add(Self::WRITTEN_WITHIN);
                    *noted = Some(Noted {
                        fetched,
                        at: fetched,
                        touched: touched.unwrap_or(Timestamp::MAX),
                    });
                }
            }
        }
        noted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what is old, and the oldest of what is too much.
    fn forget(&mut self, now: Timestamp) {
        let Ok(oldest) = now.saturating_sub(RecentWrites::LIFETIME) else {
            return;
        };
        while let Some(&(at, entity)) = self.order.front() {
            if at >= oldest && self.order.len() <= RecentWrites::MOST {
                return;
            }
            self.order.pop_front();
            if self.noted.get(&entity).is_some_and(|noted| noted.at <= at) {
                self.noted.remove(&entity);
            }
        }
    }
}

impl Claim {
    /// Whether a live event knew later of it.
    pub(super) fn is_outdated(&self, entity: EntityKey) -> bool {
        self.outdated.contains(&entity)
    }

    /// Does what the entities were claimed for, however long it takes, and lets go
    /// of them.
    pub(super) async fn during<T>(mut self, work: impl Future<Output = T>) -> T {
        let Some(shared) = self.shared.take() else {
            return work.await;
        };
        let renewing = async {
            loop {
                sleep(shared.holds_for() / 3).await;
                shared.renew().await;
            }
        };
        let result = tokio::select! {
            result = work => result,
            never = renewing => never,
        };
        shared.release().await;
        result
    }

    /// Lets go of them without having done anything.
    pub(super) async fn release(self) {
        self.during(async {}).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let now = Timestamp::now();
        {
            let mut state = self.recent.state();
            for entity in &self.entities {
                state.claimed.remove(entity);
                if let Some(noted) = state.noted.get_mut(entity) {
                    noted.touched = noted.touched.max(now);
                }
            }
        }
        self.recent.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
