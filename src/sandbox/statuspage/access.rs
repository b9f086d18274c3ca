//! What tests may see and change of the account.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Object, Row, Simulator, Statuspage, Table, TooMany};

impl Statuspage {
    /// An object as a reply shows it.
    fn seen(&self, row: &Row<Object>) -> Value {
        serde_json::from_str(&self.shown(row)).unwrap_or_default()
    }
}

impl Simulator<Statuspage> {
    /// The objects of a kind, in no particular order.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.world(|world| match kind {
            "incident_update" => world
                .table("incident")
                .rows()
                .flat_map(|row| match row.object()["incident_updates"].take() {
                    Value::Array(updates) => updates,
                    _ => Vec::new(),
                })
                .collect(),
            "incident" => {
                let rows = world.table(kind).rows();
                rows.map(|row| world.seen(row)).collect()
            }
            _ => world.table(kind).objects(),
        })
    }

    pub fn object(&self, kind: &str, id: &str) -> Option<Value> {
        self.world(|world| {
            let row = world.table(kind).row(id)?;
            Some(world.seen(row))
        })
    }

    /// How many objects of a kind there are. Groups are not counted among the
    /// components, though the list of components shows them.
    pub fn count(&self, kind: &str) -> usize {
        self.world(|world| match kind {
            "incident_update" => world
                .table("incident")
                .rows()
                .map(|row| row.facts.updates)
                .sum(),
            _ => world.table(kind).len(),
        })
    }

    /// [`count`](Self::count) for every kind of the catalog.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        [
            "statuspage",
            "component_group",
            "component",
            "incident",
            "incident_update",
        ]
        .map(|kind| (kind, self.count(kind)))
        .into()
    }

    /// Inserts an object, or replaces the one with its `id`. All but pages
    /// need a `page_id`.
    pub fn insert(&self, kind: &str, object: &Value) {
        self.world(|world| world.insert(kind, object));
    }

    /// Changes an object in place; false when there is none.
    pub fn update(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.world(|world| world.table_mut(kind).update(id, change))
    }

    pub fn remove(&self, kind: &str, id: &str) -> Option<Value> {
        self.world(|world| world.table_mut(kind).remove(id))
    }

    /// Removes the objects that do not pass; says how many.
    pub fn retain(&self, kind: &str, keep: impl FnMut(&Value) -> bool) -> usize {
        self.world(|world| world.table_mut(kind).retain(keep))
    }

    /// Removes every object.
    pub fn clear(&self) {
        self.world(|world| {
            for table in world.tables.values_mut() {
                *table = Table::default();
            }
        });
    }

    /// Accepts one more key, for these pages only or, with `None`, for all.
    pub fn accept_key(&self, key: &str, pages: Option<&[&str]>) {
        let pages = pages.map(|pages| pages.iter().map(|&page| page.to_owned()).collect());
        self.world(|world| world.keys.insert(key.to_owned(), pages));
    }

    /// No longer accepts a key.
    pub fn revoke_key(&self, key: &str) {
        self.world(|world| world.keys.remove(key));
    }

    /// With which status a caller is refused that asks too often; 429 unless told otherwise.
    pub fn refuse_excess_with(&self, status: TooMany) {
        self.world(|world| world.too_many = status);
    }

    /// Whether the list of pages obeys `page` and `per_page`. It does not unless told so.
    pub fn page_the_pages(&self, paged: bool) {
        self.world(|world| world.paged_pages = paged);
    }
}
