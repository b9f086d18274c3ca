use std::sync::Mutex;

use secrecy::SecretString;
use serde_json::json;
use url::Url;

use super::*;
use crate::http::testing::{Answer, Received, Server, TINY, outbound};
use crate::settings::{Credential, OpsgenieAccount, PagerdutyAccount, StatuspageAccount};

fn key() -> Credential {
    Credential::Fixed(SecretString::from("key"))
}

fn statuspage(server: &Server) -> StatuspageClient {
    let account = StatuspageAccount {
        name: None,
        host: server.url.clone(),
        api_key: key(),
        page_ids: Vec::new(),
    };
    StatuspageClient::new(&account, &outbound(), 60)
        .unwrap()
        .with_policy(TINY)
}

fn pagerduty(server: &Server) -> PagerdutyClient {
    let account = PagerdutyAccount {
        name: None,
        api_url: server.url.clone(),
        token: key(),
    };
    PagerdutyClient::new(&account, &outbound(), 960)
        .unwrap()
        .with_policy(TINY)
}

fn opsgenie(server: &Server) -> OpsgenieClient {
    let account = OpsgenieAccount {
        name: None,
        api_url: server.url.clone(),
        api_token: key(),
    };
    OpsgenieClient::new(&account, &outbound(), None)
        .unwrap()
        .with_policy(TINY)
}

fn parameters(request: &Received, name: &str) -> Vec<String> {
    let url = Url::parse(&format!("http://host{}", request.target)).unwrap();
    let named = url.query_pairs().filter(|(key, _)| key == name);
    named.map(|(_, value)| value.into_owned()).collect()
}

fn parameter(request: &Received, name: &str) -> Option<usize> {
    let first = parameters(request, name).into_iter().next()?;
    Some(first.parse().unwrap())
}

/// Serves so many numbered objects, page by page, and lets `afterwards` change
/// them after each answer. It is told how many there were.
async fn moving(
    count: usize,
    afterwards: impl Fn(&mut Vec<usize>, usize) + Send + Sync + 'static,
) -> Server {
    let state = Mutex::new(((0..count).collect::<Vec<_>>(), 0));
    Server::deciding(move |request| {
        let mut state = state.lock().unwrap();
        let (objects, answers) = &mut *state;
        let page = parameter(request, "page").unwrap();
        let shown = objects.iter().skip((page - 1) * 100).take(100);
        let shown: Vec<_> = shown.map(|id| json!({"id": id.to_string()})).collect();
        *answers += 1;
        afterwards(objects, *answers);
        Answer::json(&json!(shown))
    })
    .await
}

fn ids(objects: &[Value]) -> Vec<usize> {
    let ids = objects.iter().filter_map(id);
    ids.map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_list_of_one_page_is_asked_for_once() {
    let server = moving(99, |_, _| {}).await;
    let client = statuspage(&server);

    let unresolved = statuspage_unresolved(&client, "p1").await.unwrap();
    assert_eq!(unresolved.len(), 99);
    assert_eq!(server.count(), 1);
    let active = statuspage_active_maintenances(&client, "p1").await.unwrap();
    assert_eq!(active.len(), 99);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_longer_list_is_turned_until_it_stays_the_same() {
    let server = moving(250, |_, _| {}).await;
    let unresolved = statuspage_unresolved(&statuspage(&server), "p1").await;
    assert_eq!(ids(&unresolved.unwrap()), (0..250).collect::<Vec<_>>());
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn an_incident_that_is_resolved_while_pages_are_turned_hides_no_other() {
    // After the first page the fourth goes, and the first of the second page
    // moves to where nobody looks any more.
    let server = moving(150, |incidents, answers| {
        if answers == 1 {
            incidents.remove(3);
        }
    })
    .await;

    let unresolved = statuspage_unresolved(&statuspage(&server), "p1").await;

    let expected: Vec<_> = (0..150).filter(|number| *number != 3).collect();
    assert_eq!(ids(&unresolved.unwrap()), expected);
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn a_list_that_never_stays_the_same_is_an_error() {
    let server = moving(150, |incidents, answers| incidents.push(1_000 + answers)).await;
    let error = statuspage_unresolved(&statuspage(&server), "p1")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unresolved incidents of page p1 changed each time its pages were turned, 4 times in all"
    );
    assert_eq!(server.count(), 8);
}

#[tokio::test]
async fn components_and_the_newest_incidents_are_turned_once() {
    let server = moving(250, |_, _| {}).await;
    let client = statuspage(&server);

    let components = statuspage_components(&client, "p1").await.unwrap();
    assert_eq!(components.len(), 250);
    assert_eq!(server.count(), 3);
    let newest = statuspage_newest_incidents(&client, "p1").await.unwrap();
    assert_eq!(newest.len(), 100);
    assert_eq!(statuspage_pages(&client).await.unwrap().len(), 250);
    let received = server.received();
    assert_eq!(
        received[3].target,
        "/v1/pages/p1/incidents?page=1&limit=100"
    );
    assert_eq!(received.len(), 7);
}

#[tokio::test]
async fn what_is_not_whole_is_an_error() {
    let full: Vec<_> = (0..100).map(|id| json!({"id": id.to_string()})).collect();
    let table = [
        (
            json!({"error": "no"}),
            "could not list unresolved incidents of page p1",
        ),
        (
            json!(["i1"]),
            "could not list unresolved incidents of page p1",
        ),
        (
            json!([{"name": "Errors"}]),
            "unresolved incidents of page p1 holds something that is no object with an `id`",
        ),
    ];
    for (second, expected) in table {
        let server = Server::answering([Answer::json(&json!(full)), Answer::json(&second)]).await;
        let error = statuspage_unresolved(&statuspage(&server), "p1")
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let server = Server::deciding(|request| {
        let page = parameter(request, "page").unwrap();
        let ids = (page * 100..).take(100);
        Answer::json(&ids.map(|id| json!({"id": id.to_string()})).collect())
    })
    .await;
    let client = statuspage(&server);
    let mut turn = Turn::new(&client, Collection::Components, "p1", Reading::whole());

    let error = all_of(&mut turn, "the list", 250).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "the list did not end: 300 objects were served, and there were more"
    );
    assert_eq!(server.count(), 3);
}

/// Serves so many incidents of PagerDuty, and says that there are `total`.
async fn incidents(count: usize, total: usize) -> Server {
    Server::deciding(move |request| {
        let offset = parameter(request, "offset").unwrap();
        let page = (0..count).skip(offset).take(100);
        let page: Vec<_> = page.map(|id| json!({"id": id.to_string()})).collect();
        Answer::json(&json!({
            "incidents": page, "limit": 100, "offset": offset, "more": offset + 100 < count,
            "total": total,
        }))
    })
    .await
}

#[tokio::test]
async fn pagerdutys_incidents_are_asked_for_over_the_whole_history_with_their_trigger() {
    let server = incidents(150, 150).await;
    let client = pagerduty(&server);

    let statuses = ["triggered", "acknowledged"];
    let listed = pagerduty_incidents(&client, &statuses).await.unwrap();

    assert_eq!(ids(&listed), (0..150).collect::<Vec<_>>());
    for request in server.received() {
        assert_eq!(parameters(&request, "date_range"), ["all"]);
        assert_eq!(parameters(&request, "statuses[]"), statuses);
        assert_eq!(
            parameters(&request, "include[]"),
            ["first_trigger_log_entries"]
        );
    }
    let before = server.count();
    assert!(pagerduty_incidents(&client, &[]).await.unwrap().is_empty());
    assert_eq!(server.count(), before);
}

#[tokio::test]
async fn fewer_incidents_than_pagerduty_counts_are_an_error() {
    let server = incidents(150, 151).await;
    let error = pagerduty_incidents(&pagerduty(&server), &["acknowledged"])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the list of incidents (acknowledged) ended after 150 of 151"
    );
}

#[tokio::test]
async fn an_incident_of_pagerdutys_that_is_no_object_is_an_error() {
    let page = json!({"incidents": ["Q1"], "limit": 100, "offset": 0, "more": false, "total": 1});
    let server = Server::deciding(move |_| Answer::json(&page)).await;
    let error = pagerduty_incidents(&pagerduty(&server), &["acknowledged"])
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Nameless { .. }), "{error}");
}

#[tokio::test]
async fn of_opsgenie_everything_open_is_asked_for() {
    let server = Server::deciding(|_| {
        Answer::json(&json!({"data": [{"id": "1"}], "paging": {}, "took": 0.1, "requestId": "r"}))
    })
    .await;
    let client = opsgenie(&server);

    assert_eq!(ids(&opsgenie_open_alerts(&client).await.unwrap()), [1]);
    assert_eq!(ids(&opsgenie_open_incidents(&client).await.unwrap()), [1]);

    let received = server.received();
    assert!(received[0].target.starts_with("/v2/alerts?"));
    assert!(received[1].target.starts_with("/v1/incidents?"));
    for request in received {
        assert_eq!(parameters(&request, "query"), ["status:open"]);
    }
}
