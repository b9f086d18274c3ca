//! Statuspage follows on-call incidents: public incidents are opened, changed
//! and resolved as engineers acknowledge and resolve theirs.
//!
//! ```text
//!  alert accounts ─▶ rules ─▶ desired ─┐
//!  status pages ──▶ observed ──────────┼─▶ plan ─▶ apply ─▶ status pages
//!  guards ─────────────────────────────┘             └────▶ audit trail, log, metrics
//! ```
//!
//! It is level-triggered. A pass looks at both sides afresh, works out what
//! ought to be, and does what is missing; what woke it (a webhook, the end of a
//! resync, the interval) is only a hint and says nothing that is acted on. Passes
//! come one after another, and a pass that did nothing costs nothing but reading.
//!
//! # What it must never do
//!
//! - Touch an incident that is neither Portolan's nor Pagerstatus', or that a
//!   human has taken over ([`record`]).
//! - Conclude anything from a list that is not whole: if an alert account cannot
//!   be read, nothing is resolved; a status page that cannot be read is left
//!   alone.
//! - Open a public incident twice ([`apply`]).
//! - Depend on Port: a catalog that is away must not keep a status page from
//!   telling the truth.
//!
//! # Where what is
//!
//! [`config`] the document · [`accounts`], [`pages`] reading both sides · [`alert`],
//! [`model`] what is read · [`rules`] which components a source incident concerns ·
//! [`desired`] what ought to be · [`plan`] what to do about it (pure) · [`step`] one
//! change · [`apply`] doing it · [`record`] whose an incident is · [`text`] what
//! the public reads · [`report`] what a pass came to

pub mod accounts;
pub mod alert;
pub mod apply;
pub mod config;
pub mod desired;
pub mod hints;
mod measure;
pub mod model;
pub mod pages;
mod pass;
pub mod plan;
pub mod record;
pub mod report;
pub mod rules;
pub mod setup;
pub mod step;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use self::accounts::Account;
use self::config::Config;
use self::model::PageId;
use self::pages::PageKey;
use crate::jq;
use crate::store::Store;

pub use self::apply::{Applied, Outcome};
pub use self::config::Mode;
pub use self::report::{Ending, Report};
pub use self::setup::SetupError;

/// Keeps status pages in step with those who are on call.
pub struct Reconciler {
    pub config: Config,
    keys: Vec<PageKey>,
    accounts: Vec<Account>,
    store: Store,
    limits: jq::Limits,
    now: Now,
    memory: Mutex<Memory>,
}

/// What time it is.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What is worth knowing from one pass to the next. Losing it costs nothing but
/// repeated log lines and a little caution.
#[derive(Default)]
struct Memory {
    /// What this pass has said, and what the one before it did, so that the same
    /// is not said again every minute.
    said: BTreeSet<String>,
    said_before: BTreeSet<String>,
    /// Pages on which a write is in doubt, and until when.
    quiet: BTreeMap<PageId, Timestamp>,
}

/// What is asked of one pass.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub mode: Mode,
    /// Whether to find out how many subscribers would hear of it.
    pub with_subscribers: bool,
}
