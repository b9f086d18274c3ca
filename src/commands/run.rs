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

use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use super::logging::{Logging, shipping};
use super::runner::{Runner, explain};
use super::signals::{self, Ended};
use super::start::start;
use super::{Exit, service, summary};
use crate::cli::RunArguments;
use crate::settings::{self, EventListener, Inputs, Overrides, Settings};
use crate::store::Store;
use crate::sync::{Ending, Progress, ResyncError, ResyncReport, ResyncRequest};

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
    let logging = Logging::start(&loaded);
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
    if matches!(settings.event_listener, EventListener::Kafka(_)) && !cfg!(feature = "kafka") {
        tracing::error!(
            "This program was built without the event listener KAFKA. Hint: build it with \
             `cargo build --release --features kafka`, or use the image, which has it; or set \
             OCEAN__EVENT_LISTENER={{\"type\":\"POLLING\"}}, which needs no address that Port can reach, or WEBHOOK; \
             ONCE or --once resyncs once and ends"
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
    let stop = CancellationToken::new();
    let work = Box::pin(async {
        if settings.event_listener == EventListener::Once {
            return once(settings, logging, &stop).await;
        }
        let served = service::serve(settings, logging.shipper.as_ref(), &stop).await;
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

/// One resync.
async fn once(settings: &Settings, logging: &Logging, stop: &CancellationToken) -> Finished {
    let started = match stop.run_until_cancelled(start(settings)).await {
        Some(Ok(started)) => started,
        Some(Err(exit)) => return Finished::before_the_resync(exit),
        None => return Finished::before_the_resync(Exit::Done),
    };
    let ingest = started.log_ingest;
    let port = started.resync.port.clone();
    let store = Store::open(&settings.state_path).await;
    let runner = Runner::new(started.resync, store, settings.live_events.shutdown_wait);
    let progress = Progress::default();
    let request = ResyncRequest::default();
    let running = Box::pin(runner.run(&request, &progress, stop));
    let running = logging.console.watch(&progress, running);
    shipping(logging.shipper.as_ref(), &port, ingest.as_ref(), async {
        finished(running.await)
    })
    .await
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

/// Results go to stdout. Whoever reads them may have seen enough (`| head`);
/// that is no reason to end in a panic, or with another exit code.
pub(super) fn print(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
