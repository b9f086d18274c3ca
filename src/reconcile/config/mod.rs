//! The incident-sync document: what is announced, how it is said, and with how much
//! patience.
//!
//! As with a mapping, what leaves this module has every expression compiled and every
//! text checked, and all mistakes of a document are told at once. It is stricter than
//! a mapping, though: no installation depends on what another program let pass, and a
//! misspelt guard would be a mistake in public. So a key that is not known is refused.
//!
//! `resources/incident-sync.yaml` is the document with its defaults, and it is what
//! they are defined by: whatever a document leaves out is as there.

mod parse;
mod rule;
mod template;
#[cfg(test)]
mod tests;
mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use words::{AlertSource, ComponentStatus, Group, IncidentStatus, Status, UnknownWord};

/// How far the reconciler may go.
pub use crate::settings::SyncMode as Mode;

use super::text::Template;
use crate::{
    document::InvalidDocument,
    jq::{Filter, Jq, Limits},
};

/// The whole document, ready to be used.
#[derive(Clone, Debug)]
pub struct Config {
    /// None where the document does not say.
    pub mode: Option<Mode>,
    /// Whose incidents these are, where several installations share a page.
    pub owner: String,
    /// Between two passes for which nothing gave a hint.
    pub interval: Duration,
    /// Ids; all pages that there are when empty.
    pub pages: Vec<String>,
    /// In the order in which they are tried.
    pub rules: Vec<Rule>,
    /// For public incidents whose rule is no longer there.
    pub default_template: Arc<Template>,
    pub guards: Guards,
    pub notify: Notify,
}

/// Which source incidents are announced, for which components, in which words.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub source: AlertSource,
    /// Names; all accounts of the source when empty.
    pub accounts: Vec<String>,
    /// Ids; all pages when empty.
    pub pages: Vec<String>,
    /// In one of these states a source incident opens a public one.
    pub opens: Vec<Status>,
    /// In one of these it keeps open what is open: at least those of `opens`.
    pub keeps: Vec<Status>,
    /// Gives a boolean.
    pub when: Arc<Filter>,
    /// Gives ids or names of components, one or a list of them, or null.
    pub components: Arc<Filter>,
    pub component_status: StatusRule,
    pub group: Group,
    pub template: Arc<Template>,
}

/// How a component is shown while the public incident is open.
#[derive(Clone, Debug)]
pub enum StatusRule {
    Fixed(ComponentStatus),
    /// Gives the word for a [`ComponentStatus`].
    Expression(Arc<Filter>),
}

/// What keeps the public page calm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guards {
    /// How long there has to be a reason before an incident is opened.
    pub open_after: Duration,
    /// How long there has to be none before it is resolved.
    pub resolve_after: Duration,
    /// How long after its end an incident is opened again instead of a new one.
    pub reopen_within: Duration,
    /// How long a write without an answer is looked for before it is repeated.
    pub settle: Duration,
    /// Of one page; None for no limit.
    pub max_changes_per_hour: Option<u32>,
    pub open_during_maintenance: bool,
    /// Whether to open although somebody else's incident holds the component.
    pub open_beside_others: bool,
}

/// Which transitions the page's subscribers are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each transition is told or not, whatever the others are"
)]
pub struct Notify {
    pub opened: bool,
    pub updated: bool,
    pub reopened: bool,
    pub resolved: bool,
}

impl Config {
    /// The document with its defaults, as people read it.
    pub const DEFAULT_DOCUMENT: &str = include_str!("../../../resources/incident-sync.yaml");

    /// Reads a document as people write it, YAML or JSON, with what its author should
    /// know about it.
    pub fn parse(
        text: &str,
        origin: &str,
        jq: &Jq,
    ) -> Result<(Self, Vec<String>), InvalidDocument> {
        parse::text(text, origin, jq)
    }

    /// Reads a document that is part of another one.
    pub fn parse_value(
        value: &serde_json::Value,
        origin: &str,
        jq: &Jq,
    ) -> Result<(Self, Vec<String>), InvalidDocument> {
        parse::value(value, origin, jq)
    }

    /// The document with its defaults, for installations that have none. It chooses no
    /// mode.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the built-in document is valid: a test reads it"
    )]
    pub fn default_document() -> Self {
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        let (config, _) = Self::parse(Self::DEFAULT_DOCUMENT, "incident-sync.yaml", &jq)
            .expect("the built-in document is valid");
        Self {
            mode: None,
            ..config
        }
    }
}
