//! What the incident sync is to do, and with whom: the document with its rules,
//! the mode, and the accounts of both sides.
//!
//! The document is only fetched here, not understood: whoever works by its rules
//! says what is wrong with them. It holds no secrets, but it is long, so that no
//! problem repeats it.
//!
//! Its accounts are those of the catalog's sources, whether the catalog is on or
//! not, and those of Pagerstatus' variables.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::credentials::{OpsgenieAccount, PagerdutyAccount, StatuspageAccount};
use super::pagerstatus::{Pagerstatus, PagerstatusSettings};
use super::problem::Problem;
use super::reader::Reader;
use super::sources::{self, Sources};
use super::spec::variable;
use super::{PortSettings, SourceName};

/// How Statuspage incidents are kept in step with those of on-call engineers.
#[derive(Clone, Debug)]
pub struct IncidentSyncSettings {
    /// Rules and texts; `None`: those that are built in.
    pub document: Option<SyncDocument>,
    /// What the variable says, which is stronger than the document.
    pub mode: Option<SyncMode>,
    /// What holds where neither of them says anything: an installation of
    /// Pagerstatus goes on acting, everybody else sees the plan first.
    pub default_mode: SyncMode,
    pub statuspage: Vec<StatuspageAccount>,
    pub pagerduty: Vec<PagerdutyAccount>,
    pub opsgenie: Vec<OpsgenieAccount>,
    /// `None` without Pagerstatus' variables; its routes come with them.
    pub pagerstatus: Option<PagerstatusSettings>,
    /// What `env` and `$ENV` show to a rule; empty where that is off.
    pub jq_environment: BTreeMap<String, String>,
}

/// The text of the rules, not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDocument {
    /// The variable or file, as messages name it.
    pub origin: String,
    /// YAML, of which JSON is a part.
    pub text: String,
}

/// What is done with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// There is none.
    Off,
    /// It is told.
    Plan,
    /// It is carried out.
    Apply,
}

impl SyncMode {
    /// Every mode and its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Off.as_str(), Self::Off),
        (Self::Plan.as_str(), Self::Plan),
        (Self::Apply.as_str(), Self::Apply),
    ];

    /// The mode as it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }
}

impl fmt::Display for SyncMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const DOCUMENT: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC";
const FILE: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE";
const MODE: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE";

/// An incident sync that is asked for, before its accounts are known.
pub(super) struct Asked<'a> {
    document: Option<SyncDocument>,
    mode: Option<SyncMode>,
    /// `None` where the variables have no effect.
    pagerstatus: Option<Pagerstatus<'a>>,
}

impl<'a> Asked<'a> {
    /// `None`: nobody asks for it. `directory` is what a file's path starts from.
    pub(super) fn read(reader: &mut Reader<'a>, directory: &Path) -> Option<Self> {
        let is_set = [DOCUMENT, FILE, MODE]
            .iter()
            .any(|name| reader.is_set(name));
        let pagerstatus = pagerstatus(reader, is_set);
        (is_set || pagerstatus.is_some()).then(|| Self {
            document: document(reader, directory),
            mode: mode(reader),
            pagerstatus,
        })
    }

    /// Whether it is switched off in so many words. (What the document says is
    /// not known here.)
    pub(super) fn is_off(&self) -> bool {
        self.mode == Some(SyncMode::Off)
    }

    pub(super) fn has_pagerstatus(&self) -> bool {
        self.pagerstatus.is_some()
    }

    /// The whole of it. What is missing is with `reader`.
    pub(super) fn with_accounts(
        self,
        reader: &mut Reader<'_>,
        sources: &Sources,
        jq_environment: BTreeMap<String, String>,
    ) -> IncidentSyncSettings {
        // Switching off must work whatever else is there.
        if !self.is_off() {
            self.refuse_without_accounts(reader, sources);
        }
        let mut settings = IncidentSyncSettings {
            document: self.document,
            mode: self.mode,
            default_mode: SyncMode::Plan,
            statuspage: sources.settings.statuspage.clone(),
            pagerduty: sources.settings.pagerduty.clone(),
            opsgenie: sources.settings.opsgenie.clone(),
            pagerstatus: None,
            jq_environment,
        };
        if let Some(pagerstatus) = self.pagerstatus {
            let api_url = sources.pagerduty_api_url(reader);
            let accounts = pagerstatus.pagerduty(reader, api_url.as_ref());
            settings.default_mode = SyncMode::Apply;
            settings.pagerstatus = Some(PagerstatusSettings {
                accounts: accounts
                    .iter()
                    .filter_map(|account| account.name.clone())
                    .collect(),
            });
            settings.statuspage.extend(pagerstatus.statuspage(reader));
            settings.pagerduty.extend(accounts);
        }
        settings
    }

    /// One side alone is nothing to keep in step. An account that is asked for
    /// and cannot be used has had its problem already.
    fn refuse_without_accounts(&self, reader: &mut Reader<'_>, sources: &Sources) {
        use SourceName::{Opsgenie, Pagerduty, Statuspage};

        let has = |source| sources.asked_for.contains(&source) || self.has_pagerstatus();
        if !has(Statuspage) {
            reader.problem(Problem {
                variable: variable("statuspageApiKey"),
                accepted: "the key of a Statuspage account, for its incidents to be kept in step"
                    .to_owned(),
                found: None,
                hint: Some(format!(
                    "or set {}; {MODE}=off does without",
                    variable("statuspageAccounts")
                )),
            });
        }
        if !has(Pagerduty) && !has(Opsgenie) {
            reader.problem(Problem {
                variable: format!(
                    "{} or {}",
                    variable("pagerdutyToken"),
                    variable("opsgenieApiToken")
                ),
                accepted: "the credentials of an account whose incidents Statuspage is to follow"
                    .to_owned(),
                found: None,
                hint: Some(format!(
                    "or set {} or {}; {MODE}=off does without",
                    variable("pagerdutyAccounts"),
                    variable("opsgenieAccounts")
                )),
            });
        }
    }
}

/// Pagerstatus' variables where all are there. Where some are, it is said; they
/// count all the same when there is nothing else to do, so that nothing else is
/// found missing.
fn pagerstatus<'a>(reader: &mut Reader<'a>, is_set: bool) -> Option<Pagerstatus<'a>> {
    let pagerstatus = Pagerstatus::read(reader);
    if pagerstatus.is_absent() {
        return None;
    }
    if pagerstatus.is_complete() {
        return Some(pagerstatus);
    }
    if is_set || PortSettings::is_asked_for(reader) || sources::are_asked_for(reader) {
        pagerstatus.warn(reader);
        return None;
    }
    pagerstatus.refuse(reader);
    Some(pagerstatus)
}

fn mode(reader: &Reader<'_>) -> Option<SyncMode> {
    match reader.text(MODE)?.as_str() {
        "off" | "false" => Some(SyncMode::Off),
        "plan" => Some(SyncMode::Plan),
        _ => Some(SyncMode::Apply),
    }
}

fn document(reader: &mut Reader<'_>, directory: &Path) -> Option<SyncDocument> {
    if reader.is_set(DOCUMENT) && reader.is_set(FILE) {
        let (document, file) = (reader.written(DOCUMENT), reader.written(FILE));
        reader.problem(Problem {
            variable: format!("{document} and {file}"),
            accepted: "one of the two".to_owned(),
            found: Some("both".to_owned()),
            hint: None,
        });
        return None;
    }
    if let Some(text) = reader.text(DOCUMENT) {
        let origin = reader.written(DOCUMENT);
        return Some(SyncDocument { origin, text });
    }
    let path = reader.path(FILE)?;
    let origin = path.display().to_string();
    match std::fs::read_to_string(directory.join(&path)) {
        Ok(text) => Some(SyncDocument { origin, text }),
        Err(error) => {
            reader.problem(Problem {
                variable: reader.written(FILE),
                accepted: "the path of a readable YAML file".to_owned(),
                found: Some(format!("{}: {error}", reader.shown(&origin))),
                hint: None,
            });
            None
        }
    }
}
