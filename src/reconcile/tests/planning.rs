//! What is done about a situation, and what is left undone.

use serde_json::{Value, json};

use super::{acknowledged, after, ago, config, kinds, now, page, planned, reasons, situation};
use crate::reconcile::alert::{Ending, SourceIncident};
use crate::reconcile::config::{ComponentStatus, Config};
use crate::reconcile::model::ObservedPage;
use crate::reconcile::plan::{Ended, Plan, plan};
use crate::reconcile::record::Ownership;

/// A page on which an incident was opened for these.
fn opened(config: &Config, incidents: &[SourceIncident]) -> ObservedPage {
    let empty = page(&[]);
    let plan = planned(config, &empty, incidents);
    assert!(kinds(&plan).iter().all(|kind| *kind == "open"));
    after(&plan, empty)
}

/// Plans when none of the source incidents is unresolved any more, since so many minutes.
fn ended(config: &Config, page: &ObservedPage, minutes: i64) -> Plan {
    let mut situation = situation(config, page.clone(), Vec::new());
    let at = ago(minutes).parse().unwrap();
    for id in situation.sources_of_unwanted() {
        let ended = Ended {
            ending: Ending::Over(Some(at)),
            object: None,
        };
        situation.endings.insert(id, ended);
    }
    plan(situation)
}

fn guards(guards: &Value) -> Config {
    config(&json!({"guards": guards}))
}

/// Something that is different about a page.
type Change = fn(&mut ObservedPage);

/// Somebody else's incident that holds a component.
fn others(component: &str) -> Value {
    json!({
        "id": "others", "status": "investigating", "created_at": ago(60), "metadata": {},
        "incident_updates": [{"id": "u", "status": "investigating", "body": "Hm.", "created_at": ago(60)}],
        "components": [{"id": component}],
    })
}

#[test]
fn one_incident_a_component_is_opened_and_then_nothing_is_left_to_do() {
    let config = config(&json!({}));
    let incidents = [
        acknowledged("PX1", &["a", "b"], 5),
        acknowledged("PX2", &["b"], 3),
    ];

    let plan = planned(&config, &page(&[]), &incidents);

    assert_eq!(kinds(&plan), ["open", "open"]);
    let names: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| step.name.as_deref())
        .collect();
    assert_eq!(
        names,
        [
            "Investigating Errors in Component a",
            "Investigating Errors in Component b"
        ]
    );
    assert_eq!(plan.steps[1].record.sources.len(), 2);
    let next = planned(&config, &after(&plan, page(&[])), &incidents);
    assert_eq!(kinds(&next), Vec::<&str>::new());
}

#[test]
fn grouped_by_incident_each_covers_what_no_older_one_does() {
    let config =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let incidents = [
        acknowledged("PX1", &["a"], 5),
        acknowledged("PX2", &["a", "b"], 3),
    ];

    let first = planned(&config, &page(&[]), &incidents);
    let attached: Vec<Vec<_>> = first
        .steps
        .iter()
        .map(|step| step.components.keys().map(ToString::to_string).collect())
        .collect();
    assert_eq!(attached, [vec!["a"], vec!["b"]]);
    let page = after(&first, page(&[]));
    assert_eq!(
        kinds(&planned(&config, &page, &incidents)),
        Vec::<&str>::new()
    );

    // The older one is over: its component goes to the younger one, and does not
    // look operational in between.
    let mut situation = situation(&config, page.clone(), vec![incidents[1].clone()]);
    for id in situation.sources_of_unwanted() {
        let ended = Ended {
            ending: Ending::Over(None),
            object: None,
        };
        situation.endings.insert(id, ended);
    }
    let plan = plan(situation);
    // The last one strikes out that the component was to be brought back.
    assert_eq!(kinds(&plan), ["resolve", "update", "record"]);
    assert_eq!(plan.steps[0].components.len(), 0);
    let page = after(&plan, page);
    assert_eq!(
        page.components[&"a".into()].status,
        Some(ComponentStatus::PartialOutage)
    );
}

#[test]
fn resolving_brings_a_component_back_unless_something_else_holds_it() {
    let config = config(&json!({}));
    let page = opened(&config, &[acknowledged("PX1", &["a"], 5)]);
    let operational = |plan: &Plan| plan.steps[0].components.get(&"a".into()).copied();
    assert_eq!(
        operational(&ended(&config, &page, 1)),
        Some(ComponentStatus::Operational)
    );

    let mut held = page.clone();
    held.unresolved
        .extend(super::page(&[others("a")]).unresolved);
    let plan = ended(&config, &held, 1);
    assert_eq!(operational(&plan), None);
    assert_eq!(kinds(&plan), ["resolve"]);
    // Once the other one is gone and left it as it was, it returns.
    let mut freed = after(&plan, held);
    freed.unresolved.clear();
    let plan = ended(&config, &freed, 1);
    assert_eq!(kinds(&plan), ["restore"]);
    assert_eq!(operational(&plan), Some(ComponentStatus::Operational));
    let done = after(&plan, freed);
    assert_eq!(kinds(&ended(&config, &done, 1)), Vec::<&str>::new());

    let mut maintained = page;
    maintained.in_maintenance.insert("a".into());
    assert_eq!(operational(&ended(&config, &maintained, 1)), None);
}

#[test]
fn a_component_that_another_incident_cannot_take_over_yet_is_not_forgotten() {
    let config =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let older = acknowledged("PX1", &["a"], 5);
    let younger = acknowledged("PX2", &["a", "b"], 3);
    let mut page = opened(&config, &[older, younger.clone()]);
    page.in_maintenance.insert("a".into());
    let over = |page: &ObservedPage, incidents: Vec<SourceIncident>| {
        let mut situation = situation(&config, page.clone(), incidents);
        for id in situation.sources_of_unwanted() {
            let ended = Ended {
                ending: Ending::Over(None),
                object: None,
            };
            situation.endings.insert(id, ended);
        }
        plan(situation)
    };

    // The older one is over, and a maintenance keeps the younger from joining.
    let plan = over(&page, vec![younger]);
    assert_eq!(kinds(&plan), ["resolve"]);
    let page = after(&plan, page);
    // Then the younger is over as well, and after that the maintenance.
    let plan = over(&page, Vec::new());
    let mut page = after(&plan, page);
    page.in_maintenance.clear();
    let plan = over(&page, Vec::new());
    assert_eq!(kinds(&plan), ["restore"]);
    assert_eq!(plan.steps[0].components.len(), 1);
    let page = after(&plan, page);
    assert_eq!(kinds(&over(&page, Vec::new())), Vec::<&str>::new());
}

#[test]
fn what_somebody_set_meanwhile_is_not_restored() {
    let config = config(&json!({}));
    let mut page = opened(&config, &[acknowledged("PX1", &["a"], 5)]);
    page.in_maintenance.insert("a".into());
    let plan = ended(&config, &page, 1);
    let mut page = after(&plan, page);
    page.in_maintenance.clear();
    let component = page.components.get_mut(&"a".into()).unwrap();
    component.status = Some(ComponentStatus::MajorOutage);

    let plan = ended(&config, &page, 1);

    assert_eq!(kinds(&plan), ["record"], "only the debt is struck out");
    assert!(plan.steps[0].components.is_empty());
}

#[test]
fn guards_hold_back_what_they_are_for() {
    let incidents = [acknowledged("PX1", &["a"], 2)];
    let table: [(Value, Change, &str); 4] = [
        (json!({"openAfter": "3m"}), |_| {}, "hold_down"),
        (
            json!({}),
            |page| page.in_maintenance.extend(["a".into()]),
            "maintenance",
        ),
        (
            json!({"openBesideOthers": false}),
            |page| {
                page.unresolved
                    .extend(super::page(&[others("a")]).unresolved);
            },
            "others_incident",
        ),
        (
            json!({"openAfter": "2h", "openDuringMaintenance": true}),
            |_| {},
            "hold_down",
        ),
    ];
    for (guard, change, reason) in table {
        let config = guards(&guard);
        let mut page = page(&[]);
        change(&mut page);
        let plan = planned(&config, &page, &incidents);
        assert_eq!(kinds(&plan), Vec::<&str>::new(), "{guard}");
        assert_eq!(reasons(&plan), [reason], "{guard}");
    }
    let due = planned(&guards(&json!({"openAfter": "3m"})), &page(&[]), &incidents).withheld[0].due;
    assert_eq!(due, Some(now() + jiff::SignedDuration::from_mins(1)));
    let allowed = guards(&json!({"openAfter": "2m", "openDuringMaintenance": true}));
    let mut maintained = page(&[]);
    maintained.in_maintenance.insert("a".into());
    assert_eq!(kinds(&planned(&allowed, &maintained, &incidents)), ["open"]);
}

#[test]
fn resolving_waits_for_its_grace_and_a_recurrence_reopens() {
    let config = guards(&json!({"resolveAfter": "5m", "reopenWithin": "30m"}));
    let page = opened(&config, &[acknowledged("PX1", &["a"], 60)]);
    assert_eq!(reasons(&ended(&config, &page, 4)), ["grace"]);
    let plan = ended(&config, &page, 5);
    assert_eq!(kinds(&plan), ["resolve"]);
    let page = after(&plan, page);

    let again = [acknowledged("PX2", &["a"], 1)];
    let plan = planned(&config, &page, &again);
    assert_eq!(kinds(&plan), ["reopen"]);
    assert_eq!(plan.steps[0].record.sources.len(), 2, "it stands for both");
    assert_eq!(plan.steps[0].status.as_deref(), Some("investigating"));

    let config = guards(&json!({"reopenWithin": "0s"}));
    assert_eq!(kinds(&planned(&config, &page, &again)), ["open"]);
}

#[test]
fn nothing_is_resolved_on_a_doubt() {
    let config = config(&json!({}));
    let incident = acknowledged("PX1", &["a"], 5);
    let page = opened(&config, std::slice::from_ref(&incident));
    let base = || situation(&config, page.clone(), Vec::new());

    let mut incomplete = base();
    incomplete.is_complete = false;
    assert_eq!(reasons(&plan(incomplete)), ["incomplete"]);

    let mut undecided = base();
    undecided.undecided.insert(incident.id.clone());
    assert_eq!(reasons(&plan(undecided)), ["undecided"]);

    let mut foreign = base();
    foreign.accounts.clear();
    assert_eq!(reasons(&plan(foreign)), ["unknown_account"]);

    for ending in [Ending::Unresolved, Ending::Unknown] {
        let mut unclear = base();
        let ended = Ended {
            ending,
            object: None,
        };
        unclear.endings.insert(incident.id.clone(), ended);
        assert_eq!(reasons(&plan(unclear)), ["ending_unknown"]);
    }
    assert_eq!(reasons(&plan(base())), ["ending_unknown"], "nobody looked");
}

#[test]
fn a_human_is_left_alone_and_so_are_the_components() {
    let config = config(&json!({}));
    let incidents = [acknowledged("PX1", &["a"], 5)];
    let mut page = opened(&config, &incidents);
    let incident = &mut page.unresolved[0];
    let Ownership::Ours(record) = incident.ownership.clone() else {
        panic!()
    };
    incident.ownership = Ownership::Human(Some(record.clone()), super::super::record::Hands::Wrote);

    let plan = planned(&config, &page, &incidents);
    assert_eq!(kinds(&plan), Vec::<&str>::new());
    assert_eq!(reasons(&plan), ["human"]);
    assert_eq!(reasons(&ended(&config, &page, 1)), ["human"]);

    // Resolved by hand, it stays so for the same source incidents.
    let mut resolved = page.unresolved.remove(0);
    resolved.status = "resolved".to_owned();
    resolved.resolved = Some(now());
    page.resolved.push(resolved);
    assert_eq!(
        reasons(&planned(&config, &page, &incidents)),
        ["closed_by_hand"]
    );
    let more = [incidents[0].clone(), acknowledged("PX2", &["a"], 1)];
    assert_eq!(kinds(&planned(&config, &page, &more)), ["open"]);

    // Handed back, it is ours again.
    let mut back = page.resolved.remove(0);
    back.status = "investigating".to_owned();
    back.ownership = Ownership::HandedBack(record);
    page.unresolved.push(back);
    let plan = planned(&config, &page, &incidents);
    assert_eq!(kinds(&plan), ["take_back"]);
    assert!(!plan.steps[0].is_public());
    assert_eq!(
        kinds(&planned(&config, &after(&plan, page), &incidents)),
        Vec::<&str>::new()
    );
}

#[test]
fn of_two_incidents_for_a_component_the_younger_is_resolved() {
    let config = config(&json!({}));
    let incidents = [acknowledged("PX1", &["a"], 5)];
    let mut page = opened(&config, &incidents);
    let mut twin = page.unresolved[0].clone();
    twin.id = "younger".into();
    twin.created = now() + jiff::SignedDuration::from_secs(1);
    page.unresolved.insert(0, twin);

    let plan = planned(&config, &page, &incidents);

    assert_eq!(kinds(&plan), ["resolve"]);
    assert_eq!(plan.steps[0].incident, Some("younger".into()));
    assert!(
        plan.steps[0].components.is_empty(),
        "the older one holds it"
    );
    assert_eq!(
        kinds(&planned(&config, &after(&plan, page), &incidents)),
        Vec::<&str>::new()
    );
}

#[test]
fn an_incident_of_pagerstatus_is_adopted_or_resolved() {
    let config = config(&json!({}));
    let theirs = json!({
        "id": "old", "status": "investigating", "created_at": ago(60), "updated_at": ago(60), "metadata": {},
        "incident_updates": [{
            "id": "u", "status": "investigating", "body": "Oh no.\n⛈", "created_at": ago(60),
            "affected_components": [{"code": "a"}],
        }],
        "components": [{"id": "a"}],
    });
    let page = page(&[theirs]);
    let incidents = [acknowledged("PX1", &["a"], 5)];

    let plan = planned(&config, &page, &incidents);
    assert_eq!(kinds(&plan), ["adopt"]);
    assert!(!plan.steps[0].is_public());
    assert_eq!(
        kinds(&planned(&config, &after(&plan, page.clone()), &incidents)),
        Vec::<&str>::new()
    );

    let plan = ended(&config, &page, 1);
    assert_eq!(kinds(&plan), ["resolve"]);
    assert_eq!(
        plan.steps[0].components[&"a".into()],
        ComponentStatus::Operational
    );
}

#[test]
fn news_is_told_where_a_template_has_words_for_it() {
    let document = json!({"templates": {"default": {"escalated": "It went up.", "reassigned": "Somebody else has it."}}});
    let config = config(&document);
    let incident = acknowledged("PX1", &["a"], 5);
    let page = opened(&config, std::slice::from_ref(&incident));
    let mut escalated = incident.clone();
    escalated.assigned.digest = "other".to_owned();

    let plan = planned(&config, &page, std::slice::from_ref(&escalated));
    assert_eq!(kinds(&plan), ["update"]);
    assert_eq!(plan.steps[0].body.as_deref(), Some("It went up."));
    let page = after(&plan, page);
    assert_eq!(
        kinds(&planned(&config, &page, &[escalated.clone()])),
        Vec::<&str>::new()
    );

    escalated.assigned.digest = "third".to_owned();
    escalated.assigned.by_escalation = false;
    let plan = planned(&config, &page, &[escalated]);
    assert_eq!(plan.steps[0].body.as_deref(), Some("Somebody else has it."));
    // Without words nothing happens.
    let silent = super::config(&json!({}));
    let mut other = incident.clone();
    other.assigned.digest = "other".to_owned();
    let page = opened(&silent, std::slice::from_ref(&incident));
    assert_eq!(
        kinds(&planned(&silent, &page, &[other])),
        Vec::<&str>::new()
    );
}

#[test]
fn no_more_is_published_in_an_hour_than_is_allowed() {
    let config = guards(&json!({"maxChangesPerHour": 2}));
    let incidents = [
        acknowledged("PX1", &["a"], 5),
        acknowledged("PX2", &["b"], 4),
        acknowledged("PX3", &["c"], 3),
    ];

    let plan = planned(&config, &page(&[]), &incidents);
    assert_eq!(kinds(&plan), ["open", "open"]);
    assert_eq!(reasons(&plan), ["cap"]);

    let page = after(&plan, page(&[]));
    let plan = planned(&config, &page, &incidents);
    assert_eq!(kinds(&plan), Vec::<&str>::new());
    let due = plan.withheld[0].due;
    assert_eq!(due, Some(now() + jiff::SignedDuration::from_hours(1)));
}

#[test]
fn a_text_that_cannot_be_made_opens_nothing_and_never_keeps_an_incident_open() {
    let texts = json!({"templates": {"default": {"opened": "{{ incident.nothing.here }}"}}});
    let plan = planned(
        &config(&texts),
        &page(&[]),
        &[acknowledged("PX1", &["a"], 5)],
    );
    assert_eq!(kinds(&plan), Vec::<&str>::new());
    assert_eq!(reasons(&plan), ["text"]);

    let texts = json!({"templates": {"default": {"resolved": "{{ incident.nothing.here }}"}}});
    let config = config(&texts);
    let page = opened(&config, &[acknowledged("PX1", &["a"], 5)]);
    let plan = ended(&config, &page, 1);
    assert_eq!(kinds(&plan), ["resolve"]);
    assert_eq!(
        plan.steps[0].body.as_deref(),
        Some("This incident has been resolved.")
    );
}

#[test]
fn a_component_that_is_no_longer_tagged_leaves_and_returns() {
    let config =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let page = opened(&config, &[acknowledged("PX1", &["a", "b"], 5)]);
    let retagged = [acknowledged("PX1", &["b"], 5)];

    // Not while somebody cannot be heard.
    let mut unheard = situation(&config, page.clone(), retagged.to_vec());
    unheard.is_complete = false;
    assert_eq!(reasons(&plan(unheard)), ["incomplete"]);

    let plan = planned(&config, &page, &retagged);
    assert_eq!(kinds(&plan), ["update", "restore"]);
    let attached = plan.steps[0].attached.as_ref().unwrap();
    assert_eq!(
        attached.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["b"]
    );
    let page = after(&plan, page);
    let status = |id: &str| page.components[&id.into()].status;
    assert_eq!(status("a"), Some(ComponentStatus::Operational));
    assert_eq!(status("b"), Some(ComponentStatus::PartialOutage));
    assert_eq!(
        kinds(&planned(&config, &page, &retagged)),
        Vec::<&str>::new()
    );
}

#[test]
fn a_component_is_never_called_better_than_somebody_else_says() {
    let config = config(&json!({}));
    let mut page = page(&[others("a")]);
    let component = page.components.get_mut(&"a".into()).unwrap();
    component.status = Some(ComponentStatus::MajorOutage);
    let plan = planned(&config, &page, &[acknowledged("PX1", &["a"], 5)]);
    assert_eq!(kinds(&plan), ["open"]);
    assert_eq!(
        plan.steps[0].components[&"a".into()],
        ComponentStatus::MajorOutage
    );
}

#[test]
fn changing_how_a_rule_groups_closes_nothing() {
    let incidents = [acknowledged("PX1", &["a"], 5)];
    let page = opened(&config(&json!({})), &incidents);
    let regrouped =
        config(&json!({"rules": [{"name": "all", "source": "pagerduty", "group": "incident"}]}));
    let plan = planned(&regrouped, &page, &incidents);
    assert_eq!(kinds(&plan), ["record"]);
    assert_eq!(plan.steps[0].key.to_string(), "incident:pagerduty/main/PX1");
    assert!(!plan.steps[0].is_public());
}

#[test]
fn what_was_superseded_is_never_reopened() {
    let config = config(&json!({}));
    let incidents = [acknowledged("PX1", &["a"], 5)];
    let mut page = opened(&config, &incidents);
    let mut twin = page.unresolved[0].clone();
    twin.id = "younger".into();
    twin.created = now() + jiff::SignedDuration::from_secs(1);
    page.unresolved.insert(0, twin);
    let mut incomplete = situation(&config, page.clone(), incidents.to_vec());
    incomplete.is_complete = false;
    assert_eq!(reasons(&plan(incomplete)), ["incomplete"]);
    let plan = planned(&config, &page, &incidents);
    let page = after(&plan, page);
    let over = ended(&config, &page, 1);
    let page = after(&over, page);
    let again = planned(&config, &page, &[acknowledged("PX2", &["a"], 1)]);
    assert_eq!(kinds(&again), ["reopen"]);
    assert_ne!(again.steps[0].incident, Some("younger".into()));
}
