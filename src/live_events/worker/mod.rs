//! Takes events out of the spool and sees to it that each is done, or tried again,
//! or put aside.
//!
//! How an event is worked on is somebody else's business, which is handed in.
//! Nothing that it runs into ends a worker: an error says whether another attempt
//! can help, one that takes too long or panics counts as one that can. Pauses
//! between attempts grow from a second to a minute; once they add up to the time
//! after which an event is given up, or another attempt cannot help, it is put
//! aside with its error, and somebody has to look at it.
//!
//! It is the pauses that are added up, not the time since the event came in: what
//! waited while this process was away has not been tried, and neither has what was
//! put back after it had been given up.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::event::Taken;
use super::spool::Spool;
use crate::causes::one_line;
use crate::settings::LiveEventSettings;
use crate::sync::{LiveError, LiveOutcome, Processed};
use crate::telemetry::metrics::{self, LiveResult};

/// The first pause, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The attempt whose failure is worth a warning. Those before are over within
/// seconds, and it is common that an API does not know yet what its own webhook
/// tells of.
const WORTH_A_WARNING: u32 = 5;

/// Between two measurements of how full the spool is.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// The longest that a shutdown waits for events in work, whatever the settings
/// say, as with resyncs.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How events are worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    count: u32,
    /// What one attempt may take.
    time_limit: Duration,
    give_up_after: Duration,
    shutdown_wait: Duration,
    is_detailed: bool,
}

impl Workers {
    pub fn new(settings: &LiveEventSettings) -> Self {
        Self {
            count: settings.workers.max(1),
            time_limit: settings.processing_timeout,
            give_up_after: settings.give_up_after,
            shutdown_wait: settings.shutdown_wait.min(LONGEST_WAIT),
            is_detailed: settings.debug_logging,
        }
    }

    /// Works until `stop` is cancelled; then what is in work gets a little time, and
    /// the rest stays where it is.
    pub async fn run<P>(&self, spool: &Spool, process: P, stop: &CancellationToken)
    where
        P: for<'a> Fn(&'a Taken) -> BoxFuture<'a, Processed>,
    {
        let workers = (0..self.count).map(|_| self.work(spool, &process, stop));
        let workers = async {
            tokio::select! {
                _ = join_all(workers) => {}
                never = measure(spool) => match never {},
            }
        };
        let out_of_time = async {
            stop.cancelled().await;
            sleep(self.shutdown_wait).await;
        };
        tokio::select! {
            () = workers => {}
            () = out_of_time => tracing::warn!(
                "Some live events were not done within {:?} of being asked to stop; they are worked on again after the next start",
                self.shutdown_wait
            ),
        }
    }

    /// One worker.
    async fn work<P>(&self, spool: &Spool, process: &P, stop: &CancellationToken)
    where
        P: for<'a> Fn(&'a Taken) -> BoxFuture<'a, Processed>,
    {
        while let Some(taken) = stop.run_until_cancelled(spool.take()).await {
            let processed = self.attempt(&taken, process).await;
            let result = keep_what_follows(spool, processed).await;
            self.give_back(spool, taken, result).await;
        }
    }

    /// One attempt, whatever it does.
    async fn attempt<P>(&self, taken: &Taken, process: &P) -> Processed
    where
        P: for<'a> Fn(&'a Taken) -> BoxFuture<'a, Processed>,
    {
        // The call itself may panic, too.
        let attempt = AssertUnwindSafe(async { process(taken).await }).catch_unwind();
        let error = match timeout(self.time_limit, attempt).await {
            Ok(Ok(processed)) => return processed,
            Ok(Err(_panic)) => "it ended in a panic, which is a mistake in this program".to_owned(),
            Err(_elapsed) => format!(
                "it took longer than {:?} (OCEAN__MAX_EVENT_PROCESSING_SECONDS)",
                self.time_limit
            ),
        };
        Err(LiveError::Again(error)).into()
    }

    async fn give_back(&self, spool: &Spool, taken: Taken, result: Result<LiveOutcome, LiveError>) {
        let source = taken.subject.source;
        let key = taken.subject.key();
        let attempt = taken.attempt;
        let events = taken.events.len();
        let count = |result| metrics::live_events(source, result, events);
        match result {
            Ok(outcome) => {
                count(LiveResult::Done);
                if let Some(oldest) = taken.oldest() {
                    let waited = Timestamp::now().duration_since(oldest);
                    metrics::live_event_done_after(waited.unsigned_abs());
                }
                self.tell_done(&key, events, attempt, &outcome);
                spool.done(taken).await;
            }
            Err(LiveError::Again(error)) if !self.has_waited_enough(attempt) => {
                count(LiveResult::Again);
                let pause = with_jitter(pause_after(attempt));
                tell_again(&key, attempt, pause, &error);
                spool.later(taken, pause, &error).await;
            }
            Err(LiveError::Again(error) | LiveError::Never(error)) => {
                count(LiveResult::GivenUp);
                tracing::error!(
                    subject = key,
                    events,
                    attempt,
                    "Gave up on live events of {key} after {attempt} attempt(s): {error}. Hint: `portolan events` lists them, \
                     and puts them back once the reason is gone; a resync brings the catalog up to date as well"
                );
                spool.bury(taken, &error).await;
            }
        }
    }

    /// Whether the pauses, the next one included, add up to too much.
    fn has_waited_enough(&self, attempt: u32) -> bool {
        waited_after(attempt) > self.give_up_after
    }

    fn tell_done(&self, key: &str, events: usize, attempt: u32, outcome: &LiveOutcome) {
        let LiveOutcome { written, deleted } = *outcome;
        macro_rules! tell {
            ($level:ident) => {
                tracing::$level!(
                    subject = key,
                    events,
                    attempt,
                    written,
                    deleted,
                    "Worked on {events} live event(s) of {key}: {written} written, {deleted} deleted"
                )
            };
        }
        if self.is_detailed {
            tell!(info);
        } else {
            tell!(debug);
        }
    }
}

/// What an event led to is kept before the event is given back, or it would be lost
/// with the process.
async fn keep_what_follows(spool: &Spool, processed: Processed) -> Result<LiveOutcome, LiveError> {
    let Processed { result, also } = processed;
    if !also.is_empty()
        && let Err(error) = spool.put_following(&also).await
    {
        return Err(LiveError::Again(one_line(&error)));
    }
    result
}

fn tell_again(key: &str, attempt: u32, pause: Duration, error: &str) {
    macro_rules! tell {
        ($level:ident) => {
            tracing::$level!(
                subject = key,
                attempt,
                "Attempt {attempt} at live events of {key} failed, and another follows in {pause:.1?}: {error}"
            )
        };
    }
    if attempt == WORTH_A_WARNING {
        tell!(warn);
    } else {
        tell!(debug);
    }
}

/// Measures how full the spool is, now and then.
async fn measure(spool: &Spool) -> std::convert::Infallible {
    let mut ticks = interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Whoever takes from it says so where it cannot be read.
        if let Ok(counts) = spool.counts().await {
            let age = counts
                .oldest
                .map(|oldest| Timestamp::now().duration_since(oldest).unsigned_abs());
            metrics::live_events_in_spool(counts.waiting, counts.dead, age);
        }
    }
}

/// The pause after this attempt, before chance is added.
fn pause_after(attempt: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// What the pauses up to and after this attempt add up to.
fn waited_after(attempt: u32) -> Duration {
    // 1 + 2 + 4 + … up to the longest, and then always the same.
    let growing = LONGEST_PAUSE.as_secs().ilog2() + 1;
    let grown = (1..=attempt.min(growing))
        .map(pause_after)
        .sum::<Duration>();
    grown.saturating_add(LONGEST_PAUSE.saturating_mul(attempt.saturating_sub(growing)))
}

/// Between half of it and all of it, so that what failed together is not tried
/// together.
fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests;
