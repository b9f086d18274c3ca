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

use super::progress_bar::Console;
use super::runner::{Runner, explain};
use super::signals::{self, Ended};
use super::start::start;
use super::{Exit, service, summary};
use crate::causes::one_line;
use crate::cli::RunArguments;
use crate::settings::{self, EventListener, Inputs, Loaded, Overrides, Settings};
use crate::store::Store;
use crate::sync::{Ending, Progress, ResyncReport, ResyncRequest};
use crate::telemetry::{self, LogFormat, Masker};

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
    let console = start_logging(&loaded);
    let finished = execute(&loaded.settings, &console).await;
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
pub(super) fn start_logging(loaded: &Loaded) -> Console {
    let console = Console::new();
    let settings = &loaded.settings;
    let set_up = telemetry::init(
        settings.application.log_level,
        LogFormat::detect(),
        Masker::new(&settings.secrets),
        console.sink(),
    );
    if let Err(error) = set_up {
        eprintln!("warning: {}", one_line(&error));
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    console
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
pub(super) async fn execute(settings: &Settings, console: &Console) -> Finished {
    if matches!(settings.event_listener, EventListener::Kafka(_)) {
        tracing::error!(
            "The event listener KAFKA comes with a later version. Hint: set \
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
            return once(settings, console, &stop).await;
        }
        let served = service::serve(settings, &stop).await;
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
async fn once(settings: &Settings, console: &Console, stop: &CancellationToken) -> Finished {
    let started = match stop.run_until_cancelled(start(settings)).await {
        Some(Ok(started)) => started,
        Some(Err(exit)) => return Finished::before_the_resync(exit),
        None => return Finished::before_the_resync(Exit::Done),
    };
    let store = Store::open(&settings.state_path).await;
    let runner = Runner::new(started.resync, store, settings.live_events.shutdown_wait);
    let progress = Progress::default();
    let request = ResyncRequest::default();
    let outcome = console
        .watch(&progress, runner.run(&request, &progress, stop))
        .await;
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
