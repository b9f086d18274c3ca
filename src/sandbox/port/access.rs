//! What tests may see and change of the account.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Port, Simulator};

impl Simulator<Port> {
    /// The entities of a blueprint as Port shows them, by identifier.
    pub fn entities(&self, blueprint: &str) -> BTreeMap<String, Value> {
        self.world(|world| world.all_shown(blueprint))
    }

    pub fn entity(&self, blueprint: &str, id: &str) -> Option<Value> {
        self.world(|world| {
            let stored = world.stored(blueprint, id).ok()?;
            Some(world.shown(blueprint, id, stored))
        })
    }

    /// The properties of an entity, those included that its blueprint does not
    /// have and Port does not show.
    pub fn stored_properties(&self, blueprint: &str, id: &str) -> Option<Value> {
        self.world(|world| Some(world.stored(blueprint, id).ok()?.properties().into()))
    }

    /// The User-Agent of whoever wrote an entity last.
    pub fn datasource(&self, blueprint: &str, id: &str) -> Option<String> {
        self.world(|world| Some(world.stored(blueprint, id).ok()?.datasource.to_string()))
    }

    /// How many entities each blueprint has; blueprints without any are listed with 0.
    pub fn entity_counts(&self) -> BTreeMap<String, usize> {
        self.world(|world| {
            let empty = world.blueprints.keys().map(|id| (id.clone(), 0));
            let counts = world
                .entities
                .iter()
                .map(|(id, all)| (id.clone(), all.len()));
            empty.chain(counts).collect()
        })
    }

    /// Puts an entity in, or changes the fields given, as the writer with this
    /// User-Agent would have. Related entities that are missing are created.
    ///
    /// # Panics
    /// When Port would refuse it.
    pub fn insert_entity(&self, blueprint: &str, entity: &Value, agent: &str) {
        let placed = self.world(|world| world.place(blueprint, entity, agent));
        assert!(placed.is_ok(), "Port refuses this entity: {placed:?}");
    }

    /// Takes an entity away, as somebody in Port's user interface would.
    pub fn remove_entity(&self, blueprint: &str, id: &str) -> bool {
        self.world(|world| {
            world
                .entities
                .get_mut(blueprint)
                .is_some_and(|all| all.remove(id).is_some())
        })
    }

    /// The blueprints as Port shows them, by identifier.
    pub fn blueprints(&self) -> BTreeMap<String, Value> {
        self.world(|world| {
            let all = world.blueprints.iter();
            all.map(|(id, blueprint)| (id.clone(), blueprint.raw.clone()))
                .collect()
        })
    }

    /// Puts a blueprint in, or replaces it.
    ///
    /// # Panics
    /// When Port would refuse it.
    pub fn insert_blueprint(&self, blueprint: &Value) {
        let placed = self.world(|world| world.put_blueprint(blueprint.clone()));
        assert!(placed.is_ok(), "Port refuses this blueprint: {placed:?}");
    }

    /// Actions, scorecards and pages: what each is, and itself.
    pub fn resources(&self) -> Vec<(&'static str, Value)> {
        self.world(|world| {
            world
                .resources
                .iter()
                .map(|((what, _), value)| (*what, value.clone()))
                .collect()
        })
    }

    /// The integration, when there is exactly one.
    pub fn integration(&self) -> Option<Value> {
        self.world(|world| {
            let mut all = world.integrations.values();
            let only = all.next().filter(|_| all.next().is_none())?;
            Some(Value::Object(only.object.clone()))
        })
    }

    /// The integration of this name.
    pub fn integration_named(&self, id: &str) -> Option<Value> {
        self.world(|world| Some(Value::Object(world.integrations.get(id)?.object.clone())))
    }

    /// Creates an integration before the program gets to it, or replaces one.
    /// `fields` are those of Port's integration object.
    pub fn insert_integration(&self, id: &str, fields: &Value) {
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.world(|world| {
            world.make_integration(id, fields);
        });
    }

    /// Sets the mapping of every integration; without one, of one that is made
    /// on the way and named as [`environment`](super::super::Sandbox::environment) names it.
    pub fn set_mapping(&self, mapping: Value) {
        self.world(|world| {
            if world.integrations.is_empty() {
                world.make_integration(super::super::IDENTIFIER, Map::new());
            }
            let mappings = std::iter::repeat_n(mapping, world.integrations.len());
            for (integration, mapping) in world.integrations.values_mut().zip(mappings) {
                integration.object.insert("config".to_owned(), mapping);
            }
        });
    }

    /// The states that resyncs reported, of all integrations, in order.
    pub fn resync_states(&self) -> Vec<Value> {
        self.world(|world| {
            world
                .integrations
                .values()
                .flat_map(|one| one.states.clone())
                .collect()
        })
    }

    /// Asks every integration for a resync, as the button in Port does.
    pub fn request_resync(&self) {
        self.world(Port::request_resync);
    }

    /// After so many reads of an integration Port has made a mapping by itself.
    pub fn provision_mapping(&self, id: &str, reads: u32, mapping: Value) {
        self.world(|world| {
            if let Ok(integration) = world.known_integration(id) {
                integration.provisioned = Some((reads, mapping));
            }
        });
    }

    /// The raw examples that were sent: kind and object.
    pub fn examples(&self) -> Vec<(String, Value)> {
        self.world(|world| {
            world
                .integrations
                .values()
                .flat_map(|one| one.examples.clone())
                .collect()
        })
    }

    /// What was sent to the ingest routes: `logs`, `metrics/…` and the body.
    pub fn ingested(&self) -> Vec<(String, Value)> {
        self.world(|world| world.ingested.clone())
    }

    /// The types for which Port offers to make blueprints and mapping by itself.
    pub fn set_provisioned_types(&self, types: &[&str]) {
        self.world(|world| {
            world.provisioned_types = types.iter().map(|&one| one.to_owned()).collect();
        });
    }

    pub fn set_feature_flags(&self, flags: &[&str]) {
        self.world(|world| world.organization["featureFlags"] = json!(flags));
    }

    pub fn set_credentials(&self, client_id: &str, client_secret: &str) {
        self.world(|world| {
            client_id.clone_into(&mut world.client_id);
            client_secret.clone_into(&mut world.client_secret);
        });
    }

    /// How long tokens handed out from now on are good for.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.world(|world| world.token_lifetime = lifetime);
    }

    /// No token handed out so far is good any more.
    pub fn expire_tokens(&self) {
        self.world(|world| world.tokens.clear());
    }

    /// Back to an empty account.
    pub fn clear(&self) {
        self.world(|world| {
            world.integrations.clear();
            world.blueprints.clear();
            world.entities.clear();
            world.resources.clear();
            world.ingested.clear();
        });
    }
}
