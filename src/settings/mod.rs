//! Environment, `.env` and `config.yaml` to checked [`Settings`].
//!
//! Everything that can be set is read here, once, at the start, into types
//! that cannot be wrong; nobody else looks at the environment. Whoever gets
//! something wrong learns of all of it at once ([`Problems`]), in the names
//! they wrote themselves.
//!
//! The contract is that of the integrations this program replaces: the same
//! variables in any case, nested with `__`, sections as JSON, the same
//! defaults. [`table()`] lists them all; it is also the schema that values are
//! parsed by.
//!
//! ```text
//! config.yaml ─┐
//! .env ────────┼─▶ variables (one flat map) ─▶ reader (table's types) ─▶ one struct a concern
//! environment ─┘
//! ```
//!
//! Nothing here prints, opens a connection or looks at a file other than the
//! two named above and the one with the rules of the incident sync. No
//! sensitive value ever reaches a [`Problem`], a warning or a `Debug` output.

mod accounts;
mod application;
mod catalog;
mod config_yaml;
mod credentials;
mod dotenv;
mod event_listener;
mod incident_sync;
mod integration;
mod jq_environment;
mod live_events;
mod outbound;
mod pagerstatus;
mod port;
mod problem;
mod reader;
mod redis;
mod sources;
mod spec;
mod table;
mod throughput;
mod unknown;
mod value;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use application::{ApplicationSettings, LogLevel, UnknownLogLevel};
pub use catalog::{CatalogSettings, ResourcesOrigin, Runtime};
pub use credentials::{Credential, OpsgenieAccount, PagerdutyAccount, StatuspageAccount};
pub use event_listener::{EventListener, KafkaSettings};
pub use incident_sync::{IncidentSyncSettings, SyncDocument, SyncMode};
pub use integration::IntegrationSettings;
pub use live_events::{LiveEventSettings, MetricsSettings};
pub use outbound::{OutboundSettings, ProxySettings};
pub use pagerstatus::PagerstatusSettings;
pub use port::PortSettings;
pub use problem::{Problem, Problems};
pub use redis::{ClientCertificate, Pem, RedisSettings};
pub use sources::SourceSettings;
pub use table::{DefaultValue, Effect, SettingRow, table};
pub use throughput::{RateLimits, UpsertSettings};
pub use value::ValueType;

use incident_sync::Asked;
use reader::{Findings, Reader};
use sources::Scope;

/// A system whose objects go into the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceName {
    Statuspage,
    Pagerduty,
    Opsgenie,
}

impl SourceName {
    /// Every source there is, in the order in which they are worked on.
    pub const ALL: [Self; 3] = [Self::Statuspage, Self::Pagerduty, Self::Opsgenie];

    /// The name as people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Statuspage => "Statuspage",
            Self::Pagerduty => "PagerDuty",
            Self::Opsgenie => "Opsgenie",
        }
    }

    /// The name as written in settings, kinds and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Statuspage => "statuspage",
            Self::Pagerduty => "pagerduty",
            Self::Opsgenie => "opsgenie",
        }
    }
}

/// A word that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no source")]
pub struct UnknownSource(String);

impl FromStr for SourceName {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownSource(text.to_owned()))
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Everything that was set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What this installation is called: the identifier of the integration, also
    /// where the catalog is off and Port never hears of it.
    pub identifier: String,
    /// `None`: the catalog is off, and the incident sync is all there is.
    pub catalog: Option<CatalogSettings>,
    /// What reading the sources without Port needs; `None` unless only that is wanted.
    pub export: Option<ExportSettings>,
    /// `None`: nobody asked for it. It may be there and switched off.
    pub incident_sync: Option<IncidentSyncSettings>,
    /// Whether one resync, and one pass of the incident sync, are all that is
    /// asked for: the event listener ONCE.
    pub once: bool,
    pub outbound: OutboundSettings,
    pub rate_limits: RateLimits,
    pub live_events: LiveEventSettings,
    pub metrics: MetricsSettings,
    pub application: ApplicationSettings,
    /// The file of the state database.
    pub state_path: PathBuf,
    /// Everything that must never be seen in a log.
    pub secrets: Vec<SecretString>,
}

/// What it takes to read the sources for somebody else than Port.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    pub sources: SourceSettings,
    /// `None`: what is built in.
    pub resources_path: Option<PathBuf>,
    /// What `env` and `$ENV` show to a mapping; empty where that is off.
    pub jq_environment: BTreeMap<String, String>,
}

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub environment: BTreeMap<String, OsString>,
    /// Where `.env` and `config.yaml` may be.
    pub directory: PathBuf,
    pub overrides: Overrides,
}

/// What the command line says: above everything else, but `APPLICATION__*`
/// wins over log level and port.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub log_level: Option<LogLevel>,
    pub port: Option<u16>,
    pub initialize_port_resources: Option<bool>,
    /// The ONCE event listener, whatever else is set.
    pub once: bool,
    /// How far the incident sync may go, whatever else is set.
    pub incident_sync_mode: Option<SyncMode>,
    /// Only the sources are read, whatever is set for Port.
    pub without_port: bool,
}

impl Inputs {
    /// This process' environment and working directory.
    pub fn from_process(overrides: Overrides) -> Self {
        // A name that is no UTF-8 is not a setting, and nothing else is asked for.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Self {
            environment,
            directory: PathBuf::from("."),
            overrides,
        }
    }
}

/// Settings, and what ought to be said about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// One line each, to be logged once logging is set up.
    pub warnings: Vec<String>,
}

/// Reads all settings, or tells every problem with them.
pub fn load(inputs: Inputs) -> Result<Loaded, Problems> {
    let collected = variables::collect(&inputs);
    let mut reader = Reader::new(&collected.variables);

    let settings = read(&mut reader, inputs);
    unknown::warn(&mut reader, &collected.variables);

    let Findings {
        problems: found,
        warnings,
        unknown,
    } = reader.finish();
    let mut problems = collected.problems;
    problems.extend(found);
    match settings {
        Some(settings) if problems.is_empty() => {
            let warnings = [collected.warnings, warnings, unknown].concat();
            Ok(Loaded { settings, warnings })
        }
        _ => Err(Problems {
            problems,
            related: [collected.absent, unknown].concat(),
        }),
    }
}

/// What mappings see of the environment, and what ought to be said about it: for
/// work without an account, to which it is all the same what else is missing or
/// wrong. The secrets are those of [`load`].
pub fn jq_environment(inputs: Inputs) -> Result<(BTreeMap<String, String>, Vec<String>), Problems> {
    let collected = variables::collect(&inputs);
    let mut others = Reader::new(&collected.variables);
    let asked = Asked::read(&mut others, &inputs.directory);
    let scope = scope(&others, asked.as_ref());
    let sources = sources::read(&mut others, scope);
    let outbound = OutboundSettings::read(&mut others, &inputs.environment);
    let live_events = LiveEventSettings::read(&mut others, None);
    let secrets = secrets(
        &others,
        sources.as_ref().map(|sources| &sources.settings),
        &outbound,
        live_events.redis.as_ref(),
    );
    let mut reader = Reader::new(&collected.variables);
    let own = jq_environment::VARIABLES.map(|name| reader.written(name));
    let shown = jq_environment::read(&mut reader, inputs.environment, &secrets);
    let mut findings = reader.finish();
    findings
        .problems
        .retain(|problem| own.contains(&problem.variable));
    if findings.problems.is_empty() {
        Ok((shown, findings.warnings))
    } else {
        Err(Problems {
            problems: findings.problems,
            related: Vec::new(),
        })
    }
}

/// `None` where something indispensable is missing. Everything is looked at
/// all the same, so that every problem is found.
fn read(reader: &mut Reader<'_>, inputs: Inputs) -> Option<Settings> {
    let asked = Asked::read(reader, &inputs.directory);
    let without_port = inputs.overrides.without_port;
    let mut scope = scope(reader, asked.as_ref());
    let has_catalog = scope.catalog && !without_port;
    // An export reads the same sources, and makes the same demands on them.
    scope.catalog |= without_port;
    let port = has_catalog.then(|| PortSettings::read(reader)).flatten();
    let sources = sources::read(reader, scope);
    let event_listener = has_catalog.then(|| EventListener::read(reader)).flatten();
    let outbound = OutboundSettings::read(reader, &inputs.environment);
    refuse_actions(reader);

    let app_host = sources
        .as_ref()
        .and_then(|sources| sources.settings.app_host.as_ref());
    let live_events = LiveEventSettings::read(reader, app_host);
    let secrets = secrets(
        reader,
        sources.as_ref().map(|sources| &sources.settings),
        &outbound,
        live_events.redis.as_ref(),
    );
    let jq_environment = jq_environment::read(reader, inputs.environment, &secrets);

    let sources = sources?;
    let incident_sync =
        asked.map(|asked| asked.with_accounts(reader, &sources, jq_environment.clone()));
    let export = without_port.then(|| ExportSettings {
        sources: sources.settings.clone(),
        resources_path: reader.path("OCEAN__RESOURCES_PATH"),
        jq_environment: jq_environment.clone(),
    });
    let catalog = if has_catalog {
        Some(CatalogSettings::read(
            reader,
            port?,
            event_listener?,
            sources,
            jq_environment,
        ))
    } else if without_port {
        None
    } else {
        reader.warn(
            "only incidents are kept in step, and no catalog: neither `OCEAN__PORT__CLIENT_ID` \
             nor `OCEAN__PORT__CLIENT_SECRET` is set"
                .to_owned(),
        );
        None
    };
    let identifier = identifier(reader, catalog.as_ref());
    let state_path = reader
        .path("OCEAN__STATE_PATH")
        .unwrap_or_else(|| default_state_path(&identifier));
    Some(Settings {
        identifier,
        catalog,
        export,
        incident_sync,
        once: reader.text("OCEAN__EVENT_LISTENER__TYPE").as_deref() == Some("ONCE"),
        outbound,
        rate_limits: RateLimits::read(reader),
        live_events,
        metrics: MetricsSettings::read(reader),
        application: ApplicationSettings::read(reader),
        state_path,
        secrets,
    })
}

fn scope(reader: &Reader<'_>, asked: Option<&Asked<'_>>) -> Scope {
    Scope {
        catalog: is_catalog_on(reader, asked),
        pagerstatus: asked.is_some_and(Asked::has_pagerstatus),
    }
}

/// Without Port's credentials there can be no catalog. That is a mistake, unless
/// there are incidents to keep in step.
fn is_catalog_on(reader: &Reader<'_>, incident_sync: Option<&Asked<'_>>) -> bool {
    PortSettings::is_asked_for(reader) || incident_sync.is_none_or(Asked::is_off)
}

fn identifier(reader: &Reader<'_>, catalog: Option<&CatalogSettings>) -> String {
    match catalog {
        Some(catalog) => catalog.integration.identifier.clone(),
        None => reader
            .text("OCEAN__INTEGRATION__IDENTIFIER")
            .unwrap_or_else(|| "incident-sync".to_owned()),
    }
}

/// Below the one directory that the Helm chart makes writable. The identifier is
/// part of the name, so that two installations on one machine do not share a
/// file; what could leave the directory is replaced.
fn default_state_path(identifier: &str) -> PathBuf {
    let name: String = identifier
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => character,
            _ => '_',
        })
        .collect();
    PathBuf::from(format!("/tmp/ocean/portolan-{name}.sqlite3"))
}

fn refuse_actions(reader: &mut Reader<'_>) {
    const ENABLED: &str = "OCEAN__ACTIONS_PROCESSOR__ENABLED";
    if reader.boolean(ENABLED) {
        reader.problem(Problem {
            variable: reader.written(ENABLED),
            accepted: "false: these integrations have no actions to process".to_owned(),
            found: Some(problem::shown("true")),
            hint: None,
        });
    }
}

/// Everything that must be masked, each once.
fn secrets(
    reader: &Reader<'_>,
    sources: Option<&SourceSettings>,
    outbound: &OutboundSettings,
    redis: Option<&RedisSettings>,
) -> Vec<SecretString> {
    let mut secrets = reader.sensitive_values();
    secrets.extend(outbound.proxies.passwords());
    secrets.extend(redis.and_then(RedisSettings::url_password));
    let credentials = sources.into_iter().flat_map(|sources| {
        let statuspage = sources.statuspage.iter().map(|account| &account.api_key);
        let pagerduty = sources.pagerduty.iter().map(|account| &account.token);
        let opsgenie = sources.opsgenie.iter().map(|account| &account.api_token);
        statuspage.chain(pagerduty).chain(opsgenie)
    });
    let webhooks = reader.list(live_events::PAGERDUTY_SECRETS);
    secrets.extend(webhooks.into_iter().map(SecretString::from));
    for credential in credentials {
        if let Credential::Fixed(secret) = credential {
            secrets.push(secret.clone());
        }
    }
    secrets.retain(|secret| !secret.expose_secret().is_empty());
    secrets.sort_by(|one, other| one.expose_secret().cmp(other.expose_secret()));
    secrets.dedup_by(|one, other| one.expose_secret() == other.expose_secret());
    secrets
}

/// How alike two names must be for one to be suggested for the other.
const ALIKE: f64 = 0.6;

/// The candidate most like `written`, where one is like it at all.
fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_by(
        written,
        candidates
            .into_iter()
            .map(|candidate| (candidate, candidate)),
    )
}

/// The same where what is suggested is not what is compared: pairs of both.
fn nearest_by<'a, T>(
    written: &str,
    candidates: impl IntoIterator<Item = (T, &'a str)>,
) -> Option<T> {
    candidates
        .into_iter()
        .map(|(candidate, name)| (likeness(written, name), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// From 0 (nothing in common) to 1 (the same but for case). A name cut short
/// (`WARN`) is like the whole one.
fn likeness(written: &str, name: &str) -> f64 {
    const SHORTEST_BEGINNING: usize = 3;
    let (written, name) = (written.to_ascii_lowercase(), name.to_ascii_lowercase());
    let likeness = strsim::normalized_damerau_levenshtein(&written, &name);
    if written.len() >= SHORTEST_BEGINNING && name.starts_with(&written) {
        return likeness.max(ALIKE);
    }
    likeness
}

#[cfg(test)]
mod tests;
