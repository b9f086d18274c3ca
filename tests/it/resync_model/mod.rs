//! Whole resyncs of random small installations, one after the other, with random
//! changes and mishaps in between, against the laws that hold for all of them.
//!
//! - What a run mapped is there after it.
//! - What belongs to others is only deleted where Port was allowed to delete along
//!   with an entity what relates to it.
//! - Of a blueprint that an incomplete kind feeds, nothing is deleted.
//! - No more is deleted than the threshold allows.
//! - After a run without mishaps Port holds what the mapping makes of the objects,
//!   and of this installation's else only what somebody still relates to.
//! - A run without changes writes nothing.

pub(crate) mod case;

use std::collections::BTreeSet;

use fastrand::Rng;
use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::json;

use self::case::{BLUEPRINTS, Case, Incident, KINDS, Objects, change_objects, draw_objects};
use crate::catalog::{Catalog, Place, catalog, deleted, written};
use crate::installed::{blueprint, install};
use crate::program::{Outcome, portolan, small_sandbox};

const CASES: u64 = 40;

/// The User-Agent of another installation.
pub(crate) const SOMEBODY_ELSE: &str = "port-ocean/statuspage/0.2.98/somebody-else/exporter";

/// Everything that a law needs to know of one run.
struct Run {
    case: Case,
    objects: Objects,
    before: Catalog,
    /// Of `before`, what belongs to this installation.
    own: BTreeSet<Place>,
    mishap: Option<(&'static str, Incident)>,
    outcome: Outcome,
    after: Catalog,
    own_after: BTreeSet<Place>,
    deleted: BTreeSet<Place>,
    written: BTreeSet<Place>,
}

pub(crate) async fn port() -> Sandbox {
    let sandbox = small_sandbox().await;
    for (place, name) in BLUEPRINTS.iter().enumerate().rev() {
        let next = BLUEPRINTS.get(place + 1).map(|next| ("next", *next));
        let properties = [("a", "string"), ("b", "string")];
        blueprint(&sandbox, name, &properties, next.as_slice());
    }
    sandbox
}

/// The entities whose last writer was this installation.
fn own(sandbox: &Sandbox, catalog: &Catalog) -> BTreeSet<Place> {
    let is_own = |(blueprint, identifier): &&Place| {
        let datasource = sandbox.port.datasource(blueprint, identifier).unwrap();
        datasource != SOMEBODY_ELSE
    };
    catalog.keys().filter(is_own).cloned().collect()
}

/// The company as it is now, and what happens to those who read it.
pub(crate) fn arrange(
    sandbox: &Sandbox,
    case: &Case,
    objects: &Objects,
    mishap: Option<(&'static str, Incident)>,
) {
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for (kind, of_kind) in objects {
        let mut of_kind: Vec<_> = of_kind.iter().collect();
        if *kind == "incident" {
            // The newest come first, and objects are in the order of the list.
            of_kind.reverse();
        }
        for object in of_kind {
            sandbox.statuspage.insert(kind, object);
        }
    }
    sandbox.statuspage.clear_faults();
    let mut failing = None;
    match mishap {
        None => {}
        Some((kind, Incident::SelectorFails)) => failing = Some(kind),
        Some((kind, Incident::Refused)) => sandbox.statuspage.fault(
            Matcher::get(&format!("/v1/pages/page/{}s", kind.replace('_', "-"))),
            Answer::status(403),
            usize::MAX,
        ),
    }
    sandbox.port.set_mapping(case.mapping(failing));
}

async fn run(
    sandbox: &Sandbox,
    case: &Case,
    objects: &Objects,
    mishap: Option<(&'static str, Incident)>,
) -> Run {
    arrange(sandbox, case, objects, mishap);
    let before = catalog(sandbox);
    let own_before = own(sandbox, &before);
    sandbox.clear_requests();

    let outcome = portolan(&["run"], &sandbox.environment_for(SourceName::Statuspage)).await;

    let after = catalog(sandbox);
    Run {
        case: case.clone(),
        objects: objects.clone(),
        own: own_before,
        before,
        mishap,
        outcome,
        own_after: own(sandbox, &after),
        after,
        deleted: deleted(sandbox),
        written: written(sandbox),
    }
}

impl Run {
    /// The kinds that this run could not read or select to their ends.
    fn incomplete(&self) -> Option<&'static str> {
        let (kind, incident) = self.mishap?;
        let fails = match incident {
            Incident::Refused => true,
            Incident::SelectorFails => {
                let first = format!("{kind}0");
                self.objects[kind]
                    .iter()
                    .any(|object| object["id"] == *first)
            }
        };
        fails.then_some(kind)
    }

    fn mapped(&self) -> BTreeSet<Place> {
        let mut objects = self.objects.clone();
        if let Some((kind, Incident::Refused)) = self.mishap {
            objects.insert(kind, Vec::new());
        }
        if let (Some((kind, Incident::SelectorFails)), Some(_)) = (self.mishap, self.incomplete()) {
            let first = format!("{kind}0");
            let of_kind = objects.get_mut(kind).unwrap();
            of_kind.retain(|object| object["id"] != *first);
        }
        self.case
            .desired(&objects, &self.before)
            .into_keys()
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        let mapped = self.mapped();
        let law = |holds: bool, says: String| if holds { Ok(()) } else { Err(says) };
        let gone: BTreeSet<&Place> = self
            .before
            .keys()
            .filter(|place| !self.after.contains_key(*place))
            .collect();
        for place in &gone {
            law(
                !mapped.contains(*place),
                format!("{place:?} was mapped and is gone"),
            )?;
            if self.own.contains(*place) && self.deleted.contains(*place) {
                continue;
            }
            let reaches = reaches(place, &self.before);
            law(
                self.case.delete_dependents && !reaches.is_disjoint(&self.deleted),
                format!("{place:?} is gone and was not this installation's to delete"),
            )?;
        }
        for place in &self.deleted {
            law(
                self.own.contains(place),
                format!("{place:?} was asked to be deleted and is somebody else's"),
            )?;
        }
        if let Some(kind) = self.incomplete() {
            for config in self
                .case
                .configs
                .iter()
                .filter(|config| config.kind == kind)
            {
                let blueprint = BLUEPRINTS[config.blueprint];
                for place in gone.iter().filter(|place| self.own.contains(**place)) {
                    law(
                        place.0 != blueprint,
                        format!("{place:?} is gone, and {kind} was not complete"),
                    )?;
                }
            }
        }
        let all = self.own.union(&self.own_after).count();
        #[expect(clippy::cast_precision_loss, reason = "there are a dozen")]
        let rate = self.deleted.len() as f64 / all.max(1) as f64;
        law(
            self.deleted.is_empty() || rate <= self.case.threshold,
            format!("{} of {all} were deleted", self.deleted.len()),
        )?;
        let used = |kind| self.case.configs.iter().any(|config| config.kind == kind);
        if self.incomplete().is_none_or(|kind| !used(kind)) {
            self.check_complete(&mapped)?;
        } else {
            law(
                matches!(self.outcome.code, Some(1 | 3)),
                format!("a mishap ended with {:?}", self.outcome.code),
            )?;
        }
        Ok(())
    }

    /// Laws of a run that could read everything.
    fn check_complete(&self, mapped: &BTreeSet<Place>) -> Result<(), String> {
        for (place, wanted) in self.case.desired(&self.objects, &self.before) {
            let found = self.after.get(&place);
            if found != Some(&wanted) {
                let found = found.map(ToString::to_string);
                return Err(format!("{place:?} is {found:?} and should be {wanted}"));
            }
        }
        let left: Vec<&Place> = self
            .own_after
            .iter()
            .filter(|place| !mapped.contains(*place))
            .collect();
        if self.case.threshold < 1.0 {
            return match self.outcome.code {
                Some(0 | 3) => Ok(()),
                code => Err(format!("ended with {code:?}")),
            };
        }
        let targets = self.case.targets(&self.objects);
        for place in &left {
            // A mapped entity, or somebody else's that must not go along with it.
            let relates = |other: &Place| {
                (mapped.contains(other) || !self.own_after.contains(other))
                    && reaches(other, &self.after).contains(*place)
            };
            let is_related = targets.contains(*place) || self.after.keys().any(relates);
            if !is_related {
                return Err(format!("{place:?} is left and nobody relates to it"));
            }
        }
        match self.outcome.code {
            Some(0) => Ok(()),
            Some(3) if !left.is_empty() => Ok(()),
            code => Err(format!("ended with {code:?}")),
        }
    }
}

/// Entities that this one relates to, directly or not, by what Port held.
fn reaches(from: &Place, catalog: &Catalog) -> BTreeSet<Place> {
    let mut reached = BTreeSet::new();
    let mut here = from.clone();
    while let Some(target) = catalog
        .get(&here)
        .and_then(|entity| entity["relations"]["next"].as_str())
    {
        let place = BLUEPRINTS.iter().position(|name| *name == here.0).unwrap();
        here = (BLUEPRINTS[place + 1].to_owned(), target.to_owned());
        reached.insert(here.clone());
    }
    reached
}

async fn check(seed: u64) -> Result<(), String> {
    let sandbox = port().await;
    let mut chance = Rng::with_seed(seed);
    let case = Case::draw(&mut chance);
    let mut objects = draw_objects(&mut chance);
    install(&sandbox, &case.mapping(None));
    case.leave_no_target_out(&mut objects);
    let explain = |run: &Run, step: u32, broken: String| {
        format!(
            "seed {seed}, run {step}: {broken}\n{:?}\nmishap: {:?}, code {:?}\nobjects: {}\nwritten: {:?}\ndeleted: {:?}\nbefore: {:?}\nlog:\n{}",
            run.case,
            run.mishap,
            run.outcome.code,
            json!(run.objects),
            run.written,
            run.deleted,
            run.before
                .values()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            run.outcome.stderr,
        )
    };
    for step in 1..=3 {
        let mishap = (step > 1 && chance.bool()).then(|| {
            let incident = if chance.bool() {
                Incident::Refused
            } else {
                Incident::SelectorFails
            };
            (KINDS[chance.usize(..KINDS.len())], incident)
        });
        let done = run(&sandbox, &case, &objects, mishap).await;
        done.check()
            .map_err(|broken| explain(&done, step, broken))?;
        if mishap.is_none() {
            let again = run(&sandbox, &case, &objects, None).await;
            let mut outcome = again.check();
            if !again.written.is_empty() {
                outcome = Err("a run without changes wrote something".to_owned());
            }
            if done.outcome.code == Some(0) && !again.deleted.is_empty() {
                outcome = Err("a run without changes deleted something".to_owned());
            }
            outcome.map_err(|broken| explain(&again, step, broken))?;
        }
        if chance.bool() {
            let place = chance.usize(..BLUEPRINTS.len() - 1);
            let target = format!("k{}", chance.u8(..6));
            let entity = json!({"identifier": "theirs", "relations": {"next": target}});
            sandbox
                .port
                .insert_entity(BLUEPRINTS[place], &entity, SOMEBODY_ELSE);
        }
        change_objects(&mut chance, &mut objects);
        case.leave_no_target_out(&mut objects);
    }
    Ok(())
}

#[tokio::test]
async fn the_laws_of_a_resync_hold_whatever_the_mapping_and_whatever_happens() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = setting("RESYNC_MODEL_SEED").unwrap_or(0);
    let cases = setting("RESYNC_MODEL_CASES").unwrap_or(CASES);
    let mut broken = Vec::new();
    for seed in first..first + cases {
        if let Err(law) = check(seed).await {
            broken.push(law);
        }
    }
    let laws: Vec<&str> = broken.iter().filter_map(|law| law.lines().next()).collect();
    assert!(
        broken.is_empty(),
        "{} cases:\n{}\nthe first of them:\n{}",
        broken.len(),
        laws.join("\n"),
        broken[0]
    );
}
