//! Functions of strings, and the formats.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use jaq_core::ValR;
use jaq_core::native::{bome, unary, v};
use jaq_json::{Num, Rc, Val};

use super::{Plain, refused};
use crate::jq::fuel;
use crate::jq::value::{Bounded, concatenated, described, error, spent, text_of, to_json};

/// Padding is optional, and what is left over at the end is ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) fn functions() -> Box<[Plain]> {
    Box::new([
        ("explode", v(0), |cv| bome(explode(&cv.1))),
        ("implode", v(0), |cv| bome(implode(&cv.1))),
        ("ascii_downcase", v(0), |cv| {
            bome(mapped("ascii_downcase", &cv.1, str::to_ascii_lowercase))
        }),
        ("ascii_upcase", v(0), |cv| {
            bome(mapped("ascii_upcase", &cv.1, str::to_ascii_uppercase))
        }),
        ("startswith", v(1), |cv| {
            unary(cv, |text, part| {
                both("startswith", &text, &part, |text, part| {
                    text.starts_with(part)
                })
            })
        }),
        ("endswith", v(1), |cv| {
            unary(cv, |text, part| {
                both("endswith", &text, &part, |text, part| text.ends_with(part))
            })
        }),
        ("ltrimstr", v(1), |cv| {
            unary(cv, |text, part| {
                Ok(without(text, &part, |a, b| a.strip_prefix(b)))
            })
        }),
        ("rtrimstr", v(1), |cv| {
            unary(cv, |text, part| {
                Ok(without(text, &part, |a, b| a.strip_suffix(b)))
            })
        }),
        ("split", v(1), |cv| {
            unary(cv, |text, separator| {
                match (text.as_text(), separator.as_text()) {
                    (Some(_), Some(_)) => text.split(&separator).map_err(spent),
                    _ => Err(error("split needs two strings")),
                }
            })
        }),
        ("join", v(1), |cv| unary(cv, |items, by| join(&items, &by))),
        ("__html", v(0), |cv| bome(mapped("@html", &cv.1, html))),
        ("__uri", v(0), |cv| bome(mapped("@uri", &cv.1, uri))),
        ("__urid", v(0), |cv| bome(mapped("@urid", &cv.1, urid))),
        ("__sh", v(0), |cv| {
            bome(mapped("@sh", &cv.1, |text| {
                format!("'{}'", text.replace('\'', "'\\''"))
            }))
        }),
        ("__csv", v(0), |cv| {
            bome(mapped("@csv", &cv.1, |text| {
                format!("\"{}\"", text.replace('"', "\"\""))
            }))
        }),
        ("__tsv", v(0), |cv| bome(mapped("@tsv", &cv.1, tsv))),
        ("__base64", v(0), |cv| {
            bome(mapped("@base64", &cv.1, |text| {
                general_purpose::STANDARD.encode(text)
            }))
        }),
        ("__base64d", v(0), |cv| bome(base64d(&cv.1))),
        ("__base32", v(0), |cv| {
            bome(mapped("@base32", &cv.1, base32))
        }),
        ("__base32d", v(0), |cv| bome(base32d(&cv.1))),
    ])
}

/// A new text made of another one, at most six times as long.
fn mapped(function: &str, value: &Bounded, change: fn(&str) -> String) -> ValR<Bounded> {
    match value.as_text() {
        Some(text) => {
            fuel::allocate(text.len().saturating_mul(6)).map_err(spent)?;
            Ok(Bounded::text(change(text)))
        }
        None => Err(refused(function, "a string", value)),
    }
}

fn both(
    function: &str,
    text: &Bounded,
    part: &Bounded,
    holds: fn(&str, &str) -> bool,
) -> ValR<Bounded> {
    match (text.as_text(), part.as_text()) {
        (Some(text), Some(part)) => Ok(holds(text, part).into()),
        (None, _) => Err(refused(function, "strings", text)),
        (_, None) => Err(refused(function, "strings", part)),
    }
}

/// The text without a prefix or suffix; whatever is not a text stays as it is.
fn without(
    value: Bounded,
    part: &Bounded,
    strip: for<'t> fn(&'t str, &str) -> Option<&'t str>,
) -> Bounded {
    let (Val::TStr(bytes), Some(text), Some(part)) = (value.val(), value.as_text(), part.as_text())
    else {
        return value;
    };
    match strip(text, part) {
        Some(rest) => Bounded::scalar(Val::utf8_str(bytes.slice_ref(rest.as_bytes()))),
        None => value,
    }
}

fn explode(value: &Bounded) -> ValR<Bounded> {
    let Some(text) = value.as_text() else {
        return Err(refused("explode", "a string", value));
    };
    fuel::allocate(text.len().saturating_mul(size_of::<Bounded>())).map_err(spent)?;
    let point = |character| Val::from(u32::from(character) as usize);
    let points = text.chars().map(point).collect();
    Ok(Bounded::container(Val::Arr(Rc::new(points)), 1))
}

fn implode(value: &Bounded) -> ValR<Bounded> {
    let Val::Arr(items) = value.val() else {
        return Err(refused("implode", "an array of code points", value));
    };
    fuel::allocate(items.len().saturating_mul(4)).map_err(spent)?;
    let character = |item: &Val| match item {
        Val::Num(Num::Int(point)) => u32::try_from(*point).ok().and_then(char::from_u32),
        _ => None,
    };
    let text: Option<String> = items.iter().map(character).collect();
    match text {
        Some(text) => Ok(Bounded::text(text)),
        None => Err(refused("implode", "an array of code points", value)),
    }
}

/// Joins strings; null counts as empty, numbers and booleans as their JSON.
fn join(value: &Bounded, separator: &Bounded) -> ValR<Bounded> {
    let items: Vec<&Val> = match value.val() {
        Val::Arr(items) => items.iter().collect(),
        Val::Obj(entries) => entries.values().collect(),
        _ => return Err(error(format!("cannot iterate over {}", described(value)))),
    };
    let separator = match (separator.val(), separator.as_text()) {
        (_, Some(separator)) => separator,
        // As adding it to a string has it.
        (Val::Null, _) => "",
        _ if items.is_empty() => "",
        _ => return Err(refused("join", "a string to join by", separator)),
    };
    fuel::allocate(items.len().saturating_mul(size_of::<String>())).map_err(spent)?;
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        parts.push(match item {
            Val::Null => String::new(),
            Val::Bool(_) | Val::Num(_) => to_json(item).map_err(spent)?,
            Val::TStr(bytes) => {
                fuel::allocate(bytes.len()).map_err(spent)?;
                text_of(item).unwrap_or_default().to_owned()
            }
            _ => {
                let item = described(&value.part(item.clone()));
                return Err(error(format!("{item} cannot be joined to a string")));
            }
        });
    }
    let pieces = parts.iter().enumerate().flat_map(|(index, part)| {
        let separator = if index == 0 { "" } else { separator };
        [separator, part.as_str()]
    });
    concatenated(pieces).map_err(spent)
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn tsv(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

fn uri(text: &str) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| DIGITS[usize::from(half)];
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// What does not follow a percent sign as it should stays as it is.
fn urid(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn base64d(value: &Bounded) -> ValR<Bounded> {
    let Some(text) = value.as_text() else {
        return Err(refused("@base64d", "a string", value));
    };
    fuel::allocate(text.len()).map_err(spent)?;
    match LENIENT.decode(text.trim_end_matches('=')) {
        Ok(bytes) => Ok(Bounded::text(String::from_utf8_lossy(&bytes))),
        Err(_) => Err(error(format!(
            "{} is not valid base64 data",
            described(value)
        ))),
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for chunk in text.as_bytes().chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, at| {
            bits << 8 | u64::from(chunk.get(at).copied().unwrap_or(0))
        });
        let digits = (chunk.len() * 8).div_ceil(5);
        encoded.extend((0..8).map(
            |at| match BASE32.get((bits >> (35 - 5 * at) & 31) as usize) {
                Some(digit) if at < digits => char::from(*digit),
                _ => '=',
            },
        ));
    }
    encoded
}

fn base32d(value: &Bounded) -> ValR<Bounded> {
    let Some(text) = value.as_text() else {
        return Err(refused("@base32d", "a string", value));
    };
    fuel::allocate(text.len()).map_err(spent)?;
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let Some(digit) = (0..32).find(|at| BASE32[*at as usize] == digit) else {
            return Err(error(format!(
                "{} is not valid base32 data",
                described(value)
            )));
        };
        bits = (bits << 5 | digit) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    Ok(Bounded::text(String::from_utf8_lossy(&bytes)))
}
