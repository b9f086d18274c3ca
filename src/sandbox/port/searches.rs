//! Reading entities: the search over all blueprints, the paged search of one,
//! and the list of what a data source wrote.

use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::chassis::{Reply, Request};
use super::search::{Candidate, Query};
use super::{Answered, Port, Refusal, flag, known_keys, object, ok, required_text};

/// Default and maximum of a page of one blueprint's entities.
const PAGE: (u64, u64) = (200, 1000);

/// Maximum of a page of a data source's entities.
const DATASOURCE_PAGE: u64 = 5000;

impl Port {
    /// All entities that pass, in one go.
    pub(super) fn search(&self, request: &Request) -> Answered {
        let query = Value::Object(object(request)?);
        if !query["rules"].is_array() {
            return Err(Refusal::invalid("body must have the list \"rules\""));
        }
        flag(request, "exclude_calculated_properties")?;
        let shown = Shown::new(
            &request.parameters("include"),
            &request.parameters("exclude"),
        );
        let query = Query::new(self, &query)?;
        let mut entities = Vec::new();
        for (blueprint, all) in &self.entities {
            for (identifier, stored) in all {
                if query.passes(&Candidate::new(blueprint, identifier, stored))? {
                    let entity = self.shown(blueprint, identifier, stored);
                    entities.push(shown.of(entity));
                }
            }
        }
        Ok(ok("entities", entities))
    }

    pub(super) fn search_blueprint(&self, blueprint: &str, request: &Request) -> Answered {
        self.blueprint(blueprint)?;
        let body = object(request)?;
        known_keys(&body, &["query", "include", "exclude", "limit", "from"])?;
        let names = |key: &str| -> Vec<&str> {
            let list = body.get(key).and_then(Value::as_array);
            list.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        };
        let shown = Shown::new(&names("include"), &names("exclude"));
        let limit = limit(&body, PAGE)?;
        let query = body.get("query").filter(|query| !query.is_null());
        let query = query.map(|query| Query::new(self, query)).transpose()?;
        let after = cursor(&body)?;
        let after = after
            .as_ref()
            .map_or(Bound::Unbounded, |(_, id)| Bound::Excluded(id.as_str()));
        let (mut entities, mut next) = (Vec::new(), None);
        let mut last = "";
        let all = self.entities.get(blueprint).into_iter();
        for (identifier, stored) in
            all.flat_map(|all| all.range::<str, _>((after, Bound::Unbounded)))
        {
            let candidate = Candidate::new(blueprint, identifier, stored);
            let passes = query.as_ref().map(|query| query.passes(&candidate));
            if !passes.unwrap_or(Ok(true))? {
                continue;
            }
            if entities.len() == limit {
                next = Some(encode(blueprint, last));
                break;
            }
            entities.push(shown.of(self.shown(blueprint, identifier, stored)));
            last = identifier;
        }
        let mut reply = json!({"ok": true, "entities": entities});
        if let Some(next) = next {
            reply["next"] = next.into();
        }
        Ok(Reply::json(200, &reply))
    }

    /// What one data source wrote last, optionally only what it has not
    /// written since.
    pub(super) fn datasource_entities(&self, request: &Request) -> Answered {
        let body = object(request)?;
        known_keys(
            &body,
            &[
                "datasource_prefix",
                "datasource_suffix",
                "limit",
                "before",
                "from",
            ],
        )?;
        let prefix = required_text(&body, "datasource_prefix")?;
        let suffix = required_text(&body, "datasource_suffix")?;
        let limit = limit(&body, (DATASOURCE_PAGE, DATASOURCE_PAGE))?;
        let before = match body.get("before") {
            None | Some(Value::Null) => None,
            Some(at) => Some(
                at.as_str()
                    .and_then(|at| at.parse::<Timestamp>().ok())
                    .ok_or_else(|| Refusal::invalid("\"before\" must be a date and time"))?,
            ),
        };
        let after = cursor(&body)?;
        let (mut entities, mut next) = (Vec::new(), Value::Null);
        let mut last = ("", "");
        let start = after
            .as_ref()
            .map_or("", |(blueprint, _)| blueprint.as_str());
        for (blueprint, all) in self
            .entities
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
        {
            for (identifier, stored) in all {
                let place = (blueprint.as_str(), identifier.as_str());
                let seen = after
                    .as_ref()
                    .is_some_and(|(blueprint, id)| place <= (blueprint.as_str(), id.as_str()));
                let wanted = !seen
                    && stored.datasource.starts_with(prefix)
                    && stored.datasource.ends_with(suffix)
                    && before.is_none_or(|before| stored.updated < before);
                if !wanted {
                    continue;
                }
                if entities.len() == limit {
                    next = encode(last.0, last.1).into();
                    return Ok(Reply::json(
                        200,
                        &json!({"ok": true, "entities": entities, "next": next}),
                    ));
                }
                entities.push(json!({"identifier": identifier, "blueprint": blueprint}));
                last = place;
            }
        }
        Ok(Reply::json(
            200,
            &json!({"ok": true, "entities": entities, "next": next}),
        ))
    }
}

fn limit(body: &Map<String, Value>, (default, maximum): (u64, u64)) -> Result<usize, Refusal> {
    let limit = match body.get("limit") {
        None | Some(Value::Null) => Some(default),
        Some(limit) => limit.as_u64().filter(|limit| (1..=maximum).contains(limit)),
    };
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .ok_or_else(|| Refusal::invalid(format!("\"limit\" must be between 1 and {maximum}")))
}

/// The place after which a page begins. Opaque to clients.
fn cursor(body: &Map<String, Value>) -> Result<Option<(String, String)>, Refusal> {
    let Some(text) = body.get("from").filter(|from| !from.is_null()) else {
        return Ok(None);
    };
    text.as_str()
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .map(Some)
        .ok_or_else(|| Refusal::invalid("\"from\" is no cursor of this search"))
}

fn encode(blueprint: &str, identifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!([blueprint, identifier]).to_string())
}

/// Which parts of an entity a search returns.
struct Shown {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Shown {
    fn new(include: &[&str], exclude: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            include: owned(include),
            exclude: owned(exclude),
        }
    }

    /// Names may be those of properties and relations, bare or after
    /// `properties.` and `relations.`, and those of the entity's own fields,
    /// bare or after `$`. Identifier and blueprint are always shown.
    fn of(&self, mut entity: Value) -> Value {
        if self.include.is_empty() && self.exclude.is_empty() {
            return entity;
        }
        let shows = |section: &str, name: &str| {
            let named = |names: &Vec<String>| {
                names.iter().any(|wanted| match section {
                    "" => wanted.strip_prefix('$').unwrap_or(wanted) == name,
                    _ => {
                        wanted == section
                            || wanted == name
                            || wanted
                                .strip_prefix(section)
                                .and_then(|rest| rest.strip_prefix('.'))
                                .is_some_and(|rest| rest == name)
                    }
                })
            };
            (self.include.is_empty() || named(&self.include)) && !named(&self.exclude)
        };
        if let Some(entity) = entity.as_object_mut() {
            for section in ["properties", "relations"] {
                if let Some(fields) = entity.get_mut(section).and_then(Value::as_object_mut) {
                    fields.retain(|name, _| shows(section, name));
                }
            }
            entity.retain(|name, _| {
                ["identifier", "blueprint", "properties", "relations"].contains(&name.as_str())
                    || shows("", name)
            });
        }
        entity
    }
}
