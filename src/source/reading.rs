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
    excerpt: Option<Arc<Excerpt>>,
    /// Objects that are still to be handed over whole.
    whole: Arc<AtomicUsize>,
}

/// A path into an object.
pub(super) type Path<'a> = Vec<To<'a>>;

impl Reading {
    /// Every object whole.
    pub(super) fn whole() -> Self {
        Self::default()
    }

    /// What is at these paths into each object. `levels`: how deep in an answer the
    /// objects are (see [`Excerpt::below`]).
    pub(super) fn of<'a>(
        detail: Detail,
        levels: usize,
        paths: impl IntoIterator<Item = Path<'a>>,
    ) -> Self {
        let Detail::Read { whole_first } = detail else {
            return Self::whole();
        };
        let excerpt = Excerpt::of(paths);
        Self {
            excerpt: (!excerpt.is_whole()).then(|| Arc::new(excerpt.below(levels))),
            whole: Arc::new(AtomicUsize::new(whole_first)),
        }
    }

    /// What is to be kept of the next answer; none: all of it.
    pub(super) fn next(&self) -> Option<Arc<Excerpt>> {
        let may_leave_out = self.whole.load(Ordering::Relaxed) == 0;
        self.excerpt.clone().filter(|_| may_leave_out)
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
        let reading = Reading::of(Detail::Read { whole_first: 5 }, 1, [vec![To::Key("id")]]);
        assert!(reading.next().is_none());
        let listing = reading.clone();
        listing.handed_over(&[page(100), page(3)]);
        assert!(reading.next().is_none());
        listing.handed_over(&[page(100), page(3)]);
        assert!(reading.next().is_some());
    }

    #[test]
    fn who_reads_everything_gets_everything() {
        let nothing_first = Detail::Read { whole_first: 0 };
        let reading = Reading::of(nothing_first, 1, [vec![To::Key("id")], vec![]]);
        assert!(reading.next().is_none());
        let reading = Reading::of(Detail::Whole, 1, [vec![To::Key("id")]]);
        assert!(reading.next().is_none());
        assert!(
            Reading::of(nothing_first, 1, [vec![To::Key("id")]])
                .next()
                .is_some()
        );
    }
}
