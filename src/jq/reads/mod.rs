//! Which parts of its input an expression may look at.
//!
//! Some data is expensive to fetch, so it is fetched only when a mapping can
//! see it. This is found by following values through the parsed expression:
//! where a value came from the input, its path is known, and what happens to
//! it says how much of it is looked at. Whatever is not understood counts as
//! looking at everything: an answer of "no" must be certain, while a needless
//! "yes" only costs a request.
//!
//! Looking comes in two kinds. A glance tells a value's type, its truth or its
//! length, or whether it is there; a scalar is seen by a glance. A value that
//! is looked at whole is compared, written or handed on, and everything below
//! it counts as read.

mod calls;
mod flow;
mod origin;

use std::borrow::Cow;
use std::collections::BTreeSet;

use jaq_core::load::parse::Term;

use self::flow::Flow;
pub(super) use self::origin::Key;
use self::origin::Origin;
use super::Step;

/// What an expression looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Looked at whole, save for what was removed or replaced before.
    whole: BTreeSet<Origin>,
    glanced: BTreeSet<Vec<Key>>,
}

impl Reads {
    pub(super) fn of(term: &Term<&str>) -> Self {
        Flow::through(term)
    }

    pub(super) fn may_read(&self, path: &[Step]) -> bool {
        self.glanced.iter().any(|glanced| is_above(path, glanced))
            || self.whole.iter().any(|origin| {
                is_above(path, &origin.path)
                    || (is_below(path, &origin.path)
                        && !origin
                            .except
                            .iter()
                            .any(|except| leads_into(&path[origin.path.len()..], except)))
            })
    }
}

impl Reads {
    /// Every path that is looked at.
    pub(super) fn paths(&self) -> impl Iterator<Item = &[Key]> {
        let whole = self.whole.iter().map(|origin| origin.path.as_slice());
        whole.chain(self.glanced.iter().map(Vec::as_slice))
    }

    /// The same, as others speak of paths, and whether what is below counts.
    pub(super) fn steps(&self) -> Vec<(Vec<Step>, bool)> {
        let step = |key: &Key| match key {
            Key::Named(name) => Step::Key(Cow::Owned(name.clone())),
            Key::Any => Step::Each,
        };
        let steps = |path: &[Key]| path.iter().map(step).collect();
        let whole = self.whole.iter().map(|origin| (steps(&origin.path), true));
        let glanced = self.glanced.iter().map(|path| (steps(path), false));
        whole.chain(glanced).collect()
    }
}

/// Whether a step that was recorded may be the one that is asked for.
fn may_be(key: &Key, step: &Step) -> bool {
    match (key, step) {
        (Key::Any, _) | (_, Step::Each) => true,
        (Key::Named(name), Step::Key(key)) => name == key,
    }
}

/// Whether what is asked for is, or contains, what was recorded.
fn is_above(asked: &[Step], recorded: &[Key]) -> bool {
    asked.len() <= recorded.len()
        && recorded
            .iter()
            .zip(asked)
            .all(|(key, step)| may_be(key, step))
}

/// Whether what is asked for is, or is within, what was recorded.
fn is_below(asked: &[Step], recorded: &[Key]) -> bool {
    recorded.len() <= asked.len()
        && recorded
            .iter()
            .zip(asked)
            .all(|(key, step)| may_be(key, step))
}

/// Whether `asked` certainly is, or is within, the part named by `except`.
fn leads_into(asked: &[Step], except: &[String]) -> bool {
    except.len() <= asked.len()
        && except
            .iter()
            .zip(asked)
            .all(|(name, step)| matches!(step, Step::Key(key) if key == name))
}

#[cfg(test)]
mod tests;
