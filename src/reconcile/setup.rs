//! From settings to everything a pass works with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::accounts::{Account, Client};
use super::config::{Config, Mode};
use super::pages::PageKey;
use super::{Now, Reconciler};
use crate::api::{OpsgenieClient, PagerdutyClient, StatuspageClient};
use crate::document::InvalidDocument;
use crate::http::BuildError;
use crate::jq::{self, Jq};
use crate::settings::{Credential, IncidentSyncSettings, OutboundSettings, RateLimits};
use crate::store::Store;

/// Why there is no reconciler.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Document(#[from] InvalidDocument),
    #[error("cannot set up the connection to {what}")]
    Client {
        what: String,
        #[source]
        source: BuildError,
    },
    #[error("{what} is the name of two {source_name} accounts with different tokens")]
    Twins {
        what: String,
        source_name: &'static str,
    },
    #[error("the incident sync names {what}, and there is no such account")]
    UnknownAccount { what: String },
}

impl SetupError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(_) => None,
            Self::Client { source, .. } => source.hint(),
            Self::Twins { .. } => Some("give each account a name of its own"),
            Self::UnknownAccount { .. } => Some(
                "name accounts as the settings do; the account of the single token is called after its source, such as `pagerduty`",
            ),
        }
    }
}

impl Reconciler {
    /// Checks the document and makes the clients. Asks nobody anything.
    /// Warnings are for the log.
    pub fn new(
        settings: &IncidentSyncSettings,
        outbound: &OutboundSettings,
        rate_limits: &RateLimits,
        store: Store,
    ) -> Result<(Self, Vec<String>), SetupError> {
        let limits = jq::Limits::default();
        let jq = Jq::new(settings.jq_environment.clone(), limits.clone());
        let (config, warnings) = match &settings.document {
            Some(document) => Config::parse(&document.text, &document.origin, &jq)?,
            None => (Config::default_document(), Vec::new()),
        };
        let keys = keys(settings, outbound, rate_limits)?;
        let accounts = accounts(settings, outbound, rate_limits)?;
        check_names(&config, &accounts)?;
        let reconciler = Self {
            config,
            keys,
            accounts,
            store,
            limits,
            now: Arc::new(Timestamp::now),
            memory: Mutex::default(),
        };
        Ok((reconciler, warnings))
    }

    /// The same by another clock.
    #[must_use]
    pub fn by_clock(mut self, now: Now) -> Self {
        self.now = now;
        self
    }

    /// How far the settings let it go.
    pub fn mode(&self, settings: &IncidentSyncSettings) -> Mode {
        settings
            .mode
            .or(self.config.mode)
            .unwrap_or(settings.default_mode)
    }
}

fn keys(
    settings: &IncidentSyncSettings,
    outbound: &OutboundSettings,
    rate_limits: &RateLimits,
) -> Result<Vec<PageKey>, SetupError> {
    let limit = rate_limits.statuspage_per_minute;
    settings
        .statuspage
        .iter()
        .map(|account| {
            let label = match &account.name {
                Some(name) => format!("Statuspage (account `{name}`)"),
                None => "Statuspage".to_owned(),
            };
            let client = StatuspageClient::new(account, outbound, limit).map_err(|source| {
                SetupError::Client {
                    what: label.clone(),
                    source,
                }
            })?;
            Ok(PageKey {
                label,
                client: Arc::new(client),
                page_ids: account.page_ids.clone(),
            })
        })
        .collect()
}

fn accounts(
    settings: &IncidentSyncSettings,
    outbound: &OutboundSettings,
    rate_limits: &RateLimits,
) -> Result<Vec<Account>, SetupError> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut known = Known::default();
    for account in &settings.pagerduty {
        let name = account.name.as_deref().unwrap_or("pagerduty");
        if let Some(twin) = known.twin("PagerDuty", name, &account.token, accounts.len())? {
            accounts[twin].aliases.push(name.to_owned());
            continue;
        }
        let limit = rate_limits.pagerduty_per_minute;
        let client = PagerdutyClient::new(account, outbound, limit);
        accounts.push(Account {
            name: name.to_owned(),
            aliases: Vec::new(),
            client: Client::Pagerduty(client.map_err(|source| failed("PagerDuty", source))?),
        });
    }
    for account in &settings.opsgenie {
        let name = account.name.as_deref().unwrap_or("opsgenie");
        if let Some(twin) = known.twin("Opsgenie", name, &account.api_token, accounts.len())? {
            accounts[twin].aliases.push(name.to_owned());
            continue;
        }
        let limit = rate_limits.opsgenie_per_minute;
        let client = OpsgenieClient::new(account, outbound, limit);
        accounts.push(Account {
            name: name.to_owned(),
            aliases: Vec::new(),
            client: Client::Opsgenie(client.map_err(|source| failed("Opsgenie", source))?),
        });
    }
    Ok(accounts)
}

fn failed(what: &str, source: BuildError) -> SetupError {
    SetupError::Client {
        what: what.to_owned(),
        source,
    }
}

/// Accounts so far. One that is given twice, once for the catalog and once as
/// Pagerstatus had it, must not be read twice: each of its incidents would be
/// two. It goes by both names.
#[derive(Default)]
struct Known {
    names: BTreeSet<(&'static str, String)>,
    tokens: BTreeMap<String, usize>,
}

impl Known {
    /// The place of the account with this token, if there is one; otherwise it
    /// will be at `next`.
    fn twin(
        &mut self,
        source_name: &'static str,
        name: &str,
        credential: &Credential,
        next: usize,
    ) -> Result<Option<usize>, SetupError> {
        let identity = match credential {
            Credential::Fixed(token) => format!("{source_name} {}", token.expose_secret()),
            Credential::File(path) => format!("{source_name} file {}", path.display()),
        };
        if let Some(place) = self.tokens.get(&identity) {
            return Ok(Some(*place));
        }
        self.tokens.insert(identity, next);
        if !self.names.insert((source_name, name.to_owned())) {
            return Err(SetupError::Twins {
                what: name.to_owned(),
                source_name,
            });
        }
        Ok(None)
    }
}

fn check_names(config: &Config, accounts: &[Account]) -> Result<(), SetupError> {
    for rule in &config.rules {
        let of_source = |account: &&Account| account.has(rule.source);
        for name in &rule.accounts {
            if !accounts
                .iter()
                .filter(of_source)
                .any(|account| account.names().any(|known| known == name))
            {
                return Err(SetupError::UnknownAccount {
                    what: format!("the account `{name}` in its rule `{}`", rule.name),
                });
            }
        }
    }
    Ok(())
}
