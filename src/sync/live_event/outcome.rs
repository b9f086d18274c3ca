//! What came of the events of an object, and whether to try again.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::catalog::{FailureKind, LiveWritten};
use crate::live_events::{NewEvent, Taken};
use crate::mapping::{Cause, Findings, Identity, Severity};
use crate::source::described;

/// How long an entity may wait for what it relates to: both may have come into
/// being at once, and the other's event may come later.
const TARGET_WAIT: SignedDuration = SignedDuration::from_mins(5);

/// What came of the events of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveOutcome {
    pub written: u64,
    pub deleted: u64,
}

/// What came of the events of one object, and what they led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    pub result: Result<LiveOutcome, LiveError>,
    /// What else has to be looked at now, whatever the result. To be kept before
    /// these events are given back. Every attempt names the same deliveries.
    pub also: Vec<NewEvent>,
}

impl From<Result<LiveOutcome, LiveError>> for Processed {
    fn from(result: Result<LiveOutcome, LiveError>) -> Self {
        Self {
            result,
            also: Vec::new(),
        }
    }
}

/// Why an event came to nothing, or not to all that it should have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LiveError {
    /// Worth another try.
    #[error("{0}")]
    Again(String),
    /// The same again, however often it is tried.
    #[error("{0}")]
    Never(String),
}

/// Says what came of it, and sorts what did not.
pub(super) fn conclude(
    taken: &Taken,
    findings: &Findings,
    written: LiveWritten,
) -> Result<LiveOutcome, LiveError> {
    let subject = &taken.subject;
    let LiveWritten {
        stored,
        deleted,
        outdated,
        kept,
        failures,
        is_lost,
    } = written;
    if stored + deleted > 0 {
        tracing::info!(
            subject = %subject.key(),
            written = stored,
            deleted,
            "Stored {stored} and deleted {deleted} entities after an event of the {}",
            described(subject)
        );
    } else {
        tracing::debug!(
            subject = %subject.key(),
            "The event of the {} changes nothing",
            described(subject)
        );
    }
    for Identity {
        blueprint,
        identifier,
    } in kept
    {
        tracing::debug!(
            blueprint = %blueprint,
            "Other entities relate to {blueprint}/{identifier}, so the next resync decides whether it is deleted"
        );
    }
    if is_lost {
        return Err(LiveError::Again(
            "somebody else works on the event by now".to_owned(),
        ));
    }
    let age = taken
        .events
        .last()
        .map(|spooled| Timestamp::now().duration_since(spooled.event.received));
    let is_young = age.is_none_or(|age| age < TARGET_WAIT);
    let is_passing = |kind: FailureKind| match kind {
        FailureKind::Port => true,
        FailureKind::Target => is_young,
        FailureKind::Entity => false,
    };
    if let Some(failure) = failures.iter().find(|failure| is_passing(failure.kind)) {
        return Err(LiveError::Again(failure.reason.clone()));
    }
    if let Some(failure) = failures.first() {
        return Err(LiveError::Never(failure.reason.clone()));
    }
    if let Some(finding) = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error && finding.cause == Cause::Unavailable)
    {
        return Err(LiveError::Again(finding.to_string()));
    }
    let mut errors = findings.iter();
    if let Some(finding) = errors.find(|finding| finding.severity == Severity::Error) {
        return Err(LiveError::Never(finding.to_string()));
    }
    if outdated > 0 {
        // Whoever that was may not get to write it, so this does not rest on them;
        // fetched anew, the object is the newer one.
        return Err(LiveError::Again(format!(
            "another event knows later of {outdated} of its entities"
        )));
    }
    Ok(LiveOutcome {
        written: stored,
        deleted,
    })
}
