//! An own incident is over: it is resolved, unless something speaks against it,
//! and its components return to operational once nothing holds them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Existing, Write, incomplete};
use crate::reconcile::alert::Ending;
use crate::reconcile::config::ComponentStatus;
use crate::reconcile::plan::{Reason, Round, scope};
use crate::reconcile::record::{Ownership, Record};
use crate::reconcile::step::{Step, StepKind};
use crate::reconcile::text::{Template, Text};

const RESOLVED: &str = "resolved";

impl Existing<'_> {
    /// It is over: resolves it, unless something speaks against it.
    pub(super) fn end(&self, round: &mut Round) {
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
    pub(super) fn supersede(&self, round: &mut Round) {
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
            match situation.holder(id, Some(&self.incident.id)) {
                // Another of ours brings it back.
                Some(holder) if holder.ownership.is_own() => {}
                None if !situation.is_in_maintenance(id) && !situation.is_wanted(id) => {
                    components.insert(id.clone(), ComponentStatus::Operational);
                }
                // Somebody else holds it, or one of ours is about to.
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
        let mut reason = reason();
        let body = scope::render_body(text(template), &scope).unwrap_or_else(|error| {
            // An incident that is over must not stay open for want of words.
            reason = format!("{reason} (in plain words, since {error})");
            "This incident has been resolved.".to_owned()
        });
        self.step(
            StepKind::Resolve,
            record,
            Write {
                status: Some(RESOLVED.to_owned()),
                body: Some(body),
                attached: None,
                components,
                notify: situation.config.notify.resolved,
                reason,
            },
        )
    }

    fn ending_record(&self) -> Record {
        let config = self.situation.config;
        match &self.incident.ownership {
            Ownership::Ours(record) | Ownership::HandedBack(record) => record.clone(),
            _ => Record::new(&config.owner, self.key(), ""),
        }
    }

    /// When the last of its source incidents ended.
    fn ended(&self, record: &Record) -> Result<Timestamp, String> {
        let mut last = None;
        for source in record.sources.iter().map(|source| &source.id) {
            match self.situation.endings.get(source).map(|ended| ended.ending) {
                Some(Ending::Over(at)) => last = last.max(at),
                Some(Ending::Unresolved) => {
                    return Err(format!(
                        "{source} is unresolved although no list shows it: the list is behind"
                    ));
                }
                Some(Ending::Unknown) | None => {
                    return Err(format!("how {source} ended is not known"));
                }
            }
        }
        // Pagerstatus kept no record, and an incident may be deleted: what is
        // known is when the public incident was last touched.
        let ended = last.unwrap_or(self.incident.updated);
        // By another clock it may be yet to come.
        Ok(ended.min(self.situation.now))
    }

    /// Components that were left as they were when an incident gave them up.
    pub(super) fn restore(&self) -> Option<Step> {
        let situation = self.situation;
        // Who could not be heard may be affected by the very component.
        if !situation.is_complete || !situation.undecided.is_empty() {
            return None;
        }
        let mut record = self.incident.ownership.record()?.clone();
        let mut components = BTreeMap::new();
        let mut is_settled = false;
        for id in std::mem::take(&mut record.owes) {
            let holder = situation.holder(&id, None);
            if holder.is_some_and(|holder| holder.ownership.is_own()) {
                // That one brings it back.
                is_settled = true;
            } else if holder.is_some()
                || situation.is_in_maintenance(&id)
                || situation.is_wanted(&id)
            {
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
}

fn reason_to_resolve() -> String {
    "its source incidents are over, or no rule announces them any more".to_owned()
}
