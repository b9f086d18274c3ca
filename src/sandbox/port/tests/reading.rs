//! Finding entities, and deleting what was found.

use super::*;

#[tokio::test]
async fn searches_filter_page_and_show_only_what_is_included() {
    let (sandbox, caller) = prepared().await;
    for number in 0..5 {
        let entity = json!({"identifier": format!("w{number}"), "title": "T", "properties": {"count": number, "state": "up"}});
        let agent = if number < 4 {
            "port-ocean/portolan/9/x/exporter"
        } else {
            "somebody"
        };
        sandbox.port.insert_entity("whole", &entity, agent);
    }
    let ours =
        json!({"property": "$datasource", "operator": "contains", "value": "port-ocean/portolan/"});

    let query = json!({"combinator": "and", "rules": [ours,
        {"property": "$identifier", "operator": "in", "value": ["w1", "w4"]},
        {"property": "$blueprint", "operator": "=", "value": "whole"}]});
    let found = caller
        .post("/v1/entities/search?include=properties.count", &query)
        .await
        .body;
    assert_eq!(
        found["entities"],
        json!([{"identifier": "w1", "blueprint": "whole", "properties": {"count": 1}, "relations": {}}])
    );

    let mut body = json!({"limit": 3, "include": ["$title", "count"], "query": {"combinator": "and", "rules": [ours]}});
    let first = caller
        .post("/v1/blueprints/whole/entities/search", &body)
        .await
        .body;
    body["from"] = first["next"].clone();
    let second = caller
        .post("/v1/blueprints/whole/entities/search", &body)
        .await
        .body;
    assert_eq!(first["entities"].as_array().unwrap().len(), 3);
    assert_eq!(first["entities"][0]["title"], "T");
    assert!(first["entities"][0]["properties"]["state"].is_null());
    assert_eq!(second["entities"].as_array().unwrap().len(), 1);
    assert!(second.get("next").is_none());
    assert_eq!(
        caller
            .post(
                "/v1/blueprints/whole/entities/search",
                &json!({"limit": 1001})
            )
            .await
            .status,
        422
    );
}

#[tokio::test]
async fn a_data_source_finds_what_it_has_not_written_since() {
    let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
    let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
        .await
        .unwrap();
    let caller = port_caller(&sandbox).await;
    sandbox
        .port
        .insert_blueprint(&blueprint("whole", &json!({})));
    let agent = "port-ocean/portolan/0.0.9/mine/exporter";
    for id in ["a", "b", "c"] {
        sandbox
            .port
            .insert_entity("whole", &json!({"identifier": id}), agent);
    }
    sandbox.port.insert_entity(
        "whole",
        &json!({"identifier": "d"}),
        "port-ocean/portolan/1/other/exporter",
    );
    clock.advance(Duration::from_secs(10));
    let before = clock.now().to_string();
    clock.advance(Duration::from_secs(10));
    sandbox
        .port
        .insert_entity("whole", &json!({"identifier": "b"}), agent);

    let mut body = json!({"datasource_prefix": "port-ocean/portolan/", "datasource_suffix": "/mine/exporter",
                          "before": before, "limit": 1});
    let path = "/v1/blueprints/entities/datasource-entities";
    let first = caller.post(path, &body).await.body;
    body["from"] = first["next"].clone();
    let second = caller.post(path, &body).await.body;

    assert_eq!(
        first["entities"],
        json!([{"identifier": "a", "blueprint": "whole"}])
    );
    assert_eq!(
        second["entities"],
        json!([{"identifier": "c", "blueprint": "whole"}])
    );
    assert!(second["next"].is_null());
}

#[tokio::test]
async fn deletion_spares_what_others_relate_to_unless_they_go_as_well() {
    let (sandbox, caller) = prepared().await;
    bulk(
        &caller,
        "whole",
        WRITE,
        &json!([{"identifier": "with/slash"}, {"identifier": "alone"}]),
    )
    .await;
    bulk(
        &caller,
        "part",
        WRITE,
        &json!([{"identifier": "p", "relations": {"of": "with/slash"}}]),
    )
    .await;
    let both = json!({"entities": ["with/slash", "alone", "missing"]});
    let path = "/v1/blueprints/whole/bulk/entities/delete";

    assert_eq!(caller.post(path, &both).await.status, 409);
    assert_eq!(sandbox.port.entities("whole").len(), 2);
    let single = "/v1/blueprints/whole/entities/alone";
    assert_eq!(caller.call("DELETE", single, None).await.status, 200);
    assert_eq!(caller.call("DELETE", single, None).await.status, 404);
    let deleted = caller
        .post(&format!("{path}?delete_dependents=true"), &both)
        .await
        .body;

    assert_eq!(deleted["deletedEntities"], json!(["with/slash"]));
    assert!(
        sandbox
            .port
            .entity_counts()
            .values()
            .all(|&count| count == 0)
    );
    assert_eq!(
        caller.post(path, &json!({"entities": []})).await.status,
        422
    );
}

#[tokio::test]
async fn what_has_to_do_with_an_entity_is_found_in_both_directions_and_at_any_distance() {
    let (sandbox, caller) = prepared().await;
    let relations = json!({"part": {"target": "part", "many": true, "required": false}});
    sandbox
        .port
        .insert_blueprint(&blueprint("screw", &relations));
    for (blueprint, entity) in [
        ("whole", json!({"identifier": "w"})),
        ("whole", json!({"identifier": "other"})),
        (
            "part",
            json!({"identifier": "p", "relations": {"of": "w", "near": ["other"]}}),
        ),
        ("part", json!({"identifier": "w"})),
        (
            "screw",
            json!({"identifier": "s", "relations": {"part": ["p"]}}),
        ),
        ("screw", json!({"identifier": "loose"})),
    ] {
        sandbox.port.insert_entity(blueprint, &entity, "somebody");
    }
    let found = async |rule: Value| {
        let query = json!({"combinator": "and", "rules": [rule]});
        let reply = caller.post("/v1/entities/search", &query).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        let entities = reply.body["entities"].as_array().unwrap().clone();
        let named = |entity: &Value| format!("{}/{}", entity["blueprint"], entity["identifier"]);
        let named: Vec<String> = entities.iter().map(named).collect();
        named.join(" ").replace('"', "")
    };
    let rule = |blueprint: &str, value: Value| json!({"operator": "relatedTo", "blueprint": blueprint, "value": value});
    let towards = |direction: &str| {
        let mut rule = rule("part", json!("p"));
        rule["direction"] = json!(direction);
        rule
    };

    assert_eq!(found(rule("whole", json!("w"))).await, "part/p screw/s");
    assert_eq!(
        found(rule("part", json!(["p", "missing"]))).await,
        "screw/s whole/other whole/w"
    );
    assert_eq!(found(towards("downstream")).await, "screw/s");
    assert_eq!(found(towards("upstream")).await, "whole/other whole/w");
    assert_eq!(found(rule("screw", json!("loose"))).await, "");
    let query = json!({"query": {"combinator": "and", "rules": [rule("whole", json!(["w"]))]},
                       "include": ["of"]});
    let path = "/v1/blueprints/part/entities/search";
    assert_eq!(
        caller.post(path, &query).await.body["entities"],
        json!([{"identifier": "p", "blueprint": "part", "properties": {}, "relations": {"of": "w"}}])
    );
    for incomplete in [
        json!({"operator": "relatedTo", "value": "w"}),
        json!({"operator": "relatedTo", "blueprint": "whole"}),
        json!({"operator": "relatedTo", "blueprint": "whole", "value": "w", "property": "of"}),
    ] {
        let query = json!({"combinator": "and", "rules": [incomplete]});
        assert_eq!(caller.post("/v1/entities/search", &query).await.status, 422);
    }
}
