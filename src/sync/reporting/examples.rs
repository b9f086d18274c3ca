//! Raw objects for whoever edits the mapping in Port: the first few of each
//! resource config, as its expressions see them.
//!
//! They leave for a place where more people look than at the vendor, so they
//! are masked: the program's own secrets and what looks like a credential, as
//! in the log, and beside that every value whose key says that it is one, for
//! nobody can tell a vendor's token from an identifier by its looks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::api::{ApiError, PortClient};
use crate::mapping::{Consumer, RawBatch};
use crate::telemetry::{self, Masker};

/// Objects of each resource config.
pub(super) const WANTED: usize = 5;

/// Batches that wait to be sent: those of as many resource configs, whatever Port takes
/// for each.
const WAITING: usize = 128;

/// Port takes no larger body; a little is left for what is around the objects.
const BODY: usize = 1024 * 1024 - 64;

const REDACTED: &str = "[REDACTED]";

/// Parts of keys, letters and digits only, whose values are secrets. The last
/// ones are the vendors' own: keys to PagerDuty's events API, and calendars,
/// mailboxes and webhooks that are open to whoever knows their address.
const SECRET_KEYS: [&str; 19] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "authorization",
    "credential",
    "cookie",
    "integrationkey",
    "routingkey",
    "servicekey",
    "calurl",
    "automationemail",
    "integrationemail",
    "endpointurl",
];

/// Objects of one page, not masked yet.
pub(super) struct Batch {
    kind: String,
    objects: Vec<Value>,
}

/// Takes the first few objects of each resource config.
pub(super) struct Examples {
    /// How many are wanted still, by index of the resource config.
    wanted: OnceLock<Vec<AtomicUsize>>,
    sender: mpsc::Sender<Batch>,
}

/// Where objects are taken, if they are wanted, and where they arrive.
pub(super) fn channel(is_wanted: bool) -> (Option<Examples>, mpsc::Receiver<Batch>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let examples = is_wanted.then(|| Examples {
        wanted: OnceLock::new(),
        sender,
    });
    (examples, receiver)
}

impl Examples {
    pub(super) fn began(&self, configs: usize) {
        self.wanted.get_or_init(|| {
            std::iter::repeat_with(|| AtomicUsize::new(WANTED))
                .take(configs)
                .collect()
        });
    }

    /// Where the channel is full there are none: later objects of a listing are not whole.
    pub(super) fn take(&self, consumer: &Consumer, batch: &RawBatch) {
        let wanted = self
            .wanted
            .get()
            .and_then(|wanted| wanted.get(consumer.config.index));
        let Some(wanted) = wanted.filter(|wanted| wanted.load(Ordering::Relaxed) > 0) else {
            return;
        };
        let Ok(place) = self.sender.try_reserve() else {
            wanted.store(0, Ordering::Relaxed);
            return;
        };
        let count = batch.objects.len();
        // Accounts are listed side by side: each takes its share of the few.
        let before = wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |wanted| {
            Some(wanted.saturating_sub(count))
        });
        let share = before.unwrap_or_default().min(count);
        if share > 0 {
            place.send(Batch {
                kind: consumer.config.kind_text.clone(),
                objects: (0..share)
                    .filter_map(|index| batch.seen(index, &consumer.columns))
                    .collect(),
            });
        }
    }
}

/// Sends what arrives, one request a batch, until there is no more.
pub(super) async fn tell(
    port: &PortClient,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<(), ApiError> {
    let masker = telemetry::masker();
    while let Some(batch) = batches.recv().await {
        let examples = fitting(&batch.objects, &masker);
        if examples.len() < batch.objects.len() {
            tracing::debug!(
                kind = batch.kind,
                "Some raw examples of `{}` are too large for Port and left out",
                batch.kind
            );
        }
        if !examples.is_empty() {
            port.send_examples(&batch.kind, &examples).await?;
        }
    }
    Ok(())
}

/// The objects, masked, as JSON; without those that make the request too large.
fn fitting(objects: &[Value], masker: &Masker) -> Vec<Bytes> {
    let mut left = BODY;
    objects
        .iter()
        .filter_map(|object| {
            let example = masked(object, masker).to_string();
            left = left.checked_sub(example.len() + 1)?;
            Some(example.into())
        })
        .collect()
}

/// The object without secrets, by what they are and by what they are called: as
/// a key, or by the name beside a value (`{"name": "Authorization", "value": …}`).
fn masked(value: &Value, masker: &Masker) -> Value {
    match value {
        Value::Object(object) => {
            let is_named = ["name", "key"].iter().any(|key| {
                object
                    .get(*key)
                    .and_then(Value::as_str)
                    .is_some_and(is_secret)
            });
            object
                .iter()
                .map(|(key, value)| {
                    let shown = match value {
                        // Whether there is one is no secret.
                        Value::Null | Value::Bool(_) => value.clone(),
                        _ if is_secret(key) || (is_named && key == "value") => {
                            Value::String(REDACTED.to_owned())
                        }
                        value => masked(value, masker),
                    };
                    (masker.mask(key).into_owned(), shown)
                })
                .collect()
        }
        Value::Array(items) => items.iter().map(|item| masked(item, masker)).collect(),
        value => masker.mask_value(value),
    }
}

fn is_secret(key: &str) -> bool {
    let letters: String = key
        .chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    SECRET_KEYS.iter().any(|secret| letters.contains(secret))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::jq::{Jq, Limits};
    use crate::resource_config::parse_text;
    use crate::settings::SourceName;

    #[test]
    fn secrets_are_masked_by_what_they_are_and_by_what_they_are_called() {
        let known = Masker::new(&[SecretString::from("hunter22")]);

        let shown = masked(
            &json!({
                "id": "P1",
                "summary": "uses hunter22",
                "integration_key": "0123456789abcdef",
                "X-Api-Key": 12,
                "http_cal_url": "https://example.com/private/feed",
                "integration_email": "checkout@example.pagerduty.com",
                "endpoint_url": "https://hooks.example.com/services/T0/B0/x",
                "auth": {"accessToken": "abc", "Authorization": {"scheme": "x"}, "secrets": ["a"]},
                "author": "Ada",
                "steps": [{"password": null, "secret": false, "db": "postgres://u:p@host/base"}],
                "headers": [
                    {"name": "X-Auth-Token", "value": "abc"},
                    {"name": "Accept", "value": "text/plain"},
                ],
            }),
            &known,
        );

        assert_eq!(
            shown,
            json!({
                "id": "P1",
                "summary": "uses [REDACTED]",
                "integration_key": "[REDACTED]",
                "X-Api-Key": "[REDACTED]",
                "http_cal_url": "[REDACTED]",
                "integration_email": "[REDACTED]",
                "endpoint_url": "[REDACTED]",
                "auth": {
                    "accessToken": "[REDACTED]",
                    "Authorization": "[REDACTED]",
                    "secrets": "[REDACTED]",
                },
                "author": "Ada",
                "steps": [{"password": null, "secret": false, "db": "[REDACTED]"}],
                "headers": [
                    {"name": "X-Auth-Token", "value": "[REDACTED]"},
                    {"name": "Accept", "value": "text/plain"},
                ],
            })
        );
    }

    #[test]
    fn where_port_does_not_keep_up_no_later_objects_stand_in_for_the_first() {
        let mapping = r#"
resources:
  - kind: component
    selector: {query: "true"}
    port: {entity: {mappings: {identifier: .id, blueprint: '"c"'}}}
"#;
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        let parsed = parse_text(mapping, "mapping.yaml", &[SourceName::Statuspage], &jq).unwrap();
        let consumer = Consumer {
            config: parsed.document.resources[0].clone(),
            columns: Vec::new(),
        };
        let page = RawBatch {
            objects: vec![json!({"id": "a"})],
            ..RawBatch::default()
        };
        let (examples, mut taken) = channel(true);
        let examples = examples.unwrap();
        examples.began(1);
        for _ in 0..WAITING {
            let batch = Batch {
                kind: "other".to_owned(),
                objects: Vec::new(),
            };
            examples.sender.try_send(batch).ok().unwrap();
        }

        examples.take(&consumer, &page);
        while taken.try_recv().is_ok() {}
        examples.take(&consumer, &page);

        assert!(taken.try_recv().is_err());
    }

    #[test]
    fn objects_that_make_the_request_too_large_are_left_out() {
        let masker = Masker::new(&[]);
        let large = json!({"text": "x".repeat(600 * 1024)});

        let examples = fitting(&[large.clone(), large, json!({"id": 1})], &masker);

        let sizes: Vec<usize> = examples.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [600 * 1024 + 11, 8]);
    }
}
