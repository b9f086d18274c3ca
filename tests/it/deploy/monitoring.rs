//! Alerts and the dashboard ask for metrics that the program has, by labels that these have.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::{read, yaml};
use crate::metrics::exposed_labels;

/// What Prometheus adds to every series.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// Every metric in an expression, with the labels it is chosen by.
fn used(expression: &str) -> Vec<(String, Vec<String>)> {
    let metric = Regex::new(r"\b(portolan_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r"(\w+)\s*(?:=~|!~|!=|=)").unwrap();
    metric
        .captures_iter(expression)
        .map(|found| {
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            let labels = label.captures_iter(labels).map(|label| label[1].to_owned());
            (found[1].to_owned(), labels.collect())
        })
        .collect()
}

#[track_caller]
fn check(place: &str, expression: &str, exposed: &BTreeMap<String, BTreeSet<String>>) {
    let used = used(expression);
    assert!(
        !used.is_empty() || expression.starts_with("up{"),
        "{place}: {expression}"
    );
    let mut carried = BTreeSet::new();
    for (name, labels) in used {
        let known = exposed
            .get(&name)
            .unwrap_or_else(|| panic!("{place}: there is no metric `{name}`"));
        for label in labels {
            let is_known = known.contains(&label) || OF_PROMETHEUS.contains(&label.as_str());
            assert!(is_known, "{place}: {name} has no label `{label}`");
        }
        carried.extend(known.iter().cloned());
    }
    let grouping = Regex::new(r"\b(?:by|on)\s*\(([^)]*)\)").unwrap();
    for group in grouping.captures_iter(expression) {
        for label in group[1].split(',').map(str::trim) {
            let is_known = carried.contains(label) || OF_PROMETHEUS.contains(&label);
            assert!(is_known, "{place}: nothing here has a label `{label}`");
        }
    }
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let exposed = exposed_labels();
    let document = yaml("prometheus-alerts.yaml");
    let groups = document["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        check(name, rule["expr"].as_str().unwrap(), &exposed);
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
    }
    assert!(rules.len() > 15, "the rules were not found");
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are_and_leaves_none_out() {
    let exposed = exposed_labels();
    let document: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let mut shown = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in document["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        let place = (panel["gridPos"]["x"].clone(), panel["gridPos"]["y"].clone());
        assert!(
            places.insert(format!("{place:?}")),
            "{title} lies on another"
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            check(title, expression, &exposed);
            shown.extend(used(expression).into_iter().map(|(name, _)| name));
        }
    }
    for variable in document["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            let (series, label) = query
                .strip_prefix("label_values(")
                .and_then(|query| query.strip_suffix(')')?.rsplit_once(", "))
                .unwrap();
            assert!(OF_PROMETHEUS.contains(&label), "{query}");
            check(query, series, &exposed);
        }
    }
    // Of these somebody would ask by hand.
    let left_out: BTreeSet<&str> = [
        "portolan_resync_in_progress",
        "portolan_resync_calls_total",
        "portolan_kafka_messages_total",
        "portolan_deletion_errors_total",
        "portolan_incident_sync_last_success_timestamp_seconds",
        "portolan_incident_sync_calls_total",
    ]
    .into();
    let missing: Vec<&String> = exposed
        .keys()
        .filter(|name| name.starts_with("portolan_") && !shown.contains(*name))
        .filter(|name| !left_out.contains(name.as_str()))
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
}
