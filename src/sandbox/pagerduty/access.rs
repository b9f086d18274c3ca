//! What tests may see and change of the account.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Pagerduty, Simulator, Table};

impl Simulator<Pagerduty> {
    /// The objects of an endpoint, in no particular order.
    pub fn objects(&self, endpoint: &str) -> Vec<Value> {
        self.world(|world| {
            world
                .tables
                .get(endpoint)
                .map(Table::objects)
                .unwrap_or_default()
        })
    }

    pub fn object(&self, endpoint: &str, id: &str) -> Option<Value> {
        self.world(|world| world.tables.get(endpoint)?.get(id))
    }

    /// How many objects an endpoint has in all, whatever a listing would show of them.
    pub fn count(&self, endpoint: &str) -> usize {
        self.world(|world| world.tables.get(endpoint).map_or(0, Table::len))
    }

    /// [`count`](Self::count) for every endpoint.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.world(|world| {
            world
                .tables
                .iter()
                .map(|(name, table)| (name.clone(), table.len()))
                .collect()
        })
    }

    /// Inserts an object, or replaces the one with its `id`.
    pub fn insert(&self, endpoint: &str, object: &Value) {
        self.world(|world| world.insert(endpoint, object));
    }

    /// Changes an object in place; false when there is none.
    pub fn update(&self, endpoint: &str, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.world(|world| world.update(endpoint, id, change))
    }

    pub fn remove(&self, endpoint: &str, id: &str) -> Option<Value> {
        self.world(|world| world.tables.get_mut(endpoint)?.remove(id))
    }

    /// Removes the objects that do not pass; says how many. On-calls, which
    /// have no identifier, can only be removed this way.
    pub fn retain(&self, endpoint: &str, keep: impl FnMut(&Value) -> bool) -> usize {
        self.world(|world| {
            world
                .tables
                .get_mut(endpoint)
                .map_or(0, |table| table.retain(keep))
        })
    }

    /// Removes every object.
    pub fn clear(&self) {
        self.world(|world| {
            for table in world.tables.values_mut() {
                *table = Table::default();
            }
            world.custom_fields.clear();
            world.large_channels.clear();
        });
    }

    /// The custom field values of a service or an incident.
    pub fn set_custom_fields(&self, endpoint: &str, id: &str, values: Vec<Value>) {
        self.world(|world| world.set_custom_fields(endpoint, id, values));
    }

    /// How many more analytics requests are answered today; `None`: any number,
    /// and replies do not mention a quota.
    pub fn set_daily_quota(&self, left: Option<u32>) {
        self.world(|world| world.daily_quota = left);
    }

    pub fn accept_token(&self, token: &str) {
        self.world(|world| world.tokens.insert(token.to_owned()));
    }

    pub fn revoke_token(&self, token: &str) {
        self.world(|world| world.tokens.remove(token));
    }
}
