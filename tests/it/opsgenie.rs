//! Opsgenie, from an installation's first start on: every kind is what the
//! vendor lists, with the default mapping and with the earlier generation.

use std::collections::{BTreeMap, BTreeSet};

use portolan::sandbox::{Answer, IDENTIFIER, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::catalog::{deleted, written};
use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, small_sandbox, with};

/// What the default mapping makes of an object that it takes as it is: the
/// blueprint, the vendor's list, and where each property comes from.
const PLAIN: [(&str, &str, &[(&str, &str)]); 4] = [
    (
        "opsGenieUser",
        "users",
        &[
            ("email", "/username"),
            ("role", "/role/name"),
            ("timeZone", "/timeZone"),
            ("isVerified", "/verified"),
            ("isBlocked", "/blocked"),
            ("address", "/userAddress"),
            ("createdAt", "/createdAt"),
        ],
    ),
    (
        "opsGenieService",
        "services",
        &[
            ("description", "/description"),
            ("url", "/links/web"),
            ("tags", "/tags"),
        ],
    ),
    (
        "opsGenieAlert",
        "alerts",
        &[
            ("status", "/status"),
            ("acknowledged", "/acknowledged"),
            ("priority", "/priority"),
            ("sourceName", "/source"),
            ("tags", "/tags"),
            ("count", "/count"),
            ("createdAt", "/createdAt"),
            ("updatedAt", "/updatedAt"),
            ("integration", "/integration/name"),
        ],
    ),
    (
        "opsGenieIncident",
        "incidents",
        &[
            ("status", "/status"),
            ("priority", "/priority"),
            ("tags", "/tags"),
            ("url", "/links/web"),
            ("createdAt", "/createdAt"),
            ("updatedAt", "/updatedAt"),
            ("description", "/description"),
        ],
    ),
];

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
        ("OCEAN__PORT__CLIENT_ID", portolan::sandbox::port::CLIENT_ID.to_owned()),
        (
            "OCEAN__PORT__CLIENT_SECRET",
            portolan::sandbox::port::CLIENT_SECRET.to_owned(),
        ),
        ("OCEAN__PORT__BASE_URL", sandbox.port.url().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
