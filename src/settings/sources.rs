//! Which sources are on, with which accounts, and what the integration is
//! called because of it.
//!
//! Sources follow credentials: a source is on when its token is set. The type
//! names the integration, demands the credentials of the source it names, and
//! says whom the original, unprefixed settings (`TOKEN`, `API_TOKEN`, `API_URL`)
//! belong to. Where nothing says so and more than one source is on, such a
//! setting is refused rather than guessed: a token sent to the wrong vendor is a
//! leak.
//!
//! The incident sync reads the same accounts. Where it runs without a catalog, the
//! type demands nothing, and a source need not be on.

use std::path::PathBuf;

use url::Url;

use super::SourceName;
use super::credentials::{self, OpsgenieAccount, PagerdutyAccount, StatuspageAccount};
use super::problem::Problem;
use super::reader::Reader;
use super::spec::variable;

/// The accounts of every source; a source without any is off.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    pub statuspage: Vec<StatuspageAccount>,
    pub pagerduty: Vec<PagerdutyAccount>,
    pub opsgenie: Vec<OpsgenieAccount>,
    /// The public URL of this service.
    pub app_host: Option<Url>,
}

impl SourceSettings {
    /// The sources that are on.
    pub fn names(&self) -> Vec<SourceName> {
        SourceName::ALL
            .into_iter()
            .filter(|source| match source {
                SourceName::Statuspage => !self.statuspage.is_empty(),
                SourceName::Pagerduty => !self.pagerduty.is_empty(),
                SourceName::Opsgenie => !self.opsgenie.is_empty(),
            })
            .collect()
    }
}

/// What the sources are read for.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) catalog: bool,
    /// Whether there are Pagerstatus' accounts, which are no source but take
    /// their addresses from the sources' settings.
    pub(super) pagerstatus: bool,
}

/// What was found of the sources.
pub(super) struct Sources {
    pub(super) settings: SourceSettings,
    /// Those that somebody wants, whether they can be used or not.
    pub(super) asked_for: Vec<SourceName>,
    /// What the integration is called because of them.
    pub(super) kind: &'static str,
    /// Whether `API_URL`, without a source in its name, is PagerDuty's.
    pagerduty_owns_bare: bool,
}

impl Sources {
    /// The address for accounts of PagerDuty that come without one.
    pub(super) fn pagerduty_api_url(&self, reader: &mut Reader<'_>) -> Option<Url> {
        credentials::api_url(
            reader,
            self.pagerduty_owns_bare,
            credentials::PAGERDUTY_API_URL,
        )
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
pub(super) const OAUTH_FILE: &str = "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH";

/// Settings whose original name has no vendor in it, and the names that have.
const BARE: [(&str, &[(SourceName, &str)]); 3] = [
    ("token", &[(SourceName::Pagerduty, "pagerdutyToken")]),
    ("apiToken", &[(SourceName::Opsgenie, "opsgenieApiToken")]),
    (
        "apiUrl",
        &[
            (SourceName::Pagerduty, "pagerdutyApiUrl"),
            (SourceName::Opsgenie, "opsgenieApiUrl"),
        ],
    ),
];

/// `None` when the catalog has no source; the problems are with `reader`.
pub(super) fn read(reader: &mut Reader<'_>, scope: Scope) -> Option<Sources> {
    let declared = declared(reader);
    let those = |is_wanted: &dyn Fn(SourceName) -> bool| -> Vec<SourceName> {
        let all = SourceName::ALL.into_iter();
        all.filter(|source| is_wanted(*source)).collect()
    };
    let named = those(&|source| {
        has_credentials(reader, source) || is_demanded(reader, source, declared, scope)
    });
    let unnamed = those(&|source| wants_without_name(reader, source));
    let wanted = those(&|source| named.contains(&source) || unnamed.contains(&source));
    let owner = match (declared, wanted.as_slice()) {
        (Declared::One(source), _) => Some(source),
        (Declared::Nothing | Declared::Refused, [source]) => Some(*source),
        _ => None,
    };
    let pagerstatus_wants = scope.pagerstatus && owner.is_some();
    if declared == Declared::Several || !wanted.is_empty() || pagerstatus_wants {
        bare_settings(reader, declared, owner);
    }
    let oauth_file = oauth_file(reader, declared);
    let on = those(&|source| {
        named.contains(&source) || owner == Some(source) && wanted.contains(&source)
    });
    if scope.catalog && on.is_empty() {
        // Otherwise what stands in the way has been said.
        if declared != Declared::Refused && wanted.is_empty() && oauth_file.is_none() {
            no_source(reader);
        }
        return None;
    }

    let file_of = |source| {
        oauth_file
            .clone()
            .filter(|_| declared == Declared::One(source))
    };
    let mut settings = SourceSettings::default();
    for source in SourceName::ALL {
        if !on.contains(&source) {
            without_effect(reader, source, scope);
            continue;
        }
        let file = file_of(source);
        let owns_bare = owner == Some(source);
        match source {
            SourceName::Statuspage => {
                settings.statuspage = credentials::statuspage(reader, file);
            }
            SourceName::Pagerduty => {
                settings.pagerduty = credentials::pagerduty(reader, owns_bare, file);
            }
            SourceName::Opsgenie => {
                settings.opsgenie = credentials::opsgenie(reader, owns_bare, file);
            }
        }
    }
    settings.app_host = app_host(reader);
    let kind = match (declared, on.as_slice()) {
        (Declared::One(source), _) | (Declared::Nothing, &[source]) => source.as_str(),
        _ => "portolan",
    };
    let pagerduty_owns_bare = match owner {
        Some(source) => source == SourceName::Pagerduty,
        // Nobody else is there who could be meant.
        None => wanted.is_empty() && declared == Declared::Nothing,
    };
    Some(Sources {
        settings,
        asked_for: wanted,
        kind,
        pagerduty_owns_bare,
    })
}

/// Whether there are credentials of any source.
pub(super) fn are_asked_for(reader: &Reader<'_>) -> bool {
    reader.is_set(OAUTH_FILE)
        || SourceName::ALL
            .into_iter()
            .any(|source| has_credentials(reader, source) || wants_without_name(reader, source))
}

/// Whether the type makes the credentials of the source required. Without a
/// catalog it names nothing, and only says whose token a file is.
fn is_demanded(reader: &Reader<'_>, source: SourceName, declared: Declared, scope: Scope) -> bool {
    declared == Declared::One(source) && (scope.catalog || reader.is_set(OAUTH_FILE))
}

/// Whether there are credentials under names that say whose they are.
fn has_credentials(reader: &Reader<'_>, source: SourceName) -> bool {
    let (token, accounts) = match source {
        SourceName::Statuspage => ("statuspageApiKey", "statuspageAccounts"),
        SourceName::Pagerduty => ("pagerdutyToken", "pagerdutyAccounts"),
        SourceName::Opsgenie => ("opsgenieApiToken", "opsgenieAccounts"),
    };
    reader.is_set(&variable(token)) || credentials::lists_accounts(reader, accounts)
}

/// Whether there is a token under the name that the source's original gave it.
fn wants_without_name(reader: &Reader<'_>, source: SourceName) -> bool {
    match source {
        SourceName::Statuspage => false,
        SourceName::Pagerduty => reader.is_set(&variable("token")),
        SourceName::Opsgenie => reader.is_set(&variable("apiToken")),
    }
}

fn declared(reader: &mut Reader<'_>) -> Declared {
    if !reader.is_set(TYPE) {
        return Declared::Nothing;
    }
    let written = reader.text(TYPE).unwrap_or_default();
    let name = written.to_ascii_lowercase();
    if let Some(source) = SourceName::ALL
        .into_iter()
        .find(|source| source.as_str() == name)
    {
        return Declared::One(source);
    }
    if name == "portolan" {
        return Declared::Several;
    }
    let types = SourceName::ALL.map(SourceName::as_str);
    let near = super::nearest(&written, types.into_iter().chain(["portolan"]));
    reader.problem(Problem {
        variable: reader.written(TYPE),
        accepted: "opsgenie, pagerduty, statuspage, or portolan for several sources".to_owned(),
        found: Some(reader.shown(&written)),
        hint: near.map(|near| format!("write {near}")),
    });
    Declared::Refused
}

/// Settings without a vendor in their names that belong to nobody who is on.
fn bare_settings(reader: &mut Reader<'_>, declared: Declared, owner: Option<SourceName>) {
    // A refused type must not bring problems about what would follow from it.
    if declared == Declared::Refused {
        return;
    }
    for (bare, owners) in BARE {
        let name = variable(bare);
        if !reader.is_set(&name) || owners.iter().any(|(source, _)| owner == Some(*source)) {
            continue;
        }
        let written = reader.written(&name);
        if let Some(owner) = owner {
            let others: Vec<String> = owners
                .iter()
                .map(|(source, name)| format!("{}'s is `{}`", source.title(), variable(name)))
                .collect();
            reader.warn(format!(
                "`{written}` has no effect: it is no setting of {}; {}",
                owner.title(),
                others.join(", ")
            ));
            continue;
        }
        let names: Vec<String> = owners.iter().map(|(_, name)| variable(name)).collect();
        reader.problem(Problem {
            variable: written,
            accepted: format!("{}, which says whose it is", names.join(" or ")),
            found: Some("the name without the source in it".to_owned()),
            hint: Some(match declared {
                Declared::Several => {
                    "`OCEAN__INTEGRATION__TYPE` is `portolan`, which is for several sources"
                        .to_owned()
                }
                _ => "several sources are on; or name one of them in `OCEAN__INTEGRATION__TYPE`"
                    .to_owned(),
            }),
        });
    }
}

fn no_source(reader: &mut Reader<'_>) {
    reader.problem(Problem {
        variable: "OCEAN__INTEGRATION__CONFIG__…".to_owned(),
        accepted: "the credentials of at least one source".to_owned(),
        found: None,
        hint: Some(format!(
            "set {} for Statuspage, {} for PagerDuty, {} for Opsgenie, or several of them",
            variable("statuspageApiKey"),
            variable("pagerdutyToken"),
            variable("opsgenieApiToken"),
        )),
    });
}

/// Says so where a source that is off has settings.
fn without_effect(reader: &mut Reader<'_>, source: SourceName, scope: Scope) {
    let names: &[&str] = match source {
        SourceName::Statuspage if scope.pagerstatus => &["statuspageIds"],
        SourceName::Pagerduty if scope.pagerstatus => &[],
        SourceName::Statuspage => &["statuspageHost", "statuspageIds"],
        SourceName::Pagerduty => &["pagerdutyApiUrl"],
        SourceName::Opsgenie => &["opsgenieApiUrl"],
    };
    let reason = if scope.pagerstatus && source == SourceName::Statuspage {
        format!("it belongs to {}", variable("statuspageApiKey"))
    } else {
        format!("no {} credentials are set", source.title())
    };
    for name in names.iter().map(|name| variable(name)) {
        if reader.is_set(&name) {
            let written = reader.written(&name);
            reader.warn(format!("`{written}` has no effect: {reason}"));
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
            hint: Some(
                "set OCEAN__INTEGRATION__TYPE to opsgenie, pagerduty or statuspage".to_owned(),
            ),
        });
    }
    Some(path)
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
        credentials::contradiction(reader, &[first, other]);
    }
    reader.url(first)
}
