//! `portolan run`: start, resync once or serve, report.
//!
//! ```text
//! settings ─▶ log in to Port, ask every source once ─▶ prepare Port ─▶ resync ─▶ summary, exit code
//!   exit 2            exit 2 refused, 1 unreachable        exit 1  │      exit 0, 1, 3
//!                                                                  └▶ service, until a signal
//!                                                                         exit 128 + signal
//! ```
//!
//! A signal asks whatever runs to come to its end, and a second one does not
//! wait for that; see [`super::signals`].

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::incident_sync::{self, IncidentSync};
use super::logging::{self, Logging, shipping};
use super::output::print;
use super::runner::{Runner, explain};
use super::signals::{self, Ended};
use super::start::{shared_redis, start};
use super::{Exit, service, summary};
use crate::cli::RunArguments;
use crate::live_events::leader::Term;
use crate::settings::{CatalogSettings, EventListener, Overrides, Settings};
use crate::store::Store;
use crate::sync::{Ending, Progress, ResyncError, ResyncReport, ResyncRequest};

/// Runs the command to its end.
pub(super) async fn run(arguments: RunArguments) -> Exit {
    let (loaded, logging) = match logging::set_up(overrides(&arguments)) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
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
        incident_sync_mode: None,
        without_port: false,
    }
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
    let catalog = settings.catalog.as_ref();
    let listens_to_kafka =
        |catalog: &CatalogSettings| matches!(catalog.event_listener, EventListener::Kafka(_));
    if catalog.is_some_and(listens_to_kafka) && !cfg!(feature = "kafka") {
        tracing::error!(
            "This program was built without the event listener KAFKA. Hint: build it with \
             `cargo build --release --features kafka`, or use the image, which has it; or set \
             OCEAN__EVENT_LISTENER={{\"type\":\"POLLING\"}}, which needs no address that Port can reach, or WEBHOOK; \
             ONCE or --once resyncs once and ends"
        );
        return Finished::before_the_resync(Exit::NotStarted);
    }
    say_who_starts(catalog);
    let store = Store::open(&settings.state_path).await;
    let sync = match incident_sync::set_up(settings, &store) {
        Ok(sync) => sync,
        Err(exit) => return Finished::before_the_resync(exit),
    };
    if catalog.is_none() && sync.is_none() {
        tracing::error!(
            "Nothing to do: there are no Port credentials, so the catalog is off, and the incident sync is off as well. \
             Hint: set OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, or the mode of the incident sync to plan or apply"
        );
        return Finished::before_the_resync(Exit::NotStarted);
    }
    let stop = CancellationToken::new();
    let work = Box::pin(async {
        if settings.once {
            return once(settings, sync, store, logging, &stop).await;
        }
        let shipper = logging.shipper.as_ref();
        let served = service::serve(settings, sync, store, shipper, &stop).await;
        Finished::before_the_resync(served.err().unwrap_or(Exit::Done))
    });
    let Ended { result, signal } = signals::obey(work, &stop).await;
    let finished = result.unwrap_or(Finished::before_the_resync(Exit::Failed));
    match signal {
        Some(number) => Finished {
            exit: Exit::Signalled(number),
            ..finished
        },
        None => finished,
    }
}

fn say_who_starts(catalog: Option<&CatalogSettings>) {
    let version = env!("CARGO_PKG_VERSION");
    let Some(CatalogSettings { integration, .. }) = catalog else {
        tracing::info!(version, "Starting Portolan {version} without a catalog");
        return;
    };
    tracing::info!(
        version,
        integration = %integration.identifier,
        r#type = %integration.kind,
        "Starting Portolan {version} as integration `{}` of type `{}`",
        integration.identifier,
        integration.kind
    );
}

/// One resync, and one pass of the incident sync after it, whatever came of it:
/// a catalog that is away must not keep a status page from telling the truth.
async fn once(
    settings: &Settings,
    sync: Option<IncidentSync>,
    store: Store,
    logging: &Logging,
    stop: &CancellationToken,
) -> Finished {
    let Some(catalog) = &settings.catalog else {
        return and_a_pass(None, sync, stop).await;
    };
    // A service may be working on the same catalog.
    let starting = async {
        let redis = shared_redis(settings).await?;
        start(settings, catalog, redis.as_ref()).await
    };
    let (connected, prepared) = match stop.run_until_cancelled(starting).await {
        Some(Ok(started)) => started,
        Some(Err(exit)) => {
            return and_a_pass(Some(Finished::before_the_resync(exit)), sync, stop).await;
        }
        None => return Finished::before_the_resync(Exit::Done),
    };
    let (_, ingest) = watch::channel(prepared.log_ingest);
    let port = connected.resync.port.clone();
    let runner = Runner::new(connected.resync, store, settings.live_events.shutdown_wait);
    let progress = Progress::default();
    let (request, term) = (ResyncRequest::default(), Term::always());
    let running = Box::pin(runner.run(&request, &progress, &term, stop));
    let running = logging.console.watch(&progress, running);
    shipping(logging.shipper.as_ref(), &port, ingest, async {
        let finished = finished(running.await);
        and_a_pass(Some(finished), sync, stop).await
    })
    .await
}

/// A pass of the incident sync after the resync, if there was one of either.
async fn and_a_pass(
    resynced: Option<Finished>,
    sync: Option<IncidentSync>,
    stop: &CancellationToken,
) -> Finished {
    let passed = match sync {
        Some(sync) if !stop.is_cancelled() => {
            let report = Box::pin(sync.pass(stop)).await;
            Some(incident_sync::exit(&report))
        }
        _ => None,
    };
    match (resynced, passed) {
        (Some(resynced), Some(passed)) => Finished {
            exit: resynced.exit.and(passed),
            attempted: true,
            ..resynced
        },
        (Some(resynced), None) => resynced,
        (None, passed) => Finished {
            exit: passed.unwrap_or(Exit::Done),
            attempted: true,
            report: None,
        },
    }
}

/// How the resync ended. What kept it from beginning is said here.
fn finished(outcome: Option<Result<ResyncReport, ResyncError>>) -> Finished {
    let (exit, report) = match outcome {
        Some(Ok(report)) => {
            let exit = match report.ending() {
                Ending::Done => Exit::Done,
                Ending::Partly => Exit::Partly,
                Ending::Failed => Exit::Failed,
            };
            (exit, Some(report))
        }
        Some(Err(error)) => {
            tracing::error!("{}", explain(&error));
            (Exit::Failed, None)
        }
        None => (Exit::Failed, None),
    };
    Finished {
        exit,
        attempted: true,
        report,
    }
}
