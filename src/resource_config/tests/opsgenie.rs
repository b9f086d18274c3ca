//! What documents ask of Opsgenie.

use super::*;
use crate::resource_config::{Comparison, Operator, OpsgenieKind, OpsgenieSearch};

fn parse(text: &str) -> Result<Parsed, String> {
    parse_text(text, "mapping.yaml", OPSGENIE, &jq()).map_err(|invalid| invalid.to_string())
}

fn kind(text: &str) -> OpsgenieKind {
    let resource = parse(text).unwrap().document.resources.remove(0);
    match &resource.kind {
        Kind::Opsgenie(kind) => kind.clone(),
        other => panic!("{other} is no kind of Opsgenie"),
    }
}

fn equal(operand: &str) -> Comparison {
    Comparison {
        operator: Operator::Equal,
        operand: operand.to_owned(),
    }
}

#[test]
fn alerts_and_incidents_are_searched_for_by_either_spelling() {
    let camel = "apiQueryParams:
  createdAt: '>= 2026-01-01'
  lastOccurredAt: 1700000000000
  snoozedUntil: <1800000000000
  message: disk full
  status: open
  isSeen: true
  acknowledged: 'false'
  snoozed: no
  priority: P1
  owner: ann@example.com
  teams: [red, blue]
  acknowledgedBy: bob@example.com
  closedBy: eve@example.com";
    let snake = camel
        .replace("createdAt", "created_at")
        .replace("lastOccurredAt", "last_occurred_at")
        .replace("snoozedUntil", "snoozed_until")
        .replace("isSeen", "is_seen")
        .replace("acknowledgedBy", "acknowledged_by")
        .replace("closedBy", "closed_by");
    let expected = OpsgenieSearch {
        created_at: Some(Comparison {
            operator: Operator::GreaterOrEqual,
            operand: "2026-01-01".to_owned(),
        }),
        last_occurred_at: Some(equal("1700000000000")),
        snoozed_until: Some(Comparison {
            operator: Operator::Less,
            operand: "1800000000000".to_owned(),
        }),
        message: Some("disk full".to_owned()),
        status: Some("open".to_owned()),
        is_seen: Some(true),
        acknowledged: Some(false),
        snoozed: Some(false),
        priority: Some("P1".to_owned()),
        owner: Some("ann@example.com".to_owned()),
        teams: vec!["red".to_owned(), "blue".to_owned()],
        acknowledged_by: Some("bob@example.com".to_owned()),
        closed_by: Some("eve@example.com".to_owned()),
    };

    for selector in [camel, &snake] {
        let alert = document("alert", selector, "", "");
        assert!(parse(&alert).unwrap().warnings.is_empty());
        assert_eq!(kind(&alert), OpsgenieKind::Alert(expected.clone()));
        assert_eq!(
            kind(&document("opsgenie.incident", selector, "", "")),
            OpsgenieKind::Incident(expected.clone())
        );
    }
}

#[test]
fn what_is_left_empty_asks_for_nothing() {
    let selector = "apiQueryParams: {createdAt: '', message: ' ', owner: null, teams: []}";
    assert_eq!(
        kind(&document("alert", selector, "", "")),
        OpsgenieKind::Alert(OpsgenieSearch::default())
    );
}

#[test]
fn members_and_rotations_come_when_they_are_asked_for() {
    let table = [
        (
            "team",
            "",
            OpsgenieKind::Team {
                include_members: false,
            },
        ),
        (
            "team",
            "includeMembers: true",
            OpsgenieKind::Team {
                include_members: true,
            },
        ),
        (
            "schedule",
            "",
            OpsgenieKind::Schedule {
                expand_rotation: false,
            },
        ),
        (
            "schedule",
            "apiQueryParams: {expand: rotation}",
            OpsgenieKind::Schedule {
                expand_rotation: true,
            },
        ),
        ("schedule-oncall", "", OpsgenieKind::ScheduleOncall),
        ("schedule-on-call", "", OpsgenieKind::ScheduleOncall),
        ("service", "", OpsgenieKind::Service),
        ("user", "", OpsgenieKind::User),
    ];
    for (name, selector, expected) in table {
        assert_eq!(kind(&document(name, selector, "", "")), expected, "{name}");
    }
}

#[test]
fn what_opsgenie_does_not_know_is_refused_with_its_place() {
    let selector = "apiQueryParams:
  status: opne
  priority: p1
  isSeen: perhaps
  teams: {a: b}";
    insta::assert_snapshot!(parse(&document("alert", selector, "", "")).unwrap_err(), @r#"
    mapping.yaml has 4 problems

      mapping.yaml:6:15  resources[0].selector.apiQueryParams.status
        expected one of open, resolved, closed, found "opne"
        hint: did you mean `open`?

      mapping.yaml:7:17  resources[0].selector.apiQueryParams.priority
        expected one of P1, P2, P3, P4, P5, found "p1"
        hint: did you mean `P1`?

      mapping.yaml:8:15  resources[0].selector.apiQueryParams.isSeen
        expected true or false, found "perhaps"

      mapping.yaml:9:14  resources[0].selector.apiQueryParams.teams
        expected a string, found an object
    "#);
    let selector = "apiQueryParams: {expand: rotations}";
    insta::assert_snapshot!(parse(&document("schedule", selector, "", "")).unwrap_err(), @r#"
    mapping.yaml has 1 problem

      mapping.yaml:5:30  resources[0].selector.apiQueryParams.expand
        expected `rotation`, found "rotations"
        hint: did you mean `rotation`?
    "#);
}

#[test]
fn what_has_no_effect_is_told() {
    let text = document(
        "alert",
        "includeMembers: true\napiQueryParams: {stauts: open}",
        "",
        "",
    );
    insta::assert_snapshot!(parse(&text).unwrap().warnings.join("\n"), @"
    mapping.yaml:6:22: resources[0].selector.apiQueryParams.stauts: this query parameter is not known and has no effect; did you mean `status`?
    mapping.yaml:5:5: resources[0].selector.includeMembers: this key is not known and has no effect
    ");
}

#[test]
fn a_comparison_with_nothing_is_refused() {
    let selector = "apiQueryParams: {createdAt: '>= '}";
    insta::assert_snapshot!(parse(&document("alert", selector, "", "")).unwrap_err(), @r#"
    mapping.yaml has 1 problem

      mapping.yaml:5:33  resources[0].selector.apiQueryParams.createdAt
        expected an instant after the sign, found ">= "
    "#);
}
