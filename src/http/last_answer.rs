//! What an API last said beside its answer: the time, and what is left of a rate limit.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use super::headers::announced_date;
use super::{Announced, RateHeaders};

/// What came with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAnswer {
    /// By how much the API's clock is ahead of ours, where it shows it: to a second,
    /// and to the time that the answer took.
    pub clock_ahead: Option<SignedDuration>,
    /// What it announced of its rate limit.
    pub announced: Announced,
}

/// Remembers what came with the last answer.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<LastAnswer>>);

impl Memory {
    /// Takes in what just arrived.
    pub(super) fn take(&self, rate_headers: RateHeaders, headers: &HeaderMap) {
        let clock_ahead = announced_date(headers).map(|date| date.duration_since(Timestamp::now()));
        let answer = LastAnswer {
            clock_ahead,
            announced: rate_headers.announced(headers),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    pub(super) fn last(&self) -> Option<LastAnswer> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
