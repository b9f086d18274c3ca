//! Incidents that ought to be there and are not: they are opened, reopened, or
//! held back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::situation::Situation;
use super::{Reason, Round, Withheld, scope};
use crate::reconcile::config::ComponentStatus;
use crate::reconcile::desired::Desired;
use crate::reconcile::model::{ComponentId, PublicIncident};
use crate::reconcile::record::{Key, Ownership, Record};
use crate::reconcile::step::{Step, StepKind};

pub(super) fn plan(situation: &Situation<'_>, round: &mut Round) {
    let matched: BTreeSet<&Key> = situation
        .matches()
        .into_values()
        .map(|one| &one.key)
        .collect();
    let mut claimed: BTreeSet<ComponentId> = BTreeSet::new();
    for desired in &situation.desired {
        if matched.contains(&desired.key) || desired.opens_since().is_none() {
            continue;
        }
        let fresh = Fresh { situation, desired };
        let components = fresh.components(&claimed, round);
        if components.is_empty() {
            continue;
        }
        if let Some(withheld) = fresh.hindrance(&components) {
            round.withhold(withheld);
            continue;
        }
        match fresh.step(&components) {
            Ok(step) => {
                claimed.extend(components.into_keys());
                round.steps.push(step);
            }
            Err(error) => round.withhold(fresh.withheld(&components, Reason::Text, error, None)),
        }
    }
}

/// Why a component must not be announced as affected now, if that is so.
pub(super) fn hindrance(
    situation: &Situation<'_>,
    key: &Key,
    component: &ComponentId,
    since: Timestamp,
) -> Option<Withheld> {
    let guards = &situation.config.guards;
    let withheld = |reason, detail: &str, due| Withheld {
        page: situation.page.page.id.clone(),
        key: key.clone(),
        incident: None,
        components: vec![component.clone()],
        reason,
        detail: detail.to_owned(),
        due,
    };
    let until = situation
        .unsettled
        .iter()
        .filter(|open| open.key == *key || open.components.contains(component))
        .map(|open| open.until)
        .max();
    if let Some(until) = until.filter(|until| *until > situation.now) {
        let detail = "it may have been opened a moment ago, and will then show up (settle)";
        return Some(withheld(Reason::Settling, detail, Some(until)));
    }
    // By another clock it may have been acknowledged in times to come.
    let due = since
        .min(situation.now)
        .checked_add(guards.open_after)
        .unwrap_or(Timestamp::MAX);
    if due > situation.now {
        let detail = "it was acknowledged only just now (openAfter)";
        return Some(withheld(Reason::HoldDown, detail, Some(due)));
    }
    if !guards.open_during_maintenance && situation.is_in_maintenance(component) {
        let detail = "the component is under maintenance (openDuringMaintenance)";
        return Some(withheld(Reason::Maintenance, detail, None));
    }
    let is_others = situation
        .holder(component, None)
        .is_some_and(|holder| !holder.ownership.is_own());
    if !guards.open_beside_others && is_others {
        let detail = "an incident of somebody else holds the component (openBesideOthers)";
        return Some(withheld(Reason::OthersIncident, detail, None));
    }
    None
}

/// What is said with an incident that is opened or reopened.
struct Wording {
    kind: StepKind,
    name: Option<String>,
    body: String,
    notify: bool,
    reason: String,
}

/// A desired incident that there is not.
struct Fresh<'a> {
    situation: &'a Situation<'a>,
    desired: &'a Desired,
}

impl Fresh<'_> {
    /// The components that it can be opened with, and their statuses.
    fn components(
        &self,
        claimed: &BTreeSet<ComponentId>,
        round: &mut Round,
    ) -> BTreeMap<ComponentId, ComponentStatus> {
        let situation = self.situation;
        let mut components = BTreeMap::new();
        for (id, wanted) in &self.desired.components {
            let Some(since) = wanted.opens_since else {
                continue;
            };
            // Another incident of ours says what there is to say.
            if claimed.contains(id) || situation.own_holder(id, None).is_some() {
                continue;
            }
            match hindrance(situation, &self.desired.key, id, since) {
                Some(withheld) => round.withhold(withheld),
                None => {
                    components.insert(id.clone(), wanted.status);
                }
            }
        }
        components
    }

    /// Why it must not be opened at all now.
    fn hindrance(&self, components: &BTreeMap<ComponentId, ComponentStatus>) -> Option<Withheld> {
        let situation = self.situation;
        let by_hand = situation.page.resolved.iter().find(|incident| {
            let Ownership::Human(Some(record), _) = &incident.ownership else {
                return false;
            };
            let closed = incident.resolved.unwrap_or(incident.updated);
            self.desired.sources.iter().all(|source| {
                let source = &source.incident;
                // One of Pagerstatus' says what it stood for by its component alone.
                let is_vague = record.is_full()
                    || (record.sources.is_empty() && record.key == self.desired.key);
                record.names(&source.id) || (is_vague && source.since <= closed)
            })
        })?;
        let detail = format!(
            "a human resolved {} for the same source incidents, so it stays resolved until there are others",
            by_hand.id
        );
        Some(self.withheld(components, Reason::ClosedByHand, detail, None))
    }

    fn step(&self, components: &BTreeMap<ComponentId, ComponentStatus>) -> Result<Step, String> {
        let situation = self.situation;
        let config = situation.config;
        let rule = &config.rules[self.desired.rule];
        let template = &rule.template;
        let status = template.status.as_str().to_owned();
        let mut scope = scope::of(
            situation,
            Some(rule),
            components.iter().map(|(id, status)| (id, *status)),
        );
        scope::with_sources(&mut scope, &self.desired.sources);

        let recent = self.recent(components);
        let cause = self.cause();
        let wording = if recent.is_some() {
            Wording {
                kind: StepKind::Reopen,
                name: None,
                body: scope::render_body(template.reopened(), &scope)?,
                notify: config.notify.reopened,
                reason: format!(
                    "{cause}, and the last incident has ended only lately (reopenWithin)"
                ),
            }
        } else {
            Wording {
                kind: StepKind::Open,
                name: Some(scope::render_name(&template.name, &scope)?),
                body: scope::render_body(&template.opened, &scope)?,
                notify: config.notify.opened,
                reason: cause,
            }
        };
        let Wording {
            kind,
            name,
            body,
            notify,
            reason,
        } = wording;
        let mut record = Record {
            owner: config.owner.clone(),
            key: self.desired.key.clone(),
            rule: rule.name.clone(),
            components: components.clone(),
            sources: recent
                .and_then(|incident| incident.ownership.record())
                .map(|record| record.sources.clone())
                .unwrap_or_default(),
            hash: scope::hash(&status, Some(&body)),
            owes: recent
                .and_then(|incident| incident.ownership.record())
                .map(|record| record.owes.clone())
                .unwrap_or_default(),
            superseded: false,
        };
        record.owes.retain(|id| !components.contains_key(id));
        record.remember(
            self.desired
                .sources
                .iter()
                .map(|source| source.incident.recorded()),
        );
        Ok(Step {
            page: self.desired.page.clone(),
            kind,
            incident: recent.map(|incident| incident.id.clone()),
            key: self.desired.key.clone(),
            reason,
            name,
            status: Some(status),
            body: Some(body),
            attached: Some(components.keys().cloned().collect()),
            components: components
                .iter()
                .map(|(id, status)| {
                    (
                        id.clone(),
                        situation.status_beside_others(id, *status, None, None),
                    )
                })
                .collect(),
            notify,
            record,
            opens_since: self.desired.opens_since(),
            round: 0,
        })
    }

    /// The one that was resolved last for the same, if that is not long ago.
    fn recent(
        &self,
        components: &BTreeMap<ComponentId, ComponentStatus>,
    ) -> Option<&PublicIncident> {
        let situation = self.situation;
        let within = situation.config.guards.reopen_within;
        if within.is_zero() {
            return None;
        }
        let since = situation.now.checked_sub(within).unwrap_or(Timestamp::MIN);
        let is_for_the_same = |record: &Record| {
            let same_components = || record.components.keys().eq(components.keys());
            match (&record.key, &self.desired.key) {
                (one, other) if one == other => true,
                // Each recurrence is a source incident of its own.
                (Key::Incident(_), Key::Incident(_)) => same_components(),
                _ => false,
            }
        };
        situation
            .page
            .resolved
            .iter()
            .filter(|incident| match &incident.ownership {
                Ownership::Ours(record) => !record.superseded && is_for_the_same(record),
                _ => false,
            })
            .filter(|incident| incident.resolved.is_some_and(|at| at > since))
            .max_by_key(|incident| incident.resolved)
    }

    /// The oldest source incident that opens it, and its state in the words of
    /// its source. Older ones may be behind it, too, that would only keep it open.
    fn cause(&self) -> String {
        let mut sources = self.desired.sources.iter();
        let Some(source) = sources.find(|source| source.opens) else {
            return String::new();
        };
        let incident = &source.incident;
        let mut words = incident.id.source.statuses().iter();
        let word = words.find(|(_, status)| *status == incident.status);
        let word = word.map_or(incident.status.as_str(), |(word, _)| *word);
        format!("{} is {word}", incident.id)
    }

    fn withheld(
        &self,
        components: &BTreeMap<ComponentId, ComponentStatus>,
        reason: Reason,
        detail: String,
        due: Option<Timestamp>,
    ) -> Withheld {
        Withheld {
            page: self.desired.page.clone(),
            key: self.desired.key.clone(),
            incident: None,
            components: components.keys().cloned().collect(),
            reason,
            detail,
            due,
        }
    }
}
