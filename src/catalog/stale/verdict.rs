//! Which blueprints nothing may be deleted of, from counts alone. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{DeletionRules, Feed, Withheld, WithheldReason};

/// Below so many entities a share says little: one of three is a third.
const SMALLEST_COUNTED: u64 = 10;

/// A blueprint's entities of this installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// In Port when the resync began.
    pub(super) own: u64,
    /// Not mapped, and not kept.
    pub(super) candidates: u64,
}

/// What of the candidates has to stay, one entry a blueprint.
///
/// The candidates of a blueprint that is refused as incomplete count towards
/// the global share all the same: if half of everything is missing, the reason
/// may well be one that has spoilt the rest, too, and been noticed there only.
/// Being incomplete is the more telling reason of the two; exceeding the global
/// threshold is more telling than exceeding it in one blueprint, since it is
/// what withholds the others.
pub(super) fn withheld(
    counts: &BTreeMap<String, Counts>,
    own_in_all: u64,
    rules: &DeletionRules,
) -> Vec<Withheld> {
    let in_all = share(
        counts.values().map(|counts| counts.candidates).sum(),
        own_in_all,
    );
    counts
        .iter()
        .filter(|(_, counts)| counts.candidates > 0)
        .filter_map(|(blueprint, counts)| {
            let of_blueprint = share(counts.candidates, counts.own);
            let kinds = incomplete_kinds(blueprint, &rules.feeds);
            let (rate, reason) = if !kinds.is_empty() {
                (None, WithheldReason::Incomplete { kinds })
            } else if in_all > rules.threshold {
                (Some(in_all), WithheldReason::Threshold)
            } else if counts.own >= SMALLEST_COUNTED && of_blueprint > rules.threshold {
                (Some(of_blueprint), WithheldReason::BlueprintThreshold)
            } else {
                return None;
            };
            Some(Withheld {
                blueprint: blueprint.clone(),
                entities: counts.candidates,
                rate,
                reason,
            })
        })
        .collect()
}

/// The incomplete kinds that feed a blueprint, or may: where the blueprint is
/// computed, it may be any.
pub(super) fn incomplete_kinds(blueprint: &str, feeds: &[Feed]) -> Vec<String> {
    let kinds: BTreeSet<&String> = feeds
        .iter()
        .filter(|feed| !feed.is_complete && feed.may_feed(blueprint))
        .map(|feed| &feed.kind)
        .collect();
    kinds.into_iter().cloned().collect()
}

/// Both are rounded as the threshold was, so that 9 of 10 is exactly 0.9.
#[expect(
    clippy::cast_precision_loss,
    reason = "nobody has 2^53 entities, and a share needs no more"
)]
fn share(part: u64, of: u64) -> f64 {
    if part == 0 {
        0.0
    } else {
        part as f64 / of.max(part) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(threshold: f64, feeds: &[(&str, Option<&str>, bool)]) -> DeletionRules {
        DeletionRules {
            before: "2026-06-01T12:00:00Z".parse().unwrap(),
            threshold,
            delete_dependents: true,
            keep_related: true,
            batch: 100,
            feeds: feeds
                .iter()
                .map(|&(kind, blueprint, is_complete)| Feed {
                    kind: kind.to_owned(),
                    blueprint: blueprint.map(str::to_owned),
                    is_complete,
                    searches: false,
                })
                .collect(),
        }
    }

    /// Blueprint, own, candidates.
    type Counted<'a> = (&'a str, u64, u64);

    fn decide(counted: &[Counted], rules: &DeletionRules) -> Vec<(String, String)> {
        let counts: BTreeMap<_, _> = counted
            .iter()
            .map(|&(blueprint, own, candidates)| (blueprint.to_owned(), Counts { own, candidates }))
            .collect();
        let own = counted.iter().map(|&(_, own, _)| own).sum();
        withheld(&counts, own, rules)
            .into_iter()
            .map(|withheld| {
                let rate = withheld.rate.map(|rate| format!(" {rate:.2}"));
                let text = format!(
                    "{} {}{}",
                    withheld.entities,
                    withheld.reason.as_str(),
                    rate.unwrap_or_default()
                );
                (withheld.blueprint, text)
            })
            .collect()
    }

    #[test]
    fn what_exceeds_a_threshold_stays_and_what_reaches_it_goes() {
        /// Threshold, what was counted, and what stays.
        type Case<'a> = (f64, &'a [Counted<'a>], &'a [(&'a str, &'a str)]);
        let table: [Case; 11] = [
            (0.9, &[("a", 10, 9)], &[]),
            (0.9, &[("a", 100, 91)], &[("a", "91 threshold 0.91")]),
            (0.3, &[("a", 10, 3), ("b", 90, 0)], &[]),
            (
                0.3,
                &[("a", 10, 4), ("b", 90, 2)],
                &[("a", "4 blueprint_threshold 0.40")],
            ),
            // Nine are too few to tell a share of them.
            (0.3, &[("a", 9, 9), ("b", 90, 0)], &[]),
            (0.3, &[("a", 9, 9)], &[("a", "9 threshold 1.00")]),
            // Too many in all withholds everything.
            (
                0.5,
                &[("a", 10, 1), ("b", 10, 10)],
                &[("a", "1 threshold 0.55"), ("b", "10 threshold 0.55")],
            ),
            (1.0, &[("a", 100, 100)], &[]),
            (0.0, &[("a", 100, 1)], &[("a", "1 threshold 0.01")]),
            (0.0, &[("a", 100, 0)], &[]),
            (0.9, &[], &[]),
        ];
        for (threshold, counts, expected) in table {
            let decided = decide(counts, &rules(threshold, &[]));
            let decided: Vec<(&str, &str)> = decided
                .iter()
                .map(|(blueprint, text)| (blueprint.as_str(), text.as_str()))
                .collect();
            assert_eq!(decided, expected, "{threshold} {counts:?}");
        }
    }

    #[test]
    fn an_incomplete_kind_withholds_what_it_feeds_or_may_feed() {
        let counts = [("a", 10, 1), ("b", 10, 1), ("removed", 10, 1)];

        let literal = rules(0.9, &[("x", Some("a"), false), ("y", Some("b"), true)]);
        let computed = rules(0.9, &[("x", None, false), ("y", Some("b"), true)]);
        let complete = rules(0.9, &[("x", None, true), ("y", Some("b"), true)]);

        let withheld = |rules| {
            let decided = decide(&counts, rules);
            decided
                .into_iter()
                .map(|(blueprint, _)| blueprint)
                .collect::<Vec<_>>()
        };
        assert_eq!(withheld(&literal), ["a"]);
        assert_eq!(withheld(&computed), ["a", "b", "removed"]);
        assert!(withheld(&complete).is_empty());
    }

    #[test]
    fn the_kinds_are_named_once_and_the_more_telling_reason_wins() {
        let rules = rules(
            0.0,
            &[
                ("x", Some("a"), false),
                ("x", None, false),
                ("w", None, false),
                ("z", Some("b"), false),
            ],
        );
        let counts = BTreeMap::from([(
            "a".to_owned(),
            Counts {
                own: 10,
                candidates: 10,
            },
        )]);

        let withheld = withheld(&counts, 10, &rules);

        let kinds = vec!["w".to_owned(), "x".to_owned()];
        assert_eq!(withheld[0].reason, WithheldReason::Incomplete { kinds });
        assert_eq!(withheld[0].rate, None);
    }

    #[test]
    fn entities_that_vanished_while_they_were_counted_do_not_make_more_than_all() {
        assert!((share(5, 3) - 1.0).abs() < f64::EPSILON);
        assert!(share(0, 0).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn what_is_left_to_delete_never_exceeds_a_threshold(
            counted in proptest::collection::btree_map("[a-e]", (0_u64..200, 0_u64..200), 0..5),
            threshold in 0.0..=1.0_f64,
            incomplete in proptest::collection::vec(proptest::option::of("[a-e]"), 0..2),
        ) {
            let counts: BTreeMap<String, Counts> = counted
                .into_iter()
                .map(|(blueprint, (own, candidates))| {
                    let own = own.max(candidates);
                    (blueprint, Counts { own, candidates })
                })
                .collect();
            let own = counts.values().map(|counts| counts.own).sum();
            let feeds: Vec<_> = incomplete.iter().map(|fed| ("kind", fed.as_deref(), false)).collect();
            let withheld = withheld(&counts, own, &rules(threshold, &feeds));

            let stays = |blueprint: &str| withheld.iter().any(|entry| entry.blueprint == blueprint);
            let mut deleted = 0;
            for (blueprint, counts) in counts.iter().filter(|(blueprint, _)| !stays(blueprint)) {
                deleted += counts.candidates;
                let of_blueprint = share(counts.candidates, counts.own);
                prop_assert!(counts.own < SMALLEST_COUNTED || of_blueprint <= threshold);
                let fed = |fed: &Option<String>| fed.as_ref().is_none_or(|fed| fed == blueprint);
                prop_assert!(counts.candidates == 0 || !incomplete.iter().any(fed));
            }
            prop_assert!(share(deleted, own) <= threshold);
            for entry in &withheld {
                prop_assert_eq!(entry.entities, counts[&entry.blueprint].candidates);
                let counted = matches!(
                    entry.reason,
                    WithheldReason::Threshold | WithheldReason::BlueprintThreshold
                );
                prop_assert_eq!(entry.rate.is_some(), counted);
            }
        }
    }
}
