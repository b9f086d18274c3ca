//! Port's integration object and organization, as far as they matter here.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use url::Url;

/// This installation, as Port knows it.
///
/// What Port leaves out or sends as null is none; `config` stays as it is,
/// since reading the mapping is not the client's affair.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Integration {
    pub installation_id: Option<String>,
    pub installation_app_type: Option<String>,
    /// `OnPrem`, `Saas`, `SaasOauth2`, …
    pub installation_type: Option<String>,
    pub version: Option<String>,
    /// The mapping; `{}` or null where none is stored.
    pub config: Value,
    pub changelog_destination: Value,
    pub actions_processing_enabled: Option<bool>,
    pub incremental_sync_enabled: Option<bool>,
    pub processing_mode: Option<String>,
    pub create_port_resources_origin: Option<String>,
    pub are_port_resources_initialized: Option<bool>,
    pub resync_state: Value,
    /// Where log lines go; none where Port takes none.
    #[serde(rename = "logAttributes", deserialize_with = "ingest_url")]
    pub log_ingest: Option<Url>,
    /// Where metrics and signs of life go; none where Port takes none.
    #[serde(rename = "metricAttributes", deserialize_with = "ingest_url")]
    pub metric_ingest: Option<Url>,
    #[serde(deserialize_with = "timestamp_if_readable")]
    pub updated_at: Option<Timestamp>,
}

impl Integration {
    /// As what it is installed, where that means that Port itself runs it.
    pub fn hosted_by_port(&self) -> Option<&str> {
        let installed = self.installation_type.as_deref()?;
        let is_hosted = installed.to_lowercase().starts_with("saas");
        is_hosted.then_some(installed)
    }
}

/// A registration. Identity and version are the client's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewIntegration {
    /// The mapping to begin with; none where Port is to make it.
    pub config: Option<Value>,
    pub changelog_destination: Value,
    /// `Port` also asks Port to create the resources.
    pub create_port_resources_origin: Option<String>,
}

/// What is to change; what is none stays. The version is always sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_app_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_processing_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental_sync_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changelog_destination: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub are_port_resources_initialized: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_port_resources_origin: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResyncStatus {
    Running,
    Completed,
    Failed,
    Aborted,
}

impl ResyncStatus {
    /// The status in an integration's `resyncState`, where it is a known one.
    pub fn of(resync_state: &Value) -> Option<Self> {
        Self::deserialize(resync_state.get("status")?).ok()
    }
}

/// How a resync stands. A start that is none is not sent, so that Port keeps
/// the one it was told when the resync began; an end that is none is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResyncState {
    pub status: ResyncStatus,
    #[serde(serialize_with = "in_microseconds")]
    pub last_resync_end: Option<Timestamp>,
    #[serde(
        serialize_with = "in_microseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_resync_start: Option<Timestamp>,
    #[serde(serialize_with = "in_microseconds")]
    pub next_resync: Option<Timestamp>,
    /// Port spells it so.
    #[serde(rename = "intervalInMinuets")]
    pub interval_in_minutes: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Organization {
    pub id: Option<String>,
    pub name: Option<String>,
    pub feature_flags: Vec<String>,
}

/// As Port shows and expects times: `2026-11-21T00:39:58.719911+00:00`.
#[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
fn in_microseconds<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")),
        None => serializer.serialize_none(),
    }
}

/// The address in `{"ingestUrl": …}`. One that cannot be used is none: what goes
/// there is best effort.
fn ingest_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let attributes = Value::deserialize(deserializer)?;
    let url = attributes.get("ingestUrl").and_then(Value::as_str);
    Ok(url
        .and_then(|text| text.trim().parse::<Url>().ok())
        .filter(|url| matches!(url.scheme(), "http" | "https")))
}

/// A time that is only shown is not worth refusing the whole object for.
fn timestamp_if_readable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_at_the_end_of_a_resync_leaves_out_its_start() {
        let state = ResyncState {
            status: ResyncStatus::Completed,
            last_resync_end: Some("2026-11-21T00:39:58.719911Z".parse().unwrap()),
            last_resync_start: None,
            next_resync: None,
            interval_in_minutes: Some(360),
        };
        assert_eq!(
            serde_json::to_value(&state).unwrap(),
            json!({
                "status": "completed",
                "lastResyncEnd": "2026-11-21T00:39:58.719911+00:00",
                "nextResync": null,
                "intervalInMinuets": 360,
            }),
        );
    }

    #[test]
    fn an_integration_is_read_though_half_of_it_is_missing_or_null() {
        let integration: Integration = serde_json::from_value(json!({
            "installationId": "mine",
            "config": null,
            "version": null,
            "updatedAt": "not a time",
            "somethingNew": [],
            "logAttributes": {"ingestUrl": "ingest.example.com"},
            "metricAttributes": {"ingestUrl": "https://ingest.example.com/metrics"},
        }))
        .unwrap();
        assert_eq!(integration.installation_id.as_deref(), Some("mine"));
        assert_eq!(integration.config, Value::Null);
        assert_eq!(integration.updated_at, None);
        assert_eq!(integration.log_ingest, None);
        assert_eq!(
            integration.metric_ingest.unwrap().as_str(),
            "https://ingest.example.com/metrics",
        );
    }
}
