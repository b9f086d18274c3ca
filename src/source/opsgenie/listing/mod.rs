//! Lists to the end, past the 20,000 objects that paging reaches.
//!
//! Opsgenie pages by offset and serves no alert, incident or service beyond the
//! 20,000th. More alerts or incidents than that are read in windows of their
//! time of creation, each halved until it fits. A window begins with the very
//! millisecond before which the one below it ends, and the outermost are open,
//! so that no object falls between two, whatever our clock says.
//!
//! What was read is compared with the API's own count, where it has one. Fewer
//! objects mean that some slipped from one page to another unseen, so the pages
//! are turned again.
//!
//! Never does a listing end early and say nothing: that is [`SourceError::CutShort`].

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::query::Request;
use crate::api::{
    ApiError, OpsgenieClient, OpsgenieList, OpsgeniePage, OpsgenieQuery, PAGE_SIZE, Worth,
};
use crate::source::SourceError;
use crate::source::reading::Reading;
use crate::source::seen::Seen;

/// Objects a page, as offsets count.
#[expect(clippy::cast_possible_truncation, reason = "it is a hundred")]
const PAGE: u32 = PAGE_SIZE as u32;

/// How often the pages of one window are turned when objects move meanwhile.
const TURNS: usize = 3;

/// Pages of a list that paging reaches the end of: a million objects, more than anybody
/// has. Nothing else ends one of which there is always another page.
const MOST_PAGES: usize = 10_000;

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

/// Lists `request` to its end and gives each page to `receiver`.
pub(super) async fn run(
    client: &OpsgenieClient,
    request: &Request,
    worth: Worth,
    reading: &Reading,
    receiver: &mut impl Receiver,
) -> Result<(), SourceError> {
    let mut listing = Listing {
        client,
        request,
        worth,
        reading,
        most_pages: MOST_PAGES,
        seen: Seen::of(reading),
    };
    listing.run(receiver).await
}

struct Listing<'a> {
    client: &'a OpsgenieClient,
    request: &'a Request,
    worth: Worth,
    reading: &'a Reading,
    most_pages: usize,
    /// Everything that was delivered.
    seen: Seen,
}

/// How the pages of one window came out.
enum Pages {
    /// Read to the end.
    Complete,
    /// There are more than paging reaches.
    TooMany,
}

/// Times of creation in milliseconds, the second one excluded.
#[derive(Clone, Copy)]
struct Window {
    since: i64,
    until: i64,
}

impl Window {
    fn halves(self) -> Option<[Self; 2]> {
        let middle = self.since + (self.until - self.since) / 2;
        let is_between = self.since < middle && middle < self.until;
        is_between.then_some([
            Self {
                until: middle,
                ..self
            },
            Self {
                since: middle,
                ..self
            },
        ])
    }
}

impl Listing<'_> {
    async fn run(&mut self, receiver: &mut impl Receiver) -> Result<(), SourceError> {
        match self.pages(&self.request.query, None, receiver).await? {
            Pages::Complete => Ok(()),
            Pages::TooMany if self.request.list.is_searched() => self.windows(receiver).await,
            Pages::TooMany => Err(self.cut_short(self.seen.len(), None)),
        }
    }

    /// Everything there ever was, window by window.
    async fn windows(&mut self, receiver: &mut impl Receiver) -> Result<(), SourceError> {
        let tomorrow = Timestamp::now().saturating_add(SignedDuration::from_hours(24));
        let all = Window {
            since: 0,
            until: tomorrow.unwrap_or(Timestamp::MAX).as_millisecond(),
        };
        let before = self.count(&self.request.query).await?;
        // It has been found not to fit. The oldest is read first, so that the
        // objects keep their order, and what is created meanwhile is still to come.
        let mut waiting: Vec<Window> = all.halves().into_iter().flatten().rev().collect();
        while let Some(window) = waiting.pop() {
            let query = self.request.query.created_within(
                (window.since > all.since).then_some(window.since),
                (window.until < all.until).then_some(window.until),
            );
            match self.pages(&query, Some(window), receiver).await? {
                Pages::Complete => {}
                Pages::TooMany => match window.halves() {
                    Some(halves) => waiting.extend(halves.into_iter().rev()),
                    None => return Err(self.cut_short(self.seen.len(), None)),
                },
            }
        }
        // What came or went during so many pages is no sign of a gap.
        let after = self.count(&self.request.query).await?;
        match before.min(after) {
            Some(count) if self.seen.len() < count => {
                Err(self.cut_short(self.seen.len(), Some(count)))
            }
            _ => Ok(()),
        }
    }

    /// Turns the pages of one window, or of the whole list, once more if fewer
    /// objects were served than the API counts.
    async fn pages(
        &mut self,
        query: &OpsgenieQuery,
        window: Option<Window>,
        receiver: &mut impl Receiver,
    ) -> Result<Pages, SourceError> {
        let mut in_window = Seen::of(self.reading);
        let mut before = None;
        let mut after = None;
        for turn in 0..TURNS {
            let first = self.page(query, 0).await?;
            if turn == 0 && is_all_there_is(&first) {
                // What came in one piece has not moved.
                self.deliver(first.objects, receiver).await?;
                return Ok(Pages::Complete);
            }
            before = match after {
                Some(count) => Some(count),
                None => self.count_of(query, &first).await?,
            };
            if self.is_too_many(query, window, before).await? {
                return Ok(Pages::TooMany);
            }
            let mut page = first;
            let mut visited = HashSet::new();
            let mut last_total = page.total;
            let mut offset = 0;
            loop {
                for object in &page.objects {
                    in_window.insert(object);
                }
                let is_full = page.objects.len() >= PAGE_SIZE;
                self.deliver(page.objects, receiver).await?;
                offset += PAGE;
                // At the end of paging's reach, that no page is next says nothing.
                let may_go_on = page.next.is_some() || (is_full && before.is_none());
                if may_go_on && self.is_beyond_reach(offset) {
                    // It has grown since; what was delivered is not lost.
                    return Ok(Pages::TooMany);
                }
                let Some(next) = page.next else { break };
                page = self
                    .client
                    .next_page(self.request.list, &next, self.worth, self.reading.next())
                    .await
                    .map_err(|source| self.failed(offset, source))?;
                // Following either could go on for ever.
                let is_circle = !visited.insert(next);
                if is_circle || (page.objects.is_empty() && page.next.is_some()) {
                    return Err(self.cut_short(self.seen.len(), None));
                }
                if visited.len() >= self.most_pages {
                    return Err(self.endless());
                }
                last_total = page.total.or(last_total);
            }
            after = match last_total {
                Some(total) => Some(total),
                None => self.count(query).await?,
            };
            let expected = before.max(after).unwrap_or_default();
            if in_window.len() >= expected {
                return Ok(Pages::Complete);
            }
            tracing::debug!(
                list = self.request.list.as_str(),
                "{} objects were served of {expected}; turning the pages again",
                in_window.len()
            );
        }
        // Where something always moves, having seen as many as there are has to do.
        let expected = after.or(before).unwrap_or_default();
        if in_window.len() >= expected {
            return Ok(Pages::Complete);
        }
        Err(self.cut_short(in_window.len(), Some(expected)))
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

    async fn page(&self, query: &OpsgenieQuery, offset: u32) -> Result<OpsgeniePage, SourceError> {
        self.client
            .page(
                self.request.list,
                query,
                offset,
                self.worth,
                self.reading.next(),
            )
            .await
            .map_err(|source| self.failed(offset, source))
    }

    /// How many objects there are, where the API says: users beside every
    /// page, alerts when asked.
    async fn count_of(
        &self,
        query: &OpsgenieQuery,
        page: &OpsgeniePage,
    ) -> Result<Option<u64>, SourceError> {
        match page.total {
            Some(total) => Ok(Some(total)),
            None => self.count(query).await,
        }
    }

    async fn count(&self, query: &OpsgenieQuery) -> Result<Option<u64>, SourceError> {
        if self.request.list != OpsgenieList::Alerts {
            return Ok(None);
        }
        self.client
            .count_alerts(query, self.worth)
            .await
            .map(Some)
            .map_err(|source| SourceError::List {
                what: format!("the number of {}", self.request),
                source,
            })
    }

    /// Whether paging is known not to reach the end. Where nobody counts, the
    /// last page that is served shows it, which is only asked for once a list
    /// was found to be that long.
    async fn is_too_many(
        &self,
        query: &OpsgenieQuery,
        window: Option<Window>,
        count: Option<u64>,
    ) -> Result<bool, SourceError> {
        match (self.request.list.reach(), count, window) {
            (None, _, _) | (Some(_), None, None) => Ok(false),
            (Some(reach), Some(count), _) => Ok(count > u64::from(reach)),
            (Some(reach), None, Some(_)) => {
                let last = self.page(query, reach - PAGE).await?;
                Ok(last.next.is_some() || last.objects.len() >= PAGE_SIZE)
            }
        }
    }

    fn is_beyond_reach(&self, offset: u32) -> bool {
        let reach = self.request.list.reach();
        reach.is_some_and(|reach| offset + PAGE > reach)
    }

    fn failed(&self, offset: u32, source: ApiError) -> SourceError {
        SourceError::List {
            what: format!("{} from offset {offset}", self.request),
            source,
        }
    }

    fn endless(&self) -> SourceError {
        SourceError::Endless {
            what: format!("the list of {}", self.request),
            served: self.seen.len(),
        }
    }

    fn cut_short(&self, served: u64, total: Option<u64>) -> SourceError {
        SourceError::CutShort {
            what: format!("the list of {}", self.request),
            served,
            total,
        }
    }
}

/// Whether nothing speaks against a page being the whole list.
fn is_all_there_is(page: &OpsgeniePage) -> bool {
    let served = page.objects.len() as u64;
    page.next.is_none() && page.total.is_none_or(|total| total <= served)
}

#[cfg(test)]
mod tests;
