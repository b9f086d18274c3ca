//! What asks for a resync: the choice and its options.
//!
//! The options live in one namespace for all types (`INTERVAL`, `APP_HOST`,
//! `BROKERS` …), as the originals have it; an option of another type than the
//! chosen one is left alone with a warning, because a Helm release keeps such
//! leftovers when its type is changed.

use std::time::Duration;

use url::Url;

use super::problem::Problem;
use super::reader::Reader;

/// What asks for a resync, and whether webhooks are processed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventListener {
    /// One resync at once, then the process ends.
    Once,
    /// Asks Port every `interval` whether somebody wants a resync.
    Polling {
        interval: Duration,
        resync_on_start: bool,
    },
    /// Port calls `{app_host}/resync`.
    Webhook { app_host: Url },
    /// Port's change log in Kafka.
    Kafka(KafkaSettings),
    /// No resync; live events only.
    WebhooksOnly,
    /// No resync and no live events.
    ActionsOnly,
}

/// How Port's Kafka is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where the others are learnt from; never empty.
    pub brokers: Vec<String>,
    pub security_protocol: String,
    pub authentication_mechanism: String,
    /// Whether the two above hold; without, neither TLS nor credentials.
    pub security_enabled: bool,
    pub consumer_poll_timeout: Duration,
}

const PREFIX: &str = "OCEAN__EVENT_LISTENER__";
const TYPE: &str = "OCEAN__EVENT_LISTENER__TYPE";
const APP_HOST: &str = "OCEAN__EVENT_LISTENER__APP_HOST";
const BROKERS: &str = "OCEAN__EVENT_LISTENER__BROKERS";

impl EventListener {
    /// The type as it is written in settings.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Once => "ONCE",
            Self::Polling { .. } => "POLLING",
            Self::Webhook { .. } => "WEBHOOK",
            Self::Kafka(_) => "KAFKA",
            Self::WebhooksOnly => "WEBHOOKS_ONLY",
            Self::ActionsOnly => "ACTIONS_ONLY",
        }
    }

    /// `None` when it cannot be used; the problems are with `reader`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if !reader.is_set(TYPE)
            && let Some(option) = reader.set_below(PREFIX).into_iter().next()
        {
            reader.problem(Problem {
                variable: TYPE.to_owned(),
                accepted: "the type that the options belong to: POLLING, ONCE, WEBHOOK, KAFKA, \
                           WEBHOOKS_ONLY or ACTIONS_ONLY"
                    .to_owned(),
                found: None,
                hint: Some(format!(
                    "`{option}` is set: an option needs the type beside it"
                )),
            });
            return None;
        }

        let listener = match reader.valid_text(TYPE)?.as_str() {
            "ONCE" => Self::Once,
            "WEBHOOK" => Self::Webhook {
                app_host: webhook_app_host(reader)?,
            },
            "KAFKA" => Self::Kafka(KafkaSettings::read(reader)?),
            "WEBHOOKS_ONLY" => Self::WebhooksOnly,
            "ACTIONS_ONLY" => Self::ActionsOnly,
            _ => Self::Polling {
                interval: reader.seconds("OCEAN__EVENT_LISTENER__INTERVAL"),
                resync_on_start: reader.boolean("OCEAN__EVENT_LISTENER__RESYNC_ON_START"),
            },
        };
        listener.warn_of_foreign_options(reader);
        Some(listener)
    }

    const fn options(&self) -> &'static [&'static str] {
        match self {
            Self::Once | Self::WebhooksOnly | Self::ActionsOnly => &[],
            Self::Polling { .. } => &["INTERVAL", "RESYNC_ON_START"],
            Self::Webhook { .. } => &["APP_HOST"],
            Self::Kafka(_) => &[
                "BROKERS",
                "SECURITY_PROTOCOL",
                "AUTHENTICATION_MECHANISM",
                "KAFKA_SECURITY_ENABLED",
                "CONSUMER_POLL_TIMEOUT",
            ],
        }
    }

    fn warn_of_foreign_options(&self, reader: &mut Reader<'_>) {
        for (name, written) in reader.known_below(PREFIX) {
            let option = name.trim_start_matches(PREFIX);
            if option != "TYPE" && !self.options().contains(&option) {
                reader.warn(format!(
                    "`{written}` has no effect: the event listener {} has no such option",
                    self.type_name()
                ));
            }
        }
    }
}

fn webhook_app_host(reader: &mut Reader<'_>) -> Option<Url> {
    if !reader.is_set(APP_HOST) {
        reader.problem(Problem {
            variable: APP_HOST.to_owned(),
            accepted: "the http or https URL at which Port reaches this service".to_owned(),
            found: None,
            hint: Some(
                "the WEBHOOK event listener needs it; in JSON the key is written `app_host`"
                    .to_owned(),
            ),
        });
    }
    reader.url(APP_HOST)
}

impl KafkaSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let brokers = reader.list(BROKERS);
        if brokers.is_empty() {
            reader.problem(Problem {
                variable: reader.written(BROKERS),
                accepted: "hosts and ports, such as broker-1.example.com:9196".to_owned(),
                found: Some("none".to_owned()),
                hint: Some("leave it out for Port's brokers in the EU region".to_owned()),
            });
            return None;
        }
        Some(Self {
            brokers,
            security_protocol: reader
                .text("OCEAN__EVENT_LISTENER__SECURITY_PROTOCOL")
                .unwrap_or_default(),
            authentication_mechanism: reader
                .text("OCEAN__EVENT_LISTENER__AUTHENTICATION_MECHANISM")
                .unwrap_or_default(),
            security_enabled: reader.boolean("OCEAN__EVENT_LISTENER__KAFKA_SECURITY_ENABLED"),
            consumer_poll_timeout: reader.seconds("OCEAN__EVENT_LISTENER__CONSUMER_POLL_TIMEOUT"),
        })
    }
}
