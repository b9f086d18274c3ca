//! Parses the command line, runs it and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;
use portolan::cli::Cli;

fn main() -> ExitCode {
    portolan::commands::run(Cli::parse()).into()
}
