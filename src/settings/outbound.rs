//! How requests leave the process: time limit, certificates, proxies.
//!
//! Certificates and proxies are read from the variables that every HTTP
//! program honours, of the real environment only: an original does not export
//! its `.env` file either. Files are named here and opened by the client.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::problem::{Problem, without_credentials};
use super::reader::Reader;

/// What the HTTP clients need to know.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// Time limit of one request to a vendor.
    pub client_timeout: Duration,
    /// Whether Port's certificate is checked.
    pub verify_port: bool,
    /// Whether the vendors' certificates are checked.
    pub verify_third_party: bool,
    /// Whether the system's authorities are trusted: not where `SSL_CERT_FILE`
    /// stands in for them.
    pub system_authorities: bool,
    /// Authorities beside those: `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` (which
    /// may also be a directory).
    pub extra_ca_files: Vec<PathBuf>,
    /// `SSL_CERT_DIR`.
    pub extra_ca_dirs: Vec<PathBuf>,
    pub proxies: ProxySettings,
}

/// `HTTP_PROXY` and its family, the lower-case spelling first where both are
/// set. Each is a URL with a scheme.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    pub http: Option<String>,
    pub https: Option<String>,
    pub all: Option<String>,
    /// As found: host names, suffixes, addresses and `*`, with commas between.
    pub no_proxy: Option<String>,
}

// By hand, because a proxy URL may carry a password.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let safe = |url: &Option<String>| url.as_deref().map(without_credentials);
        formatter
            .debug_struct("ProxySettings")
            .field("http", &safe(&self.http))
            .field("https", &safe(&self.https))
            .field("all", &safe(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

impl OutboundSettings {
    pub(super) fn read(reader: &mut Reader<'_>, environment: &BTreeMap<String, OsString>) -> Self {
        Self {
            client_timeout: reader.seconds("OCEAN__CLIENT_TIMEOUT"),
            verify_port: reader.boolean("OCEAN__SSL__PORT__VERIFY"),
            verify_third_party: reader.boolean("OCEAN__SSL__THIRD_PARTY__VERIFY"),
            system_authorities: environment
                .get("SSL_CERT_FILE")
                .is_none_or(|path| path.is_empty()),
            extra_ca_files: ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]
                .into_iter()
                .filter_map(|name| environment.get(name))
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect(),
            extra_ca_dirs: environment
                .get("SSL_CERT_DIR")
                .into_iter()
                .flat_map(std::env::split_paths)
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
            proxies: ProxySettings::read(reader, environment),
        }
    }
}

impl ProxySettings {
    fn read(reader: &mut Reader<'_>, environment: &BTreeMap<String, OsString>) -> Self {
        Self {
            http: proxy(reader, environment, "HTTP_PROXY"),
            https: proxy(reader, environment, "HTTPS_PROXY"),
            all: proxy(reader, environment, "ALL_PROXY"),
            no_proxy: either_case(environment, "NO_PROXY").map(|(_, value)| value),
        }
    }

    /// Passwords within the proxy URLs, to be masked in the log.
    pub(super) fn passwords(&self) -> Vec<SecretString> {
        [&self.http, &self.https, &self.all]
            .into_iter()
            .flatten()
            .filter_map(|text| Url::parse(text).ok())
            .filter_map(|url| url.password().map(SecretString::from))
            .collect()
    }
}

/// The variable as written and its value; the lower-case spelling wins, as it
/// does in curl and in the originals' HTTP client.
fn either_case(environment: &BTreeMap<String, OsString>, name: &str) -> Option<(String, String)> {
    [name.to_ascii_lowercase(), name.to_owned()]
        .into_iter()
        .find_map(|spelling| {
            let value = environment.get(&spelling)?.to_str()?.trim().to_owned();
            (!value.is_empty()).then_some((spelling, value))
        })
}

fn proxy(
    reader: &mut Reader<'_>,
    environment: &BTreeMap<String, OsString>,
    name: &str,
) -> Option<String> {
    let (variable, value) = either_case(environment, name)?;
    let with_scheme = if value.contains("://") {
        value.clone()
    } else {
        format!("http://{value}")
    };
    let usable = Url::parse(&with_scheme)
        .is_ok_and(|url| PROXY_SCHEMES.contains(&url.scheme()) && url.has_host());
    if !usable {
        reader.problem(Problem {
            variable,
            accepted: "the URL of a proxy: http, https or socks5, a host and a port".to_owned(),
            found: Some(reader.shown(&value)),
            hint: None,
        });
        return None;
    }
    Some(with_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, OsString> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect()
    }

    #[test]
    fn the_lower_case_spelling_of_a_proxy_variable_wins() {
        let environment = environment(&[("HTTP_PROXY", "http://upper"), ("http_proxy", "lower:1")]);

        assert_eq!(
            either_case(&environment, "HTTP_PROXY"),
            Some(("http_proxy".to_owned(), "lower:1".to_owned()))
        );
    }

    #[test]
    fn debug_shows_no_proxy_password() {
        let proxies = ProxySettings {
            https: Some("http://me:hunter2@proxy:3128".to_owned()),
            ..ProxySettings::default()
        };

        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
