//! What a plan says, as one document: printed as JSON, and told in other forms.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::{Action, Changes, EntityChange};
use crate::mapping::Severity;
use crate::reconcile::{Outcome, Report};
use crate::sync::{KindReport, ResyncReport};

/// Of the form of the document. Members may be added to it without another number.
const VERSION: u32 = 1;

/// What a plan says.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    version: u32,
    pub(super) summary: Summary,
    /// None without credentials of Port.
    pub(super) catalog: Option<CatalogPlan>,
    /// None where the incident sync is off.
    pub(super) incidents: Option<Report>,
}

/// How much of everything.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) create: usize,
    pub(super) change: usize,
    pub(super) delete: usize,
    /// Entities that would be deleted, were it not for a reason.
    pub(super) withheld: u64,
    /// Entities that Port would refuse, as far as is known.
    pub(super) refused: u64,
    /// Changes of status pages.
    pub(super) incidents: usize,
    /// Whether there is anything to do.
    pub(super) pending: bool,
}

/// What a resync would do.
#[derive(Debug, Serialize)]
pub(super) struct CatalogPlan {
    pub(super) integration: IntegrationPlan,
    /// Where the mapping is from.
    pub(super) mapping: String,
    /// Whether Port was asked what it would refuse.
    pub(super) validated: bool,
    /// Blueprints that the first start would create.
    pub(super) blueprints: Vec<String>,
    pub(super) kinds: Vec<KindPlan>,
    #[serde(flatten)]
    pub(super) changes: Changes,
    /// Not in the sources, and to stay because others relate to them, by blueprint.
    pub(super) kept: BTreeMap<String, u64>,
    pub(super) withheld: Vec<WithheldPlan>,
    /// Why it could not be looked for what is to be deleted.
    pub(super) deletion_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct IntegrationPlan {
    pub(super) identifier: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) exists: bool,
}

/// One resource config.
#[derive(Debug, Serialize)]
pub(super) struct KindPlan {
    pub(super) kind: String,
    /// Its place in the mapping.
    pub(super) resource: usize,
    pub(super) fetched: u64,
    pub(super) filtered: u64,
    pub(super) mapped: u64,
    /// Objects whose entities would be written.
    pub(super) written: u64,
    pub(super) unchanged: u64,
    pub(super) unmappable: u64,
    pub(super) refused: u64,
    /// Some of the refused.
    pub(super) refusals: Vec<RefusalPlan>,
    /// Why it is incomplete.
    pub(super) errors: Vec<String>,
    /// What its expressions ran into.
    pub(super) findings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RefusalPlan {
    pub(super) blueprint: String,
    pub(super) identifier: String,
    pub(super) reason: String,
}

/// Entities of one blueprint that would stay for one reason.
#[derive(Debug, Serialize)]
pub(super) struct WithheldPlan {
    pub(super) blueprint: String,
    pub(super) entities: u64,
    /// `incomplete`, `threshold`, `blueprint_threshold`, `cascade`, `refused`.
    pub(super) reason: &'static str,
    pub(super) detail: String,
    /// Their share of what the threshold counts.
    pub(super) share: Option<f64>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            version: VERSION,
            summary: Summary::default(),
            catalog: None,
            incidents: None,
        }
    }
}

impl Document {
    pub(super) fn json(&self) -> String {
        // Plain data, which JSON can hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether there is anything to do.
    pub(super) const fn has_changes(&self) -> bool {
        self.summary.pending
    }

    /// Counts, once all is there.
    pub(super) fn summarize(&mut self) {
        let mut summary = Summary::default();
        if let Some(report) = &self.incidents {
            summary.incidents = report.count(Outcome::Planned);
        }
        summary.pending = summary.incidents > 0;
        if let Some(plan) = &self.catalog {
            summary.create = plan.changes.count(Action::Create);
            summary.change = plan.changes.count(Action::Change);
            summary.delete = plan.changes.count(Action::Delete);
            summary.withheld = plan.withheld.iter().map(|withheld| withheld.entities).sum();
            summary.refused = plan.kinds.iter().map(|kind| kind.refused).sum();
            summary.pending |= !plan.changes.entities.is_empty()
                || !plan.blueprints.is_empty()
                || !plan.integration.exists;
        }
        self.summary = summary;
    }
}

impl Summary {
    /// "3 to create, 1 to change, 2 to delete, 4 withheld".
    pub(super) fn told(&self) -> String {
        let mut parts = vec![
            format!("{} to create", self.create),
            format!("{} to change", self.change),
            format!("{} to delete", self.delete),
        ];
        for (count, what) in [(self.withheld, "withheld"), (self.refused, "refused")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        match self.incidents {
            0 => {}
            1 => parts.push("1 step on status pages".to_owned()),
            several => parts.push(format!("{several} steps on status pages")),
        }
        parts.join(", ")
    }
}

impl CatalogPlan {
    pub(super) fn new(
        integration: IntegrationPlan,
        mapping: String,
        validated: bool,
        blueprints: Vec<String>,
        report: &ResyncReport,
        changes: Changes,
    ) -> Self {
        let withheld = report
            .deletion
            .withheld
            .iter()
            .map(|withheld| WithheldPlan {
                blueprint: withheld.blueprint.clone(),
                entities: withheld.entities,
                reason: withheld.reason.as_str(),
                detail: withheld.why(),
                share: withheld.rate,
            });
        Self {
            integration,
            mapping,
            validated,
            blueprints,
            kinds: report.kinds.iter().map(KindPlan::of).collect(),
            changes,
            kept: report.deletion.kept.clone(),
            withheld: withheld.collect(),
            deletion_error: report.deletion.error.clone(),
        }
    }

    /// The changes of each blueprint.
    pub(super) fn by_blueprint(&self) -> BTreeMap<&str, Vec<&EntityChange>> {
        let mut by_blueprint: BTreeMap<&str, Vec<&EntityChange>> = BTreeMap::new();
        for change in &self.changes.entities {
            by_blueprint
                .entry(&change.blueprint)
                .or_default()
                .push(change);
        }
        by_blueprint
    }

    /// What somebody should look at, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for kind in &self.kinds {
            let name = &kind.kind;
            let errors = kind.errors.iter();
            problems.extend(errors.map(|error| format!("`{name}` is incomplete: {error}")));
            problems.extend(kind.findings.iter().cloned());
            let refusals = kind.refusals.iter().map(|refusal| {
                format!(
                    "Port would refuse `{}/{}`: {}",
                    refusal.blueprint, refusal.identifier, refusal.reason
                )
            });
            problems.extend(refusals);
            let named = kind.refusals.len() as u64;
            if kind.refused > named {
                let more = kind.refused - named;
                problems.push(format!(
                    "Port would refuse {more} more entities of `{name}`"
                ));
            }
        }
        let withheld = self.withheld.iter().map(|withheld| {
            format!(
                "withheld: the deletion of {} of `{}` ({})",
                withheld.entities, withheld.blueprint, withheld.detail
            )
        });
        problems.extend(withheld);
        let error = self.deletion_error.iter();
        problems
            .extend(error.map(|error| format!("Could not look for entities to delete: {error}")));
        problems
    }

    /// What is to be known of the plan itself, one line each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.integration.exists {
            notes.push(format!(
                "The integration `{}` does not exist in Port yet; its first start would create it.",
                self.integration.identifier
            ));
        }
        if !self.blueprints.is_empty() {
            notes.push(format!(
                "Blueprints that the first start would create: {}.",
                self.blueprints.join(", ")
            ));
        }
        for (blueprint, count) in &self.kept {
            notes.push(format!(
                "{count} of `{blueprint}` are not in the sources and stay, because others relate to them."
            ));
        }
        if self.changes.rewritten > 0 {
            notes.push(format!(
                "{} entities would be written although nothing of them changes.",
                self.changes.rewritten
            ));
        }
        notes
    }
}

impl KindPlan {
    fn of(kind: &KindReport) -> Self {
        let refusals = kind.written.refusals.iter().map(|refusal| RefusalPlan {
            blueprint: refusal.blueprint.clone(),
            identifier: refusal.identifier.clone(),
            reason: refusal.reason.clone(),
        });
        let findings = kind.findings.iter();
        let findings = findings.filter(|finding| finding.severity == Severity::Error);
        Self {
            kind: kind.kind_text.clone(),
            resource: kind.index,
            fetched: kind.fetched,
            filtered: kind.filtered,
            mapped: kind.mapped,
            written: kind.written.stored,
            unchanged: kind.written.unchanged,
            unmappable: kind.unmappable,
            refused: kind.written.refused,
            refusals: refusals.collect(),
            errors: kind.errors.clone(),
            findings: findings.map(ToString::to_string).collect(),
        }
    }
}
