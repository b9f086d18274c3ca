use std::fs;
use std::path::Path;

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::http::testing::{Answer, Server, TINY, everything_said, outbound};
use crate::settings::Credential;

fn client_with(server: &Server, token: Credential) -> PagerdutyClient {
    let account = PagerdutyAccount {
        name: None,
        api_url: server.url.clone(),
        token,
    };
    PagerdutyClient::new(&account, &outbound(), 960)
        .unwrap()
        .with_policy(TINY)
}

pub(super) fn client(server: &Server) -> PagerdutyClient {
    client_with(server, Credential::Fixed(SecretString::from("hunter2")))
}

fn services(more: bool) -> Answer {
    let page = json!({
        "services": [{"id": "P1"}], "limit": 100, "offset": 0, "more": more, "total": 1_234,
    });
    Answer::json(&page)
}

#[tokio::test]
async fn a_list_is_asked_for_page_by_page_with_its_parameters() {
    let server = Server::answering([services(true), services(false)]).await;
    let client = client(&server);
    let query = [
        ("team_ids[]".to_owned(), "T 1".to_owned()),
        ("team_ids[]".to_owned(), "T2".to_owned()),
    ];

    let page = client
        .list("services", &query, 200, true, None)
        .await
        .unwrap();
    assert_eq!(
        page,
        ListPage {
            objects: vec![json!({"id": "P1"})],
            more: true,
            total: Some(1_234)
        }
    );
    assert!(
        !client
            .list("services", &[], 0, false, None)
            .await
            .unwrap()
            .more
    );

    let received = server.received();
    assert_eq!(
        received[0].target,
        "/services?offset=200&limit=100&total=true&team_ids%5B%5D=T+1&team_ids%5B%5D=T2",
    );
    assert_eq!(received[1].target, "/services?offset=0&limit=100");
    assert_eq!(
        received[0].header("accept"),
        "application/vnd.pagerduty+json;version=2"
    );
    assert_eq!(received[0].header("authorization"), "Token token=hunter2");
}

#[tokio::test]
async fn an_oauth_token_is_sent_as_such() {
    let server = Server::answering([services(false)]).await;
    let token = Credential::Fixed(SecretString::from("pdus+hunter2"));
    client_with(&server, token)
        .list("services", &[], 0, false, None)
        .await
        .unwrap();
    assert_eq!(
        server.received()[0].header("authorization"),
        "Bearer pdus+hunter2"
    );
}

#[tokio::test]
async fn the_objects_are_found_also_under_a_key_that_is_not_the_endpoints() {
    let table = [
        (
            "event_orchestrations",
            json!({"orchestrations": [{}], "more": false}),
        ),
        ("incidents/types", json!({"incident_types": [{}]})),
        (
            "services",
            json!({"teams": [], "services": [{}], "more": false}),
        ),
        (
            "status_dashboards",
            json!({"status_dashboards": [{}], "next_cursor": null, "limit": 100}),
        ),
    ];
    for (endpoint, body) in table {
        let server = Server::answering([Answer::json(&body)]).await;
        let page = client(&server)
            .list(endpoint, &[], 0, false, None)
            .await
            .unwrap();
        assert_eq!(page.objects.len(), 1, "{endpoint}");
        assert!(
            server.received()[0]
                .target
                .starts_with(&format!("/{endpoint}?"))
        );
    }
}

#[tokio::test]
async fn a_page_from_which_the_rest_of_the_list_cannot_be_told_is_an_error() {
    let table = [
        (
            json!({"services": [], "limit": 100, "offset": 0}),
            "does not say whether there are more",
        ),
        (
            json!({"services": vec![json!({}); 100]}),
            "does not say whether there are more",
        ),
        (
            json!({"services": [], "more": "yes"}),
            "`more` should be a boolean, not a text",
        ),
        (
            json!({"services": [], "next_cursor": "abc", "limit": 100}),
            "cannot follow",
        ),
        (
            json!({"services": {}, "more": false}),
            "`services` should be an array, not an empty object",
        ),
        (
            json!({"more": false, "users": [], "teams": []}),
            "no list `services` in it, but an object with more, users, teams",
        ),
        (json!([]), "no list `services` in it, but an array"),
    ];
    for (body, problem) in table {
        let server = Server::answering([Answer::json(&body)]).await;
        let error = client(&server)
            .list("services", &[], 0, false, None)
            .await
            .unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
        assert!(error.to_string().ends_with(problem), "{error}");
    }
}

#[tokio::test]
async fn a_list_that_does_not_exist_is_an_error() {
    let body = json!({"error": {"message": "Not Found", "code": 2100}});
    let server = Server::answering([Answer::status(404).body(body.to_string())]).await;
    let error = client(&server)
        .list("service", &[], 0, false, None)
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.code(), Some("2100"));
    assert_eq!(
        error.to_string(),
        format!("GET {}service answered 404: Not Found", server.url)
    );
}

#[tokio::test]
async fn a_wrong_token_fails_at_once_with_a_hint() {
    let body = json!({"error": {"message": "Invalid token hunter2", "code": 2006}});
    let server = Server::answering([Answer::status(401).body(body.to_string())]).await;
    let error = client(&server)
        .list("services", &[], 0, false, None)
        .await
        .unwrap_err();
    assert!(error.hint().unwrap().contains("TOKEN"));
    assert!(!everything_said(&error).contains("hunter2"));
    assert_eq!(server.count(), 1);
}

/// Writes the file with a modification time of its own, as time would.
fn write_later(path: &Path, token: &str, seconds: u64) {
    fs::write(path, token).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_changed_and_when_its_token_is_refused() {
    let server = Server::deciding(|request| match request.header("authorization") {
        "Bearer second" | "Bearer third" => services(false),
        _ => Answer::status(401),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    write_later(&path, "first\n", 1_000);
    let client = client_with(&server, Credential::File(path.clone()));
    let list = async || client.list("services", &[], 0, false, None).await;

    assert_eq!(list().await.unwrap_err().status(), Some(401));
    assert_eq!(server.count(), 1, "the same token is not tried twice");

    write_later(&path, "second\n", 2_000);
    list().await.unwrap();
    assert_eq!(server.count(), 2, "a changed file is noticed before asking");

    // Back to a refused token that the client still knows by the file's time.
    write_later(&path, "first\n", 3_000);
    assert!(list().await.is_err());
    write_later(&path, "third\n", 3_000);
    list().await.unwrap();
    assert_eq!(server.count(), 5, "a refusal makes the file be read again");
}

#[tokio::test]
async fn an_incident_and_a_log_entry_are_found_gone_or_an_error() {
    let gone = || {
        let explanation = json!({"error": {"message": "Not Found", "code": 2100}});
        Answer::json(&explanation).with_status(404)
    };
    let server = Server::answering([
        Answer::json(&json!({"incident": {"id": "Q1", "status": "acknowledged"}})),
        gone(),
        // Something else answers at this address.
        Answer::status(404).body("<html>"),
        Answer::json(&json!({"incident": null})),
        Answer::json(&json!({"log_entry": {"id": "R1"}})),
        gone(),
        Answer::json(&json!({"incident": {"id": "R1"}})),
    ])
    .await;
    let client = client(&server);

    let include = ["first_trigger_log_entries", "services"];
    let incident = client.incident("Q1", &include).await.unwrap().unwrap();
    assert_eq!(incident["status"], "acknowledged");
    assert_eq!(client.incident("Q/2", &[]).await.unwrap(), None);
    let error = client.incident("Q1", &[]).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = client.incident("Q1", &[]).await.unwrap_err();
    assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
    let entry = client.log_entry("R1", &["channels"]).await.unwrap();
    assert_eq!(entry, Some(json!({"id": "R1"})));
    assert_eq!(client.log_entry("R1", &[]).await.unwrap(), None);
    assert!(client.log_entry("R1", &[]).await.is_err());

    let received = server.received();
    assert_eq!(
        received[0].target,
        "/incidents/Q1?include%5B%5D=first_trigger_log_entries&include%5B%5D=services",
    );
    assert_eq!(received[1].target, "/incidents/Q%2F2");
    assert_eq!(received[4].target, "/log_entries/R1?include%5B%5D=channels");
    assert!(received[0].header("accept").ends_with("version=2"));
}

#[tokio::test]
async fn custom_fields_are_read_by_object() {
    let values = json!({"custom_fields": [{"id": "F1", "value": null}]});
    let server = Server::answering([Answer::json(&values)]).await;
    let fields = client(&server)
        .custom_field_values("incidents", "P1")
        .await
        .unwrap();
    assert_eq!(fields, [json!({"id": "F1", "value": null})]);
    assert_eq!(
        server.received()[0].target,
        "/incidents/P1/custom_fields/values"
    );
}

#[tokio::test]
async fn analytics_are_only_read_so_asking_again_is_safe() {
    let rows = json!({"data": [{"service_id": "P1"}]});
    let server = Server::answering([Answer::status(500), Answer::json(&rows)]).await;
    let body = json!({"filters": {"service_ids": ["P1"]}});
    let rows = client(&server).service_metrics(&body).await.unwrap();
    assert_eq!(rows, [json!({"service_id": "P1"})]);
    let received = server.received();
    assert_eq!(received[1].method, "POST");
    assert_eq!(received[1].target, "/analytics/metrics/incidents/services");
    assert_eq!(received[1].header("content-type"), "application/json");
    assert_eq!(received[1].json(), body);
}

#[tokio::test]
async fn a_spent_daily_quota_is_recognized() {
    let refusal = Answer::status(429)
        .header("daily-ratelimit-remaining", "0")
        .header("ratelimit-reset", "3")
        .body(json!({"error": {"message": "Rate Limit Exceeded", "code": 2020}}).to_string());
    let server = Server::answering([refusal]).await;
    let error = client(&server)
        .service_metrics(&json!({}))
        .await
        .unwrap_err();
    assert!(error.is_quota_spent());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn raw_analytics_say_where_they_go_on() {
    let server = Server::answering([
        Answer::json(&json!({"data": [{"id": "P1"}], "more": true, "last": "cursor", "limit": 1})),
        Answer::json(&json!({"data": [], "more": false, "last": null, "limit": 1})),
        Answer::json(&json!({"data": [], "more": true, "last": null, "limit": 1})),
    ])
    .await;
    let client = client(&server);

    let page = client.raw_incident_analytics(&json!({})).await.unwrap();
    assert_eq!((page.more, page.last.as_deref()), (true, Some("cursor")));
    assert!(
        !client
            .raw_incident_analytics(&json!({}))
            .await
            .unwrap()
            .more
    );
    let error = client.raw_incident_analytics(&json!({})).await.unwrap_err();
    assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
}
