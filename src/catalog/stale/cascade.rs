//! What Port would delete along with a candidate, looked up beforehand.
//!
//! Told to delete dependents, Port deletes whatever relates to the entity, and
//! what relates to that, and so on. Entities of other data sources may go that
//! way, since that is what the flag means. An entity that this resync mapped, or
//! one of this installation that is not to be deleted itself, may not, nor may
//! any of a blueprint of which something is withheld or an incomplete kind feeds;
//! the candidate that would take it along stays.
//!
//! So the graph of dependents is followed from the candidates outwards, level by
//! level, asking Port for groups of entities at a time. Only blueprints with a
//! relation to the candidate's can hold dependents, so most candidates need no
//! request. Whether a found entity really relates to a candidate is decided
//! here, by its relations; Port's search takes a wider view.
//!
//! What cannot be found out counts as a reason to stay. So does a relation that
//! this resync mapped and the search does not show: it may be newer than what
//! Port searches through.
//!
//! Accepted: an entity that begins to relate to a candidate after the search is
//! taken along. Port knows no deletion on condition; it comes back with the next
//! resync or event.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use super::relations::Relations;
use super::{AT_A_TIME, DeletionRules, Names, UNKNOWN_DEPENDENTS, Withheld, WithheldReason};
use crate::api::RelatedEntity;
use crate::catalog::ledger::Fingerprint;
use crate::catalog::mapped::MappedEntities;
use crate::catalog::paging::{Cursor, ListingError};
use crate::catalog::recent::{EntityKey, RecentWrites};
use crate::catalog::sink::Sink;
use crate::causes::one_line;

/// Entities whose dependents are asked for in one search.
const GROUP: usize = 50;

/// Pages of 1,000 dependents of one group. More than that is no group to delete
/// unseen.
const MOST_PAGES: usize = 100;

/// Dependents that are remembered in all.
const MOST_DEPENDENTS: usize = 500_000;

/// Everything that decides whether a candidate may go.
pub(super) struct Check<'a> {
    pub(super) sink: &'a Sink,
    pub(super) mapped: &'a MappedEntities,
    pub(super) rules: &'a DeletionRules,
    pub(super) recent: &'a RecentWrites,
    pub(super) withheld: &'a [Withheld],
    pub(super) relations: &'a Relations,
    /// Of this installation, not mapped, and not to be deleted.
    pub(super) staying: &'a HashSet<Fingerprint>,
}

/// The entities of a group that one found entity relates to.
struct Dependent<'a> {
    blueprint: &'a str,
    identifier: String,
    on: Vec<&'a str>,
}

impl<'a> Check<'a> {
    /// Which of the candidates have to stay, and why.
    pub(super) async fn spared(&self, candidates: &Names) -> HashMap<Fingerprint, WithheldReason> {
        let mut graph = Graph::default();
        for (blueprint, identifiers) in candidates {
            for identifier in identifiers {
                let entity = self.fingerprint(blueprint, identifier);
                graph.seen.insert(entity);
                self.suspect(blueprint, identifier, entity, &mut graph);
            }
        }
        graph.room = MOST_DEPENDENTS;
        let mut next = self.follow(candidates, &mut graph).await;
        while !next.is_empty() {
            next = self.follow(&next, &mut graph).await;
        }
        graph.spread()
    }

    /// Finds what depends on these; gives back whose dependents to find next.
    async fn follow(&self, entities: &Names, graph: &mut Graph) -> Names {
        let searches: Vec<_> = entities
            .iter()
            .flat_map(|(blueprint, identifiers)| {
                identifiers
                    .chunks(GROUP)
                    .map(move |group| (blueprint.as_str(), group))
            })
            .map(|(blueprint, group)| self.dependents(blueprint, group))
            .collect();
        let mut answers = stream::iter(searches).buffer_unordered(AT_A_TIME);
        let mut next = Names::new();
        while let Some((blueprint, group, found)) = answers.next().await {
            match found {
                Ok(dependents) => {
                    let recent = self.recent(&dependents).await;
                    for (dependent, is_recent) in dependents.into_iter().zip(recent) {
                        self.take_up(blueprint, dependent, is_recent, graph, &mut next);
                    }
                }
                Err(error) => {
                    let reason = WithheldReason::Refused {
                        reason: format!("{UNKNOWN_DEPENDENTS}: {}", one_line(&error)),
                    };
                    for identifier in group {
                        let entity = self.fingerprint(blueprint, identifier);
                        graph.reasons.insert(entity, reason.clone());
                    }
                }
            }
        }
        next
    }

    /// Which of these a live event has written since the resync began.
    async fn recent(&self, dependents: &[Dependent<'_>]) -> Vec<bool> {
        let before = self.recent.as_listed(self.rules.before);
        let key = |found: &Dependent| (EntityKey::of(found.blueprint, &found.identifier), before);
        let keys: Vec<_> = dependents.iter().map(key).collect();
        self.recent.newer_than(&keys).await
    }

    fn take_up(
        &self,
        target: &str,
        found: Dependent,
        is_recent: bool,
        graph: &mut Graph,
        next: &mut Names,
    ) {
        let Dependent {
            blueprint,
            identifier,
            on,
        } = found;
        let entity = self.fingerprint(blueprint, &identifier);
        let targets = on.iter().map(|id| self.fingerprint(target, id));
        if !graph.has_room_for(entity) {
            let reason = WithheldReason::Refused {
                reason: format!("more than {MOST_DEPENDENTS} entities depend on the candidates"),
            };
            graph
                .reasons
                .extend(targets.map(|target| (target, reason.clone())));
            return;
        }
        graph.targets.entry(entity).or_default().extend(targets);
        let has_to_stay = is_recent
            || self.mapped.contains(blueprint, &identifier)
            || self.staying.contains(&entity);
        // What was written since the resync began was not listed, and by a clock
        // that is behind Port's that may be everything.
        let may_have_to = || !graph.seen.contains(&entity) && self.is_doubtful(blueprint);
        if has_to_stay || may_have_to() {
            let example = format!("{blueprint}/{identifier}");
            graph
                .reasons
                .insert(entity, WithheldReason::Cascade { example });
        } else if graph.seen.insert(entity) {
            self.suspect(blueprint, &identifier, entity, graph);
            next.entry(blueprint.to_owned())
                .or_default()
                .push(identifier);
        }
    }

    fn is_doubtful(&self, blueprint: &str) -> bool {
        let is_of_it = |withheld: &Withheld| withheld.blueprint == blueprint;
        self.mapped.is_searched(blueprint)
            || self.rules.is_doubtful(blueprint)
            || self.withheld.iter().any(is_of_it)
    }

    fn suspect(&self, blueprint: &str, identifier: &str, entity: Fingerprint, graph: &mut Graph) {
        if self.mapped.is_target(blueprint, identifier) {
            let example = format!("an entity that relates to {blueprint}/{identifier}");
            graph
                .suspects
                .push((entity, WithheldReason::Cascade { example }));
        }
    }

    /// What directly depends on any of a group of entities of one blueprint.
    async fn dependents<'g>(
        &self,
        target: &'g str,
        group: &'g [String],
    ) -> (
        &'g str,
        &'g [String],
        Result<Vec<Dependent<'g>>, ListingError>,
    )
    where
        'a: 'g,
    {
        let mut dependents = Vec::new();
        for (blueprint, relations) in self.relations.to(target) {
            let mut cursor = Cursor::new(MOST_PAGES);
            loop {
                let page = self
                    .sink
                    .related_entities(blueprint, &relations, (target, group), cursor.from())
                    .await;
                let page = match page {
                    Ok(page) => page,
                    Err(error) => return (target, group, Err(error.into())),
                };
                for RelatedEntity {
                    identifier,
                    relations: values,
                } in page.entities
                {
                    let on = named(group, &relations, values.as_ref());
                    if !on.is_empty() {
                        dependents.push(Dependent {
                            blueprint,
                            identifier,
                            on,
                        });
                    }
                }
                match cursor.advance(page.next) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => return (target, group, Err(error)),
                }
            }
        }
        tracing::debug!(
            blueprint = target,
            entities = group.len(),
            dependents = dependents.len(),
            "Looked up what depends on {} entities of `{target}`",
            group.len()
        );
        (target, group, Ok(dependents))
    }

    fn fingerprint(&self, blueprint: &str, identifier: &str) -> Fingerprint {
        self.mapped.ledger.fingerprint(blueprint, identifier)
    }
}

/// Which of a group an entity's relations name. What cannot be read may name
/// all of them.
fn named<'g>(
    group: &'g [String],
    relations: &[&str],
    values: Option<&Map<String, Value>>,
) -> Vec<&'g str> {
    let is_named = |identifier: &str| {
        values.is_none_or(|values| {
            let mut leading = relations.iter().filter_map(|name| values.get(*name));
            leading.any(|value| may_name(value, identifier))
        })
    };
    group
        .iter()
        .map(String::as_str)
        .filter(|identifier| is_named(identifier))
        .collect()
}

fn may_name(value: &Value, identifier: &str) -> bool {
    match value {
        Value::Null => false,
        Value::String(target) => target == identifier,
        Value::Array(targets) => targets.iter().any(|target| may_name(target, identifier)),
        _ => true,
    }
}

/// What depends on what, as far as it was followed.
#[derive(Default)]
struct Graph {
    /// Whose dependents have been asked for, or will be.
    seen: HashSet<Fingerprint>,
    /// How many dependents there may be in all.
    room: usize,
    /// By dependent, whether it is followed further or has to stay.
    targets: HashMap<Fingerprint, Vec<Fingerprint>>,
    /// What must not be deleted, and why.
    reasons: HashMap<Fingerprint, WithheldReason>,
    /// Something mapped relates to these, whatever was found.
    suspects: Vec<(Fingerprint, WithheldReason)>,
}

impl Graph {
    fn has_room_for(&self, dependent: Fingerprint) -> bool {
        self.targets.len() < self.room || self.targets.contains_key(&dependent)
    }

    /// Whatever would take something along that must stay has to stay itself,
    /// for the same reason. What was found comes first: it has a name.
    fn spread(mut self) -> HashMap<Fingerprint, WithheldReason> {
        self.spread_from(self.reasons.keys().copied().collect());
        let mut further = Vec::new();
        for (entity, reason) in std::mem::take(&mut self.suspects) {
            self.reasons.entry(entity).or_insert_with(|| {
                further.push(entity);
                reason
            });
        }
        self.spread_from(further);
        self.reasons
    }

    fn spread_from(&mut self, mut waiting: Vec<Fingerprint>) {
        while let Some(entity) = waiting.pop() {
            let Some(reason) = self.reasons.get(&entity).cloned() else {
                continue;
            };
            for &target in self.targets.get(&entity).into_iter().flatten() {
                self.reasons.entry(target).or_insert_with(|| {
                    waiting.push(target);
                    reason.clone()
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::ledger::Ledger;

    #[test]
    fn only_relations_that_lead_there_name_a_candidate() {
        let group = ["a".to_owned(), "b/c".to_owned()];
        let table = [
            (json!({"of": "a"}), vec!["a"]),
            (json!({"of": ["x", "b/c", "a"]}), vec!["a", "b/c"]),
            (json!({"of": null, "near": []}), vec![]),
            (json!({"elsewhere": "a"}), vec![]),
            (json!({"of": "x", "near": "b/c"}), vec!["b/c"]),
            // Not a form that is known.
            (json!({"of": {"identifier": "a"}}), vec!["a", "b/c"]),
        ];
        for (values, expected) in table {
            let found = named(&group, &["of", "near"], values.as_object());
            assert_eq!(found, expected, "{values}");
        }
        assert_eq!(named(&group, &["of"], None), ["a", "b/c"]);
    }

    #[test]
    fn dependents_that_have_to_stay_take_up_room_like_the_others() {
        let ledger = Ledger::default();
        let entity = |name: &str| ledger.fingerprint("thing", name);
        let mut graph = Graph {
            room: 1,
            ..Graph::default()
        };
        assert!(graph.has_room_for(entity("a")));

        // It stays, so that nobody asks for its own dependents.
        graph.targets.entry(entity("a")).or_default();

        assert!(graph.has_room_for(entity("a")), "it is known already");
        assert!(!graph.has_room_for(entity("b")));
    }

    #[test]
    fn whatever_would_take_along_what_stays_has_to_stay_and_nothing_else() {
        let ledger = Ledger::default();
        let entity = |name: &str| ledger.fingerprint("thing", name);
        let mut graph = Graph::default();
        // far → middle → near, a circle around it, and one that is alone.
        for (dependent, target) in [
            ("far", "middle"),
            ("middle", "near"),
            ("near", "circle"),
            ("circle", "near"),
            ("harmless", "alone"),
        ] {
            let targets = graph.targets.entry(entity(dependent)).or_default();
            targets.push(entity(target));
        }
        let reason = WithheldReason::Cascade {
            example: "thing/far".to_owned(),
        };
        graph.reasons.insert(entity("far"), reason.clone());
        let unnamed = WithheldReason::Cascade {
            example: "somebody".to_owned(),
        };
        graph.suspects.push((entity("near"), unnamed.clone()));
        graph.suspects.push((entity("new"), unnamed.clone()));

        let spared = graph.spread();

        assert_eq!(spared.get(&entity("new")), Some(&unnamed));

        for name in ["far", "middle", "near", "circle"] {
            assert_eq!(spared.get(&entity(name)), Some(&reason), "{name}");
        }
        assert_eq!(spared.len(), 5);
    }
}
