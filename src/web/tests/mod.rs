//! The routes, over real connections.

mod bounds;
mod pagerstatus;
mod webhook;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::header::ALLOW;
use reqwest::{Client, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use super::*;
use crate::telemetry::{self, LogFormat, LogLevel, Masker};

const EXAMPLE: &str = r#"{"context":{"integrationId":"my-statuspage-integration"}}"#;
const EXAMPLE_SIGNED: &str = "v1,kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnc=";

/// A server on a free loopback port.
struct Running {
    client: Client,
    address: String,
    health: Health,
    asked: Arc<AtomicUsize>,
    hinted: Arc<AtomicUsize>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(path_prefix: Option<&str>, webhook: bool) -> Self {
        Self::start_with(path_prefix, webhook, None).await
    }

    async fn start_with(
        path_prefix: Option<&str>,
        webhook: bool,
        accounts: Option<&[&str]>,
    ) -> Self {
        Self::start_all(path_prefix, webhook, accounts, None).await
    }

    /// With the vendors' webhooks.
    async fn with_webhooks(path_prefix: Option<&str>, route: WebhookRoute) -> Self {
        Self::start_all(path_prefix, false, None, Some(route)).await
    }

    async fn start_all(
        path_prefix: Option<&str>,
        webhook: bool,
        accounts: Option<&[&str]>,
        route: Option<WebhookRoute>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let health = Health::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let hinted = Arc::new(AtomicUsize::new(0));
        let counting = |count: &Arc<AtomicUsize>| -> Ask {
            let count = Arc::clone(count);
            Arc::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            })
        };
        let state = State {
            health: health.clone(),
            path_prefix: path_prefix.map(str::to_owned),
            ocean_names: true,
            resync: webhook.then(|| ResyncRoute {
                secret: SecretString::from("PORT_CLIENT_SECRET"),
                integration: "my-statuspage-integration".to_owned(),
                ask: counting(&asked),
            }),
            pagerstatus: accounts.map(|accounts| PagerstatusRoute {
                accounts: accounts.iter().map(|&name| name.to_owned()).collect(),
                hint: counting(&hinted),
            }),
            webhook: route,
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, state, stop.clone()));
        Self {
            client: client(),
            address,
            health,
            asked,
            hinted,
            stop,
            server,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address))
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).send().await.unwrap().status().as_u16()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn hinted(&self) -> usize {
        self.hinted.load(Ordering::SeqCst)
    }

    /// A connection on which this has been written.
    async fn raw(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// Without proxies: they are the machine's, and the server is on loopback.
fn client() -> Client {
    // Both test runners have other tests that install it first, or not.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

async fn json(response: reqwest::Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// Listens for as long as it is there.
struct Listening(#[expect(dead_code, reason = "only to be dropped")] (DefaultGuard, Dispatch));

/// What is logged on this thread at DEBUG and above.
fn logged() -> (Arc<Mutex<String>>, Listening) {
    let lines = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&lines);
    let sink: telemetry::Sink = Arc::new(move |line| {
        written
            .lock()
            .unwrap()
            .push_str(std::str::from_utf8(line).unwrap());
    });
    let format = LogFormat::Human { colour: false };
    let masker = Masker::new(&[]);
    let subscriber = telemetry::subscriber(LogLevel::Debug, format, masker, sink);
    let guard = tracing::subscriber::set_default(subscriber);
    // Were there one subscriber alone, `tracing` would ask that of whichever thread
    // comes to a line first, which need not be this one, and remember the answer.
    let another = Dispatch::new(NoSubscriber::new());
    (lines, Listening((guard, another)))
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn health_says_what_is_missing_until_nothing_is() {
    let web = Running::start(None, false).await;

    let live = web.get("/health/live").send().await.unwrap();
    assert_eq!(live.status(), 200);
    assert_eq!(
        json(live).await,
        json!({"status": "healthy", "check": "live", "core_version": "0.48.12"})
    );
    let ready = web.get("/health/ready").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(
        json(ready).await,
        json!({
            "status": "unhealthy",
            "check": "ready",
            "core_version": "0.48.12",
            "reasons": ["settings", "port_token", "listener"],
        })
    );

    for requirement in [
        Requirement::Settings,
        Requirement::PortToken,
        Requirement::Listener,
    ] {
        assert_eq!(web.status("/health/ready").await, 503);
        web.health.meet(requirement);
    }
    assert_eq!(web.status("/health/ready").await, 200);
    web.health.stopping();
    assert_eq!(web.status("/health/ready").await, 503);
    assert_eq!(web.status("/health/live").await, 200);
}

#[tokio::test]
async fn the_probe_of_older_charts_is_that_of_being_alive() {
    let web = Running::start(None, false).await;
    assert_eq!(web.status("/docs").await, 200);
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for() {
    let web = Running::start(None, false).await;
    for path in ["/metrics", "/metrics/"] {
        let open = web.get(path).send().await.unwrap();
        assert_eq!(open.status(), 200);
        assert_eq!(
            open.headers()[CONTENT_TYPE],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert!(open.text().await.unwrap().ends_with("# EOF\n"));
    }
    let plain = web
        .get("/metrics")
        .header(ACCEPT, "text/plain")
        .send()
        .await
        .unwrap();
    assert_eq!(
        plain.headers()[CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(!plain.text().await.unwrap().contains("# EOF"));
}

#[tokio::test]
async fn a_path_prefix_moves_everything_but_the_resync() {
    let web = Running::start(Some("/pfx"), true).await;
    for path in [
        "/pfx/health/live",
        "/pfx/docs",
        "/pfx/metrics",
        "/pfx/metrics/",
    ] {
        assert_eq!(web.status(path).await, 200, "{path}");
    }
    for path in [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/pfx",
        "/pfx/",
        "/pfx/resync",
    ] {
        assert_eq!(web.status(path).await, 404, "{path}");
    }
    let resync = web.post("/resync").send().await.unwrap();
    assert_eq!(resync.status(), 200);
    assert_eq!(web.asked(), 1);
}

#[tokio::test]
async fn a_path_prefix_is_taken_as_it_is_written() {
    for prefix in [
        "/{a}",
        "/{*rest}",
        "/a}{b",
        "/:id",
        "/*",
        "/a//b",
        "/resync",
        "/health/live",
    ] {
        let web = Running::start(Some(prefix), true).await;
        let encoded = prefix.replace('{', "%7B").replace('}', "%7D");
        assert_eq!(web.status("/other/metrics").await, 404, "{prefix}");
        // Braces are not allowed in a path as it goes over the wire.
        if encoded == prefix {
            assert_eq!(
                web.status(&format!("{prefix}/metrics")).await,
                200,
                "{prefix}"
            );
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_so_in_json() {
    let web = Running::start(None, true).await;
    let table = [
        (web.get("/"), 404, "Not Found"),
        (web.get("/health"), 404, "Not Found"),
        (web.get("/integration/webhook"), 404, "Not Found"),
        (web.get("/resync"), 405, "Method Not Allowed"),
        (web.post("/metrics"), 405, "Method Not Allowed"),
        (web.post("/health/live"), 405, "Method Not Allowed"),
    ];
    for (request, status, detail) in table {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key(ALLOW), status == 405);
        assert_eq!(json(response).await, json!({"detail": detail}));
    }

    let without_webhook = Running::start(None, false).await;
    let refused = without_webhook.post("/resync").send().await.unwrap();
    assert_eq!(refused.status(), 404);
}

#[tokio::test]
async fn every_response_carries_an_identifier_and_how_long_it_took() {
    let web = Running::start(None, false).await;
    for path in ["/health/live", "/health/ready", "/metrics", "/nowhere"] {
        let response = web.get(path).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap();
        assert!(Uuid::parse_str(id).is_ok(), "{id}");
        let seconds: f64 = response.headers()["x-process-time"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(seconds < 10.0);
    }
    let long = "x".repeat(129);
    let table = [
        ("abc-123_4.5:6", true),
        ("", false),
        ("a b", false),
        ("<b>", false),
        (long.as_str(), false),
    ];
    for (sent, kept) in table {
        let response = web
            .get("/nowhere")
            .header("x-request-id", sent)
            .send()
            .await
            .unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(id == sent, kept, "{sent}");
    }
}

#[tokio::test]
async fn a_resync_is_asked_for_unless_the_signature_is_wrong() {
    let web = Running::start(None, true).await;
    let signed = |timestamp: &'static str, signature: &'static str, body: &'static str| {
        let request = web.post("/resync").header("x-port-timestamp", timestamp);
        request.header("x-port-signature", signature).body(body)
    };
    let table = [
        (web.post("/resync"), 200, 1),
        (web.post("/resync").body(EXAMPLE), 200, 1),
        (web.post("/resync").body("not JSON"), 200, 1),
        (signed("1700000000000", EXAMPLE_SIGNED, EXAMPLE), 200, 1),
        (signed("1700000000001", EXAMPLE_SIGNED, EXAMPLE), 401, 0),
        (signed("1700000000000", EXAMPLE_SIGNED, "{}"), 401, 0),
        (signed("1700000000000", "v1,AAAA", EXAMPLE), 401, 0),
        (
            web.post("/resync")
                .body(r#"{"context":{"integrationId":"another"}}"#),
            200,
            0,
        ),
        (
            web.post("/resync")
                .body(r#"{"diff":{"after":{"updatedAt":"t","resyncState":{"updatedAt":"t"}}}}"#),
            200,
            0,
        ),
    ];
    for (number, (request, status, asks)) in table.into_iter().enumerate() {
        let before = web.asked();
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "row {number}");
        assert_eq!(web.asked() - before, asks, "row {number}");
        let body = response.text().await.unwrap();
        assert_eq!(body == "null", status == 200, "row {number}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_read_the_metrics_while_they_are_written() {
    let web = Running::start(None, false).await;
    let writing = CancellationToken::new();
    let written = writing.clone();
    let writer = std::thread::spawn(move || {
        let kind = metrics::SourceKind::new(None, "written while it is read");
        while !written.is_cancelled() {
            metrics::objects(&kind, metrics::ObjectResult::Fetched, 1);
            let last = metrics::ocean::LastResync::default();
            last.count("one-0", "extract", "raw_extracted", 1);
            last.publish();
        }
    });
    let readers = (0..8).map(|_| async {
        for _ in 0..20 {
            let response = web.get("/metrics").send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.text().await.unwrap().ends_with("# EOF\n"));
        }
    });
    futures_util::future::join_all(readers).await;
    writing.cancel();
    writer.join().unwrap();
}

#[tokio::test]
async fn a_request_is_a_line_at_debug_without_its_query() {
    let (lines, _logging) = logged();

    let web = Running::start(None, true).await;
    for path in ["/metrics?token=hidden", "/nowhere?token=hidden"] {
        web.status(path).await;
    }
    let body = r#"{"hidden": "hidden"}"#;
    let signed = web
        .post("/resync")
        .header("x-port-signature", "v1,hidden")
        .body(body);
    assert_eq!(signed.send().await.unwrap().status(), 401);

    let lines = lines.lock().unwrap();
    assert!(lines.contains("Answered GET /metrics with 200"), "{lines}");
    assert!(!lines.contains("hidden"), "{lines}");
    assert!(
        lines.lines().all(|line| line.contains(" DEBUG ")),
        "{lines}"
    );
}
