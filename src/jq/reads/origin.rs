//! Where a value may have come from.

use std::collections::{BTreeMap, BTreeSet};

/// A step of a path into the input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::jq) enum Key {
    Named(String),
    /// Some element, or the value of a key that is not known.
    Any,
}

/// A part of the input, and what is known to be missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) path: Vec<Key>,
    pub(super) except: BTreeSet<Vec<String>>,
}

impl Origin {
    fn part(&self, key: &Key) -> Option<Self> {
        let mut path = self.path.clone();
        path.push(key.clone());
        let mut except = BTreeSet::new();
        if let Key::Named(name) = key {
            for removed in &self.except {
                match removed.split_first() {
                    Some((first, rest)) if first == name => {
                        if rest.is_empty() {
                            return None;
                        }
                        except.insert(rest.to_vec());
                    }
                    _ => {}
                }
            }
        }
        Some(Self { path, except })
    }
}

/// All that a value may be: parts of the input, or arrays and objects that
/// hold such parts. What has been looked at whole needs no tracing any more
/// and is like a constant: nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traced {
    pub(super) origins: BTreeSet<Origin>,
    /// Values under known keys.
    pub(super) fields: BTreeMap<String, Traced>,
    /// Elements, and values under keys that are not known.
    pub(super) items: Option<Box<Traced>>,
}

impl Traced {
    /// The input itself.
    pub(super) fn input() -> Self {
        Self {
            origins: BTreeSet::from([Origin::default()]),
            ..Self::default()
        }
    }

    /// An array of such elements.
    pub(super) fn array_of(items: Self) -> Self {
        Self {
            items: Some(Box::new(items)),
            ..Self::default()
        }
    }

    pub(super) fn object_of(fields: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Either of the two.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.origins.extend(other.origins);
        for (key, value) in other.fields {
            let known = self.fields.remove(&key).unwrap_or_default();
            self.fields.insert(key, known.or(value));
        }
        if let Some(items) = other.items {
            let known = self.items.take().map_or_else(Self::default, |known| *known);
            self.items = Some(Box::new(known.or(*items)));
        }
        self
    }

    /// What is under a key.
    pub(super) fn under(&self, name: &str) -> Self {
        let key = Key::Named(name.to_owned());
        let mut part = Self {
            origins: self
                .origins
                .iter()
                .filter_map(|origin| origin.part(&key))
                .collect(),
            ..Self::default()
        };
        if let Some(value) = self.fields.get(name) {
            part = part.or(value.clone());
        }
        match &self.items {
            Some(items) => part.or((**items).clone()),
            None => part,
        }
    }

    /// Any element, any value.
    pub(super) fn each(&self) -> Self {
        let part = Self {
            origins: self
                .origins
                .iter()
                .filter_map(|origin| origin.part(&Key::Any))
                .collect(),
            ..Self::default()
        };
        self.fields
            .values()
            .chain(self.items.as_deref())
            .fold(part, |all, value| all.or(value.clone()))
    }

    /// The same value, with what is at a path removed or replaced.
    pub(super) fn without(mut self, path: &[String]) -> Self {
        let Some((first, rest)) = path.split_first() else {
            return Self::default();
        };
        self.origins = std::mem::take(&mut self.origins)
            .into_iter()
            .map(|mut origin| {
                origin.except.insert(path.to_vec());
                origin
            })
            .collect();
        if let Some(value) = self.fields.remove(first)
            && !rest.is_empty()
        {
            self.fields.insert(first.clone(), value.without(rest));
        }
        self
    }

    /// How many parts of the input are involved, and how deeply.
    pub(super) fn size(&self) -> usize {
        let origins: usize = self
            .origins
            .iter()
            .map(|origin| 1 + origin.path.len() / 8)
            .sum();
        let parts = self.fields.values().chain(self.items.as_deref());
        1 + origins + parts.map(Self::size).sum::<usize>()
    }
}
