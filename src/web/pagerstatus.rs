//! Pagerstatus' routes: PagerDuty says that something happened to an incident.
//!
//! The successor answers where the original did, in its words, so that a webhook
//! that is set up in PagerDuty goes on working. Beside the original's second
//! version of the body, which PagerDuty has given up, the third is understood.
//!
//! A call is a hint and nothing else. What it says is looked at only to tell
//! whether a pass can be of use; the pass reads everything afresh, and so many
//! calls at once become one. That is why nobody has to say who they are, beyond
//! the name of an account, which the original took for enough, too.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Ask, refusal};
use crate::telemetry::metrics::{self, SyncCall};

/// What the routes need.
#[derive(Clone)]
pub struct PagerstatusRoute {
    /// The names of the PagerDuty accounts, in small letters.
    pub accounts: BTreeSet<String>,
    /// Asks for a pass of incident sync.
    pub hint: Ask,
}

impl fmt::Debug for PagerstatusRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PagerstatusRoute")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

/// `GET /`
pub(super) async fn hello() -> Response {
    Json(json!(["Hello from Pagerstatus"])).into_response()
}

/// `POST /{account}`: answers at once; the pass is somebody else's work.
pub(super) async fn call(
    State(route): State<Arc<PagerstatusRoute>>,
    account: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let refused = |status| {
        metrics::sync_called(SyncCall::Refused);
        refusal(status)
    };
    // One that is not even text is nobody's name.
    let is_known =
        account.is_ok_and(|Path(account)| route.accounts.contains(&account.to_lowercase()));
    if !is_known {
        return refused(StatusCode::NOT_FOUND);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return refused(rejection.status()),
    };
    match concerns_incidents(&body) {
        None => refused(StatusCode::BAD_REQUEST),
        Some(true) => {
            metrics::sync_called(SyncCall::Accepted);
            (route.hint)();
            Json(json!(["Performed sync"])).into_response()
        }
        Some(false) => {
            metrics::sync_called(SyncCall::Ignored);
            Json(json!(["No need to sync"])).into_response()
        }
    }
}

/// Whether it tells of something that may open or close a public incident; none
/// if it is not PagerDuty's.
fn concerns_incidents(body: &[u8]) -> Option<bool> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if let Some(messages) = body.get("messages") {
        // Version 2.
        let mut events = messages
            .as_array()?
            .iter()
            .map(|message| message.get("event")?.as_str())
            .collect::<Option<Vec<_>>>()?
            .into_iter();
        return Some(
            events.any(|event| matches!(event, "incident.acknowledge" | "incident.resolve")),
        );
    }
    let event = body.get("event")?.get("event_type")?.as_str()?;
    Some(event.starts_with("incident."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_to_incidents_asks_for_a_pass() {
        let version_2 = |events: &[&str]| {
            let messages: Vec<_> = events.iter().map(|event| json!({"event": event})).collect();
            json!({ "messages": messages })
        };
        let version_3 = |event: &str| json!({"event": {"id": "e", "event_type": event}});
        let table = [
            (version_2(&["incident.acknowledge"]), Some(true)),
            (version_2(&["incident.resolve"]), Some(true)),
            (
                version_2(&["incident.trigger", "incident.resolve"]),
                Some(true),
            ),
            (
                version_2(&["incident.trigger", "incident.assign"]),
                Some(false),
            ),
            (version_2(&[]), Some(false)),
            (version_3("incident.acknowledged"), Some(true)),
            (version_3("incident.unacknowledged"), Some(true)),
            (version_3("incident.resolved"), Some(true)),
            (version_3("incident.triggered"), Some(true)),
            (version_3("pagey.ping"), Some(false)),
            (version_3("service.updated"), Some(false)),
            (version_3("incidents"), Some(false)),
            (json!({"messages": {}}), None),
            (json!({"messages": ["incident.resolve"]}), None),
            (
                json!({"messages": [{"event": "incident.resolve"}, {}]}),
                None,
            ),
            (json!({"messages": [{"event": 7}]}), None),
            (json!({"event": "incident.resolve"}), None),
            (json!({"event": {"event_type": null}}), None),
            (json!({}), None),
            (json!([]), None),
            (json!(null), None),
        ];
        for (body, expected) in table {
            let body = body.to_string();
            assert_eq!(concerns_incidents(body.as_bytes()), expected, "{body}");
        }
        for body in ["", "incident.resolve", "{"] {
            assert_eq!(concerns_incidents(body.as_bytes()), None, "{body}");
        }
    }
}
