//! The company is believable, and legal in the eyes of Port.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::super::chassis::Simulator;
use super::super::opsgenie::Opsgenie;
use super::super::pagerduty::Pagerduty;
use super::super::statuspage::Statuspage;
use super::super::tests::{opsgenie_caller, pagerduty_caller};
use super::super::{DatasetSize, Sandbox, SandboxOptions};
use super::Plan;
use super::words::Words;

async fn sandbox() -> (Simulator<Statuspage>, Simulator<Pagerduty>) {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    (sandbox.statuspage, sandbox.pagerduty)
}

async fn opsgenie() -> Simulator<Opsgenie> {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    sandbox.opsgenie
}

fn ids(objects: &[Value]) -> BTreeSet<String> {
    let ids = objects.iter().map(|object| text(object, "id").to_owned());
    ids.collect()
}

/// The objects in a list that an object has, or none.
fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    object[key].as_array().into_iter().flatten()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

/// Fails unless each of the fields is null or a date and time.
fn assert_dates(objects: &[Value], fields: &[&str]) {
    for object in objects {
        for field in fields {
            let fits = match &object[field] {
                Value::Null => true,
                value => value.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            };
            assert!(fits, "{field} of {object}");
        }
    }
}

#[tokio::test]
async fn addresses_dates_and_choices_are_what_the_default_blueprints_take() {
    let (statuspage, pagerduty) = sandbox().await;

    for endpoint in [
        "services",
        "incidents",
        "schedules",
        "escalation_policies",
        "users",
    ] {
        for object in pagerduty.objects(endpoint) {
            assert!(Url::parse(text(&object, "html_url")).is_ok(), "{object}");
        }
    }
    for user in pagerduty.objects("users") {
        let email = text(&user, "email");
        assert!(
            email.is_ascii()
                && email
                    .split_once('@')
                    .is_some_and(|(_, host)| host.contains('.'))
        );
        assert!(!email.contains([' ', '\'']), "{email}");
    }
    assert_dates(
        &pagerduty.objects("incidents"),
        &["created_at", "updated_at", "resolved_at"],
    );
    assert_dates(&pagerduty.objects("oncalls"), &["start", "end"]);
    assert_dates(
        &statuspage.objects("incident"),
        &["created_at", "resolved_at", "scheduled_for"],
    );
    assert_dates(
        &statuspage.objects("incident_update"),
        &["created_at", "display_at"],
    );
    for incident in statuspage.objects("incident") {
        assert!(["none", "minor", "major", "critical"].contains(&text(&incident, "impact")));
        assert!(Url::parse(text(&incident, "shortlink")).is_ok());
    }
    for page in statuspage.objects("statuspage") {
        assert!(
            page["url"]
                .as_str()
                .is_none_or(|url| Url::parse(url).is_ok())
        );
    }
}

#[tokio::test]
async fn everything_that_is_referred_to_exists() {
    let (statuspage, pagerduty) = sandbox().await;
    let components = ids(&statuspage.objects("component"));
    let groups = ids(&statuspage.objects("component_group"));
    for component in statuspage.objects("component") {
        assert!(component["group_id"].is_null() || groups.contains(text(&component, "group_id")));
    }
    for update in statuspage.objects("incident_update") {
        for affected in update["affected_components"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(components.contains(text(affected, "code")), "{update}");
        }
    }
    let services = ids(&pagerduty.objects("services"));
    let policies = ids(&pagerduty.objects("escalation_policies"));
    let schedules = ids(&pagerduty.objects("schedules"));
    let entries = ids(&pagerduty.objects("log_entries"));
    for incident in pagerduty.objects("incidents") {
        assert!(services.contains(text(&incident["service"], "id")));
        assert!(entries.contains(text(&incident["first_trigger_log_entry"], "id")));
    }
    for oncall in pagerduty.objects("oncalls") {
        assert!(policies.contains(text(&oncall["escalation_policy"], "id")));
        let schedule = &oncall["schedule"];
        assert!(schedule.is_null() || schedules.contains(text(schedule, "id")));
    }
    for service in pagerduty.objects("services") {
        assert!(policies.contains(text(&service["escalation_policy"], "id")));
    }
}

#[tokio::test]
async fn the_awkward_cases_are_all_there() {
    let (statuspage, pagerduty) = sandbox().await;
    let incidents = statuspage.objects("incident");
    let updates = statuspage.objects("incident_update");
    let oncalls = pagerduty.objects("oncalls");

    assert!(
        statuspage
            .objects("component")
            .iter()
            .any(|one| one["description"].is_null())
    );
    assert!(
        incidents
            .iter()
            .any(|one| one["components"] == Value::Array(Vec::new()))
    );
    assert!(incidents.iter().any(|one| one["status"] == "postmortem"));
    for status in ["scheduled", "in_progress", "verifying", "completed"] {
        assert!(
            incidents.iter().any(|one| one["status"] == status),
            "{status}"
        );
    }
    assert!(
        updates
            .iter()
            .any(|one| one["affected_components"].is_null())
    );
    assert!(updates.iter().any(|one| text(one, "body").len() > 4_000));
    assert!(incidents.iter().any(|one| !text(one, "name").is_ascii()));
    assert!(
        oncalls
            .iter()
            .any(|one| one["schedule"].is_null() && one["start"].is_null())
    );
    let users: BTreeSet<_> = pagerduty
        .objects("users")
        .iter()
        .map(|user| text(user, "id").to_owned())
        .collect();
    let gone = |schedule: &Value| {
        let mut members = schedule["users"].as_array().unwrap().iter();
        members.any(|user| !users.contains(text(user, "id")) && user["deleted_at"].is_string())
    };
    assert!(pagerduty.objects("schedules").iter().any(gone));
    let mut levels: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for oncall in &oncalls {
        let policy = text(&oncall["escalation_policy"], "id").to_owned();
        levels
            .entry(policy)
            .or_default()
            .insert(oncall["escalation_level"].as_i64().unwrap());
    }
    let levels_of = |service: &Value| {
        levels
            .get(text(&service["escalation_policy"], "id"))
            .map_or(0, BTreeSet::len)
    };
    let services = pagerduty.objects("services");
    assert!(services.iter().any(|service| levels_of(service) >= 3));
    assert!(services.iter().any(|service| levels_of(service) == 0));
    for status in ["active", "warning", "critical"] {
        assert!(
            services.iter().any(|one| one["status"] == status),
            "{status}"
        );
    }
}

#[tokio::test]
async fn the_documented_examples_are_part_of_it() {
    let (statuspage, pagerduty) = sandbox().await;

    let incident = statuspage.object("incident", "f5v3b6dr7k53").unwrap();
    assert_eq!(incident["incident_updates"][2]["id"], "gkjdpm52nm97");
    assert_eq!(
        statuspage.object("statuspage", "8m2l51279rpl").unwrap()["name"],
        "Ctrlv Solutions"
    );
    assert!(statuspage.object("component", "y6ssccsqgy8s").is_some());
    assert!(
        statuspage
            .object("component_group", "9w477s340zqt")
            .is_some()
    );
    assert_eq!(
        pagerduty.object("services", "PGAAJBE").unwrap()["name"],
        "My Test Service"
    );
    let example = pagerduty.object("incidents", "Q1P3AHC3KLGVAS").unwrap();
    assert_eq!(example["created_at"], "2023-05-15T13:59:45Z");
    assert_eq!(
        pagerduty.object("incidents", "Q01J2OS7YBWLNY").unwrap()["incident_number"],
        7
    );
    let schedule = pagerduty.object("schedules", "PWAXLIH").unwrap();
    assert_eq!(schedule["users"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_at_opsgenie_fits_its_blueprints_and_holds_together() {
    let opsgenie = opsgenie().await;
    let [users, teams, schedules, services, incidents, alerts] = [
        "users",
        "teams",
        "schedules",
        "services",
        "incidents",
        "alerts",
    ]
    .map(|kind| opsgenie.objects(kind));
    let [user_ids, team_ids, service_ids] = [&users, &teams, &services].map(|all| ids(all));

    for object in [&teams, &services, &incidents].into_iter().flatten() {
        assert!(
            Url::parse(text(&object["links"], "web")).is_ok(),
            "{object}"
        );
    }
    for all in [&users, &incidents, &alerts] {
        let fields = ["createdAt", "updatedAt", "lastOccurredAt", "snoozedUntil"];
        assert_dates(all, &fields);
    }
    for alert in &alerts {
        assert!(["open", "closed"].contains(&text(alert, "status")));
        assert!(text(alert, "owner").contains('@'), "{alert}");
    }
    for team in &teams {
        for member in list(team, "members") {
            assert!(user_ids.contains(text(&member["user"], "id")), "{team}");
        }
    }
    for schedule in &schedules {
        assert!(
            schedule["ownerTeam"].is_null()
                || team_ids.contains(text(&schedule["ownerTeam"], "id"))
        );
    }
    for service in &services {
        assert!(team_ids.contains(text(service, "teamId")), "{service}");
    }
    for incident in &incidents {
        assert!(["open", "resolved", "closed"].contains(&text(incident, "status")));
        for service in list(incident, "impactedServices") {
            assert!(
                service_ids.contains(service.as_str().unwrap()),
                "{incident}"
            );
        }
    }
}

#[tokio::test]
async fn the_awkward_cases_of_opsgenie_are_all_there() {
    let opsgenie = opsgenie().await;
    let schedules = opsgenie.objects("schedules");
    let incidents = opsgenie.objects("incidents");
    let alerts = opsgenie.objects("alerts");
    let incident_ids = ids(&incidents);

    assert!(schedules.iter().any(|one| one["ownerTeam"].is_null()));
    assert!(schedules.iter().any(|one| one["enabled"] == false));
    let owned = schedules.iter().filter(|one| one["ownerTeam"].is_object());
    let owners: Vec<_> = owned.map(|one| text(&one["ownerTeam"], "id")).collect();
    let distinct: BTreeSet<_> = owners.iter().collect();
    assert!(distinct.len() < owners.len(), "a team has two schedules");
    let participants = schedules
        .iter()
        .flat_map(|one| list(one, "rotations"))
        .flat_map(|rotation| list(rotation, "participants"));
    let types: BTreeSet<_> = participants.map(|one| text(one, "type")).collect();
    assert_eq!(types, BTreeSet::from(["none", "team", "user"]));
    assert!(
        schedules
            .iter()
            .any(|one| opsgenie.oncalls(text(one, "id")).is_empty())
    );
    assert!(
        incidents
            .iter()
            .any(|one| list(one, "impactedServices").count() == 0)
    );
    assert!(
        incidents
            .iter()
            .any(|one| list(one, "impactedServices").count() > 1)
    );
    assert!(incidents.iter().any(|one| one["ownerTeam"] == ""));
    let known = |alert: &Value| {
        let before = text(alert, "alias").split_once('_');
        before.map(|(incident, _)| incident_ids.contains(incident))
    };
    for expected in [None, Some(false), Some(true)] {
        assert!(
            alerts.iter().any(|one| known(one) == expected),
            "{expected:?}"
        );
    }
    assert!(alerts.iter().any(|one| one["snoozed"] == true));
    assert!(alerts.iter().any(|one| one["report"].is_null()));
}

#[tokio::test]
async fn the_people_and_services_of_opsgenie_are_those_of_pagerduty() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let examples = 2;
    let named = |objects: Vec<Value>, key: &str| -> BTreeSet<String> {
        let all = objects.iter().map(|one| text(one, key).to_owned());
        all.collect()
    };
    for (kind, there, here) in [
        ("users", "email", "username"),
        ("users", "name", "fullName"),
        ("services", "name", "name"),
        ("teams", "name", "name"),
    ] {
        let pagerduty = named(sandbox.pagerduty.objects(kind), there);
        let opsgenie = named(sandbox.opsgenie.objects(kind), here);
        let strangers = opsgenie.difference(&pagerduty).count();
        assert!(strangers <= examples, "{kind}: {strangers}");
        assert!(opsgenie.len() > strangers);
    }
}

#[tokio::test]
async fn the_smallest_company_is_the_documented_examples_alone() {
    let options = SandboxOptions {
        dataset: DatasetSize::Examples,
        times: 100,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();

    let statuspage = ["statuspage", "component_group", "component", "incident"];
    let statuspage = statuspage.map(|kind| sandbox.statuspage.objects(kind).len());
    assert_eq!(statuspage, [1, 1, 5, 1]);
    let pagerduty = ["teams", "users", "services", "incidents", "priorities"];
    let pagerduty = pagerduty.map(|kind| sandbox.pagerduty.objects(kind).len());
    assert_eq!(pagerduty, [0, 4, 2, 2, 0]);
    let opsgenie = ["teams", "users", "services", "incidents", "alerts"];
    let opsgenie = opsgenie.map(|kind| sandbox.opsgenie.objects(kind).len());
    assert_eq!(opsgenie, [1, 2, 2, 2, 1]);
}

#[tokio::test]
async fn a_company_many_times_over_has_so_many_times_of_everything_and_no_name_twice() {
    let [once, often] = [1, 20].map(|times| SandboxOptions {
        times,
        ..SandboxOptions::default()
    });
    let [once, often] = [
        Sandbox::start(once).await.unwrap(),
        Sandbox::start(often).await.unwrap(),
    ];
    let objects = |sandbox: &Sandbox, vendor: &str, kind: &str| match vendor {
        "statuspage" => sandbox.statuspage.objects(kind),
        "pagerduty" => sandbox.pagerduty.objects(kind),
        _ => sandbox.opsgenie.objects(kind),
    };
    // Beside the examples and what there is one of.
    for (vendor, kind, alone, unique) in [
        ("statuspage", "statuspage", 1, Some("subdomain")),
        ("statuspage", "component", 5, None),
        ("statuspage", "incident", 1, None),
        ("pagerduty", "teams", 0, Some("name")),
        ("pagerduty", "users", 4, Some("email")),
        ("pagerduty", "services", 2, Some("name")),
        ("pagerduty", "escalation_policies", 1, Some("name")),
        ("pagerduty", "incidents", 2, Some("incident_number")),
        ("opsgenie", "teams", 1, Some("name")),
        ("opsgenie", "users", 2, Some("username")),
        ("opsgenie", "services", 2, Some("name")),
        ("opsgenie", "incidents", 2, None),
        ("opsgenie", "alerts", 1, Some("alias")),
    ] {
        let few = objects(&once, vendor, kind).len() - alone;
        let all = objects(&often, vendor, kind);
        assert_eq!(all.len(), few * 20 + alone, "{vendor}: {kind}");
        if let Some(unique) = unique {
            let values: BTreeSet<_> = all.iter().map(|one| one[unique].to_string()).collect();
            assert_eq!(values.len(), all.len(), "{vendor}: {unique} of {kind}");
        }
    }
    for schedules in [
        often.pagerduty.objects("schedules"),
        often.opsgenie.objects("schedules"),
    ] {
        let names: BTreeSet<_> = schedules.iter().map(|one| text(one, "name")).collect();
        assert_eq!(names.len(), schedules.len());
    }
}

#[test]
fn no_two_teams_or_services_share_a_name_however_often_a_dataset_is_multiplied() {
    let words = Words::load();
    for size in [DatasetSize::Small, DatasetSize::Medium, DatasetSize::Large] {
        for times in [1, 2, 7, 100] {
            let plan = Plan::of(size).times(times);
            let services: BTreeSet<_> = (0..plan.services)
                .map(|number| words.service(number % plan.teams, number / plan.teams, times))
                .collect();
            assert_eq!(services.len(), plan.services, "{size:?}, {times} times");
            let teams: BTreeSet<_> = (0..plan.teams).map(|number| words.team(number)).collect();
            assert_eq!(teams.len(), plan.teams, "{size:?}, {times} times");
        }
    }
}

/// The components that a text names, as monitors are told to name them.
fn components_in(text: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new(r"[Cc]omponent[:_] ?(\w+)").unwrap();
    let found = pattern.captures_iter(text).map(|found| found[1].to_owned());
    found.collect()
}

#[tokio::test]
async fn some_of_what_is_open_names_components_of_the_pages_in_every_size_and_for_every_seed() {
    let small = (1..=6).map(|seed| (DatasetSize::Small, seed));
    for (dataset, seed) in small.chain([(DatasetSize::Medium, 1), (DatasetSize::Large, 1)]) {
        let options = SandboxOptions {
            dataset,
            seed,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let free = sandbox.statuspage.world(|world| world.free_components());
        let named = |tags: &str| -> usize {
            let named = components_in(tags);
            let free = named.iter().filter(|id| free.contains(id));
            free.count()
        };
        let pagerduty = pagerduty_caller(&sandbox);
        for status in ["acknowledged", "triggered"] {
            let path = format!("/incidents?date_range=all&limit=100&statuses[]={status}");
            let path = format!("{path}&include[]=first_trigger_log_entries");
            let list = pagerduty.get(&path).await.body;
            let channels = list["incidents"].as_array().unwrap().iter();
            let channels = channels.map(|one| &one["first_trigger_log_entry"]["channel"]);
            let mut ways = BTreeSet::new();
            for channel in channels {
                let (way, tags) = match (&channel["details"]["tags"], &channel["body"]) {
                    (Value::String(tags), _) => ("text", tags.clone()),
                    (tags @ Value::Array(_), _) => ("list", tags.to_string()),
                    (_, body) => ("mail", body.to_string()),
                };
                if named(&tags) > 0 {
                    ways.insert(way);
                }
            }
            assert!(!ways.is_empty(), "{dataset:?} with seed {seed}: {status}");
            assert!(
                ways.len() == 3 || dataset == DatasetSize::Small,
                "{dataset:?}: {ways:?}"
            );
        }
        let opsgenie = opsgenie_caller(&sandbox);
        for acknowledged in [true, false] {
            let query = format!("status:open%20AND%20acknowledged:{acknowledged}");
            let path = format!("/v2/alerts?limit=100&order=asc&query={query}");
            let list = opsgenie.get(&path).await.body;
            let mut alerts = list["data"].as_array().unwrap().iter();
            assert!(
                alerts.any(|one| named(&one["tags"].to_string()) > 0),
                "{dataset:?} with seed {seed}: {acknowledged}"
            );
        }
    }
}
