//! Which public incidents there ought to be, going by the source incidents
//! alone. Pure: what is on the pages already, and what speaks against a change,
//! is for [`super::plan`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::alert::SourceId;
use super::config::{ComponentStatus, Group, Rule};
use super::model::{ComponentId, ObservedPage, PageId};
use super::record::Key;
use super::rules::Tagged;

/// A public incident that ought to be there, or to stay there.
#[derive(Clone, Debug)]
pub struct Desired {
    pub page: PageId,
    pub key: Key,
    /// The rule of the oldest source incident, which lends it the texts.
    pub rule: usize,
    pub components: BTreeMap<ComponentId, Wanted>,
    /// What it stands for, oldest first.
    pub sources: Vec<Arc<Tagged>>,
}

/// What is wanted of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The worst that a source incident says.
    pub status: ComponentStatus,
    /// Since when a source incident has been in a state that opens public
    /// incidents. None: what there is only keeps one open.
    pub opens_since: Option<Timestamp>,
}

/// A component that a source incident names and no page has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownComponent {
    pub name: String,
    pub source: SourceId,
}

/// What ought to be there.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Oldest first, so that who came first gets a component that two want.
    pub incidents: Vec<Desired>,
    pub unknown: Vec<UnknownComponent>,
}

/// From tagged source incidents to public ones.
pub fn desired(rules: &[Rule], tagged: Vec<Tagged>, pages: &[ObservedPage]) -> Wish {
    let directory = Directory::of(pages);
    let mut tagged: Vec<Arc<Tagged>> = tagged.into_iter().map(Arc::new).collect();
    tagged.sort_by(|one, other| age(one).cmp(&age(other)));

    let mut wish = Wish::default();
    let mut places: BTreeMap<(PageId, Key), usize> = BTreeMap::new();
    for tagged in tagged {
        let rule = &rules[tagged.rule];
        for name in &tagged.components {
            let found = directory.find(name, &rule.pages);
            if found.is_empty() {
                wish.unknown.push(UnknownComponent {
                    name: name.clone(),
                    source: tagged.incident.id.clone(),
                });
            }
            for (page, component) in found {
                let key = match rule.group {
                    Group::Component => Key::Component(component.clone()),
                    Group::Incident => Key::Incident(tagged.incident.id.clone()),
                };
                let place = *places
                    .entry((page.clone(), key.clone()))
                    .or_insert_with(|| {
                        wish.incidents.push(Desired {
                            page: page.clone(),
                            key,
                            rule: tagged.rule,
                            components: BTreeMap::new(),
                            sources: Vec::new(),
                        });
                        wish.incidents.len() - 1
                    });
                wish.incidents[place].want(component, &tagged);
            }
        }
    }
    wish
}

/// By creation, and among twins by name, so that the order never changes.
fn age(tagged: &Tagged) -> (Timestamp, &SourceId) {
    (tagged.incident.created, &tagged.incident.id)
}

impl Desired {
    fn want(&mut self, component: ComponentId, tagged: &Arc<Tagged>) {
        let opens_since = tagged.opens.then_some(tagged.incident.since);
        let wanted = self.components.entry(component).or_insert(Wanted {
            status: tagged.component_status,
            opens_since,
        });
        wanted.status = wanted.status.max(tagged.component_status);
        wanted.opens_since = match (wanted.opens_since, opens_since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let is_new = self
            .sources
            .last()
            .is_none_or(|last| last.incident.id != tagged.incident.id);
        if is_new {
            self.sources.push(Arc::clone(tagged));
        }
    }

    /// Since when it ought to be open; None where it only may stay open.
    pub fn opens_since(&self) -> Option<Timestamp> {
        self.components
            .values()
            .filter_map(|wanted| wanted.opens_since)
            .min()
    }
}

/// Components by what rules may call them.
struct Directory<'a> {
    by_id: BTreeMap<&'a str, (&'a PageId, &'a ComponentId)>,
    by_name: BTreeMap<String, Vec<(&'a PageId, &'a ComponentId)>>,
}

impl<'a> Directory<'a> {
    fn of(pages: &'a [ObservedPage]) -> Self {
        let mut directory = Self {
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
        };
        for page in pages {
            for component in page.components.values() {
                let place = (&page.page.id, &component.id);
                directory.by_id.insert(component.id.as_str(), place);
                directory
                    .by_name
                    .entry(component.name.trim().to_lowercase())
                    .or_default()
                    .push(place);
            }
        }
        directory
    }

    /// The component of that identifier, or else all of that name: a private
    /// page may show the same component as the public one.
    fn find(&self, name: &str, pages: &[String]) -> BTreeSet<(PageId, ComponentId)> {
        let is_meant =
            |page: &PageId| pages.is_empty() || pages.iter().any(|meant| meant == page.as_str());
        let found = match self.by_id.get(name) {
            Some(place) => std::slice::from_ref(place),
            None => self
                .by_name
                .get(&name.to_lowercase())
                .map(Vec::as_slice)
                .unwrap_or_default(),
        };
        found
            .iter()
            .filter(|(page, _)| is_meant(page))
            .map(|(page, component)| ((*page).clone(), (*component).clone()))
            .collect()
    }
}
