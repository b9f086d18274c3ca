//! The alert accounts: whole lists of what is unresolved there, or an error.
//!
//! A list that is not whole would read as "the rest is over", and public
//! incidents would be resolved that are not. So there is no partial result:
//! whatever is missing, the account counts as not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::alert::{Ending, SourceId, SourceIncident};
use super::config::{AlertSource, Rule, Status};
use super::model::text;
use super::plan::Ended;
use crate::api::{ApiError, OpsgenieClient, PagerdutyClient};
use crate::jq::Step;
use crate::source::{SourceError, whole};

/// Single objects fetched at a time. The rate limit is kept elsewhere; this
/// bounds what is under way.
const AT_A_TIME: usize = 8;

/// What only the single form of an Opsgenie alert has.
const ONLY_IN_FULL: [&str; 4] = ["description", "details", "entity", "actions"];

/// An account that source incidents come from.
pub struct Account {
    pub name: String,
    /// What else the settings call it: the catalog's account may be Pagerstatus'
    /// as well, and records may have been written under either name.
    pub aliases: Vec<String>,
    pub client: Client,
}

/// How an account is read.
pub enum Client {
    Pagerduty(PagerdutyClient),
    Opsgenie(OpsgenieClient),
}

impl Account {
    /// Everything that it is called.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.aliases)
    }

    /// Whether its source incidents are of this kind.
    pub fn has(&self, source: AlertSource) -> bool {
        match self.client {
            Client::Pagerduty(_) => source == AlertSource::Pagerduty,
            Client::Opsgenie(_) => source != AlertSource::Pagerduty,
        }
    }

    /// Everything unresolved that a rule may be about.
    pub async fn unresolved(&self, rules: &[Rule]) -> Result<Vec<SourceIncident>, SourceError> {
        let mut incidents = Vec::new();
        for &(_, source) in AlertSource::WORDS {
            let rules: Vec<&Rule> = rules
                .iter()
                .filter(|rule| rule.source == source && self.has(source))
                .filter(|rule| {
                    rule.accounts.is_empty()
                        || self.names().any(|name| rule.accounts.contains(name))
                })
                .collect();
            if rules.is_empty() {
                continue;
            }
            let objects = match &self.client {
                Client::Pagerduty(client) => pagerduty(client, &rules).await?,
                Client::Opsgenie(client) => opsgenie(client, source, &rules).await?,
            };
            incidents.extend(
                objects
                    .into_iter()
                    .filter_map(|object| SourceIncident::parse(source, &self.name, object)),
            );
        }
        Ok(incidents)
    }

    /// How a source incident stands that is not in the lists.
    pub async fn look_up(&self, id: &SourceId) -> Ended {
        let found = match (&self.client, id.source) {
            (Client::Pagerduty(client), AlertSource::Pagerduty) => {
                client.incident(&id.id, &[]).await
            }
            (Client::Opsgenie(client), AlertSource::OpsgenieAlert) => client.alert(&id.id).await,
            (Client::Opsgenie(client), AlertSource::OpsgenieIncident) => {
                client.incident(&id.id).await
            }
            _ => return Ended::unknown(),
        };
        match found {
            Ok(object) => Ended {
                ending: Ending::of(id.source, object.as_ref()),
                object: object.map(Arc::new),
            },
            Err(error) => {
                tracing::debug!(%id, "Could not look {id} up: {error}");
                Ended::unknown()
            }
        }
    }
}

/// All of history, since an incident may be open for longer than the API looks
/// back unasked.
async fn pagerduty(client: &PagerdutyClient, rules: &[&Rule]) -> Result<Vec<Value>, SourceError> {
    let wanted: BTreeSet<Status> = rules
        .iter()
        .flat_map(|rule| rule.opens.iter().chain(&rule.keeps).copied())
        .collect();
    let words: Vec<&str> = AlertSource::Pagerduty
        .statuses()
        .iter()
        .filter(|(_, status)| wanted.contains(status))
        .map(|(word, _)| *word)
        .collect();
    let incidents = whole::pagerduty_incidents(client, &words).await?;
    let whole = incidents
        .into_iter()
        .map(|incident| with_whole_channel(client, incident).boxed())
        .collect();
    together(whole).await
}

/// PagerDuty leaves large texts out of lists and says so; the tag may be in one.
async fn with_whole_channel(
    client: &PagerdutyClient,
    mut incident: Value,
) -> Result<Value, SourceError> {
    let entry = &incident["first_trigger_log_entry"];
    let is_omitted = ["details_omitted", "body_omitted"]
        .iter()
        .any(|flag| entry["channel"][flag] == Value::Bool(true));
    let Some(id) = text(entry, "id").filter(|_| is_omitted) else {
        return Ok(incident);
    };
    let found = client.log_entry(id, &["channels"]).await;
    let entry = found.map_err(|source| SourceError::List {
        what: format!("the log entry {id}"),
        source,
    })?;
    if let Some(entry) = entry {
        incident["first_trigger_log_entry"] = entry;
    }
    Ok(incident)
}

async fn opsgenie(
    client: &OpsgenieClient,
    source: AlertSource,
    rules: &[&Rule],
) -> Result<Vec<Value>, SourceError> {
    if source == AlertSource::OpsgenieIncident {
        return match whole::opsgenie_open_incidents(client).await {
            // The plan has no incidents, so there are none.
            Err(SourceError::List { source, .. }) if source.status() == Some(402) => Ok(Vec::new()),
            listed => listed,
        };
    }
    let alerts = whole::opsgenie_open_alerts(client).await?;
    let reads = |key: &'static str| {
        let path = [Step::Key(key.into())];
        rules
            .iter()
            .flat_map(|rule| rule.expressions())
            .any(|expression| expression.may_read(&path))
    };
    if !ONLY_IN_FULL.iter().any(|key| reads(key)) {
        return Ok(alerts);
    }
    let whole = alerts
        .into_iter()
        .map(|alert| whole_alert(client, alert).boxed())
        .collect();
    let whole: Vec<Option<Value>> = together(whole).await?;
    Ok(whole.into_iter().flatten().collect())
}

/// Does all of it, some at a time, unless something fails.
async fn together<T>(
    work: Vec<BoxFuture<'_, Result<T, SourceError>>>,
) -> Result<Vec<T>, SourceError> {
    stream::iter(work).buffered(AT_A_TIME).try_collect().await
}

/// None where it has gone meanwhile.
async fn whole_alert(client: &OpsgenieClient, alert: Value) -> Result<Option<Value>, SourceError> {
    let Some(id) = text(&alert, "id") else {
        return Ok(None);
    };
    let found: Result<Option<Value>, ApiError> = client.alert(id).await;
    found.map_err(|source| SourceError::List {
        what: format!("the alert {id}"),
        source,
    })
}
