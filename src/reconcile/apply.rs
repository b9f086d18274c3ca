//! Carries a plan out, one step after another.
//!
//! Before each write the page is looked at once more: an incident that somebody
//! changed since it was planned for is left to the next pass, and nothing is
//! opened beside an own incident that came up meanwhile. A write whose answer
//! got lost is looked for before anything else is done; where it cannot be
//! found, nothing more is written to the page until it has had time to show up.
//! That is why no public incident is opened twice, however often answers get
//! lost or the process is killed.
//!
//! Between the look and the write somebody may still write. The API has no
//! conditional changes, so that moment remains; it is as long as one request.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::Now;
use super::config::{ComponentStatus, Mode};
use super::model::{ComponentId, IncidentId, ObservedPage, PublicIncident};
use super::pages::Reached;
use super::record::Ownership;
use super::step::{Step, StepKind};
use crate::api::ApiError;
use crate::causes::with_hint;
use crate::store::{NewSyncStep, Store, SyncMode};
use crate::telemetry::metrics;

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    #[serde(flatten)]
    pub step: Step,
    pub outcome: Outcome,
    /// Why it was not done, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a step ended.
pub use crate::store::SyncOutcome as Outcome;

/// Carries out the plan for one page.
pub(super) struct Applier<'a> {
    page: &'a Reached,
    owner: &'a str,
    store: &'a Store,
    now: &'a Now,
    /// Incidents as they are known to be: observed, or as the last answer said.
    known: BTreeMap<IncidentId, PublicIncident>,
}

/// How one step ended, and whether the next may be tried.
struct Attempt {
    outcome: Outcome,
    detail: Option<String>,
    incident: Option<IncidentId>,
    goes_on: bool,
}

impl Attempt {
    fn done(incident: Option<IncidentId>) -> Self {
        Self {
            outcome: Outcome::Done,
            detail: None,
            incident,
            goes_on: true,
        }
    }

    fn not(outcome: Outcome, detail: String, goes_on: bool) -> Self {
        Self {
            outcome,
            detail: Some(detail),
            incident: None,
            goes_on,
        }
    }
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        page: &'a Reached,
        observed: &ObservedPage,
        owner: &'a str,
        store: &'a Store,
        now: &'a Now,
    ) -> Self {
        let incidents = observed.unresolved.iter().chain(&observed.resolved);
        Self {
            page,
            owner,
            store,
            now,
            known: incidents
                .map(|incident| (incident.id.clone(), incident.clone()))
                .collect(),
        }
    }

    /// Carries the steps out until one leaves the page in doubt, or `stop` is
    /// cancelled.
    pub(super) async fn apply(
        mut self,
        steps: Vec<Step>,
        stop: &CancellationToken,
    ) -> Vec<Applied> {
        let mut applied = Vec::new();
        let mut goes_on = true;
        // The first round of which something was not done: the later ones were
        // planned for a page that there is not.
        let mut last_round = usize::MAX;
        for step in steps {
            if stop.is_cancelled() {
                break;
            }
            let round = step.round;
            if !goes_on || round > last_round {
                let detail = if goes_on {
                    "a step that it builds on was not done"
                } else {
                    "an earlier step left the page in doubt"
                };
                let skipped = Attempt::not(Outcome::Skipped, detail.to_owned(), false);
                applied.push(self.conclude(step, skipped));
                continue;
            }
            // Looking may be broken off; a write that has begun is seen to its end.
            let looking = self.look_again(&step);
            let attempt = match stop.run_until_cancelled(looking).await {
                None => break,
                Some(Some(hindrance)) => hindrance,
                Some(None) => self.write(&step).await,
            };
            goes_on = attempt.goes_on;
            if attempt.outcome != Outcome::Done {
                last_round = last_round.min(round);
            }
            applied.push(self.conclude(step, attempt));
        }
        applied
    }

    /// What speaks against the step now, if anything.
    async fn look_again(&self, step: &Step) -> Option<Attempt> {
        let changed = |detail: &str| Attempt::not(Outcome::Skipped, detail.to_owned(), true);
        let failed = |error: super::pages::Unobserved| {
            Attempt::not(Outcome::Refused, error.explain(), false)
        };
        let Some(id) = &step.incident else {
            let unresolved = match self.page.newest_unresolved(self.owner).await {
                Ok(unresolved) => unresolved,
                Err(error) => return Some(failed(error)),
            };
            let twin = unresolved.iter().find(|incident| is_twin(incident, step))?;
            return Some(changed(&format!(
                "{} came up for the same component meanwhile",
                twin.id
            )));
        };
        match self.page.incident(id, self.owner).await {
            Err(error) => return Some(failed(error)),
            Ok(None) => return Some(changed("the incident was deleted meanwhile")),
            Ok(Some(current)) => {
                let known = self.known.get(id);
                if !known.is_some_and(|known| current.is_as(known)) {
                    return Some(changed("somebody changed the incident meanwhile"));
                }
            }
        }
        // At one request a second the plan may be minutes old.
        if self.joins(id, step) {
            match self.page.newest_unresolved(self.owner).await {
                Err(error) => return Some(failed(error)),
                Ok(unresolved) => {
                    let mut others = unresolved.iter().filter(|other| other.id != *id);
                    if let Some(twin) = others.find(|other| is_twin(other, step)) {
                        return Some(changed(&format!(
                            "{} came up for the same component meanwhile",
                            twin.id
                        )));
                    }
                }
            }
        }
        let freed: BTreeSet<&ComponentId> = step.freed().collect();
        if freed.is_empty() {
            return None;
        }
        match self.page.held(self.owner).await {
            Err(error) => Some(failed(error)),
            Ok(held) => {
                let mut others = held.iter().filter(|(holder, _)| holder != id);
                others
                    .any(|(_, component)| freed.contains(component))
                    .then(|| changed("something else holds one of its components meanwhile"))
            }
        }
    }

    /// Whether the incident holds more components after the step than before.
    fn joins(&self, id: &IncidentId, step: &Step) -> bool {
        let held = self.known.get(id).filter(|known| !known.is_resolved());
        let attached = step.attached.iter().flatten();
        attached
            .into_iter()
            .any(|component| held.is_none_or(|held| !held.components.contains(component)))
    }

    async fn write(&mut self, step: &Step) -> Attempt {
        let none = Map::new();
        let metadata = step
            .incident
            .as_ref()
            .and_then(|id| self.known.get(id))
            .map_or(&none, |incident| &incident.metadata);
        let payload = step.payload(metadata);
        // On disk before the request leaves: a process that is killed now knows
        // later that it may have written.
        let noted = self
            .store
            .step_began(noted(step, Mode::Apply, (self.now)()))
            .await;
        let attempt = self.send(step, &payload).await;
        self.store
            .step_ended(
                noted,
                (self.now)(),
                attempt.outcome,
                attempt.incident.as_ref().map(ToString::to_string),
                attempt.detail.clone(),
            )
            .await;
        attempt
    }

    async fn send(&mut self, step: &Step, payload: &Value) -> Attempt {
        let (client, page) = (&self.page.client, self.page.page.id.as_str());
        if step.kind == StepKind::Restore {
            for (component, status) in &step.components {
                let status: ComponentStatus = *status;
                let set = client.set_component_status(page, component.as_str(), status.as_str());
                match set.await {
                    Ok(_) => {}
                    // It is the same when it is done again.
                    Err(error) if error.may_have_had_effect() => {
                        let detail = with_hint(&error, error.hint());
                        return Attempt::not(Outcome::Unknown, detail, false);
                    }
                    Err(error) => return refused(&error),
                }
            }
        }
        let written = match &step.incident {
            None => client.create_incident(page, payload).await,
            Some(id) => client.update_incident(page, id.as_str(), payload).await,
        };
        match written {
            Ok(object) => match PublicIncident::parse(&object, self.owner) {
                Ok(incident) => {
                    let id = incident.id.clone();
                    self.known.insert(id.clone(), incident);
                    Attempt::done(Some(id))
                }
                // A success, whatever else it says.
                Err(_) => self.look_for(step, "the answer cannot be read").await,
            },
            Err(error) if error.may_have_had_effect() => {
                self.look_for(step, &with_hint(&error, error.hint())).await
            }
            Err(error) => refused(&error),
        }
    }

    /// Whether a write without an answer was carried out all the same.
    async fn look_for(&mut self, step: &Step, problem: &str) -> Attempt {
        let found = match &step.incident {
            None => self.page.unresolved(self.owner).await.map(|unresolved| {
                let mut unresolved = unresolved.into_iter();
                unresolved.find(|incident| {
                    incident
                        .ownership
                        .record()
                        .is_some_and(|record| record.key == step.key)
                })
            }),
            Some(id) => self.page.incident(id, self.owner).await.map(|current| {
                let is_written = |ownership: &Ownership| {
                    matches!(ownership, Ownership::Ours(record) if *record == step.record)
                };
                current.filter(|current| is_written(&current.ownership))
            }),
        };
        match found {
            Ok(Some(incident)) => {
                let id = incident.id.clone();
                self.known.insert(id.clone(), incident);
                Attempt::done(Some(id))
            }
            Ok(None) => Attempt::not(
                Outcome::Unknown,
                format!("{problem}; it does not show on the page"),
                false,
            ),
            Err(error) => Attempt::not(
                Outcome::Unknown,
                format!("{problem}; nor could it be looked for: {}", error.explain()),
                false,
            ),
        }
    }

    fn conclude(&self, step: Step, attempt: Attempt) -> Applied {
        let Attempt {
            outcome,
            detail,
            incident,
            ..
        } = attempt;
        let page = &self.page.page.id;
        metrics::sync_step(step.kind.as_str(), outcome.as_str());
        if let Some(since) = step.opens_since.filter(|_| outcome == Outcome::Done) {
            let after = (self.now)().duration_since(since);
            metrics::sync_announced_after(after.try_into().unwrap_or_default());
        }
        let step = Step {
            incident: incident.or(step.incident),
            ..step
        };
        say(page.as_str(), &step, outcome, detail.as_deref());
        Applied {
            step,
            outcome,
            detail,
        }
    }
}

/// Whether an incident stands for what the step would open.
fn is_twin(incident: &PublicIncident, step: &Step) -> bool {
    let has_same_key = incident
        .ownership
        .record()
        .is_some_and(|record| record.key == step.key);
    let holds_one = step
        .attached
        .iter()
        .flatten()
        .any(|id| incident.components.contains(id));
    incident.ownership.is_own() && (has_same_key || holds_one)
}

/// A definite no. Whether the next step may fare better depends on whether it
/// was this one that was refused, or all of us.
fn refused(error: &ApiError) -> Attempt {
    let concerns_this_one = matches!(error.status(), Some(400 | 404 | 409 | 422));
    Attempt::not(
        Outcome::Refused,
        with_hint(error, error.hint()),
        concerns_this_one,
    )
}

/// The step as the audit trail keeps it.
pub(super) fn noted(step: &Step, mode: Mode, now: Timestamp) -> NewSyncStep {
    NewSyncStep {
        began: now,
        page: step.page.to_string(),
        incident: step.incident.as_ref().map(ToString::to_string),
        key: step.key.to_string(),
        kind: step.kind,
        components: step.components.keys().map(ToString::to_string).collect(),
        reason: step.reason.clone(),
        mode: match mode {
            Mode::Apply => SyncMode::Apply,
            Mode::Plan | Mode::Off => SyncMode::Plan,
        },
    }
}

fn say(page: &str, step: &Step, outcome: Outcome, detail: Option<&str>) {
    let kind = step.kind.as_str();
    let what = match &step.incident {
        Some(id) => format!("incident {id} ({})", step.key),
        None => step.key.to_string(),
    };
    let reason = &step.reason;
    let detail = detail.unwrap_or_default();
    match outcome {
        Outcome::Done => {
            tracing::info!(page, kind, %what, "Status page {page}: {kind} {what}, because {reason}");
        }
        Outcome::Planned => {
            tracing::info!(page, kind, %what, "Status page {page}: would {kind} {what}, because {reason}");
        }
        Outcome::Skipped => {
            tracing::info!(page, kind, %what, "Status page {page}: did not {kind} {what}: {detail}");
        }
        Outcome::Refused | Outcome::Unknown => {
            tracing::error!(page, kind, %what, "Status page {page}: could not {kind} {what}: {detail}");
        }
    }
}
