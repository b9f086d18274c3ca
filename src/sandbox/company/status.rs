//! What the company tells its customers: pages, components, incidents.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::statuspage::Statuspage;
use super::random::Random;
use super::words::regional;
use super::{Company, DAY, HOUR};

pub(super) fn fill(company: &Company, random: &mut Random, world: &mut Statuspage) {
    for number in 0..company.plan.pages {
        let page = page(company, number, random);
        let id = page["id"].as_str().unwrap_or_default().to_owned();
        world.insert("statuspage", &page);
        world.insert("subscriber", &subscriber(company, &id, random));
        let mut components = components(company, number, &id, random, world);
        for (number, component) in components.iter_mut().enumerate() {
            // Some never changed, a few are worked on right now.
            if number % 13 == 5 {
                component["status"] = "under_maintenance".into();
            }
        }
        let incidents: Vec<_> = (0..company.plan.incidents)
            .map(|number| incident(company, &id, number, &mut components, random))
            .collect();
        for component in &components {
            world.insert("component", component);
        }
        for incident in incidents {
            world.insert("incident", &incident);
        }
    }
}

fn page(company: &Company, number: usize, random: &mut Random) -> Value {
    let words = &company.words.pages[number % company.words.pages.len()];
    let round = number / company.words.pages.len();
    let name = regional(&words.name, round, &company.words.regions);
    let domain = words.domain.as_ref().filter(|_| round == 0);
    let logo = json!({
        "updated_at": null, "original_url": "", "size": null, "normal_url": "", "retina_url": "",
    });
    json!({
        "id": random.id(12), "created_at": company.ago(700 * DAY).to_string(),
        "updated_at": company.ago(random.between(DAY, 90 * DAY)).to_string(),
        "name": name,
        "page_description": (number.is_multiple_of(2)).then(|| format!("How {name} is doing")),
        "headline": null, "branding": if number.is_multiple_of(2) { "premium" } else { "basic" },
        "subdomain": if round == 0 { words.subdomain.clone() } else { format!("{}-{round}", words.subdomain) },
        "domain": domain, "url": domain.map(|domain| format!("https://{domain}")),
        "support_url": null, "hidden_from_search": false, "allow_page_subscribers": true,
        "allow_incident_subscribers": true, "allow_email_subscribers": true,
        "allow_sms_subscribers": number % 2 == 1, "allow_rss_atom_feeds": true,
        "allow_webhook_subscribers": true, "notifications_from_email": null,
        "notifications_email_footer": "You get this because you asked for status updates.",
        "activity_score": random.between(0, 900), "twitter_username": null,
        "viewers_must_be_team_members": false, "ip_restrictions": null, "city": null,
        "state": null, "country": null, "time_zone": random.pick(&company.words.time_zones),
        "css_body_background_color": "ffffff", "css_font_color": "333333",
        "favicon_logo": {"updated_at": null, "size": null, "url": ""},
        "transactional_logo": logo, "hero_cover": logo, "email_logo": logo,
    })
}

fn subscriber(company: &Company, page: &str, random: &mut Random) -> Value {
    json!({
        "id": random.id(12), "page_id": page, "mode": "email",
        "email": format!("watcher@{}", company.words.domain), "quarantined_at": null,
        "created_at": company.ago(400 * DAY).to_string(),
    })
}

/// Groups with three components each, and two components without a group.
fn components(
    company: &Company,
    page_number: usize,
    page: &str,
    random: &mut Random,
    world: &mut Statuspage,
) -> Vec<Value> {
    let mut components = Vec::new();
    let words = &company.words;
    for number in 0..company.plan.groups {
        let place = page_number * 3 + number;
        let team = &words.teams[place % words.teams.len()];
        let id = random.id(12);
        let created = company.ago(random.between(300 * DAY, 600 * DAY));
        let members: Vec<_> = (1..=3)
            .map(|position| {
                let name = &team.services[position - 1];
                let name = regional(name, place / words.teams.len(), &words.regions);
                component(company, page, Some(&id), &name, position, random)
            })
            .collect();
        let ids: Vec<_> = members.iter().map(|member| member["id"].clone()).collect();
        let name = regional(&team.name, place / words.teams.len(), &words.regions);
        world.insert(
            "component_group",
            &json!({
                "id": id, "page_id": page, "name": name,
                "description": (number.is_multiple_of(2)).then(|| format!("Everything around {name}")),
                "components": ids, "position": number + 1,
                "created_at": created.to_string(), "updated_at": created.to_string(),
            }),
        );
        components.extend(members);
    }
    for (position, name) in (1..).zip(["Website", "Hotline ☎"]) {
        components.push(component(company, page, None, name, position, random));
    }
    components
}

fn component(
    company: &Company,
    page: &str,
    group: Option<&str>,
    name: &str,
    position: usize,
    random: &mut Random,
) -> Value {
    let created = company.ago(random.between(100 * DAY, 300 * DAY));
    let start = (!random.once_in(4)).then(|| created.to_string()[..10].to_owned());
    json!({
        "id": random.id(12), "page_id": page, "group_id": group,
        "created_at": created.to_string(), "updated_at": created.to_string(), "group": false,
        "name": name, "description": random.once_in(2).then(|| format!("{name} as customers see it")),
        "position": position, "status": "operational", "showcase": !random.once_in(5),
        "only_show_if_degraded": random.once_in(6),
        "automation_email": format!("component+{}@notifications.example.com", random.id(16)),
        "start_date": start,
    })
}

/// How far an incident got.
struct Course {
    statuses: &'static [&'static str],
    scheduled: bool,
}

const REALTIME: [Course; 5] = [
    Course {
        statuses: &["investigating"],
        scheduled: false,
    },
    Course {
        statuses: &["investigating", "identified"],
        scheduled: false,
    },
    Course {
        statuses: &["investigating", "identified", "monitoring"],
        scheduled: false,
    },
    Course {
        statuses: &["investigating", "identified", "monitoring", "resolved"],
        scheduled: false,
    },
    Course {
        statuses: &[
            "investigating",
            "identified",
            "monitoring",
            "resolved",
            "postmortem",
        ],
        scheduled: false,
    },
];

const MAINTENANCE: [Course; 4] = [
    Course {
        statuses: &["scheduled"],
        scheduled: true,
    },
    Course {
        statuses: &["scheduled", "in_progress"],
        scheduled: true,
    },
    Course {
        statuses: &["scheduled", "in_progress", "verifying"],
        scheduled: true,
    },
    Course {
        statuses: &["scheduled", "in_progress", "verifying", "completed"],
        scheduled: true,
    },
];

impl Course {
    /// The first few of a page are under way; of the rest most are over.
    fn of(number: usize) -> &'static Self {
        match number {
            0..3 => &REALTIME[number],
            3..6 => &MAINTENANCE[number - 3],
            _ if number.is_multiple_of(7) => &REALTIME[4],
            _ if number.is_multiple_of(5) => &MAINTENANCE[3],
            _ => &REALTIME[3],
        }
    }
}

fn incident(
    company: &Company,
    page: &str,
    number: usize,
    components: &mut [Value],
    random: &mut Random,
) -> Value {
    let words = &company.words;
    let course = Course::of(number);
    let status = *course.statuses.last().unwrap_or(&"investigating");
    let under_way = number < 6;
    let age = if under_way {
        random.between(HOUR, 2 * DAY)
    } else {
        random.between(3 * DAY, 420 * DAY)
    };
    let created = company.ago(age);
    // Some incidents concern no component in particular.
    let count = if number % 9 == 8 {
        0
    } else {
        1 + random.below(3)
    };
    let mut affected: Vec<usize> = (0..count).map(|_| random.below(components.len())).collect();
    affected.sort_unstable();
    affected.dedup();
    let broken = match status {
        "investigating" => "major_outage",
        "identified" => "partial_outage",
        "monitoring" => "degraded_performance",
        "in_progress" => "under_maintenance",
        _ => "operational",
    };
    if broken != "operational" {
        for &place in &affected {
            components[place]["status"] = broken.into();
        }
    }
    let subject = affected.first().map_or("our platform", |&place| {
        components[place]["name"].as_str().unwrap_or_default()
    });
    let outage = random.pick(&words.outages);
    let maintenance = random.pick(&words.maintenances);
    let (name, opening) = if course.scheduled {
        (&maintenance.name, &maintenance.body)
    } else {
        (&outage.name, &outage.symptom)
    };
    let (name, opening) = (
        name.replace("{component}", subject),
        opening.replace("{component}", subject),
    );
    let id = random.id(12);
    let updates = updates(
        company, &id, course, created, &opening, number, components, &affected, random,
    );
    let at = |status: &str| {
        updates
            .iter()
            .find(|update| update["status"] == status)
            .map(|one| one["created_at"].clone())
    };
    // What has begun began as planned; what has not will in a few days.
    let begun = at("in_progress").and_then(|at| at.as_str()?.parse().ok());
    let window = course.scheduled.then(|| {
        let start = begun.unwrap_or_else(|| company.after(company.now, 3 * DAY));
        (start, company.after(start, 2 * HOUR))
    });
    let published = (status == "postmortem").then(|| updates[0]["created_at"].clone());
    let body = published
        .as_ref()
        .map(|_| words.postmortem.replace("{component}", subject));
    json!({
        "id": id, "page_id": page, "name": name, "status": status,
        // Maintenances say `none` here: the default blueprint has no word for `maintenance`.
        "impact": if course.scheduled { "none" } else { *random.pick(&["none", "minor", "major", "critical"]) },
        "impact_override": null, "created_at": created.to_string(),
        "updated_at": updates[0]["created_at"], "started_at": created.to_string(),
        "monitoring_at": at("monitoring"), "resolved_at": at("resolved").or_else(|| at("completed")),
        "shortlink": format!("https://stspg.io/{}", random.id(12)),
        "components": affected.iter().map(|&place| components[place].clone()).collect::<Vec<_>>(),
        "incident_updates": updates,
        "metadata": if number % 6 == 1 { json!({"jira": {"issue": format!("OPS-{number}")}}) } else { json!({}) },
        "scheduled_for": window.map(|(start, _)| start.to_string()),
        "scheduled_until": window.map(|(_, end)| end.to_string()),
        "scheduled_remind_prior": course.scheduled, "scheduled_reminded_at": null,
        "scheduled_auto_in_progress": course.scheduled, "scheduled_auto_completed": false,
        "auto_transition_deliver_notifications_at_end": null,
        "auto_transition_deliver_notifications_at_start": null,
        "auto_transition_to_maintenance_state": null, "auto_transition_to_operational_state": null,
        "reminder_intervals": (number % 8 == 2).then_some("[3, 6, 12]"),
        "postmortem_body": body, "postmortem_body_last_updated_at": published,
        "postmortem_ignored": false, "postmortem_published_at": published,
        "postmortem_notified_subscribers": published.is_some(), "postmortem_notified_twitter": false,
    })
}

/// What was said about an incident, the newest first.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of one walk over the incidents"
)]
fn updates(
    company: &Company,
    incident: &str,
    course: &Course,
    created: Timestamp,
    opening: &str,
    number: usize,
    components: &[Value],
    affected: &[usize],
    random: &mut Random,
) -> Vec<Value> {
    let words = &company.words;
    let mut updates = Vec::new();
    // All of an under-way incident's updates fit into its first hour.
    let pause = random.between(5, 15);
    for (turn, status) in (0_i64..).zip(course.statuses) {
        let at = format!("{:.3}", company.after(created, turn * pause));
        let mut body = match *status {
            "identified" => words.identified.clone(),
            "monitoring" => words.monitoring.clone(),
            "resolved" => words.resolved.clone(),
            "postmortem" => words.postmortem.replace("{component}", "the component"),
            "in_progress" => "The maintenance has begun.".to_owned(),
            "verifying" => "The work is done; we check that everything is well.".to_owned(),
            "completed" => "The maintenance is over.".to_owned(),
            _ => opening.to_owned(),
        };
        if number == 9 && turn == 1 {
            // Somebody pasted a whole log.
            body = std::iter::repeat_n(body, 60)
                .collect::<Vec<_>>()
                .join("\n\n");
        }
        let named: Vec<_> = affected
            .iter()
            .map(|&place| {
                let component = &components[place];
                json!({
                    "code": component["id"], "name": component["name"],
                    "old_status": "operational", "new_status": component["status"],
                })
            })
            .collect();
        // Early updates often name no components, and then hold null.
        let named = if turn == 0 && number.is_multiple_of(3) {
            Value::Null
        } else {
            json!(named)
        };
        updates.push(json!({
            "id": random.id(12), "incident_id": incident, "status": status, "body": body,
            "affected_components": named, "created_at": at, "updated_at": at, "display_at": at,
            "deliver_notifications": turn != 1, "wants_twitter_update": false, "tweet_id": null,
            "custom_tweet": null, "twitter_updated_at": null,
        }));
    }
    updates.reverse();
    updates
}
