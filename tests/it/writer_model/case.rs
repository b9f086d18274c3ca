//! What there is to write and what may go wrong, and what Port must hold in the
//! end: by a sequential writer that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use portolan::catalog::Contribution;
use portolan::mapping::{Entity, EntityIdentifier};
use portolan::resource_config::MappedFields;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Both relate to both.
pub(super) const BLUEPRINTS: [&str; 2] = ["team", "page"];
pub(super) const IDENTIFIERS: [&str; 3] = ["x", "y", "z"];
pub(super) const PROPERTIES: [&str; 2] = ["p", "q"];

/// One object that was mapped: by which resource config, to which entity.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) config: usize,
    pub(super) blueprint: usize,
    pub(super) identifier: usize,
    /// Which of the fields that its resource config maps come out as null.
    pub(super) nulls: u8,
    /// Relation targets by their number, beyond `IDENTIFIERS` one that never comes.
    pub(super) targets: [usize; 2],
    /// A value that the blueprint refuses.
    pub(super) is_spoilt: bool,
    /// Begins a new page, and whether the writer may catch up before it.
    pub(super) page: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Status(u16),
    Cut,
    CutMidBody,
    Late,
    /// An answer that mentions no entity.
    Blank,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Per resource config: the fields that it maps, as bits.
    pub(super) configs: Vec<u8>,
    pub(super) objects: Vec<Object>,
    pub(super) faults: Vec<(usize, Fault)>,
    pub(super) merge: bool,
    pub(super) create_missing: bool,
    pub(super) batch_entities: usize,
    pub(super) batch_bytes: usize,
    pub(super) concurrency: usize,
}

pub(super) const TITLE: u8 = 1;
pub(super) const ICON: u8 = 2;
pub(super) const FIRST_PROPERTY: u8 = 4;
pub(super) const FIRST_RELATION: u8 = 16;

impl Case {
    pub(super) fn maps(&self, config: usize, field: u8) -> bool {
        self.configs[config] & field != 0
    }

    pub(super) fn contributions(&self) -> Vec<Contribution> {
        (0..self.configs.len())
            .map(|config| {
                let entities: Vec<(usize, usize)> = self
                    .objects
                    .iter()
                    .filter(|object| object.config == config)
                    .map(|object| (object.blueprint, object.identifier))
                    .collect();
                let blueprints: BTreeSet<usize> = entities.iter().map(|(bp, _)| *bp).collect();
                let only = blueprints.first().filter(|_| blueprints.len() == 1);
                Contribution {
                    blueprint: only.map(|&blueprint| BLUEPRINTS[blueprint].to_owned()),
                    fields: self.mapped_fields(config),
                    may_repeat: entities.iter().collect::<BTreeSet<_>>().len() < entities.len(),
                }
            })
            .collect()
    }

    fn mapped_fields(&self, config: usize) -> MappedFields {
        MappedFields {
            title: self.maps(config, TITLE),
            icon: self.maps(config, ICON),
            team: false,
            properties: self.names(config, FIRST_PROPERTY, PROPERTIES),
            relations: self.names(config, FIRST_RELATION, BLUEPRINTS),
        }
    }

    pub(super) fn names(&self, config: usize, first: u8, all: [&str; 2]) -> BTreeSet<String> {
        (0..2)
            .filter(|place| self.maps(config, first << place))
            .map(|place| all[place].to_owned())
            .collect()
    }

    /// What the mapping made of the `number`th object.
    pub(super) fn entity(&self, number: usize) -> Entity {
        let object = &self.objects[number];
        let value = |field: u8, name: &str| {
            let text = if object.nulls & field == 0 {
                json!(format!("{name}-{number}"))
            } else {
                Value::Null
            };
            self.maps(object.config, field).then_some(text)
        };
        let mut properties = Map::new();
        let mut relations = Map::new();
        for place in 0..2 {
            let name = PROPERTIES[place];
            if let Some(value) = value(FIRST_PROPERTY << place, name) {
                properties.insert(name.to_owned(), value);
            }
            if let Some(value) = value(FIRST_RELATION << place, "") {
                let target = IDENTIFIERS.get(object.targets[place]).unwrap_or(&"nowhere");
                let target = if value.is_null() {
                    value
                } else {
                    json!(target)
                };
                relations.insert(BLUEPRINTS[place].to_owned(), target);
            }
        }
        if object.is_spoilt {
            properties.insert("n".to_owned(), json!("no number"));
        }
        Entity {
            identifier: EntityIdentifier::Text(IDENTIFIERS[object.identifier].to_owned()),
            blueprint: BLUEPRINTS[object.blueprint].to_owned(),
            title: value(TITLE, "title"),
            icon: value(ICON, "icon"),
            team: None,
            properties,
            relations,
        }
    }

    /// The objects of each entity in the order of a sequential writer.
    pub(super) fn in_order(&self) -> BTreeMap<(usize, usize), Vec<usize>> {
        let mut order: Vec<usize> = (0..self.objects.len()).collect();
        order.sort_by_key(|&number| self.objects[number].config);
        let mut entities: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for number in order {
            let object = &self.objects[number];
            entities
                .entry((object.blueprint, object.identifier))
                .or_default()
                .push(number);
        }
        entities
    }

    /// What is to be in Port: the fields that are not null.
    pub(super) fn expected(&self, objects: &[usize]) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::new();
        for &number in objects {
            if !self.merge {
                fields.clear();
            }
            fields.extend(fields_of(
                &serde_json::to_value(self.entity(number)).unwrap(),
            ));
        }
        fields.retain(|_, value| !value.is_null());
        fields
    }

    /// The entities whose every object Port can take, whatever comes first.
    pub(super) fn acceptable(&self) -> BTreeSet<(usize, usize)> {
        let entities = self.in_order();
        let mut found = BTreeSet::new();
        loop {
            let known = found.len();
            for (&key, objects) in &entities {
                let is_fine = |&number: &usize| {
                    let entity = self.entity(number);
                    let is_there = |place: usize| {
                        let target = &entity.relations.get(BLUEPRINTS[place]);
                        target.and_then(Value::as_str).is_none_or(|target| {
                            let at = IDENTIFIERS.iter().position(|name| *name == target);
                            at.is_some_and(|at| found.contains(&(place, at)) || key == (place, at))
                                || self.create_missing
                        })
                    };
                    !self.objects[number].is_spoilt && is_there(0) && is_there(1)
                };
                if objects.iter().all(is_fine) {
                    found.insert(key);
                }
            }
            if found.len() == known {
                return found;
            }
        }
    }
}

/// Title, icon, properties and relations side by side.
pub(super) fn fields_of(entity: &Value) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    for name in ["title", "icon"] {
        if let Some(value) = entity.get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    for part in ["properties", "relations"] {
        for (name, value) in entity[part].as_object().into_iter().flatten() {
            fields.insert(format!("{part}.{name}"), value.clone());
        }
    }
    fields
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let object = (
        0..3_usize,
        0..2_usize,
        0..3_usize,
        any::<u8>(),
        any::<u8>(),
        [0..13_usize, 0..13_usize],
        proptest::bool::weighted(0.05),
        proptest::option::weighted(0.6, any::<bool>()),
    )
        .prop_map(
            |(config, blueprint, identifier, some, others, targets, is_spoilt, page)| Object {
                config,
                blueprint,
                identifier,
                nulls: some & others,
                targets: targets.map(|target| target / 4),
                is_spoilt,
                page,
            },
        );
    let fault = prop_oneof![
        3 => Just(Fault::Status(413)),
        3 => Just(Fault::Status(422)),
        1 => Just(Fault::Status(503)),
        1 => Just(Fault::Cut),
        1 => Just(Fault::CutMidBody),
        6 => Just(Fault::Late),
        3 => Just(Fault::Blank),
    ];
    (
        proptest::collection::vec(0..64_u8, 1..4),
        proptest::collection::vec(object, 1..14),
        proptest::collection::vec((0..2_usize, fault), 0..3),
        proptest::bool::weighted(0.7),
        proptest::bool::weighted(0.3),
        1..5_usize,
        prop_oneof![Just(150_usize), Just(300), Just(1 << 20)],
        1..5_usize,
    )
        .prop_map(
            |(
                configs,
                mut objects,
                faults,
                merge,
                create_missing,
                batch_entities,
                batch_bytes,
                concurrency,
            )| {
                for object in &mut objects {
                    object.config %= configs.len();
                }
                Case {
                    configs,
                    objects,
                    faults,
                    merge,
                    create_missing,
                    batch_entities,
                    batch_bytes,
                    concurrency,
                }
            },
        )
}
