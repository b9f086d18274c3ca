//! What is observed of the writes, for tests to look at afterwards.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::{Statuspage, stamp, text_at};

/// A sandbox may run for days: beyond so many the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// An update that was sent to the subscribers of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The identifier of the incident.
    pub incident: String,
    /// The identifier of the update.
    pub update: String,
    /// What it said.
    pub body: String,
}

#[derive(Default)]
pub(super) struct Watch {
    pub(super) notifications: VecDeque<Notification>,
    pub(super) overlaps: VecDeque<String>,
}

impl Watch {
    pub(super) fn deliver(&mut self, incident: &str, update: &Value) {
        let notification = Notification {
            incident: incident.to_owned(),
            update: text_at(update, "id").to_owned(),
            body: text_at(update, "body").to_owned(),
        };
        push(&mut self.notifications, notification);
    }
}

impl Statuspage {
    /// Looks for components that several of the program's incidents hold. Called
    /// after every write, while nobody else can write.
    pub(super) fn look(&mut self) {
        let mut holders: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for row in self.table("incident").rows() {
            if !(row.facts.own && row.facts.unresolved()) {
                continue;
            }
            for (component, _) in &row.facts.components {
                let held = holders.entry((&row.facts.page, component)).or_default();
                held.push(&row.id);
            }
        }
        holders.retain(|_, incidents| incidents.len() > 1);
        let now = stamp(self.clock.now());
        let sentences: Vec<_> = holders
            .into_iter()
            .map(|((page, component), incidents)| {
                let incidents = incidents.join(", ");
                format!("At {now} several incidents held {component} of {page}: {incidents}")
            })
            .collect();
        for sentence in sentences {
            push(&mut self.watch.overlaps, sentence);
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == REMEMBERED {
        list.pop_front();
    }
    list.push_back(item);
}
