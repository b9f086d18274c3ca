//! Whom to trust: the certificate authorities of the settings and of the system.
//!
//! Files are read here and nowhere else, for the HTTP clients and for whoever
//! speaks TLS without them.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::BuildError;
use crate::settings::OutboundSettings;

/// Where distributions keep the authorities that they trust, in one file.
const SYSTEM_BUNDLES: [&str; 6] = [
    // Debian, Ubuntu, Alpine, Arch; the image
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, Red Hat
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    // openSUSE
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    // BSD, macOS
    "/etc/ssl/cert.pem",
];

/// Everybody who is trusted, as PEM, for a client that is not ours; none where
/// neither the settings nor the system name anybody.
#[cfg(feature = "kafka")]
pub(crate) fn trusted_in_pem(outbound: &OutboundSettings) -> Result<Option<String>, BuildError> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    let mut trusted = authorities(outbound)?;
    if outbound.system_authorities {
        trusted.extend(system_bundle());
    }
    let in_pem = |certificate: CertificateDer<'_>| {
        let text = BASE64_STANDARD.encode(certificate);
        let (mut pem, mut rest) = ("-----BEGIN CERTIFICATE-----\n".to_owned(), text.as_str());
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem + "-----END CERTIFICATE-----\n"
    };
    Ok((!trusted.is_empty()).then(|| trusted.into_iter().map(in_pem).collect()))
}

/// The authorities that the settings name.
pub(super) fn authorities(
    outbound: &OutboundSettings,
) -> Result<Vec<CertificateDer<'static>>, BuildError> {
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

/// What the system trusts, from the first of the usual places that has any.
pub(super) fn system_bundle() -> Vec<CertificateDer<'static>> {
    SYSTEM_BUNDLES
        .iter()
        .filter_map(|path| read_bundle(Path::new(path)).ok())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The certificates of all files in a directory. Such a directory also holds
/// what is no certificate, and links to nowhere after an update; neither keeps
/// the others out.
fn read_directory(directory: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
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
fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let unreadable = |source| BuildError::ReadAuthorities {
        path: path.to_owned(),
        source,
    };
    let pem = fs::read(path).map_err(unreadable)?;
    Ok(CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .filter(|der| RootCertStore::empty().add(der.clone()).is_ok())
        .collect())
}
