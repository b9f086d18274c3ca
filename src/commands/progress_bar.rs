//! A line on the terminal that tells how far a resync is. Elsewhere, nothing:
//! log lines say what happened.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sync::Progress;
use crate::telemetry::{self, Sink};

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// Standard error: log lines, and below them, on a terminal, the progress.
pub(super) struct Console {
    bar: Option<ProgressBar>,
}

impl Console {
    /// For the process' standard error.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar }
    }

    /// Where log lines go: the progress steps aside while one is written.
    pub(super) fn sink(&self) -> Sink {
        match &self.bar {
            None => telemetry::stderr(),
            Some(bar) => {
                let bar = bar.clone();
                Arc::new(move |line| {
                    // There is nowhere left to say that standard error is closed.
                    bar.suspend(|| drop(std::io::stderr().lock().write_all(line)));
                })
            }
        }
    }

    /// Runs `work` and shows how far it is.
    pub(super) async fn watch<T>(&self, progress: &Progress, work: impl Future<Output = T>) -> T {
        let Some(bar) = &self.bar else {
            return work.await;
        };
        let mut tick = tokio::time::interval(TICK);
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    bar.finish_and_clear();
                    return result;
                }
                _ = tick.tick() => {
                    bar.set_message(describe(progress));
                    bar.tick();
                }
            }
        }
    }
}

/// `in Port 420 · reading incident 1200, oncalls 40`
fn describe(progress: &Progress) -> String {
    let Some(kinds) = progress.kinds.get() else {
        return "reading the mapping".to_owned();
    };
    let reading: Vec<String> = kinds
        .iter()
        .filter(|kind| !kind.ended.load(Ordering::Relaxed))
        .map(|kind| format!("{} {}", kind.kind, kind.fetched.load(Ordering::Relaxed)))
        .collect();
    let settled = progress.settled.load(Ordering::Relaxed);
    if reading.is_empty() {
        format!("in Port {settled} · everything is read")
    } else {
        format!("in Port {settled} · reading {}", reading.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::KindProgress;

    #[test]
    fn it_names_what_is_still_being_read() {
        let progress = Progress::default();
        assert_eq!(describe(&progress), "reading the mapping");

        let of = |kind: &str| KindProgress {
            kind: kind.to_owned(),
            ..KindProgress::default()
        };
        let kinds = vec![of("incident"), of("oncalls")];
        kinds[0].fetched.store(7, Ordering::Relaxed);
        kinds[1].ended.store(true, Ordering::Relaxed);
        progress.kinds.set(kinds).unwrap();
        progress.settled.store(3, Ordering::Relaxed);

        assert_eq!(describe(&progress), "in Port 3 · reading incident 7");
    }
}
