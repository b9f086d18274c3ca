//! What the log says of a resync: a line for each kind, one for each thing that
//! somebody should look at, and one for the whole. Nothing is said twice.
//!
//! Every line about a kind carries the kind as the mapping writes it and the
//! place of the resource config, so that a log can be searched by either.

use std::sync::Arc;

use super::deletion_log;
use super::report::{Ending, KindReport, ResyncReport};
use crate::mapping::{Cause, Finding, Severity};
use crate::resource_config::ResourceConfig;

/// Says how each kind went, and then the whole.
pub(super) fn report(report: &ResyncReport, configs: &[Arc<ResourceConfig>]) {
    for (kind, config) in report.kinds.iter().zip(configs) {
        // Of the highest level, so that the fields are there at every log level.
        let of_kind =
            tracing::error_span!("kind", kind = %config.kind_text, resource = config.index);
        of_kind.in_scope(|| {
            outcome(kind);
            findings(kind);
            refusals(kind);
            collisions(kind);
        });
    }
    deletion_log::report(&report.deletion);
    whole(report);
}

/// What an export ran into. How many it came to is told elsewhere.
pub(super) fn export(report: &ResyncReport, configs: &[Arc<ResourceConfig>]) {
    for (kind, config) in report.kinds.iter().zip(configs) {
        let of_kind =
            tracing::error_span!("kind", kind = %config.kind_text, resource = config.index);
        of_kind.in_scope(|| {
            for error in &kind.errors {
                tracing::error!("`{}` is incomplete: {error}", kind.kind);
            }
            findings(kind);
        });
    }
}

fn outcome(kind: &KindReport) {
    let (written, unchanged) = (kind.written.stored, kind.written.unchanged);
    let Some((error, more)) = kind.errors.split_first() else {
        tracing::info!(
            fetched = kind.fetched,
            filtered = kind.filtered,
            mapped = kind.mapped,
            written,
            unchanged,
            failed = kind.failed(),
            duration_ms = milliseconds(kind.duration),
            "Resynced {} entities of `{}`, {written} of them changed",
            written + unchanged,
            kind.kind
        );
        return;
    };
    tracing::error!(
        fetched = kind.fetched,
        filtered = kind.filtered,
        mapped = kind.mapped,
        written,
        unchanged,
        failed = kind.failed(),
        duration_ms = milliseconds(kind.duration),
        "`{}` is incomplete, {} entities were resynced: {error}",
        kind.kind,
        written + unchanged
    );
    for error in more {
        tracing::error!("`{}` is incomplete: {error}", kind.kind);
    }
}

fn findings(kind: &KindReport) {
    let mut always_null = Vec::new();
    for finding in kind.findings.iter() {
        match (finding.severity, finding.cause) {
            (Severity::Error, _) => tracing::error!("{finding}"),
            // A null is what the API gave, as a rule. Only where no object has
            // a value it may be a path that does not exist.
            (Severity::Warning, Cause::Null) => {
                tracing::debug!("{finding}");
                if finding.count >= kind.mapped {
                    always_null.push(field(finding));
                }
            }
            (Severity::Warning, _) => tracing::warn!("{finding}"),
        }
    }
    if !always_null.is_empty() {
        let fields = always_null.join(", ");
        tracing::info!(
            fields,
            "No object of `{}` has a value for {fields}; look for a misspelt path if that is a surprise",
            kind.kind
        );
    }
}

/// `properties.startDate` of `resources[3].port.entity.mappings.properties.startDate`.
fn field(finding: &Finding) -> &str {
    finding
        .path
        .split_once(".mappings.")
        .map_or(finding.path.as_str(), |(_, field)| field)
}

fn refusals(kind: &KindReport) {
    for refusal in &kind.written.refusals {
        tracing::error!(
            blueprint = %refusal.blueprint,
            entity = %refusal.identifier,
            "Port refused `{}` of blueprint `{}`: {}",
            refusal.identifier,
            refusal.blueprint,
            refusal.reason
        );
    }
    let named = kind.written.refusals.len() as u64;
    if kind.written.refused > named {
        tracing::error!(
            refused = kind.written.refused,
            "Port refused {} more entities of `{}`",
            kind.written.refused - named,
            kind.kind
        );
    }
}

fn collisions(kind: &KindReport) {
    if let Some(sample) = &kind.written.collision {
        let collisions = kind.written.collisions;
        tracing::warn!(
            collisions,
            "`{}` gave an identifier twice for {collisions} of its objects, `{sample}` for example; the later object was kept. \
             Hint: an identifier expression that tells them apart keeps both",
            kind.kind
        );
    }
}

fn whole(report: &ResyncReport) {
    let (written, unchanged) = (report.stored(), report.unchanged());
    let deleted = report.deletion.deleted_in_all();
    let withheld = report.deletion.withheld_in_all();
    let failed: u64 = report.kinds.iter().map(KindReport::failed).sum();
    let duration_ms = milliseconds(report.duration);
    let seconds = report.duration.as_secs_f64();
    let (resync, trigger) = (report.id, report.trigger);
    // Every line of it carries the same facts.
    macro_rules! say {
        ($level:ident, $($message:tt)*) => {
            tracing::$level!(
                %resync, %trigger, written, unchanged, deleted, withheld, failed, duration_ms,
                $($message)*
            )
        };
    }
    if report.stopped {
        say!(
            warn,
            "Resync stopped after {seconds:.1} s: {written} entities written, nothing deleted"
        );
        return;
    }
    match report.ending() {
        Ending::Done => say!(
            info,
            "Resync done: {written} entities written, {unchanged} unchanged, {deleted} deleted in {seconds:.1} s"
        ),
        Ending::Partly => say!(
            warn,
            "Resync partly done: {written} entities written, {unchanged} unchanged, {deleted} deleted, {failed} failed in {seconds:.1} s; the lines above say why"
        ),
        Ending::Failed => say!(
            warn,
            "Resync failed: nothing written in {seconds:.1} s; the errors above say why"
        ),
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Refusal, Written};
    use crate::jq::{Jq, Limits};
    use crate::resource_config::parse_value;
    use crate::settings::SourceName;
    use crate::telemetry::{self, LogFormat, LogLevel, Masker};

    /// What a resync of these kinds logs on a terminal, without the time.
    fn logged(kinds: Vec<KindReport>) -> String {
        let resources: Vec<_> = kinds
            .iter()
            .map(|_| {
                json!({"kind": "incident", "selector": {"query": true}, "port": {"entity": {"mappings":
                    {"identifier": ".id", "blueprint": "\"thing\""}}}})
            })
            .collect();
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        let configs = parse_value(
            &json!({ "resources": resources }),
            "a test",
            &[SourceName::Statuspage],
            &jq,
        );
        let configs = configs.unwrap().document.resources;
        let finished = ResyncReport {
            id: Uuid::nil(),
            duration: Duration::from_millis(1_260),
            kinds,
            ..ResyncReport::default()
        };

        let lines = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&lines);
        let sink: telemetry::Sink = Arc::new(move |line| {
            let line = std::str::from_utf8(line).unwrap();
            let (_time, rest) = line.split_once(' ').unwrap();
            written.lock().unwrap().push_str(rest);
        });
        let format = LogFormat::Human { colour: false };
        let subscriber = telemetry::subscriber(LogLevel::Info, format, Masker::new(&[]), sink);
        tracing::subscriber::with_default(subscriber, || report(&finished, &configs));
        lines.lock().unwrap().clone()
    }

    fn kind(stored: u64) -> KindReport {
        KindReport {
            kind: "incident".to_owned(),
            fetched: 9,
            filtered: 2,
            mapped: 7,
            written: Written {
                stored,
                ..Written::default()
            },
            duration: Duration::from_millis(250),
            ..KindReport::default()
        }
    }

    #[test]
    fn a_kind_that_is_done_is_one_line_and_the_whole_another() {
        insta::assert_snapshot!(logged(vec![kind(7)]), @"
        INFO    Resynced 7 entities of `incident`, 7 of them changed  kind=incident  resource=0  fetched=9  filtered=2  mapped=7  written=7  unchanged=0  failed=0  duration_ms=250
        INFO    Resync done: 7 entities written, 0 unchanged, 0 deleted in 1.3 s  resync=00000000-0000-0000-0000-000000000000  trigger=once  written=7  unchanged=0  deleted=0  withheld=0  failed=0  duration_ms=1260
        ");
    }

    #[test]
    fn a_kind_that_is_incomplete_says_so_instead_of_being_resynced() {
        let mut incomplete = kind(3);
        incomplete.errors = vec![
            "could not list incidents: GET http://h/v1/x answered 500".to_owned(),
            "mapping incidents: a panic".to_owned(),
        ];

        insta::assert_snapshot!(logged(vec![incomplete]), @"
        ERROR   `incident` is incomplete, 3 entities were resynced: could not list incidents: GET http://h/v1/x answered 500  kind=incident  resource=0  fetched=9  filtered=2  mapped=7  written=3  unchanged=0  failed=0  duration_ms=250
        ERROR   `incident` is incomplete: mapping incidents: a panic  kind=incident  resource=0
        WARNING Resync partly done: 3 entities written, 0 unchanged, 0 deleted, 0 failed in 1.3 s; the lines above say why  resync=00000000-0000-0000-0000-000000000000  trigger=once  written=3  unchanged=0  deleted=0  withheld=0  failed=0  duration_ms=1260
        ");
    }

    #[test]
    fn refused_entities_are_named_until_there_are_too_many() {
        let mut refused = kind(4);
        refused.written.refused = 3;
        refused.written.refusals = vec![Refusal {
            blueprint: "thing".to_owned(),
            identifier: "a-1".to_owned(),
            reason: "`position` must be a number".to_owned(),
        }];

        insta::assert_snapshot!(logged(vec![refused]), @"
        INFO    Resynced 4 entities of `incident`, 4 of them changed  kind=incident  resource=0  fetched=9  filtered=2  mapped=7  written=4  unchanged=0  failed=3  duration_ms=250
        ERROR   Port refused `a-1` of blueprint `thing`: `position` must be a number  kind=incident  resource=0  blueprint=thing  entity=a-1
        ERROR   Port refused 2 more entities of `incident`  kind=incident  resource=0  refused=3
        WARNING Resync partly done: 4 entities written, 0 unchanged, 0 deleted, 3 failed in 1.3 s; the lines above say why  resync=00000000-0000-0000-0000-000000000000  trigger=once  written=4  unchanged=0  deleted=0  withheld=0  failed=3  duration_ms=1260
        ");
    }

    #[test]
    fn identifiers_that_collide_are_told_once_with_a_remedy() {
        let mut collided = kind(7);
        collided.written.collisions = 2;
        collided.written.collision = Some("P1--".to_owned());

        insta::assert_snapshot!(logged(vec![collided]), @"
        INFO    Resynced 7 entities of `incident`, 7 of them changed  kind=incident  resource=0  fetched=9  filtered=2  mapped=7  written=7  unchanged=0  failed=0  duration_ms=250
        WARNING `incident` gave an identifier twice for 2 of its objects, `P1--` for example; the later object was kept. Hint: an identifier expression that tells them apart keeps both  kind=incident  resource=0  collisions=2
        INFO    Resync done: 7 entities written, 0 unchanged, 0 deleted in 1.3 s  resync=00000000-0000-0000-0000-000000000000  trigger=once  written=7  unchanged=0  deleted=0  withheld=0  failed=0  duration_ms=1260
        ");
    }

    #[test]
    fn a_resync_without_any_result_has_failed() {
        let mut nothing = kind(0);
        nothing.errors = vec!["could not list incidents".to_owned()];

        insta::assert_snapshot!(logged(vec![nothing]), @"
        ERROR   `incident` is incomplete, 0 entities were resynced: could not list incidents  kind=incident  resource=0  fetched=9  filtered=2  mapped=7  written=0  unchanged=0  failed=0  duration_ms=250
        WARNING Resync failed: nothing written in 1.3 s; the errors above say why  resync=00000000-0000-0000-0000-000000000000  trigger=once  written=0  unchanged=0  deleted=0  withheld=0  failed=0  duration_ms=1260
        ");
    }
}
