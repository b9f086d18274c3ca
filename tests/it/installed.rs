//! An installation that is past its first start, with a mapping of the test's own.

use portolan::sandbox::{IDENTIFIER, Sandbox};
use serde_json::{Value, json};

/// The integration is there, initialised, with this mapping.
pub(crate) fn install(sandbox: &Sandbox, mapping: &Value) {
    sandbox.port.insert_integration(
        IDENTIFIER,
        &json!({
            "installationAppType": "portolan",
            "arePortResourcesInitialized": true,
            "config": mapping,
        }),
    );
}

/// A blueprint with properties of any of these `(name, type)` and relations
/// to one entity of `(name, blueprint)`.
pub(crate) fn blueprint(
    sandbox: &Sandbox,
    identifier: &str,
    properties: &[(&str, &str)],
    relations: &[(&str, &str)],
) {
    let properties: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({"type": kind, "title": name})))
        .collect();
    let relations: serde_json::Map<String, Value> = relations
        .iter()
        .map(|(name, target)| {
            let relation =
                json!({"target": target, "title": name, "many": false, "required": false});
            ((*name).to_owned(), relation)
        })
        .collect();
    sandbox.port.insert_blueprint(&json!({
        "identifier": identifier,
        "title": identifier,
        "schema": {"properties": properties, "required": []},
        "relations": relations,
    }));
}

/// A resource config with the selector `query: "true"`.
pub(crate) fn resource(kind: &str, mappings: &Value) -> Value {
    json!({
        "kind": kind,
        "selector": {"query": "true"},
        "port": {"entity": {"mappings": mappings}},
    })
}
