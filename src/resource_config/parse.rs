//! From text or value to a checked document.

use std::sync::Arc;

use serde_json::Value;

use super::fit::{self, Blueprints};
use super::{MappingDocument, Parsed, ResourceConfig, kind, resource};
use crate::{
    document::{InvalidDocument, Path, Reader},
    jq::{Jq, on_large_stack_blocking},
    settings::SourceName,
};

/// Reads a document as people write it: YAML, or JSON.
pub fn parse_text(
    text: &str,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
) -> Result<Parsed, InvalidDocument> {
    let (reader, value) = Reader::of_text(jq, origin, text);
    finish(reader, value.as_ref(), sources, None)
}

/// The same, where it has to fit the blueprints as well.
pub fn fit_text(
    text: &str,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
    blueprints: &Blueprints,
) -> Result<Parsed, InvalidDocument> {
    let (reader, value) = Reader::of_text(jq, origin, text);
    finish(reader, value.as_ref(), sources, Some(blueprints))
}

/// The value of a document as people write it; null where the text has none.
pub fn value_of_text(text: &str, jq: &Jq) -> Value {
    let (_, value) = Reader::of_text(jq, "", text);
    value.unwrap_or_default()
}

/// Reads a document beside which there are no settings: the sources that are on
/// are those that its kinds are of.
pub fn parse_text_alone(text: &str, origin: &str, jq: &Jq) -> Result<Parsed, InvalidDocument> {
    let (reader, value) = Reader::of_text(jq, origin, text);
    let resources = value.as_ref().and_then(|value| value.get("resources"));
    let kinds: Vec<&str> = resources
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|resource| resource.get("kind")?.as_str())
        .collect();
    finish(reader, value.as_ref(), &kind::sources_of(&kinds), None)
}

/// Reads a document as Port stores it.
pub fn parse_value(
    value: &Value,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
) -> Result<Parsed, InvalidDocument> {
    finish(Reader::of_value(jq, origin), Some(value), sources, None)
}

/// The same, where it has to fit the blueprints as well.
pub fn fit_value(
    value: &Value,
    origin: &str,
    sources: &[SourceName],
    jq: &Jq,
    blueprints: &Blueprints,
) -> Result<Parsed, InvalidDocument> {
    let reader = Reader::of_value(jq, origin);
    finish(reader, Some(value), sources, Some(blueprints))
}

/// The document, unless the text had no value or anything was noted.
fn finish(
    mut reader: Reader<'_>,
    value: Option<&Value>,
    sources: &[SourceName],
    blueprints: Option<&Blueprints>,
) -> Result<Parsed, InvalidDocument> {
    // All expressions are compiled on one large stack.
    let document = value.and_then(|value| {
        on_large_stack_blocking(|| document(&mut reader, value, sources)).unwrap_or_else(
            |panicked| {
                reader.problem(&Path::default(), panicked.to_string(), None);
                None
            },
        )
    });
    if let (Some(value), Some(blueprints)) = (value, blueprints) {
        fit::compare(&mut reader, value, blueprints);
    }
    let (document, warnings) = reader.finish(document)?;
    Ok(Parsed { document, warnings })
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
