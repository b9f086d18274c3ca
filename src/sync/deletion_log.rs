//! What the log says of deletions: what is gone, what was kept, and, in one
//! warning, everything that was withheld and why.

use std::collections::BTreeMap;

use crate::catalog::{Deletion, Withheld, WithheldReason};

/// Says what became of what the sources no longer have; nothing if there was nothing.
pub(super) fn report(deletion: &Deletion) {
    let deleted = deletion.deleted_in_all();
    if deleted > 0 {
        tracing::info!(
            deleted,
            duration_ms = u64::try_from(deletion.duration.as_millis()).unwrap_or(u64::MAX),
            "Deleted {deleted} entities that the sources no longer have: {}",
            listed(&deletion.deleted)
        );
    }
    let kept: u64 = deletion.kept.values().sum();
    if kept > 0 {
        tracing::info!(
            kept,
            "Kept {kept} entities that the sources do not list, because others relate to them: {}",
            listed(&deletion.kept)
        );
    }
    if !deletion.withheld.is_empty() {
        let withheld = deletion.withheld_in_all();
        let reasons: Vec<String> = deletion.withheld.iter().map(explained).collect();
        tracing::warn!(
            withheld,
            "Withheld the deletion of {withheld} entities: {}. Hint: {}",
            reasons.join("; "),
            hint(&deletion.withheld)
        );
    }
    if let Some(error) = &deletion.error {
        tracing::error!("Could not look for entities to delete: {error}");
    }
}

/// "`incident` 3, `service` 1".
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(blueprint, count)| format!("`{blueprint}` {count}"))
        .collect();
    counts.join(", ")
}

fn explained(withheld: &Withheld) -> String {
    let (blueprint, entities) = (&withheld.blueprint, withheld.entities);
    format!("`{blueprint}` {entities} ({})", withheld.why())
}

/// What to do about the first reason; the others have mostly the same.
fn hint(withheld: &[Withheld]) -> &'static str {
    match withheld.first().map(|withheld| &withheld.reason) {
        Some(WithheldReason::Threshold | WithheldReason::BlueprintThreshold) => {
            "if they really are gone, raise `entityDeletionThreshold` in the mapping for one resync, to 1 at most"
        }
        Some(WithheldReason::Cascade { .. }) => {
            "set `deleteDependentEntities: false` in the mapping, or remove the relation, to let them go"
        }
        Some(WithheldReason::Refused { .. }) => {
            "remove what still relates to them, or set `deleteDependentEntities: true` in the mapping"
        }
        Some(WithheldReason::Incomplete { .. }) | None => {
            "they are deleted by the next resync that reads these kinds to their end and maps them without an error"
        }
    }
}
