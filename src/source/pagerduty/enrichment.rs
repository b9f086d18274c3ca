//! What PagerDuty knows about an object in other places, set beside it.
//!
//! | key | on | what |
//! |---|---|---|
//! | `__oncall_user` | services | who is on call for the service's escalation policy |
//! | `__oncall_users` | escalation policies | who is on call for the policy |
//! | `__analytics` | services, incidents | figures of the analytics API |
//! | `__custom_fields` | services, incidents | the values of custom fields |
//! | `users[].__email` | schedules | the e-mail address of each user |
//!
//! Only what an expression can read is fetched. What could not be fetched is
//! said once and left out, so that Port keeps what it knew: it is never sent as
//! null.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::emails::{self, EmailNotes, Emails};
use super::listing::{self, Receiver};
use super::query::{Request, days_from, utc};
use crate::api::{ApiError, PagerdutyClient};
use crate::causes::one_line;
use crate::jq::Step;
use crate::mapping::{Column, RawBatch};
use crate::resource_config::{PagerdutyKind, ResourceConfig};
use crate::source::SourceError;
use crate::source::compact::Compact;
use crate::source::patience::Patience;
use crate::source::reading::Reading;
use crate::source::said::Said;

const ONCALL_USER: &str = "__oncall_user";
const ONCALL_USERS: &str = "__oncall_users";
const ANALYTICS: &str = "__analytics";
const CUSTOM_FIELDS: &str = "__custom_fields";

/// Escalation policies asked for in one request; keeps the URL below 4 KiB.
const POLICIES_A_REQUEST: usize = 100;

/// Pages of raw analytics read for one page of incidents, 1,000 rows each.
const ANALYTICS_PAGES: usize = 10;

/// Custom field requests at a time.
const CUSTOM_FIELDS_AT_A_TIME: usize = 8;

/// `users[].__email`.
fn email_path() -> Vec<Step> {
    vec![
        Step::Key(Cow::Borrowed("users")),
        Step::Each,
        Step::Key(Cow::Borrowed("__email")),
    ]
}

/// The enrichment that a resource config's expressions can read.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    oncalls: Option<&'static str>,
    analytics: Option<Analytics>,
    custom_fields: bool,
    emails: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Analytics {
    /// Figures of the service over this many days.
    Service {
        days: i64,
    },
    Incident,
}

impl Wanted {
    /// The selector's flags decide first, then whether an expression can read it.
    pub(super) fn by(config: &ResourceConfig, kind: &PagerdutyKind) -> Self {
        let reads = |key: &'static str| config.may_read(&[Step::Key(Cow::Borrowed(key))]);
        match kind {
            PagerdutyKind::Services(selector) => Self {
                oncalls: reads(ONCALL_USER).then_some(ONCALL_USER),
                analytics: (selector.analytics && reads(ANALYTICS)).then_some(Analytics::Service {
                    days: 30 * i64::from(selector.analytics_months),
                }),
                custom_fields: selector.custom_fields && reads(CUSTOM_FIELDS),
                emails: false,
            },
            PagerdutyKind::Incidents(selector) => Self {
                oncalls: None,
                analytics: (selector.analytics && reads(ANALYTICS)).then_some(Analytics::Incident),
                custom_fields: selector.custom_fields && reads(CUSTOM_FIELDS),
                emails: false,
            },
            PagerdutyKind::EscalationPolicies(selector) => Self {
                oncalls: (selector.attach_oncall_users && reads(ONCALL_USERS))
                    .then_some(ONCALL_USERS),
                ..Self::default()
            },
            PagerdutyKind::Schedules(_) => Self {
                emails: config.may_read(&email_path()),
                ..Self::default()
            },
            PagerdutyKind::Oncalls(_) | PagerdutyKind::Other(_) => Self::default(),
        }
    }

    /// Whether both can be had from one pass: analytics over different periods
    /// cannot stand under one key.
    pub(super) fn joins(&self, other: &Self) -> bool {
        match (self.analytics, other.analytics) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }

    /// Fetches for both.
    pub(super) fn add(&mut self, other: &Self) {
        self.oncalls = self.oncalls.or(other.oncalls);
        self.analytics = self.analytics.or(other.analytics);
        self.custom_fields |= other.custom_fields;
        self.emails |= other.emails;
    }

    /// The keys that become visible to the resource config.
    pub(super) fn columns(&self) -> Vec<&'static str> {
        self.oncalls
            .into_iter()
            .chain(self.analytics.map(|_| ANALYTICS))
            .chain(self.custom_fields.then_some(CUSTOM_FIELDS))
            .collect()
    }

    pub(super) fn needs_emails(&self) -> bool {
        self.emails
    }
}

/// Fetches enrichment, each upstream object once a resync.
pub(super) struct Enricher {
    client: Arc<PagerdutyClient>,
    now: Timestamp,
    /// By escalation policy, the request that brings its on-call entries.
    oncalls: Mutex<HashMap<String, Oncalls>>,
    emails: Emails,
    oncalls_patience: Patience,
    analytics_patience: Patience,
    custom_fields_patience: Patience,
    said: Arc<Said>,
}

/// On-call entries by the escalation policy they belong to, once they are there.
/// Pages that share a policy wait for one request.
type Oncalls = Shared<BoxFuture<'static, Result<Arc<OncallsByPolicy>, Arc<SourceError>>>>;

impl Enricher {
    pub(super) fn new(
        client: Arc<PagerdutyClient>,
        now: Timestamp,
        users_are_listed: bool,
    ) -> Self {
        Self {
            emails: Emails::new(users_are_listed),
            client,
            now,
            oncalls: Mutex::default(),
            oncalls_patience: Patience::default(),
            analytics_patience: Patience::default(),
            custom_fields_patience: Patience::default(),
            said: Arc::default(),
        }
    }

    /// With others who say the same.
    pub(super) fn saying_through(self, said: Arc<Said>) -> Self {
        Self { said, ..self }
    }

    /// For the listing of users: a place to note what it sees.
    pub(super) fn share_emails(&self) -> Option<EmailNotes> {
        self.emails.notes()
    }

    /// The objects with everything `wanted` beside them.
    pub(super) async fn enrich(&self, objects: Vec<Value>, wanted: &Wanted) -> RawBatch {
        let mut batch = RawBatch {
            objects,
            ..RawBatch::default()
        };
        if let Some(key) = wanted.oncalls {
            let values = self.oncalls(&batch.objects, key).await;
            batch.columns.push(Column { key, values });
        }
        if let Some(analytics) = wanted.analytics {
            let values = self.analytics(&batch.objects, analytics).await;
            batch.columns.push(Column {
                key: ANALYTICS,
                values,
            });
        }
        if wanted.custom_fields {
            let values = self.custom_fields(&batch.objects).await;
            batch.columns.push(Column {
                key: CUSTOM_FIELDS,
                values,
            });
        }
        if wanted.emails {
            match self.emails.get(&self.client).await {
                Ok(Some(emails)) => emails::attach(&mut batch.objects, &emails),
                // The listing of users has said so itself.
                Ok(None) => batch.unavailable.push(email_path()),
                Err(error) => {
                    self.say("e-mail addresses", &*error);
                    batch.unavailable.push(email_path());
                }
            }
        }
        batch
    }

    /// Says once a resync that an enrichment is missing.
    fn say(&self, what: &'static str, error: &dyn std::error::Error) {
        if self.said.is_news(what) {
            tracing::warn!(
                error = %one_line(error),
                "Could not fetch {what} from PagerDuty: {}; the fields that need them keep their values in Port",
                one_line(error)
            );
        }
    }

    /// Current on-call entries of each object's escalation policy.
    async fn oncalls(&self, objects: &[Value], key: &str) -> Vec<Option<Value>> {
        let policy = |object: &Value| -> Option<String> {
            let policy = if key == ONCALL_USER {
                object.get("escalation_policy")?
            } else {
                object
            };
            Some(policy.get("id")?.as_str()?.to_owned())
        };
        let policies: Vec<Option<String>> = objects.iter().map(policy).collect();
        let requests = self.oncall_requests(policies.iter().flatten().cloned().collect());
        let mut answers = HashMap::with_capacity(requests.len());
        let mut failed = None;
        for (policy, request) in requests {
            match request.await {
                Ok(oncalls) => {
                    self.oncalls_patience.succeeded();
                    answers.insert(policy, oncalls);
                }
                // Many policies share one request, which counts once.
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            if let SourceError::List { source, .. } = &*error {
                self.oncalls_patience.failed(source);
            }
            self.say("on-call users", &*error);
        }
        policies
            .into_iter()
            .map(|policy| match policy {
                Some(policy) => answers
                    .get(&policy)
                    .and_then(|oncalls| oncalls.0.get(&policy))
                    .map(|oncalls| oncalls.iter().map(Compact::value).collect()),
                None => Some(Value::Array(Vec::new())),
            })
            .collect()
    }

    /// The requests that bring the on-calls of these policies: those that other
    /// pages have made, and new ones for the rest.
    fn oncall_requests(&self, policies: BTreeSet<String>) -> Vec<(String, Oncalls)> {
        let mut known = self.oncalls.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown: Vec<&String> = policies
            .iter()
            .filter(|policy| !known.contains_key(*policy) && !self.oncalls_patience.is_over())
            .collect();
        for policies in unknown.chunks(POLICIES_A_REQUEST) {
            let policies: Vec<String> = policies.iter().copied().cloned().collect();
            let request = fetch_oncalls(Arc::clone(&self.client), policies.clone())
                .boxed()
                .shared();
            known.extend(policies.into_iter().map(|policy| (policy, request.clone())));
        }
        policies
            .into_iter()
            .filter_map(|policy| {
                let request = known.get(&policy)?.clone();
                Some((policy, request))
            })
            .collect()
    }

    async fn analytics(&self, objects: &[Value], analytics: Analytics) -> Vec<Option<Value>> {
        if self.analytics_patience.is_over() {
            return vec![None; objects.len()];
        }
        let rows = match analytics {
            Analytics::Service { days } => self.service_figures(objects, days).await,
            Analytics::Incident => self.incident_figures(objects).await,
        };
        match rows {
            Ok(rows) => {
                self.analytics_patience.succeeded();
                objects
                    .iter()
                    .map(|object| {
                        let row = id(object).and_then(|id| rows.found.get(id));
                        // No row means that the API has no figures, which is
                        // knowledge; a search that was broken off is none.
                        row.cloned().or(rows.complete.then_some(Value::Null))
                    })
                    .collect()
            }
            Err(error) => {
                self.analytics_patience.failed(&error);
                self.say("analytics", &error);
                vec![None; objects.len()]
            }
        }
    }

    async fn service_figures(&self, objects: &[Value], days: i64) -> Result<Rows, ApiError> {
        let services: Vec<&str> = objects.iter().filter_map(id).collect();
        let rows = self
            .client
            .service_metrics(&json!({
                "filters": {
                    "service_ids": services,
                    "created_at_start": utc(days_from(self.now, -days)),
                    "created_at_end": utc(self.now),
                },
                "time_zone": "Etc/UTC",
            }))
            .await?;
        let found = rows
            .into_iter()
            .filter_map(|row| Some((row.get("service_id")?.as_str()?.to_owned(), row)))
            .collect();
        Ok(Rows {
            found,
            complete: true,
        })
    }

    /// Rows of the raw analytics for a page of incidents: asked for by the
    /// page's services and its range of creation times.
    async fn incident_figures(&self, objects: &[Value]) -> Result<Rows, ApiError> {
        let mut wanted: BTreeSet<&str> = objects.iter().filter_map(id).collect();
        let services: BTreeSet<&str> = objects
            .iter()
            .filter_map(|incident| incident.pointer("/service/id")?.as_str())
            .collect();
        let mut created = objects.iter().filter_map(|incident| {
            incident
                .get("created_at")?
                .as_str()?
                .parse::<Timestamp>()
                .ok()
        });
        let mut rows = Rows::default();
        let Some(first) = created.next() else {
            return Ok(rows);
        };
        let (earliest, latest) = created.fold((first, first), |(earliest, latest), at| {
            (earliest.min(at), latest.max(at))
        });
        let mut cursor: Option<String> = None;
        for _ in 0..ANALYTICS_PAGES {
            let mut body = json!({
                "filters": {
                    "service_ids": services,
                    "created_at_start": utc(earliest),
                    // The end is exclusive, and written in whole seconds.
                    "created_at_end": utc(latest + jiff::SignedDuration::from_secs(1)),
                },
                "limit": 1000,
                "order": "asc",
                "order_by": "created_at",
                "time_zone": "Etc/UTC",
            });
            if let Some(cursor) = &cursor {
                body["starting_after"] = json!(cursor);
            }
            let page = self.client.raw_incident_analytics(&body).await?;
            for row in page.data {
                let Some(incident) = id(&row).map(str::to_owned) else {
                    continue;
                };
                if wanted.remove(incident.as_str()) {
                    rows.found.insert(incident, row);
                }
            }
            cursor = page.last;
            if wanted.is_empty() || !page.more || cursor.is_none() {
                rows.complete = true;
                break;
            }
        }
        Ok(rows)
    }

    async fn custom_fields(&self, objects: &[Value]) -> Vec<Option<Value>> {
        let requests: Vec<_> = objects
            .iter()
            .map(|object| self.custom_fields_of(object))
            .collect();
        futures_util::stream::iter(requests)
            .buffered(CUSTOM_FIELDS_AT_A_TIME)
            .collect()
            .await
    }

    async fn custom_fields_of(&self, object: &Value) -> Option<Value> {
        if self.custom_fields_patience.is_over() {
            return None;
        }
        // The type names the endpoint: `service`, `incident`.
        let endpoint = format!("{}s", object.get("type")?.as_str()?);
        match self
            .client
            .custom_field_values(&endpoint, id(object)?)
            .await
        {
            Ok(fields) => {
                self.custom_fields_patience.succeeded();
                Some(Value::Array(fields))
            }
            Err(error) => {
                self.custom_fields_patience.failed(&error);
                self.say("custom fields", &error);
                None
            }
        }
    }
}

/// What the analytics API answered, by id.
#[derive(Default)]
struct Rows {
    found: BTreeMap<String, Value>,
    /// Whether what is not in `found` does not exist.
    complete: bool,
}

/// Who is on call now for any of these policies.
async fn fetch_oncalls(
    client: Arc<PagerdutyClient>,
    policies: Vec<String>,
) -> Result<Arc<OncallsByPolicy>, Arc<SourceError>> {
    let mut request = Request::plain("oncalls");
    for part in &mut request.parts {
        let ids = policies
            .iter()
            .map(|id| ("escalation_policy_ids[]".to_owned(), id.clone()));
        part.query.extend(ids);
        part.query
            .push(("include[]".to_owned(), "users".to_owned()));
    }
    // A policy that nobody is on call for has an empty list, not none.
    let empty = policies.into_iter().map(|id| (id, Vec::new())).collect();
    let mut oncalls = OncallsByPolicy(empty);
    listing::run(&client, &request, &Reading::whole(), &mut oncalls)
        .await
        .map_err(Arc::new)?;
    Ok(Arc::new(oncalls))
}

/// On-call entries by the escalation policy they belong to.
struct OncallsByPolicy(HashMap<String, Vec<Compact>>);

impl Receiver for OncallsByPolicy {
    async fn take(&mut self, oncalls: Vec<Value>) -> Result<(), SourceError> {
        for oncall in oncalls {
            let policy = oncall.pointer("/escalation_policy/id");
            if let Some(of_policy) = policy
                .and_then(Value::as_str)
                .and_then(|id| self.0.get_mut(id))
            {
                of_policy.push(Compact::from(&oncall));
            }
        }
        Ok(())
    }
}

fn id(object: &Value) -> Option<&str> {
    object.get("id")?.as_str()
}
