//! Lists an endpoint to its end, past the 10,000 objects that paging reaches.
//!
//! PagerDuty pages by offset and serves no object beyond the 10,000th. Where an
//! endpoint filters by time, more than that is read in windows, each halved
//! until it fits. What was read is compared with the API's own total. Fewer
//! objects than that, or a total that moved while pages were turned, mean that
//! objects may have slipped from one page to another unseen, so the pages are
//! turned again.
//!
//! Never does a listing end early and say nothing: that is [`SourceError::CutShort`].

use jiff::Timestamp;
use serde_json::Value;

use super::query::{Part, Range, Request, days_from, utc};
use crate::api::PagerdutyClient;
use crate::api::{ListPage, PAGE_SIZE};
use crate::source::SourceError;
use crate::source::reading::Reading;
use crate::source::seen::Seen;

/// `offset + limit` may not exceed this.
const REACH: u32 = 10_000;

/// Objects a page, as offsets count.
#[expect(clippy::cast_possible_truncation, reason = "it is a hundred")]
const PAGE: u32 = PAGE_SIZE as u32;

/// How often the pages of one range are turned when objects move meanwhile.
const TURNS: usize = 3;

/// The API refuses ranges of more than six months; this is less than any six.
const LONGEST_WINDOW_DAYS: i64 = 180;

/// Before PagerDuty there were no incidents.
const BEGINNING: &str = "2009-01-01T00:00:00Z";

/// Takes the pages of a listing.
pub(super) trait Receiver: Send {
    /// Takes a page. An error ends the listing.
    fn take(&mut self, objects: Vec<Value>)
    -> impl Future<Output = Result<(), SourceError>> + Send;
}

impl Receiver for Vec<Value> {
    async fn take(&mut self, mut objects: Vec<Value>) -> Result<(), SourceError> {
        self.append(&mut objects);
        Ok(())
    }
}

/// Lists all parts of `request` and gives each page to `receiver`.
pub(super) async fn run(
    client: &PagerdutyClient,
    request: &Request,
    reading: &Reading,
    receiver: &mut impl Receiver,
) -> Result<(), SourceError> {
    for part in &request.parts {
        let mut listing = Listing {
            client,
            request,
            reading,
            part,
            seen: Seen::of(reading),
        };
        listing.run(receiver).await?;
    }
    Ok(())
}

struct Listing<'a> {
    client: &'a PagerdutyClient,
    request: &'a Request,
    reading: &'a Reading,
    part: &'a Part,
    seen: Seen,
}

/// How the pages of one range came out.
enum Pages {
    /// Read to the end.
    Complete,
    /// There are more than paging reaches.
    TooMany { total: u64 },
}

impl Listing<'_> {
    async fn run(&mut self, receiver: &mut impl Receiver) -> Result<(), SourceError> {
        match self.part.range {
            Range::Between(since, until) => self.windows(since, until, receiver).await,
            Range::All => match self.pages(Range::All, receiver).await? {
                Pages::Complete => Ok(()),
                Pages::TooMany { total } => self.history(total, receiver).await,
            },
            // Only incidents and log entries can be asked for by their time.
            Range::Unspecified => match self.pages(Range::Unspecified, receiver).await? {
                Pages::Complete => Ok(()),
                Pages::TooMany { total } => match self.request.endpoint.as_str() {
                    // Unasked, the API gives the last month of incidents; asked
                    // for by its dates, that month can be halved.
                    "incidents" => {
                        let now = Timestamp::now();
                        self.windows(days_from(now, -31), now, receiver).await
                    }
                    "log_entries" => self.history(total, receiver).await,
                    _ => Err(self.cut_short(u64::from(REACH), Some(total))),
                },
            },
        }
    }

    /// Everything there ever was, window by window into the past, until the
    /// API's total is reached.
    async fn history(
        &mut self,
        total: u64,
        receiver: &mut impl Receiver,
    ) -> Result<(), SourceError> {
        let beginning: Timestamp = BEGINNING.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let mut until = days_from(Timestamp::now(), 1);
        // To the very beginning: the total says how many there were, not which,
        // so new objects must not make up for old ones that were not read yet.
        while until > beginning {
            let since = days_from(until, -LONGEST_WINDOW_DAYS).max(beginning);
            self.window(since, until, receiver).await?;
            until = since;
        }
        // Incidents resolved meanwhile are no longer served as open: the total
        // is asked for again before fewer are called too few.
        if self.seen.len() < total {
            let total = self.total(self.part.range).await?.unwrap_or(total);
            if self.seen.len() < total {
                return Err(self.cut_short(self.seen.len(), Some(total)));
            }
        }
        Ok(())
    }

    async fn windows(
        &mut self,
        since: Timestamp,
        until: Timestamp,
        receiver: &mut impl Receiver,
    ) -> Result<(), SourceError> {
        let mut from = since;
        while from < until {
            let to = days_from(from, LONGEST_WINDOW_DAYS).min(until);
            self.window(from, to, receiver).await?;
            from = to;
        }
        Ok(())
    }

    /// One window of at most six months, halved until it can be paged.
    async fn window(
        &mut self,
        since: Timestamp,
        until: Timestamp,
        receiver: &mut impl Receiver,
    ) -> Result<(), SourceError> {
        let mut waiting = vec![(since, until)];
        while let Some((since, until)) = waiting.pop() {
            match self.pages(Range::Between(since, until), receiver).await? {
                Pages::Complete => {}
                Pages::TooMany { total } => {
                    let seconds = until.as_second() - since.as_second();
                    let middle = Timestamp::from_second(since.as_second() + seconds / 2)
                        .ok()
                        .filter(|middle| since < *middle && *middle < until);
                    let Some(middle) = middle else {
                        return Err(self.cut_short(u64::from(REACH), Some(total)));
                    };
                    waiting.push((since, middle));
                    waiting.push((middle, until));
                }
            }
        }
        Ok(())
    }

    /// Turns the pages of one range, once more if objects moved meanwhile or
    /// fewer were served than the API says there are.
    async fn pages(
        &mut self,
        range: Range,
        receiver: &mut impl Receiver,
    ) -> Result<Pages, SourceError> {
        let mut in_range = Seen::default();
        let mut expected = None;
        let mut missing = None;
        for _ in 0..TURNS {
            let mut offset = 0;
            // Objects without an id cannot be told from their likes.
            let mut nameless = 0;
            let at_the_end = loop {
                let is_last = expected.is_some_and(|total| u64::from(offset + PAGE) >= total);
                let page = self.page(range, offset, offset == 0 || is_last).await?;
                if offset == 0 {
                    expected = page.total;
                    if let Some(total) = page.total.filter(|total| *total > u64::from(REACH)) {
                        return Ok(Pages::TooMany { total });
                    }
                }
                let served = u32::try_from(page.objects.len()).unwrap_or(PAGE);
                for object in &page.objects {
                    if object.get("id").is_some_and(Value::is_string) {
                        in_range.insert(object);
                    } else {
                        nameless += 1;
                    }
                }
                self.deliver(page.objects, receiver).await?;
                if !page.more {
                    break page.total;
                }
                // An endpoint may serve fewer a page than it was asked for.
                offset += if served == 0 { PAGE } else { served.min(PAGE) };
                if offset + PAGE > REACH {
                    // It has grown since; what was delivered is not lost.
                    let total = expected.unwrap_or_default().max(u64::from(REACH) + 1);
                    return Ok(Pages::TooMany { total });
                }
            };
            let found = in_range.len() + nameless;
            let is_whole = expected.is_none_or(|total| found >= total);
            if is_whole && at_the_end == expected {
                return Ok(Pages::Complete);
            }
            tracing::debug!(
                endpoint = %self.request.endpoint,
                "The total moved from {expected:?} to {at_the_end:?} while pages were turned, and {found} objects were served; turning them again"
            );
            missing = (!is_whole).then_some(found);
        }
        // Where something always moves, having seen as many as there are has to do.
        match missing {
            Some(found) => Err(self.cut_short(found, expected)),
            None => Ok(Pages::Complete),
        }
    }

    async fn deliver(
        &mut self,
        mut objects: Vec<Value>,
        receiver: &mut impl Receiver,
    ) -> Result<(), SourceError> {
        objects.retain(|object| self.seen.insert(object));
        if objects.is_empty() {
            return Ok(());
        }
        receiver.take(objects).await
    }

    async fn total(&self, range: Range) -> Result<Option<u64>, SourceError> {
        Ok(self.page(range, 0, true).await?.total)
    }

    async fn page(
        &self,
        range: Range,
        offset: u32,
        with_total: bool,
    ) -> Result<ListPage, SourceError> {
        let mut query = self.part.query.clone();
        match range {
            Range::Unspecified => {}
            Range::All => query.push(("date_range".to_owned(), "all".to_owned())),
            Range::Between(since, until) => {
                query.push(("since".to_owned(), utc(since)));
                query.push(("until".to_owned(), utc(until)));
            }
        }
        self.client
            .list(
                &self.request.endpoint,
                &query,
                offset,
                with_total,
                self.reading.next(),
            )
            .await
            .map_err(|source| SourceError::List {
                what: format!("{} from offset {offset}", self.request),
                source,
            })
    }

    fn cut_short(&self, served: u64, total: Option<u64>) -> SourceError {
        SourceError::CutShort {
            what: format!("the list of {}", self.request),
            served,
            total,
        }
    }
}
