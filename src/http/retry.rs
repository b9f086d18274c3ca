//! Whether a request that went wrong is sent again, and when.
//!
//! [`decide`] is pure: chance is an argument and time is a sum, so a table
//! tests it. Two questions decide. Could the request have had an effect? Then
//! only a request that is safe to repeat is repeated; one that a rate limit
//! turned away, or that never reached the server, had none and may always be
//! sent again. And is the budget (attempts, and the sum of all waits) used up?
//! Then the caller hears what came back last.

use std::time::Duration;

/// How much patience a request deserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often the request is sent at most, the first time included.
    pub attempts: u32,
    /// The most that may be waited in all, for answers that did not help and
    /// between them. Waiting one's turn in a pacer is not counted: that is
    /// throughput, not failure.
    pub total_wait: Duration,
    /// Upper bound of the first wait; it doubles with each further one.
    pub first_wait: Duration,
    /// The same for a rate limit that does not say how long it lasts: minutes
    /// are counted there, so asking again within a second only costs attempts.
    pub first_rate_limit_wait: Duration,
    /// What the doubling stops at.
    pub longest_wait: Duration,
    /// The same for such a rate limit.
    pub longest_rate_limit_wait: Duration,
    /// The longest wait that a server may ask for. More than this is an error
    /// that says when to come back.
    pub longest_ordered_wait: Duration,
}

impl RetryPolicy {
    /// For whoever only wants to know whether there is an answer.
    pub const ONCE: Self = Self {
        attempts: 1,
        total_wait: Duration::ZERO,
        first_wait: Duration::ZERO,
        first_rate_limit_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
        longest_rate_limit_wait: Duration::ZERO,
        longest_ordered_wait: Duration::ZERO,
    };

    /// For what a resync cannot do without: rides out a vendor's restart. Twelve
    /// attempts, since with full jitter ten may be used up within half a minute.
    pub const STANDARD: Self = Self {
        attempts: 12,
        total_wait: Duration::from_mins(10),
        first_wait: Duration::from_millis(300),
        first_rate_limit_wait: Duration::from_secs(2),
        longest_wait: Duration::from_secs(30),
        longest_rate_limit_wait: Duration::from_secs(30),
        longest_ordered_wait: Duration::from_mins(5),
    };

    /// For the first request to a service: somebody may be waiting to be told
    /// that an address or a credential is wrong. A rate limit is no such news:
    /// a run right after another finds the minute used up, and waits it out.
    pub const START: Self = Self {
        attempts: 5,
        total_wait: Duration::from_mins(3),
        first_wait: Duration::from_millis(300),
        first_rate_limit_wait: Duration::from_secs(15),
        longest_wait: Duration::from_secs(5),
        longest_rate_limit_wait: Duration::from_secs(40),
        longest_ordered_wait: Duration::from_mins(1),
    };

    /// For what only enriches an object: not worth holding the object back.
    pub const ENRICHMENT: Self = Self {
        attempts: 4,
        total_wait: Duration::from_mins(1),
        first_wait: Duration::from_millis(300),
        first_rate_limit_wait: Duration::from_secs(2),
        longest_wait: Duration::from_secs(5),
        longest_rate_limit_wait: Duration::from_secs(5),
        longest_ordered_wait: Duration::from_mins(1),
    };

    /// For what publishes something: about two minutes. Long enough for a
    /// minute's rate limit that somebody else has used up; not longer, since
    /// what is to be published was decided on what was seen before, and it is
    /// better to look again and decide anew than to publish old news.
    pub const WRITE: Self = Self {
        attempts: 8,
        total_wait: Duration::from_mins(2),
        first_wait: Duration::from_millis(300),
        first_rate_limit_wait: Duration::from_secs(5),
        longest_wait: Duration::from_secs(20),
        longest_rate_limit_wait: Duration::from_secs(40),
        longest_ordered_wait: Duration::from_mins(1),
    };
}

/// What an attempt came to, when it did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer other than 2xx.
    Status(u16),
    /// No connection came about: name not found, refused, proxy down.
    NotConnected,
    /// The other side's certificate is not trusted. Asking again changes nothing.
    NotTrusted,
    /// The connection was lost after the request may have been read.
    Interrupted,
    /// The deadline passed after the request may have been read.
    TimedOut,
    /// A 2xx whose body was cut short or is not JSON.
    UnusableBody,
    /// A 2xx whose body is larger than accepted.
    TooLarge,
}

impl Outcome {
    /// Whether a rate limit turned the request away.
    pub(crate) const fn is_rate_limit(self) -> bool {
        // 420 is Statuspage's.
        matches!(self, Self::Status(420 | 429))
    }

    /// Whether the answer would be the same again.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self.effect(), Effect::Final)
    }

    const fn effect(self) -> Effect {
        match self {
            Self::Status(420 | 429) | Self::NotConnected => Effect::None,
            Self::Status(408 | 500 | 502 | 503 | 504)
            | Self::Interrupted
            | Self::TimedOut
            | Self::UnusableBody => Effect::Unknown,
            Self::Status(_) | Self::NotTrusted | Self::TooLarge => Effect::Final,
        }
    }
}

enum Effect {
    /// The request changed nothing.
    None,
    /// The request may have changed something.
    Unknown,
    /// The answer would be the same again.
    Final,
}

/// An attempt that did not succeed, with what matters for sending it again.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) outcome: Outcome,
    /// Whether sending the request twice does no harm.
    pub(crate) repeatable: bool,
    /// How often it was sent, this time included.
    pub(crate) attempt: u32,
    /// What has been waited so far, for answers and between them.
    pub(crate) waited: Duration,
    /// How long the server asked to be left alone.
    pub(crate) ordered: Option<Duration>,
    /// A daily quota is used up: waiting within reason is no use.
    pub(crate) quota_spent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryAfter(Duration),
    GiveUp,
}

/// Whether to send the request again. `chance` is drawn from `0.0..1.0`.
pub(crate) fn decide(policy: &RetryPolicy, failed: &Failed, chance: f64) -> Decision {
    let may_repeat = match failed.outcome.effect() {
        Effect::None => true,
        Effect::Unknown => failed.repeatable,
        Effect::Final => false,
    };
    if !may_repeat || failed.quota_spent || failed.attempt >= policy.attempts {
        return Decision::GiveUp;
    }

    let wait = match failed.ordered {
        Some(ordered) if ordered > policy.longest_ordered_wait => return Decision::GiveUp,
        Some(ordered) if !ordered.is_zero() => ordered,
        // "At once" from a server that just refused is no advice to follow.
        _ => backoff(policy, failed, chance),
    };
    if failed.waited + wait > policy.total_wait {
        return Decision::GiveUp;
    }
    Decision::RetryAfter(wait)
}

/// Exponential with full jitter: programs that failed together do not come
/// back together. After a rate limit only half of it is left to chance, since
/// a wait of next to nothing is sure to be refused again.
fn backoff(policy: &RetryPolicy, failed: &Failed, chance: f64) -> Duration {
    let is_rate_limit = failed.outcome.is_rate_limit();
    let (first, longest) = if is_rate_limit {
        (policy.first_rate_limit_wait, policy.longest_rate_limit_wait)
    } else {
        (policy.first_wait, policy.longest_wait)
    };
    let doublings = failed.attempt.saturating_sub(1).min(31);
    let bound = first.saturating_mul(1 << doublings).min(longest);
    let share = chance.clamp(0.0, 1.0);
    bound.mul_f64(if is_rate_limit {
        f64::midpoint(1.0, share)
    } else {
        share
    })
}

#[cfg(test)]
mod tests {
    use super::Outcome::{
        Interrupted, NotConnected, NotTrusted, Status, TimedOut, TooLarge, UnusableBody,
    };
    use super::*;

    fn failed(outcome: Outcome) -> Failed {
        Failed {
            outcome,
            repeatable: true,
            attempt: 1,
            waited: Duration::ZERO,
            ordered: None,
            quota_spent: false,
        }
    }

    fn is_repeated(failed: &Failed) -> bool {
        decide(&RetryPolicy::STANDARD, failed, 0.5) != Decision::GiveUp
    }

    #[test]
    fn what_is_repeated_depends_on_the_outcome_and_on_whether_repeating_is_safe() {
        // (outcome, repeated when safe to repeat, repeated when not)
        let table = [
            (Status(420), true, true),
            (Status(429), true, true),
            (NotConnected, true, true),
            (Status(408), true, false),
            (Status(500), true, false),
            (Status(502), true, false),
            (Status(503), true, false),
            (Status(504), true, false),
            (Interrupted, true, false),
            (TimedOut, true, false),
            (UnusableBody, true, false),
            (Status(301), false, false),
            (Status(400), false, false),
            (Status(401), false, false),
            (Status(402), false, false),
            (Status(403), false, false),
            (Status(404), false, false),
            (Status(409), false, false),
            (Status(413), false, false),
            (Status(422), false, false),
            (Status(501), false, false),
            (NotTrusted, false, false),
            (TooLarge, false, false),
        ];
        for (outcome, safe, unsafe_) in table {
            let safely = failed(outcome);
            let unsafely = Failed {
                repeatable: false,
                ..failed(outcome)
            };
            assert_eq!(is_repeated(&safely), safe, "{outcome:?}, safe to repeat");
            assert_eq!(
                is_repeated(&unsafely),
                unsafe_,
                "{outcome:?}, not safe to repeat"
            );
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_chance_decides_how_much_of_it() {
        let table = [
            (1, 1.0, 300),
            (1, 0.5, 150),
            (1, 0.0, 0),
            (2, 1.0, 600),
            (5, 1.0, 4_800),
            (7, 1.0, 19_200),
            (8, 1.0, 30_000),
            (9, 1.0, 30_000),
        ];
        for (attempt, chance, milliseconds) in table {
            let failed = Failed {
                attempt,
                ..failed(Status(503))
            };
            assert_eq!(
                decide(&RetryPolicy::STANDARD, &failed, chance),
                Decision::RetryAfter(Duration::from_millis(milliseconds)),
                "attempt {attempt}, chance {chance}",
            );
        }
    }

    #[test]
    fn a_rate_limit_that_does_not_say_how_long_is_given_more_time() {
        assert_eq!(
            decide(&RetryPolicy::STANDARD, &failed(Status(420)), 1.0),
            Decision::RetryAfter(Duration::from_secs(2)),
        );
    }

    #[test]
    fn a_used_up_minute_is_waited_out_whatever_chance_says() {
        for policy in [
            RetryPolicy::STANDARD,
            RetryPolicy::START,
            RetryPolicy::WRITE,
        ] {
            let mut failed = failed(Status(420));
            while let Decision::RetryAfter(wait) = decide(&policy, &failed, 0.0) {
                failed.attempt += 1;
                failed.waited += wait;
            }
            assert!(failed.waited > Duration::from_mins(1), "{policy:?}");
        }
    }

    #[test]
    fn what_is_to_be_published_is_old_news_after_two_minutes() {
        for (outcome, chance) in [(Status(420), 1.0), (Status(420), 0.0), (NotConnected, 1.0)] {
            let mut failed = failed(outcome);
            while let Decision::RetryAfter(wait) = decide(&RetryPolicy::WRITE, &failed, chance) {
                failed.attempt += 1;
                failed.waited += wait;
            }
            assert!(failed.waited <= Duration::from_mins(2), "{outcome:?}");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_to_the_second_whatever_chance_says() {
        for status in [420, 429, 503] {
            let failed = Failed {
                ordered: Some(Duration::from_secs(42)),
                ..failed(Status(status))
            };
            assert_eq!(
                decide(&RetryPolicy::STANDARD, &failed, 0.1),
                Decision::RetryAfter(Duration::from_secs(42)),
            );
        }
    }

    #[test]
    fn an_order_to_come_back_at_once_still_backs_off() {
        let failed = Failed {
            ordered: Some(Duration::ZERO),
            ..failed(Status(503))
        };
        assert_eq!(
            decide(&RetryPolicy::STANDARD, &failed, 1.0),
            Decision::RetryAfter(Duration::from_millis(300)),
        );
    }

    #[test]
    fn a_wait_longer_than_the_cap_is_not_waited() {
        let longest = RetryPolicy::STANDARD.longest_ordered_wait;
        let at_the_cap = Failed {
            ordered: Some(longest),
            ..failed(Status(429))
        };
        let beyond = Failed {
            ordered: Some(longest + Duration::from_secs(1)),
            ..failed(Status(429))
        };
        assert!(is_repeated(&at_the_cap));
        assert!(!is_repeated(&beyond));
    }

    #[test]
    fn a_spent_quota_is_not_waited_for() {
        let failed = Failed {
            quota_spent: true,
            ..failed(Status(429))
        };
        assert!(!is_repeated(&failed));
    }

    #[test]
    fn both_budgets_end() {
        let last = Failed {
            attempt: RetryPolicy::STANDARD.attempts,
            ..failed(Status(503))
        };
        assert!(!is_repeated(&last));

        let long = Failed {
            waited: RetryPolicy::STANDARD.total_wait,
            ..failed(Status(503))
        };
        assert!(!is_repeated(&long));
    }

    #[test]
    fn enrichment_gives_up_within_its_smaller_budget() {
        let mut attempt = 1;
        let mut waited = Duration::ZERO;
        while let Decision::RetryAfter(wait) = decide(
            &RetryPolicy::ENRICHMENT,
            &Failed {
                attempt,
                waited,
                ..failed(Status(500))
            },
            1.0,
        ) {
            attempt += 1;
            waited += wait;
        }
        assert_eq!(attempt, 4);
        assert!(waited <= Duration::from_secs(3), "{waited:?}");
    }
}
