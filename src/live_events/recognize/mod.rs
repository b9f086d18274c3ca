//! From the body of a request to the events in it.
//!
//! Which vendor it is shows in the body, whose shapes have nothing in common. Of
//! the body only identifiers are read, and the object as the event shows it,
//! which serves where the object itself is gone. Nothing in here refuses: a body
//! that is a vendor's, but tells of nothing that there are kinds for, has no
//! events in it.
//!
//! Types of events are not listed. Whatever PagerDuty calls what happened to an
//! incident, the incident is what is to be looked at, and types that it adds
//! later are about incidents and services, too.

use axum::http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use ring::digest;
use serde_json::Value;

use super::event::{NewEvent, Subject, Thing};
use crate::settings::SourceName;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("x-webhook-id");
const WEBHOOK_SUBSCRIPTION: HeaderName = HeaderName::from_static("x-webhook-subscription");

/// The longest identifier that is taken for one. Real ones have three dozen
/// characters at most.
const LONGEST_ID: usize = 200;

/// The vendor that sent this; none if it is nobody's.
pub fn recognize(body: &Value, headers: &HeaderMap) -> Option<SourceName> {
    if headers.contains_key(WEBHOOK_SUBSCRIPTION) {
        // PagerDuty's word for it, so the body has to fit.
        return is_from(SourceName::Pagerduty, body).then_some(SourceName::Pagerduty);
    }
    SourceName::ALL
        .into_iter()
        .find(|source| is_from(*source, body))
}

/// Whether the body has this vendor's shape.
pub fn is_from(source: SourceName, body: &Value) -> bool {
    match source {
        SourceName::Pagerduty => body
            .pointer("/event/event_type")
            .is_some_and(Value::is_string),
        SourceName::Statuspage => ["/page/id", "/meta/unsubscribe"]
            .iter()
            .any(|place| body.pointer(place).is_some_and(Value::is_string)),
        SourceName::Opsgenie => {
            let is_alert = body.get("alert").is_some_and(Value::is_object);
            let is_integration = body.get("integrationId").is_some_and(Value::is_string);
            body.get("action").is_some_and(Value::is_string) && (is_alert || is_integration)
        }
    }
}

/// What tells a delivery from another: PagerDuty's own identifier, which is the
/// same when it tries again, or else what was said by whom.
pub fn delivery(
    source: SourceName,
    account: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> String {
    let own = headers
        .get(WEBHOOK_ID)
        .filter(|_| source == SourceName::Pagerduty)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=LONGEST_ID).contains(&id.len()));
    if let Some(id) = own {
        return id.to_owned();
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [source.as_str(), account.unwrap_or_default()] {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    context.update(body);
    hex(context.finish().as_ref())
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The events in a body; one a subject. Where there are several, their deliveries
/// are numbered.
pub fn events(
    source: SourceName,
    account: Option<&str>,
    body: &Value,
    delivery: &str,
    received: Timestamp,
) -> Vec<NewEvent> {
    let told = match source {
        SourceName::Pagerduty => pagerduty(body).into_iter().collect(),
        SourceName::Statuspage => statuspage(body),
        SourceName::Opsgenie => opsgenie(body).into_iter().collect(),
    };
    let are_several = told.len() > 1;
    let numbered = told.into_iter().enumerate();
    numbered
        .map(|(index, told)| NewEvent {
            delivery: if are_several {
                format!("{delivery}#{}", index + 1)
            } else {
                delivery.to_owned()
            },
            subject: Subject {
                source,
                account: account.map(str::to_owned),
                thing: told.thing,
                id: told.id.to_owned(),
                page: told.page.map(str::to_owned),
            },
            event_type: told.event_type.to_owned(),
            is_gone: told.is_gone,
            payload: told.payload.clone(),
            received,
        })
        .collect()
}

/// What a body tells of one object.
struct Told<'a> {
    thing: Thing,
    id: &'a str,
    page: Option<&'a str>,
    event_type: &'a str,
    is_gone: bool,
    payload: &'a Value,
}

fn pagerduty(body: &Value) -> Option<Told<'_>> {
    let event = body.get("event")?;
    let event_type = event.get("event_type")?.as_str()?;
    let (word, _) = event_type.split_once('.')?;
    let thing = match word {
        "incident" => Thing::PagerdutyIncident,
        "service" => Thing::PagerdutyService,
        _ => return None,
    };
    let data = event.get("data")?;
    // A note, a responder, a task and the like have an identifier of their own,
    // and say whose they are.
    let payload = if is_a(data, word) {
        data
    } else {
        data.get(word)?
    };
    Some(Told {
        thing,
        id: id(payload, "id")?,
        page: None,
        event_type,
        is_gone: event_type == "service.deleted",
        payload,
    })
}

/// Whether PagerDuty's object is an incident, or a service, or a reference to one.
fn is_a(object: &Value, word: &str) -> bool {
    match object.get("type").and_then(Value::as_str) {
        Some(kind) => kind == word || kind.strip_suffix("_reference") == Some(word),
        None => object.get(word).is_none(),
    }
}

/// The object first, then its page: the page's state follows from it.
fn statuspage(body: &Value) -> Vec<Told<'_>> {
    let Some(page) = body.get("page") else {
        return Vec::new();
    };
    let Some(page_id) = id(page, "id") else {
        return Vec::new();
    };
    let told = |thing, id, event_type, payload| Told {
        thing,
        id,
        page: Some(page_id),
        event_type,
        is_gone: false,
        payload,
    };
    let update = body.get("component_update");
    let component = update
        .and_then(|update| id(update, "component_id"))
        .or_else(|| id(body.get("component")?, "id"))
        .map(|id| {
            let payload = body.get("component").or(update).unwrap_or(&Value::Null);
            told(Thing::StatuspageComponent, id, "component_update", payload)
        });
    let incident = body.get("incident").and_then(|incident| {
        let id = id(incident, "id")?;
        Some(told(Thing::StatuspageIncident, id, "incident", incident))
    });
    let mut all: Vec<_> = component.into_iter().chain(incident).collect();
    let event_type = all.first().map_or("page", |first| first.event_type);
    all.push(told(Thing::StatuspagePage, page_id, event_type, page));
    all
}

fn opsgenie(body: &Value) -> Option<Told<'_>> {
    let event_type = body.get("action")?.as_str()?;
    let payload = body.get("alert")?;
    Some(Told {
        thing: Thing::OpsgenieAlert,
        id: id(payload, "alertId")?,
        page: None,
        event_type,
        is_gone: event_type == "Delete",
        payload,
    })
}

/// An identifier. What is put into the paths of requests later must not be just
/// anything, though whoever does that encodes it.
fn id<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object
        .get(key)?
        .as_str()
        .filter(|id| (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(is_plain))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.:~".contains(character)
}

#[cfg(test)]
mod tests;
