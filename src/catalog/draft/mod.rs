//! Port as it would be: what is written here is in a plan, and nowhere else.
//!
//! ```text
//! Writer, deletion ─▶ Sink ─▶ Draft ── what is asked ──▶ Port, read only
//!                               │
//!                               └─▶ state: what would not be as it is ─▶ Changes
//! ```
//!
//! A resync against a draft is a resync: it compares, arbitrates, postpones, refuses to
//! delete and deletes by the same code, and each of its requests is answered as Port
//! would answer it if all those before had been carried out. So a plan need not know
//! what a resync does, and cannot say anything else.
//!
//! What Port refuses is foreseen as far as its definitions tell: a blueprint or a
//! relation that is not there, a type, a choice, something required, a relation target
//! that neither Port nor the draft has. Told to validate, the draft asks Port as well,
//! with `validation_only`, and takes its word: except where it misses a target that
//! would be there by then.
//!
//! Searches that Port is to resolve are resolved by what Port holds now; what the
//! resync itself would write before is not among it.
//!
//! Memory holds every entity that would be written, as it is and as it would be, for
//! that is the plan; of what stays as it is, nothing.

mod changes;
mod fields;
mod questions;
mod schema;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::changes::{Action, Changes, EntityChange, FieldChange};
use self::schema::{Refusal, Schema};
use self::state::{Place, State};
use crate::api::{
    ApiError, BlueprintRelations, BulkOutcome, EntityFailure, EntityName, Listed, PortClient,
    RelatedEntity, UpsertOptions,
};
use crate::catalog::order;
use crate::catalog::paging::Cursor;

/// Pages of what may relate to one entity, a thousand each.
const MOST_PAGES: usize = 100;

/// Port's word for an entity that is not there.
const NOT_FOUND: &str = "not_found";

/// See the module.
pub struct Draft {
    port: PortClient,
    validate: bool,
    /// None for a blueprint that is not there.
    schemas: Mutex<HashMap<String, Option<Arc<Schema>>>>,
    state: Mutex<State>,
    /// What searches found, by blueprint and query.
    found: Mutex<HashMap<Place, Vec<String>>>,
}

/// What Port itself says of an entity.
enum Verdict {
    NotAsked,
    Takes,
    Refuses(EntityFailure),
}

/// An entity that is sent, once its searches are resolved.
struct Sent {
    identifier: Result<String, Refusal>,
    entity: Map<String, Value>,
}

impl Draft {
    /// `validate`: whether to ask Port what it would say. `blueprints`: those that
    /// would be made before the first resync.
    pub fn new(port: PortClient, validate: bool, blueprints: &[Value]) -> Self {
        let schemas = blueprints.iter().filter_map(|definition| {
            let identifier = definition["identifier"].as_str()?.to_owned();
            let schema = Schema::new(definition.clone(), false);
            Some((identifier, Some(Arc::new(schema))))
        });
        Self {
            port,
            validate,
            schemas: Mutex::new(schemas.collect()),
            state: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// Everything that would not be as it is.
    pub fn changes(&self) -> Changes {
        let schemas = locked(&self.schemas);
        let schema = |blueprint: &str| schemas.get(blueprint)?.as_deref();
        self.state().changes(schema)
    }

    pub(super) const fn port(&self) -> &PortClient {
        &self.port
    }

    pub(super) async fn upsert_entities(
        &self,
        blueprint: &str,
        bodies: &[Bytes],
        options: &UpsertOptions,
    ) -> Result<BulkOutcome, ApiError> {
        let Some(schema) = self.schema(blueprint).await? else {
            return Err(ApiError::Foreseen {
                status: 404,
                problem: format!("there is no blueprint `{blueprint}`"),
            });
        };
        let mut sent = Vec::with_capacity(bodies.len());
        for body in bodies {
            sent.push(self.resolved(blueprint, body).await?);
        }
        self.look_up(blueprint, &schema, &sent).await?;
        let mut verdicts = self.verdicts(blueprint, &schema, bodies, options).await?;

        let mut outcome = BulkOutcome::default();
        let mut state = self.state();
        for (index, sent) in sent.into_iter().enumerate() {
            let name = sent
                .identifier
                .clone()
                .unwrap_or_else(|_| "unknown".to_owned());
            let verdict = match &mut verdicts {
                None => Verdict::NotAsked,
                Some(refused) => refused
                    .remove(&index)
                    .map_or(Verdict::Takes, Verdict::Refuses),
            };
            match write(&mut state, blueprint, &schema, sent, options, verdict) {
                Ok(()) => outcome.stored.push(index),
                Err(refusal) => outcome.failed.push(EntityFailure {
                    index,
                    identifier: name,
                    status: refusal.status,
                    code: refusal.code.to_owned(),
                    message: refusal.message,
                }),
            }
        }
        Ok(outcome)
    }

    /// What would have been written last before that instant: without what has been
    /// written since, as far as this draft goes.
    pub(super) async fn written_before(
        &self,
        before: Timestamp,
        from: Option<&str>,
    ) -> Result<Listed<EntityName>, ApiError> {
        let mut page = self.port.written_before(before, from).await?;
        let state = self.state();
        page.entities.retain(|entity| {
            let place = (entity.blueprint.clone(), entity.identifier.clone());
            !state.is_written(&place)
        });
        Ok(page)
    }

    pub(super) async fn relations(&self) -> Result<BTreeMap<String, BlueprintRelations>, ApiError> {
        let mut relations = self.port.relations().await?;
        for (blueprint, schema) in &*locked(&self.schemas) {
            if let Some(schema) = schema.as_ref().filter(|schema| !schema.is_in_port) {
                relations.insert(blueprint.clone(), schema.relations());
            }
        }
        self.state().set_relations(relations.clone());
        Ok(relations)
    }

    pub(super) async fn related_entities(
        &self,
        blueprint: &str,
        relations: &[&str],
        of: (&str, &[String]),
        from: Option<&str>,
    ) -> Result<Listed<RelatedEntity>, ApiError> {
        let is_in_port = {
            let schemas = locked(&self.schemas);
            let known = schemas.get(blueprint).and_then(Option::as_ref);
            known.is_none_or(|schema| schema.is_in_port)
        };
        let mut page = if is_in_port {
            self.port
                .related_entities(blueprint, relations, of, from)
                .await?
        } else {
            Listed {
                entities: Vec::new(),
                next: None,
            }
        };
        let mut state = self.state();
        page.entities = state.undrafted(blueprint, page.entities);
        if from.is_none() {
            let drafted = state.drafted_relating(blueprint, relations, of.1);
            page.entities.extend(drafted);
        }
        Ok(page)
    }

    pub(super) fn delete_entities(&self, blueprint: &str, identifiers: &[String]) {
        self.state().delete(blueprint, identifiers);
    }

    /// Deletes it, unless another relates to it.
    pub(super) async fn delete_entity(
        &self,
        blueprint: &str,
        identifier: &str,
    ) -> Result<(), ApiError> {
        if !self.state().knows_relations() {
            self.relations().await?;
        }
        let of = [identifier.to_owned()];
        let relating = self.state().relating_to(blueprint);
        for (other, relations) in relating {
            let relations: Vec<&str> = relations.iter().map(String::as_str).collect();
            let mut cursor = Cursor::new(MOST_PAGES);
            loop {
                let page = self
                    .related_entities(&other, &relations, (blueprint, &of), cursor.from())
                    .await?;
                let dependent = page.entities.iter().find(|entity| {
                    let is_itself = other == blueprint && entity.identifier == identifier;
                    !is_itself && relates(entity, &relations, identifier)
                });
                if let Some(dependent) = dependent {
                    return Err(ApiError::Foreseen {
                        status: 409,
                        problem: format!("`{other}/{}` relates to it", dependent.identifier),
                    });
                }
                match cursor.advance(page.next) {
                    Ok(true) => {}
                    Ok(false) => break,
                    // What cannot be found out is a reason to stay.
                    Err(endless) => {
                        return Err(ApiError::Foreseen {
                            status: 409,
                            problem: format!(
                                "what of `{other}` relates to it is not known: {endless}"
                            ),
                        });
                    }
                }
            }
        }
        self.state().remove(blueprint, identifier, None);
        Ok(())
    }

    /// What Port itself would refuse of these, by their places; none if it is not to
    /// be asked, or does not have the blueprint yet.
    async fn verdicts(
        &self,
        blueprint: &str,
        schema: &Schema,
        bodies: &[Bytes],
        options: &UpsertOptions,
    ) -> Result<Option<HashMap<usize, EntityFailure>>, ApiError> {
        if !self.validate || !schema.is_in_port {
            return Ok(None);
        }
        let options = UpsertOptions {
            validation_only: true,
            ..options.clone()
        };
        let outcome = self
            .port
            .upsert_entities(blueprint, bodies, &options)
            .await?;
        let failed = outcome
            .failed
            .into_iter()
            .map(|failed| (failed.index, failed));
        Ok(Some(failed.collect()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// Writes an entity, unless it would be refused.
fn write(
    state: &mut State,
    blueprint: &str,
    schema: &Schema,
    sent: Sent,
    options: &UpsertOptions,
    verdict: Verdict,
) -> Result<(), Refusal> {
    let Sent {
        identifier,
        mut entity,
    } = sent;
    let place = (blueprint.to_owned(), identifier?);
    let missing = state.missing_targets(&place, &schema.shape, &entity);
    let has_new = state.has_new(&schema.shape, &entity);
    let checked = schema.check(&entity);
    schema.bring_to_form(&mut entity);
    let fields = state.composed(&place, &Value::Object(entity), options.merge);
    let foreseen = checked.and_then(|()| schema.check_whole(&fields));
    match verdict {
        Verdict::NotAsked => foreseen?,
        Verdict::Takes => {}
        // What the draft would have made by then, Port cannot know of.
        Verdict::Refuses(failed) if failed.code == NOT_FOUND && has_new => {}
        Verdict::Refuses(failed) => return Err(said(failed)),
    }
    if let Some((blueprint, target)) = missing.first()
        && !options.create_missing_related_entities
    {
        let message = format!("there is no `{blueprint}/{target}`, to which it relates");
        return Err(Refusal::not_found(message));
    }
    state.keep(place, fields, missing);
    Ok(())
}

/// A refusal in Port's own words.
fn said(failed: EntityFailure) -> Refusal {
    let code = if failed.code == NOT_FOUND {
        NOT_FOUND
    } else {
        "refused"
    };
    let message = if failed.message.is_empty() {
        failed.code
    } else {
        failed.message
    };
    Refusal {
        status: failed.status,
        code,
        message,
    }
}

fn relates(entity: &RelatedEntity, relations: &[&str], identifier: &str) -> bool {
    let Some(values) = &entity.relations else {
        return true;
    };
    let mut leading = relations.iter().filter_map(|name| values.get(*name));
    leading.any(|value| order::targets(value).any(|target| target == identifier))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Answer, Server, outbound};
    use crate::settings::{IntegrationSettings, PortSettings};

    #[tokio::test]
    async fn an_entity_of_which_pages_without_end_may_depend_stays() {
        let server = Server::deciding(|request| {
            Answer::json(&match request.target.as_str() {
                "/v1/auth/access_token" => json!({
                    "ok": true, "accessToken": "t", "expiresIn": 10_800, "tokenType": "Bearer",
                }),
                "/v1/blueprints" => json!({"ok": true, "blueprints": [
                    {"identifier": "part", "relations": {"of": {"target": "thing"}}},
                ]}),
                // Two pages, each of which says that the other one comes next.
                _ => {
                    let next = if request.json()["from"] == "a" {
                        "b"
                    } else {
                        "a"
                    };
                    json!({"ok": true, "entities": [], "next": next})
                }
            })
        })
        .await;
        let port = PortSettings {
            base_url: server.url.clone(),
            client_id: "client-id".to_owned(),
            client_secret: SecretString::from("client-secret"),
        };
        let integration = IntegrationSettings {
            identifier: "mine".to_owned(),
            kind: "statuspage".to_owned(),
            incremental_sync_enabled: false,
            incremental_sync_interval: Duration::from_hours(1),
        };
        let port = PortClient::new(&port, &integration, &outbound()).unwrap();
        let draft = Draft::new(port, false, &[]);

        let error = draft.delete_entity("thing", "t1").await.unwrap_err();

        assert_eq!(
            error.to_string(),
            "Port would answer 409: what of `part` relates to it is not known: \
             Port gave the same page of a listing twice"
        );
    }
}
