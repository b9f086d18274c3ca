use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::AUTHORIZATION;
use serde_json::json;

use super::*;
use crate::http::testing::{Answer, Server, TINY, everything_said, outbound};

fn client_with(outbound: &OutboundSettings, deadline: Duration) -> HttpClient {
    let pacer = Pacer::new("Example", None);
    HttpClient::new(outbound, false, deadline, pacer, RateHeaders::RateLimit).unwrap()
}

fn client() -> HttpClient {
    client_with(&outbound(), Duration::from_secs(20))
}

fn get(server: &Server) -> Request<'static> {
    Request::new(Method::GET, server.url.join("/things?q=1").unwrap(), &TINY)
}

fn post(server: &Server) -> Request<'static> {
    Request::new(Method::POST, server.url.join("/things").unwrap(), &TINY).json("{}")
}

fn answer() -> Answer {
    Answer::json(&json!({"greeting": "hello"}))
}

fn greeting(reply: &Reply) -> &Value {
    &reply.body.as_ref().unwrap()["greeting"]
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_again() {
    let server = Server::answering([Answer::status(503), Answer::status(500), answer()]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert_eq!(reply.call.attempts, 3);
    assert_eq!(greeting(&reply), "hello");
}

#[tokio::test]
async fn a_server_that_does_not_recover_is_reported_with_its_last_answer() {
    let server = Server::answering(vec![Answer::status(503); 9]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert_eq!((reply.status, reply.call.attempts), (503, 3));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_repeated_unless_that_is_safe() {
    let server = Server::answering([Answer::status(503), Answer::status(503), answer()]).await;
    let reply = client().send(&post(&server)).await.unwrap();
    assert_eq!((reply.status, server.count()), (503, 1));

    let reply = client()
        .send(&post(&server).safe_to_repeat())
        .await
        .unwrap();
    assert_eq!((reply.status, server.count()), (200, 3));
}

#[tokio::test]
async fn a_rate_limit_turned_the_request_away_so_it_is_always_repeated() {
    for status in [420, 429] {
        let server = Server::answering([Answer::status(status), answer()]).await;
        let reply = client().send(&post(&server)).await.unwrap();
        assert_eq!((reply.status, server.count()), (200, 2));
    }
}

#[tokio::test]
async fn a_wait_longer_than_the_cap_is_an_answer_that_says_when_to_come_back() {
    let refusal = Answer::status(429).header("retry-after", "3600");
    let server = Server::answering([refusal]).await;
    let before = Timestamp::now();

    let reply = client().send(&get(&server)).await.unwrap();

    let hour = reply.ask_again.unwrap().duration_since(before);
    assert!((3_600..3_660).contains(&hour.as_secs()), "{hour}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_spent_daily_quota_is_not_asked_again() {
    let refusal = Answer::status(429).header("daily-ratelimit-remaining", "0");
    let server = Server::answering([refusal]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert!(reply.quota_spent);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_whole_is_asked_for_again() {
    let half = || Answer::status(200).body(r#"{"greeting":"#);
    let server = Server::answering([half().cut_short(), half(), answer()]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert_eq!(greeting(&reply), "hello");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_body_that_never_comes_whole_is_an_error() {
    let half = Answer::status(200).body(r#"{"greeting":"#).cut_short();
    let server = Server::answering(vec![half; 3]).await;
    let error = client().send(&get(&server)).await.err().unwrap();
    assert!(
        matches!(
            error,
            HttpError::Body {
                problem: BodyProblem::CutShort,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_page_of_html_is_an_error_that_does_not_show_it() {
    let page = Answer::status(200).body("<html>Welcome to the proxy</html>");
    let server = Server::answering(vec![page; 3]).await;
    let error = client().send(&get(&server)).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "GET {}things answered 200 with a body that is not JSON (3 attempts)",
            server.url
        ),
    );
    assert!(!everything_said(&error).contains("Welcome"));
}

#[tokio::test]
async fn a_body_larger_than_the_cap_is_refused_at_once() {
    let large = Answer::json(&json!("x".repeat(5_000)));
    let server = Server::answering([large.clone(), large.cut_short()]).await;
    for _ in 0..2 {
        let error = client()
            .with_body_cap(1_000)
            .send(&get(&server))
            .await
            .err()
            .unwrap();
        assert!(
            matches!(
                error,
                HttpError::Body {
                    problem: BodyProblem::TooLarge(1_000),
                    ..
                }
            ),
            "{error}",
        );
    }
    assert_eq!(server.count(), 2);
}

/// `{"greeting":"hello"}`
const SMALL: &str = "H4sIAAAAAAACA6tWSi9KTS3JzEtXslLKSM3JyVeqBQC+uYuqFAAAAA==";
/// 200,000 spaces and a digit.
const BOMB: &str = "H4sIAAAAAAACA+3BsQAAAAACMJUU8peLoX9bAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC8OuyNEtJBDQMA";

fn compressed(base64: &str) -> Answer {
    Answer::status(200)
        .header("content-encoding", "gzip")
        .body(BASE64_STANDARD.decode(base64).unwrap())
}

#[tokio::test]
async fn a_compressed_body_is_asked_for_and_read() {
    let server = Server::answering([compressed(SMALL)]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert_eq!(greeting(&reply), "hello");
    assert!(
        server.received()[0]
            .header("accept-encoding")
            .contains("gzip")
    );
}

#[tokio::test]
async fn a_compressed_body_is_capped_by_what_it_becomes() {
    let server = Server::answering([compressed(BOMB)]).await;
    let error = client()
        .with_body_cap(1_000)
        .send(&get(&server))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            HttpError::Body {
                problem: BodyProblem::TooLarge(_),
                ..
            }
        ),
        "{error}",
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_after_the_deadline() {
    let server = Server::answering(vec![Answer::silence(); 3]).await;
    let client = client_with(&outbound(), Duration::from_millis(30));
    let error = client.send(&get(&server)).await.err().unwrap();
    assert!(matches!(error, HttpError::TimedOut { .. }), "{error}");
    assert_eq!(error.call().attempts, 3);
}

#[tokio::test]
async fn waiting_for_answers_that_do_not_come_uses_up_the_budget() {
    let server = Server::answering(vec![Answer::silence(); 3]).await;
    let client = client_with(&outbound(), Duration::from_millis(30));
    let policy = RetryPolicy {
        total_wait: Duration::from_millis(20),
        ..TINY
    };
    let request = Request::new(Method::GET, server.url.clone(), &policy);
    let error = client.send(&request).await.err().unwrap();
    assert_eq!(error.call().attempts, 1);
}

#[tokio::test]
async fn where_nobody_listens_even_an_unsafe_request_is_tried_again() {
    let server = Server::answering([]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut url = server.url.clone();
    url.set_port(Some(listener.local_addr().unwrap().port()))
        .unwrap();
    drop(listener);

    let error = client()
        .send(&Request::new(Method::POST, url, &TINY))
        .await
        .err()
        .unwrap();

    assert!(matches!(error, HttpError::NotConnected { .. }), "{error}");
    assert_eq!(error.call().attempts, 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::answering([Answer::status(302).header("location", "/elsewhere")]).await;
    let reply = client().send(&get(&server)).await.unwrap();
    assert_eq!((reply.status, server.count()), (302, 1));
}

#[tokio::test]
async fn success_is_enough_where_no_document_is_expected() {
    let server = Server::answering([
        Answer::status(204),
        Answer::status(200).body("thanks"),
        Answer::status(200).body("{").cut_short(),
    ])
    .await;
    for _ in 0..3 {
        let reply = client()
            .send(&get(&server).expect(Expect::Success))
            .await
            .unwrap();
        assert!(reply.is_success());
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_settings_but_for_its_exceptions() {
    let proxy = Server::answering([answer()]).await;
    let direct = Server::answering([answer()]).await;
    let mut outbound = outbound();
    outbound.proxies.http = Some(proxy.url.to_string());
    outbound.proxies.no_proxy = Some("localhost, 127.0.0.1".to_owned());
    let client = client_with(&outbound, Duration::from_secs(20));

    let far = Url::parse("http://api.example.com/v1/pages").unwrap();
    client
        .send(&Request::new(Method::GET, far, &TINY))
        .await
        .unwrap();
    client.send(&get(&direct)).await.unwrap();

    assert_eq!(
        proxy.received()[0].target,
        "http://api.example.com/v1/pages"
    );
    assert_eq!(direct.received()[0].target, "/things?q=1");
}

#[tokio::test]
async fn no_error_shows_a_credential_or_a_query() {
    let half = Answer::status(200).body(r#"{"hunter2":"#).cut_short();
    let server = Server::answering(vec![half; 3]).await;
    let secret = |url: &Url| {
        let mut url = url.join("/things?api_key=hunter2").unwrap();
        url.set_username("hunter2").unwrap();
        url.set_password(Some("hunter2")).unwrap();
        let mut header = HeaderValue::from_static("Bearer hunter2");
        header.set_sensitive(true);
        Request::new(Method::GET, url, &TINY).header(AUTHORIZATION, header)
    };
    let silent = Server::answering(vec![Answer::silence(); 3]).await;
    let nobody = Url::parse("http://127.0.0.1:1/").unwrap();
    let client = client_with(&outbound(), Duration::from_millis(200));

    for url in [&server.url, &silent.url, &nobody] {
        let error = client.send(&secret(url)).await.err().unwrap();
        let said = everything_said(&error);
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains("127.0.0.1"), "{said}");
    }
}

#[tokio::test]
async fn a_refusal_whose_explanation_got_lost_is_asked_for_again() {
    let absent = || Answer::json(&json!({"error": "not_found"})).with_status(404);
    let server = Server::answering([
        absent().cut_short(),
        Answer::status(404).body(r#"{"error": "not_fo"#),
        absent(),
    ])
    .await;

    let reply = client().send(&get(&server)).await.unwrap();

    assert_eq!((reply.status, server.count()), (404, 3));
    assert_eq!(reply.body, Some(json!({"error": "not_found"})));
}

#[tokio::test]
async fn a_refusal_without_its_explanation_is_still_a_refusal() {
    let cut = || {
        Answer::json(&json!({"error": "conflict"}))
            .with_status(409)
            .cut_short()
    };
    let server = Server::answering([cut(), cut()]).await;

    // It may have had an effect, so it is not repeated; its status says enough.
    let reply = client().send(&post(&server)).await.unwrap();

    assert_eq!((reply.status, server.count()), (409, 1));
    assert_eq!(reply.body, None);
}

#[tokio::test]
async fn every_attempt_is_counted_by_what_it_came_to() {
    let answers = [
        Answer::status(503),
        Answer::status(429).header("retry-after", "0"),
        answer().cut_short(),
        answer()
            .header("ratelimit-limit", "960")
            .header("ratelimit-remaining", "700"),
    ];
    let server = Server::answering(answers).await;
    let pacer = Pacer::new("Counted", None);
    let deadline = Duration::from_secs(20);
    let client =
        HttpClient::new(&outbound(), false, deadline, pacer, RateHeaders::RateLimit).unwrap();
    let patient = RetryPolicy {
        attempts: 4,
        ..TINY
    };
    let url = server.url.join("/things").unwrap();
    client
        .send(&Request::new(Method::GET, url, &patient))
        .await
        .unwrap();

    let exposed = metrics::expose(metrics::Exposition::OpenMetrics, false);
    let mut series: Vec<&str> = exposed
        .lines()
        .filter(|line| line.contains(r#"api="counted""#))
        .filter(|line| !line.contains("_bucket") && !line.contains("_seconds"))
        .collect();
    series.sort_unstable();
    assert_eq!(
        series,
        [
            r#"portolan_api_budget_left{api="counted"} 700"#,
            r#"portolan_api_budget_limit{api="counted"} 960"#,
            r#"portolan_api_requests_total{api="counted",status="200"} 1"#,
            r#"portolan_api_requests_total{api="counted",status="429"} 1"#,
            r#"portolan_api_requests_total{api="counted",status="503"} 1"#,
            r#"portolan_api_requests_total{api="counted",status="unusable_body"} 1"#,
            r#"portolan_api_retries_total{api="counted"} 3"#,
        ]
    );
    assert!(exposed.contains(r#"portolan_api_request_duration_seconds_count{api="counted"} 4"#));
    assert!(exposed.contains(r#"portolan_api_rate_limit_wait_seconds_total{api="counted"} "#));
}
