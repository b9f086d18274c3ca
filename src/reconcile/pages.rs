//! The status pages, as they are right now.
//!
//! A page is observed whole or not at all. Unresolved incidents are read before
//! the newest ones: what is resolved in between is then seen in both lists
//! rather than in none, and the later look counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::model::{
    self, ComponentId, IncidentId, Malformed, ObservedPage, Page, PageId, PublicIncident,
};
use crate::api::StatuspageClient;
use crate::causes::with_hint;
use crate::source::{SourceError, whole};

/// One Statuspage key and the pages that it is used for.
pub struct PageKey {
    /// What messages call it.
    pub label: String,
    pub client: Arc<StatuspageClient>,
    /// Empty: every page that the key can see.
    pub page_ids: Vec<String>,
}

/// A page, and how it is reached.
pub struct Reached {
    pub page: Page,
    pub client: Arc<StatuspageClient>,
}

/// Why a page was not observed.
#[derive(Debug, thiserror::Error)]
pub enum Unobserved {
    #[error(transparent)]
    Source(Box<SourceError>),
    #[error("Statuspage answered with something that is not what it documents")]
    Malformed(#[from] Malformed),
}

impl From<SourceError> for Unobserved {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl Unobserved {
    /// On one line, with the remedy where one is known.
    pub fn explain(&self) -> String {
        match self {
            Self::Source(error) => explain(error),
            Self::Malformed(_) => with_hint(self, None),
        }
    }
}

/// On one line. What the catalog could do about a list that is too long is none
/// of the reconciler's remedies.
pub(super) fn explain(error: &SourceError) -> String {
    let hint = match error {
        SourceError::CutShort { .. } => None,
        other => other.hint(),
    };
    with_hint(error, hint)
}

impl PageKey {
    /// The pages that the key is used for; those that it is to be used for and
    /// does not see come back by their identifiers.
    pub async fn pages(&self) -> Result<(Vec<Reached>, Vec<String>), Unobserved> {
        let pages = whole::statuspage_pages(&self.client).await?;
        let pages: Vec<Page> = pages.iter().map(Page::parse).collect::<Result<_, _>>()?;
        let unseen = self
            .page_ids
            .iter()
            .filter(|id| !pages.iter().any(|page| page.id.as_str() == *id))
            .cloned()
            .collect();
        let wanted = pages
            .into_iter()
            .filter(|page| {
                self.page_ids.is_empty() || self.page_ids.iter().any(|id| id == page.id.as_str())
            })
            .map(|page| Reached {
                page,
                client: Arc::clone(&self.client),
            })
            .collect();
        Ok((wanted, unseen))
    }
}

impl Reached {
    /// Everything on the page that decides what is done.
    pub async fn observe(&self, owner: &str) -> Result<ObservedPage, Unobserved> {
        let (client, id) = (&self.client, self.page.id.as_str());
        let unresolved = whole::statuspage_unresolved(client, id).await?;
        let newest = whole::statuspage_newest_incidents(client, id).await?;
        let maintenances = whole::statuspage_active_maintenances(client, id).await?;
        let components = whole::statuspage_components(client, id).await?;

        let mut incidents: BTreeMap<IncidentId, PublicIncident> = BTreeMap::new();
        for object in unresolved.iter().chain(&newest).chain(&maintenances) {
            let incident = PublicIncident::parse(object, owner)?;
            incidents.insert(incident.id.clone(), incident);
        }
        let (maintenances, mut incidents): (Vec<_>, Vec<_>) = incidents
            .into_values()
            .partition(PublicIncident::is_maintenance);
        incidents.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        let (resolved, unresolved) = incidents.into_iter().partition(PublicIncident::is_resolved);
        Ok(ObservedPage {
            page: self.page.clone(),
            components: model::components(&components)?,
            unresolved,
            resolved,
            in_maintenance: model::in_maintenance(&maintenances),
        })
    }

    /// One incident as it is now; none where there is none any more.
    pub async fn incident(
        &self,
        id: &IncidentId,
        owner: &str,
    ) -> Result<Option<PublicIncident>, Unobserved> {
        let found = self
            .client
            .incident(self.page.id.as_str(), id.as_str())
            .await
            .map_err(|source| SourceError::List {
                what: format!("incident {id}"),
                source,
            })?;
        let parsed = found.map(|object| PublicIncident::parse(&object, owner));
        Ok(parsed.transpose()?)
    }

    /// The newest unresolved incidents: enough to see whether one came up since
    /// the page was observed.
    pub async fn newest_unresolved(&self, owner: &str) -> Result<Vec<PublicIncident>, Unobserved> {
        let page: &PageId = &self.page.id;
        let found = self
            .client
            .unresolved_incidents(page.as_str(), 1)
            .await
            .map_err(|source| SourceError::List {
                what: format!("unresolved incidents of page {page}"),
                source,
            })?;
        parse_all(&found, owner)
    }

    /// What holds which component now: the newest unresolved incidents, whosever
    /// they are, and the maintenances under way. One that was there before is
    /// known from the observation.
    pub async fn held(&self, owner: &str) -> Result<Vec<(IncidentId, ComponentId)>, Unobserved> {
        let page = self.page.id.as_str();
        let maintenances = whole::statuspage_active_maintenances(&self.client, page).await?;
        let mut holders = self.newest_unresolved(owner).await?;
        holders.extend(parse_all(&maintenances, owner)?);
        let held = holders.into_iter().flat_map(|holder| {
            let id = holder.id;
            let components = holder.components.into_iter();
            components.map(move |component| (id.clone(), component))
        });
        Ok(held.collect())
    }

    /// All unresolved incidents.
    pub async fn unresolved(&self, owner: &str) -> Result<Vec<PublicIncident>, Unobserved> {
        let found = whole::statuspage_unresolved(&self.client, self.page.id.as_str()).await?;
        parse_all(&found, owner)
    }
}

fn parse_all(objects: &[Value], owner: &str) -> Result<Vec<PublicIncident>, Unobserved> {
    let parsed: Result<Vec<_>, Malformed> = objects
        .iter()
        .map(|object| PublicIncident::parse(object, owner))
        .collect();
    Ok(parsed?)
}
