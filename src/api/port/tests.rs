use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use secrecy::SecretString;

use super::*;
use crate::http::testing::{Answer, Received, Server, TINY, everything_said, outbound};

const SECRET: &str = "hunter2-client-secret";

pub(super) fn client(server: &Server) -> PortClient {
    let port = PortSettings {
        base_url: server.url.clone(),
        client_id: "client-id".to_owned(),
        client_secret: SecretString::from(SECRET),
    };
    let integration = IntegrationSettings {
        identifier: "my-statuspage".to_owned(),
        kind: "statuspage".to_owned(),
        incremental_sync_enabled: false,
        incremental_sync_interval: Duration::from_hours(1),
    };
    PortClient::new(&port, &integration, &outbound())
        .unwrap()
        .with_policy(TINY)
}

fn is_login(request: &Received) -> bool {
    request.target == "/v1/auth/access_token"
}

fn token(text: &str, expires_in: u64) -> Answer {
    Answer::json(&json!({
        "ok": true, "accessToken": text, "expiresIn": expires_in, "tokenType": "Bearer",
    }))
}

/// A Port that gives out tokens and gives these answers in turn to the rest.
pub(super) async fn port(answers: impl IntoIterator<Item = Answer>) -> Server {
    let answers: Vec<_> = answers.into_iter().collect();
    let next = AtomicUsize::new(0);
    Server::deciding(move |request| {
        if is_login(request) {
            return token("token-1", 10_800);
        }
        let next = next.fetch_add(1, Ordering::Relaxed);
        answers
            .get(next)
            .cloned()
            .unwrap_or_else(|| Answer::status(418))
    })
    .await
}

/// What was asked, logins left out.
pub(super) fn asked(server: &Server) -> Vec<Received> {
    server
        .received()
        .into_iter()
        .filter(|request| !is_login(request))
        .collect()
}

pub(super) fn logins(server: &Server) -> usize {
    server
        .received()
        .iter()
        .filter(|request| is_login(request))
        .count()
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"ok": false, "error": code, "message": message});
    Answer::status(status).body(body.to_string())
}

fn options() -> UpsertOptions {
    UpsertOptions {
        merge: true,
        create_missing_related_entities: false,
        validation_only: false,
        event_type: "resync",
        resync_id: Some("d573d64e".to_owned()),
    }
}

fn entities(count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|number| Bytes::from(json!({"identifier": format!("e{number}")}).to_string()))
        .collect()
}

#[tokio::test]
async fn one_login_serves_all_calls() {
    let organization = json!({"ok": true, "organization": {"id": "o", "featureFlags": ["A"]}});
    let server = port(vec![Answer::json(&organization); 5]).await;
    let client = client(&server);

    let found = join_all((0..5).map(|_| client.organization())).await;

    assert!(
        found
            .into_iter()
            .all(|organization| organization.unwrap().feature_flags == ["A"])
    );
    assert_eq!(logins(&server), 1);
    let received = server.received();
    assert_eq!(
        received[0].json(),
        json!({"clientId": "client-id", "clientSecret": SECRET})
    );
    assert!(
        asked(&server)
            .iter()
            .all(|request| request.header("authorization") == "Bearer token-1")
    );
}

#[tokio::test]
async fn tokens_refused_to_many_at_once_lead_to_one_login() {
    let given = AtomicUsize::new(0);
    let server = Server::deciding(move |request| {
        if is_login(request) {
            let number = given.fetch_add(1, Ordering::Relaxed) + 1;
            return token(&format!("token-{number}"), 10_800);
        }
        match request.header("authorization") {
            "Bearer token-2" => Answer::json(&json!({"integrations": ["pagerduty"]})),
            _ => Answer::status(401),
        }
    })
    .await;
    let client = client(&server);
    client.log_in().await.unwrap();

    let found = join_all((0..8).map(|_| client.provisioned_types())).await;

    assert!(
        found
            .into_iter()
            .all(|types| types.unwrap() == ["pagerduty"])
    );
    assert_eq!(logins(&server), 2);
}

#[tokio::test]
async fn a_port_that_refuses_fresh_tokens_is_not_asked_forever() {
    let server = port(vec![refusal(401, "unauthorized", "No token-1 here"); 9]).await;
    let error = client(&server).organization().await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!((asked(&server).len(), logins(&server)), (2, 2));
    assert!(!everything_said(&error).contains("token-1"));
}

#[tokio::test]
async fn a_token_that_has_expired_is_replaced_before_it_is_sent() {
    let server = Server::deciding(|request| {
        if is_login(request) {
            return token("token", 0);
        }
        Answer::json(&json!({"integrations": []}))
    })
    .await;
    let client = client(&server);
    client.provisioned_types().await.unwrap();
    client.provisioned_types().await.unwrap();
    assert_eq!(logins(&server), 2);
}

#[tokio::test]
async fn wrong_credentials_fail_at_once_with_a_hint_and_without_the_secret() {
    let server =
        Server::deciding(|_| refusal(401, "invalid_credentials", &format!("No {SECRET}"))).await;
    let error = client(&server).organization().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_credentials"));
    assert!(error.hint().unwrap().contains("OCEAN__PORT__CLIENT_SECRET"));
    assert!(!everything_said(&error).contains(SECRET));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn those_who_waited_for_a_login_that_failed_are_not_patient_once_more() {
    let server = Server::deciding(|_| Answer::status(503)).await;
    let client = client(&server);
    let results = join_all((0..5).map(|_| client.organization())).await;
    assert!(results.iter().all(Result::is_err));
    assert_eq!(server.count(), 3 + 4);
}

#[tokio::test]
async fn a_login_without_a_token_is_an_error() {
    let server = Server::answering([Answer::json(&json!({"ok": true}))]).await;
    let error = client(&server).log_in().await.unwrap_err();
    assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn the_integration_is_read_and_its_absence_told_from_a_wrong_address() {
    let server = port([
        Answer::json(&json!({"ok": true, "integration": {"config": {"resources": []}}})),
        refusal(404, "not_found", "No such integration"),
        Answer::status(404).body("<html>Nothing here</html>"),
        Answer::json(&json!({"ok": true})),
    ])
    .await;
    let client = client(&server);

    let found = client.integration().await.unwrap().unwrap();
    assert_eq!(found.config, json!({"resources": []}));
    assert_eq!(client.integration().await.unwrap(), None);
    assert!(client.integration().await.unwrap_err().is_not_found());
    assert!(matches!(
        client.integration().await.unwrap_err(),
        ApiError::Malformed { .. }
    ));

    let asked = asked(&server);
    assert_eq!(
        asked[0].target,
        "/v1/integration/my-statuspage?oceanCoreVersion=0.48.12&isPolling=false",
    );
    assert_eq!(
        asked[0].header("user-agent"),
        format!("port-ocean/statuspage/{INTEGRATION_VERSION}/my-statuspage"),
    );
}

#[tokio::test]
async fn the_integration_is_registered_and_kept_up_to_date() {
    let server = port(vec![Answer::json(&json!({"ok": true})); 4]).await;
    let client = client(&server);
    let new = NewIntegration {
        config: None,
        changelog_destination: json!({}),
        create_port_resources_origin: Some("Port".to_owned()),
    };
    client.create_integration(&new).await.unwrap();
    let patch = IntegrationPatch {
        are_port_resources_initialized: Some(true),
        ..IntegrationPatch::default()
    };
    client.patch_integration(&patch).await.unwrap();
    client
        .patch_config(&json!({"resources": []}))
        .await
        .unwrap();

    let asked = asked(&server);
    assert_eq!(
        asked[0].target,
        "/v1/integration?integration_modes=create_resources"
    );
    assert_eq!(
        asked[0].json(),
        json!({
            "installationId": "my-statuspage", "installationAppType": "statuspage",
            "version": INTEGRATION_VERSION, "changelogDestination": {},
            "actionsProcessingEnabled": false, "incrementalSyncEnabled": false,
            "createPortResourcesOrigin": "Port",
        }),
    );
    assert_eq!(
        asked[1].json(),
        json!({"arePortResourcesInitialized": true, "version": INTEGRATION_VERSION}),
    );
    assert_eq!(asked[2].json(), json!({"config": {"resources": []}}));
}

#[tokio::test]
async fn blueprints_are_written_as_the_exporter_and_everything_else_is_not() {
    let done = Answer::json(&json!({"ok": true}));
    let server = port(vec![done; 6]).await;
    let client = client(&server);
    client.create_blueprint(&json!({})).await.unwrap();
    client.patch_blueprint("a/b", &json!({})).await.unwrap();
    client.delete_blueprint("a/b").await.unwrap();
    client.create_action(&json!({})).await.unwrap();
    client.create_scorecard("a/b", &json!({})).await.unwrap();
    client.create_page(&json!({})).await.unwrap();

    let agent = format!("port-ocean/statuspage/{INTEGRATION_VERSION}/my-statuspage");
    let seen: Vec<_> = asked(&server)
        .iter()
        .map(|request| {
            let suffix = request
                .header("user-agent")
                .strip_prefix(&agent)
                .unwrap()
                .to_owned();
            format!("{} {} {suffix}", request.method, request.target)
        })
        .collect();
    assert_eq!(
        seen,
        [
            "POST /v1/blueprints /exporter",
            "PATCH /v1/blueprints/a%2Fb /exporter",
            "DELETE /v1/blueprints/a%2Fb ",
            "POST /v1/actions ",
            "POST /v1/blueprints/a%2Fb/scorecards ",
            "POST /v1/pages ",
        ],
    );
}

#[tokio::test]
async fn only_what_is_safe_is_written_twice() {
    let server = port([
        Answer::status(503),
        Answer::status(500),
        Answer::json(&json!({"ok": true})),
        Answer::status(503),
        Answer::json(&json!({"ok": true})),
    ])
    .await;
    let client = client(&server);

    let error = client.create_blueprint(&json!({})).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    client
        .upsert_entity("service", &entities(1)[0], &options())
        .await
        .unwrap();
    let state = ResyncState {
        status: ResyncStatus::Running,
        last_resync_end: None,
        last_resync_start: None,
        next_resync: None,
        interval_in_minutes: None,
    };
    client.set_resync_state(&state).await.unwrap();
    assert_eq!(asked(&server).len(), 5);
}

#[tokio::test]
async fn entities_are_written_in_bulk_with_the_contracts_parameters() {
    let stored = json!({"ok": true, "entities": [
        {"identifier": "e1", "index": 1, "created": true},
        {"identifier": "e0", "index": 0, "created": false},
    ]});
    let server = port([Answer::json(&stored)]).await;

    let outcome = client(&server)
        .upsert_entities("a/b", &entities(2), &options())
        .await
        .unwrap();

    assert_eq!(
        outcome,
        BulkOutcome {
            stored: vec![0, 1],
            failed: Vec::new()
        }
    );
    let asked = &asked(&server)[0];
    assert_eq!(
        asked.target,
        "/v1/blueprints/a%2Fb/entities/bulk?upsert=true&merge=true&create_missing_related_entities=false\
         &validation_only=false&ocean_info_event_type=resync&ocean_info_resync_id=d573d64e",
    );
    assert!(
        asked
            .header("user-agent")
            .ends_with("/my-statuspage/exporter")
    );
    assert_eq!(
        asked.json(),
        json!({"entities": [{"identifier": "e0"}, {"identifier": "e1"}]})
    );
}

#[tokio::test]
async fn every_entity_of_a_bulk_ends_up_in_exactly_one_list() {
    let mixed = json!({"ok": false,
    "entities": [{"identifier": "e0", "index": 0, "created": true}, {"identifier": "e2", "index": 2, "created": true}],
    "errors": [
        {"identifier": "unknown", "index": 1, "statusCode": 422, "error": "invalid_request", "message": "Not\n one of"},
        {"identifier": "e2", "index": 2, "statusCode": 404, "error": "not_found", "message": "No target"},
    ]});
    let server = port([Answer::json(&mixed).with_status(207)]).await;

    let outcome = client(&server)
        .upsert_entities("service", &entities(4), &options())
        .await
        .unwrap();

    assert_eq!(outcome.stored, [0]);
    let failed: Vec<_> = outcome
        .failed
        .iter()
        .map(|failure| {
            (
                failure.index,
                failure.identifier.as_str(),
                failure.status,
                failure.code.as_str(),
                failure.message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        failed,
        [
            (1, "unknown", 422, "invalid_request", "Not one of"),
            (2, "e2", 404, "not_found", "No target"),
            (3, "e3", 0, "not_mentioned", "not mentioned in the reply"),
        ],
    );
}

#[tokio::test]
async fn a_bulk_whose_outcome_cannot_be_told_is_an_error() {
    let table = [
        json!({"ok": true}),
        json!([]),
        json!({"entities": [{"identifier": "e0"}]}),
        json!({"entities": [], "errors": {"index": 0}}),
        json!({"entities": [{"index": -1}]}),
        json!({"entities": [{"index": 2}]}),
    ];
    for body in table {
        let server = port([Answer::json(&body)]).await;
        let result = client(&server)
            .upsert_entities("service", &entities(2), &options())
            .await;
        assert!(
            matches!(result, Err(ApiError::Malformed { .. })),
            "{body}: {result:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_where_there_is_nothing_to_write() {
    let server = port([]).await;
    let outcome = client(&server)
        .upsert_entities("service", &[], &options())
        .await
        .unwrap();
    assert_eq!((outcome, server.count()), (BulkOutcome::default(), 0));
}

#[tokio::test]
async fn a_refusal_says_what_port_said_and_how_to_find_it_again() {
    let answer = refusal(413, "payload_too_large", "Request body is too large")
        .header("x-trace-id", "abc123");
    let server = port([answer]).await;
    let error = client(&server)
        .upsert_entities("service", &entities(1), &options())
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(413));
    assert_eq!(
        error.to_string(),
        format!(
            "POST {}v1/blueprints/service/entities/bulk answered 413: Request body is too large (trace abc123)",
            server.url,
        ),
    );
}

#[tokio::test]
async fn a_blueprint_is_there_or_it_is_not() {
    let server = port([
        Answer::json(&json!({"ok": true, "blueprint": {"identifier": "service"}})),
        refusal(404, "not_found", "No such blueprint"),
        refusal(404, "not_found", "No such blueprint"),
    ])
    .await;
    let client = client(&server);
    let found = client.blueprint("service").await.unwrap();
    assert_eq!(found, Some(json!({"identifier": "service"})));
    assert_eq!(client.blueprint("service").await.unwrap(), None);
    client.delete_blueprint("service").await.unwrap();
}
