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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};

use super::listing::{self, Receiver};
use super::query::{Request, days_from, utc};
use crate::api::{ApiError, PagerdutyClient};
use crate::causes::one_line;
use crate::jq::Step;
use crate::mapping::{Column, RawBatch};
use crate::resource_config::{PagerdutyKind, ResourceConfig};
use crate::source::SourceError;

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

type Emails = Arc<HashMap<String, Value>>;

/// Fetches enrichment, each upstream object once a resync.
pub(super) struct Enricher {
    client: Arc<PagerdutyClient>,
    now: Timestamp,
    /// On-call entries by escalation policy.
    oncalls: tokio::sync::Mutex<HashMap<String, Arc<Vec<Value>>>>,
    /// `Some` where the listing of users shares what it sees.
    shared_emails: Option<watch::Sender<Shared>>,
    own_emails: OnceCell<Option<Emails>>,
    /// The analytics quota of the day is spent: nothing more is asked for.
    quota_spent: AtomicBool,
    said: Mutex<BTreeSet<&'static str>>,
}

/// E-mail addresses as the listing of users comes to know them.
#[derive(Clone)]
enum Shared {
    Listing,
    Complete(Emails),
    /// The listing ended early.
    Incomplete,
}

impl Enricher {
    pub(super) fn new(
        client: Arc<PagerdutyClient>,
        now: Timestamp,
        users_are_listed: bool,
    ) -> Self {
        Self {
            client,
            now,
            oncalls: tokio::sync::Mutex::default(),
            shared_emails: users_are_listed.then(|| watch::Sender::new(Shared::Listing)),
            own_emails: OnceCell::new(),
            quota_spent: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    /// For the listing of users: a place to note what it sees.
    pub(super) fn share_emails(self: &Arc<Self>) -> EmailNotes {
        EmailNotes {
            enricher: Arc::clone(self),
            noted: EmailsByUser::default(),
            complete: false,
        }
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
            match self.emails().await {
                Some(emails) => attach_emails(&mut batch.objects, &emails),
                None => batch.unavailable.push(email_path()),
            }
        }
        batch
    }

    /// Says once a resync that an enrichment is missing.
    fn say(&self, what: &'static str, error: &dyn std::error::Error) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(what) {
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
        let wanted: BTreeSet<&String> = policies.iter().flatten().collect();
        // One page of objects at a time asks, so that two pages that share a
        // policy ask for it once; the second one finds it known.
        let mut known = self.oncalls.lock().await;
        let unknown: Vec<&String> = wanted
            .into_iter()
            .filter(|policy| !known.contains_key(*policy))
            .collect();
        for policies in unknown.chunks(POLICIES_A_REQUEST) {
            match self.fetch_oncalls(policies).await {
                Ok(found) => known.extend(found),
                Err(error) => self.say("on-call users", &error),
            }
        }
        policies
            .into_iter()
            .map(|policy| match policy {
                Some(policy) => known
                    .get(&policy)
                    .map(|oncalls| Value::Array(oncalls.to_vec())),
                None => Some(Value::Array(Vec::new())),
            })
            .collect()
    }

    async fn fetch_oncalls(
        &self,
        policies: &[&String],
    ) -> Result<HashMap<String, Arc<Vec<Value>>>, SourceError> {
        let mut request = Request::plain("oncalls");
        for part in &mut request.parts {
            let ids = policies
                .iter()
                .map(|id| ("escalation_policy_ids[]".to_owned(), (*id).clone()));
            part.query.extend(ids);
            part.query
                .push(("include[]".to_owned(), "users".to_owned()));
        }
        // A policy that nobody is on call for has an empty list, not none.
        let mut oncalls = OncallsByPolicy(
            policies
                .iter()
                .map(|id| ((*id).clone(), Vec::new()))
                .collect(),
        );
        listing::run(&self.client, &request, &mut oncalls).await?;
        Ok(oncalls
            .0
            .into_iter()
            .map(|(policy, oncalls)| (policy, Arc::new(oncalls)))
            .collect())
    }

    async fn analytics(&self, objects: &[Value], analytics: Analytics) -> Vec<Option<Value>> {
        if self.quota_spent.load(Ordering::Relaxed) {
            return vec![None; objects.len()];
        }
        let rows = match analytics {
            Analytics::Service { days } => self.service_figures(objects, days).await,
            Analytics::Incident => self.incident_figures(objects).await,
        };
        match rows {
            Ok(rows) => objects
                .iter()
                .map(|object| {
                    let row = id(object).and_then(|id| rows.found.get(id));
                    // No row means that the API has no figures, which is
                    // knowledge; a search that was broken off is none.
                    row.cloned().or(rows.complete.then_some(Value::Null))
                })
                .collect(),
            Err(error) => {
                if error.is_quota_spent() {
                    self.quota_spent.store(true, Ordering::Relaxed);
                }
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
        // The type names the endpoint: `service`, `incident`.
        let endpoint = format!("{}s", object.get("type")?.as_str()?);
        match self
            .client
            .custom_field_values(&endpoint, id(object)?)
            .await
        {
            Ok(fields) => Some(Value::Array(fields)),
            Err(error) => {
                self.say("custom fields", &error);
                None
            }
        }
    }

    /// E-mail addresses by user, or `None` when they could not be had.
    async fn emails(&self) -> Option<Emails> {
        if let Some(shared) = &self.shared_emails {
            let mut shared = shared.subscribe();
            let state = shared
                .wait_for(|state| !matches!(state, Shared::Listing))
                .await
                .ok()?;
            return match &*state {
                Shared::Complete(emails) => Some(Arc::clone(emails)),
                Shared::Listing | Shared::Incomplete => None,
            };
        }
        self.own_emails
            .get_or_init(async || {
                let mut emails = EmailsByUser::default();
                match listing::run(&self.client, &Request::plain("users"), &mut emails).await {
                    Ok(()) => Some(Arc::new(emails.0)),
                    Err(error) => {
                        self.say("e-mail addresses", &error);
                        None
                    }
                }
            })
            .await
            .clone()
    }
}

/// What the analytics API answered, by id.
#[derive(Default)]
struct Rows {
    found: BTreeMap<String, Value>,
    /// Whether what is not in `found` does not exist.
    complete: bool,
}

/// On-call entries by the escalation policy they belong to.
struct OncallsByPolicy(HashMap<String, Vec<Value>>);

impl Receiver for OncallsByPolicy {
    async fn take(&mut self, oncalls: Vec<Value>) -> Result<(), SourceError> {
        for oncall in oncalls {
            let policy = oncall.pointer("/escalation_policy/id");
            if let Some(of_policy) = policy
                .and_then(Value::as_str)
                .and_then(|id| self.0.get_mut(id))
            {
                of_policy.push(oncall);
            }
        }
        Ok(())
    }
}

/// E-mail addresses by user.
#[derive(Default)]
struct EmailsByUser(HashMap<String, Value>);

impl EmailsByUser {
    fn note(&mut self, users: &[Value]) {
        self.0.extend(users.iter().filter_map(|user| {
            let email = user.get("email").filter(|email| email.is_string())?;
            Some((id(user)?.to_owned(), email.clone()))
        }));
    }
}

impl Receiver for EmailsByUser {
    async fn take(&mut self, users: Vec<Value>) -> Result<(), SourceError> {
        self.note(&users);
        Ok(())
    }
}

/// Notes e-mail addresses while the users are listed for their own sake.
///
/// Dropped before [`EmailNotes::complete`] was called, it tells those who wait
/// that the listing came to nothing.
pub(super) struct EmailNotes {
    enricher: Arc<Enricher>,
    noted: EmailsByUser,
    complete: bool,
}

impl EmailNotes {
    pub(super) fn note(&mut self, users: &[Value]) {
        self.noted.note(users);
    }

    /// The listing came to its end.
    pub(super) fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for EmailNotes {
    fn drop(&mut self) {
        let noted = std::mem::take(&mut self.noted.0);
        if let Some(shared) = &self.enricher.shared_emails {
            shared.send_replace(if self.complete {
                Shared::Complete(Arc::new(noted))
            } else {
                Shared::Incomplete
            });
        }
    }
}

/// Sets `__email` on each user of each schedule whose address is known.
fn attach_emails(schedules: &mut [Value], emails: &HashMap<String, Value>) {
    let users = schedules
        .iter_mut()
        .filter_map(|schedule| schedule.get_mut("users")?.as_array_mut())
        .flatten();
    for user in users {
        let email = id(user).and_then(|id| emails.get(id)).cloned();
        if let (Some(email), Some(user)) = (email, user.as_object_mut()) {
            user.insert("__email".to_owned(), email);
        }
    }
}

fn id(object: &Value) -> Option<&str> {
    object.get("id")?.as_str()
}
