//! The vendors' webhooks, beside all other routes. What becomes of them is tested
//! from outside, in `tests/it/live`.

use std::path::Path;

use axum::http::header::RETRY_AFTER;

use super::*;
use crate::live_events::{Authenticator, LocalSpool, Spool};
use crate::settings::SourceName;
use crate::store::IN_MEMORY;
use crate::web::webhook::WEBHOOKS_AT_A_TIME;

const TOKEN: &str = "invented-token";

const INCIDENT: &str = r#"{"event":{"id":"01INVENTED","event_type":"incident.triggered","data":{"id":"PINC7","type":"incident"}}}"#;

async fn route(hint: Option<Ask>) -> WebhookRoute {
    WebhookRoute {
        authenticator: Authenticator::new(&[SecretString::from(TOKEN)], &[]),
        spool: Spool::Local(LocalSpool::open(Path::new(IN_MEMORY)).await),
        accounts: SourceName::ALL
            .map(|source| (source, None))
            .into_iter()
            .collect(),
        hint,
        is_detailed: false,
    }
}

#[tokio::test]
async fn it_answers_below_the_prefix_and_nowhere_else() {
    let web = Running::with_webhooks(Some("/pfx"), route(None).await).await;
    for (path, status) in [
        ("/pfx/integration/webhook", 200),
        ("/pfx/integration/webhook/pagerduty", 200),
        ("/integration/webhook", 404),
        ("/pfx/integration/webhook/", 404),
        ("/pfx/integration/webhook/pagerduty/eu", 404),
        ("/pfx/integration/webhook/pagerduty/eu/more", 404),
    ] {
        let sent = web
            .post(path)
            .header("x-portolan-token", TOKEN)
            .body(INCIDENT)
            .send();
        assert_eq!(sent.await.unwrap().status(), status, "{path}");
    }
    assert_eq!(web.status("/pfx/integration/webhook").await, 405);
    let web = Running::start(None, false).await;
    let sent = web.post("/integration/webhook").body(INCIDENT).send();
    assert_eq!(
        sent.await.unwrap().status(),
        404,
        "where there is no such route"
    );
}

#[tokio::test]
async fn what_concerns_an_incident_and_is_new_is_a_hint_too() {
    let hinted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hinted);
    let hint: Ask = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let web = Running::with_webhooks(None, route(Some(hint)).await).await;
    let service = INCIDENT.replace("incident", "service");
    let ping = INCIDENT.replace("incident.triggered", "pagey.ping");
    let alert = r#"{"action":"Create","alert":{"alertId":"a-1"}}"#;
    let page = r#"{"page":{"id":"p1"}}"#;
    for (body, expected) in [
        (INCIDENT, 1),
        (INCIDENT, 1),
        (&service, 1),
        (&ping, 1),
        (page, 1),
        (alert, 2),
        (r#"{"page":{"id":"p1"},"incident":{"id":"i1"}}"#, 3),
    ] {
        let sent = web
            .post("/integration/webhook?token=invented-token")
            .body(body.to_owned());
        assert_eq!(sent.send().await.unwrap().status(), 200, "{body}");
        assert_eq!(hinted.load(Ordering::SeqCst), expected, "{body}");
    }
}

#[tokio::test]
async fn neither_token_nor_body_reaches_a_log_line_or_an_answer() {
    let (lines, _logging) = logged();
    let web = Running::with_webhooks(None, route(None).await).await;
    let hidden = r#"{"page":{"id":"p1"},"incident":{"id":"i1","name":"hidden"}}"#;
    for (query, body, status) in [
        ("?token=invented-token", hidden, 200),
        ("?token=invented-token", "hidden", 400),
        ("?token=hidden", hidden, 401),
        ("?token=hidden&token=invented-token", "{\"hidden\": 1}", 400),
    ] {
        let path = format!("/integration/webhook{query}");
        let answer = web.post(&path).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
        let answer = answer.text().await.unwrap();
        assert!(
            !answer.contains("hidden") && !answer.contains("invented"),
            "{answer}"
        );
    }
    let lines = lines.lock().unwrap();
    assert!(
        lines.contains("A webhook tells of statuspage//incident/i1"),
        "{lines}"
    );
    assert!(
        !lines.contains("hidden") && !lines.contains("invented-token"),
        "{lines}"
    );
}

// The paused clock leaps ahead as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn more_than_are_worked_on_at_a_time_wait_and_are_told_to_come_again_and_others_get_through()
{
    let web = Running::with_webhooks(None, route(None).await).await;
    let mut waiting = Vec::new();
    for _ in 0..WEBHOOKS_AT_A_TIME {
        let head = "POST /integration/webhook?token=invented-token HTTP/1.1\r\nhost: h\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        let mut stream = web.raw(head).await;
        // The server asks for the body once the request has its turn.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        waiting.push(stream);
    }

    let one_more = web
        .post("/integration/webhook?token=invented-token")
        .body(INCIDENT);
    let answer = one_more.send().await.unwrap();

    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()[RETRY_AFTER], "10");
    assert_eq!(web.status("/metrics").await, 200);
}
