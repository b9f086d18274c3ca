//! The Redis that several replicas share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::problem::{Problem, shown_secret};
use super::reader::Reader;

/// A Redis that replicas share: live events wait there, and there they agree on
/// who leads.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Secret as a whole: it may carry a password.
    pub url: SecretString,
    /// Stronger than what the URL says, as is the password.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Also where the URL does not say so (`redis://`).
    pub enable_tls: bool,
    /// Who may have signed the Redis' certificate; the system's authorities
    /// where none is given.
    pub ca: Option<Pem>,
    /// What the Redis is shown where it asks who connects.
    pub client_certificate: Option<ClientCertificate>,
    pub block: Duration,
    pub read_count: u32,
    pub stream_ttl: Duration,
}

/// A certificate and the key that belongs to it.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub certificate: Pem,
    pub private_key: Pem,
}

/// What is given in PEM form, or in a file: Kubernetes mounts secrets as either.
#[derive(Clone)]
pub enum Pem {
    /// Secret, because it may be a key.
    Text(SecretString),
    /// Read for each connection, so that what is renewed there is used.
    File(PathBuf),
}

// By hand: a key that lacks its first line is taken for a path.
impl fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::File(_) => "File(…)",
        })
    }
}

impl Pem {
    /// A text with a PEM block in it is one; everything else is a path. In a
    /// variable of one line the line breaks are often written `\n`.
    fn new(written: &str) -> Self {
        if !written.contains("-----BEGIN") {
            return Self::File(PathBuf::from(written));
        }
        Self::Text(SecretString::from(written.replace("\\n", "\n")))
    }
}

const SHARING: &str = "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED";
const REDIS_URL: &str = "OCEAN__LIVE_EVENTS__REDIS__URL";
const ENABLE_TLS: &str = "OCEAN__LIVE_EVENTS__REDIS__ENABLE_TLS";
const CA: &str = "OCEAN__LIVE_EVENTS__REDIS__CA";
const CERTIFICATE: &str = "OCEAN__LIVE_EVENTS__REDIS__CERT";
const PRIVATE_KEY: &str = "OCEAN__LIVE_EVENTS__REDIS__PRIVATE_KEY";

impl RedisSettings {
    /// `None`: nothing is shared. Who names a Redis means to use it, unless the
    /// switch says otherwise in so many words.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let is_on = if reader.is_set(SHARING) {
            reader.boolean(SHARING)
        } else {
            reader.is_set(REDIS_URL)
        };
        if !is_on {
            return None;
        }
        let url = reader.secret(REDIS_URL).unwrap_or_default();
        let enable_tls = reader.boolean(ENABLE_TLS);
        let pem = |reader: &Reader<'_>, name| reader.text(name).map(|text| Pem::new(&text));
        match redis_scheme(url.expose_secret()) {
            None => reader.problem(Problem {
                variable: reader.written(REDIS_URL),
                accepted: "the URL of a Redis: redis://host:6379, rediss://host:6379 with TLS, \
                           redis+unix:///path"
                    .to_owned(),
                found: Some(shown_secret(url.expose_secret())),
                hint: None,
            }),
            Some(scheme) if !enable_tls && scheme != Scheme::Tls => {
                for name in [CA, CERTIFICATE, PRIVATE_KEY] {
                    if reader.is_set(name) {
                        let (name, tls) = (reader.written(name), ENABLE_TLS);
                        reader.warn(format!(
                            "`{name}` is without effect: the connection to the Redis is not \
                             encrypted; set `{tls}` to true, or write rediss:// in `{REDIS_URL}`"
                        ));
                    }
                }
            }
            Some(_) => {}
        }
        Some(Self {
            url,
            username: reader.text("OCEAN__LIVE_EVENTS__REDIS__USERNAME"),
            password: reader.secret("OCEAN__LIVE_EVENTS__REDIS__PASSWORD"),
            enable_tls,
            ca: pem(reader, CA),
            client_certificate: client_certificate(reader, pem),
            block: Duration::from_millis(reader.whole("OCEAN__LIVE_EVENTS__REDIS__BLOCK_MS")),
            read_count: reader
                .whole("OCEAN__LIVE_EVENTS__REDIS__READ_COUNT")
                .try_into()
                .unwrap_or(u32::MAX),
            stream_ttl: reader.seconds("OCEAN__LIVE_EVENTS__REDIS__STREAM_TTL_SECONDS"),
        })
    }

    /// The password within the URL, to be masked apart from it.
    pub(super) fn url_password(&self) -> Option<SecretString> {
        let url = Url::parse(self.url.expose_secret()).ok()?;
        let password = percent_decoded(url.password()?);
        Some(SecretString::from(password))
    }
}

fn client_certificate(
    reader: &mut Reader<'_>,
    pem: impl Fn(&Reader<'_>, &'static str) -> Option<Pem>,
) -> Option<ClientCertificate> {
    let (certificate, private_key) = (pem(reader, CERTIFICATE), pem(reader, PRIVATE_KEY));
    for (has, given, missing) in [
        (private_key.is_some(), CERTIFICATE, PRIVATE_KEY),
        (certificate.is_some(), PRIVATE_KEY, CERTIFICATE),
    ] {
        if reader.is_set(given) && !has {
            reader.missing(missing, Some(format!("it belongs to {given}")));
        }
    }
    Some(ClientCertificate {
        certificate: certificate?,
        private_key: private_key?,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
    Socket,
}

/// `None`: it is no URL of a Redis.
fn redis_scheme(written: &str) -> Option<Scheme> {
    let url = Url::parse(written).ok()?;
    match url.scheme() {
        "redis" | "valkey" if url.has_host() => Some(Scheme::Plain),
        "rediss" | "valkeys" if url.has_host() => Some(Scheme::Tls),
        "redis+unix" | "valkey+unix" | "unix" if url.path().len() > 1 => Some(Scheme::Socket),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    // A form's decoder is at hand; what means something in a form means nothing here.
    let text = text
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('&', "%26");
    url::form_urlencoded::parse(text.as_bytes())
        .map(|(key, _)| key.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_pem_block_is_one_whatever_its_line_breaks_and_all_else_is_a_path() {
        for written in [
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
            r"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
        ] {
            let Pem::Text(text) = Pem::new(written) else {
                panic!("{written} is no path");
            };
            assert_eq!(text.expose_secret().lines().count(), 3);
        }
        assert!(matches!(Pem::new("/etc/tls/ca.crt"), Pem::File(path) if path.ends_with("ca.crt")));
    }

    #[test]
    fn the_schemes_of_redis_are_told_from_all_others() {
        for (url, scheme) in [
            ("redis://localhost", Some(Scheme::Plain)),
            ("rediss://:p@redis:6380/2", Some(Scheme::Tls)),
            ("redis+unix:///run/redis.sock", Some(Scheme::Socket)),
            ("localhost:6379", None),
            ("https://redis", None),
            ("redis://", None),
        ] {
            assert_eq!(redis_scheme(url), scheme, "{url}");
        }
    }

    #[test]
    fn a_password_within_a_url_is_known_as_it_is_and_not_as_it_is_written() {
        assert_eq!(percent_decoded("a%2Fb+c=d&e"), "a/b+c=d&e");
    }
}
