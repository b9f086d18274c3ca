//! One event: its object from the source, through the mapping, into Port.
//!
//! ```text
//! taken ─▶ mapping (a minute old at most) ─▶ Source::live ─▶ map ──entities──▶ LiveWriter ─▶ Port
//!                                                │                  ▲
//!                                                └─▶ identify ──candidates
//! ```
//!
//! An event only says what to look at, so all that wait for one object are served
//! by one look. What the object is by then is mapped as a resync maps it. An
//! entity is deleted when the object is gone or when none of the resource configs
//! that made it takes the object any more, whether its parameters for the API or
//! its selector say so.
//!
//! What is not certain is left to the next resync:
//!
//! - Where a resource config's parameters can only be judged by the API, or its
//!   mapping fails, nothing is deleted of a blueprint that it may feed.
//! - An entity whose identifier other objects may share is not deleted.
//! - An entity of an element (`itemsToParse`) that the object has no more is not
//!   known any more.
//! - Nor is an entity whose identifier the object has changed.
//!
//! An incident moves its service's status. The service is not fetched here but
//! given back as one more event ([`Processed::also`]): so a burst of incidents
//! is one look at their service, and what is known of a service never comes from
//! two workers at once.

mod made;
mod outcome;
mod service;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::made::{Made, make};
use self::outcome::conclude;
pub use self::outcome::{LiveError, LiveOutcome, Processed};
use self::service::service_of;
use super::mapping::Mapping;
use super::resync::{Resync, ResyncError, contributions};
use crate::api::{PortClient, UpsertOptions};
use crate::catalog::{LiveChanges, LiveWriter, LiveWritten, RecentWrites, WriteLimits};
use crate::causes::with_hint;
use crate::jq;
use crate::live_events::{NewEvent, Subject, Taken};
use crate::resource_config::{MappingDocument, ResourceConfig};
use crate::source::{
    Live, LiveView, Presence, Source, SourceError, Standing, concerns, described, remains,
};

/// How long a vendor's API may take to show what its webhook has told already.
const LAG: SignedDuration = SignedDuration::from_secs(60);

/// How often an event is looked at anew because the mapping has changed.
const MAPPINGS: usize = 3;

/// Processes events; see the module.
pub struct LiveProcessor {
    pub port: PortClient,
    /// Accounts to read from.
    pub sources: Vec<Arc<dyn Source>>,
    /// Shared with resyncs.
    pub mapping: Arc<Mapping>,
    /// How old the mapping may be.
    pub mapping_age: Duration,
    pub jq_limits: jq::Limits,
    pub write_limits: WriteLimits,
    /// Shared with resyncs.
    pub recent: Arc<RecentWrites>,
    /// Resource configs that were said to wait for a resync.
    said: Mutex<BTreeSet<String>>,
}

impl LiveProcessor {
    /// A processor that shares what a resync works with. `mapping_age`: how old
    /// the mapping may be.
    pub fn beside(resync: &Resync, mapping_age: Duration) -> Self {
        Self {
            port: resync.port.clone(),
            sources: resync.sources.clone(),
            mapping: Arc::clone(&resync.mapping),
            mapping_age,
            jq_limits: resync.jq_limits.clone(),
            write_limits: resync.write_limits,
            recent: Arc::clone(&resync.recent),
            said: Mutex::default(),
        }
    }

    /// Brings the catalog up to what the object of these events is now.
    pub async fn process(&self, taken: &Taken) -> Processed {
        let Some(last) = taken.events.last().map(|spooled| &spooled.event) else {
            return Ok(LiveOutcome::default()).into();
        };
        match self.process_by_the_last(taken, last).await {
            Ok(processed) => processed,
            Err(error) => Err(error).into(),
        }
    }

    /// By the mapping that is the last one once the object has been mapped.
    async fn process_by_the_last(
        &self,
        taken: &Taken,
        last: &NewEvent,
    ) -> Result<Processed, LiveError> {
        for _ in 0..MAPPINGS {
            let document = self.mapping.recent(self.mapping_age).await;
            let document = document.map_err(|error| unreadable(&error))?;
            if let Some(processed) = self.process_by(&document, taken, last).await? {
                return Ok(processed);
            }
        }
        Err(LiveError::Again(
            "the mapping changed each time the event was looked at".to_owned(),
        ))
    }

    /// None when a resync has read another mapping meanwhile. What is written by
    /// the old one would count as newer than what that resync maps.
    async fn process_by(
        &self,
        document: &Arc<MappingDocument>,
        taken: &Taken,
        last: &NewEvent,
    ) -> Result<Option<Processed>, LiveError> {
        let subject = &taken.subject;
        let configs = &document.resources;
        let is_mapped = configs
            .iter()
            .any(|config| concerns(subject.thing, &config.kind));
        if !is_mapped {
            tracing::debug!(
                subject = %subject.key(),
                "No resource config is about the {}",
                described(subject)
            );
            return Ok(Some(Processed {
                result: Ok(LiveOutcome::default()),
                also: service_of(taken, configs, &last.payload),
            }));
        }
        let now = Timestamp::now();
        let live = self.fetch(subject, configs, now).await?;
        let is_young = now.duration_since(last.received) < LAG;
        match live.presence {
            Presence::Gone if is_young && !last.is_gone => {
                return Err(LiveError::Again(format!(
                    "the API does not know the {} yet",
                    described(subject)
                )));
            }
            Presence::Present if is_young && last.is_gone => {
                return Err(LiveError::Again(format!(
                    "the API still shows the {}, which is said to be gone",
                    described(subject)
                )));
            }
            _ => {}
        }
        let fetched = live.fetched;
        let views = if live.presence == Presence::Present {
            live.views
        } else {
            remains(subject, configs, shown_last(taken))
        };
        self.say_undecided(&views);
        let object = views
            .first()
            .and_then(|view| view.batch.objects.first())
            .cloned()
            .unwrap_or_default();
        let made = self.make(views, live.presence).await?;
        if !self.mapping.is_last(document) {
            return Ok(None);
        }
        let written = self.write(taken, document, &made, fetched).await;
        Ok(Some(Processed {
            result: conclude(taken, &made.findings, written),
            also: service_of(taken, configs, &object),
        }))
    }

    /// The object, from the account that has it: the one that the event named, as a
    /// rule. A webhook may outlive a move of its page, and tokens of one account
    /// share one webhook, so before an object counts as gone all are asked.
    async fn fetch(
        &self,
        subject: &Subject,
        configs: &[Arc<ResourceConfig>],
        now: Timestamp,
    ) -> Result<Live, LiveError> {
        let of_source = self.sources.iter();
        let of_source = of_source.filter(|source| source.name() == subject.source);
        let (named, others): (Vec<_>, Vec<_>) =
            of_source.partition(|source| subject.account.as_deref() == source.account());
        let sources = if named.is_empty() && subject.account.is_some() {
            Vec::new()
        } else {
            [named, others].concat()
        };
        let mut best: Option<Live> = None;
        let mut failed: Option<SourceError> = None;
        for source in sources {
            match source.live(subject, configs, now).await {
                Ok(live) if live.presence == Presence::Present => return Ok(live),
                // Of an account that leaves the page out another may say more.
                Ok(live) => match &best {
                    Some(known) if known.presence == Presence::Gone => {}
                    _ => best = Some(live),
                },
                Err(error) => failed = Some(error),
            }
        }
        match (best, failed) {
            (Some(live), None) => Ok(live),
            // Whoever may not look may be the one who has it.
            (Some(_), Some(error)) if is_refused(&error) => Err(LiveError::Never(format!(
                "no account that may be asked knows the {}, and of one that may have it: {}",
                described(subject),
                with_hint(&error, error.hint())
            ))),
            (_, Some(error)) => Err(unfetched(&error)),
            (None, None) => Err(LiveError::Never(match &subject.account {
                Some(account) => format!("{} has no account `{account}`", subject.source),
                None => format!("{} is not set up", subject.source),
            })),
        }
    }

    /// Says once of a resource config that its events wait for the resyncs.
    fn say_undecided(&self, views: &[LiveView]) {
        let undecided = views
            .iter()
            .filter(|view| view.standing == Standing::Undecided)
            .flat_map(|view| &view.consumers);
        for consumer in undecided {
            let config = &consumer.config;
            let name = format!("{} (resources[{}])", config.kind_text, config.index);
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.insert(name.clone()) {
                tracing::warn!(
                    kind = %config.kind_text,
                    "Whether an object passes the `apiQueryParams` of {name} can only be told by the API; where that is so, its live events wait for the next resync"
                );
            }
        }
    }

    /// Maps what is seen, and names what is not taken any more.
    async fn make(&self, views: Vec<LiveView>, presence: Presence) -> Result<Made, LiveError> {
        let limits = self.jq_limits.clone();
        jq::on_large_stack(move || make(&views, presence, &limits))
            .await
            .map_err(|panicked| LiveError::Never(format!("mapping the object: {panicked}")))
    }

    async fn write(
        &self,
        taken: &Taken,
        document: &MappingDocument,
        made: &Made,
        fetched: Timestamp,
    ) -> LiveWritten {
        let writer = LiveWriter {
            port: &self.port,
            recent: &self.recent,
            limits: self.write_limits,
            options: UpsertOptions {
                merge: document.enable_merge_entity,
                create_missing_related_entities: document.create_missing_related_entities,
                validation_only: false,
                event_type: "http_request",
                resync_id: None,
            },
            contributions: &contributions(&document.resources),
            is_ours: &|| taken.is_ours(),
        };
        let changes = LiveChanges {
            entities: made.entities.clone(),
            candidates: made.candidates.clone(),
        };
        writer.write(changes, fetched).await
    }
}

/// The last that an event showed of the object itself.
fn shown_last(taken: &Taken) -> &Value {
    let shows = |payload: &Value| {
        ["id", "alertId"]
            .iter()
            .any(|key| payload.get(key).and_then(Value::as_str) == Some(&taken.subject.id))
    };
    let mut payloads = taken.events.iter().rev().map(|event| &event.event.payload);
    payloads
        .find(|payload| shows(payload))
        .unwrap_or(&Value::Null)
}

/// A mapping that is being edited may be wrong for a while, and events are not to
/// be lost for that.
fn unreadable(error: &ResyncError) -> LiveError {
    LiveError::Again(with_hint(error, error.hint()))
}

fn unfetched(error: &SourceError) -> LiveError {
    let explained = with_hint(error, error.hint());
    match error {
        SourceError::Fetch { source, .. } if matches!(source.status(), Some(400 | 422)) => {
            LiveError::Never(explained)
        }
        SourceError::Unplaced { .. } | SourceError::Unseen { .. } => LiveError::Never(explained),
        _ => LiveError::Again(explained),
    }
}

fn is_refused(error: &SourceError) -> bool {
    matches!(error, SourceError::Fetch { source, .. } if source.status() == Some(403))
}
