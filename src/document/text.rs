//! From text to the value of a document: YAML or JSON, with the keys, numbers
//! and tags of YAML that JSON lacks noted as problems.

use std::fmt;

use serde::de::{
    Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value};
use serde_yaml::{
    Value as Yaml,
    value::{Tag, TaggedValue},
};

use super::{
    position::{Path, Position},
    reader::Reader,
};

/// None when the text is neither YAML nor JSON, which is then noted.
pub(super) fn value(text: &str, reader: &mut Reader<'_>) -> Option<Value> {
    // JSON first, because not all of its escapes are YAML's; then YAML, which
    // may begin with a brace as well.
    let json = text
        .trim_start()
        .starts_with('{')
        .then(|| serde_json::from_str(text));
    if let Some(Ok(value)) = json {
        return Some(value);
    }
    match (yaml(text), json) {
        (Ok(value), _) => Some(to_json(value, &Path::default(), reader)),
        (Err(_), Some(Err(error))) => {
            let position = Position {
                line: error.line(),
                column: error.column(),
            };
            reader.invalid_syntax("JSON", &error.to_string(), Some(position));
            None
        }
        (Err(error), _) => {
            let position = error.location().map(|place| Position {
                line: place.line(),
                column: place.column(),
            });
            reader.invalid_syntax("YAML", &error.to_string(), position);
            None
        }
    }
}

fn yaml(text: &str) -> Result<Yaml, serde_yaml::Error> {
    let LastWins(mut value) = serde_yaml::from_str(text)?;
    value.apply_merge()?;
    Ok(value)
}

/// YAML has numbers and keys that JSON lacks.
fn to_json(value: Yaml, path: &Path, reader: &mut Reader<'_>) -> Value {
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => number
            .as_u64()
            .map(Number::from)
            .or_else(|| number.as_i64().map(Number::from))
            .or_else(|| number.as_f64().and_then(Number::from_f64))
            .map_or_else(
                || {
                    reader.problem(
                        path,
                        format!("{number} is not a number that JSON has"),
                        None,
                    );
                    Value::Null
                },
                Value::Number,
            ),
        Yaml::Sequence(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| to_json(item, &path.index(index), reader))
            .collect(),
        Yaml::Mapping(mapping) => {
            let mut object = Map::with_capacity(mapping.len());
            for (key, value) in mapping {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Bool(flag) => flag.to_string(),
                    Yaml::Number(number) => number.to_string(),
                    _ => {
                        reader.problem(path, "a key here is not a text", None);
                        continue;
                    }
                };
                let path = path.key(&key);
                object.insert(key, to_json(value, &path, reader));
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            reader.problem(
                path,
                format!("the tag {} has no meaning here", tagged.tag),
                Some("remove it".to_owned()),
            );
            Value::Null
        }
    }
}

/// A YAML value in which the last of several equal keys wins, so that reading
/// goes on and the other problems are found too. The equal keys themselves are
/// reported from the text.
struct LastWins(Yaml);

impl<'de> Deserialize<'de> for LastWins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LastWinsVisitor).map(Self)
    }
}

struct LastWinsVisitor;

impl<'de> Visitor<'de> for LastWinsVisitor {
    type Value = Yaml;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Yaml, E> {
        Ok(Yaml::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Yaml, E> {
        Ok(Yaml::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Yaml, E> {
        Ok(Yaml::Number(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Yaml, E> {
        Ok(Yaml::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(LastWins(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Yaml::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut mapping = serde_yaml::Mapping::new();
        while let Some((LastWins(key), LastWins(value))) = access.next_entry()? {
            mapping.insert(key, value);
        }
        Ok(Yaml::Mapping(mapping))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Yaml, A::Error> {
        let (tag, contents) = access.variant::<String>()?;
        let LastWins(value) = contents.newtype_variant()?;
        Ok(Yaml::Tagged(Box::new(TaggedValue {
            tag: Tag::new(tag),
            value,
        })))
    }
}
