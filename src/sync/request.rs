//! What a resync is asked for with.

use std::fmt;

use jiff::Timestamp;

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
    /// When the schedule asks for the next one, where there is a schedule. Told
    /// to Port.
    pub next_scheduled: Option<Timestamp>,
}
