//! What a write does to the incident, to its components, and to subscribers.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::tests::Caller;
use super::super::Notification;
use super::{API_KEY, Halyard};

#[tokio::test]
async fn an_incident_opens_with_an_update_that_names_its_components() {
    let halyard = Halyard::new().await;
    halyard.at("12:00:00.250");

    let fields = json!({
        "name": "Errors", "status": "identified", "body": "We are looking into it.",
        "component_ids": ["web", "api"], "components": {"api": "partial_outage"},
        "metadata": {"portolan": {"key": "component:api", "nested": [1, null]}},
    });
    let id = halyard.open(fields).await;

    let incident = halyard.get(&format!("incidents/{id}")).await;
    assert!(
        id.len() == 12
            && id
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    );
    assert_eq!(incident["page_id"], "page");
    assert_eq!(
        (&incident["status"], &incident["impact"]),
        (&json!("identified"), &json!("major"))
    );
    assert_eq!(
        incident["metadata"],
        json!({"portolan": {"key": "component:api", "nested": [1, null]}})
    );
    for time in ["created_at", "updated_at", "started_at"] {
        assert_eq!(incident[time], "2026-06-01T12:00:00.250Z", "{time}");
    }
    assert!(incident["resolved_at"].is_null() && incident["monitoring_at"].is_null());
    let components = incident["components"].as_array().unwrap();
    let shown: Vec<_> = components
        .iter()
        .map(|one| (&one["id"], &one["status"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("web"), &json!("operational")),
            (&json!("api"), &json!("partial_outage"))
        ]
    );
    let updates = incident["incident_updates"].as_array().unwrap();
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["body"], "We are looking into it.");
    assert_eq!(updates[0]["deliver_notifications"], true);
    assert_eq!(updates[0]["created_at"], "2026-06-01T12:00:00.250Z");
    assert_eq!(
        updates[0]["affected_components"],
        json!([
            {"code": "web", "name": "Website", "old_status": "operational", "new_status": "operational"},
            {"code": "api", "name": "Backend - API", "old_status": "operational", "new_status": "partial_outage"},
        ])
    );
    assert_eq!(halyard.component_status("api"), "partial_outage");
}

#[tokio::test]
async fn what_is_left_out_has_its_documented_default() {
    let halyard = Halyard::new().await;

    let realtime = halyard.open(json!({"name": "Errors"})).await;
    let planned = halyard
        .open(json!({"name": "Work", "scheduled_for": "2026-06-02T00:00:00Z"}))
        .await;

    let realtime = halyard.get(&format!("incidents/{realtime}")).await;
    assert_eq!(realtime["status"], "investigating");
    assert_eq!(realtime["incident_updates"][0]["body"], "");
    assert!(realtime["incident_updates"][0]["affected_components"].is_null());
    assert_eq!(realtime["metadata"], json!({}));
    let planned = halyard.get(&format!("incidents/{planned}")).await;
    assert_eq!(
        (&planned["status"], &planned["impact"]),
        (&json!("scheduled"), &json!("maintenance"))
    );
}

#[tokio::test]
async fn only_a_status_or_a_body_makes_an_update_and_the_newest_comes_first() {
    let halyard = Halyard::new().await;
    let id = halyard.open(json!({"name": "Errors", "body": "one"})).await;

    for quiet in [
        json!({"name": "Many errors"}),
        json!({"metadata": {"portolan": {"hash": "x"}}}),
        json!({"components": {"api": "major_outage"}, "component_ids": ["api"]}),
    ] {
        let changed = halyard.change(&id, quiet).await;
        assert_eq!(changed["incident_updates"].as_array().unwrap().len(), 1);
    }
    halyard.clock.advance(Duration::from_mins(1));
    halyard.change(&id, json!({"body": "two"})).await;
    let changed = halyard.change(&id, json!({"status": "monitoring"})).await;

    let updates = changed["incident_updates"].as_array().unwrap();
    let told: Vec<_> = updates
        .iter()
        .map(|one| {
            (
                one["status"].as_str().unwrap(),
                one["body"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("monitoring", ""),
            ("investigating", "two"),
            ("investigating", "one")
        ]
    );
    assert_eq!(changed["name"], "Many errors");
    assert_eq!(changed["created_at"], "2026-06-01T12:00:00.000Z");
    assert_eq!(changed["updated_at"], "2026-06-01T12:01:00.000Z");
    assert_eq!(changed["impact"], "critical");
}

#[tokio::test]
async fn component_ids_replace_the_attached_ones_and_components_set_statuses() {
    let halyard = Halyard::new().await;
    let id = halyard
        .open(json!({"name": "Errors", "component_ids": ["api"], "components": {"api": "major_outage"}}))
        .await;

    let joined = halyard
        .change(&id, json!({"components": {"db": "degraded_performance"}}))
        .await;
    let left = halyard
        .change(&id, json!({"component_ids": ["db"], "components": {"api": "operational"}, "body": "Only the database."}))
        .await;

    assert_eq!(
        super::ids(&joined["components"]),
        ["api", "db"],
        "setting the status of a component ties it to the incident"
    );
    assert_eq!(super::ids(&left["components"]), ["db"]);
    assert_eq!(halyard.component_status("api"), "operational");
    let affected = left["incident_updates"][0]["affected_components"]
        .as_array()
        .unwrap();
    assert_eq!(affected.len(), 2, "what left is named as well");
    assert_eq!(affected[1]["old_status"], "major_outage");
    let none = halyard.change(&id, json!({"component_ids": []})).await;
    assert_eq!(none["components"], json!([]));
    assert_eq!(
        halyard.component_status("db"),
        "degraded_performance",
        "detaching resets nothing"
    );
}

#[tokio::test]
async fn every_incident_shows_its_components_as_they_are_now() {
    let halyard = Halyard::new().await;
    let id = halyard
        .open(json!({"name": "Errors", "component_ids": ["api"]}))
        .await;

    let body = json!({"component": {"status": "major_outage"}});
    let reply = halyard
        .caller
        .patch("/v1/pages/page/components/api", &body)
        .await;

    assert_eq!(
        (reply.status, &reply.body["status"]),
        (200, &json!("major_outage"))
    );
    assert_eq!(reply.body["updated_at"], "2026-06-01T12:00:00.000Z");
    let listed = halyard.get("incidents").await;
    let unresolved = halyard.get("incidents/unresolved").await;
    for shown in [
        &listed[0],
        &unresolved[0],
        &halyard.get(&format!("incidents/{id}")).await,
    ] {
        assert_eq!(shown["components"][0]["status"], "major_outage");
    }
    let object = halyard.sandbox.statuspage.object("incident", &id).unwrap();
    assert_eq!(object["components"][0]["status"], "major_outage");
    assert_eq!(object["incident_updates"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn metadata_are_replaced_as_a_whole() {
    let halyard = Halyard::new().await;
    let id = halyard.open(json!({"name": "Errors", "metadata": {"jira": {"issue": "OPS-1"}, "portolan": {"key": "k"}}})).await;

    let changed = halyard
        .change(&id, json!({"metadata": {"portolan": {"hash": "h"}}}))
        .await;

    assert_eq!(changed["metadata"], json!({"portolan": {"hash": "h"}}));
}

#[tokio::test]
async fn resolving_leaves_components_alone_and_can_be_taken_back() {
    let halyard = Halyard::new().await;
    let id = halyard
        .open(json!({"name": "Errors", "components": {"api": "partial_outage"}}))
        .await;
    halyard.at("12:10:00");
    halyard.change(&id, json!({"status": "monitoring"})).await;
    halyard.at("12:20:00");
    let resolved = halyard
        .change(&id, json!({"status": "resolved", "body": "Fixed."}))
        .await;
    halyard.at("12:30:00");
    let said_again = halyard.change(&id, json!({"status": "resolved"})).await;

    assert_eq!(halyard.component_status("api"), "partial_outage");
    assert_eq!(resolved["monitoring_at"], "2026-06-01T12:10:00.000Z");
    for shown in [&resolved, &said_again] {
        assert_eq!(shown["resolved_at"], "2026-06-01T12:20:00.000Z");
    }
    assert_eq!(halyard.get("incidents/unresolved").await, json!([]));
    let healthy = halyard
        .change(&id, json!({"components": {"api": "operational"}}))
        .await;
    assert_eq!(
        healthy["impact"], "major",
        "what it once was stays in the history"
    );

    let reopened = halyard
        .change(&id, json!({"status": "investigating"}))
        .await;

    assert!(reopened["resolved_at"].is_null() && reopened["monitoring_at"].is_null());
    assert_eq!(
        super::ids(&halyard.get("incidents/unresolved").await),
        [id.as_str()]
    );
}

#[tokio::test]
async fn an_impact_can_be_forced_and_let_go() {
    let halyard = Halyard::new().await;
    let id = halyard
        .open(json!({"name": "Errors", "impact_override": "critical"}))
        .await;
    assert_eq!(
        halyard.get(&format!("incidents/{id}")).await["impact"],
        "critical"
    );

    let lighter = halyard
        .change(&id, json!({"impact_override": "none"}))
        .await;
    let derived = halyard
        .change(
            &id,
            json!({"impact_override": null, "components": {"api": "degraded_performance"}}),
        )
        .await;

    assert_eq!(
        (&lighter["impact"], &derived["impact"]),
        (&json!("none"), &json!("minor"))
    );
}

#[tokio::test]
async fn subscribers_get_every_update_unless_it_is_silent() {
    let halyard = Halyard::new().await;
    let id = halyard.open(json!({"name": "Errors", "body": "one"})).await;
    halyard.change(&id, json!({"name": "Renamed"})).await;
    let silent = halyard
        .change(&id, json!({"body": "two", "deliver_notifications": false}))
        .await;
    let told = halyard
        .change(&id, json!({"body": "three", "deliver_notifications": true}))
        .await;

    assert_eq!(
        silent["incident_updates"][0]["deliver_notifications"],
        false
    );
    let updates = &told["incident_updates"];
    let expected =
        [(&updates[2], "one"), (&updates[0], "three")].map(|(update, body)| Notification {
            incident: id.clone(),
            update: update["id"].as_str().unwrap().to_owned(),
            body: body.to_owned(),
        });
    assert_eq!(halyard.sandbox.statuspage.notifications(), expected);
}

#[tokio::test]
async fn a_deleted_incident_is_shown_a_last_time() {
    let halyard = Halyard::new().await;
    let id = halyard.open(json!({"name": "Errors"})).await;
    let path = format!("/v1/pages/page/incidents/{id}");

    let deleted = halyard.caller.call("DELETE", &path, None).await;

    assert_eq!(
        (deleted.status, &deleted.body["name"]),
        (200, &json!("Errors"))
    );
    assert_eq!(halyard.caller.call("DELETE", &path, None).await.status, 404);
    assert_eq!(halyard.caller.get(&path).await.status, 404);
    assert_eq!(halyard.sandbox.statuspage.count("incident"), 0);
}

#[tokio::test]
async fn forms_and_puts_say_the_same_as_json_and_patches() {
    let halyard = Halyard::new().await;
    let send = async |method: &str, path: &str, form: &str| {
        let url = halyard.sandbox.statuspage.url().join(path).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), url);
        let request = request
            .header("authorization", API_KEY)
            .header("content-type", "application/x-www-form-urlencoded");
        let reply = request.body(form.to_owned()).send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        (status, body)
    };

    let (status, incident) = send(
        "POST",
        "/v1/pages/page/incidents.json",
        "incident[name]=Errors+%26+more&incident%5Bbody%5D=true&incident[status]=investigating\
         &incident[component_ids][]=api&incident[component_ids][]=web\
         &incident[components][api]=partial_outage&incident[deliver_notifications]=false\
         &incident[metadata][pagerduty][id]=P1",
    )
    .await;

    assert_eq!(status, 201, "{incident}");
    assert_eq!(incident["name"], "Errors & more");
    assert_eq!(incident["incident_updates"][0]["body"], "true");
    assert_eq!(
        incident["incident_updates"][0]["deliver_notifications"],
        false
    );
    assert_eq!(super::ids(&incident["components"]), ["api", "web"]);
    assert_eq!(incident["components"][0]["status"], "partial_outage");
    assert_eq!(incident["metadata"], json!({"pagerduty": {"id": "P1"}}));
    let path = format!(
        "/v1/pages/page/incidents/{}.json",
        incident["id"].as_str().unwrap()
    );
    let (status, resolved) = send(
        "PUT",
        &path,
        "incident[status]=resolved&incident[components][api]=operational",
    )
    .await;
    assert_eq!((status, &resolved["status"]), (200, &json!("resolved")));
    let (status, component) = send(
        "PUT",
        "/v1/pages/page/components/web",
        "component[showcase]=true",
    )
    .await;
    assert_eq!((status, &component["showcase"]), (200, &json!(true)));
    assert_eq!(
        send("POST", "/v1/pages/page/incidents", "incident[name=x")
            .await
            .0,
        400
    );
    let scalar = send("PATCH", &path, "incident[component_ids]=api").await;
    assert_eq!(scalar.0, 422, "as Pagerstatus sent it");
}

#[tokio::test]
async fn only_a_key_that_sees_the_page_may_write() {
    let halyard = Halyard::new().await;
    halyard
        .sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "other", "name": "Other"}));
    halyard
        .sandbox
        .statuspage
        .accept_key("narrow", Some(&["other"]));
    let incident = json!({"incident": {"name": "Errors"}});
    let status = async |key: &str, page: &str| {
        let caller = Caller::new(halyard.sandbox.statuspage.url(), key);
        caller
            .post(&format!("/v1/pages/{page}/incidents"), &incident)
            .await
            .status
    };

    assert_eq!(status("wrong", "page").await, 401);
    assert_eq!(status("narrow", "page").await, 403);
    assert_eq!(status("narrow", "missing").await, 404);
    assert_eq!(status("narrow", "other").await, 201);
    assert_eq!(halyard.sandbox.statuspage.count("incident"), 1);
}
