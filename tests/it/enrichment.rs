//! What PagerDuty knows in other places stands beside the objects, and what it
//! does not say keeps its value in Port.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, small_sandbox};

async fn sandbox_with(resources: Value) -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(
        &sandbox,
        "thing",
        &[("list", "array"), ("text", "string")],
        &[],
    );
    install(&sandbox, &json!({"resources": resources}));
    sandbox
}

fn things(kind: &str, selector: &Value, properties: &Value) -> Value {
    let mut resource = resource(
        kind,
        &json!({"identifier": ".id", "blueprint": "\"thing\"", "properties": properties}),
    );
    resource["selector"]
        .as_object_mut()
        .unwrap()
        .extend(selector.as_object().unwrap().clone());
    resource
}

async fn run(sandbox: &Sandbox) -> Outcome {
    portolan(&["run"], &sandbox.environment_for(SourceName::Pagerduty)).await
}

fn warnings(outcome: &Outcome, about: &str) -> usize {
    outcome
        .logged("WARNING")
        .iter()
        .filter(|warning| warning.contains(about))
        .count()
}

#[tokio::test]
async fn on_call_users_are_those_of_the_objects_own_policy() {
    let sandbox = sandbox_with(json!([
        things("services", &json!({}), &json!({"list": "[.__oncall_user[] | .escalation_policy.id + \"/\" + .user.email] | unique"})),
        things("escalation_policies", &json!({}), &json!({"list": "[.__oncall_users[] | .escalation_policy.id + \"/\" + .user.email] | unique"})),
    ]))
    .await;

    run(&sandbox).await.expect_code(0);

    let mut seen = 0;
    let policy_of = |service: &Value| service["escalation_policy"]["id"].clone();
    let services = sandbox.pagerduty.objects("services").into_iter();
    let services = services.map(|service| (service["id"].clone(), policy_of(&service)));
    let policies = sandbox.pagerduty.objects("escalation_policies").into_iter();
    let policies = policies.map(|policy| (policy["id"].clone(), policy["id"].clone()));
    for (id, policy) in services.chain(policies) {
        let entity = sandbox.port.entity("thing", id.as_str().unwrap()).unwrap();
        for oncall in entity["properties"]["list"].as_array().unwrap() {
            let (of, email) = oncall.as_str().unwrap().split_once('/').unwrap();
            assert_eq!(of, policy);
            assert!(email.contains('@'), "the user is whole: {email}");
            seen += 1;
        }
    }
    assert!(seen > 0);
    // Services and policies share what is known of a policy.
    let mut asked: Vec<String> = sandbox
        .pagerduty
        .requests_to(&Matcher::get("/oncalls"))
        .into_iter()
        .flat_map(|request| request.query)
        .filter_map(|(name, value)| (name == "escalation_policy_ids[]").then_some(value))
        .collect();
    let requested = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), requested, "no policy is asked for twice");
}

#[tokio::test]
async fn on_call_users_are_not_attached_where_the_selector_says_so() {
    let sandbox = sandbox_with(json!([things(
        "escalation_policies",
        &json!({"attachOncallUsers": "false"}),
        &json!({"list": ".__oncall_users"}),
    )]))
    .await;

    run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.pagerduty.requested(&Matcher::get("/oncalls")), 0);
}

#[tokio::test]
async fn schedules_get_addresses_from_a_listing_of_their_own_where_users_are_not_mapped() {
    let emails = json!({"list": "[.users[].__email]"});
    let sandbox = sandbox_with(json!([things("schedules", &json!({}), &emails)])).await;

    run(&sandbox).await.expect_code(0);

    // The first is the check of the credentials.
    assert_eq!(sandbox.pagerduty.requested(&Matcher::get("/users")), 2);
    let with_users = |schedule: &&Value| !schedule["users"].as_array().unwrap().is_empty();
    let schedules = sandbox.pagerduty.objects("schedules");
    let schedule = schedules.iter().find(with_users).unwrap();
    let user = schedule["users"][0]["id"].as_str().unwrap();
    let user = sandbox.pagerduty.object("users", user).unwrap();
    let entity = sandbox
        .port
        .entity("thing", schedule["id"].as_str().unwrap());
    assert_eq!(entity.unwrap()["properties"]["list"][0], user["email"]);
}

#[tokio::test]
async fn addresses_stay_as_they_were_when_the_users_cannot_be_listed() {
    let emails = json!({"list": "[.users[].__email]", "text": ".name"});
    let schedules = things("schedules", &json!({}), &emails);
    let users = things("users", &json!({}), &json!({"text": ".name"}));
    for (resources, merge) in [
        (json!([schedules]), true),
        (json!([schedules, users]), true),
        (json!([schedules]), false),
    ] {
        let sandbox = sandbox_with(resources.clone()).await;
        sandbox
            .port
            .set_mapping(json!({"resources": resources, "enableMergeEntity": merge}));
        run(&sandbox).await.expect_code(0);
        let before = sandbox.port.entities("thing");
        for schedule in sandbox.pagerduty.objects("schedules") {
            let id = schedule["id"].as_str().unwrap();
            sandbox.pagerduty.update("schedules", id, |schedule| {
                schedule["name"] = json!("Renamed");
            });
        }
        // Not the check of the credentials, which has no offset.
        sandbox.pagerduty.fault(
            Matcher::get("/users").with_query("offset", "0"),
            Answer::status(404),
            usize::MAX,
        );
        let users_are_mapped = resources.as_array().unwrap().len() > 1;

        let outcome = run(&sandbox)
            .await
            .expect_code(if users_are_mapped { 3 } else { 0 });

        for schedule in sandbox.pagerduty.objects("schedules") {
            let id = schedule["id"].as_str().unwrap();
            let entity = sandbox.port.entity("thing", id).unwrap();
            assert_eq!(entity["properties"]["text"], "Renamed");
            assert_eq!(
                entity["properties"]["list"],
                before[id]["properties"]["list"]
            );
        }
        let said = warnings(&outcome, "e-mail") + outcome.logged("ERROR").len();
        assert_eq!(said, 1, "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_not_asked_for_again_and_again() {
    let reads = json!({"list": ".__custom_fields", "text": ".__analytics.service_name"});
    let sandbox = sandbox_with(json!([things(
        "services",
        &json!({"includeCustomFields": true}),
        &reads,
    )]))
    .await;
    for number in 0..250 {
        sandbox.pagerduty.insert(
            "services",
            &json!({"id": format!("S{number}"), "type": "service", "name": "Service", "status": "active"}),
        );
    }
    let custom_fields = Matcher::get("/services/*/custom_fields/values");
    let analytics = Matcher::post("/analytics/metrics/incidents/services");
    for matcher in [&custom_fields, &analytics] {
        sandbox
            .pagerduty
            .fault(matcher.clone(), Answer::status(402), usize::MAX);
    }

    let outcome = run(&sandbox).await.expect_code(0);

    // As many as were on their way together.
    assert!(sandbox.pagerduty.requested(&custom_fields) <= 8);
    assert_eq!(sandbox.pagerduty.requested(&analytics), 1);
    assert_eq!(warnings(&outcome, "custom fields"), 1);
    assert_eq!(warnings(&outcome, "analytics"), 1);
    assert_eq!(
        sandbox.port.entities("thing").len(),
        sandbox.pagerduty.count("services")
    );
}

#[tokio::test]
async fn months_of_a_selector_reach_the_api_as_dates() {
    let selector =
        json!({"apiQueryParams": {"since": 1, "until": 2, "include": ["users", "schedules"]}});
    let mut oncalls = things("oncalls", &selector, &json!({}));
    oncalls["port"]["entity"]["mappings"]["identifier"] =
        json!(".user.id + \"-\" + .escalation_policy.id + \"-\" + (.escalation_level | tostring)");
    let sandbox = sandbox_with(json!([oncalls])).await;

    run(&sandbox).await.expect_code(0);

    let requests = sandbox.pagerduty.requests_to(&Matcher::get("/oncalls"));
    assert!(!requests.is_empty());
    let date =
        |name: &str| -> jiff::Timestamp { requests[0].parameter(name).unwrap().parse().unwrap() };
    let range = date("until").duration_since(date("since"));
    assert_eq!(range, jiff::SignedDuration::from_hours(24 * 90));
    let included: Vec<&str> = requests[0]
        .query
        .iter()
        .filter_map(|(name, value)| (name == "include[]").then_some(value.as_str()))
        .collect();
    assert_eq!(included, ["users", "schedules"]);
}
