//! Statuspage: pages, component groups, components, incidents and their updates.
//!
//! The API allows one request a second, so nothing is fetched twice: the list
//! of status pages is shared by all kinds, and incidents and incident updates
//! are two views of one dataset.

mod live;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OnceCell;

pub(super) use self::live::remains;
use super::live::Live;
use super::reading::{self, Listed, Reading};
use super::seen::Seen;
use super::{Dataset, Detail, Pages, Source, SourceError};
use crate::api::{ApiError, PAGE_SIZE, StatuspageClient};
use crate::causes::one_line;
use crate::excerpt::To;
use crate::http::LastAnswer;
use crate::jq::Step;
use crate::live_events::Subject;
use crate::mapping::{Consumer, RawBatch};
use crate::resource_config::{Kind, ResourceConfig, StatuspageKind};
use crate::settings::SourceName;

/// Pages of one collection of one status page: a million objects, more than anybody
/// has. Nothing else ends a list of which there is always another page.
const MOST_PAGES: u32 = 10_000;

/// The same of the list of status pages, which is kept.
const MOST_PAGES_OF_PAGES: u32 = 100;

/// One Statuspage key and the pages it is used for.
pub struct Statuspage {
    client: Arc<StatuspageClient>,
    account: Option<String>,
    page_ids: Vec<String>,
}

impl Statuspage {
    /// `page_ids` empty: every page that the key can see.
    pub fn new(
        client: StatuspageClient,
        account: Option<String>,
        mut page_ids: Vec<String>,
    ) -> Self {
        let mut seen = HashSet::new();
        page_ids.retain(|id| !id.is_empty() && seen.insert(id.clone()));
        Self {
            client: Arc::new(client),
            account,
            page_ids,
        }
    }
}

impl Source for Statuspage {
    fn name(&self) -> SourceName {
        SourceName::Statuspage
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ApiError>> {
        self.client.check().boxed()
    }

    fn last_answer(&self) -> Option<LastAnswer> {
        self.client.last_answer()
    }

    fn datasets(
        &self,
        configs: &[Arc<ResourceConfig>],
        _now: Timestamp,
        detail: Detail,
    ) -> Vec<Dataset> {
        let consumers = |wanted: StatuspageKind| -> Vec<Consumer> {
            configs
                .iter()
                .filter(|config| matches!(&config.kind, Kind::Statuspage(kind) if *kind == wanted))
                .map(|config| Consumer {
                    config: Arc::clone(config),
                    columns: Vec::new(),
                })
                .collect()
        };
        let listing = Arc::new(Listing {
            client: Arc::clone(&self.client),
            page_ids: self.page_ids.clone(),
            pages: OnceCell::new(),
            began: Timestamp::now(),
            updates_are_read: consumers(StatuspageKind::Incident).iter().any(|incidents| {
                incidents
                    .config
                    .may_read(&[Step::Key("incident_updates".into())])
            }),
        });
        let candidates = [
            (Collection::Pages, vec![StatuspageKind::Statuspage]),
            (
                Collection::ComponentGroups,
                vec![StatuspageKind::ComponentGroup],
            ),
            (Collection::Components, vec![StatuspageKind::Component]),
            (
                Collection::Incidents,
                vec![StatuspageKind::Incident, StatuspageKind::IncidentUpdate],
            ),
        ];
        candidates
            .into_iter()
            .filter_map(|(collection, kinds)| {
                let views: Vec<_> = kinds.into_iter().map(consumers).collect();
                if views.iter().all(Vec::is_empty) {
                    return None;
                }
                let listing = Arc::clone(&listing);
                let reading = reading(collection, detail, &views);
                Some(Dataset::new(
                    format!("statuspage {}", collection.name()),
                    views,
                    reading.clone(),
                    move |pages| async move { listing.run(collection, &reading, &pages).await },
                ))
            })
            .collect()
    }

    fn live<'a>(
        &'a self,
        subject: &'a Subject,
        configs: &'a [Arc<ResourceConfig>],
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Live, SourceError>> {
        self.fetch_live(subject, configs).boxed()
    }
}

/// What the consumers read of each object. The list of status pages is kept whole, for
/// it is shared.
fn reading(collection: Collection, detail: Detail, views: &[Vec<Consumer>]) -> Reading {
    if let Collection::Pages = collection {
        return Reading::whole();
    }
    let own = To::Key("id");
    let mut paths = vec![vec![own]];
    if views.get(1).is_some_and(|updates| !updates.is_empty()) {
        paths.push([&UPDATES[..], &[own]].concat());
    }
    for (consumers, inside) in views.iter().zip([&[][..], &UPDATES[..]]) {
        paths.extend(reading::paths(consumers).map(|path| [inside, &path].concat()));
    }
    Reading::of(detail, Listed::Itself, paths)
}

/// Where an incident holds its updates.
const UPDATES: [To<'static>; 2] = [To::Key("incident_updates"), To::Each];

/// What is listed of a status page.
#[derive(Clone, Copy)]
pub(super) enum Collection {
    Pages,
    ComponentGroups,
    Components,
    Incidents,
    /// Incidents that are not resolved.
    Unresolved,
    /// Maintenances that are going on.
    ActiveMaintenances,
}

impl Collection {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::ComponentGroups => "component groups",
            Self::Components => "components",
            Self::Incidents => "incidents",
            Self::Unresolved => "unresolved incidents",
            Self::ActiveMaintenances => "active maintenances",
        }
    }
}

/// What the datasets of one resync share.
struct Listing {
    client: Arc<StatuspageClient>,
    page_ids: Vec<String>,
    /// Status pages are few, so the list is kept: every kind needs it.
    pages: OnceCell<Vec<Value>>,
    /// Before it the status pages had not been asked for.
    began: Timestamp,
    /// Whether an expression of an incident looks at its updates.
    updates_are_read: bool,
}

impl Listing {
    async fn run(
        &self,
        collection: Collection,
        reading: &Reading,
        pages: &Pages,
    ) -> Result<(), SourceError> {
        if let Collection::Pages = collection {
            return self.status_pages(pages).await;
        }
        let mut refused = None;
        for page_id in self.page_ids().await? {
            match self.below(collection, &page_id, reading, pages).await {
                Ok(()) => {}
                // A verdict on this page, which says nothing about the others.
                Err(error) if is_refused(&error) => {
                    if let Some(earlier) = refused.replace(error) {
                        tracing::error!(
                            "{}; the other status pages are listed all the same",
                            one_line(&earlier)
                        );
                    }
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// One collection of one status page.
    async fn below(
        &self,
        collection: Collection,
        page_id: &str,
        reading: &Reading,
        pages: &Pages,
    ) -> Result<(), SourceError> {
        let mut turn = Turn::new(&self.client, collection, page_id, reading.clone());
        loop {
            let asked = Timestamp::now();
            let takes_updates = !self.updates_are_read && reading.is_past_the_first();
            let Some(objects) = turn.next().await? else {
                return Ok(());
            };
            pages
                .send_as_of(asked, views(collection, objects, takes_updates))
                .await?;
        }
    }

    async fn status_pages(&self, pages: &Pages) -> Result<(), SourceError> {
        let wanted: Vec<Value> = self
            .all_pages()
            .await?
            .iter()
            .filter(|page| {
                self.page_ids.is_empty()
                    || id(page).is_some_and(|id| self.page_ids.iter().any(|wanted| wanted == id))
            })
            .cloned()
            .collect();
        let unseen: Vec<String> = self
            .page_ids
            .iter()
            .filter(|named| !wanted.iter().any(|page| id(page) == Some(named)))
            .cloned()
            .collect();
        if !wanted.is_empty() {
            let views = views(Collection::Pages, wanted, false);
            pages.send_as_of(self.began, views).await?;
        }
        // Left unsaid, a page that lost its reader would look like one that is gone.
        if unseen.is_empty() {
            Ok(())
        } else {
            Err(SourceError::Unseen { ids: unseen })
        }
    }

    async fn page_ids(&self) -> Result<Vec<String>, SourceError> {
        if !self.page_ids.is_empty() {
            return Ok(self.page_ids.clone());
        }
        let pages = self.all_pages().await?;
        Ok(pages.iter().filter_map(id).map(str::to_owned).collect())
    }

    /// All status pages, fetched once a resync.
    async fn all_pages(&self) -> Result<&Vec<Value>, SourceError> {
        self.pages.get_or_try_init(|| all_pages(&self.client)).await
    }
}

/// All status pages that the key can see.
///
/// Whether `GET /pages` knows paging is not documented: a server that ignores
/// `page` would answer with the same list for ever, so a page without a new id
/// ends the listing as well as a short one does.
pub(super) async fn all_pages(client: &StatuspageClient) -> Result<Vec<Value>, SourceError> {
    let mut all: Vec<Value> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for number in 1..=MOST_PAGES_OF_PAGES {
        let objects = client
            .pages(number)
            .await
            .map_err(|source| SourceError::List {
                what: "the status pages".to_owned(),
                source,
            })?;
        let count = objects.len();
        let before = all.len();
        all.extend(
            objects
                .into_iter()
                .filter(|page| id(page).is_some_and(|id| seen.insert(id.to_owned()))),
        );
        if count < PAGE_SIZE || all.len() == before {
            return Ok(all);
        }
    }
    Err(SourceError::Endless {
        what: "the list of status pages".to_owned(),
        served: all.len() as u64,
    })
}

/// Turns the pages of one collection of one status page, once, to its end.
///
/// Pages are counted and carry no total. An object that is created while they
/// are turned pushes others onto the next page, which are then seen twice and
/// given once. One that is deleted meanwhile, or leaves the collection, can pull
/// another over the border unseen, and nothing in the API would tell: accepted
/// for the catalog; who decides by what is missing turns the pages again.
pub(super) struct Turn<'a> {
    client: &'a StatuspageClient,
    collection: Collection,
    page_id: &'a str,
    reading: Reading,
    number: u32,
    most_pages: u32,
    seen: Seen,
    has_ended: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        client: &'a StatuspageClient,
        collection: Collection,
        page_id: &'a str,
        reading: Reading,
    ) -> Self {
        Self {
            client,
            collection,
            page_id,
            seen: Seen::of(&reading),
            reading,
            number: 0,
            most_pages: MOST_PAGES,
            has_ended: false,
        }
    }

    /// How many pages were asked for.
    pub(super) const fn pages(&self) -> u32 {
        self.number
    }

    /// The objects of the next page that were not on one before; none after
    /// the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Value>>, SourceError> {
        if self.has_ended {
            return Ok(None);
        }
        let what = || format!("{} of page {}", self.collection.name(), self.page_id);
        if self.number >= self.most_pages {
            return Err(SourceError::Endless {
                what: what(),
                served: self.seen.len(),
            });
        }
        let page = self.page(self.number + 1).await;
        let mut objects = page.map_err(|source| SourceError::List {
            what: what(),
            source,
        })?;
        self.number += 1;
        let is_short = objects.len() < PAGE_SIZE;
        objects.retain(|object| self.seen.insert(object));
        // A server that does not know paging would send the same for ever.
        self.has_ended = is_short || objects.is_empty();
        Ok((!objects.is_empty()).then_some(objects))
    }

    async fn page(&self, number: u32) -> Result<Vec<Value>, ApiError> {
        let (client, page_id) = (self.client, self.page_id);
        let keep = self.reading.next();
        match self.collection {
            Collection::Pages => client.pages(number).await,
            Collection::ComponentGroups => client.component_groups(page_id, number, keep).await,
            Collection::Components => client.components(page_id, number, keep).await,
            Collection::Incidents => client.incidents(page_id, number, keep).await,
            Collection::Unresolved => client.unresolved_incidents(page_id, number).await,
            Collection::ActiveMaintenances => client.active_maintenances(page_id, number).await,
        }
    }
}

/// Whether the API will not show something, rather than could not.
fn is_refused(error: &SourceError) -> bool {
    matches!(error, SourceError::List { source, .. } if matches!(source.status(), Some(403 | 404)))
}

pub(super) fn id(object: &Value) -> Option<&str> {
    object.get("id")?.as_str()
}

/// The batches that a page of a collection gives, in the order of its views. Incidents
/// may have to part with their updates.
fn views(collection: Collection, mut objects: Vec<Value>, takes_updates: bool) -> Vec<RawBatch> {
    match collection {
        Collection::Pages
        | Collection::ComponentGroups
        | Collection::Components
        | Collection::Unresolved
        | Collection::ActiveMaintenances => vec![batch(objects)],
        Collection::Incidents => {
            let updates = if takes_updates {
                objects.iter_mut().flat_map(take_updates).collect()
            } else {
                objects.iter().flat_map(updates_of).collect()
            };
            vec![batch(objects), batch(updates)]
        }
    }
}

/// The updates of an incident.
pub(super) fn updates_of(incident: &Value) -> Vec<Value> {
    let updates = incident.get("incident_updates").and_then(Value::as_array);
    updates.cloned().unwrap_or_default()
}

fn take_updates(incident: &mut Value) -> Vec<Value> {
    match incident.get_mut("incident_updates").map(Value::take) {
        Some(Value::Array(updates)) => updates,
        _ => Vec::new(),
    }
}

fn batch(objects: Vec<Value>) -> RawBatch {
    RawBatch {
        objects,
        ..RawBatch::default()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Answer, Server, outbound};
    use crate::settings::{Credential, StatuspageAccount};

    /// A Statuspage whose every page is full of what nobody has seen before.
    async fn endless() -> (Server, StatuspageClient) {
        let server = Server::deciding(|request| {
            let ids = (0..PAGE_SIZE).map(|place| format!("{} {place}", request.target));
            Answer::json(&ids.map(|id| json!({"id": id})).collect())
        })
        .await;
        let account = StatuspageAccount {
            name: None,
            host: server.url.clone(),
            api_key: Credential::Fixed(SecretString::from("key")),
            page_ids: Vec::new(),
        };
        let client = StatuspageClient::new(&account, &outbound(), 60_000).unwrap();
        (server, client)
    }

    #[tokio::test]
    async fn status_pages_without_an_end_are_an_error() {
        let (server, client) = endless().await;

        let error = all_pages(&client).await.unwrap_err();

        assert_eq!(
            error.to_string(),
            "the list of status pages did not end: 10000 objects were served, and there were more"
        );
        assert_eq!(server.count(), MOST_PAGES_OF_PAGES as usize);
    }

    #[tokio::test]
    async fn a_collection_without_an_end_is_an_error() {
        let (server, client) = endless().await;
        let mut turn = Turn {
            most_pages: 2,
            ..Turn::new(&client, Collection::Components, "p1", Reading::whole())
        };

        assert!(turn.next().await.unwrap().is_some());
        assert!(turn.next().await.unwrap().is_some());

        assert_eq!(
            turn.next().await.unwrap_err().to_string(),
            "components of page p1 did not end: 200 objects were served, and there were more"
        );
        assert_eq!(server.count(), 2);
    }
}
