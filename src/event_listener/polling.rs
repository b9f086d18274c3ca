//! Asks Port again and again whether somebody wants a resync.
//!
//! Port keeps the last request and when it was made; it does not say whether
//! it has been served. So the time of the last one that was taken up is kept
//! here, as the watermark, and only a later one asks for a resync. Times are
//! compared as times: Port may write one instant in more than one way.
//!
//! A process that begins knows no watermark. If it resyncs at its start, that
//! serves whatever was asked for before; so the request is read first, and the
//! resync asked for after. If it does not, the last resync that Port knows of
//! has served what was asked for before it began ([`last_served`]).
//!
//! Asking goes on while a resync runs. A Port that does not answer is said once,
//! and asked again.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Requests;
use crate::api::{ApiError, PortClient, ResyncStatus, ResyncWish};
use crate::causes::with_hint;
use crate::sync::Trigger;

/// How to ask.
#[derive(Clone, Debug)]
pub struct Polling {
    /// Between two questions.
    pub interval: Duration,
    /// Whether the start itself asks for a resync.
    pub resync_on_start: bool,
    /// Requests up to here need no resync any more.
    pub served: Option<Timestamp>,
}

impl Polling {
    /// Asks for ever.
    pub async fn run(self, port: &PortClient, requests: &Requests) -> Infallible {
        self.run_with(|| port.resync_request(), ApiError::hint, requests)
            .await
    }

    async fn run_with<Answer, E: Error + 'static>(
        self,
        ask: impl Fn() -> Answer,
        hint: impl Fn(&E) -> Option<&'static str>,
        requests: &Requests,
    ) -> Infallible
    where
        Answer: Future<Output = Result<Option<ResyncWish>, E>>,
    {
        let mut watermark = self.served;
        let mut starts = self.resync_on_start;
        let mut is_away = false;
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let is_new = match ask().await {
                Ok(wish) => {
                    if is_away {
                        is_away = false;
                        tracing::info!("Port says again whether a resync is wanted");
                    }
                    pass(&mut watermark, wish)
                }
                Err(error) => {
                    if !is_away {
                        is_away = true;
                        tracing::warn!(
                            "Could not ask Port whether a resync is wanted; asking goes on: {}",
                            with_hint(&error, hint(&error))
                        );
                    }
                    false
                }
            };
            if std::mem::take(&mut starts) {
                requests.request(Trigger::Start);
            } else if is_new {
                requests.request(Trigger::Port);
            }
        }
    }
}

/// Whether this request is later than the watermark, which it then becomes.
fn pass(watermark: &mut Option<Timestamp>, wish: Option<ResyncWish>) -> bool {
    let Some(ResyncWish { updated_at }) = wish else {
        return false;
    };
    let is_new = watermark.is_none_or(|watermark| updated_at > watermark);
    if is_new {
        *watermark = Some(updated_at);
    }
    is_new
}

/// Until when requests have been served by the last resync, going by the state
/// that Port keeps of it. One that was broken off, or never told its end, has
/// served nobody.
///
/// The state's time is this program's and a request's is Port's: where the two
/// clocks differ, a request from so shortly before that resync is taken for
/// served, or served twice.
pub fn last_served(resync_state: &Value) -> Option<Timestamp> {
    let status = ResyncStatus::of(resync_state)?;
    if !matches!(status, ResyncStatus::Completed | ResyncStatus::Failed) {
        return None;
    }
    resync_state.get("lastResyncStart")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_util::FutureExt;
    use serde_json::json;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::event_listener::{Queue, requests};

    const INTERVAL: Duration = Duration::from_mins(1);

    #[derive(Debug, thiserror::Error)]
    #[error("Port is away")]
    struct Away;

    /// A Port whose answer a test changes.
    #[derive(Default)]
    struct Port {
        wish: RefCell<Option<&'static str>>,
        is_away: Cell<bool>,
        takes: Cell<Duration>,
        asked: Cell<u32>,
    }

    impl Port {
        async fn answer(&self) -> Result<Option<ResyncWish>, Away> {
            self.asked.set(self.asked.get() + 1);
            sleep(self.takes.get()).await;
            if self.is_away.get() {
                return Err(Away);
            }
            Ok(self.wish.borrow().map(|text| ResyncWish {
                updated_at: text.parse().unwrap(),
            }))
        }
    }

    /// Polls a Port while `test` runs.
    async fn polled(
        port: &Port,
        resync_on_start: bool,
        served: Option<&str>,
        test: impl AsyncFnOnce(&mut Queue),
    ) {
        let (requests, mut queue) = requests();
        let polling = Polling {
            interval: INTERVAL,
            resync_on_start,
            served: served.map(|text| text.parse().unwrap()),
        };
        tokio::select! {
            biased;
            _ = polling.run_with(|| port.answer(), |_| None, &requests) => {}
            () = test(&mut queue) => {}
        }
    }

    /// What is asked for once every question up to now has been answered.
    async fn asked_after(wait: Duration, queue: &mut Queue) -> Option<Trigger> {
        // One sleep lets the clock run on; the other lets the poll go first.
        sleep(wait).await;
        sleep(Duration::from_millis(1)).await;
        queue.next().now_or_never()
    }

    #[tokio::test(start_paused = true)]
    async fn the_start_is_a_request_that_serves_the_one_from_before() {
        let port = Port::default();
        port.wish.replace(Some("2026-11-20T10:00:00Z"));

        polled(&port, true, None, async |queue| {
            assert_eq!(
                asked_after(Duration::ZERO, queue).await,
                Some(Trigger::Start)
            );
            assert_eq!(asked_after(INTERVAL * 3, queue).await, None);

            port.wish.replace(Some("2026-11-20T10:00:00.001Z"));
            assert_eq!(asked_after(INTERVAL, queue).await, Some(Trigger::Port));
            assert_eq!(asked_after(INTERVAL * 3, queue).await, None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_compared_as_a_time_and_not_as_text() {
        let port = Port::default();
        port.wish.replace(Some("2026-11-20T10:00:00Z"));

        polled(&port, true, None, async |queue| {
            asked_after(Duration::ZERO, queue).await;
            port.wish.replace(Some("2026-11-20T12:00:00.000+02:00"));
            assert_eq!(asked_after(INTERVAL, queue).await, None);
            port.wish.replace(Some("2026-11-20T09:30:00-01:00"));
            assert_eq!(asked_after(INTERVAL, queue).await, Some(Trigger::Port));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_resync_at_the_start_only_what_came_since_the_last_one_is_served() {
        let port = Port::default();
        port.wish.replace(Some("2026-11-20T10:00:00Z"));

        let served = Some("2026-11-20T10:00:00Z");
        polled(&port, false, served, async |queue| {
            assert_eq!(asked_after(INTERVAL, queue).await, None);
        })
        .await;
        let served = Some("2026-11-20T09:59:59Z");
        polled(&port, false, served, async |queue| {
            assert_eq!(
                asked_after(Duration::ZERO, queue).await,
                Some(Trigger::Port)
            );
            assert_eq!(asked_after(INTERVAL * 2, queue).await, None);
        })
        .await;
        // Nothing is known: rather one too many.
        polled(&port, false, None, async |queue| {
            assert_eq!(
                asked_after(Duration::ZERO, queue).await,
                Some(Trigger::Port)
            );
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_asks_for_nothing() {
        let port = Port::default();
        polled(&port, false, None, async |queue| {
            assert_eq!(asked_after(INTERVAL * 5, queue).await, None);
        })
        .await;
        assert_eq!(port.asked.get(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_is_away_costs_no_request() {
        let port = Port::default();
        port.is_away.set(true);

        polled(&port, true, None, async |queue| {
            // The start does not depend on it.
            assert_eq!(
                asked_after(Duration::ZERO, queue).await,
                Some(Trigger::Start)
            );
            port.wish.replace(Some("2026-11-20T10:00:00Z"));
            assert_eq!(asked_after(INTERVAL * 2, queue).await, None);
            port.is_away.set(false);
            assert_eq!(asked_after(INTERVAL, queue).await, Some(Trigger::Port));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_delays_the_next_question_and_doubles_none() {
        let port = Port::default();
        port.takes.set(INTERVAL * 3);

        polled(&port, false, None, async |_| {
            advance(Duration::ZERO).await;
            // Asked at 0, answered at 3; asked again at 3, answered at 6.
            sleep(INTERVAL * 5 + Duration::from_secs(59)).await;
            assert_eq!(port.asked.get(), 2);
            port.takes.set(Duration::ZERO);
            sleep(INTERVAL * 2).await;
        })
        .await;
        // At 6, at 7 and no more often than the interval.
        assert_eq!(port.asked.get(), 4);
    }

    #[test]
    fn a_resync_that_did_not_end_has_served_nobody() {
        let state = |status: &str| {
            json!({
                "status": status,
                "lastResyncStart": "2026-11-21T00:39:58.719911+00:00",
                "lastResyncEnd": null,
            })
        };
        for status in ["completed", "failed"] {
            assert_eq!(
                last_served(&state(status)),
                Some("2026-11-21T00:39:58.719911Z".parse().unwrap())
            );
        }
        for status in ["running", "aborted", "pending"] {
            assert_eq!(last_served(&state(status)), None);
        }
        for nothing in [json!({}), Value::Null, json!({"status": "completed"})] {
            assert_eq!(last_served(&nothing), None);
        }
    }
}
