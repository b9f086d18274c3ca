use axum::http::HeaderValue;
use serde_json::json;

use super::*;

/// PagerDuty's envelope.
fn about(event_type: &str, data: &Value) -> Value {
    json!({"event": {
        "id": "01INVENTED", "event_type": event_type,
        "resource_type": event_type.split('.').next(),
        "occurred_at": "2026-02-03T04:05:06.789Z", "agent": null, "client": null, "data": data,
    }})
}

/// What there is in a body: key, page, type and whether it is gone.
fn told(source: SourceName, body: &Value) -> Vec<(String, Option<String>, String, bool)> {
    assert_eq!(recognize(body, &HeaderMap::new()), Some(source), "{body}");
    events(source, Some("eu"), body, "d", Timestamp::UNIX_EPOCH)
        .into_iter()
        .map(|event| {
            let page = event.subject.page.clone();
            (event.subject.key(), page, event.event_type, event.is_gone)
        })
        .collect()
}

#[test]
fn whatever_happens_to_a_pagerduty_incident_is_about_the_incident() {
    let incident = json!({"id": "PINC7", "type": "incident", "number": 7, "status": "triggered",
        "service": {"id": "PSVC7", "type": "service_reference"}});
    let reference = json!({"id": "PINC7", "type": "incident_reference", "summary": "Slow"});
    let of = |kind: &str| json!({"id": "PXYZ1", "type": kind, "incident": reference});
    let table = [
        ("triggered", incident.clone()),
        ("acknowledged", incident.clone()),
        ("unacknowledged", incident.clone()),
        ("resolved", incident.clone()),
        ("reopened", incident.clone()),
        ("reassigned", incident.clone()),
        ("escalated", incident.clone()),
        ("delegated", incident.clone()),
        ("priority_updated", incident.clone()),
        ("service_updated", incident.clone()),
        ("incident_type.changed", incident.clone()),
        ("annotated", of("incident_note")),
        ("status_update_published", of("incident_status_update")),
        (
            "responder.added",
            json!({"type": "incident_responder", "incident": reference}),
        ),
        (
            "responder.replied",
            json!({"type": "incident_responder", "incident": reference}),
        ),
        (
            "conference_bridge.updated",
            json!({"type": "incident_conference_bridge", "incident": reference}),
        ),
        (
            "custom_field_values.updated",
            json!({"type": "incident_field_values", "incident": reference, "custom_fields": []}),
        ),
        ("role.assigned", of("incident_role")),
        ("task.completed", of("incident_task")),
        ("workflow.started", of("incident_workflow_instance")),
        ("workflow.completed", of("incident_workflow_instance")),
        ("action_invocation.created", of("action_invocation")),
        ("action_invocation.terminated", of("action_invocation")),
        // Of one whose own kind is not said, what it belongs to is taken.
        (
            "something.new",
            json!({"id": "PXYZ1", "incident": reference}),
        ),
        ("something.new", json!({"id": "PINC7"})),
    ];
    for (what, data) in table {
        let event_type = format!("incident.{what}");
        assert_eq!(
            told(SourceName::Pagerduty, &about(&event_type, &data)),
            [(
                "pagerduty/eu/incident/PINC7".to_owned(),
                None,
                event_type,
                false
            )],
            "{data}"
        );
    }
}

#[test]
fn a_pagerduty_service_that_was_deleted_is_gone() {
    let service = json!({"id": "PSVC7", "type": "service", "name": "Checkout", "teams": []});
    let fields = json!({"type": "service_field_values", "service": {"id": "PSVC7", "type": "service_reference"}});
    let table = [
        ("service.created", service.clone(), false),
        ("service.updated", service.clone(), false),
        ("service.deleted", service, true),
        ("service.custom_field_values.updated", fields, false),
    ];
    for (event_type, data, is_gone) in table {
        assert_eq!(
            told(SourceName::Pagerduty, &about(event_type, &data)),
            [(
                "pagerduty/eu/service/PSVC7".to_owned(),
                None,
                event_type.to_owned(),
                is_gone
            )]
        );
    }
}

#[test]
fn what_a_pagerduty_event_says_without_naming_an_object_is_no_event() {
    let incident = json!({"id": "PINC7", "type": "incident"});
    for (event_type, data) in [
        (
            "pagey.ping",
            json!({"type": "ping", "message": "Hello from your friend Pagey!"}),
        ),
        ("team.created", json!({"id": "PTEAM1", "type": "team"})),
        ("incident", incident.clone()),
        ("", incident),
        (
            "incident.annotated",
            json!({"id": "PNOTE1", "type": "incident_note", "incident": null}),
        ),
        ("incident.triggered", json!({"id": 7, "type": "incident"})),
        ("incident.triggered", json!({"id": "", "type": "incident"})),
        (
            "incident.triggered",
            json!({"id": "../users/PUSR1", "type": "incident"}),
        ),
        (
            "incident.triggered",
            json!({"id": "P".repeat(201), "type": "incident"}),
        ),
        ("incident.triggered", json!(null)),
        ("incident.triggered", json!([])),
        ("service.updated", json!({"type": "service"})),
    ] {
        let body = about(event_type, &data);
        assert_eq!(told(SourceName::Pagerduty, &body), [], "{body}");
    }
}

fn page() -> Value {
    json!({"id": "p9k3w8s2v5t1", "status_indicator": "major", "status_description": "Outage"})
}

fn meta() -> Value {
    json!({"unsubscribe": "https://status.example.com/?unsubscribe=s1", "generated_at": "2026-02-03T04:05:06.789Z"})
}

#[test]
fn statuspage_tells_of_the_page_in_everything() {
    let component = json!({"id": "c7d0n5xq2l1a", "name": "Checkout", "status": "major_outage"});
    let update = json!({"id": "cu1", "component_id": "c7d0n5xq2l1a", "new_status": "major_outage"});
    let incident =
        json!({"id": "k3p8v1x7b2n4", "name": "Slow", "components": [], "incident_updates": []});
    let row = |word: &str, id: &str, event_type: &str| {
        let key = format!("statuspage/eu/{word}/{id}");
        (
            key,
            Some("p9k3w8s2v5t1".to_owned()),
            event_type.to_owned(),
            false,
        )
    };
    let of_component = vec![
        row("component", "c7d0n5xq2l1a", "component_update"),
        row("page", "p9k3w8s2v5t1", "component_update"),
    ];
    let table = [
        (
            json!({"component_update": update, "component": component}),
            of_component.clone(),
        ),
        (json!({"component_update": update}), of_component.clone()),
        (json!({"component": component}), of_component),
        (
            json!({"incident": incident}),
            vec![
                row("incident", "k3p8v1x7b2n4", "incident"),
                row("page", "p9k3w8s2v5t1", "incident"),
            ],
        ),
        (json!({}), vec![row("page", "p9k3w8s2v5t1", "page")]),
        (
            json!({"incident": null}),
            vec![row("page", "p9k3w8s2v5t1", "page")],
        ),
    ];
    for (mut body, expected) in table {
        body["meta"] = meta();
        body["page"] = page();
        assert_eq!(told(SourceName::Statuspage, &body), expected, "{body}");
    }
    assert_eq!(told(SourceName::Statuspage, &json!({"meta": meta()})), []);
}

#[test]
fn every_action_on_an_opsgenie_alert_is_about_the_alert_and_one_takes_it_away() {
    let alert = json!({"alertId": "70413a06-38d6-4c85-92b8-5ebc900d42e2", "tinyId": "1791", "alias": "a1_event"});
    for action in [
        "Create",
        "Acknowledge",
        "UnAcknowledge",
        "Close",
        "Delete",
        "AddNote",
        "AddTags",
        "RemoveTags",
        "AddTeam",
        "AddRecipient",
        "AddResponder",
        "AssignOwnership",
        "TakeOwnership",
        "Snooze",
        "SnoozeEnded",
        "Escalate",
        "EscalateNext",
        "UpdatePriority",
        "UpdateMessage",
        "UpdateDescription",
        "Restart the pump",
    ] {
        let body = json!({"action": action, "alert": alert, "source": {"name": "web", "type": "web"},
            "integrationId": "i-1", "integrationName": "Port"});
        let key = "opsgenie/eu/alert/70413a06-38d6-4c85-92b8-5ebc900d42e2".to_owned();
        assert_eq!(
            told(SourceName::Opsgenie, &body),
            [(key, None, action.to_owned(), action == "Delete")]
        );
    }
    for body in [
        json!({"action": "Create", "integrationId": "i-1"}),
        json!({"action": "Create", "alert": {"id": "70413a06"}}),
    ] {
        assert_eq!(told(SourceName::Opsgenie, &body), [], "{body}");
    }
}

#[test]
fn the_object_is_kept_as_the_event_shows_it() {
    let payload = |source, body: &Value| {
        events(source, None, body, "d", Timestamp::UNIX_EPOCH)[0]
            .payload
            .clone()
    };
    let service = json!({"id": "PSVC7", "type": "service", "name": "Checkout"});
    let alert = json!({"alertId": "a-1", "message": "Slow"});
    let note = json!({"id": "PNOTE1", "type": "incident_note", "incident": {"id": "PINC7", "type": "incident_reference"}});

    assert_eq!(
        payload(SourceName::Pagerduty, &about("service.deleted", &service)),
        service
    );
    assert_eq!(
        payload(SourceName::Pagerduty, &about("incident.annotated", &note)),
        note["incident"]
    );
    assert_eq!(
        payload(
            SourceName::Opsgenie,
            &json!({"action": "Delete", "alert": alert})
        ),
        alert
    );
    assert_eq!(
        payload(
            SourceName::Statuspage,
            &json!({"meta": meta(), "page": page()})
        ),
        page()
    );
}

#[test]
fn a_body_that_is_nobodys_is_not_recognized() {
    let nobodys = [
        json!(null),
        json!([]),
        json!("event"),
        json!({}),
        json!({"event": "incident.triggered"}),
        json!({"event": {"event_type": 7}}),
        json!({"messages": [{"event": "incident.trigger"}]}),
        json!({"page": "p9k3w8s2v5t1"}),
        json!({"page": {"id": 7}}),
        json!({"action": "Create"}),
        json!({"action": 7, "alert": {}}),
        json!({"alert": {"alertId": "a-1"}}),
    ];
    for body in nobodys {
        assert_eq!(recognize(&body, &HeaderMap::new()), None, "{body}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(WEBHOOK_SUBSCRIPTION, HeaderValue::from_static("PSUB1"));
    assert_eq!(
        recognize(&json!({"meta": meta(), "page": page()}), &headers),
        None
    );
    assert_eq!(
        recognize(&about("pagey.ping", &json!({})), &headers),
        Some(SourceName::Pagerduty)
    );
}

#[test]
fn a_delivery_is_the_same_when_it_comes_again_and_no_other_is() {
    let none = HeaderMap::new();
    let mut own = HeaderMap::new();
    own.insert(WEBHOOK_ID, HeaderValue::from_static("0190-invented"));
    let digest = |source, account, headers: &HeaderMap, body: &str| {
        delivery(source, account, headers, body.as_bytes())
    };

    assert_eq!(
        digest(SourceName::Pagerduty, None, &own, "{}"),
        "0190-invented"
    );
    let first = digest(SourceName::Opsgenie, Some("a"), &none, "{}");
    assert_eq!(first.len(), 64);
    assert_eq!(
        first,
        digest(SourceName::Opsgenie, Some("a"), &own, "{}"),
        "no header of theirs"
    );
    for other in [
        digest(SourceName::Opsgenie, Some("a"), &none, "{ }"),
        digest(SourceName::Opsgenie, None, &none, "{}"),
        digest(SourceName::Statuspage, Some("a"), &none, "{}"),
    ] {
        assert_ne!(first, other);
    }
    let mut long = HeaderMap::new();
    long.insert(WEBHOOK_ID, HeaderValue::from_str(&"x".repeat(500)).unwrap());
    assert_eq!(digest(SourceName::Pagerduty, None, &long, "{}").len(), 64);
}

#[test]
fn several_events_of_one_request_are_numbered() {
    let body = json!({"meta": meta(), "page": page(), "incident": {"id": "k3p8v1x7b2n4"}});
    let deliveries: Vec<_> = events(
        SourceName::Statuspage,
        None,
        &body,
        "d",
        Timestamp::UNIX_EPOCH,
    )
    .into_iter()
    .map(|event| event.delivery)
    .collect();
    assert_eq!(deliveries, ["d#1", "d#2"]);
}
