//! What went wrong: incidents with their alerts, and alerts that never became
//! an incident.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::opsgenie::Opsgenie;
use super::super::random::Random;
use super::super::tags::Tags;
use super::super::{Company, DAY, HOUR};
use super::{Service, Team, links};

/// An alert that is still to be told in full.
struct Alert<'a> {
    age: i64,
    open: bool,
    team: &'a Team,
    service: &'a Service,
    /// The incident that sent it out, and what that says.
    incident: Option<(String, String)>,
}

pub(super) fn fill(
    company: &Company,
    teams: &[Team],
    watched: &[String],
    random: &mut Random,
    world: &mut Opsgenie,
) {
    let plan = &company.plan.opsgenie;
    let mut incidents = ages(plan.incidents, random);
    let mut alerts = Vec::new();
    for (number, (age, open)) in (1..).zip(incidents.drain(..)) {
        let team = random.pick(teams);
        let service = random.pick(&team.services);
        let incident = incident(
            company, teams, team, service, number, age, open, random, world,
        );
        alerts.push(Alert {
            age: (age - 1).max(0),
            open: open && !random.once_in(4),
            team,
            service,
            incident: Some(incident),
        });
    }
    for (age, open) in ages(plan.alerts, random) {
        let team = random.pick(teams);
        alerts.push(Alert {
            age,
            open,
            team,
            service: random.pick(&team.services),
            incident: None,
        });
    }
    // Both are numbered in the order in which they happened.
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.age));
    let mut tags = Tags::new(watched, 1);
    let (mut waiting, mut acknowledged) = (0.., 0..);
    for (number, told) in (1..).zip(&alerts) {
        let mut alert = alert(company, told, number, random);
        let turn = match (told.open, alert["acknowledged"] == true) {
            (false, _) => None,
            (true, true) => acknowledged.next(),
            (true, false) => waiting.next(),
        };
        let tagged = turn.and_then(|turn| tags.of(turn));
        if let (Some(tagged), Some(own)) = (tagged, alert["tags"].as_array_mut()) {
            let named = tagged.components.iter();
            own.extend(named.map(|id| format!("component:{id}").into()));
        }
        world.insert("alerts", &alert);
    }
}

/// How long ago things happened, oldest first, and whether they still go on.
fn ages((over, open): (usize, usize), random: &mut Random) -> Vec<(i64, bool)> {
    let over = std::iter::repeat_n(false, over);
    let all = over.chain(std::iter::repeat_n(true, open));
    let mut ages: Vec<_> = all
        .map(|open| {
            (
                random.between(10, if open { 40 * DAY } else { 200 * DAY }),
                open,
            )
        })
        .collect();
    ages.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    ages
}

/// So long ago, to the millisecond, as Opsgenie keeps time.
fn moment(company: &Company, minutes: i64, random: &mut Random) -> Timestamp {
    let fraction = SignedDuration::from_millis(random.between(0, 60_000));
    let whole = company.ago(minutes);
    whole.saturating_add(fraction).unwrap_or(whole)
}

fn priority(random: &mut Random) -> &'static str {
    ["P1", "P2", "P3", "P3", "P3", "P4", "P5"][random.below(7)]
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of one walk over the incidents"
)]
fn incident(
    company: &Company,
    teams: &[Team],
    team: &Team,
    service: &Service,
    number: i64,
    age: i64,
    open: bool,
    random: &mut Random,
    world: &mut Opsgenie,
) -> (String, String) {
    let id = random.uuid();
    let message = random.pick(&company.words.alerts);
    let message = message.replace("{service}", &service.name);
    let created = moment(company, age, random);
    let ended = moment(company, random.between(0, age.min(9 * HOUR)), random);
    let mut impacted = vec![&service.id];
    if random.once_in(3) {
        impacted.extend(random.pick(teams).services.first().map(|other| &other.id));
        impacted.dedup();
    } else if random.once_in(8) {
        // Nobody has said which services it concerns.
        impacted.clear();
    }
    let lead = &team.members[0];
    let status = match (open, random.once_in(3)) {
        (true, _) => "open",
        (false, true) => "resolved",
        (false, false) => "closed",
    };
    let mut incident = json!({
        "id": id, "description": format!("{message}. Began with {}.", service.name),
        "impactedServices": impacted, "tinyId": number.to_string(), "message": message,
        "status": status, "isSeen": !random.once_in(5), "tags": ["customer-facing"],
        "createdAt": created.to_string(), "updatedAt": ended.max(created).to_string(),
        "source": lead.username, "owner": lead.username, "priority": priority(random),
        "ownerTeam": if number % 4 == 0 { "" } else { team.id.as_str() },
        "responders": [{"type": "team", "id": team.id}, {"type": "user", "id": lead.id}],
        "extraProperties": {"region": random.pick(&company.words.regions)}, "actions": [],
        "links": links(&format!("incident/detail/{id}"), &format!("v1/incidents/{id}")),
        "impactStartDate": created.to_string(),
    });
    if !open {
        incident["impactEndDate"] = ended.max(created).to_string().into();
    }
    world.insert("incidents", &incident);
    (id, message)
}

/// An alert in full. Each has an owner: the empty name that Opsgenie gives
/// those without one is no e-mail address, which is what Port takes for one.
fn alert(company: &Company, told: &Alert<'_>, number: i64, random: &mut Random) -> Value {
    let Alert {
        age, open, team, ..
    } = *told;
    let service = told.service;
    let words = &company.words;
    let created = moment(company, age, random);
    let id = format!("{}-{}", random.uuid(), created.as_millisecond());
    let last = moment(company, random.between(0, age.max(1)), random).max(created);
    let monitor = random.pick(&words.monitors).as_str();
    let acknowledged = !open || random.once_in(3);
    let snoozed = open && acknowledged && random.once_in(6);
    let owner = &random.pick(&team.members).username;
    let (alias, message) = if let Some((incident, message)) = &told.incident {
        (format!("{incident}_{}", random.uuid()), message.clone())
    } else {
        let message = random.pick(&words.alerts);
        // What a monitor calls its alert may have an underscore as well.
        let alias = if random.once_in(12) {
            format!("check-{number}_{}", random.id(6))
        } else {
            random.uuid()
        };
        (alias, message.replace("{service}", &service.name))
    };
    let mut alert = json!({
        "seen": acknowledged, "id": id, "tinyId": number.to_string(), "alias": alias,
        "message": message, "status": if open { "open" } else { "closed" },
        "acknowledged": acknowledged, "isSeen": acknowledged || random.once_in(2),
        "tags": ["env:production", monitor.to_lowercase()], "snoozed": snoozed,
        "count": random.between(1, 40), "lastOccurredAt": last.to_string(),
        "createdAt": created.to_string(), "updatedAt": last.to_string(), "source": monitor,
        "owner": owner, "priority": priority(random), "teams": [{"id": team.id}],
        "responders": [{"type": "team", "id": team.id}, {"type": "user", "id": team.members[0].id}],
        "integration": {"id": random.uuid(), "name": monitor, "type": "API"},
        "ownerTeamId": team.id, "actions": [], "entity": service.name,
        "description": format!("{message}\n\nReported by {monitor}."),
        "details": {"region": random.pick(&words.regions)},
    });
    if snoozed {
        let until = company.after(company.now, random.between(HOUR, DAY));
        alert["snoozedUntil"] = until.to_string().into();
    }
    if acknowledged {
        alert["report"] =
            json!({"ackTime": random.between(20_000, HOUR * 60_000), "acknowledgedBy": owner});
    }
    if !open {
        alert["report"]["closeTime"] = random.between(HOUR * 60_000, DAY * 60_000).into();
        alert["report"]["closedBy"] = owner.as_str().into();
    }
    alert
}
