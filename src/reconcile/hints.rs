//! Hints that it is worth looking, and who takes them.
//!
//! A pass looks at everything that is there when it begins, so one that has not
//! begun yet serves everybody who hints: any number of hints while one runs
//! become one more.

use std::fmt;

use tokio::sync::mpsc;

/// What woke a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The process has started.
    Start,
    /// A resync has ended.
    Resync,
    /// A webhook came in.
    Webhook,
    /// Nothing: it is time.
    Interval,
}

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Start => "the start",
            Self::Resync => "the end of a resync",
            Self::Webhook => "a webhook",
            Self::Interval => "the interval",
        })
    }
}

/// Gives hints; clones give them to the same taker.
#[derive(Clone, Debug)]
pub struct Hints(mpsc::Sender<Hint>);

/// Takes the hints.
#[derive(Debug)]
pub struct Taker(mpsc::Receiver<Hint>);

/// A way to give hints, and to take them.
pub fn hints() -> (Hints, Taker) {
    let (sender, receiver) = mpsc::channel(1);
    (Hints(sender), Taker(receiver))
}

impl Hints {
    /// Hints. Never waits: where a hint is waiting already, that one will do,
    /// and where nobody takes any, the process is ending.
    pub fn give(&self, hint: Hint) {
        if self.0.try_send(hint).is_err() {
            tracing::debug!(%hint, "A pass of the incident sync is about to begin already, or none will any more");
        }
    }
}

impl Taker {
    /// The next hint. Dropping the future loses none.
    pub async fn next(&mut self) -> Hint {
        match self.0.recv().await {
            Some(hint) => hint,
            // Nobody is left who could give one.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn any_number_of_hints_while_a_pass_runs_become_one_more() {
        let (hints, mut taker) = hints();
        hints.give(Hint::Start);
        assert_eq!(taker.next().now_or_never(), Some(Hint::Start));

        hints.give(Hint::Webhook);
        hints.clone().give(Hint::Resync);
        hints.give(Hint::Webhook);

        assert_eq!(taker.next().now_or_never(), Some(Hint::Webhook));
        assert_eq!(taker.next().now_or_never(), None);
    }

    #[test]
    fn looking_for_a_hint_does_not_lose_one() {
        let (hints, mut taker) = hints();
        let looking = taker.next();
        hints.give(Hint::Resync);
        drop(looking);

        assert_eq!(taker.next().now_or_never(), Some(Hint::Resync));
    }
}
