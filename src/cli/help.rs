//! What the help says beside flags and their descriptions: the commands in groups,
//! what a command needs, and how it ends.

use std::collections::BTreeMap;

use clap::Subcommand;
use clap::builder::Styles;

use super::Command;

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
pub(super) fn template() -> String {
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

pub(super) const AFTER_HELP: &str = "\
Settings come from the environment (OCEAN__…), .env and config.yaml; see docs/configuration.md

Exit codes:
  0  all done
  1  failed: nothing came of the resync, or no status page could be read (see the log)
  2  not started: the command line, the settings or the credentials are wrong
  3  partly done: a kind, an entity or a step failed, or something was withheld (see the log)
  4  planned with --exit-code, and there is something to do

Stopped by a signal: 128 and its number, such as 130 for Ctrl-C";

pub(super) const RUN_AFTER_HELP: &str = "\
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

pub(super) const PLAN_AFTER_HELP: &str = "\
Reads everything that a resync reads, and runs the resync against a draft of the catalog: what it
says is what `portolan run --once` would do now. Where the incident sync is on, it says as well
which public incidents would be opened, changed and resolved. Nothing is written to anybody;
--validate sends the entities to Port to be checked only. See docs/plan.md

Needs the same environment as `portolan run`.

Exit codes: 0 planned; 1 failed: nothing could be read, or the mapping in Port is wrong;
2 not started; 3 partly: a kind or an entity would fail, or a deletion be withheld;
4 with --exit-code: planned, and there is something to do";

pub(super) const RECONCILE_AFTER_HELP: &str = "\
Opens, changes and resolves public incidents as far as the mode lets it: `plan` (the default) only
says what it would do, `apply` does it, and --plan makes any mode a plan. Port is not needed.

Needed in the environment, as for `portolan run`: a Statuspage key, and a PagerDuty or Opsgenie
account; or Pagerstatus' own STATUSPAGE_PAGE, STATUSPAGE_KEY and PD_ACCOUNT_<NAME>, which make
`apply` the default. OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE sets the mode, and
OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC or …_FILE the rules and texts; see docs/incident-sync.md

Exit codes: 0 everything is as it ought to be, or planned; 1 no status page could be read;
2 not started; 3 something could not be read or done (see the log)";

pub(super) const EVENTS_AFTER_HELP: &str = "\
Looks into the state database of the service: run it where the service runs, with the same
environment. A running service notices what was put back within a minute.

Exit codes: 0 listed, or put back; 1 the database cannot be read, or none of those to put back is
there; 2 not started; 3 some of those to put back are not there";

pub(super) const CHECK_AFTER_HELP: &str = "\
Looks at settings, credentials and what they may read, the mapping against the blueprints in
Port, clocks, rate limits, webhook subscriptions, the public address, the Redis, the state
database and the rules of the incident sync. Run it where the service runs, with the same
environment.

A line each: ✓ as it should be, ✗ has to be put right, ! worth knowing

Exit codes: 0 nothing has to be put right; 2 something has";

pub(super) const RUNS_AFTER_HELP: &str = "\
Looks into the state database of the service, and changes nothing there: run it where the
service runs, with the same environment.

Exit codes: 0 shown; 1 the database cannot be read, or there is no such run; 2 not started";

pub(super) const EXPORT_AFTER_HELP: &str = "\
A line of JSON each on standard output, as a resync would send it; where several objects lead to
one entity, a line for each. The summary and the log go to standard error. Credentials of Port
are not needed, those of the sources are as for `portolan run`.

Exit codes: 0 all done; 1 nothing came of it; 2 not started; 3 partly done (see the log)";

pub(super) const DEFAULTS_AFTER_HELP: &str = "\
A first start stores both in Port; from then on those in Port are the ones that count. Several
sources are joined: a kind that two of them have is written with its source. Without a flag for
one of them, both are printed, as two YAML documents";

pub(super) const COMPLETIONS_AFTER_HELP: &str = "\
bash:  portolan completions bash > ~/.local/share/bash-completion/completions/portolan
zsh:   portolan completions zsh > a file `_portolan` in a directory of $fpath
fish:  portolan completions fish > ~/.config/fish/completions/portolan.fish";

pub(super) const MAN_AFTER_HELP: &str = "\
To read it:     portolan man | man -l -
To install it:  portolan man > /usr/local/share/man/man1/portolan.1";

pub(super) const MAP_USAGE: &str =
    "portolan map [--mapping <FILE>] [--kind <KIND>] [--explain] [FILE]...
       portolan map [--mapping <FILE>] --test <DIR> [--update]";

pub(super) const MAP_AFTER_HELP: &str = "\
Prints the entities that Port would be sent, a JSON object a line, and on standard error how many
objects gave them. The kind says which resource configs of the mapping apply, and without --mapping
whose defaults; it is needed unless the mapping has one kind. Of the objects, those count that the
API would list for the selector, its dates aside. Enrichment is what the objects hold of it.

Needs no account and no network. OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS and
OCEAN__JQ_ENVIRONMENT_ALLOW_LIST say what `env` shows, as in a resync. See docs/mapping.md

Exit codes: 0 all mapped; 1 the input cannot be read, or --test found a difference; 2 the mapping
or the kind is wrong; 3 some objects failed";

pub(super) const RECORD_AFTER_HELP: &str = "\
Writes a file for each kind and account, with the objects as a resync maps them, enrichment and
all, and manifest.json, which says what they are and whether everything was listed. Secrets are
masked as in the log. Names and texts stay: read them before you give them away. Changes nothing
in Port or at a vendor. `portolan map --test DIR` maps what was recorded.

Needed in the environment, as for `portolan run`: Port's credentials, and those of the accounts.
OCEAN__RESOURCES_PATH holds the mapping that --defaults means, where it is set.

Exit codes: 0 recorded; 1 nothing could be listed, or the folder not be written; 2 not started;
3 something could not be listed to its end (see the log)";

pub(super) const JQ_USAGE: &str = "portolan jq <FILTER> [FILE]
       portolan jq --lines [FILE]";

pub(super) const JQ_AFTER_HELP: &str = "\
Prints one line for each input: the first output of the expression, and null where there is none,
as for a field of a mapping. A field whose expression fails is null as well; here the failure is
told on standard error. Single quotes, limits and the environment are those of mappings:
OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS and OCEAN__JQ_ENVIRONMENT_ALLOW_LIST say what `env`
shows, without what holds a secret. Needs no other setting, no account and no network.

Exit codes: 0 done; 1 the expression failed on an input, or an input is no JSON; 2 the expression
does not compile. With --lines, whatever is wrong with a line is its answer, and the code is 0";

#[cfg(test)]
mod tests {
    use super::*;

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
}
