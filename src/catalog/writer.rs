//! Stores entities in Port and accounts for every one of them.
//!
//! ```text
//! entities ─▶ arbitrate (who wrote it before?) ─▶ buffer per blueprint ─▶ bulk requests, several in flight
//!                                                   refused for a missing relation target ─▶ again at the end
//! ```
//!
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

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::ledger::{Fingerprint, Ledger};
use super::mapped::MappedEntities;
use super::order;
use super::request::{Failure, Pending, Verdict, named, store};
use crate::api::{PortClient, UpsertOptions};
use crate::mapping::{Entity, EntityIdentifier};
use crate::resource_config::MappedFields;

/// Entities kept for another try, by the size of their bodies. Beyond it they
/// count as refused, with the remedy: memory stays bounded even when every
/// entity of a first resync lacks its target.
const POSTPONED_BYTES: usize = 64 << 20;

/// Refused entities that are named; the rest is counted.
const NAMED_REFUSALS: usize = 5;

/// What surrounds the entities in the body of a bulk request.
const ENVELOPE_BYTES: usize = br#"{"entities":[]}"#.len();

/// Entities that one resource config made.
pub struct ToWrite {
    /// Index of the resource config.
    pub config: usize,
    /// In listing order.
    pub entities: Vec<Entity>,
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

/// What became of the entities of one resource config.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Stored, each object that led to an entity counted.
    pub stored: u64,
    /// Not sent, because Port has it as it is or a later resource config says
    /// otherwise.
    pub unchanged: u64,
    /// Refused by Port, or never answered.
    pub refused: u64,
    /// Some of the refused, with Port's reason.
    pub refusals: Vec<Refusal>,
    /// Objects whose identifier another object of the same resource config had.
    pub collisions: u64,
    /// One such identifier.
    pub collision: Option<String>,
}

/// An entity that Port would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it should have gone.
    pub blueprint: String,
    /// Which entity.
    pub identifier: String,
    /// Port's words.
    pub reason: String,
}

/// Writes what it receives; see the module.
pub struct Writer {
    port: PortClient,
    options: Arc<UpsertOptions>,
    limits: WriteLimits,
    /// By index of the resource config.
    fields: Vec<MappedFields>,
    ledger: Ledger,
    buffers: BTreeMap<String, Buffer>,
    in_flight: FuturesUnordered<BoxFuture<'static, Vec<Verdict>>>,
    busy: HashSet<Fingerprint>,
    postponed: Postponed,
    written: Vec<Written>,
    stored: Arc<AtomicU64>,
}

/// Entities that Port may take once the others are there, with its reason.
#[derive(Default)]
struct Postponed {
    entities: Vec<(Pending, String)>,
    bytes: usize,
    /// Where in `entities` an entity is: more than once if resource configs
    /// wrote it one by one.
    places: HashMap<Fingerprint, Vec<usize>>,
}

/// Entities of one blueprint that wait for a full request.
#[derive(Default)]
struct Buffer {
    entities: Vec<Pending>,
    bytes: usize,
}

impl Writer {
    /// `fields`: what each resource config maps, by its index. `stored` counts
    /// along, for whoever watches.
    pub fn new(
        port: PortClient,
        options: UpsertOptions,
        limits: WriteLimits,
        fields: Vec<MappedFields>,
        stored: Arc<AtomicU64>,
    ) -> Self {
        Self {
            port,
            options: Arc::new(options),
            limits,
            written: vec![Written::default(); fields.len()],
            fields,
            ledger: Ledger::default(),
            buffers: BTreeMap::new(),
            in_flight: FuturesUnordered::new(),
            busy: HashSet::new(),
            postponed: Postponed::default(),
            stored,
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
                received = incoming.recv() => {
                    let Some(ToWrite { config, entities }) = received else { break };
                    for entity in entities {
                        self.accept(config, entity).await;
                    }
                }
            }
        }
        self.flush_all().await;
        self.retry_postponed().await;
        let mapped = MappedEntities {
            ledger: self.ledger,
            ..MappedEntities::default()
        };
        (self.written, mapped)
    }

    async fn accept(&mut self, config: usize, mut entity: Entity) {
        let fingerprint = match &entity.identifier {
            EntityIdentifier::Text(identifier) => {
                Some(self.ledger.fingerprint(&entity.blueprint, identifier))
            }
            EntityIdentifier::Search(_) => None,
        };
        if let Some(fingerprint) = fingerprint {
            let before = self.ledger.note(fingerprint, config);
            if before.by_same {
                self.note_collision(config, &entity);
            }
            if before.by_later && !self.leave_to_others(fingerprint, &[config], &mut entity) {
                self.count_stored(&[(config, 1)]);
                return;
            }
        }
        self.enqueue(Pending::new(config, entity, fingerprint))
            .await;
    }

    /// Puts an entity where it waits for its request, behind whatever was said
    /// of it before.
    async fn enqueue(&mut self, mut pending: Pending) {
        if let Some(fingerprint) = pending.fingerprint {
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
                .merge_into_postponed(fingerprint, pending)
                .and_then(|left| self.merge_into_waiting(fingerprint, left));
            match left {
                Some(left) => pending = left,
                None => return,
            }
        }
        self.buffer(pending).await;
    }

    /// Takes out of an entity of the resource configs `own` what later ones
    /// wrote. False when nothing is left to say: without merging, the later one
    /// replaces the whole entity.
    fn leave_to_others(
        &self,
        fingerprint: Fingerprint,
        own: &[usize],
        entity: &mut Entity,
    ) -> bool {
        let others: Vec<usize> = self
            .ledger
            .writers(fingerprint)
            .iter()
            .copied()
            .filter(|writer| !own.contains(writer))
            .collect();
        if !self.options.merge {
            return !others
                .iter()
                .any(|other| own.iter().all(|mine| mine < other));
        }
        // Where `own` are several, one of them may come before and one after
        // the other writer: each field goes to the last who maps it.
        let is_outranked = |maps: &dyn Fn(&MappedFields) -> bool| {
            let maps = |config: usize| self.fields.get(config).is_some_and(maps);
            others
                .iter()
                .any(|&other| maps(other) && !own.iter().any(|&mine| mine > other && maps(mine)))
        };
        if is_outranked(&|fields| fields.title) {
            entity.title = None;
        }
        if is_outranked(&|fields| fields.icon) {
            entity.icon = None;
        }
        if is_outranked(&|fields| fields.team) {
            entity.team = None;
        }
        entity
            .properties
            .retain(|name, _| !is_outranked(&|fields| fields.properties.contains(name)));
        entity
            .relations
            .retain(|name, _| !is_outranked(&|fields| fields.relations.contains(name)));
        true
    }

    fn note_collision(&mut self, config: usize, entity: &Entity) {
        if let Some(written) = self.written.get_mut(config) {
            written.collisions += 1;
            if written.collision.is_none() {
                written.collision = Some(named(entity));
            }
        }
    }

    /// If the entity still waits to be sent, what comes later is laid over it:
    /// one request must not hold an entity twice. Gives back what found none,
    /// and what has grown too large for the request that it waited for.
    fn merge_into_waiting(
        &mut self,
        fingerprint: Fingerprint,
        pending: Pending,
    ) -> Option<Pending> {
        let Some(buffer) = self.buffers.get_mut(&pending.entity.blueprint) else {
            return Some(pending);
        };
        let Some(place) = buffer
            .entities
            .iter()
            .position(|waiting| waiting.fingerprint == Some(fingerprint))
        else {
            return Some(pending);
        };
        let waiting = &mut buffer.entities[place];
        buffer.bytes -= waiting.body.len();
        waiting.absorb(pending, self.options.merge);
        buffer.bytes += waiting.body.len();
        if buffer.bytes + ENVELOPE_BYTES <= self.limits.batch_bytes {
            return None;
        }
        let grown = buffer.entities.remove(place);
        buffer.bytes -= grown.body.len() + 1;
        Some(grown)
    }

    /// If an earlier object of the same resource config waits for its relation
    /// targets, the later one is laid over it: sent before, it would be
    /// overwritten with what is older. Gives back what found none.
    fn merge_into_postponed(
        &mut self,
        fingerprint: Fingerprint,
        pending: Pending,
    ) -> Option<Pending> {
        let Postponed {
            entities,
            bytes,
            places,
        } = &mut self.postponed;
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
        earlier.absorb(pending, self.options.merge);
        *bytes += earlier.body.len();
        None
    }

    async fn buffer(&mut self, pending: Pending) {
        let blueprint = pending.entity.blueprint.clone();
        let size = pending.body.len() + 1;
        let buffer = self.buffers.entry(blueprint.clone()).or_default();
        let full = buffer.entities.len() >= self.limits.batch_entities
            || buffer.bytes + size + ENVELOPE_BYTES > self.limits.batch_bytes;
        if full && !buffer.entities.is_empty() {
            let ready = std::mem::take(buffer);
            self.send(blueprint.clone(), ready.entities).await;
        }
        let buffer = self.buffers.entry(blueprint.clone()).or_default();
        buffer.bytes += size;
        buffer.entities.push(pending);
        if buffer.entities.len() >= self.limits.batch_entities {
            let ready = std::mem::take(buffer);
            self.send(blueprint, ready.entities).await;
        }
    }

    async fn flush_all(&mut self) {
        for (blueprint, buffer) in std::mem::take(&mut self.buffers) {
            if !buffer.entities.is_empty() {
                self.send(blueprint, buffer.entities).await;
            }
        }
        while let Some(verdicts) = self.in_flight.next().await {
            self.settle(verdicts);
        }
    }

    /// Starts a request; waits for an answer first when enough are in flight.
    async fn send(&mut self, blueprint: String, entities: Vec<Pending>) {
        while self.in_flight.len() >= self.limits.concurrency.max(1) {
            match self.in_flight.next().await {
                Some(verdicts) => self.settle(verdicts),
                None => break,
            }
        }
        self.busy
            .extend(entities.iter().filter_map(|pending| pending.fingerprint));
        self.in_flight.push(
            store(
                self.port.clone(),
                Arc::clone(&self.options),
                blueprint,
                entities,
            )
            .boxed(),
        );
    }

    fn settle(&mut self, verdicts: Vec<Verdict>) {
        for Verdict { pending, failure } in verdicts {
            if let Some(fingerprint) = pending.fingerprint {
                self.busy.remove(&fingerprint);
            }
            match failure {
                None => self.count_stored(&pending.shares),
                Some(failure) if failure.worth_another_try => self.postpone(pending, failure),
                Some(failure) => self.refuse(&pending.shares, &pending.entity, &failure.reason),
            }
        }
    }

    fn count_stored(&mut self, shares: &[(usize, u64)]) {
        for &(config, objects) in shares {
            self.stored.fetch_add(objects, Ordering::Relaxed);
            if let Some(written) = self.written.get_mut(config) {
                written.stored += objects;
            }
        }
    }

    fn postpone(&mut self, pending: Pending, failure: Failure) {
        let Postponed {
            entities,
            bytes,
            places,
        } = &mut self.postponed;
        let size = pending.body.len();
        if *bytes + size > POSTPONED_BYTES {
            let reason = format!(
                "{}; too many entities wait for their relation targets: list the targets' kinds first, or set `createMissingRelatedEntities: true`",
                failure.reason
            );
            self.refuse(&pending.shares, &pending.entity, &reason);
            return;
        }
        *bytes += size;
        if let Some(fingerprint) = pending.fingerprint {
            places.entry(fingerprint).or_default().push(entities.len());
        }
        entities.push((pending, failure.reason));
    }

    /// Sends what lacked a relation target once more, targets first; and again
    /// as long as that stores some of it, since the order goes by identifiers
    /// alone and can be wrong where two blueprints share one.
    async fn retry_postponed(&mut self) {
        let mut before = usize::MAX;
        while (1..before).contains(&self.postponed.entities.len()) {
            before = self.postponed.entities.len();
            tracing::info!(
                entities = before,
                "Storing {before} entities again whose relation targets were missing"
            );
            let postponed = std::mem::take(&mut self.postponed).entities;
            self.send_in_waves(postponed).await;
        }
        for (pending, reason) in std::mem::take(&mut self.postponed).entities {
            self.refuse(&pending.shares, &pending.entity, &reason);
        }
    }

    async fn send_in_waves(&mut self, postponed: Vec<(Pending, String)>) {
        let entities: Vec<&Entity> = postponed
            .iter()
            .map(|(pending, _)| &pending.entity)
            .collect();
        let waves = order::waves(&entities);
        let mut postponed: Vec<Option<Pending>> = postponed
            .into_iter()
            .map(|(pending, _)| Some(pending))
            .collect();
        for wave in waves {
            for index in wave {
                let Some(mut pending) = postponed.get_mut(index).and_then(Option::take) else {
                    continue;
                };
                // Meanwhile other resource configs may have written it.
                if let Some(fingerprint) = pending.fingerprint {
                    let own = pending.configs();
                    if !self.leave_to_others(fingerprint, &own, &mut pending.entity) {
                        self.count_stored(&pending.shares);
                        continue;
                    }
                    pending.write_body();
                }
                self.enqueue(pending).await;
            }
            self.flush_all().await;
        }
    }

    fn refuse(&mut self, shares: &[(usize, u64)], entity: &Entity, reason: &str) {
        for &(config, objects) in shares {
            let Some(written) = self.written.get_mut(config) else {
                continue;
            };
            written.refused += objects;
            if written.refusals.len() < NAMED_REFUSALS {
                written.refusals.push(Refusal {
                    blueprint: entity.blueprint.clone(),
                    identifier: named(entity),
                    reason: reason.to_owned(),
                });
            }
        }
    }
}
