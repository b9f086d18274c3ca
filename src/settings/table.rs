//! Every setting there is, as data.
//!
//! The table is the schema: values are parsed by its types, defaults come from
//! it, `docs/configuration.md` is compared with it, and what is not in it is
//! unknown. A setting that exists in code but not here cannot be read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::spec;
use super::value::ValueType;
use super::value::ValueType::{
    Boolean, Choice, CommaList, Decimal, ExactChoice, List, Object, Path, SyncInterval, Text, Url,
    Whole,
};

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingRow {
    /// The variable in full, upper case.
    pub variable: Cow<'static, str>,
    pub value_type: ValueType,
    pub default: DefaultValue,
    /// Whether the value is kept out of every message.
    pub sensitive: bool,
    pub effect: Effect,
    /// What it is for, in one sentence without a final period.
    pub meaning: &'static str,
}

/// Whether a setting changes anything. All are accepted and checked, so that an
/// existing installation can keep its variables; those that change nothing are
/// said to when they are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Acts,
    /// This version has not got what it is about.
    NotYet,
    /// It is about something that does not exist here.
    Never,
}

/// What holds when a setting is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing may be absent.
    Required,
    /// Nothing holds; the meaning says what that does.
    Absent,
    /// This value, written as in a variable.
    Value(&'static str),
}

/// Every setting, in the order of the documentation.
pub fn table() -> &'static [SettingRow] {
    &TABLE
}

/// The row of a variable given in full and in upper case.
pub(super) fn row(variable: &str) -> Option<&'static SettingRow> {
    TABLE.iter().find(|row| row.variable == variable)
}

/// Whether the variable stands for a whole section (`OCEAN__EVENT_LISTENER`),
/// to be given as a JSON object.
pub(super) fn is_section(variable: &str) -> bool {
    SECTIONS.contains(variable)
}

/// The variables that stand for whole sections.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().copied()
}

/// Whether a section holds anything sensitive, its JSON text with it.
pub(super) fn is_sensitive_section(variable: &str) -> bool {
    is_section(variable)
        && TABLE.iter().any(|row| {
            row.sensitive
                && row
                    .variable
                    .strip_prefix(variable)
                    .is_some_and(|rest| rest.starts_with("__"))
        })
}

static TABLE: LazyLock<Vec<SettingRow>> = LazyLock::new(|| {
    let mut rows = BEFORE_INTEGRATION
        .iter()
        .map(Row::expand)
        .collect::<Vec<_>>();
    rows.extend(spec::rows());
    rows.extend(IN_INTEGRATION.iter().map(Row::expand));
    rows.extend(AFTER_INTEGRATION.iter().map(Row::expand));
    rows
});

static SECTIONS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let mut sections = BTreeSet::new();
    for row in TABLE
        .iter()
        .filter(|row| row.variable.starts_with("OCEAN__"))
    {
        for (end, _) in row.variable.match_indices("__").skip(1) {
            sections.insert(&row.variable[..end]);
        }
    }
    sections
});

/// A row as it is written below: short, so that the table reads as one.
struct Row(&'static str, ValueType, DefaultValue, &'static str, Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Sensitive,
    NoEffect,
    NotYet,
}

impl Row {
    fn expand(&self) -> SettingRow {
        let Self(variable, value_type, default, meaning, kind) = self;
        SettingRow {
            variable: Cow::Borrowed(variable),
            value_type: *value_type,
            default: *default,
            sensitive: matches!(kind, Kind::Sensitive),
            effect: match kind {
                Kind::Plain | Kind::Sensitive => Effect::Acts,
                Kind::NotYet => Effect::NotYet,
                Kind::NoEffect => Effect::Never,
            },
            meaning,
        }
    }
}

use DefaultValue::{Absent, Required, Value};
use Kind::{NoEffect, NotYet, Plain, Sensitive};

const fn whole(min: u64, max: u64, unit: &'static str) -> ValueType {
    Whole { min, max, unit }
}
const SECONDS: ValueType = Decimal { unit: "seconds" };
const DAY: u64 = 86_400;
const YEAR_IN_MINUTES: u64 = 525_600;
const ANY: u64 = 4_294_967_295;

#[rustfmt::skip]
const BEFORE_INTEGRATION: &[Row] = &[
    Row("OCEAN__PORT__CLIENT_ID", Text, Required, "Client id of the Port credentials; without both of them only the incident sync can run", Sensitive),
    Row("OCEAN__PORT__CLIENT_SECRET", Text, Required, "Client secret of the Port credentials", Sensitive),
    Row("OCEAN__PORT__BASE_URL", Url, Value("https://api.getport.io"), "Port's API; `https://api.us.getport.io` in the US region", Plain),
    Row("OCEAN__PORT__PORT_APP_CONFIG_CACHE_TTL", whole(0, ANY, "seconds"), Value("60"), "How long live events use the mapping that was read last; resyncs read it afresh", Plain),
    Row("OCEAN__INTEGRATION__TYPE", Text, Absent, "Name of the integration in Port: `opsgenie`, `pagerduty`, `statuspage` or `portolan`; the one source that is on when absent, else `portolan`", Plain),
    Row("OCEAN__INTEGRATION__IDENTIFIER", Text, Absent, "Identifier of this installation in Port; `my-{type}-integration` when absent", Plain),
];

/// Below the integration's `config`, but of no source.
#[rustfmt::skip]
const IN_INTEGRATION: &[Row] = &[
    Row("OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH", Boolean, Value("on"), "Whether webhooks have to carry the token, or PagerDuty's signature; switched off, which is said at every start, whoever reaches this service can have objects fetched anew", Plain),
    Row("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_WEBHOOK_SECRETS", List, Absent, "Secrets of PagerDuty's webhook subscriptions that were made by hand, by which it signs", Sensitive),
    Row("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC", Object, Absent, "Rules and texts by which Statuspage incidents follow on-call incidents; switches the incident sync on", Plain),
    Row("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE", Path, Absent, "YAML file with the same, in place of the JSON; switches the incident sync on", Plain),
    Row("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE", Choice(&["off", "plan", "apply", "false"]), Absent, "Whether the incident sync does nothing (`off`, or `false`, which YAML makes of it), tells what it would do, or does it; stronger than the `mode` of its rules; switches it on", Plain),
];

#[rustfmt::skip]
const AFTER_INTEGRATION: &[Row] = &[
    Row("OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", Path, Absent, "File with the vendor's access token, read again for each login; stands in for the token of the source that `OCEAN__INTEGRATION__TYPE` names", Plain),
    Row("OCEAN__EVENT_LISTENER__TYPE", ExactChoice(&["POLLING", "ONCE", "WEBHOOK", "KAFKA", "WEBHOOKS_ONLY", "ACTIONS_ONLY"]), Value("POLLING"), "What asks for a resync; KAFKA needs a build with the feature `kafka`, as the image is", Plain),
    Row("OCEAN__EVENT_LISTENER__INTERVAL", whole(1, DAY, "seconds"), Value("60"), "POLLING: pause between two questions to Port", Plain),
    Row("OCEAN__EVENT_LISTENER__RESYNC_ON_START", Boolean, Value("true"), "POLLING: whether the start itself asks for a resync", Plain),
    Row("OCEAN__EVENT_LISTENER__APP_HOST", Url, Absent, "WEBHOOK: the URL at which Port reaches this service; required for that type", Plain),
    Row("OCEAN__EVENT_LISTENER__BROKERS", CommaList, Value("b-1-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196,b-2-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196,b-3-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196"), "KAFKA: where the brokers are first looked for", Plain),
    Row("OCEAN__EVENT_LISTENER__SECURITY_PROTOCOL", Choice(&["SASL_SSL", "SASL_PLAINTEXT", "SSL", "PLAINTEXT"]), Value("SASL_SSL"), "KAFKA: security protocol", Plain),
    Row("OCEAN__EVENT_LISTENER__AUTHENTICATION_MECHANISM", Choice(&["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]), Value("SCRAM-SHA-512"), "KAFKA: how the user from Port proves who it is", Plain),
    Row("OCEAN__EVENT_LISTENER__KAFKA_SECURITY_ENABLED", Boolean, Value("true"), "KAFKA: whether the two above hold; `false` is PLAINTEXT, and Port is asked for no credentials", Plain),
    Row("OCEAN__EVENT_LISTENER__CONSUMER_POLL_TIMEOUT", SECONDS, Value("1"), "KAFKA: how long one poll waits; a second at most", Plain),
    Row("OCEAN__INITIALIZE_PORT_RESOURCES", Boolean, Value("true"), "Whether blueprints and the mapping are created at the first start", Plain),
    Row("OCEAN__CREATE_PORT_RESOURCES_ORIGIN", Choice(&["Empty", "Ocean", "Default", "Port"]), Absent, "Who creates the defaults: nobody (Empty), this program (Ocean, Default) or Port", Plain),
    Row("OCEAN__RESOURCES_PATH", Path, Absent, "Folder with the default blueprints and mapping; those built in when absent", Plain),
    Row("OCEAN__SCHEDULED_RESYNC_INTERVAL", whole(0, YEAR_IN_MINUTES, "minutes"), Absent, "Pause between scheduled resyncs, beside any event listener but ONCE; none when absent or 0", Plain),
    Row("OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED", Boolean, Value("false"), "Whether a resync may ask for changed objects only", NotYet),
    Row("OCEAN__INTEGRATION__INCREMENTAL_SYNC_INTERVAL", SyncInterval, Value("15"), "Pause between incremental resyncs", NotYet),
    Row("OCEAN__STATUS_HEARTBEAT_INTERVAL_SECONDS", whole(1, DAY, "seconds"), Value("10"), "Pause between signs of life during a resync", Plain),
    Row("OCEAN__SEND_RAW_DATA_EXAMPLES", Boolean, Value("true"), "Whether five masked raw objects a kind go to Port as examples", Plain),
    Row("OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS", Boolean, Value("true"), "Whether `env` and `$ENV` show the environment to a mapping; never a variable that holds a secret", Plain),
    Row("OCEAN__JQ_ENVIRONMENT_ALLOW_LIST", List, Absent, "The only variables that `env` and `$ENV` show", Plain),
    Row("OCEAN__CLIENT_TIMEOUT", whole(1, DAY, "seconds"), Value("60"), "Time limit of one request to a vendor", Plain),
    Row("OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE", whole(1, ANY, ""), Value("60"), "Requests a minute with one Statuspage key", Plain),
    Row("OCEAN__RATE_LIMITS__PAGERDUTY_PER_MINUTE", whole(1, ANY, ""), Value("960"), "Requests a minute with one PagerDuty token", Plain),
    Row("OCEAN__RATE_LIMITS__OPSGENIE_PER_MINUTE", whole(1, ANY, ""), Absent, "Requests a minute with one Opsgenie key, in each of the domains by which Opsgenie counts them; only what Opsgenie announces holds when absent", Plain),
    Row("OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH", whole(1, ANY, ""), Value("20"), "Entities in one request to Port; 20 at most", Plain),
    Row("OCEAN__UPSERT_ENTITIES_BATCH_MAX_SIZE_IN_BYTES", whole(1, ANY, "bytes"), Value("1048576"), "Size of one request to Port; 1 MiB at most", Plain),
    Row("OCEAN__UPSERT_CONCURRENCY", whole(1, ANY, ""), Value("8"), "Requests with entities on their way to Port at the same time; 64 at most", Plain),
    Row("OCEAN__DELETE_ENTITIES_MAX_BATCH_SIZE", whole(1, ANY, ""), Value("100"), "Entities in one deletion; 100 at most", Plain),
    Row("OCEAN__SSL__PORT__VERIFY", Boolean, Value("true"), "Whether Port's certificate is checked", Plain),
    Row("OCEAN__SSL__THIRD_PARTY__VERIFY", Boolean, Value("true"), "Whether the vendors' certificates are checked", Plain),
    Row("OCEAN__BASE_URL", Url, Absent, "Public URL of this service, which Statuspage and PagerDuty are told to send webhooks to; the integration's app host when absent", Plain),
    Row("OCEAN__PATH_PREFIX", Text, Absent, "Path below which every route is served", Plain),
    Row("OCEAN__EVENT_WORKERS_COUNT", whole(0, 1000, ""), Value("1"), "Live events worked on at the same time, at least one; those of one object one after another", Plain),
    Row("OCEAN__MAX_EVENT_PROCESSING_SECONDS", SECONDS, Value("90"), "Time limit of one attempt at a live event", Plain),
    Row("OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN", SECONDS, Value("5"), "How long a shutdown waits for work in progress before it is broken off; 15 at most", Plain),
    Row("OCEAN__EVENTS_DEBUG_LOGGING", Boolean, Value("false"), "Whether each live event is logged at INFO, when it comes in and when it is done; at DEBUG otherwise", Plain),
    Row("OCEAN__LIVE_EVENTS__GIVE_UP_AFTER_SECONDS", SECONDS, Value("86400"), "How long a live event that cannot be worked on is tried again, counted without the attempts themselves; then it is put aside, see `portolan events`", Plain),
    Row("OCEAN__RUNTIME", Choice(&["OnPrem", "Saas"]), Value("OnPrem"), "Installation type told to Port", Plain),
    Row("OCEAN__METRICS__ENABLED", Boolean, Value("false"), "Whether the metrics of each resync are also posted to the webhook URL", Plain),
    Row("OCEAN__METRICS__WEBHOOK_URL", Url, Absent, "Where the metrics of each resync are posted", Plain),
    Row("OCEAN__METRICS__OCEAN_NAMES", Boolean, Value("true"), "Whether `/metrics` also shows the names of Port Ocean (`duration_seconds`, `object_count`, …)", Plain),
    Row("OCEAN__STATE_PATH", Path, Absent, "File of the state database; `/tmp/ocean/portolan-{identifier}.sqlite3` when absent (`incident-sync` stands in for an identifier where there is no catalog), `:memory:` for none", Plain),
    Row("OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED", Boolean, Value("false"), "Whether replicas share live events, and elect a leader, through a Redis; setting the URL switches it on as well, unless this says `false`", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__URL", Text, Value("redis://localhost:6379"), "The Redis: `redis://`, `rediss://` with TLS, or `redis+unix://`; with a path for the number of the database", Sensitive),
    Row("OCEAN__LIVE_EVENTS__REDIS__USERNAME", Text, Absent, "User name at the Redis; that of the URL when absent", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__PASSWORD", Text, Absent, "Password at the Redis; that of the URL when absent", Sensitive),
    Row("OCEAN__LIVE_EVENTS__REDIS__ENABLE_TLS", Boolean, Value("false"), "Whether the connection to the Redis is encrypted although the URL does not begin with `rediss://`", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__CA", Text, Absent, "Certificate authority of the Redis, as PEM or the path of a file; the system's authorities when absent", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__CERT", Text, Absent, "Client certificate for the Redis, as PEM or the path of a file", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__PRIVATE_KEY", Text, Absent, "Private key of the client certificate, as PEM or the path of a file", Sensitive),
    Row("OCEAN__LIVE_EVENTS__REDIS__BLOCK_MS", whole(0, ANY, "milliseconds"), Value("1000"), "How long one read from the Redis waits for something new; between 50 and 5000 are possible", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__READ_COUNT", whole(1, ANY, ""), Value("10"), "Events in one read from the Redis; 1000 at most", Plain),
    Row("OCEAN__LIVE_EVENTS__REDIS__STREAM_TTL_SECONDS", whole(1, ANY, "seconds"), Value("2592000"), "How long the Redis keeps events that were given up; events that are done are deleted at once, and those that wait never", Plain),
    Row("APPLICATION__LOG_LEVEL", Choice(&["ERROR", "WARNING", "INFO", "DEBUG", "CRITICAL"]), Value("INFO"), "The least important lines that are logged", Plain),
    Row("APPLICATION__PORT", whole(1, 65_535, ""), Value("8000"), "Port on which health, metrics and webhooks are served", Plain),
    Row("APPLICATION__ENABLE_HTTP_LOGGING", Boolean, Value("true"), "Whether log lines also go to Port", Plain),
    Row("OCEAN__ACTIONS_PROCESSOR__ENABLED", Boolean, Value("false"), "Must stay false: these integrations have no actions", Plain),
    Row("OCEAN__ACTIONS_PROCESSOR__RUNS_BUFFER_HIGH_WATERMARK", whole(1, 1000, ""), Value("300"), "Actions processor", NoEffect),
    Row("OCEAN__ACTIONS_PROCESSOR__VISIBILITY_TIMEOUT_MS", whole(1, 600_000, "milliseconds"), Value("60000"), "Actions processor", NoEffect),
    Row("OCEAN__ACTIONS_PROCESSOR__POLL_CHECK_INTERVAL_SECONDS", whole(1, ANY, "seconds"), Value("10"), "Actions processor", NoEffect),
    Row("OCEAN__ACTIONS_PROCESSOR__WORKERS_COUNT", whole(1, ANY, ""), Value("3"), "Actions processor", NoEffect),
    Row("OCEAN__ACTIONS_PROCESSOR__MAX_RUNS_BUFFER_UTIL_PCT_PER_ACTION", whole(0, 100, "percent"), Value("30"), "Actions processor", NoEffect),
    Row("OCEAN__PORT__FEATURE_FLAGS_CACHE_TTL_SECONDS", SECONDS, Value("300"), "Cache of Port's feature flags; they are read once", NoEffect),
    Row("OCEAN__PORT__BLUEPRINT_CACHE_TTL_SECONDS", SECONDS, Value("120"), "Cache of blueprints; they are read once a resync", NoEffect),
    Row("OCEAN__CACHING_STORAGE_MODE", Choice(&["disk", "memory"]), Value("disk"), "Where responses were cached; none are", NoEffect),
    Row("OCEAN__YIELD_ITEMS_TO_PARSE_BATCH_SIZE", whole(1, ANY, ""), Value("200"), "Items of one raw object mapped at once", NoEffect),
    Row("OCEAN__PROCESS_IN_QUEUE_TIMEOUT", whole(0, ANY, "seconds"), Value("120"), "Time limit of a mapping process; there are none", NoEffect),
    Row("OCEAN__PROCESS_IN_QUEUE_MAX_WORKERS", whole(1, ANY, ""), Absent, "Number of mapping processes; there are none", NoEffect),
    Row("OCEAN__PROCESS_EXECUTION_MODE", Text, Absent, "Ignored with a warning: there is one process", NoEffect),
    Row("OCEAN__PROCESSING_MODE", Choice(&["dsp", "ocean-core"]), Value("dsp"), "Who maps raw objects; always this program", NoEffect),
    Row("OCEAN__LAKEHOUSE_ENABLED", Boolean, Value("true"), "Copies of raw objects for Port's lakehouse", NoEffect),
    Row("OCEAN__LAKEHOUSE_BUFFER_INTERVAL_SECONDS", SECONDS, Value("10"), "Lakehouse buffer", NoEffect),
    Row("OCEAN__LAKEHOUSE_BUFFER_MAX_COUNT", whole(1, ANY, ""), Value("50"), "Lakehouse buffer", NoEffect),
    Row("OCEAN__STREAMING__ENABLED", Boolean, Value("false"), "Responses kept on disk; memory is bounded without it", NoEffect),
    Row("OCEAN__STREAMING__MAX_BUFFER_SIZE_MB", whole(1, ANY, "bytes"), Value("20971520"), "Streaming buffer (bytes in spite of its name)", NoEffect),
    Row("OCEAN__STREAMING__CHUNK_SIZE", whole(1, ANY, "bytes"), Value("65536"), "Streaming buffer", NoEffect),
    Row("OCEAN__STREAMING__LOCATION", Path, Value("/tmp/ocean/streaming"), "Streaming folder", NoEffect),
    Row("OCEAN__DISABLE_IP_OUTBOUND_BLOCKER", Boolean, Absent, "Requests to private addresses are never blocked", NoEffect),
    Row("OCEAN__SSL__PORT__X509__STRICT", Boolean, Value("true"), "Strict certificate profile; always on", NoEffect),
    Row("OCEAN__SSL__THIRD_PARTY__X509__STRICT", Boolean, Value("true"), "Strict certificate profile; always on", NoEffect),
];

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn every_default_fits_its_own_type() {
        for row in table() {
            if let Value(default) = row.default {
                let value = Json::String(default.to_owned());
                assert!(row.value_type.parse(&value).is_some(), "{}", row.variable);
            }
        }
    }

    #[test]
    fn no_variable_is_listed_twice() {
        let variables: BTreeSet<_> = table().iter().map(|row| &row.variable).collect();

        assert_eq!(variables.len(), table().len());
    }

    #[test]
    fn no_section_is_a_setting_of_its_own() {
        for section in SECTIONS.iter() {
            assert!(row(section).is_none(), "{section}");
        }
        assert!(is_section("OCEAN__INTEGRATION__CONFIG"));
        assert!(is_sensitive_section("OCEAN__INTEGRATION"));
        assert!(!is_sensitive_section("OCEAN__EVENT_LISTENER"));
    }
}
