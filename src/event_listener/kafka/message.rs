//! Which topic is listened to, and which of its messages ask for a resync.

use crate::api::{ChangeLogMessage, Changed, Organization};
use crate::telemetry::metrics::KafkaMessage;

/// Organizations with this flag have a topic for nothing but requests.
const OWN_TOPIC: &str = "OCEAN_KAFKA_INTEGRATION_RESYNC_REQUESTS_TOPIC_ENABLED";

/// What Port writes requests for a resync into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Everything that changes in the organization, entities included.
    ChangeLog,
    ResyncRequests,
}

impl Topic {
    pub(super) fn of(organization: &Organization) -> Self {
        if organization.feature_flags.iter().any(|it| it == OWN_TOPIC) {
            Self::ResyncRequests
        } else {
            Self::ChangeLog
        }
    }

    pub(super) fn name(self, organization: &str) -> String {
        match self {
            Self::ChangeLog => format!("{organization}.change.log"),
            Self::ResyncRequests => format!("{organization}.integration.resync.requests"),
        }
    }

    /// What is to become of a message. Unlike a call of `POST /resync`, it has to
    /// say that it is meant for this integration: the whole organization hears it.
    pub(super) fn read(self, payload: Option<&[u8]>, integration: &str) -> KafkaMessage {
        let Some(message) = payload.and_then(ChangeLogMessage::read) else {
            return KafkaMessage::Unreadable;
        };
        let is_about_us = message.integration() == Some(integration);
        let is_wanted = match self {
            Self::ResyncRequests => is_about_us,
            Self::ChangeLog => {
                (is_about_us && message.is_order()) || is_a_change(&message, integration)
            }
        };
        if is_wanted {
            KafkaMessage::Accepted
        } else {
            KafkaMessage::Ignored
        }
    }
}

/// Whether this integration was changed otherwise than by its own resync.
fn is_a_change(message: &ChangeLogMessage, integration: &str) -> bool {
    message.changed_identifier() == Some(integration)
        && message.changed() == Some(Changed::SomethingElse)
        && message.destination() == Some("KAFKA")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn change(identifier: &str, updated: &str, state: &str, destination: &str) -> Value {
        json!({
            "action": "UPDATE",
            "context": {"integrationId": identifier},
            "diff": {"after": {
                "identifier": identifier,
                "updatedAt": updated,
                "resyncState": {"updatedAt": state},
            }},
            "changelogDestination": {"type": destination},
        })
    }

    fn read(topic: Topic, message: &Value) -> KafkaMessage {
        topic.read(Some(message.to_string().as_bytes()), "ours")
    }

    #[test]
    fn in_the_change_log_orders_and_changes_of_this_integration_ask_for_a_resync() {
        let mut deleted = change("ours", "b", "a", "KAFKA");
        deleted["diff"]["after"] = Value::Null;
        let mut never_resynced = change("ours", "b", "a", "KAFKA");
        never_resynced["diff"]["after"]["resyncState"] = json!({});
        let mut timeless = change("ours", "b", "a", "KAFKA");
        timeless["diff"]["after"] = json!({"identifier": "ours"});
        let mut order = change("ours", "a", "a", "WEBHOOK");
        order["action"] = json!("RESYNC");
        let mut order_for_another = change("theirs", "a", "a", "KAFKA");
        order_for_another["action"] = json!("RESYNC");
        let order_without_integration = json!({"action": "RESYNC"});

        for message in [change("ours", "b", "a", "KAFKA"), never_resynced, order] {
            let found = read(Topic::ChangeLog, &message);
            assert_eq!(found, KafkaMessage::Accepted, "{message}");
        }
        for message in [
            change("ours", "a", "a", "KAFKA"),
            change("ours", "b", "a", "WEBHOOK"),
            change("theirs", "b", "a", "KAFKA"),
            change("Ours", "b", "a", "KAFKA"),
            deleted,
            timeless,
            order_for_another,
            order_without_integration,
            json!({}),
        ] {
            let found = read(Topic::ChangeLog, &message);
            assert_eq!(found, KafkaMessage::Ignored, "{message}");
        }
    }

    #[test]
    fn in_the_topic_of_requests_every_message_to_this_integration_asks_for_a_resync() {
        for (integration, expected) in [
            (json!("ours"), KafkaMessage::Accepted),
            (json!("Ours"), KafkaMessage::Ignored),
            (json!("theirs"), KafkaMessage::Ignored),
            (json!(7), KafkaMessage::Ignored),
            (Value::Null, KafkaMessage::Ignored),
        ] {
            let message = json!({"context": {"integrationId": integration}});
            assert_eq!(read(Topic::ResyncRequests, &message), expected, "{message}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_unreadable_and_no_more() {
        for topic in [Topic::ChangeLog, Topic::ResyncRequests] {
            assert_eq!(topic.read(None, "ours"), KafkaMessage::Unreadable);
            for payload in ["", "resync, please", "{", "null", "[1]"] {
                let found = topic.read(Some(payload.as_bytes()), "ours");
                assert_eq!(found, KafkaMessage::Unreadable, "{payload}");
            }
        }
    }

    #[test]
    fn the_flag_of_the_organization_decides_which_topic_it_is() {
        let mut organization = Organization {
            feature_flags: vec!["SOMETHING".to_owned()],
            ..Organization::default()
        };
        assert_eq!(Topic::of(&organization).name("org_1"), "org_1.change.log");
        organization.feature_flags.push(OWN_TOPIC.to_owned());
        assert_eq!(
            Topic::of(&organization).name("org_1"),
            "org_1.integration.resync.requests"
        );
    }
}
