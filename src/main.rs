//! Parses the command line, runs it and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;
use portolan::cli::Cli;

/// A resync makes and drops millions of small values in several threads. The system's
/// allocator is slow at that, and keeps more of what was dropped.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    portolan::commands::run(Cli::parse()).into()
}
