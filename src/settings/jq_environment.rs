//! What `env` and `$ENV` show to a mapping.
//!
//! A mapping is edited in Port by people who need not be allowed to read this
//! process' credentials, and what a mapping reads ends up in the catalog. A
//! variable is therefore shown only when nothing speaks for a secret in it:
//! not its name, not its value.

use std::collections::BTreeMap;
use std::ffi::OsString;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::Reader;
use super::{pagerstatus, table};

const ACCESS: &str = "OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS";
const ALLOW_LIST: &str = "OCEAN__JQ_ENVIRONMENT_ALLOW_LIST";

/// The settings that are read here.
pub(super) const VARIABLES: [&str; 2] = [ACCESS, ALLOW_LIST];

/// Parts of names that say "secret".
const SECRET_WORDS: [&str; 7] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "KEY",
    "CREDENTIAL",
];

/// Shorter secrets are compared with whole values only: every other value
/// would contain them by chance.
const SHORTEST_CONTAINED: usize = 4;

pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: BTreeMap<String, OsString>,
    secrets: &[SecretString],
) -> BTreeMap<String, String> {
    if !reader.boolean(ACCESS) {
        return BTreeMap::new();
    }
    let allow_list = reader.is_set(ALLOW_LIST).then(|| reader.list(ALLOW_LIST));
    let (mut shown, withheld): (BTreeMap<_, _>, BTreeMap<_, _>) = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.into_string().ok()?)))
        .partition(|(name, value)| !holds_a_secret(name, value, secrets));
    if let Some(allowed) = allow_list {
        shown.retain(|name, _| allowed.contains(name));
        for name in allowed.iter().filter(|name| withheld.contains_key(*name)) {
            reader.warn(format!(
                "`{name}` is not shown to jq although it is on the allow-list: it holds a secret, \
                 or its name says so"
            ));
        }
    }
    shown
}

fn holds_a_secret(name: &str, value: &str, secrets: &[SecretString]) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || table::row(&name).is_some_and(|row| row.sensitive)
        || table::is_sensitive_section(&name)
        || pagerstatus::is_secret(&name)
        || secrets
            .iter()
            .any(|secret| contains(value, secret.expose_secret()))
        || Url::parse(value).is_ok_and(|url| url.password().is_some())
}

fn contains(value: &str, secret: &str) -> bool {
    if secret.len() < SHORTEST_CONTAINED {
        value == secret
    } else {
        value.contains(secret)
    }
}
