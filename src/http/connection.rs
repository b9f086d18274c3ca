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
    let mut found = Vec::new();
    for path in &outbound.extra_ca_files {
        let usable = read_bundle(path)?;
        if usable.is_empty() {
            return Err(BuildError::NoAuthority { path: path.clone() });
        }
        found.extend(usable);
    }
    for directory in &outbound.extra_ca_dirs {
        let unreadable = |source| BuildError::ReadAuthorities {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // Such a directory also holds what is not a certificate, and links
            // to nowhere after an update; neither keeps the others out.
            if path.is_file() {
                found.extend(read_bundle(&path)?);
            }
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
