//! An own incident goes on: components join and leave, statuses change, news are
//! told, and the record follows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Existing, Write};
use crate::reconcile::alert::SourceId;
use crate::reconcile::config::{ComponentStatus, Status};
use crate::reconcile::desired::Desired;
use crate::reconcile::model::ComponentId;
use crate::reconcile::plan::{Reason, Round, Withheld, fresh, scope};
use crate::reconcile::record::{Ownership, Record};
use crate::reconcile::step::StepKind;
use crate::reconcile::text::{Template, Text};

impl Existing<'_> {
    /// It goes on: brings it up to date.
    pub(super) fn keep(&self, round: &mut Round) {
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
        let ids = |record: &Record| -> Vec<SourceId> {
            record
                .sources
                .iter()
                .map(|source| source.id.clone())
                .collect()
        };
        let before = ids(&record);
        record.remember(
            desired
                .sources
                .iter()
                .map(|source| source.incident.recorded()),
        );
        let has_new_sources = ids(&record) != before;
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
        record
            .rule
            .clone_from(&self.situation.config.rules[desired.rule].name);
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
            .unwrap_or_else(|| {
                let rule = &config.rules[desired.rule].name;
                Record {
                    components: self.adopted_components(desired),
                    ..Record::new(&config.owner, desired.key.clone(), rule)
                }
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
            if let Some(withheld) = fresh::hindrance(self.situation, &desired.key, id, since) {
                round.withhold(Withheld {
                    incident: Some(self.incident.id.clone()),
                    ..withheld
                });
                continue;
            }
            let status = self.situation.status_beside_others(
                id,
                wanted.status,
                Some(&self.incident.id),
                None,
            );
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
        let is_in_doubt = self.doubt(record).is_some();
        for (id, wanted) in &desired.components {
            let is_held = self.incident.components.contains(id);
            let Some(said) = record.components.get_mut(id).filter(|_| is_held) else {
                continue;
            };
            // Who cannot be heard may be the one who says that it is worse.
            if *said == wanted.status || (is_in_doubt && wanted.status < *said) {
                continue;
            }
            let given = self.situation.status_beside_others(
                id,
                wanted.status,
                Some(&self.incident.id),
                Some(*said),
            );
            *said = wanted.status;
            change.statuses.insert(id.clone(), given);
            change.restated = true;
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
