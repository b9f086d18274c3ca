//! What `portolan plan` says is what the next resync does, and it writes nothing.

mod cases;
mod doubts;
mod incidents;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use portolan::sandbox::{Matcher, RecordedRequest, Sandbox};
use serde_json::{Value, json};

use crate::catalog::{Catalog, Place, catalog};
use crate::program::{Outcome, portolan};

/// A plan and how the program ended.
struct Planned {
    document: Value,
    outcome: Outcome,
}

/// Plans with these flags beside `--json`, and fails if anybody was written to.
async fn plan(sandbox: &Sandbox, flags: &[&str], environment: &[(String, String)]) -> Planned {
    let before = state(sandbox);
    sandbox.clear_requests();

    let arguments = [&["plan", "--json"], flags].concat();
    let outcome = portolan(&arguments, environment).await;

    assert_eq!(state(sandbox), before, "a plan changed something");
    assert_eq!(writes(sandbox), [""; 0], "a plan wrote to somebody");
    let document = serde_json::from_str(&outcome.stdout).unwrap_or(Value::Null);
    Planned { document, outcome }
}

/// Everything that a plan must leave as it is.
fn state(sandbox: &Sandbox) -> Value {
    let entities: BTreeMap<String, _> = sandbox
        .port
        .entity_counts()
        .into_keys()
        .map(|blueprint| {
            let entities = sandbox.port.entities(&blueprint);
            (blueprint, entities)
        })
        .collect();
    json!({
        "entities": entities,
        "integration": sandbox.port.integration(),
        "blueprints": sandbox.port.blueprints(),
        "states": sandbox.port.resync_states(),
        "examples": sandbox.port.examples(),
        "ingested": sandbox.port.ingested(),
        "resources": sandbox.port.resources(),
    })
}

/// Requests to anybody that are no questions.
fn writes(sandbox: &Sandbox) -> Vec<String> {
    let all = [
        sandbox.port.requests(),
        sandbox.statuspage.requests(),
        sandbox.pagerduty.requests(),
        sandbox.opsgenie.requests(),
    ];
    let is_write = |request: &RecordedRequest| {
        let is_question = request.method == "GET"
            || request.path == "/v1/auth/access_token"
            || request.path.ends_with("/search")
            || request.path.ends_with("/datasource-entities")
            // PagerDuty's analytics are asked for in a body.
            || request.path.starts_with("/analytics/");
        let validates = request
            .query
            .contains(&("validation_only".to_owned(), "true".to_owned()));
        !is_question && !validates
    };
    let writes = all.into_iter().flatten().filter(is_write);
    writes
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

/// How often Port was asked what it would refuse.
fn validations(sandbox: &Sandbox) -> usize {
    let bulk = Matcher::post("/v1/blueprints/*/entities/bulk");
    sandbox.port.requested(&bulk)
}

impl Planned {
    fn catalog(&self) -> &Value {
        &self.document["catalog"]
    }

    fn entities(&self) -> &[Value] {
        let entities = self.catalog()["entities"].as_array();
        entities.map(Vec::as_slice).unwrap_or_default()
    }

    /// What would be fetched, filtered, mapped and fail of each kind.
    fn kinds(&self) -> Vec<[u64; 4]> {
        let kinds = self.catalog()["kinds"].as_array().unwrap().iter();
        kinds
            .map(|kind| {
                let count = |name: &str| kind[name].as_u64().unwrap();
                let failed = count("unmappable") + count("refused");
                [count("fetched"), count("filtered"), count("mapped"), failed]
            })
            .collect()
    }

    /// `create part/c1`, for each.
    fn told(&self) -> Vec<String> {
        let told = self.entities().iter().map(|change| {
            let text = |member: &str| change[member].as_str().unwrap();
            format!(
                "{} {}/{}",
                text("action"),
                text("blueprint"),
                text("identifier")
            )
        });
        told.collect()
    }

    /// The catalog as it is after everything that was planned.
    fn foretold(&self, before: &Catalog) -> Result<Catalog, String> {
        foretold(self.entities(), before)
    }

    /// Blueprint, how many would be kept and how many withheld.
    fn left(&self) -> BTreeMap<String, [u64; 2]> {
        let mut left: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        for (blueprint, kept) in self.catalog()["kept"].as_object().into_iter().flatten() {
            left.entry(blueprint.clone()).or_default()[0] += kept.as_u64().unwrap();
        }
        for withheld in self.catalog()["withheld"].as_array().into_iter().flatten() {
            let blueprint = withheld["blueprint"].as_str().unwrap().to_owned();
            left.entry(blueprint).or_default()[1] += withheld["entities"].as_u64().unwrap();
        }
        left
    }
}

/// The catalog after these changes. Fails where a field is not what they say that it was.
pub(crate) fn foretold(changes: &[Value], before: &Catalog) -> Result<Catalog, String> {
    let mut after = before.clone();
    for change in changes {
        let text = |member: &str| change[member].as_str().unwrap().to_owned();
        let place: Place = (text("blueprint"), text("identifier"));
        let known = after.remove(&place);
        let is_known = known.is_some();
        let mut entity = match (text("action").as_str(), known) {
            ("delete", Some(_)) => continue,
            ("create", None) => json!({
                "identifier": place.1, "title": null, "icon": null, "blueprint": place.0,
                "team": [], "properties": {}, "relations": {},
            }),
            ("change", Some(entity)) => entity,
            (action, _) => return Err(format!("{action} {place:?}, and known: {is_known}")),
        };
        for field in change["fields"].as_array().into_iter().flatten() {
            let name = field["field"].as_str().unwrap();
            let (section, name) = name.split_once('.').unwrap_or(("", name));
            let members = match section {
                "" => entity.as_object_mut().unwrap(),
                section => entity[section].as_object_mut().unwrap(),
            };
            let old = members.get(name).cloned().unwrap_or_default();
            let sorted = |value: &Value| as_set(value, section);
            if old != sorted(&field["old"]) {
                return Err(format!("{place:?}: {field}, and it was {old}"));
            }
            match sorted(&field["new"]) {
                Value::Null if !section.is_empty() => drop(members.shift_remove(name)),
                new => drop(members.insert(name.to_owned(), new)),
            }
        }
        after.insert(place, entity);
    }
    Ok(after)
}

/// A relation to many is a set, and to nobody is none.
fn as_set(value: &Value, section: &str) -> Value {
    match (section, value.clone()) {
        ("relations", Value::Array(targets)) if targets.is_empty() => Value::Null,
        ("relations", Value::Array(mut targets)) => {
            targets.sort_by_key(Value::to_string);
            Value::Array(targets)
        }
        (_, value) => value,
    }
}

/// What a resync says that it kept and withheld of each blueprint.
fn left(outcome: &Outcome) -> BTreeMap<String, [u64; 2]> {
    let (_, table) = outcome.stdout.split_once("| blueprint").unwrap_or_default();
    let rows = table.lines().skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let count = |place: usize| cells[place].parse::<u64>().unwrap();
        (cells[0].to_owned(), [count(2), count(3)])
    });
    rows.filter(|(_, counts)| *counts != [0, 0]).collect()
}

/// Resyncs, and fails if that does anything else than what was planned.
async fn resync_as_planned(
    sandbox: &Sandbox,
    planned: &Planned,
    environment: &[(String, String)],
) -> Result<Outcome, String> {
    let before = catalog(sandbox);
    let expected = planned.foretold(&before)?;
    let outcome = portolan(&["run", "--once"], environment).await;
    let after = catalog(sandbox);
    let places: BTreeSet<&Place> = expected.keys().chain(after.keys()).collect();
    for place in places {
        let (wanted, found) = (expected.get(place), after.get(place));
        if wanted != found {
            let text =
                |entity: Option<&Value>| entity.map_or("nothing".to_owned(), Value::to_string);
            return Err(format!(
                "{place:?}\n  planned {}\n  found   {}\n  before  {}",
                text(wanted),
                text(found),
                text(before.get(place)),
            ));
        }
    }
    if planned.left() != left(&outcome) {
        return Err(format!(
            "planned to leave {:?}, and left {:?}",
            planned.left(),
            left(&outcome)
        ));
    }
    // How many objects count as written depends on which of them meet in a request.
    let mut done: Vec<[u64; 4]> = outcome
        .summary()
        .into_iter()
        .map(|(_, [fetched, filtered, mapped, _, _, failed])| [fetched, filtered, mapped, failed])
        .collect();
    done.truncate(done.len().saturating_sub(1));
    if planned.kinds() != done {
        return Err(format!(
            "planned {:?} of each kind, and did {done:?}",
            planned.kinds()
        ));
    }
    if planned.outcome.code != outcome.code {
        return Err(format!(
            "planned with {:?}, and done with {:?}",
            planned.outcome.code, outcome.code
        ));
    }
    Ok(outcome)
}
