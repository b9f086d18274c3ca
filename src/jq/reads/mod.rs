//! Which parts of its input an expression may look at.

use jaq_core::load::parse::Term;

use super::Step;

#[derive(Clone, Debug)]
pub(super) struct Reads;

impl Reads {
    pub(super) fn of(_: &Term<&str>) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "for now everything is read")]
    pub(super) fn may_read(&self, _: &[Step]) -> bool {
        true
    }
}
