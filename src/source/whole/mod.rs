//! Whole lists, or an error: what decides whether an incident is public.
//!
//! The reconciler opens an incident because of what is on one list and not on
//! another, and resolves it because of what is missing. Half a list would make
//! it publish, and what is published cannot be taken back. How a list is read to
//! its end is known here already, for the catalog: windows are halved where
//! paging does not reach, and what was read is compared with the API's total. So
//! these functions are here and not with the reconciler; they know nothing of
//! resource configs.
//!
//! # What is certain
//!
//! Every object has an identifier of its own, and none is given twice. A list
//! that came on one page is as it was at one moment. A longer one took time, in
//! which objects came and went: what Statuspage says about its incidents and
//! maintenances is therefore turned until it stays the same. The others are as
//! whole as their total can show: one object that went and another that came
//! while pages were turned can hide a third. Before something is called gone for
//! being on none of these lists, it is to be looked up by its identifier.

use serde_json::Value;

use super::reading::Reading;
use super::statuspage::{Collection, Turn, id};
use super::{SourceError, opsgenie, pagerduty, statuspage};
use crate::api::{OpsgenieClient, OpsgenieList, PagerdutyClient, StatuspageClient};

/// Objects of one list, which are all kept: more than a status page has of anything.
const MOST_OBJECTS: usize = 50_000;

/// How often the pages of a list that does not stay the same are turned.
const TURNS: usize = 4;

/// All incidents of an account with these statuses (`triggered`, `acknowledged`,
/// `resolved`), whenever they began, each with the log entry that triggered it.
/// No status: no incident.
pub async fn pagerduty_incidents(
    client: &PagerdutyClient,
    statuses: &[&str],
) -> Result<Vec<Value>, SourceError> {
    // Unasked, the API would give those of all statuses.
    if statuses.is_empty() {
        return Ok(Vec::new());
    }
    let incidents = pagerduty::incidents(client, statuses).await?;
    named(incidents).ok_or_else(|| nameless("the list of incidents"))
}

/// All open alerts of an account, acknowledged ones among them.
pub async fn opsgenie_open_alerts(client: &OpsgenieClient) -> Result<Vec<Value>, SourceError> {
    let alerts = opsgenie::open(client, OpsgenieList::Alerts).await?;
    named(alerts).ok_or_else(|| nameless("the list of alerts"))
}

/// All open incidents of an account.
pub async fn opsgenie_open_incidents(client: &OpsgenieClient) -> Result<Vec<Value>, SourceError> {
    let incidents = opsgenie::open(client, OpsgenieList::Incidents).await?;
    named(incidents).ok_or_else(|| nameless("the list of incidents"))
}

/// All status pages that the key can see.
pub async fn statuspage_pages(client: &StatuspageClient) -> Result<Vec<Value>, SourceError> {
    statuspage::all_pages(client).await
}

/// All components of a status page, with its groups among them. Components are
/// seldom deleted, so the pages are turned once.
pub async fn statuspage_components(
    client: &StatuspageClient,
    page_id: &str,
) -> Result<Vec<Value>, SourceError> {
    let (components, _pages) = turn(client, Collection::Components, page_id).await?;
    Ok(components)
}

/// All incidents of a status page that are not resolved, as they were at one
/// moment.
pub async fn statuspage_unresolved(
    client: &StatuspageClient,
    page_id: &str,
) -> Result<Vec<Value>, SourceError> {
    at_rest(client, Collection::Unresolved, page_id).await
}

/// All maintenances of a status page that are going on, as they were at one
/// moment.
pub async fn statuspage_active_maintenances(
    client: &StatuspageClient,
    page_id: &str,
) -> Result<Vec<Value>, SourceError> {
    at_rest(client, Collection::ActiveMaintenances, page_id).await
}

/// The newest hundred incidents of a status page, resolved ones and
/// maintenances among them. This is **not** a whole list: that something is not
/// on it says nothing.
pub async fn statuspage_newest_incidents(
    client: &StatuspageClient,
    page_id: &str,
) -> Result<Vec<Value>, SourceError> {
    let what = || what(Collection::Incidents, page_id);
    let incidents = client.incidents(page_id, 1, None).await;
    let incidents = incidents.map_err(|source| SourceError::List {
        what: what(),
        source,
    })?;
    named(incidents).ok_or_else(|| nameless(&what()))
}

/// Turns the pages until two turns in a row show the same objects, and gives the
/// last one. One that leaves the list while they are turned pulls another over
/// the border between two pages, unseen; turned again it is seen.
async fn at_rest(
    client: &StatuspageClient,
    collection: Collection,
    page_id: &str,
) -> Result<Vec<Value>, SourceError> {
    let mut before: Option<Vec<String>> = None;
    for _ in 0..TURNS {
        let (objects, pages) = turn(client, collection, page_id).await?;
        // What came in one piece has not moved.
        if pages == 1 {
            return Ok(objects);
        }
        let mut ids: Vec<String> = objects.iter().filter_map(id).map(str::to_owned).collect();
        ids.sort_unstable();
        if before.as_ref() == Some(&ids) {
            return Ok(objects);
        }
        before = Some(ids);
    }
    Err(SourceError::Restless {
        what: what(collection, page_id),
        turns: TURNS,
    })
}

/// Turns the pages once, and says how many there were.
async fn turn(
    client: &StatuspageClient,
    collection: Collection,
    page_id: &str,
) -> Result<(Vec<Value>, u32), SourceError> {
    let what = what(collection, page_id);
    let mut turn = Turn::new(client, collection, page_id, Reading::whole());
    let all = all_of(&mut turn, &what, MOST_OBJECTS).await?;
    let all = named(all).ok_or_else(|| nameless(&what))?;
    Ok((all, turn.pages()))
}

/// Everything on the pages, unless there is no end to it.
async fn all_of(turn: &mut Turn<'_>, what: &str, most: usize) -> Result<Vec<Value>, SourceError> {
    let mut all = Vec::new();
    while let Some(mut objects) = turn.next().await? {
        all.append(&mut objects);
        if all.len() > most {
            return Err(SourceError::Endless {
                what: what.to_owned(),
                served: all.len() as u64,
            });
        }
    }
    Ok(all)
}

fn what(collection: Collection, page_id: &str) -> String {
    format!("{} of page {page_id}", collection.name())
}

/// The objects, if each can be told from the others.
fn named(objects: Vec<Value>) -> Option<Vec<Value>> {
    objects
        .iter()
        .all(|object| id(object).is_some())
        .then_some(objects)
}

fn nameless(what: &str) -> SourceError {
    SourceError::Nameless {
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
