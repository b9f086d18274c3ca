//! What went wrong: the incidents of the services, and what triggered each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::pagerduty::Pagerduty;
use super::organisation::{Organisation, Service, head, with};
use super::random::Random;
use super::tags::{Style, Tagged, Tags};
use super::{Company, DAY, HOUR};

/// The listing's default range is a month; what counts as recent stays well
/// inside of it, what counts as old well outside.
const RECENT: (i64, i64) = (30, 26 * DAY);
const OLD: (i64, i64) = (35 * DAY, 420 * DAY);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Triggered,
    Acknowledged,
    Resolved,
}

impl State {
    const fn text(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

pub(super) fn fill(
    company: &Company,
    organisation: &Organisation,
    watched: &[String],
    random: &mut Random,
    world: &mut Pagerduty,
) {
    let plan = &company.plan;
    let mut ages = Vec::new();
    let mut opened = 0;
    for (count, (from, to), open) in [
        (plan.resolved.0, RECENT, false),
        (plan.resolved.1, OLD, false),
        (plan.open.0, RECENT, true),
        (plan.open.1, OLD, true),
    ] {
        for _ in 0..count {
            opened += usize::from(open);
            // Of the open ones there is at least one in each state.
            let state = match (opened, random.once_in(3)) {
                _ if !open => State::Resolved,
                (1, _) | (3.., true) => State::Triggered,
                _ => State::Acknowledged,
            };
            ages.push((random.between(from, to), state));
        }
    }
    // Incidents are numbered in the order in which they happened.
    ages.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    let mut worst: BTreeMap<&str, (&Service, bool)> = BTreeMap::new();
    let mut tags = Tags::new(watched, 0);
    let (mut triggered, mut acknowledged) = (0.., 0..);
    for (number, (age, state)) in (100..).zip(ages) {
        // The last service never had an incident.
        let service = random.pick(&organisation.services[..organisation.services.len() - 1]);
        let turn = match state {
            State::Resolved => None,
            State::Triggered => triggered.next(),
            State::Acknowledged => acknowledged.next(),
        };
        incident(
            company,
            organisation,
            service,
            number,
            age,
            state,
            turn.and_then(|turn| tags.of(turn)).as_ref(),
            random,
            world,
        );
        if state != State::Resolved {
            let id = service.object["id"].as_str().unwrap_or_default();
            let (_, triggered) = worst.entry(id).or_insert((service, false));
            *triggered |= state == State::Triggered;
        }
    }
    for (id, (_, triggered)) in worst {
        let status = if triggered { "critical" } else { "warning" };
        world.update("services", id, |service| {
            if service["status"] == "active" {
                service["status"] = status.into();
            }
        });
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of one walk over the incidents"
)]
fn incident(
    company: &Company,
    organisation: &Organisation,
    service: &Service,
    number: i64,
    age: i64,
    state: State,
    tagged: Option<&Tagged>,
    random: &mut Random,
    world: &mut Pagerduty,
) {
    let words = &company.words;
    let name = service.object["name"].as_str().unwrap_or_default();
    let title = random.pick(&words.alerts).replace("{service}", name);
    let created = company.ago(age);
    // Nothing is resolved in the future.
    let took = random.between(5, (8 * HOUR).min(age).max(6));
    let changed = company.after(created, took);
    let id = random.upper_id("Q", 13);
    let assignee = random.pick(&service.members).clone();
    let open = state != State::Resolved;
    let acknowledged = state == State::Acknowledged;
    let at = created.to_string();
    let entry = trigger(company, service, &id, &title, &at, tagged, random);
    let entry_reference = json!({
        "id": entry["id"], "type": "trigger_log_entry_reference", "summary": entry["summary"],
        "self": entry["self"], "html_url": entry["html_url"],
    });
    world.insert("log_entries", &entry);
    let priority = match random.below(organisation.priorities.len() * 2) {
        chosen if chosen < organisation.priorities.len() => organisation.priorities[chosen].clone(),
        _ => Value::Null,
    };
    let actions = match state {
        State::Triggered => {
            json!([{"type": "escalate", "at": company.after(created, 30).to_string()}])
        }
        State::Acknowledged => {
            json!([{"type": "unacknowledge", "at": company.after(changed, 30).to_string()}])
        }
        State::Resolved => json!([]),
    };
    let own = json!({
        "incident_number": number, "title": title, "description": title,
        "created_at": at, "updated_at": changed.to_string(), "status": state.text(),
        "incident_key": (!random.once_in(6)).then(|| random.id(32)),
        "service": service.reference,
        "assignments": if open { json!([{"at": at, "assignee": assignee}]) } else { json!([]) },
        "acknowledgements": if acknowledged {
            json!([{"at": changed.to_string(), "acknowledger": assignee}])
        } else {
            json!([])
        },
        "assigned_via": "escalation_policy", "last_status_change_at": changed.to_string(),
        "last_status_change_by": if state == State::Triggered { &service.reference } else { &assignee },
        "resolved_at": (!open).then(|| changed.to_string()),
        "first_trigger_log_entry": entry_reference,
        "alert_counts": {"all": 1, "triggered": i32::from(open), "resolved": i32::from(!open)},
        "is_mergeable": open, "escalation_policy": service.policy, "teams": [service.team],
        "pending_actions": actions, "alert_grouping": null, "basic_alert_grouping": null,
        "impacted_services": [service.reference], "priority": priority, "resolve_reason": null,
        "incidents_responders": [], "responder_requests": [],
        "incident_type": {"name": "incident_default"},
        "urgency": if random.once_in(4) { "low" } else { "high" },
    });
    let summary = format!("[#{number}] {title}");
    world.insert(
        "incidents",
        &with(head(company, "incident", "incidents", &id, &summary), own),
    );
    if number % 10 == 0 {
        let values = vec![json!({
            "id": random.upper_id("P", 6), "name": "customer_impact", "type": "field_value",
            "display_name": "Customer impact", "field_type": "single_value_fixed",
            "data_type": "string", "description": null,
            "value": if number % 20 == 0 { Value::Null } else { "partial".into() },
        })];
        world.set_custom_fields("incidents", &id, values);
    }
}

/// The log entry that began an incident, through one of the ways in.
fn trigger(
    company: &Company,
    service: &Service,
    incident: &str,
    title: &str,
    at: &str,
    tagged: Option<&Tagged>,
    random: &mut Random,
) -> Value {
    let monitor = random.pick(&company.words.monitors).as_str();
    let id = random.upper_id("R", 25);
    let way = random.below(4);
    let way = match tagged.map(|tagged| tagged.style) {
        None => way,
        Some(Style::Mail) => 1,
        Some(Style::Text | Style::List) => 2,
    };
    let (summary, agent, channel) = match way {
        0 => (
            "Triggered through the website.".to_owned(),
            random.pick(&service.members).clone(),
            json!({"type": "website", "summary": title}),
        ),
        1 => (
            format!("Triggered through {monitor}."),
            agent(
                monitor,
                "generic_email_inbound_integration_reference",
                random,
            ),
            json!({
                "type": "email", "summary": title, "subject": title, "body_content_type": "text/plain",
                "to": "alerts@halyard.pagerduty.example.com", "from": "monitor@example.com",
                "body": format!("{title}\n\n{}", lines(tagged, random)), "body_omitted": false,
            }),
        ),
        _ => (
            format!("Triggered through {monitor}."),
            agent(
                monitor,
                "events_api_v2_inbound_integration_reference",
                random,
            ),
            json!({
                "type": "api", "summary": title, "service_key": null, "incident_key": random.id(12),
                "details": {"tags": tags_of(tagged), "priority": "normal"},
                "details_omitted": false,
            }),
        ),
    };
    json!({
        "id": id, "type": "trigger_log_entry", "summary": summary,
        "self": format!("https://api.pagerduty.com/log_entries/{id}"),
        "html_url": format!("{}/incidents/{incident}/log_entries/{id}", company.words.account),
        "created_at": at, "agent": agent, "channel": channel, "service": service.reference,
        "incident": {
            "id": incident, "type": "incident_reference", "summary": title,
            "self": format!("https://api.pagerduty.com/incidents/{incident}"),
            "html_url": format!("{}/incidents/{incident}", company.words.account),
        },
        "teams": [service.team], "contexts": [], "event_details": {"description": title},
    })
}

/// What a monitor's tags are: one text, or a list.
fn tags_of(tagged: Option<&Tagged>) -> Value {
    let mut tags = vec!["env:production".to_owned(), "team:halyard".to_owned()];
    let components = tagged.map(|tagged| tagged.components.as_slice());
    let components = components.unwrap_or_default();
    if let Some(Style::List) = tagged.map(|tagged| tagged.style) {
        tags.extend(components.iter().map(|id| format!("component_{id}")));
        return tags.into();
    }
    tags.extend(components.iter().map(|id| format!("component:{id}")));
    tags.join(",").into()
}

/// The lines of an e-mail that name components. Those of an untagged one name
/// one that is on no page, as happens when a component is deleted and its
/// monitors are not.
fn lines(tagged: Option<&Tagged>, random: &mut Random) -> String {
    match tagged {
        None => format!("Component: {}", random.id(12)),
        Some(tagged) => {
            let lines = tagged.components.iter();
            let lines: Vec<_> = lines.map(|id| format!("Component: {id}")).collect();
            lines.join("\n")
        }
    }
}

fn agent(name: &str, kind: &str, random: &mut Random) -> Value {
    json!({
        "id": random.upper_id("P", 6), "type": kind, "summary": name, "self": null, "html_url": null,
    })
}
