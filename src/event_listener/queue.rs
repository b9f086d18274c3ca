//! Requests for a resync, and who takes them.
//!
//! A resync brings over whatever is there when it begins, so one that has not
//! begun yet serves everybody who waits. There is therefore room for a single
//! request: any number of them while a resync runs become exactly one more. It
//! is reported as that of whoever came first, since without the others it would
//! have run just the same.

use tokio::sync::mpsc;

use crate::sync::Trigger;

/// Asks for resyncs; clones ask the same queue.
#[derive(Clone, Debug)]
pub struct Requests(mpsc::Sender<Trigger>);

/// Gives out the requests, one at a time.
#[derive(Debug)]
pub struct Queue(mpsc::Receiver<Trigger>);

/// A queue without requests in it, and the way into it.
pub fn requests() -> (Requests, Queue) {
    let (sender, receiver) = mpsc::channel(1);
    (Requests(sender), Queue(receiver))
}

impl Requests {
    /// Asks for a resync. Never waits: where one is asked for already, that one
    /// will do.
    pub fn request(&self, trigger: Trigger) {
        match self.0.try_send(trigger) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::debug!(%trigger, "A resync is waiting to begin already; it serves this request too");
            }
            // The process is ending.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                tracing::debug!(%trigger, "Nobody runs resyncs any more");
            }
        }
    }
}

impl Queue {
    /// The next request, as soon as there is one; takes it out of the queue.
    /// Dropping the future takes nothing out.
    pub async fn next(&mut self) -> Trigger {
        match self.0.recv().await {
            Some(trigger) => trigger,
            // Nobody is left who could ask.
            None => std::future::pending().await,
        }
    }

    /// The next request, if there is one; takes it out of the queue.
    pub fn waiting(&mut self) -> Option<Trigger> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_request_while_idle_is_given_out_at_once() {
        let (requests, mut queue) = requests();
        assert_eq!(queue.next().now_or_never(), None);

        requests.request(Trigger::Port);

        assert_eq!(queue.next().now_or_never(), Some(Trigger::Port));
        assert_eq!(queue.next().now_or_never(), None);
    }

    #[test]
    fn any_number_of_requests_while_a_resync_runs_become_one_more() {
        let (requests, mut queue) = requests();
        requests.request(Trigger::Start);
        assert_eq!(queue.next().now_or_never(), Some(Trigger::Start));

        // The resync of the start runs.
        requests.request(Trigger::Webhook);
        requests.clone().request(Trigger::Schedule);
        requests.request(Trigger::Port);

        assert_eq!(queue.next().now_or_never(), Some(Trigger::Webhook));
        assert_eq!(queue.next().now_or_never(), None);
    }

    #[test]
    fn what_waits_can_be_taken_without_waiting() {
        let (requests, mut queue) = requests();
        assert_eq!(queue.waiting(), None);

        requests.request(Trigger::Port);

        assert_eq!(queue.waiting(), Some(Trigger::Port));
        assert_eq!(queue.waiting(), None);
    }

    #[test]
    fn looking_for_a_request_does_not_lose_one() {
        let (requests, mut queue) = requests();
        let looking = queue.next();
        requests.request(Trigger::Port);
        drop(looking);

        assert_eq!(queue.next().now_or_never(), Some(Trigger::Port));
    }

    #[test]
    fn a_queue_that_nobody_can_ask_any_more_stays_quiet() {
        let (requests, mut queue) = requests();
        drop(requests);

        assert_eq!(queue.next().now_or_never(), None);
    }
}
