//! Who creates blueprints and mapping at a first start, and with which requests.

use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::resource;
use crate::program::{portolan, small_sandbox, with};

const ORIGIN: &str = "OCEAN__CREATE_PORT_RESOURCES_ORIGIN";

fn environment(sandbox: &Sandbox) -> Vec<(String, String)> {
    sandbox.environment_for(SourceName::Statuspage)
}

/// Port offers to create the resources of this type.
fn offer(sandbox: &Sandbox) {
    sandbox.port.set_provisioned_types(&["statuspage"]);
    sandbox
        .port
        .set_feature_flags(&["USE_PROVISIONED_DEFAULTS"]);
}

fn registration(sandbox: &Sandbox) -> (Option<String>, Value) {
    let sent = sandbox.port.requests_to(&Matcher::post("/v1/integration"));
    assert_eq!(sent.len(), 1);
    let modes = sent[0].parameter("integration_modes").map(str::to_owned);
    (modes, sent[0].json())
}

fn mapping() -> Value {
    json!({"resources": [resource("statuspage", &json!({"identifier": ".id", "blueprint": "\"page\""}))]})
}

#[tokio::test]
async fn requests_come_in_the_order_of_the_contract() {
    let sandbox = small_sandbox().await;

    portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    let integration = format!("/v1/integration/{IDENTIFIER}");
    let mut steps: Vec<String> = sandbox
        .port
        .requests()
        .into_iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .take_while(|step| !step.ends_with("/resync-state"))
        .map(|step| {
            // Which of the blueprints comes first is left to the network.
            if step.contains("/v1/blueprints/") {
                step.split_inclusive("/v1/blueprints/")
                    .next()
                    .unwrap()
                    .to_owned()
            } else {
                step
            }
        })
        .collect();
    steps.dedup();
    assert_eq!(
        steps,
        [
            "POST /v1/auth/access_token".to_owned(),
            format!("GET {integration}"),
            "GET /v1/integration/provision-enabled".to_owned(),
            "GET /v1/organization".to_owned(),
            "POST /v1/integration".to_owned(),
            format!("GET {integration}"),
            format!("PATCH {integration}"),
            "GET /v1/blueprints/".to_owned(),
            "POST /v1/blueprints".to_owned(),
            "PATCH /v1/blueprints/".to_owned(),
            format!("PATCH {integration}"),
        ]
    );
    let patches = sandbox.port.requests_to(&Matcher::patch(&integration));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        patches[0].json(),
        json!({
            "installationAppType": "statuspage",
            "actionsProcessingEnabled": false,
            "incrementalSyncEnabled": false,
            "changelogDestination": {},
            "processingMode": "dsp",
            "version": version,
        })
    );
    assert_eq!(
        patches[1].json(),
        json!({"arePortResourcesInitialized": true, "version": version})
    );
}

#[tokio::test]
async fn a_start_that_finds_everything_as_it_should_be_changes_nothing() {
    let sandbox = small_sandbox().await;
    portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);
    sandbox.clear_requests();

    portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    let integration = format!("/v1/integration/{IDENTIFIER}");
    assert_eq!(sandbox.port.requested(&Matcher::patch(&integration)), 0);
    for change in [
        Matcher::post("/v1/blueprints"),
        Matcher::patch("/v1/blueprints/*"),
    ] {
        assert_eq!(sandbox.port.requested(&change), 0);
    }
    assert_eq!(
        sandbox
            .port
            .requested(&Matcher::post("/v1/blueprints/*/entities/bulk")),
        0,
        "entities that are there already are left alone"
    );
}

#[tokio::test]
async fn a_switch_that_stands_otherwise_in_port_is_set_right() {
    for (switch, value) in [
        ("actionsProcessingEnabled", json!(true)),
        ("incrementalSyncEnabled", json!(true)),
        ("processingMode", json!("ocean-core")),
    ] {
        let sandbox = small_sandbox().await;
        let mut fields = json!({
            "installationAppType": "statuspage",
            "arePortResourcesInitialized": true,
            "version": env!("CARGO_PKG_VERSION"),
            "processingMode": "dsp",
            "config": {"resources": []},
        });
        fields[switch] = value.clone();
        sandbox.port.insert_integration(IDENTIFIER, &fields);

        portolan(&["run"], &environment(&sandbox))
            .await
            .expect_code(0);

        assert_ne!(sandbox.port.integration().unwrap()[switch], value);
    }
}

#[tokio::test]
async fn nothing_is_created_where_nobody_is_to_create_it() {
    let sandbox = small_sandbox().await;
    offer(&sandbox);

    portolan(&["run"], &with(environment(&sandbox), ORIGIN, "Empty"))
        .await
        .expect_code(0);

    let (modes, body) = registration(&sandbox);
    assert_eq!(modes, None);
    assert_eq!(body["createPortResourcesOrigin"], "Empty");
    assert_eq!(body["config"], json!({}));
    assert!(sandbox.port.blueprints().is_empty());
}

#[tokio::test]
async fn what_port_offers_is_created_by_port() {
    for origin in [None, Some("Port")] {
        let sandbox = small_sandbox().await;
        offer(&sandbox);
        sandbox
            .port
            .insert_blueprint(&json!({"identifier": "page", "title": "Page", "schema": {"properties": {}, "required": []}, "relations": {}}));
        // Not there at first; then Port has made the mapping.
        let integration = Matcher::get(&format!("/v1/integration/{IDENTIFIER}"));
        sandbox.port.fault(integration.clone(), Answer::real(), 1);
        sandbox.port.fault(
            integration,
            Answer::json(200, &json!({"ok": true, "integration": {"installationId": IDENTIFIER, "config": mapping()}})),
            usize::MAX,
        );
        let environment = match origin {
            Some(origin) => with(environment(&sandbox), ORIGIN, origin),
            None => environment(&sandbox),
        };

        portolan(&["run"], &environment).await.expect_code(0);

        let (modes, body) = registration(&sandbox);
        assert_eq!(modes.as_deref(), Some("create_resources"), "{origin:?}");
        assert_eq!(body["createPortResourcesOrigin"], "Port");
        assert_eq!(body.get("config"), None);
        assert_eq!(sandbox.port.blueprints().len(), 1);
        assert_eq!(
            sandbox.port.entities("page").len(),
            sandbox.statuspage.count("statuspage")
        );
    }
}

#[tokio::test]
async fn what_port_does_not_offer_is_created_here() {
    let sandbox = small_sandbox().await;

    portolan(&["run"], &with(environment(&sandbox), ORIGIN, "Port"))
        .await
        .expect_code(0);

    let (modes, body) = registration(&sandbox);
    assert_eq!(modes, None, "Port is not asked to create them as well");
    assert_eq!(body.get("createPortResourcesOrigin"), None);
    assert!(body["config"]["resources"].is_array());
    assert_eq!(sandbox.port.blueprints().len(), 5);
}

#[tokio::test]
async fn a_mapping_that_port_is_still_making_is_waited_for() {
    let sandbox = small_sandbox().await;
    offer(&sandbox);
    sandbox
        .port
        .insert_blueprint(&json!({"identifier": "page", "title": "Page", "schema": {"properties": {}, "required": []}, "relations": {}}));
    sandbox.port.insert_integration(
        IDENTIFIER,
        &json!({"installationAppType": "statuspage", "createPortResourcesOrigin": "Port"}),
    );
    sandbox.port.provision_mapping(IDENTIFIER, 1, mapping());

    portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    assert_eq!(
        sandbox.port.entities("page").len(),
        sandbox.statuspage.count("statuspage")
    );
}

#[tokio::test]
async fn an_empty_mapping_is_told_and_writes_nothing() {
    let sandbox = small_sandbox().await;
    sandbox.port.insert_integration(
        IDENTIFIER,
        &json!({"installationAppType": "statuspage", "arePortResourcesInitialized": true, "config": {}}),
    );

    let outcome = portolan(&["run"], &environment(&sandbox))
        .await
        .expect_code(0);

    assert!(
        outcome
            .logged("WARNING")
            .iter()
            .any(|warning| warning.contains("no resources"))
    );
    assert!(sandbox.port.entity_counts().is_empty());
}
