//! What asks for a resync: Port when somebody presses Resync, the schedule, the
//! start itself.
//!
//! ```text
//! polling ──┐
//! schedule ─┤
//! webhook ──┼─▶ Requests ─▶ Queue ─▶ whoever runs resyncs, one after another
//! kafka ────┘
//! ```
//!
//! Nothing here runs a resync, and nothing here waits for one: a request that is
//! made while one runs is kept, and asking goes on meanwhile. When it is not
//! certain whether a request has been served, it is served again: a resync too
//! many costs some requests, one too few is a button that does nothing.

#[cfg(feature = "kafka")]
mod kafka;
mod polling;
mod queue;
mod schedule;

#[cfg(feature = "kafka")]
pub use kafka::Kafka;
pub use polling::{Polling, last_served};
pub use queue::{Queue, Requests, requests};
pub use schedule::schedule;

use serde_json::{Value, json};

use crate::settings::EventListener;

/// Where Port is to send its changes, for a listener that lives on them; `{}`
/// for all others.
pub fn changelog_destination(listener: &EventListener) -> Value {
    match listener {
        EventListener::Webhook { app_host } => {
            let host = app_host.as_str().trim_end_matches('/');
            json!({"type": "WEBHOOK", "url": format!("{host}/resync")})
        }
        EventListener::Kafka(_) => json!({"type": "KAFKA"}),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::KafkaSettings;

    #[test]
    fn port_is_told_the_address_of_the_webhook_listener_with_one_slash() {
        for written in [
            "https://portolan.example.org",
            "https://portolan.example.org/",
        ] {
            let listener = EventListener::Webhook {
                app_host: written.parse().unwrap(),
            };
            assert_eq!(
                changelog_destination(&listener),
                json!({"type": "WEBHOOK", "url": "https://portolan.example.org/resync"}),
            );
        }
        let below = EventListener::Webhook {
            app_host: "https://example.org/portolan/".parse().unwrap(),
        };
        assert_eq!(
            changelog_destination(&below)["url"],
            "https://example.org/portolan/resync"
        );
    }

    #[test]
    fn port_is_told_that_its_kafka_is_listened_to() {
        let listener = EventListener::Kafka(KafkaSettings {
            brokers: vec!["broker.example.com:9196".to_owned()],
            security_protocol: "SASL_SSL".to_owned(),
            authentication_mechanism: "SCRAM-SHA-512".to_owned(),
            security_enabled: true,
            consumer_poll_timeout: Duration::from_secs(1),
        });
        assert_eq!(changelog_destination(&listener), json!({"type": "KAFKA"}));
    }

    #[test]
    fn the_other_listeners_want_no_changes_from_port() {
        for listener in [EventListener::Once, EventListener::WebhooksOnly] {
            assert_eq!(changelog_destination(&listener), json!({}));
        }
    }
}
