//! One bulk request: the entities in it, and what became of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::ledger::Fingerprint;
use super::recent::{Claim, EntityKey, RecentWrites};
use crate::api::{EntityFailure, PortClient, UpsertOptions};
use crate::causes::one_line;
use crate::mapping::{Entity, EntityIdentifier};

/// An entity on its way.
pub(super) struct Pending {
    /// Whose objects these are, and how many: one, and those that were merged
    /// into it while it waited. Each resource config is there once.
    pub(super) shares: Vec<(usize, u64)>,
    pub(super) entity: Entity,
    /// None for an entity that Port shall search for: it has no identity here.
    pub(super) fingerprint: Option<Fingerprint>,
    /// Whether what it does not mention keeps its value in Port.
    pub(super) merge: bool,
    /// How old the oldest news in it is. See [`super::recent`].
    pub(super) as_of: Timestamp,
    pub(super) body: Bytes,
}

impl Pending {
    pub(super) fn new(
        config: usize,
        entity: Entity,
        fingerprint: Option<Fingerprint>,
        merge: bool,
        as_of: Timestamp,
    ) -> Self {
        let body = body_of(&entity);
        Self {
            shares: vec![(config, 1)],
            entity,
            fingerprint,
            merge,
            as_of,
            body,
        }
    }

    /// What a live event would know it by; nothing where Port searches for it.
    pub(super) fn key(&self) -> Option<EntityKey> {
        let identifier = self.entity.identifier.as_text()?;
        Some(EntityKey::of(&self.entity.blueprint, identifier))
    }

    /// The resource configs whose objects these are.
    pub(super) fn configs(&self) -> Vec<usize> {
        self.shares.iter().map(|&(config, _)| config).collect()
    }

    /// Lays what came later over it, field by field if Port is to merge that, too.
    pub(super) fn absorb(&mut self, later: Self) {
        for (config, objects) in later.shares {
            match self.shares.iter_mut().find(|(known, _)| *known == config) {
                Some((_, known)) => *known += objects,
                None => self.shares.push((config, objects)),
            }
        }
        self.as_of = self.as_of.min(later.as_of);
        // Of a whole entity and a later part, Port keeps what that part lacks.
        self.merge = later.merge;
        if later.merge {
            overlay(&mut self.entity, later.entity);
            self.write_body();
        } else {
            self.entity = later.entity;
            self.body = later.body;
        }
    }

    /// Writes the body again after the entity changed.
    pub(super) fn write_body(&mut self) {
        self.body = body_of(&self.entity);
    }
}

/// What became of one entity of a request.
pub(super) struct Verdict {
    pub(super) pending: Pending,
    pub(super) fate: Fate,
}

pub(super) enum Fate {
    Stored,
    /// Not sent: a live event knew later of it.
    Outdated,
    Failed(Failure),
}

pub(super) struct Failure {
    pub(super) reason: String,
    /// It may be stored once the others are there.
    pub(super) worth_another_try: bool,
    /// It is about Port or the way there, and not about the entity.
    pub(super) is_ports: bool,
}

impl From<EntityFailure> for Failure {
    fn from(failed: EntityFailure) -> Self {
        // A missing relation target may come; what Port itself stumbled over,
        // or did not mention, may go well another time. The rest is a verdict.
        let worth_another_try = failed.code == "not_found"
            || matches!(failed.status, 0 | 404 | 408 | 409 | 429 | 500..);
        let is_ports = matches!(failed.status, 0 | 408 | 429 | 500..);
        Self {
            is_ports,
            reason: if failed.message.is_empty() {
                failed.code
            } else {
                failed.message
            },
            worth_another_try,
        }
    }
}

/// One bulk request, halved as often as it takes to single out what spoils it.
/// Meanwhile nobody else writes or deletes any of its entities.
pub(super) async fn store(
    port: PortClient,
    options: UpsertOptions,
    blueprint: String,
    entities: Vec<Pending>,
    recent: Arc<RecentWrites>,
) -> Vec<Verdict> {
    let claim = claim(&entities, &recent).await;
    store_claimed(port, options, blueprint, entities, claim).await
}

/// Waits until nobody else writes or deletes any of these.
pub(super) async fn claim(entities: &[Pending], recent: &Arc<RecentWrites>) -> Claim {
    let known = entities
        .iter()
        .filter_map(|pending| Some((pending.key()?, pending.as_of)));
    recent.claim(&known.collect::<Vec<_>>()).await
}

/// The same with entities that have been claimed.
pub(super) async fn store_claimed(
    port: PortClient,
    options: UpsertOptions,
    blueprint: String,
    entities: Vec<Pending>,
    claim: Claim,
) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(entities.len());
    let is_outdated = |pending: &Pending| pending.key().is_some_and(|key| claim.is_outdated(key));
    let (outdated, entities): (Vec<_>, Vec<_>) = entities.into_iter().partition(is_outdated);
    verdicts.extend(outdated.into_iter().map(|pending| Verdict {
        pending,
        fate: Fate::Outdated,
    }));
    let sending = send(port, options, blueprint, entities);
    verdicts.extend(claim.during(sending).await);
    verdicts
}

async fn send(
    port: PortClient,
    options: UpsertOptions,
    blueprint: String,
    entities: Vec<Pending>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(entities.len());
    let mut waiting = vec![entities];
    waiting.retain(|entities| !entities.is_empty());
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
                            fate: failures.remove(&index).map_or(Fate::Stored, Fate::Failed),
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
                    fate: Fate::Failed(Failure {
                        reason: reason.clone(),
                        worth_another_try: false,
                        is_ports: !matches!(error.status(), Some(400 | 413 | 422)),
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

/// Text keys and JSON values can always be written; were it otherwise, Port
/// would refuse the empty body, and the entity would be counted.
fn body_of(entity: &Entity) -> Bytes {
    serde_json::to_vec(entity).unwrap_or_default().into()
}

pub(super) fn named(entity: &Entity) -> String {
    match &entity.identifier {
        EntityIdentifier::Text(identifier) => identifier.clone(),
        EntityIdentifier::Search(_) => "(found by search)".to_owned(),
    }
}
