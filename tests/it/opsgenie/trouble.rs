//! More than the API lists at once, refusals, and objects that are half there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use portolan::sandbox::{Answer, Matcher, Sandbox};
use serde_json::{Value, json};

use super::{run, sandbox_with, text, things};
use crate::program::Outcome;

#[tokio::test]
async fn more_alerts_than_the_api_pages_through_are_all_ingested() {
    const ALERTS: u32 = 25_000;
    let sandbox = sandbox_with(vec![things("alert", &json!({}), &json!({}))]).await;
    sandbox.opsgenie.clear();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for number in 0..ALERTS {
        // Four an instant, so that they share the borders of windows.
        let created = start + SignedDuration::from_secs(i64::from(number / 4) * 60);
        sandbox.opsgenie.insert(
            "alerts",
            &json!({
                "id": format!("a{number}"),
                "tinyId": number.to_string(),
                "alias": format!("alias {number}"),
                "message": "One of many",
                "status": "open",
                "createdAt": created.to_string(),
                "updatedAt": created.to_string(),
            }),
        );
    }

    let outcome = run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), ALERTS as usize);
    let (_, [fetched, ..]) = outcome.summary()[0];
    assert_eq!(fetched, u64::from(ALERTS));
    for request in sandbox.opsgenie.requests_to(&Matcher::get("/v2/alerts")) {
        let number = |name| {
            request
                .parameter(name)
                .map_or(0, |text| text.parse().unwrap())
        };
        assert!(
            number("offset") + number("limit") <= 20_000,
            "{:?}",
            request.query
        );
    }
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

fn warnings(outcome: &Outcome, about: &str) -> Vec<String> {
    let warnings = outcome.logged("WARNING").into_iter();
    warnings.filter(|line| line.contains(about)).collect()
}

fn properties(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let entities = sandbox.port.entities("thing").into_iter();
    entities
        .map(|(id, entity)| (id, entity["properties"].clone()))
        .collect()
}

fn services() -> Value {
    things(
        "service",
        &json!({}),
        &json!({
            "text": ".name + \" of \" + .__team.name",
            "list": ".__oncalls.onCallRecipients",
            "number": ".__incidents | length",
        }),
    )
}

#[tokio::test]
async fn a_storm_of_refusals_is_waited_out() {
    let sandbox = sandbox_with(vec![services()]).await;
    run(&sandbox).await.expect_code(0);
    let calm = properties(&sandbox);
    let throttled = Answer::status(429).with_header("Retry-After", "1");
    for path in ["/v1/services", "/v1/incidents", "/v2/schedules"] {
        let list = Matcher::get(path);
        sandbox.opsgenie.fault(list, throttled.clone(), 3);
    }
    sandbox
        .opsgenie
        .fault(Matcher::get("/v2/teams/*"), throttled, 6);

    let outcome = run(&sandbox).await.expect_code(0);

    assert_eq!(properties(&sandbox), calm);
    assert_eq!(outcome.logged("ERROR"), Vec::<String>::new());
    let refused = |path: &str| sandbox.opsgenie.requested(&Matcher::get(path));
    assert!(refused("/v1/services") > 3);
}

#[tokio::test]
async fn a_storm_that_does_not_end_costs_the_enrichment_and_one_line() {
    let sandbox = sandbox_with(vec![services()]).await;
    run(&sandbox).await.expect_code(0);
    let calm = properties(&sandbox);
    let throttled = Answer::status(429).with_header("Retry-After", "0");
    let oncalls = Matcher::get("/v2/schedules/*/on-calls");
    sandbox.opsgenie.fault(oncalls, throttled, usize::MAX);

    let outcome = run(&sandbox).await.expect_code(0);

    // Left out of the entities, so Port keeps them.
    assert_eq!(properties(&sandbox), calm);
    let about = warnings(&outcome, "on-calls");
    assert_eq!(about.len(), 1, "{:?}", outcome.logged("WARNING"));
    assert!(about[0].contains("429"), "{about:?}");
}

#[tokio::test]
async fn a_team_that_vanished_between_list_and_detail_costs_its_services_nothing_else() {
    let sandbox = sandbox_with(vec![services()]).await;
    run(&sandbox).await.expect_code(0);
    let before = properties(&sandbox);
    let service = sandbox.opsgenie.objects("services")[0].clone();
    let (team, renamed) = (text(&service, "/teamId"), text(&service, "/id"));
    sandbox.opsgenie.update("services", renamed, |service| {
        service["name"] = json!("Another name");
    });
    let gone = Matcher::get(&format!("/v2/teams/{team}"));
    sandbox
        .opsgenie
        .fault(gone, Answer::status(404), usize::MAX);

    let outcome = run(&sandbox).await.expect_code(0);

    // What depends on the team stays as it was.
    for (id, properties) in properties(&sandbox) {
        assert_eq!(properties["text"], before[&id]["text"]);
        assert_eq!(properties["number"], before[&id]["number"]);
    }
    assert_eq!(
        warnings(&outcome, "team").len(),
        1,
        "{:?}",
        outcome.logged("WARNING")
    );
}

#[tokio::test]
async fn a_schedule_without_an_owner_gives_no_team_and_stops_nobody() {
    let mappings = json!({"text": ".name", "list": ".__currentOncalls.onCallRecipients"});
    let mut oncalls = things("schedule-oncall", &json!({}), &mappings);
    oncalls["port"]["entity"]["mappings"]["identifier"] = json!(".ownerTeam.id");
    let sandbox = sandbox_with(vec![services(), oncalls]).await;
    let schedule = sandbox.opsgenie.objects("schedules")[0].clone();
    let owner = text(&schedule, "/ownerTeam/id");
    sandbox
        .opsgenie
        .update("schedules", text(&schedule, "/id"), |schedule| {
            schedule.as_object_mut().unwrap().remove("ownerTeam");
        });

    let outcome = run(&sandbox).await.expect_code(0);

    let teams: BTreeSet<String> = sandbox
        .opsgenie
        .objects("schedules")
        .iter()
        .map(|schedule| text(schedule, "/ownerTeam/id").to_owned())
        .filter(|team| !team.is_empty())
        .collect();
    let services = sandbox.opsgenie.count("services");
    assert_eq!(sandbox.port.entities("thing").len(), services + teams.len());
    for about in [".ownerTeam.id", "schedules without an owner team"] {
        let said = warnings(&outcome, about);
        assert_eq!(said.len(), 1, "{:?}", outcome.logged("WARNING"));
    }
    // Services of the team that it may have been are mapped without on-calls.
    for service in sandbox.opsgenie.objects("services") {
        let entity = sandbox.port.entity("thing", text(&service, "/id")).unwrap();
        let name = text(&service, "/name");
        assert!(text(&entity, "/properties/text").starts_with(name));
        if text(&service, "/teamId") == owner {
            assert!(entity["properties"]["list"].is_null());
        }
    }
}
