//! Stores entities in Port and accounts for every one of them.
//!
//! ```text
//! entities ─▶ arbitrate (who mapped it before?) ─▶ compare with Port ─▶ buffer per blueprint ─▶ bulk requests, several in flight
//!                                                    │ the same: done     refused for a missing relation target ─▶ again at the end
//! ```
//!
//! - What Port has already is not sent.
//! - A bulk request is filled across pages and kinds: at most 20 entities and
//!   one measured MiB.
//! - Two requests with the same entity are never in flight together, so what is
//!   mapped later is written later.
//! - Of two resource configs that write one entity, the later one in the
//!   document wins field by field, whatever finished first.
//! - A refused request is halved until the entity that spoils it stands alone;
//!   a refused entity is counted and named, and never stops the others.
//! - Entities that failed for a missing relation target are sent once more,
//!   whole, when everything else is there, targets first.

mod again;
mod others;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::comparison::lacks_any;
use super::current::{Contribution, Current};
use super::held::Held;
use super::ledger::{Fingerprint, Ledger};
use super::mapped::{ANY_BLUEPRINT, MappedEntities};
use super::order;
use super::postponed::Postponed;
use super::recent::{EntityKey, RecentWrites};
use super::request::{Failure, Fate, Pending, Verdict, store};
use super::sink::Sink;
use super::written::Written;
use crate::api::UpsertOptions;
use crate::mapping::{Entity, EntityIdentifier};

/// What surrounds the entities in the body of a bulk request.
const ENVELOPE_BYTES: usize = br#"{"entities":[]}"#.len();

/// Entities that one resource config made.
pub struct ToWrite {
    /// Index of the resource config.
    pub config: usize,
    /// In listing order.
    pub entities: Vec<Entity>,
    /// When the page with their objects was asked for.
    pub asked: Timestamp,
}

/// Bounds of the requests to Port.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// Entities in a bulk request.
    pub batch_entities: usize,
    /// Bytes of the body of a bulk request.
    pub batch_bytes: usize,
    /// Bulk requests in flight.
    pub concurrency: usize,
}

/// Writes what it receives; see the module.
pub struct Writer {
    sink: Sink,
    options: UpsertOptions,
    limits: WriteLimits,
    /// By index of the resource config.
    contributions: Arc<[Contribution]>,
    mapped: MappedEntities,
    current: Current,
    held: Held,
    buffers: BTreeMap<Address, Buffer>,
    in_flight: FuturesUnordered<BoxFuture<'static, Vec<Verdict>>>,
    busy: HashSet<Fingerprint>,
    postponed: Postponed,
    written: Vec<Written>,
    settled: Arc<AtomicU64>,
    recent: Arc<RecentWrites>,
    /// What live events wrote from then on is not what `current` shows.
    began: Timestamp,
}

/// Where a request goes: the blueprint, and whether Port is to merge.
type Address = (String, bool);

/// Entities of one address that wait for a full request.
#[derive(Default)]
struct Buffer {
    entities: Vec<Pending>,
    bytes: usize,
}

impl Writer {
    /// `contributions`: what each resource config maps, by its index. `settled`
    /// counts along what is in Port, for whoever watches. `recent`: what live
    /// events write meanwhile.
    pub fn new(
        sink: impl Into<Sink>,
        options: UpsertOptions,
        limits: WriteLimits,
        contributions: Vec<Contribution>,
        settled: Arc<AtomicU64>,
        recent: Arc<RecentWrites>,
    ) -> Self {
        let sink = sink.into();
        let began = Timestamp::now();
        let contributions: Arc<[Contribution]> = contributions.into();
        let ledger = Ledger::default();
        let current = Current::new(
            sink.port().clone(),
            options.merge,
            Arc::clone(&contributions),
            ledger.fingerprints.clone(),
        );
        Self {
            sink,
            options,
            limits,
            written: vec![Written::default(); contributions.len()],
            contributions,
            mapped: MappedEntities {
                ledger,
                ..MappedEntities::default()
            },
            current,
            held: Held::default(),
            buffers: BTreeMap::new(),
            in_flight: FuturesUnordered::new(),
            busy: HashSet::new(),
            postponed: Postponed::default(),
            settled,
            recent,
            began,
        }
    }

    /// Writes until the senders are gone and everything is accounted for.
    /// What was written stands by index of the resource config.
    pub async fn run(
        mut self,
        mut incoming: mpsc::Receiver<ToWrite>,
    ) -> (Vec<Written>, MappedEntities) {
        loop {
            tokio::select! {
                // Answers first: they make room.
                biased;
                Some(verdicts) = self.in_flight.next() => self.settle(verdicts),
                () = self.current.progress(), if self.current.is_reading() => {}
                received = incoming.recv() => {
                    let Some(page) = received else { break };
                    self.current.prepare(&page.entities).await;
                    self.accept_page(page).await;
                }
            }
        }
        while let Some(held) = self.held.pop() {
            self.enqueue(held).await;
        }
        self.flush_all().await;
        self.retry_postponed().await;
        (self.written, self.mapped)
    }

    async fn accept_page(&mut self, page: ToWrite) {
        let ToWrite {
            config,
            entities,
            asked,
        } = page;
        let keys: Vec<EntityKey> = entities
            .iter()
            .map(|entity| {
                let identifier = entity.identifier.as_text().unwrap_or_default();
                EntityKey::of(&entity.blueprint, identifier)
            })
            .collect();
        let touched = self.recent.touched_since(&keys, self.began).await;
        let as_of = self.recent.as_listed(asked);
        for (entity, is_touched) in entities.into_iter().zip(touched) {
            self.accept(config, entity, as_of, is_touched).await;
        }
    }

    /// `is_touched`: whether Port may hold something else by now than when it was
    /// read.
    async fn accept(
        &mut self,
        config: usize,
        mut entity: Entity,
        as_of: Timestamp,
        is_touched: bool,
    ) {
        self.note_targets(&entity);
        let EntityIdentifier::Text(identifier) = &entity.identifier else {
            let merge = self.is_to_merge(config, &entity);
            self.mapped.searched.insert(entity.blueprint.clone());
            self.enqueue(Pending::new(config, entity, None, merge, as_of))
                .await;
            return;
        };
        let fingerprint = self
            .mapped
            .ledger
            .fingerprint(&entity.blueprint, identifier);
        let before = self.mapped.ledger.note(fingerprint, config);
        if before.by_same
            && let Some(written) = self.written.get_mut(config)
        {
            written.note_collision(&entity);
        }
        if before.by_later && !self.leave_to_others(fingerprint, &[config], &mut entity) {
            self.count_unchanged(&[(config, 1)]);
            return;
        }
        let is_sent = is_touched || self.mapped.ledger.is_sent(fingerprint);
        let earlier = self.held.release(fingerprint);
        // Most of a catalog is equal, and what is not sent need not be written down.
        if earlier.is_none() && !is_sent && self.current.is_unchanged(fingerprint, &entity) {
            self.count_unchanged(&[(config, 1)]);
            return;
        }
        let was_held = earlier.is_some();
        let merge = self.is_to_merge(config, &entity);
        let mut pending = Pending::new(config, entity, Some(fingerprint), merge, as_of);
        if let Some(mut earlier) = earlier {
            earlier.absorb(pending);
            pending = earlier;
        }
        if is_sent {
            self.enqueue(pending).await;
        } else if was_held && self.current.is_unchanged(fingerprint, &pending.entity) {
            self.count_unchanged(&pending.shares);
        } else if self.may_become_equal(config, fingerprint, &pending.entity.blueprint) {
            self.held.hold(fingerprint, pending);
            while let Some(oldest) = self.held.overflow() {
                self.enqueue(oldest).await;
            }
        } else {
            self.enqueue(pending).await;
        }
    }

    /// Whether Port is to keep what the entity does not mention: always when it
    /// merges, and else where something that is mapped could not be fetched. The
    /// value that Port has of that is not to be lost.
    fn is_to_merge(&self, config: usize, entity: &Entity) -> bool {
        let lacks = |contribution: &Contribution| lacks_any(&contribution.fields, entity);
        self.options.merge || self.contributions.get(config).is_some_and(lacks)
    }

    /// Whether what comes later may make the entity equal to what Port has.
    fn may_become_equal(&self, config: usize, fingerprint: Fingerprint, blueprint: &str) -> bool {
        let may_repeat = |contribution: &Contribution| contribution.may_repeat;
        let is_fed_by_others = || {
            let mut feeding = self.contributions.iter().enumerate();
            feeding.any(|(index, other)| index != config && other.may_feed(blueprint))
        };
        self.current.has(blueprint, fingerprint)
            && (self.contributions.get(config).is_some_and(may_repeat) || is_fed_by_others())
    }

    /// What the entity relates to must not be deleted when Port was asked to
    /// create it; and if it is deleted, the entity would go with it.
    fn note_targets(&mut self, entity: &Entity) {
        for (relation, targets) in &entity.relations {
            let blueprint = self
                .current
                .target(&entity.blueprint, relation)
                .unwrap_or(ANY_BLUEPRINT);
            for target in order::targets(targets) {
                let target = self.mapped.ledger.fingerprint(blueprint, target);
                self.mapped.targets.insert(target, ());
            }
        }
    }

    /// Puts an entity where it waits for its request, behind whatever was said
    /// of it before.
    async fn enqueue(&mut self, mut pending: Pending) {
        if let Some(fingerprint) = pending.fingerprint {
            self.mapped.ledger.send(fingerprint);
            // What is in flight may arrive at Port in any order, so the second
            // write of an entity waits for the first one's answer.
            while self.busy.contains(&fingerprint) {
                match self.in_flight.next().await {
                    Some(verdicts) => self.settle(verdicts),
                    None => break,
                }
            }
            // What waits for a request may be of another resource config, and
            // what is postponed is sent after it: it would overwrite this.
            let left = self
                .postponed
                .absorb(fingerprint, pending)
                .and_then(|left| self.merge_into_waiting(fingerprint, left));
            match left {
                Some(left) => pending = left,
                None => return,
            }
        }
        self.buffer(pending).await;
    }

    /// If the entity still waits to be sent, what comes later is laid over it:
    /// one request must not hold an entity twice. Gives back what found none,
    /// and what does not fit into the request any more that it waited for.
    fn merge_into_waiting(
        &mut self,
        fingerprint: Fingerprint,
        pending: Pending,
    ) -> Option<Pending> {
        for merge in [false, true] {
            let address = (pending.entity.blueprint.clone(), merge);
            let Some(buffer) = self.buffers.get_mut(&address) else {
                continue;
            };
            let is_it = |waiting: &Pending| waiting.fingerprint == Some(fingerprint);
            let Some(place) = buffer.entities.iter().position(is_it) else {
                continue;
            };
            let waiting = &mut buffer.entities[place];
            buffer.bytes -= waiting.body.len();
            waiting.absorb(pending);
            buffer.bytes += waiting.body.len();
            let fits = buffer.bytes + ENVELOPE_BYTES <= self.limits.batch_bytes;
            if fits && waiting.merge == merge {
                return None;
            }
            let moved = buffer.entities.remove(place);
            buffer.bytes -= moved.body.len() + 1;
            return Some(moved);
        }
        Some(pending)
    }

    async fn buffer(&mut self, pending: Pending) {
        let address = (pending.entity.blueprint.clone(), pending.merge);
        let size = pending.body.len() + 1;
        let buffer = self.buffers.entry(address.clone()).or_default();
        let full = buffer.entities.len() >= self.limits.batch_entities
            || buffer.bytes + size + ENVELOPE_BYTES > self.limits.batch_bytes;
        if full && !buffer.entities.is_empty() {
            let ready = std::mem::take(buffer);
            self.send(address.clone(), ready.entities).await;
        }
        let buffer = self.buffers.entry(address.clone()).or_default();
        buffer.bytes += size;
        buffer.entities.push(pending);
        if buffer.entities.len() >= self.limits.batch_entities {
            let ready = std::mem::take(buffer);
            self.send(address, ready.entities).await;
        }
    }

    async fn flush_all(&mut self) {
        for (address, buffer) in std::mem::take(&mut self.buffers) {
            if !buffer.entities.is_empty() {
                self.send(address, buffer.entities).await;
            }
        }
        while let Some(verdicts) = self.in_flight.next().await {
            self.settle(verdicts);
        }
    }

    /// Starts a request; waits for an answer first when enough are in flight.
    async fn send(&mut self, (blueprint, merge): Address, entities: Vec<Pending>) {
        while self.in_flight.len() >= self.limits.concurrency.max(1) {
            match self.in_flight.next().await {
                Some(verdicts) => self.settle(verdicts),
                None => break,
            }
        }
        self.busy
            .extend(entities.iter().filter_map(|pending| pending.fingerprint));
        let options = UpsertOptions {
            merge,
            ..self.options.clone()
        };
        self.in_flight.push(
            store(
                self.sink.clone(),
                options,
                blueprint,
                entities,
                Arc::clone(&self.recent),
            )
            .boxed(),
        );
    }

    fn settle(&mut self, verdicts: Vec<Verdict>) {
        for Verdict { pending, fate } in verdicts {
            if let Some(fingerprint) = pending.fingerprint {
                self.busy.remove(&fingerprint);
            }
            match fate {
                Fate::Stored => {
                    self.note_rewritten(&pending);
                    self.count_stored(&pending.shares);
                }
                Fate::Outdated => self.count_unchanged(&pending.shares),
                Fate::Failed(failure) if failure.worth_another_try => {
                    self.postpone(pending, failure);
                }
                Fate::Failed(failure) => {
                    self.refuse(&pending.shares, &pending.entity, &failure.reason);
                }
            }
        }
    }

    /// Where it is not known what was there before, the entity counts as new:
    /// the fewer there were, the less may be deleted.
    fn note_rewritten(&mut self, pending: &Pending) {
        let blueprint = &pending.entity.blueprint;
        let Some(fingerprint) = pending.fingerprint else {
            return;
        };
        if self.mapped.ledger.store(fingerprint) && self.current.had(blueprint, fingerprint) {
            let rewritten = &mut self.mapped.rewritten;
            *rewritten.entry(blueprint.clone()).or_default() += 1;
        }
    }

    fn count_unchanged(&mut self, shares: &[(usize, u64)]) {
        for &(config, objects) in shares {
            self.settled.fetch_add(objects, Ordering::Relaxed);
            if let Some(written) = self.written.get_mut(config) {
                written.unchanged += objects;
            }
        }
    }

    fn count_stored(&mut self, shares: &[(usize, u64)]) {
        for &(config, objects) in shares {
            self.settled.fetch_add(objects, Ordering::Relaxed);
            if let Some(written) = self.written.get_mut(config) {
                written.stored += objects;
            }
        }
    }

    fn postpone(&mut self, pending: Pending, failure: Failure) {
        if self.postponed.has_room(&pending) {
            self.postponed.push(pending, failure.reason);
            return;
        }
        let reason = format!(
            "{}; too many entities wait for their relation targets: list the targets' kinds first, or set `createMissingRelatedEntities: true`",
            failure.reason
        );
        self.refuse(&pending.shares, &pending.entity, &reason);
    }

    fn refuse(&mut self, shares: &[(usize, u64)], entity: &Entity, reason: &str) {
        for &(config, objects) in shares {
            if let Some(written) = self.written.get_mut(config) {
                written.refuse(objects, entity, reason);
            }
        }
    }
}
