//! SIGTERM and SIGINT: the first asks the work to come to its end, the second
//! ends it where it stands.

use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that ask the process to end. They are listened to from the making
/// of this on: the first process of a container has no default way to end.
pub(super) struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        let terminate = signal(SignalKind::terminate());
        let interrupt = signal(SignalKind::interrupt());
        // Without handlers the signals end the process by themselves.
        Self(terminate.ok().zip(interrupt.ok()))
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> u8 {
        let Some((terminate, interrupt)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => 15,
            _ = interrupt.recv() => 2,
        }
    }
}

/// What became of work that signals may end.
pub(super) struct Ended<T> {
    /// None where a second signal did not wait for it.
    pub(super) result: Option<T>,
    /// The last signal that came.
    pub(super) signal: Option<u8>,
}

/// Does `work`. The first signal cancels `stop`, upon which `work` is to end by
/// itself, soon; the second drops it.
pub(super) async fn obey<T>(work: impl Future<Output = T>, stop: &CancellationToken) -> Ended<T> {
    let mut signals = Signals::listen();
    let mut work = pin!(work);
    let first = tokio::select! {
        result = &mut work => return Ended { result: Some(result), signal: None },
        number = signals.next() => number,
    };
    tracing::warn!(
        signal = first,
        "Stopping because of signal {first}; another one ends the process at once"
    );
    stop.cancel();
    tokio::select! {
        result = work => Ended { result: Some(result), signal: Some(first) },
        second = signals.next() => {
            tracing::warn!(signal = second, "Ended by a second signal in the middle of stopping");
            Ended { result: None, signal: Some(second) }
        }
    }
}
