//! What can keep Port's Kafka from being heard.

use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::api::ApiError;
use crate::http::BuildError;

/// `reason` is what librdkafka says: which broker, which state, which error.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("Port did not say how to get at it")]
    Port(#[source] ApiError),

    #[error("Port did not say which organization this is")]
    NoOrganization,

    #[error("nobody is there to be trusted")]
    Authorities(#[source] BuildError),

    #[error("the client could not be set up")]
    Client(#[source] KafkaError),

    #[error("no broker can be reached: {reason}")]
    Unreachable { reason: String },

    #[error("the brokers refuse the user: {reason}")]
    Refused { reason: String },

    /// The topic or the group is not there or not allowed, for example.
    #[error("the brokers answer: {reason}")]
    Broken { reason: String },
}

impl Failure {
    /// What the operator can do about it, where we know.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Port(error) => error.hint(),
            Self::Authorities(error) => error.hint(),
            Self::NoOrganization => None,
            Self::Client(_) => Some("check OCEAN__EVENT_LISTENER__BROKERS"),
            Self::Unreachable { .. } => Some(
                "open the way to the brokers (port 9196); outside Port's EU region they are others, to be named in OCEAN__EVENT_LISTENER__BROKERS; the listener POLLING needs none",
            ),
            Self::Refused { .. } => Some(
                "outside Port's EU region the brokers are others, to be named in OCEAN__EVENT_LISTENER__BROKERS",
            ),
            Self::Broken { .. } => Some(
                "ask Port whether Kafka is set up for your organization; the listener POLLING does without",
            ),
        }
    }
}
