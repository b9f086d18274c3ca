//! What an expression looks at in one input, for those who wonder at its result.

use jaq_json::Val;
use serde_json::Value;

use super::Limits;
use super::convert::from_val;
use super::reads::Key;
use super::value::type_name;

/// A part of an input that an expression looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// The path, and what is there.
    Found(String, Value),
    /// Why there is nothing: the first step of the path that leads nowhere, as in
    /// "`.service` is null".
    Missing(String),
}

/// Follows a path as far as it leads. Where it goes on in every element of a
/// list, the list is what is looked at.
pub(super) fn at(input: &Val, path: &[Key], limits: &Limits) -> Looked {
    let mut walked = String::new();
    let mut value = input;
    for key in path {
        match (key, value) {
            (Key::Named(name), Val::Obj(entries)) => {
                walked.push_str(&step(name));
                match entries.get(&Val::from(name.clone())) {
                    Some(inner) => value = inner,
                    None => return Looked::Missing(format!("`{walked}` is missing")),
                }
            }
            (Key::Any, Val::Arr(items)) if items.is_empty() => {
                return Looked::Missing(format!("`{}` is empty", shown(&walked)));
            }
            (Key::Any, Val::Arr(_) | Val::Obj(_)) | (_, Val::Null) => break,
            (_, other) => {
                let found = type_name(other);
                return Looked::Missing(format!("`{}` is of type {found}", shown(&walked)));
            }
        }
    }
    match value {
        Val::Null => Looked::Missing(format!("`{}` is null", shown(&walked))),
        // What is too much for a result is too much to be shown.
        value => Looked::Found(shown(&walked), from_val(value, limits).unwrap_or_default()),
    }
}

fn shown(walked: &str) -> String {
    if walked.is_empty() { "." } else { walked }.to_owned()
}

fn step(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty();
    if is_plain {
        format!(".{name}")
    } else {
        format!(".[{name:?}]")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::{Jq, to_val};
    use super::*;

    fn looked(expression: &str, input: &Value) -> Vec<Looked> {
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        jq.compile(expression).unwrap().looks_at(&to_val(input))
    }

    #[test]
    fn the_first_step_that_leads_nowhere_is_named() {
        let input = json!({"service": null, "a b": {"c": 1}, "list": [], "full": [{"d": 2}]});
        for (expression, missing) in [
            (".service.summary", "`.service` is null"),
            (".srvice.summary", "`.srvice` is missing"),
            (".\"a b\".d", "`.[\"a b\"].d` is missing"),
            (".list[0].name", "`.list` is empty"),
            (".\"a b\".c.d?", "`.[\"a b\"].c` is of type number"),
        ] {
            let expected = vec![Looked::Missing(missing.to_owned())];
            assert_eq!(looked(expression, &input), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_there_is_shown() {
        let input = json!({"status": "open", "full": [{"d": 2}]});
        assert_eq!(
            looked(".status == \"closed\"", &input),
            vec![Looked::Found(".status".to_owned(), json!("open"))]
        );
        assert_eq!(
            looked(".full | map(.d) | add", &input),
            vec![Looked::Found(".full".to_owned(), json!([{"d": 2}]))]
        );
    }
}
