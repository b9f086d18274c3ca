//! Keeps the webhook subscriber of each status page right.
//!
//! The token is a part of the address, and an address cannot be changed: a
//! subscriber whose address is wrong is replaced, the right one first. As with
//! [`pagerduty`](super::pagerduty), every pass looks, plans, does and looks again,
//! so that neither a lost answer nor a second replica leaves two of them behind.
//!
//! Pages are kept one by one: one that cannot be subscribed to says nothing about
//! the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::address::{WebhookAddress, shown};
use super::{MOST_PAGES, Problem, TURNS};
use crate::api::{ApiError, PAGE_SIZE, StatuspageClient, WebhookSubscriber};
use crate::settings::SourceName;
use crate::source::whole;

/// How a subscriber is to be.
pub(super) struct Wanted<'a> {
    pub(super) address: &'a WebhookAddress,
    /// The addresses of all accounts of this installation, tokens included: two
    /// keys that see one page need one subscriber.
    pub(super) urls: &'a [Url],
}

/// A step towards that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create,
    /// Take it out of quarantine.
    Revive(String),
    Delete(String),
}

/// What is to be done, in the order in which it is to be done. Nothing, once
/// there is one subscriber and it is right.
pub(super) fn plan(found: &[WebhookSubscriber], wanted: &Wanted<'_>) -> Vec<Change> {
    let found: Vec<(&WebhookSubscriber, Url)> = found
        .iter()
        .filter_map(|one| Some((one, one.endpoint.expose_secret().parse().ok()?)))
        .collect();
    let (mut right, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|(_, url)| wanted.urls.contains(url));
    // Of two the younger goes; all replicas see the same order.
    right.sort_by_key(|(one, _)| (one.quarantined, one.created, &one.id));
    let mut changes = Vec::new();
    let mut doubles = right.iter();
    match doubles.next() {
        None => changes.push(Change::Create),
        Some((kept, _)) if kept.quarantined => changes.push(Change::Revive(kept.id.clone())),
        Some(_) => {}
    }
    let outdated = others.iter().filter(|(_, url)| wanted.is_outdated(url));
    let superfluous = doubles.chain(outdated);
    changes.extend(superfluous.map(|(one, _)| Change::Delete(one.id.clone())));
    changes
}

impl Wanted<'_> {
    /// Whether it leads to us, with our token.
    fn is_right(&self, found: &WebhookSubscriber) -> bool {
        let url = found.endpoint.expose_secret().parse();
        url.is_ok_and(|url| self.urls.contains(&url))
    }

    /// Whether an address is ours, or the original's whose place we take, and wrong.
    fn is_outdated(&self, url: &Url) -> bool {
        let address = self.address;
        // Left behind by another address of this service.
        let has_moved =
            address.carries_token(url) && WebhookAddress::is_route(SourceName::Statuspage, url);
        address.is_originals(url) || address.is_below(url) || has_moved
    }
}

/// A key with the pages that it is used for.
pub(super) struct Account {
    /// What messages call it.
    pub(super) label: String,
    pub(super) client: Arc<StatuspageClient>,
    /// Empty: every page that the key can see.
    pub(super) page_ids: Vec<String>,
    /// Where its webhooks go, token included.
    pub(super) url: Url,
}

impl Account {
    /// One pass over all pages: what came of each, by what messages call it.
    pub(super) async fn keep(
        &self,
        address: &WebhookAddress,
        urls: &[Url],
    ) -> Vec<(String, Result<(), Problem>)> {
        let pages = match self.pages().await {
            Ok(pages) => pages,
            Err(problem) => return vec![(self.label.clone(), Err(problem))],
        };
        let mut outcomes = vec![(self.label.clone(), Ok(()))];
        for (id, page) in &pages {
            let outcome = self.keep_page(page, id, address, urls).await;
            outcomes.push((self.label_of(id), outcome));
        }
        outcomes
    }

    /// How many things a pass would have to do for each page, by what messages call it.
    pub(super) async fn standing(
        &self,
        address: &WebhookAddress,
        urls: &[Url],
    ) -> Vec<(String, Result<usize, Problem>)> {
        let pages = match self.pages().await {
            Ok(pages) => pages,
            Err(problem) => return vec![(self.label.clone(), Err(problem))],
        };
        let wanted = Wanted { address, urls };
        let mut standings = Vec::new();
        for (id, page) in &pages {
            let standing = if takes_no_webhooks(page) {
                Err(Problem::page_without_webhooks())
            } else {
                let found = self.look(id).await;
                found.map(|found| plan(&found, &wanted).len())
            };
            standings.push((self.label_of(id), standing));
        }
        standings
    }

    /// The pages that are wanted, with their identifiers.
    async fn pages(&self) -> Result<Vec<(String, Value)>, Problem> {
        let pages = whole::statuspage_pages(&self.client).await?;
        let pages = pages.into_iter().filter_map(|page| {
            let id = page["id"].as_str()?.to_owned();
            let is_wanted = self.page_ids.is_empty() || self.page_ids.contains(&id);
            is_wanted.then_some((id, page))
        });
        Ok(pages.collect())
    }

    fn label_of(&self, page_id: &str) -> String {
        format!("page {page_id} of {}", self.label)
    }

    async fn keep_page(
        &self,
        page: &Value,
        id: &str,
        address: &WebhookAddress,
        urls: &[Url],
    ) -> Result<(), Problem> {
        if takes_no_webhooks(page) {
            return Err(Problem::page_without_webhooks());
        }
        let wanted = Wanted { address, urls };
        // What was created and is not on the list yet must not be created again.
        let mut created: Vec<WebhookSubscriber> = Vec::new();
        let mut refused: Option<Problem> = None;
        let mut problem = Problem::restless();
        for _ in 0..TURNS {
            let mut found = self.look(id).await?;
            if !found.iter().any(|one| wanted.is_right(one)) {
                found.extend(created.iter().cloned());
            }
            let changes = plan(&found, &wanted);
            if changes.is_empty() {
                return Ok(());
            }
            if let Some(refused) = refused {
                return Err(refused);
            }
            problem = Problem::restless();
            for change in changes {
                match self.apply(id, &change).await {
                    Ok(one) => created.extend(one),
                    // Whether it had an effect is seen by looking again, and only
                    // if it had none it is done again.
                    Err(error) if error.may_have_had_effect() => {
                        problem = error.into();
                        break;
                    }
                    Err(error) => {
                        refused = Some(error.into());
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or(problem))
    }

    async fn look(&self, page_id: &str) -> Result<Vec<WebhookSubscriber>, Problem> {
        let mut all: Vec<WebhookSubscriber> = Vec::new();
        let mut seen = BTreeSet::new();
        for page in 0.. {
            if page == MOST_PAGES {
                return Err(Problem::endless());
            }
            let some = self.client.webhook_subscribers(page_id, page).await?;
            let is_last = some.len() < PAGE_SIZE;
            let fresh = some.into_iter();
            all.extend(fresh.filter(|one| seen.insert(one.id.clone())));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Does one step, and gives back what it created.
    async fn apply(
        &self,
        page_id: &str,
        change: &Change,
    ) -> Result<Option<WebhookSubscriber>, ApiError> {
        let (label, client) = (&self.label, &self.client);
        match change {
            Change::Create => {
                let endpoint = SecretString::from(self.url.as_str());
                let created = client.subscribe_webhook(page_id, &endpoint).await?;
                let url = shown(&self.url);
                tracing::info!(
                    page_id,
                    "Subscribed to the webhooks of page {page_id} of {label}, to be sent to {url}"
                );
                return Ok(Some(created));
            }
            Change::Revive(id) => {
                client.reactivate_subscriber(page_id, id).await?;
                tracing::info!(
                    page_id,
                    id,
                    "Webhooks of page {page_id} of {label}, which Statuspage had given up, go on"
                );
            }
            Change::Delete(id) => {
                client.unsubscribe(page_id, id).await?;
                tracing::info!(
                    page_id,
                    id,
                    "Deleted an outdated webhook subscriber of page {page_id} of {label}"
                );
            }
        }
        Ok(None)
    }
}

/// Statuspage would refuse a subscriber, and tells those there are nothing.
fn takes_no_webhooks(page: &Value) -> bool {
    page["allow_webhook_subscribers"] == false
}

#[cfg(test)]
mod tests;
