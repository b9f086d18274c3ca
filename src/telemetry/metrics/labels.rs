//! What metrics are told apart by.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::settings::SourceName;

/// Writes a label's value as its name.
macro_rules! label_by_name {
    ($($label:ty),*) => {$(
        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(self.as_str())
            }
        }
    )*};
}

label_by_name!(
    Source,
    Phase,
    ObjectResult,
    ResyncResult,
    ResyncCall,
    SyncPass,
    SyncCall,
    WebhookResult,
    LiveResult
);

/// A kind of the mapping and where its objects come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceKind {
    source: Source,
    kind: String,
}

impl SourceKind {
    /// `kind` as the mapping writes it.
    pub fn new(source: Option<SourceName>, kind: &str) -> Self {
        Self {
            source: Source(source),
            kind: kind.to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(Option<SourceName>);

impl Source {
    const fn as_str(self) -> &'static str {
        match self.0 {
            Some(source) => source.as_str(),
            None => "none",
        }
    }
}

/// What became of an object on its way into the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectResult {
    /// Read from the source.
    Fetched,
    /// Left out by the selector.
    Filtered,
    /// Made into an entity.
    Mapped,
    /// Selected, and no entity could be made of it.
    Failed,
    /// Stored in Port.
    Written,
    /// Not sent, because Port has it as it is.
    Unchanged,
    /// Not taken by Port.
    Refused,
}

impl ObjectResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Filtered => "filtered",
            Self::Mapped => "mapped",
            Self::Failed => "failed",
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }

    const fn phase(self) -> Phase {
        match self {
            Self::Fetched => Phase::Extract,
            Self::Filtered | Self::Mapped | Self::Failed => Phase::Transform,
            Self::Written | Self::Unchanged | Self::Refused => Phase::Load,
        }
    }
}

/// A part of the way, in Port's words. Deleting is not counted by kind: an
/// entity that no kind has any more belongs to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Extract,
    Transform,
    Load,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Transform => "transform",
            Self::Load => "load",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObjectLabels {
    source: Source,
    kind: String,
    phase: Phase,
    result: ObjectResult,
}

impl ObjectLabels {
    pub(super) fn new(kind: &SourceKind, result: ObjectResult) -> Self {
        Self {
            source: kind.source,
            kind: kind.kind.clone(),
            phase: result.phase(),
            result,
        }
    }
}

/// How a resync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResyncResult {
    Done,
    /// Some kinds or entities are not in Port, or a deletion was withheld.
    Partly,
    Failed,
    /// It was asked to.
    Stopped,
}

impl ResyncResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResyncLabels {
    pub(super) trigger: &'static str,
    pub(super) result: ResyncResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

/// What became of a call of `POST /resync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResyncCall {
    /// A resync was asked for.
    Accepted,
    /// It was about something else.
    Ignored,
    /// Its signature was wrong.
    Refused,
}

impl ResyncCall {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) result: ResyncCall,
}

/// How a pass of incident sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncPass {
    Done,
    /// Some accounts could not be read, or some steps failed.
    Partly,
    /// Nothing came of it.
    Failed,
}

impl SyncPass {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partly => "partly",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SyncPassLabels {
    pub(super) result: SyncPass,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SyncStepLabels {
    pub(super) kind: &'static str,
    pub(super) result: &'static str,
}

/// What became of a call of Pagerstatus' webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncCall {
    /// A pass was asked for.
    Accepted,
    /// It was about something that changes no incident.
    Ignored,
    /// Its account is not known, or its body is not PagerDuty's.
    Refused,
}

impl SyncCall {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SyncCallLabels {
    pub(super) result: SyncCall,
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookResult {
    /// What it tells of is stored.
    Stored,
    /// It was stored when it was delivered before.
    Duplicate,
    /// It tells of nothing that there are kinds for.
    Ignored,
    /// Who sent it has not proved that they may.
    Unauthenticated,
    /// It is no JSON, or not a vendor's, or did not come to its end.
    Malformed,
    TooLarge,
    /// There is no such source or account.
    Unknown,
    /// It could not be stored.
    Unavailable,
}

impl WebhookResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Unauthenticated => "unauthenticated",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Unknown => "unknown",
            Self::Unavailable => "unavailable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WebhookLabels {
    source: Source,
    result: WebhookResult,
}

impl WebhookLabels {
    pub(super) const fn new(source: Option<SourceName>, result: WebhookResult) -> Self {
        Self {
            source: Source(source),
            result,
        }
    }
}

/// What became of an attempt at a live event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveResult {
    Done,
    /// Another attempt follows.
    Again,
    GivenUp,
}

impl LiveResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Again => "again",
            Self::GivenUp => "given_up",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LiveLabels {
    source: Source,
    result: LiveResult,
}

impl LiveLabels {
    pub(super) const fn new(source: SourceName, result: LiveResult) -> Self {
        Self {
            source: Source(Some(source)),
            result,
        }
    }
}

/// A vendor's name, in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Api(&'static str);

impl EncodeLabelValue for Api {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(&self.0.to_ascii_lowercase())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ApiLabels {
    api: Api,
}

impl ApiLabels {
    pub(super) fn new(api: &'static str) -> Self {
        Self { api: Api(api) }
    }
}

/// What one request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiOutcome {
    /// An answer with this status.
    Status(u16),
    /// No connection came about.
    NotConnected,
    /// The other side's certificate is not trusted.
    NotTrusted,
    /// The connection was lost.
    Interrupted,
    TimedOut,
    /// A success whose body cannot be used.
    UnusableBody,
}

impl EncodeLabelValue for ApiOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Status(status) => return write!(encoder, "{status}"),
            Self::NotConnected => "not_connected",
            Self::NotTrusted => "not_trusted",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
            Self::UnusableBody => "unusable_body",
        };
        encoder.write_str(name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    api: Api,
    status: ApiOutcome,
}

impl RequestLabels {
    pub(super) fn new(api: &'static str, outcome: ApiOutcome) -> Self {
        // A server can invent statuses; there is no meaning in most of them.
        let status = match outcome {
            ApiOutcome::Status(600..) => ApiOutcome::UnusableBody,
            known => known,
        };
        Self {
            api: Api(api),
            status,
        }
    }
}
