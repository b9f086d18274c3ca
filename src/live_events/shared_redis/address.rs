//! Where the Redis is and how it is spoken to, from the settings.
//!
//! PEM files are read for each connection: certificates that are renewed where
//! they are mounted are used without a restart. A name and a password of their
//! own are stronger than those of the URL, as they are in the originals.
//!
//! The certificate of a Redis is always checked. Without a `CA` the system's
//! authorities count (and `SSL_CERT_FILE` and `SSL_CERT_DIR`, which the library
//! looks at by itself).

use std::path::Path;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    TlsCertificates,
};
use secrecy::ExposeSecret;
use thiserror::Error;

use crate::http::install_crypto_provider;
use crate::settings::{Pem, RedisSettings};

/// Why the settings do not lead to a Redis. None of it shows the URL.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("the URL of the Redis cannot be used")]
    Url(#[source] RedisError),

    #[error("cannot read {setting} of the Redis from {place}")]
    ReadPem {
        setting: &'static str,
        place: String,
        #[source]
        source: std::io::Error,
    },

    #[error("the certificates for the Redis cannot be used")]
    Certificates(#[source] RedisError),
}

impl OpenError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Url(_) => Some("check OCEAN__LIVE_EVENTS__REDIS__URL"),
            Self::ReadPem { .. } | Self::Certificates(_) => Some(
                "check OCEAN__LIVE_EVENTS__REDIS__CA, __CERT and __PRIVATE_KEY: each is PEM, or the path of a PEM file",
            ),
        }
    }
}

/// The Redis of the settings; `moved_to`: the node of a cluster that has our
/// keys, where that is another one.
pub(super) async fn client(
    settings: &RedisSettings,
    moved_to: Option<(String, u16)>,
) -> Result<Client, OpenError> {
    let info = connection_info(settings, moved_to).map_err(OpenError::Url)?;
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(OpenError::Url);
    }
    install_crypto_provider();
    let root_cert = match &settings.ca {
        Some(ca) => Some(read(ca, "the certificate authority", shown).await?),
        None => None,
    };
    let client_tls = match &settings.client_certificate {
        Some(client) => Some(ClientTlsConfig {
            client_cert: read(&client.certificate, "the client certificate", shown).await?,
            // What is taken for its path may be the key.
            client_key: read(&client.private_key, "the private key", |_| {
                "the file that the setting names".to_owned()
            })
            .await?,
        }),
        None => None,
    };
    let certificates = TlsCertificates {
        client_tls,
        root_cert,
    };
    Client::build_with_tls(info, certificates).map_err(OpenError::Certificates)
}

fn connection_info(
    settings: &RedisSettings,
    moved_to: Option<(String, u16)>,
) -> Result<ConnectionInfo, RedisError> {
    let info = settings.url.expose_secret().into_connection_info()?;
    let address = match (info.addr().clone(), moved_to) {
        (ConnectionAddr::Tcp(..), Some((host, port))) => ConnectionAddr::Tcp(host, port),
        (address @ ConnectionAddr::TcpTls { .. }, Some((host, port))) => {
            with_place(address, host, port)
        }
        (address, _) => address,
    };
    let address = match address {
        ConnectionAddr::Tcp(host, port) if settings.enable_tls => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        address => address,
    };
    let mut session = info.redis_settings().clone();
    if let Some(username) = &settings.username {
        session = session.set_username(username);
    }
    if let Some(password) = &settings.password {
        session = session.set_password(password.expose_secret());
    }
    Ok(info.set_addr(address).set_redis_settings(session))
}

/// The same but elsewhere.
fn with_place(address: ConnectionAddr, to_host: String, to_port: u16) -> ConnectionAddr {
    match address {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: to_host,
            port: to_port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(to_host, to_port),
    }
}

async fn read(
    pem: &Pem,
    setting: &'static str,
    place: impl Fn(&Path) -> String,
) -> Result<Vec<u8>, OpenError> {
    match pem {
        Pem::Text(text) => Ok(text.expose_secret().as_bytes().to_vec()),
        Pem::File(path) => tokio::fs::read(path)
            .await
            .map_err(|source| OpenError::ReadPem {
                setting,
                place: place(path),
                source,
            }),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
