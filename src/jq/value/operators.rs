//! `+ - * / %` by jq's rules: doubles only, null as the neutral element of
//! `+`, and everything that is built paid for first.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::ValR;
use jaq_json::{Map, Num, Rc, Val};

use super::{Bounded, compare, described, error, spent, text_of, to_f64, unwrap};
use crate::jq::fuel::{self, Spent};

/// Whole numbers up to here are written without an exponent.
const WHOLE: f64 = 1e17;

/// The result of a calculation as a number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers below 1e17 fit"
)]
pub(in crate::jq) fn number(value: f64) -> Val {
    Val::Num(if value.fract() == 0.0 && value.abs() < WHOLE {
        Num::Int(value as isize)
    } else {
        Num::Float(value)
    })
}

fn cannot(verb: &str, left: &Bounded, right: &Bounded) -> super::Error {
    let (left, right) = (described(left), described(right));
    error(format!("{left} and {right} cannot be {verb}"))
}

fn calculated(value: f64) -> Bounded {
    Bounded::scalar(number(value))
}

impl Add for Bounded {
    type Output = ValR<Self>;

    fn add(self, right: Self) -> ValR<Self> {
        let depth = self.depth.max(right.depth);
        match (self.val, right.val) {
            (Val::Null, val) | (val, Val::Null) => Ok(Self { val, depth }),
            (Val::Num(left), Val::Num(right)) => Ok(calculated(to_f64(&left) + to_f64(&right))),
            (Val::TStr(left), Val::TStr(right)) => {
                fuel::allocate(left.len() + right.len()).map_err(spent)?;
                let mut text = Vec::with_capacity(left.len() + right.len());
                text.extend_from_slice(&left);
                text.extend_from_slice(&right);
                Ok(Self::scalar(Val::utf8_str(text)))
            }
            (Val::Arr(left), Val::Arr(right)) => {
                fuel::allocate((left.len() + right.len()) * size_of::<Val>()).map_err(spent)?;
                let mut items = unwrap(left);
                items.extend(right.iter().cloned());
                Ok(Self::container(Val::Arr(Rc::new(items)), depth))
            }
            (Val::Obj(left), Val::Obj(right)) => {
                let mut entries = paid(left, right.len()).map_err(spent)?;
                entries.extend(unwrap(right));
                Ok(Self::container(Val::obj(entries), depth))
            }
            (left, right) => Err(cannot("added", &Self::scalar(left), &Self::scalar(right))),
        }
    }
}

/// The entries of an object that is about to grow, for changing.
fn paid(entries: Rc<Map>, more: usize) -> Result<Map, Spent> {
    fuel::allocate((entries.len() + more) * 4 * size_of::<Val>())?;
    Ok(unwrap(entries))
}

/// Many strings as one, at the price of the result only.
pub(in crate::jq) fn concatenated<'a>(
    parts: impl Iterator<Item = &'a str> + Clone,
) -> Result<Bounded, Spent> {
    let length = parts.clone().map(str::len).sum();
    fuel::allocate(length)?;
    let mut text = String::with_capacity(length);
    text.extend(parts);
    Ok(Bounded::text(text))
}

impl Sub for Bounded {
    type Output = ValR<Self>;

    fn sub(self, right: Self) -> ValR<Self> {
        match (&self.val, &right.val) {
            (Val::Num(left), Val::Num(right)) => Ok(calculated(to_f64(left) - to_f64(right))),
            (Val::Arr(items), Val::Arr(removed)) => {
                let total = items.len() + removed.len();
                fuel::allocate(total * size_of::<Val>()).map_err(spent)?;
                let mut removed: Vec<&Val> = removed.iter().collect();
                removed.sort_by(|left, right| compare(left, right));
                let kept = items
                    .iter()
                    .filter(|item| {
                        removed
                            .binary_search_by(|other| compare(other, item))
                            .is_err()
                    })
                    .cloned()
                    .collect();
                Ok(Self::within(Val::Arr(Rc::new(kept)), self.depth))
            }
            _ => Err(cannot("subtracted", &self, &right)),
        }
    }
}

impl Mul for Bounded {
    type Output = ValR<Self>;

    fn mul(self, right: Self) -> ValR<Self> {
        let depth = self.depth.max(right.depth);
        match (&self.val, &right.val) {
            (Val::Num(left), Val::Num(right)) => {
                return Ok(calculated(to_f64(left) * to_f64(right)));
            }
            (text @ Val::TStr(_), Val::Num(times)) | (Val::Num(times), text @ Val::TStr(_)) => {
                return repeated(text_of(text).unwrap_or_default(), to_f64(times));
            }
            (Val::Obj(_), Val::Obj(_)) => {}
            _ => return Err(cannot("multiplied", &self, &right)),
        }
        match (self.val, right.val) {
            (Val::Obj(left), Val::Obj(right)) => {
                let merged = merged(left, right).map_err(spent)?;
                Ok(Self::container(Val::Obj(merged), depth))
            }
            _ => Ok(Self::default()),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative numbers were answered before, large ones saturate and are refused"
)]
fn repeated(text: &str, times: f64) -> ValR<Bounded> {
    if times < 0.0 || times.is_nan() {
        return Ok(Bounded::default());
    }
    let times = times as usize;
    fuel::allocate(text.len().saturating_mul(times)).map_err(spent)?;
    Ok(Bounded::text(text.repeat(times)))
}

/// Objects merged deeply: where both hold an object under a key, these are
/// merged, else the right one's value stands.
fn merged(left: Rc<Map>, right: Rc<Map>) -> Result<Rc<Map>, Spent> {
    let mut entries = paid(left, right.len())?;
    for (key, value) in unwrap(right) {
        let value = match (entries.get(&key), value) {
            (Some(Val::Obj(left)), Val::Obj(right)) => Val::Obj(merged(left.clone(), right)?),
            (_, value) => value,
        };
        entries.insert(key, value);
    }
    Ok(Rc::new(entries))
}

impl Div for Bounded {
    type Output = ValR<Self>;

    fn div(self, right: Self) -> ValR<Self> {
        match (&self.val, &right.val) {
            (Val::Num(dividend), Val::Num(divisor)) => {
                let divisor = to_f64(divisor);
                if divisor == 0.0 {
                    return Err(cannot("divided because the divisor is zero", &self, &right));
                }
                Ok(calculated(to_f64(dividend) / divisor))
            }
            (Val::TStr(_), Val::TStr(_)) => self.split(&right).map_err(spent),
            _ => Err(cannot("divided", &self, &right)),
        }
    }
}

impl Bounded {
    /// The parts of a string between the occurrences of another.
    pub(in crate::jq) fn split(&self, separator: &Self) -> Result<Self, Spent> {
        let (Val::TStr(bytes), Some(text), Some(separator)) =
            (self.val(), self.as_text(), separator.as_text())
        else {
            return Ok(Self::default());
        };
        let part = |part: &str| Self::scalar(Val::utf8_str(bytes.slice_ref(part.as_bytes())));
        // A part is a value and a header that shares the text.
        let price = |parts: usize| fuel::allocate(parts.saturating_mul(64));
        if text.is_empty() {
            Ok(std::iter::empty().collect())
        } else if separator.is_empty() {
            price(text.len())?;
            Ok(text
                .char_indices()
                .map(|(at, character)| part(&text[at..at + character.len_utf8()]))
                .collect())
        } else {
            price(text.matches(separator).count() + 1)?;
            Ok(text.split(separator).map(part).collect())
        }
    }
}

impl Rem for Bounded {
    type Output = ValR<Self>;

    /// Of whole numbers: fractions are cut off first.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "saturating and rounding are what jq does"
    )]
    fn rem(self, right: Self) -> ValR<Self> {
        let (Some(dividend), Some(divisor)) = (self.as_number(), right.as_number()) else {
            return Err(cannot("divided", &self, &right));
        };
        if dividend.is_nan() || divisor.is_nan() {
            return Ok(calculated(f64::NAN));
        }
        match (dividend as i64, divisor as i64) {
            (_, 0) => Err(cannot(
                "divided (remainder) because the divisor is zero",
                &self,
                &right,
            )),
            (dividend, divisor) => {
                let rest = dividend.unsigned_abs() % divisor.unsigned_abs();
                let rest = rest as f64;
                Ok(calculated(if dividend < 0 { -rest } else { rest }))
            }
        }
    }
}

impl Neg for Bounded {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match self.as_number() {
            Some(value) => Ok(calculated(-value)),
            None => Err(error(format!("{} cannot be negated", described(&self)))),
        }
    }
}
