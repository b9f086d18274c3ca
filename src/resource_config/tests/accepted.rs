use serde_json::json;

use super::*;
use crate::{
    jq::Step,
    resource_config::{
        EntityMapping, EscalationPoliciesSelector, IncidentsSelector, MappedFields,
        OncallsSelector, SchedulesSelector, ServicesSelector, StatuspageKind, Template,
        parse_value,
    },
};

#[test]
fn what_is_not_said_has_oceans_defaults() {
    let document = parsed("resources: []").document;

    assert!(document.enable_merge_entity);
    assert!(document.delete_dependent_entities);
    assert!(document.create_missing_related_entities);
    assert!((document.entity_deletion_threshold - 0.9).abs() < f64::EPSILON);
    assert!(document.resources.is_empty());
}

#[test]
fn what_is_said_counts() {
    let document = parsed(
        "enableMergeEntity: false
deleteDependentEntities: 'false'
createMissingRelatedEntities: no
entityDeletionThreshold: 0
",
    )
    .document;

    assert!(!document.enable_merge_entity);
    assert!(!document.delete_dependent_entities);
    assert!(!document.create_missing_related_entities);
    assert!(document.entity_deletion_threshold.abs() < f64::EPSILON);
}

#[test]
fn the_value_port_stores_reads_like_the_text() {
    let value = json!({"resources": [{
        "kind": "component",
        "selector": {"query": ".group == false"},
        "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": "\"statuspageComponent\""}}}
    }]});

    let from_value = parse_value(&value, "Port", BOTH, &jq()).unwrap().document;
    let from_text = parsed(&value.to_string()).document;

    for document in [from_value, from_text] {
        let resource = &document.resources[0];
        assert_eq!(resource.kind, Kind::Statuspage(StatuspageKind::Component));
        assert_eq!(resource.query.filter.text(), ".group == false");
        assert_eq!(resource.query.path, "resources[0].selector.query");
        assert_eq!(resource.literal_blueprint(), Some("statuspageComponent"));
    }
}

#[test]
fn json_may_have_escapes_that_yaml_lacks() {
    let text = r#"{"resources":[{"kind":"incident","selector":{"query":"true"},"port":{"entity":
        {"mappings":{"identifier":".id","blueprint":"\"\ud83d\ude00\/b\""}}}}]}"#;

    assert_eq!(resource(text).literal_blueprint(), Some("😀/b"));
}

#[test]
fn booleans_and_numbers_stand_for_the_expression_of_that_text() {
    let text = document("incidents", "", "", "properties:\n  open: true\n  level: 3")
        .replace("query: 'true'", "query: true");

    let resource = resource(&text);
    assert_eq!(resource.query.filter.text(), "true");
    let texts: Vec<_> = resource
        .mapping
        .properties
        .iter()
        .map(|(_, property)| match property {
            Template::Expression(expression) => expression.filter.text(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["true", "3"]);
}

#[test]
fn flags_may_be_strings_and_numbers_too() {
    let services = pagerduty(&document(
        "services",
        "serviceAnalytics: 'false'\nanalyticsMonthsPeriod: '6'\nincludeCustomFields: \"true\"
apiQueryParams:\n  include: [teams]\n  sortBy: name:asc\n  team_ids: [PT1, 12]\n  time_zone: UTC",
        "",
        "",
    ));
    assert_eq!(
        services,
        PagerdutyKind::Services(ServicesSelector {
            include: vec!["teams".into()],
            sort_by: Some("name:asc".into()),
            team_ids: vec!["PT1".into(), "12".into()],
            time_zone: Some("UTC".into()),
            analytics: false,
            analytics_months: 6,
            custom_fields: true,
        })
    );
}

#[test]
fn a_selector_without_options_has_the_vendors_defaults() {
    let kind = |name| pagerduty(&document(name, "", "", ""));

    assert!(matches!(
        kind("services"),
        PagerdutyKind::Services(ServicesSelector {
            analytics: true,
            analytics_months: 3,
            custom_fields: false,
            ..
        })
    ));
    assert!(matches!(
        kind("incidents"),
        PagerdutyKind::Incidents(IncidentsSelector {
            analytics: false,
            custom_fields: false,
            ..
        })
    ));
    assert!(matches!(
        kind("escalation_policies"),
        PagerdutyKind::EscalationPolicies(EscalationPoliciesSelector {
            attach_oncall_users: true,
            ..
        })
    ));
    assert!(matches!(
        kind("schedules"),
        PagerdutyKind::Schedules(SchedulesSelector {
            since_months: None,
            until_months: None,
            ..
        })
    ));
    assert_eq!(kind("users"), PagerdutyKind::Other("users".into()));
    let PagerdutyKind::Oncalls(oncalls) = kind("oncalls") else {
        panic!("not on-calls")
    };
    assert_eq!(
        oncalls,
        OncallsSelector {
            include: vec!["users".into()],
            since_months: 0,
            until_months: 3,
            user_ids: vec![],
            escalation_policy_ids: vec![],
            schedule_ids: vec![],
            time_zone: None,
            earliest: None,
        }
    );
}

#[test]
fn incident_options_are_read() {
    let PagerdutyKind::Incidents(selector) = pagerduty(&document(
        "pagerduty.incidents",
        "incidentAnalytics: \"true\"
apiQueryParams:
  statuses: [triggered, acknowledged]
  serviceIds: P1
  since: 2024-01-01
  urgencies: [high]
  date_range: all",
        "",
        "",
    )) else {
        panic!("not incidents")
    };

    assert!(selector.analytics);
    assert_eq!(selector.statuses, ["triggered", "acknowledged"]);
    assert_eq!(selector.service_ids, ["P1"]);
    assert_eq!(selector.since.as_deref(), Some("2024-01-01"));
    assert_eq!(selector.urgencies, ["high"]);
    assert_eq!(selector.date_range.as_deref(), Some("all"));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "
common: &mappings
  identifier: .id
  blueprint: '\"b\"'
resources:
- kind: incident
  selector: &all {query: 'true'}
  port: {entity: {mappings: *mappings}}
- kind: component
  selector:
    <<: *all
  port:
    entity:
      mappings:
        <<: *mappings
        blueprint: '\"c\"'
";
    let resources = parsed(text).document.resources;

    assert_eq!(resources[0].literal_blueprint(), Some("b"));
    assert_eq!(resources[1].literal_blueprint(), Some("c"));
    assert_eq!(resources[1].query.filter.text(), "true");
}

#[test]
fn items_to_parse_have_their_defaults() {
    let items = |port| resource(&document("schedules", "", port, "")).items_to_parse;

    let defaults = items("itemsToParse: .rotations").unwrap();
    assert_eq!(defaults.name, "item");
    assert!(defaults.top_level_transform);
    let given = items(
        "itemsToParse: .a[]\nitemsToParseName: layer\nitemsToParseTopLevelTransform: 'false'",
    )
    .unwrap();
    assert_eq!(given.name, "layer");
    assert!(!given.top_level_transform);
    assert!(items("itemsToParse: null").is_none());
    assert!(items("itemsToParse: ''").is_none());
}

#[test]
fn what_a_mapping_writes_and_reads_is_known() {
    let resource = resource(&document(
        "services",
        "",
        "",
        "title: .name
properties:
  oncall: .__oncall_user[0].user.email
relations:
  policy:
    combinator: and
    rules:
    - {property: name, operator: '=', value: .escalation_policy.summary}",
    ));

    assert_eq!(
        resource.mapped_fields(),
        MappedFields {
            title: true,
            icon: false,
            team: false,
            properties: ["oncall".to_owned()].into(),
            relations: ["policy".to_owned()].into(),
        }
    );
    let reads = |key: &'static str| resource.may_read(&[Step::Key(key.into())]);
    assert!(reads("__oncall_user"));
    assert!(reads("escalation_policy"));
    assert!(!reads("__analytics"));
}

/// As Port's documentation writes searches, and as people do.
#[test]
fn the_fixed_parts_of_a_search_may_be_expressions() {
    let search = |mappings: &str| match resource(&document("incidents", "", "", mappings)).mapping {
        EntityMapping {
            team: Some(Template::Search(search)),
            ..
        } => format!("{search:?}"),
        mapping => panic!("{:?}", mapping.team),
    };
    let quoted = "team:
  combinator: '\"and\"'
  rules:
  - {property: '\"$identifier\"', operator: '\"=\"', value: .email}
  - combinator: \"'or'\"
    rules:
    - {property: '\"a b\"', operator: '\"in\"', value: [1]}
    - {property: '\"type\"', operator: '\"isEmpty\"'}";
    let plain = "team:
  combinator: and
  rules:
  - {property: $identifier, operator: '=', value: .email}
  - combinator: or
    rules:
    - {property: a b, operator: in, value: [1]}
    - {property: type, operator: isEmpty}";

    assert_eq!(search(quoted), search(plain));
}

#[test]
fn what_ocean_reads_past_is_no_reason_to_refuse() {
    let text = document(
        "incidents",
        "exportEnvVariables: []\nunheardOf: {a: [1]}",
        "itemsToParse: null\nitemsToParseName: null\nunheardOf: 1",
        "title: null
icon: null
team: null
unheardOf: .a
properties:
  nothing: null
  number: 1.5
  flag: false
  nested: {a: null, b: [.a, {c: .b}], d: {}}
relations:
  nothing: null
  several: [.a, .b]",
    ) + "unheardOf: true\nresource:\n- 1\n";
    let resource = resource(&text);

    assert!(resource.mapping.icon.is_none() && resource.mapping.team.is_none());
    let written = resource.mapped_fields();
    assert_eq!(Vec::from_iter(written.relations), ["nothing", "several"]);
    assert_eq!(
        Vec::from_iter(written.properties),
        ["flag", "nested", "nothing", "number"]
    );
    for empty in ["properties:", "properties: {}\nrelations:"] {
        assert_eq!(warnings(&document("incidents", "", "", empty)), "");
    }
}

#[test]
fn unknown_keys_are_warned_of_with_the_nearest_known_one() {
    let text = document(
        "incidents",
        "incidentAnalytic: true\napiQueryParams:\n  status: [open]\n  service_id: P1",
        "itemToParse: .x",
        "propertys: {}",
    ) + "resource: []\n";

    insta::assert_snapshot!(warnings(&text), @"
        mapping.yaml:16:1: resource: this key is not known and has no effect; did you mean `resources`?
        mapping.yaml:7:7: resources[0].selector.apiQueryParams.status: this query parameter is not known and has no effect; did you mean `statuses`?
        mapping.yaml:8:7: resources[0].selector.apiQueryParams.service_id: this query parameter is not known and has no effect; did you mean `service_ids`?
        mapping.yaml:5:5: resources[0].selector.incidentAnalytic: this key is not known and has no effect; did you mean `incidentAnalytics`?
        mapping.yaml:10:5: resources[0].port.itemToParse: this key is not known and has no effect; did you mean `itemsToParse`?
        mapping.yaml:15:9: resources[0].port.entity.mappings.propertys: this key is not known and has no effect; did you mean `properties`?
        ");
}

#[test]
fn a_key_port_would_not_store_is_warned_of() {
    insta::assert_snapshot!(warnings(&document("incidents", "", "", "properties:\n  on call: .x")), @r#"mapping.yaml:13:11: resources[0].port.entity.mappings.properties["on call"]: Port allows only letters, digits and @ _ = \ - in such a key, 100 at most"#);
}

#[test]
fn items_that_would_take_the_whole_object_with_them_are_warned_of() {
    insta::assert_snapshot!(warnings(&document("incidents", "", "itemsToParse: '[.a, .b]'", "")), @"mapping.yaml:7:5: resources[0].port.itemsToParse: does not begin with a path such as `.items`, so removing it removes the whole object and nothing is left to map; set itemsToParseTopLevelTransform to false");
}
