//! Which components a source incident concerns, and what that makes of it.

use serde_json::{Value, json};

use super::{acknowledged, config, kinds, page, planned};
use crate::jq::{Limits, on_large_stack_blocking};
use crate::reconcile::config::ComponentStatus;
use crate::reconcile::rules::{Tags, tag};

fn tags(document: &Value, ids: &[&str]) -> Tags {
    let config = config(document);
    let incidents = ids.iter().map(|id| acknowledged(id, &["a"], 5)).collect();
    on_large_stack_blocking(|| tag(&config.rules, incidents, &Limits::default())).unwrap()
}

#[test]
fn the_first_rule_that_has_something_to_say_decides() {
    let document = json!({"rules": [
        {"name": "other", "source": "pagerduty", "when": ".id == \"PX2\"", "componentStatus": "major_outage"},
        {"name": "silent", "source": "pagerduty", "components": "null"},
        {"name": "rest", "source": "pagerduty", "components": "[\"b\", \" b \", \"\", \"Component c\"]"},
    ]});
    let tags = tags(&document, &["PX1", "PX2"]);
    let found: Vec<_> = tags
        .tagged
        .iter()
        .map(|tagged| {
            (
                tagged.rule,
                tagged.component_status,
                tagged.components.len(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, ComponentStatus::PartialOutage, 2),
            (0, ComponentStatus::MajorOutage, 1),
        ]
    );
}

#[test]
fn an_expression_that_fails_leaves_its_incident_undecided() {
    for rule in [
        json!({"when": ".title"}),
        json!({"when": "error(\"no\")"}),
        json!({"components": "[1]"}),
        json!({"components": "{}"}),
        json!({"componentStatus": "\"oper\" + \"ational\""}),
        json!({"componentStatus": ".nothing"}),
    ] {
        let mut rule = rule;
        rule["name"] = json!("odd");
        rule["source"] = json!("pagerduty");
        let tags = tags(&json!({"rules": [rule]}), &["PX1"]);
        assert!(tags.tagged.is_empty(), "{rule}");
        let [undecided] = tags.undecided.as_slice() else {
            panic!("{rule}")
        };
        assert!(
            undecided.reason.contains("the rule `odd`"),
            "{}",
            undecided.reason
        );
    }
}

#[test]
fn a_component_may_be_named_and_the_worst_status_counts() {
    let document = json!({"rules": [{
        "name": "all", "source": "pagerduty", "components": "\"component A\"",
        "componentStatus": "if .id == \"PX2\" then \"major_outage\" else \"degraded_performance\" end",
    }]});
    let config = config(&document);
    let incidents = [acknowledged("PX1", &[], 9), acknowledged("PX2", &[], 5)];

    let plan = planned(&config, &page(&[]), &incidents);

    assert_eq!(kinds(&plan), ["open"]);
    assert_eq!(
        plan.steps[0].components[&"a".into()],
        ComponentStatus::MajorOutage
    );
    assert_eq!(plan.steps[0].record.sources.len(), 2);
}
