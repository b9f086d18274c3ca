//! How much of each object a listing keeps.
//!
//! Expressions say what they can read (see [`crate::jq`]), so the rest of an object
//! need not be held, converted or dropped. The first objects of a listing stay
//! whole where people want to see examples of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Detail;
use crate::excerpt::{Excerpt, To};
use crate::mapping::{Consumer, RawBatch};

/// How the objects of one dataset are read; clones share what is left to be whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    excerpts: Option<Excerpts>,
    /// Objects that are still to be handed over whole.
    whole: Arc<AtomicUsize>,
}

/// What is kept of an answer.
#[derive(Clone, Debug)]
struct Excerpts {
    /// While some of its objects are to be whole.
    first: Arc<Excerpt>,
    then: Arc<Excerpt>,
}

/// Where an answer has its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is the list of them.
    Itself,
    /// The list is under some key.
    UnderKey,
}

/// A path into an object.
pub(super) type Path<'a> = Vec<To<'a>>;

impl Reading {
    /// Every object whole.
    pub(super) fn whole() -> Self {
        Self::default()
    }

    /// What is at these paths into each object.
    pub(super) fn of<'a>(
        detail: Detail,
        listed: Listed,
        paths: impl IntoIterator<Item = Path<'a>>,
    ) -> Self {
        let Detail::Read { whole_first } = detail else {
            return Self::whole();
        };
        let of_each = Excerpt::of(paths);
        if of_each.is_whole() {
            return Self::whole();
        }
        let answer = |whole_first| {
            let list = of_each.clone().listed(whole_first);
            Arc::new(match listed {
                Listed::Itself => list,
                Listed::UnderKey => list.held(),
            })
        };
        Self {
            excerpts: Some(Excerpts {
                first: answer(whole_first),
                then: answer(0),
            }),
            whole: Arc::new(AtomicUsize::new(whole_first)),
        }
    }

    /// What is to be kept of the next answer; none: all of it.
    pub(super) fn next(&self) -> Option<Arc<Excerpt>> {
        let excerpts = self.excerpts.as_ref()?;
        Some(Arc::clone(if self.is_past_the_first() {
            &excerpts.then
        } else {
            &excerpts.first
        }))
    }

    /// Whether every object is whole.
    pub(super) fn is_whole(&self) -> bool {
        self.excerpts.is_none()
    }

    /// Whether no object is whole any more.
    pub(super) fn is_past_the_first(&self) -> bool {
        self.excerpts.is_some() && self.whole.load(Ordering::Relaxed) == 0
    }

    /// Notes a page that was handed over.
    pub(super) fn handed_over(&self, batches: &[RawBatch]) {
        // A listing hands over one page at a time, so nobody writes in between.
        let left = self.whole.load(Ordering::Relaxed);
        if left > 0 {
            let count = batches.iter().map(|batch| batch.objects.len()).min();
            let left = left.saturating_sub(count.unwrap_or_default());
            self.whole.store(left, Ordering::Relaxed);
        }
    }
}

/// Every path that an expression of these consumers can read.
pub(super) fn paths(consumers: &[Consumer]) -> impl Iterator<Item = Path<'_>> {
    consumers.iter().flat_map(|consumer| {
        let mut paths = Vec::new();
        consumer.config.for_each_expression(&mut |expression| {
            paths.extend(expression.filter.reads().map(Iterator::collect::<Path<'_>>));
        });
        paths
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn page(objects: usize) -> RawBatch {
        RawBatch {
            objects: vec![Value::Null; objects],
            ..RawBatch::default()
        }
    }

    #[test]
    fn the_first_objects_of_every_view_are_whole() {
        let five_first = Detail::Read { whole_first: 5 };
        let reading = Reading::of(five_first, Listed::Itself, [vec![To::Key("id")]]);
        let listing = reading.clone();
        let first = reading.next();
        listing.handed_over(&[page(100), page(3)]);
        assert_eq!(reading.next(), first);
        assert!(!reading.is_past_the_first());
        listing.handed_over(&[page(100), page(3)]);
        assert_ne!(reading.next(), first);
        assert!(reading.is_past_the_first());
    }

    #[test]
    fn who_reads_everything_gets_everything() {
        let id = || vec![To::Key("id")];
        let nothing_first = Detail::Read { whole_first: 0 };
        let reading = Reading::of(nothing_first, Listed::UnderKey, [id(), vec![]]);
        assert!(reading.next().is_none());
        let reading = Reading::of(Detail::Whole, Listed::UnderKey, [id()]);
        assert!(reading.next().is_none());
        assert!(!reading.is_past_the_first());
        let reading = Reading::of(nothing_first, Listed::UnderKey, [id()]);
        assert!(reading.next().is_some());
    }
}
