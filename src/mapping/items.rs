//! `itemsToParse`: several raw objects from one.

use super::{
    Mapped,
    evaluate::{failure, type_name},
    finding::{Cause, Severity},
    raw::with_keys,
};
use crate::{jq::Val, resource_config::ItemsToParse};

/// The objects that `parent` stands for, made one at a time: each a shallow
/// copy of the parent with one element of the array.
///
/// Null is a parent without items, as an empty array is; anything else that is
/// not an array is a parent whose items are lost.
pub(super) fn explode<'a>(
    items: &'a ItemsToParse,
    parent: &Val,
    mapped: &mut Mapped,
    label: &dyn Fn() -> Option<String>,
) -> impl Iterator<Item = Val> + use<'a> {
    let elements = match items.expression.filter.first(parent) {
        Ok(Some(Val::Arr(elements))) => Some(elements),
        Ok(None | Some(Val::Null)) => {
            mapped.findings.note(
                &items.expression,
                (Severity::Warning, Cause::Null),
                || "gave null or nothing instead of a list, so the object has no items".to_owned(),
                label,
            );
            None
        }
        Ok(Some(other)) => {
            mapped.lose_object();
            mapped.findings.note(
                &items.expression,
                (Severity::Error, Cause::WrongType),
                || {
                    format!(
                        "gave {} instead of a list, so the object is lost",
                        type_name(&other)
                    )
                },
                label,
            );
            None
        }
        Err(error) => {
            mapped.lose_object();
            mapped.findings.note(
                &items.expression,
                (Severity::Error, Cause::Failed),
                || format!("{}; the object is lost", failure(error)),
                label,
            );
            None
        }
    };
    let elements = elements.filter(|elements| !elements.is_empty());
    let parent = elements.is_some().then(|| copied(items, parent)).flatten();
    if elements.is_some() && parent.is_none() {
        // Ocean's `del(.)`, which leaves nothing; said when the document is read, too.
        mapped.lose_object();
        mapped.findings.note(
            &items.expression,
            (Severity::Error, Cause::Refused),
            || {
                "does not begin with a path, so removing it from the object leaves nothing; \
                 set itemsToParseTopLevelTransform to false"
                    .to_owned()
            },
            label,
        );
    }
    elements
        .zip(parent)
        .into_iter()
        .flat_map(move |(elements, parent)| {
            (0..elements.len()).map(move |index| {
                with_keys(&parent, [(items.name.as_str(), elements[index].clone())])
            })
        })
}

/// The parent as its copies have it: without the array, unless that is switched off.
fn copied(items: &ItemsToParse, parent: &Val) -> Option<Val> {
    if !items.top_level_transform {
        return Some(parent.clone());
    }
    let path = items
        .expression
        .filter
        .leading_path()
        .filter(|path| !path.is_empty())?;
    Some(without(parent, &path))
}

fn without(object: &Val, path: &[String]) -> Val {
    let (Val::Obj(map), Some((key, rest))) = (object, path.split_first()) else {
        return object.clone();
    };
    let key = Val::from(key.clone());
    let mut map = (**map).clone();
    if rest.is_empty() {
        map.shift_remove(&key);
    } else if let Some(inner) = map.get_mut(&key) {
        *inner = without(inner, rest);
    }
    Val::obj(map)
}
