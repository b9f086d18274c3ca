use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::http::testing::{Answer, Received, Server, TINY, outbound};
use crate::settings::{Credential, OpsgenieAccount};

/// What a fake account holds: the times of creation of its alerts, in order.
type Account = Arc<Vec<i64>>;

async fn server(
    account: Account,
    count: impl Fn(usize) -> usize + Send + Sync + 'static,
) -> Server {
    Server::deciding(move |request| answer(&account, request, &count)).await
}

/// Pages and counts what a window asks for.
fn answer(account: &[i64], request: &Received, count: &dyn Fn(usize) -> usize) -> Answer {
    let url = url::Url::parse(&format!("http://host{}", request.target)).unwrap();
    let parameter = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let query = parameter("query").unwrap_or_default();
    let bound = |sign: &str| {
        let (_, rest) = query.split_once(sign)?;
        rest.split(' ').next()?.parse::<i64>().ok()
    };
    let (since, until) = (bound("createdAt>="), bound("createdAt<"));
    let found: Vec<_> = account
        .iter()
        .enumerate()
        .filter(|(_, created)| since.is_none_or(|since| since <= **created))
        .filter(|(_, created)| until.is_none_or(|until| **created < until))
        .collect();
    if url.path() == "/v2/alerts/count" {
        return Answer::json(&json!({"data": {"count": count(found.len())}}));
    }
    let offset: usize = parameter("offset").map_or(0, |offset| offset.parse().unwrap());
    if offset + 100 > 20_000 {
        return Answer::status(422);
    }
    let page: Vec<_> = found
        .iter()
        .skip(offset)
        .take(100)
        .map(|(id, created)| json!({"id": id.to_string(), "createdAt": created}))
        .collect();
    let mut body = json!({"data": page, "paging": {}});
    // Incidents name no page beyond the reach of paging, the others do.
    let is_silent = url.path() == "/v1/incidents" && offset + 100 == 20_000;
    if offset + 100 < found.len() && !is_silent {
        let mut next = url.clone();
        let kept: Vec<_> = url
            .query_pairs()
            .filter(|(key, _)| key != "offset")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        next.query_pairs_mut()
            .clear()
            .extend_pairs(kept)
            .append_pair("offset", &(offset + 100).to_string());
        let host = request.header("host");
        let target = &next.as_str()["http://host".len()..];
        body["paging"]["next"] = json!(format!("http://{host}{target}"));
    }
    Answer::json(&body)
}

fn client(server: &Server) -> OpsgenieClient {
    let account = OpsgenieAccount {
        name: None,
        api_url: server.url.clone(),
        api_token: Credential::Fixed(SecretString::from("key")),
    };
    OpsgenieClient::new(&account, &outbound(), None)
        .unwrap()
        .with_policy(TINY)
}

async fn list(server: &Server, list: OpsgenieList) -> Result<Vec<Value>, SourceError> {
    let mut objects = Vec::new();
    let request = Request::whole(list);
    run(
        &client(server),
        &request,
        Worth::Listing,
        &Reading::whole(),
        &mut objects,
    )
    .await?;
    Ok(objects)
}

/// Spread over two years, some at the very same millisecond.
fn spread(count: i64) -> Account {
    Arc::new(
        (0..count)
            .map(|number| 1_700_000_000_000 + number / 7 * 17_000_000)
            .collect(),
    )
}

fn counts(server: &Server) -> usize {
    let requests = server.received();
    requests
        .iter()
        .filter(|request| request.target.starts_with("/v2/alerts/count"))
        .count()
}

#[tokio::test]
async fn one_page_needs_no_count() {
    let server = server(spread(99), |count| count).await;
    assert_eq!(list(&server, OpsgenieList::Alerts).await.unwrap().len(), 99);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn pages_are_turned_to_the_end_and_compared_with_the_count() {
    let server = server(spread(250), |count| count).await;
    let alerts = list(&server, OpsgenieList::Alerts).await.unwrap();
    assert_eq!(alerts.len(), 250);
    assert_eq!(server.count() - counts(&server), 3);
    assert_eq!(counts(&server), 2);
}

#[tokio::test]
async fn what_is_beyond_the_reach_of_paging_is_read_in_windows() {
    for kind in [OpsgenieList::Alerts, OpsgenieList::Incidents] {
        let server = server(spread(20_700), |count| count).await;
        assert_eq!(list(&server, kind).await.unwrap().len(), 20_700);
    }
}

#[tokio::test]
async fn more_in_one_millisecond_than_paging_reaches_is_an_error() {
    let server = server(Arc::new(vec![1_700_000_000_000; 20_001]), |count| count).await;
    let error = list(&server, OpsgenieList::Alerts).await.unwrap_err();
    assert!(matches!(error, SourceError::CutShort { .. }), "{error}");
}

#[tokio::test]
async fn more_than_can_be_reached_of_what_has_no_windows_is_an_error() {
    let server = server(spread(20_001), |count| count).await;
    let error = list(&server, OpsgenieList::Services).await.unwrap_err();
    assert!(matches!(error, SourceError::CutShort { .. }), "{error}");
}

#[tokio::test]
async fn fewer_than_are_counted_are_asked_for_again_and_then_an_error() {
    let server = server(spread(150), |count| count + 1).await;
    let error = list(&server, OpsgenieList::Alerts).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the list of alerts ended after 150 of 151"
    );
    assert_eq!(server.count() - counts(&server), 2 * TURNS);
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_an_error() {
    let server = Server::deciding(|request| {
        let host = request.header("host");
        let other = if request.target.ends_with("=1") { 2 } else { 1 };
        Answer::json(&json!({
            "data": [{"id": "a"}],
            "paging": {"next": format!("http://{host}/v2/users?offset={other}")},
        }))
    })
    .await;
    let error = list(&server, OpsgenieList::Users).await.unwrap_err();
    assert!(matches!(error, SourceError::CutShort { .. }), "{error}");
}

#[tokio::test]
async fn pages_that_always_have_another_one_are_an_error() {
    for is_new in [true, false] {
        let server = Server::deciding(move |request| {
            let host = request.header("host");
            let id = if is_new { &request.target } else { "again" };
            let next = format!("http://{host}{}1", request.target);
            Answer::json(&json!({"data": [{"id": id}], "paging": {"next": next}}))
        })
        .await;
        let client = client(&server);
        let mut listing = Listing {
            client: &client,
            request: &Request::whole(OpsgenieList::Users),
            worth: Worth::Listing,
            reading: &Reading::whole(),
            most_pages: 3,
            seen: Seen::default(),
        };

        let error = listing.run(&mut Vec::new()).await.unwrap_err();

        let count = if is_new { 3 } else { 1 };
        assert_eq!(
            error.to_string(),
            format!(
                "the list of users did not end: {count} objects were served, and there were more"
            )
        );
    }
}

#[tokio::test]
async fn a_page_that_announces_more_than_it_holds_is_not_the_whole_list() {
    let server = Server::deciding(|_| {
        Answer::json(&json!({"data": [{"id": "a"}], "paging": {}, "totalCount": 3}))
    })
    .await;
    let error = list(&server, OpsgenieList::Users).await.unwrap_err();
    assert_eq!(error.to_string(), "the list of users ended after 1 of 3");
}

#[tokio::test]
async fn what_is_created_while_windows_are_read_is_no_gap() {
    let is_late = AtomicBool::new(false);
    let server = server(spread(20_700), move |count| {
        is_late.fetch_or(count < 20_700, Ordering::Relaxed);
        // Nobody has seen the one that came last.
        count + usize::from(count == 20_700 && is_late.load(Ordering::Relaxed))
    })
    .await;
    let alerts = list(&server, OpsgenieList::Alerts).await.unwrap();
    assert_eq!(alerts.len(), 20_700);
}

#[tokio::test]
async fn the_oldest_window_is_read_first() {
    let server = server(spread(20_700), |count| count).await;
    list(&server, OpsgenieList::Incidents).await.unwrap();
    let targets = server.received().into_iter().map(|request| request.target);
    let windows: Vec<_> = targets.filter(|it| it.contains("createdAt%")).collect();
    assert!(!windows[0].contains("createdAt%3E%3D"), "{}", windows[0]);
    assert!(windows.last().unwrap().contains("createdAt%3E%3D"));
}
