//! Stores and deletes the few entities of one live event, now.
//!
//! ```text
//! entities ─▶ one an identifier ─▶ note ─▶ waves, targets first ─▶ bulk requests
//! candidates ─▶ without what was stored ─▶ ours? ─▶ delete, without dependents
//! ```
//!
//! Where several resource configs make one entity of the object, the later one in
//! the document wins field by field, as in a resync. Everything is sent, whatever
//! Port has: to ask would take as long as to tell.
//!
//! # Deleting
//!
//! A candidate is only deleted when this installation was the last to write it,
//! and never together with what relates to it, whatever `deleteDependentEntities`
//! says. A resync knows everything that is mapped, and can tell whether a cascade
//! takes something along that has to stay; an event knows one object. So an entity
//! that others relate to stays as it is until the next resync. An object's own
//! entities go in the order that Port accepts: what it refuses because another
//! of them relates to it is tried again when that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::comparison::lacks_any;
use super::current::Contribution;
use super::ledger::{Fingerprint, Fingerprints};
use super::order;
use super::recent::{EntityKey, RecentWrites};
use super::request::{self, Fate, Pending, Verdict, named};
use super::writer::WriteLimits;
use crate::api::{ApiError, PortClient, Shown, UpsertOptions};
use crate::causes::one_line;
use crate::mapping::{Entity, Identity};

/// Entities that one lookup names, as the original does.
const LOOKUP: usize = 50;

/// What surrounds the entities in the body of a bulk request.
const ENVELOPE_BYTES: usize = br#"{"entities":[]}"#.len();

/// Writes for live events; see the module.
pub struct LiveWriter<'a> {
    pub port: &'a PortClient,
    pub recent: &'a Arc<RecentWrites>,
    pub limits: WriteLimits,
    pub options: UpsertOptions,
    /// By index of the resource config.
    pub contributions: &'a [Contribution],
    /// Whether the event may still be worked on here. Asked right before each
    /// request that changes something.
    pub is_ours: &'a (dyn Fn() -> bool + Send + Sync),
}

/// What an event comes to.
#[derive(Debug, Default)]
pub struct LiveChanges {
    /// By index of the resource config, in the order of the document.
    pub entities: Vec<(usize, Vec<Entity>)>,
    /// What is no longer mapped of the object.
    pub candidates: BTreeSet<Identity>,
}

/// What became of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LiveWritten {
    pub stored: u64,
    pub deleted: u64,
    /// Left out, because a later event had written it already.
    pub outdated: u64,
    /// To be deleted, and left to the next resync: others relate to it.
    pub kept: Vec<Identity>,
    /// What Port did not do, one line each.
    pub failures: Vec<LiveFailure>,
    /// Whether somebody else has the event by now, so that the rest is theirs.
    pub is_lost: bool,
}

/// Something that Port did not do.
#[derive(Debug, PartialEq, Eq)]
pub struct LiveFailure {
    pub reason: String,
    pub kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Port's trouble, or the way there.
    Port,
    /// An entity that it relates to is not there.
    Target,
    /// Port refuses the entity.
    Entity,
}

impl LiveWriter<'_> {
    /// Carries the changes out. `fetched`: when the object had been fetched.
    pub async fn write(&self, changes: LiveChanges, fetched: Timestamp) -> LiveWritten {
        let mut written = LiveWritten::default();
        let entities = self.one_an_identifier(changes.entities, fetched);
        let mut candidates = changes.candidates;
        for pending in &entities {
            if let Some(identifier) = pending.entity.identifier.as_text() {
                candidates.remove(&Identity {
                    blueprint: pending.entity.blueprint.clone(),
                    identifier: identifier.to_owned(),
                });
            }
        }
        let noted: Vec<EntityKey> = entities
            .iter()
            .filter_map(Pending::key)
            .chain(candidates.iter().map(key))
            .collect();
        if noted.is_empty() && entities.is_empty() {
            return written;
        }
        self.recent.note(&noted, fetched).await;
        self.store(entities, &mut written).await;
        if !written.is_lost {
            self.delete(candidates, fetched, &mut written).await;
        }
        written
    }

    /// Lays what several resource configs make of the object over each other.
    fn one_an_identifier(
        &self,
        entities: Vec<(usize, Vec<Entity>)>,
        fetched: Timestamp,
    ) -> Vec<Pending> {
        let fingerprints = Fingerprints::default();
        let mut places: BTreeMap<Identity, usize> = BTreeMap::new();
        let mut all: Vec<Pending> = Vec::new();
        for (config, of_config) in entities {
            for entity in of_config {
                let lacks = |contribution: &Contribution| lacks_any(&contribution.fields, &entity);
                let merge = self.options.merge || self.contributions.get(config).is_some_and(lacks);
                let identity = entity.identifier.as_text().map(|identifier| Identity {
                    blueprint: entity.blueprint.clone(),
                    identifier: identifier.to_owned(),
                });
                let fingerprint: Option<Fingerprint> = identity
                    .as_ref()
                    .map(|identity| fingerprints.of(&identity.blueprint, &identity.identifier));
                let pending = Pending::new(config, entity, fingerprint, merge, fetched);
                let known = identity.as_ref().and_then(|identity| places.get(identity));
                if let Some(&place) = known {
                    all[place].absorb(pending);
                    continue;
                }
                if let Some(identity) = identity {
                    places.insert(identity, all.len());
                }
                all.push(pending);
            }
        }
        all
    }

    /// Sends all, targets first, and once more what may be stored now that the
    /// others are there.
    async fn store(&self, entities: Vec<Pending>, written: &mut LiveWritten) {
        let again = self.store_in_waves(entities, written).await;
        if again.is_empty() || written.is_lost {
            return;
        }
        let (again, reasons): (Vec<Pending>, Vec<LiveFailure>) = again.into_iter().unzip();
        if again.len() == 1 && written.stored == 0 {
            // Nothing has come that it could have waited for.
            written.failures.extend(reasons);
            return;
        }
        let failed = self.store_in_waves(again, written).await;
        let reasons = failed.into_iter().map(|(_, reason)| reason);
        written.failures.extend(reasons);
    }

    async fn store_in_waves(
        &self,
        entities: Vec<Pending>,
        written: &mut LiveWritten,
    ) -> Vec<(Pending, LiveFailure)> {
        let mut again = Vec::new();
        let bodies: Vec<&Entity> = entities.iter().map(|pending| &pending.entity).collect();
        let waves = order::waves(&bodies);
        let mut entities: Vec<Option<Pending>> = entities.into_iter().map(Some).collect();
        for wave in waves {
            let of_wave = wave.into_iter().filter_map(|place| entities[place].take());
            let mut requests: BTreeMap<(String, bool), Vec<Pending>> = BTreeMap::new();
            for pending in of_wave {
                let address = (pending.entity.blueprint.clone(), pending.merge);
                requests.entry(address).or_default().push(pending);
            }
            for ((blueprint, merge), entities) in requests {
                for batch in self.batches(entities) {
                    let claim = request::claim(&batch, self.recent).await;
                    // That may have been a long wait.
                    if !(self.is_ours)() {
                        claim.release().await;
                        written.is_lost = true;
                        return again;
                    }
                    let options = UpsertOptions {
                        merge,
                        ..self.options.clone()
                    };
                    let verdicts = request::store_claimed(
                        self.port.clone(),
                        options,
                        blueprint.clone(),
                        batch,
                        claim,
                    )
                    .await;
                    for verdict in verdicts {
                        settle(verdict, written, &mut again);
                    }
                }
            }
        }
        again
    }

    fn batches(&self, entities: Vec<Pending>) -> Vec<Vec<Pending>> {
        let mut batches: Vec<Vec<Pending>> = Vec::new();
        let mut bytes = 0;
        for pending in entities {
            let size = pending.body.len() + 1;
            match batches.last_mut() {
                Some(batch)
                    if batch.len() < self.limits.batch_entities
                        && bytes + size + ENVELOPE_BYTES <= self.limits.batch_bytes =>
                {
                    bytes += size;
                    batch.push(pending);
                }
                _ => {
                    bytes = size;
                    batches.push(vec![pending]);
                }
            }
        }
        batches
    }

    async fn delete(
        &self,
        candidates: BTreeSet<Identity>,
        fetched: Timestamp,
        written: &mut LiveWritten,
    ) {
        let mut left = match self.own(candidates).await {
            Ok(own) => own,
            Err(error) => {
                written.failures.push(LiveFailure {
                    reason: format!(
                        "could not look up what is to be deleted: {}",
                        one_line(&error)
                    ),
                    kind: FailureKind::Port,
                });
                return;
            }
        };
        let mut before = usize::MAX;
        while (1..before).contains(&left.len()) {
            before = left.len();
            let mut refused = Vec::new();
            for identity in left {
                let claim = self.recent.claim(&[(key(&identity), fetched)]).await;
                if !(self.is_ours)() {
                    claim.release().await;
                    written.is_lost = true;
                    return;
                }
                if claim.is_outdated(key(&identity)) {
                    claim.release().await;
                    written.outdated += 1;
                    continue;
                }
                let Identity {
                    blueprint,
                    identifier,
                } = &identity;
                let deleting = self.port.delete_entity(blueprint, identifier);
                match claim.during(deleting).await {
                    Ok(()) => written.deleted += 1,
                    Err(error) if is_about_dependents(&error) => refused.push(identity),
                    Err(error) => written.failures.push(LiveFailure {
                        reason: format!(
                            "could not delete {blueprint}/{identifier}: {}",
                            one_line(&error)
                        ),
                        kind: FailureKind::Port,
                    }),
                }
            }
            left = refused;
        }
        written.kept = left;
    }

    /// Those that are there and that this installation was the last to write.
    async fn own(&self, candidates: BTreeSet<Identity>) -> Result<Vec<Identity>, ApiError> {
        let mut of_blueprints: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for identity in candidates {
            let names = of_blueprints.entry(identity.blueprint).or_default();
            names.push(identity.identifier);
        }
        let mut own = Vec::new();
        for (blueprint, names) in of_blueprints {
            for group in names.chunks(LOOKUP) {
                let group: Vec<&str> = group.iter().map(String::as_str).collect();
                let found = self
                    .port
                    .entities_by_identifier(&blueprint, &group, &Shown::default())
                    .await?;
                let found: BTreeSet<&str> = found
                    .iter()
                    .filter_map(|entity| entity.get("identifier")?.as_str())
                    .collect();
                // Whatever else the answer may hold.
                own.extend(
                    group
                        .into_iter()
                        .filter(|name| found.contains(name))
                        .map(|name| Identity {
                            blueprint: blueprint.clone(),
                            identifier: name.to_owned(),
                        }),
                );
            }
        }
        Ok(own)
    }
}

fn key(identity: &Identity) -> EntityKey {
    EntityKey::of(&identity.blueprint, &identity.identifier)
}

fn settle(verdict: Verdict, written: &mut LiveWritten, again: &mut Vec<(Pending, LiveFailure)>) {
    let Verdict { pending, fate } = verdict;
    match fate {
        Fate::Stored => written.stored += 1,
        Fate::Outdated => written.outdated += 1,
        Fate::Failed(failure) => {
            let kind = if failure.is_ports {
                FailureKind::Port
            } else if failure.worth_another_try {
                FailureKind::Target
            } else {
                FailureKind::Entity
            };
            let entity = &pending.entity;
            let reason = format!(
                "Port did not take {}/{}: {}",
                entity.blueprint,
                named(entity),
                failure.reason
            );
            let failed = LiveFailure { reason, kind };
            if failure.worth_another_try {
                again.push((pending, failed));
            } else {
                written.failures.push(failed);
            }
        }
    }
}

/// Whether Port will not delete the entity, rather than cannot now.
fn is_about_dependents(error: &ApiError) -> bool {
    matches!(error.status(), Some(400 | 409 | 422))
}
