//! What response headers say about rate limits.
//!
//! Everything here is lenient: a header that cannot be read is a header that
//! was not sent, since the worst that follows is an ordinary backoff.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// A number up to this is a count of seconds, a larger one an epoch time.
const LARGEST_COUNT_OF_SECONDS: i64 = 10_000;

/// Which headers an API announces its rate limit in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// None but `Retry-After`.
    RetryAfter,
    /// `ratelimit-limit`, `-remaining` and `-reset`, the last in seconds from now.
    RateLimit,
    /// `x-ratelimit-limit`, `-remaining` and `-reset`, the last as epoch seconds.
    XRateLimit,
    /// `x-ratelimit-state`, `OK` or `THROTTLED`, and `-period-in-sec`: for how
    /// long it may stay so.
    XRateLimitState,
}

/// A rate limit's state, as announced with a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Requests allowed in a period.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: Option<u64>,
    /// Until the next period begins.
    pub reset: Option<Duration>,
}

impl RateHeaders {
    /// The rate limit's state, as far as it was announced.
    pub(crate) fn announced(self, headers: &HeaderMap) -> Announced {
        let prefix = match self {
            Self::RetryAfter => return Announced::default(),
            Self::RateLimit => "ratelimit",
            Self::XRateLimit => "x-ratelimit",
            Self::XRateLimitState => return throttled(headers),
        };
        let number = |name: &str| {
            text(headers, &format!("{prefix}-{name}")).and_then(|text| text.parse::<u64>().ok())
        };
        Announced {
            limit: number("limit"),
            remaining: number("remaining"),
            reset: text(headers, &format!("{prefix}-reset"))
                .and_then(|text| parse_wait(text, server_time(headers))),
        }
    }

    /// How long the server wants to be left alone after answering `status`.
    pub(crate) fn ordered_wait(self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        let retry_after = text(headers, RETRY_AFTER.as_str())
            .and_then(|text| parse_wait(text, server_time(headers)));
        // The reset is sent with every reply; only where the limit was the
        // reason does it say anything about when to come back.
        let reset = || match (self, status) {
            // Every request waits for that already, and only so long as it has to.
            (Self::XRateLimitState, _) => None,
            (_, 420 | 429) => self.announced(headers).reset,
            _ => None,
        };
        retry_after.or_else(reset)
    }
}

/// Nothing is left while the state says so; of anything else it says nothing.
fn throttled(headers: &HeaderMap) -> Announced {
    let is_throttled = text(headers, "x-ratelimit-state")
        .is_some_and(|state| state.eq_ignore_ascii_case("THROTTLED"));
    let period = text(headers, "x-ratelimit-period-in-sec")
        .and_then(|text| parse_wait(text, server_time(headers)));
    match period {
        Some(period) if is_throttled => Announced {
            limit: None,
            remaining: Some(0),
            reset: Some(period),
        },
        _ => Announced::default(),
    }
}

/// Whether a quota counted by the day, not the minute, is used up.
pub(crate) fn is_daily_quota_spent(status: u16, headers: &HeaderMap) -> bool {
    status == 429
        && text(headers, "daily-ratelimit-remaining")
            .and_then(|text| text.parse::<i64>().ok())
            .is_some_and(|remaining| remaining <= 0)
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The server's own clock where it shows it: a reset given as a time is meant
/// by that clock, and ours may be off.
fn server_time(headers: &HeaderMap) -> Timestamp {
    announced_date(headers).unwrap_or_else(Timestamp::now)
}

/// What the server says the time is.
pub(super) fn announced_date(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, DATE.as_str()).and_then(parse_http_date)
}

/// Seconds or epoch seconds, perhaps with a fraction (which is rounded up), an
/// HTTP date or an RFC 3339 time. What has passed
/// is no wait; what is negative is nonsense.
fn parse_wait(text: &str, now: Timestamp) -> Option<Duration> {
    let number = match text.split_once('.') {
        None => text.parse::<i64>().ok(),
        Some((whole, fraction)) if is_digits(whole) && is_digits(fraction) => whole
            .parse::<i64>()
            .ok()
            .and_then(|whole| whole.checked_add(1)),
        Some(_) => None,
    };
    if let Some(number) = number {
        return match number {
            ..0 => None,
            0..=LARGEST_COUNT_OF_SECONDS => Some(Duration::from_secs(number.unsigned_abs())),
            _ => Timestamp::from_second(number).ok().map(|at| until(at, now)),
        };
    }
    let at = parse_http_date(text).or_else(|| text.parse::<Timestamp>().ok())?;
    Some(until(at, now))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_wait_is_read_in_every_form_in_which_it_is_sent() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let table = [
            ("0", seconds(0)),
            ("42", seconds(42)),
            ("10000", seconds(10_000)),
            ("1767323075", seconds(30)), // 2026-01-02T03:04:35Z
            ("1767323000", seconds(0)),  // has passed
            ("Fri, 02 Jan 2026 03:05:05 GMT", seconds(60)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", seconds(0)),
            ("2026-01-02T03:04:15Z", seconds(10)),
            ("0.25", seconds(1)),
            ("41.5", seconds(42)),
            ("1767323074.25", seconds(30)),
            ("-1", None),
            ("-0.5", None),
            (".5", None),
            ("1.5.2", None),
            ("1e3", None),
            ("99999999999999999999", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_wait(text, now), expected, "{text:?}");
        }
    }

    #[test]
    fn retry_after_comes_before_the_reset_header() {
        let sent = headers(&[("retry-after", "7"), ("ratelimit-reset", "30")]);
        assert_eq!(
            RateHeaders::RateLimit.ordered_wait(429, &sent),
            Some(Duration::from_secs(7)),
        );
    }

    #[test]
    fn the_reset_header_says_when_to_come_back_only_after_a_rate_limit() {
        let sent = headers(&[("ratelimit-reset", "30")]);
        assert_eq!(
            RateHeaders::RateLimit.ordered_wait(429, &sent),
            Some(Duration::from_secs(30)),
        );
        assert_eq!(RateHeaders::RateLimit.ordered_wait(500, &sent), None);
        assert_eq!(RateHeaders::RetryAfter.ordered_wait(429, &sent), None);
    }

    #[test]
    fn an_epoch_reset_is_counted_by_the_servers_clock() {
        let sent = headers(&[
            ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
            ("x-ratelimit-reset", "1767323075"),
        ]);
        assert_eq!(
            RateHeaders::XRateLimit.ordered_wait(429, &sent),
            Some(Duration::from_secs(30)),
        );
    }

    #[test]
    fn a_throttled_state_leaves_nothing_for_its_period() {
        let throttled = headers(&[
            ("x-ratelimit-state", "THROTTLED"),
            ("x-ratelimit-period-in-sec", "60"),
        ]);
        let fine = headers(&[
            ("x-ratelimit-state", "OK"),
            ("x-ratelimit-period-in-sec", "60"),
        ]);
        let style = RateHeaders::XRateLimitState;
        assert_eq!(style.announced(&throttled).remaining, Some(0));
        assert_eq!(
            style.announced(&throttled).reset,
            Some(Duration::from_mins(1))
        );
        assert_eq!(style.ordered_wait(429, &throttled), None);
        assert_eq!(style.announced(&fine), Announced::default());
    }

    #[test]
    fn a_daily_quota_counts_as_spent_only_when_it_is_why_the_request_was_refused() {
        let spent = headers(&[("daily-ratelimit-remaining", "0")]);
        let left = headers(&[("daily-ratelimit-remaining", "3")]);
        assert!(is_daily_quota_spent(429, &spent));
        assert!(!is_daily_quota_spent(200, &spent));
        assert!(!is_daily_quota_spent(429, &left));
        assert!(!is_daily_quota_spent(429, &HeaderMap::new()));
    }
}
