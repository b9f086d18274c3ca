//! `portolan sandbox`: a resync to watch, against simulators in this process.
//!
//! It takes the very path of `portolan run`: settings from an environment, real
//! HTTP over loopback, the same exit code. What is not real is only the other
//! end.

use super::logging::Logging;
use super::output::{print, tell};
use super::run::execute;
use super::signals::Signals;
use super::{Exit, summary};
use crate::cli::SandboxArguments;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::settings::{self, Inputs, Overrides};
use crate::store;

/// Blueprints of which an entity is shown: one of each source.
const SHOWN: [&str; 3] = ["statuspageComponent", "pagerdutyService", "opsGenieAlert"];

/// Runs the command to its end.
pub(super) async fn run(arguments: SandboxArguments) -> Exit {
    let options = SandboxOptions {
        dataset: arguments.dataset,
        times: arguments.times,
        latency: arguments.latency,
        faults: arguments.faults,
        rate_limits: arguments.rate_limits,
        seed: arguments.seed,
    };
    let sandbox = match Sandbox::start(options).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            tell(&format_args!(
                "error: could not start the simulators: {error}"
            ));
            return Exit::Failed;
        }
    };
    if arguments.serve {
        return serve(sandbox).await;
    }

    let inputs = Inputs {
        environment: sandbox
            .environment()
            .into_iter()
            // Nothing of a show is worth remembering.
            .chain([("OCEAN__STATE_PATH".to_owned(), store::IN_MEMORY.to_owned())])
            .map(|(name, value)| (name, value.into()))
            .collect(),
        // A directory with neither .env nor config.yaml of somebody's own.
        directory: "/nonexistent".into(),
        overrides: Overrides::default(),
    };
    let loaded = match settings::load(inputs) {
        Ok(loaded) => loaded,
        Err(problems) => {
            tell(&problems);
            return Exit::NotStarted;
        }
    };
    let logging = Logging::start(&loaded);
    let finished = execute(&loaded.settings, &logging).await;
    if let Some(report) = &finished.report {
        print(&summary::table(report));
        show(&sandbox);
    }
    sandbox.stop().await;
    finished.exit
}

/// Keeps the simulators up until somebody ends them.
async fn serve(sandbox: Sandbox) -> Exit {
    for (name, value) in sandbox.environment() {
        print(&format!("export {name}={}", quoted(&value)));
    }
    print(
        "# The simulators are up until Ctrl-C. Paste these lines into another shell, then: portolan run\n\
         # or, to see which public incidents would follow those of people on call: portolan reconcile --plan",
    );
    print(&remote_control(&sandbox));
    Signals::listen().next().await;
    sandbox.stop().await;
    Exit::Done
}

/// How to change the company from another shell and see what comes of it.
fn remote_control(sandbox: &Sandbox) -> String {
    let [port, statuspage, pagerduty, opsgenie] = [
        sandbox.port.url(),
        sandbox.statuspage.url(),
        sandbox.pagerduty.url(),
        sandbox.opsgenie.url(),
    ];
    format!(
        "# What they hold can be changed, and what they were asked be seen, below /sandbox/ of each; that is no part of
# any vendor's API, needs no credential and is counted nowhere. Change something, run again and count the writes:
#   curl {statuspage}sandbox/objects/component  # or statuspage, component_group, incident
#   curl {pagerduty}sandbox/objects/services  # or incidents, users, schedules, oncalls, escalation_policies
#   curl {opsgenie}sandbox/objects/alerts  # or incidents, services, teams, schedules, users
#   curl -X PATCH {pagerduty}sandbox/objects/incidents/ID -d '{{\"status\": \"acknowledged\"}}'  # or triggered, resolved
#   curl -X PUT {opsgenie}sandbox/oncalls/SCHEDULE -d '[\"somebody@example.com\"]'  # who is on call now
#   curl -X PATCH {statuspage}sandbox/objects/component/ID -d '{{\"name\": \"Renamed\"}}'
#   curl -X POST {statuspage}sandbox/objects/component -d '{{\"id\": \"new\", \"page_id\": \"ID\", \"name\": \"New\", \"group\": false}}'
#   curl -X DELETE {statuspage}sandbox/objects/component/ID
#   curl -X DELETE {port}sandbox/requests  # forget what was asked so far
#   curl '{port}sandbox/requests?method=POST&path=*/bulk'  # what was written since
#   curl {port}sandbox/entities/statuspageComponent  # what the catalog holds
#   curl -X POST {port}sandbox/resync-request  # as the button in Port does"
    )
}

/// A word for a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A few of the entities that are in Port now.
fn show(sandbox: &Sandbox) {
    print("\nThree of the entities that the simulated Port holds now:");
    for blueprint in SHOWN {
        if let Some(entity) = sandbox.port.entities(blueprint).into_values().next() {
            print(&entity.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_shell() {
        assert_eq!(quoted(r#"{"type":"ONCE"}"#), r#"'{"type":"ONCE"}'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
