//! The accounts of each source, as their settings give them: the one account of
//! the original settings, and a list of others.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::accounts;
use super::problem::Problem;
use super::reader::Reader;
use super::sources::OAUTH_FILE;
use super::spec::variable;
use super::value;

/// One Statuspage key.
#[derive(Clone, Debug)]
pub struct StatuspageAccount {
    /// `None` for the account of the original settings.
    pub name: Option<String>,
    pub host: Url,
    pub api_key: Credential,
    /// Empty: every page that the key may read.
    pub page_ids: Vec<String>,
}

/// One PagerDuty account.
#[derive(Clone, Debug)]
pub struct PagerdutyAccount {
    /// `None` for the account of the original settings.
    pub name: Option<String>,
    pub api_url: Url,
    pub token: Credential,
}

/// One Opsgenie account.
#[derive(Clone, Debug)]
pub struct OpsgenieAccount {
    /// `None` for the account of the original settings.
    pub name: Option<String>,
    pub api_url: Url,
    pub api_token: Credential,
}

/// A credential as given, or a file that is read again for each login.
#[derive(Clone, Debug)]
pub enum Credential {
    Fixed(SecretString),
    File(PathBuf),
}

pub(super) const PAGERDUTY_API_URL: &str = "pagerdutyApiUrl";

/// Whether there is a list with anything in it. One that cannot be read
/// counts: its problem has been reported, and its source was asked for.
pub(super) fn lists_accounts(reader: &Reader<'_>, name: &str) -> bool {
    reader
        .value(&variable(name))
        .is_some_and(|value| value::accounts(value).is_none_or(|accounts| !accounts.is_empty()))
}

/// The credential of the original settings: the file where there is one, else
/// the value of `name`. Both together: the file, as in the originals.
fn credential(reader: &mut Reader<'_>, name: &str, file: Option<PathBuf>) -> Option<Credential> {
    match file {
        Some(path) => {
            if reader.is_set(name) {
                let (token, file) = (reader.written(name), reader.written(OAUTH_FILE));
                reader.warn(format!(
                    "`{token}` has no effect: `{file}` is set and stands in for it"
                ));
            }
            Some(Credential::File(path))
        }
        None => reader.secret(name).map(Credential::Fixed),
    }
}

pub(super) fn statuspage(reader: &mut Reader<'_>, file: Option<PathBuf>) -> Vec<StatuspageAccount> {
    let host = reader.url(&variable("statuspageHost"));
    let several = variable("statuspageAccounts");
    let key = variable("statuspageApiKey");
    let page_ids = variable("statuspageIds");
    let single = credential(reader, &key, file);
    if single.is_none() {
        if !lists_accounts(reader, "statuspageAccounts") {
            reader.missing(
                &key,
                Some("create an API key in Statuspage under your avatar > API info".to_owned()),
            );
        } else if reader.is_set(&page_ids) {
            let (written, key) = (reader.written(&page_ids), &key);
            reader.warn(format!(
                "`{written}` has no effect: it belongs to {key}; an account of the list has its \
                 own `ids`"
            ));
        }
    }
    let mut accounts: Vec<_> = single
        .zip(host.clone())
        .map(|(api_key, host)| StatuspageAccount {
            name: None,
            host,
            api_key,
            page_ids: reader.list(&page_ids),
        })
        .into_iter()
        .collect();
    accounts.extend(accounts::read(
        reader,
        &several,
        &["name", "api_key", "host", "ids"],
        |account| {
            let name = account.name();
            let api_key = account.secret("api_key").map(Credential::Fixed);
            let host = account.url("host", host.clone());
            let page_ids = account.list("ids");
            Some(StatuspageAccount {
                name: Some(name?),
                host: host?,
                api_key: api_key?,
                page_ids: page_ids?,
            })
        },
    ));
    accounts
}

pub(super) fn pagerduty(
    reader: &mut Reader<'_>,
    owns_bare: bool,
    file: Option<PathBuf>,
) -> Vec<PagerdutyAccount> {
    let names = Names {
        token: ("token", "pagerdutyToken"),
        api_url: PAGERDUTY_API_URL,
        accounts: "pagerdutyAccounts",
        token_key: "token",
        remedy: "create an API access key in PagerDuty under Integrations > API Access Keys",
    };
    with_token(reader, &names, owns_bare, file, |name, api_url, token| {
        PagerdutyAccount {
            name,
            api_url,
            token,
        }
    })
}

pub(super) fn opsgenie(
    reader: &mut Reader<'_>,
    owns_bare: bool,
    file: Option<PathBuf>,
) -> Vec<OpsgenieAccount> {
    let names = Names {
        token: ("apiToken", "opsgenieApiToken"),
        api_url: "opsgenieApiUrl",
        accounts: "opsgenieAccounts",
        token_key: "api_token",
        remedy: "create an API key in Opsgenie under Settings > API key management, with the \
                 rights to read and to access the configuration",
    };
    with_token(
        reader,
        &names,
        owns_bare,
        file,
        |name, api_url, api_token| OpsgenieAccount {
            name,
            api_url,
            api_token,
        },
    )
}

/// What the settings of a source with a token and an address are called.
struct Names {
    /// The original's name and the one with the source in it.
    token: (&'static str, &'static str),
    api_url: &'static str,
    accounts: &'static str,
    /// The token in an entry of the list.
    token_key: &'static str,
    /// What to do about a missing token.
    remedy: &'static str,
}

fn with_token<Account>(
    reader: &mut Reader<'_>,
    names: &Names,
    owns_bare: bool,
    file: Option<PathBuf>,
    account: fn(Option<String>, Url, Credential) -> Account,
) -> Vec<Account> {
    let token = original_or_prefixed(reader, owns_bare, names.token);
    let api_url = api_url(reader, owns_bare, names.api_url);
    let single = credential(reader, &token, file);
    if single.is_none() && !lists_accounts(reader, names.accounts) {
        reader.missing(&token, Some(names.remedy.to_owned()));
    }
    let mut all: Vec<_> = single
        .zip(api_url.clone())
        .map(|(token, api_url)| account(None, api_url, token))
        .into_iter()
        .collect();
    all.extend(accounts::read(
        reader,
        &variable(names.accounts),
        &["name", names.token_key, "api_url"],
        |entry| {
            let name = entry.name();
            let token = entry.secret(names.token_key).map(Credential::Fixed);
            let api_url = entry.url("api_url", api_url.clone());
            Some(account(Some(name?), api_url?, token?))
        },
    ));
    all
}

/// The one of the two names that is to be read.
fn original_or_prefixed(
    reader: &mut Reader<'_>,
    owns_bare: bool,
    (original, prefixed): (&str, &str),
) -> String {
    let (original, prefixed) = (variable(original), variable(prefixed));
    if !owns_bare {
        return prefixed;
    }
    if reader.differ(&original, &prefixed) {
        contradiction(reader, &[&original, &prefixed]);
    }
    if reader.is_set(&prefixed) {
        prefixed
    } else {
        original
    }
}

/// The address, whose default hangs on the source and so on the name with the
/// source in it.
pub(super) fn api_url(reader: &mut Reader<'_>, owns_bare: bool, prefixed: &str) -> Option<Url> {
    let bare = variable("apiUrl");
    let name = if reader.is_set(&bare) {
        original_or_prefixed(reader, owns_bare, ("apiUrl", prefixed))
    } else {
        variable(prefixed)
    };
    reader.url(&name)
}

pub(super) fn contradiction(reader: &mut Reader<'_>, names: &[&str; 2]) {
    let [one, other] = names.map(|name| reader.written(name));
    reader.problem(Problem {
        variable: format!("{one} and {other}"),
        accepted: "one of the two, or the same value in both".to_owned(),
        found: Some("two different values for one setting".to_owned()),
        hint: None,
    });
}
