//! Whether the process works, and whether it is ready to.
//!
//! *Live* asks the scheduler itself: it beats each time it goes round, and a
//! scheduler that has not done so for a minute will not do so any more; a
//! restart is the remedy. That Port or a source does not answer is no reason,
//! since a restart would not help.
//!
//! *Ready* is what the start has to bring about. It stays so until the process
//! stops.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::Instant;

use crate::api::CORE_VERSION;

/// A scheduler that has not beaten for this long is stuck.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// What has to be there before the process is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The settings are read.
    Settings,
    /// Port has accepted the credentials.
    PortToken,
    /// Something may ask for a resync.
    Listener,
}

impl Requirement {
    const ALL: [Self; 3] = [Self::Settings, Self::PortToken, Self::Listener];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::PortToken => "port_token",
            Self::Listener => "listener",
        }
    }
}

/// How the process is; shared by those who know and those who ask.
#[derive(Clone)]
pub struct Health(Arc<Mutex<Condition>>);

struct Condition {
    last_beat: Instant,
    met: Vec<Requirement>,
    stopping: bool,
}

impl Health {
    /// Alive as of now, and not ready.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Condition {
            last_beat: Instant::now(),
            met: Vec::new(),
            stopping: false,
        })))
    }

    /// The scheduler has gone round. To be called by its own loop, at least
    /// every few seconds, also while a resync runs; never by anything that
    /// would go on without it.
    pub fn beat(&self) {
        self.condition().last_beat = Instant::now();
    }

    /// One thing fewer is missing.
    pub fn meet(&self, requirement: Requirement) {
        let mut condition = self.condition();
        if !condition.met.contains(&requirement) {
            condition.met.push(requirement);
        }
    }

    /// From now on it is not ready, whatever has been met.
    pub fn stopping(&self) {
        self.condition().stopping = true;
    }

    /// Why it is not alive; empty when it is.
    pub fn why_not_live(&self) -> Vec<&'static str> {
        let silence = self.condition().last_beat.elapsed();
        if silence < LONGEST_SILENCE {
            Vec::new()
        } else {
            vec!["scheduler"]
        }
    }

    /// Why it is not ready; empty when it is.
    pub fn why_not_ready(&self) -> Vec<&'static str> {
        let condition = self.condition();
        if condition.stopping {
            return vec!["stopping"];
        }
        Requirement::ALL
            .into_iter()
            .filter(|requirement| !condition.met.contains(requirement))
            .map(Requirement::as_str)
            .collect()
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        // Every change is complete before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Health")
            .field("not_live", &self.why_not_live())
            .field("not_ready", &self.why_not_ready())
            .finish()
    }
}

pub(super) async fn live(State(health): State<Health>) -> Response {
    answer("live", &health.why_not_live())
}

pub(super) async fn ready(State(health): State<Health>) -> Response {
    answer("ready", &health.why_not_ready())
}

fn answer(check: &'static str, reasons: &[&'static str]) -> Response {
    if reasons.is_empty() {
        let body = json!({ "status": "healthy", "check": check, "core_version": CORE_VERSION });
        return Json(body).into_response();
    }
    let body = json!({
        "status": "unhealthy",
        "check": check,
        "core_version": CORE_VERSION,
        "reasons": reasons,
    });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scheduler_that_has_not_beaten_for_a_minute_is_not_alive() {
        let health = Health::new();
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(health.why_not_live().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.why_not_live(), ["scheduler"]);

        health.beat();
        assert!(health.why_not_live().is_empty());
    }

    #[tokio::test]
    async fn it_is_ready_when_everything_is_met_and_until_it_stops() {
        let health = Health::new();
        assert_eq!(
            health.why_not_ready(),
            ["settings", "port_token", "listener"]
        );
        health.meet(Requirement::Listener);
        health.meet(Requirement::Settings);
        assert_eq!(health.why_not_ready(), ["port_token"]);
        health.meet(Requirement::PortToken);
        assert!(health.why_not_ready().is_empty());

        health.stopping();
        assert_eq!(health.why_not_ready(), ["stopping"]);
    }
}
