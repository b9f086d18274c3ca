//! What Port holds before the resync writes: a digest an entity, to tell what
//! has to be written at all.
//!
//! ```text
//! blueprint ─▶ its definition ─▶ pages of a thousand entities ─▶ digests   (entity by entity)
//! mapped entity ─▶ digest ─▶ the same? then it is left alone
//! ```
//!
//! The parts of a blueprint that the same resource configs map are a segment,
//! and an entity has one digest a segment. So it can still be compared when
//! some of its fields are left to another resource config. Memory holds a
//! fingerprint and a number for each entity and segment, never the entity.
//!
//! Not knowing is no harm: what cannot be compared is written, as the original
//! does with everything. Where Port refuses the paged search, entities are
//! looked up in groups as they come; where it does not answer, all are written.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::hash::RandomState;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::comparison::{Digests, Plan};
use super::digest::Shape;
use super::ledger::{Fingerprint, Fingerprints};
use super::paging::{Cursor, ListingError};
use crate::api::{ApiError, PortClient};
use crate::causes::one_line;
use crate::mapping::Entity;
use crate::resource_config::MappedFields;

/// Pages of current entities in memory at a time, as text: each is some megabytes.
const PAGES_AT_A_TIME: usize = 2;

/// Pages of a thousand entities of one blueprint: more than Port holds for anybody.
const MOST_PAGES: usize = 10_000;

/// Entities that one lookup names, as the original does.
const LOOKUP: usize = 50;

/// Lookups on their way at the same time.
const LOOKUPS_AT_A_TIME: usize = 4;

/// Blueprints that are read. An expression that makes up a blueprint for every
/// object must not cause a request for each.
const MOST_BLUEPRINTS: usize = 500;

/// What one resource config contributes to the catalog.
#[derive(Clone, Debug, Default)]
pub struct Contribution {
    /// The blueprint that all its entities go to; none where an expression decides.
    pub blueprint: Option<String>,
    /// What it maps.
    pub fields: MappedFields,
    /// Whether two of its objects may have one identifier.
    pub may_repeat: bool,
}

impl Contribution {
    pub(super) fn may_feed(&self, blueprint: &str) -> bool {
        self.blueprint.as_deref().is_none_or(|fed| fed == blueprint)
    }
}

/// Port's entities of the blueprints that are mapped, as digests.
pub(super) struct Current {
    port: PortClient,
    /// Whether what a mapping does not mention stays as it is.
    merge: bool,
    contributions: Arc<[Contribution]>,
    fingerprints: Fingerprints,
    blueprints: HashMap<String, Known>,
    reading: FuturesUnordered<BoxFuture<'static, (String, Known)>>,
    pages: Arc<Semaphore>,
    /// Whether writing may have begun.
    is_late: bool,
}

/// What is known of one blueprint's entities.
struct Known {
    state: State,
    /// Whether its entities were read when writing had begun.
    is_late: bool,
    plan: Arc<Plan>,
    digests: Digests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its entities are on their way.
    Reading,
    /// All are known.
    Whole,
    /// They are looked up as they come.
    Lookup,
    /// Nothing is known: write everything.
    Blind,
}

impl Current {
    /// Begins to read every blueprint that is mapped by name.
    pub(super) fn new(
        port: PortClient,
        merge: bool,
        contributions: Arc<[Contribution]>,
        fingerprints: Fingerprints,
    ) -> Self {
        let named: BTreeSet<String> = contributions
            .iter()
            .filter_map(|contribution| contribution.blueprint.clone())
            .collect();
        let mut current = Self {
            port,
            merge,
            contributions,
            fingerprints,
            blueprints: HashMap::new(),
            reading: FuturesUnordered::new(),
            pages: Arc::new(Semaphore::new(PAGES_AT_A_TIME)),
            is_late: false,
        };
        for blueprint in named {
            current.begin(&blueprint);
        }
        current
    }

    /// Whether anything is still being read; to be asked before [`Self::progress`].
    pub(super) fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Goes on with the reading. To be polled while there is nothing else to do.
    pub(super) async fn progress(&mut self) {
        if let Some((blueprint, known)) = self.reading.next().await {
            self.blueprints.insert(blueprint, known);
        }
    }

    /// Waits until there is something to compare these entities with.
    ///
    /// The first time, that is until all blueprints that are mapped by name are
    /// read, whatever these entities are: what is written meanwhile may have
    /// Port create entities there, which would look as if they had been before.
    pub(super) async fn prepare(&mut self, entities: &[Entity]) {
        let blueprints: BTreeSet<&str> = entities
            .iter()
            .map(|entity| entity.blueprint.as_str())
            .collect();
        while self.is_reading() {
            self.progress().await;
        }
        self.is_late = true;
        for blueprint in blueprints {
            self.begin(blueprint);
            while self.is_reading() {
                self.progress().await;
            }
            if self.state(blueprint) == State::Lookup {
                self.look_up(blueprint, entities).await;
            }
        }
    }

    /// Whether Port has the entity, as far as is known.
    pub(super) fn has(&self, blueprint: &str, entity: Fingerprint) -> bool {
        self.blueprints
            .get(blueprint)
            .is_some_and(|known| known.digests.has(entity))
    }

    /// Whether Port had the entity before anything was written, as far as is known.
    pub(super) fn had(&self, blueprint: &str, entity: Fingerprint) -> bool {
        self.blueprints.get(blueprint).is_some_and(|known| {
            known.state == State::Whole && !known.is_late && known.digests.has(entity)
        })
    }

    /// Whether Port has the entity just as it is. What it does not mention does
    /// not count, if Port merges.
    pub(super) fn is_unchanged(&self, fingerprint: Fingerprint, entity: &Entity) -> bool {
        let Some(known) = self.blueprints.get(&entity.blueprint) else {
            return false;
        };
        known
            .digests
            .of(fingerprint, &known.plan)
            .is_some_and(|digests| known.plan.is_equal(self.hasher(), entity, digests))
    }

    /// The blueprint that a relation leads to, where that is known.
    pub(super) fn target(&self, blueprint: &str, relation: &str) -> Option<&str> {
        self.blueprints.get(blueprint)?.plan.shape.target(relation)
    }

    fn hasher(&self) -> &RandomState {
        self.fingerprints.hasher()
    }

    fn state(&self, blueprint: &str) -> State {
        self.blueprints
            .get(blueprint)
            .map_or(State::Blind, |known| known.state)
    }

    /// Begins to read a blueprint, unless that has begun.
    fn begin(&mut self, blueprint: &str) {
        if self.blueprints.contains_key(blueprint) || self.blueprints.len() >= MOST_BLUEPRINTS {
            return;
        }
        self.blueprints
            .insert(blueprint.to_owned(), Known::new(State::Reading));
        let reading = Reading {
            port: self.port.clone(),
            merge: self.merge,
            contributions: Arc::clone(&self.contributions),
            fingerprints: self.fingerprints.clone(),
            pages: Arc::clone(&self.pages),
            is_late: self.is_late,
            blueprint: blueprint.to_owned(),
            most_pages: MOST_PAGES,
        };
        self.reading.push(reading.run().boxed());
    }

    async fn look_up(&mut self, blueprint: &str, entities: &[Entity]) {
        let Some(known) = self.blueprints.get(blueprint) else {
            return;
        };
        let plan = Arc::clone(&known.plan);
        let mut names: Vec<&str> = entities
            .iter()
            .filter(|entity| entity.blueprint == blueprint)
            .filter_map(|entity| entity.identifier.as_text())
            .filter(|name| {
                let fingerprint = self.fingerprints.of(blueprint, name);
                !known.digests.has(fingerprint)
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        // A list, not a lazy iterator: the compiler could not tell that a stream
        // with a closure in it may move between threads.
        let lookups: Vec<_> = names
            .chunks(LOOKUP)
            .map(|group| {
                self.port
                    .entities_by_identifier(blueprint, group, &plan.shown)
            })
            .collect();
        let found: Vec<Result<Vec<Value>, ApiError>> = stream::iter(lookups)
            .buffer_unordered(LOOKUPS_AT_A_TIME)
            .collect()
            .await;
        let (hasher, fingerprints) = (self.hasher().clone(), self.fingerprints.clone());
        let Some(known) = self.blueprints.get_mut(blueprint) else {
            return;
        };
        for group in found {
            match group {
                Ok(entities) => {
                    for entity in &entities {
                        known
                            .digests
                            .take(blueprint, entity, &plan, &fingerprints, &hasher);
                    }
                }
                Err(error) => {
                    unreadable(blueprint, &error);
                    known.state = State::Blind;
                    return;
                }
            }
        }
    }
}

impl Known {
    fn new(state: State) -> Self {
        Self {
            state,
            is_late: false,
            plan: Arc::default(),
            digests: Digests::default(),
        }
    }
}

/// Reads the definition and the entities of one blueprint.
struct Reading {
    port: PortClient,
    merge: bool,
    contributions: Arc<[Contribution]>,
    fingerprints: Fingerprints,
    pages: Arc<Semaphore>,
    is_late: bool,
    blueprint: String,
    most_pages: usize,
}

impl Reading {
    async fn run(self) -> (String, Known) {
        let known = self.read().await;
        (self.blueprint, known)
    }

    async fn read(&self) -> Known {
        let blueprint = &self.blueprint;
        let shape = match self.port.blueprint(blueprint).await {
            Ok(Some(definition)) => Shape::of(&definition),
            // Writing to it will say so.
            Ok(None) => return Known::new(State::Blind),
            Err(error) => {
                unreadable(blueprint, &error);
                return Known::new(State::Blind);
            }
        };
        let plan = Plan::new(blueprint, shape, &self.contributions, self.merge);
        let mut digests = Digests::default();
        let outcome = self.read_entities(&plan, &mut digests).await;
        let mut known = Known {
            state: State::Whole,
            is_late: self.is_late,
            plan: Arc::new(plan),
            digests,
        };
        if let Err(error) = outcome {
            known.digests = Digests::default();
            known.state = if is_refused(&error) {
                tracing::info!(
                    blueprint = %blueprint,
                    "Port does not serve the entities of `{blueprint}` page by page, so they are looked up in groups: {}",
                    one_line(&error)
                );
                State::Lookup
            } else {
                unreadable(blueprint, &error);
                State::Blind
            };
        }
        known
    }

    async fn read_entities(&self, plan: &Plan, digests: &mut Digests) -> Result<(), ListingError> {
        let hasher = self.fingerprints.hasher();
        let mut cursor = Cursor::new(self.most_pages);
        loop {
            // Closed by nobody; without a permit the page is read all the same.
            let _page = self.pages.acquire().await;
            let before = digests.len();
            let take = |entity: Value| {
                digests.take(&self.blueprint, &entity, plan, &self.fingerprints, hasher);
            };
            let next = self
                .port
                .entities_of_blueprint(&self.blueprint, &plan.shown, cursor.from(), take)
                .await?;
            // Cursors that lead in a circle would be followed for ever. What is
            // known by then is right; the rest is written.
            if digests.len() == before {
                return Ok(());
            }
            match cursor.advance(next) {
                Ok(true) => {}
                Ok(false) | Err(ListingError::Circle) => return Ok(()),
                Err(endless) => return Err(endless),
            }
        }
    }
}

/// Whether Port has said that it will not do this, rather than that it cannot now.
fn is_refused(error: &ListingError) -> bool {
    let ListingError::Api(error) = error else {
        return false;
    };
    matches!(
        error.status(),
        Some(400 | 403 | 404 | 405 | 410 | 422 | 501)
    )
}

fn unreadable(blueprint: &str, error: &dyn Error) {
    tracing::warn!(
        blueprint = %blueprint,
        "Could not read the entities of `{blueprint}` from Port, so all that are mapped are written: {}",
        one_line(error)
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Answer, Server, outbound};
    use crate::settings::{IntegrationSettings, PortSettings};

    fn port(server: &Server) -> PortClient {
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
        PortClient::new(&port, &integration, &outbound()).unwrap()
    }

    /// A Port that gives one page of new entities after the other, so many in all.
    async fn pages(count: usize) -> Server {
        let given = AtomicUsize::new(0);
        Server::deciding(move |request| {
            Answer::json(&match request.target.as_str() {
                "/v1/auth/access_token" => json!({
                    "ok": true, "accessToken": "t", "expiresIn": 10_800, "tokenType": "Bearer",
                }),
                "/v1/blueprints/thing" => json!({"ok": true, "blueprint": {"identifier": "thing"}}),
                _ => {
                    let page = given.fetch_add(1, Ordering::Relaxed);
                    let next = (page + 1 < count).then(|| format!("after {page}"));
                    json!({"ok": true, "entities": [{"identifier": format!("e{page}")}], "next": next})
                }
            })
        })
        .await
    }

    #[tokio::test]
    async fn entities_that_do_not_end_are_not_taken_for_all_that_there_are() {
        for (count, state, known) in [(3, State::Whole, 3), (4, State::Blind, 0)] {
            let server = pages(count).await;
            let reading = Reading {
                port: port(&server),
                merge: true,
                contributions: Arc::default(),
                fingerprints: Fingerprints::default(),
                pages: Arc::new(Semaphore::new(1)),
                is_late: false,
                blueprint: "thing".to_owned(),
                most_pages: 3,
            };

            let (_, read) = reading.run().await;

            assert_eq!(read.state, state, "{count} pages");
            assert_eq!(read.digests.len(), known, "{count} pages");
        }
    }
}
