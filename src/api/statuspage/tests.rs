use std::fs;

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::http::HttpError;
use crate::http::testing::{Answer, Server, TINY, everything_said, outbound};
use crate::settings::Credential;

const KEY: &str = "hunter2-statuspage-key";

fn client_with(server: &Server, api_key: Credential) -> StatuspageClient {
    let account = StatuspageAccount {
        name: None,
        host: server.url.clone(),
        api_key,
        page_ids: Vec::new(),
    };
    StatuspageClient::new(&account, &outbound(), 60)
        .unwrap()
        .with_policy(TINY)
}

pub(super) fn client(server: &Server) -> StatuspageClient {
    client_with(server, Credential::Fixed(SecretString::from(KEY)))
}

#[tokio::test]
async fn every_list_is_asked_for_with_the_key_and_the_largest_page() {
    let server = Server::answering(vec![Answer::json(&json!([{"id": "p1"}])); 6]).await;
    let client = client(&server);

    assert_eq!(client.pages(1).await.unwrap(), [json!({"id": "p1"})]);
    client.component_groups("p/1", 2, None).await.unwrap();
    client.components("p1", 3, None).await.unwrap();
    client.incidents("p1", 4, None).await.unwrap();
    client.unresolved_incidents("p1", 5).await.unwrap();
    client.active_maintenances("p1", 6).await.unwrap();

    let received = server.received();
    let targets: Vec<_> = received
        .iter()
        .map(|request| request.target.as_str())
        .collect();
    assert_eq!(
        targets,
        [
            "/v1/pages?page=1&per_page=100",
            "/v1/pages/p%2F1/component-groups?page=2&per_page=100",
            "/v1/pages/p1/components?page=3&per_page=100",
            "/v1/pages/p1/incidents?page=4&limit=100",
            "/v1/pages/p1/incidents/unresolved?page=5&per_page=100",
            "/v1/pages/p1/incidents/active_maintenance?page=6&per_page=100",
        ],
    );
    assert!(
        received
            .iter()
            .all(|request| request.header("authorization") == format!("OAuth {KEY}"))
    );
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_with_a_hint_and_without_the_key() {
    let refusal =
        Answer::status(401).body(json!({"error": format!("No such key: {KEY}")}).to_string());
    let server = Server::answering([refusal]).await;

    let error = client(&server).pages(1).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        format!(
            "GET {}v1/pages answered 401: No such key: [REDACTED]",
            server.url
        ),
    );
    assert!(error.hint().unwrap().contains("STATUSPAGE_API_KEY"));
    assert!(!everything_said(&error).contains(KEY));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn being_told_to_calm_down_is_obeyed() {
    let server = Server::answering([Answer::status(420), Answer::json(&json!([]))]).await;
    assert!(client(&server).pages(1).await.unwrap().is_empty());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_rate_limit_that_lasts_too_long_is_reported_with_its_end() {
    let refusal = Answer::status(420).header("retry-after", "7200");
    let server = Server::answering([refusal]).await;
    let error = client(&server).pages(1).await.unwrap_err();
    assert_eq!(error.status(), Some(420));
    assert!(error.to_string().contains("; not before 20"), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE")
    );
}

#[tokio::test]
async fn a_list_that_is_no_array_of_objects_is_an_error() {
    let table = [
        (
            json!({"error": "hunter2"}),
            "a list should be an array, not an object with error",
        ),
        (json!(null), "a list should be an array, not null"),
        (
            json!([{"id": "1"}, 2]),
            "the list holds something other than objects",
        ),
    ];
    for (body, problem) in table {
        let server = Server::answering([Answer::json(&body)]).await;
        let error = client(&server).incidents("p1", 1, None).await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
        assert!(error.to_string().ends_with(problem), "{error}");
    }
}

#[tokio::test]
async fn a_list_that_keeps_coming_as_html_is_an_error() {
    let page = Answer::status(200).body("<html>hunter2</html>");
    let server = Server::answering(vec![page; 3]).await;
    let error = client(&server).pages(1).await.unwrap_err();
    assert!(
        matches!(error, ApiError::Http(HttpError::Body { .. })),
        "{error}"
    );
    assert!(!everything_said(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_page_that_is_gone_is_told_from_a_wrong_address() {
    let server = Server::answering([
        Answer::json(&json!({"id": "p1"})),
        Answer::status(404).body(r#"{"error": "Not found"}"#),
        Answer::status(404).body("<html>Nothing here</html>"),
    ])
    .await;
    let client = client(&server);

    assert_eq!(client.page("p1").await.unwrap(), Some(json!({"id": "p1"})));
    assert_eq!(client.page("p1").await.unwrap(), None);
    let error = client.page("p1").await.unwrap_err();
    assert!(error.is_not_found());
    assert!(error.hint().unwrap().contains("STATUSPAGE_HOST"));
}

#[tokio::test]
async fn a_component_and_an_incident_are_found_gone_or_an_error() {
    let gone = || Answer::status(404).body(r#"{"error": "Not found"}"#);
    let server = Server::answering([
        Answer::json(&json!({"id": "c1"})),
        gone(),
        Answer::status(404).body("<html>Nothing here</html>"),
        Answer::json(&json!({"id": "i1"})),
        gone(),
        Answer::json(&json!({"error": "hunter2"})),
        Answer::json(&json!([{"id": "i1"}])),
    ])
    .await;
    let client = client(&server);

    let component = client.component("p1", "c1").await.unwrap();
    assert_eq!(component, Some(json!({"id": "c1"})));
    assert_eq!(client.component("p1", "c/2").await.unwrap(), None);
    assert!(client.component("p1", "c1").await.is_err());
    let incident = client.incident("p1", "i1").await.unwrap();
    assert_eq!(incident, Some(json!({"id": "i1"})));
    assert_eq!(client.incident("p1", "i1").await.unwrap(), None);
    for _ in 0..2 {
        let error = client.incident("p1", "i1").await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
    }

    let received = server.received();
    assert_eq!(received[1].target, "/v1/pages/p1/components/c%2F2");
    assert_eq!(received[3].target, "/v1/pages/p1/incidents/i1");
}

#[tokio::test]
async fn subscribers_are_counted_over_all_types() {
    let server = Server::answering([
        Answer::json(&json!({"email": 40, "sms": 0, "webhook": 2})),
        Answer::json(&json!({"email": "many"})),
        Answer::json(&json!([])),
    ])
    .await;
    let client = client(&server);

    assert_eq!(client.subscriber_count("p1").await.unwrap(), 42);
    for _ in 0..2 {
        let error = client.subscriber_count("p1").await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
    }
    assert_eq!(
        server.received()[0].target,
        "/v1/pages/p1/subscribers/count"
    );
}

#[tokio::test]
async fn a_key_with_a_line_break_at_its_end_is_sent_without_it() {
    let server = Server::answering([Answer::json(&json!([]))]).await;
    let client = client_with(
        &server,
        Credential::Fixed(SecretString::from(format!("{KEY}\n"))),
    );
    client.pages(1).await.unwrap();
    assert_eq!(
        server.received()[0].header("authorization"),
        format!("OAuth {KEY}")
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_refused_without_showing_it() {
    let server = Server::answering([]).await;
    let account = StatuspageAccount {
        name: None,
        host: server.url.clone(),
        api_key: Credential::Fixed(SecretString::from("hunter2\nhunter2")),
        page_ids: Vec::new(),
    };
    let error = StatuspageClient::new(&account, &outbound(), 60)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .starts_with("the Statuspage API key cannot be sent"),
        "{error}"
    );
    assert!(!everything_said(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_token_file_is_read_when_it_is_needed_and_missed_by_name() {
    let server = Server::answering([Answer::json(&json!([]))]).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let client = client_with(&server, Credential::File(path.clone()));

    let error = client.pages(1).await.unwrap_err();
    assert!(matches!(error, ApiError::TokenFile { .. }), "{error}");
    fs::write(&path, " \n").unwrap();
    let error = client.pages(1).await.unwrap_err();
    assert!(error.to_string().ends_with("is empty"), "{error}");
    fs::write(&path, "first\n").unwrap();
    client.pages(1).await.unwrap();

    assert_eq!(server.received()[0].header("authorization"), "OAuth first");
}
