//! What a resync is asked for with.

use std::fmt;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// Who wanted a resync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The process was started to resync once.
    #[default]
    Once,
    /// The service was started.
    Start,
    /// The schedule.
    Schedule,
    /// Somebody in Port's UI.
    Port,
    /// A call of the route for it.
    Webhook,
}

impl Trigger {
    /// The name in metrics, log lines and the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Start => "start",
            Self::Schedule => "schedule",
            Self::Port => "port",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One resync that is wanted.
#[derive(Clone, Debug, Default)]
pub struct ResyncRequest {
    pub trigger: Trigger,
    /// The schedule, where there is one.
    pub next_scheduled: Option<NextScheduled>,
}

/// Knows when the schedule asks next, which Port is told. It is looked at each
/// time: the schedule goes on while a resync runs.
#[derive(Clone, Debug)]
pub struct NextScheduled(watch::Receiver<Instant>);

impl NextScheduled {
    /// What the schedule says there.
    pub const fn new(told: watch::Receiver<Instant>) -> Self {
        Self(told)
    }

    /// The instant as a time of day, as far as today's clock can tell.
    pub fn time(&self) -> Option<Timestamp> {
        let left = self.0.borrow().saturating_duration_since(Instant::now());
        Timestamp::now().checked_add(left).ok()
    }
}
