//! Opsgenie: alerts, services, incidents, teams, schedules, their on-calls, and
//! users.
//!
//! ```text
//! resource configs ─▶ query (what to ask for) ─▶ listing (to its end) ─▶ enrichment ─▶ pages
//!                                                     └─▶ shared (lists kept whole) ─┘
//! ```
//!
//! Equal requests are one dataset. Enrichment is fetched only for what an
//! expression can read, and each upstream object once a resync.

mod enrichment;
mod listing;
mod live;
mod query;
mod select;
mod shared;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use self::enrichment::{Enricher, Enrichment};
use self::listing::Receiver;
use self::live::Incidents;
pub(super) use self::live::remains;
use self::query::Request;
pub(super) use self::select::may_list;
use super::live::Live;
use super::reading::{self, Listed, Reading};
use super::{Dataset, Detail, Pages, Source, SourceError};
use crate::api::{ApiError, OpsgenieClient, OpsgenieList, PAGE_SIZE, Worth};
use crate::excerpt::To;
use crate::http::LastAnswer;
use crate::live_events::Subject;
use crate::mapping::Consumer;
use crate::resource_config::{Kind, ResourceConfig};
use crate::settings::SourceName;

/// One Opsgenie account.
pub struct Opsgenie {
    client: Arc<OpsgenieClient>,
    account: Option<String>,
    /// What live events know of incidents.
    incidents: Incidents,
}

impl Opsgenie {
    /// A source that asks with `client`.
    pub fn new(client: OpsgenieClient, account: Option<String>) -> Self {
        Self {
            client: Arc::new(client),
            account,
            incidents: Incidents::default(),
        }
    }
}

impl Source for Opsgenie {
    fn name(&self) -> SourceName {
        SourceName::Opsgenie
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
        let groups = groups(configs);
        let needed_whole = |list| {
            let mut wanted = groups.iter().flat_map(|group| &group.wanted);
            wanted.any(|enrichment| enrichment.list() == Some(list))
        };
        let is_listed = |list| {
            let whole = Request::whole(list);
            groups.iter().any(|group| group.request == whole)
        };
        let enricher = Arc::new(Enricher::new(Arc::clone(&self.client), |list| {
            if is_listed(list) {
                Worth::Listing
            } else {
                Worth::Enrichment
            }
        }));
        let kept: Vec<OpsgenieList> = groups
            .iter()
            .filter(|group| group.request == Request::whole(group.request.list))
            .map(|group| group.request.list)
            .filter(|list| needed_whole(*list))
            .collect();

        groups
            .into_iter()
            .map(|group| {
                let Group {
                    request,
                    wanted,
                    consumers,
                } = group;
                let is_kept = request.query.is_empty() && kept.contains(&request.list);
                let enricher = Arc::clone(&enricher);
                let client = Arc::clone(&self.client);
                let reading = reading(detail, &consumers);
                Dataset::new(
                    format!("opsgenie {request}"),
                    vec![consumers],
                    reading.clone(),
                    move |pages| async move {
                        let mut page = Page {
                            enricher: &enricher,
                            wanted: &wanted,
                            pages: &pages,
                            as_of: is_kept.then_some(enricher.began),
                        };
                        match enricher.kept(request.list).filter(|_| is_kept) {
                            Some(kept) => {
                                let objects = kept.get(&client).await?;
                                for objects in objects.chunks(PAGE_SIZE) {
                                    page.take(objects.to_vec()).await?;
                                }
                                Ok(())
                            }
                            None => {
                                listing::run(&client, &request, Worth::Listing, &reading, &mut page)
                                    .await
                            }
                        }
                    },
                )
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

/// All alerts or incidents that are open.
pub(super) async fn open(
    client: &OpsgenieClient,
    list: OpsgenieList,
) -> Result<Vec<Value>, SourceError> {
    let mut objects = Vec::new();
    let request = Request::open(list);
    listing::run(
        client,
        &request,
        Worth::Listing,
        &Reading::whole(),
        &mut objects,
    )
    .await?;
    Ok(objects)
}

/// What the consumers read of each object, and what the program itself does: to tell
/// objects apart, and to find what is set beside them.
fn reading(detail: Detail, consumers: &[Consumer]) -> Reading {
    const OWN: [&str; 3] = ["id", "teamId", "impactedServices"];
    let own = OWN.map(|key| vec![To::Key(key)]);
    Reading::of(
        detail,
        Listed::UnderKey,
        reading::paths(consumers).chain(own),
    )
}

/// Resource configs that one listing serves.
struct Group {
    request: Request,
    wanted: Vec<Enrichment>,
    consumers: Vec<Consumer>,
}

/// The listings that the resource configs need, each once.
fn groups(configs: &[Arc<ResourceConfig>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for config in configs {
        let Kind::Opsgenie(kind) = &config.kind else {
            continue;
        };
        let request = Request::for_kind(kind);
        let wanted = Enrichment::wanted_by(config, kind);
        let consumer = Consumer {
            config: Arc::clone(config),
            columns: wanted.iter().map(|enrichment| enrichment.key()).collect(),
        };
        match groups.iter_mut().find(|group| group.request == request) {
            Some(group) => {
                let new = wanted.into_iter();
                let known = group.wanted.clone();
                group
                    .wanted
                    .extend(new.filter(|enrichment| !known.contains(enrichment)));
                group.consumers.push(consumer);
            }
            None => groups.push(Group {
                request,
                wanted,
                consumers: vec![consumer],
            }),
        }
    }
    groups
}

/// Enriches what was listed and hands it on.
struct Page<'a> {
    enricher: &'a Enricher,
    wanted: &'a [Enrichment],
    pages: &'a Pages,
    /// When what was kept may have been asked for; none where it is asked for
    /// page by page.
    as_of: Option<Timestamp>,
}

impl Receiver for Page<'_> {
    async fn take(&mut self, objects: Vec<Value>) -> Result<(), SourceError> {
        let batches = vec![self.enricher.enrich(objects, self.wanted).await];
        match self.as_of {
            Some(asked) => self.pages.send_as_of(asked, batches).await,
            None => self.pages.send(batches).await,
        }
    }
}
