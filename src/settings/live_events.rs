//! Webhooks and what surrounds them: public address, workers, the optional
//! queue in Redis, and metrics.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;
use super::redis::RedisSettings;

/// Its items are secrets each, beside its text as a whole.
pub(super) const PAGERDUTY_SECRETS: &str = "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_WEBHOOK_SECRETS";

/// How live events reach this process and how they are worked on.
#[derive(Clone, Debug)]
pub struct LiveEventSettings {
    /// The public address of this service; the integration's app host where
    /// none is given. `None`: webhooks are not registered.
    pub base_url: Option<Url>,
    /// Begins with a slash and ends without one.
    pub path_prefix: Option<String>,
    pub workers: u32,
    pub processing_timeout: Duration,
    /// How long an event is tried before it is given up.
    pub give_up_after: Duration,
    /// How long a shutdown waits for events in progress.
    pub shutdown_wait: Duration,
    pub debug_logging: bool,
    /// Whether who calls has to prove that they may.
    pub webhook_auth: bool,
    /// By which PagerDuty signs, for subscriptions that somebody else made.
    pub pagerduty_webhook_secrets: Vec<SecretString>,
    /// The queue between replicas; `None` when it is off.
    pub redis: Option<RedisSettings>,
}

/// Metrics that are pushed rather than scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    pub enabled: bool,
    pub webhook_url: Option<Url>,
    /// Whether the names of Port Ocean are shown beside those of this program.
    pub ocean_names: bool,
}

impl LiveEventSettings {
    pub(super) fn read(reader: &mut Reader<'_>, app_host: Option<&Url>) -> Self {
        Self {
            base_url: reader.url("OCEAN__BASE_URL").or_else(|| app_host.cloned()),
            path_prefix: reader
                .text("OCEAN__PATH_PREFIX")
                .and_then(|text| path_prefix(&text)),
            workers: reader
                .whole("OCEAN__EVENT_WORKERS_COUNT")
                .try_into()
                .unwrap_or(1),
            processing_timeout: reader.seconds("OCEAN__MAX_EVENT_PROCESSING_SECONDS"),
            give_up_after: reader.seconds("OCEAN__LIVE_EVENTS__GIVE_UP_AFTER_SECONDS"),
            shutdown_wait: reader.seconds("OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN"),
            debug_logging: reader.boolean("OCEAN__EVENTS_DEBUG_LOGGING"),
            webhook_auth: reader.boolean("OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH"),
            pagerduty_webhook_secrets: reader
                .list(PAGERDUTY_SECRETS)
                .into_iter()
                .map(SecretString::from)
                .collect(),
            redis: RedisSettings::read(reader),
        }
    }
}

impl MetricsSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            enabled: reader.boolean("OCEAN__METRICS__ENABLED"),
            webhook_url: reader.url("OCEAN__METRICS__WEBHOOK_URL"),
            ocean_names: reader.boolean("OCEAN__METRICS__OCEAN_NAMES"),
        }
    }
}

fn path_prefix(text: &str) -> Option<String> {
    let path = text.trim_matches('/');
    (!path.is_empty()).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_begins_with_a_slash_and_ends_without_one() {
        for written in ["/pfx", "/pfx/", "pfx"] {
            assert_eq!(path_prefix(written).as_deref(), Some("/pfx"), "{written}");
        }
        assert_eq!(path_prefix("/"), None);
    }
}
