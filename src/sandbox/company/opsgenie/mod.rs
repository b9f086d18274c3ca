//! The part of the company that works with Opsgenie: its first teams, whose
//! people and services are those that PagerDuty knows, with schedules of their
//! own.

mod events;

use serde_json::{Value, json};

use super::super::opsgenie::Opsgenie;
use super::super::table::text_at;
use super::random::Random;
use super::words::Person;
use super::{Company, DAY, HOUR};

/// A team, and what its incidents and alerts need to know of it.
struct Team {
    id: String,
    name: String,
    members: Vec<Member>,
    services: Vec<Service>,
}

#[derive(Clone)]
struct Member {
    id: String,
    username: String,
}

struct Service {
    id: String,
    name: String,
}

/// Inserts an object of the embedded example, which also says who is on call
/// and which alert is which incident's.
pub(super) fn insert(world: &mut Opsgenie, kind: &str, object: &Value) {
    match kind {
        "oncalls" => {
            let usernames = object["usernames"].as_array().into_iter().flatten();
            let usernames = usernames.filter_map(Value::as_str).map(str::to_owned);
            world.set_oncalls(text_at(object, "schedule"), usernames.collect());
        }
        "associated" => world.associate(text_at(object, "incident"), text_at(object, "alert")),
        _ => world.insert(kind, object),
    }
}

pub(super) fn fill(
    company: &Company,
    watched: &[String],
    random: &mut Random,
    world: &mut Opsgenie,
) {
    let mut teams = Vec::new();
    for number in 0..company.plan.opsgenie.teams {
        let team = team(company, number, random, world);
        schedules(company, &team, number, random, world);
        teams.push(team);
    }
    without_owner(company, &teams, random, world);
    events::fill(company, &teams, watched, random, world);
}

/// The addresses of an object, for people and for programs.
fn links(web: &str, api: &str) -> Value {
    json!({
        "web": format!("https://halyard.app.opsgenie.com/{web}"),
        "api": format!("https://api.opsgenie.com/{api}"),
    })
}

fn team(company: &Company, number: usize, random: &mut Random, world: &mut Opsgenie) -> Team {
    let name = company.words.team(number);
    let id = random.uuid();
    let share = company.plan.members();
    let members: Vec<_> = (0..share)
        .map(|member| user(company, number * share + member, random, world))
        .collect();
    let shown = members.iter().zip(0..).map(|(member, place)| {
        let role = if place == 0 { "admin" } else { "user" };
        json!({"user": {"id": member.id, "username": member.username}, "role": role})
    });
    let description = if number % 3 == 1 {
        String::new()
    } else {
        format!("Looks after everything {name}")
    };
    world.insert(
        "teams",
        &json!({
            "id": id, "name": name, "description": description,
            "members": shown.collect::<Vec<_>>(),
            "links": links(&format!("teams/dashboard/{id}/main"), &format!("v2/teams/{id}")),
        }),
    );
    let mut services = Vec::new();
    for place in 0..company.plan.opsgenie.services {
        let service = Service {
            id: random.uuid(),
            name: company.words.service(number, place, company.times),
        };
        let own = &service.id;
        let mut object = json!({
            "id": own, "name": service.name, "description": format!("{}, run by {name}", service.name),
            "teamId": id, "tags": ["halyard", name.to_lowercase()],
            "links": links(&format!("service/{own}/status"), &format!("v1/services/{own}")),
            "isExternal": random.once_in(8),
        });
        if let Some(fields) = object.as_object_mut().filter(|_| random.once_in(4)) {
            // Nobody has said anything about this one.
            fields.shift_remove("description");
            fields.insert("tags".to_owned(), json!([]));
        }
        world.insert("services", &object);
        services.push(service);
    }
    Team {
        id,
        name,
        members,
        services,
    }
}

fn user(company: &Company, number: usize, random: &mut Random, world: &mut Opsgenie) -> Member {
    let Person { name, email } = company.words.person(number);
    let id = random.uuid();
    let role = ["User", "User", "User", "Admin", "Stakeholder", "Owner"][random.below(6)];
    let created = company.ago(random.between(100 * DAY, 900 * DAY));
    world.insert(
        "users",
        &json!({
            "id": id, "username": email, "fullName": name, "role": {"id": role, "name": role},
            "blocked": number % 9 == 8, "verified": number % 7 != 6,
            "timeZone": random.pick(&company.words.time_zones), "locale": "en_GB",
            "userAddress": {"country": "", "state": "", "city": "", "line": "", "zipCode": ""},
            "tags": [], "details": {}, "createdAt": created.to_string(),
        }),
    );
    Member {
        id,
        username: email,
    }
}

/// A team's schedule; every fifth team has a second one, which the first
/// falls back on. For every sixth nobody is on call.
fn schedules(
    company: &Company,
    team: &Team,
    number: usize,
    random: &mut Random,
    world: &mut Opsgenie,
) {
    let owner = json!({"id": team.id, "name": team.name});
    let mut rotations = vec![rotation(company, "Weekdays", &team.members, random)];
    rotations[0]["timeRestriction"] = json!({
        "type": "weekday-and-time-of-day", "restrictions": [{
            "startDay": "monday", "startHour": 8, "startMin": 0,
            "endDay": "friday", "endHour": 18, "endMin": 0,
        }],
    });
    if number.is_multiple_of(2) {
        let mut nights = rotation(company, "Nights and weekends", &team.members, random);
        nights["type"] = "daily".into();
        nights["timeRestriction"] = json!({
            "type": "time-of-day",
            "restriction": {"startHour": 18, "startMin": 0, "endHour": 8, "endMin": 0},
        });
        rotations.push(nights);
    }
    let name = format!("{}_schedule", team.name);
    let id = schedule(company, &name, Some(&owner), &rotations, random, world);
    if number % 6 != 5 {
        let first = random.below(team.members.len());
        let oncall = team.members[first..].iter().take(1 + number % 2);
        let oncall = oncall.map(|member| member.username.clone());
        world.set_oncalls(&id, oncall.collect());
    }
    if number % 5 == 3 {
        let mut rotation = rotation(company, "Escalation", &team.members[..1], random);
        let others = [
            json!({"type": "team", "id": team.id}),
            json!({"type": "none"}),
        ];
        if let Some(participants) = rotation["participants"].as_array_mut() {
            // Whoever is on call for the team, or nobody.
            participants.extend(others);
        }
        rotation["endDate"] = company.after(company.now, 300 * DAY).to_string().into();
        let name = format!("{}_escalation_schedule", team.name);
        let id = schedule(company, &name, Some(&owner), &[rotation], random, world);
        world.set_oncalls(&id, vec![team.members[0].username.clone()]);
    }
}

/// How many team leads command incidents in turn, however many there are.
const COMMANDERS: usize = 40;

/// Schedules that belong to no team: one that works, and one that was given up.
fn without_owner(company: &Company, teams: &[Team], random: &mut Random, world: &mut Opsgenie) {
    let leads = teams.iter().take(COMMANDERS);
    let leads: Vec<_> = leads.map(|team| team.members[0].clone()).collect();
    let rotations = [rotation(company, "Weekly", &leads, random)];
    let id = schedule(
        company,
        "Incident commander",
        None,
        &rotations,
        random,
        world,
    );
    world.set_oncalls(&id, vec![leads[0].username.clone()]);
    let id = schedule(company, "Old night shift", None, &[], random, world);
    world.update("schedules", &id, |schedule| {
        schedule["enabled"] = false.into();
    });
}

fn rotation(company: &Company, name: &str, members: &[Member], random: &mut Random) -> Value {
    let participants = members
        .iter()
        .map(|member| json!({"type": "user", "id": member.id, "username": member.username}));
    let start = company.ago(random.between(30 * DAY, 300 * DAY) / HOUR * HOUR);
    json!({
        "id": random.uuid(), "name": name, "startDate": start.to_string(), "type": "weekly",
        "length": 1, "participants": participants.collect::<Vec<_>>(),
    })
}

fn schedule(
    company: &Company,
    name: &str,
    owner: Option<&Value>,
    rotations: &[Value],
    random: &mut Random,
    world: &mut Opsgenie,
) -> String {
    let id = random.uuid();
    let mut schedule = json!({
        "id": id, "name": name, "description": format!("Who answers for {name}"),
        "timezone": random.pick(&company.words.time_zones), "enabled": true,
        "rotations": rotations,
    });
    if let Some(owner) = owner {
        schedule["ownerTeam"] = owner.clone();
    }
    world.insert("schedules", &schedule);
    id
}
