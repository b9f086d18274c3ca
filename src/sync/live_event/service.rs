//! An incident moves its service's status: what is to be looked at after it.

use std::sync::Arc;

use serde_json::Value;

use crate::live_events::{NewEvent, Subject, Taken, Thing};
use crate::resource_config::ResourceConfig;
use crate::source::concerns;

/// Events after which an incident's service is what it was before.
const QUIET: [&str; 11] = [
    "incident.action_invocation.",
    "incident.annotated",
    "incident.conference_bridge.",
    "incident.custom_field_values.",
    "incident.incident_type.",
    "incident.priority_updated",
    "incident.responder.",
    "incident.role.",
    "incident.status_update_published",
    "incident.task.",
    "incident.workflow.",
];

/// The event of the incident's service, whose status may have changed with it.
pub(super) fn service_of(
    taken: &Taken,
    configs: &[Arc<ResourceConfig>],
    incident: &Value,
) -> Vec<NewEvent> {
    let is_mapped = || {
        configs
            .iter()
            .any(|config| concerns(Thing::PagerdutyService, &config.kind))
    };
    let is_quiet = |event_type: &str| QUIET.iter().any(|quiet| event_type.starts_with(quiet));
    if taken.subject.thing != Thing::PagerdutyIncident || !is_mapped() {
        return Vec::new();
    }
    let loud = taken
        .events
        .iter()
        .rev()
        .find(|event| !is_quiet(&event.event.event_type));
    let service = incident.pointer("/service/id").and_then(Value::as_str);
    let (Some(loud), Some(service)) = (loud, service) else {
        return Vec::new();
    };
    vec![NewEvent {
        delivery: format!("{}#service", loud.event.delivery),
        subject: Subject {
            thing: Thing::PagerdutyService,
            id: service.to_owned(),
            ..taken.subject.clone()
        },
        event_type: loud.event.event_type.clone(),
        is_gone: false,
        payload: incident["service"].clone(),
        received: loud.event.received,
    }]
}
