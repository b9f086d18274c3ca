//! The default rules find the tags that Pagerstatus found, and all of them.

use serde_json::{Value, json};

use crate::{
    jq::{Limits, from_val, on_large_stack_blocking, to_val},
    reconcile::config::{AlertSource, Config},
};

/// What the default rule finds in each incident: whatever it looks like, it is a list
/// and never an error.
fn assert_found(source: AlertSource, table: &[(Value, &[&str])]) {
    let config = Config::default_document();
    let mut rules = config.rules.iter();
    let rule = rules.find(|rule| rule.source == source).unwrap();
    for (incident, expected) in table {
        let found = on_large_stack_blocking(|| {
            let found = rule.components.first(&to_val(incident)).unwrap().unwrap();
            from_val(&found, &Limits::default()).unwrap()
        });
        assert_eq!(found.unwrap(), json!(expected), "{incident}");
    }
}

fn pagerduty(channel: &Value) -> Value {
    json!({"id": "P1", "first_trigger_log_entry": {"type": "trigger_log_entry", "channel": channel}})
}

#[test]
fn tags_of_pagerduty_are_found_wherever_the_monitoring_puts_them() {
    let table: &[(Value, &[&str])] = &[
        // Mail: the body, whatever else is there.
        (
            json!({"type": "email", "body": "Down!\n\nTags: component:c7d0n5xq2l1a."}),
            &["c7d0n5xq2l1a"],
        ),
        (
            json!({"type": "email", "body": "component: abc Component_def"}),
            &["abc", "def"],
        ),
        (
            json!({"type": "email", "body": "no tag", "details": {"tags": "component:abc"}}),
            &[],
        ),
        (json!({"type": "email", "body": null}), &[]),
        (json!({"type": "email"}), &[]),
        // Datadog: one text.
        (
            json!({"type": "api", "details": {"tags": "env:prod,component:c7d0n5xq2l1a,team:pay"}}),
            &["c7d0n5xq2l1a"],
        ),
        (
            json!({"type": "api", "details": {"tags": "component:a,component:b"}}),
            &["a", "b"],
        ),
        (json!({"details": {"tags": "Component: a"}}), &["a"]),
        (
            json!({"details": {"tags": "COMPONENT:a,component:  b,component-c,components:d"}}),
            &[],
        ),
        (
            json!({"details": {"tags": "component:größe_1-x"}}),
            &["größe_1"],
        ),
        (json!({"details": {"tags": "subcomponent:a"}}), &["a"]),
        // Pingdom: a list.
        (
            json!({"type": "api", "details": {"tags": ["component_c7d0n5xq2l1a", "web"]}}),
            &["c7d0n5xq2l1a"],
        ),
        (
            json!({"details": {"tags": ["web", "component_a", "component:b"]}}),
            &["a", "b"],
        ),
        (json!({"details": {"tags": ["component:", "b"]}}), &[]),
        (
            json!({"details": {"tags": [1, null, {"component:x": 1}, ["component:y"], "component:z"]}}),
            &["z"],
        ),
        (json!({"details": {"tags": []}}), &[]),
        // Whatever else there is.
        (json!({"details": {"tags": 7}}), &[]),
        (json!({"details": {"tags": null}}), &[]),
        (json!({"details": {"tags": {"component": "a"}}}), &[]),
        (json!({"details": "component:a"}), &[]),
        (json!({"details": null}), &[]),
        (json!({"details": ["component:a"]}), &[]),
        (json!({"type": "nagios", "summary": "component:a"}), &[]),
        (
            json!({"type": 1, "details": {"tags": "component:a"}}),
            &["a"],
        ),
        (json!({}), &[]),
        (json!(null), &[]),
        (json!("email"), &[]),
        (json!([{"type": "email"}]), &[]),
    ];
    let table: Vec<_> = table
        .iter()
        .map(|(channel, expected)| (pagerduty(channel), *expected))
        .collect();

    assert_found(AlertSource::Pagerduty, &table);
}

#[test]
fn a_pagerduty_incident_without_its_first_entry_has_no_tags() {
    assert_found(
        AlertSource::Pagerduty,
        &[
            (json!({}), &[]),
            (json!({"first_trigger_log_entry": null}), &[]),
            (json!({"first_trigger_log_entry": "R1"}), &[]),
            (
                json!({"first_trigger_log_entry": {"id": "R1", "type": "trigger_log_entry_reference"}}),
                &[],
            ),
            (
                json!({"title": "component:a", "first_trigger_log_entry": []}),
                &[],
            ),
        ],
    );
}

#[test]
fn tags_of_opsgenie_are_found_in_the_same_way() {
    for source in [AlertSource::OpsgenieAlert, AlertSource::OpsgenieIncident] {
        assert_found(
            source,
            &[
                (
                    json!({"tags": ["prod", "component:a", "component_b"]}),
                    &["a", "b"],
                ),
                (json!({"tags": "prod,component:a"}), &["a"]),
                (json!({"tags": ["component:", "b", 1, null]}), &[]),
                (json!({"tags": []}), &[]),
                (json!({"tags": null}), &[]),
                (json!({"tags": {"component": "a"}}), &[]),
                (json!({"message": "component:a"}), &[]),
            ],
        );
    }
}
