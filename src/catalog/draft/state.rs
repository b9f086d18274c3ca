//! What a draft holds: the entities that would not be as they are, and what was
//! looked up in Port to tell.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::changes::{Action, Changes, EntityChange};
use super::fields::Fields;
use super::schema::{Schema, section};
use crate::api::{BlueprintRelations, RelatedEntity};
use crate::catalog::digest::Shape;
use crate::catalog::order;

/// A blueprint and an identifier.
pub(super) type Place = (String, String);

/// Why an entity is made that nothing maps.
const RELATED: &str = "an entity relates to it (`createMissingRelatedEntities`)";

/// See the module.
#[derive(Default)]
pub(super) struct State {
    /// By blueprint and identifier.
    entities: BTreeMap<String, BTreeMap<String, Drafted>>,
    /// What Port has of entities that are about to be written.
    looked_up: HashMap<Place, Option<Fields>>,
    /// Whether Port has what entities relate to.
    targets: HashMap<Place, bool>,
    /// Entities with their relations as Port showed them when it was asked what
    /// depends on what; none where it did not say.
    dependents: BTreeMap<String, BTreeMap<String, Option<Map<String, Value>>>>,
    /// Of all blueprints, once they have been asked for.
    relations: Option<BTreeMap<String, BlueprintRelations>>,
}

/// An entity that would not be as it is.
struct Drafted {
    /// None where Port does not have it. Of what is deleted unseen, nothing.
    before: Option<Fields>,
    /// None where it would be deleted.
    now: Option<Fields>,
    because: Option<String>,
}

impl State {
    /// Whether it has to be asked in Port what there is of the entity.
    pub(super) fn is_unknown(&self, place: &Place) -> bool {
        self.drafted(place).is_none() && !self.looked_up.contains_key(place)
    }

    /// Whether it has to be asked in Port whether there is the entity.
    pub(super) fn is_unknown_target(&self, place: &Place) -> bool {
        self.exists(place).is_none()
    }

    fn exists(&self, place: &Place) -> Option<bool> {
        let drafted = self.drafted(place).map(|drafted| drafted.now.is_some());
        let looked_up = || self.looked_up.get(place).map(Option::is_some);
        let target = || self.targets.get(place).copied();
        drafted.or_else(looked_up).or_else(target)
    }

    fn drafted(&self, (blueprint, identifier): &Place) -> Option<&Drafted> {
        self.entities.get(blueprint)?.get(identifier)
    }

    /// Takes in what Port has of these entities of a blueprint.
    pub(super) fn take_entities(&mut self, blueprint: &str, asked: &[&str], found: &[Value]) {
        for identifier in asked {
            let place = (blueprint.to_owned(), (*identifier).to_owned());
            let entity = found
                .iter()
                .find(|entity| entity["identifier"] == *identifier);
            self.looked_up.insert(place, entity.map(Fields::of));
        }
    }

    /// Takes in which of these entities of a blueprint Port has.
    pub(super) fn take_targets(&mut self, blueprint: &str, asked: &[&str], found: &[Value]) {
        let found: HashSet<&str> = found
            .iter()
            .filter_map(|entity| entity["identifier"].as_str())
            .collect();
        for identifier in asked {
            let place = (blueprint.to_owned(), (*identifier).to_owned());
            self.targets.insert(place, found.contains(identifier));
        }
    }

    /// What the entity would be once this is laid over it, or in its place.
    pub(super) fn composed(&self, place: &Place, entity: &Value, merge: bool) -> Fields {
        let drafted = self.drafted(place).map(|drafted| &drafted.now);
        let base = drafted.or_else(|| self.looked_up.get(place));
        let base = base.filter(|_| merge).cloned().flatten();
        let mut fields = base.unwrap_or_default();
        fields.overlay(entity);
        fields
    }

    /// What the entity relates to and nobody has.
    pub(super) fn missing_targets(
        &self,
        place: &Place,
        shape: &Shape,
        entity: &Map<String, Value>,
    ) -> Vec<Place> {
        targets_of(shape, entity)
            .filter(|target| target != place && self.exists(target) != Some(true))
            .collect()
    }

    /// Writes an entity, and what Port would make because it relates to it.
    pub(super) fn keep(&mut self, place: Place, fields: Fields, stubs: Vec<Place>) {
        for stub in stubs {
            self.put(stub, Fields::default(), Some(RELATED.to_owned()));
        }
        self.put(place, fields, None);
    }

    fn put(&mut self, place: Place, fields: Fields, because: Option<String>) {
        let before = self.looked_up.remove(&place).flatten();
        let (blueprint, identifier) = place;
        let of_blueprint = self.entities.entry(blueprint).or_default();
        let drafted = of_blueprint.entry(identifier).or_insert(Drafted {
            before,
            now: None,
            because: None,
        });
        drafted.now = Some(fields);
        drafted.because = because;
    }

    /// Whether the entity would have been written.
    pub(super) fn is_written(&self, place: &Place) -> bool {
        self.drafted(place)
            .is_some_and(|drafted| drafted.now.is_some())
    }

    /// Whether anything that the entity relates to would be there only because of this
    /// draft.
    pub(super) fn has_new(&self, shape: &Shape, entity: &Map<String, Value>) -> bool {
        targets_of(shape, entity).any(|target| {
            let drafted = self.drafted(&target);
            drafted.is_some_and(|drafted| drafted.before.is_none() && drafted.now.is_some())
        })
    }

    pub(super) fn set_relations(&mut self, relations: BTreeMap<String, BlueprintRelations>) {
        self.relations = Some(relations);
    }

    /// Whether it is known what relates to what.
    pub(super) const fn knows_relations(&self) -> bool {
        self.relations.is_some()
    }

    /// The blueprints with relations to this one, and those relations.
    pub(super) fn relating_to(&self, target: &str) -> Vec<(String, Vec<String>)> {
        let leading = self
            .relations
            .iter()
            .flatten()
            .map(|(blueprint, relations)| {
                let leads = |to: &Option<String>| to.as_deref().is_none_or(|to| to == target);
                let names = relations.iter().filter(|(_, to)| leads(to));
                (
                    blueprint.clone(),
                    names.map(|(name, _)| name.clone()).collect(),
                )
            });
        leading
            .filter(|(_, names): &(String, Vec<String>)| !names.is_empty())
            .collect()
    }

    /// Of what Port shows, what this draft leaves as it is; it is remembered.
    pub(super) fn undrafted(
        &mut self,
        blueprint: &str,
        mut entities: Vec<RelatedEntity>,
    ) -> Vec<RelatedEntity> {
        let drafted = self.entities.get(blueprint);
        entities.retain(|entity| {
            drafted.is_none_or(|drafted| !drafted.contains_key(&entity.identifier))
        });
        let seen = self.dependents.entry(blueprint.to_owned()).or_default();
        for RelatedEntity {
            identifier,
            relations,
        } in &entities
        {
            seen.insert(identifier.clone(), relations.clone());
        }
        entities
    }

    /// Entities of a blueprint that this draft relates to any of these.
    pub(super) fn drafted_relating(
        &self,
        blueprint: &str,
        relations: &[&str],
        of: &[String],
    ) -> Vec<RelatedEntity> {
        let of: HashSet<&str> = of.iter().map(String::as_str).collect();
        let drafted = self.entities.get(blueprint).into_iter().flatten();
        drafted
            .filter_map(|(identifier, drafted)| {
                let values = drafted.now.as_ref()?.relations();
                names_any(&values, relations, &of).then(|| RelatedEntity {
                    identifier: identifier.clone(),
                    relations: Some(values),
                })
            })
            .collect()
    }

    /// Deletes entities and whatever relates to them, directly or not, as far as it
    /// has been seen: whoever deletes in this way has looked before.
    pub(super) fn delete(&mut self, blueprint: &str, identifiers: &[String]) {
        let mut level = BTreeMap::from([(blueprint.to_owned(), BTreeSet::new())]);
        for identifier in identifiers {
            self.remove(blueprint, identifier, None);
            level
                .entry(blueprint.to_owned())
                .or_default()
                .insert(identifier.clone());
        }
        while !level.is_empty() {
            let mut next: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (target, gone) in &level {
                for (blueprint, identifier) in self.dependents_of(target, gone) {
                    let because = format!("it relates to an entity of `{target}` that is deleted");
                    if self.remove(&blueprint, &identifier, Some(because)) {
                        next.entry(blueprint).or_default().insert(identifier);
                    }
                }
            }
            level = next;
        }
    }

    fn dependents_of(&self, target: &str, gone: &BTreeSet<String>) -> Vec<Place> {
        let gone: HashSet<&str> = gone.iter().map(String::as_str).collect();
        let mut dependents = Vec::new();
        for (blueprint, relations) in self.relating_to(target) {
            let relations: Vec<&str> = relations.iter().map(String::as_str).collect();
            let names = |values: &Map<String, Value>| names_any(values, &relations, &gone);
            let drafted = self.entities.get(&blueprint).into_iter().flatten();
            let drafted = drafted.filter(|(_, drafted)| {
                let now = drafted.now.as_ref();
                now.is_some_and(|now| names(&now.relations()))
            });
            let drafted = drafted.map(|(identifier, _)| identifier);
            let seen = self.dependents.get(&blueprint).into_iter().flatten();
            let seen = seen.filter(|(_, values)| values.as_ref().is_some_and(names));
            let found = seen.map(|(identifier, _)| identifier).chain(drafted);
            dependents.extend(found.map(|identifier| (blueprint.clone(), identifier.clone())));
        }
        dependents
    }

    /// True unless it would be gone already.
    pub(super) fn remove(
        &mut self,
        blueprint: &str,
        identifier: &str,
        because: Option<String>,
    ) -> bool {
        let of_blueprint = self.entities.entry(blueprint.to_owned()).or_default();
        if let Some(drafted) = of_blueprint.get_mut(identifier) {
            if because.is_none() {
                drafted.because = None;
            }
            return drafted.now.take().is_some();
        }
        let drafted = Drafted {
            before: Some(Fields::default()),
            now: None,
            because,
        };
        of_blueprint.insert(identifier.to_owned(), drafted);
        true
    }

    /// Everything that would not be as it is.
    pub(super) fn changes<'s>(&self, schema: impl Fn(&str) -> Option<&'s Schema>) -> Changes {
        let mut changes = Changes::default();
        let unknown = Shape::default();
        for (blueprint, entities) in &self.entities {
            let shape = schema(blueprint).map_or(&unknown, |schema| &schema.shape);
            for (identifier, drafted) in entities {
                let nothing = Fields::default();
                let before = drafted.before.as_ref().unwrap_or(&nothing);
                let (action, fields) = match (&drafted.before, &drafted.now) {
                    (None, None) => continue,
                    (Some(_), None) => (Action::Delete, Vec::new()),
                    (None, Some(now)) => (Action::Create, before.changed_to(now, shape)),
                    (Some(_), Some(now)) => {
                        let fields = before.changed_to(now, shape);
                        if fields.is_empty() {
                            changes.rewritten += 1;
                            continue;
                        }
                        (Action::Change, fields)
                    }
                };
                changes.entities.push(EntityChange {
                    action,
                    blueprint: blueprint.clone(),
                    identifier: identifier.clone(),
                    fields,
                    because: drafted.because.clone(),
                });
            }
        }
        changes
    }
}

/// What an entity relates to, as far as it is known where that leads.
pub(super) fn targets_of(
    shape: &Shape,
    entity: &Map<String, Value>,
) -> impl Iterator<Item = Place> {
    section(entity, "relations").flat_map(|(relation, value)| {
        let blueprint = shape.target(relation);
        let targets = order::targets(value);
        targets.filter_map(move |target| Some((blueprint?.to_owned(), target.to_owned())))
    })
}

/// Whether any of these relations leads to any of these entities.
fn names_any(values: &Map<String, Value>, relations: &[&str], of: &HashSet<&str>) -> bool {
    let mut leading = relations.iter().filter_map(|name| values.get(*name));
    leading.any(|value| order::targets(value).any(|target| of.contains(target)))
}
