//! Functions of any value: its size, its parts, its text as JSON.

use jaq_core::ValR;
use jaq_core::native::{bome, unary, v};
use jaq_json::{Num, Rc, Val};

use super::{Plain, refused};
use crate::jq::fuel;
use crate::jq::value::{
    Bounded, compare, concatenated, described, equal, error, spent, text_of, to_f64,
};

pub(super) fn functions() -> Box<[Plain]> {
    let plain: Box<[Plain]> = Box::new([
        ("type", v(0), |cv| bome(Ok(Bounded::text(cv.1.type_name())))),
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("has", v(1), |cv| unary(cv, |value, key| has(&value, &key))),
        ("contains", v(1), |cv| {
            unary(cv, |value, part| contains(&value, &part))
        }),
        ("indices", v(1), |cv| {
            unary(cv, |value, part| match value.val() {
                Val::Null => Ok(Bounded::default()),
                _ => value.indices(&part),
            })
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |value, target| search(&value, &target))
        }),
        ("tojson", v(0), |cv| bome(cv.1.json().map_err(spent))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("__tonumber", v(0), |cv| bome(to_number(&cv.1))),
        ("__add", v(0), |cv| bome(add(cv.1))),
        ("__isnan", v(0), |cv| {
            bome(Ok(cv.1.as_number().is_some_and(f64::is_nan).into()))
        }),
        ("__nan", v(0), |_| bome(Ok(f64::NAN.into()))),
        ("__infinite", v(0), |_| bome(Ok(f64::INFINITY.into()))),
    ]);
    plain
}

fn length(value: &Bounded) -> ValR<Bounded> {
    Ok(match value.val() {
        Val::Null => 0_usize.into(),
        Val::Num(Num::Int(integer)) => integer.unsigned_abs().into(),
        Val::Num(number) => to_f64(number).abs().into(),
        Val::Arr(items) => items.len().into(),
        Val::Obj(entries) => entries.len().into(),
        Val::TStr(_) => value.as_text().unwrap_or_default().chars().count().into(),
        Val::Bool(_) | Val::BStr(_) => {
            return Err(error(format!("{} has no length", described(value))));
        }
    })
}

fn has(value: &Bounded, key: &Bounded) -> ValR<Bounded> {
    match (value.val(), key.val()) {
        // Null is an object or array that is not there, and so has nothing.
        (Val::Null, _) => Ok(false.into()),
        (Val::Obj(entries), key @ Val::TStr(_)) => Ok(entries.contains_key(key).into()),
        #[expect(clippy::cast_precision_loss, reason = "no array is that long")]
        (Val::Arr(items), Val::Num(index)) => {
            let index = to_f64(index);
            Ok((index >= 0.0 && index < items.len() as f64).into())
        }
        _ => Err(error(format!(
            "cannot check whether {} has a key of type {}",
            described(value),
            key.type_name()
        ))),
    }
}

fn contains(value: &Bounded, part: &Bounded) -> ValR<Bounded> {
    fn within(value: &Val, part: &Val) -> bool {
        if fuel::work(1).is_err() {
            return false;
        }
        match (value, part) {
            (Val::Obj(value), Val::Obj(part)) => part
                .iter()
                .all(|(key, part)| value.get(key).is_some_and(|value| within(value, part))),
            (Val::Arr(value), Val::Arr(part)) => part
                .iter()
                .all(|part| value.iter().any(|value| within(value, part))),
            (Val::TStr(_), Val::TStr(_)) => text_of(value)
                .unwrap_or_default()
                .contains(text_of(part).unwrap_or_default()),
            _ => equal(value, part),
        }
    }
    if value.type_name() == part.type_name() {
        return Ok(within(value.val(), part.val()).into());
    }
    Err(error(format!(
        "{} and {} cannot have their containment checked",
        described(value),
        described(part)
    )))
}

impl Bounded {
    /// Where a part begins: in a string counted in characters, in an array for
    /// a run of elements or a single one.
    pub(in crate::jq) fn indices(&self, part: &Self) -> ValR<Self> {
        match (self.val(), part.val()) {
            (Val::TStr(_), Val::TStr(_)) => {
                let text = self.as_text().unwrap_or_default();
                let part = part.as_text().unwrap_or_default();
                Ok(occurrences(text, part))
            }
            (Val::Arr(items), Val::Arr(part)) if !part.is_empty() => Ok(items
                .windows(part.len())
                .enumerate()
                .filter(|(_, run)| run.iter().zip(part.iter()).all(|(a, b)| equal(a, b)))
                .map(|(index, _)| Self::from(index))
                .collect()),
            (Val::Arr(_), Val::Arr(_)) => Ok(Self::default()),
            (Val::Arr(items), part) => Ok(items
                .iter()
                .enumerate()
                .filter(|(_, item)| equal(item, part))
                .map(|(index, _)| Self::from(index))
                .collect()),
            _ => Err(error(format!(
                "cannot look for {} in {}",
                described(part),
                described(self)
            ))),
        }
    }
}

/// Overlapping occurrences count.
fn occurrences(text: &str, part: &str) -> Bounded {
    if part.is_empty() {
        return Bounded::default();
    }
    text.char_indices()
        .enumerate()
        .filter(|(_, (at, _))| text[*at..].starts_with(part))
        .map(|(index, _)| Bounded::from(index))
        .collect()
}

#[expect(clippy::cast_possible_wrap, reason = "no array is that long")]
fn search(value: &Bounded, target: &Bounded) -> ValR<Bounded> {
    let Val::Arr(items) = value.val() else {
        return Err(refused("bsearch", "an array", value));
    };
    let found = items.binary_search_by(|item| compare(item, target.val()));
    Ok(Bounded::from(match found {
        Ok(index) => index as isize,
        Err(index) => -1 - index as isize,
    }))
}

/// JSON as the standard has it: one value, and nested no deeper than its
/// parser allows.
fn from_json(value: &Bounded) -> ValR<Bounded> {
    let Some(text) = value.as_text() else {
        return Err(refused("fromjson", "a string", value));
    };
    // A parsed value takes several times the memory of its text.
    fuel::allocate(text.len().saturating_mul(16)).map_err(spent)?;
    match serde_json::from_str::<Val>(text) {
        Ok(parsed) => Ok(Bounded::input(parsed)),
        Err(_) if text == "nan" => Ok(f64::NAN.into()),
        Err(cause) => Err(error(format!("{} is not JSON: {cause}", described(value)))),
    }
}

/// A number and nothing around it. More is understood than in JSON: `07` of a
/// date, `+1`, `.5`.
fn to_number(value: &Bounded) -> ValR<Bounded> {
    let text = value.as_text().unwrap_or_default();
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    // What JSON has keeps every digit of an integer.
    let number = is_number
        .then(|| match serde_json::from_str(text) {
            Ok(number) => Some(Bounded::scalar(crate::jq::convert::number(&number))),
            Err(_) => text.parse().ok().map(|float: f64| float.into()),
        })
        .flatten();
    number.ok_or_else(|| error(format!("{} cannot be parsed as a number", described(value))))
}

/// The sum of an array's or object's values. Strings and arrays are joined at
/// once: adding one by one copies what was added so far each time.
fn add(value: Bounded) -> ValR<Bounded> {
    if let Val::Arr(items) = value.val() {
        if !items.is_empty()
            && items
                .iter()
                .all(|item| matches!(item, Val::TStr(_) | Val::Null))
            && items.iter().any(|item| matches!(item, Val::TStr(_)))
        {
            return concatenated(items.iter().filter_map(text_of)).map_err(spent);
        }
        if !items.is_empty() && items.iter().all(|item| matches!(item, Val::Arr(_))) {
            let parts = || {
                items.iter().filter_map(|item| match item {
                    Val::Arr(part) => Some(part),
                    _ => None,
                })
            };
            let total: usize = parts().map(|part| part.len()).sum();
            fuel::allocate(total.saturating_mul(size_of::<Val>())).map_err(spent)?;
            let joined = parts().flat_map(|part| part.iter().cloned()).collect();
            return Ok(value.part(Val::Arr(Rc::new(joined))));
        }
    }
    jaq_core::ValT::values(value).try_fold(Bounded::default(), |sum, item| {
        fuel::work(1).map_err(spent)?;
        sum + item?
    })
}
