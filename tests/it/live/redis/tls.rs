//! TLS with an authority of one's own, and a Redis that wants to know its clients.

use portolan::live_events::shared_redis::SharedRedis;
use portolan::live_events::spool::RedisSpool;
use portolan::settings::{ClientCertificate, Pem, RedisSettings};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

use super::{PATIENCE, RedisServer, TIMES, event, free_port, settings};

/// An authority, what it vouches for, and a folder with all of it.
struct Certificates {
    directory: TempDir,
    authority: String,
    client: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (server, client) = (signed("127.0.0.1"), signed("portolan"));
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("ca.crt", &authority),
            ("server.crt", &server.0),
            ("server.key", &server.1),
            ("client.crt", &client.0),
            ("client.key", &client.1),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self {
            directory,
            authority,
            client,
        }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn server(&self, port: u16, asks_for_clients: &str) -> RedisServer {
        RedisServer::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-ca-cert-file",
            &self.path("ca.crt"),
            "--tls-cert-file",
            &self.path("server.crt"),
            "--tls-key-file",
            &self.path("server.key"),
            "--tls-auth-clients",
            asks_for_clients,
        ])
    }
}

async fn accepts(settings: &RedisSettings) -> Result<(), String> {
    let redis = SharedRedis::open(settings, "my-integration")
        .await
        .map_err(|error| portolan::causes::one_line(&error))?;
    let spool = RedisSpool::new(redis, TIMES);
    let put = spool.put(&[event("A", 1)]).await;
    put.map(|_| ())
        .map_err(|error| portolan::causes::one_line(&error))
}

/// The server of a TLS test is not asked for a PING: nobody here speaks TLS.
async fn accepts_soon(settings: &RedisSettings) {
    let began = std::time::Instant::now();
    while let Err(error) = accepts(settings).await {
        assert!(began.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test]
async fn a_redis_of_a_private_authority_is_trusted_when_that_is_given() {
    let certificates = Certificates::new();
    let port = free_port();
    let _redis = certificates.server(port, "no");
    let mut trusting = settings(&format!("rediss://127.0.0.1:{port}"));
    trusting.ca = Some(Pem::Text(certificates.authority.clone().into()));
    accepts_soon(&trusting).await;

    let mut by_switch = settings(&format!("redis://127.0.0.1:{port}"));
    by_switch.enable_tls = true;
    by_switch.ca = Some(Pem::File(certificates.path("ca.crt").into()));
    assert_eq!(accepts(&by_switch).await, Ok(()));

    let of_the_system = settings(&format!("rediss://127.0.0.1:{port}"));
    let refused = accepts(&of_the_system).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test]
async fn a_redis_that_wants_to_know_its_clients_is_shown_a_certificate() {
    let certificates = Certificates::new();
    let port = free_port();
    let _redis = certificates.server(port, "yes");
    let mut known = settings(&format!("rediss://127.0.0.1:{port}"));
    known.ca = Some(Pem::File(certificates.path("ca.crt").into()));
    let anonymous = known.clone();
    known.client_certificate = Some(ClientCertificate {
        certificate: Pem::Text(certificates.client.0.clone().into()),
        private_key: Pem::Text(certificates.client.1.clone().into()),
    });
    accepts_soon(&known).await;

    known.client_certificate = Some(ClientCertificate {
        certificate: Pem::File(certificates.path("client.crt").into()),
        private_key: Pem::File(certificates.path("client.key").into()),
    });
    assert_eq!(accepts(&known).await, Ok(()));
    assert!(accepts(&anonymous).await.is_err());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_and_a_key_is_never_shown() {
    let mut missing = settings("rediss://127.0.0.1:1");
    missing.ca = Some(Pem::File("/nonexistent/ca.crt".into()));
    let told = accepts(&missing).await.unwrap_err();
    assert!(
        told.contains(
            "cannot read the certificate authority of the Redis from /nonexistent/ca.crt"
        ),
        "{told}"
    );

    let mut broken = settings("rediss://127.0.0.1:1");
    broken.client_certificate = Some(ClientCertificate {
        certificate: Pem::Text("-----BEGIN CERTIFICATE-----\nhidden".into()),
        private_key: Pem::Text("-----BEGIN PRIVATE KEY-----\nhidden".into()),
    });
    let told = accepts(&broken).await.unwrap_err();
    assert!(
        told.contains("the certificates for the Redis cannot be used") && !told.contains("hidden"),
        "{told}"
    );

    let mut without_its_first_line = broken;
    without_its_first_line.client_certificate = Some(ClientCertificate {
        certificate: Pem::Text(Certificates::new().client.0.into()),
        private_key: Pem::File("hidden".into()),
    });
    let told = accepts(&without_its_first_line).await.unwrap_err();
    assert!(
        told.contains("cannot read the private key of the Redis") && !told.contains("hidden"),
        "{told}"
    );
}
