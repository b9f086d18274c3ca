//! Lists of accounts: `PAGERDUTY_ACCOUNTS` and `STATUSPAGE_ACCOUNTS`.
//!
//! The list is one variable full of tokens, so its text is never shown; a
//! problem names the entry and the key instead.

use std::collections::BTreeSet;

use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::problem::{Problem, shown, shown_url};
use super::reader::Reader;
use super::value::{self, Parsed, ValueType};

/// One entry of a list while it is being read.
pub(super) struct Account<'r, 'v> {
    reader: &'r mut Reader<'v>,
    variable: String,
    entry: Map<String, Value>,
}

/// Reads every entry with `read`; those that cannot be used are left out and
/// their problems are with `reader`.
pub(super) fn read<T>(
    reader: &mut Reader<'_>,
    name: &str,
    keys: &[&str],
    mut read: impl FnMut(&mut Account<'_, '_>) -> Option<T>,
) -> Vec<T> {
    let entries = reader
        .value(name)
        .and_then(value::accounts)
        .unwrap_or_default();
    let written = reader.written(name);
    let mut names = BTreeSet::new();
    let mut accounts = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let mut account = Account {
            reader,
            variable: format!("{written}[{index}]"),
            entry,
        };
        account.warn_of_unknown_keys(keys);
        if let Some(name) = account.text("name")
            && !names.insert(name.clone())
        {
            account.problem(
                "name",
                "a name that no other account has",
                Some(shown(&name)),
            );
        }
        accounts.extend(read(&mut account));
    }
    accounts
}

impl Account<'_, '_> {
    fn text(&self, key: &str) -> Option<String> {
        self.entry
            .get(key)
            .and_then(value::text)
            .filter(|text| !text.is_empty())
    }

    fn problem(&mut self, key: &str, accepted: &str, found: Option<String>) {
        self.reader.problem(Problem {
            variable: format!("{}.{key}", self.variable),
            accepted: accepted.to_owned(),
            found,
            hint: None,
        });
    }

    fn warn_of_unknown_keys(&mut self, keys: &[&str]) {
        for key in self
            .entry
            .keys()
            .filter(|key| !keys.contains(&key.as_str()))
        {
            let near = super::nearest(key, keys.iter().copied())
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            self.reader.warn_of_unknown(format!(
                "`{}.{key}` is not a setting of an account and has no effect{near}",
                self.variable
            ));
        }
    }

    pub(super) fn name(&mut self) -> Option<String> {
        let name = self.text("name");
        if name.is_none() {
            self.problem(
                "name",
                "a text: what the account is called in log lines",
                None,
            );
        }
        name
    }

    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let secret = self.text(key);
        if secret.is_none() {
            self.problem(key, "a text", None);
        }
        secret.map(SecretString::from)
    }

    /// The URL given, or `default` where none is.
    pub(super) fn url(&mut self, key: &str, default: Option<Url>) -> Option<Url> {
        match self.optional(key, ValueType::Url) {
            Ok(Some(Parsed::Url(url))) => Some(url),
            Ok(_) => default,
            Err(()) => None,
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        match self.optional(key, ValueType::List) {
            Ok(Some(Parsed::List(items))) => Some(items),
            Ok(_) => Some(Vec::new()),
            Err(()) => None,
        }
    }

    fn optional(&mut self, key: &str, value_type: ValueType) -> Result<Option<Parsed>, ()> {
        let Some(value) = self.entry.get(key).filter(|value| !is_empty(value)) else {
            return Ok(None);
        };
        if let Some(parsed) = value_type.parse(value) {
            return Ok(Some(parsed));
        }
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let found = match value_type {
            ValueType::Url => shown_url(&text),
            _ => self.reader.shown(&text),
        };
        self.problem(key, &value_type.accepted(), Some(found));
        Err(())
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
