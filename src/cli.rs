//! Commands, flags and help text; does nothing itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Styles;
use clap::{Args, Parser, Subcommand};

use crate::sandbox::DatasetSize;
use crate::settings::{LogLevel, SourceName};

/// Keep Port's software catalog in step with Statuspage, PagerDuty and Opsgenie
#[derive(Debug, Parser)]
#[command(
    name = "portolan",
    version,
    help_template = help_template(),
    after_help = AFTER_HELP,
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
    #[command(after_help = RUN_AFTER_HELP)]
    Run(RunArguments),

    /// Show what a resync would create, change and delete, and change nothing
    #[command(after_help = PLAN_AFTER_HELP)]
    Plan(PlanArguments),

    /// Bring Statuspage incidents in line with on-call incidents, once
    #[command(after_help = RECONCILE_AFTER_HELP)]
    Reconcile(ReconcileArguments),

    /// Look whether a run would find all it needs, and write nothing
    #[command(after_help = CHECK_AFTER_HELP)]
    Check(CheckArguments),

    /// List what resyncs and the incident sync did, newest first
    #[command(after_help = RUNS_AFTER_HELP)]
    Runs(RunsArguments),

    /// Print the entities that a mapping makes of the sources, without Port
    #[command(after_help = EXPORT_AFTER_HELP)]
    Export(ExportArguments),

    /// Print the default mapping and blueprints
    #[command(after_help = DEFAULTS_AFTER_HELP)]
    Defaults(DefaultsArguments),

    /// List live events that wait or were given up, and have the latter tried again
    #[command(after_help = EVENTS_AFTER_HELP)]
    Events(EventsArguments),

    /// Map raw objects to entities offline, and see why they become what they become
    #[command(after_help = MAP_AFTER_HELP, override_usage = MAP_USAGE)]
    Map(MapArguments),

    /// Save the raw objects of the accounts into a folder, to try mappings on
    #[command(after_help = RECORD_AFTER_HELP)]
    Record(RecordArguments),

    /// Run one expression as mappings run it, on JSON from a file or standard input
    #[command(after_help = JQ_AFTER_HELP, override_usage = JQ_USAGE)]
    Jq(JqArguments),

    /// Watch a full resync against simulators: no account, no network, no settings
    Sandbox(SandboxArguments),

    /// Print what a shell needs to complete commands and flags
    #[command(after_help = COMPLETIONS_AFTER_HELP)]
    Completions(CompletionsArguments),

    /// Print the manual as a man page
    #[command(after_help = MAN_AFTER_HELP)]
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

    /// Resync hundreds (small), thousands (medium) or tens of thousands (large) of objects
    #[arg(
        long,
        value_name = "SIZE",
        value_enum,
        hide_possible_values = true,
        default_value_t = DatasetSize::Small
    )]
    pub dataset: DatasetSize,

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

/// The commands as the help shows them; clap would list them all in one.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Run it", &["run", "reconcile"]),
    ("Look at it", &["plan", "check", "runs"]),
    (
        "Work on mappings",
        &["map", "jq", "record", "export", "defaults"],
    ),
    ("Live events", &["events"]),
    ("Other", &["sandbox", "completions", "man", "help"]),
];

/// The help of the program, with the commands in groups.
fn help_template() -> String {
    let described = Command::augment_subcommands(clap::Command::new("portolan"));
    let mut abouts: BTreeMap<&str, String> = described
        .get_subcommands()
        .filter_map(|command| Some((command.get_name(), command.get_about()?.to_string())))
        .collect();
    // Clap adds it when it parses.
    abouts.insert(
        "help",
        "Print this message or the help of a command".to_owned(),
    );
    let width = abouts
        .keys()
        .map(|name| name.len())
        .max()
        .unwrap_or_default();
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let of_group = |(title, names): &(&str, &[&str])| {
        let lines = names.iter().map(|name| {
            let about = abouts.get(name).map_or("", String::as_str);
            let gap = " ".repeat(width.saturating_sub(name.len()));
            format!("  {literal}{name}{literal:#}{gap}  {about}\n")
        });
        let lines: String = lines.collect();
        format!("{header}{title}:{header:#}\n{lines}\n")
    };
    let commands: String = GROUPS.iter().map(of_group).collect();
    format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{commands}\
         {header}Options:{header:#}\n{{options}}{{after-help}}"
    )
}

const AFTER_HELP: &str = "\
Settings come from the environment (OCEAN__…), .env and config.yaml; see docs/configuration.md

Exit codes:
  0  all done
  1  failed: nothing came of the resync, or no status page could be read (see the log)
  2  not started: the command line, the settings or the credentials are wrong
  3  partly done: a kind, an entity or a step failed, or something was withheld (see the log)
  4  planned with --exit-code, and there is something to do

Stopped by a signal: 128 and its number, such as 130 for Ctrl-C";

const RUN_AFTER_HELP: &str = "\
Needed in the environment:
  OCEAN__PORT__CLIENT_ID, OCEAN__PORT__CLIENT_SECRET
  OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY for Statuspage,
  OCEAN__INTEGRATION__CONFIG__TOKEN for PagerDuty,
  OCEAN__INTEGRATION__CONFIG__API_TOKEN for Opsgenie

OCEAN__EVENT_LISTENER={\"type\":\"…\"} says what asks for a resync:
  POLLING        the start, and Port, which is asked every minute (the default)
  WEBHOOK        Port, or whoever else calls {app_host}/resync
  KAFKA          Port, in its Kafka (in a build with the feature `kafka`, as the image is)
  WEBHOOKS_ONLY  nothing, and neither with ACTIONS_ONLY
  ONCE           the start; the process ends after it, as with --once
OCEAN__SCHEDULED_RESYNC_INTERVAL, in minutes, asks beside any of them but ONCE

A flag wins over its variable, except where it says otherwise. docs/configuration.md has all settings";

const PLAN_AFTER_HELP: &str = "\
Reads everything that a resync reads, and runs the resync against a draft of the catalog: what it
says is what `portolan run --once` would do now. Where the incident sync is on, it says as well
which public incidents would be opened, changed and resolved. Nothing is written to anybody;
--validate sends the entities to Port to be checked only. See docs/plan.md

Needs the same environment as `portolan run`.

Exit codes: 0 planned; 1 failed: nothing could be read, or the mapping in Port is wrong;
2 not started; 3 partly: a kind or an entity would fail, or a deletion be withheld;
4 with --exit-code: planned, and there is something to do";

const RECONCILE_AFTER_HELP: &str = "\
Opens, changes and resolves public incidents as far as the mode lets it: `plan` (the default) only
says what it would do, `apply` does it, and --plan makes any mode a plan. Port is not needed.

Needed in the environment, as for `portolan run`: a Statuspage key, and a PagerDuty or Opsgenie
account; or Pagerstatus' own STATUSPAGE_PAGE, STATUSPAGE_KEY and PD_ACCOUNT_<NAME>, which make
`apply` the default. OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE sets the mode, and
OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC or …_FILE the rules and texts; see docs/incident-sync.md

Exit codes: 0 everything is as it ought to be, or planned; 1 no status page could be read;
2 not started; 3 something could not be read or done (see the log)";

const EVENTS_AFTER_HELP: &str = "\
Looks into the state database of the service: run it where the service runs, with the same
environment. A running service notices what was put back within a minute.

Exit codes: 0 listed, or put back; 1 the database cannot be read, or none of those to put back is
there; 2 not started; 3 some of those to put back are not there";

const CHECK_AFTER_HELP: &str = "\
Looks at settings, credentials and what they may read, the mapping against the blueprints in
Port, clocks, rate limits, webhook subscriptions, the public address, the Redis, the state
database and the rules of the incident sync. Run it where the service runs, with the same
environment.

A line each: ✓ as it should be, ✗ has to be put right, ! worth knowing

Exit codes: 0 nothing has to be put right; 2 something has";

const RUNS_AFTER_HELP: &str = "\
Looks into the state database of the service, and changes nothing there: run it where the
service runs, with the same environment.

Exit codes: 0 shown; 1 the database cannot be read, or there is no such run; 2 not started";

const EXPORT_AFTER_HELP: &str = "\
A line of JSON each on standard output, as a resync would send it; where several objects lead to
one entity, a line for each. The summary and the log go to standard error. Credentials of Port
are not needed, those of the sources are as for `portolan run`.

Exit codes: 0 all done; 1 nothing came of it; 2 not started; 3 partly done (see the log)";

const DEFAULTS_AFTER_HELP: &str = "\
A first start stores both in Port; from then on those in Port are the ones that count. Several
sources are joined: a kind that two of them have is written with its source. Without a flag for
one of them, both are printed, as two YAML documents";

const COMPLETIONS_AFTER_HELP: &str = "\
bash:  portolan completions bash > ~/.local/share/bash-completion/completions/portolan
zsh:   portolan completions zsh > a file `_portolan` in a directory of $fpath
fish:  portolan completions fish > ~/.config/fish/completions/portolan.fish";

const MAN_AFTER_HELP: &str = "\
To read it:     portolan man | man -l -
To install it:  portolan man > /usr/local/share/man/man1/portolan.1";

const MAP_USAGE: &str = "portolan map [--mapping <FILE>] [--kind <KIND>] [--explain] [FILE]...
       portolan map [--mapping <FILE>] --test <DIR> [--update]";

const MAP_AFTER_HELP: &str = "\
Prints the entities that Port would be sent, a JSON object a line, and on standard error how many
objects gave them. The kind says which resource configs of the mapping apply, and without --mapping
whose defaults; it is needed unless the mapping has one kind. Of the objects, those count that the
API would list for the selector, its dates aside. Enrichment is what the objects hold of it.

Needs no account and no network. OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS and
OCEAN__JQ_ENVIRONMENT_ALLOW_LIST say what `env` shows, as in a resync. See docs/mapping.md

Exit codes: 0 all mapped; 1 the input cannot be read, or --test found a difference; 2 the mapping
or the kind is wrong; 3 some objects failed";

const RECORD_AFTER_HELP: &str = "\
Writes a file for each kind and account, with the objects as a resync maps them, enrichment and
all, and manifest.json, which says what they are and whether everything was listed. Secrets are
masked as in the log. Names and texts stay: read them before you give them away. Changes nothing
in Port or at a vendor. `portolan map --test DIR` maps what was recorded.

Needed in the environment, as for `portolan run`: Port's credentials, and those of the accounts.
OCEAN__RESOURCES_PATH holds the mapping that --defaults means, where it is set.

Exit codes: 0 recorded; 1 nothing could be listed, or the folder not be written; 2 not started;
3 something could not be listed to its end (see the log)";

const JQ_USAGE: &str = "portolan jq <FILTER> [FILE]
       portolan jq --lines [FILE]";

const JQ_AFTER_HELP: &str = "\
Prints one line for each input: the first output of the expression, and null where there is none,
as for a field of a mapping. A field whose expression fails is null as well; here the failure is
told on standard error. Single quotes, limits and the environment are those of mappings:
OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS and OCEAN__JQ_ENVIRONMENT_ALLOW_LIST say what `env`
shows, without what holds a secret. Needs no other setting, no account and no network.

Exit codes: 0 done; 1 the expression failed on an input, or an input is no JSON; 2 the expression
does not compile. With --lines, whatever is wrong with a line is its answer, and the code is 0";

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
    fn every_command_is_in_one_group_of_the_help() {
        let commands = Command::augment_subcommands(clap::Command::new("portolan"));
        let mut commands: Vec<&str> = commands
            .get_subcommands()
            .map(clap::Command::get_name)
            .chain(["help"])
            .collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        commands.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("soon").is_err());
        assert!(duration("-1s").is_err());
    }
}
