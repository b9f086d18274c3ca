//! Creating, changing and deleting blueprints.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::chassis::{Reply, Request};
use super::integration::text;
use super::schema::Blueprint;
use super::{Answered, Port, Refusal, object, ok, required_text};

impl Port {
    pub(super) fn blueprint(&self, id: &str) -> Result<&Arc<Blueprint>, Refusal> {
        self.blueprints
            .get(id)
            .ok_or_else(|| Refusal::not_found("Blueprint", id))
    }

    pub(super) fn create_blueprint(&mut self, request: &Request) -> Answered {
        let mut body = object(request)?;
        let id = required_text(&body, "identifier")?.to_owned();
        if self.blueprints.contains_key(&id) {
            let message = format!("There is a blueprint \"{id}\" already");
            return Err(Refusal::new(409, "conflict", message));
        }
        let now = text(self.clock.now());
        for key in ["createdAt", "updatedAt"] {
            body.insert(key.to_owned(), now.clone().into());
        }
        let raw = self.put_blueprint(Value::Object(body))?;
        Ok(Reply::json(201, &json!({"ok": true, "blueprint": raw})))
    }

    /// Replaces a blueprint, or only those of its top-level keys that were sent.
    pub(super) fn change_blueprint(
        &mut self,
        id: &str,
        request: &Request,
        merge: bool,
    ) -> Answered {
        let change = object(request)?;
        let old = self
            .blueprint(id)?
            .raw
            .as_object()
            .cloned()
            .unwrap_or_default();
        if change.get("identifier").is_some_and(|new| new != id) {
            return Err(Refusal::invalid("The sandbox does not rename blueprints"));
        }
        let created = old.get("createdAt").cloned().unwrap_or_default();
        let mut body = if merge { old } else { serde_json::Map::new() };
        body.extend(change);
        body.insert("createdAt".to_owned(), created);
        body.insert("updatedAt".to_owned(), text(self.clock.now()).into());
        Ok(ok("blueprint", self.put_blueprint(Value::Object(body))?))
    }

    /// Checks a blueprint and keeps it.
    pub(super) fn put_blueprint(&mut self, raw: Value) -> Result<Value, Refusal> {
        let blueprint = Blueprint::read(raw, |id| self.blueprints.contains_key(id))?;
        let raw = blueprint.raw.clone();
        let id = raw["identifier"].as_str().unwrap_or_default().to_owned();
        self.blueprints.insert(id, Arc::new(blueprint));
        Ok(raw)
    }

    /// Relations of other blueprints to it go with it.
    pub(super) fn delete_blueprint(&mut self, id: &str) -> Answered {
        self.blueprint(id)?;
        if self
            .entities
            .get(id)
            .is_some_and(|entities| !entities.is_empty())
        {
            let message = format!("The blueprint \"{id}\" has entities");
            return Err(Refusal::new(409, "conflict", message));
        }
        self.blueprints.remove(id);
        let related: Vec<Value> = self
            .blueprints
            .values()
            .filter(|blueprint| {
                blueprint
                    .relations
                    .values()
                    .any(|relation| relation.target == id)
            })
            .map(|blueprint| blueprint.raw.clone())
            .collect();
        for mut raw in related {
            if let Some(relations) = raw["relations"].as_object_mut() {
                relations.retain(|_, relation| relation["target"] != id);
            }
            self.put_blueprint(raw)?;
        }
        Ok(Reply::json(200, &json!({"ok": true})))
    }
}
