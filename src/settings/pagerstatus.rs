//! Pagerstatus' variables: `STATUSPAGE_PAGE`, `STATUSPAGE_KEY` and one
//! `PD_ACCOUNT_<NAME>` for each account.
//!
//! An installation of Pagerstatus is taken over with nothing but its own
//! environment. The names are so general that other programs may use one of
//! them; all three kinds together are what says that Pagerstatus is meant. They
//! are read in upper case only, as Pagerstatus reads them, and their credentials
//! switch no source of the catalog on.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::credentials::{Credential, PagerdutyAccount, StatuspageAccount};
use super::problem::Problem;
use super::reader::Reader;
use super::spec::variable;
use super::value;
use super::variables::Found;

/// The page and the accounts of an installation of Pagerstatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagerstatusSettings {
    /// The names of the accounts in lower case, as they stand in its routes.
    pub accounts: Vec<String>,
}

/// What the one Statuspage account is called.
const NAME: &str = "pagerstatus";

const PAGE: &str = "STATUSPAGE_PAGE";
const KEY: &str = "STATUSPAGE_KEY";
const ACCOUNT: &str = "PD_ACCOUNT_";
/// How the variables of accounts are written in messages.
const ANY_ACCOUNT: &str = "PD_ACCOUNT_<NAME>";

/// Whether this is one of the variables, by its exact name.
pub(super) fn is_variable(name: &str) -> bool {
    name == PAGE || is_secret(name)
}

/// Whether the variable holds a credential. The page does not: its id is in the
/// address of everything that is public on it.
pub(super) fn is_secret(name: &str) -> bool {
    name == KEY || name.starts_with(ACCOUNT)
}

/// Those of the variables that have a value.
pub(super) struct Pagerstatus<'a> {
    page: Option<&'a Found>,
    key: Option<&'a Found>,
    /// By the name of the variable.
    accounts: BTreeMap<&'a str, &'a Found>,
}

impl<'a> Pagerstatus<'a> {
    pub(super) fn read(reader: &Reader<'a>) -> Self {
        let given = reader.pagerstatus();
        Self {
            page: given.get(PAGE),
            key: given.get(KEY),
            accounts: given
                .iter()
                .map(|(name, found)| (name.as_str(), found))
                .filter(|(name, _)| name.starts_with(ACCOUNT))
                .collect(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    pub(super) fn is_absent(&self) -> bool {
        self.page.is_none() && self.key.is_none() && self.accounts.is_empty()
    }

    fn missing(&self) -> Vec<&'static str> {
        let page = self.page.is_none().then_some(PAGE);
        let key = self.key.is_none().then_some(KEY);
        let account = self.accounts.is_empty().then_some(ANY_ACCOUNT);
        [page, key, account].into_iter().flatten().collect()
    }

    /// What is there, as written.
    fn written(&self) -> String {
        let single = self.page.iter().chain(&self.key).copied();
        let all: Vec<String> = single
            .chain(self.accounts.values().copied())
            .map(|found| format!("`{}`", found.origin))
            .collect();
        all.join(", ")
    }

    /// Some are missing, and there is nothing else to do.
    pub(super) fn refuse(&self, reader: &mut Reader<'_>) {
        reader.problem(Problem {
            variable: self.missing().join(" and "),
            accepted: "all of Pagerstatus' variables: the page, its API key, and a PagerDuty API \
                       key for each account"
                .to_owned(),
            found: None,
            hint: Some(format!(
                "set so far: {}; without Pagerstatus, set the credentials of a source, and Port's \
                 for a catalog",
                self.written()
            )),
        });
    }

    /// Some are missing, and there is something else to do.
    pub(super) fn warn(&self, reader: &mut Reader<'_>) {
        reader.warn_of_unknown(format!(
            "without effect, because {} is not set: {}",
            self.missing().join(" and "),
            self.written()
        ));
    }

    /// The Statuspage account, where page and key are there.
    pub(super) fn statuspage(&self, reader: &Reader<'_>) -> Option<StatuspageAccount> {
        Some(StatuspageAccount {
            name: Some(NAME.to_owned()),
            host: reader.url(&variable("statuspageHost"))?,
            api_key: Credential::Fixed(secret(self.key?)?),
            page_ids: vec![value::text(&self.page?.value)?],
        })
    }

    /// One PagerDuty account a variable, in the order of their names.
    pub(super) fn pagerduty(
        &self,
        reader: &mut Reader<'_>,
        api_url: Option<&Url>,
    ) -> Vec<PagerdutyAccount> {
        let mut first: BTreeMap<String, &Found> = BTreeMap::new();
        for (variable, found) in &self.accounts {
            let name = variable.strip_prefix(ACCOUNT).unwrap_or_default();
            let name = name.to_lowercase();
            if name.is_empty() {
                reader.problem(Problem {
                    variable: found.origin.clone(),
                    accepted: format!("{ANY_ACCOUNT}, with a name of the account"),
                    found: Some("no name".to_owned()),
                    hint: None,
                });
                continue;
            }
            if let Some(other) = first.get(&name) {
                reader.problem(Problem {
                    variable: format!("{} and {}", other.origin, found.origin),
                    accepted: "names that differ in more than upper and lower case".to_owned(),
                    found: Some(format!("two variables for the account `{name}`")),
                    hint: None,
                });
                continue;
            }
            first.insert(name, found);
        }
        let accounts = first.into_iter().filter_map(|(name, found)| {
            Some(PagerdutyAccount {
                name: Some(name),
                api_url: api_url?.clone(),
                token: Credential::Fixed(secret(found)?),
            })
        });
        accounts.collect()
    }
}

fn secret(found: &Found) -> Option<SecretString> {
    value::text(&found.value).map(SecretString::from)
}
