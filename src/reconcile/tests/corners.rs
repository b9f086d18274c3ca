//! Corners in which something would be published, resolved or forgotten wrongly.

use serde_json::json;

use super::{acknowledged, after, ago, config, kinds, now, page, planned, reasons, situation};
use crate::reconcile::alert::{Ending, SourceIncident};
use crate::reconcile::config::{AlertSource, ComponentStatus, Config};
use crate::reconcile::model::{ObservedPage, PublicIncident};
use crate::reconcile::plan::{Ended, Plan, Unsettled, plan};
use crate::reconcile::record::{Hands, Ownership};

fn over(config: &Config, page: &ObservedPage, left: Vec<SourceIncident>) -> Plan {
    let mut situation = situation(config, page.clone(), left);
    for id in situation.sources_of_unwanted() {
        let ended = Ended {
            ending: Ending::Over(Some(ago(1).parse().unwrap())),
            object: None,
        };
        situation.endings.insert(id, ended);
    }
    plan(situation)
}

fn opened(config: &Config, incidents: &[SourceIncident]) -> ObservedPage {
    let mut plan = planned(config, &page(&[]), incidents);
    plan.steps.retain(|step| step.kind.as_str() == "open");
    after(&plan, page(&[]))
}

fn others(component: &str) -> PublicIncident {
    page(&[json!({
        "id": "others", "status": "investigating", "created_at": ago(60), "metadata": {},
        "incident_updates": [{"id": "u", "status": "investigating", "body": "Hm.", "created_at": ago(60)}],
        "components": [{"id": component}],
    })])
    .unresolved
    .remove(0)
}

#[test]
fn more_than_fifty_source_incidents_of_one_component_settle() {
    let config = config(&json!({}));
    let incidents: Vec<_> = (0..51)
        .map(|number| acknowledged(&format!("PX{number}"), &["a"], 100 - number))
        .collect();
    let page = opened(&config, &incidents);
    let next = planned(&config, &page, &incidents);
    assert_eq!(kinds(&next), Vec::<&str>::new());
}

#[test]
fn what_a_human_closed_stays_closed_though_it_had_more_than_fifty_sources() {
    let config = config(&json!({}));
    let incidents: Vec<_> = (0..51)
        .map(|number| acknowledged(&format!("PX{number}"), &["a"], 100 - number))
        .collect();
    let mut page = opened(&config, &incidents);
    let mut closed = page.unresolved.remove(0);
    let Ownership::Ours(record) = closed.ownership.clone() else {
        panic!()
    };
    closed.ownership = Ownership::Human(Some(record), Hands::Wrote);
    closed.status = "resolved".to_owned();
    closed.resolved = Some(now());
    page.resolved.push(closed);
    let next = planned(&config, &page, &incidents);
    assert_eq!(kinds(&next), Vec::<&str>::new());
    assert_eq!(reasons(&next), ["closed_by_hand"]);
}

#[test]
fn nothing_is_called_better_while_an_account_cannot_be_read() {
    let config = config(&json!({"rules": [{
        "name": "all", "source": "pagerduty",
        "componentStatus": "if .id == \"PX1\" then \"major_outage\" else \"partial_outage\" end",
    }]}));
    let incidents = [
        acknowledged("PX1", &["a"], 9),
        acknowledged("PX2", &["a"], 5),
    ];
    let page = opened(&config, &incidents);

    // The account of PX1 does not answer.
    let mut situation = situation(&config, page.clone(), vec![incidents[1].clone()]);
    situation.is_complete = false;
    let plan = plan(situation);
    assert_eq!(kinds(&plan), Vec::<&str>::new(), "{:?}", plan.steps);
}

#[test]
fn a_debt_is_not_struck_out_for_what_is_only_wanted_and_never_announced() {
    let config = config(&json!({"guards": {"openAfter": "5m", "reopenWithin": "0s"}}));
    let mut page = opened(&config, &[acknowledged("PX1", &["a"], 10)]);
    page.unresolved.push(others("a"));
    let plan = over(&config, &page, Vec::new());
    assert_eq!(kinds(&plan), ["resolve"]);
    let mut page = after(&plan, page);

    // The other incident goes, and a new alarm is acknowledged: too young yet.
    page.unresolved.clear();
    let alarm = acknowledged("PX2", &["a"], 1);
    let plan = planned(&config, &page, std::slice::from_ref(&alarm));
    assert_eq!(reasons(&plan), ["hold_down"]);
    let page = after(&plan, page);

    // It was nothing.
    let plan = over(&config, &page, Vec::new());
    let page = after(&plan, page);
    assert_eq!(
        page.components[&"a".into()].status,
        Some(ComponentStatus::Operational),
        "nothing holds it, and nobody will ever bring it back"
    );
}

#[test]
fn a_component_that_is_left_to_an_incident_to_come_is_owed_until_that_has_come() {
    let config =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let both = [
        acknowledged("PX1", &["a"], 9),
        acknowledged("PX2", &["a", "b"], 5),
    ];
    let page = opened(&config, &both);
    let plan = over(&config, &page, vec![both[1].clone()]);
    assert_eq!(kinds(&plan), ["resolve", "update", "record"]);

    // The process is killed between the two steps (or the second is refused),
    // and the second source incident ends meanwhile.
    let mut page = page;
    plan.steps[0].foresee(&mut page, now());
    let rest = over(&config, &page, Vec::new());
    let page = after(&rest, page);

    assert_eq!(page.unresolved.len(), 0);
    assert_eq!(
        page.components[&"a".into()].status,
        Some(ComponentStatus::Operational),
        "nothing holds it, and nobody will ever bring it back"
    );
}

#[test]
fn a_postmortem_does_not_leave_a_component_in_its_outage_for_ever() {
    let config = config(&json!({}));
    let mut page = opened(&config, &[acknowledged("PX1", &["a"], 10)]);
    page.unresolved.push(others("a"));
    let plan = over(&config, &page, Vec::new());
    let mut page = after(&plan, page);
    assert!(!plan.steps[0].record.owes.is_empty());

    // A postmortem is published on the one that is over: another newest update.
    let over_now = &page.resolved[0];
    let said = over_now.newest.as_ref().unwrap();
    let published = json!({
        "id": "over", "status": "postmortem", "created_at": ago(10), "resolved_at": ago(1),
        "metadata": over_now.metadata, "components": [{"id": "a"}],
        "incident_updates": [
            {"id": "p", "status": "postmortem", "body": "What happened.", "created_at": ago(0)},
            {"id": "r", "status": said.text.status, "body": said.text.body, "created_at": ago(1)},
        ],
    });
    page.resolved = vec![PublicIncident::parse(&published, super::OWNER).unwrap()];
    page.unresolved.clear();
    let plan = over(&config, &page, Vec::new());
    let page = after(&plan, page);
    assert_eq!(
        page.components[&"a".into()].status,
        Some(ComponentStatus::Operational)
    );
}

#[test]
fn an_incident_of_pagerstatus_is_not_resolved_while_a_rule_is_undecided() {
    let config = config(&json!({}));
    let theirs = json!({
        "id": "old", "status": "investigating", "created_at": ago(60), "updated_at": ago(60), "metadata": {},
        "incident_updates": [{
            "id": "u", "status": "investigating", "body": "Oh no.\n⛈", "created_at": ago(60),
            "affected_components": [{"code": "a"}],
        }],
        "components": [{"id": "a"}],
    });
    let mut situation = situation(&config, page(&[theirs]), Vec::new());
    situation
        .undecided
        .insert(acknowledged("PX1", &["a"], 70).id);
    assert_eq!(kinds(&plan(situation)), Vec::<&str>::new());
}

#[test]
fn the_record_says_what_the_component_was_given() {
    let config = config(&json!({"guards": {"reopenWithin": "0s"}, "rules": [{
        "name": "all", "source": "pagerduty",
        "componentStatus": "if .id == \"PX1\" then \"major_outage\" else \"partial_outage\" end",
    }]}));
    let both = [
        acknowledged("PX1", &["a"], 9),
        acknowledged("PX2", &["a"], 5),
    ];
    // We make it a major outage; somebody else opens an incident about it, too.
    let mut page = opened(&config, &both);
    page.unresolved.push(others("a"));
    // Things get better, and then well, on our side; the other one ends later.
    let plan = over(&config, &page, vec![both[1].clone()]);
    let page = after(&plan, page);
    let plan = over(&config, &page, Vec::new());
    let mut page = after(&plan, page);
    page.unresolved.clear();
    let plan = over(&config, &page, Vec::new());
    let page = after(&plan, page);
    assert_eq!(
        page.components[&"a".into()].status,
        Some(ComponentStatus::Operational),
        "the major outage was ours, and nobody brings it back"
    );
}

#[test]
fn an_object_without_a_status_that_is_known_says_nothing_about_an_end() {
    for odd in [
        json!({"id": "PX1"}),
        json!({"id": "PX1", "status": "snoozed"}),
    ] {
        assert_eq!(
            Ending::of(AlertSource::Pagerduty, Some(&odd)),
            Ending::Unknown,
            "{odd}"
        );
    }
}

#[test]
fn a_change_without_words_keeps_the_digest_where_no_update_is_shown() {
    let config = config(&json!({}));
    let incidents = [acknowledged("PX1", &["a"], 9)];
    let mut page = opened(&config, &incidents);
    let before = page.unresolved[0].ownership.record().unwrap().hash.clone();
    page.unresolved[0].newest = None;
    let more = [incidents[0].clone(), acknowledged("PX2", &["a"], 5)];
    let plan = planned(&config, &page, &more);
    assert_eq!(kinds(&plan), ["record"]);
    assert_eq!(
        plan.steps[0].record.hash, before,
        "with its updates shown again it looks as if a human had written"
    );
}

#[test]
fn what_may_have_been_opened_a_moment_ago_holds_its_components_whatever_it_stands_for() {
    use crate::reconcile::record::Key;
    let config =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let [first, second] = [
        acknowledged("PX1", &["a"], 9),
        acknowledged("PX2", &["a"], 5),
    ];
    // PX1 was announced a moment ago and the list does not show it yet; it is
    // over already, and PX2 concerns the same component.
    let mut situation = situation(&config, page(&[]), vec![second]);
    let until = now() + jiff::SignedDuration::from_secs(10);
    situation.unsettled.push(Unsettled {
        key: Key::Incident(first.id),
        components: ["a".into()].into(),
        until,
    });
    assert_eq!(
        kinds(&plan(situation)),
        Vec::<&str>::new(),
        "two own incidents would hold one component"
    );
}

#[test]
fn without_a_hold_down_a_clock_that_is_behind_holds_nothing_down() {
    let config = config(&json!({}));
    // By the vendor's clock it was acknowledged ten minutes after our now.
    let plan = planned(&config, &page(&[]), &[acknowledged("PX1", &["a"], -10)]);
    assert_eq!(kinds(&plan), ["open"], "{:?}", reasons(&plan));
}
