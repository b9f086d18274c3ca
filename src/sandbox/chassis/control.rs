//! What a test does with a simulator beside looking at its data: reading the
//! log, scripting faults, stating expectations.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Answer, Matcher, RateLimit, RecordedRequest, Request, Shared, Simulator, World, lock};

/// How often a test expects a request.
pub(super) struct Expectation {
    matcher: Matcher,
    at_least: usize,
    at_most: usize,
    what: String,
}

impl<W: World> Shared<W> {
    pub(super) fn is_forbidden(&self, request: &Request) -> bool {
        lock(&self.expectations)
            .iter()
            .any(|expectation| expectation.at_most == 0 && expectation.matcher.matches(request))
    }
}

impl<W: World> Simulator<W> {
    /// Every request since the log was last cleared, in the order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.log).all().cloned().collect()
    }

    /// The requests that match, in the order of arrival.
    pub fn requests_to(&self, matcher: &Matcher) -> Vec<RecordedRequest> {
        lock(&self.shared.log)
            .all()
            .filter(|request| matcher.matches_recorded(request))
            .cloned()
            .collect()
    }

    /// How many requests match.
    pub fn requested(&self, matcher: &Matcher) -> usize {
        lock(&self.shared.log)
            .all()
            .filter(|request| matcher.matches_recorded(request))
            .count()
    }

    pub fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }

    /// Requests that the vendor has no route for, or that a test forbade.
    pub fn unexpected(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.log)
            .all()
            .filter(|request| request.unexpected)
            .cloned()
            .collect()
    }

    /// The next `times` requests that match get this answer. Faults asked for
    /// earlier are used up first.
    pub fn fault(&self, matcher: Matcher, answer: Answer, times: usize) {
        lock(&self.shared.script).add(matcher, answer, times);
    }

    /// Forgets the scripted faults that are left.
    pub fn clear_faults(&self) {
        lock(&self.shared.script).clear();
    }

    /// Sprinkles faults over everything, the same for the same seed; `None` ends it.
    pub fn random_faults(&self, seed: Option<u64>) {
        lock(&self.shared.random).set(seed);
    }

    /// Every answer is delayed by so much.
    pub fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.shared.latency_micros.store(micros, Ordering::Relaxed);
    }

    /// The rate limit as it is.
    pub fn rate_limit(&self) -> RateLimit {
        lock(&self.shared.limiter).limit()
    }

    /// Applies this limit from now on; what was counted so far is forgotten.
    pub fn set_rate_limit(&self, limit: RateLimit) {
        lock(&self.shared.limiter).set(limit);
    }

    /// Refuses what exceeds the vendor's usual limit, or stops doing so.
    pub fn enforce_rate_limit(&self, enforced: bool) {
        let limit = RateLimit {
            enforced,
            ..self.rate_limit()
        };
        self.set_rate_limit(limit);
    }

    /// Expects exactly so many requests that match; see [`Simulator::unmet`].
    pub fn expect(&self, matcher: Matcher, times: usize) {
        self.expect_between(matcher, times, times);
    }

    /// Expects so many requests that match.
    pub fn expect_between(&self, matcher: Matcher, at_least: usize, at_most: usize) {
        let what = format!("{matcher:?}");
        lock(&self.shared.expectations).push(Expectation {
            matcher,
            at_least,
            at_most,
            what,
        });
    }

    /// From now on a request that matches counts as unexpected; it is answered all the same.
    pub fn forbid(&self, matcher: Matcher) {
        self.expect_between(matcher, 0, 0);
    }

    /// Expectations that the log, as it is now, does not meet: one sentence each.
    pub fn unmet(&self) -> Vec<String> {
        let log = lock(&self.shared.log);
        lock(&self.shared.expectations)
            .iter()
            .filter_map(|expectation| {
                let seen = log
                    .all()
                    .filter(|request| expectation.matcher.matches_recorded(request))
                    .count();
                let Expectation {
                    at_least,
                    at_most,
                    what,
                    ..
                } = expectation;
                (seen < *at_least || seen > *at_most).then(|| {
                    format!(
                        "{}: {seen} requests, expected {at_least} to {at_most}: {what}",
                        W::NAME
                    )
                })
            })
            .collect()
    }

    /// Everything that a well-behaved client would not have caused: requests
    /// without a route, forbidden ones and unmet expectations, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let unexpected = self.unexpected().into_iter().map(|request| {
            format!(
                "{}: unexpected {} {}",
                W::NAME,
                request.method,
                request.path
            )
        });
        unexpected.chain(self.unmet()).collect()
    }
}
