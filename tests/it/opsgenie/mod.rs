//! Opsgenie, from an installation's first start on: every kind is what the
//! vendor lists, with the default mapping and with the earlier generation, and
//! costs no request that no expression needs.

mod earlier_generation;
mod expected;
mod reading;
mod requests;
mod trouble;

use std::collections::BTreeSet;

use portolan::sandbox::{IDENTIFIER, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use self::expected::assert_catalog_is_what_the_vendor_lists;
use crate::catalog::{deleted, written};
use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, small_sandbox};

/// As the chart of the original sets it.
fn chart_environment(sandbox: &Sandbox) -> Vec<(String, String)> {
    [
        ("OCEAN__INITIALIZE_PORT_RESOURCES", "true".to_owned()),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "120".to_owned()),
        ("OCEAN__EVENT_LISTENER", r#"{"type":"ONCE"}"#.to_owned()),
        ("OCEAN__INTEGRATION__IDENTIFIER", IDENTIFIER.to_owned()),
        ("OCEAN__INTEGRATION__TYPE", "opsgenie".to_owned()),
        (
            "OCEAN__INTEGRATION__CONFIG__API_TOKEN",
            portolan::sandbox::opsgenie::API_TOKEN.to_owned(),
        ),
        (
            "OCEAN__INTEGRATION__CONFIG__API_URL",
            sandbox.opsgenie.url().to_string(),
        ),
        (
            "OCEAN__PORT__CLIENT_ID",
            portolan::sandbox::port::CLIENT_ID.to_owned(),
        ),
        (
            "OCEAN__PORT__CLIENT_SECRET",
            portolan::sandbox::port::CLIENT_SECRET.to_owned(),
        ),
        ("OCEAN__PORT__BASE_URL", sandbox.port.url().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The text at a pointer, or nothing.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// A sandbox in which these resource configs write into one blueprint.
async fn sandbox_with(resources: Vec<Value>) -> Sandbox {
    let sandbox = small_sandbox().await;
    let properties = [("text", "string"), ("number", "number"), ("list", "array")];
    blueprint(&sandbox, "thing", &properties, &[]);
    install(&sandbox, &json!({ "resources": resources }));
    sandbox
}

/// A resource config for `thing`, with options of the selector.
fn things(kind: &str, options: &Value, properties: &Value) -> Value {
    let mappings = json!({"identifier": ".id", "blueprint": "\"thing\"", "properties": properties});
    let mut resource = resource(kind, &mappings);
    let selector = resource["selector"].as_object_mut().unwrap();
    selector.extend(options.as_object().unwrap().clone());
    resource
}

async fn run(sandbox: &Sandbox) -> Outcome {
    portolan(&["run"], &sandbox.environment_for(SourceName::Opsgenie)).await
}

#[tokio::test]
async fn the_environment_of_the_chart_brings_every_object_into_the_catalog() {
    let sandbox = small_sandbox().await;
    let environment = chart_environment(&sandbox);

    portolan(&["run"], &environment).await.expect_code(0);

    assert_catalog_is_what_the_vendor_lists(&sandbox);
    let user = sandbox.port.entities("opsGenieUser").into_keys().next();
    let datasource = sandbox.port.datasource("opsGenieUser", &user.unwrap());
    let datasource = datasource.unwrap();
    assert!(
        datasource.starts_with("port-ocean/opsgenie/"),
        "{datasource}"
    );
    assert!(
        datasource.ends_with(&format!("/{IDENTIFIER}/exporter")),
        "{datasource}"
    );
    assert_eq!(sandbox.problems(), Vec::<String>::new());

    sandbox.clear_requests();
    portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(written(&sandbox), BTreeSet::new());
    assert_eq!(deleted(&sandbox), BTreeSet::new());
}

/// The documented workflows name neither type nor identifier: the image's name
/// said that.
#[tokio::test]
async fn the_environment_of_a_workflow_needs_no_type() {
    let sandbox = small_sandbox().await;
    let mut environment = chart_environment(&sandbox);
    environment.retain(|(name, _)| {
        !["OCEAN__INTEGRATION__TYPE", "OCEAN__INTEGRATION__IDENTIFIER"].contains(&name.as_str())
    });

    portolan(&["run"], &environment).await.expect_code(0);

    assert_catalog_is_what_the_vendor_lists(&sandbox);
    let integration = sandbox.port.integration().unwrap();
    assert_eq!(integration["installationAppType"], "opsgenie");
    assert_eq!(integration["identifier"], "my-opsgenie-integration");
}

/// Teams relate to their members, and schedules, services, incidents and alerts
/// to teams: Port would delete all of them along with a user.
#[tokio::test]
async fn a_person_who_leaves_takes_nothing_along() {
    let sandbox = small_sandbox().await;
    let environment = chart_environment(&sandbox);
    portolan(&["run"], &environment).await.expect_code(0);
    let team = sandbox.opsgenie.objects("teams")[0].clone();
    let leaver = text(&team, "/members/0/user/id").to_owned();
    sandbox.opsgenie.remove("users", &leaver).unwrap();
    for team in sandbox.opsgenie.objects("teams") {
        sandbox
            .opsgenie
            .update("teams", text(&team, "/id"), |team| {
                let members = team["members"].as_array_mut().unwrap();
                members.retain(|member| text(member, "/user/id") != leaver);
            });
    }
    sandbox.clear_requests();

    portolan(&["run"], &environment).await.expect_code(0);

    assert_catalog_is_what_the_vendor_lists(&sandbox);
    let gone = ("opsGenieUser".to_owned(), leaver);
    assert_eq!(deleted(&sandbox), BTreeSet::from([gone]));
}
