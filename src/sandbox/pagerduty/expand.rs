//! `include[]`: references replaced by what they refer to.

use std::borrow::Cow;

use serde_json::Value;

use super::{Object, Pagerduty, Row, text_at};

/// Where the references lie that an include of an endpoint expands. `*` is
/// each element of a list.
const INCLUDES: [(&str, &str, &[&str]); 24] = [
    ("services", "escalation_policies", &["escalation_policy"]),
    ("services", "teams", &["teams", "*"]),
    ("incidents", "assignees", &["assignments", "*", "assignee"]),
    (
        "incidents",
        "acknowledgers",
        &["acknowledgements", "*", "acknowledger"],
    ),
    ("incidents", "agents", &["last_status_change_by"]),
    ("incidents", "escalation_policies", &["escalation_policy"]),
    (
        "incidents",
        "first_trigger_log_entries",
        &["first_trigger_log_entry"],
    ),
    ("incidents", "priorities", &["priority"]),
    ("incidents", "services", &["service"]),
    ("incidents", "teams", &["teams", "*"]),
    ("incidents", "users", &["assignments", "*", "assignee"]),
    ("schedules", "users", &["users", "*"]),
    ("oncalls", "users", &["user"]),
    ("oncalls", "schedules", &["schedule"]),
    ("oncalls", "escalation_policies", &["escalation_policy"]),
    ("escalation_policies", "services", &["services", "*"]),
    ("escalation_policies", "teams", &["teams", "*"]),
    (
        "escalation_policies",
        "targets",
        &["escalation_rules", "*", "targets", "*"],
    ),
    ("users", "teams", &["teams", "*"]),
    ("users", "contact_methods", &["contact_methods", "*"]),
    ("users", "notification_rules", &["notification_rules", "*"]),
    ("log_entries", "incidents", &["incident"]),
    ("log_entries", "services", &["service"]),
    ("log_entries", "teams", &["teams", "*"]),
];

/// Fields that an object only shows when they are included.
const SHOWN_ON_REQUEST: [(&str, &str, &str); 5] = [
    ("incidents", "body", "body"),
    ("incidents", "conference_bridge", "conference_bridge"),
    ("schedules", "schedule_layers", "schedule_layers"),
    (
        "schedules",
        "overrides_subschedule",
        "overrides_subschedule",
    ),
    ("schedules", "final_schedule", "final_schedule"),
];

impl Pagerduty {
    /// An object as a reply shows it. Includes that PagerDuty does not know
    /// have no effect there either.
    pub(super) fn rendered<'a>(
        &self,
        endpoint: &str,
        row: &'a Row<Object>,
        include: &[&str],
    ) -> Cow<'a, str> {
        let hides = SHOWN_ON_REQUEST.iter().any(|(of, _, _)| *of == endpoint);
        let large = endpoint == "log_entries"
            && self.large_channels.contains(&row.id)
            && !include.contains(&"channels");
        if include.is_empty() && !large && !(hides && shows_hidden(endpoint, &row.text)) {
            return Cow::Borrowed(&row.text);
        }
        let mut object = row.object();
        if large {
            leave_out(&mut object);
        }
        for (of, name, path) in INCLUDES {
            if of == endpoint && include.contains(&name) {
                self.expand(&mut object, path);
            }
        }
        for (of, name, field) in SHOWN_ON_REQUEST {
            let shown = of != endpoint || include.contains(&name);
            if let Some(fields) = object.as_object_mut().filter(|_| !shown) {
                fields.shift_remove(field);
            }
        }
        Cow::Owned(object.to_string())
    }

    fn expand(&self, value: &mut Value, path: &[&str]) {
        match path {
            [] => {
                if let Some(full) = self.referred(value) {
                    *value = full;
                }
            }
            ["*", rest @ ..] => {
                for element in value.as_array_mut().into_iter().flatten() {
                    self.expand(element, rest);
                }
            }
            [key, rest @ ..] => {
                if let Some(below) = value.get_mut(key) {
                    self.expand(below, rest);
                }
            }
        }
    }

    /// What a reference refers to. What is deleted stays a reference.
    fn referred(&self, reference: &Value) -> Option<Value> {
        let kind = text_at(reference, "type").strip_suffix("_reference")?;
        let endpoint = match kind {
            "user" => "users",
            "service" => "services",
            "schedule" | "schedule_v3" => "schedules",
            "escalation_policy" => "escalation_policies",
            "team" => "teams",
            "priority" => "priorities",
            "incident" => "incidents",
            _ if kind.ends_with("log_entry") => "log_entries",
            _ if kind.ends_with("contact_method") => "contact_methods",
            _ if kind.ends_with("notification_rule") => "notification_rules",
            _ => return None,
        };
        let id = text_at(reference, "id");
        let mut full = self.tables.get(endpoint)?.get(id)?;
        if endpoint == "log_entries" && self.large_channels.contains(id) {
            leave_out(&mut full);
        }
        Some(full)
    }
}

/// Takes what is large out of the channel of a log entry, and says so.
fn leave_out(entry: &mut Value) {
    let Some(channel) = entry.get_mut("channel").and_then(Value::as_object_mut) else {
        return;
    };
    for (field, flag) in [("details", "details_omitted"), ("body", "body_omitted")] {
        if channel.shift_remove(field).is_some() {
            channel.insert(flag.to_owned(), true.into());
        }
    }
}

fn shows_hidden(endpoint: &str, text: &str) -> bool {
    SHOWN_ON_REQUEST
        .iter()
        .any(|(of, _, field)| *of == endpoint && text.contains(&format!("\"{field}\":")))
}
