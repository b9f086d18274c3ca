//! From settings to everything a resync works with: every credential is checked,
//! then Port is made ready. Nothing is written before every credential has been
//! accepted.
//!
//! ```text
//! settings ─▶ connect ─▶ Connected ─▶ prepare ─▶ Prepared
//!             every replica            whoever leads
//! ```

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use url::Url;

use super::Exit;
use crate::api::{
    ApiError, OpsgenieClient, PagerdutyClient, PortClient, ResyncStatus, StatuspageClient,
};
use crate::catalog::{
    Defaults, Foreseen, OwnMapping, Preparation, PrepareError, RecentWrites, WriteLimits, foresee,
    prepare,
};
use crate::causes::with_hint;
use crate::event_listener;
use crate::http::BuildError;
use crate::jq::{self, Jq};
use crate::live_events::recent_writes::SharedRecentWrites;
use crate::live_events::shared_redis::SharedRedis;
use crate::resource_config;
use crate::settings::{CatalogSettings, EventListener, Settings, SourceName, SourceSettings};
use crate::source::{Opsgenie, Pagerduty, Source, Statuspage};
use crate::sync::{Expressions, Mapping, Reporting, Resync, StateInPort};

/// Everything that resyncs and live events work with. Port may not be ready for it.
pub(super) struct Connected {
    pub(super) resync: Arc<Resync>,
    defaults: Defaults,
}

/// What Port said when it was made ready.
pub(super) struct Prepared {
    /// How the last resync stood.
    pub(super) last_state: Value,
    /// Whether it had been broken off with its process.
    pub(super) was_broken_off: bool,
    /// Where Port takes log lines.
    pub(super) log_ingest: Option<Url>,
}

/// Connects and makes Port ready, for a process that has no others beside it. What
/// went wrong has been said.
pub(super) async fn start(
    settings: &Settings,
    catalog: &CatalogSettings,
    redis: Option<&SharedRedis>,
) -> Result<(Connected, Prepared), Exit> {
    let connected = connect(settings, catalog, redis).await?;
    let prepared = connected.prepare(catalog).await?;
    Ok((connected, prepared))
}

/// The Redis of the settings, if they name one.
pub(super) async fn shared_redis(settings: &Settings) -> Result<Option<SharedRedis>, Exit> {
    let Some(redis) = &settings.live_events.redis else {
        return Ok(None);
    };
    SharedRedis::open(redis, &settings.identifier)
        .await
        .map(Some)
        .map_err(|error| not_started(&error, error.hint()))
}

/// Checks every credential and writes nothing. `redis`: the one that processes which
/// work on the same catalog share.
pub(super) async fn connect(
    settings: &Settings,
    catalog: &CatalogSettings,
    redis: Option<&SharedRedis>,
) -> Result<Connected, Exit> {
    let port = PortClient::new(&catalog.port, &catalog.integration, &settings.outbound)
        .map_err(|error| not_started(&error, error.hint()))?;
    let (labels, sources): (Vec<_>, Vec<_>) = sources(settings, &catalog.sources)
        .map_err(|error| not_started(&error, error.hint()))?
        .into_iter()
        .unzip();

    check_credentials(&port, &labels, &sources).await?;

    let mut names: Vec<SourceName> = sources.iter().map(|source| source.name()).collect();
    names.dedup();
    let defaults = Defaults::load(catalog.resources_path.as_deref(), &names)
        .map_err(|error| not_started(&error, error.hint()))?;
    let limits = jq::Limits::default();
    if let Some(OwnMapping { origin, text }) = &defaults.own_mapping {
        // Here its mistakes have a line and a column; in Port they would be
        // stored first and found at every resync.
        let jq = Jq::new(catalog.jq_environment.clone(), limits.clone());
        resource_config::parse_text(text, origin, &names, &jq).map_err(|invalid| {
            tracing::error!("Cannot start: {invalid}");
            Exit::NotStarted
        })?;
    }
    let interval_minutes = catalog
        .scheduled_resync_interval
        .map(|interval| interval.as_secs() / 60);
    let expressions = Expressions::new(catalog.jq_environment.clone(), limits.clone());
    let recent = RecentWrites::new(RecentWrites::LIST_LAG);
    let recent = match redis {
        Some(redis) => recent.shared_through(SharedRecentWrites::new(redis.clone())),
        None => recent,
    };
    let resync = Resync {
        state: StateInPort::new(port.clone(), interval_minutes),
        mapping: Arc::new(Mapping::new(port.clone(), names, expressions)),
        recent: Arc::new(recent),
        port,
        sources,
        jq_limits: limits,
        write_limits: WriteLimits {
            batch_entities: catalog.upsert.batch_max_length,
            batch_bytes: catalog.upsert.batch_max_bytes,
            concurrency: catalog.upsert.concurrency,
        },
        delete_batch: catalog.upsert.deletion_batch_max_length,
        reporting: Reporting {
            send_examples: catalog.send_raw_data_examples,
            heartbeat: catalog.status_heartbeat_interval,
            webhook_url: settings
                .metrics
                .webhook_url
                .clone()
                .filter(|_| settings.metrics.enabled),
            runtime: catalog.runtime,
        },
    };
    Ok(Connected {
        resync: Arc::new(resync),
        defaults,
    })
}

impl Connected {
    /// Makes Port ready, which is for one process at a time: the integration, at its
    /// first start blueprints and mapping, and the state of a resync that ended with
    /// its process.
    pub(super) async fn prepare(&self, catalog: &CatalogSettings) -> Result<Prepared, Exit> {
        let prepared = prepare(&self.resync.port, &self.preparation(catalog)).await;
        let integration = prepared.map_err(|error| unprepared(&error))?;
        // Others may have led in between.
        self.resync.state.forget();
        let last_state = integration.resync_state;
        let is_running = ResyncStatus::of(&last_state) == Some(ResyncStatus::Running);
        let was_broken_off = resyncs(catalog) && is_running;
        if was_broken_off {
            tracing::warn!(
                "An earlier process ended in the middle of a resync without telling Port; its state is corrected to aborted"
            );
            self.resync.state.ended(ResyncStatus::Aborted, None).await;
        }
        Ok(Prepared {
            last_state,
            was_broken_off,
            log_ingest: integration.log_ingest,
        })
    }

    /// What preparing would find and make.
    pub(super) async fn foresee(&self, catalog: &CatalogSettings) -> Result<Foreseen, Exit> {
        let foreseen = foresee(&self.resync.port, &self.preparation(catalog)).await;
        foreseen.map_err(|error| unprepared(&error))
    }

    fn preparation<'a>(&'a self, catalog: &'a CatalogSettings) -> Preparation<'a> {
        Preparation {
            kind: &catalog.integration.kind,
            initialize: catalog.initialize_port_resources,
            origin: catalog.create_port_resources_origin,
            changelog_destination: event_listener::changelog_destination(&catalog.event_listener),
            defaults: &self.defaults,
        }
    }

    /// Where Port takes log lines, for who does not prepare it. None where the
    /// integration is not there yet, or Port does not answer.
    pub(super) async fn log_ingest(&self) -> Option<Url> {
        let integration = self.resync.port.integration().await;
        integration.ok().flatten()?.log_ingest
    }
}

/// Says why Port is not ready, and how that ends the program.
fn unprepared(error: &PrepareError) -> Exit {
    tracing::error!("Cannot prepare Port: {}", with_hint(error, error.hint()));
    if error.is_settings_problem() {
        Exit::NotStarted
    } else {
        Exit::Failed
    }
}

/// Asks everybody once; what is refused is said, all of it.
async fn check_credentials(
    port: &PortClient,
    labels: &[String],
    sources: &[Arc<dyn Source>],
) -> Result<(), Exit> {
    let (login, probes) = tokio::join!(
        port.log_in(),
        join_all(sources.iter().map(|source| source.probe()))
    );
    let mut refused = Vec::new();
    if let Err(error) = login {
        refused.push(("Port", error));
    }
    for (label, probe) in labels.iter().zip(probes) {
        if let Err(error) = probe {
            refused.push((label, error));
        }
    }
    accepted(&refused)
}

/// Says what was refused, all of it, and how that ends the program.
pub(super) fn accepted(refused: &[(&str, ApiError)]) -> Result<(), Exit> {
    for (name, error) in refused {
        tracing::error!(
            "Cannot work with {name}: {}",
            with_hint(error, error.hint())
        );
    }
    let credentials = |(_, error): &(&str, ApiError)| {
        matches!(error.status(), Some(400..=403)) || error.is_token_file()
    };
    if refused.iter().any(credentials) {
        Err(Exit::NotStarted)
    } else if refused.is_empty() {
        Ok(())
    } else {
        Err(Exit::Failed)
    }
}

/// Whether this process ever resyncs. One that does not may run beside another
/// that does, whose state is none of its business.
fn resyncs(catalog: &CatalogSettings) -> bool {
    let listens = !matches!(
        catalog.event_listener,
        EventListener::WebhooksOnly | EventListener::ActionsOnly
    );
    listens || catalog.scheduled_resync_interval.is_some()
}

/// An account to read, and what it is called in messages.
pub(super) type Labelled = (String, Arc<dyn Source>);

/// A source for each account. Asks nobody anything.
pub(super) fn sources(
    settings: &Settings,
    accounts: &SourceSettings,
) -> Result<Vec<Labelled>, BuildError> {
    let mut sources: Vec<Labelled> = Vec::new();
    for account in &accounts.statuspage {
        let limit = settings.rate_limits.statuspage_per_minute;
        let client = StatuspageClient::new(account, &settings.outbound, limit)?;
        let source = Statuspage::new(client, account.name.clone(), account.page_ids.clone());
        let label = label(SourceName::Statuspage, account.name.as_deref());
        sources.push((label, Arc::new(source)));
    }
    for account in &accounts.pagerduty {
        let limit = settings.rate_limits.pagerduty_per_minute;
        let client = PagerdutyClient::new(account, &settings.outbound, limit)?;
        let label = label(SourceName::Pagerduty, account.name.as_deref());
        sources.push((
            label,
            Arc::new(Pagerduty::new(client, account.name.clone())),
        ));
    }
    for account in &accounts.opsgenie {
        let limit = settings.rate_limits.opsgenie_per_minute;
        let client = OpsgenieClient::new(account, &settings.outbound, limit)?;
        let label = label(SourceName::Opsgenie, account.name.as_deref());
        sources.push((label, Arc::new(Opsgenie::new(client, account.name.clone()))));
    }
    Ok(sources)
}

fn label(source: SourceName, account: Option<&str>) -> String {
    match account {
        Some(account) => format!("{} (account `{account}`)", source.title()),
        None => source.title().to_owned(),
    }
}

pub(super) fn not_started(error: &dyn std::error::Error, hint: Option<&str>) -> Exit {
    tracing::error!("Cannot start: {}", with_hint(error, hint));
    Exit::NotStarted
}
