//! A random installation: a small mapping over Statuspage's kinds, a few objects,
//! and what happens between its resyncs.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Place};
use crate::installed::resource;

pub(crate) const KINDS: [&str; 3] = ["component", "component_group", "incident"];

/// Each relates to the next one; the last to none.
pub(crate) const BLUEPRINTS: [&str; 3] = ["alpha", "beta", "gamma"];

/// Few, so that several objects and resource configs meet in one entity.
const KEYS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];
const NAMES: [&str; 3] = ["one", "two", "three"];

/// What of an entity a resource config maps.
const FIELDS: [&str; 4] = ["title", "a", "b", "next"];

/// One resource config.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) kind: &'static str,
    pub(crate) blueprint: usize,
    /// Leaves out objects of one name.
    pub(crate) is_selective: bool,
    pub(crate) fields: Vec<&'static str>,
    /// Tells its values from those of others.
    mark: char,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) configs: Vec<Config>,
    pub(crate) merge: bool,
    pub(crate) create_missing: bool,
    pub(crate) delete_dependents: bool,
    pub(crate) threshold: f64,
}

/// What happens to a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    Refused,
    SelectorFails,
}

impl Case {
    pub(crate) fn draw(chance: &mut Rng) -> Self {
        let configs = (0..chance.u8(1..=4))
            .map(|number| Config {
                kind: KINDS[chance.usize(..KINDS.len())],
                blueprint: chance.usize(..BLUEPRINTS.len()),
                is_selective: chance.u8(..3) == 0,
                fields: FIELDS.into_iter().filter(|_| chance.bool()).collect(),
                mark: char::from(b'A' + number),
            })
            .collect();
        Self {
            configs,
            merge: chance.bool(),
            create_missing: chance.bool(),
            delete_dependents: chance.bool(),
            threshold: [1.0, 1.0, 0.9, 0.3, 0.0][chance.usize(..5)],
        }
    }

    /// The mapping, with this kind's selector failing on one of its objects.
    pub(crate) fn mapping(&self, failing: Option<&str>) -> Value {
        let resources: Vec<Value> = self
            .configs
            .iter()
            .map(|config| {
                let mut resource = resource(config.kind, &config.mappings());
                resource["selector"]["query"] = json!(config.selector(failing));
                resource
            })
            .collect();
        json!({
            "enableMergeEntity": self.merge,
            "createMissingRelatedEntities": self.create_missing,
            "deleteDependentEntities": self.delete_dependents,
            "entityDeletionThreshold": self.threshold,
            "resources": resources,
        })
    }

    /// What the mapping makes of these objects, on top of what is in Port. Of
    /// several that meet in one entity, the later resource config wins, and
    /// within one the later object.
    pub(crate) fn desired(&self, objects: &Objects, before: &Catalog) -> Catalog {
        let mut desired = Catalog::new();
        for config in &self.configs {
            for object in &objects[config.kind] {
                if !config.selects(object) {
                    continue;
                }
                let place = config.place(object);
                let known = desired.get(&place).or_else(|| before.get(&place));
                let base = known.filter(|_| self.merge).cloned();
                let entity = config.apply(base.unwrap_or_else(|| nothing(&place)), object);
                desired.insert(place, entity);
            }
        }
        desired
    }

    /// What any of the objects relates to, though a later one may have replaced
    /// what it made.
    pub(crate) fn targets(&self, objects: &Objects) -> BTreeSet<Place> {
        let mut targets = BTreeSet::new();
        for config in &self.configs {
            let Some(blueprint) = BLUEPRINTS.get(config.blueprint + 1) else {
                continue;
            };
            for object in &objects[config.kind] {
                if let Some(target) = object["target"].as_str()
                    && config.selects(object)
                    && config.fields.contains(&"next")
                {
                    targets.insert(((*blueprint).to_owned(), target.to_owned()));
                }
            }
        }
        targets
    }

    /// Takes away the targets that nothing maps, where Port would refuse them.
    pub(crate) fn leave_no_target_out(&self, objects: &mut Objects) {
        if self.create_missing {
            return;
        }
        let mapped = self.desired(objects, &Catalog::new());
        for config in &self.configs {
            let Some(target) = BLUEPRINTS.get(config.blueprint + 1) else {
                continue;
            };
            for object in objects.get_mut(config.kind).into_iter().flatten() {
                let key = object["target"].as_str().unwrap_or_default();
                if !mapped.contains_key(&((*target).to_owned(), key.to_owned())) {
                    object["target"] = Value::Null;
                }
            }
        }
    }
}

impl Config {
    pub(crate) fn selects(&self, object: &Value) -> bool {
        !(self.is_selective && object["name"] == NAMES[1])
    }

    pub(crate) fn place(&self, object: &Value) -> Place {
        let key = object["key"].as_str().unwrap().to_owned();
        (BLUEPRINTS[self.blueprint].to_owned(), key)
    }

    fn selector(&self, failing: Option<&str>) -> String {
        let name = if self.is_selective { NAMES[1] } else { "" };
        let selector = format!(".group != true and .name != \"{name}\"");
        if failing == Some(self.kind) {
            return format!(
                "if .id == \"{}0\" then error(\"no\") else {selector} end",
                self.kind
            );
        }
        selector
    }

    fn mappings(&self) -> Value {
        let mut mappings = json!({
            "identifier": ".key",
            "blueprint": format!("\"{}\"", BLUEPRINTS[self.blueprint]),
            "properties": {}, "relations": {},
        });
        for &field in &self.fields {
            match field {
                "title" => mappings["title"] = json!(format!("\"{}\" + .name", self.mark)),
                "next" if self.blueprint + 1 < BLUEPRINTS.len() => {
                    mappings["relations"]["next"] = json!(".target");
                }
                "next" => {}
                "a" => mappings["properties"]["a"] = json!(".note"),
                _ => mappings["properties"][field] = json!(format!("\"{}\" + .name", self.mark)),
            }
        }
        mappings
    }

    fn apply(&self, mut entity: Value, object: &Value) -> Value {
        let marked = json!(format!("{}{}", self.mark, object["name"].as_str().unwrap()));
        for &field in &self.fields {
            let (section, value) = match field {
                "title" => {
                    entity["title"] = marked.clone();
                    continue;
                }
                "next" if self.blueprint + 1 >= BLUEPRINTS.len() => continue,
                "next" => ("relations", object["target"].clone()),
                "a" => ("properties", object["note"].clone()),
                _ => ("properties", marked.clone()),
            };
            let section = entity[section].as_object_mut().unwrap();
            if value.is_null() {
                section.shift_remove(field);
            } else {
                section.insert(field.to_owned(), value);
            }
        }
        entity
    }
}

fn nothing((blueprint, identifier): &Place) -> Value {
    json!({
        "identifier": identifier, "title": null, "icon": null, "blueprint": blueprint,
        "team": [], "properties": Map::new(), "relations": Map::new(),
    })
}

/// By kind, in the order in which they are listed.
pub(crate) type Objects = BTreeMap<&'static str, Vec<Value>>;

pub(crate) fn draw_objects(chance: &mut Rng) -> Objects {
    let mut objects = Objects::new();
    for kind in KINDS {
        let some = (0..chance.usize(1..=6)).map(|number| draw_object(chance, kind, number));
        objects.insert(kind, some.collect());
    }
    objects
}

fn draw_object(chance: &mut Rng, kind: &str, number: usize) -> Value {
    let mut some = |of: &[&str]| json!(of[chance.usize(..of.len())]);
    let (key, name, note, target) = (some(&KEYS), some(&NAMES), some(&NAMES), some(&KEYS));
    let or_null = |value: Value, chance: &mut Rng| {
        if chance.u8(..3) == 0 {
            Value::Null
        } else {
            value
        }
    };
    json!({
        "id": format!("{kind}{number}"), "page_id": "page", "group": false,
        "key": key, "name": name, "note": or_null(note, chance), "target": or_null(target, chance),
    })
}

/// Changes, removes and adds some objects.
pub(crate) fn change_objects(chance: &mut Rng, objects: &mut Objects) {
    for (kind, of_kind) in objects.iter_mut() {
        for number in (0..of_kind.len()).rev() {
            match chance.u8(..8) {
                0 | 1 => drop(of_kind.remove(number)),
                2 | 3 => {
                    let id = of_kind[number]["id"].clone();
                    of_kind[number] = draw_object(chance, kind, 0);
                    of_kind[number]["id"] = id;
                }
                _ => {}
            }
        }
        if chance.bool() {
            let number = chance.usize(10..1_000_000);
            of_kind.push(draw_object(chance, kind, number));
        }
    }
}
