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

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::ledger::{Before, Fingerprint, Ledger};
use super::order;
use crate::api::{EntityFailure, PortClient, UpsertOptions};
use crate::causes::one_line;
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
    /// With Port's reason.
    postponed: Vec<(Pending, String)>,
    postponed_bytes: usize,
    written: Vec<Written>,
    stored: Arc<AtomicU64>,
}

/// Entities of one blueprint that wait for a full request.
#[derive(Default)]
struct Buffer {
    entities: Vec<Pending>,
    bytes: usize,
}

/// An entity on its way.
struct Pending {
    /// Whose objects these are, and how many: one, and those that were merged
    /// into it while it waited. The resource config that spoke last is last.
    shares: Vec<(usize, u64)>,
    entity: Entity,
    /// None for an entity that Port shall search for: it has no identity here.
    fingerprint: Option<Fingerprint>,
    body: Bytes,
}

/// What became of one entity of a request.
struct Verdict {
    pending: Pending,
    failure: Option<Failure>,
}

struct Failure {
    reason: String,
    /// It may be stored once the others are there.
    worth_another_try: bool,
}

impl From<EntityFailure> for Failure {
    fn from(failed: EntityFailure) -> Self {
        // A missing relation target may come; what Port itself stumbled over,
        // or did not mention, may go well another time. The rest is a verdict.
        let worth_another_try = failed.code == "not_found"
            || matches!(failed.status, 0 | 404 | 408 | 409 | 429 | 500..);
        Self {
            reason: if failed.message.is_empty() {
                failed.code
            } else {
                failed.message
            },
            worth_another_try,
        }
    }
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
            postponed: Vec::new(),
            postponed_bytes: 0,
            stored,
        }
    }

    /// Writes until the senders are gone and everything is accounted for.
    /// The result stands by index of the resource config.
    pub async fn run(mut self, mut incoming: mpsc::Receiver<ToWrite>) -> Vec<Written> {
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
        self.written
    }

    async fn accept(&mut self, config: usize, mut entity: Entity) {
        let fingerprint = match &entity.identifier {
            EntityIdentifier::Text(identifier) => {
                Some(self.ledger.fingerprint(&entity.blueprint, identifier))
            }
            EntityIdentifier::Search(_) => None,
        };
        if let Some(fingerprint) = fingerprint {
            match self.ledger.note(fingerprint, config) {
                Before::New | Before::Earlier => {}
                Before::Same => self.note_collision(config, &entity),
                Before::Later => {
                    if !self.leave_to_later_ones(fingerprint, config, &mut entity) {
                        return;
                    }
                }
            }
            // What is in flight may arrive at Port in any order, so the second
            // write of an entity waits for the first one's answer.
            while self.busy.contains(&fingerprint) {
                match self.in_flight.next().await {
                    Some(verdicts) => self.settle(verdicts),
                    None => break,
                }
            }
            if self.merge_into_waiting(fingerprint, config, &entity) {
                return;
            }
        }
        let Some(pending) = self.pending(config, entity, fingerprint) else {
            return;
        };
        self.buffer(pending).await;
    }

    /// Takes out of an entity what a later resource config already wrote.
    /// False when nothing is left to say: without merging, the later one
    /// replaces the whole entity.
    fn leave_to_later_ones(
        &mut self,
        fingerprint: Fingerprint,
        config: usize,
        entity: &mut Entity,
    ) -> bool {
        if !self.options.merge {
            if let Some(written) = self.written.get_mut(config) {
                written.stored += 1;
            }
            return false;
        }
        for later in self.ledger.later_than(fingerprint, config) {
            let Some(fields) = self.fields.get(later) else {
                continue;
            };
            if fields.title {
                entity.title = None;
            }
            if fields.icon {
                entity.icon = None;
            }
            if fields.team {
                entity.team = None;
            }
            entity
                .properties
                .retain(|property, _| !fields.properties.contains(property));
            entity
                .relations
                .retain(|relation, _| !fields.relations.contains(relation));
        }
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
    /// one request must not hold an entity twice.
    fn merge_into_waiting(
        &mut self,
        fingerprint: Fingerprint,
        config: usize,
        entity: &Entity,
    ) -> bool {
        let Some(buffer) = self.buffers.get_mut(&entity.blueprint) else {
            return false;
        };
        let Some(waiting) = buffer
            .entities
            .iter_mut()
            .find(|waiting| waiting.fingerprint == Some(fingerprint))
        else {
            return false;
        };
        let mut merged = entity.clone();
        if self.options.merge {
            merged = waiting.entity.clone();
            overlay(&mut merged, entity.clone());
        }
        let Ok(body) = body_of(&merged) else {
            return false;
        };
        buffer.bytes = buffer.bytes - waiting.body.len() + body.len();
        waiting.entity = merged;
        waiting.body = body;
        match waiting.shares.last_mut() {
            Some((owner, objects)) if *owner == config => *objects += 1,
            _ => waiting.shares.push((config, 1)),
        }
        true
    }

    fn pending(
        &mut self,
        config: usize,
        entity: Entity,
        fingerprint: Option<Fingerprint>,
    ) -> Option<Pending> {
        match body_of(&entity) {
            Ok(body) => Some(Pending {
                shares: vec![(config, 1)],
                entity,
                fingerprint,
                body,
            }),
            Err(error) => {
                self.refuse(&[(config, 1)], &entity, &error.to_string());
                None
            }
        }
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
                None => {
                    for (config, objects) in pending.shares {
                        self.stored.fetch_add(objects, Ordering::Relaxed);
                        if let Some(written) = self.written.get_mut(config) {
                            written.stored += objects;
                        }
                    }
                }
                Some(failure) if failure.worth_another_try => self.postpone(pending, failure),
                Some(failure) => self.refuse(&pending.shares, &pending.entity, &failure.reason),
            }
        }
    }

    fn postpone(&mut self, pending: Pending, failure: Failure) {
        let size = pending.body.len();
        if self.postponed_bytes + size > POSTPONED_BYTES {
            let reason = format!(
                "{}; too many entities wait for their relation targets: list the targets' kinds first, or set `createMissingRelatedEntities: true`",
                failure.reason
            );
            self.refuse(&pending.shares, &pending.entity, &reason);
            return;
        }
        self.postponed_bytes += size;
        self.postponed.push((pending, failure.reason));
    }

    /// Sends what lacked a relation target once more, targets first.
    async fn retry_postponed(&mut self) {
        let postponed = std::mem::take(&mut self.postponed);
        self.postponed_bytes = 0;
        if postponed.is_empty() {
            return;
        }
        tracing::info!(
            entities = postponed.len(),
            "Storing {} entities again whose relation targets were missing",
            postponed.len()
        );
        let waves = order::waves(
            &postponed
                .iter()
                .map(|(pending, _)| &pending.entity)
                .collect::<Vec<_>>(),
        );
        let mut postponed: Vec<Option<Pending>> = postponed
            .into_iter()
            .map(|(pending, _)| Some(pending))
            .collect();
        for wave in waves {
            for index in wave {
                let Some(mut pending) = postponed.get_mut(index).and_then(Option::take) else {
                    continue;
                };
                // Meanwhile a later resource config may have written it.
                let config = pending.shares.last().map_or(0, |(config, _)| *config);
                if let Some(fingerprint) = pending.fingerprint
                    && !self.ledger.later_than(fingerprint, config).is_empty()
                {
                    if !self.leave_to_later_ones(fingerprint, config, &mut pending.entity) {
                        continue;
                    }
                    if let Ok(body) = body_of(&pending.entity) {
                        pending.body = body;
                    }
                }
                self.buffer(pending).await;
            }
            self.flush_all().await;
        }
        for (pending, reason) in std::mem::take(&mut self.postponed) {
            self.refuse(&pending.shares, &pending.entity, &reason);
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

/// One bulk request, halved as often as it takes to single out what spoils it.
async fn store(
    port: PortClient,
    options: Arc<UpsertOptions>,
    blueprint: String,
    entities: Vec<Pending>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(entities.len());
    let mut waiting = vec![entities];
    while let Some(mut entities) = waiting.pop() {
        let bodies: Vec<Bytes> = entities
            .iter()
            .map(|pending| pending.body.clone())
            .collect();
        match port.upsert_entities(&blueprint, &bodies, &options).await {
            Ok(outcome) => {
                let mut failures: BTreeMap<usize, Failure> = outcome
                    .failed
                    .into_iter()
                    .map(|failed| (failed.index, Failure::from(failed)))
                    .collect();
                verdicts.extend(
                    entities
                        .into_iter()
                        .enumerate()
                        .map(|(index, pending)| Verdict {
                            pending,
                            failure: failures.remove(&index),
                        }),
                );
            }
            // Too large, or spoilt as a whole by one of its entities.
            Err(error) if entities.len() > 1 && matches!(error.status(), Some(400 | 413 | 422)) => {
                let second = entities.split_off(entities.len() / 2);
                waiting.push(second);
                waiting.push(entities);
            }
            Err(error) => {
                let reason = one_line(&error);
                verdicts.extend(entities.into_iter().map(|pending| Verdict {
                    pending,
                    failure: Some(Failure {
                        reason: reason.clone(),
                        worth_another_try: false,
                    }),
                }));
            }
        }
    }
    verdicts
}

/// Lays `later` over `earlier`, field by field, as Port merges.
fn overlay(earlier: &mut Entity, later: Entity) {
    earlier.title = later.title.or(earlier.title.take());
    earlier.icon = later.icon.or(earlier.icon.take());
    earlier.team = later.team.or(earlier.team.take());
    earlier.properties.extend(later.properties);
    earlier.relations.extend(later.relations);
}

fn body_of(entity: &Entity) -> serde_json::Result<Bytes> {
    serde_json::to_vec(entity).map(Bytes::from)
}

fn named(entity: &Entity) -> String {
    match &entity.identifier {
        EntityIdentifier::Text(identifier) => identifier.clone(),
        EntityIdentifier::Search(_) => "(found by search)".to_owned(),
    }
}
