//! Webhook subscriptions: who is told of what.
//!
//! The secret that webhooks are signed with is shown by the reply that creates
//! a subscription and never again, and so are the values of its headers. What is
//! delivered where cannot be changed afterwards. Whether deliveries were given up
//! for the time being is shown by the single subscription only, as in the
//! vendor's own examples.

use serde_json::{Map, Value, json};
use url::Url;

use super::super::chassis::{Reply, Request};
use super::parameters::{Page, choices};
use super::{Pagerduty, Simulator, error, invalid, text_at};

/// The event types that can be subscribed to.
pub(super) const EVENT_TYPES: [&str; 31] = [
    "incident.acknowledged",
    "incident.action_invocation.created",
    "incident.action_invocation.terminated",
    "incident.action_invocation.updated",
    "incident.annotated",
    "incident.conference_bridge.updated",
    "incident.custom_field_values.updated",
    "incident.delegated",
    "incident.escalated",
    "incident.incident_type.changed",
    "incident.priority_updated",
    "incident.reassigned",
    "incident.reopened",
    "incident.resolved",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.role.assigned",
    "incident.service_updated",
    "incident.status_update_published",
    "incident.task.created",
    "incident.task.updated",
    "incident.triggered",
    "incident.unacknowledged",
    "incident.workflow.completed",
    "incident.workflow.started",
    "pagey.ping",
    "service.created",
    "service.custom_field_values.updated",
    "service.deleted",
    "service.updated",
    "service.team_updated",
];

/// Shown in place of the values of headers.
const REDACTED: &str = "-- redacted --";

/// What accounts have less of than events: those that an account does not offer.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub(super) rows: Vec<Subscription>,
    unoffered: Vec<String>,
    issued: u32,
}

/// Where something is delivered, and what.
pub(super) struct Subscription {
    pub(super) id: String,
    delivery_id: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) secret: String,
    temporarily_disabled: bool,
    active: bool,
    description: Value,
    events: Vec<String>,
    filter: Value,
}

/// How much of a subscription a reply shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Created,
    Single,
    Listed,
}

impl Subscription {
    fn show(&self, shown: Shown) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let value = if shown == Shown::Created {
                    value
                } else {
                    REDACTED
                };
                json!({"name": name, "value": value})
            })
            .collect();
        let secret = (shown == Shown::Created).then_some(&self.secret);
        let mut delivery = json!({
            "id": self.delivery_id, "secret": secret, "type": "http_delivery_method",
            "url": self.url, "custom_headers": headers,
        });
        if shown != Shown::Listed {
            delivery["temporarily_disabled"] = self.temporarily_disabled.into();
        }
        json!({
            "id": self.id, "type": "webhook_subscription", "active": self.active,
            "delivery_method": delivery, "description": self.description,
            "events": self.events, "filter": self.filter,
        })
    }

    /// Whether it is told of such an event of a service and its teams.
    pub(super) fn hears(&self, event_type: &str, service: &str, teams: &[String]) -> bool {
        let id = text_at(&self.filter, "id");
        let passes = match text_at(&self.filter, "type") {
            "service_reference" => id == service,
            "team_reference" => teams.iter().any(|team| team == id),
            _ => true,
        };
        self.active
            && !self.temporarily_disabled
            && passes
            && self.events.iter().any(|event| event == event_type)
    }
}

impl Pagerduty {
    /// Everything below `/webhook_subscriptions`.
    pub(super) fn subscriptions_route(
        &mut self,
        request: &Request,
        rest: &[&str],
    ) -> Result<Reply, Reply> {
        match (request.method.as_str(), rest) {
            ("GET", []) => self.list_subscriptions(request),
            ("POST", []) => self.subscribe(request),
            ("GET", [id]) => Ok(single(self.subscription(id)?, Shown::Single)),
            ("PUT", [id]) => self.change_subscription(id, request),
            ("DELETE", [id]) => {
                self.subscription(id)?;
                self.subscriptions.rows.retain(|row| row.id != *id);
                Ok(Reply::empty(204))
            }
            ("POST", [id, "enable"]) => {
                let row = self.subscription(id)?;
                row.temporarily_disabled = false;
                Ok(single(row, Shown::Single))
            }
            _ => Err(error(404, 2100, "Not Found", &[]).unexpected()),
        }
    }

    fn subscription(&mut self, id: &str) -> Result<&mut Subscription, Reply> {
        let mut rows = self.subscriptions.rows.iter_mut();
        rows.find(|row| row.id == id)
            .ok_or_else(|| error(404, 2100, "Not Found", &[]))
    }

    fn list_subscriptions(&self, request: &Request) -> Result<Reply, Reply> {
        let page = Page::of(request)?;
        let kind = choices(request, "filter_type", &["account", "service", "team"])?;
        let id = request.parameter("filter_id");
        if kind.first().is_some_and(|kind| *kind != "account") && id.is_none() {
            return Err(invalid("filter_id is required"));
        }
        let wanted: Vec<&Subscription> = self
            .subscriptions
            .rows
            .iter()
            .filter(|row| {
                let type_fits = kind.first().is_none_or(|kind| {
                    text_at(&row.filter, "type").strip_suffix("_reference") == Some(*kind)
                });
                type_fits && id.is_none_or(|id| text_at(&row.filter, "id") == id)
            })
            .collect();
        let shown: Vec<Value> = wanted
            .iter()
            .skip(page.offset)
            .take(page.limit)
            .map(|row| row.show(Shown::Listed))
            .collect();
        let total = page.with_total.then_some(wanted.len());
        let body = json!({
            "webhook_subscriptions": shown, "limit": page.limit, "offset": page.offset,
            "total": total, "more": page.offset + page.limit < wanted.len(),
        });
        Ok(Reply::json(200, &body))
    }

    fn subscribe(&mut self, request: &Request) -> Result<Reply, Reply> {
        let mut fields = fields(request)?;
        if fields.get("type").and_then(Value::as_str) != Some("webhook_subscription") {
            return Err(invalid("type must be webhook_subscription"));
        }
        let delivery = fields.remove("delivery_method").unwrap_or_default();
        let (url, headers) = delivery_method(&delivery)?;
        for required in ["events", "filter"] {
            if !fields.contains_key(required) {
                return Err(invalid(&format!("{required} is required")));
            }
        }
        self.subscriptions.issued += 1;
        let number = self.subscriptions.issued;
        let mut row = Subscription {
            id: format!("PWS{number:05}"),
            delivery_id: format!("PDM{number:05}"),
            url,
            headers,
            secret: format!("pdsecret-{number:032}"),
            temporarily_disabled: false,
            active: true,
            description: Value::Null,
            events: Vec::new(),
            filter: Value::Null,
        };
        apply(&mut row, fields, &self.subscriptions.unoffered)?;
        let reply = single(&row, Shown::Created);
        self.subscriptions.rows.push(row);
        Ok(Reply {
            status: 201,
            ..reply
        })
    }

    fn change_subscription(&mut self, id: &str, request: &Request) -> Result<Reply, Reply> {
        let fields = fields(request)?;
        if fields.contains_key("delivery_method") {
            return Err(invalid("delivery_method cannot be updated"));
        }
        let unoffered = self.subscriptions.unoffered.clone();
        let row = self.subscription(id)?;
        apply(row, fields, &unoffered)?;
        Ok(single(row, Shown::Single))
    }
}

impl Simulator<Pagerduty> {
    /// The webhook subscriptions, the oldest first, with everything that the
    /// creating reply showed.
    pub fn webhook_subscriptions(&self) -> Vec<Value> {
        self.world(|world| {
            let rows = world.subscriptions.rows.iter();
            rows.map(|row| row.show(Shown::Created)).collect()
        })
    }

    /// What three refused deliveries in a row lead to; false when there is no
    /// such subscription.
    pub fn disable_webhook_subscription(&self, id: &str) -> bool {
        self.world(|world| {
            let row = world.subscription(id);
            row.map(|row| row.temporarily_disabled = true).is_ok()
        })
    }

    /// From now on nobody can subscribe to this event type.
    pub fn withdraw_event_type(&self, event_type: &str) {
        self.world(|world| world.subscriptions.unoffered.push(event_type.to_owned()));
    }
}

fn single(row: &Subscription, shown: Shown) -> Reply {
    Reply::json(200, &json!({"webhook_subscription": row.show(shown)}))
}

/// What a request says about the subscription.
fn fields(request: &Request) -> Result<Map<String, Value>, Reply> {
    match request.json() {
        Some(Value::Object(mut body)) => match body.remove("webhook_subscription") {
            Some(Value::Object(fields)) => Ok(fields),
            _ => Err(invalid("webhook_subscription is required")),
        },
        _ => Err(invalid("The body must be a JSON object")),
    }
}

fn delivery_method(delivery: &Value) -> Result<(Url, Vec<(String, String)>), Reply> {
    if text_at(delivery, "type") != "http_delivery_method" {
        return Err(invalid("delivery_method.type must be http_delivery_method"));
    }
    let url = text_at(delivery, "url")
        .parse()
        .map_err(|_| invalid("delivery_method.url must be a URL"))?;
    let headers = delivery["custom_headers"].as_array().into_iter().flatten();
    let headers = headers.map(|header| {
        let (name, value) = (text_at(header, "name"), text_at(header, "value"));
        if name.is_empty() || value.is_empty() {
            return Err(invalid("a custom header needs a name and a value"));
        }
        Ok((name.to_owned(), value.to_owned()))
    });
    Ok((url, headers.collect::<Result<_, _>>()?))
}

/// Changes what is said, all of it or nothing.
fn apply(
    row: &mut Subscription,
    fields: Map<String, Value>,
    unoffered: &[String],
) -> Result<(), Reply> {
    let (mut events, mut filter) = (row.events.clone(), row.filter.clone());
    let (mut active, mut description) = (row.active, row.description.clone());
    for (name, value) in fields {
        match name.as_str() {
            "type" => {}
            "description" if value.is_string() => description = value,
            "active" => {
                active = value
                    .as_bool()
                    .ok_or_else(|| invalid("active must be true or false"))?;
            }
            "events" => events = event_types(&value, unoffered)?,
            "filter" => {
                let needs_id = match text_at(&value, "type") {
                    "account_reference" => false,
                    "service_reference" | "team_reference" => true,
                    _ => return Err(invalid("filter.type is none of the kinds of filter")),
                };
                if needs_id && text_at(&value, "id").is_empty() {
                    return Err(invalid("filter.id is required"));
                }
                filter = value;
            }
            _ => return Err(invalid(&format!("{name} is not a field of this"))),
        }
    }
    (row.events, row.filter, row.active, row.description) = (events, filter, active, description);
    Ok(())
}

fn event_types(value: &Value, unoffered: &[String]) -> Result<Vec<String>, Reply> {
    let mut events: Vec<String> = Vec::new();
    for event in value.as_array().into_iter().flatten() {
        let event = event.as_str().unwrap_or_default();
        let is_known = EVENT_TYPES.contains(&event) && !unoffered.iter().any(|one| one == event);
        if !is_known {
            return Err(invalid(&format!("{event} is not an event type")));
        }
        if events.iter().any(|known| known == event) {
            return Err(invalid("events must not repeat themselves"));
        }
        events.push(event.to_owned());
    }
    if events.is_empty() {
        return Err(invalid("events must not be empty"));
    }
    Ok(events)
}
