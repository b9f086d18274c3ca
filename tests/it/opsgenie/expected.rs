//! What the default mapping makes of the account, worked out here once more.

use std::collections::{BTreeMap, BTreeSet};

use portolan::sandbox::Sandbox;
use serde_json::{Value, json};

use super::text;

/// What the default mapping takes from an object as it is: the blueprint, the
/// vendor's list, and where title and properties come from.
type Plain = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const PLAIN: [Plain; 4] = [
    (
        "opsGenieUser",
        "users",
        "/fullName",
        &[
            ("email", "/username"),
            ("role", "/role/name"),
            ("timeZone", "/timeZone"),
            ("isVerified", "/verified"),
            ("isBlocked", "/blocked"),
            ("address", "/userAddress"),
            ("createdAt", "/createdAt"),
        ],
    ),
    (
        "opsGenieService",
        "services",
        "/name",
        &[
            ("description", "/description"),
            ("url", "/links/web"),
            ("tags", "/tags"),
        ],
    ),
    (
        "opsGenieAlert",
        "alerts",
        "/message",
        &[
            ("status", "/status"),
            ("acknowledged", "/acknowledged"),
            ("priority", "/priority"),
            ("sourceName", "/source"),
            ("tags", "/tags"),
            ("count", "/count"),
            ("createdAt", "/createdAt"),
            ("updatedAt", "/updatedAt"),
            ("integration", "/integration/name"),
        ],
    ),
    (
        "opsGenieIncident",
        "incidents",
        "/message",
        &[
            ("status", "/status"),
            ("priority", "/priority"),
            ("tags", "/tags"),
            ("url", "/links/web"),
            ("createdAt", "/createdAt"),
            ("updatedAt", "/updatedAt"),
            ("description", "/description"),
        ],
    ),
];

/// What the default mapping asks for: alerts and incidents are the open ones.
fn listed(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    let mut objects = sandbox.opsgenie.objects(kind);
    if kind == "alerts" || kind == "incidents" {
        objects.retain(|object| object["status"] == "open");
    }
    objects
}

/// What stands before `_` in the alias of an alert.
fn before_underscore(alert: &Value) -> Option<&str> {
    text(alert, "/alias")
        .split_once('_')
        .map(|(before, _)| before)
}

/// Targets of a relation, in no order; none where it was never said.
fn related(entity: &Value, relation: &str) -> BTreeSet<String> {
    let targets = match &entity["relations"][relation] {
        Value::Array(targets) => targets.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    targets
        .iter()
        .map(|target| target.as_str().unwrap().to_owned())
        .collect()
}

fn responding_teams(object: &Value) -> BTreeSet<String> {
    let responders = object["responders"].as_array().into_iter().flatten();
    responders
        .filter(|responder| responder["type"] == "team")
        .map(|responder| text(responder, "/id").to_owned())
        .collect()
}

/// Fails unless the catalog is what the default mapping makes of the vendor.
#[track_caller]
pub(super) fn assert_catalog_is_what_the_vendor_lists(sandbox: &Sandbox) {
    for (blueprint, kind, title, properties) in PLAIN {
        let objects = listed(sandbox, kind);
        assert!(!objects.is_empty(), "{kind}");
        for object in &objects {
            let id = text(object, "/id");
            let entity = sandbox.port.entity(blueprint, id);
            let entity = entity.unwrap_or_else(|| panic!("there is no {blueprint} {id}"));
            assert_eq!(
                entity["title"],
                object[title.trim_start_matches('/')],
                "{id}"
            );
            for (property, pointer) in properties {
                assert_eq!(
                    entity["properties"].get(property).unwrap_or(&Value::Null),
                    object.pointer(pointer).unwrap_or(&Value::Null),
                    "{property} of {blueprint} {id}"
                );
            }
            if kind == "alerts" || kind == "incidents" {
                assert_eq!(related(&entity, "respondingTeam"), responding_teams(object));
            }
        }
        let ids: BTreeSet<String> = sandbox.port.entities(blueprint).into_keys().collect();
        let mut expected: BTreeSet<String> = objects
            .iter()
            .map(|object| text(object, "/id").to_owned())
            .collect();
        if kind == "incidents" {
            // Those that Port made because an alert's alias names them.
            let alerts = listed(sandbox, "alerts");
            expected.extend(
                alerts
                    .iter()
                    .filter_map(before_underscore)
                    .map(str::to_owned),
            );
        }
        assert_eq!(ids, expected, "{blueprint}");
    }
    assert_relations_are_what_the_vendor_says(sandbox);
    assert_teams_and_schedules_are_what_the_vendor_lists(sandbox);
}

fn strings(list: &Value) -> BTreeSet<String> {
    let strings = list.as_array().into_iter().flatten();
    strings
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_relations_are_what_the_vendor_says(sandbox: &Sandbox) {
    for service in listed(sandbox, "services") {
        let entity = sandbox
            .port
            .entity("opsGenieService", text(&service, "/id"));
        let team = BTreeSet::from([text(&service, "/teamId").to_owned()]);
        assert_eq!(related(&entity.unwrap(), "ownerTeam"), team);
    }
    for incident in listed(sandbox, "incidents") {
        let entity = sandbox
            .port
            .entity("opsGenieIncident", text(&incident, "/id"));
        let services = strings(&incident["impactedServices"]);
        assert_eq!(related(&entity.unwrap(), "services"), services);
    }
    for alert in listed(sandbox, "alerts") {
        let entity = sandbox
            .port
            .entity("opsGenieAlert", text(&alert, "/id"))
            .unwrap();
        let incident = before_underscore(&alert).map(str::to_owned);
        assert_eq!(
            related(&entity, "relatedIncident"),
            BTreeSet::from_iter(incident)
        );
    }
}

#[track_caller]
fn assert_teams_and_schedules_are_what_the_vendor_lists(sandbox: &Sandbox) {
    let schedules = sandbox.opsgenie.objects("schedules");
    let mut rotations = BTreeSet::new();
    let mut oncall = BTreeMap::new();
    for schedule in &schedules {
        let id = text(schedule, "/id");
        let owner = text(schedule, "/ownerTeam/id");
        for rotation in schedule["rotations"].as_array().into_iter().flatten() {
            let identifier = format!("{id}_{}", text(rotation, "/id"));
            let entity = sandbox
                .port
                .entity("opsGenieSchedule", &identifier)
                .unwrap();
            assert_eq!(entity["properties"]["startDate"], rotation["startDate"]);
            assert_eq!(entity["properties"]["rotationType"], rotation["type"]);
            let owner = Some(owner).filter(|owner| !owner.is_empty());
            assert_eq!(
                related(&entity, "ownerTeam"),
                owner.into_iter().map(str::to_owned).collect()
            );
            rotations.insert(identifier);
        }
        // Of several schedules of a team, the last one counts.
        oncall.insert(owner, sandbox.opsgenie.oncalls(id));
    }
    let found: BTreeSet<String> = sandbox
        .port
        .entities("opsGenieSchedule")
        .into_keys()
        .collect();
    assert_eq!(found, rotations);

    let teams = sandbox.opsgenie.objects("teams");
    assert_eq!(sandbox.port.entities("opsGenieTeam").len(), teams.len());
    for team in &teams {
        let id = text(team, "/id");
        let entity = sandbox.port.entity("opsGenieTeam", id).unwrap();
        assert_eq!(entity["title"], team["name"]);
        assert_eq!(entity["properties"]["url"], team["links"]["web"]);
        let members = team["members"].as_array().into_iter().flatten();
        let members = members.map(|member| text(member, "/user/id").to_owned());
        assert_eq!(related(&entity, "members"), members.collect());
        if let Some(recipients) = oncall.get(id) {
            assert_eq!(entity["properties"]["oncallUsers"], json!(recipients));
        }
    }
}
