//! From text or value to a checked document.

use std::{fmt, sync::Arc};

use serde::de::{
    Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Number, Value};
use serde_yaml::{
    Value as Yaml,
    value::{Tag, TaggedValue},
};

use super::{
    InvalidMapping, MappingDocument, Parsed, ResourceConfig,
    position::{Path, Position, Positions},
    reader::Reader,
    resource,
};
use crate::{jq::Jq, settings::SourceName};

/// Reads a document as people write it: YAML, or JSON.
pub fn parse_text(
    text: &str,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
) -> Result<Parsed, InvalidMapping> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(jq, origin, Positions::of_text(text));
    let value = value_of_text(text, &mut reader);
    finish(reader, value.as_ref(), sources)
}

/// Reads a document as Port stores it.
pub fn parse_value(
    value: &Value,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
) -> Result<Parsed, InvalidMapping> {
    finish(
        Reader::new(jq, origin, Positions::default()),
        Some(value),
        sources,
    )
}

/// The document, unless the text had no value or anything was noted.
fn finish(
    mut reader: Reader<'_>,
    value: Option<&Value>,
    sources: &[SourceName],
) -> Result<Parsed, InvalidMapping> {
    let document = value.and_then(|value| document(&mut reader, value, sources));
    let Reader {
        origin,
        mut problems,
        warnings,
        ..
    } = reader;
    problems.sort_by_key(|problem| problem.position);
    match document {
        Some(document) if problems.is_empty() => Ok(Parsed { document, warnings }),
        _ => Err(InvalidMapping {
            origin: origin.to_owned(),
            problems,
        }),
    }
}

fn document(
    reader: &mut Reader<'_>,
    value: &Value,
    sources: &[SourceName],
) -> Option<MappingDocument> {
    const KEYS: &[&str] = &[
        "enableMergeEntity",
        "deleteDependentEntities",
        "createMissingRelatedEntities",
        "entityDeletionThreshold",
        "resources",
    ];
    let root = Path::default();
    if value.is_null() {
        // Taken as "no resources", it would delete everything there is.
        let hint = "write `resources: []` if nothing at all is to be read".to_owned();
        reader.problem(&root, "it is empty", Some(hint));
        return None;
    }
    let document = reader.object(&root, Some(value))?;
    reader.known_keys(&root, document, KEYS);
    let mut flag = |key: &str| reader.boolean(&root.key(key), document.get(key), true);
    Some(MappingDocument {
        enable_merge_entity: flag("enableMergeEntity"),
        delete_dependent_entities: flag("deleteDependentEntities"),
        create_missing_related_entities: flag("createMissingRelatedEntities"),
        entity_deletion_threshold: reader.share(
            &root.key("entityDeletionThreshold"),
            document.get("entityDeletionThreshold"),
            0.9,
        ),
        resources: resources(
            reader,
            &root.key("resources"),
            document.get("resources"),
            sources,
        ),
    })
}

fn resources(
    reader: &mut Reader<'_>,
    path: &Path,
    value: Option<&Value>,
    sources: &[SourceName],
) -> Vec<Arc<ResourceConfig>> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(resources)) => resources
            .iter()
            .enumerate()
            .filter_map(|(index, value)| {
                resource::read(reader, &path.index(index), index, value, sources)
            })
            .collect(),
        Some(_) => {
            reader.problem(
                path,
                "`resources` has to be a list",
                Some("begin each resource with `- kind: …`".to_owned()),
            );
            Vec::new()
        }
    }
}

/// None when the text is neither YAML nor JSON, which is then noted.
fn value_of_text(text: &str, reader: &mut Reader<'_>) -> Option<Value> {
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
