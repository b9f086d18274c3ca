//! Prepares Port at the start: the integration, and at its first start the
//! default blueprints and mapping.
//!
//! ```text
//! log in ─▶ integration there? ─no─▶ create it with the default mapping
//!                │                                  │
//!                └────────── bring it up to date ◀──┘
//!                                  │ first time
//!                                  ▼
//!                    mapping ─▶ blueprints ─▶ mark it as initialised
//! ```
//!
//! A blueprint that exists is somebody's, and is never changed; it does not
//! keep the others from being created. The integration is marked as initialised
//! only when all went well, so that a first start that failed, or whose process
//! was killed on the way, is made up for by the next one: that completes the
//! blueprints which `blueprints` knows for such a start's leftovers.

use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use super::blueprints::{create_blueprints, unmade};
use super::defaults::Defaults;
use crate::api::{ApiError, Integration, IntegrationPatch, NewIntegration, PortClient};
use crate::causes::one_line;
use crate::settings::ResourcesOrigin;

/// How Port shall process what it gets.
const PROCESSING_MODE: &str = "dsp";

/// Port makes a mapping of its own in its own time; it is asked this often.
const PROVISIONING_POLLS: u32 = 30;

/// What a start needs to know.
#[derive(Clone, Debug)]
pub struct Preparation<'a> {
    /// The integration's type.
    pub kind: &'a str,
    /// Whether to create blueprints and mapping at all.
    pub initialize: bool,
    /// Who creates them, when somebody said so.
    pub origin: Option<ResourcesOrigin>,
    /// Where Port sends its changes; empty for most listeners.
    pub changelog_destination: Value,
    /// What there is to create.
    pub defaults: &'a Defaults,
}

/// Why Port could not be prepared.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Port refused, or did not answer.
    #[error("could not {attempted}")]
    Api {
        /// What was attempted.
        attempted: String,
        /// What came back.
        #[source]
        source: ApiError,
    },

    /// The integration belongs to Port's own infrastructure.
    #[error(
        "the integration is installed as `{found}`, that is: hosted by Port; it cannot run here as well"
    )]
    HostedByPort {
        /// Its installation type.
        found: String,
    },

    /// Port never made the mapping it was to provide.
    #[error("Port was asked to create the resources, but after {polls} looks there is no mapping")]
    NotProvisioned {
        /// How often it was asked.
        polls: u32,
    },
}

impl PrepareError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Api { source, .. } => source.hint(),
            Self::HostedByPort { .. } => Some(
                "give this installation an identifier of its own (OCEAN__INTEGRATION__IDENTIFIER)",
            ),
            Self::NotProvisioned { .. } => Some(
                "set OCEAN__CREATE_PORT_RESOURCES_ORIGIN=Ocean to use the defaults that come with the program",
            ),
        }
    }

    /// Whether the settings are to blame, rather than the moment.
    pub fn is_settings_problem(&self) -> bool {
        match self {
            Self::Api { source, .. } => matches!(source.status(), Some(401 | 403)),
            Self::HostedByPort { .. } => true,
            Self::NotProvisioned { .. } => false,
        }
    }
}

pub(super) fn attempting(attempted: &str) -> impl FnOnce(ApiError) -> PrepareError {
    let attempted = attempted.to_owned();
    move |source| PrepareError::Api { attempted, source }
}

/// Makes sure that the integration, and at its first start the blueprints and
/// the mapping, are there. Returns the integration as Port has it now.
pub async fn prepare(
    port: &PortClient,
    preparation: &Preparation<'_>,
) -> Result<Integration, PrepareError> {
    let read = || async {
        let read = port.integration().await;
        read.map_err(attempting("read the integration from Port"))
    };
    let found = read().await?;
    if let Some(refused) = hosted(found.as_ref()) {
        return Err(refused);
    }

    let created = found.is_none();
    let origin = origin(port, preparation, found.as_ref()).await?;
    let mut integration = if let Some(integration) = found {
        integration
    } else {
        create(port, preparation, origin).await?;
        read().await?.unwrap_or_default()
    };
    if origin == Origin::Port && preparation.initialize && is_empty(&integration.config) {
        integration = provisioned(port).await?;
    }
    if created || is_outdated(&integration, preparation) {
        port.patch_integration(&IntegrationPatch {
            installation_app_type: Some(preparation.kind.to_owned()),
            changelog_destination: Some(preparation.changelog_destination.clone()),
            actions_processing_enabled: Some(false),
            incremental_sync_enabled: Some(false),
            processing_mode: Some(PROCESSING_MODE.to_owned()),
            ..IntegrationPatch::default()
        })
        .await
        .map_err(attempting("update the integration in Port"))?;
    }
    if !preparation.initialize || integration.are_port_resources_initialized == Some(true) {
        return Ok(integration);
    }

    if origin == Origin::Local {
        if is_empty(&integration.config) && !is_empty(&preparation.defaults.mapping) {
            port.patch_config(&preparation.defaults.mapping)
                .await
                .map_err(attempting("store the default mapping in Port"))?;
            integration.config = preparation.defaults.mapping.clone();
        }
        create_blueprints(port, &preparation.defaults.blueprints).await?;
        create_extras(port, preparation.defaults).await;
    }
    port.patch_integration(&IntegrationPatch {
        are_port_resources_initialized: Some(true),
        ..IntegrationPatch::default()
    })
    .await
    .map_err(attempting("mark the integration as initialised in Port"))?;
    Ok(integration)
}

/// What a start would find, and what it would make of that.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// Whether there is the integration.
    pub is_known: bool,
    /// The mapping that the first resync would work with.
    pub mapping: Value,
    /// Whether that is the default one, because Port has none.
    pub is_default_mapping: bool,
    /// Blueprints that would be created or completed.
    pub blueprints: Vec<Value>,
}

/// What [`prepare`] would do, without doing it. What Port would provide by itself is
/// taken to be what the program brings along.
pub async fn foresee(
    port: &PortClient,
    preparation: &Preparation<'_>,
) -> Result<Foreseen, PrepareError> {
    let found = port.integration().await;
    let found = found.map_err(attempting("read the integration from Port"))?;
    if let Some(refused) = hosted(found.as_ref()) {
        return Err(refused);
    }
    let origin = origin(port, preparation, found.as_ref()).await?;
    let is_initialized = |found: &Integration| found.are_port_resources_initialized == Some(true);
    let is_first = preparation.initialize && !found.as_ref().is_some_and(is_initialized);
    let makes = origin != Origin::Nobody && is_first;
    let stored = found.as_ref().map(|found| &found.config);
    let stored = stored.filter(|config| !is_empty(config));
    let is_default_mapping =
        stored.is_none() && origin != Origin::Nobody && (makes || found.is_none());
    let mapping = match stored {
        Some(mapping) => mapping.clone(),
        None if is_default_mapping => preparation.defaults.mapping.clone(),
        None => json!({}),
    };
    let blueprints = if makes {
        unmade(port, &preparation.defaults.blueprints).await?
    } else {
        Vec::new()
    };
    Ok(Foreseen {
        is_known: found.is_some(),
        mapping,
        is_default_mapping,
        blueprints,
    })
}

/// Why it cannot run here, if it is one of Port's own installations: those run there.
fn hosted(integration: Option<&Integration>) -> Option<PrepareError> {
    let installed = integration?.hosted_by_port()?;
    Some(PrepareError::HostedByPort {
        found: installed.to_owned(),
    })
}

/// Who makes blueprints and mapping, once that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Nobody,
    Local,
    Port,
}

/// What the integration says wins; then the settings; then Port, where it
/// offers defaults for this type; else the program's own.
async fn origin(
    port: &PortClient,
    preparation: &Preparation<'_>,
    integration: Option<&Integration>,
) -> Result<Origin, PrepareError> {
    let stored = integration
        .and_then(|integration| integration.create_port_resources_origin.as_deref())
        .and_then(stored_origin);
    match stored.or(preparation.origin) {
        Some(ResourcesOrigin::Empty) => Ok(Origin::Nobody),
        Some(ResourcesOrigin::Ocean | ResourcesOrigin::Default) => Ok(Origin::Local),
        Some(ResourcesOrigin::Port) | None => {
            let initialized =
                integration.is_some_and(|found| found.are_port_resources_initialized == Some(true));
            if initialized {
                return Ok(Origin::Local);
            }
            let types = port
                .provisioned_types()
                .await
                .map_err(attempting("ask Port which resources it provides"))?;
            let organization = port
                .organization()
                .await
                .map_err(attempting("read the organization from Port"))?;
            let flagged = organization
                .feature_flags
                .iter()
                .any(|flag| flag == "USE_PROVISIONED_DEFAULTS");
            let provided = types.iter().any(|kind| kind == preparation.kind);
            Ok(if flagged && provided {
                Origin::Port
            } else {
                Origin::Local
            })
        }
    }
}

/// As Port writes it; what is not known counts as not said.
fn stored_origin(name: &str) -> Option<ResourcesOrigin> {
    match name {
        "Empty" => Some(ResourcesOrigin::Empty),
        "Ocean" => Some(ResourcesOrigin::Ocean),
        "Default" => Some(ResourcesOrigin::Default),
        "Port" => Some(ResourcesOrigin::Port),
        _ => None,
    }
}

const fn name_of(origin: ResourcesOrigin) -> &'static str {
    match origin {
        ResourcesOrigin::Empty => "Empty",
        ResourcesOrigin::Ocean => "Ocean",
        ResourcesOrigin::Default => "Default",
        ResourcesOrigin::Port => "Port",
    }
}

async fn create(
    port: &PortClient,
    preparation: &Preparation<'_>,
    origin: Origin,
) -> Result<(), PrepareError> {
    let config = match origin {
        Origin::Local => Some(preparation.defaults.mapping.clone()),
        Origin::Nobody => Some(json!({})),
        Origin::Port => None,
    };
    // Port creates resources when it is told so, whoever decided it; and it must
    // not be told so when this program creates them for want of an offer.
    let said = match origin {
        Origin::Port => Some(ResourcesOrigin::Port),
        Origin::Local | Origin::Nobody => preparation
            .origin
            .filter(|origin| *origin != ResourcesOrigin::Port),
    };
    port.create_integration(&NewIntegration {
        config,
        changelog_destination: preparation.changelog_destination.clone(),
        create_port_resources_origin: said.map(|origin| name_of(origin).to_owned()),
    })
    .await
    .map_err(attempting("create the integration in Port"))?;
    tracing::info!("Created the integration in Port");
    Ok(())
}

/// The integration once Port has made its mapping.
async fn provisioned(port: &PortClient) -> Result<Integration, PrepareError> {
    let mut wait = 3.0_f64;
    for _ in 0..PROVISIONING_POLLS {
        let integration = port
            .integration()
            .await
            .map_err(attempting("read the integration from Port"))?;
        if let Some(integration) = integration.filter(|found| !is_empty(&found.config)) {
            return Ok(integration);
        }
        tokio::time::sleep(Duration::from_secs_f64(wait.trunc())).await;
        // The pace of the original, up to a minute.
        wait = (wait * 1.55).min(60.0);
    }
    Err(PrepareError::NotProvisioned {
        polls: PROVISIONING_POLLS,
    })
}

fn is_outdated(integration: &Integration, preparation: &Preparation<'_>) -> bool {
    let destination = &integration.changelog_destination;
    let is_same_destination = *destination == preparation.changelog_destination
        || (is_empty(destination) && is_empty(&preparation.changelog_destination));
    integration.installation_app_type.as_deref() != Some(preparation.kind)
        || !is_same_destination
        || integration.version.as_deref() != Some(crate::api::INTEGRATION_VERSION)
        || integration.actions_processing_enabled.unwrap_or_default()
        || integration.incremental_sync_enabled.unwrap_or_default()
        || integration.processing_mode.as_deref() != Some(PROCESSING_MODE)
}

/// Whether a value says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Actions, scorecards and pages: wanted, but nothing depends on them.
async fn create_extras(port: &PortClient, defaults: &Defaults) {
    for action in &defaults.actions {
        note("action", port.create_action(action).await);
    }
    for group in &defaults.scorecards {
        let blueprint = group.get("blueprint").and_then(Value::as_str);
        let scorecards = group.get("data").and_then(Value::as_array);
        for scorecard in scorecards.into_iter().flatten() {
            let blueprint = blueprint.unwrap_or_default();
            note(
                "scorecard",
                port.create_scorecard(blueprint, scorecard).await,
            );
        }
    }
    for page in &defaults.pages {
        note("page", port.create_page(page).await);
    }
}

fn note(what: &str, outcome: Result<(), ApiError>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.status() == Some(409) => {}
        Err(error) => tracing::warn!("Could not create a default {what}: {}", one_line(&error)),
    }
}
