//! What is accepted from the vendors, what is not, and that what was accepted is
//! still there afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portolan::live_events::{Authenticator, LocalSpool, Spool, Taken, derived_token};
use portolan::settings::SourceName;
use portolan::store::IN_MEMORY;
use portolan::web::{self, Accounts, Health, State, WebhookRoute};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::program::{portolan, small_sandbox, with};

const BODY_LIMIT: usize = 1024 * 1024;

/// PagerDuty's documented body, and what its example secrets make of it.
const ACKNOWLEDGED: &str = r#"{"event":{"id":"01EXAMPLE","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-01-02T03:04:05.678Z","agent":null,"client":null,"data":{"id":"PINC001","type":"incident","status":"acknowledged"}}}"#;
const ALPHA: &str = "8dfa1c1ecd3990dd192671838e5644081f179c6338b14b002c3991597913f485";
const BETA: &str = "38a2c910c64ee1ae5d2bdb476ca668f1c70a1d6e8f4f261daef39f4eba6cad8d";

fn component() -> Value {
    json!({
        "meta": {"unsubscribe": "https://status.example.com/?unsubscribe=s1", "generated_at": "2026-02-03T04:05:06.789Z"},
        "page": {"id": "p9k3w8s2v5t1", "status_indicator": "major", "status_description": "Outage"},
        "component_update": {"id": "cu1", "component_id": "c7d0n5xq2l1a", "new_status": "major_outage"},
        "component": {"id": "c7d0n5xq2l1a", "name": "Checkout", "status": "major_outage"},
    })
}

fn alert(action: &str) -> Value {
    json!({
        "action": action, "integrationId": "i-1", "source": {"name": "web", "type": "web"},
        "alert": {"alertId": "70413a06-38d6-4c85-92b8-5ebc900d42e2", "message": "Slow"},
    })
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn token() -> String {
    derived_token(&secret("invented-client-secret"), "my-integration")
        .expose_secret()
        .to_owned()
}

/// A server that takes webhooks, and what it keeps.
struct Receiver {
    client: Client,
    address: String,
    spool: Spool,
    authenticator: Authenticator,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Receiver {
    async fn start() -> Self {
        Self::with_spool(LocalSpool::open(Path::new(IN_MEMORY)).await).await
    }

    async fn with_spool(spool: LocalSpool) -> Self {
        let authenticator = Authenticator::new(&[secret(&token())], &[secret("pdsecret-alpha")]);
        Self::with(spool, authenticator).await
    }

    async fn with(spool: LocalSpool, authenticator: Authenticator) -> Self {
        let spool = Spool::Local(spool);
        let accounts: Accounts = [
            (SourceName::Pagerduty, Some("eu".to_owned())),
            (SourceName::Pagerduty, Some("the us".to_owned())),
            (SourceName::Statuspage, None),
            (SourceName::Opsgenie, Some("main".to_owned())),
        ]
        .into_iter()
        .collect();
        let state = State {
            health: Health::new(),
            path_prefix: None,
            ocean_names: false,
            resync: None,
            pagerstatus: None,
            webhook: Some(WebhookRoute {
                authenticator: authenticator.clone(),
                spool: spool.clone(),
                accounts,
                hint: None,
                is_detailed: false,
            }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            address,
            spool,
            authenticator,
            server: tokio::spawn(web::serve(listener, state, stop.clone())),
            stop,
        }
    }

    /// A request with nothing that proves anything. `path`: below `/integration`.
    fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let url = format!("http://{}/integration{path}", self.address);
        self.client.post(url).body(body)
    }

    /// The same with the token.
    async fn send(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.post(path, body)
            .header("X-Portolan-Token", token())
            .send()
            .await
            .unwrap()
    }

    async fn status(&self, path: &str, body: impl Into<reqwest::Body>) -> u16 {
        self.send(path, body).await.status().as_u16()
    }

    async fn waiting(&self) -> u64 {
        self.spool.counts().await.unwrap().waiting
    }

    /// Everything that waits, by subject.
    async fn taken(&self) -> BTreeMap<String, Taken> {
        let mut all = BTreeMap::new();
        while self.waiting().await
            > all
                .values()
                .map(|one: &Taken| one.events.len() as u64)
                .sum()
        {
            let taken = self.spool.take().await;
            all.insert(taken.subject.key(), taken);
        }
        all
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}

/// How often webhooks have been answered so, in this process.
fn counted(result: &str) -> u64 {
    use portolan::telemetry::metrics::{Exposition, expose};
    let text = expose(Exposition::Plain, false);
    let lines = text.lines().filter(|line| {
        line.starts_with("portolan_webhooks_total{")
            && line.contains(&format!("result=\"{result}\""))
    });
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test]
async fn what_a_vendor_tells_is_stored_by_the_object_that_it_is_about() {
    let receiver = Receiver::start().await;
    let note = json!({"event": {"event_type": "incident.annotated",
        "data": {"id": "PNOTE1", "type": "incident_note", "incident": {"id": "PINC002", "type": "incident_reference"}}}});
    for (path, body) in [
        ("/webhook", ACKNOWLEDGED.to_owned()),
        ("/webhook/pagerduty/eu", note.to_string()),
        ("/webhook/pagerduty/the%20us", ACKNOWLEDGED.to_owned()),
        ("/webhook", component().to_string()),
        ("/webhook/opsgenie", alert("Create").to_string()),
        ("/webhook/opsgenie/main", alert("Delete").to_string()),
    ] {
        let answer = receiver.send(path, body).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.text().await.unwrap(), r#"{"status":"ok"}"#);
    }

    let taken = receiver.taken().await;

    let keys: Vec<_> = taken.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "opsgenie/main/alert/70413a06-38d6-4c85-92b8-5ebc900d42e2",
            // Of two accounts, whose it is was not said.
            "pagerduty//incident/PINC001",
            "pagerduty/eu/incident/PINC002",
            "pagerduty/the us/incident/PINC001",
            "statuspage//component/c7d0n5xq2l1a",
            "statuspage//page/p9k3w8s2v5t1",
        ]
    );
    let alert: Vec<_> = taken[keys[0]]
        .events
        .iter()
        .map(|one| one.event.is_gone)
        .collect();
    assert_eq!(alert, [false, true], "in the order in which they came");
    assert_eq!(taken[keys[4]].subject.page.as_deref(), Some("p9k3w8s2v5t1"));
    assert_eq!(
        taken[keys[4]].events[0].event.payload,
        component()["component"]
    );
}

#[tokio::test]
async fn what_proves_nothing_is_refused_and_counted_and_not_told_why() {
    let receiver = Receiver::start().await;
    let before = counted("unauthenticated");
    let wrong = "0".repeat(64);
    let upper = token().to_ascii_uppercase();
    let forged = format!("v1={BETA},v2={ALPHA}");
    let post = |path: &str| receiver.post(path, ACKNOWLEDGED);
    let requests = [
        post("/webhook"),
        post("/webhook").header("X-Portolan-Token", &wrong),
        post("/webhook").header("X-Portolan-Token", &upper),
        post("/webhook").header("X-Portolan-Token", ""),
        post("/webhook").header("Authorization", format!("Bearer {}", token())),
        post(&format!("/webhook?token={wrong}")),
        post("/webhook?token="),
        post(&format!("/webhook?t={}", token())),
        post("/webhook").header("X-PagerDuty-Signature", &forged),
        post("/webhook").header("X-PagerDuty-Signature", ALPHA),
        // Signed, but not this.
        receiver
            .post("/webhook", "{}")
            .header("X-PagerDuty-Signature", format!("v1={ALPHA}")),
        // Neither what there is nor what is wrong shows to who may not know.
        post("/webhook/nobody"),
        post("/webhook/pagerduty/nobody"),
        receiver.post("/webhook", "not JSON"),
    ];
    let count = u64::try_from(requests.len()).unwrap();
    for request in requests {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.text().await.unwrap(), r#"{"detail":"Unauthorized"}"#);
    }
    assert!(counted("unauthenticated") >= before + count);
    assert_eq!(receiver.waiting().await, 0);
}

#[tokio::test]
async fn a_forged_body_is_not_even_read() {
    let receiver = Receiver::start().await;
    let mut stream = TcpStream::connect(&receiver.address).await.unwrap();
    // Its body never comes.
    let head = "POST /integration/webhook HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn the_token_counts_in_the_header_and_in_the_query_of_every_route() {
    let receiver = Receiver::start().await;
    for (number, path) in ["/webhook", "/webhook/pagerduty", "/webhook/pagerduty/eu"]
        .into_iter()
        .enumerate()
    {
        let body = |which: &str| ACKNOWLEDGED.replace("01EXAMPLE", &format!("{which}{number}"));
        let in_query = format!("{path}?a=b&token={}", token());
        let in_header = receiver
            .post(path, body("h"))
            .header("x-portolan-token", token());
        for request in [in_header, receiver.post(&in_query, body("q"))] {
            assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        }
    }
    assert_eq!(receiver.waiting().await, 6);
}

#[tokio::test]
async fn pagerdutys_signature_counts_by_any_of_its_values_and_secrets() {
    let receiver = Receiver::start().await;
    let send = async |signature: &str, delivery: &str| {
        let request = receiver
            .post("/webhook", ACKNOWLEDGED)
            .header("X-PagerDuty-Signature", signature)
            .header("X-Webhook-Id", delivery);
        request.send().await.unwrap().status().as_u16()
    };
    let (alpha, beta) = (format!("v1={ALPHA}"), format!("v1={BETA}"));

    assert_eq!(send(&alpha, "1").await, 200);
    assert_eq!(send(&format!("{beta},{alpha}"), "2").await, 200);
    assert_eq!(send(&beta, "3").await, 401);
    // A subscription that is made while it runs has a secret of its own.
    receiver
        .authenticator
        .learn_pagerduty_secret(&secret("pdsecret-beta"));
    assert_eq!(send(&beta, "3").await, 200);
    assert_eq!(send(&alpha, "4").await, 200);
    assert_eq!(receiver.waiting().await, 4);
}

#[tokio::test]
async fn a_signature_of_pagerduty_does_not_speak_for_others() {
    let receiver = Receiver::start().await;
    let body = component().to_string();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"pdsecret-alpha");
    let mut signature = "v1=".to_owned();
    for byte in ring::hmac::sign(&key, body.as_bytes()).as_ref() {
        write!(signature, "{byte:02x}").unwrap();
    }
    for path in ["/webhook", "/webhook/statuspage"] {
        let request = receiver
            .post(path, body.clone())
            .header("X-PagerDuty-Signature", &signature);
        assert_eq!(request.send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(receiver.waiting().await, 0);
}

#[tokio::test]
async fn where_it_is_switched_off_nothing_has_to_be_proved() {
    let spool = LocalSpool::open(Path::new(IN_MEMORY)).await;
    let receiver = Receiver::with(spool, Authenticator::off()).await;
    let sent = receiver
        .post("/webhook", ACKNOWLEDGED)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    assert_eq!(receiver.waiting().await, 1);
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_answered_and_stored_once() {
    let receiver = Receiver::start().await;
    let deliver = async |id: Option<&str>, body: &str| {
        let mut request = receiver
            .post("/webhook/pagerduty/eu", body.to_owned())
            .header("X-Portolan-Token", token());
        if let Some(id) = id {
            request = request.header("X-Webhook-Id", id);
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
        receiver.waiting().await
    };
    assert_eq!(deliver(Some("w-1"), ACKNOWLEDGED).await, 1);
    assert_eq!(deliver(Some("w-1"), ACKNOWLEDGED).await, 1);
    assert_eq!(deliver(Some("w-2"), ACKNOWLEDGED).await, 2);
    assert_eq!(deliver(None, ACKNOWLEDGED).await, 3);
    assert_eq!(deliver(None, ACKNOWLEDGED).await, 3);
    for taken in receiver.taken().await.into_values() {
        receiver.spool.done(taken).await;
    }
    assert_eq!(
        deliver(Some("w-1"), ACKNOWLEDGED).await,
        0,
        "also once it is done"
    );
    assert_eq!(deliver(None, ACKNOWLEDGED).await, 0);

    // Many at once, as after an outage.
    let body = component().to_string();
    let answers = (0..20).map(|_| receiver.status("/webhook", body.clone()));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers, [200; 20]);
    assert_eq!(receiver.waiting().await, 2, "a component and its page");
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused_and_one_below_it_is_not() {
    let receiver = Receiver::start().await;
    let padded = |bytes: usize| {
        let rest = bytes - ACKNOWLEDGED.len();
        format!("{ACKNOWLEDGED}{}", " ".repeat(rest))
    };
    // Without a length that could be looked at.
    let chunked = async |bytes: usize| {
        let head = format!(
            "POST /integration/webhook?token={} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
            token()
        );
        let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", padded(bytes));
        let mut stream = TcpStream::connect(&receiver.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who has heard enough may hang up.
        drop(stream.write_all(body.as_bytes()).await);
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer[9..].to_vec()).unwrap()
    };
    assert_eq!(receiver.status("/webhook", padded(BODY_LIMIT)).await, 200);
    assert_eq!(
        receiver.status("/webhook", padded(BODY_LIMIT + 1)).await,
        413
    );
    assert_eq!(chunked(BODY_LIMIT).await, "200");
    assert_eq!(chunked(BODY_LIMIT + 1).await, "413");
    assert_eq!(receiver.waiting().await, 1);
}

#[tokio::test]
async fn what_is_not_json_or_not_a_vendors_is_refused() {
    let receiver = Receiver::start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (component, alert) = (component().to_string(), alert("Create").to_string());
    let table = [
        ("/webhook", ""),
        ("/webhook", "not JSON"),
        ("/webhook", "{\"event\": {"),
        ("/webhook", "\u{0}"),
        ("/webhook", "null"),
        ("/webhook", "{}"),
        ("/webhook", "[]"),
        ("/webhook", r#"{"event":"incident.triggered"}"#),
        ("/webhook", r#"{"messages":[{"event":"incident.trigger"}]}"#),
        ("/webhook", &deep),
        ("/webhook/opsgenie", ACKNOWLEDGED),
        ("/webhook/pagerduty", &component),
        ("/webhook/statuspage", &alert),
    ];
    for (path, body) in table {
        assert_eq!(
            receiver.status(path, body.to_owned()).await,
            400,
            "{path} {body:.40}"
        );
    }
    let not_text = vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'];
    assert_eq!(receiver.status("/webhook", not_text).await, 400);
    assert_eq!(receiver.waiting().await, 0);
    assert_eq!(
        receiver.status("/webhook", ACKNOWLEDGED).await,
        200,
        "it works on"
    );
}

#[tokio::test]
async fn what_tells_of_nothing_that_there_are_kinds_for_is_answered_and_not_stored() {
    let receiver = Receiver::start().await;
    let before = counted("ignored");
    for body in [
        r#"{"event":{"event_type":"pagey.ping","resource_type":"pagey","data":{"type":"ping","message":"Hello"}}}"#,
        r#"{"event":{"event_type":"team.created","data":{"id":"PTEAM1","type":"team"}}}"#,
        r#"{"event":{"event_type":"incident.annotated","data":{"id":"PNOTE1","type":"incident_note"}}}"#,
        r#"{"action":"Create","integrationId":"i-1"}"#,
        r#"{"action":"Create","alert":{"alertId":"../../users"}}"#,
        r#"{"meta":{"unsubscribe":"https://status.example.com/"}}"#,
    ] {
        assert_eq!(receiver.status("/webhook", body).await, 200, "{body}");
    }
    assert!(counted("ignored") >= before + 6);
    assert_eq!(receiver.waiting().await, 0);
}

#[tokio::test]
async fn sources_and_accounts_that_are_not_there_are_not_found() {
    let receiver = Receiver::start().await;
    for path in [
        "/webhook/nagios",
        "/webhook/PagerDuty",
        "/webhook/pagerduty/EU",
        "/webhook/pagerduty/",
        "/webhook/pagerduty/%ff",
        "/webhook/%ff",
        "/webhook/statuspage/eu",
        "/webhook/pagerduty/eu/more",
    ] {
        assert_eq!(receiver.status(path, ACKNOWLEDGED).await, 404, "{path}");
    }
    let url = format!(
        "http://{}/integration/webhook?token={}",
        receiver.address,
        token()
    );
    for method in [
        reqwest::Method::GET,
        reqwest::Method::PUT,
        reqwest::Method::DELETE,
    ] {
        let answer = receiver.client.request(method, &url).send().await.unwrap();
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "POST");
    }
    assert_eq!(receiver.waiting().await, 0);
}

#[tokio::test]
async fn what_cannot_be_stored_is_to_be_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("state"), "a file in the way").unwrap();
    let path = directory.path().join("state").join("portolan.sqlite3");
    let unusable = Receiver::with_spool(LocalSpool::open(&path).await).await;
    let full = LocalSpool::open_with_limit(Path::new(IN_MEMORY), 1).await;
    let full = Receiver::with_spool(full).await;
    assert_eq!(full.status("/webhook", ACKNOWLEDGED).await, 200);

    for receiver in [&unusable, &full] {
        let answer = receiver.send("/webhook", component().to_string()).await;
        assert_eq!(answer.status(), 503);
        assert!(
            answer.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u32>()
                .unwrap()
                > 0
        );
        // What is not to be stored needs no room.
        let ping = r#"{"event":{"event_type":"pagey.ping","data":{}}}"#;
        assert_eq!(receiver.status("/webhook", ping).await, 200);
    }
    assert_eq!(
        full.status("/webhook", ACKNOWLEDGED).await,
        200,
        "it is stored already"
    );
    full.spool.done(full.spool.take().await).await;
    let smaller = alert("Create").to_string();
    assert_eq!(
        full.status("/webhook", smaller).await,
        200,
        "there is room again"
    );
}

#[tokio::test]
async fn what_was_answered_with_success_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.sqlite3");
    let mut accepted = 0;
    for start in 0..3 {
        let receiver = Receiver::with_spool(LocalSpool::open(&path).await).await;
        assert_eq!(receiver.waiting().await, accepted);
        let bodies = (0..50).map(|number| {
            ACKNOWLEDGED
                .replace("01EXAMPLE", &format!("{start}-{number}"))
                .replace("PINC001", &format!("PINC{}", number % 7))
        });
        let answers = bodies.map(|body| receiver.status("/webhook/pagerduty/eu", body));
        assert_eq!(futures_util::future::join_all(answers).await, [200; 50]);
        accepted += 50;
        // Somebody works on it when it ends.
        std::mem::forget(receiver.spool.take().await);
        receiver.stopped().await;
    }
    let receiver = Receiver::with_spool(LocalSpool::open(&path).await).await;
    let taken = receiver.taken().await;
    assert_eq!(taken.len(), 7);
    assert_eq!(
        taken.values().map(|one| one.events.len()).sum::<usize>(),
        150
    );
}

/// A file with two events that were given up and one that waits.
async fn given_up() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.sqlite3");
    let receiver = Receiver::with_spool(LocalSpool::open(&path).await).await;
    assert_eq!(
        receiver.status("/webhook", component().to_string()).await,
        200
    );
    for taken in receiver.taken().await.into_values() {
        receiver.spool.bury(taken, "the mapping is wrong").await;
    }
    assert_eq!(receiver.status("/webhook", ACKNOWLEDGED).await, 200);
    receiver.stopped().await;
    (directory, path)
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_put_back_while_the_service_runs() {
    let (_directory, path) = given_up().await;
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment(),
        "OCEAN__STATE_PATH",
        &path.display().to_string(),
    );
    // The service has the file open meanwhile.
    let service = LocalSpool::open(&path).await;
    let events = async |arguments: &[&str]| {
        let arguments = [&["events"], arguments].concat();
        portolan(&arguments, &environment).await
    };

    let table = events(&[]).await.expect_code(0).stdout;
    assert!(table.contains("waiting: 1, the first since 20"), "{table}");
    assert!(table.contains("given up: 2"), "{table}");
    assert!(
        table.contains("statuspage//component/c7d0n5xq2l1a"),
        "{table}"
    );
    assert!(table.contains("the mapping is wrong"), "{table}");
    let listed: Value =
        serde_json::from_str(&events(&["--json"]).await.expect_code(0).stdout).unwrap();
    assert_eq!(
        (&listed["waiting"], &listed["dead"]),
        (&json!(1), &json!(2))
    );
    let dead = listed["dead_events"].as_array().unwrap();
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(dead[0]["attempts"], 1);

    let partly = events(&["--replay", id, "4711"]).await.expect_code(3);
    assert!(
        partly.stdout.contains("Put back 1 of 2"),
        "{}",
        partly.stdout
    );
    events(&["--replay", "4711"]).await.expect_code(1);
    events(&["--replay", id, "--replay-all"])
        .await
        .expect_code(2);
    let all = events(&["--replay-all", "--json"]).await.expect_code(0);
    assert_eq!(all.stdout.trim(), r#"{"replayed":1}"#);

    let mut found = 0;
    while found < 3 {
        let taken = timeout(Duration::from_mins(1), service.take())
            .await
            .unwrap();
        found += taken.events.len();
        service.done(taken).await;
    }
    let left = service.counts().await.unwrap();
    assert_eq!((left.waiting, left.dead), (0, 0));
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_list() {
    let sandbox = small_sandbox().await;
    for (path, reason) in [
        (":memory:", "OCEAN__STATE_PATH is `:memory:`"),
        (
            "/nonexistent/portolan.sqlite3",
            "There is no state database",
        ),
    ] {
        let environment = with(sandbox.environment(), "OCEAN__STATE_PATH", path);
        let outcome = portolan(&["events"], &environment).await.expect_code(2);
        let errors = outcome.logged("ERROR");
        assert!(
            errors.iter().any(|error| error.contains(reason)),
            "{errors:?}"
        );
    }
}
