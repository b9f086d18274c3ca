//! What the log says of a resync: a line for each kind, and one for each thing
//! that somebody should look at. Nothing is said twice.

use std::sync::Arc;

use super::report::{KindReport, ResyncReport};
use crate::mapping::{Cause, Finding, Severity};
use crate::resource_config::ResourceConfig;

/// Says how each kind went.
pub(super) fn report(report: &ResyncReport, configs: &[Arc<ResourceConfig>]) {
    for (kind, config) in report.kinds.iter().zip(configs) {
        tracing::info!(
            kind = %kind.kind,
            resource = config.index,
            fetched = kind.fetched,
            filtered = kind.filtered,
            mapped = kind.mapped,
            written = kind.written.stored,
            failed = kind.failed(),
            duration_ms = u64::try_from(kind.duration.as_millis()).unwrap_or(u64::MAX),
            "Resynced {} entities of `{}`",
            kind.written.stored,
            kind.kind
        );
        for error in &kind.errors {
            tracing::error!(kind = %kind.kind, resource = config.index, "`{}` is incomplete: {error}", kind.kind);
        }
        findings(kind);
        refusals(kind);
        collisions(kind);
    }
}

fn findings(kind: &KindReport) {
    let mut always_null = Vec::new();
    for finding in kind.findings.iter() {
        match (finding.severity, finding.cause) {
            (Severity::Error, _) => tracing::error!(kind = %kind.kind, "{finding}"),
            // A null is what the API gave, as a rule. Only where no object has
            // a value it may be a path that does not exist.
            (Severity::Warning, Cause::Null) => {
                tracing::debug!(kind = %kind.kind, "{finding}");
                if finding.count >= kind.mapped {
                    always_null.push(field(finding));
                }
            }
            (Severity::Warning, _) => tracing::warn!(kind = %kind.kind, "{finding}"),
        }
    }
    if !always_null.is_empty() {
        tracing::info!(
            kind = %kind.kind,
            fields = always_null.join(", "),
            "No object of `{}` has a value for {}; look for a misspelt path if that is a surprise",
            kind.kind,
            always_null.join(", ")
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
            kind = %kind.kind,
            blueprint = %refusal.blueprint,
            "Port refused `{}` of blueprint `{}`: {}",
            refusal.identifier,
            refusal.blueprint,
            refusal.reason
        );
    }
    let named = kind.written.refusals.len() as u64;
    if kind.written.refused > named {
        tracing::error!(
            kind = %kind.kind,
            refused = kind.written.refused,
            "Port refused {} more entities of `{}`",
            kind.written.refused - named,
            kind.kind
        );
    }
}

fn collisions(kind: &KindReport) {
    if let Some(sample) = &kind.written.collision {
        tracing::warn!(
            kind = %kind.kind,
            collisions = kind.written.collisions,
            "{} objects of `{}` have an identifier that another object had before, `{sample}` for one; the later object is kept. A longer identifier expression would keep both",
            kind.written.collisions,
            kind.kind
        );
    }
}
