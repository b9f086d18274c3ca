//! One alert of Opsgenie.
//!
//! The single alert has more than the list shows, and what the list does not show
//! a resync writes as null. So that is taken away.
//!
//! Which incident an alert belongs to is only said by the incidents, one by one.
//! A resync asks all of them; for one event that would be out of proportion. The
//! alias of an alert that an incident has created begins with that incident,
//! which then confirms it. Otherwise the incidents are asked at most once a
//! minute, and only where they are few. What stays unknown keeps its value in Port
//! until the next resync.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Opsgenie;
use super::enrichment::{Enricher, Enrichment};
use super::listing;
use super::query::Request;
use super::select::{self, Teams};
use crate::api::{OpsgenieClient, OpsgenieList, Worth};
use crate::causes::one_line;
use crate::live_events::{Subject, Thing};
use crate::mapping::{Column, Consumer, RawBatch};
use crate::resource_config::{Kind, OpsgenieKind, OpsgenieSearch, ResourceConfig};
use crate::source::SourceError;
use crate::source::live::{Live, LiveView, Presence, Standing, bare, described, shown};
use crate::source::reading::Reading;
use crate::source::said::Said;

/// What only the single alert has.
const NOT_LISTED: [&str; 4] = ["description", "details", "entity", "actions"];

/// How long what was found out about incidents is used.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(60);

/// Incidents that are asked for their alerts because of an event.
const MOST_INCIDENTS: usize = 100;

/// How often it is said that something could not be found out.
const SAY_AGAIN: Duration = Duration::from_hours(1);

/// What live events know of incidents, for a minute.
pub(super) struct Incidents {
    known: Mutex<Option<Arc<Enricher>>>,
    said: Arc<Said>,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            said: Arc::new(Said::again_after(SAY_AGAIN)),
        }
    }
}

impl Opsgenie {
    pub(super) async fn fetch_live(
        &self,
        subject: &Subject,
        configs: &[Arc<ResourceConfig>],
    ) -> Result<Live, SourceError> {
        let wanted: Vec<(&Arc<ResourceConfig>, &OpsgenieSearch, &OpsgenieKind)> = configs
            .iter()
            .filter_map(|config| match &config.kind {
                Kind::Opsgenie(kind @ OpsgenieKind::Alert(search)) => Some((config, search, kind)),
                _ => None,
            })
            .collect();
        if subject.thing != Thing::OpsgenieAlert {
            return Err(SourceError::Unplaced {
                what: described(subject),
            });
        }
        let failed = |source| SourceError::Fetch {
            what: described(subject),
            source,
        };
        let Some(mut alert) = self.client.alert(&subject.id).await.map_err(failed)? else {
            return Ok(Live::without(Presence::Gone));
        };
        let fetched = Timestamp::now();
        if let Some(members) = alert.as_object_mut() {
            members.retain(|key, _| !NOT_LISTED.contains(&key.as_str()));
        }
        let teams = self
            .teams(wanted.iter().map(|(_, search, _)| *search))
            .await;
        let mut related = None;
        let mut views = Vec::new();
        for (config, search, kind) in wanted {
            let standing = select::alert_stands(search, &alert, &teams);
            let enrichments = Enrichment::wanted_by(config, kind);
            let columns: Vec<&'static str> = enrichments
                .iter()
                .map(|enrichment| enrichment.key())
                .collect();
            let mut batch = bare(alert.clone(), &columns);
            if standing == Standing::Included && enrichments.contains(&Enrichment::RelatedIncident)
            {
                if related.is_none() {
                    related = Some(self.incidents.of(&self.client, &alert, fetched).await);
                }
                set(&mut batch, related.clone().flatten());
            }
            views.push(LiveView {
                consumers: vec![Consumer {
                    config: Arc::clone(config),
                    columns,
                }],
                batch,
                standing,
            });
        }
        Ok(Live {
            presence: Presence::Present,
            fetched,
            views,
        })
    }

    /// Whose names the teams of the selectors may be. Most selectors have none,
    /// or say them by their ids.
    async fn teams(&self, searches: impl Iterator<Item = &OpsgenieSearch>) -> Teams {
        let mut wanted = searches.flat_map(|search| &search.teams);
        if !wanted.any(|team| !select::is_id(team)) {
            return Teams::default();
        }
        let mut teams: Vec<Value> = Vec::new();
        let request = Request::whole(OpsgenieList::Teams);
        match listing::run(
            &self.client,
            &request,
            Worth::Enrichment,
            &Reading::whole(),
            &mut teams,
        )
        .await
        {
            Ok(()) => Teams::of(&teams),
            Err(error) => {
                if self.incidents.said.is_news("teams") {
                    tracing::warn!(
                        error = %one_line(&error),
                        "Could not read the names of Opsgenie's teams: {}; alerts that a selector asks for by its team's name wait for the next resync",
                        one_line(&error)
                    );
                }
                Teams::unknown()
            }
        }
    }
}

/// Puts the one value into the one column.
fn set(batch: &mut RawBatch, value: Option<Value>) {
    let key = Enrichment::RelatedIncident.key();
    batch.columns.retain(|column| column.key != key);
    batch.columns.push(Column {
        key,
        values: vec![value],
    });
}

impl Incidents {
    /// The incident of an alert; null when it has none, nothing when that is not
    /// known.
    async fn of(
        &self,
        client: &Arc<OpsgenieClient>,
        alert: &Value,
        fetched: Timestamp,
    ) -> Option<Value> {
        if let Some(incident) = confirmed(client, alert).await {
            return Some(incident);
        }
        let enricher = self.enricher(client);
        let incidents = enricher.kept(OpsgenieList::Incidents)?.get(client).await;
        if let Ok(incidents) = incidents
            && incidents.len() > MOST_INCIDENTS
        {
            if self.said.is_news("many incidents") {
                tracing::info!(
                    "Which incident an alert of Opsgenie belongs to is left to the resyncs where its alias does not tell: there are {} incidents to ask",
                    incidents.len()
                );
            }
            return None;
        }
        let mut related = enricher
            .related_incidents(std::slice::from_ref(alert))
            .await;
        let related = related.pop().flatten();
        // What was asked before may have changed since.
        let is_stale = enricher.began < fetched && related == Some(Value::Null);
        related.filter(|_| !is_stale)
    }

    fn enricher(&self, client: &Arc<OpsgenieClient>) -> Arc<Enricher> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |enricher: &&Arc<Enricher>| Timestamp::now().duration_since(enricher.began) < KEPT_FOR;
        if let Some(enricher) = known.as_ref().filter(is_fresh) {
            return Arc::clone(enricher);
        }
        let enricher = Enricher::new(Arc::clone(client), |_| Worth::Enrichment)
            .saying_through(Arc::clone(&self.said));
        let enricher = Arc::new(enricher);
        *known = Some(Arc::clone(&enricher));
        enricher
    }
}

/// The incident that the alias names, if it says that the alert is one of its own.
async fn confirmed(client: &OpsgenieClient, alert: &Value) -> Option<Value> {
    let (incident, _) = alert.get("alias")?.as_str()?.split_once('_')?;
    if !select::is_id(incident) {
        return None;
    }
    let alerts = client.associated_alerts(incident).await.ok()??;
    let id = alert.get("id")?.as_str()?;
    if !alerts.iter().any(|alert| alert == id) {
        return None;
    }
    client.incident(incident).await.ok()?
}

/// The object as far as an event shows it; see [`crate::source::remains`].
pub(in crate::source) fn remains(subject: &Subject, payload: &Value) -> Option<Value> {
    shown(subject, payload, "alertId").or_else(|| shown(subject, payload, "id"))
}
