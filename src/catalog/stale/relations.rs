//! Which blueprints relate to which, and so what has to go before what.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::BlueprintRelations;

/// The relations of every blueprint.
pub(super) struct Relations(BTreeMap<String, BlueprintRelations>);

impl Relations {
    pub(super) fn new(relations: BTreeMap<String, BlueprintRelations>) -> Self {
        Self(relations)
    }

    pub(super) fn knows(&self, blueprint: &str) -> bool {
        self.0.contains_key(blueprint)
    }

    /// The blueprints with relations to this one, and those relations. One
    /// whose target the definition does not say may lead anywhere.
    pub(super) fn to<'a>(&'a self, target: &str) -> Vec<(&'a str, Vec<&'a str>)> {
        self.0
            .iter()
            .map(|(blueprint, relations)| {
                let leading: Vec<&str> = relations
                    .iter()
                    .filter(|(_, to)| to.as_deref().is_none_or(|to| to == target))
                    .map(|(name, _)| name.as_str())
                    .collect();
                (blueprint.as_str(), leading)
            })
            .filter(|(_, leading)| !leading.is_empty())
            .collect()
    }

    /// The blueprints in stages: nothing of a later stage relates to anything
    /// of an earlier one. Blueprints that relate to each other in a circle, and
    /// those that depend on one, are the last stage.
    pub(super) fn stages<'a>(
        &self,
        blueprints: impl Iterator<Item = &'a str>,
    ) -> Vec<Vec<&'a str>> {
        let mut left: BTreeSet<&str> = blueprints.collect();
        let mut stages = Vec::new();
        while !left.is_empty() {
            let is_free = |blueprint: &&&str| {
                let relating = self.to(blueprint);
                !relating
                    .iter()
                    .any(|(from, _)| from != *blueprint && left.contains(from))
            };
            let mut free: Vec<&str> = left.iter().filter(is_free).copied().collect();
            if free.is_empty() {
                free = left.iter().copied().collect();
            }
            left.retain(|blueprint| !free.contains(blueprint));
            stages.push(free);
        }
        stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relation and its target.
    type Named<'a> = (&'a str, Option<&'a str>);

    fn relations(of: &[(&str, &[Named])]) -> Relations {
        let named = |(name, target): &Named| ((*name).to_owned(), target.map(str::to_owned));
        Relations::new(
            of.iter()
                .map(|(blueprint, relations)| {
                    (
                        (*blueprint).to_owned(),
                        relations.iter().map(named).collect(),
                    )
                })
                .collect(),
        )
    }

    #[test]
    fn what_relates_to_others_comes_before_them() {
        let relations = relations(&[
            ("page", &[]),
            ("part", &[("page", Some("page")), ("above", Some("part"))]),
            ("update", &[("part", Some("part"))]),
        ]);
        let stages = |blueprints: &[&'static str]| relations.stages(blueprints.iter().copied());

        assert_eq!(
            stages(&["page", "part", "update"]),
            [["update"], ["part"], ["page"]]
        );
        assert_eq!(stages(&["page", "update"]), [["page", "update"]]);
        assert!(stages(&[]).is_empty());
    }

    #[test]
    fn a_circle_is_one_stage() {
        let relations = relations(&[
            ("a", &[("b", Some("b"))]),
            ("b", &[("a", Some("a"))]),
            ("first", &[("a", Some("a"))]),
        ]);

        assert_eq!(
            relations.stages(["a", "b", "first"].into_iter()),
            [vec!["first"], vec!["a", "b"]]
        );
    }

    #[test]
    fn a_relation_without_a_target_may_lead_anywhere() {
        let relations = relations(&[("a", &[("odd", None), ("b", Some("b"))]), ("b", &[])]);

        assert_eq!(relations.to("b"), [("a", vec!["b", "odd"])]);
        assert_eq!(relations.to("c"), [("a", vec!["odd"])]);
    }
}
