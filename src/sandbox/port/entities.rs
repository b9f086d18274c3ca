//! Writing entities, singly and in bulk.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::chassis::{Reply, Request};
use super::integration::text;
use super::schema::{Blueprint, Relation, entity_identifier};
use super::search::{Candidate, Query};
use super::{Answered, Port, Refusal, flag, known_keys, object};

const BULK_LIMIT: usize = 20;

/// An entity as it is kept. Properties are text, since there may be many.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) title: Option<String>,
    pub(super) icon: Option<String>,
    pub(super) team: Vec<String>,
    pub(super) properties: Box<str>,
    pub(super) relations: Relations,
    /// The User-Agent of whoever wrote it last.
    pub(super) datasource: Arc<str>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// By name.
type Relations = Vec<(String, Related)>;

/// The blueprint and identifier of an entity that is created because another relates to it.
type Stub = (String, String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Related {
    One(Option<String>),
    Many(Vec<String>),
}

impl Related {
    pub(super) fn targets(&self) -> &[String] {
        match self {
            Self::One(target) => target.as_slice(),
            Self::Many(targets) => targets,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::One(target) => json!(target),
            Self::Many(targets) => json!(targets),
        }
    }
}

impl Stored {
    pub(super) fn properties(&self) -> Map<String, Value> {
        serde_json::from_str(&self.properties).unwrap_or_default()
    }

    pub(super) fn relations(&self) -> Map<String, Value> {
        self.relations
            .iter()
            .map(|(name, related)| (name.clone(), related.value()))
            .collect()
    }
}

/// How entities are to be written: four independent parameters of the query.
#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Port's parameters, one by one"
)]
struct Options {
    upsert: bool,
    merge: bool,
    create_missing: bool,
    validation_only: bool,
}

impl Options {
    fn of(request: &Request) -> Result<Self, Refusal> {
        Ok(Self {
            upsert: flag(request, "upsert")?,
            merge: flag(request, "merge")?,
            create_missing: flag(request, "create_missing_related_entities")?,
            validation_only: flag(request, "validation_only")?,
        })
    }
}

/// A checked entity, ready to be kept.
struct Draft {
    identifier: String,
    created: bool,
    stored: Stored,
    /// Related entities that have to be created with it: blueprint and identifier.
    stubs: Vec<Stub>,
}

impl Port {
    pub(super) fn upsert_one(&mut self, blueprint: &str, request: &Request) -> Answered {
        let options = Options::of(request)?;
        let schema = Arc::clone(self.blueprint(blueprint)?);
        let entity = object(request)?;
        let draft = self.draft(blueprint, &schema, &entity, options, &agent(request))?;
        let (identifier, created) = (draft.identifier.clone(), draft.created);
        let shown = self.shown(blueprint, &identifier, &draft.stored);
        if !options.validation_only {
            self.keep(blueprint, draft);
        }
        let status = if created { 201 } else { 200 };
        Ok(Reply::json(status, &json!({"ok": true, "entity": shown})))
    }

    pub(super) fn upsert_many(&mut self, blueprint: &str, request: &Request) -> Answered {
        let options = Options::of(request)?;
        let schema = Arc::clone(self.blueprint(blueprint)?);
        let mut body = object(request)?;
        known_keys(&body, &["entities"])?;
        let Some(Value::Array(entities)) = body.remove("entities") else {
            return Err(Refusal::invalid("body must have the list \"entities\""));
        };
        if entities.is_empty() || entities.len() > BULK_LIMIT {
            let message = format!("body/entities must hold 1 to {BULK_LIMIT} entities");
            return Err(Refusal::invalid(message));
        }
        let agent = agent(request);
        let (mut stored, mut errors) = (Vec::new(), Vec::new());
        for (index, entity) in entities.iter().enumerate() {
            let draft = entity
                .as_object()
                .ok_or_else(|| Refusal::invalid("An entity must be an object"))
                .and_then(|entity| self.draft(blueprint, &schema, entity, options, &agent));
            match draft {
                Ok(draft) => {
                    stored.push(json!({
                        "identifier": draft.identifier, "index": index,
                        "created": draft.created, "additionalData": {},
                    }));
                    if !options.validation_only {
                        self.keep(blueprint, draft);
                    }
                }
                Err(refusal) => errors.push(json!({
                    "identifier": entity["identifier"].as_str().unwrap_or("unknown"),
                    "index": index, "statusCode": refusal.status,
                    "error": refusal.code, "message": refusal.message,
                })),
            }
        }
        let status = if errors.is_empty() { 200 } else { 207 };
        let ok = errors.is_empty();
        Ok(Reply::json(
            status,
            &json!({"ok": ok, "entities": stored, "errors": errors}),
        ))
    }

    /// An entity as Port shows it. Properties that the blueprint does not have
    /// were taken in, but are not shown.
    pub(super) fn shown(&self, blueprint: &str, identifier: &str, stored: &Stored) -> Value {
        let mut properties = stored.properties();
        if let Some(schema) = self.blueprints.get(blueprint) {
            properties.retain(|key, _| schema.properties.contains_key(key));
        }
        json!({
            "identifier": identifier,
            "title": stored.title,
            "icon": stored.icon,
            "blueprint": blueprint,
            "team": stored.team,
            "properties": properties,
            "relations": stored.relations(),
            "createdAt": text(stored.created),
            "createdBy": self.client_id,
            "updatedAt": text(stored.updated),
            "updatedBy": self.client_id,
        })
    }

    /// Every entity of a blueprint, by identifier.
    pub(super) fn all_shown(&self, blueprint: &str) -> BTreeMap<String, Value> {
        let all = self.entities.get(blueprint).into_iter().flatten();
        all.map(|(id, stored)| (id.clone(), self.shown(blueprint, id, stored)))
            .collect()
    }

    pub(super) fn stored(&self, blueprint: &str, id: &str) -> Result<&Stored, Refusal> {
        let stored = self
            .entities
            .get(blueprint)
            .and_then(|entities| entities.get(id));
        stored.ok_or_else(|| Refusal::not_found("Entity", id))
    }

    /// Checks an entity and works out what it will be.
    fn draft(
        &self,
        blueprint: &str,
        schema: &Blueprint,
        entity: &Map<String, Value>,
        options: Options,
        agent: &Arc<str>,
    ) -> Result<Draft, Refusal> {
        known_keys(
            entity,
            &[
                "identifier",
                "blueprint",
                "title",
                "icon",
                "team",
                "properties",
                "relations",
            ],
        )?;
        let identifier = self.identify(blueprint, entity.get("identifier"))?;
        let existing = self
            .entities
            .get(blueprint)
            .and_then(|all| all.get(&identifier));
        if existing.is_some() && !options.upsert {
            let message = format!("There is an entity \"{identifier}\" already");
            return Err(Refusal::new(409, "conflict", message));
        }
        let now = self.clock.now();
        let base = existing.filter(|_| options.merge);
        let properties = merged_properties(schema, base, entity.get("properties"))?;
        let (relations, stubs) =
            self.relate(blueprint, &identifier, schema, base, entity, options)?;
        let optional = |key: &str, old: Option<&String>| match entity.get(key) {
            None => Ok(old.cloned()),
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::invalid(format!("\"/{key}\" must be string"))),
        };
        let stored = Stored {
            title: optional("title", base.and_then(|old| old.title.as_ref()))?,
            icon: optional("icon", base.and_then(|old| old.icon.as_ref()))?,
            team: self.team(entity.get("team"), base)?,
            properties,
            relations,
            datasource: Arc::clone(agent),
            created: existing.map_or(now, |old| old.created),
            updated: now,
        };
        Ok(Draft {
            created: existing.is_none(),
            identifier,
            stored,
            stubs,
        })
    }

    fn identify(&self, blueprint: &str, given: Option<&Value>) -> Result<String, Refusal> {
        match given {
            Some(Value::String(text)) if entity_identifier(text) => Ok(text.clone()),
            Some(Value::String(text)) => Err(Refusal::invalid(format!(
                "\"{text}\" is no entity identifier"
            ))),
            Some(query @ Value::Object(_)) => {
                let mut found = self.find(blueprint, query)?;
                match (found.pop(), found.is_empty()) {
                    (Some(only), true) => Ok(only),
                    (None, _) => Err(Refusal::not_found("Entity", "unknown")),
                    _ => Err(Refusal::invalid("The search found more than one entity")),
                }
            }
            _ => Err(Refusal::invalid(
                "\"/identifier\" must be a string or a search",
            )),
        }
    }

    /// The entities of a blueprint that a search finds.
    fn find(&self, blueprint: &str, query: &Value) -> Result<Vec<String>, Refusal> {
        let query = Query::new(self, query)?;
        let mut found = Vec::new();
        for (identifier, stored) in self.entities.get(blueprint).into_iter().flatten() {
            if query.passes(&Candidate::new(blueprint, identifier, stored))? {
                found.push(identifier.clone());
            }
        }
        Ok(found)
    }

    fn team(&self, given: Option<&Value>, base: Option<&Stored>) -> Result<Vec<String>, Refusal> {
        match given {
            None => Ok(base.map(|old| old.team.clone()).unwrap_or_default()),
            Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(team)) => Ok(vec![team.clone()]),
            Some(Value::Array(teams)) => {
                strings(teams).ok_or_else(|| Refusal::invalid("\"/team\" must hold strings"))
            }
            Some(query) => self.find("_team", query),
        }
    }

    /// The relations as they will be, and the related entities to create.
    fn relate(
        &self,
        blueprint: &str,
        identifier: &str,
        schema: &Blueprint,
        base: Option<&Stored>,
        entity: &Map<String, Value>,
        options: Options,
    ) -> Result<(Relations, Vec<Stub>), Refusal> {
        let given = match entity.get("relations") {
            None | Some(Value::Null) => &Map::new(),
            Some(Value::Object(given)) => given,
            Some(_) => return Err(Refusal::invalid("\"/relations\" must be object")),
        };
        let mut relations: BTreeMap<String, Related> = base
            .map(|old| old.relations.iter().cloned().collect())
            .unwrap_or_default();
        let mut stubs = Vec::new();
        for (name, value) in given {
            let relation = schema.relations.get(name).ok_or_else(|| {
                let message = format!("The blueprint \"{blueprint}\" has no relation \"{name}\"");
                Refusal::invalid(message)
            })?;
            let related = self.related(name, relation, value)?;
            for target in related.targets() {
                let itself = relation.target == blueprint && target == identifier;
                let exists = itself
                    || self
                        .entities
                        .get(&relation.target)
                        .is_some_and(|all| all.contains_key(target));
                if exists {
                    continue;
                }
                if !options.create_missing {
                    return Err(Refusal::not_found("Related entity", target));
                }
                if !entity_identifier(target) {
                    let message = format!("\"{target}\" is no entity identifier");
                    return Err(Refusal::invalid(message));
                }
                stubs.push((relation.target.clone(), target.clone()));
            }
            relations.insert(name.clone(), related);
        }
        for (name, relation) in &schema.relations {
            let missing = relations
                .get(name)
                .is_none_or(|related| related.targets().is_empty());
            if relation.required && missing {
                return Err(Refusal::invalid(format!(
                    "\"/relations/{name}\" is required"
                )));
            }
        }
        Ok((relations.into_iter().collect(), stubs))
    }

    fn related(&self, name: &str, relation: &Relation, value: &Value) -> Result<Related, Refusal> {
        let wrong = || Refusal::invalid(format!("\"/relations/{name}\" does not fit the relation"));
        let targets = match value {
            Value::Null => Vec::new(),
            Value::String(target) => vec![target.clone()],
            Value::Array(targets) if relation.many => {
                let mut found = Vec::new();
                for target in targets {
                    match target {
                        Value::String(target) => found.push(target.clone()),
                        query @ Value::Object(_) => {
                            found.extend(self.find(&relation.target, query)?);
                        }
                        _ => return Err(wrong()),
                    }
                }
                found
            }
            query @ Value::Object(_) => self.find(&relation.target, query)?,
            _ => return Err(wrong()),
        };
        Ok(if relation.many {
            Related::Many(targets)
        } else {
            Related::One(targets.into_iter().next())
        })
    }

    fn keep(&mut self, blueprint: &str, draft: Draft) {
        let Draft {
            identifier,
            stored,
            stubs,
            ..
        } = draft;
        for (target, id) in stubs {
            let stub = Stored {
                title: None,
                icon: None,
                team: Vec::new(),
                properties: "{}".into(),
                relations: Vec::new(),
                datasource: Arc::clone(&stored.datasource),
                created: stored.updated,
                updated: stored.updated,
            };
            self.entities
                .entry(target)
                .or_default()
                .entry(id)
                .or_insert(stub);
        }
        self.entities
            .entry(blueprint.to_owned())
            .or_default()
            .insert(identifier, stored);
    }

    /// Puts an entity in without a request, as another tool would have.
    pub(super) fn place(
        &mut self,
        blueprint: &str,
        entity: &Value,
        agent: &str,
    ) -> Result<(), Refusal> {
        let schema = Arc::clone(self.blueprint(blueprint)?);
        let entity = entity.as_object().cloned().unwrap_or_default();
        let options = Options {
            upsert: true,
            merge: true,
            create_missing: true,
            validation_only: false,
        };
        let draft = self.draft(blueprint, &schema, &entity, options, &agent.into())?;
        self.keep(blueprint, draft);
        Ok(())
    }
}

/// The properties as they will be, as text. Null clears a property.
fn merged_properties(
    schema: &Blueprint,
    base: Option<&Stored>,
    given: Option<&Value>,
) -> Result<Box<str>, Refusal> {
    let mut properties = base.map(Stored::properties).unwrap_or_default();
    match given {
        None => {}
        Some(Value::Object(given)) => {
            for (key, value) in given {
                if value.is_null() {
                    properties.shift_remove(key);
                } else {
                    schema.check(key, value)?;
                    properties.insert(key.clone(), value.clone());
                }
            }
        }
        Some(_) => return Err(Refusal::invalid("\"/properties\" must be object")),
    }
    if let Some(key) = schema
        .required
        .iter()
        .find(|key| !properties.contains_key(*key))
    {
        return Err(Refusal::invalid(format!(
            "\"/properties/{key}\" is required"
        )));
    }
    Ok(Value::Object(properties).to_string().into_boxed_str())
}

fn strings(values: &[Value]) -> Option<Vec<String>> {
    values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn agent(request: &Request) -> Arc<str> {
    request.header("user-agent").unwrap_or_default().into()
}
