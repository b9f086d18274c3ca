//! One bulk request: the entities in it, and what became of each.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::ledger::Fingerprint;
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
    pub(super) body: Bytes,
}

impl Pending {
    pub(super) fn new(
        config: usize,
        entity: Entity,
        fingerprint: Option<Fingerprint>,
        merge: bool,
    ) -> Self {
        let body = body_of(&entity);
        Self {
            shares: vec![(config, 1)],
            entity,
            fingerprint,
            merge,
            body,
        }
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
    pub(super) failure: Option<Failure>,
}

pub(super) struct Failure {
    pub(super) reason: String,
    /// It may be stored once the others are there.
    pub(super) worth_another_try: bool,
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

/// One bulk request, halved as often as it takes to single out what spoils it.
pub(super) async fn store(
    port: PortClient,
    options: UpsertOptions,
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
