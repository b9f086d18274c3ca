//! A day in the life of the sandbox's company: objects of every kind are
//! changed, removed and added, the same for the same seed.
//!
//! What is removed takes along what refers to it, as the vendors do where they
//! do not refuse: nothing is left that points at nothing.

use std::collections::BTreeSet;

use portolan::sandbox::Sandbox;
use serde_json::{Value, json};

/// Kinds of Statuspage, from the outside in.
const STATUSPAGE: [&str; 4] = ["statuspage", "component_group", "component", "incident"];

/// Lists of PagerDuty.
const PAGERDUTY: [&str; 6] = [
    "services",
    "incidents",
    "schedules",
    "oncalls",
    "escalation_policies",
    "users",
];

/// Lists of Opsgenie, from the outside in.
const OPSGENIE: [&str; 6] = [
    "users",
    "teams",
    "schedules",
    "services",
    "incidents",
    "alerts",
];

/// One in so many objects of a kind is changed, and one removed; at least one.
const ONE_IN: usize = 12;

/// Changes, removes and adds objects of every kind of all vendors.
pub(crate) fn live_through_a_day(sandbox: &Sandbox, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for kind in STATUSPAGE {
        let mut some = pick(&mut chance, sandbox.statuspage.objects(kind));
        if kind == "statuspage" {
            // With everything on it: the company shall not be empty in a week.
            some.removed = smallest_page(sandbox).into_iter().collect();
        }
        for object in &some.changed {
            sandbox.statuspage.insert(kind, &renamed(object, seed));
        }
        for object in &some.added {
            sandbox.statuspage.insert(kind, &copied(object, seed));
        }
        remove_from_statuspage(sandbox, kind, &ids(&some.removed));
    }
    let updates = pick(&mut chance, sandbox.statuspage.objects("incident"));
    for incident in &updates.changed {
        change_updates(sandbox, incident, seed);
    }
    for endpoint in PAGERDUTY {
        let objects = sandbox.pagerduty.objects(endpoint);
        let some = pick(&mut chance, objects);
        if endpoint == "oncalls" {
            // An on-call has no identifier: it is replaced.
            remove_from_pagerduty(sandbox, endpoint, &some.changed);
        }
        for object in &some.changed {
            sandbox.pagerduty.insert(endpoint, &renamed(object, seed));
        }
        for object in &some.added {
            sandbox.pagerduty.insert(endpoint, &copied(object, seed));
        }
        remove_from_pagerduty(sandbox, endpoint, &some.removed);
    }
    for kind in OPSGENIE {
        let mut some = pick(&mut chance, sandbox.opsgenie.objects(kind));
        if kind == "schedules" {
            // Who is on call of a team without a schedule is said by nobody any
            // more, so Port keeps what it knew.
            some.removed
                .retain(|schedule| schedule.get("ownerTeam").is_none());
        }
        for object in &some.changed {
            sandbox.opsgenie.insert(kind, &renamed(object, seed));
        }
        for object in &some.added {
            sandbox.opsgenie.insert(kind, &copied(object, seed));
        }
        remove_from_opsgenie(sandbox, kind, &ids(&some.removed));
    }
}

struct Some {
    changed: Vec<Value>,
    removed: Vec<Value>,
    added: Vec<Value>,
}

/// No object is picked twice.
fn pick(chance: &mut fastrand::Rng, mut objects: Vec<Value>) -> Some {
    objects.sort_by_cached_key(Value::to_string);
    chance.shuffle(&mut objects);
    let share = objects.len().div_ceil(ONE_IN);
    let mut take = |number: usize| objects.split_off(objects.len().saturating_sub(number));
    Some {
        changed: take(share),
        added: take(share),
        // Of three objects, one stays as it is.
        removed: take(share),
    }
}

fn smallest_page(sandbox: &Sandbox) -> Option<Value> {
    let incidents = sandbox.statuspage.objects("incident");
    let on = |page: &Value| {
        let page = text(page, "id");
        let incidents = incidents.iter();
        incidents.filter(|one| text(one, "page_id") == page).count()
    };
    let pages = sandbox.statuspage.objects("statuspage").into_iter();
    pages.min_by_key(|page| (on(page), text(page, "id").to_owned()))
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn renamed(object: &Value, seed: u64) -> Value {
    let mut object = object.clone();
    for key in ["name", "title", "fullName", "message"] {
        if object[key].is_string() {
            object[key] = json!(format!("{} {seed}", text(&object, key)));
        }
    }
    if object.get("description").is_some() {
        object["description"] = json!(format!("Described on day {seed}"));
    }
    if object.get("end").is_some() {
        object["end"] = Value::Null;
    }
    object
}

/// Another object that is much like this one.
fn copied(object: &Value, seed: u64) -> Value {
    let mut copy = renamed(object, seed);
    if let Some(id) = object["id"].as_str() {
        copy["id"] = json!(format!("{id}{seed}"));
    } else if let Some(start) = object["start"].as_str() {
        let start: jiff::Timestamp = start.parse().unwrap();
        let seconds = i64::try_from(seed % 3_000).unwrap() + 1;
        let earlier = start - jiff::SignedDuration::from_secs(seconds);
        copy["start"] = json!(earlier.to_string());
    }
    for update in copy["incident_updates"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        update["id"] = json!(format!("{}{seed}", text(update, "id")));
        update["incident_id"] = json!(format!("{}{seed}", text(object, "id")));
    }
    // A group has its own components, and a page its own everything.
    for key in ["components", "incident_key"] {
        if copy.get(key).is_some() && object.get("incident_updates").is_none() {
            copy[key] = json!([]);
        }
    }
    copy
}

/// The last update goes, the others say something else.
fn change_updates(sandbox: &Sandbox, incident: &Value, seed: u64) {
    let id = text(incident, "id");
    sandbox.statuspage.update("incident", id, |incident| {
        let Some(updates) = incident["incident_updates"].as_array_mut() else {
            return;
        };
        updates.pop();
        if let Some(first) = updates.first().cloned() {
            let mut another = first.clone();
            another["id"] = json!(format!("{}n{seed}", text(&first, "id")));
            another["body"] = json!("One more update");
            updates.insert(0, another);
            updates[1]["body"] = json!(format!("Said again on day {seed}"));
        }
    });
}

fn ids(objects: &[Value]) -> BTreeSet<String> {
    let ids = objects.iter().map(|object| text(object, "id").to_owned());
    ids.collect()
}

fn remove_from_statuspage(sandbox: &Sandbox, kind: &str, removed: &BTreeSet<String>) {
    let statuspage = &sandbox.statuspage;
    statuspage.retain(kind, |object| !removed.contains(text(object, "id")));
    if kind == "statuspage" {
        for inner in &STATUSPAGE[1..] {
            statuspage.retain(inner, |object| !removed.contains(text(object, "page_id")));
        }
    }
    if kind == "component_group" {
        for mut component in statuspage.objects("component") {
            if removed.contains(text(&component, "group_id")) {
                component["group_id"] = Value::Null;
                statuspage.insert("component", &component);
            }
        }
    }
    if kind == "component" {
        for incident in statuspage.objects("incident") {
            let forgetful = without_components(&incident, removed);
            if forgetful != incident {
                statuspage.insert("incident", &forgetful);
            }
        }
    }
}

fn without_components(incident: &Value, removed: &BTreeSet<String>) -> Value {
    let mut incident = incident.clone();
    let keep = |list: &mut Value, key: &str| {
        if let Some(list) = list.as_array_mut() {
            list.retain(|component| !removed.contains(text(component, key)));
        }
    };
    keep(&mut incident["components"], "id");
    let updates = incident["incident_updates"].as_array_mut();
    for update in updates.into_iter().flatten() {
        keep(&mut update["affected_components"], "code");
    }
    incident
}

fn remove_from_pagerduty(sandbox: &Sandbox, endpoint: &str, removed: &[Value]) {
    let pagerduty = &sandbox.pagerduty;
    pagerduty.retain(endpoint, |object| !removed.contains(object));
    let (followers, reference) = match endpoint {
        "services" => ("incidents", "service"),
        "schedules" => ("oncalls", "schedule"),
        "escalation_policies" => ("oncalls", "escalation_policy"),
        _ => return,
    };
    let ids = ids(removed);
    pagerduty.retain(followers, |follower| {
        !ids.contains(text(&follower[reference], "id"))
    });
}

fn remove_from_opsgenie(sandbox: &Sandbox, kind: &str, removed: &BTreeSet<String>) {
    let opsgenie = &sandbox.opsgenie;
    opsgenie.retain(kind, |object| !removed.contains(text(object, "id")));
    match kind {
        "users" => without_elements(sandbox, "teams", "members", |member| {
            removed.contains(text(&member["user"], "id"))
        }),
        "teams" => {
            let mut services = opsgenie.objects("services");
            services.retain(|service| removed.contains(text(service, "teamId")));
            remove_from_opsgenie(sandbox, "services", &ids(&services));
            opsgenie.retain("schedules", |object| {
                !removed.contains(text(&object["ownerTeam"], "id"))
            });
            for kind in ["incidents", "alerts"] {
                without_elements(sandbox, kind, "responders", |responder| {
                    removed.contains(text(responder, "id"))
                });
            }
        }
        "services" => without_elements(sandbox, "incidents", "impactedServices", |service| {
            removed.contains(service.as_str().unwrap_or_default())
        }),
        "incidents" => {
            opsgenie.retain("alerts", |alert| {
                let incident = text(alert, "alias").split('_').next();
                !incident.is_some_and(|incident| removed.contains(incident))
            });
        }
        _ => {}
    }
}

/// Takes elements out of a list that the objects of a kind have.
fn without_elements(sandbox: &Sandbox, kind: &str, list: &str, gone: impl Fn(&Value) -> bool) {
    for mut object in sandbox.opsgenie.objects(kind) {
        if let Some(elements) = object[list].as_array_mut() {
            elements.retain(|element| !gone(element));
            sandbox.opsgenie.insert(kind, &object);
        }
    }
}
