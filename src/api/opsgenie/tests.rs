use std::fs;

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::http::testing::{Answer, Server, TINY, everything_said, outbound};
use crate::settings::Credential;

fn client_with(server: &Server, api_token: Credential) -> OpsgenieClient {
    let account = OpsgenieAccount {
        name: None,
        api_url: server.url.clone(),
        api_token,
    };
    OpsgenieClient::new(&account, &outbound(), None)
        .unwrap()
        .with_policy(TINY)
}

fn client(server: &Server) -> OpsgenieClient {
    client_with(server, Credential::Fixed(SecretString::from("hunter2")))
}

fn reply(data: &Value) -> Answer {
    Answer::json(&json!({"data": data, "took": 0.1, "requestId": "r"}))
}

fn page(paging: &Value) -> Answer {
    Answer::json(&json!({
        "data": [{"id": "a"}], "paging": paging, "took": 0.1, "requestId": "r",
    }))
}

fn open() -> OpsgenieQuery {
    OpsgenieQuery::default().and(Field::Status, Sign::Equal, "open")
}

#[tokio::test]
async fn each_list_is_asked_for_at_its_own_address() {
    let table = [
        (
            OpsgenieList::Alerts,
            "/v2/alerts?limit=100&sort=createdAt&order=asc&query=status%3Aopen",
        ),
        (
            OpsgenieList::Incidents,
            "/v1/incidents?limit=100&sort=createdAt&order=asc&query=status%3Aopen",
        ),
        (
            OpsgenieList::Services,
            "/v1/services?limit=100&query=status%3Aopen",
        ),
        (OpsgenieList::Teams, "/v2/teams"),
        (OpsgenieList::Schedules, "/v2/schedules"),
        (
            OpsgenieList::SchedulesWithRotations,
            "/v2/schedules?expand=rotation",
        ),
        (
            OpsgenieList::Users,
            "/v2/users?limit=100&query=status%3Aopen",
        ),
    ];
    let server = Server::deciding(|_| page(&json!({}))).await;
    let client = client(&server);
    for (list, target) in table {
        let page = client
            .page(list, &open(), 0, Worth::Listing, None)
            .await
            .unwrap();
        assert_eq!(page.objects, [json!({"id": "a"})]);
        assert_eq!(page.next, None);
        let received = server.received().pop().unwrap();
        assert_eq!(received.target, target);
        assert_eq!(received.header("authorization"), "GenieKey hunter2");
    }
}

#[tokio::test]
async fn the_next_page_is_followed_as_it_is() {
    let server = Server::deciding(|request| {
        let host = request.header("host");
        page(&json!({"next": format!("http://{host}/v2/alerts?offset=7&query=a%20b&x=y")}))
    })
    .await;
    let client = client(&server);
    let first = client
        .page(OpsgenieList::Alerts, &open(), 200, Worth::Listing, None)
        .await
        .unwrap();
    // The second one names itself.
    let error = client
        .next_page(
            OpsgenieList::Alerts,
            &first.next.unwrap(),
            Worth::Listing,
            None,
        )
        .await
        .unwrap_err();

    let received = server.received();
    assert!(received[0].target.contains("offset=200"));
    assert_eq!(received[1].target, "/v2/alerts?offset=7&query=a%20b&x=y");
    assert!(error.to_string().contains("names itself"), "{error}");
}

#[tokio::test]
async fn a_next_page_elsewhere_is_an_error_and_never_asked_for() {
    let stranger = Server::deciding(|_| page(&json!({}))).await;
    let port = stranger.url.port().unwrap();
    for next in [
        stranger.url.as_str().to_owned(),
        format!("http://localhost:{port}/v2/alerts?offset=100"),
        "https://127.0.0.1/v2/alerts?offset=100".to_owned(),
    ] {
        let server = Server::answering([page(&json!({"next": next}))]).await;
        let error = client(&server)
            .page(OpsgenieList::Alerts, &open(), 0, Worth::Listing, None)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("which is not where the API is"),
            "{error}"
        );
    }
    assert_eq!(stranger.count(), 0);
}

#[tokio::test]
async fn a_reply_that_is_not_what_is_documented_is_an_error() {
    let hundred = vec![json!({"id": "a"}); 100];
    let table = [
        (json!([]), "`data` should be an array, not nothing"),
        (json!({"data": null}), "`data` should be an array, not null"),
        (
            json!({"data": {"alerts": []}}),
            "`data` should be an array, not an object with alerts",
        ),
        (json!({"data": ["a"]}), "something other than objects"),
        (
            json!({"data": hundred}),
            "does not say whether there are more",
        ),
        (
            json!({"data": [], "paging": "no"}),
            "`paging` should be an object, not a text",
        ),
        (
            json!({"data": [], "paging": {"next": 7}}),
            "`paging.next` should be an address, not a number",
        ),
        (
            json!({"data": [], "paging": {"next": "/v2/alerts"}}),
            "`paging.next` is no address",
        ),
    ];
    for (body, problem) in table {
        let server = Server::answering([Answer::json(&body)]).await;
        let error = client(&server)
            .page(OpsgenieList::Alerts, &open(), 0, Worth::Listing, None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(problem), "{body}: {error}");
    }
}

#[tokio::test]
async fn details_are_found_gone_or_an_error() {
    let gone = || Answer::json(&json!({"message": "Team does not exist"})).with_status(404);
    let server = Server::answering([
        reply(&json!({"id": "t", "members": []})),
        gone(),
        // Something else answers at this address.
        Answer::status(404).body("<html>"),
        reply(&json!({})),
        reply(&json!({"_parent": {}, "onCallRecipients": ["ann@example.com"]})),
        reply(&json!({"_parent": {}, "onCallParticipants": []})),
        reply(&json!(["a", "b"])),
        gone(),
        reply(&json!([{"id": "a"}])),
        reply(&json!({"count": 25_000})),
        reply(&json!({"count": "many"})),
    ])
    .await;
    let client = client(&server);

    assert_eq!(client.team("t").await.unwrap().unwrap()["id"], "t");
    assert_eq!(client.team("a/b").await.unwrap(), None);
    assert!(client.team("t").await.is_err());
    assert!(client.team("t").await.is_err());
    let oncalls = client.oncalls("s").await.unwrap().unwrap();
    assert_eq!(oncalls["onCallRecipients"], json!(["ann@example.com"]));
    assert!(client.oncalls("s").await.is_err());
    let alerts = client.associated_alerts("i").await.unwrap().unwrap();
    assert_eq!(alerts, ["a", "b"]);
    assert_eq!(client.associated_alerts("i").await.unwrap(), None);
    assert!(client.associated_alerts("i").await.is_err());
    let count = client.count_alerts(&open(), Worth::Listing).await;
    assert_eq!(count.unwrap(), 25_000);
    let count = client.count_alerts(&open(), Worth::Listing).await;
    assert!(count.is_err());

    let targets: Vec<_> = server
        .received()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(targets[1], "/v2/teams/a%2Fb");
    assert_eq!(targets[4], "/v2/schedules/s/on-calls?flat=true");
    assert_eq!(targets[6], "/v1/incidents/i/associated-alert-ids");
    assert_eq!(targets[9], "/v2/alerts/count?query=status%3Aopen");
}

#[tokio::test]
async fn an_alert_and_an_incident_are_found_gone_or_an_error() {
    let gone = |what: &str| Answer::json(&json!({"message": what})).with_status(404);
    let server = Server::answering([
        reply(&json!({"id": "a", "acknowledged": true})),
        gone("Alert does not exist"),
        Answer::status(404).body("<html>"),
        reply(&json!({"id": "i", "status": "open"})),
        gone("Incident does not exist"),
        reply(&json!([{"id": "i"}])),
    ])
    .await;
    let client = client(&server);

    let alert = client.alert("a").await.unwrap().unwrap();
    assert_eq!(alert["acknowledged"], true);
    assert_eq!(client.alert("a/b").await.unwrap(), None);
    assert!(client.alert("a").await.is_err());
    let incident = client.incident("i").await.unwrap().unwrap();
    assert_eq!(incident["status"], "open");
    assert_eq!(client.incident("i").await.unwrap(), None);
    assert!(client.incident("i").await.is_err());

    let received = server.received();
    assert_eq!(received[1].target, "/v2/alerts/a%2Fb");
    assert_eq!(received[3].target, "/v1/incidents/i");
}

#[tokio::test]
async fn a_refusal_is_told_in_opsgenies_words_and_without_the_key() {
    let refusal = json!({
        "message": "Key hunter2 is not valid", "errors": {"query": "is not valid"},
        "took": 0.0, "requestId": "r",
    });
    let server = Server::deciding(move |_| Answer::json(&refusal).with_status(401)).await;

    let error = client(&server).check().await.unwrap_err();

    assert_eq!(error.status(), Some(401));
    let said = everything_said(&error);
    assert!(said.contains("is not valid: query is not valid"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(error.hint().unwrap().contains("API_TOKEN"));
}

#[tokio::test]
async fn a_key_without_the_right_to_alerts_may_read_the_rest() {
    for status in [402, 403, 404] {
        let server = Server::deciding(move |_| Answer::status(status)).await;
        client(&server).check().await.unwrap();
    }
    let server = Server::deciding(|_| Answer::status(500)).await;
    assert!(client(&server).check().await.is_err());
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let server = Server::answering([
        Answer::status(429),
        Answer::status(429).header("retry-after", "0"),
        page(&json!({})),
    ])
    .await;
    client(&server)
        .page(OpsgenieList::Users, &open(), 0, Worth::Listing, None)
        .await
        .unwrap();
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_key_in_a_file_is_read_again_when_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, "old\n").unwrap();
    let written = path.clone();
    let server = Server::deciding(move |request| {
        if request.header("authorization") == "GenieKey new" {
            return page(&json!({}));
        }
        fs::write(&written, "new\n").unwrap();
        Answer::status(401)
    })
    .await;

    let client = client_with(&server, Credential::File(path));

    client.check().await.unwrap();
    assert_eq!(server.count(), 2);
}
