//! Opsgenie's REST API: alerts, teams, schedules and users in version 2,
//! incidents and services in version 1.
//!
//! A list says with the address of the next page that there is more, and that
//! address is followed as it is, but only on the configured host: the key goes
//! with it. What cannot be told to be the last page must be an error.
//!
//! Everything that is Opsgenie's own way of writing stays in here, so that
//! another back end with the same kinds can stand beside it.

mod query;

use std::sync::Arc;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

pub use self::query::{Field, OpsgenieQuery, Sign};
use super::credential::{CredentialSource, Secret};
use super::error::shape;
use super::{ApiError, BaseUrl, PAGE_SIZE};
use crate::excerpt::{self, Excerpt};
use crate::http::{
    BuildError, HttpClient, LastAnswer, Pacer, RateHeaders, Reply, Request, RetryPolicy,
};
use crate::settings::{OpsgenieAccount, OutboundSettings};

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpsgenieList {
    Alerts,
    Incidents,
    Services,
    Teams,
    Schedules,
    /// Schedules with their rotations.
    SchedulesWithRotations,
    Users,
}

/// How much a request is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// A resync, or whoever decides by it, cannot do without.
    Listing,
    /// It only enriches other objects.
    Enrichment,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct OpsgeniePage {
    pub objects: Vec<Value>,
    /// Where the next page is, when there is one.
    pub next: Option<NextPage>,
    /// How many objects there are in all, where the API says.
    pub total: Option<u64>,
}

/// The address of another page, on the host that the key is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextPage(Url);

/// Opsgenie counts requests by what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Search,
    Incident,
    Configuration,
}

/// Reads one Opsgenie account.
pub struct OpsgenieClient {
    search: HttpClient,
    incident: HttpClient,
    configuration: HttpClient,
    base: BaseUrl,
    key: CredentialSource,
    policy: RetryPolicy,
    enrichment: RetryPolicy,
    start: RetryPolicy,
}

impl OpsgenieList {
    const fn path(self) -> [&'static str; 2] {
        match self {
            Self::Alerts => ["v2", "alerts"],
            Self::Incidents => ["v1", "incidents"],
            Self::Services => ["v1", "services"],
            Self::Teams => ["v2", "teams"],
            Self::Schedules | Self::SchedulesWithRotations => ["v2", "schedules"],
            Self::Users => ["v2", "users"],
        }
    }

    const fn domain(self) -> Domain {
        match self {
            Self::Alerts | Self::Users => Domain::Search,
            Self::Incidents => Domain::Incident,
            Self::Services | Self::Teams | Self::Schedules | Self::SchedulesWithRotations => {
                Domain::Configuration
            }
        }
    }

    /// Whether the list comes in pages; teams and schedules come whole.
    const fn is_paged(self) -> bool {
        matches!(
            self,
            Self::Alerts | Self::Incidents | Self::Services | Self::Users
        )
    }

    /// Whether objects can be searched for, by their time of creation too.
    pub const fn is_searched(self) -> bool {
        matches!(self, Self::Alerts | Self::Incidents)
    }

    /// Object up to which pages are served.
    pub const fn reach(self) -> Option<u32> {
        match self {
            Self::Alerts | Self::Incidents | Self::Services => Some(20_000),
            _ => None,
        }
    }

    /// As messages name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Incidents => "incidents",
            Self::Services => "services",
            Self::Teams => "teams",
            Self::Schedules => "schedules",
            Self::SchedulesWithRotations => "schedules with rotations",
            Self::Users => "users",
        }
    }
}

impl OpsgenieClient {
    /// `per_minute`: requests in any rolling minute and in each domain, shared
    /// by all clients of this key; `None`: only what Opsgenie announces counts.
    pub fn new(
        account: &OpsgenieAccount,
        outbound: &OutboundSettings,
        per_minute: Option<u32>,
    ) -> Result<Self, BuildError> {
        let base = BaseUrl::new(&account.api_url)?;
        let key = CredentialSource::new(&account.api_token, authorization, "the Opsgenie API key")?;
        let identity = key.identity();
        let pacer = |domain: &str| -> Arc<Pacer> {
            let bucket = format!("{} {domain}", base.authority());
            Pacer::shared("Opsgenie", &bucket, &identity, per_minute)
        };
        let configuration = HttpClient::new(
            outbound,
            outbound.verify_third_party,
            outbound.client_timeout,
            pacer("configuration"),
            RateHeaders::XRateLimitState,
        )?;
        Ok(Self {
            search: configuration.paced_by(pacer("search")),
            incident: configuration.paced_by(pacer("incident")),
            configuration,
            base,
            key,
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
        self.configuration.last_answer()
    }

    /// Asks for little, to find out early whether the key is accepted.
    ///
    /// A key may lack the right to any single endpoint, so an answer that
    /// forbids this one is no verdict on the key: the kinds concerned will say
    /// so themselves.
    pub async fn check(&self) -> Result<(), ApiError> {
        let mut url = self.base.join(OpsgenieList::Alerts.path());
        url.query_pairs_mut().append_pair("limit", "1");
        match self.get(Domain::Search, &url, &self.start).await {
            Err(error) if !matches!(error.status(), Some(402..=404)) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A page of a list, from the object at `offset` on. `keep`: what of the answer to
    /// keep, if not all.
    pub async fn page(
        &self,
        list: OpsgenieList,
        query: &OpsgenieQuery,
        offset: u32,
        worth: Worth,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<OpsgeniePage, ApiError> {
        let mut url = self.base.join(list.path());
        if list.is_paged() {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("limit", &PAGE_SIZE.to_string());
            if offset > 0 {
                pairs.append_pair("offset", &offset.to_string());
            }
            if list.is_searched() {
                // What is created meanwhile then comes last, and moves nothing.
                pairs
                    .append_pair("sort", "createdAt")
                    .append_pair("order", "asc");
            }
            if !query.is_empty() {
                pairs.append_pair("query", &query.to_string());
            }
        }
        if list == OpsgenieList::SchedulesWithRotations {
            url.query_pairs_mut().append_pair("expand", "rotation");
        }
        self.page_at(list, &url, worth, keep).await
    }

    /// The page that another one named as its next.
    pub async fn next_page(
        &self,
        list: OpsgenieList,
        next: &NextPage,
        worth: Worth,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<OpsgeniePage, ApiError> {
        self.page_at(list, &next.0, worth, keep).await
    }

    /// How many alerts the query finds.
    pub async fn count_alerts(&self, query: &OpsgenieQuery, worth: Worth) -> Result<u64, ApiError> {
        let mut url = self.base.join(["v2", "alerts", "count"]);
        if !query.is_empty() {
            url.query_pairs_mut()
                .append_pair("query", &query.to_string());
        }
        let reply = self
            .get(Domain::Search, &url, self.policy_for(worth))
            .await?;
        let count = member(&reply, "data").and_then(|data| data.get("count"));
        count.and_then(Value::as_u64).ok_or_else(|| {
            let problem = format!("`data.count` should be a number, not {}", shape(count));
            ApiError::malformed(&reply, problem)
        })
    }

    /// A team with its members; none when there is no such team.
    pub async fn team(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let url = self.base.join(["v2", "teams", id]);
        self.detail(Domain::Configuration, &url, "id", Worth::Enrichment)
            .await
    }

    /// Who is on call for a schedule now, with escalations flattened to people;
    /// none when there is no such schedule.
    pub async fn oncalls(&self, schedule: &str) -> Result<Option<Value>, ApiError> {
        let mut url = self.base.join(["v2", "schedules", schedule, "on-calls"]);
        url.query_pairs_mut().append_pair("flat", "true");
        self.detail(Domain::Search, &url, "onCallRecipients", Worth::Enrichment)
            .await
    }

    /// An alert as it is now; none when there is no such alert.
    pub async fn alert(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let url = self.base.join(["v2", "alerts", id]);
        self.detail(Domain::Search, &url, "id", Worth::Listing)
            .await
    }

    /// An incident as it is now; none when there is no such incident.
    pub async fn incident(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let url = self.base.join(["v1", "incidents", id]);
        self.detail(Domain::Incident, &url, "id", Worth::Listing)
            .await
    }

    /// The identifiers of an incident's alerts; none when there is no such
    /// incident.
    pub async fn associated_alerts(&self, incident: &str) -> Result<Option<Vec<String>>, ApiError> {
        let url = self
            .base
            .join(["v1", "incidents", incident, "associated-alert-ids"]);
        let found = self.found(Domain::Incident, &url, Worth::Enrichment);
        let Some(reply) = found.await? else {
            return Ok(None);
        };
        let ids = member(&reply, "data").and_then(Value::as_array);
        let ids = ids.and_then(|ids| {
            ids.iter()
                .map(|id| id.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        });
        match ids {
            Some(ids) => Ok(Some(ids)),
            None => Err(ApiError::malformed(
                &reply,
                "`data` should be an array of identifiers",
            )),
        }
    }

    /// An object that cannot do without `key`.
    async fn detail(
        &self,
        domain: Domain,
        url: &Url,
        key: &str,
        worth: Worth,
    ) -> Result<Option<Value>, ApiError> {
        let Some(mut reply) = self.found(domain, url, worth).await? else {
            return Ok(None);
        };
        match take(&mut reply, "data") {
            Some(data) if data.get(key).is_some() => Ok(Some(data)),
            other => {
                let found = shape(other.as_ref());
                let problem = format!("`data` should be an object with `{key}`, not {found}");
                Err(ApiError::malformed(&reply, problem))
            }
        }
    }

    /// The answer, unless it is that there is no such thing. That is a 404 of
    /// Opsgenie's own, which it explains in JSON.
    async fn found(
        &self,
        domain: Domain,
        url: &Url,
        worth: Worth,
    ) -> Result<Option<Reply>, ApiError> {
        let (reply, key) = self.send(domain, url, self.policy_for(worth), None).await?;
        if reply.is_success() {
            return Ok(Some(reply));
        }
        if reply.status == 404 && member(&reply, "message").is_some() {
            return Ok(None);
        }
        Err(ApiError::refused(reply, hint, &[&key]))
    }

    async fn page_at(
        &self,
        list: OpsgenieList,
        url: &Url,
        worth: Worth,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<OpsgeniePage, ApiError> {
        let policy = self.policy_for(worth);
        let mut reply = succeeded(self.send(list.domain(), url, policy, keep).await?)?;
        let next = self.next(list, url, &reply)?;
        let total = member(&reply, "totalCount").and_then(Value::as_u64);
        let objects = match take(&mut reply, "data") {
            Some(Value::Array(objects)) if objects.iter().all(Value::is_object) => objects,
            Some(Value::Array(_)) => {
                let problem = "the list holds something other than objects";
                return Err(ApiError::malformed(&reply, problem));
            }
            other => {
                let found = shape(other.as_ref());
                let problem = format!("`data` should be an array, not {found}");
                return Err(ApiError::malformed(&reply, problem));
            }
        };
        if list.is_paged() && objects.len() >= PAGE_SIZE && member(&reply, "paging").is_none() {
            let problem = "the page does not say whether there are more";
            return Err(ApiError::malformed(&reply, problem));
        }
        Ok(OpsgeniePage {
            objects,
            next,
            total,
        })
    }

    /// Where the reply says that the list goes on.
    fn next(
        &self,
        list: OpsgenieList,
        url: &Url,
        reply: &Reply,
    ) -> Result<Option<NextPage>, ApiError> {
        let malformed = |problem: String| Err(ApiError::malformed(reply, problem));
        let paging = match member(reply, "paging") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(paging)) => paging,
            other => {
                let found = shape(other);
                return malformed(format!("`paging` should be an object, not {found}"));
            }
        };
        let text = match paging.get("next") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text,
            other => {
                let found = shape(other);
                return malformed(format!("`paging.next` should be an address, not {found}"));
            }
        };
        let Ok(next) = Url::parse(text) else {
            return malformed("`paging.next` is no address".to_owned());
        };
        if !self.base.is_origin_of(&next) {
            // The key goes with every request, so nobody else is asked.
            return malformed(format!(
                "the next page of {} is said to be at {}, which is not where the API is",
                list.as_str(),
                next.origin().ascii_serialization()
            ));
        }
        if next == *url {
            return malformed("the page names itself as the next one".to_owned());
        }
        Ok(Some(NextPage(next)))
    }

    const fn policy_for(&self, worth: Worth) -> &RetryPolicy {
        match worth {
            Worth::Listing => &self.policy,
            Worth::Enrichment => &self.enrichment,
        }
    }

    async fn get(
        &self,
        domain: Domain,
        url: &Url,
        policy: &RetryPolicy,
    ) -> Result<Reply, ApiError> {
        succeeded(self.send(domain, url, policy, None).await?)
    }

    /// The reply, and the key, to be kept out of messages.
    async fn send(
        &self,
        domain: Domain,
        url: &Url,
        policy: &RetryPolicy,
        keep: Option<Arc<Excerpt>>,
    ) -> Result<(Reply, String), ApiError> {
        let http = match domain {
            Domain::Search => &self.search,
            Domain::Incident => &self.incident,
            Domain::Configuration => &self.configuration,
        };
        let read = excerpt::reader(keep);
        let request = || Request::new(Method::GET, url.clone(), policy).reading(&read);
        let (reply, key) = self.key.send(http, request).await?;
        Ok((reply, key.token().to_owned()))
    }
}

fn succeeded((reply, key): (Reply, String)) -> Result<Reply, ApiError> {
    if reply.is_success() {
        return Ok(reply);
    }
    Err(ApiError::refused(reply, hint, &[&key]))
}

fn member<'reply>(reply: &'reply Reply, name: &str) -> Option<&'reply Value> {
    reply.body.as_ref()?.get(name)
}

fn take(reply: &mut Reply, name: &str) -> Option<Value> {
    reply.body.as_mut()?.get_mut(name).map(Value::take)
}

fn authorization(key: &Secret) -> String {
    format!("GenieKey {}", key.text.expose_secret())
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "check OCEAN__INTEGRATION__CONFIG__API_TOKEN (or …__OPSGENIE_API_TOKEN): the key is wrong or has been revoked, or its integration is switched off",
        ),
        402 => Some("the account's plan does not include this"),
        403 => Some(
            "the key lacks the right to read this or to access the configuration, or it belongs to another region: accounts in the EU need …__API_URL=https://api.eu.opsgenie.com",
        ),
        404 => Some("check OCEAN__INTEGRATION__CONFIG__API_URL (or …__OPSGENIE_API_URL)"),
        422 => Some("check the selector's `apiQueryParams`"),
        429 => Some(
            "something else uses the same key: give Portolan a key of its own, or set OCEAN__RATE_LIMITS__OPSGENIE_PER_MINUTE",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
