//! Everything that a plan depends on, and the questions that it is asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Reason, Round, Withheld};
use crate::reconcile::alert::{Ending, SourceId};
use crate::reconcile::config::{AlertSource, ComponentStatus, Config, Rule};
use crate::reconcile::desired::Desired;
use crate::reconcile::model::{ComponentId, IncidentId, ObservedPage, PublicIncident};
use crate::reconcile::record::{Key, Ownership, Record};
use crate::reconcile::step::{Step, StepKind};

/// The time over which public changes are counted.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Everything that a plan for one page depends on.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub now: Timestamp,
    pub config: &'a Config,
    pub page: ObservedPage,
    /// Of this page only, oldest first.
    pub desired: Vec<Desired>,
    /// Whether every alert account could be read to its end.
    pub is_complete: bool,
    /// Source incidents about which a rule could not say anything.
    pub undecided: BTreeSet<SourceId>,
    /// Accounts that are configured.
    pub accounts: BTreeSet<(AlertSource, String)>,
    /// How the source incidents ended that own incidents stand for and that are
    /// not desired any more, with what the API shows of them.
    pub endings: BTreeMap<SourceId, Ended>,
    /// Incidents that were opened lately and may still have to come up.
    pub unsettled: Vec<Unsettled>,
    /// Until when nothing is written to the page, because a write is in doubt.
    pub quiet_until: Option<Timestamp>,
}

/// An incident that was opened lately and does not show yet.
#[derive(Clone, Debug)]
pub struct Unsettled {
    pub key: Key,
    pub components: BTreeSet<ComponentId>,
    /// From then on it would show.
    pub until: Timestamp,
}

/// How a source incident ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub ending: Ending,
    pub object: Option<std::sync::Arc<serde_json::Value>>,
}

impl Ended {
    /// Nobody could be asked.
    pub const fn unknown() -> Self {
        Self {
            ending: Ending::Unknown,
            object: None,
        }
    }
}

impl Situation<'_> {
    /// Own incidents that are unresolved.
    pub fn own_count(&self) -> usize {
        self.own().len()
    }

    /// The source incidents of which it has to be known how they ended, before
    /// anything is resolved because of it.
    pub fn sources_of_unwanted(&self) -> BTreeSet<SourceId> {
        if !self.is_complete {
            return BTreeSet::new();
        }
        let matches = self.matches();
        self.own()
            .into_iter()
            .filter(|incident| {
                incident.ownership.is_in_our_hands() && !matches.contains_key(&incident.id)
            })
            .filter_map(|incident| incident.ownership.record())
            .flat_map(|record| record.sources.iter().map(|source| source.id.clone()))
            .collect()
    }

    /// Of the incidents that were last opened for what is to be opened now, those
    /// that the page does not show. `opened`: by key.
    pub fn forgotten(&self, opened: &BTreeMap<String, String>) -> Vec<IncidentId> {
        let matched: BTreeSet<&Key> = self.matches().into_values().map(|one| &one.key).collect();
        let shown = |id: &str| {
            let mut all = self.page.unresolved.iter().chain(&self.page.resolved);
            all.any(|incident| incident.id.as_str() == id)
        };
        self.desired
            .iter()
            .filter(|desired| !matched.contains(&desired.key) && desired.opens_since().is_some())
            .filter_map(|desired| opened.get(&desired.key.to_string()))
            .filter(|id| !shown(id))
            .map(|id| IncidentId::from(id.as_str()))
            .collect()
    }

    /// Goes on from the page as it will be.
    pub(super) fn foresee(&mut self, step: &Step) {
        step.foresee(&mut self.page, self.now);
    }

    /// The rule that opened an incident, as long as there is one of that name.
    pub(super) fn rule_of(&self, record: Option<&Record>) -> Option<&Rule> {
        let name = &record?.rule;
        self.config.rules.iter().find(|rule| rule.name == *name)
    }

    /// Own incidents, oldest first.
    pub(super) fn own(&self) -> Vec<&PublicIncident> {
        let mut own: Vec<&PublicIncident> = self
            .page
            .unresolved
            .iter()
            .filter(|incident| incident.ownership.is_own())
            .collect();
        own.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        own
    }

    /// The unresolved incident that holds a component, beside `except`: an own
    /// one before somebody else's.
    pub(super) fn holder(
        &self,
        component: &ComponentId,
        except: Option<&IncidentId>,
    ) -> Option<&PublicIncident> {
        let holding = |incident: &&PublicIncident| {
            Some(&incident.id) != except && incident.components.contains(component)
        };
        let mut holders = self.page.unresolved.iter().filter(holding);
        let first = holders.next()?;
        if first.ownership.is_own() {
            return Some(first);
        }
        holders
            .find(|incident| incident.ownership.is_own())
            .or(Some(first))
    }

    pub(super) fn own_holder(
        &self,
        component: &ComponentId,
        except: Option<&IncidentId>,
    ) -> Option<&PublicIncident> {
        self.holder(component, except)
            .filter(|incident| incident.ownership.is_own())
    }

    /// Whether a source incident wants it announced as affected.
    pub(super) fn is_wanted(&self, component: &ComponentId) -> bool {
        let mut wanted = self
            .desired
            .iter()
            .filter_map(|desired| desired.components.get(component));
        wanted.any(|wanted| wanted.opens_since.is_some())
    }

    pub(super) fn is_in_maintenance(&self, component: &ComponentId) -> bool {
        self.page.in_maintenance.contains(component)
    }

    /// Which desired incident each own one is for.
    ///
    /// The same key decides. What is left over after that goes by components,
    /// so that changing how a rule groups does not close what is open only to
    /// open it again.
    pub(super) fn matches(&self) -> BTreeMap<IncidentId, &Desired> {
        let own = self.own();
        let mut matches: BTreeMap<IncidentId, &Desired> = BTreeMap::new();
        let mut taken: BTreeSet<&Key> = BTreeSet::new();
        let key_of = |incident: &PublicIncident| match &incident.ownership {
            Ownership::Pagerstatus(component) => Some(Key::Component(component.clone())),
            ownership => ownership.record().map(|record| record.key.clone()),
        };
        for incident in &own {
            let desired = key_of(incident).and_then(|key| {
                let mut desired = self.desired.iter();
                desired.find(|desired| desired.key == key && !taken.contains(&desired.key))
            });
            if let Some(desired) = desired {
                taken.insert(&desired.key);
                matches.insert(incident.id.clone(), desired);
            }
        }
        for incident in own {
            if matches.contains_key(&incident.id) || !incident.ownership.is_in_our_hands() {
                continue;
            }
            let desired = self.desired.iter().find(|desired| {
                let mut wanted = desired.components.keys();
                !taken.contains(&desired.key)
                    && wanted.any(|component| incident.components.contains(component))
            });
            if let Some(desired) = desired {
                taken.insert(&desired.key);
                matches.insert(incident.id.clone(), desired);
            }
        }
        matches
    }

    /// What a component's status becomes when an own incident begins to hold it:
    /// never better than what somebody else's incident says about it. `given`: what
    /// we gave it so far.
    pub(super) fn status_beside_others(
        &self,
        component: &ComponentId,
        wanted: ComponentStatus,
        except: Option<&IncidentId>,
        given: Option<ComponentStatus>,
    ) -> ComponentStatus {
        let current = self
            .page
            .components
            .get(component)
            .and_then(|component| component.status);
        match (self.holder(component, except), current) {
            // What it has is what we gave it.
            (_, current) if current == given && given.is_some() => wanted,
            (Some(_), Some(current)) => wanted.max(current),
            _ => wanted,
        }
    }

    /// Holds everything back while a write to the page is in doubt.
    pub(super) fn settle(&self, round: &mut Round) {
        let Some(until) = self.quiet_until.filter(|until| *until > self.now) else {
            return;
        };
        for step in std::mem::take(&mut round.steps) {
            round.withhold(Withheld {
                page: step.page,
                key: step.key,
                incident: step.incident,
                components: step.components.into_keys().collect(),
                reason: Reason::Settling,
                detail: "the last write to the page got no answer and may still show up (settle)"
                    .to_owned(),
                due: Some(until),
            });
        }
    }

    /// Holds back what would be too much within an hour. Resolving comes before
    /// telling news, and news before opening: the page is to be true first.
    pub(super) fn cap(&self, round: &mut Round) {
        round
            .steps
            .sort_by_key(|step| step.kind != StepKind::Resolve);
        let Some(most) = self.config.guards.max_changes_per_hour else {
            return;
        };
        let since = self.now.checked_sub(HOUR).unwrap_or(Timestamp::MIN);
        let mut within: Vec<Timestamp> = self
            .page
            .unresolved
            .iter()
            .chain(&self.page.resolved)
            .filter(|incident| incident.ownership.is_own())
            .flat_map(|incident| incident.updates.iter().copied())
            .filter(|at| *at > since)
            .collect();
        within.sort_unstable();
        let most = most as usize;
        let mut left = most.saturating_sub(within.len());
        // Room is made by the oldest change that has to leave the hour.
        let due = within
            .get(within.len().saturating_sub(most))
            .and_then(|oldest| oldest.checked_add(HOUR).ok());
        for step in std::mem::take(&mut round.steps) {
            if !step.is_public() {
                round.steps.push(step);
            } else if left > 0 {
                left -= 1;
                round.steps.push(step);
            } else {
                round.withhold(Withheld {
                    page: step.page,
                    key: step.key,
                    incident: step.incident,
                    components: step.components.into_keys().collect(),
                    reason: Reason::Cap,
                    detail: format!(
                        "{most} public changes within an hour are allowed (maxChangesPerHour), and so many were made"
                    ),
                    due,
                });
            }
        }
    }
}
