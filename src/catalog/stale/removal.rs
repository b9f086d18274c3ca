//! Deletes what may be deleted, and says what Port would not let go.
//!
//! What relates to others goes before them, so that whatever is broken off
//! leaves no entity behind without what it belongs to. One entity that Port
//! refuses does not spare the others: a refused request is halved until that
//! entity stands alone.
//!
//! What a live event has written since the resync began is left out, up to the
//! moment at which the request leaves. Accepted: an entity that somebody else
//! wrote after it was listed is deleted all the same, for Port knows no deletion
//! on condition. It comes back with the next resync, if it still exists where it
//! came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;

use super::relations::Relations;
use super::{AT_A_TIME, Deletion, Names, WithheldReason};
use crate::api::ApiError;
use crate::catalog::recent::{EntityKey, RecentWrites};
use crate::catalog::sink::Sink;
use crate::causes::one_line;

/// Port's limit for one request.
const LARGEST_BATCH: usize = 100;

/// Requests without an answer, or only told to come back later, one after the
/// other, after which the rest is not tried: each took minutes of patience, and
/// the next resync tries again.
const GIVE_UP_AFTER: u32 = 4;

/// How often what others relate to is tried, the first time included. Once is
/// enough unless entities of one blueprint, or of several in a circle, form a
/// chain.
const MOST_ROUNDS: u32 = 16;

/// Deletes; see the module.
pub(super) struct Removal<'a> {
    sink: &'a Sink,
    batch: usize,
    /// What live events write, and how old the news of what is stale is.
    recent: (Arc<RecentWrites>, Timestamp),
    deletion: &'a mut Deletion,
}

/// Some entities of one blueprint.
#[derive(Clone, Copy)]
struct Batch<'n> {
    blueprint: &'n str,
    identifiers: &'n [String],
}

/// Which request deletes a batch.
#[derive(Clone, Copy)]
enum How {
    /// One for all of it, with everything that relates to it.
    InBulk,
    /// One for each entity, which nothing else may relate to.
    Alone,
}

/// What became of a batch.
#[derive(Default)]
struct Outcome<'n> {
    gone: u64,
    refused: Vec<Refused<'n>>,
}

struct Refused<'n> {
    batch: Batch<'n>,
    reason: String,
    /// Whether that is about these entities, and not about Port or the way there.
    is_theirs: bool,
}

impl<'a> Removal<'a> {
    pub(super) fn new(
        sink: &'a Sink,
        batch: usize,
        recent: (Arc<RecentWrites>, Timestamp),
        deletion: &'a mut Deletion,
    ) -> Self {
        Self {
            sink,
            batch: batch.clamp(1, LARGEST_BATCH),
            recent,
            deletion,
        }
    }

    /// Deletes in bulk, and with everything that relates to it. What an earlier
    /// request took along counts as deleted like the rest.
    pub(super) async fn with_dependents(mut self, names: &Names, relations: &Relations) {
        let patience = Patience::default();
        for stage in relations.stages(names.keys().map(String::as_str)) {
            let batches = batches(names, stage, self.batch);
            let refused = self.carry_out(batches, How::InBulk, &patience).await;
            self.withhold(refused);
        }
    }

    /// Deletes one by one what nothing else relates to. What Port refuses is
    /// tried again as long as that lets anything go: where a blueprint relates
    /// to itself, its definition does not tell which entity comes first.
    pub(super) async fn without_dependents(mut self, names: &Names, relations: Option<&Relations>) {
        let patience = Patience::default();
        let blueprints = names.keys().map(String::as_str);
        let stages = match relations {
            Some(relations) => relations.stages(blueprints),
            None => vec![blueprints.collect()],
        };
        let before = self.deletion.deleted_in_all();
        let mut refused = Vec::new();
        for stage in stages {
            let singles = batches(names, stage, 1);
            refused.extend(self.carry_out(singles, How::Alone, &patience).await);
        }
        let mut is_progress = self.deletion.deleted_in_all() > before;
        for _ in 1..MOST_ROUNDS {
            let (again, for_good): (Vec<_>, Vec<_>) = refused
                .into_iter()
                .partition(|refused| is_progress && refused.is_theirs);
            self.withhold(for_good);
            let before = self.deletion.deleted_in_all();
            let singles = again.into_iter().map(|refused| refused.batch).collect();
            refused = self.carry_out(singles, How::Alone, &patience).await;
            is_progress = self.deletion.deleted_in_all() > before;
        }
        self.withhold(refused);
    }

    /// Sends requests, a few at a time; gives back what Port refused.
    async fn carry_out<'n>(
        &mut self,
        batches: Vec<Batch<'n>>,
        how: How,
        patience: &Patience,
    ) -> Vec<Refused<'n>> {
        let mut refused = Vec::new();
        let mut waiting = batches.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_A_TIME
                && let Some(batch) = waiting.next()
            {
                running.push(send(self.sink, patience, &self.recent, how, batch));
            }
            let Some((batch, outcome)) = running.next().await else {
                return refused;
            };
            if outcome.gone > 0 {
                let deleted = &mut self.deletion.deleted;
                *deleted.entry(batch.blueprint.to_owned()).or_default() += outcome.gone;
            }
            refused.extend(outcome.refused);
        }
    }

    fn withhold(&mut self, refused: Vec<Refused>) {
        for Refused { batch, reason, .. } in refused {
            self.deletion.withhold(
                batch.blueprint,
                batch.identifiers.len() as u64,
                WithheldReason::Refused { reason },
            );
        }
    }
}

/// The entities of some blueprints in batches.
fn batches<'n>(names: &'n Names, blueprints: Vec<&'n str>, size: usize) -> Vec<Batch<'n>> {
    blueprints
        .into_iter()
        .flat_map(move |blueprint| {
            let identifiers = names.get(blueprint).map(Vec::as_slice).unwrap_or_default();
            identifiers.chunks(size).map(move |identifiers| Batch {
                blueprint,
                identifiers,
            })
        })
        .collect()
}

async fn send<'n>(
    sink: &Sink,
    patience: &Patience,
    (recent, as_of): &(Arc<RecentWrites>, Timestamp),
    how: How,
    batch: Batch<'n>,
) -> (Batch<'n>, Outcome<'n>) {
    let key = |identifier: &String| (EntityKey::of(batch.blueprint, identifier), *as_of);
    let keys: Vec<_> = batch.identifiers.iter().map(key).collect();
    let claim = recent.claim(&keys).await;
    // One that a live event has written since splits the batch in two.
    let parts: Vec<&[String]> = batch
        .identifiers
        .split(|identifier| claim.is_outdated(EntityKey::of(batch.blueprint, identifier)))
        .filter(|identifiers| !identifiers.is_empty())
        .collect();
    let deleting = async {
        let mut outcome = Outcome::default();
        for identifiers in parts {
            let some = Batch {
                identifiers,
                ..batch
            };
            let Outcome { gone, refused } = match how {
                How::InBulk => in_bulk(sink, patience, some).await,
                How::Alone => alone(sink, patience, some).await,
            };
            outcome.gone += gone;
            outcome.refused.extend(refused);
        }
        outcome
    };
    (batch, claim.during(deleting).await)
}

async fn in_bulk<'n>(sink: &Sink, patience: &Patience, whole: Batch<'n>) -> Outcome<'n> {
    let blueprint = whole.blueprint;
    let mut outcome = Outcome::default();
    let mut waiting = vec![whole.identifiers];
    while let Some(identifiers) = waiting.pop() {
        match patience
            .attempt(sink.delete_entities(blueprint, identifiers))
            .await
        {
            Ok(()) => {
                tracing::debug!(
                    blueprint,
                    entities = identifiers.len(),
                    "Deleted {} entities of `{blueprint}`",
                    identifiers.len()
                );
                outcome.gone += identifiers.len() as u64;
            }
            Err((_, true)) if identifiers.len() > 1 => {
                let (first, second) = identifiers.split_at(identifiers.len() / 2);
                waiting.extend([second, first]);
            }
            Err((reason, is_theirs)) => outcome.refused.push(Refused {
                batch: Batch {
                    blueprint,
                    identifiers,
                },
                reason,
                is_theirs,
            }),
        }
    }
    outcome
}

async fn alone<'n>(sink: &Sink, patience: &Patience, single: Batch<'n>) -> Outcome<'n> {
    let mut outcome = Outcome::default();
    for identifier in single.identifiers {
        match patience
            .attempt(sink.delete_entity(single.blueprint, identifier))
            .await
        {
            Ok(()) => outcome.gone += 1,
            Err((reason, is_theirs)) => outcome.refused.push(Refused {
                batch: single,
                reason,
                is_theirs,
            }),
        }
    }
    outcome
}

/// Ends when Port does not answer any more.
#[derive(Default)]
struct Patience {
    /// Requests without an answer since the last one that had one.
    unanswered: AtomicU32,
}

impl Patience {
    /// One request, unless that is of no use any more. An error says what Port
    /// said, and whether it was about the entities.
    async fn attempt(
        &self,
        request: impl Future<Output = Result<(), ApiError>>,
    ) -> Result<(), (String, bool)> {
        if self.unanswered.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
            let reason = "Port did not answer earlier deletions, so this one was not tried";
            return Err((reason.to_owned(), false));
        }
        let Err(error) = request.await else {
            self.unanswered.store(0, Ordering::Relaxed);
            return Ok(());
        };
        let is_answer = matches!(error.status(), Some(400..500));
        let is_put_off = matches!(error.status(), Some(408 | 429));
        if is_answer && !is_put_off {
            self.unanswered.store(0, Ordering::Relaxed);
        } else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        let is_theirs = matches!(error.status(), Some(400 | 404 | 409 | 413 | 422));
        Err((one_line(&error), is_theirs))
    }
}
