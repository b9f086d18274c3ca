//! The listener and its connections.
//!
//! hyper is used directly, because a bound on the time that a request's head
//! may take is not to be had from `axum::serve`: without one, whoever opens
//! connections and says nothing holds them for ever.
//!
//! Connections are futures of the one that serves; who drops it closes them all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::State;

/// Connections that are held at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// The largest head of a request, or little less: it is looked at after a read.
const HEAD_BYTES: usize = 32 * 1024;

/// What the head of a request may take, counted from the end of the one before.
/// So it also ends connections that are kept and not used.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The longest life of a connection, which also bounds how long a client may
/// take to read a response.
const CONNECTION_TIME: Duration = Duration::from_mins(2);

/// What a request under way may still take when its connection is to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long accepting pauses after a failure, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The port cannot be listened on.
#[derive(Debug, Error)]
pub enum BindError {
    #[error(
        "cannot listen on port {port} (APPLICATION__PORT): something else listens there already"
    )]
    Taken {
        port: u16,
        #[source]
        source: io::Error,
    },

    #[error("cannot listen on port {port} (APPLICATION__PORT): the system does not allow it")]
    Forbidden {
        port: u16,
        #[source]
        source: io::Error,
    },

    #[error("cannot listen on port {port} (APPLICATION__PORT)")]
    Other {
        port: u16,
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn new(port: u16, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { port, source },
            io::ErrorKind::PermissionDenied => Self::Forbidden { port, source },
            _ => Self::Other { port, source },
        }
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Taken { .. } => {
                Some("stop the other process, or set APPLICATION__PORT to a free port")
            }
            Self::Forbidden { .. } => Some("set APPLICATION__PORT to a port above 1023"),
            Self::Other { .. } => None,
        }
    }
}

/// Listens on every address: of IPv6 and with it, by default, of IPv4, since a
/// cluster may have either; of IPv4 alone where the machine has no other.
pub async fn bind(port: u16) -> Result<TcpListener, BindError> {
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = match TcpListener::bind(every).await {
        Err(error) if has_no_ipv6(&error) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        bound => bound,
    };
    listener.map_err(|source| BindError::new(port, source))
}

/// Whether it is IPv6 that failed, not the port.
fn has_no_ipv6(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

/// Serves until `stop` is cancelled; then requests under way are given a few
/// seconds, and nothing new is accepted.
pub async fn serve(listener: TcpListener, state: State, stop: CancellationToken) {
    let router = super::router(state);
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(()) = connections.next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => connections.push(serve_connection(stream, router.clone(), &stop)),
                Err(error) => {
                    tracing::debug!("Could not accept a connection: {error}");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.next().await.is_some() {}
}

async fn serve_connection(stream: TcpStream, router: Router, stop: &CancellationToken) {
    // Only a matter of speed: small replies must not wait for an acknowledgement.
    stream.set_nodelay(true).ok();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let early = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(CONNECTION_TIME) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = early => {
            connection.as_mut().graceful_shutdown();
            timeout(PATIENCE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // The other side's doing: it went away, was too slow, or spoke no HTTP.
        tracing::debug!("A connection ended early: {error}");
    }
}
