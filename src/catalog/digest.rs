//! Whether two entities say the same, as Port sees it, in 64 bits a field.
//!
//! What Port stores is not always what it was sent: null and absent are one
//! thing, a team is a set, a relation to many is a set of which an only member
//! may be written without its list. Both sides are therefore brought to one
//! form before they are hashed; a hash that differs where the meaning does not
//! would make every resync write the entity again.
//!
//! What cannot be compared (a search that Port is to resolve) has no digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use serde_json::{Map, Value};

use crate::mapping::Entity;

/// What of a blueprint's definition matters for comparing its entities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Port shows no others: what is mapped beside them cannot be compared.
    properties: BTreeSet<String>,
    relations: BTreeMap<String, Relation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Relation {
    target: String,
    many: bool,
}

/// A part of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Field<'a> {
    Title,
    Icon,
    Team,
    Property(&'a str),
    Relation(&'a str),
}

impl<'a> Field<'a> {
    /// The field of a name that [`Field`] displays as.
    pub(super) fn named(name: &'a str) -> Self {
        let property = || name.strip_prefix("properties.").map(Self::Property);
        let relation = || name.strip_prefix("relations.").map(Self::Relation);
        match name {
            "icon" => Self::Icon,
            "team" => Self::Team,
            _ => property().or_else(relation).unwrap_or(Self::Title),
        }
    }
}

/// As in the mapping: `title`, `properties.status`.
impl fmt::Display for Field<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Title => formatter.write_str("title"),
            Self::Icon => formatter.write_str("icon"),
            Self::Team => formatter.write_str("team"),
            Self::Property(name) => write!(formatter, "properties.{name}"),
            Self::Relation(name) => write!(formatter, "relations.{name}"),
        }
    }
}

impl Shape {
    /// Of a blueprint as Port gives it.
    pub(super) fn of(blueprint: &Value) -> Self {
        let relation = |(name, relation): (&String, &Value)| {
            let target = relation["target"].as_str()?.to_owned();
            let many = relation["many"].as_bool().unwrap_or_default();
            Some((name.clone(), Relation { target, many }))
        };
        Self {
            properties: blueprint["schema"]["properties"]
                .as_object()
                .map(|properties| properties.keys().cloned().collect())
                .unwrap_or_default(),
            relations: blueprint["relations"]
                .as_object()
                .map(|relations| relations.iter().filter_map(relation).collect())
                .unwrap_or_default(),
        }
    }

    /// The blueprint that a relation leads to.
    pub(super) fn target(&self, relation: &str) -> Option<&str> {
        let relation = self.relations.get(relation)?;
        Some(&relation.target)
    }

    /// Whether a relation may lead to several entities; none where there is no
    /// such relation.
    pub(super) fn is_to_many(&self, relation: &str) -> Option<bool> {
        self.relations.get(relation).map(|relation| relation.many)
    }

    pub(super) fn has_property(&self, name: &str) -> bool {
        self.properties.contains(name)
    }

    pub(super) fn has_relation(&self, name: &str) -> bool {
        self.relations.contains_key(name)
    }

    /// The digest of one field; 0 where Port has nothing there. None where only
    /// Port can tell.
    pub(super) fn digest(
        &self,
        hasher: &RandomState,
        field: Field<'_>,
        value: &Value,
    ) -> Option<u64> {
        let normal = match field {
            // Nobody is shown what the blueprint does not have.
            Field::Property(name) if !self.has_property(name) => Normal::Nothing,
            Field::Title | Field::Icon | Field::Property(_) => Normal::Value(value),
            Field::Team => set(value)?,
            Field::Relation(name) => match self.relations.get(name) {
                Some(relation) if relation.many => set(value)?,
                _ if value.is_object() => return None,
                _ => Normal::Value(value),
            },
        };
        if matches!(normal, Normal::Nothing | Normal::Value(Value::Null)) {
            return Some(0);
        }
        let mut state = hasher.build_hasher();
        field.hash(&mut state);
        match normal {
            Normal::Nothing => {}
            Normal::Set(members) => members.hash(&mut state),
            Normal::Value(value) => hash(value, &mut state),
        }
        Some(state.finish())
    }
}

enum Normal<'a> {
    Nothing,
    Set(BTreeSet<&'a str>),
    Value(&'a Value),
}

/// Null and the empty list are nothing; a text is a list of one.
fn set(value: &Value) -> Option<Normal<'_>> {
    let members: BTreeSet<&str> = match value {
        Value::Null => return Some(Normal::Nothing),
        Value::String(only) => BTreeSet::from([only.as_str()]),
        Value::Array(members) => members.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    Some(if members.is_empty() {
        Normal::Nothing
    } else {
        Normal::Set(members)
    })
}

/// Numbers are equal when their values are, and objects whatever the order of
/// their keys. Integers count exactly: as doubles, two large ones would be one.
fn hash(value: &Value, state: &mut impl Hasher) {
    match value {
        Value::Null => 0_u8.hash(state),
        Value::Bool(value) => (1_u8, value).hash(state),
        Value::Number(number) => {
            let whole = number.as_i128().or_else(|| number.as_f64().and_then(whole));
            match whole {
                Some(whole) => (2_u8, whole).hash(state),
                None => (3_u8, number.as_f64().unwrap_or_default().to_bits()).hash(state),
            }
        }
        Value::String(text) => (4_u8, text).hash(state),
        Value::Array(values) => {
            (5_u8, values.len()).hash(state);
            for value in values {
                hash(value, state);
            }
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            (6_u8, sorted.len()).hash(state);
            for (key, value) in sorted {
                key.hash(state);
                hash(value, state);
            }
        }
    }
}

/// The integer that a double is, as long as doubles are exact.
fn whole(number: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i128)
}

/// The fields of an entity that is to be written.
pub(super) fn fields(entity: &Entity) -> impl Iterator<Item = (Field<'_>, &Value)> {
    let own = [
        (Field::Title, &entity.title),
        (Field::Icon, &entity.icon),
        (Field::Team, &entity.team),
    ];
    own.into_iter()
        .filter_map(|(field, value)| Some((field, value.as_ref()?)))
        .chain(properties(&entity.properties))
        .chain(relations(&entity.relations))
}

/// The fields of an entity as Port shows it.
pub(super) fn shown_fields(entity: &Value) -> impl Iterator<Item = (Field<'_>, &Value)> {
    let own = [
        (Field::Title, entity.get("title")),
        (Field::Icon, entity.get("icon")),
        (Field::Team, entity.get("team")),
    ];
    let section = |name: &str| entity.get(name).and_then(Value::as_object);
    own.into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
        .chain(section("properties").into_iter().flat_map(properties))
        .chain(section("relations").into_iter().flat_map(relations))
}

fn properties(map: &Map<String, Value>) -> impl Iterator<Item = (Field<'_>, &Value)> {
    map.iter()
        .map(|(name, value)| (Field::Property(name), value))
}

fn relations(map: &Map<String, Value>) -> impl Iterator<Item = (Field<'_>, &Value)> {
    map.iter()
        .map(|(name, value)| (Field::Relation(name), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Shape {
        Shape::of(&json!({
            "schema": {"properties": {"p": {}, "q": {}}},
            "relations": {
                "one": {"target": "team", "many": false},
                "many": {"target": "user", "many": true},
            },
        }))
    }

    #[test]
    fn what_port_treats_alike_has_one_digest() {
        let (shape, hasher) = (shape(), RandomState::new());
        let same = [
            (Field::Property("p"), json!(1), json!(1.0)),
            (
                Field::Property("p"),
                json!({"a": 1, "b": [2]}),
                json!({"b": [2.0], "a": 1}),
            ),
            (
                Field::Property("not in the blueprint"),
                json!("x"),
                json!(null),
            ),
            (Field::Team, json!("a"), json!(["a"])),
            (Field::Team, json!(["b", "a", "b"]), json!(["a", "b"])),
            (Field::Team, json!(null), json!([])),
            (Field::Relation("many"), json!("a"), json!(["a"])),
            (
                Field::Relation("many"),
                json!(["b", "a"]),
                json!(["a", "b", "a"]),
            ),
            (Field::Relation("many"), json!(null), json!([])),
            (
                Field::Relation("not in the blueprint"),
                json!(null),
                json!(null),
            ),
        ];
        for (field, one, other) in same {
            let digest = |value| shape.digest(&hasher, field, value).unwrap();
            assert_eq!(digest(&one), digest(&other), "{field:?} {one} {other}");
        }
    }

    #[test]
    fn what_port_tells_apart_has_two() {
        let (shape, hasher) = (shape(), RandomState::new());
        let large = json!(12_345_678_901_234_567_890_u64);
        let next = json!(12_345_678_901_234_567_891_u64);
        let different = [
            (Field::Property("p"), json!([]), json!(null)),
            (Field::Property("p"), json!(""), json!(null)),
            (Field::Property("p"), json!(false), json!(null)),
            (Field::Property("p"), json!(0), json!(null)),
            (Field::Property("p"), json!("1"), json!(1)),
            (Field::Property("p"), json!(["a", "b"]), json!(["b", "a"])),
            (Field::Property("p"), json!([["a"], []]), json!([["a", []]])),
            (Field::Property("p"), large, next),
            (Field::Relation("one"), json!("a"), json!(null)),
            (
                Field::Relation("not in the blueprint"),
                json!("a"),
                json!(null),
            ),
            (Field::Relation("many"), json!(["a"]), json!(["b"])),
        ];
        for (field, one, other) in different {
            let digest = |value| shape.digest(&hasher, field, value).unwrap();
            assert_ne!(digest(&one), digest(&other), "{field:?} {one} {other}");
        }
        let digest = |field| shape.digest(&hasher, field, &json!("x"));
        assert_ne!(digest(Field::Property("p")), digest(Field::Property("q")));
        assert_ne!(digest(Field::Title), digest(Field::Icon));
    }

    #[test]
    fn a_search_cannot_be_compared() {
        let (shape, hasher) = (shape(), RandomState::new());
        let search = json!({"combinator": "and", "rules": []});
        for field in [Field::Team, Field::Relation("one"), Field::Relation("many")] {
            assert_eq!(shape.digest(&hasher, field, &search), None, "{field:?}");
        }
        let among_others = json!(["a", search]);
        assert_eq!(
            shape.digest(&hasher, Field::Relation("many"), &among_others),
            None
        );
    }
}
