//! Keeps the webhook subscription of one PagerDuty account right.
//!
//! PagerDuty does not let the address or the headers of a subscription be
//! changed, nor does it show what the headers are. So one whose address or token
//! is wrong is replaced: the right one is created first, then the wrong one is
//! deleted, and nothing is lost in between. Which token a subscription carries is
//! seen by its description.
//!
//! Every pass looks, plans, does what is planned and looks again, until there is
//! nothing to do. Two replicas that create one each at the same moment both see
//! two then, agree on which is to stay, and one of them is deleted. A creation
//! whose answer got lost is seen as well.
//!
//! One that a person has switched off stays as it is: that was somebody's will.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::SecretString;
use url::Url;

use super::address::{TOKEN_HEADER, WebhookAddress, shown};
use super::{MOST_PAGES, OnSecret, Problem, TURNS};
use crate::api::{
    ApiError, NewWebhookSubscription, PAGE_SIZE, PagerdutyClient, WebhookSubscription,
};
use crate::settings::SourceName;

/// Subscriptions a page, as offsets count.
#[expect(clippy::cast_possible_truncation, reason = "it is a hundred")]
const PAGE: u32 = PAGE_SIZE as u32;

/// What the originals call theirs.
const ORIGINAL: &str = "Port Ocean Integration";

/// Event types that every account offers: those of the originals.
const ESSENTIAL: [&str; 16] = [
    "incident.acknowledged",
    "incident.annotated",
    "incident.delegated",
    "incident.escalated",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.status_update_published",
    "incident.triggered",
    "incident.unacknowledged",
    "service.created",
    "service.deleted",
    "service.updated",
];

/// Everything that tells of a change of an incident or a service.
const ALL: [&str; 27] = [
    "incident.acknowledged",
    "incident.action_invocation.created",
    "incident.action_invocation.terminated",
    "incident.action_invocation.updated",
    "incident.annotated",
    "incident.conference_bridge.updated",
    "incident.custom_field_values.updated",
    "incident.delegated",
    "incident.escalated",
    "incident.incident_type.changed",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.role.assigned",
    "incident.service_updated",
    "incident.status_update_published",
    "incident.triggered",
    "incident.unacknowledged",
    "incident.workflow.completed",
    "incident.workflow.started",
    "service.created",
    "service.custom_field_values.updated",
    "service.deleted",
    "service.updated",
];

/// How a subscription is to be.
pub(super) struct Wanted<'a> {
    pub(super) address: &'a WebhookAddress,
    /// The addresses of all accounts of this installation: two tokens of one
    /// account need one subscription.
    pub(super) urls: &'a [Url],
    pub(super) events: &'static [&'static str],
}

/// A step towards that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create,
    /// Set what it tells.
    Correct(String),
    /// Let it go on after deliveries were given up.
    Revive(String),
    Delete(String),
}

/// What is to be done, in the order in which it is to be done. Nothing, once
/// there is one subscription and it is right.
pub(super) fn plan(found: &[WebhookSubscription], wanted: &Wanted<'_>) -> Vec<Change> {
    let mut right: Vec<_> = found.iter().filter(|one| wanted.is_right(one)).collect();
    // Identifiers say nothing about age, but all replicas see the same ones.
    right.sort_by_key(|one| (!one.active, &one.id));
    let mut changes = Vec::new();
    match right.split_first() {
        None => changes.push(Change::Create),
        Some((kept, others)) => {
            if kept.active && kept.temporarily_disabled == Some(true) {
                changes.push(Change::Revive(kept.id.clone()));
            }
            if !wanted.tells_everything(kept) {
                changes.push(Change::Correct(kept.id.clone()));
            }
            changes.extend(others.iter().map(|one| Change::Delete(one.id.clone())));
        }
    }
    let outdated = found.iter().filter(|one| wanted.is_outdated(one));
    changes.extend(outdated.map(|one| Change::Delete(one.id.clone())));
    changes
}

impl Wanted<'_> {
    /// Whether it leads to us, with our token.
    fn is_right(&self, found: &WebhookSubscription) -> bool {
        let is_address = |url| self.urls.contains(url);
        let mut headers = found.header_names.iter();
        found.url.as_ref().is_some_and(is_address)
            && headers.any(|name| name.eq_ignore_ascii_case(TOKEN_HEADER))
            && self.address.is_marked(&found.description)
    }

    /// Whether it is ours, or the original's whose place we take, and wrong.
    fn is_outdated(&self, found: &WebhookSubscription) -> bool {
        let Some(url) = &found.url else { return false };
        let address = self.address;
        let is_original = found.description == ORIGINAL && address.is_originals(url);
        // Left behind by another address of this service.
        let has_moved = address.is_marked(&found.description)
            && WebhookAddress::is_route(SourceName::Pagerduty, url)
            && !self.urls.contains(url);
        !self.is_right(found) && (is_original || has_moved || address.is_below(url))
    }

    fn tells_everything(&self, found: &WebhookSubscription) -> bool {
        let is_told = |event: &&str| found.events.contains(*event);
        found.whole_account && self.events.iter().all(is_told)
    }
}

/// An account that is to be subscribed to.
pub(super) struct Account {
    /// What messages call it.
    pub(super) label: String,
    pub(super) client: PagerdutyClient,
    /// Where its webhooks go.
    pub(super) url: Url,
    /// Whether it turned out not to offer everything there is.
    pub(super) has_less: AtomicBool,
}

impl Account {
    /// One pass.
    pub(super) async fn keep(
        &self,
        address: &WebhookAddress,
        urls: &[Url],
        on_secret: &OnSecret,
    ) -> Result<(), Problem> {
        // What was created and is not on the list yet must not be created again.
        let mut created: Vec<WebhookSubscription> = Vec::new();
        let mut refused: Option<Problem> = None;
        let mut problem = Problem::restless();
        for _ in 0..TURNS {
            let mut found = self.look(address, urls).await?;
            let wanted = Wanted {
                address,
                urls,
                events: self.events(),
            };
            if !found.iter().any(|one| wanted.is_right(one)) {
                found.extend(created.iter().cloned());
            }
            let changes = plan(&found, &wanted);
            if changes.is_empty() {
                let switched_off = |one: &WebhookSubscription| wanted.is_right(one) && !one.active;
                if found.iter().any(switched_off) {
                    return Err(Problem::switched_off());
                }
                return Ok(());
            }
            if let Some(refused) = refused {
                return Err(refused);
            }
            problem = Problem::restless();
            for change in changes {
                match self.apply(&change, &wanted, on_secret).await {
                    Ok(one) => created.extend(one),
                    Err(error) if self.may_have_less(&change, &error) => {
                        self.has_less.store(true, Ordering::Relaxed);
                        break;
                    }
                    // Whether it had an effect is seen by looking again, and only
                    // if it had none it is done again.
                    Err(error) if error.may_have_had_effect() => {
                        problem = error.into();
                        break;
                    }
                    Err(error) => {
                        // It was not for the events, then.
                        self.has_less
                            .fetch_and(error.status() != Some(400), Ordering::Relaxed);
                        refused = Some(error.into());
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or(problem))
    }

    /// How many things a pass would have to do. An account may not offer everything
    /// there is, so what every account offers is enough.
    pub(super) async fn standing(
        &self,
        address: &WebhookAddress,
        urls: &[Url],
    ) -> Result<usize, Problem> {
        let found = self.look(address, urls).await?;
        let wanted = Wanted {
            address,
            urls,
            events: &ESSENTIAL,
        };
        let changes = plan(&found, &wanted);
        let switched_off = |one: &WebhookSubscription| wanted.is_right(one) && !one.active;
        if changes.is_empty() && found.iter().any(switched_off) {
            return Err(Problem::switched_off());
        }
        Ok(changes.len())
    }

    fn events(&self) -> &'static [&'static str] {
        if self.has_less.load(Ordering::Relaxed) {
            &ESSENTIAL
        } else {
            &ALL
        }
    }

    /// Whether it was refused for event types that the account does not offer,
    /// which PagerDuty does not say in so many words.
    fn may_have_less(&self, change: &Change, error: &ApiError) -> bool {
        let names_events = matches!(change, Change::Create | Change::Correct(_));
        names_events && error.status() == Some(400) && !self.has_less.load(Ordering::Relaxed)
    }

    /// The subscriptions of the account; of those that may be ours, everything.
    async fn look(
        &self,
        address: &WebhookAddress,
        urls: &[Url],
    ) -> Result<Vec<WebhookSubscription>, Problem> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        for page in 0.. {
            if page == MOST_PAGES {
                return Err(Problem::endless());
            }
            let page = self.client.webhook_subscriptions(page * PAGE).await?;
            let is_last = !page.more || page.subscriptions.is_empty();
            let fresh = page.subscriptions.into_iter();
            all.extend(fresh.filter(|one| seen.insert(one.id.clone())));
            if is_last {
                break;
            }
        }
        let wanted = Wanted {
            address,
            urls,
            events: self.events(),
        };
        let mut found = Vec::with_capacity(all.len());
        for one in all {
            // Lists do not say whether deliveries were given up.
            if one.temporarily_disabled.is_none() && wanted.is_right(&one) {
                found.extend(self.client.webhook_subscription(&one.id).await?);
            } else {
                found.push(one);
            }
        }
        Ok(found)
    }

    /// Does one step, and gives back what it created.
    async fn apply(
        &self,
        change: &Change,
        wanted: &Wanted<'_>,
        on_secret: &OnSecret,
    ) -> Result<Option<WebhookSubscription>, ApiError> {
        let (label, url) = (&self.label, shown(&self.url));
        match change {
            Change::Create => {
                let token: &SecretString = wanted.address.token();
                let new = NewWebhookSubscription {
                    url: &self.url,
                    description: &wanted.address.description(),
                    events: wanted.events,
                    header: (TOKEN_HEADER, token),
                };
                let created = self.client.create_webhook_subscription(&new).await?;
                if let Some(secret) = &created.secret {
                    on_secret(secret);
                }
                tracing::info!("Subscribed to the webhooks of {label}, to be sent to {url}");
                return Ok(Some(created.subscription));
            }
            Change::Correct(id) => {
                let client = &self.client;
                client
                    .update_webhook_subscription(id, wanted.events)
                    .await?;
                tracing::info!(id, "Corrected what the webhooks of {label} tell");
            }
            Change::Revive(id) => {
                self.client.enable_webhook_subscription(id).await?;
                tracing::info!(
                    id,
                    "Webhooks of {label}, which PagerDuty had given up for the time being, go on"
                );
            }
            Change::Delete(id) => {
                self.client.delete_webhook_subscription(id).await?;
                tracing::info!(id, "Deleted an outdated webhook subscription of {label}");
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
