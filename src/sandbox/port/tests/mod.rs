//! The rules of the simulated account, through real HTTP.

mod reading;

use std::time::Duration;

use serde_json::{Value, json};

use super::super::tests::{Caller, port_caller, small};
use super::super::{Clock, Sandbox, SandboxOptions};

const WRITE: &str = "upsert=true&merge=true&create_missing_related_entities=true";

fn blueprint(id: &str, relations: &Value) -> Value {
    json!({
        "identifier": id, "title": id,
        "schema": {"properties": {
            "state": {"type": "string", "enum": ["up", "down"]},
            "at": {"type": "string", "format": "date-time"},
            "url": {"type": "string", "format": "url"},
            "owner": {"type": "string", "format": "user"},
            "count": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        }, "required": []},
        "relations": relations,
    })
}

/// An account with two blueprints, `part` with relations to `whole`.
async fn prepared() -> (Sandbox, Caller) {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    sandbox
        .port
        .insert_blueprint(&blueprint("whole", &json!({})));
    let relations = json!({
        "of": {"target": "whole", "many": false, "required": false},
        "near": {"target": "whole", "many": true, "required": false},
    });
    sandbox
        .port
        .insert_blueprint(&blueprint("part", &relations));
    (sandbox, caller)
}

async fn bulk(caller: &Caller, blueprint: &str, query: &str, entities: &Value) -> (u16, Value) {
    let path = format!("/v1/blueprints/{blueprint}/entities/bulk?{query}");
    let reply = caller.post(&path, &json!({"entities": entities})).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn nothing_is_answered_without_a_token_that_is_still_good() {
    let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
        .await
        .unwrap();
    let anonymous = Caller::new(sandbox.port.url(), "Bearer made-up");
    let login = json!({"clientId": super::CLIENT_ID, "clientSecret": "wrong"});
    sandbox.port.set_token_lifetime(Duration::from_mins(1));
    let caller = port_caller(&sandbox).await;

    assert_eq!(anonymous.get("/v1/organization").await.body["ok"], false);
    assert_eq!(
        anonymous.post("/v1/auth/access_token", &login).await.status,
        401
    );
    assert_eq!(caller.get("/v1/organization").await.status, 200);
    clock.advance(Duration::from_mins(1));
    assert_eq!(caller.get("/v1/organization").await.status, 401);
}

#[tokio::test]
async fn an_integration_is_missing_until_it_is_created_and_then_patched() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    let path = "/v1/integration/mine";
    let new = json!({"installationId": "mine", "installationAppType": "portolan", "version": "1", "config": {}});

    assert_eq!(caller.get(path).await.status, 404);
    assert_eq!(caller.post("/v1/integration", &new).await.status, 201);
    assert_eq!(caller.post("/v1/integration", &new).await.status, 409);
    assert_eq!(
        caller
            .patch(path, &json!({"arePortResourcesInitialized": true}))
            .await
            .status,
        200
    );
    assert_eq!(
        caller.patch(path, &json!({"unheardOf": true})).await.status,
        422
    );
    let config = json!({"config": {"resources": []}});
    assert_eq!(
        caller
            .patch(&format!("{path}/config"), &config)
            .await
            .status,
        200
    );
    let state = json!({"status": "running", "lastResyncStart": "2026-01-01T00:00:00.123456+00:00"});
    assert_eq!(
        caller
            .patch(&format!("{path}/resync-state"), &state)
            .await
            .status,
        200
    );
    let wrong = json!({"status": "sleeping"});
    assert_eq!(
        caller
            .patch(&format!("{path}/resync-state"), &wrong)
            .await
            .status,
        422
    );

    let stored = caller.get(path).await.body["integration"].clone();
    assert_eq!(stored["arePortResourcesInitialized"], true);
    assert_eq!(stored["config"], json!({"resources": []}));
    assert_eq!(stored["resyncState"]["status"], "running");
    assert_eq!(sandbox.port.resync_states(), [state]);
    assert!(caller.get(&format!("{path}/resync-request")).await.body["request"].is_null());
    sandbox.port.request_resync();
    assert!(caller.get(&format!("{path}/resync-request")).await.body["request"]["id"].is_string());
    let logs = "/ingest/logs";
    assert!(
        stored["logAttributes"]["ingestUrl"]
            .as_str()
            .unwrap()
            .ends_with(logs)
    );
    assert_eq!(caller.post(logs, &json!({"logs": []})).await.status, 200);
    assert!(sandbox.problems().is_empty());
}

#[tokio::test]
async fn a_blueprint_must_be_new_and_relate_only_to_what_exists() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    let relations = json!({"of": {"target": "whole", "many": false}});

    let early = caller
        .post("/v1/blueprints", &blueprint("part", &relations))
        .await;
    assert_eq!(early.status, 422);
    assert_eq!(
        caller
            .post("/v1/blueprints", &blueprint("part", &json!({})))
            .await
            .status,
        201
    );
    assert_eq!(
        caller
            .post("/v1/blueprints", &blueprint("part", &json!({})))
            .await
            .status,
        409
    );
    assert_eq!(
        caller
            .post("/v1/blueprints", &blueprint("whole", &json!({})))
            .await
            .status,
        201
    );
    let patched = caller
        .patch("/v1/blueprints/part", &json!({"relations": relations}))
        .await;
    assert_eq!(patched.status, 200);

    let shown = caller.get("/v1/blueprints/part").await.body["blueprint"].clone();
    assert!(
        shown["schema"]["properties"]["state"].is_object(),
        "the rest stays as it was"
    );
    assert_eq!(shown["relations"]["of"]["target"], "whole");
}

#[tokio::test]
async fn values_must_fit_the_schema_and_each_refusal_names_its_entity() {
    let (sandbox, caller) = prepared().await;
    let entity =
        |id: &str, key: &str, value: Value| json!({"identifier": id, "properties": {key: value}});

    let (status, reply) = bulk(
        &caller,
        "whole",
        WRITE,
        &json!([
            entity("good", "state", json!("up")),
            entity("bad-choice", "state", json!("sideways")),
            entity("bad-date", "at", json!("yesterday")),
            entity("bad-url", "url", json!("not a url")),
            entity("bad-user", "owner", json!("somebody")),
            entity("bad-type", "count", json!("12")),
            entity("objects in a list", "tags", json!([])),
            entity("objects-in-a-list", "tags", json!([{"id": 1}])),
            entity("unknown-property", "colour", json!("red")),
            entity("null", "state", Value::Null),
            {"identifier": "bad-relation", "relations": {"of": "x"}},
        ]),
    )
    .await;

    assert_eq!(status, 207);
    let refused: Vec<_> = reply["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["index"].as_u64().unwrap())
        .collect();
    assert_eq!(refused, [1, 2, 3, 4, 5, 6, 10]);
    assert!(
        reply["errors"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["statusCode"] == 422)
    );
    assert_eq!(sandbox.port.entities("whole").len(), 4);
    let stored = |id| sandbox.port.stored_properties("whole", id).unwrap();
    assert_eq!(stored("unknown-property"), json!({"colour": "red"}));
    let shown = sandbox.port.entity("whole", "unknown-property").unwrap();
    assert_eq!(shown["properties"], json!({}), "taken in, but not shown");
}

#[tokio::test]
async fn related_entities_must_exist_unless_they_are_to_be_created() {
    let (sandbox, caller) = prepared().await;
    let part = json!({"identifier": "p", "relations": {"of": "w1", "near": "w2"}});

    let (status, reply) = bulk(&caller, "part", "upsert=true", &json!([part])).await;
    let single = caller
        .post("/v1/blueprints/part/entities?upsert=true", &part)
        .await;
    assert_eq!(
        (status, &reply["errors"][0]["error"]),
        (207, &json!("not_found"))
    );
    assert_eq!(
        (single.status, &single.body["error"]),
        (404, &json!("not_found"))
    );
    assert!(sandbox.port.entities("part").is_empty());

    let (status, reply) = bulk(&caller, "part", WRITE, &json!([part])).await;
    assert_eq!(
        (status, &reply["entities"][0]["created"]),
        (200, &json!(true))
    );
    let stored = sandbox.port.entity("part", "p").unwrap();
    assert_eq!(stored["relations"], json!({"near": ["w2"], "of": "w1"}));
    assert_eq!(sandbox.port.entity_counts()["whole"], 2);
    let agent = sandbox.port.datasource("whole", "w1").unwrap();
    assert_eq!(agent, "port-ocean/portolan/0.1.0/portolan-sandbox/exporter");
}

#[tokio::test]
async fn merging_keeps_what_was_not_sent_and_null_clears() {
    let (sandbox, caller) = prepared().await;
    let first =
        json!([{"identifier": "w", "title": "W", "properties": {"state": "up", "count": 1}}]);
    bulk(&caller, "whole", WRITE, &first).await;

    bulk(
        &caller,
        "whole",
        WRITE,
        &json!([{"identifier": "w", "properties": {"count": null}}]),
    )
    .await;
    let merged = sandbox.port.entity("whole", "w").unwrap();
    assert_eq!(
        (&merged["title"], &merged["properties"]),
        (&json!("W"), &json!({"state": "up"}))
    );

    let replacing = json!([{"identifier": "w", "properties": {"count": 2}}]);
    bulk(&caller, "whole", "upsert=true&merge=false", &replacing).await;
    assert_eq!(
        sandbox.port.entity("whole", "w").unwrap()["properties"],
        json!({"count": 2})
    );

    let dry = json!([{"identifier": "w2", "properties": {"count": 2}}]);
    let (status, _) = bulk(
        &caller,
        "whole",
        &format!("{WRITE}&validation_only=true"),
        &dry,
    )
    .await;
    assert_eq!(status, 200);
    assert!(sandbox.port.entity("whole", "w2").is_none());
}

#[tokio::test]
async fn a_bulk_request_holds_20_entities_and_a_mebibyte_at_most() {
    let (sandbox, caller) = prepared().await;
    let many: Vec<_> = (0..21)
        .map(|number| json!({"identifier": format!("w{number}")}))
        .collect();
    let large = json!([{"identifier": "w", "properties": {"text": "x".repeat(1024 * 1024)}}]);

    assert_eq!(bulk(&caller, "whole", WRITE, &many.into()).await.0, 422);
    assert_eq!(bulk(&caller, "whole", WRITE, &large).await.0, 413);
    assert!(sandbox.port.entities("whole").is_empty());
}

#[tokio::test]
async fn identifiers_and_relations_may_be_searches() {
    let (sandbox, caller) = prepared().await;
    let seeded = json!([
        {"identifier": "w1", "properties": {"state": "up", "owner": "a@example.com"}},
        {"identifier": "w2", "properties": {"state": "up"}},
    ]);
    bulk(&caller, "whole", WRITE, &seeded).await;
    let search = |property: &str, value: &str| {
        let rule = json!({"property": property, "operator": "=", "value": value});
        json!({"combinator": "and", "rules": [rule]})
    };

    let updates = json!([
        {"identifier": search("owner", "a@example.com"), "properties": {"count": 5}},
        {"identifier": search("owner", "nobody@example.com"), "properties": {"count": 5}},
    ]);
    let (status, reply) = bulk(&caller, "whole", WRITE, &updates).await;
    let part = json!([{"identifier": "p", "relations": {"near": search("state", "up"), "of": search("owner", "a@example.com")}}]);
    bulk(&caller, "part", WRITE, &part).await;

    assert_eq!(
        (status, &reply["errors"][0]["identifier"]),
        (207, &json!("unknown"))
    );
    assert_eq!(
        sandbox.port.entity("whole", "w1").unwrap()["properties"]["count"],
        5
    );
    let relations = sandbox.port.entity("part", "p").unwrap()["relations"].clone();
    assert_eq!(relations, json!({"near": ["w1", "w2"], "of": "w1"}));
}

#[tokio::test]
async fn replies_carry_the_rate_limit_with_its_reset_as_an_instant() {
    let sandbox = small().await;
    let caller = port_caller(&sandbox).await;
    let reply = caller.get("/v1/organization").await;

    let reset: i64 = reply.headers["x-ratelimit-reset"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(reset > jiff::Timestamp::now().as_second());
    assert!(reply.headers.contains_key("x-trace-id"));
}
