//! How much of what the vendors allow in a minute is used, and whether they ever had to
//! refuse.
//!
//! A limit of so many in any minute lets all of them through at once, and in the minute
//! that a resync breaks off in there is less to do than is allowed. So what is told is
//! the share used of whole minutes, counted from the first request, after each of which
//! there was more to ask for. Port has no limit here.

use jiff::SignedDuration;
use portolan::sandbox::{DatasetSize, RecordedRequest, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde::Serialize;

use super::measure;
use super::stage::asked;
use super::{Outcome, real};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A limit, and a company that takes several minutes to read under it.
pub(super) struct Pace {
    source: SourceName,
    /// How many times the large dataset.
    times: u16,
    allowed: usize,
}

pub(super) const PACES: [Pace; 2] = [
    Pace {
        source: SourceName::Statuspage,
        times: 4,
        allowed: 60,
    },
    Pace {
        source: SourceName::Pagerduty,
        times: 15,
        allowed: 960,
    },
];

#[derive(Serialize)]
pub(super) struct Paced {
    pub(super) title: &'static str,
    pub(super) allowed_per_minute: usize,
    pub(super) requests: usize,
    pub(super) wall_seconds: f64,
    pub(super) whole_minutes: usize,
    pub(super) used_percent: f64,
    pub(super) refused: usize,
}

impl Pace {
    /// As it is asked for.
    pub(super) fn name(&self) -> String {
        format!("paced {}", self.source.as_str())
    }

    pub(super) async fn measure(&self) -> Outcome<Paced> {
        let (title, allowed) = (self.source.title(), self.allowed);
        eprintln!("{title} at {allowed} requests a minute, which takes some minutes …");
        let options = SandboxOptions {
            dataset: DatasetSize::Large,
            times: self.times,
            rate_limits: true,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await?;
        // Port allows fewer requests than all that is read here takes to write: it would be
        // Port's limit that is measured.
        sandbox.port.enforce_rate_limit(false);
        let environment = sandbox.environment_for(self.source).into_iter().collect();
        let measured = measure::run(&["run", "--once"], environment)?;
        let all = asked(&sandbox, self.source);
        sandbox.stop().await;
        let refused = all
            .iter()
            .filter(|one| matches!(one.status, Some(420 | 429)));
        let refused = refused.count();
        let (whole_minutes, sent) = in_whole_minutes(&all);
        if whole_minutes == 0 {
            return Err(format!(
                "{title} was asked {} times within a minute: too few to say anything of its limit",
                all.len()
            )
            .into());
        }
        Ok(Paced {
            title,
            allowed_per_minute: allowed,
            requests: all.len(),
            wall_seconds: measured.wall_seconds,
            whole_minutes,
            used_percent: real(sent) / real(allowed * whole_minutes) * 100.0,
            refused,
        })
    }
}

/// How many whole minutes lie between the first request and the last, and how many
/// requests came in them.
fn in_whole_minutes(all: &[RecordedRequest]) -> (usize, usize) {
    let (Some(first), Some(last)) = (
        all.iter().map(|one| one.at).min(),
        all.iter().map(|one| one.at).max(),
    ) else {
        return (0, 0);
    };
    let minutes = last.duration_since(first).as_secs() / MINUTE.as_secs();
    let minutes = i32::try_from(minutes).unwrap_or_default();
    let sent = all
        .iter()
        .filter(|one| one.at.duration_since(first) < MINUTE * minutes);
    (usize::try_from(minutes).unwrap_or_default(), sent.count())
}
