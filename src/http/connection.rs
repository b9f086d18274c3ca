//! Builds what connections are made with: TLS, proxies, authorities.
//!
//! Nothing is read from the process environment here: proxies and authorities
//! come from the settings. As with OpenSSL, `SSL_CERT_FILE` stands in for the
//! system's authorities, and directories and further bundles are added to them.
//!
//! The library that finds the system's authorities looks at the environment
//! after all, and finds none of them once `SSL_CERT_FILE` or `SSL_CERT_DIR` is
//! there, be it empty or about an empty directory. What it leaves out is added
//! here, see [`super::authorities`]. A machine without any authority is no
//! reason not to start: what is reached without TLS needs none, and what is
//! reached with it says that it is not trusted.
//!
//! Redirects are not followed. No API used here redirects, and following one
//! could carry a credential to another host.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, NoProxy, Proxy};
use rustls::pki_types::CertificateDer;
use thiserror::Error;

use super::authorities::{authorities, system_bundle};
use crate::settings::{OutboundSettings, ProxySettings};

/// A connection that takes longer than this will not come about.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
/// Idle connections are closed before the usual 60 s of a load balancer pass,
/// so that a request rarely meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);

/// Who is asking, where an API does not want to be told in a form of its own.
const USER_AGENT: &str = concat!("portolan/", env!("CARGO_PKG_VERSION"));

/// Why a client cannot be made from its settings.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("cannot read the certificate authorities in {}", path.display())]
    ReadAuthorities {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("{} holds no PEM certificate that can be used", path.display())]
    NoAuthority { path: PathBuf },

    #[error("{variable} is not the address of a proxy")]
    Proxy {
        variable: &'static str,
        #[source]
        source: reqwest::Error,
    },

    #[error(
        "{what} cannot be sent in a header: it holds a line break or another control character"
    )]
    Header { what: &'static str },

    #[error("{url} cannot be the start of an API's address")]
    BaseUrl { url: super::SafeUrl },

    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

impl BuildError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::ReadAuthorities { .. } | Self::NoAuthority { .. } => {
                Some("check SSL_CERT_FILE, SSL_CERT_DIR and REQUESTS_CA_BUNDLE")
            }
            Self::Proxy { .. } => Some(
                "write it like http://proxy.example.com:3128 or socks5://proxy.example.com:1080",
            ),
            Self::Client(_) => None,
            Self::Header { .. } => Some("check the setting for a stray line break"),
            Self::BaseUrl { .. } => Some("write it like https://api.example.com"),
        }
    }
}

/// How connections to one API are made.
pub(crate) fn connection(
    outbound: &OutboundSettings,
    verify: bool,
    deadline: Duration,
) -> Result<reqwest::Client, BuildError> {
    install_crypto_provider();

    if !verify {
        return builder(outbound, deadline)?
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(BuildError::Client);
    }
    let mut trusted = usable(&authorities(outbound)?);
    if !outbound.system_authorities {
        return builder(outbound, deadline)?
            .tls_certs_only(trusted)
            .build()
            .map_err(BuildError::Client);
    }
    if !trusted.is_empty() || !outbound.extra_ca_dirs.is_empty() {
        trusted.extend(usable(&system_bundle()));
    }
    let with_the_platforms = builder(outbound, deadline)?
        .tls_certs_merge(trusted.clone())
        .build();
    with_the_platforms.or_else(|_| {
        // The platform has none.
        trusted.extend(usable(&system_bundle()));
        builder(outbound, deadline)?
            .tls_certs_only(trusted)
            .build()
            .map_err(BuildError::Client)
    })
}

fn usable(authorities: &[CertificateDer<'_>]) -> Vec<Certificate> {
    let usable = |der: &CertificateDer<'_>| Certificate::from_der(der).ok();
    authorities.iter().filter_map(usable).collect()
}

/// Everything but whom to trust.
fn builder(
    outbound: &OutboundSettings,
    deadline: Duration,
) -> Result<reqwest::ClientBuilder, BuildError> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_DEADLINE.min(deadline))
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        // Also keeps reqwest from looking for proxies in the environment.
        .no_proxy();
    for proxy in proxies(&outbound.proxies)? {
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

/// reqwest is built without a provider of cryptography, so that OpenSSL and
/// aws-lc stay out of the binary; the first client brings ring.
pub(crate) fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster, which is as good.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}

fn proxies(settings: &ProxySettings) -> Result<Vec<Proxy>, BuildError> {
    let exceptions = match settings.no_proxy.as_deref().map(exceptions) {
        None => None,
        Some(Exceptions::Everything) => return Ok(Vec::new()),
        Some(Exceptions::These(hosts)) => NoProxy::from_string(&hosts),
    };
    let make = |variable, url: &Option<String>, proxy: fn(String) -> reqwest::Result<Proxy>| {
        let url = url
            .as_deref()
            .map(str::trim)
            .filter(|url| !url.is_empty())?;
        Some(
            proxy(url.to_owned())
                .map(|proxy| proxy.no_proxy(exceptions.clone()))
                // The address may hold a password.
                .map_err(|source| BuildError::Proxy {
                    variable,
                    source: source.without_url(),
                }),
        )
    };
    [
        make("HTTP_PROXY", &settings.http, Proxy::http),
        make("HTTPS_PROXY", &settings.https, Proxy::https),
        // The first that fits is taken, so the general one comes last.
        make("ALL_PROXY", &settings.all, Proxy::all),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What `NO_PROXY` says.
#[derive(Debug, PartialEq, Eq)]
enum Exceptions {
    /// `*`, which reqwest would not apply to addresses.
    Everything,
    These(String),
}

/// `NO_PROXY` as reqwest understands it. Other programs also take `*.` before
/// a domain, a port behind a host, brackets around an address and capitals.
fn exceptions(written: &str) -> Exceptions {
    let mut hosts = Vec::new();
    for entry in written.split([',', ' ']).map(str::trim) {
        if entry == "*" {
            return Exceptions::Everything;
        }
        let entry = entry.strip_prefix('*').unwrap_or(entry);
        let without_port = match entry.rsplit_once(':') {
            Some((host, port))
                if (host.ends_with(']') || !host.contains(':'))
                    && port.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                host
            }
            _ => entry,
        };
        let host = without_port.trim_start_matches('[').trim_end_matches(']');
        if !host.is_empty() {
            hosts.push(host.to_ascii_lowercase());
        }
    }
    Exceptions::These(hosts.join(","))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;

    use reqwest::Method;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use url::Url;

    use super::*;
    use crate::http::testing::{TINY, outbound};
    use crate::http::{HttpClient, HttpError, Pacer, RateHeaders, Request};

    /// An authority made for these tests, and the certificate and key that it
    /// gave to 127.0.0.1. Nothing else trusts it.
    const AUTHORITY: &str = include_str!("fixtures/authority.pem");
    const CERTIFICATE: &str = include_str!("fixtures/server.pem");
    const KEY: &str = include_str!("fixtures/server.key");

    /// Answers one TLS connection after the other with an empty list.
    fn tls_server() -> Url {
        install_crypto_provider();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(tls, connection.unwrap());
                let mut request = [0; 4096];
                // A client that does not trust the certificate hangs up here.
                if stream.read(&mut request).is_ok_and(|length| length > 0) {
                    stream
                        .write_all(
                            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]",
                        )
                        .unwrap();
                    stream.conn.send_close_notify();
                    stream.flush().unwrap();
                }
            }
        });
        Url::parse(&url).unwrap()
    }

    async fn ask(url: &Url, outbound: &OutboundSettings, verify: bool) -> Result<u16, HttpError> {
        let pacer = Pacer::new("Example", None);
        let deadline = Duration::from_secs(20);
        let client =
            HttpClient::new(outbound, verify, deadline, pacer, RateHeaders::RetryAfter).unwrap();
        let request = Request::new(Method::GET, url.clone(), &TINY);
        client.send(&request).await.map(|reply| reply.status)
    }

    fn trusting(pem: &str) -> (tempfile::TempDir, OutboundSettings) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("authorities.pem");
        fs::write(&file, pem).unwrap();
        let mut outbound = outbound();
        outbound.extra_ca_files = vec![file];
        (directory, outbound)
    }

    #[tokio::test]
    async fn a_certificate_of_ones_own_authority_is_trusted_once_its_file_is_named() {
        let url = tls_server();
        let (_directory, with_file) = trusting(AUTHORITY);
        assert_eq!(ask(&url, &with_file, true).await.unwrap(), 200);
    }

    #[tokio::test]
    async fn authorities_in_a_directory_are_found_among_other_files() {
        let url = tls_server();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("0a1b2c3d.0"), AUTHORITY).unwrap();
        fs::write(directory.path().join("README"), "Not a certificate").unwrap();
        let mut as_directory = outbound();
        as_directory.extra_ca_dirs = vec![directory.path().to_owned()];
        let mut as_file = outbound();
        as_file.extra_ca_files = vec![directory.path().to_owned()];
        for outbound in [as_directory, as_file] {
            assert_eq!(ask(&url, &outbound, true).await.unwrap(), 200);
        }
    }

    #[tokio::test]
    async fn the_systems_authorities_stay_trusted_beside_a_directory_without_any() {
        let empty = tempfile::tempdir().unwrap();
        let mut outbound = outbound();
        outbound.extra_ca_dirs = vec![empty.path().to_owned()];

        // There need not be any on the machine of the test, but never an error.
        assert!(connection(&outbound, true, Duration::from_secs(1)).is_ok());
        let error = ask(&tls_server(), &outbound, true).await.unwrap_err();

        assert!(matches!(error, HttpError::NotTrusted { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_stands_in_for_the_systems_authorities_is_enough() {
        let (_directory, mut outbound) = trusting(AUTHORITY);
        outbound.system_authorities = false;
        assert_eq!(ask(&tls_server(), &outbound, true).await.unwrap(), 200);
    }

    #[test]
    fn no_proxy_is_understood_as_other_programs_do() {
        let table = [
            ("*", Exceptions::Everything),
            ("a.example, *", Exceptions::Everything),
            (
                "localhost, 127.0.0.1 ,10.0.0.0/8,.SVC,*.example.com",
                Exceptions::These("localhost,127.0.0.1,10.0.0.0/8,.svc,.example.com".to_owned()),
            ),
            (
                "localhost:8080,127.0.0.1:1,[::1]:80,[::1],::1,",
                Exceptions::These("localhost,127.0.0.1,::1,::1,::1".to_owned()),
            ),
        ];
        for (written, understood) in table {
            assert_eq!(exceptions(written), understood, "{written}");
        }
    }

    #[tokio::test]
    async fn an_address_that_no_proxy_names_is_asked_directly() {
        let url = tls_server();
        for no_proxy in ["*", "127.0.0.1", "localhost,127.0.0.0/8"] {
            let mut outbound = outbound();
            // Nobody listens there.
            outbound.proxies.all = Some("http://127.0.0.1:1".to_owned());
            assert!(ask(&url, &outbound, false).await.is_err());
            outbound.proxies.no_proxy = Some(no_proxy.to_owned());
            assert_eq!(
                ask(&url, &outbound, false).await.unwrap(),
                200,
                "{no_proxy}"
            );
        }
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_is_an_error_at_once_unless_nobody_checks() {
        let url = tls_server();
        // Trusts something, but not who signed this.
        let (_directory, other) = trusting(CERTIFICATE);

        let error = ask(&url, &other, true).await.unwrap_err();

        assert!(matches!(error, HttpError::NotTrusted { .. }), "{error}");
        assert_eq!(error.call().attempts, 1);
        assert_eq!(ask(&url, &outbound(), false).await.unwrap(), 200);
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let (_directory, outbound) = trusting("-----BEGIN NONSENSE-----");
        let error = connection(&outbound, true, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, BuildError::NoAuthority { .. }), "{error}");
        assert!(error.to_string().contains("authorities.pem"), "{error}");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let mut outbound = outbound();
        outbound.extra_ca_files = vec!["/nowhere/authorities.pem".into()];
        let error = connection(&outbound, true, Duration::from_secs(1)).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/authorities.pem"),
            "{error}"
        );
    }

    #[test]
    fn a_proxy_that_is_none_is_named_by_its_variable_without_its_password() {
        let mut outbound = outbound();
        outbound.proxies.https = Some("http://user:hunter2@:bad:".to_owned());
        let error = connection(&outbound, false, Duration::from_secs(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HTTPS_PROXY is not the address of a proxy"
        );
        assert!(!crate::http::testing::everything_said(&error).contains("hunter2"));
    }
}
