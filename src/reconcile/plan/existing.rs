//! What becomes of the own incidents that are there: they are adopted, changed,
//! resolved, or left alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::situation::Situation;
use super::{Reason, Round, Withheld, scope};
use crate::reconcile::alert::{Ending, SourceId};
use crate::reconcile::config::{ComponentStatus, Status};
use crate::reconcile::desired::Desired;
use crate::reconcile::model::{ComponentId, PublicIncident};
use crate::reconcile::record::{Hands, Key, Ownership, Record};
use crate::reconcile::step::{Step, StepKind};
use crate::reconcile::text::{Template, Text};

const RESOLVED: &str = "resolved";

pub(super) fn plan(situation: &Situation<'_>, round: &mut Round) {
    let matches = situation.matches();
    let mut held: BTreeSet<&ComponentId> = BTreeSet::new();
    for incident in situation.own() {
        let is_second = incident.components.iter().any(|id| held.contains(id));
        held.extend(&incident.components);
        let existing = Existing {
            situation,
            incident,
            desired: matches.get(&incident.id).copied(),
        };
        if let Ownership::Human(_, hands) = incident.ownership {
            round.withhold(existing.withheld(Reason::Human, left_alone(hands).to_owned(), None));
        } else if is_second {
            existing.supersede(round);
        } else if existing.desired.is_some() {
            existing.keep(round);
        } else {
            existing.end(round);
        }
    }
    let in_our_hands =
        |incident: &&PublicIncident| matches!(incident.ownership, Ownership::Ours(_));
    let resolved = situation.page.resolved.iter().filter(in_our_hands);
    let unresolved = situation.page.unresolved.iter().filter(in_our_hands);
    for incident in resolved.chain(unresolved) {
        // One step an incident and round, since each replaces its record.
        if !round
            .steps
            .iter()
            .any(|step| step.incident.as_ref() == Some(&incident.id))
        {
            let existing = Existing {
                situation,
                incident,
                desired: None,
            };
            round.steps.extend(existing.restore());
        }
    }
}

const fn left_alone(hands: Hands) -> &'static str {
    match hands {
        Hands::Wrote => {
            "somebody else wrote the newest update, so the incident is left alone until it is resolved or handed back"
        }
        Hands::Hold => "`metadata.portolan.hold` is true, so the incident is left alone",
        Hands::Unreadable => {
            "what the incident stands for cannot be read from it, so it is left alone until somebody resolves it"
        }
    }
}

/// An own incident, and what it ought to be.
struct Existing<'a> {
    situation: &'a Situation<'a>,
    incident: &'a PublicIncident,
    desired: Option<&'a Desired>,
}

impl Existing<'_> {
    /// It goes on: brings it up to date.
    fn keep(&self, round: &mut Round) {
        let Some(desired) = self.desired else { return };
        let mut change = Change::default();
        let mut record = self.record(desired);
        self.join(desired, &mut record, &mut change, round);
        self.leave(desired, &mut record, &mut change, round);
        self.restate(desired, &mut record, &mut change);
        change.news = news(desired, &record);

        let texts = match self.render(desired, &change) {
            Ok(texts) => texts,
            Err(error) => {
                round.withhold(self.withheld(Reason::Text, error, None));
                return;
            }
        };
        let knew = |id: &SourceId| record.sources.iter().any(|source| source.id == *id);
        let has_new_sources = desired
            .sources
            .iter()
            .any(|source| !knew(&source.incident.id));
        let has_another_key = record.key != desired.key;
        let (kind, reason) = if !change.is_empty() || !texts.is_empty() {
            (StepKind::Update, change.reason())
        } else {
            match &self.incident.ownership {
                Ownership::Pagerstatus(_) => (
                    StepKind::Adopt,
                    "it was opened by Pagerstatus and its component is still affected".to_owned(),
                ),
                Ownership::HandedBack(_) => (
                    StepKind::TakeBack,
                    "a human handed it back and its components are still affected".to_owned(),
                ),
                _ if has_another_key => (
                    StepKind::Record,
                    format!("it stands for {} from now on", desired.key),
                ),
                _ if has_new_sources => (
                    StepKind::Record,
                    "another source incident concerns the same components".to_owned(),
                ),
                _ => return,
            }
        };
        record.key = desired.key.clone();
        record.remember(
            desired
                .sources
                .iter()
                .map(|source| source.incident.recorded()),
        );
        let body = (!texts.is_empty()).then(|| scope::joined(&texts));
        round.steps.push(self.step(
            kind,
            record,
            Write {
                status: body.as_ref().map(|_| self.incident.status.clone()),
                body,
                attached: change.attached(&self.incident.components),
                components: change.statuses,
                notify: self.situation.config.notify.updated,
                reason,
            },
        ));
    }

    /// The record as it is, or the one that an adopted incident gets.
    fn record(&self, desired: &Desired) -> Record {
        let config = self.situation.config;
        self.incident
            .ownership
            .record()
            .cloned()
            .unwrap_or_else(|| Record {
                owner: config.owner.clone(),
                key: desired.key.clone(),
                rule: config.rules[desired.rule].name.clone(),
                components: self.adopted_components(desired),
                sources: Vec::new(),
                hash: String::new(),
                owes: BTreeSet::new(),
                superseded: false,
            })
    }

    fn adopted_components(&self, desired: &Desired) -> BTreeMap<ComponentId, ComponentStatus> {
        let wanted = |id: &ComponentId| desired.components.get(id).map(|wanted| wanted.status);
        self.incident
            .components
            .iter()
            .filter_map(|id| Some((id.clone(), wanted(id).or_else(|| self.current(id))?)))
            .collect()
    }

    /// The status that a component has.
    fn current(&self, id: &ComponentId) -> Option<ComponentStatus> {
        self.situation.page.components.get(id)?.status
    }

    fn join(&self, desired: &Desired, record: &mut Record, change: &mut Change, round: &mut Round) {
        for (id, wanted) in &desired.components {
            if self.incident.components.contains(id) {
                continue;
            }
            // Held by another own incident: that one says what there is to say.
            if self
                .situation
                .own_holder(id, Some(&self.incident.id))
                .is_some()
            {
                continue;
            }
            let Some(since) = wanted.opens_since else {
                continue;
            };
            if let Some(withheld) = super::fresh::hindrance(self.situation, &desired.key, id, since)
            {
                round.withhold(Withheld {
                    incident: Some(self.incident.id.clone()),
                    ..withheld
                });
                continue;
            }
            let status =
                self.situation
                    .status_beside_others(id, wanted.status, Some(&self.incident.id));
            record.components.insert(id.clone(), wanted.status);
            record.owes.remove(id);
            change.statuses.insert(id.clone(), status);
            change.joined.insert(id.clone());
        }
    }

    fn leave(
        &self,
        desired: &Desired,
        record: &mut Record,
        change: &mut Change,
        round: &mut Round,
    ) {
        let gone: Vec<ComponentId> = self
            .incident
            .components
            .iter()
            .filter(|id| record.components.contains_key(*id))
            .filter(|id| !desired.components.contains_key(*id))
            .cloned()
            .collect();
        if gone.is_empty() {
            return;
        }
        if let Some((reason, detail)) = self.doubt(record) {
            round.withhold(self.withheld(reason, detail, None));
            return;
        }
        // What they were given stays in the record until it is taken back.
        record.owes.extend(gone.iter().cloned());
        change.left.extend(gone);
    }

    /// Statuses that the rules see differently now. What the component has is
    /// not looked at: a human may have set it.
    fn restate(&self, desired: &Desired, record: &mut Record, change: &mut Change) {
        for (id, wanted) in &desired.components {
            let is_held = self.incident.components.contains(id);
            let Some(said) = record.components.get_mut(id).filter(|_| is_held) else {
                continue;
            };
            if *said != wanted.status {
                *said = wanted.status;
                let status =
                    self.situation
                        .status_beside_others(id, wanted.status, Some(&self.incident.id));
                change.statuses.insert(id.clone(), status);
                change.restated = true;
            }
        }
    }

    /// The texts of everything that has one.
    fn render(&self, desired: &Desired, change: &Change) -> Result<Vec<String>, String> {
        let rule = &self.situation.config.rules[desired.rule];
        let template: &Template = &rule.template;
        let mut texts: Vec<(&Text, usize)> = Vec::new();
        if !change.joined.is_empty() {
            texts.extend(template.joined.as_ref().map(|text| (text, 0)));
        }
        if !change.left.is_empty() {
            texts.extend(template.left.as_ref().map(|text| (text, 0)));
        }
        for (news, place) in &change.news {
            texts.extend(news.text(template).map(|text| (text, *place)));
        }
        let components: BTreeSet<&ComponentId> = self
            .incident
            .components
            .iter()
            .filter(|id| !change.left.contains(*id))
            .chain(&change.joined)
            .collect();
        let components = components.into_iter().filter_map(|id| {
            let wanted = desired.components.get(id).map(|wanted| wanted.status);
            Some((id, wanted.or_else(|| self.current(id))?))
        });
        let mut scope = scope::of(self.situation, Some(rule), components);
        scope::with_sources(&mut scope, &desired.sources);
        scope.joined = scope::names(self.situation, &change.joined);
        scope.left = scope::names(self.situation, &change.left);
        texts
            .into_iter()
            .map(|(text, place)| {
                scope::about(&mut scope, &desired.sources[place]);
                scope::render_body(text, &scope)
            })
            .collect()
    }

    /// It is over: resolves it, unless something speaks against it.
    fn end(&self, round: &mut Round) {
        let record = self.ending_record();
        if let Some((reason, detail)) = self.doubt(&record) {
            round.withhold(self.withheld(reason, detail, None));
            return;
        }
        let ended = match self.ended(&record) {
            Ok(ended) => ended,
            Err(detail) => {
                round.withhold(self.withheld(Reason::EndingUnknown, detail, None));
                return;
            }
        };
        let due = ended
            .checked_add(self.situation.config.guards.resolve_after)
            .unwrap_or(Timestamp::MAX);
        if due > self.situation.now {
            let detail = "its source incidents have only just ended (resolveAfter)".to_owned();
            round.withhold(self.withheld(Reason::Grace, detail, Some(due)));
            if let Ownership::HandedBack(record) = &self.incident.ownership {
                let reason = "a human handed it back".to_owned();
                round.steps.push(self.step(
                    StepKind::TakeBack,
                    record.clone(),
                    Write {
                        reason,
                        ..Write::default()
                    },
                ));
            }
            return;
        }
        let step = self.resolve(record, |template| &template.resolved, reason_to_resolve);
        round.steps.push(step);
    }

    /// An own incident that came later for a component that has one.
    fn supersede(&self, round: &mut Round) {
        let mut record = self.ending_record();
        if !self.situation.is_complete {
            let (reason, detail) = incomplete();
            round.withhold(self.withheld(reason, detail, None));
            return;
        }
        record.superseded = true;
        round.steps.push(self.resolve(
            record,
            |template| &template.superseded,
            || "an older incident stands for the same component".to_owned(),
        ));
    }

    fn resolve(
        &self,
        mut record: Record,
        text: fn(&Template) -> &Text,
        reason: impl Fn() -> String,
    ) -> Step {
        let situation = self.situation;
        let mut components = BTreeMap::new();
        for id in &self.incident.components {
            let is_wanted = situation.desired.iter().any(|desired| {
                desired
                    .components
                    .get(id)
                    .is_some_and(|wanted| wanted.opens_since.is_some())
            });
            match situation.holder(id, Some(&self.incident.id)) {
                // Another of ours brings it back, or one that is about to be opened.
                Some(holder) if holder.ownership.is_own() => {}
                None if is_wanted => {}
                None if !situation.is_in_maintenance(id) => {
                    components.insert(id.clone(), ComponentStatus::Operational);
                }
                _ => {
                    record.owes.insert(id.clone());
                }
            }
        }
        let rule = situation.rule_of(self.incident.ownership.record());
        let template = rule.map_or(&situation.config.default_template, |rule| &rule.template);
        let statuses = self.incident.components.iter().map(|id| {
            let left_as_it_is = self.current(id).unwrap_or(ComponentStatus::Operational);
            (id, components.get(id).copied().unwrap_or(left_as_it_is))
        });
        let mut scope = scope::of(situation, rule, statuses);
        scope::with_ended(&mut scope, situation, &record);
        let body = scope::render_body(text(template), &scope)
            // An incident that is over must not stay open for want of words.
            .unwrap_or_else(|_| "This incident has been resolved.".to_owned());
        self.step(
            StepKind::Resolve,
            record,
            Write {
                status: Some(RESOLVED.to_owned()),
                body: Some(body),
                attached: None,
                components,
                notify: situation.config.notify.resolved,
                reason: reason(),
            },
        )
    }

    fn ending_record(&self) -> Record {
        let config = self.situation.config;
        match &self.incident.ownership {
            Ownership::Ours(record) | Ownership::HandedBack(record) => record.clone(),
            _ => Record {
                owner: config.owner.clone(),
                key: self.key(),
                rule: String::new(),
                components: BTreeMap::new(),
                sources: Vec::new(),
                hash: String::new(),
                owes: BTreeSet::new(),
                superseded: false,
            },
        }
    }

    /// Why nothing may be concluded from what is missing.
    fn doubt(&self, record: &Record) -> Option<(Reason, String)> {
        let situation = self.situation;
        if !situation.is_complete {
            return Some(incomplete());
        }
        for source in record.sources.iter().map(|source| &source.id) {
            if situation.undecided.contains(source) {
                return Some((
                    Reason::Undecided,
                    format!("the rules could not say anything about {source}"),
                ));
            }
            let account = (source.source, source.account.clone());
            if !situation.accounts.contains(&account) {
                return Some((
                    Reason::UnknownAccount,
                    format!(
                        "{source} is of an account that is not configured here; configure it, or resolve the incident by hand"
                    ),
                ));
            }
        }
        None
    }

    /// When the last of its source incidents ended.
    fn ended(&self, record: &Record) -> Result<Timestamp, String> {
        let mut last = None;
        for source in record.sources.iter().map(|source| &source.id) {
            match self.situation.endings.get(source).map(|ended| ended.ending) {
                Some(Ending::Over(at)) => last = last.max(at),
                Some(Ending::Unresolved) => {
                    return Err(format!(
                        "{source} is unresolved although no list shows it: no rule is for its source or account any more, or the list is behind"
                    ));
                }
                Some(Ending::Unknown) | None => {
                    return Err(format!("how {source} ended is not known"));
                }
            }
        }
        // Pagerstatus kept no record, and an incident may be deleted: what is
        // known is when the public incident was last touched.
        Ok(last.unwrap_or(self.incident.updated))
    }

    /// Components that were left as they were when an incident gave them up.
    fn restore(&self) -> Option<Step> {
        let situation = self.situation;
        // Who could not be heard may be affected by the very component.
        if !situation.is_complete || !situation.undecided.is_empty() {
            return None;
        }
        let mut record = self.incident.ownership.record()?.clone();
        let mut components = BTreeMap::new();
        let mut is_settled = false;
        for id in std::mem::take(&mut record.owes) {
            let is_wanted = situation.desired.iter().any(|desired| {
                desired
                    .components
                    .get(&id)
                    .is_some_and(|wanted| wanted.opens_since.is_some())
            });
            let holder = situation.holder(&id, None);
            let is_ours_again = is_wanted || holder.is_some_and(|holder| holder.ownership.is_own());
            if is_ours_again {
                is_settled = true;
            } else if holder.is_some() || situation.is_in_maintenance(&id) {
                record.owes.insert(id);
            } else {
                let current = self.current(&id);
                // Anything else was set by somebody who knows better.
                if current.is_some() && current == record.components.get(&id).copied() {
                    components.insert(id, ComponentStatus::Operational);
                } else {
                    is_settled = true;
                }
            }
        }
        if components.is_empty() && !is_settled {
            return None;
        }
        let (kind, reason) = if components.is_empty() {
            (
                StepKind::Record,
                "somebody else has seen to the components that it had left".to_owned(),
            )
        } else {
            (
                StepKind::Restore,
                "nothing holds the component any more".to_owned(),
            )
        };
        Some(self.step(
            kind,
            record,
            Write {
                components,
                reason,
                ..Write::default()
            },
        ))
    }

    fn key(&self) -> Key {
        match &self.incident.ownership {
            Ownership::Pagerstatus(component) => Key::Component(component.clone()),
            ownership => ownership.record().map_or_else(
                || {
                    let first = self.incident.components.first().cloned();
                    Key::Component(first.unwrap_or_else(|| ComponentId::from("unknown")))
                },
                |record| record.key.clone(),
            ),
        }
    }

    fn step(&self, kind: StepKind, mut record: Record, write: Write) -> Step {
        let Write {
            status,
            body,
            attached,
            components,
            notify,
            reason,
        } = write;
        record.hash = match (&status, &body) {
            (None, None) => self
                .incident
                .newest
                .as_ref()
                .map(|update| update.text.hash())
                .unwrap_or_default(),
            _ => scope::hash(
                status.as_deref().unwrap_or(&self.incident.status),
                body.as_deref(),
            ),
        };
        Step {
            page: self.situation.page.page.id.clone(),
            kind,
            incident: Some(self.incident.id.clone()),
            key: record.key.clone(),
            reason,
            name: None,
            status,
            body,
            attached,
            components,
            notify,
            record,
            opens_since: None,
        }
    }

    fn withheld(&self, reason: Reason, detail: String, due: Option<Timestamp>) -> Withheld {
        Withheld {
            page: self.situation.page.page.id.clone(),
            key: self.key(),
            incident: Some(self.incident.id.clone()),
            components: self.incident.components.iter().cloned().collect(),
            reason,
            detail,
            due,
        }
    }
}

fn reason_to_resolve() -> String {
    "its source incidents are over, or no rule announces them any more".to_owned()
}

fn incomplete() -> (Reason, String) {
    (
        Reason::Incomplete,
        "an alert account could not be read, so nothing is resolved".to_owned(),
    )
}

/// What a step writes.
#[derive(Default)]
struct Write {
    status: Option<String>,
    body: Option<String>,
    attached: Option<BTreeSet<ComponentId>>,
    components: BTreeMap<ComponentId, ComponentStatus>,
    notify: bool,
    reason: String,
}

/// What happened to a source incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Acknowledged,
    Escalated,
    Reassigned,
}

impl News {
    /// What the template says about it, if anything.
    fn text(self, template: &Template) -> Option<&Text> {
        match self {
            Self::Acknowledged => template.acknowledged.as_ref(),
            Self::Escalated => template.escalated.as_ref(),
            Self::Reassigned => template.reassigned.as_ref(),
        }
    }
}

/// What happened to the source incidents since the record was written, and to
/// which first, by its place.
fn news(desired: &Desired, record: &Record) -> BTreeMap<News, usize> {
    let mut news = BTreeMap::new();
    for (place, source) in desired.sources.iter().enumerate() {
        let incident = &source.incident;
        let Some(known) = record.sources.iter().find(|known| known.id == incident.id) else {
            continue;
        };
        if known.status == Status::Open && incident.status == Status::Acknowledged {
            news.entry(News::Acknowledged).or_insert(place);
        }
        if !known.assigned.is_empty() && known.assigned != incident.assigned.digest {
            let kind = if incident.assigned.by_escalation {
                News::Escalated
            } else {
                News::Reassigned
            };
            news.entry(kind).or_insert(place);
        }
    }
    news
}

/// How an incident changes.
#[derive(Default)]
struct Change {
    joined: BTreeSet<ComponentId>,
    left: BTreeSet<ComponentId>,
    statuses: BTreeMap<ComponentId, ComponentStatus>,
    restated: bool,
    /// The first source incident to which it happened, by its place.
    news: BTreeMap<News, usize>,
}

impl Change {
    /// News alone are none, unless a template has words for them.
    fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && self.statuses.is_empty()
    }

    fn attached(&self, components: &BTreeSet<ComponentId>) -> Option<BTreeSet<ComponentId>> {
        if self.joined.is_empty() && self.left.is_empty() {
            return None;
        }
        let staying = components.iter().filter(|id| !self.left.contains(*id));
        Some(staying.chain(&self.joined).cloned().collect())
    }

    fn reason(&self) -> String {
        let mut reasons = Vec::new();
        if !self.joined.is_empty() {
            reasons.push("more components are affected");
        }
        if !self.left.is_empty() {
            reasons.push("components are no longer affected");
        }
        if self.restated {
            reasons.push("components are affected differently");
        }
        for news in self.news.keys() {
            reasons.push(match news {
                News::Acknowledged => "a source incident was acknowledged",
                News::Escalated => "a source incident was escalated",
                News::Reassigned => "a source incident was reassigned",
            });
        }
        reasons.join("; ")
    }
}
