//! The routes and their bounds, over real connections.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::header::ALLOW;
use reqwest::{Client, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

const EXAMPLE: &str = r#"{"context":{"integrationId":"my-statuspage-integration"}}"#;
const EXAMPLE_SIGNED: &str = "v1,kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnc=";

/// A server on a free loopback port.
struct Running {
    client: Client,
    address: String,
    health: Health,
    asked: Arc<AtomicUsize>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(path_prefix: Option<&str>, webhook: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let health = Health::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let state = State {
            health: health.clone(),
            path_prefix: path_prefix.map(str::to_owned),
            ocean_names: true,
            resync: webhook.then(|| ResyncRoute {
                secret: SecretString::from("PORT_CLIENT_SECRET"),
                integration: "my-statuspage-integration".to_owned(),
                ask: Arc::new(move || {
                    counter.fetch_add(1, Ordering::SeqCst);
                }),
            }),
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, state, stop.clone()));
        Self {
            client: client(),
            address,
            health,
            asked,
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
    for path in ["/pfx/health/live", "/pfx/metrics", "/pfx/metrics/"] {
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

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_or_without_a_length() {
    let web = Running::start(None, true).await;
    let fits = web
        .post("/resync")
        .body(vec![b' '; BODY_LIMIT as usize])
        .send()
        .await
        .unwrap();
    assert_eq!(fits.status(), 200);

    // Only the head is sent: the length alone is enough.
    let announced = format!(
        "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
        BODY_LIMIT + 1
    );
    let mut answer = [0; 12];
    web.raw(&announced)
        .await
        .read_exact(&mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");

    let chunk = format!("100000\r\n{}\r\n", " ".repeat(BODY_LIMIT as usize));
    let chunked = format!(
        "POST /resync HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n"
    );
    web.raw(&chunked)
        .await
        .read_exact(&mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(web.asked(), 1);
}

// The paused clock leaps ahead as soon as everybody waits, which is what a slow
// client makes of the server.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_what_it_says_is_not_waited_for() {
    let web = Running::start(None, true).await;
    for head in ["", "GET /metr", "GET /metrics HTTP/1.1\r\nhost: h\r\n"] {
        let answer = rest(web.raw(head).await).await;
        assert!(!answer.contains(" 200 "), "{head:?}: {answer}");
    }
    let half = "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n{";
    let answer = rest(web.raw(half).await).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(web.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_and_not_used_is_closed() {
    let web = Running::start(None, false).await;
    let answer = rest(
        web.raw("GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n")
            .await,
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn more_requests_than_are_worked_on_at_a_time_are_turned_away_but_health_is_not() {
    let web = Running::start(None, true).await;
    let mut waiting = Vec::new();
    for _ in 0..REQUESTS_AT_A_TIME {
        waiting.push(web.raw("POST /resync HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{").await);
    }
    // They were sent; when they have arrived is the server's affair.
    timeout(Duration::from_secs(5), async {
        while web.status("/metrics").await != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(web.status("/health/live").await, 200);

    for stream in &mut waiting {
        stream.write_all(b"}").await.unwrap();
    }
    for stream in waiting {
        assert!(rest(stream).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(web.status("/metrics").await, 200);
    assert_eq!(web.asked(), REQUESTS_AT_A_TIME);
}

#[tokio::test]
async fn a_request_under_way_is_still_answered_when_the_server_stops() {
    let web = Running::start(None, true).await;
    let half =
        "POST /resync HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let mut under_way = web.raw(half).await;
    // The server asks for the body once the request has reached its handler.
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    web.stop.cancel();
    under_way.write_all(b"{}").await.unwrap();
    assert!(rest(under_way).await.starts_with("HTTP/1.1 200 "));
    web.server.await.unwrap();
    assert_eq!(web.asked.load(Ordering::SeqCst), 1);
    assert!(TcpStream::connect(&web.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_keep_the_server_from_stopping() {
    let web = Running::start(None, true).await;
    let half = "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{";
    let _under_way = web.raw(half).await;
    web.stop.cancel();
    let began = Instant::now();
    web.server.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_setting() {
    let taken = bind(0).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = bind(port).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on port {port} (APPLICATION__PORT): something else listens there already"
        )
    );
    assert!(error.hint().unwrap().contains("APPLICATION__PORT"));
    // Reached by IPv4, whatever the machine has beside it.
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
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
