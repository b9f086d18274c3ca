//! What this installation wrote before the resync, sorted into what is mapped,
//! what is kept and what is left over.

use std::collections::{BTreeMap, HashSet};

use super::verdict::{Counts, incomplete_kinds};
use super::{DeletionRules, Feed, Names};
use crate::api::EntityName;
use crate::catalog::ledger::Fingerprint;
use crate::catalog::mapped::MappedEntities;
use crate::catalog::paging::{Cursor, ListingError};
use crate::catalog::recent::{EntityKey, RecentWrites};
use crate::catalog::sink::Sink;

/// Pages of 5,000 entities: more than Port holds for anybody.
const MOST_PAGES: usize = 10_000;

/// What was found. Names are kept of what may still be deleted alone; of all
/// else, which may be everything there is, a fingerprint or a count.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) counts: BTreeMap<String, Counts>,
    /// All this installation's entities that were in Port when the resync began.
    pub(super) own: u64,
    /// Candidates of blueprints that no incomplete kind feeds.
    pub(super) names: Names,
    /// Kept for what relates to them, by blueprint.
    pub(super) kept: BTreeMap<String, u64>,
    /// Not mapped, and to stay all the same.
    pub(super) staying: HashSet<Fingerprint>,
    /// Everything listed. Pages may shift while they are read, and what stands on
    /// two of them must not make the whole larger than it is.
    seen: HashSet<Fingerprint>,
}

/// Reads all pages, or fails: half a listing is too small a denominator.
///
/// What was created in this resync is in neither count. That makes a share
/// larger than it is, which is the safe side.
pub(super) async fn read(
    sink: &Sink,
    mapped: &MappedEntities,
    rules: &DeletionRules,
    recent: &RecentWrites,
) -> Result<Listing, ListingError> {
    let mut listing = Listing::default();
    let mut cursor = Cursor::new(MOST_PAGES);
    loop {
        let page = sink.written_before(rules.before, cursor.from()).await?;
        tracing::debug!(
            entities = page.entities.len(),
            "Listed {} entities that this installation wrote before the resync",
            page.entities.len()
        );
        let (seen, is_empty) = (listing.seen.len(), page.entities.is_empty());
        for entity in page.entities {
            listing.sort_in(entity, mapped, rules);
        }
        if !cursor.advance(page.next)? {
            break;
        }
        // With a new cursor each, the same entities would come 10,000 times.
        if !is_empty && listing.seen.len() == seen {
            return Err(ListingError::Circle);
        }
    }
    listing.leave_out_recent(mapped, rules, recent).await;
    listing.own += mapped.rewritten_in_all();
    for (blueprint, counts) in &mut listing.counts {
        counts.own += mapped.rewritten(blueprint);
    }
    Ok(listing)
}

impl Listing {
    /// What a live event has written since the resync began is there, whatever
    /// was listed. Port lists it as older only where its clock is behind.
    async fn leave_out_recent(
        &mut self,
        mapped: &MappedEntities,
        rules: &DeletionRules,
        recent: &RecentWrites,
    ) {
        let before = recent.as_listed(rules.before);
        for (blueprint, names) in &mut self.names {
            let keys: Vec<_> = names
                .iter()
                .map(|name| (EntityKey::of(blueprint, name), before))
                .collect();
            let mut is_recent = recent.newer_than(&keys).await.into_iter();
            names.retain(|name| {
                let stays = is_recent.next().unwrap_or_default();
                if stays {
                    self.staying
                        .insert(mapped.ledger.fingerprint(blueprint, name));
                    if let Some(counts) = self.counts.get_mut(blueprint) {
                        counts.candidates -= 1;
                    }
                }
                !stays
            });
        }
        self.names.retain(|_, names| !names.is_empty());
    }

    fn sort_in(&mut self, entity: EntityName, mapped: &MappedEntities, rules: &DeletionRules) {
        let EntityName {
            blueprint,
            identifier,
        } = entity;
        let fingerprint = mapped.ledger.fingerprint(&blueprint, &identifier);
        if !self.seen.insert(fingerprint) {
            return;
        }
        // Where this machine's clock is ahead of Port's, what this resync wrote is
        // listed as well. It is counted among the rewritten.
        if mapped.is_stored(&blueprint, &identifier) {
            return;
        }
        let counts = self.counts.entry(blueprint.clone()).or_default();
        counts.own += 1;
        self.own += 1;
        if mapped.contains(&blueprint, &identifier) {
            return;
        }
        if rules.keep_related && mapped.is_target(&blueprint, &identifier) {
            self.staying.insert(fingerprint);
            *self.kept.entry(blueprint).or_default() += 1;
            return;
        }
        // Any of them may be one that a search has found in this resync.
        let is_searched = |feed: &Feed| feed.searches && feed.may_feed(&blueprint);
        if mapped.is_searched(&blueprint) || rules.feeds.iter().any(is_searched) {
            self.staying.insert(fingerprint);
            return;
        }
        counts.candidates += 1;
        let may_go = self.names.contains_key(&blueprint)
            || rules.threshold > 0.0 && incomplete_kinds(&blueprint, &rules.feeds).is_empty();
        if may_go {
            self.names.entry(blueprint).or_default().push(identifier);
        } else {
            self.staying.insert(fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn rules(keep_related: bool, incomplete: Option<&str>) -> DeletionRules {
        DeletionRules {
            before: "2026-06-01T12:00:00Z".parse().unwrap(),
            threshold: 1.0,
            delete_dependents: true,
            keep_related,
            batch: 100,
            feeds: vec![Feed {
                kind: "kind".to_owned(),
                blueprint: Some(incomplete.unwrap_or("other").to_owned()),
                is_complete: false,
                searches: false,
            }],
        }
    }

    proptest! {
        #[test]
        fn what_was_mapped_is_never_a_candidate_and_every_entity_is_counted(
            pages in proptest::collection::vec(("[ab]", "[a-h]"), 0..24),
            mapped_entities in proptest::collection::vec(("[ab]", "[a-h]"), 0..16),
            targets in proptest::collection::vec(("[ab]", "[a-h]"), 0..8),
            keep_related: bool,
        ) {
            let mut mapped = MappedEntities::default();
            for (blueprint, identifier) in &mapped_entities {
                let fingerprint = mapped.ledger.fingerprint(blueprint, identifier);
                mapped.ledger.note(fingerprint, 0);
            }
            for (blueprint, identifier) in &targets {
                mapped.targets.insert(mapped.ledger.fingerprint(blueprint, identifier), ());
            }
            let rules = rules(keep_related, Some("b"));
            let mut listing = Listing::default();
            let listed: BTreeSet<(String, String)> = pages.iter().cloned().collect();
            for (blueprint, identifier) in pages {
                listing.sort_in(EntityName { blueprint, identifier }, &mapped, &rules);
            }

            prop_assert!(!listing.names.contains_key("b"), "its kind is incomplete");
            let names: Vec<(String, String)> = listing
                .names
                .iter()
                .flat_map(|(blueprint, names)| names.iter().map(|name| (blueprint.clone(), name.clone())))
                .collect();
            for name in &names {
                prop_assert!(!mapped_entities.contains(name));
                prop_assert!(!(keep_related && targets.contains(name)));
            }
            let is_mapped = |name: &&(String, String)| mapped_entities.contains(*name);
            let unmapped = listed.iter().filter(|name| !is_mapped(name)).count();
            prop_assert_eq!(names.len() + listing.staying.len(), unmapped);
            prop_assert_eq!(listing.own, listed.len() as u64);
        }
    }
}
