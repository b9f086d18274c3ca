//! What only the catalog needs. It is off where nobody gave credentials of Port
//! and there is something else to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::event_listener::EventListener;
use super::integration::IntegrationSettings;
use super::port::PortSettings;
use super::reader::Reader;
use super::sources::{SourceSettings, Sources};
use super::throughput::UpsertSettings;

/// How the catalog is kept in step.
#[derive(Clone, Debug)]
pub struct CatalogSettings {
    pub port: PortSettings,
    pub integration: IntegrationSettings,
    pub sources: SourceSettings,
    pub event_listener: EventListener,
    pub initialize_port_resources: bool,
    pub create_port_resources_origin: Option<ResourcesOrigin>,
    /// `None`: what is built in.
    pub resources_path: Option<PathBuf>,
    pub scheduled_resync_interval: Option<Duration>,
    pub status_heartbeat_interval: Duration,
    pub send_raw_data_examples: bool,
    pub runtime: Runtime,
    /// What `env` and `$ENV` show to a mapping; empty where that is off.
    pub jq_environment: BTreeMap<String, String>,
    pub upsert: UpsertSettings,
    /// How long live events make do with a mapping that was read.
    pub mapping_age: Duration,
}

/// Who creates blueprints and the mapping at the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourcesOrigin {
    /// Nobody.
    Empty,
    /// This program.
    Ocean,
    /// This program.
    Default,
    Port,
}

/// The installation type told to Port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    OnPrem,
    Saas,
}

impl Runtime {
    /// The name as Port knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnPrem => "OnPrem",
            Self::Saas => "Saas",
        }
    }
}

impl CatalogSettings {
    /// Puts together what could be read, and reads the rest.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        port: PortSettings,
        event_listener: EventListener,
        sources: Sources,
        jq_environment: BTreeMap<String, String>,
    ) -> Self {
        let scheduled_minutes = reader.whole("OCEAN__SCHEDULED_RESYNC_INTERVAL");
        Self {
            port,
            integration: IntegrationSettings::read(reader, sources.kind),
            sources: sources.settings,
            event_listener,
            initialize_port_resources: reader.boolean("OCEAN__INITIALIZE_PORT_RESOURCES"),
            create_port_resources_origin: resources_origin(reader),
            resources_path: reader.path("OCEAN__RESOURCES_PATH"),
            scheduled_resync_interval: (scheduled_minutes > 0)
                .then(|| Duration::from_secs(scheduled_minutes * 60)),
            status_heartbeat_interval: reader.seconds("OCEAN__STATUS_HEARTBEAT_INTERVAL_SECONDS"),
            send_raw_data_examples: reader.boolean("OCEAN__SEND_RAW_DATA_EXAMPLES"),
            runtime: match reader.text("OCEAN__RUNTIME").as_deref() {
                Some("Saas") => Runtime::Saas,
                _ => Runtime::OnPrem,
            },
            jq_environment,
            upsert: UpsertSettings::read(reader),
            mapping_age: reader.seconds("OCEAN__PORT__PORT_APP_CONFIG_CACHE_TTL"),
        }
    }
}

fn resources_origin(reader: &Reader<'_>) -> Option<ResourcesOrigin> {
    match reader.text("OCEAN__CREATE_PORT_RESOURCES_ORIGIN")?.as_str() {
        "Empty" => Some(ResourcesOrigin::Empty),
        "Ocean" => Some(ResourcesOrigin::Ocean),
        "Default" => Some(ResourcesOrigin::Default),
        _ => Some(ResourcesOrigin::Port),
    }
}
