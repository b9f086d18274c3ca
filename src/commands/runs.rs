//! `portolan runs`: what resyncs did, and what incident sync did step by step, from the
//! state database.
//!
//! It only looks into the file, which SQLite allows while a service works with it, and
//! never makes one.

use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::Exit;
use super::events::shortened;
use super::logging;
use super::output::print;
use crate::causes::one_line;
use crate::cli::RunsArguments;
use crate::settings::Overrides;
use crate::store::{
    IN_MEMORY, KindRecord, Outcome, RunRecord, Store, SyncOutcome, SyncStepRecord, WithheldRecord,
};

/// What is shown of a run that has no outcome: it runs, or its process ended before it
/// did and no other has begun since.
const NOT_ENDED: &str = "not ended";

/// Runs the command to its end.
pub(super) async fn run(arguments: RunsArguments) -> Exit {
    let (loaded, _logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let store = match open(&loaded.settings.state_path).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    // What cannot be read has been said.
    let shown = match &arguments.run {
        Some(wanted) => one(&store, wanted, arguments.json).await,
        None => newest(&store, arguments.limit, arguments.json).await,
    };
    match shown {
        Some(text) => print(&text),
        None => Exit::Failed,
    }
}

async fn open(path: &Path) -> Result<Store, Exit> {
    if path == Path::new(IN_MEMORY) {
        tracing::error!(
            "There is nothing to look into: OCEAN__STATE_PATH is `{IN_MEMORY}`, so the history is in the memory of the service"
        );
        return Err(Exit::NotStarted);
    }
    let shown = path.display();
    if !path.exists() {
        tracing::error!(
            "There is no state database {shown}. Hint: run this where the service runs, with the same environment"
        );
        return Err(Exit::NotStarted);
    }
    Store::look_into(path).await.map_err(|error| {
        tracing::error!("Cannot look into {shown}: {}", one_line(&error));
        Exit::Failed
    })
}

async fn newest(store: &Store, limit: u32, as_json: bool) -> Option<String> {
    let runs = store.runs(limit).await?;
    let steps = store.sync_steps(limit).await?;
    Some(if as_json {
        let document = json!({
            "runs": runs.iter().map(run_as_json).collect::<Vec<_>>(),
            "steps": steps.iter().map(step_as_json).collect::<Vec<_>>(),
        });
        pretty(&document)
    } else {
        for_people(&runs, &steps)
    })
}

async fn one(store: &Store, wanted: &str, as_json: bool) -> Option<String> {
    // As many as are remembered.
    let runs = store.runs(u32::MAX).await?;
    let is_wanted = |run: &&RunRecord| {
        let resync = run.resync.map(|resync| resync.to_string());
        run.number.to_string() == wanted || resync.as_deref() == Some(wanted)
    };
    let Some(run) = runs.iter().find(is_wanted) else {
        tracing::error!(
            "There is no run `{wanted}`. Hint: `portolan runs` lists them by their identifiers; the last thousand are kept"
        );
        return None;
    };
    Some(if as_json {
        pretty(&run_as_json(run))
    } else {
        in_detail(run)
    })
}

/// Plain data, which JSON can hold.
fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

fn run_as_json(run: &RunRecord) -> Value {
    let totals = run.totals;
    json!({
        "id": run.number,
        "resync": run.resync.map(|resync| resync.to_string()),
        "trigger": run.trigger,
        "started": run.started,
        "ended": run.ended,
        "seconds": run.duration.map(|duration| duration.as_secs_f64()),
        "outcome": run.outcome.map(Outcome::as_str),
        "error": run.error,
        "written": totals.written,
        "unchanged": totals.unchanged,
        "failed": totals.failed,
        "deleted": totals.deleted,
        "withheld": totals.withheld,
        "kinds": run.kinds.iter().map(kind_as_json).collect::<Vec<_>>(),
        "not_deleted": run.withheld.iter().map(withheld_as_json).collect::<Vec<_>>(),
    })
}

fn kind_as_json(kind: &KindRecord) -> Value {
    json!({
        "resource": kind.resource,
        "kind": kind.kind,
        "fetched": kind.fetched,
        "filtered": kind.filtered,
        "mapped": kind.mapped,
        "written": kind.written,
        "unchanged": kind.unchanged,
        "failed": kind.failed,
        "seconds": kind.duration.as_secs_f64(),
        "complete": kind.is_complete,
        "errors": kind.errors,
    })
}

fn withheld_as_json(withheld: &WithheldRecord) -> Value {
    json!({
        "blueprint": withheld.blueprint,
        "entities": withheld.entities,
        "rate": withheld.rate,
        "reason": withheld.reason,
        "detail": withheld.detail,
    })
}

fn step_as_json(step: &SyncStepRecord) -> Value {
    json!({
        "began": step.began,
        "ended": step.ended,
        "page": step.page,
        "incident": step.incident,
        "about": step.key,
        "step": step.kind.as_str(),
        "components": step.components,
        "reason": step.reason,
        "mode": step.mode.as_str(),
        "outcome": step.outcome.map(SyncOutcome::as_str),
        "detail": step.detail,
    })
}

/// The newest of both. What never was is not mentioned.
fn for_people(runs: &[RunRecord], steps: &[SyncStepRecord]) -> String {
    if runs.is_empty() && steps.is_empty() {
        return "Nothing has run yet.".to_owned();
    }
    let mut parts = Vec::new();
    if !runs.is_empty() {
        parts.push(format!("Resyncs\n\n{}", table_of_runs(runs)));
    }
    if !steps.is_empty() {
        parts.push(format!("Incident sync\n\n{}", table_of_steps(steps)));
    }
    parts.join("\n\n")
}

fn table_of_runs(runs: &[RunRecord]) -> Table {
    let mut table = table(&[
        "id",
        "started",
        "trigger",
        "outcome",
        "seconds",
        "written",
        "unchanged",
        "failed",
        "deleted",
        "withheld",
    ]);
    for run in runs {
        let totals = run.totals;
        let mut row = vec![
            run.number.to_string(),
            format!("{:.0}", run.started),
            run.trigger.clone(),
            outcome(run).to_owned(),
            seconds(run),
        ];
        let counts = [
            totals.written,
            totals.unchanged,
            totals.failed,
            totals.deleted,
            totals.withheld,
        ];
        row.extend(counts.iter().map(u64::to_string));
        table.add_row(row);
    }
    align_right_from(&mut table, 4);
    table
}

fn table_of_steps(steps: &[SyncStepRecord]) -> Table {
    let mut table = table(&[
        "began", "page", "step", "about", "incident", "mode", "outcome", "because",
    ]);
    for step in steps {
        let because = match &step.detail {
            Some(detail) => format!("{}; {detail}", step.reason),
            None => step.reason.clone(),
        };
        table.add_row([
            format!("{:.0}", step.began),
            step.page.clone(),
            step.kind.as_str().to_owned(),
            shortened(&step.key),
            step.incident.clone().unwrap_or_default(),
            step.mode.as_str().to_owned(),
            step.outcome
                .map_or(NOT_ENDED, |outcome| outcome.as_str())
                .to_owned(),
            shortened(&because),
        ]);
    }
    table
}

/// Everything that is remembered of one run.
fn in_detail(run: &RunRecord) -> String {
    let mut facts = vec![("run", run.number.to_string())];
    facts.extend(run.resync.map(|resync| ("resync", resync.to_string())));
    facts.push(("trigger", run.trigger.clone()));
    facts.push(("started", format!("{:.0}", run.started)));
    if let Some(ended) = run.ended {
        facts.push(("ended", format!("{ended:.0}, after {} s", seconds(run))));
    }
    facts.push(("outcome", outcome(run).to_owned()));
    facts.push(("deleted", run.totals.deleted.to_string()));
    facts.extend(run.error.clone().map(|error| ("error", error)));
    let facts = facts
        .iter()
        .map(|(name, value)| format!("{name:<9} {value}"));
    let mut parts = vec![facts.collect::<Vec<_>>().join("\n")];
    if !run.kinds.is_empty() {
        parts.push(table_of_kinds(&run.kinds).to_string());
    }
    for kind in run.kinds.iter().filter(|kind| !kind.errors.is_empty()) {
        let errors = kind.errors.iter().map(|error| format!("  - {error}"));
        let errors = errors.collect::<Vec<_>>().join("\n");
        parts.push(format!("{}:\n{errors}", named(kind)));
    }
    if !run.withheld.is_empty() {
        parts.push(table_of_withheld(&run.withheld).to_string());
    }
    parts.join("\n\n")
}

fn table_of_kinds(kinds: &[KindRecord]) -> Table {
    let mut table = table(&[
        "kind",
        "fetched",
        "filtered",
        "mapped",
        "written",
        "unchanged",
        "failed",
        "seconds",
    ]);
    for kind in kinds {
        let name = if kind.is_complete {
            named(kind)
        } else {
            format!("{} (incomplete)", named(kind))
        };
        let counts = [
            kind.fetched,
            kind.filtered,
            kind.mapped,
            kind.written,
            kind.unchanged,
            kind.failed,
        ];
        let mut row = vec![name];
        row.extend(counts.iter().map(u64::to_string));
        row.push(format!("{:.1}", kind.duration.as_secs_f64()));
        table.add_row(row);
    }
    align_right_from(&mut table, 1);
    table
}

fn table_of_withheld(withheld: &[WithheldRecord]) -> Table {
    let mut table = table(&["blueprint", "withheld", "because", "detail"]);
    for withheld in withheld {
        let share = withheld.rate.map(|rate| format!("{:.0} %", rate * 100.0));
        let detail: Vec<&str> = share
            .as_deref()
            .into_iter()
            .chain(withheld.detail.as_deref())
            .collect();
        table.add_row([
            withheld.blueprint.clone(),
            withheld.entities.to_string(),
            withheld.reason.clone(),
            shortened(&detail.join(", ")),
        ]);
    }
    table
}

/// By its place in the mapping, as several may be of one kind.
fn named(kind: &KindRecord) -> String {
    format!("{} (resources[{}])", kind.kind, kind.resource)
}

fn outcome(run: &RunRecord) -> &'static str {
    run.outcome.map_or(NOT_ENDED, |outcome| outcome.as_str())
}

fn seconds(run: &RunRecord) -> String {
    run.duration
        .map(|duration| format!("{:.1}", duration.as_secs_f64()))
        .unwrap_or_default()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

fn align_right_from(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{SyncMode, SyncStepKind, Totals};

    fn run_record() -> RunRecord {
        RunRecord {
            number: 7,
            resync: Some(uuid::Uuid::from_u128(1)),
            trigger: "schedule".to_owned(),
            started: "2026-02-03T04:05:06.789Z".parse().unwrap(),
            ended: Some("2026-02-03T04:06:07.789Z".parse().unwrap()),
            duration: Some(Duration::from_secs(61)),
            outcome: Some(Outcome::Partly),
            error: Some("could not read the entities of `part`".to_owned()),
            totals: Totals {
                written: 3,
                unchanged: 20,
                failed: 1,
                deleted: 2,
                withheld: 8,
            },
            kinds: vec![KindRecord {
                resource: 1,
                kind: "incident".to_owned(),
                fetched: 24,
                mapped: 24,
                written: 3,
                unchanged: 20,
                failed: 1,
                duration: Duration::from_millis(1_260),
                errors: vec!["could not list incidents".to_owned()],
                ..KindRecord::default()
            }],
            withheld: vec![WithheldRecord {
                blueprint: "page".to_owned(),
                entities: 8,
                rate: Some(0.5),
                reason: "blueprint_threshold".to_owned(),
                detail: None,
            }],
        }
    }

    fn step_record() -> SyncStepRecord {
        SyncStepRecord {
            began: "2026-02-03T04:05:06.789Z".parse().unwrap(),
            ended: None,
            page: "p1".to_owned(),
            incident: None,
            key: "component c1".to_owned(),
            kind: SyncStepKind::Open,
            components: vec!["c1".to_owned()],
            reason: "PINC7 was acknowledged".to_owned(),
            mode: SyncMode::Apply,
            outcome: Some(SyncOutcome::Refused),
            detail: Some("422 | no".to_owned()),
        }
    }

    #[test]
    fn the_newest_are_tables_for_people() {
        let running = RunRecord {
            number: 8,
            ended: None,
            duration: None,
            outcome: None,
            totals: Totals::default(),
            ..run_record()
        };

        insta::assert_snapshot!(for_people(&[running, run_record()], &[step_record()]), @r"
        Resyncs

        | id | started              | trigger  | outcome   | seconds | written | unchanged | failed | deleted | withheld |
        |----|----------------------|----------|-----------|---------|---------|-----------|--------|---------|----------|
        | 8  | 2026-02-03T04:05:06Z | schedule | not ended |         |       0 |         0 |      0 |       0 |        0 |
        | 7  | 2026-02-03T04:05:06Z | schedule | partly    |    61.0 |       3 |        20 |      1 |       2 |        8 |

        Incident sync

        | began                | page | step | about        | incident | mode  | outcome | because                           |
        |----------------------|------|------|--------------|----------|-------|---------|-----------------------------------|
        | 2026-02-03T04:05:06Z | p1   | open | component c1 |          | apply | refused | PINC7 was acknowledged; 422 \| no |
        ");
    }

    #[test]
    fn one_run_is_told_with_kinds_errors_and_what_was_withheld() {
        insta::assert_snapshot!(in_detail(&run_record()), @"
        run       7
        resync    00000000-0000-0000-0000-000000000001
        trigger   schedule
        started   2026-02-03T04:05:06Z
        ended     2026-02-03T04:06:07Z, after 61.0 s
        outcome   partly
        deleted   2
        error     could not read the entities of `part`

        | kind                                 | fetched | filtered | mapped | written | unchanged | failed | seconds |
        |--------------------------------------|---------|----------|--------|---------|-----------|--------|---------|
        | incident (resources[1]) (incomplete) |      24 |        0 |     24 |       3 |        20 |      1 |     1.3 |

        incident (resources[1]):
          - could not list incidents

        | blueprint | withheld | because             | detail |
        |-----------|----------|---------------------|--------|
        | page      | 8        | blueprint_threshold | 50 %   |
        ");
    }

    #[test]
    fn a_new_database_has_nothing_to_tell() {
        assert_eq!(for_people(&[], &[]), "Nothing has run yet.");
    }
}
