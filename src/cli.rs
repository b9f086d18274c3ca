//! Commands, flags and help text; does nothing itself.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::sandbox::DatasetSize;
use crate::settings::LogLevel;

/// Keep Port's software catalog in step with Statuspage and PagerDuty
#[derive(Debug, Parser)]
#[command(name = "portolan", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Synchronise the catalog, as the settings say
    Run(RunArguments),

    /// Watch a full resync against simulators: no account, no network, no settings
    Sandbox(SandboxArguments),
}

/// Flags of `portolan run`. They win over the environment, except that
/// `APPLICATION__*` wins over log level and port.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArguments {
    /// ERROR, WARNING, INFO, DEBUG or CRITICAL; APPLICATION__LOG_LEVEL wins over it
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Port to listen on for webhooks, health and metrics; APPLICATION__PORT wins over it
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Whether to create default blueprints and mapping at the first start
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub initialize_port_resources: Option<bool>,

    /// Resync once and end, whatever OCEAN__EVENT_LISTENER says
    #[arg(short = 'O', long)]
    pub once: bool,

    /// Exit with 0 once a resync was attempted, however it went
    #[arg(long)]
    pub exit_zero: bool,
}

/// Flags of `portolan sandbox`.
#[derive(Clone, Debug, Args)]
pub struct SandboxArguments {
    /// Keep the simulators up and print the environment for another `portolan run`
    #[arg(long)]
    pub serve: bool,

    /// How much there is to synchronise
    #[arg(long, value_enum, default_value_t = DatasetSize::Small)]
    pub dataset: DatasetSize,

    /// Delay every answer, for example by 200ms or 1.5s
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0ms")]
    pub latency: Duration,

    /// Answer now and then with errors, cut connections and half a body
    #[arg(long)]
    pub faults: bool,

    /// Enforce the rate limits of the real services
    #[arg(long)]
    pub rate_limits: bool,

    /// Make another company of the same size
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

const AFTER_HELP: &str = "Settings come from the environment (OCEAN__…), .env and config.yaml; see docs/configuration.md.

Exit codes:
  0  all done
  1  failed: nothing came of the resync (see the log)
  2  not started: the command line, the settings or the credentials are wrong
  3  partly done: a kind or some entities failed (see the summary)";

/// `250ms`, `2s`, `1.5s`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "write a number and a unit, such as 200ms or 2s".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("soon").is_err());
        assert!(duration("-1s").is_err());
    }
}
