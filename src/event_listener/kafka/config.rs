//! What librdkafka is told.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret;

use super::message::Topic;
use super::{Failure, Kafka};
use crate::api::KafkaCredentials;
use crate::http::trusted_in_pem;

/// What Port says of its Kafka.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) organization: String,
    pub(super) topic: Topic,
    /// None where the connection is not secured.
    pub(super) credentials: Option<KafkaCredentials>,
}

impl Kafka {
    /// Reads the files of authorities, so it may block.
    pub(super) fn client_config(&self, access: &Access) -> Result<ClientConfig, Failure> {
        let (kind, identifier) = (&self.integration.kind, &self.integration.identifier);
        let group = format!("{}.{kind}.{identifier}", access.organization);
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.settings.brokers.join(","))
            .set("client.id", "portolan")
            .set("group.id", group)
            // As the original has it: members that do not agree on it refuse each
            // other, and one of each may meet while the image is changed.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("auto.offset.reset", "latest")
            // A process that was killed keeps the group waiting for so long. The
            // polling thread does nothing else, so it can be short.
            .set("session.timeout.ms", "10000")
            // What has been handed on is stored, and what is stored is committed.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The change log holds whole entities; they are read one by one.
            .set("queued.max.messages.kbytes", "4096")
            .set("socket.connection.setup.timeout.ms", "15000")
            // What of it reaches the log is decided there.
            .set_log_level(RDKafkaLogLevel::Info);

        let Some(credentials) = &access.credentials else {
            config.set("security.protocol", "PLAINTEXT");
            return Ok(config);
        };
        let protocol = &self.settings.security_protocol;
        config.set("security.protocol", protocol);
        if protocol.starts_with("SASL_") {
            config
                .set("sasl.mechanism", &self.settings.authentication_mechanism)
                .set("sasl.username", &credentials.username)
                .set("sasl.password", credentials.password.expose_secret());
        }
        if protocol.ends_with("SSL") {
            let verify = self.outbound.verify_port.to_string();
            config.set("enable.ssl.certificate.verification", verify);
            // Without any, OpenSSL looks for some itself.
            if let Some(pem) = trusted_in_pem(&self.outbound).map_err(Failure::Authorities)? {
                config.set("ssl.ca.pem", pem);
            }
        }
        Ok(config)
    }
}
