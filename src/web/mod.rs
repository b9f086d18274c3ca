//! Inbound HTTP: health, metrics, Port's wish for a resync, and webhooks: the
//! vendors', and Pagerstatus'.
//!
//! ```text
//! bind ─▶ serve: connections (bounded) ─▶ head (bounded time) ─▶ mark ─▶ bound ─▶ one handler
//!                                                                │         └── number at once, time, size of the body
//!                                                                └── X-Request-ID, X-Process-Time, a line at DEBUG
//! ```
//!
//! This is the port that the internet may reach, so every request is bounded
//! before anything of it is used: size, time, number. Health is outside the
//! bound on requests at once, so that a flood of others does not make an
//! orchestrator restart the process; it reads no body and waits for nothing.
//!
//! Nothing here does any work: a request for a resync, or for a pass of incident
//! sync, is handed on and answered, and a live event is stored.
//! No query string and no body ever reaches a log line.

mod connection;
mod health;
mod pagerstatus;
mod resync;
mod signature;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

pub use connection::{BindError, bind, serve};
pub use health::{Health, Requirement};
pub use pagerstatus::PagerstatusRoute;
pub use resync::{Ask, ResyncRoute};
pub use webhook::{Accounts, WebhookRoute};

use self::webhook::Webhooks;
use crate::telemetry::metrics::{self, Exposition};

/// The largest body that is read.
const BODY_LIMIT: u32 = 1024 * 1024;

/// Requests that are worked on at a time, health aside.
const REQUESTS_AT_A_TIME: usize = 32;

/// What one request may take once its head is there, its body included.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The longest request identifier that is taken over from a client.
const LONGEST_REQUEST_ID: usize = 128;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");

/// What the routes work with.
#[derive(Clone, Debug)]
pub struct State {
    pub health: Health,
    /// Everything but `/resync` is below it; begins with a slash and ends without one.
    pub path_prefix: Option<String>,
    /// Whether `/metrics` shows Port Ocean's names, too.
    pub ocean_names: bool,
    /// Who hears of `POST /resync`; without it there is no such route.
    pub resync: Option<ResyncRoute>,
    /// Who hears of Pagerstatus' webhook; without it there are no such routes.
    pub pagerstatus: Option<PagerstatusRoute>,
    /// Who takes the vendors' webhooks; without it there are no such routes.
    pub webhook: Option<WebhookRoute>,
}

/// Every route, and what surrounds them.
fn router(state: State) -> Router {
    let prefix = state
        .path_prefix
        .as_deref()
        .map(literal)
        .unwrap_or_default();
    let below = |path: &str| format!("{prefix}{path}");

    let ocean_names = state.ocean_names;
    let metrics = get(move |headers: HeaderMap| async move { show_metrics(&headers, ocean_names) });
    let mut bounded = router_of_text()
        .route(&below("/metrics"), metrics.clone())
        .route(&below("/metrics/"), metrics);
    if let Some(resync) = state.resync {
        bounded = bounded.route("/resync", post(resync::ask).with_state(Arc::new(resync)));
    }
    if let Some(route) = state.pagerstatus {
        let call = post(pagerstatus::call).with_state(Arc::new(route));
        bounded = bounded
            .route(&below("/"), get(pagerstatus::hello))
            // Every other route comes before it, whatever an account is called.
            .route(&below("/{account}"), call);
    }
    let permits = Arc::new(Semaphore::new(REQUESTS_AT_A_TIME));
    let bounded = bounded
        .layer(DefaultBodyLimit::max(BODY_LIMIT as usize))
        .layer(middleware::from_fn_with_state(permits, bound));

    let mut routes = router_of_text()
        .route(&below("/health/live"), get(health::live))
        .route(&below("/health/ready"), get(health::ready))
        // Older versions of Port's chart know neither and probe this one: without it
        // they would restart the pod for ever.
        .route(&below("/docs"), get(health::live))
        .with_state(state.health)
        .merge(bounded);
    if let Some(route) = state.webhook {
        let prefix = below("/integration/webhook");
        routes = routes.merge(webhooks(&prefix, route));
    }
    routes
        .fallback(|| async { refusal(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(middleware::from_fn(mark))
}

/// The vendors' webhooks, with bounds of their own: a burst of them must neither
/// be turned away nor keep anybody else out.
fn webhooks(prefix: &str, route: WebhookRoute) -> Router {
    let webhooks = Webhooks::new(route);
    router_of_text()
        .route(prefix, post(webhook::of_anybody))
        .route(&format!("{prefix}/{{source}}"), post(webhook::of_source))
        .route(
            &format!("{prefix}/{{source}}/{{account}}"),
            post(webhook::of_account),
        )
        .with_state(Arc::clone(&webhooks))
        .layer(DefaultBodyLimit::max(BODY_LIMIT as usize))
        .layer(middleware::from_fn_with_state(webhooks, webhook::bound))
}

/// A router that takes a path as it is written; see [`literal`].
fn router_of_text<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().without_v07_checks()
}

/// The prefix comes from the settings: braces in it are braces, not captures.
fn literal(prefix: &str) -> String {
    prefix.replace('{', "{{").replace('}', "}}")
}

fn show_metrics(headers: &HeaderMap, ocean_names: bool) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let exposition = Exposition::for_accept(accepted);
    let content_type = HeaderValue::from_static(exposition.content_type());
    (
        [(CONTENT_TYPE, content_type)],
        metrics::expose(exposition, ocean_names),
    )
        .into_response()
}

/// Lets only so many requests in at a time, and none for long.
async fn bound(Shared(permits): Shared<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    // Where the length is announced, it is not read until it is too much.
    if request.body().size_hint().lower() > u64::from(BODY_LIMIT) {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let Ok(_permit) = permits.try_acquire() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE);
    };
    timeout(REQUEST_TIME, next.run(request))
        .await
        .unwrap_or_else(|_elapsed| refusal(StatusCode::REQUEST_TIMEOUT))
}

/// Gives a response its identifier and says how long it took.
async fn mark(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let mut response = next.run(request).await;

    let seconds = began.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, request_id = ?id, "Answered {method} {path} with {status}");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    if let Ok(seconds) = HeaderValue::from_str(&format!("{seconds:.6}")) {
        headers.insert(PROCESS_TIME, seconds);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The client's own identifier where it can be shown anywhere without harm.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |value: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&value.len())
            && value
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
    };
    headers
        .get(REQUEST_ID)
        .filter(is_sane)
        .cloned()
        .unwrap_or_else(|| {
            HeaderValue::from_str(&Uuid::new_v4().to_string())
                .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        })
}

/// An error in the shape in which Port Ocean reports errors.
fn refusal(status: StatusCode) -> Response {
    let detail = status.canonical_reason().unwrap_or_default();
    (status, Json(json!({ "detail": detail }))).into_response()
}
