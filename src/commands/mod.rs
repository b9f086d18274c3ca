//! One file a command, and what they share. What a command prints as its result goes to stdout, all
//! else to stderr.

mod check;
mod defaults;
mod events;
mod export;
mod history;
mod incident_sync;
mod input;
mod jq;
mod logging;
mod map;
mod output;
mod plan;
mod progress_bar;
mod reconcile;
mod record;
mod recording;
mod reference;
mod run;
mod runner;
mod runs;
mod sandbox;
mod service;
mod signals;
mod start;
mod summary;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done,
    /// Started, and nothing came of it.
    Failed,
    /// The command line, the settings or the credentials are wrong.
    NotStarted,
    /// A kind or some entities failed.
    Partly,
    /// There is something to do, and whoever asked wants to know.
    Pending,
    /// Ended by a signal, which is named by its number.
    Signalled(u8),
}

impl Exit {
    /// What two things come to that were both to be done: what did not start at
    /// all counts most, and otherwise what went well on one side only is part.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::NotStarted, _) | (_, Self::NotStarted) => Self::NotStarted,
            _ => Self::Partly,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::NotStarted => 2,
            Exit::Partly => 3,
            Exit::Pending => 4,
            // As a shell counts it: 143 for SIGTERM, 130 for SIGINT.
            Exit::Signalled(signal) => signal.saturating_add(128),
        })
    }
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> Exit {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::tell(&format_args!("error: could not start: {error}"));
            return Exit::Failed;
        }
    };
    let exit = match cli.command {
        Command::Run(arguments) => runtime.block_on(run::run(arguments)),
        Command::Plan(arguments) => runtime.block_on(plan::run(arguments)),
        Command::Reconcile(arguments) => runtime.block_on(reconcile::run(arguments)),
        Command::Events(arguments) => runtime.block_on(events::run(arguments)),
        Command::Check(arguments) => runtime.block_on(check::run(arguments)),
        Command::Runs(arguments) => runtime.block_on(runs::run(arguments)),
        Command::Export(arguments) => runtime.block_on(export::run(arguments)),
        Command::Defaults(arguments) => defaults::run(&arguments),
        Command::Map(arguments) => map::run(&arguments),
        Command::Record(arguments) => runtime.block_on(record::run(arguments)),
        Command::Jq(arguments) => jq::run(arguments),
        Command::Sandbox(arguments) => runtime.block_on(sandbox::run(arguments)),
        Command::Completions(arguments) => reference::completions(&arguments),
        Command::Man(arguments) => reference::man(&arguments),
    };
    // Whoever is still at work on another thread, at an expression that runs to
    // its limit for example, works for nobody any more.
    runtime.shutdown_background();
    exit
}
