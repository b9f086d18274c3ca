//! How what goes wrong says which components of the status pages it concerns.
//!
//! Of what is open every second is tagged, beginning with the first, each in
//! its turn in another of the ways in which monitors do it. Chance has no part
//! in it: whatever the seed, there is something of each.

/// No more than so many of a vendor's in one state are tagged, however many there are.
const MOST: usize = 60;

/// The ways of naming components.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// One text with all tags of the monitor, as Datadog sends it.
    Text,
    /// A list of tags, as Pingdom sends it.
    List,
    /// A line of an e-mail.
    Mail,
}

/// Which components something names, and how.
pub(super) struct Tagged {
    pub(super) style: Style,
    pub(super) components: Vec<String>,
}

/// Hands out the components one after the other.
pub(super) struct Tags<'a> {
    watched: Vec<&'a String>,
    given: usize,
}

impl<'a> Tags<'a> {
    /// Only every third component is handed out: on no page should everything
    /// be broken at once. `from` keeps those who hand them out side by side apart.
    pub(super) fn new(watched: &'a [String], from: usize) -> Self {
        Self {
            watched: watched.iter().skip(from).step_by(3).collect(),
            given: 0,
        }
    }

    /// The components of the open incident or alert of that number among those
    /// in its state.
    pub(super) fn of(&mut self, number: usize) -> Option<Tagged> {
        let turn = number / 2;
        if !number.is_multiple_of(2) || turn >= MOST || self.watched.is_empty() {
            return None;
        }
        // Every fourth concerns two components at once.
        let count = if turn % 4 == 3 { 2 } else { 1 };
        let components = (0..count).map(|_| {
            let component = self.watched[self.given % self.watched.len()];
            self.given += 1;
            component.clone()
        });
        Some(Tagged {
            components: components.collect(),
            style: [Style::Text, Style::List, Style::Mail][turn % 3],
        })
    }
}
