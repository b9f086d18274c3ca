//! What is pure, by examples. The whole, against simulators, is in `tests/it`.

mod corners;
mod ownership;
mod planning;
mod tagging;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::alert::SourceIncident;
use super::config::{AlertSource, Config};
use super::desired::desired;
use super::model::{self, ObservedPage, Page, PublicIncident};
use super::plan::{Ended, Plan, Situation, plan};
use super::rules::tag;
use crate::jq::{Jq, Limits, on_large_stack_blocking};

const NOW: &str = "2026-03-02T09:00:00Z";
const PAGE: &str = "p9k3w8s2v5t1";
const OWNER: &str = "portolan";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// So many minutes ago.
fn ago(minutes: i64) -> String {
    now()
        .checked_sub(jiff::SignedDuration::from_mins(minutes))
        .unwrap()
        .to_string()
}

static JQ: LazyLock<Jq> = LazyLock::new(|| Jq::new(BTreeMap::new(), Limits::default()));

/// The default document with these parts of its own.
fn config(document: &Value) -> Config {
    let parsed = Config::parse(&document.to_string(), "the test", &JQ);
    let (config, warnings) = parsed.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    config
}

/// A page with the components `a`, `b` and `c`, all operational.
fn page(incidents: &[Value]) -> ObservedPage {
    let components: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|id| json!({"id": id, "name": format!("Component {id}"), "status": "operational"}))
        .collect();
    let incidents = incidents
        .iter()
        .map(|incident| PublicIncident::parse(incident, OWNER).unwrap());
    let (resolved, unresolved) = incidents.partition(PublicIncident::is_resolved);
    ObservedPage {
        page: Page {
            id: PAGE.into(),
            name: "Halyard".to_owned(),
            url: "https://status.example.com".to_owned(),
            time_zone: "Europe/Paris".to_owned(),
        },
        components: model::components(&components).unwrap(),
        unresolved,
        resolved,
        in_maintenance: BTreeSet::new(),
    }
}

/// A PagerDuty incident that was acknowledged so many minutes ago.
fn acknowledged(id: &str, components: &[&str], minutes: i64) -> SourceIncident {
    let tags: Vec<String> = components
        .iter()
        .map(|component| format!("component:{component}"))
        .collect();
    let object = json!({
        "id": id, "status": "acknowledged", "created_at": ago(minutes + 1),
        "last_status_change_at": ago(minutes), "title": "Too slow",
        "assigned_via": "escalation_policy", "assignments": [{"assignee": {"id": "PUSER1"}}],
        "first_trigger_log_entry": {"channel": {"type": "api", "details": {"tags": tags}}},
    });
    SourceIncident::parse(AlertSource::Pagerduty, "main", object).unwrap()
}

/// A situation in which everything could be read.
fn situation(config: &Config, page: ObservedPage, incidents: Vec<SourceIncident>) -> Situation<'_> {
    let rules = &config.rules;
    let tags = on_large_stack_blocking(|| tag(rules, incidents, &Limits::default())).unwrap();
    let pages = [page];
    let wish = desired(rules, tags.tagged, &pages);
    let [page] = pages;
    Situation {
        now: now(),
        config,
        page,
        desired: wish.incidents,
        is_complete: true,
        undecided: tags
            .undecided
            .into_iter()
            .map(|undecided| undecided.incident.id)
            .collect(),
        accounts: BTreeSet::from([(AlertSource::Pagerduty, "main".to_owned())]),
        endings: BTreeMap::<_, Ended>::new(),
        unsettled: Vec::new(),
        quiet_until: None,
    }
}

/// The page with what the steps do to it.
fn after(plan: &Plan, mut page: ObservedPage) -> ObservedPage {
    for step in &plan.steps {
        step.foresee(&mut page, now());
    }
    page
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|step| step.kind.as_str()).collect()
}

fn reasons(plan: &Plan) -> Vec<&'static str> {
    plan.withheld
        .iter()
        .map(|withheld| withheld.reason.as_str())
        .collect()
}

/// Plans for a page and these source incidents.
fn planned(config: &Config, page: &ObservedPage, incidents: &[SourceIncident]) -> Plan {
    plan(situation(config, page.clone(), incidents.to_vec()))
}
