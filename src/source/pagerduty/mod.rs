//! PagerDuty: services, incidents, schedules, on-calls, escalation policies and
//! any other list endpoint by its name.
//!
//! ```text
//! resource configs ─▶ query (what to ask for) ─▶ listing (to its end) ─▶ enrichment ─▶ pages
//! ```
//!
//! Equal requests are one dataset. Enrichment is fetched only for what an
//! expression can read, and each upstream object once a resync.

mod emails;
mod enrichment;
mod listing;
mod live;
mod query;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use self::emails::EmailNotes;
use self::enrichment::{Enricher, Wanted};
use self::listing::Receiver;
pub(super) use self::live::{may_list, remains};
use self::query::Request;
use super::live::Live;
use super::reading::{self, Listed, Reading};
use super::said::Said;
use super::{Dataset, Detail, Pages, Source, SourceError};
use crate::api::{ApiError, PagerdutyClient};
use crate::excerpt::To;
use crate::http::LastAnswer;
use crate::live_events::Subject;
use crate::mapping::Consumer;
use crate::resource_config::{Kind, PagerdutyKind, ResourceConfig};
use crate::settings::SourceName;

/// How often it is said that live events have to do without something.
const SAY_AGAIN: Duration = Duration::from_hours(1);

/// One PagerDuty account.
pub struct Pagerduty {
    client: Arc<PagerdutyClient>,
    account: Option<String>,
    /// What was said about live events.
    said: Arc<Said>,
}

impl Pagerduty {
    /// A source that asks with `client`.
    pub fn new(client: PagerdutyClient, account: Option<String>) -> Self {
        Self {
            client: Arc::new(client),
            account,
            said: Arc::new(Said::again_after(SAY_AGAIN)),
        }
    }
}

impl Source for Pagerduty {
    fn name(&self) -> SourceName {
        SourceName::Pagerduty
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
        now: Timestamp,
        detail: Detail,
    ) -> Vec<Dataset> {
        let mut groups = Vec::new();
        for config in configs {
            let Kind::Pagerduty(kind) = &config.kind else {
                continue;
            };
            Group::join(&mut groups, Request::for_kind(kind, now), config, kind);
        }

        // The users' e-mail addresses that schedules need come from the very
        // listing that feeds the kind `users`, where that is mapped. It is
        // started first, so that nobody waits for what has not begun.
        let is_users = |group: &Group<Request>| group.shared == Request::plain("users");
        groups.sort_by_key(|group| !is_users(group));
        let users_are_listed = groups.first().is_some_and(is_users)
            && groups.iter().any(|group| group.wanted.needs_emails());
        let enricher = Arc::new(Enricher::new(
            Arc::clone(&self.client),
            now,
            users_are_listed,
        ));

        groups
            .into_iter()
            .map(|group| {
                let is_users = is_users(&group);
                let Group {
                    shared: request,
                    wanted,
                    consumers,
                } = group;
                let enricher = Arc::clone(&enricher);
                let client = Arc::clone(&self.client);
                let reading = reading(&request, detail, &consumers);
                Dataset::new(
                    format!("pagerduty {request}"),
                    vec![consumers],
                    reading.clone(),
                    move |pages| async move {
                        let mut page = Page {
                            emails: is_users.then(|| enricher.share_emails()).flatten(),
                            enricher: &enricher,
                            wanted: &wanted,
                            pages: &pages,
                        };
                        listing::run(&client, &request, &reading, &mut page).await?;
                        if let Some(emails) = page.emails {
                            emails.complete();
                        }
                        Ok(())
                    },
                )
            })
            .collect()
    }

    fn live<'a>(
        &'a self,
        subject: &'a Subject,
        configs: &'a [Arc<ResourceConfig>],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Live, SourceError>> {
        self.fetch_live(subject, configs, now).boxed()
    }
}

/// What the consumers read of each object, and what the program itself does: to tell
/// objects apart, and to find what is set beside them.
fn reading(request: &Request, detail: Detail, consumers: &[Consumer]) -> Reading {
    use To::{Each, Key};
    // What has no `id` is told apart by all that it holds.
    const NAMED: [&str; 5] = [
        "services",
        "incidents",
        "schedules",
        "escalation_policies",
        "users",
    ];
    if !NAMED.contains(&request.endpoint.as_str()) {
        return Reading::whole();
    }
    let own = [
        vec![Key("id")],
        vec![Key("type")],
        vec![Key("created_at")],
        vec![Key("email")],
        vec![Key("service"), Key("id")],
        vec![Key("escalation_policy"), Key("id")],
        vec![Key("users"), Each, Key("id")],
    ];
    Reading::of(
        detail,
        Listed::UnderKey,
        reading::paths(consumers).chain(own),
    )
}

/// All incidents with these statuses, whenever they began, each with what
/// triggered it.
pub(super) async fn incidents(
    client: &PagerdutyClient,
    statuses: &[&str],
) -> Result<Vec<Value>, SourceError> {
    let mut incidents = Vec::new();
    let request = Request::incidents_ever(statuses);
    listing::run(client, &request, &Reading::whole(), &mut incidents).await?;
    Ok(incidents)
}

/// Resource configs that one pass of enrichment serves, as they share what is
/// enriched: a listing, or how one object stands with them.
struct Group<Shared> {
    shared: Shared,
    wanted: Wanted,
    consumers: Vec<Consumer>,
}

impl<Shared: PartialEq> Group<Shared> {
    /// Adds a resource config to the group that serves it, or to one of its own.
    fn join(
        groups: &mut Vec<Self>,
        shared: Shared,
        config: &Arc<ResourceConfig>,
        kind: &PagerdutyKind,
    ) {
        let wanted = Wanted::by(config, kind);
        let consumer = Consumer {
            config: Arc::clone(config),
            columns: wanted.columns(),
        };
        match groups
            .iter_mut()
            .find(|group| group.shared == shared && group.wanted.joins(&wanted))
        {
            Some(group) => {
                group.wanted.add(&wanted);
                group.consumers.push(consumer);
            }
            None => groups.push(Self {
                shared,
                wanted,
                consumers: vec![consumer],
            }),
        }
    }
}

/// Enriches what was listed and hands it on.
struct Page<'a> {
    enricher: &'a Enricher,
    wanted: &'a Wanted,
    pages: &'a Pages,
    emails: Option<EmailNotes>,
}

impl Receiver for Page<'_> {
    async fn take(&mut self, objects: Vec<Value>) -> Result<(), SourceError> {
        if let Some(emails) = &mut self.emails {
            emails.note(&objects);
        }
        let batch = self.enricher.enrich(objects, self.wanted).await;
        self.pages.send(vec![batch]).await
    }
}
