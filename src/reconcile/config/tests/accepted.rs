use std::time::Duration;

use super::{config, jq, parsed};
use crate::reconcile::config::{
    AlertSource, ComponentStatus, Config, Group, IncidentStatus, Mode, Status, StatusRule,
};

/// Everything but the mode, which `default_document` leaves open.
fn shown(config: &Config) -> String {
    format!(
        "{:#?}",
        Config {
            mode: None,
            ..config.clone()
        }
    )
}

#[test]
fn the_built_in_document_is_as_it_says() {
    let (config, warnings) = parsed(Config::DEFAULT_DOCUMENT);

    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.mode, Some(Mode::Plan));
    assert_eq!(config.owner, "portolan");
    assert_eq!(config.interval, Duration::from_mins(1));
    assert_eq!(config.guards.settle, Duration::from_secs(15));
    assert_eq!(config.guards.max_changes_per_hour, Some(500));
    let rules: Vec<_> = config
        .rules
        .iter()
        .map(|rule| (rule.source, rule.opens.as_slice(), rule.keeps.as_slice()))
        .collect();
    let (open, acknowledged) = (Status::Open, Status::Acknowledged);
    assert_eq!(
        rules,
        [
            (
                AlertSource::Pagerduty,
                &[acknowledged][..],
                &[open, acknowledged][..]
            ),
            (
                AlertSource::OpsgenieAlert,
                &[acknowledged][..],
                &[open, acknowledged][..]
            ),
            (AlertSource::OpsgenieIncident, &[open][..], &[open][..]),
        ]
    );
    assert_eq!(
        config.default_template.name.source(),
        "Investigating Errors in {{component_name}}"
    );
}

#[test]
fn what_a_document_leaves_out_is_as_in_the_built_in_one() {
    let built_in = Config::default_document();

    assert_eq!(built_in.mode, None);
    for text in [
        "{}",
        "guards:\nnotify: ~\ntemplates: {}",
        "templates: {default: }",
    ] {
        assert_eq!(config(text).mode, None);
        assert_eq!(shown(&config(text)), shown(&built_in));
    }
    assert_eq!(shown(&config(Config::DEFAULT_DOCUMENT)), shown(&built_in));
}

#[test]
fn parts_are_completed_one_by_one() {
    let config = config(
        "
mode: apply
guards: {openAfter: 1h30m, maxChangesPerHour: null}
notify: {updated: no}
interval: 90
",
    );

    assert_eq!(config.mode, Some(Mode::Apply));
    assert_eq!(config.interval, Duration::from_secs(90));
    assert_eq!(config.guards.open_after, Duration::from_mins(90));
    assert_eq!(config.guards.reopen_within, Duration::from_mins(10));
    assert_eq!(config.guards.max_changes_per_hour, None);
    assert!(config.guards.open_beside_others);
    assert!(config.notify.opened && !config.notify.updated);
}

#[test]
fn rules_replace_the_built_in_ones_and_are_completed_by_their_source() {
    let (config, warnings) = parsed(
        "
rules:
  - name: urgent
    source: pagerduty
    accounts: main
    when: .urgency == \"high\"
    componentStatus: if .priority then \"major_outage\" else \"partial_outage\" end
    statuses: [triggered, triggered]
  - {name: all, source: opsgenie.incident, when: true, group: incident, componentStatus: '\"major_outage\"'}
",
    );

    assert_eq!(warnings, Vec::<String>::new());
    let [urgent, all] = config.rules.as_slice() else {
        panic!("{:?}", config.rules);
    };
    assert_eq!(urgent.accounts, ["main"]);
    assert_eq!(urgent.opens, [Status::Open]);
    assert_eq!(urgent.keeps, [Status::Open, Status::Acknowledged]);
    assert!(urgent.components.text().contains("first_trigger_log_entry"));
    assert!(matches!(urgent.component_status, StatusRule::Expression(_)));
    assert_eq!(all.when.text(), "true");
    assert_eq!(all.opens, [Status::Open]);
    assert_eq!(all.group, Group::Incident);
    assert!(all.components.text().contains(".tags"));
    assert!(matches!(
        all.component_status,
        StatusRule::Fixed(ComponentStatus::MajorOutage)
    ));
}

#[test]
fn templates_take_what_they_leave_out_from_the_default_of_the_document() {
    let config = config(
        "
rules:
  - {name: a, source: pagerduty, template: outage}
  - {name: b, source: pagerduty}
templates:
  outage: {status: identified, opened: 'Down: {{component_name}}', reopened: null}
  default: {joined: '{{joined}} too'}
",
    );

    let outage = &config.rules[0].template;
    assert_eq!(outage.status, IncidentStatus::Identified);
    assert_eq!(outage.opened.source(), "Down: {{component_name}}");
    assert_eq!(outage.reopened().source(), outage.opened.source());
    assert_eq!(outage.joined.as_ref().unwrap().source(), "{{joined}} too");
    let default = &config.rules[1].template;
    assert_eq!(default.status, IncidentStatus::Investigating);
    assert_eq!(outage.resolved.source(), default.resolved.source());
    assert!(default.reopened.is_some() && default.left.is_none());
}

#[test]
fn merge_keys_and_json_are_read() {
    let merged = config(
        "
rules:
  - &first {name: a, source: pagerduty, accounts: [x]}
  - {<<: *first, name: b}
",
    );
    assert_eq!(merged.rules[1].name, "b");
    assert_eq!(merged.rules[1].accounts, ["x"]);

    let json = r#"{"mode": "plan", "rules": [{"name": "a", "source": "opsgenie.alert"}]}"#;
    assert_eq!(config(json).rules[0].source, AlertSource::OpsgenieAlert);
    let value = serde_json::from_str(json).unwrap();
    let (from_value, _) = Config::parse_value(&value, "config.yaml", &jq()).unwrap();
    assert_eq!(from_value.mode, Some(Mode::Plan));
}

#[test]
fn words_that_other_versions_of_yaml_take_for_booleans_are_understood() {
    assert_eq!(config("mode: off").mode, Some(Mode::Off));
    assert_eq!(config(r#"{"mode": false}"#).mode, Some(Mode::Off));
    assert_eq!(config("owner: 1234").owner, "1234");
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let (_, warnings) = parsed("templates: {spare: {}}\nrules: []");

    insta::assert_snapshot!(warnings.join("\n"), @"
    sync.yaml:2:1: rules: there is no rule, so nothing is announced; what is announced already is resolved once its incidents are over
    sync.yaml:1:13: templates.spare: no rule uses this template
    ");
}
