//! What the catalog wants from each API: kinds, datasets and enrichment.
//!
//! A resync asks a source for the distinct datasets its resource configs need;
//! each is fetched once and its pages are fanned out to every resource config
//! that uses it. A dataset that could not be listed to its end says so by its
//! return value: silence would read as "everything else was deleted".
//!
//! ```text
//! resource configs ─▶ Source::datasets ─▶ Dataset::list ─▶ pages of RawBatch, one per view
//! ```
//!
//! The reconciler wants few lists and each of them whole: see [`whole`].

mod compact;
mod live;
mod opsgenie;
mod pagerduty;
mod patience;
mod reading;
mod said;
mod seen;
mod statuspage;
pub mod whole;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;

use self::reading::Reading;
use crate::api::ApiError;
use crate::http::LastAnswer;
use crate::live_events::Subject;
use crate::mapping::{Consumer, RawBatch};
use crate::resource_config::{Kind, ResourceConfig};
use crate::settings::SourceName;

pub use live::{Live, LiveView, Presence, Standing, concerns, described, remains};
pub use opsgenie::Opsgenie;
pub use pagerduty::Pagerduty;
pub use statuspage::Statuspage;

/// Objects of one dataset: more than anybody has. A listing that goes on beyond is
/// taken for one that would never end; what is remembered of each object would fill
/// memory at last.
const MOST_OBJECTS: u64 = 10_000_000;

/// An account of one of the systems whose objects go into the catalog.
pub trait Source: Send + Sync {
    /// The system this account belongs to.
    fn name(&self) -> SourceName;

    /// What the settings call this account, where they name several.
    fn account(&self) -> Option<&str>;

    /// One cheap request that shows whether the credentials are accepted.
    ///
    /// Only what makes a resync pointless is an error: an answer that refuses
    /// the credentials, or no answer at all.
    fn probe(&self) -> BoxFuture<'_, Result<(), ApiError>>;

    /// What came with the last answer of its API: the time, and what is left of the
    /// rate limit. None before the first one.
    fn last_answer(&self) -> Option<LastAnswer>;

    /// The distinct datasets that the resource configs need, in the order in
    /// which they should be started. Configs of other sources are passed over.
    ///
    /// `now` is the start of the resync: every relative date is counted from
    /// it, so that equal selectors are equal requests. `detail`: how much of each
    /// object is wanted.
    fn datasets(
        &self,
        configs: &[Arc<ResourceConfig>],
        now: Timestamp,
        detail: Detail,
    ) -> Vec<Dataset>;

    /// The object that an event is about, as it is now and as a resync would
    /// hand it on: with the same parameters and enrichment, and judged by what
    /// each selector asks of the API. Configs of other kinds are passed over.
    fn live<'a>(
        &'a self,
        subject: &'a Subject,
        configs: &'a [Arc<ResourceConfig>],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Live, SourceError>>;
}

/// How much of its objects a dataset hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of it.
    Whole,
    /// What the expressions of the resource configs can read, which is all that mapping
    /// needs; but the first so many objects whole.
    Read { whole_first: usize },
}

/// Whether the API would have listed this object for the resource config, as far as
/// the object itself tells and whatever its dates: what somebody has at hand is
/// older every day.
pub fn may_list(config: &ResourceConfig, object: &Value) -> bool {
    match &config.kind {
        Kind::Statuspage(_) => true,
        Kind::Pagerduty(kind) => pagerduty::may_list(kind, object),
        Kind::Opsgenie(kind) => opsgenie::may_list(kind, object),
    }
}

type List = Box<dyn FnOnce(Pages) -> BoxFuture<'static, Result<(), SourceError>> + Send>;

/// Something to be listed once, and who gets what from it.
pub struct Dataset {
    name: String,
    views: Vec<Arc<[Consumer]>>,
    reading: Reading,
    list: List,
}

impl Dataset {
    fn new<Listing>(
        name: String,
        views: Vec<Vec<Consumer>>,
        reading: Reading,
        list: impl FnOnce(Pages) -> Listing + Send + 'static,
    ) -> Self
    where
        Listing: Future<Output = Result<(), SourceError>> + Send + 'static,
    {
        Self {
            name,
            views: views.into_iter().map(Arc::from).collect(),
            reading,
            list: Box::new(move |pages| Box::pin(list(pages))),
        }
    }

    /// What is listed, for log lines: `pagerduty incidents`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shapes of the data that consumers see. A page holds one [`RawBatch`]
    /// for each view, in this order: Statuspage incidents feed one view with
    /// the incidents and one with their updates.
    pub fn views(&self) -> &[Arc<[Consumer]>] {
        &self.views
    }

    /// Everyone who gets something from it.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.views.iter().flat_map(|consumers| consumers.iter())
    }

    /// Lists everything into `pages`. `Ok` means: to the end.
    pub async fn list(self, pages: Pages) -> Result<(), SourceError> {
        let (what, reading) = (self.name, self.reading);
        (self.list)(Pages {
            reading,
            what,
            ..pages
        })
        .await
    }
}

/// One page of a dataset.
pub struct Page {
    /// A batch for each view of the dataset.
    pub batches: Vec<RawBatch>,
    /// An instant before which it had not been asked for: what it shows is at
    /// least as new.
    pub asked: Timestamp,
}

/// Where a dataset puts its pages. Bounded, so a slow catalog slows the listing.
pub struct Pages {
    sender: mpsc::Sender<Page>,
    /// A listing asks for a page when it has handed over the one before.
    ready: Mutex<Timestamp>,
    reading: Reading,
    /// The dataset, as errors name it.
    what: String,
    served: AtomicU64,
    /// Objects that may come.
    most: u64,
}

impl Pages {
    /// A channel that holds `capacity` pages.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Page>) {
        let (sender, receiver) = mpsc::channel(capacity);
        let pages = Self {
            sender,
            ready: Mutex::new(Timestamp::now()),
            reading: Reading::whole(),
            what: String::new(),
            served: AtomicU64::new(0),
            most: MOST_OBJECTS,
        };
        (pages, receiver)
    }

    /// Hands over one page: a batch for each view of the dataset. It was asked
    /// for when the one before had been handed over.
    async fn send(&self, batches: Vec<RawBatch>) -> Result<(), SourceError> {
        let asked = *self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        self.send_as_of(asked, batches).await
    }

    /// Hands over one page that was asked for some time ago.
    async fn send_as_of(
        &self,
        asked: Timestamp,
        batches: Vec<RawBatch>,
    ) -> Result<(), SourceError> {
        self.reading.handed_over(&batches);
        let objects: usize = batches.iter().map(|batch| batch.objects.len()).sum();
        let before = self.served.fetch_add(objects as u64, Ordering::Relaxed);
        if before >= self.most {
            return Err(SourceError::Endless {
                what: self.what.clone(),
                served: before,
            });
        }
        let page = Page { batches, asked };
        let sent = self.sender.send(page).await;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Timestamp::now();
        sent.map_err(|_| SourceError::Stopped)
    }
}

/// Why a dataset was not listed to its end.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The API did not give a page.
    #[error("could not list {what}")]
    List {
        /// The dataset and the page of it.
        what: String,
        /// What came back.
        #[source]
        source: ApiError,
    },

    /// The API did not show the object of an event.
    #[error("could not fetch the {what}")]
    Fetch {
        /// The object.
        what: String,
        /// What came back.
        #[source]
        source: ApiError,
    },

    /// An event does not say enough to ask for its object.
    #[error("the {what} cannot be asked for: the event does not say where it is")]
    Unplaced {
        /// The object.
        what: String,
    },

    /// The API serves fewer objects than there are.
    #[error("{what} ended after {served} of {}", total.map_or("more".to_owned(), |total| total.to_string()))]
    CutShort {
        /// The dataset.
        what: String,
        /// Objects that were served.
        served: u64,
        /// Objects there are, when the API says.
        total: Option<u64>,
    },

    /// There is always another page.
    #[error("{what} did not end: {served} objects were served, and there were more")]
    Endless {
        /// The list.
        what: String,
        /// Objects that were served.
        served: u64,
    },

    /// What is listed moves faster than its pages can be turned.
    #[error("{what} changed each time its pages were turned, {turns} times in all")]
    Restless {
        /// The list.
        what: String,
        /// How often they were turned.
        turns: usize,
    },

    /// A list holds what cannot be told from its likes.
    #[error("{what} holds something that is no object with an `id`")]
    Nameless {
        /// The list.
        what: String,
    },

    /// Something that the settings name is not there for the credentials.
    #[error("the Statuspage key does not see {}", named(ids))]
    Unseen {
        /// The status pages that are missing.
        ids: Vec<String>,
    },

    /// A list that others wait for, too, was not listed.
    #[error(transparent)]
    Shared(#[from] Arc<SourceError>),

    /// Whoever wanted the pages has gone.
    #[error("the listing was stopped")]
    Stopped,
}

impl SourceError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::List { source, .. } | Self::Fetch { source, .. } => source.hint(),
            Self::CutShort { .. } => Some(
                "narrow the selector's `apiQueryParams` (teams, statuses, dates) so that fewer objects are asked for at once",
            ),
            Self::Endless { .. } => Some(
                "see what answers at the API's address: something in between may give the same pages under ever new names",
            ),
            Self::Unseen { .. } => Some(
                "correct OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS, or give the key's owner access",
            ),
            Self::Shared(error) => error.hint(),
            Self::Restless { .. }
            | Self::Nameless { .. }
            | Self::Unplaced { .. }
            | Self::Stopped => None,
        }
    }
}

/// "the page `a`", "the pages `a`, `b`".
fn named(ids: &[String]) -> String {
    let pages = if ids.len() == 1 { "page" } else { "pages" };
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    format!("the {pages} {}", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_listing_that_does_not_end_is_broken_off() {
        let dataset = Dataset::new(
            "things".to_owned(),
            Vec::new(),
            Reading::whole(),
            |pages| async move {
                loop {
                    let batch = RawBatch {
                        objects: vec![json!({}); 100],
                        ..RawBatch::default()
                    };
                    pages.send(vec![batch]).await?;
                }
            },
        );
        let (pages, mut received) = Pages::channel(1);
        let listing = dataset.list(Pages { most: 250, ..pages });
        let counting = async {
            let mut count = 0;
            while received.recv().await.is_some() {
                count += 1;
            }
            count
        };

        let (listed, count) = tokio::join!(listing, counting);

        assert_eq!(
            listed.unwrap_err().to_string(),
            "things did not end: 300 objects were served, and there were more"
        );
        assert_eq!(count, 3);
    }
}
