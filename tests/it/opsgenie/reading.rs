//! What stands beside the objects is what Opsgenie says, and its key goes
//! nowhere else.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use super::{run, sandbox_with, things};
use crate::program::{Outcome, portolan, small_sandbox, with};

fn warnings(outcome: &Outcome, about: &str) -> usize {
    let warnings = outcome.logged("WARNING");
    warnings
        .iter()
        .filter(|warning| warning.contains(about))
        .count()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

fn property(sandbox: &Sandbox, entity: &str, property: &str) -> Value {
    sandbox.port.entity("thing", entity).unwrap()["properties"][property].clone()
}

/// A mapping that reads every enrichment.
fn enriched() -> Vec<Value> {
    let none = json!({});
    vec![
        things(
            "service",
            &none,
            &json!({
                "text": ".__team.name",
                "list": "(.__team.members | map(.user.username)) + .__oncalls.onCallRecipients",
                "number": "[.__incidents[] | select(.status == \"open\")] | length",
            }),
        ),
        things(
            "incident",
            &none,
            &json!({"list": "[.__impactedServices[].name]"}),
        ),
        things("alert", &none, &json!({"text": ".__relatedIncident.id"})),
        things(
            "team",
            &json!({"includeMembers": true}),
            &json!({"list": "[.__members[].user.id]"}),
        ),
        things(
            "schedule-oncall",
            &none,
            &json!({"list": ".__currentOncalls.onCallRecipients"}),
        ),
    ]
}

#[tokio::test]
async fn enrichment_is_what_opsgenie_says_and_each_object_is_fetched_once() {
    let sandbox = sandbox_with(enriched()).await;
    sandbox
        .opsgenie
        .retain("schedules", |schedule| schedule["ownerTeam"].is_object());
    let incidents = sandbox.opsgenie.objects("incidents");
    let alerts = sandbox.opsgenie.objects("alerts");
    let has_plain_alias =
        |alert: &&Value| !alert["alias"].as_str().unwrap_or_default().contains('_');
    let unrelated = alerts.iter().find(has_plain_alias).unwrap();
    sandbox.opsgenie.associate(id(&incidents[0]), id(unrelated));

    run(&sandbox).await.expect_code(0);

    let all = |kind: &str| sandbox.opsgenie.objects(kind);
    let schedules = all("schedules");
    for service in all("services") {
        let team = sandbox
            .opsgenie
            .object("teams", service["teamId"].as_str().unwrap());
        let Some(team) = team else { continue };
        assert_eq!(property(&sandbox, id(&service), "text"), team["name"]);
        let open = incidents.iter().filter(|incident| {
            let services = incident["impactedServices"].as_array().unwrap();
            incident["status"] == "open" && services.contains(&service["id"])
        });
        assert_eq!(property(&sandbox, id(&service), "number"), open.count());
        let mut people: Vec<String> = team["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["user"]["username"].as_str().unwrap().to_owned())
            .collect();
        let of_team = schedules
            .iter()
            .filter(|schedule| schedule["ownerTeam"]["id"] == team["id"])
            .map(|schedule| sandbox.opsgenie.oncalls(id(schedule)));
        let found = property(&sandbox, id(&service), "list");
        let candidates: Vec<Value> = of_team
            .map(|oncalls| {
                let known = people.len();
                people.extend(oncalls);
                let all = json!(people);
                people.truncate(known);
                all
            })
            .collect();
        assert!(
            candidates.contains(&found) || (candidates.is_empty() && found == json!(people)),
            "{found} of {candidates:?}"
        );
    }
    let mut impacted = 0;
    for incident in &incidents {
        let services = incident["impactedServices"].as_array().unwrap();
        let names: Vec<Value> = services
            .iter()
            .filter_map(|service| sandbox.opsgenie.object("services", service.as_str()?))
            .map(|service| service["name"].clone())
            .collect();
        impacted += names.len();
        assert_eq!(property(&sandbox, id(incident), "list"), json!(names));
    }
    assert!(impacted > 0);
    let mut related = 0;
    for alert in all("alerts") {
        let found = property(&sandbox, id(&alert), "text");
        let incident = incidents.iter().find(|incident| {
            let alias = alert["alias"].as_str().unwrap_or_default();
            alias.starts_with(&format!("{}_", id(incident)))
        });
        match incident {
            _ if id(&alert) == id(unrelated) => assert_eq!(found, incidents[0]["id"]),
            Some(incident) => assert_eq!(found, incident["id"]),
            None => continue,
        }
        related += 1;
    }
    assert!(related > 1);
    for team in all("teams") {
        let members = team["members"].as_array().unwrap();
        let members: Vec<_> = members.iter().map(|member| &member["user"]["id"]).collect();
        assert_eq!(property(&sandbox, id(&team), "list"), json!(members));
    }
    for schedule in all("schedules") {
        let oncalls = sandbox.opsgenie.oncalls(id(&schedule));
        assert_eq!(property(&sandbox, id(&schedule), "list"), json!(oncalls));
    }

    // What came in pages has a query for each of them.
    let requests = sandbox.opsgenie.requests().into_iter();
    let mut asked: Vec<_> = requests
        .map(|request| (request.path, request.query))
        .filter(|(path, _)| !path.ends_with("/count"))
        .collect();
    let requested = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), requested, "nothing is asked for twice");
}

#[tokio::test]
async fn a_schedule_that_lost_its_owner_leaves_the_on_calls_of_services() {
    let oncalls = json!({"list": ".__oncalls.onCallRecipients", "text": ".description"});
    let sandbox = sandbox_with(vec![things("service", &json!({}), &oncalls)]).await;
    run(&sandbox).await.expect_code(0);
    let before = sandbox.port.entities("thing");
    for schedule in sandbox.opsgenie.objects("schedules") {
        sandbox
            .opsgenie
            .update("schedules", id(&schedule), |schedule| {
                schedule.as_object_mut().unwrap().remove("ownerTeam");
            });
    }
    for service in sandbox.opsgenie.objects("services") {
        sandbox
            .opsgenie
            .update("services", id(&service), |service| {
                service["description"] = json!("Changed");
            });
    }

    let outcome = run(&sandbox).await.expect_code(0);

    for (id, entity) in sandbox.port.entities("thing") {
        assert_eq!(entity["properties"]["text"], "Changed");
        assert_eq!(
            entity["properties"]["list"],
            before[&id]["properties"]["list"]
        );
    }
    assert_eq!(warnings(&outcome, "without an owner team"), 1);
}

#[tokio::test]
async fn enrichment_that_fails_is_said_once_and_not_asked_for_again_and_again() {
    let sandbox = sandbox_with(enriched()).await;
    run(&sandbox).await.expect_code(0);
    let before = sandbox.port.entities("thing");
    for endpoint in [
        "/v2/teams/*",
        "/v2/schedules/*/on-calls",
        "/v1/incidents/*/associated-alert-ids",
    ] {
        let matcher = Matcher::get(endpoint);
        sandbox
            .opsgenie
            .fault(matcher, Answer::status(403), usize::MAX);
    }
    sandbox.opsgenie.clear_requests();

    let outcome = run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing"), before);
    for about in ["teams", "on-calls", "the incidents of alerts"] {
        let said = format!("Could not fetch {about} from Opsgenie");
        assert_eq!(warnings(&outcome, &said), 1, "{}", outcome.stderr);
    }
    // As many as were on their way together.
    let associated = Matcher::get("/v1/incidents/*/associated-alert-ids");
    assert!(sandbox.opsgenie.requested(&associated) <= 8);
}

#[tokio::test]
async fn a_next_page_on_another_host_fails_the_kind_and_gets_no_key() {
    let sandbox = sandbox_with(vec![things("alert", &json!({}), &json!({}))]).await;
    let stranger = small_sandbox().await;
    for number in 0..101 {
        sandbox.opsgenie.insert(
            "alerts",
            &json!({"id": format!("A{number}"), "createdAt": "2026-01-01T00:00:00Z"}),
        );
    }
    sandbox.opsgenie.set_pages_at(&stranger.opsgenie.url());

    let outcome = run(&sandbox).await.expect_code(1);

    assert!(outcome.stderr.contains("which is not where the API is"));
    assert_eq!(stranger.opsgenie.requests().len(), 0);
}

#[tokio::test]
async fn a_selector_becomes_a_query_that_opsgenie_understands() {
    let selector = json!({"apiQueryParams": {
        "created_at": ">=2020-01-01", "status": "open", "isSeen": "false", "priority": "P1",
        "teams": ["no such team", "nor this"],
    }});
    let sandbox = sandbox_with(vec![things("alert", &selector, &json!({}))]).await;

    run(&sandbox).await.expect_code(0);

    let requests = sandbox.opsgenie.requests_to(&Matcher::get("/v2/alerts"));
    let query = requests
        .last()
        .unwrap()
        .parameter("query")
        .unwrap()
        .to_owned();
    assert_eq!(
        query,
        "createdAt>=1577836800000 AND status:open AND isSeen:false AND priority:P1 \
         AND teams:(\"no such team\" OR \"nor this\")"
    );
}

#[tokio::test]
async fn a_wrong_key_is_said_before_anything_is_written() {
    let sandbox = sandbox_with(Vec::new()).await;
    let environment = with(
        sandbox.environment_for(SourceName::Opsgenie),
        "OCEAN__INTEGRATION__CONFIG__API_TOKEN",
        "wrong",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert!(
        errors[0].contains("Cannot work with Opsgenie"),
        "{errors:?}"
    );
    assert!(errors[0].contains("API_TOKEN"), "{errors:?}");
}
