//! Deleting entities, with or without what depends on them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::chassis::{Reply, Request};
use super::{Answered, Port, Refusal, flag, known_keys, object};

const BULK_LIMIT: usize = 100;

/// A blueprint and an identifier.
pub(super) type Place = (String, String);

impl Port {
    pub(super) fn delete_one(&mut self, blueprint: &str, id: &str, request: &Request) -> Answered {
        self.blueprint(blueprint)?;
        self.stored(blueprint, id)?;
        let doomed = BTreeSet::from([(blueprint.to_owned(), id.to_owned())]);
        self.delete(doomed, flag(request, "delete_dependents")?)?;
        Ok(Reply::json(200, &json!({"ok": true})))
    }

    pub(super) fn delete_many(&mut self, blueprint: &str, request: &Request) -> Answered {
        self.blueprint(blueprint)?;
        let body = object(request)?;
        known_keys(&body, &["entities"])?;
        let ids: Option<Vec<&str>> = body
            .get("entities")
            .and_then(Value::as_array)
            .and_then(|ids| ids.iter().map(Value::as_str).collect());
        let ids = ids
            .filter(|ids| (1..=BULK_LIMIT).contains(&ids.len()))
            .ok_or_else(|| {
                Refusal::invalid(format!(
                    "body/entities must hold 1 to {BULK_LIMIT} identifiers"
                ))
            })?;
        let doomed: BTreeSet<_> = ids
            .into_iter()
            .filter(|id| self.stored(blueprint, id).is_ok())
            .map(|id| (blueprint.to_owned(), id.to_owned()))
            .collect();
        let deleted: Vec<_> = doomed.iter().map(|(_, id)| id.clone()).collect();
        self.delete(doomed, flag(request, "delete_dependents")?)?;
        Ok(Reply::json(
            200,
            &json!({"ok": true, "deletedEntities": deleted}),
        ))
    }

    /// Deletes entities and, when asked to, everything that relates to them,
    /// directly or not. Without being asked one dependent spares them all.
    fn delete(
        &mut self,
        mut doomed: BTreeSet<Place>,
        with_dependents: bool,
    ) -> Result<(), Refusal> {
        loop {
            let dependents = self.dependents(&doomed);
            if dependents.is_empty() {
                break;
            }
            if !with_dependents {
                return Err(Refusal::new(
                    409,
                    "has_dependents",
                    "Other entities relate to an entity that is to be deleted",
                ));
            }
            doomed.extend(dependents);
        }
        for (blueprint, id) in doomed {
            if let Some(entities) = self.entities.get_mut(&blueprint) {
                entities.remove(&id);
            }
        }
        Ok(())
    }

    /// What relates to any of these, and is none of them.
    pub(super) fn dependents(&self, of: &BTreeSet<Place>) -> Vec<Place> {
        let targets: BTreeSet<_> = of.iter().map(|(blueprint, _)| blueprint.as_str()).collect();
        let mut dependents = Vec::new();
        for (id, blueprint) in &self.blueprints {
            let names: Vec<_> = blueprint
                .relations
                .iter()
                .filter(|(_, relation)| targets.contains(relation.target.as_str()))
                .collect();
            if names.is_empty() {
                continue;
            }
            for (entity, stored) in self.entities.get(id).into_iter().flatten() {
                let depends = stored.relations.iter().any(|(name, related)| {
                    names
                        .iter()
                        .filter(|(known, _)| *known == name)
                        .any(|(_, relation)| {
                            let mut targets = related.targets().iter();
                            targets.any(|target| {
                                of.contains(&(relation.target.clone(), target.clone()))
                            })
                        })
                });
                if depends {
                    let place = (id.clone(), entity.clone());
                    if !of.contains(&place) {
                        dependents.push(place);
                    }
                }
            }
        }
        dependents
    }
}
