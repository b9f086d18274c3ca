//! What is accepted from the vendors, what is not, and that what was accepted is
//! still there afterwards.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use portolan::live_events::{Authenticator, LocalSpool};
use portolan::store::IN_MEMORY;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::receiver::{ACKNOWLEDGED, ALPHA, BETA, Receiver, alert, component, secret, token};

const BODY_LIMIT: usize = 1024 * 1024;

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
