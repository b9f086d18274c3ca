//! What a mapping costs: no enrichment that nobody reads, nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use portolan::sandbox::Sandbox;
use serde_json::json;

use super::{run, sandbox_with, text, things};

/// The paths that were asked for.
fn paths(sandbox: &Sandbox) -> BTreeSet<String> {
    let requests = sandbox.opsgenie.requests().into_iter();
    requests.map(|request| request.path).collect()
}

#[tokio::test]
async fn a_mapping_that_reads_no_enrichment_causes_lists_and_nothing_else() {
    let name = json!({"text": ".name"});
    let message = json!({"text": ".message"});
    let sandbox = sandbox_with(vec![
        things(
            "alert",
            &json!({"apiQueryParams": {"status": "open"}}),
            &message,
        ),
        things("incident", &json!({}), &message),
        things("service", &json!({}), &name),
        things("team", &json!({"includeMembers": true}), &name),
        things("schedule", &json!({}), &name),
        things("schedule-on-call", &json!({}), &name),
        things("user", &json!({}), &json!({"text": ".username"})),
    ])
    .await;

    run(&sandbox).await.expect_code(0);

    let lists = [
        "alerts",
        "incidents",
        "schedules",
        "services",
        "teams",
        "users",
    ];
    for path in paths(&sandbox) {
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap();
        // The count says whether a list was complete.
        assert!(
            lists.contains(&name) || path == "/v2/alerts/count",
            "{path}"
        );
    }
}

#[tokio::test]
async fn members_that_no_flag_asks_for_are_not_fetched() {
    let reads = json!({"list": "[.__members[]?.user.username]"});
    let sandbox = sandbox_with(vec![things("team", &json!({}), &reads)]).await;

    run(&sandbox).await.expect_code(0);

    let teams = sandbox.opsgenie.requests().into_iter();
    let single: Vec<_> = teams
        .filter(|request| request.path.starts_with("/v2/teams/"))
        .collect();
    assert!(single.is_empty());
}

#[tokio::test]
async fn every_upstream_object_is_fetched_once_however_many_read_it() {
    let sandbox = sandbox_with(vec![
        things(
            "service",
            &json!({}),
            &json!({
                "text": ".__team.name",
                "list": ".__oncalls.onCallRecipients",
                "number": ".__incidents | length",
            }),
        ),
        things(
            "service",
            &json!({}),
            &json!({"list": "[.__team.members[]?.user.username]"}),
        ),
        things(
            "team",
            &json!({"includeMembers": true}),
            &json!({"list": "[.__members[].user.username]"}),
        ),
        things(
            "schedule-oncall",
            &json!({}),
            &json!({"list": ".__currentOncalls.onCallRecipients"}),
        ),
        things(
            "incident",
            &json!({}),
            &json!({"list": "[.__impactedServices[].name]"}),
        ),
        things("incident", &json!({}), &json!({"text": ".message"})),
        things(
            "alert",
            &json!({}),
            &json!({"text": ".__relatedIncident.message"}),
        ),
    ])
    .await;

    run(&sandbox).await.expect_code(0);

    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    // Each list may be compared with the count of what it should hold.
    let mut requests = sandbox.opsgenie.requests();
    requests.retain(|request| request.path != "/v2/alerts/count");
    for request in requests {
        *asked
            .entry(format!("{} {:?}", request.path, request.query))
            .or_default() += 1;
    }
    asked.retain(|_, times| *times > 1);
    assert_eq!(asked, BTreeMap::new());
    for team in sandbox.opsgenie.objects("teams") {
        let entity = sandbox.port.entity("thing", text(&team, "/id")).unwrap();
        let members = team["members"].as_array().unwrap().iter();
        let members: Vec<_> = members.map(|member| &member["user"]["username"]).collect();
        assert_eq!(entity["properties"]["list"], json!(members));
    }
}
