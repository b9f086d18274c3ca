//! Who may read the organization's topics in Port's Kafka.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::{PortClient, member, never};
use crate::api::ApiError;
use crate::telemetry;

/// The organization's user in Port's Kafka.
#[derive(Clone, Debug, Deserialize)]
pub struct KafkaCredentials {
    pub username: String,
    pub password: SecretString,
}

impl PortClient {
    /// Asked for afresh each time: they may have been replaced.
    pub async fn kafka_credentials(&self) -> Result<KafkaCredentials, ApiError> {
        let url = self.url(&["kafka-credentials"]);
        let reply = self.send(self.request(Method::GET, &url), never).await?;
        let credentials: KafkaCredentials = member(reply, "credentials")?;
        telemetry::learn("Port's Kafka", &credentials.password);
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use crate::api::ApiError;
    use crate::api::port::tests::{asked, client, port};
    use crate::http::testing::{Answer, everything_said};

    const PASSWORD: &str = "kafka-password-of-the-organization";

    #[tokio::test]
    async fn credentials_are_read_and_never_shown() {
        let credentials = json!({"username": "org_1", "password": PASSWORD});
        let server = port([
            Answer::json(&json!({"ok": true, "credentials": credentials})),
            Answer::json(&json!({"ok": true, "credentials": {"password": PASSWORD}})),
        ])
        .await;
        let client = client(&server);

        let found = client.kafka_credentials().await.unwrap();
        assert_eq!(found.username, "org_1");
        assert_eq!(found.password.expose_secret(), PASSWORD);
        assert!(!format!("{found:?}").contains(PASSWORD));

        let error = client.kafka_credentials().await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
        assert!(!everything_said(&error).contains(PASSWORD));
        assert_eq!(asked(&server)[0].target, "/v1/kafka-credentials");
    }
}
