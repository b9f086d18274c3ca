//! A resync every so many minutes, the first after so many.
//!
//! It goes by the clock of the schedule, not by the ends of resyncs: one that
//! takes long does not put off the next. A resync that lasts for several
//! intervals is followed by one more, not by several.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Requests;
use crate::sync::{NextScheduled, Trigger};

/// Asks every `interval` from now on. The future is the schedule; it never ends.
pub fn schedule(
    interval: Duration,
    requests: Requests,
) -> (
    NextScheduled,
    impl Future<Output = Infallible> + Send + use<>,
) {
    let first = Instant::now() + interval;
    let (told, next) = watch::channel(first);
    let asking = async move {
        let mut at = first;
        loop {
            sleep_until(at).await;
            // Ticks that a suspended machine slept through are not made up for:
            // the next is still to come.
            let now = Instant::now();
            at += interval;
            if at <= now {
                at = now + interval;
            }
            told.send_replace(at);
            requests.request(Trigger::Schedule);
        }
    };
    (NextScheduled::new(next), asking)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jiff::Timestamp;
    use tokio::time::advance;

    use super::*;
    use crate::event_listener::requests;

    const INTERVAL: Duration = Duration::from_mins(5);
    const SHORTER: Duration = Duration::from_secs(299);

    #[tokio::test(start_paused = true)]
    async fn the_first_resync_comes_after_one_interval_and_then_one_an_interval() {
        let (requests, mut queue) = requests();
        let (_, asking) = schedule(INTERVAL, requests);
        let mut asking = Box::pin(asking);

        for _ in 0..3 {
            advance(SHORTER).await;
            assert!((&mut asking).now_or_never().is_none());
            assert_eq!(queue.next().now_or_never(), None);

            advance(Duration::from_secs(1)).await;
            assert!((&mut asking).now_or_never().is_none());
            assert_eq!(queue.next().now_or_never(), Some(Trigger::Schedule));
            assert_eq!(queue.next().now_or_never(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_slept_through_is_one_resync() {
        let (requests, mut queue) = requests();
        let (next, asking) = schedule(INTERVAL, requests);
        let mut asking = Box::pin(asking);

        // Not to the millisecond, which is what timers are rounded up to.
        advance(INTERVAL * 10 + Duration::from_micros(500)).await;
        assert!((&mut asking).now_or_never().is_none());
        assert_eq!(queue.next().now_or_never(), Some(Trigger::Schedule));

        advance(SHORTER).await;
        assert!((&mut asking).now_or_never().is_none());
        assert_eq!(queue.next().now_or_never(), None);
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_when_it_will_ask_again() {
        let (requests, mut queue) = requests();
        let (next, asking) = schedule(INTERVAL, requests);
        let mut asking = Box::pin(asking);
        let minutes_left = || {
            let left = next.time().unwrap().duration_since(Timestamp::now());
            left.as_secs_f64() / 60.0
        };
        assert!((4.9..=5.0).contains(&minutes_left()));

        advance(Duration::from_mins(2)).await;
        assert!((2.9..=3.0).contains(&minutes_left()));

        advance(Duration::from_mins(3)).await;
        assert!((&mut asking).now_or_never().is_none());
        assert_eq!(queue.next().now_or_never(), Some(Trigger::Schedule));
        assert!((4.9..=5.0).contains(&minutes_left()));
    }
}
