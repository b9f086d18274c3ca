//! What every simulated vendor stands on: a listener on a free loopback port,
//! a log of what was asked, faults, latency, rate limits and an orderly stop.
//!
//! A vendor is a [`World`]: plain data behind a lock and one synchronous
//! function from a request to a reply. Everything that concerns HTTP as such
//! lives here, so that a rule of one vendor reads as nothing but that rule and
//! no lock is ever held across an await.
//!
//! The simulators start tasks of their own. They are outside of the program's
//! task set on purpose: they stand for machines that are not Portolan.

mod control;
mod exchange;
mod fault;
mod gate;
mod limit;
mod line;
mod log;
pub(super) mod remote;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use self::control::Expectation;
use self::fault::{Damage, RandomFaults, Script};
use self::limit::RateLimiter;
use self::line::{CutCord, Lines};
use self::log::RequestLog;

pub use self::exchange::{Reply, Request};
pub(super) use self::fault::glob;
pub use self::fault::{Answer, Matcher};
pub use self::gate::Gate;
pub use self::limit::{RateLimit, Usage};
pub use self::log::RecordedRequest;

/// More than any of the vendors accepts; keeps a runaway client from filling
/// memory before the vendor's own limit can refuse it.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// How long requests that are under way may take to end when the simulator stops.
const PATIENCE: Duration = Duration::from_secs(2);

/// A vendor's state and its rules.
pub trait World: Send + 'static {
    /// The vendor's name, for messages.
    const NAME: &'static str;

    /// Answers one request. Must not block.
    fn answer(&mut self, request: &Request) -> Reply;

    /// An error in the shape in which this vendor reports errors.
    fn refusal(&self, status: u16, text: &str) -> Reply;

    /// Whose rate limit a request counts against; `None` when it counts against nobody's.
    fn bucket(&self, request: &Request) -> Option<String>;

    /// What a caller gets that has used its share up.
    fn over_limit(&self, usage: &Usage) -> Reply;

    /// Answers whoever runs the sandbox, at `/sandbox/` and this path; `None` when
    /// there is no such route.
    fn control(&mut self, _method: &str, _path: &[&str], _body: Option<Value>) -> Option<Reply> {
        None
    }

    /// Adds the headers that this vendor sends with every reply.
    fn finish(&self, _reply: &mut Reply, _usage: Option<&Usage>) {}
}

/// One vendor, simulated: a world and the server in front of it.
pub struct Simulator<W: World> {
    shared: Arc<Shared<W>>,
    url: Url,
    stop: CancellationToken,
    server: JoinHandle<()>,
    // A simulator that is dropped without being stopped must not keep serving.
    _guard: DropGuard,
}

struct Shared<W> {
    world: Mutex<W>,
    log: Mutex<RequestLog>,
    script: Mutex<Script>,
    random: Mutex<RandomFaults>,
    limiter: Mutex<RateLimiter>,
    expectations: Mutex<Vec<Expectation>>,
    latency_micros: AtomicU64,
}

/// A test that panicked while it held the lock has its own failure to report;
/// the data are still there to look at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: World> Simulator<W> {
    /// Listens on a free loopback port; `build` gets the address it listens on.
    pub(super) async fn start(limit: RateLimit, build: impl FnOnce(&Url) -> W) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url =
            Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            world: Mutex::new(build(&url)),
            log: Mutex::default(),
            script: Mutex::default(),
            random: Mutex::default(),
            limiter: Mutex::new(RateLimiter::new(limit)),
            expectations: Mutex::default(),
            latency_micros: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let app = Router::new()
            .fallback(serve::<W>)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<CutCord>();
        let stopping = stop.clone();
        let server = tokio::spawn(async move {
            let serving = axum::serve(Lines(listener), app)
                .with_graceful_shutdown(stopping.clone().cancelled_owned());
            let deadline = async {
                stopping.cancelled().await;
                tokio::time::sleep(PATIENCE).await;
            };
            tokio::select! {
                // Accepting never fails for good, so there is no error to report.
                _ = serving => {}
                () = deadline => {}
            }
        });
        Ok(Self {
            shared,
            url,
            _guard: stop.clone().drop_guard(),
            stop,
            server,
        })
    }

    /// The world, for as long as the closure runs.
    pub(super) fn world<T>(&self, look: impl FnOnce(&mut W) -> T) -> T {
        look(&mut lock(&self.shared.world))
    }

    /// Where the simulator listens.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Lets requests that are under way end, for a bounded time, and stops listening.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.server.await.is_err() {
            tracing::debug!(
                simulator = W::NAME,
                "The simulator's server had to be aborted"
            );
        }
    }
}

/// Everything that happens to one request.
async fn serve<W: World>(
    State(shared): State<Arc<Shared<W>>>,
    ConnectInfo(cord): ConnectInfo<CutCord>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        let refusal = lock(&shared.world).refusal(413, "The request body is too large");
        return refusal.into_response();
    };
    let request = Request::new(&parts, body);
    if let Some(reply) = remote::answer(&shared, &request) {
        return reply.into_response();
    }
    let number = lock(&shared.log).arrived(&request);
    let latency = Duration::from_micros(shared.latency_micros.load(Ordering::Relaxed));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }

    let scripted = lock(&shared.script).take(&request);
    let answer = scripted.or_else(|| lock(&shared.random).pick(&request));
    let delay = answer
        .as_ref()
        .map_or(Duration::ZERO, |answer| answer.delay);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }

    let gate = answer.as_ref().and_then(|answer| answer.gate.clone());
    let (reply, damage) = decide(&shared, &request, answer);
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let unexpected = reply.unexpected || shared.is_forbidden(&request);
    let seen = (damage != Some(Damage::Cut)).then_some(reply.status);
    lock(&shared.log).answered(number, seen, unexpected, damage.is_some());
    match damage {
        None => reply.into_response(),
        Some(Damage::Truncated) => {
            let half = reply.body.len() / 2;
            Reply {
                body: reply.body.slice(..half),
                ..reply
            }
            .into_response()
        }
        Some(Damage::CutMidBody) => cut_mid_body(reply, cord),
        Some(Damage::Cut) => {
            cord.cut();
            reply.into_response()
        }
    }
}

/// The reply, and what becomes of it on its way. A request that is answered
/// with a made-up reply or cut off at once never reaches the world; one whose
/// reply is damaged on the way has been carried out.
fn decide<W: World>(
    shared: &Shared<W>,
    request: &Request,
    answer: Option<Answer>,
) -> (Reply, Option<Damage>) {
    let mut world = lock(&shared.world);
    let usage = world
        .bucket(request)
        .map(|bucket| lock(&shared.limiter).count(&bucket));
    let made_up = answer.as_ref().and_then(|answer| answer.reply(&*world));
    let damage = answer.and_then(|answer| answer.damage());
    let over = usage.as_ref().filter(|usage| usage.exceeded);
    let mut reply = match (over, made_up, damage) {
        (Some(usage), _, _) => world.over_limit(usage),
        // Made-up replies come from proxies and scripts, and carry what those say.
        (None, Some(made_up), _) => return (made_up, damage),
        (None, None, Some(Damage::Cut)) => Reply::empty(500),
        (None, None, _) => world.answer(request),
    };
    world.finish(&mut reply, usage.as_ref());
    (reply, damage)
}

/// Promises the whole body, sends half of it and hangs up.
fn cut_mid_body(reply: Reply, cord: CutCord) -> Response {
    let half = reply.body.slice(..reply.body.len() / 2);
    let length = reply.body.len().max(1);
    let mut response = Reply {
        body: Bytes::new(),
        ..reply
    }
    .into_response();
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_LENGTH, length.into());
    let chunks = stream::unfold((Some(half), cord), |(half, cord)| async move {
        if let Some(half) = half {
            return Some((Ok(half), (None, cord)));
        }
        // The first half is given time to leave before the line goes dead.
        tokio::task::yield_now().await;
        Some((
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            (None, cord),
        ))
    });
    *response.body_mut() = Body::from_stream(chunks);
    response
}
