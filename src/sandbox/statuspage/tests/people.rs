//! What people do meanwhile, and what is watched of everybody.

use serde_json::json;

use super::Halyard;

#[tokio::test]
async fn an_engineer_writes_an_update_as_the_program_would() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let id = halyard
        .open(json!({"name": "Errors", "components": {"api": "major_outage"}, "metadata": {"portolan": {"hash": "h"}}}))
        .await;
    halyard.at("12:05:00");

    assert!(statuspage.human_update(&id, "monitoring", "It was the DNS."));
    assert!(!statuspage.human_update("missing", "monitoring", "It was the DNS."));

    let incident = halyard.get(&format!("incidents/{id}")).await;
    assert_eq!(incident["incident_updates"][0]["body"], "It was the DNS.");
    assert_eq!(incident["monitoring_at"], "2026-06-01T12:05:00.000Z");
    assert_eq!(incident["metadata"], json!({"portolan": {"hash": "h"}}));
    assert_eq!(halyard.component_status("api"), "major_outage");
    assert_eq!(statuspage.notifications()[1].body, "It was the DNS.");
}

#[tokio::test]
async fn a_maintenance_takes_its_components_and_gives_them_back() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;

    let id = statuspage.start_maintenance("page", &["api", "web"]);

    let active = halyard.get("incidents/active_maintenance").await;
    assert_eq!(super::ids(&active), [&id]);
    assert_eq!(super::ids(&active[0]["components"]), ["api", "web"]);
    assert_eq!(active[0]["scheduled_for"], "2026-06-01T12:00:00.000Z");
    assert_eq!(active[0]["impact"], "maintenance");
    assert_eq!(halyard.get("incidents/unresolved").await, json!([]));
    assert_eq!(halyard.component_status("web"), "under_maintenance");

    halyard.at("12:30:00");
    assert!(statuspage.end_maintenance(&id));

    assert_eq!(halyard.get("incidents/active_maintenance").await, json!([]));
    let over = halyard.get(&format!("incidents/{id}")).await;
    assert_eq!(
        (&over["status"], &over["resolved_at"]),
        (&json!("completed"), &json!("2026-06-01T12:30:00.000Z"))
    );
    assert_eq!(halyard.component_status("web"), "operational");
    let incident = halyard.open(json!({"name": "Errors"})).await;
    assert!(
        !statuspage.end_maintenance(&incident),
        "that is no maintenance"
    );
}

#[tokio::test]
async fn two_own_incidents_of_one_component_are_noticed_at_every_moment_they_last() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let own = json!({"portolan": {"key": "component:api"}});
    let first = halyard
        .open(json!({"name": "own", "component_ids": ["api", "db"], "metadata": own}))
        .await;
    halyard
        .open(
            json!({"name": "somebody else's", "component_ids": ["api"], "metadata": {"jira": {}}}),
        )
        .await;
    halyard
        .open(json!({"name": "own, elsewhere", "component_ids": ["web"], "metadata": own}))
        .await;
    assert!(statuspage.overlaps().is_empty());

    let second = halyard
        .open(json!({"name": "Pagerstatus'", "body": "Errors\n⛈", "component_ids": ["api"]}))
        .await;

    let overlaps = statuspage.overlaps();
    assert_eq!(
        overlaps,
        [format!(
            "At 2026-06-01T12:00:00.000Z several incidents held api of page: {first}, {second}"
        )]
    );
    halyard.at("12:00:01");
    assert!(statuspage.human_update(&first, "identified", "A human, one moment later."));
    assert_eq!(statuspage.overlaps().len(), 2);
    halyard.change(&second, json!({"status": "resolved"})).await;
    assert_eq!(statuspage.overlaps().len(), 2);
    halyard
        .change(&second, json!({"status": "investigating"}))
        .await;
    assert_eq!(
        statuspage.overlaps().len(),
        3,
        "its oldest update still has the watermark"
    );
    halyard.change(&second, json!({"component_ids": []})).await;
    statuspage.forget_overlaps();
    halyard
        .change(&first, json!({"name": "own, renamed"}))
        .await;
    assert!(statuspage.overlaps().is_empty());
}

#[tokio::test]
async fn an_overlap_that_a_test_inserts_shows_with_the_first_write() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    for id in ["a", "b"] {
        let incident = json!({
            "id": id, "page_id": "page", "status": "investigating", "created_at": "2026-06-01T00:00:00Z",
            "components": [{"id": "api"}], "metadata": {"portolan": {}}, "incident_updates": [],
        });
        statuspage.insert("incident", &incident);
    }
    assert!(statuspage.overlaps().is_empty());

    halyard.open(json!({"name": "unrelated"})).await;

    assert_eq!(statuspage.overlaps().len(), 1);
}
