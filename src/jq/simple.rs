//! Expressions whose result can be told without running them.
//!
//! Most of a mapping are paths such as `.service.id` and texts such as
//! `"service"`. Of a path it is enough to follow it in the JSON, which then need
//! not become the engine's values. Whatever is not as such a path expects, a text
//! where an object should be for example, is left to the engine, and so is every
//! error.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::path::Part;
use serde_json::Value;

use super::convert::{from_val, normalized, to_val};
use super::{Limits, RunError};

/// A simple expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Simple {
    Constant(Value),
    /// The keys of a path that has one at least.
    Path(Vec<String>),
}

impl Simple {
    pub(super) fn of(term: &Term<&str>) -> Option<Self> {
        match term {
            Term::Str(..) => text(term).map(|text| Self::Constant(text.into())),
            Term::Call("true", arguments) if arguments.is_empty() => {
                Some(Self::Constant(true.into()))
            }
            Term::Call("false", arguments) if arguments.is_empty() => {
                Some(Self::Constant(false.into()))
            }
            Term::Path(head, path) if matches!(**head, Term::Id) => {
                let keys = path.0.iter().map(|(part, _)| match part {
                    Part::Index(key) => text(key),
                    Part::Range(..) => None,
                });
                let keys: Vec<String> = keys.collect::<Option<_>>()?;
                (!keys.is_empty()).then_some(Self::Path(keys))
            }
            _ => None,
        }
    }

    /// The first output as JSON, where null and none are the same. `member`: what an
    /// object has under a key. None: the engine has to say.
    pub(super) fn first<'v>(
        &self,
        member: impl FnOnce(&str) -> Option<&'v Value>,
        limits: &Limits,
    ) -> Option<Result<Option<Value>, RunError>> {
        let keys = match self {
            Self::Constant(value) => return scalar(value, limits),
            Self::Path(keys) => keys,
        };
        let (first, rest) = keys.split_first()?;
        let mut found = member(first);
        for key in rest {
            found = match found {
                None | Some(Value::Null) => return Some(Ok(None)),
                Some(Value::Object(entries)) => entries.get(key),
                Some(_) => return None,
            };
        }
        match found {
            None => Some(Ok(None)),
            Some(part @ (Value::Array(_) | Value::Object(_))) => {
                Some(from_val(&to_val(part), limits).map(Some))
            }
            Some(part) => scalar(part, limits),
        }
    }
}

/// A scalar as an expression would put it out.
fn scalar(value: &Value, limits: &Limits) -> Option<Result<Option<Value>, RunError>> {
    /// As long as any number, and quotes.
    const LITTLE: usize = 32;
    let length = value.as_str().map_or(0, str::len) + LITTLE;
    if length > limits.output_bytes {
        return None;
    }
    Some(match value {
        Value::Null => Ok(None),
        Value::Number(number) => normalized(number).map(|number| Some(Value::Number(number))),
        other => Ok(Some(other.clone())),
    })
}

/// The text of a string without expressions in it.
pub(super) fn text(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(piece) => text.push_str(piece),
            StrPart::Char(character) => text.push(*character),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}
