//! `POST /integration/webhook`: a vendor says that something happened.
//!
//! ```text
//! head ─▶ token? ─▶ body, at most 1 MiB ─▶ signature? ─▶ JSON, a vendor's ─▶ spool ─▶ 200
//!           └── neither that nor a signature: 401, and the body is not even read
//! ```
//!
//! Which vendor it is shows in the body, or in the path for those who want to say
//! it, and with it the account. What the answer means: 200, it is on the disk or
//! there is nothing to keep; 503, send it again. A vendor that is told anything
//! else drops the event, so only what no other attempt could mend gets it.
//!
//! No body, no query and no reason for a 401 reaches a log line or an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::HttpBody;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{Ask, BODY_LIMIT, REQUEST_TIME, refusal};
use crate::causes::with_hint;
use crate::live_events::auth::Proof;
use crate::live_events::{Authenticator, NewEvent, Put, Spool, recognize};
use crate::settings::{SourceName, SourceSettings};
use crate::telemetry::metrics::{self, WebhookResult};

/// Webhooks that are worked on at a time. Each waits for the disk, a few
/// milliseconds as a rule, and many wait for it together; their bodies are what
/// takes memory.
pub(super) const WEBHOOKS_AT_A_TIME: usize = 128;

/// How long one waits until it is among those. PagerDuty, the least patient, hangs
/// up after five seconds.
const WAIT: Duration = Duration::from_secs(3);

/// When one that could not be stored is to be sent again, in seconds.
const AGAIN_AFTER: HeaderValue = HeaderValue::from_static("10");

/// What the routes need.
#[derive(Clone)]
pub struct WebhookRoute {
    pub authenticator: Authenticator,
    pub spool: Spool,
    pub accounts: Accounts,
    /// Asks for a pass of incident sync; none where there is no such thing.
    pub hint: Option<Ask>,
    /// Whether each event is told at INFO.
    pub is_detailed: bool,
}

impl fmt::Debug for WebhookRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WebhookRoute")
            .field("authenticator", &self.authenticator)
            .field("spool", &self.spool)
            .field("accounts", &self.accounts)
            .field("is_detailed", &self.is_detailed)
            .finish_non_exhaustive()
    }
}

/// The sources that are on, and the names of their accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts(BTreeSet<(SourceName, Option<String>)>);

impl Accounts {
    /// Those of the settings.
    pub fn of(sources: &SourceSettings) -> Self {
        let statuspage = sources.statuspage.iter().map(|account| &account.name);
        let pagerduty = sources.pagerduty.iter().map(|account| &account.name);
        let opsgenie = sources.opsgenie.iter().map(|account| &account.name);
        let named = |source| move |name: &Option<String>| (source, name.clone());
        Self(
            statuspage
                .map(named(SourceName::Statuspage))
                .chain(pagerduty.map(named(SourceName::Pagerduty)))
                .chain(opsgenie.map(named(SourceName::Opsgenie)))
                .collect(),
        )
    }

    /// The source and the account that the path names; none where it names none.
    fn named(&self, said: Said) -> Result<Option<(SourceName, Account)>, Refused> {
        let Some(source) = said.source else {
            return Ok(None);
        };
        let source = source.parse().map_err(|_unknown| WebhookResult::Unknown)?;
        match self.meant(source, said.account.as_deref()) {
            Some(account) => Ok(Some((source, account))),
            None => Err(Refused {
                source: Some(source),
                result: WebhookResult::Unknown,
            }),
        }
    }

    /// The account that is meant by what the path says of it: the only one, where
    /// it says nothing. None: there is no such account.
    fn meant(&self, source: SourceName, said: Option<&str>) -> Option<Account> {
        let mut names = self
            .0
            .iter()
            .filter(|(known, _)| *known == source)
            .map(|(_, name)| name.clone());
        if said.is_some() {
            return names.find(|name| name.as_deref() == said).map(Account);
        }
        match (names.next(), names.next()) {
            (None, _) => None,
            (Some(only), None) => Some(Account(only)),
            (Some(_), Some(_)) => Some(Account(None)),
        }
    }
}

/// Whose an event is: an account by its name, where it has one and is known.
#[derive(Debug, PartialEq)]
struct Account(Option<String>);

impl FromIterator<(SourceName, Option<String>)> for Accounts {
    fn from_iter<T: IntoIterator<Item = (SourceName, Option<String>)>>(accounts: T) -> Self {
        Self(accounts.into_iter().collect())
    }
}

/// What the handlers share.
pub(super) struct Webhooks {
    route: WebhookRoute,
    permits: Semaphore,
    /// A spool that does not take anything is told when it begins and when it
    /// ends, not for each webhook.
    is_failing: AtomicBool,
}

impl Webhooks {
    pub(super) fn new(route: WebhookRoute) -> Arc<Self> {
        Arc::new(Self {
            route,
            permits: Semaphore::new(WEBHOOKS_AT_A_TIME),
            is_failing: AtomicBool::new(false),
        })
    }
}

/// What the path says; none of it, as a rule.
#[derive(Default)]
struct Said {
    source: Option<String>,
    account: Option<String>,
}

/// `/integration/webhook`
pub(super) async fn of_anybody(
    State(webhooks): State<Arc<Webhooks>>,
    request: Request,
) -> Response {
    answer(&webhooks, Some(Said::default()), request).await
}

/// `/integration/webhook/{source}`
pub(super) async fn of_source(
    State(webhooks): State<Arc<Webhooks>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let said = path.ok().map(|Path(source)| Said {
        source: Some(source),
        account: None,
    });
    answer(&webhooks, said, request).await
}

/// `/integration/webhook/{source}/{account}`
pub(super) async fn of_account(
    State(webhooks): State<Arc<Webhooks>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let said = path.ok().map(|Path((source, account))| Said {
        source: Some(source),
        account: Some(account),
    });
    answer(&webhooks, said, request).await
}

/// Bounds size, number and time, as for the other routes, but lets a burst wait
/// for its turn.
pub(super) async fn bound(
    State(webhooks): State<Arc<Webhooks>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let refused = |status, result| {
        metrics::webhook_answered(None, result, began.elapsed());
        refusal(status)
    };
    if request.body().size_hint().lower() > u64::from(BODY_LIMIT) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, WebhookResult::TooLarge);
    }
    let Ok(Ok(_permit)) = timeout(WAIT, webhooks.permits.acquire()).await else {
        metrics::webhook_answered(None, WebhookResult::Unavailable, began.elapsed());
        return come_again();
    };
    // Whether the body was slow or the disk is: nothing has been promised, and it
    // may well work the next time.
    timeout(REQUEST_TIME, next.run(request))
        .await
        .unwrap_or_else(|_elapsed| {
            metrics::webhook_answered(None, WebhookResult::Unavailable, began.elapsed());
            come_again()
        })
}

fn come_again() -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(RETRY_AFTER, AGAIN_AFTER);
    response
}

async fn answer(webhooks: &Webhooks, said: Option<Said>, request: Request) -> Response {
    let began = Instant::now();
    let (source, result) = match accept(webhooks, said, request).await {
        Ok(accepted) => accepted,
        Err(refused) => (refused.source, refused.result),
    };
    metrics::webhook_answered(source, result, began.elapsed());
    let status = match result {
        WebhookResult::Stored | WebhookResult::Duplicate | WebhookResult::Ignored => {
            return Json(json!({ "status": "ok" })).into_response();
        }
        WebhookResult::Unavailable => return come_again(),
        WebhookResult::Unauthenticated => StatusCode::UNAUTHORIZED,
        WebhookResult::Malformed => StatusCode::BAD_REQUEST,
        WebhookResult::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        WebhookResult::Unknown => StatusCode::NOT_FOUND,
    };
    refusal(status)
}

/// Why one is not accepted, and of whom it was, as far as that is known.
struct Refused {
    source: Option<SourceName>,
    result: WebhookResult,
}

impl From<WebhookResult> for Refused {
    fn from(result: WebhookResult) -> Self {
        Self {
            source: None,
            result,
        }
    }
}

async fn accept(
    webhooks: &Webhooks,
    said: Option<Said>,
    request: Request,
) -> Result<(Option<SourceName>, WebhookResult), Refused> {
    let WebhookRoute {
        authenticator,
        accounts,
        ..
    } = &webhooks.route;
    let headers = request.headers().clone();
    let by_head = authenticator.by_head(&headers, request.uri().query());
    if by_head.is_none() && !authenticator.may_be_signed(&headers) {
        return Err(WebhookResult::Unauthenticated.into());
    }
    let body = whole(request).await?;
    let proof = by_head
        .or_else(|| authenticator.by_body(&headers, &body))
        .ok_or(WebhookResult::Unauthenticated)?;

    let said = said.ok_or(WebhookResult::Unknown)?;
    let named = accounts.named(said)?;
    let (source, content) = understood(named.as_ref().map(|(source, _)| *source), &headers, &body)?;
    if proof == Proof::Pagerduty && source != SourceName::Pagerduty {
        return Err(WebhookResult::Unauthenticated.into());
    }
    let account = match named {
        Some((_, account)) => account,
        None => match accounts.meant(source, None) {
            Some(account) => account,
            // Somebody else's subscription, or one of a source that was on before.
            None => return Ok((Some(source), WebhookResult::Ignored)),
        },
    };
    let account = account.0.as_deref();
    let delivery = recognize::delivery(source, account, &headers, &body);
    let events = recognize::events(source, account, &content, &delivery, Timestamp::now());
    if events.is_empty() {
        return Ok((Some(source), WebhookResult::Ignored));
    }
    let put = webhooks.store(&events).await.map_err(|result| Refused {
        source: Some(source),
        result,
    })?;
    webhooks.tell(&events, put);
    let result = if put.stored == 0 {
        WebhookResult::Duplicate
    } else {
        WebhookResult::Stored
    };
    Ok((Some(source), result))
}

/// The body, as it came.
async fn whole(request: Request) -> Result<Bytes, WebhookResult> {
    Bytes::from_request(request, &())
        .await
        .map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                WebhookResult::TooLarge
            } else {
                WebhookResult::Malformed
            }
        })
}

/// Whose it is, and what it says.
fn understood(
    named: Option<SourceName>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(SourceName, Value), Refused> {
    let malformed = || Refused {
        source: named,
        result: WebhookResult::Malformed,
    };
    let body: Value = serde_json::from_slice(body).map_err(|_not_json| malformed())?;
    let source = match named {
        Some(source) => recognize::is_from(source, &body).then_some(source),
        None => recognize::recognize(&body, headers),
    };
    Ok((source.ok_or_else(malformed)?, body))
}

impl Webhooks {
    async fn store(&self, events: &[NewEvent]) -> Result<Put, WebhookResult> {
        match self.route.spool.put(events).await {
            Ok(put) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("Live events can be stored again");
                }
                Ok(put)
            }
            Err(error) => {
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        "Live events cannot be stored, and webhooks are answered with 503 until they can: {}",
                        with_hint(&error, error.hint())
                    );
                }
                Err(WebhookResult::Unavailable)
            }
        }
    }

    /// Says what came in, and hints at what it may mean.
    fn tell(&self, events: &[NewEvent], put: Put) {
        let Put { stored, duplicates } = put;
        for event in events {
            let subject = event.subject.key();
            let event_type = &event.event_type;
            macro_rules! tell {
                ($level:ident) => {
                    tracing::$level!(
                        subject,
                        event_type,
                        delivery = event.delivery,
                        stored,
                        duplicates,
                        "A webhook tells of {subject}: {event_type:?}"
                    )
                };
            }
            if self.route.is_detailed {
                tell!(info);
            } else {
                tell!(debug);
            }
        }
        let concerns_incident = events.iter().any(|event| event.subject.concerns_incident());
        if let Some(hint) = &self.route.hint
            && stored > 0
            && concerns_incident
        {
            hint();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_account_is_meant_where_none_is_named() {
        let accounts: Accounts = [
            (SourceName::Pagerduty, Some("eu")),
            (SourceName::Pagerduty, Some("us")),
            (SourceName::Statuspage, Some("main")),
            (SourceName::Opsgenie, None),
        ]
        .into_iter()
        .map(|(source, name)| (source, name.map(str::to_owned)))
        .collect();
        let meant = |source, named| accounts.meant(source, named);
        let some = |name: &str| Some(Account(Some(name.to_owned())));

        assert_eq!(meant(SourceName::Pagerduty, Some("us")), some("us"));
        assert_eq!(meant(SourceName::Pagerduty, Some("US")), None);
        assert_eq!(meant(SourceName::Pagerduty, None), Some(Account(None)));
        assert_eq!(meant(SourceName::Statuspage, None), some("main"));
        assert_eq!(meant(SourceName::Opsgenie, None), Some(Account(None)));
        assert_eq!(meant(SourceName::Opsgenie, Some("eu")), None);
        assert_eq!(Accounts::default().meant(SourceName::Opsgenie, None), None);
    }
}
