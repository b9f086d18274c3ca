//! Which sources are on, with which accounts, and what the integration is
//! called because of it.
//!
//! Sources follow credentials: a source is on when its token is set. The type
//! names the integration, demands the credentials of the source it names, and
//! says whom the original, unprefixed settings (`TOKEN`, `API_URL`) belong to.
//! Where nothing says so and more than one source is on, such a setting is
//! refused rather than guessed: a token sent to the wrong vendor is a leak.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::SourceName;
use super::accounts;
use super::integration::IntegrationSettings;
use super::problem::Problem;
use super::reader::Reader;
use super::spec::variable;
use super::value;

/// The accounts of every source; a source without any is off.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    pub statuspage: Vec<StatuspageAccount>,
    pub pagerduty: Vec<PagerdutyAccount>,
    /// The public URL of this service.
    pub app_host: Option<Url>,
}

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

/// A credential as given, or a file that is read again for each login.
#[derive(Clone, Debug)]
pub enum Credential {
    Fixed(SecretString),
    File(PathBuf),
}

impl SourceSettings {
    /// The sources that are on.
    pub fn names(&self) -> Vec<SourceName> {
        SourceName::ALL
            .into_iter()
            .filter(|source| match source {
                SourceName::Statuspage => !self.statuspage.is_empty(),
                SourceName::Pagerduty => !self.pagerduty.is_empty(),
            })
            .collect()
    }
}

/// What `OCEAN__INTEGRATION__TYPE` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Declared {
    Nothing,
    One(SourceName),
    Several,
    /// Something that is refused; its problem has been reported.
    Refused,
}

const TYPE: &str = "OCEAN__INTEGRATION__TYPE";
const OAUTH_FILE: &str = "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH";
const NO_OPSGENIE: &str = "this version has no Opsgenie source yet";
/// Settings whose unprefixed name says nothing about the vendor.
const BARE: [(&str, &str); 2] = [("token", "pagerdutyToken"), ("apiUrl", "pagerdutyApiUrl")];

/// `None` when there is no source; the problems are with `reader`.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<(IntegrationSettings, SourceSettings)> {
    let declared = declared(reader);
    let set = |reader: &Reader<'_>, name: &str| reader.is_set(&variable(name));

    let opsgenie = refuse_opsgenie(reader, declared);
    let statuspage = set(reader, "statuspageApiKey")
        || lists_accounts(reader, "statuspageAccounts")
        || declared == Declared::One(SourceName::Statuspage);
    let prefixed = set(reader, "pagerdutyToken") || lists_accounts(reader, "pagerdutyAccounts");
    let bare_is_pagerduty = match declared {
        Declared::One(source) => source == SourceName::Pagerduty,
        Declared::Nothing => !statuspage,
        // A refused type must not bring problems about what would follow from it.
        Declared::Refused => true,
        Declared::Several => false,
    };
    let pagerduty = prefixed
        || declared == Declared::One(SourceName::Pagerduty)
        || (bare_is_pagerduty && set(reader, "token"));
    if !bare_is_pagerduty {
        let several = declared == Declared::Several
            || (declared == Declared::Nothing && (prefixed || set(reader, "token")));
        bare_settings(reader, several, declared);
    }

    let oauth_file = oauth_file(reader, declared);
    if !statuspage && !pagerduty {
        if !opsgenie && !set(reader, "token") && oauth_file.is_none() {
            no_source(reader);
        }
        return None;
    }

    let file_of = |source| {
        oauth_file
            .clone()
            .filter(|_| declared == Declared::One(source))
    };
    let settings = SourceSettings {
        statuspage: if statuspage {
            statuspage_accounts(reader, file_of(SourceName::Statuspage))
        } else {
            without_effect(reader, "Statuspage", &["statuspageHost", "statuspageIds"]);
            Vec::new()
        },
        pagerduty: if pagerduty {
            pagerduty_accounts(reader, bare_is_pagerduty, file_of(SourceName::Pagerduty))
        } else {
            without_effect(reader, "PagerDuty", &["pagerdutyApiUrl"]);
            Vec::new()
        },
        app_host: app_host(reader),
    };
    let kind = match (declared, statuspage, pagerduty) {
        (Declared::One(source), ..) => source.as_str(),
        (Declared::Nothing, true, false) => SourceName::Statuspage.as_str(),
        (Declared::Nothing, false, true) => SourceName::Pagerduty.as_str(),
        _ => "portolan",
    };
    Some((IntegrationSettings::read(reader, kind), settings))
}

/// Whether there is a list with anything in it. One that cannot be read
/// counts: its problem has been reported, and its source was asked for.
fn lists_accounts(reader: &Reader<'_>, name: &str) -> bool {
    reader
        .value(&variable(name))
        .is_some_and(|value| value::accounts(value).is_none_or(|accounts| !accounts.is_empty()))
}

fn declared(reader: &mut Reader<'_>) -> Declared {
    if !reader.is_set(TYPE) {
        return Declared::Nothing;
    }
    let written = reader.text(TYPE).unwrap_or_default();
    let (found, hint) = match written.to_ascii_lowercase().as_str() {
        "statuspage" => return Declared::One(SourceName::Statuspage),
        "pagerduty" => return Declared::One(SourceName::Pagerduty),
        "portolan" => return Declared::Several,
        "opsgenie" => (reader.shown(&written), Some(keep_opsgenie())),
        _ => {
            let near = super::nearest(&written, ["pagerduty", "statuspage", "portolan"]);
            (
                reader.shown(&written),
                near.map(|near| format!("write {near}")),
            )
        }
    };
    reader.problem(Problem {
        variable: reader.written(TYPE),
        accepted: "pagerduty, statuspage, or portolan for several sources".to_owned(),
        found: Some(found),
        hint,
    });
    Declared::Refused
}

fn keep_opsgenie() -> String {
    format!("{NO_OPSGENIE}; keep the Opsgenie integration you have")
}

/// Says that there is no Opsgenie source where one was asked for.
fn refuse_opsgenie(reader: &mut Reader<'_>, declared: Declared) -> bool {
    // With a refused type, that has been said already, or would be the second
    // thing to say.
    if declared == Declared::Refused {
        return true;
    }
    // Under another source's type the originals ignored what they did not
    // know, so there only the name with the vendor in it is taken for one.
    let names: &[&str] = match declared {
        Declared::One(_) => &["opsgenieApiToken"],
        _ => &["opsgenieApiToken", "apiToken"],
    };
    let token = names
        .iter()
        .map(|name| variable(name))
        .find(|name| reader.is_set(name));
    let Some(token) = token else {
        for name in ["apiToken", "opsgenieApiUrl"].map(variable) {
            if reader.is_set(&name) {
                let written = reader.written(&name);
                reader.warn(format!("`{written}` has no effect: {NO_OPSGENIE}"));
            }
        }
        return false;
    };
    reader.problem(Problem {
        variable: reader.written(&token),
        accepted: "credentials of PagerDuty or Statuspage".to_owned(),
        found: Some("an Opsgenie token".to_owned()),
        hint: Some(keep_opsgenie()),
    });
    true
}

/// Unprefixed settings that belong to nobody.
fn bare_settings(reader: &mut Reader<'_>, several: bool, declared: Declared) {
    for (bare, prefixed) in BARE {
        let name = variable(bare);
        if !reader.is_set(&name) {
            continue;
        }
        let written = reader.written(&name);
        let prefixed = variable(prefixed);
        if several {
            reader.problem(Problem {
                variable: written,
                accepted: format!("{prefixed}, which says whose it is"),
                found: Some("the name without the source in it".to_owned()),
                hint: Some(match declared {
                    Declared::Several => {
                        "`OCEAN__INTEGRATION__TYPE` is `portolan`, which is for several sources"
                            .to_owned()
                    }
                    _ => "several sources are on; or name one of them in \
                          `OCEAN__INTEGRATION__TYPE`"
                        .to_owned(),
                }),
            });
        } else {
            reader.warn(format!(
                "`{written}` has no effect: it is no setting of Statuspage; PagerDuty's is \
                 `{prefixed}`"
            ));
        }
    }
}

fn no_source(reader: &mut Reader<'_>) {
    reader.problem(Problem {
        variable: "OCEAN__INTEGRATION__CONFIG__…".to_owned(),
        accepted: "the credentials of at least one source".to_owned(),
        found: None,
        hint: Some(format!(
            "set {} for Statuspage, {} for PagerDuty, or both",
            variable("statuspageApiKey"),
            variable("pagerdutyToken"),
        )),
    });
}

fn without_effect(reader: &mut Reader<'_>, source: &str, names: &[&str]) {
    for name in names.iter().map(|name| variable(name)) {
        if reader.is_set(&name) {
            let written = reader.written(&name);
            reader.warn(format!(
                "`{written}` has no effect: no {source} credentials are set"
            ));
        }
    }
}

fn oauth_file(reader: &mut Reader<'_>, declared: Declared) -> Option<PathBuf> {
    let path = reader.path(OAUTH_FILE)?;
    if matches!(declared, Declared::Nothing | Declared::Several) {
        reader.problem(Problem {
            variable: reader.written(OAUTH_FILE),
            accepted: "a file whose source is named by OCEAN__INTEGRATION__TYPE".to_owned(),
            found: Some(reader.shown(&path.display().to_string())),
            hint: Some("set OCEAN__INTEGRATION__TYPE to pagerduty or statuspage".to_owned()),
        });
    }
    Some(path)
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

fn statuspage_accounts(reader: &mut Reader<'_>, file: Option<PathBuf>) -> Vec<StatuspageAccount> {
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

fn pagerduty_accounts(
    reader: &mut Reader<'_>,
    bare_is_pagerduty: bool,
    file: Option<PathBuf>,
) -> Vec<PagerdutyAccount> {
    let token = original_or_prefixed(reader, bare_is_pagerduty, "token", "pagerdutyToken");
    let api_url = original_or_prefixed(reader, bare_is_pagerduty, "apiUrl", "pagerdutyApiUrl");
    let api_url = reader.url(&api_url);
    let several = variable("pagerdutyAccounts");
    let single = credential(reader, &token, file);
    if single.is_none() && !lists_accounts(reader, "pagerdutyAccounts") {
        reader.missing(
            &token,
            Some(
                "create an API access key in PagerDuty under Integrations > API Access Keys"
                    .to_owned(),
            ),
        );
    }
    let mut accounts: Vec<_> = single
        .zip(api_url.clone())
        .map(|(token, api_url)| PagerdutyAccount {
            name: None,
            api_url,
            token,
        })
        .into_iter()
        .collect();
    accounts.extend(accounts::read(
        reader,
        &several,
        &["name", "token", "api_url"],
        |account| {
            let name = account.name();
            let token = account.secret("token").map(Credential::Fixed);
            let api_url = account.url("api_url", api_url.clone());
            Some(PagerdutyAccount {
                name: Some(name?),
                api_url: api_url?,
                token: token?,
            })
        },
    ));
    accounts
}

/// The one of the two names that is to be read.
fn original_or_prefixed(
    reader: &mut Reader<'_>,
    original_counts: bool,
    original: &str,
    prefixed: &str,
) -> String {
    let (original, prefixed) = (variable(original), variable(prefixed));
    if !original_counts {
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

/// One process has one public address, whichever source's name it is given
/// under.
fn app_host(reader: &mut Reader<'_>) -> Option<Url> {
    let names = ["appHost", "statuspageAppHost", "pagerdutyAppHost"].map(variable);
    let set: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| reader.is_set(name))
        .collect();
    let first = *set.first()?;
    if let Some(other) = set.iter().find(|other| reader.differ(first, other)) {
        contradiction(reader, &[first, other]);
    }
    reader.url(first)
}

fn contradiction(reader: &mut Reader<'_>, names: &[&str; 2]) {
    let [one, other] = names.map(|name| reader.written(name));
    reader.problem(Problem {
        variable: format!("{one} and {other}"),
        accepted: "one of the two, or the same value in both".to_owned(),
        found: Some("two different values for one setting".to_owned()),
        hint: None,
    });
}
