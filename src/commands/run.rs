//! `portolan run`: start, resync, report.
//!
//! ```text
//! settings ─▶ log in to Port, ask every source once ─▶ prepare Port ─▶ resync ─▶ summary, exit code
//!   exit 2            exit 2 refused, 1 unreachable        exit 1         exit 0, 1, 3
//! ```
//!
//! Nothing is written before every credential has been accepted.

use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::progress_bar::Console;
use super::{Exit, history, summary};
use crate::api::{ApiError, PagerdutyClient, PortClient, StatuspageClient};
use crate::catalog::{self, Defaults, OwnMapping, WriteLimits};
use crate::causes::{one_line, with_hint};
use crate::cli::RunArguments;
use crate::http::BuildError;
use crate::jq::{self, Jq};
use crate::resource_config;
use crate::settings::{self, EventListener, Inputs, Loaded, Overrides, Settings, SourceName};
use crate::source::{Pagerduty, Source, Statuspage};
use crate::store::Store;
use crate::sync::{
    Ending, Expressions, Progress, Reporting, Resync, ResyncError, ResyncReport, ResyncRequest,
};
use crate::telemetry::{self, LogFormat, Masker, Shipper};

/// What the end of a stopped run may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Runs the command to its end.
pub(super) async fn run(arguments: RunArguments) -> Exit {
    let inputs = Inputs::from_process(overrides(&arguments));
    let loaded = match settings::load(inputs) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::NotStarted;
        }
    };
    let logging = start_logging(&loaded);
    let finished = execute(&loaded.settings, &logging).await;
    if let Some(report) = &finished.report {
        print(&summary::table(report));
    }
    match finished.exit {
        Exit::Failed | Exit::Partly if arguments.exit_zero && finished.attempted => Exit::Done,
        exit => exit,
    }
}

fn overrides(arguments: &RunArguments) -> Overrides {
    Overrides {
        log_level: arguments.log_level,
        port: arguments.port,
        initialize_port_resources: arguments.initialize_port_resources,
        once: arguments.once,
    }
}

/// Sets logging up and says what there is to say about the settings.
pub(super) fn start_logging(loaded: &Loaded) -> Logging {
    let console = Console::new();
    let settings = &loaded.settings;
    let shipper = settings
        .application
        .enable_http_logging
        .then(Shipper::default);
    let set_up = telemetry::init(
        settings.application.log_level,
        LogFormat::detect(),
        Masker::new(&settings.secrets),
        console.sink(),
        shipper.clone(),
    );
    if let Err(error) = set_up {
        eprintln!("warning: {}", one_line(&error));
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Logging { console, shipper }
}

/// Where log lines go.
pub(super) struct Logging {
    console: Console,
    /// To Port, unless that is switched off.
    shipper: Option<Shipper>,
}

/// What came of a run.
pub(super) struct Finished {
    pub(super) exit: Exit,
    /// Whether a resync was begun.
    pub(super) attempted: bool,
    pub(super) report: Option<ResyncReport>,
}

impl Finished {
    fn before_the_resync(exit: Exit) -> Self {
        Self {
            exit,
            attempted: false,
            report: None,
        }
    }
}

/// The one way to run: the sandbox takes it too.
pub(super) async fn execute(settings: &Settings, logging: &Logging) -> Finished {
    if !matches!(settings.event_listener, EventListener::Once) {
        tracing::error!(
            "This version resyncs once and ends, and was asked to listen. Hint: \
             set OCEAN__EVENT_LISTENER={{\"type\":\"ONCE\"}} or pass --once; listening comes with a later version"
        );
        return Finished::before_the_resync(Exit::NotStarted);
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        integration = %settings.integration.identifier,
        r#type = %settings.integration.kind,
        "Starting Portolan {} as integration `{}` of type `{}`",
        env!("CARGO_PKG_VERSION"),
        settings.integration.identifier,
        settings.integration.kind
    );
    // Listened to from here on: the first process of a container has no default
    // way to end.
    let mut termination = pin!(termination());
    let (resync, log_ingest) = tokio::select! {
        started = start(settings) => match started {
            Ok(started) => started,
            Err(exit) => return Finished::before_the_resync(exit),
        },
        number = &mut termination => {
            tracing::warn!(signal = number, "Stopped by a signal before the resync began");
            return Finished::before_the_resync(Exit::Signalled(number));
        }
    };

    let ended = CancellationToken::new();
    let work = async {
        let finished = resync_once(settings, &resync, &logging.console, termination).await;
        ended.cancel();
        finished
    };
    let shipping = async {
        if let (Some(shipper), Some(ingest)) = (&logging.shipper, &log_ingest) {
            shipper.run(&resync.port, ingest, &ended).await;
        }
    };
    let (finished, ()) = tokio::join!(work, shipping);
    finished
}

async fn resync_once(
    settings: &Settings,
    resync: &Resync,
    console: &Console,
    mut termination: Pin<&mut impl Future<Output = u8>>,
) -> Finished {
    let progress = Progress::default();
    let request = ResyncRequest::default();
    let stop = CancellationToken::new();
    let store = Store::open(&settings.state_path).await;
    let noted = history::began(&store, &request).await;
    let outcome = tokio::select! {
        outcome = console.watch(&progress, resync.run(&request, &progress, &stop)) => outcome,
        number = &mut termination => {
            tracing::warn!(
                signal = number,
                "Stopped by signal {number} in the middle of the resync: what was written stays in Port, the rest is \
                 missing. Hint: run it again"
            );
            // Whoever sent it does not wait for ever.
            if timeout(SHUTDOWN, resync.tell_aborted(None)).await.is_err() {
                tracing::warn!("Could not tell Port in time that the resync was stopped");
            }
            history::ended(&store, noted, None).await;
            return Finished { exit: Exit::Signalled(number), attempted: true, report: None };
        }
    };
    history::ended(&store, noted, Some(&outcome)).await;
    match outcome {
        Ok(report) => Finished {
            exit: match report.ending() {
                Ending::Done => Exit::Done,
                Ending::Partly => Exit::Partly,
                Ending::Failed => Exit::Failed,
            },
            attempted: true,
            report: Some(report),
        },
        Err(error) => {
            tracing::error!("{}", explain(&error));
            Finished {
                exit: Exit::Failed,
                attempted: true,
                report: None,
            }
        }
    }
}

/// Checks every credential, then makes Port ready; says also where Port takes
/// log lines.
async fn start(settings: &Settings) -> Result<(Resync, Option<Url>), Exit> {
    let port = PortClient::new(&settings.port, &settings.integration, &settings.outbound)
        .map_err(|error| not_started(&error, error.hint()))?;
    let (labels, sources): (Vec<_>, Vec<_>) = sources(settings)
        .map_err(|error| not_started(&error, error.hint()))?
        .into_iter()
        .unzip();

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
    if !refused.is_empty() {
        for (name, error) in &refused {
            tracing::error!(
                "Cannot work with {name}: {}",
                with_hint(error, error.hint())
            );
        }
        let credentials = |(_, error): &(&str, ApiError)| {
            matches!(error.status(), Some(400..=403)) || error.is_token_file()
        };
        return Err(if refused.iter().any(credentials) {
            Exit::NotStarted
        } else {
            Exit::Failed
        });
    }

    let mut names: Vec<SourceName> = sources.iter().map(|source| source.name()).collect();
    names.dedup();
    let defaults = Defaults::load(settings.resources_path.as_deref(), &names)
        .map_err(|error| not_started(&error, error.hint()))?;
    let limits = jq::Limits::default();
    if let Some(OwnMapping { origin, text }) = &defaults.own_mapping {
        // Here its mistakes have a line and a column; in Port they would be
        // stored first and found at every resync.
        let jq = Jq::new(settings.jq_environment.clone(), limits.clone());
        resource_config::parse_text(text, origin, &names, &jq).map_err(|invalid| {
            tracing::error!("Cannot start: {invalid}");
            Exit::NotStarted
        })?;
    }
    let preparation = catalog::Preparation {
        kind: &settings.integration.kind,
        initialize: settings.initialize_port_resources,
        origin: settings.create_port_resources_origin,
        changelog_destination: serde_json::json!({}),
        defaults: &defaults,
    };
    let integration = catalog::prepare(&port, &preparation)
        .await
        .map_err(|error| {
            tracing::error!("Cannot prepare Port: {}", with_hint(&error, error.hint()));
            if error.is_settings_problem() {
                Exit::NotStarted
            } else {
                Exit::Failed
            }
        })?;

    let resync = Resync {
        port,
        sources,
        expressions: Expressions::new(settings.jq_environment.clone(), limits.clone()),
        jq_limits: limits,
        write_limits: WriteLimits {
            batch_entities: settings.upsert.batch_max_length,
            batch_bytes: settings.upsert.batch_max_bytes,
            concurrency: settings.upsert.concurrency,
        },
        delete_batch: settings.upsert.deletion_batch_max_length,
        reporting: Reporting {
            send_examples: settings.send_raw_data_examples,
            heartbeat: settings.status_heartbeat_interval,
            webhook_url: settings
                .metrics
                .webhook_url
                .clone()
                .filter(|_| settings.metrics.enabled),
            runtime: settings.runtime,
        },
        interval_minutes: settings
            .scheduled_resync_interval
            .map(|interval| interval.as_secs() / 60),
    };
    Ok((resync, integration.log_ingest))
}

/// An account to read, and what it is called in messages.
type Labelled = (String, Arc<dyn Source>);

fn sources(settings: &Settings) -> Result<Vec<Labelled>, BuildError> {
    let mut sources: Vec<Labelled> = Vec::new();
    for account in &settings.sources.statuspage {
        let limit = settings.rate_limits.statuspage_per_minute;
        let client = StatuspageClient::new(account, &settings.outbound, limit)?;
        let source = Statuspage::new(client, account.name.clone(), account.page_ids.clone());
        let label = label(SourceName::Statuspage, account.name.as_deref());
        sources.push((label, Arc::new(source)));
    }
    for account in &settings.sources.pagerduty {
        let limit = settings.rate_limits.pagerduty_per_minute;
        let client = PagerdutyClient::new(account, &settings.outbound, limit)?;
        let label = label(SourceName::Pagerduty, account.name.as_deref());
        sources.push((
            label,
            Arc::new(Pagerduty::new(client, account.name.clone())),
        ));
    }
    Ok(sources)
}

fn label(source: SourceName, account: Option<&str>) -> String {
    match account {
        Some(account) => format!("{} (account `{account}`)", source.title()),
        None => source.title().to_owned(),
    }
}

fn not_started(error: &dyn std::error::Error, hint: Option<&str>) -> Exit {
    tracing::error!("Cannot start: {}", with_hint(error, hint));
    Exit::NotStarted
}

/// Why there was no resync. The mistakes of a mapping keep their lines, or the
/// carets would stand under nothing.
fn explain(error: &ResyncError) -> String {
    match error {
        ResyncError::Invalid(mapping) => format!(
            "Nothing was resynced: {mapping}\n\nHint: correct the mapping on the data source's page in Port"
        ),
        error => format!("Nothing was resynced: {}", with_hint(error, error.hint())),
    }
}

/// The number of the signal that asks the process to end.
pub(super) async fn termination() -> u8 {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => 15,
        _ = interrupt.recv() => 2,
    }
}

/// Results go to stdout. Whoever reads them may have seen enough (`| head`);
/// that is no reason to end in a panic, or with another exit code.
pub(super) fn print(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
