//! PagerDuty's REST API, version 2.
//!
//! Classic lists say themselves whether there is more. A reply that does not,
//! though it is paged, is an error: taken for the last page it would make
//! everything after it look deleted.

mod subscriptions;

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::credential::{Authorization, CredentialSource, Secret};
use super::error::shape;
use super::{ApiError, BaseUrl, PAGE_SIZE};
use crate::excerpt::{self, Excerpt};
use crate::http::{
    BuildError, HttpClient, LastAnswer, Pacer, RateHeaders, Reply, Request, RetryPolicy,
};
use crate::settings::{OutboundSettings, PagerdutyAccount};

pub use subscriptions::{
    CreatedSubscription, NewWebhookSubscription, SubscriptionPage, WebhookSubscription,
};

/// Asks for version 2 whatever the account's default is.
const VERSION: HeaderValue = HeaderValue::from_static("application/vnd.pagerduty+json;version=2");

const UNSAID: &str = "the page does not say whether there are more";

/// Reads one PagerDuty account.
pub struct PagerdutyClient {
    http: HttpClient,
    base: BaseUrl,
    token: CredentialSource,
    policy: RetryPolicy,
    enrichment: RetryPolicy,
    start: RetryPolicy,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPage {
    pub objects: Vec<Value>,
    /// Whether there are more objects after these.
    pub more: bool,
    /// How many there are in all, where that was asked for and is known.
    pub total: Option<u64>,
}

/// One page of the incidents' analytics.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalyticsPage {
    pub data: Vec<Value>,
    pub more: bool,
    /// Where the next page begins (`starting_after`).
    pub last: Option<String>,
}

impl PagerdutyClient {
    /// `per_minute`: requests in any rolling minute, shared by all clients of
    /// this token; what PagerDuty announces narrows it further.
    pub fn new(
        account: &PagerdutyAccount,
        outbound: &OutboundSettings,
        per_minute: u32,
    ) -> Result<Self, BuildError> {
        let base = BaseUrl::new(&account.api_url)?;
        let token = CredentialSource::new(&account.token, authorization, "the PagerDuty token")?;
        let pacer = Pacer::shared(
            "PagerDuty",
            base.authority(),
            &token.identity(),
            Some(per_minute),
        );
        let http = HttpClient::new(
            outbound,
            outbound.verify_third_party,
            outbound.client_timeout,
            pacer,
            RateHeaders::RateLimit,
        )?;
        Ok(Self {
            http,
            base,
            token,
            policy: RetryPolicy::STANDARD,
            enrichment: RetryPolicy::ENRICHMENT,
            start: RetryPolicy::START,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.enrichment = policy.clone();
        self.start = policy.clone();
        self.policy = policy;
        self
    }

    /// What came with its last answer: the time, and what is left of the rate limit.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.http.last_answer()
    }

    /// Asks for little, to find out early whether the token is accepted.
    ///
    /// A scoped token may lack the right to any single endpoint, so an answer
    /// that forbids this one, or does not know it, is no verdict on the token:
    /// the kinds concerned will say so themselves.
    pub async fn check(&self) -> Result<(), ApiError> {
        let mut url = self.base.join(["users"]);
        url.query_pairs_mut().append_pair("limit", "1");
        match self.send(Method::GET, &url, None, &self.start).await {
            Err(error) if !matches!(error.status(), Some(402..=404)) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// One page of a classic list. Parameters are sent as given; arrays are
    /// named `name[]` and repeated. `keep`: what of the answer to keep, if not all.
    pub async fn list(
        &self,
        endpoint: &str,
        query: &[(String, String)],
        offset: u32,
        with_total: bool,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<ListPage, ApiError> {
        let mut url = self
            .base
            .join(endpoint.split('/').filter(|segment| !segment.is_empty()));
        {
            let mut pairs = url.query_pairs_mut();
            pairs
                .append_pair("offset", &offset.to_string())
                .append_pair("limit", &PAGE_SIZE.to_string());
            if with_total {
                pairs.append_pair("total", "true");
            }
            pairs.extend_pairs(query);
        }
        let read = excerpt::reader(keep);
        let request = || request(Method::GET, &url, None, &self.policy).reading(&read);
        let reply = Self::answered(self.token.send(&self.http, request).await?)?;
        let more = more(&reply)?;
        let total = reply
            .body
            .as_ref()
            .and_then(|body| body.get("total"))
            .and_then(Value::as_u64);
        let key = list_key(endpoint, &reply)?;
        if reply
            .body
            .as_ref()
            .is_some_and(|body| is_suspiciously_full(body, &key))
        {
            return Err(ApiError::malformed(&reply, UNSAID));
        }
        Ok(ListPage {
            objects: array(reply, &key)?,
            more,
            total,
        })
    }

    /// One incident, with `include` written out in it; none if there is no such
    /// incident.
    pub async fn incident(&self, id: &str, include: &[&str]) -> Result<Option<Value>, ApiError> {
        self.detail("incidents", id, include, "incident").await
    }

    /// One service, with `include` written out in it; none if there is no such
    /// service.
    pub async fn service(&self, id: &str, include: &[&str]) -> Result<Option<Value>, ApiError> {
        self.detail("services", id, include, "service").await
    }

    /// One log entry; none if there is no such entry.
    pub async fn log_entry(&self, id: &str, include: &[&str]) -> Result<Option<Value>, ApiError> {
        self.detail("log_entries", id, include, "log_entry").await
    }

    async fn detail(
        &self,
        endpoint: &str,
        id: &str,
        include: &[&str],
        key: &str,
    ) -> Result<Option<Value>, ApiError> {
        let mut url = self.base.join([endpoint, id]);
        if !include.is_empty() {
            let include = include.iter().map(|name| ("include[]", name));
            url.query_pairs_mut().extend_pairs(include);
        }
        let (mut reply, token) = self.exchange(Method::GET, &url, None, &self.policy).await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(ApiError::refused(reply, hint, &[token.token()]));
        }
        let object = reply.body.as_mut().and_then(|body| body.get_mut(key));
        match object.map(Value::take) {
            Some(object) if object.get("id").is_some_and(Value::is_string) => Ok(Some(object)),
            other => {
                let found = shape(other.as_ref());
                let problem = format!("`{key}` should be an object with `id`, not {found}");
                Err(ApiError::malformed(&reply, problem))
            }
        }
    }

    /// The custom fields of a service or an incident (`services`, `incidents`).
    pub async fn custom_field_values(
        &self,
        endpoint: &str,
        id: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let url = self.base.join([endpoint, id, "custom_fields", "values"]);
        let reply = self.send(Method::GET, &url, None, &self.enrichment).await?;
        array(reply, "custom_fields")
    }

    /// Figures by service. Services without incidents have no row.
    pub async fn service_metrics(&self, body: &Value) -> Result<Vec<Value>, ApiError> {
        let url = self
            .base
            .join(["analytics", "metrics", "incidents", "services"]);
        let reply = self.post(&url, body).await?;
        array(reply, "data")
    }

    /// Figures by incident.
    pub async fn raw_incident_analytics(&self, body: &Value) -> Result<AnalyticsPage, ApiError> {
        let url = self.base.join(["analytics", "raw", "incidents"]);
        let reply = self.post(&url, body).await?;
        let more = more(&reply)?;
        let last = reply
            .body
            .as_ref()
            .and_then(|body| body.get("last"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        if more && last.is_none() {
            let problem = "it announces another page without saying where it begins";
            return Err(ApiError::malformed(&reply, problem));
        }
        Ok(AnalyticsPage {
            data: array(reply, "data")?,
            more,
            last,
        })
    }

    /// Analytics are asked for with a POST, but only read.
    async fn post(&self, url: &Url, body: &Value) -> Result<Reply, ApiError> {
        let body = Bytes::from(body.to_string());
        self.send(Method::POST, url, Some(body), &self.enrichment)
            .await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
        policy: &RetryPolicy,
    ) -> Result<Reply, ApiError> {
        Self::answered(self.exchange(method, url, body, policy).await?)
    }

    fn answered((reply, token): (Reply, Authorization)) -> Result<Reply, ApiError> {
        if reply.is_success() {
            return Ok(reply);
        }
        Err(ApiError::refused(reply, hint, &[token.token()]))
    }

    /// The reply, whatever its status, and the token, to be kept out of messages.
    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
        policy: &RetryPolicy,
    ) -> Result<(Reply, Authorization), ApiError> {
        let request = || request(method.clone(), url, body.clone(), policy);
        self.token.send(&self.http, request).await
    }
}

fn request<'policy>(
    method: Method,
    url: &Url,
    body: Option<Bytes>,
    policy: &'policy RetryPolicy,
) -> Request<'policy> {
    let request = Request::new(method, url.clone(), policy)
        .header(ACCEPT, VERSION)
        .safe_to_repeat();
    match body {
        Some(body) => request.json(body),
        None => request,
    }
}

/// A 404 of PagerDuty's own, which it explains; a page of something else that
/// answers at this address says nothing about the object.
fn is_absent(reply: &Reply) -> bool {
    let explanation = reply.body.as_ref().and_then(|body| body.get("error"));
    reply.status == 404 && explanation.is_some()
}

/// Whether another page follows.
fn more(reply: &Reply) -> Result<bool, ApiError> {
    let member = |name| reply.body.as_ref().and_then(|body| body.get(name));
    match (member("more"), member("next_cursor")) {
        (Some(Value::Bool(more)), _) => Ok(*more),
        (None | Some(Value::Null), Some(Value::Null)) => Ok(false),
        (None | Some(Value::Null), Some(_)) => Err(ApiError::malformed(
            reply,
            "the list is paged with a cursor, which Portolan cannot follow",
        )),
        (None | Some(Value::Null), None) => {
            if member("offset").is_some() || member("limit").is_some() {
                return Err(ApiError::malformed(reply, UNSAID));
            }
            // Short lists come whole.
            Ok(false)
        }
        (other, _) => {
            let problem = format!("`more` should be a boolean, not {}", shape(other));
            Err(ApiError::malformed(reply, problem))
        }
    }
}

/// Whether a list that seems to come whole has exactly the length of a page.
fn is_suspiciously_full(body: &Value, key: &str) -> bool {
    let is_paged = body.get("more").is_some() || body.get("next_cursor").is_some();
    !is_paged && body.get(key).and_then(Value::as_array).map(Vec::len) == Some(PAGE_SIZE)
}

/// Under which key a list's objects are: named like the endpoint, except where
/// it is not (`event_orchestrations` answers with `orchestrations`).
fn list_key(endpoint: &str, reply: &Reply) -> Result<String, ApiError> {
    let usual = endpoint
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(endpoint);
    let object = reply.body.as_ref().and_then(Value::as_object);
    if let Some(object) = object {
        if object.contains_key(usual) {
            return Ok(usual.to_owned());
        }
        let mut arrays = object.iter().filter(|(_, value)| value.is_array());
        if let (Some((only, _)), None) = (arrays.next(), arrays.next()) {
            return Ok(only.clone());
        }
    }
    let found = shape(reply.body.as_ref());
    Err(ApiError::malformed(
        reply,
        format!("there is no list `{usual}` in it, but {found}"),
    ))
}

fn array(mut reply: Reply, key: &str) -> Result<Vec<Value>, ApiError> {
    match reply
        .body
        .as_mut()
        .and_then(|body| body.get_mut(key))
        .map(Value::take)
    {
        Some(Value::Array(objects)) => Ok(objects),
        other => {
            let problem = format!("`{key}` should be an array, not {}", shape(other.as_ref()));
            Err(ApiError::malformed(&reply, problem))
        }
    }
}

/// OAuth tokens are told from API keys by how they begin.
fn authorization(token: &Secret) -> String {
    let text = token.text.expose_secret();
    if token.from_file || text.starts_with("pd") {
        format!("Bearer {text}")
    } else {
        format!("Token token={text}")
    }
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "check OCEAN__INTEGRATION__CONFIG__TOKEN (or …__PAGERDUTY_TOKEN): it is wrong, has been revoked or belongs to another region; accounts in the EU need …__API_URL=https://api.eu.pagerduty.com",
        ),
        402 => Some("the account's plan does not include this"),
        403 => Some("the owner of the token may not read this: check its role and scopes"),
        404 => Some(
            "check OCEAN__INTEGRATION__CONFIG__API_URL (or …__PAGERDUTY_API_URL), and that the kind is a list of PagerDuty's REST API",
        ),
        429 => Some(
            "something else uses the same token: give Portolan a token of its own, or lower OCEAN__RATE_LIMITS__PAGERDUTY_PER_MINUTE",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
