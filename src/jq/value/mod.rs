//! A value as expressions see it.
//!
//! The engine brings a value type whose rules are its own: integers of any
//! size, keys of any type, updates that stop at null. [`Bounded`] wraps it and
//! answers every question the engine asks by jq's rules instead, within the
//! limits of the evaluation: what an operator builds is paid for before it is
//! built, and no value is nested deeper than recursion over it can bear.

mod json;
mod operators;
mod order;

use std::fmt;

use jaq_core::path::Opt;
use jaq_core::{ValR, ValX, val};
use jaq_json::{Map, Num, Rc, Val};

pub(super) use json::{excerpt, to_json};
pub(super) use operators::{concatenated, number};
pub(super) use order::{compare, equal};

use super::fuel;

/// How deeply values may be nested. No source comes near it; recursion over
/// a value (comparing, writing, dropping) takes stack by this much at most.
pub(super) const VALUE_DEPTH: u32 = 1_000;

/// How deeply the input of an evaluation is assumed to be nested.
const INPUT_DEPTH: u32 = 512;

pub(super) type Error = jaq_core::Error<Bounded>;

pub(super) fn error(message: impl Into<String>) -> Error {
    Error::new(Bounded::from(message.into()))
}

/// The error of a part that could not go on for want of means. What is said
/// here is never seen: the outcome of the evaluation is the limit that was hit.
pub(super) fn spent(_: fuel::Spent) -> Error {
    error("a limit was reached")
}

/// A value and an upper bound of how deeply it is nested.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounded {
    val: Val,
    depth: u32,
}

impl Bounded {
    /// The input of an evaluation.
    pub(super) fn input(val: Val) -> Self {
        Self::within(val, INPUT_DEPTH)
    }

    /// A value known to be nested no deeper than `depth`.
    pub(super) fn within(val: Val, depth: u32) -> Self {
        let depth = match val {
            Val::Arr(_) | Val::Obj(_) => depth.max(1),
            _ => 0,
        };
        Self { val, depth }
    }

    /// A string, number, boolean or null.
    pub(super) fn scalar(val: Val) -> Self {
        Self { val, depth: 0 }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::scalar(Val::utf8_str(text.into().into_bytes()))
    }

    pub(super) fn val(&self) -> &Val {
        &self.val
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn into_val(self) -> Val {
        self.val
    }

    /// A part of this value.
    pub(super) fn part(&self, val: Val) -> Self {
        Self::within(val, self.depth.saturating_sub(1))
    }

    /// An array or object that holds nothing nested deeper than `depth` - 1.
    pub(super) fn container(val: Val, depth: u32) -> Self {
        if depth <= VALUE_DEPTH {
            return Self { val, depth };
        }
        // The bound grows faster than the depth where parts of different
        // depths are taken from one value, so it is time to look.
        let depth = depth_of(&val, VALUE_DEPTH);
        if depth > VALUE_DEPTH {
            fuel::too_deep();
            return Self::default();
        }
        Self { val, depth }
    }

    pub(super) fn object(entries: Map, parts: u32) -> Self {
        Self::container(Val::obj(entries), parts + 1)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        text_of(&self.val)
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match &self.val {
            Val::Num(number) => Some(to_f64(number)),
            _ => None,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        type_name(&self.val)
    }
}

/// The text of a string. Strings hold valid UTF-8: they come from JSON, from
/// the text of expressions, or from functions of ours.
pub(super) fn text_of(val: &Val) -> Option<&str> {
    match val {
        Val::TStr(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

pub(super) fn to_f64(number: &Num) -> f64 {
    match number {
        #[expect(clippy::cast_precision_loss, reason = "jq counts in doubles")]
        Num::Int(integer) => *integer as f64,
        Num::Float(float) => *float,
        // Numbers beyond 64 bits: their decimal form is what they are made of.
        Num::BigInt(integer) => integer.to_string().parse().unwrap_or(f64::MAX),
        Num::Dec(text) => text.parse().unwrap_or(f64::NAN),
    }
}

pub(super) fn type_name(val: &Val) -> &'static str {
    match val {
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(_) => "number",
        Val::BStr(_) | Val::TStr(_) => "string",
        Val::Arr(_) => "array",
        Val::Obj(_) => "object",
    }
}

/// How deeply a value is nested, looking no further than one past `limit`.
fn depth_of(val: &Val, limit: u32) -> u32 {
    if limit == 0 || fuel::work(1).is_err() {
        return 1;
    }
    let deepest = |parts: &mut dyn Iterator<Item = &Val>| {
        let mut deepest = 0;
        for part in parts {
            deepest = deepest.max(depth_of(part, limit - 1));
            if deepest >= limit {
                break;
            }
        }
        deepest + 1
    };
    match val {
        Val::Arr(items) => deepest(&mut items.iter()),
        Val::Obj(entries) => deepest(&mut entries.values()),
        _ => 0,
    }
}

fn unwrap<T: Clone>(shared: Rc<T>) -> T {
    Rc::try_unwrap(shared).unwrap_or_else(|shared| T::clone(&shared))
}

fn cannot_index(value: &Bounded, index: &Bounded) -> Error {
    let with = match index.val() {
        Val::TStr(_) => format!("with {}", excerpt(index.val())),
        _ => format!("with a value of type {}", index.type_name()),
    };
    error(format!("cannot index {} {with}", described(value)))
}

/// A value's type and, for all but null, the beginning of the value.
pub(super) fn described(value: &Bounded) -> String {
    match value.val() {
        Val::Null => "null".to_owned(),
        other => format!("{} ({})", type_name(other), excerpt(other)),
    }
}

/// Where an index counted from either end points to.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "saturating is what is wanted: no array is that long"
)]
pub(super) fn position(index: f64, length: usize) -> Option<usize> {
    let index = index.floor();
    if index.is_nan() {
        None
    } else if index < 0.0 {
        let from_end = index + length as f64;
        (from_end >= 0.0).then_some(from_end as usize)
    } else {
        Some(index as usize)
    }
}

/// Start and end of a slice, clipped to `length`.
pub(super) fn bounds(range: &val::Range<&Bounded>, length: usize) -> Result<(usize, usize), Error> {
    let bound = |bound: Option<&Bounded>, default: usize, round: fn(f64) -> f64| match bound {
        None => Ok(default),
        Some(bound) => match (bound.val(), bound.as_number()) {
            (Val::Null, _) => Ok(default),
            (_, Some(number)) => Ok(position(round(number), length).unwrap_or(0).min(length)),
            _ => Err(error("start and end of a slice must be numbers")),
        },
    };
    let start = bound(range.start, 0, f64::floor)?;
    let end = bound(range.end, length, f64::ceil)?;
    Ok((start, end.max(start)))
}

/// Byte positions of a slice counted in characters.
fn character_bounds(text: &str, start: usize, end: usize) -> (usize, usize) {
    let byte = |character: usize| {
        text.char_indices()
            .nth(character)
            .map_or(text.len(), |(at, _)| at)
    };
    (byte(start), byte(end))
}

fn slice_of(range: &Map) -> val::Range<Bounded> {
    let bound = |key: &str| {
        range
            .get(&Val::utf8_str(key.as_bytes().to_vec()))
            .cloned()
            .map(Bounded::scalar)
    };
    bound("start")..bound("end")
}

impl jaq_core::ValT for Bounded {
    fn from_num(text: &str) -> ValR<Self> {
        Ok(Self::scalar(json::number(text)))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(iter: I) -> ValR<Self> {
        let mut depth = 0;
        let mut entries = Map::default();
        for (key, value) in iter {
            if key.as_text().is_none() {
                let key = described(&key);
                return Err(error(format!("cannot use {key} as the key of an object")));
            }
            depth = depth.max(value.depth);
            entries.insert(key.val, value.val);
        }
        Ok(Self::object(entries, depth))
    }

    fn key_values(self) -> jaq_core::box_iter::BoxIter<'static, ValR<(Self, Self), Self>> {
        let within = self.depth.saturating_sub(1);
        match self.val {
            Val::Arr(items) => Box::new(
                unwrap(items)
                    .into_iter()
                    .enumerate()
                    .map(move |(index, item)| Ok((Self::from(index), Self::within(item, within)))),
            ),
            Val::Obj(entries) => Box::new(
                unwrap(entries)
                    .into_iter()
                    .map(move |(key, value)| Ok((Self::scalar(key), Self::within(value, within)))),
            ),
            _ => Box::new(std::iter::once(Err(error(format!(
                "cannot iterate over {}",
                described(&self)
            ))))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        Box::new(self.key_values().map(|entry| entry.map(|(_, value)| value)))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        Ok(match (&self.val, &index.val) {
            (Val::Null, Val::Null | Val::Num(_) | Val::TStr(_)) => Self::default(),
            (Val::Obj(entries), key @ Val::TStr(_)) => match entries.get(key) {
                Some(value) => self.part(value.clone()),
                None => Self::default(),
            },
            (Val::Arr(items), Val::Num(number)) => position(to_f64(number), items.len())
                .and_then(|at| items.get(at))
                .map_or_else(Self::default, |item| self.part(item.clone())),
            (Val::Arr(_), Val::Arr(_)) => return self.indices(index),
            (Val::Null | Val::Arr(_) | Val::TStr(_), Val::Obj(range)) => {
                let range = slice_of(range);
                return self.range(range.start.as_ref()..range.end.as_ref());
            }
            _ => return Err(cannot_index(&self, index)),
        })
    }

    fn range(self, range: val::Range<&Self>) -> ValR<Self> {
        match &self.val {
            Val::Null => Ok(Self::default()),
            Val::Arr(items) => {
                let (start, end) = bounds(&range, items.len())?;
                fuel::allocate((end - start) * size_of::<Val>()).map_err(spent)?;
                let items = Val::Arr(Rc::new(items[start..end].to_vec()));
                Ok(Self::within(items, self.depth))
            }
            Val::TStr(bytes) => {
                let text = self.as_text().unwrap_or_default();
                let (start, end) = bounds(&range, text.chars().count())?;
                let (start, end) = character_bounds(text, start, end);
                Ok(Self::scalar(Val::utf8_str(bytes.slice(start..end))))
            }
            _ => Err(error(format!("cannot slice {}", described(&self)))),
        }
    }

    // The engine's own updates are never used: assignments are rewritten to
    // functions that follow paths one by one, as jq does.
    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Err(error("this update is not supported").into())
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: &Self,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Err(error("this update is not supported").into())
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: val::Range<&Self>,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Err(error("this update is not supported").into())
    }

    fn as_bool(&self) -> bool {
        !matches!(self.val, Val::Null | Val::Bool(false))
    }

    fn into_string(self) -> Self {
        match self.val {
            Val::TStr(_) => self,
            // When the text is too long the limit was noted.
            other => to_json(&other).map_or_else(|_| Self::default(), Self::text),
        }
    }
}

impl jaq_std::ValT for Bounded {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        let within = self.depth.saturating_sub(1);
        match self.val {
            Val::Arr(items) if fuel::allocate(items.len() * size_of::<Self>()).is_ok() => {
                Ok(unwrap(items)
                    .into_iter()
                    .map(|item| Self::within(item, within))
                    .collect())
            }
            _ => Err(self),
        }
    }

    fn is_int(&self) -> bool {
        self.as_number().is_some_and(|number| number.fract() == 0.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers that doubles hold exactly get this far"
    )]
    fn as_isize(&self) -> Option<isize> {
        match &self.val {
            Val::Num(Num::Int(integer)) => Some(*integer),
            Val::Num(other) => Some(to_f64(other))
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
                .map(|number| number as isize),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_number()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self.val, Val::TStr(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match &self.val {
            Val::TStr(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        match &self.val {
            Val::TStr(bytes) => Self::scalar(Val::utf8_str(bytes.slice_ref(sub))),
            _ => Self::default(),
        }
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(bytes.as_ref()))
    }
}

impl fmt::Display for Bounded {
    /// Shows the beginning only: messages are what this is for.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&match self.as_text() {
            Some(text) => json::shortened(text),
            None => excerpt(&self.val),
        })
    }
}

impl From<bool> for Bounded {
    fn from(value: bool) -> Self {
        Self::scalar(Val::Bool(value))
    }
}

impl From<isize> for Bounded {
    fn from(value: isize) -> Self {
        Self::scalar(Val::Num(Num::Int(value)))
    }
}

impl From<usize> for Bounded {
    fn from(value: usize) -> Self {
        Self::scalar(Val::Num(Num::from_integral(value)))
    }
}

impl From<f64> for Bounded {
    fn from(value: f64) -> Self {
        Self::scalar(number(value))
    }
}

impl From<String> for Bounded {
    fn from(value: String) -> Self {
        Self::text(value)
    }
}

impl From<val::Range<Self>> for Bounded {
    fn from(range: val::Range<Self>) -> Self {
        let bound = |key: &str, bound: Option<Self>| {
            let key = Val::utf8_str(key.as_bytes().to_vec());
            (key, bound.map_or(Val::Null, Self::into_val))
        };
        let entries = [bound("start", range.start), bound("end", range.end)];
        Self::object(entries.into_iter().collect(), 0)
    }
}

impl FromIterator<Self> for Bounded {
    fn from_iter<T: IntoIterator<Item = Self>>(iter: T) -> Self {
        const CHUNK: usize = 256;
        let mut depth = 0;
        let mut items = Vec::new();
        for item in iter {
            // Once nothing may be allocated any more, what follows is moot.
            if items.len() % CHUNK == CHUNK - 1 && fuel::allocate(CHUNK * size_of::<Val>()).is_err()
            {
                break;
            }
            depth = depth.max(item.depth);
            items.push(item.val);
        }
        Self::container(Val::Arr(Rc::new(items)), depth + 1)
    }
}
