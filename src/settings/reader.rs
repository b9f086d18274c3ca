//! Reads settings by their rows in the table and keeps what was wrong.
//!
//! Every row is checked once, at the start, whether anything reads it or not;
//! reading afterwards never reports the same value again. A value that does
//! not fit is read as its default, so that one mistake does not bring others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::pagerstatus;
use super::problem::{Problem, shown, shown_secret, shown_url};
use super::table::{self, DefaultValue, SettingRow};
use super::value::{self, Parsed, ValueType};
use super::variables::{Found, Variables};

pub(super) struct Reader<'a> {
    variables: &'a Variables,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    /// What was set and is no setting.
    unknown: Vec<String>,
    /// What is never shown, wherever it was put by mistake.
    secrets: Vec<SecretString>,
}

/// What was noticed while reading.
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// One line for each that is no setting.
    pub(super) unknown: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Checks every value against the type of its row.
    pub(super) fn new(variables: &'a Variables) -> Self {
        let mut reader = Self {
            variables,
            problems: Vec::new(),
            warnings: Vec::new(),
            unknown: Vec::new(),
            secrets: Vec::new(),
        };
        reader.secrets = reader.sensitive_values();
        // Short ones are in every text by chance.
        reader
            .secrets
            .retain(|secret| secret.expose_secret().len() >= 4);
        for row in table::table() {
            if let Some(found) = variables.get(&row.variable)
                && row.value_type.parse(&found.value).is_none()
            {
                reader.mismatch(row, found);
            }
        }
        reader
    }

    /// Keeps a problem, once: a setting may be looked at for several reasons.
    pub(super) fn problem(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Warns of what was set and is no setting.
    pub(super) fn warn_of_unknown(&mut self, warning: String) {
        self.unknown.push(warning);
    }

    pub(super) fn finish(self) -> Findings {
        Findings {
            problems: self.problems,
            warnings: self.warnings,
            unknown: self.unknown,
        }
    }

    /// Whether there is a value (an empty one is none).
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.get(name).is_some()
    }

    /// The raw value, for settings that are more than one value.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.variables.get(name).map(|found| &found.value)
    }

    /// Pagerstatus' variables that have a value, by their exact names.
    pub(super) fn pagerstatus(&self) -> &'a BTreeMap<String, Found> {
        self.variables.pagerstatus()
    }

    /// The variable as its author wrote it.
    pub(super) fn written(&self, name: &str) -> String {
        self.variables
            .get(name)
            .map_or_else(|| name.to_owned(), |found| found.origin.clone())
    }

    /// What was set below a prefix, as written.
    pub(super) fn set_below(&self, prefix: &str) -> Vec<String> {
        self.variables
            .below(prefix)
            .map(|(_, found)| found.origin.clone())
            .collect()
    }

    /// What was set below a prefix and is in the table: variable, as written.
    pub(super) fn known_below(&self, prefix: &str) -> Vec<(String, String)> {
        self.variables
            .below(prefix)
            .filter(|(name, _)| table::row(name).is_some())
            .map(|(name, found)| (name.to_owned(), found.origin.clone()))
            .collect()
    }

    /// Whether two settings both have a value, and not the same one.
    pub(super) fn differ(&self, one: &str, other: &str) -> bool {
        match (self.variables.get(one), self.variables.get(other)) {
            (Some(one_found), Some(other_found)) => {
                let parsed = |name: &str, found: &Found| {
                    table::row(name).and_then(|row| row.value_type.parse(&found.value))
                };
                parsed(one, one_found) != parsed(other, other_found)
            }
            _ => false,
        }
    }

    fn read(&self, name: &str) -> Option<Parsed> {
        let row = table::row(name);
        debug_assert!(row.is_some(), "{name} is not in the settings table");
        let row = row?;
        let given = self
            .variables
            .get(name)
            .and_then(|found| row.value_type.parse(&found.value));
        given.or_else(|| match row.default {
            DefaultValue::Value(text) => row.value_type.parse(&Value::String(text.to_owned())),
            DefaultValue::Required | DefaultValue::Absent => None,
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.read(name)? {
            Parsed::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Like `text`, but a value that does not fit is not replaced by the
    /// default: what depends on it is then not looked at.
    pub(super) fn valid_text(&self, name: &str) -> Option<String> {
        let row = table::row(name)?;
        match self.variables.get(name) {
            Some(found) if row.value_type.parse(&found.value).is_none() => None,
            _ => self.text(name),
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(super) fn required_text(&mut self, name: &str, hint: &str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            self.missing(name, Some(hint.to_owned()));
        }
        text
    }

    pub(super) fn required_secret(&mut self, name: &str, hint: &str) -> Option<SecretString> {
        self.required_text(name, hint).map(SecretString::from)
    }

    /// Reports a setting that must be there; an empty value is told from none.
    pub(super) fn missing(&mut self, name: &str, hint: Option<String>) {
        if self.variables.get(name).is_some() {
            // There is a value, and it has been reported as not fitting.
            return;
        }
        let empty = self.variables.empty(name);
        self.problem(Problem {
            variable: empty.map_or_else(|| name.to_owned(), ToString::to_string),
            accepted: table::row(name).map_or_else(String::new, |row| row.value_type.accepted()),
            found: empty.map(|_| shown_secret("")),
            hint,
        });
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn url(&self, name: &str) -> Option<Url> {
        match self.read(name)? {
            Parsed::Url(url) => Some(url),
            _ => None,
        }
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.read(name) == Some(Parsed::Boolean(true))
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.read(name) {
            Some(Parsed::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// A whole number; 0 where there is neither a value nor a default.
    pub(super) fn whole(&self, name: &str) -> u64 {
        match self.read(name) {
            Some(Parsed::Whole(number)) => number,
            _ => 0,
        }
    }

    /// A time given in seconds, whole or with a fraction.
    pub(super) fn seconds(&self, name: &str) -> Duration {
        match self.read(name) {
            Some(Parsed::Whole(seconds)) => Duration::from_secs(seconds),
            Some(Parsed::Decimal(seconds)) => {
                Duration::try_from_secs_f64(seconds).unwrap_or_default()
            }
            _ => Duration::ZERO,
        }
    }

    /// Every sensitive value there is, used or not; those within accounts are
    /// found where the accounts are read.
    pub(super) fn sensitive_values(&self) -> Vec<SecretString> {
        let settings = table::table()
            .iter()
            .filter(|row| row.sensitive && !matches!(row.value_type, ValueType::Accounts { .. }))
            .filter_map(|row| self.variables.get(&row.variable));
        let pagerstatus = self
            .pagerstatus()
            .iter()
            .filter(|(name, _)| pagerstatus::is_secret(name))
            .map(|(_, found)| found);
        settings
            .chain(pagerstatus)
            .filter_map(|found| value::text(&found.value))
            .map(SecretString::from)
            .collect()
    }

    fn mismatch(&mut self, row: &SettingRow, found: &Found) {
        let text = match &found.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let secret = row.sensitive || self.holds_a_secret(&text);
        self.problem(Problem {
            variable: found.origin.clone(),
            accepted: row.value_type.accepted(),
            found: Some(match row.value_type {
                _ if secret => shown_secret(&text),
                // Longer than a problem should be.
                ValueType::Object => shown_secret(&text),
                ValueType::Url => shown_url(&text),
                _ => shown(&text),
            }),
            hint: if secret {
                None
            } else {
                row.value_type.hint(&row.variable, &text)
            },
        });
    }

    /// A value for a problem: itself, unless there is a secret in it.
    pub(super) fn shown(&self, text: &str) -> String {
        if self.holds_a_secret(text) {
            shown_secret(text)
        } else {
            shown(text)
        }
    }

    fn holds_a_secret(&self, text: &str) -> bool {
        self.secrets
            .iter()
            .any(|secret| text.contains(secret.expose_secret()))
    }
}
