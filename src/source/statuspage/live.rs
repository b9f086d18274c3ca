//! One page, component or incident of Statuspage.
//!
//! A component event says nothing of the group that the component is in, whose
//! status the API derives from its components: a mapping that has groups among
//! its components gets that with the next resync. Neither does a page event's
//! `status_indicator` get into the catalog, which no list shows.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Collection, Statuspage, views};
use crate::live_events::{Subject, Thing};
use crate::mapping::Consumer;
use crate::resource_config::{Kind, ResourceConfig, StatuspageKind};
use crate::source::SourceError;
use crate::source::live::{Live, LiveView, Presence, Standing, consumers, described, shown};

impl Statuspage {
    pub(super) async fn fetch_live(
        &self,
        subject: &Subject,
        configs: &[Arc<ResourceConfig>],
    ) -> Result<Live, SourceError> {
        let (collection, kinds): (_, &[StatuspageKind]) = match subject.thing {
            Thing::StatuspagePage => (Collection::Pages, &[StatuspageKind::Statuspage]),
            Thing::StatuspageComponent => (Collection::Components, &[StatuspageKind::Component]),
            Thing::StatuspageIncident => (
                Collection::Incidents,
                &[StatuspageKind::Incident, StatuspageKind::IncidentUpdate],
            ),
            _ => return Err(unplaced(subject)),
        };
        let consumers: Vec<Vec<Consumer>> = kinds
            .iter()
            .map(|wanted| {
                let is_it = |kind: &Kind| matches!(kind, Kind::Statuspage(kind) if kind == wanted);
                consumers(configs, &is_it)
            })
            .collect();
        let page = match (&subject.page, subject.thing) {
            (Some(page), _) => page,
            (None, Thing::StatuspagePage) => &subject.id,
            // Nothing of a page can be asked for without it.
            (None, _) => return Err(unplaced(subject)),
        };
        if !self.page_ids.is_empty() && !self.page_ids.contains(page) {
            return Ok(Live::without(Presence::OutOfScope));
        }
        let fetched = match collection {
            Collection::Pages => self.client.page(page).await,
            Collection::Components => self.client.component(page, &subject.id).await,
            _ => self.client.incident(page, &subject.id).await,
        };
        let failed = |source| SourceError::Fetch {
            what: described(subject),
            source,
        };
        let Some(object) = fetched.map_err(failed)? else {
            // A page that lost its reader looks as if everything on it were gone.
            // Where the settings name the page, that is no reason to delete.
            let is_named = !self.page_ids.is_empty();
            if is_named && self.client.page(page).await.map_err(failed)?.is_none() {
                return Err(SourceError::Unseen {
                    ids: vec![page.clone()],
                });
            }
            return Ok(Live::without(Presence::Gone));
        };
        let fetched = Timestamp::now();
        let views = consumers
            .into_iter()
            .zip(views(collection, vec![object], false))
            .filter(|(consumers, _)| !consumers.is_empty())
            .map(|(consumers, batch)| LiveView {
                consumers,
                batch,
                standing: Standing::Included,
            })
            .collect();
        Ok(Live {
            presence: Presence::Present,
            fetched,
            views,
        })
    }
}

fn unplaced(subject: &Subject) -> SourceError {
    SourceError::Unplaced {
        what: described(subject),
    }
}

/// The object as far as an event shows it; see [`crate::source::remains`].
pub(in crate::source) fn remains(subject: &Subject, payload: &Value) -> Option<Value> {
    let mut object = shown(subject, payload, "id")?;
    if let (Some(page), Some(members)) = (&subject.page, object.as_object_mut()) {
        // Incident events leave it out.
        members
            .entry("page_id")
            .or_insert_with(|| json!(page.clone()));
    }
    Some(object)
}
