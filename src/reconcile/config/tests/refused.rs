use serde_json::{Value, json};

use super::{jq, refused};
use crate::reconcile::config::Config;

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_document() {
    insta::assert_snapshot!(refused("
mode: aply
owner: ' '
interval: 2s
pages: [p1, ~]
rulez: []
rules: {name: a}
templates:
  default:
    opened: Errors in {{ componentname }}
    joined: '{{ joined'
    closed: x
guards:
  openAfter: 10 minutos
  resolveAfter: -5s
  settle: 1.5
  maxChangesPerHour: 0
  openBesideOther: true
notify: [opened]
"), @r#"
    sync.yaml has 15 problems

      sync.yaml:2:7  mode
        expected one of off, plan, apply, found `aply`
        hint: did you mean `apply`?

      sync.yaml:3:8  owner
        `owner` is empty

      sync.yaml:4:11  interval
        expected at least 5s, found 2s
        hint: webhooks are followed at once; this is for what they miss

      sync.yaml:5:13  pages[1]
        there is no name here
        hint: remove it; write `[]` for all

      sync.yaml:6:1  rulez
        there is no key `rulez` here
        hint: did you mean `rules`?

      sync.yaml:7:8  rules
        `rules` has to be a list
        hint: begin each rule with `- name: …`; leave `rules` out for the default rules

      sync.yaml:10:13  templates.default.opened
          Errors in {{ componentname }}
                       ^^^^^^^^^^^^^
        there is no `componentname`
        hint: did you mean `component_name`?

      sync.yaml:11:13  templates.default.joined
          {{ joined
             ^^^^^^
        unexpected end of input, expected end of variable block

      sync.yaml:12:5  templates.default.closed
        there is no key `closed` here
        hint: known are name, status, opened, reopened, joined, left, acknowledged, escalated, reassigned, resolved, superseded

      sync.yaml:14:14  guards.openAfter
        expected a time span, found "10 minutos"
        hint: write a number and a unit, such as 90s, 10m or 1h30m

      sync.yaml:15:17  guards.resolveAfter
        expected a time span, found "-5s"
        hint: write a number and a unit, such as 90s, 10m or 1h30m

      sync.yaml:16:11  guards.settle
        expected a time span, found 1.5
        hint: write a number and a unit, such as 90s, 10m or 1h30m

      sync.yaml:17:22  guards.maxChangesPerHour
        with 0 nothing is ever changed
        hint: write `mode: plan` to see what would change, or null for no limit

      sync.yaml:18:3  guards.openBesideOther
        there is no key `openBesideOther` here
        hint: did you mean `openBesideOthers`?

      sync.yaml:19:9  notify
        expected an object, found a list
    "#);
}

#[test]
fn every_problem_of_every_rule_is_reported() {
    insta::assert_snapshot!(refused("
rules:
  - name: a
    source: pagerdty
    statusses: [open]
    when: .urgency =
    template: dflt
  - name: b
    source: opsgenie.incident
    statuses: [open, acknowledged]
    keep: []
    when: '\"high\"'
    components: [c1, c2]
    componentStatus: major_outge
    group: components
  - name: b
    source: opsgenie.alert
    statuses: [open]
    keep: [acknowledged]
    componentStatus: operational
  - source: pagerduty
    accounts: [~, x]
  -
"), @r#"
    sync.yaml has 16 problems

      sync.yaml:4:13  rules[0].source
        expected one of pagerduty, opsgenie.alert, opsgenie.incident, found `pagerdty`
        hint: did you mean `pagerduty`?

      sync.yaml:5:5  rules[0].statusses
        there is no key `statusses` here
        hint: did you mean `statuses`?

      sync.yaml:6:11  rules[0].when
          .urgency =
                    ^
        unexpected end of the expression, expected an expression

      sync.yaml:7:15  rules[0].template
        there is no template `dflt`
        hint: there is default

      sync.yaml:10:22  rules[1].statuses[1]
        opsgenie.incident has no status "acknowledged"
        hint: it has open

      sync.yaml:11:11  rules[1].keep
        `keep` is empty
        hint: leave the key out for the default, or the rule for none

      sync.yaml:12:11  rules[1].when
        `when` has to give true or false, this one always gives a text
        hint: write `when: "true"`, or a comparison such as `.urgency == "high"`

      sync.yaml:13:17  rules[1].components
        expected an expression, found a list
        hint: for fixed components write the list as a text: '["c1","c2"]'

      sync.yaml:14:22  rules[1].componentStatus
        expected one of under_maintenance, degraded_performance, partial_outage, major_outage, found `major_outge`
        hint: did you mean `major_outage`?

      sync.yaml:15:12  rules[1].group
        expected one of component, incident, found `components`
        hint: did you mean `component`?

      sync.yaml:16:11  rules[2].name
        there already is a rule `b`
        hint: give each rule a name of its own

      sync.yaml:19:11  rules[2].keep
        `open` opens an incident and does not keep it open
        hint: add `open` here, or take it out of `statuses`

      sync.yaml:20:22  rules[2].componentStatus
        expected one of under_maintenance, degraded_performance, partial_outage, major_outage, found `operational`

      sync.yaml:21:5  rules[3].name
        `name` is missing

      sync.yaml:22:16  rules[3].accounts[0]
        there is no name here
        hint: remove it; write `[]` for all

      sync.yaml:23:4  rules[4]
        this rule is empty
        hint: remove it
    "#);
}

#[test]
fn an_empty_document_is_not_taken_for_the_defaults() {
    insta::assert_snapshot!(refused("# nothing yet\n"), @"
    sync.yaml has 1 problem

      the document
        it is empty
        hint: write `{}` for the defaults alone
    ");
    insta::assert_snapshot!(refused("rules:\n"), @"
    sync.yaml has 1 problem

      sync.yaml:1:6  rules
        `rules` has to be a list
        hint: begin each rule with `- name: …`; leave `rules` out for the default rules
    ");
    insta::assert_snapshot!(refused("[]"), @"
    sync.yaml has 1 problem

      sync.yaml:1:1
        expected an object, found a list
    ");
    insta::assert_snapshot!(refused("rules: ["), @"
    sync.yaml has 1 problem

      sync.yaml:2:1
        this is not valid YAML: did not find expected node content
    ");
}

#[test]
fn keys_given_twice_are_refused() {
    insta::assert_snapshot!(refused("guards: {}\nguards: {openAfter: 1m}\n"), @"
    sync.yaml has 1 problem

      sync.yaml:2:1  guards
        this key was already given on line 1
        hint: remove one of the two
    ");
}

#[test]
fn a_mistake_in_the_default_text_is_reported_once() {
    insta::assert_snapshot!(refused("templates: {a: {}, b: {}, default: {resolved: '{{ nope }}'}}"), @"
    sync.yaml has 1 problem

      sync.yaml:1:47  templates.default.resolved
          {{ nope }}
             ^^^^
        there is no `nope`
        hint: there is component_name, components, component, joined, left, incident, incidents, source, account, page, rule, times
    ");
}

#[test]
fn without_a_text_the_paths_remain() {
    let value = json!({"guards": {"openafter": "1m"}, "rules": {"name": "a"}});
    let invalid = Config::parse_value(&value, "config.yaml", &jq()).unwrap_err();

    insta::assert_snapshot!(invalid, @"
    config.yaml has 2 problems

      rules
        `rules` has to be a list
        hint: begin each rule with `- name: …`; leave `rules` out for the default rules

      guards.openafter
        there is no key `openafter` here
        hint: did you mean `openAfter`?
    ");
}

#[test]
fn whatever_is_odd_in_a_document_is_taken_or_refused_for_a_reason() {
    let document: Value = serde_json::to_value(
        serde_yaml::from_str::<serde_yaml::Value>(Config::DEFAULT_DOCUMENT).unwrap(),
    )
    .unwrap();
    let jq = jq();
    let mut tried = 0;
    for pointer in pointers(&document, "") {
        for odd in [
            json!(null),
            json!(""),
            json!("odd"),
            json!(-1),
            json!(true),
            json!([null]),
            json!({"a": []}),
        ] {
            let mut document = document.clone();
            *document.pointer_mut(&pointer).unwrap() = odd.clone();
            if let Err(invalid) = Config::parse_value(&document, "sync", &jq) {
                assert!(!invalid.problems.is_empty(), "{pointer} = {odd}");
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Where every value of a document is.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<String> = match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| pointers(value, &format!("{at}/{key}")))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| pointers(value, &format!("{at}/{index}")))
            .collect(),
        _ => Vec::new(),
    };
    [vec![at.to_owned()], below].concat()
}
