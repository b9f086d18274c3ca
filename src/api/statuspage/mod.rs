//! Statuspage's REST API, version 1.
//!
//! Lists are bare arrays: no total, no word on whether there is more. A list
//! ends with the first page that is shorter than asked for, so whatever is not
//! an array of objects must be an error.
//!
//! What is written is public at once, and its subscribers are told: see
//! `writing`.

mod subscribers;
mod writing;

use std::sync::Arc;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::credential::{CredentialSource, Secret};
use super::error::shape;
use super::{ApiError, BaseUrl, PAGE_SIZE};
use crate::excerpt::{self, Excerpt};
use crate::http::{
    BuildError, HttpClient, LastAnswer, Pacer, RateHeaders, Reply, Request, RetryPolicy,
};
use crate::settings::{OutboundSettings, StatuspageAccount};

pub use subscribers::WebhookSubscriber;

/// Reads and changes status pages with one API key.
pub struct StatuspageClient {
    http: HttpClient,
    base: BaseUrl,
    key: CredentialSource,
    policy: RetryPolicy,
    enrichment: RetryPolicy,
    writing: RetryPolicy,
    start: RetryPolicy,
}

impl StatuspageClient {
    /// `per_minute`: requests in any rolling minute, shared by all clients of
    /// this key.
    pub fn new(
        account: &StatuspageAccount,
        outbound: &OutboundSettings,
        per_minute: u32,
    ) -> Result<Self, BuildError> {
        let base = BaseUrl::new(&account.host)?;
        let key = CredentialSource::new(&account.api_key, authorization, "the Statuspage API key")?;
        let pacer = Pacer::shared(
            "Statuspage",
            base.authority(),
            &key.identity(),
            Some(per_minute),
        );
        let http = HttpClient::new(
            outbound,
            outbound.verify_third_party,
            outbound.client_timeout,
            pacer,
            RateHeaders::RetryAfter,
        )?;
        Ok(Self {
            http,
            base,
            key,
            policy: RetryPolicy::STANDARD,
            enrichment: RetryPolicy::ENRICHMENT,
            writing: RetryPolicy::WRITE,
            start: RetryPolicy::START,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.enrichment = policy.clone();
        self.writing = policy.clone();
        self.start = policy.clone();
        self.policy = policy;
        self
    }

    /// What came with its last answer: the time, and what is left of the rate limit.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.http.last_answer()
    }

    /// Asks for little, to find out early whether the key is accepted.
    pub async fn check(&self) -> Result<(), ApiError> {
        let mut url = self.url(&["pages"]);
        url.query_pairs_mut().append_pair("per_page", "1");
        self.get(url, &self.start, |_| false).await.map(drop)
    }

    /// The status pages that the key can see.
    pub async fn pages(&self, page: u32) -> Result<Vec<Value>, ApiError> {
        self.list(&["pages"], "per_page", page, None).await
    }

    pub async fn component_groups(
        &self,
        page_id: &str,
        page: u32,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<Vec<Value>, ApiError> {
        self.list(
            &["pages", page_id, "component-groups"],
            "per_page",
            page,
            keep,
        )
        .await
    }

    /// Components, with the groups among them (`group: true`).
    pub async fn components(
        &self,
        page_id: &str,
        page: u32,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<Vec<Value>, ApiError> {
        self.list(&["pages", page_id, "components"], "per_page", page, keep)
            .await
    }

    /// Incidents and maintenances, with their updates.
    pub async fn incidents(
        &self,
        page_id: &str,
        page: u32,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<Vec<Value>, ApiError> {
        self.list(&["pages", page_id, "incidents"], "limit", page, keep)
            .await
    }

    /// Incidents that are not resolved. Whether maintenances are among them is
    /// not documented.
    pub async fn unresolved_incidents(
        &self,
        page_id: &str,
        page: u32,
    ) -> Result<Vec<Value>, ApiError> {
        let path = ["pages", page_id, "incidents", "unresolved"];
        self.list(&path, "per_page", page, None).await
    }

    /// Maintenances that are going on.
    pub async fn active_maintenances(
        &self,
        page_id: &str,
        page: u32,
    ) -> Result<Vec<Value>, ApiError> {
        let path = ["pages", page_id, "incidents", "active_maintenance"];
        self.list(&path, "per_page", page, None).await
    }

    /// One status page; none if there is no such page.
    pub async fn page(&self, page_id: &str) -> Result<Option<Value>, ApiError> {
        self.detail(&["pages", page_id], "a page").await
    }

    /// One component; none if the page has no such component.
    pub async fn component(&self, page_id: &str, id: &str) -> Result<Option<Value>, ApiError> {
        self.detail(&["pages", page_id, "components", id], "a component")
            .await
    }

    /// One incident with its updates; none if the page has no such incident.
    pub async fn incident(&self, page_id: &str, id: &str) -> Result<Option<Value>, ApiError> {
        self.detail(&["pages", page_id, "incidents", id], "an incident")
            .await
    }

    /// How many would be told of an incident, over all ways of telling them.
    pub async fn subscriber_count(&self, page_id: &str) -> Result<u64, ApiError> {
        let url = self.url(&["pages", page_id, "subscribers", "count"]);
        let reply = self.get(url, &self.enrichment, |_| false).await?;
        let by_type = reply.body.as_ref().and_then(Value::as_object);
        let counts = by_type.map(|by_type| {
            let counts = by_type.values().map(Value::as_u64);
            counts.collect::<Option<Vec<_>>>()
        });
        let Some(counts) = counts.flatten() else {
            let problem = "it does not count subscribers by type";
            return Err(ApiError::malformed(&reply, problem));
        };
        Ok(counts.into_iter().fold(0, u64::saturating_add))
    }

    async fn detail(&self, path: &[&str], what: &str) -> Result<Option<Value>, ApiError> {
        let reply = self.get(self.url(path), &self.policy, is_absent).await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        object(reply, what).map(Some)
    }

    /// `keep`: what of the answer to keep, if not all.
    async fn list(
        &self,
        path: &[&str],
        size: &str,
        page: u32,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<Vec<Value>, ApiError> {
        let mut url = self.url(path);
        url.query_pairs_mut()
            .append_pair("page", &page.to_string())
            .append_pair(size, &PAGE_SIZE.to_string());
        let read = excerpt::reader(keep);
        let request = || Request::new(Method::GET, url.clone(), &self.policy).reading(&read);
        let reply = self.send(request, |_| false).await?;
        match reply.body {
            Some(Value::Array(objects)) if objects.iter().all(Value::is_object) => Ok(objects),
            ref other => {
                let problem = match other {
                    Some(Value::Array(_)) => {
                        "the list holds something other than objects".to_owned()
                    }
                    other => format!("a list should be an array, not {}", shape(other.as_ref())),
                };
                Err(ApiError::malformed(&reply, problem))
            }
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        self.base
            .join(std::iter::once("v1").chain(path.iter().copied()))
    }

    /// The reply, which is a success unless `accepted`.
    async fn get(
        &self,
        url: Url,
        policy: &RetryPolicy,
        accepted: fn(&Reply) -> bool,
    ) -> Result<Reply, ApiError> {
        self.send(|| Request::new(Method::GET, url.clone(), policy), accepted)
            .await
    }

    async fn send<'policy>(
        &self,
        request: impl Fn() -> Request<'policy>,
        accepted: fn(&Reply) -> bool,
    ) -> Result<Reply, ApiError> {
        let (reply, key) = self.key.send(&self.http, request).await?;
        if reply.is_success() || accepted(&reply) {
            return Ok(reply);
        }
        Err(ApiError::refused(reply, hint, &[key.token()]))
    }
}

/// A 404 of Statuspage's own, which it explains in JSON; a page of something
/// else that answers at this address says nothing about the object.
fn is_absent(reply: &Reply) -> bool {
    reply.status == 404 && reply.body.is_some()
}

/// The object that a reply is, with the identifier without which it is none.
fn object(reply: Reply, what: &str) -> Result<Value, ApiError> {
    match reply.body {
        Some(object) if object.get("id").is_some_and(Value::is_string) => Ok(object),
        ref other => {
            let found = shape(other.as_ref());
            let problem = format!("{what} should be an object with `id`, not {found}");
            Err(ApiError::malformed(&reply, problem))
        }
    }
}

fn authorization(key: &Secret) -> String {
    format!("OAuth {}", key.text.expose_secret())
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "check OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY: the key is wrong or has been revoked",
        ),
        403 => Some(
            "the owner of the API key may not read this status page: check the user's role and OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS",
        ),
        404 => Some("check OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS and …__STATUSPAGE_HOST"),
        420 | 429 => Some(
            "something else uses the same API key: give Portolan a key of its own, or lower OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
