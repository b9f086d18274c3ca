//! A server on loopback that answers as it is told and remembers what it was
//! asked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use url::Url;

use super::RetryPolicy;
use crate::settings::{OutboundSettings, ProxySettings};

/// Patience that does not cost a test any time.
pub(crate) const TINY: RetryPolicy = RetryPolicy {
    attempts: 3,
    total_wait: Duration::from_secs(1),
    first_wait: Duration::from_millis(1),
    first_rate_limit_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(2),
    longest_rate_limit_wait: Duration::from_millis(2),
    longest_ordered_wait: Duration::from_mins(5),
};

pub(crate) fn outbound() -> OutboundSettings {
    OutboundSettings {
        client_timeout: Duration::from_secs(20),
        // Keeps the tests from loading the machine's certificates.
        verify_port: false,
        verify_third_party: false,
        system_authorities: true,
        extra_ca_files: Vec::new(),
        extra_ca_dirs: Vec::new(),
        proxies: ProxySettings::default(),
    }
}

/// What the server is to answer.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    /// The connection is lost before the body's end.
    Cut,
    /// No answer at all.
    Silence,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            ending: Ending::Whole,
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::status(200).body(body.to_string())
    }

    pub(crate) fn silence() -> Self {
        Self {
            ending: Ending::Silence,
            ..Self::status(200)
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn cut_short(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = match self.ending {
            Ending::Cut => {
                let cut = stream::once(async {
                    // Lets what came before reach the client.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("the connection is cut here"))
                });
                Body::from_stream(stream::iter([Ok(self.body)]).chain(cut))
            }
            _ => Body::from(self.body),
        };
        response.body(body).unwrap()
    }
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query, as on the wire.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Answers until it is dropped with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: Url,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Gives these answers in turn; whatever is asked beyond them gets a 418,
    /// which no client takes for an answer.
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::deciding(move |_| {
            let next = answers.lock().unwrap().pop_front();
            next.unwrap_or_else(|| Answer::status(418))
        })
        .await
    }

    pub(crate) async fn deciding(
        decide: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let decide = Arc::new(decide);
        let memory = Arc::clone(&received);
        let router = Router::new().fallback(move |request: Request| {
            let decide = Arc::clone(&decide);
            let memory = Arc::clone(&memory);
            async move {
                let (parts, body) = request.into_parts();
                let request = Received {
                    method: parts.method.to_string(),
                    target: parts.uri.to_string(),
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap(),
                };
                let answer = decide(&request);
                memory.lock().unwrap().push(request);
                if answer.ending == Ending::Silence {
                    std::future::pending::<()>().await;
                }
                answer.into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url: Url::parse(&format!("http://{address}")).unwrap(),
            received,
        }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

/// An error with everything below it, in both of its forms: whatever could
/// reach a log.
pub(crate) fn everything_said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = format!("{error:?}");
    let mut cause = Some(error);
    while let Some(error) = cause {
        said.push('\n');
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}
