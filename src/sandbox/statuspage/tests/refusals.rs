//! What is refused, and that nothing of it is carried out.

use serde_json::json;

use super::Halyard;

#[tokio::test]
async fn an_incident_that_does_not_fit_is_refused_as_a_whole() {
    let halyard = Halyard::new().await;
    halyard
        .sandbox
        .statuspage
        .insert("component", &json!({"id": "elsewhere", "page_id": "other"}));
    let long = |length: usize| "ä".repeat(length);

    for fields in [
        json!({"body": "no name"}),
        json!({"name": " "}),
        json!({"name": null}),
        json!({"name": long(256)}),
        json!({"name": "x", "body": long(25_001)}),
        json!({"name": "x", "body": 5}),
        json!({"name": "x", "status": "broken"}),
        json!({"name": "x", "status": "postmortem"}),
        json!({"name": "x", "status": "in_progress"}),
        json!({"name": "x", "status": "scheduled"}),
        json!({"name": "x", "component_ids": ["missing"]}),
        json!({"name": "x", "component_ids": ["elsewhere"]}),
        json!({"name": "x", "component_ids": ["backend"]}),
        json!({"name": "x", "component_ids": "api"}),
        json!({"name": "x", "components": {"missing": "operational"}}),
        json!({"name": "x", "components": {"api": "broken"}}),
        json!({"name": "x", "components": ["api"]}),
        json!({"name": "x", "metadata": {"portolan": "text"}}),
        json!({"name": "x", "metadata": []}),
        json!({"name": "x", "impact_override": "huge"}),
        json!({"name": "x", "deliver_notifications": "false"}),
        json!({"name": "x", "scheduled_for": "tomorrow"}),
        json!({"name": "x", "notify": true}),
    ] {
        let body = json!({ "incident": fields });
        let reply = halyard.caller.post("/v1/pages/page/incidents", &body).await;
        assert_eq!(reply.status, 422, "{:.80}", body.to_string());
        assert!(reply.body["error"][0].is_string());
    }
    assert_eq!(halyard.sandbox.statuspage.count("incident"), 0);

    let longest = json!({"name": long(255), "body": long(25_000)});
    halyard.open(longest).await;
}

#[tokio::test]
async fn a_change_that_does_not_fit_changes_nothing() {
    let halyard = Halyard::new().await;
    let id = halyard
        .open(json!({"name": "Errors", "components": {"api": "partial_outage"}}))
        .await;
    let before = halyard.sandbox.statuspage.object("incident", &id);
    let path = format!("/v1/pages/page/incidents/{id}");

    for fields in [
        json!({"status": "completed", "components": {"api": "operational"}}),
        json!({"status": "resolved", "components": {"api": "operational", "missing": "operational"}}),
        json!({"status": "resolved", "component_ids": ["missing"]}),
        json!({"name": "", "status": "resolved"}),
        json!({"metadata": {"a": {}, "b": 1}}),
    ] {
        let reply = halyard
            .caller
            .patch(&path, &json!({ "incident": fields }))
            .await;
        assert_eq!(reply.status, 422, "{}", reply.body);
    }

    assert_eq!(halyard.sandbox.statuspage.object("incident", &id), before);
    assert_eq!(halyard.component_status("api"), "partial_outage");
    let missing = json!({"incident": {"name": "x"}});
    let missing = halyard
        .caller
        .patch("/v1/pages/page/incidents/missing", &missing)
        .await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_component_takes_only_what_components_have() {
    let halyard = Halyard::new().await;
    for fields in [
        json!({"status": "broken"}),
        json!({"status": ""}),
        json!({"name": ""}),
        json!({"position": 3}),
    ] {
        let body = json!({ "component": fields });
        let reply = halyard
            .caller
            .patch("/v1/pages/page/components/api", &body)
            .await;
        assert_eq!(reply.status, 422, "{body}");
    }
    let body = json!({"component": {"status": "operational", "description": null}});
    let missing = halyard
        .caller
        .patch("/v1/pages/page/components/missing", &body)
        .await;
    assert_eq!(missing.status, 404);

    let unchanged = halyard
        .caller
        .patch("/v1/pages/page/components/api", &body)
        .await;

    assert_eq!(unchanged.status, 200);
    assert_eq!(unchanged.body["updated_at"], "2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn what_is_no_document_of_an_incident_is_a_bad_request() {
    let halyard = Halyard::new().await;
    let path = "/v1/pages/page/incidents";

    for body in [json!([]), json!({"name": "x"}), json!({"incident": "x"})] {
        assert_eq!(halyard.caller.post(path, &body).await.status, 400, "{body}");
    }
    assert_eq!(halyard.caller.call("POST", path, None).await.status, 400);
    assert!(halyard.sandbox.problems().is_empty());
    assert_eq!(halyard.caller.call("DELETE", path, None).await.status, 404);
    assert_eq!(
        halyard.sandbox.problems().len(),
        1,
        "there is no such route"
    );
}
