//! The bodies of writes: JSON, or a form with names as Rails has them.
//!
//! Read as strictly as the documentation can be taken: a field that there is
//! not, or one of another type, is refused, because a client that misspells a
//! field must not pass for one that left it out.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::super::chassis::{Reply, Request};
use super::error;

const NAME_LIMIT: usize = 255;
const BODY_LIMIT: usize = 25_000;

pub(super) const REALTIME: [&str; 4] = ["investigating", "identified", "monitoring", "resolved"];
pub(super) const MAINTENANCE: [&str; 4] = ["scheduled", "in_progress", "verifying", "completed"];
const IMPACTS: [&str; 5] = ["none", "maintenance", "minor", "major", "critical"];
const COMPONENT_STATUSES: [&str; 5] = [
    "operational",
    "under_maintenance",
    "degraded_performance",
    "partial_outage",
    "major_outage",
];

/// Fields that an incident keeps as they were sent.
const KEPT_FLAGS: [&str; 7] = [
    "scheduled_remind_prior",
    "scheduled_auto_in_progress",
    "scheduled_auto_completed",
    "auto_transition_to_maintenance_state",
    "auto_transition_to_operational_state",
    "auto_transition_deliver_notifications_at_start",
    "auto_transition_deliver_notifications_at_end",
];

/// Fields that are understood and have no effect on anything that can be read.
const IGNORED_FLAGS: [&str; 5] = [
    "scheduled_auto_transition",
    "auto_tweet_at_beginning",
    "auto_tweet_on_completion",
    "auto_tweet_on_creation",
    "auto_tweet_one_hour_before",
];

/// What a write says about an incident. What it does not say is `None`.
#[derive(Default)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) status: Option<String>,
    pub(super) body: Option<String>,
    /// Null takes the override away.
    pub(super) impact_override: Option<Value>,
    /// The new status of each.
    pub(super) components: Vec<(String, String)>,
    pub(super) component_ids: Option<Vec<String>>,
    pub(super) silent: bool,
    pub(super) metadata: Option<Value>,
    /// Fields that the incident keeps as they are.
    pub(super) kept: Map<String, Value>,
}

impl Change {
    /// Whether this is told to everybody as an update of the incident.
    pub(super) fn is_update(&self) -> bool {
        self.status.is_some() || self.body.is_some()
    }

    pub(super) fn read(request: &Request) -> Result<Self, Reply> {
        let (fields, form) = fields(request, "incident")?;
        let mut change = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "name" => change.name = Some(named(&value)?),
                "body" => change.body = Some(limited("body", &value, BODY_LIMIT)?),
                "status" => {
                    let statuses = [REALTIME, MAINTENANCE].concat();
                    change.status = Some(chosen("status", &value, &statuses)?);
                }
                "impact_override" => {
                    if !value.is_null() {
                        chosen("impact_override", &value, &IMPACTS)?;
                    }
                    change.impact_override = Some(value);
                }
                "components" => change.components = statuses(&value)?,
                "component_ids" => change.component_ids = Some(identifiers(&value)?),
                "deliver_notifications" => change.silent = !flag(&name, &value, form)?,
                "metadata" => change.metadata = Some(metadata(value)?),
                "scheduled_for" | "scheduled_until" => {
                    let instant = value.as_str().map(str::parse::<jiff::Timestamp>);
                    if !value.is_null() && !matches!(instant, Some(Ok(_))) {
                        return Err(error(422, &format!("{name} must be a date and time")));
                    }
                    change.kept.insert(name, value);
                }
                "reminder_intervals" => {
                    if !value.is_null() && !value.is_string() {
                        return Err(error(422, "reminder_intervals must be a string"));
                    }
                    change.kept.insert(name, value);
                }
                flagged if KEPT_FLAGS.contains(&flagged) => {
                    let value = flag(&name, &value, form)?;
                    change.kept.insert(name, value.into());
                }
                flagged if IGNORED_FLAGS.contains(&flagged) => {
                    flag(&name, &value, form)?;
                }
                // `backfilled` among them: nobody tells the sandbox about the past.
                _ => return Err(unknown(&name)),
            }
        }
        Ok(change)
    }
}

/// What a write says about a component, checked.
pub(super) fn component(request: &Request) -> Result<Map<String, Value>, Reply> {
    let (mut fields, form) = fields(request, "component")?;
    for (name, value) in &mut fields {
        match name.as_str() {
            "name" => *value = named(value)?.into(),
            "status" => *value = chosen("status", value, &COMPONENT_STATUSES)?.into(),
            "description" | "start_date" => {
                if !value.is_null() && !value.is_string() {
                    return Err(error(422, &format!("{name} must be a string")));
                }
            }
            "only_show_if_degraded" | "showcase" => *value = flag(name, value, form)?.into(),
            // `group_id` among them: the sandbox's components stay where they are.
            _ => return Err(unknown(name)),
        }
    }
    Ok(fields)
}

/// What a write says about a subscriber, checked.
pub(super) fn subscriber(request: &Request) -> Result<Map<String, Value>, Reply> {
    let (mut fields, form) = fields(request, "subscriber")?;
    for (name, value) in &mut fields {
        match name.as_str() {
            "endpoint" => {
                let url = value.as_str().map(str::parse::<url::Url>);
                if !matches!(url, Some(Ok(_))) {
                    return Err(error(422, "endpoint must be a URL"));
                }
            }
            "email" => *value = named(value)?.into(),
            "skip_confirmation_notification" => *value = flag(name, value, form)?.into(),
            "component_ids" => *value = identifiers(value)?.into(),
            // Nobody is told by telephone, and pages are open to everybody.
            _ => return Err(unknown(name)),
        }
    }
    Ok(fields)
}

/// The fields below the name that all of them are under, and whether they came
/// as a form, where everything is text.
fn fields(request: &Request, root: &str) -> Result<(Map<String, Value>, bool), Reply> {
    let kind = request.header("content-type").unwrap_or_default();
    let form = kind.starts_with("application/x-www-form-urlencoded");
    let body = if form {
        nested(&request.body)
    } else if kind.starts_with("application/json") {
        request.json()
    } else {
        None
    };
    let body = body.ok_or_else(|| error(400, "The body must be JSON or a form"))?;
    match body {
        Value::Object(mut members) if members.len() == 1 => match members.remove(root) {
            Some(Value::Object(fields)) => Ok((fields, form)),
            _ => Err(error(400, &format!("param is missing: {root}"))),
        },
        _ => Err(error(400, &format!("The body must have {root} alone"))),
    }
}

/// A form whose names say where the values belong: `a[b][]=c` is `{"a": {"b": ["c"]}}`.
fn nested(form: &[u8]) -> Option<Value> {
    let mut root = Value::Null;
    for (name, value) in form_urlencoded::parse(form) {
        let mut path = name.split('[');
        let mut steps = vec![path.next()?];
        for step in path {
            steps.push(step.strip_suffix(']')?);
        }
        place(&mut root, &steps, value.into_owned())?;
    }
    Some(root)
}

fn place(at: &mut Value, steps: &[&str], text: String) -> Option<()> {
    match steps {
        [] => *at = text.into(),
        [""] => {
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            at.as_array_mut()?.push(text.into());
        }
        [step, rest @ ..] => {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let members = at.as_object_mut()?;
            let below = members.entry(*step).or_insert(Value::Null);
            place(below, rest, text)?;
        }
    }
    Some(())
}

fn unknown(name: &str) -> Reply {
    error(422, &format!("{name} is not a field of this"))
}

fn limited(name: &str, value: &Value, limit: usize) -> Result<String, Reply> {
    let text = value
        .as_str()
        .ok_or_else(|| error(422, &format!("{name} must be a string")))?;
    if text.chars().count() > limit {
        let message = format!("{name} is too long (maximum is {limit} characters)");
        return Err(error(422, &message));
    }
    Ok(text.to_owned())
}

fn named(value: &Value) -> Result<String, Reply> {
    let name = limited("name", value, NAME_LIMIT)?;
    if name.trim().is_empty() {
        return Err(error(422, "name can't be blank"));
    }
    Ok(name)
}

fn chosen(name: &str, value: &Value, allowed: &[&str]) -> Result<String, Reply> {
    let text = value.as_str().filter(|text| allowed.contains(text));
    text.map(str::to_owned)
        .ok_or_else(|| error(422, &format!("{name} must be among {}", allowed.join(", "))))
}

fn flag(name: &str, value: &Value, form: bool) -> Result<bool, Reply> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if form && text == "true" => Ok(true),
        Value::String(text) if form && text == "false" => Ok(false),
        _ => Err(error(422, &format!("{name} must be true or false"))),
    }
}

fn statuses(value: &Value) -> Result<Vec<(String, String)>, Reply> {
    let members = value
        .as_object()
        .ok_or_else(|| error(422, "components must be an object"))?;
    members
        .iter()
        .map(|(id, status)| {
            let status = chosen("the status of a component", status, &COMPONENT_STATUSES)?;
            Ok((id.clone(), status))
        })
        .collect()
}

fn identifiers(value: &Value) -> Result<Vec<String>, Reply> {
    let refusal = || error(422, "component_ids must be a list of strings");
    let mut ids: Vec<String> = Vec::new();
    for one in value.as_array().ok_or_else(refusal)? {
        let id = one.as_str().ok_or_else(refusal)?;
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

fn metadata(value: Value) -> Result<Value, Reply> {
    let objects = value
        .as_object()
        .is_some_and(|members| members.values().all(Value::is_object));
    if objects {
        Ok(value)
    } else {
        Err(error(422, "metadata must be an object of objects"))
    }
}
