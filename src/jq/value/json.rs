//! Values as text, written the way jq writes them.

use jaq_json::{Num, Val};

use super::{Bounded, text_of, to_f64};
use crate::jq::fuel::{self, Spent};

/// How much of a value a message shows.
const EXCERPT: usize = 60;

/// Receives the text of a value and decides how much of it there may be.
trait Sink {
    fn push(&mut self, text: &str) -> Result<(), Spent>;

    /// Another value is about to be written. Values may share parts, so that
    /// there can be far more to write than there is in memory.
    fn visit(&mut self) -> Result<(), Spent>;
}

impl Sink for String {
    fn push(&mut self, text: &str) -> Result<(), Spent> {
        fuel::allocate(text.len())?;
        self.push_str(text);
        Ok(())
    }

    fn visit(&mut self) -> Result<(), Spent> {
        fuel::work(4)
    }
}

/// Keeps the beginning, for messages, whatever is left to the evaluation.
struct Beginning(String);

impl Sink for Beginning {
    fn push(&mut self, text: &str) -> Result<(), Spent> {
        let room = EXCERPT.saturating_sub(self.0.chars().count());
        self.0.extend(text.chars().take(room));
        if text.chars().nth(room).is_some() {
            self.0.push('…');
            return Err(Spent);
        }
        Ok(())
    }

    fn visit(&mut self) -> Result<(), Spent> {
        Ok(())
    }
}

/// The JSON text of a value.
pub(in crate::jq) fn to_json(val: &Val) -> Result<String, Spent> {
    let mut text = String::new();
    write(val, &mut text)?;
    Ok(text)
}

/// The beginning of a value's JSON text.
pub(in crate::jq) fn excerpt(val: &Val) -> String {
    let mut beginning = Beginning(String::new());
    match write(val, &mut beginning) {
        // Stopping early is what it is for.
        Ok(()) | Err(Spent) => beginning.0,
    }
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> String {
    const LENGTH: usize = 160;
    let mut short: String = text.chars().take(LENGTH).collect();
    if text.chars().nth(LENGTH).is_some() {
        short.push('…');
    }
    short
}

fn write(val: &Val, sink: &mut impl Sink) -> Result<(), Spent> {
    sink.visit()?;
    match val {
        Val::Null => sink.push("null"),
        Val::Bool(true) => sink.push("true"),
        Val::Bool(false) => sink.push("false"),
        Val::Num(number) => sink.push(&number_text(number)),
        Val::TStr(_) | Val::BStr(_) => write_text(text_of(val).unwrap_or_default(), sink),
        Val::Arr(items) => {
            sink.push("[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    sink.push(",")?;
                }
                write(item, sink)?;
            }
            sink.push("]")
        }
        Val::Obj(entries) => {
            sink.push("{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    sink.push(",")?;
                }
                write(key, sink)?;
                sink.push(":")?;
                write(value, sink)?;
            }
            sink.push("}")
        }
    }
}

fn write_text(text: &str, sink: &mut impl Sink) -> Result<(), Spent> {
    let escaped = |character: char| match character {
        '"' => Some("\\\"".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\u{8}' => Some("\\b".to_owned()),
        '\u{c}' => Some("\\f".to_owned()),
        '\0'..='\u{1f}' | '\u{7f}' => Some(format!("\\u{:04x}", u32::from(character))),
        _ => None,
    };
    sink.push("\"")?;
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        if let Some(escape) = escaped(character) {
            sink.push(&text[plain..at])?;
            sink.push(&escape)?;
            plain = at + character.len_utf8();
        }
    }
    sink.push(&text[plain..])?;
    sink.push("\"")
}

/// A number that is not a number is null, an infinite one the largest there is.
fn number_text(number: &Num) -> String {
    match number {
        Num::Int(integer) => integer.to_string(),
        Num::BigInt(integer) => integer.to_string(),
        Num::Dec(_) | Num::Float(_) => float_text(to_f64(number)),
    }
}

fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "null".to_owned();
    }
    let float = float.clamp(f64::MIN, f64::MAX);
    let plain = format!("{float:?}");
    let Some((digits, exponent)) = plain.split_once('e') else {
        return plain;
    };
    // Two digits and a sign: 1e-05, 1.5e+300.
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// The value of a number as it stands in the text of an expression.
pub(super) fn number(text: &str) -> Val {
    let number = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Num::from_str_radix(text, 10)
    } else {
        None
    };
    let number = number.unwrap_or_else(|| {
        let float: f64 = text.parse().unwrap_or(f64::NAN);
        Num::Float(float.clamp(f64::MIN, f64::MAX))
    });
    Val::Num(number)
}

impl Bounded {
    /// The JSON text of the value as a value.
    pub(in crate::jq) fn json(&self) -> Result<Self, Spent> {
        to_json(self.val()).map(Self::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_jq_writes_them() {
        for (float, text) in [
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (f64::INFINITY, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(float_text(float), text);
        }
    }

    #[test]
    fn an_excerpt_ends_where_a_message_would_become_a_dump() {
        let long: Val = (0..1000_usize).map(Val::from).collect();
        assert_eq!(excerpt(&long).chars().count(), EXCERPT + 1);
        assert_eq!(excerpt(&Val::Null), "null");
    }
}
