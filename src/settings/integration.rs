//! What this installation is called in Port.

use std::time::Duration;

use super::reader::Reader;

/// The integration as Port knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationSettings {
    pub identifier: String,
    /// The `type`: `pagerduty`, `statuspage`, or `portolan` for several.
    pub kind: String,
    pub incremental_sync_enabled: bool,
    pub incremental_sync_interval: Duration,
}

impl IntegrationSettings {
    pub(super) fn read(reader: &Reader<'_>, kind: &str) -> Self {
        let minutes = reader.whole("OCEAN__INTEGRATION__INCREMENTAL_SYNC_INTERVAL");
        Self {
            identifier: reader
                .text("OCEAN__INTEGRATION__IDENTIFIER")
                .unwrap_or_else(|| format!("my-{kind}-integration")),
            kind: kind.to_owned(),
            incremental_sync_enabled: reader
                .boolean("OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED"),
            incremental_sync_interval: Duration::from_secs(minutes * 60),
        }
    }
}
