//! What a test compares of the simulated Port: its entities without what is
//! different each time, and which of them a run wrote or deleted.

use std::collections::{BTreeMap, BTreeSet};

use portolan::sandbox::{Matcher, Sandbox};
use serde_json::Value;

/// A blueprint and an identifier.
pub(crate) type Place = (String, String);

/// Every entity, by where it is.
pub(crate) type Catalog = BTreeMap<Place, Value>;

/// Fields that Port sets by itself.
const OF_PORT: [&str; 4] = ["createdAt", "createdBy", "updatedAt", "updatedBy"];

/// Everything that is in Port, as far as somebody said it.
pub(crate) fn catalog(sandbox: &Sandbox) -> Catalog {
    let mut catalog = Catalog::new();
    for blueprint in sandbox.port.entity_counts().into_keys() {
        for (identifier, mut entity) in sandbox.port.entities(&blueprint) {
            let members = entity.as_object_mut().unwrap();
            members.retain(|key, _| !OF_PORT.contains(&key.as_str()));
            for related in members["relations"].as_object_mut().unwrap().values_mut() {
                // A relation to many is a set; to nobody is what was never said, too.
                if let Some(targets) = related.as_array_mut() {
                    targets.sort_by_key(Value::to_string);
                    if targets.is_empty() {
                        *related = Value::Null;
                    }
                }
            }
            let relations = members["relations"].as_object_mut().unwrap();
            relations.retain(|_, related| !related.is_null());
            catalog.insert((blueprint.clone(), identifier), entity);
        }
    }
    catalog
}

/// Fails with the entities that are not the same.
#[track_caller]
pub(crate) fn assert_same(found: &Catalog, expected: &Catalog, when: &str) {
    let places: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let different: Vec<String> = places
        .into_iter()
        .filter(|place| found.get(place) != expected.get(place))
        .map(|place| {
            let text = |catalog: &Catalog| {
                catalog
                    .get(place)
                    .map_or("nothing".to_owned(), Value::to_string)
            };
            format!(
                "{place:?}\n  found    {}\n  expected {}",
                text(found),
                text(expected)
            )
        })
        .collect();
    assert!(
        different.is_empty(),
        "{when}: {} entities differ:\n{}",
        different.len(),
        different[..different.len().min(10)].join("\n")
    );
}

/// Entities of the second that are not in the first, or not the same there.
pub(crate) fn changed(before: &Catalog, after: &Catalog) -> BTreeSet<Place> {
    after
        .iter()
        .filter(|(place, entity)| before.get(*place) != Some(*entity))
        .map(|(place, _)| place.clone())
        .collect()
}

/// Entities of the first that are not in the second.
pub(crate) fn gone(before: &Catalog, after: &Catalog) -> BTreeSet<Place> {
    before
        .keys()
        .filter(|place| !after.contains_key(*place))
        .cloned()
        .collect()
}

/// What was written since the log was cleared, in bulk or one by one.
pub(crate) fn written(sandbox: &Sandbox) -> BTreeSet<Place> {
    let mut written = BTreeSet::new();
    for request in sandbox
        .port
        .requests_to(&Matcher::post("/v1/blueprints/*/entities*"))
    {
        let mut parts = request.path.split('/').skip(3);
        let blueprint = parts.next().unwrap().to_owned();
        let body = request.json();
        let entities = match parts.nth(1) {
            Some("bulk") => body["entities"].as_array().cloned().unwrap(),
            None => vec![body],
            Some(_) => continue,
        };
        for entity in entities {
            let identifier = entity["identifier"].as_str().unwrap().to_owned();
            written.insert((blueprint.clone(), identifier));
        }
    }
    written
}

/// What was asked to be deleted since the log was cleared.
pub(crate) fn deleted(sandbox: &Sandbox) -> BTreeSet<Place> {
    let mut deleted = BTreeSet::new();
    for request in sandbox
        .port
        .requests_to(&Matcher::post("/v1/blueprints/*/bulk/entities/delete"))
    {
        let blueprint = request.path.split('/').nth(3).unwrap();
        for identifier in request.json()["entities"].as_array().unwrap() {
            let identifier = identifier.as_str().unwrap().to_owned();
            deleted.insert((blueprint.to_owned(), identifier));
        }
    }
    for request in sandbox
        .port
        .requests_to(&Matcher::delete("/v1/blueprints/*/entities/*"))
    {
        let parts: Vec<&str> = request.path.split('/').collect();
        deleted.insert((parts[3].to_owned(), parts[5].to_owned()));
    }
    deleted
}
