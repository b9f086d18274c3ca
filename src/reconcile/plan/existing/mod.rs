//! What becomes of the own incidents that are there: they are adopted, changed,
//! resolved, or left alone.

mod end;
mod keep;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::situation::Situation;
use super::{Reason, Round, Withheld, scope};
use crate::reconcile::config::ComponentStatus;
use crate::reconcile::desired::Desired;
use crate::reconcile::model::{ComponentId, PublicIncident};
use crate::reconcile::record::{Hands, Key, Ownership, Record};
use crate::reconcile::step::{Step, StepKind};

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
    /// The status that a component has.
    fn current(&self, id: &ComponentId) -> Option<ComponentStatus> {
        self.situation.page.components.get(id)?.status
    }

    /// Why nothing may be concluded from what is missing.
    fn doubt(&self, record: &Record) -> Option<(Reason, String)> {
        let situation = self.situation;
        if !situation.is_complete {
            return Some(incomplete());
        }
        // Pagerstatus kept no record of what it stands for: it may be any of them.
        if record.sources.is_empty() && !situation.undecided.is_empty() {
            return Some((
                Reason::Undecided,
                "the rules could not say anything about some source incidents".to_owned(),
            ));
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
            // Where no update is shown, the last one is still the last one.
            (None, None) => match &self.incident.newest {
                Some(update) => update.text.hash(),
                None => record.hash,
            },
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
            round: 0,
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
