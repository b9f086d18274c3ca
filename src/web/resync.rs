//! `POST /resync`: Port, or somebody with curl, wants a resync.
//!
//! The request is a hint and nothing else: whatever it says, the resync reads
//! the mapping and the sources afresh, and so many requests at once become one
//! resync. That is why one without a signature is accepted, as the original
//! does; one with a wrong signature is not.
//!
//! Port also posts its change log here, and in it the state that each resync
//! writes. Those must not ask for a resync, or each would cause the next.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::Value;

use super::refusal;
use super::signature::{self, Signature};
use crate::api::{ChangeLogMessage, Changed};
use crate::telemetry::metrics::{self, ResyncCall};

/// Asks for a resync. Must neither block nor fail.
pub type Ask = Arc<dyn Fn() + Send + Sync>;

/// What the route needs.
#[derive(Clone)]
pub struct ResyncRoute {
    /// The key of Port's signatures: the client secret.
    pub secret: SecretString,
    /// The integration's identifier in Port.
    pub integration: String,
    pub ask: Ask,
}

impl fmt::Debug for ResyncRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ResyncRoute")
            .field("integration", &self.integration)
            .finish_non_exhaustive()
    }
}

/// Answers at once; the resync is somebody else's work.
pub(super) async fn ask(
    State(route): State<Arc<ResyncRoute>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return refusal(rejection.status()),
    };
    if signature::check(&headers, &body, &route.secret) == Signature::Wrong {
        metrics::resync_called(ResyncCall::Refused);
        tracing::debug!("A request for a resync had a wrong signature");
        return refusal(StatusCode::UNAUTHORIZED);
    }
    if wants_resync(&body, &route.integration) {
        metrics::resync_called(ResyncCall::Accepted);
        (route.ask)();
    } else {
        metrics::resync_called(ResyncCall::Ignored);
    }
    Json(Value::Null).into_response()
}

/// Whether it is anything but news about another integration, or about the
/// state that a resync of this one wrote.
fn wants_resync(body: &[u8], integration: &str) -> bool {
    let Some(message) = ChangeLogMessage::read(body) else {
        return true;
    };
    if message
        .integration()
        .is_some_and(|about| about != integration)
    {
        return false;
    }
    message.is_order() || message.changed() != Some(Changed::ResyncState)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_news_about_others_and_about_its_own_resyncs_asks_for_none() {
        let after = |updated: &str, state: &str| json!({"after": {"updatedAt": updated, "resyncState": {"updatedAt": state}}});
        let own = json!({"integrationId": "ours"});
        let table = [
            (json!(null), true),
            (json!([1]), true),
            (json!({}), true),
            (json!({"context": own}), true),
            (json!({"context": {"integrationId": "theirs"}}), false),
            (json!({"context": {"integrationId": "Ours"}}), false),
            (json!({"context": {"integrationId": 7}}), true),
            (json!({"action": "RESYNC", "context": own}), true),
            (
                json!({"action": "RESYNC", "context": {"integrationId": "theirs"}}),
                false,
            ),
            (
                json!({"action": "RESYNC", "context": own, "diff": after("a", "a")}),
                true,
            ),
            (
                json!({"action": "UPDATE", "context": own, "diff": after("a", "a")}),
                false,
            ),
            (json!({"action": "UPDATE", "diff": after("a", "a")}), false),
            (
                json!({"action": "UPDATE", "context": own, "diff": after("b", "a")}),
                true,
            ),
            (json!({"diff": {"after": {"updatedAt": "a"}}}), true),
            (json!({"diff": {"after": null}}), true),
        ];
        for (message, expected) in table {
            let body = message.to_string();
            assert_eq!(wants_resync(body.as_bytes(), "ours"), expected, "{body}");
        }
        for body in ["", "resync, please", "{"] {
            assert!(wants_resync(body.as_bytes(), "ours"), "{body}");
        }
    }
}
