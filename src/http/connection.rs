//! Builds what connections are made with: TLS, proxies, authorities.
//!
//! Nothing is read from the process environment here: proxies and extra
//! authorities come from the settings, so that what `.env` says counts as much
//! as what the shell says. The system's authorities are loaded by the
//! platform's own rules, which on Linux means that a `SSL_CERT_FILE` set in the
//! process environment replaces them, as with OpenSSL; what the settings name
//! is added to whatever those rules found.
//!
//! Redirects are not followed. No API used here redirects, and following one
//! could carry a credential to another host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, NoProxy, Proxy};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

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
            Self::Client(_) => Some(
                "if this machine has no certificate authorities, install them (package ca-certificates) or name a bundle in SSL_CERT_FILE",
            ),
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
    builder = if verify {
        builder.tls_certs_merge(authorities(outbound)?)
    } else {
        builder.tls_danger_accept_invalid_certs(true)
    };
    builder.build().map_err(BuildError::Client)
}

/// reqwest is built without a provider of cryptography, so that OpenSSL and
/// aws-lc stay out of the binary; the first client brings ring.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster, which is as good.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}

fn proxies(settings: &ProxySettings) -> Result<Vec<Proxy>, BuildError> {
    let exceptions = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
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

fn authorities(outbound: &OutboundSettings) -> Result<Vec<Certificate>, BuildError> {
    // REQUESTS_CA_BUNDLE may name either.
    let (named_directories, files): (Vec<_>, Vec<_>) = outbound
        .extra_ca_files
        .iter()
        .partition(|path| path.is_dir());

    let mut found = Vec::new();
    for path in files {
        let usable = read_bundle(path)?;
        if usable.is_empty() {
            return Err(BuildError::NoAuthority { path: path.clone() });
        }
        found.extend(usable);
    }
    for directory in outbound.extra_ca_dirs.iter().chain(named_directories) {
        found.extend(read_directory(directory)?);
    }
    Ok(found)
}

/// The certificates of all files in a directory. Such a directory also holds
/// what is no certificate, and links to nowhere after an update; neither keeps
/// the others out.
fn read_directory(directory: &Path) -> Result<Vec<Certificate>, BuildError> {
    let unreadable = |source| BuildError::ReadAuthorities {
        path: directory.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            found.extend(read_bundle(&path)?);
        }
    }
    Ok(found)
}

/// The certificates of a PEM bundle. One that cannot be an authority is passed
/// over: bundles of whole distributions hold some, and TLS would refuse the
/// client for it without saying which file is to blame.
fn read_bundle(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let unreadable = |source| BuildError::ReadAuthorities {
        path: path.to_owned(),
        source,
    };
    let pem = fs::read(path).map_err(unreadable)?;
    Ok(CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .filter(|der| RootCertStore::empty().add(der.clone()).is_ok())
        .filter_map(|der| Certificate::from_der(&der).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;

    use reqwest::Method;
    use rustls::pki_types::PrivateKeyDer;
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
