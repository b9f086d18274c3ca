//! `portolan reconcile`: one pass of the incident sync, told step by step.

use std::fmt::Write as _;

use tokio_util::sync::CancellationToken;

use super::Exit;
use super::incident_sync::{self, IncidentSync};
use super::logging;
use super::output::print;
use super::signals::{self, Ended};
use crate::cli::ReconcileArguments;
use crate::reconcile::model::ComponentId;
use crate::reconcile::plan::Withheld;
use crate::reconcile::report::PageReport;
use crate::reconcile::{Applied, Ask, Mode, Outcome, Report};
use crate::settings::{Overrides, SyncMode};
use crate::store::Store;

/// Runs the command to its end.
pub(super) async fn run(arguments: ReconcileArguments) -> Exit {
    // The one pass is its own business, not the catalog's: nothing goes to Port.
    let (loaded, _logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        incident_sync_mode: arguments.plan.then_some(SyncMode::Plan),
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let settings = &loaded.settings;
    let store = Store::open(&settings.state_path).await;
    let sync = match incident_sync::set_up(settings, &store) {
        Ok(Some(sync)) => sync,
        Ok(None) => {
            tracing::error!(
                "Nothing to reconcile: the incident sync is off. Hint: set OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE to \
                 plan or apply, or use --plan to see what it would do"
            );
            return Exit::NotStarted;
        }
        Err(exit) => return exit,
    };
    let stop = CancellationToken::new();
    let Ended { result, signal } = signals::obey(pass(&sync, &arguments, &stop), &stop).await;
    let exit = match result {
        Some(report) => {
            print(&if arguments.json {
                json(&report)
            } else {
                told(&report)
            });
            incident_sync::exit(&report)
        }
        None => Exit::Failed,
    };
    signal.map_or(exit, Exit::Signalled)
}

async fn pass(
    sync: &IncidentSync,
    arguments: &ReconcileArguments,
    stop: &CancellationToken,
) -> Report {
    let mode = if arguments.plan {
        Mode::Plan
    } else {
        sync.mode
    };
    let ask = Ask {
        mode,
        with_subscribers: mode == Mode::Plan,
    };
    sync.reconciler.pass(ask, stop).await
}

fn json(report: &Report) -> String {
    // Plain data, which JSON can hold.
    serde_json::to_string_pretty(report).unwrap_or_default()
}

/// The report for people.
fn told(report: &Report) -> String {
    let mut text = steps(report);
    if report.mode != Mode::Apply && report.count(Outcome::Planned) > 0 {
        line(&mut text, "Nothing was changed: the mode is `plan`.");
    }
    text.trim_end().to_owned()
}

/// What would be done, or was, for people.
pub(super) fn steps(report: &Report) -> String {
    let mut text = String::new();
    for page in &report.pages {
        tell_page(&mut text, page);
    }
    if report.pages.is_empty() && report.problems.is_empty() {
        line(&mut text, "There is no status page to keep in step.");
    }
    for problem in report.problems.iter().chain(&report.unknown_components) {
        line(&mut text, &format!("! {problem}"));
    }
    text
}

fn tell_page(text: &mut String, report: &PageReport) {
    let page = &report.page;
    let steps = match report.steps.len() {
        0 => "nothing to do".to_owned(),
        1 => "1 step".to_owned(),
        several => format!("{several} steps"),
    };
    let withheld = match report.withheld.len() {
        0 => String::new(),
        several => format!(", {several} withheld"),
    };
    line(
        text,
        &format!("Status page {} ({}): {steps}{withheld}", page.name, page.id),
    );
    line(text, "");
    for applied in &report.steps {
        tell_step(text, applied, report);
    }
    for withheld in &report.withheld {
        tell_withheld(text, withheld, report);
    }
}

fn tell_step(text: &mut String, applied: &Applied, report: &PageReport) {
    let Applied {
        step,
        outcome,
        detail,
    } = applied;
    let what = match &step.incident {
        Some(id) => format!("{id}, which stands for {}", step.key),
        None => step.key.to_string(),
    };
    let verdict = match outcome {
        Outcome::Planned => "would",
        Outcome::Done => "done:",
        Outcome::Skipped => "skipped:",
        Outcome::Refused => "failed:",
        Outcome::Unknown => "in doubt:",
    };
    line(text, &format!("- {verdict} {} {what}", step.kind.as_str()));
    let mut fact = |name: &str, value: &str| fact(text, name, value);
    fact("because", &step.reason);
    if let Some(detail) = detail {
        fact("but", detail);
    }
    if let Some(name) = &step.name {
        fact("name", name);
    }
    if let Some(status) = &step.status {
        fact("status", status);
    }
    if !step.components.is_empty() {
        let components: Vec<String> = step
            .components
            .iter()
            .map(|(id, status)| format!("{} → {}", named(id, report), status.as_str()))
            .collect();
        fact("components", &components.join(", "));
    }
    if step.is_public() {
        let audience = match (step.notify, report.subscribers) {
            (false, _) => "nobody".to_owned(),
            (true, Some(1)) => "1 subscriber".to_owned(),
            (true, Some(count)) => format!("{count} subscribers"),
            (true, None) => "all subscribers".to_owned(),
        };
        fact("notifies", &audience);
    }
    if let Some(body) = &step.body {
        line(text, "");
        for paragraph in body.lines() {
            line(text, &format!("    | {paragraph}"));
        }
    }
    line(text, "");
}

fn tell_withheld(text: &mut String, withheld: &Withheld, report: &PageReport) {
    let what = match &withheld.incident {
        Some(id) => format!("{id}, which stands for {}", withheld.key),
        None => withheld.key.to_string(),
    };
    line(text, &format!("- withheld: {what}"));
    fact(text, "because", &withheld.detail);
    if !withheld.components.is_empty() {
        let components = withheld.components.iter().map(|id| named(id, report));
        let components: Vec<String> = components.collect();
        fact(text, "components", &components.join(", "));
    }
    if let Some(due) = withheld.due {
        fact(text, "until", &format!("{due:.0}"));
    }
    line(text, "");
}

/// A component by its name, which people know, and its identifier.
fn named(id: &ComponentId, report: &PageReport) -> String {
    match report.names.get(id) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_string(),
    }
}

fn fact(text: &mut String, name: &str, value: &str) {
    line(text, &format!("    {name:<11} {value}"));
}

fn line(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    writeln!(text, "{line}").unwrap_or_default();
}
