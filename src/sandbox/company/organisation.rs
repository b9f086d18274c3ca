//! Who works at the company: teams, people, schedules, escalation policies,
//! services, and who is on call.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::pagerduty::Pagerduty;
use super::random::Random;
use super::words::Person;
use super::{Company, DAY, HOUR};

/// What the incidents need to know.
pub(super) struct Organisation {
    pub(super) services: Vec<Service>,
    pub(super) priorities: Vec<Value>,
}

pub(super) struct Service {
    pub(super) object: Value,
    pub(super) reference: Value,
    pub(super) policy: Value,
    pub(super) team: Value,
    /// Who takes the incidents of the service.
    pub(super) members: Vec<Value>,
}

struct Team {
    reference: Value,
    members: Vec<Value>,
    policy: Value,
}

/// The fields that every object has.
pub(super) fn head(company: &Company, kind: &str, path: &str, id: &str, summary: &str) -> Value {
    let site = if path == "services" {
        "service-directory"
    } else {
        path
    };
    json!({
        "id": id, "type": kind, "summary": summary,
        "self": format!("https://api.pagerduty.com/{path}/{id}"),
        "html_url": format!("{}/{site}/{id}", company.words.account),
    })
}

/// What stands for an object in other objects.
pub(super) fn reference(object: &Value) -> Value {
    let kind = object["type"].as_str().unwrap_or_default();
    json!({
        "id": object["id"], "type": format!("{kind}_reference"), "summary": object["summary"],
        "self": object["self"], "html_url": object["html_url"],
    })
}

/// An object: the common fields and its own.
pub(super) fn with(mut head: Value, own: Value) -> Value {
    if let (Some(head), Value::Object(own)) = (head.as_object_mut(), own) {
        head.extend(own);
    }
    head
}

pub(super) fn fill(company: &Company, random: &mut Random, world: &mut Pagerduty) -> Organisation {
    let teams = teams(company, random, world);
    let services = services(company, &teams, random, world);
    let priorities = ["P1", "P2", "P3", "P4", "P5"];
    let colors = ["a8171c", "eb6016", "f9b406", "555555", "555555"];
    let priorities =
        (0_i64..)
            .zip(priorities.into_iter().zip(colors))
            .map(|(order, (name, color))| {
                let id = random.upper_id("P", 6);
                let own = json!({
                    "name": name, "description": null, "color": color, "order": 1 << (30 - order),
                    "html_url": null,
                });
                with(head(company, "priority", "priorities", &id, name), own)
            });
    let priorities: Vec<_> = priorities.collect();
    for priority in &priorities {
        world.insert("priorities", priority);
    }
    Organisation {
        services,
        priorities,
    }
}

fn teams(company: &Company, random: &mut Random, world: &mut Pagerduty) -> Vec<Team> {
    let words = &company.words;
    let share = company.plan.members();
    let mut teams = Vec::new();
    let mut permanent = None;
    for number in 0..company.plan.teams {
        let name = words.team(number);
        let id = random.upper_id("P", 6);
        let description = (number % 3 != 1).then(|| format!("Looks after everything {name}"));
        let own = json!({
            "name": name, "description": description, "default_role": "manager", "parent": null,
        });
        let team = with(head(company, "team", "teams", &id, &name), own);
        world.insert("teams", &team);
        let team = reference(&team);
        let members: Vec<_> = (0..share)
            .map(|member| user(company, number * share + member, &team, random, world))
            .collect();
        let head_of = if company.plan.double_duty && number % 4 == 1 {
            permanent.clone().unwrap_or_else(|| members[0].clone())
        } else {
            members[0].clone()
        };
        permanent = Some(head_of.clone());
        let policy = policy(
            company, &name, number, &team, &members, &head_of, random, world,
        );
        teams.push(Team {
            reference: team,
            members,
            policy,
        });
    }
    teams
}

fn user(
    company: &Company,
    number: usize,
    team: &Value,
    random: &mut Random,
    world: &mut Pagerduty,
) -> Value {
    let words = &company.words;
    let Person { name, email } = words.person(number);
    let id = random.upper_id("P", 6);
    let contact = random.upper_id("P", 6);
    let method = json!({
        "id": contact, "type": "email_contact_method_reference", "summary": "Default",
        "self": format!("https://api.pagerduty.com/users/{id}/contact_methods/{contact}"),
        "html_url": null,
    });
    let own = json!({
        "name": name, "email": email, "time_zone": random.pick(&words.time_zones),
        "color": "dark-slate-grey",
        "avatar_url": format!("https://secure.gravatar.com/avatar/{number:032x}.png?d=mm&r=PG"),
        "billed": true, "role": random.pick(&words.roles),
        "description": (number.is_multiple_of(7)).then_some("Prefers a call over a message"),
        "invitation_sent": number.is_multiple_of(11), "job_title": random.pick(&words.job_titles),
        "teams": [team], "contact_methods": [method], "notification_rules": [],
    });
    let user = with(head(company, "user", "users", &id, &name), own);
    world.insert("users", &user);
    reference(&user)
}

/// A schedule with whoever is in its rotation.
fn schedule(
    company: &Company,
    name: &str,
    team: &Value,
    members: &[Value],
    random: &mut Random,
    world: &mut Pagerduty,
) -> (Value, String) {
    let id = random.upper_id("P", 6);
    let mut users = members.to_vec();
    if random.once_in(3) {
        // Somebody who left: the schedule still names them, nothing else does.
        let gone = random.upper_id("P", 6);
        users.push(json!({
            "id": gone, "type": "user_reference", "summary": "Former colleague", "self": null,
            "html_url": format!("{}/users/{gone}", company.words.account),
            "deleted_at": company.ago(200 * DAY).to_string(),
        }));
    }
    let own = json!({
        "name": name, "time_zone": random.pick(&company.words.time_zones),
        "description": (!random.once_in(4)).then(|| format!("Weekly rotation of {name}")),
        "users": users, "escalation_policies": [], "teams": [team],
        "schedule_layers": [], "overrides_subschedule": {
            "name": "Overrides", "rendered_schedule_entries": [], "rendered_coverage_percentage": null,
        },
    });
    let schedule = with(head(company, "schedule", "schedules", &id, name), own);
    world.insert("schedules", &schedule);
    (reference(&schedule), id)
}

/// A team's escalation policy and everyone on call for it. Every sixth has
/// nobody, every third a level more.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of one walk over the teams"
)]
fn policy(
    company: &Company,
    name: &str,
    number: usize,
    team: &Value,
    members: &[Value],
    head_of: &Value,
    random: &mut Random,
    world: &mut Pagerduty,
) -> Value {
    let name = format!("{name} Escalation");
    let id = random.upper_id("P", 6);
    let policy = head(
        company,
        "escalation_policy",
        "escalation_policies",
        &id,
        &name,
    );
    let short = reference(&policy);
    let (mut rules, mut schedules) = (Vec::new(), Vec::new());
    let mut level = |target: &Value, random: &mut Random| {
        rules.push(json!({
            "id": random.upper_id("P", 6),
            "escalation_delay_in_minutes": 10 + 5 * random.between(0, 5), "targets": [target],
        }));
    };
    if number % 6 != 5 {
        let second = number.is_multiple_of(3).then_some("Secondary");
        for (order, rota) in (1..).zip(["Primary"].into_iter().chain(second)) {
            let rota = format!("{name} {rota}");
            let (rota, rota_id) = schedule(company, &rota, team, members, random, world);
            level(&rota, random);
            schedules.push(rota_id);
            shifts(company, &short, &rota, order, members, random, world);
        }
        // At the end of the chain somebody is always on call, without a schedule.
        level(head_of, random);
        let last = if second.is_some() { 3 } else { 2 };
        world.insert("oncalls", &oncall(&short, head_of, None, last, None));
    }
    let own = json!({
        "name": name, "description": (number.is_multiple_of(2)).then_some("Team first, then its lead"),
        "num_loops": number % 3, "on_call_handoff_notifications": "if_has_services",
        "escalation_rules": rules, "services": [], "teams": [team],
    });
    world.insert("escalation_policies", &with(policy, own));
    for schedule in schedules {
        world.update("schedules", &schedule, |schedule| {
            schedule["escalation_policies"] = json!([short]);
        });
    }
    short
}

/// The shift that is under way and the next weeks'.
fn shifts(
    company: &Company,
    policy: &Value,
    schedule: &Value,
    level: i64,
    members: &[Value],
    random: &mut Random,
    world: &mut Pagerduty,
) {
    let mut start = company.ago(random.between(HOUR, 6 * DAY));
    let first = random.below(members.len());
    for week in 0..3 {
        let end = company.after(start, 7 * DAY);
        let user = &members[(first + week) % members.len()];
        world.insert(
            "oncalls",
            &oncall(policy, user, Some(schedule), level, Some((start, end))),
        );
        start = end;
    }
}

fn oncall(
    policy: &Value,
    user: &Value,
    schedule: Option<&Value>,
    level: i64,
    shift: Option<(Timestamp, Timestamp)>,
) -> Value {
    json!({
        "escalation_policy": policy, "escalation_level": level, "schedule": schedule,
        "user": user,
        "start": shift.map(|(start, _)| start.to_string()),
        "end": shift.map(|(_, end)| end.to_string()),
    })
}

fn services(
    company: &Company,
    teams: &[Team],
    random: &mut Random,
    world: &mut Pagerduty,
) -> Vec<Service> {
    let words = &company.words;
    let mut services = Vec::new();
    let mut of_policy = vec![Vec::new(); teams.len()];
    for number in 0..company.plan.services {
        let place = number % teams.len();
        let team = &teams[place];
        let name = words.service(place, number / teams.len(), company.times);
        let id = random.upper_id("P", 6);
        let created = company
            .ago(random.between(200 * DAY, 900 * DAY))
            .to_string();
        let hours = json!({
            "type": "fixed_time_per_day", "time_zone": "Europe/Berlin", "days_of_week": [1, 2, 3, 4, 5],
            "start_time": "08:00:00", "end_time": "18:00:00",
        });
        let status = match number {
            7 => "maintenance",
            11 => "disabled",
            _ => "active",
        };
        let own = json!({
            "name": name, "description": (number % 4 != 2).then(|| format!("{name}, run by {}", team.reference["summary"].as_str().unwrap_or_default())),
            "created_at": created, "updated_at": created, "status": status,
            "teams": [team.reference], "alert_creation": "create_alerts_and_incidents",
            "addons": [], "scheduled_actions": [], "support_hours": (number % 5 == 3).then_some(hours),
            "last_incident_timestamp": null, "escalation_policy": team.policy,
            "incident_urgency_rule": {"type": "constant", "urgency": "high"},
            "acknowledgement_timeout": (number.is_multiple_of(3)).then_some(1800),
            "auto_resolve_timeout": (number % 3 == 1).then_some(14400),
            "alert_grouping": null, "alert_grouping_timeout": null, "integrations": [],
            "response_play": null,
        });
        let object = with(head(company, "service", "services", &id, &name), own);
        let short = reference(&object);
        world.insert("services", &object);
        if number.is_multiple_of(3) {
            let values = vec![json!({
                "id": random.upper_id("P", 6), "name": "cost_centre", "type": "field_value",
                "display_name": "Cost centre", "field_type": "single_value", "data_type": "string",
                "description": null, "value": format!("CC-{}", 1000 + number),
            })];
            world.set_custom_fields("services", &id, values);
        }
        of_policy[place].push(short.clone());
        services.push(Service {
            object,
            reference: short,
            policy: team.policy.clone(),
            team: team.reference.clone(),
            members: team.members.clone(),
        });
    }
    for (team, services) in teams.iter().zip(of_policy) {
        if let Some(id) = team.policy["id"].as_str() {
            world.update("escalation_policies", id, |policy| {
                policy["services"] = json!(services);
            });
        }
    }
    services
}
