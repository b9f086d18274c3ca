//! PagerDuty: everything is listed, and only what a mapping reads is enriched.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{portolan, run_in, small_sandbox, with};

async fn sandbox_with(mapping: &Value) -> Sandbox {
    let sandbox = small_sandbox().await;
    blueprint(
        &sandbox,
        "thing",
        &[("value", "object"), ("number", "number"), ("list", "array")],
        &[],
    );
    install(&sandbox, mapping);
    sandbox
}

fn things(kind: &str, selector: &Value, properties: &Value) -> Value {
    let mut resource = resource(
        kind,
        &json!({"identifier": ".id", "blueprint": "\"thing\"", "properties": properties}),
    );
    let options = selector.as_object().unwrap().clone();
    resource["selector"]
        .as_object_mut()
        .unwrap()
        .extend(options);
    resource
}

#[tokio::test]
async fn nothing_is_enriched_that_no_expression_reads() {
    let sandbox = sandbox_with(&json!({"resources": [
        things("services", &json!({}), &json!({"value": "{name: .name}"})),
        things("schedules", &json!({}), &json!({"list": "[.users[].summary]"})),
        things("escalation_policies", &json!({}), &json!({"value": "{name}"})),
        things("incidents", &json!({"incidentAnalytics": true}), &json!({"number": ".incident_number"})),
    ]}))
    .await;

    run_in(&sandbox).await.expect_code(0);

    for path in [
        "/oncalls",
        "/analytics/metrics/incidents/services",
        "/analytics/raw/incidents",
    ] {
        assert_eq!(
            sandbox.pagerduty.requested(&Matcher::path(path)),
            0,
            "{path}"
        );
    }
    // The one is the check of the credentials.
    assert_eq!(sandbox.pagerduty.requested(&Matcher::get("/users")), 1);
}

#[tokio::test]
async fn flags_of_the_selector_decide_before_the_expressions_do() {
    let reads = json!({"value": ".__analytics", "list": ".__custom_fields"});
    let sandbox = sandbox_with(&json!({"resources": [
        things("services", &json!({"serviceAnalytics": false}), &reads),
        things("incidents", &json!({}), &reads),
    ]}))
    .await;

    run_in(&sandbox).await.expect_code(0);

    assert_eq!(
        sandbox.pagerduty.requested(&Matcher::post("/analytics/*")),
        0
    );
    let custom_fields = Matcher::get("/*/*/custom_fields/values");
    assert_eq!(sandbox.pagerduty.requested(&custom_fields), 0);
}

#[tokio::test]
async fn analytics_and_custom_fields_stand_beside_the_objects_that_have_them() {
    let reads = json!({"value": ".__analytics", "list": ".__custom_fields"});
    let flags = json!({"includeCustomFields": "true", "incidentAnalytics": "true"});
    let sandbox = sandbox_with(&json!({"resources": [
        things("services", &json!({"includeCustomFields": true}), &reads),
        things("incidents", &flags, &reads),
    ]}))
    .await;
    let service = sandbox.pagerduty.objects("services")[0].clone();
    let service = service["id"].as_str().unwrap();
    let field = json!({"id": "PF1", "name": "tier", "value": "gold"});
    sandbox
        .pagerduty
        .set_custom_fields("services", service, vec![field.clone()]);

    run_in(&sandbox).await.expect_code(0);

    let entity = sandbox.port.entity("thing", service).unwrap();
    assert_eq!(entity["properties"]["list"], json!([field]));
    let with_figures = sandbox
        .port
        .entities("thing")
        .values()
        .filter(|entity| entity["properties"]["value"].is_object())
        .count();
    assert!(with_figures > 0);
}

#[tokio::test]
async fn what_a_spent_quota_leaves_out_stays_as_it_was() {
    let properties = json!({"value": ".__analytics"});
    let sandbox =
        sandbox_with(&json!({"resources": [things("services", &json!({}), &properties)]})).await;
    run_in(&sandbox).await.expect_code(0);
    let before = sandbox.port.entities("thing");
    assert!(
        before
            .values()
            .any(|entity| entity["properties"]["value"].is_object())
    );
    sandbox.pagerduty.set_daily_quota(Some(0));

    let outcome = run_in(&sandbox).await.expect_code(0);

    for (identifier, entity) in sandbox.port.entities("thing") {
        assert_eq!(entity["properties"], before[&identifier]["properties"]);
    }
    let said = outcome.logged("WARNING");
    assert_eq!(
        said.iter()
            .filter(|warning| warning.contains("analytics"))
            .count(),
        1,
        "{said:?}"
    );
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_an_error_and_keeps_what_it_brought() {
    let sandbox = sandbox_with(&json!({"resources": [
        things("users", &json!({}), &json!({})),
        things("services", &json!({}), &json!({})),
    ]}))
    .await;
    sandbox
        .pagerduty
        .fault(Matcher::get("/services"), Answer::status(404), usize::MAX);

    let outcome = run_in(&sandbox).await.expect_code(3);

    assert_eq!(
        sandbox.port.entities("thing").len(),
        sandbox.pagerduty.count("users")
    );
    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("services"), "{errors:?}");
    assert!(outcome.stdout.contains("services (incomplete)"));
    assert_eq!(
        sandbox.port.resync_states().last().unwrap()["status"],
        "failed"
    );
}

#[tokio::test]
async fn more_incidents_than_paging_reaches_are_all_listed() {
    let sandbox = sandbox_with(&json!({"resources": [
        things("incidents", &json!({"apiQueryParams": {"statuses": ["resolved"], "date_range": "all"}}), &json!({})),
        things("incidents", &json!({"apiQueryParams": {"statuses": ["resolved"], "since": "2020-01-01", "until": "2020-03-01"}}), &json!({})),
    ]}))
    .await;
    sandbox.pagerduty.clear();
    let start: jiff::Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    for number in 0..10_500_i64 {
        // Two a minute, so that they share instants and borders of windows.
        let created = start + jiff::SignedDuration::from_secs(number / 2 * 60);
        sandbox.pagerduty.insert(
            "incidents",
            &json!({
                "id": format!("Q{number}"),
                "type": "incident",
                "status": "resolved",
                "created_at": created.to_string(),
            }),
        );
    }

    let outcome = run_in(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 10_500);
    for (_, [fetched, ..]) in outcome.summary().iter().take(2) {
        assert_eq!(*fetched, 10_500);
    }
}

#[tokio::test]
async fn objects_of_several_accounts_come_into_one_catalog() {
    let us = small_sandbox().await;
    let eu = small_sandbox().await;
    eu.pagerduty.clear();
    eu.pagerduty.insert(
        "services",
        &json!({"id": "PEU1", "type": "service", "name": "Europe", "status": "active"}),
    );
    blueprint(&us, "thing", &[], &[]);
    install(
        &us,
        &json!({"resources": [things("services", &json!({}), &json!({}))]}),
    );
    let accounts = json!([
        {"name": "us", "token": portolan::sandbox::pagerduty::TOKEN, "api_url": us.pagerduty.url()},
        {"name": "eu", "token": portolan::sandbox::pagerduty::TOKEN, "api_url": eu.pagerduty.url()},
    ]);
    let environment: Vec<_> = us
        .environment_for(SourceName::Pagerduty)
        .into_iter()
        .filter(|(name, _)| !name.starts_with("OCEAN__INTEGRATION__CONFIG__"))
        .collect();
    let environment = with(
        environment,
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
        &accounts.to_string(),
    );

    portolan(&["run"], &environment).await.expect_code(0);

    let things = us.port.entities("thing");
    assert_eq!(things.len(), us.pagerduty.count("services") + 1);
    assert!(things.contains_key("PEU1"));

    eu.pagerduty
        .fault(Matcher::get("/services"), Answer::status(404), 1);
    let outcome = portolan(&["run"], &environment).await.expect_code(3);
    let errors = outcome.logged("ERROR");
    assert!(
        errors.iter().any(|error| error.contains("account `eu`")),
        "{errors:?}"
    );
}

#[tokio::test]
async fn an_oauth_token_is_read_from_its_file() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("oauth_token");
    std::fs::write(&file, "pdus+a-token-of-the-day\n").unwrap();
    sandbox.pagerduty.accept_token("pdus+a-token-of-the-day");
    let environment: Vec<_> = sandbox
        .environment_for(SourceName::Pagerduty)
        .into_iter()
        .filter(|(name, _)| !name.ends_with("__TOKEN"))
        .collect();
    let environment = with(
        environment,
        "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH",
        file.to_str().unwrap(),
    );

    portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(
        sandbox.port.entities("pagerdutyService").len(),
        sandbox.pagerduty.count("services")
    );
}
