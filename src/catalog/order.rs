//! Sorts entities so that what others relate to is stored first.

use std::collections::HashMap;

use serde_json::Value;

use crate::mapping::{Entity, EntityIdentifier};

/// Indexes of `entities` in waves: the relations of a wave point only to
/// earlier waves (or outside of `entities`). Entities in a circle of relations,
/// and those that depend on one, are the last wave, in their original order.
pub(super) fn waves(entities: &[&Entity]) -> Vec<Vec<usize>> {
    let by_identifier: HashMap<&str, Vec<usize>> =
        entities
            .iter()
            .enumerate()
            .fold(HashMap::new(), |mut known, (index, entity)| {
                if let EntityIdentifier::Text(identifier) = &entity.identifier {
                    known.entry(identifier.as_str()).or_default().push(index);
                }
                known
            });
    // A relation names an identifier, not a blueprint: where two blueprints
    // share one, the entity waits for both. That costs a wave, or makes a circle
    // where there is none, which is why whoever sends the waves looks again.
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); entities.len()];
    let mut missing: Vec<usize> = vec![0; entities.len()];
    for (index, entity) in entities.iter().enumerate() {
        for target in entity.relations.values().flat_map(targets) {
            for &on in by_identifier.get(target).into_iter().flatten() {
                if on != index {
                    dependants[on].push(index);
                    missing[index] += 1;
                }
            }
        }
    }

    let mut waves = Vec::new();
    let mut left: Vec<usize> = (0..entities.len()).collect();
    loop {
        let (ready, waiting): (Vec<usize>, Vec<usize>) =
            left.iter().partition(|&&index| missing[index] == 0);
        if ready.is_empty() {
            if !waiting.is_empty() {
                waves.push(waiting);
            }
            return waves;
        }
        for &index in &ready {
            for &dependant in &dependants[index] {
                missing[dependant] -= 1;
            }
        }
        waves.push(ready);
        left = waiting;
    }
}

/// Identifiers that a relation of an entity names.
pub(super) fn targets(relation: &Value) -> impl Iterator<Item = &str> {
    let targets = match relation {
        Value::Array(targets) => targets.as_slice(),
        one => std::slice::from_ref(one),
    };
    targets.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entity(identifier: &str, targets: &[&str]) -> Entity {
        Entity {
            identifier: EntityIdentifier::Text(identifier.to_owned()),
            blueprint: "thing".to_owned(),
            title: None,
            icon: None,
            team: None,
            properties: serde_json::Map::new(),
            relations: serde_json::Map::from_iter([("needs".to_owned(), json!(targets))]),
        }
    }

    fn waves_of(entities: &[Entity]) -> Vec<Vec<usize>> {
        waves(&entities.iter().collect::<Vec<_>>())
    }

    #[test]
    fn targets_come_before_what_relates_to_them() {
        let entities = [
            entity("c", &["b"]),
            entity("b", &["a"]),
            entity("a", &[]),
            entity("d", &["elsewhere"]),
        ];
        assert_eq!(waves_of(&entities), [vec![2, 3], vec![1], vec![0]]);
    }

    #[test]
    fn a_circle_comes_last_in_its_original_order() {
        let entities = [
            entity("a", &["b"]),
            entity("b", &["a"]),
            entity("free", &[]),
            entity("self", &["self"]),
        ];
        assert_eq!(waves_of(&entities), [vec![2, 3], vec![0, 1]]);
    }
}
