//! The order of values: null, booleans, numbers, strings, arrays, objects.
//!
//! Parts of a value may be shared, so that what is small in memory can be
//! endless to walk; every comparison is therefore counted as work.

use std::cmp::Ordering;

use jaq_json::{Map, Val};

use super::{Bounded, text_of, to_f64};
use crate::jq::fuel;

/// Compares two values. When the means for it are spent the answer is
/// arbitrary, and so is the outcome of the evaluation, which is dropped.
pub(in crate::jq) fn compare(left: &Val, right: &Val) -> Ordering {
    if fuel::work(1).is_err() {
        return Ordering::Equal;
    }
    match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => left.cmp(right),
        (Val::Num(left), Val::Num(right)) => numbers(to_f64(left), to_f64(right)),
        (Val::TStr(_), Val::TStr(_)) => text_of(left).cmp(&text_of(right)),
        (Val::Arr(left), Val::Arr(right)) => left
            .iter()
            .zip(right.iter())
            .map(|(left, right)| compare(left, right))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.len().cmp(&right.len())),
        (Val::Obj(left), Val::Obj(right)) => objects(left, right),
        _ => rank(left).cmp(&rank(right)),
    }
}

pub(in crate::jq) fn equal(left: &Val, right: &Val) -> bool {
    match (left, right) {
        // Cheaper than sorting the keys of both.
        (Val::Obj(left), Val::Obj(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => compare(left, right).is_eq(),
    }
}

fn rank(val: &Val) -> u8 {
    match val {
        Val::Null => 0,
        Val::Bool(_) => 1,
        Val::Num(_) => 2,
        Val::BStr(_) | Val::TStr(_) => 3,
        Val::Arr(_) => 4,
        Val::Obj(_) => 5,
    }
}

/// What is not a number is less than every number, itself included.
fn numbers(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or(if left.is_nan() {
        Ordering::Less
    } else {
        Ordering::Greater
    })
}

/// Objects are ordered by their sorted keys first, then by the values.
fn objects(left: &Map, right: &Map) -> Ordering {
    fn sorted(entries: &Map) -> Vec<(Option<&str>, &Val)> {
        let mut sorted: Vec<_> = entries
            .iter()
            .map(|(key, value)| (text_of(key), value))
            .collect();
        sorted.sort_by_key(|(key, _)| *key);
        sorted
    }
    if fuel::work(left.len() + right.len()).is_err() {
        return Ordering::Equal;
    }
    let (left, right) = (sorted(left), sorted(right));
    let keys = |entries: &[(Option<&str>, &Val)]| -> Vec<Option<String>> {
        entries
            .iter()
            .map(|(key, _)| key.map(str::to_owned))
            .collect()
    };
    keys(&left).cmp(&keys(&right)).then_with(|| {
        left.iter()
            .zip(&right)
            .map(|((_, left), (_, right))| compare(left, right))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        equal(self.val(), other.val())
    }
}

impl Eq for Bounded {}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bounded {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.val(), other.val())
    }
}
