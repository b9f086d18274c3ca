//! When the next request of a key may start; pure but for the instants given.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::Announced;

/// What a rate limit counts over.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// A reset further away than this is not waited for in advance: the request is
/// sent, and its refusal says when to come back.
const LONGEST_HOLD: Duration = Duration::from_mins(5);
/// Below this share of the limit, what is left is spread over the time left.
const SPARE_SHARE: u64 = 10;

/// What the key has used, and what it was told.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests allowed in a window; none when the API tells us as we go.
    limit: Option<usize>,
    /// Requests sent and not answered.
    in_flight: usize,
    /// When the requests of the last window were answered, oldest first.
    answered: VecDeque<Instant>,
    held_until: Option<Instant>,
    spacing: Option<Spacing>,
    last_start: Option<Instant>,
    /// Up to which instant waiting has been announced to the operator.
    announced_until: Option<Instant>,
}

/// Requests are to start this far apart until the API's window ends.
#[derive(Debug)]
struct Spacing {
    interval: Duration,
    until: Instant,
}

/// Whether the request at the head of the queue may start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    At(Instant),
    /// As soon as a request in flight has ended and its minute has passed.
    WhenAnswered,
}

impl State {
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self {
            limit: limit.map(|limit| usize::try_from(limit.max(1)).unwrap_or(usize::MAX)),
            ..Self::default()
        }
    }

    /// Two accounts with the same key keep to the stricter of their limits.
    pub(super) fn tighten(&mut self, limit: Option<u32>) {
        let other = Self::new(limit).limit;
        self.limit = match (self.limit, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        while self
            .answered
            .front()
            .is_some_and(|&answered| answered + WINDOW <= now)
        {
            self.answered.pop_front();
        }
        if let Some(held) = self.held_until.filter(|&held| held > now) {
            return Turn::At(held);
        }
        if let (Some(spacing), Some(last)) = (&self.spacing, self.last_start)
            && now < spacing.until
        {
            let next = (last + spacing.interval).min(spacing.until);
            if next > now {
                return Turn::At(next);
            }
        }
        if self
            .limit
            .is_some_and(|limit| self.in_flight + self.answered.len() >= limit)
        {
            return match self.answered.front() {
                Some(&oldest) => Turn::At(oldest + WINDOW),
                None => Turn::WhenAnswered,
            };
        }
        Turn::Now
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.in_flight += 1;
        self.last_start = Some(now);
    }

    /// The server may have counted the request at any time up to now.
    pub(super) fn end(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.limit.is_some() {
            self.answered.push_back(now);
        }
    }

    /// Nothing starts for this long.
    pub(super) fn hold(&mut self, now: Instant, wait: Duration) {
        let until = now + wait;
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// Takes in what a reply said about the rate limit.
    pub(super) fn observe(&mut self, now: Instant, announced: Announced) {
        let (Some(remaining), Some(reset)) = (announced.remaining, announced.reset) else {
            return;
        };
        if reset > LONGEST_HOLD {
            return;
        }
        if remaining == 0 {
            // A reset of 0 has been rounded down.
            self.hold(now, reset.max(Duration::from_secs(1)));
            return;
        }
        let Some(limit) = announced.limit else { return };
        if remaining.saturating_mul(SPARE_SHARE) >= limit {
            self.spacing = None;
            return;
        }
        // Those under way may not have been counted yet.
        let left = remaining.saturating_sub(u64::try_from(self.in_flight).unwrap_or(u64::MAX));
        match u32::try_from(left) {
            Ok(0) => self.hold(now, reset.max(Duration::from_secs(1))),
            Ok(left) => {
                self.spacing = Some(Spacing {
                    interval: reset / left,
                    until: now + reset,
                });
            }
            Err(_) => self.spacing = None,
        }
    }

    /// Whether waiting until `until` is news worth a line: long, and not
    /// already announced.
    pub(super) fn announce(&mut self, now: Instant, until: Instant, threshold: Duration) -> bool {
        let known = self
            .announced_until
            .is_some_and(|announced| until <= announced + threshold);
        if known || until.duration_since(now) <= threshold {
            return false;
        }
        self.announced_until = Some(until);
        true
    }

    /// Whether a pacer that nobody uses can be forgotten without forgetting
    /// what the server still counts.
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
        self.turn(now) == Turn::Now && self.in_flight == 0 && self.answered.is_empty()
    }
}
