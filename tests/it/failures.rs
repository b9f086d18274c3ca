//! What goes wrong is said once, clearly, and nothing is written.

use portolan::sandbox::Sandbox;
use portolan::settings::SourceName;
use serde_json::json;

use crate::installed::{install, resource};
use crate::program::{portolan, run_in, small_sandbox, with, with_state_in, without};

/// Nothing reached Port: no integration, no blueprint, no entity.
#[track_caller]
fn assert_nothing_written(sandbox: &Sandbox) {
    assert!(sandbox.port.blueprints().is_empty());
    assert!(sandbox.port.entity_counts().is_empty());
    assert!(sandbox.port.integration().is_none());
}

#[tokio::test]
async fn a_wrong_vendor_token_is_told_before_anything_is_written() {
    for (source, variable) in [
        (
            SourceName::Statuspage,
            "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
        ),
        (SourceName::Pagerduty, "OCEAN__INTEGRATION__CONFIG__TOKEN"),
    ] {
        let sandbox = small_sandbox().await;
        let environment = with(
            sandbox.environment_for(source),
            variable,
            "not-the-right-one",
        );

        let outcome = portolan(&["run"], &environment).await.expect_code(2);

        let errors = outcome.logged("ERROR");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("401"), "{errors:?}");
        assert!(!outcome.stderr.contains("not-the-right-one"));
        assert_nothing_written(&sandbox);
    }
}

#[tokio::test]
async fn a_wrong_port_secret_is_told_before_anything_is_written() {
    let sandbox = small_sandbox().await;
    let environment = with(
        sandbox.environment(),
        "OCEAN__PORT__CLIENT_SECRET",
        "not-the-right-secret",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("Port"), "{errors:?}");
    assert!(!outcome.stderr.contains("not-the-right-secret"));
    assert_nothing_written(&sandbox);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_fails_the_run_before_anything_is_written() {
    for variable in [
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_API_URL",
        "OCEAN__PORT__BASE_URL",
    ] {
        let sandbox = small_sandbox().await;
        // Nobody listens there any more.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let environment = with(sandbox.environment(), variable, &address);

        let outcome = portolan(&["run"], &environment).await.expect_code(1);

        let errors = outcome.logged("ERROR");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(&address), "{errors:?}");
        assert_nothing_written(&sandbox);
    }
}

#[tokio::test]
async fn an_unset_variable_is_named() {
    let sandbox = small_sandbox().await;
    let environment = without(
        without(sandbox.environment(), "OCEAN__PORT__CLIENT_SECRET"),
        "OCEAN__PORT__CLIENT_ID",
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    assert!(outcome.stderr.contains("OCEAN__PORT__CLIENT_SECRET"));
    assert!(outcome.stderr.contains("OCEAN__PORT__CLIENT_ID"));
    assert_nothing_written(&sandbox);
}

fn thing(kind: &str, properties: &serde_json::Value) -> serde_json::Value {
    resource(
        kind,
        &json!({"identifier": ".id", "blueprint": "\"thing\"", "properties": properties}),
    )
}

#[tokio::test]
async fn an_invalid_mapping_fails_the_resync_before_anything_is_fetched() {
    let sandbox = small_sandbox().await;
    install(
        &sandbox,
        &json!({"resources": [
            thing("component", &json!({})),
            thing("component", &json!({"status": ".status |", "name": ".name | upcase"})),
        ]}),
    );

    let outcome = run_in(&sandbox).await.expect_code(1);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    for place in ["status", "name"] {
        let path = format!("resources[1].port.entity.mappings.properties.{place}");
        assert!(errors[0].contains(&path), "{errors:?}");
    }
    assert!(sandbox.port.entity_counts().is_empty());
    let states = sandbox.port.resync_states();
    assert_eq!(states.last().unwrap()["status"], "failed");
}

#[tokio::test]
async fn an_unknown_kind_is_told_with_the_nearest_one() {
    for (kind, nearest) in [("incidnt", "incident"), ("oncall", "oncalls")] {
        let sandbox = small_sandbox().await;
        install(&sandbox, &json!({"resources": [thing(kind, &json!({}))]}));

        let outcome = run_in(&sandbox).await.expect_code(1);

        let errors = outcome.logged("ERROR");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(&format!("`{kind}`")), "{errors:?}");
        assert!(errors[0].contains(&format!("`{nearest}`")), "{errors:?}");
        assert!(sandbox.port.entity_counts().is_empty());
    }
}

#[tokio::test]
async fn exit_zero_hides_a_failed_resync_but_not_wrong_settings() {
    let sandbox = small_sandbox().await;
    install(
        &sandbox,
        &json!({"resources": [thing("incidnt", &json!({}))]}),
    );
    let environment = sandbox.environment();

    portolan(&["run", "--exit-zero"], &environment)
        .await
        .expect_code(0);

    let environment = without(environment, "OCEAN__PORT__CLIENT_ID");
    portolan(&["run", "--exit-zero"], &environment)
        .await
        .expect_code(2);
}

#[tokio::test]
async fn nobody_reading_the_summary_does_not_change_how_a_run_went() {
    let sandbox = small_sandbox().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let directory = tempfile::tempdir().unwrap();

    let status = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
        .arg("run")
        .env_clear()
        .envs(with_state_in(directory.path(), &sandbox.environment()))
        .current_dir(directory.path())
        .stdout(writer)
        .stderr(std::process::Stdio::null())
        .status()
        .await
        .unwrap();

    assert_eq!(status.code(), Some(0));
}
