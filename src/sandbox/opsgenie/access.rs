//! What tests may see and change of the account.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use super::super::chassis::Reply;
use super::super::chassis::remote::{done, refused};
use super::{KINDS, Opsgenie, Simulator, Table};

impl Simulator<Opsgenie> {
    /// The objects of a kind with all that their single form shows, in no
    /// particular order.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.world(|world| world.table(kind).objects())
    }

    pub fn object(&self, kind: &str, id: &str) -> Option<Value> {
        self.world(|world| world.table(kind).get(id))
    }

    /// How many objects of a kind there are, whatever a listing would show of them.
    pub fn count(&self, kind: &str) -> usize {
        self.world(|world| world.table(kind).len())
    }

    /// [`count`](Self::count) for every kind.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        KINDS.map(|(kind, _)| (kind, self.count(kind))).into()
    }

    /// Inserts an object, or replaces the one with its `id`.
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
            world.oncalls.clear();
            world.associated.clear();
        });
    }

    /// Says who is on call for a schedule now, by user name.
    pub fn set_oncalls(&self, schedule: &str, usernames: &[&str]) {
        let usernames = usernames.iter().map(|&name| name.to_owned()).collect();
        self.world(|world| world.set_oncalls(schedule, usernames));
    }

    /// Who is on call for a schedule now, by user name.
    pub fn oncalls(&self, schedule: &str) -> Vec<String> {
        self.world(|world| world.oncalls.get(schedule).cloned().unwrap_or_default())
    }

    /// Makes an alert one of an incident's, whatever its alias says.
    pub fn associate(&self, incident: &str, alert: &str) {
        self.world(|world| world.associate(incident, alert));
    }

    /// From now on `paging` points to this address, which need not be this simulator.
    pub fn set_pages_at(&self, url: &Url) {
        self.world(|world| world.pages_at(url));
    }

    /// Accepts one more key, which may read everything but these kinds.
    pub fn accept_key(&self, key: &str, denied: &[&str]) {
        let denied = denied.iter().map(|&kind| kind.to_owned()).collect();
        self.world(|world| world.keys.insert(key.to_owned(), denied));
    }

    /// No longer accepts a key.
    pub fn revoke_key(&self, key: &str) {
        self.world(|world| world.keys.remove(key));
    }
}

/// `/sandbox/oncalls` and `/sandbox/oncalls/<schedule>`: user names, as a list.
pub(super) fn control_oncalls(
    world: &mut Opsgenie,
    method: &str,
    path: &[&str],
    body: Option<Value>,
) -> Option<Reply> {
    match (method, path) {
        ("GET", []) => Some(Reply::json(200, &json!(world.oncalls))),
        ("PUT", [schedule]) => {
            let usernames = body.and_then(|body| serde_json::from_value(body).ok());
            Some(match usernames {
                Some(usernames) => {
                    world.set_oncalls(schedule, usernames);
                    done()
                }
                None => refused(400, "The body must be a list of user names"),
            })
        }
        _ => None,
    }
}
