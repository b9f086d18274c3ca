//! JSON values into the engine's and back.

use jaq_json::{Map as Entries, Num, Rc, Val};
use serde_json::{Map, Number, Value};

use super::value::{text_of, to_f64, type_name};
use super::{Limits, RunError};
use crate::excerpt::Excerpt;

/// Parsers of JSON stop at a quarter of this. What is nested deeper was built
/// by a program; it is cut off here, so that recursion over it stays safe.
const INPUT_DEPTH: usize = 500;

/// The value as expressions take it. Whatever is nested more than five hundred
/// levels deep becomes null.
pub fn to_val(value: &Value) -> Val {
    convert(value, Excerpt::WHOLE, INPUT_DEPTH)
}

/// The same of an excerpt.
pub fn to_val_within(value: &Value, excerpt: &Excerpt) -> Val {
    convert(value, excerpt, INPUT_DEPTH)
}

fn convert(value: &Value, excerpt: &Excerpt, depth: usize) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(value) => number(value),
        Value::String(value) => string(value),
        Value::Array(_) | Value::Object(_) if depth == 0 => Val::Null,
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(place, item)| convert(item, excerpt.element(place), depth - 1))
                .collect()
        }
        Value::Object(entries) => {
            let entries: Entries = entries
                .iter()
                .filter_map(|(key, value)| {
                    let part = excerpt.under(key)?;
                    Some((string(key), convert(value, part, depth - 1)))
                })
                .collect();
            Val::Obj(Rc::new(entries))
        }
    }
}

fn string(text: &str) -> Val {
    Val::utf8_str(text.as_bytes().to_vec())
}

pub(super) fn number(number: &Number) -> Val {
    Val::Num(if let Some(integer) = number.as_i64() {
        Num::from_integral(integer)
    } else if let Some(integer) = number.as_u64() {
        Num::from_integral(integer)
    } else {
        Num::Float(number.as_f64().unwrap_or(f64::NAN))
    })
}

/// The value as JSON. Rejects NaN, infinities, keys that are no strings, and
/// output that is longer or nested deeper than the limits allow.
pub fn from_val(value: &Val, limits: &Limits) -> Result<Value, RunError> {
    Output {
        left: limits.output_bytes,
    }
    .convert(value, limits.nesting)
}

/// How many bytes of JSON may still be put out.
struct Output {
    left: usize,
}

impl Output {
    fn take(&mut self, bytes: usize) -> Result<(), RunError> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(RunError::Limit("its result is longer than a result may be"))?;
        Ok(())
    }

    fn convert(&mut self, value: &Val, depth: usize) -> Result<Value, RunError> {
        let too_deep = RunError::Limit("its result is nested more deeply than a result may be");
        match value {
            Val::Null => self.take(4).map(|()| Value::Null),
            Val::Bool(value) => self.take(5).map(|()| Value::Bool(*value)),
            Val::Num(value) => {
                self.take(8)?;
                finite(value).map(Value::Number)
            }
            Val::TStr(_) => self.text(value).map(Value::String),
            Val::BStr(_) => Err(failed("its result holds bytes that are not text")),
            Val::Arr(_) | Val::Obj(_) if depth == 0 => Err(too_deep),
            Val::Arr(items) => {
                self.take(2)?;
                items
                    .iter()
                    .map(|item| {
                        self.take(1)?;
                        self.convert(item, depth - 1)
                    })
                    .collect()
            }
            Val::Obj(entries) => {
                self.take(2)?;
                let entries: Result<Map<String, Value>, RunError> = entries
                    .iter()
                    .map(|(key, value)| {
                        self.take(2)?;
                        Ok((self.text(key)?, self.convert(value, depth - 1)?))
                    })
                    .collect();
                entries.map(Value::Object)
            }
        }
    }

    fn text(&mut self, value: &Val) -> Result<String, RunError> {
        let text = text_of(value).ok_or_else(|| {
            failed(&format!(
                "its result has a key of type {}",
                type_name(value)
            ))
        })?;
        self.take(text.len() + 2)?;
        Ok(text.to_owned())
    }
}

fn failed(message: &str) -> RunError {
    RunError::Failed(message.to_owned())
}

/// A number of the input as an expression would put it out.
pub(super) fn normalized(input: &Number) -> Result<Number, RunError> {
    match number(input) {
        Val::Num(number) => finite(&number),
        _ => Ok(input.clone()),
    }
}

/// An integer that no calculation touched keeps every digit (jq would put it
/// through a double); calculated numbers are doubles, and whole ones of them are
/// written as integers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the range was checked, and doubles beyond 2^53 are whole"
)]
fn finite(value: &Num) -> Result<Number, RunError> {
    match value {
        Num::Int(integer) => return Ok(Number::from(*integer)),
        Num::BigInt(integer) => {
            // It has no conversion of its own that would not bring a crate along.
            if let Ok(integer) = integer.to_string().parse::<u64>() {
                return Ok(Number::from(integer));
            }
        }
        Num::Float(_) | Num::Dec(_) => {}
    }
    let float = to_f64(value);
    if float.fract() == 0.0 {
        if (0.0..u64::MAX as f64).contains(&float) {
            return Ok(Number::from(float as u64));
        }
        if (i64::MIN as f64..0.0).contains(&float) {
            return Ok(Number::from(float as i64));
        }
    }
    Number::from_f64(float).ok_or_else(|| failed("its result holds a number that is not finite"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn there_and_back(value: &Value) -> Value {
        from_val(&to_val(value), &Limits::default()).unwrap()
    }

    #[test]
    fn integers_keep_every_digit() {
        for value in [
            json!(12_345_678_901_234_567_890_u64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(9_007_199_254_740_993_i64),
            json!(-9_007_199_254_740_993_i64),
        ] {
            assert_eq!(there_and_back(&value), value);
        }
    }

    #[test]
    fn whole_doubles_are_written_as_integers() {
        for (value, expected) in [
            (json!(1.0), json!(1)),
            (json!(-0.5), json!(-0.5)),
            (json!(1e300), json!(1e300)),
        ] {
            assert_eq!(there_and_back(&value), expected);
        }
    }

    #[test]
    fn keys_keep_their_order() {
        let value = json!({"z": 1, "a": {"y": [], "b": null}});
        assert_eq!(there_and_back(&value).to_string(), value.to_string());
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        let limits = Limits::default();
        for refused in [
            Val::from(f64::NAN),
            Val::from(f64::INFINITY),
            Val::byte_str(vec![255]),
            Val::obj([(Val::from(1_usize), Val::Null)].into_iter().collect()),
        ] {
            assert!(matches!(
                from_val(&refused, &limits),
                Err(RunError::Failed(_))
            ));
        }
    }

    #[test]
    fn output_beyond_the_limits_is_refused() {
        let limits = Limits {
            output_bytes: 30,
            nesting: 3,
            ..Limits::default()
        };
        assert!(from_val(&to_val(&json!(["abc", {"d": 1}])), &limits).is_ok());
        for refused in [json!("x".repeat(40)), json!([[[[]]]]), json!(vec![1; 30])] {
            assert!(matches!(
                from_val(&to_val(&refused), &limits),
                Err(RunError::Limit(_))
            ));
        }
    }

    #[test]
    fn deeply_nested_input_is_cut_off() {
        let mut value = Value::Null;
        for _ in 0..2_000 {
            value = Value::Array(vec![value]);
        }
        let mut depth = 0;
        let mut val = to_val(&value);
        while let Val::Arr(items) = val {
            depth += 1;
            val = items[0].clone();
        }
        assert_eq!(depth, INPUT_DEPTH);
    }

    proptest! {
        #[test]
        fn text_survives(text: String) {
            prop_assert_eq!(there_and_back(&json!([text.clone()])), json!([text]));
        }

        #[test]
        fn whole_numbers_that_doubles_hold_survive(number in -(1_i64 << 53)..(1_i64 << 53)) {
            prop_assert_eq!(there_and_back(&json!(number)), json!(number));
        }
    }
}
