//! Commands and flags; does nothing itself. What the help says beside them is in
//! [`help`].

mod help;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::sandbox::DatasetSize;
use crate::settings::{LogLevel, SourceName};

/// Keep Port's software catalog in step with Statuspage, PagerDuty and Opsgenie
#[derive(Debug, Parser)]
#[command(
    name = "portolan",
    version,
    help_template = help::template(),
    after_help = help::AFTER_HELP,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Resync the catalog whenever it is asked for, or once
    #[command(after_help = help::RUN_AFTER_HELP)]
    Run(RunArguments),

    /// Show what a resync would create, change and delete, and change nothing
    #[command(after_help = help::PLAN_AFTER_HELP)]
    Plan(PlanArguments),

    /// Bring Statuspage incidents in line with on-call incidents, once
    #[command(after_help = help::RECONCILE_AFTER_HELP)]
    Reconcile(ReconcileArguments),

    /// Look whether a run would find all it needs, and write nothing
    #[command(after_help = help::CHECK_AFTER_HELP)]
    Check(CheckArguments),

    /// List what resyncs and the incident sync did, newest first
    #[command(after_help = help::RUNS_AFTER_HELP)]
    Runs(RunsArguments),

    /// Print the entities that a mapping makes of the sources, without Port
    #[command(after_help = help::EXPORT_AFTER_HELP)]
    Export(ExportArguments),

    /// Print the default mapping and blueprints
    #[command(after_help = help::DEFAULTS_AFTER_HELP)]
    Defaults(DefaultsArguments),

    /// List live events that wait or were given up, and have the latter tried again
    #[command(after_help = help::EVENTS_AFTER_HELP)]
    Events(EventsArguments),

    /// Map raw objects to entities offline, and see why they become what they become
    #[command(after_help = help::MAP_AFTER_HELP, override_usage = help::MAP_USAGE)]
    Map(MapArguments),

    /// Save the raw objects of the accounts into a folder, to try mappings on
    #[command(after_help = help::RECORD_AFTER_HELP)]
    Record(RecordArguments),

    /// Run one expression as mappings run it, on JSON from a file or standard input
    #[command(after_help = help::JQ_AFTER_HELP, override_usage = help::JQ_USAGE)]
    Jq(JqArguments),

    /// Watch a full resync against simulators: no account, no network, no settings
    Sandbox(SandboxArguments),

    /// Print what a shell needs to complete commands and flags
    #[command(after_help = help::COMPLETIONS_AFTER_HELP)]
    Completions(CompletionsArguments),

    /// Print the manual as a man page
    #[command(after_help = help::MAN_AFTER_HELP)]
    Man(ManArguments),
}

/// Flags of `portolan run`. They win over the environment, except that
/// `APPLICATION__*` wins over log level and port.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Serve health, metrics and webhooks on this port, unless it is run once; APPLICATION__PORT wins
    /// over it [default: 8000]
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Create default blueprints and mapping at the first start [env:
    /// OCEAN__INITIALIZE_PORT_RESOURCES] [default: true]
    #[arg(
        short,
        long,
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        hide_possible_values = true
    )]
    pub initialize_port_resources: Option<bool>,

    /// Resync once and end, whatever OCEAN__EVENT_LISTENER says
    #[arg(short = 'O', long)]
    pub once: bool,

    /// Exit with 0 although the resync failed or was partial
    #[arg(long)]
    pub exit_zero: bool,
}

/// Flags of `portolan plan`.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct PlanArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Plan with the mapping in this file, YAML or JSON, instead of the one in Port
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,

    /// Have Port check what would be written, without writing it
    #[arg(long)]
    pub validate: bool,

    /// Print everything as JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,

    /// Print a comment for a pull request
    #[arg(long)]
    pub markdown: bool,

    /// Exit with 4 if there is anything to do
    #[arg(long)]
    pub exit_code: bool,
}

/// Flags of `portolan reconcile`.
#[derive(Clone, Debug, Default, Args)]
pub struct ReconcileArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Print every step with its texts, and change nothing, whatever
    /// OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE says
    #[arg(long)]
    pub plan: bool,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `portolan events`.
#[derive(Clone, Debug, Default, Args)]
pub struct EventsArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Print JSON, with all that is known of each event
    #[arg(long)]
    pub json: bool,

    /// Put these back, by the identifiers of the list
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "replay_all")]
    pub replay: Vec<String>,

    /// Put back everything that was given up
    #[arg(long)]
    pub replay_all: bool,
}

/// Flags of `portolan check`.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Check this mapping, in YAML or JSON, instead of the one in Port
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,

    /// Show the addresses to enter in Opsgenie with their token, which is a secret
    #[arg(long)]
    pub show_webhook_urls: bool,
}

/// Flags of `portolan runs`.
#[derive(Clone, Debug, Args)]
pub struct RunsArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Print JSON, with all that is known of each run and step
    #[arg(long)]
    pub json: bool,

    /// Show so many resyncs, and so many steps of the incident sync
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Show one resync with its kinds, errors and what was withheld: by the `id` of the list, or by
    /// the identifier that Port and the log have
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

/// Flags of `portolan export`.
#[derive(Clone, Debug, Default, Args)]
pub struct ExportArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Map by this document, in YAML or JSON [default: the mapping of OCEAN__RESOURCES_PATH, or the
    /// one that is built in]
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
}

/// Flags of `portolan defaults`.
#[derive(Clone, Debug, Default, Args)]
pub struct DefaultsArguments {
    /// Print those of this source, and of further ones, as where no other is on: statuspage,
    /// pagerduty, opsgenie [default: all three]
    #[arg(long, value_name = "NAME")]
    pub source: Vec<SourceName>,

    /// Print the mapping alone, as YAML
    #[arg(long, conflicts_with = "blueprints")]
    pub mapping: bool,

    /// Print the blueprints alone, as JSON
    #[arg(long)]
    pub blueprints: bool,
}

/// Arguments of `portolan completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArguments {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `portolan man`.
#[derive(Clone, Debug, Default, Args)]
pub struct ManArguments {
    /// The page of this command [default: the one of the program]
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// Arguments of `portolan map`.
#[derive(Clone, Debug, Args)]
pub struct MapArguments {
    /// Raw objects as JSON: one, an array or one after the other [default: standard input]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Map by this mapping, YAML or JSON as it is in Port [default: the one that a first start stores]
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,

    /// Say what the objects are: a kind of the mapping
    #[arg(long)]
    pub kind: Option<String>,

    /// Show every expression with its value instead of the entities, and what is wrong with it
    #[arg(long)]
    pub explain: bool,

    /// Map the recorded files of a folder and compare with the entities in its `expected`
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "kind", "explain"])]
    pub test: Option<PathBuf>,

    /// Write what --test would compare with
    #[arg(long, requires = "test")]
    pub update: bool,
}

/// Arguments of `portolan record`.
#[derive(Clone, Debug, Args)]
pub struct RecordArguments {
    /// Log ERROR, WARNING, INFO or DEBUG and above; APPLICATION__LOG_LEVEL wins over it [default:
    /// INFO]
    #[arg(short, long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Where to save them; the folder is made if it is not there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Record the kinds of this mapping [default: the mapping in Port]
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,

    /// Record the kinds of the mapping that a first start stores
    #[arg(long, conflicts_with = "mapping")]
    pub defaults: bool,

    /// Save e-mail addresses as they are, instead of invented ones
    #[arg(long)]
    pub keep_emails: bool,
}

/// Arguments of `portolan jq`.
#[derive(Clone, Debug, Args)]
pub struct JqArguments {
    /// The expression, as a mapping has it
    #[arg(required_unless_present = "lines")]
    pub filter: Option<String>,

    /// JSON values to run it on, one after the other [default: standard input]
    pub file: Option<PathBuf>,

    /// Read {"filter":…,"input":…} and write {"value":…} or {"error":…}, a line for a line
    #[arg(long)]
    pub lines: bool,
}

/// Flags of `portolan sandbox`.
#[derive(Clone, Debug, Args)]
pub struct SandboxArguments {
    /// Keep the simulators up and print the environment for another `portolan run`
    #[arg(long)]
    pub serve: bool,

    /// Resync hundreds (small), thousands (medium) or tens of thousands (large) of objects, or
    /// only those that the vendors' documentation shows (examples)
    #[arg(
        long,
        value_name = "SIZE",
        value_enum,
        hide_possible_values = true,
        default_value_t = DatasetSize::Small
    )]
    pub dataset: DatasetSize,

    /// Resync so many times the dataset: pages, teams, people, services, incidents and alerts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub times: u16,

    /// Delay every answer, by 200ms or 1.5s for example
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
