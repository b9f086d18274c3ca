//! Credentials that may change while the program runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::fs;

use super::ApiError;
use crate::http::{BuildError, HttpClient, Reply, Request};
use crate::settings::Credential;
use crate::telemetry;

/// How a token is written into `Authorization`.
pub(super) type Scheme = fn(&Secret) -> String;

/// A token, and whether it came from an OAuth file.
pub(super) struct Secret {
    pub(super) text: SecretString,
    pub(super) from_file: bool,
}

/// A credential ready to be sent.
#[derive(Clone)]
pub(super) struct Authorization {
    /// Marked as sensitive, so that it is not shown by `Debug`.
    pub(super) header: HeaderValue,
    token: Arc<SecretString>,
}

impl Authorization {
    fn new(secret: Secret, scheme: Scheme) -> Option<Self> {
        let mut header = HeaderValue::try_from(scheme(&secret)).ok()?;
        header.set_sensitive(true);
        Some(Self {
            header,
            token: Arc::new(secret.text),
        })
    }

    /// The bare token, to keep it out of messages.
    pub(super) fn token(&self) -> &str {
        self.token.expose_secret()
    }
}

/// Where the credential of an account comes from.
///
/// A token file is written by something else, at any time: it is read again
/// when its modification time changed, and when the API refused what was read
/// from it. Two requests may read it at once; both find the same.
pub(super) enum CredentialSource {
    Fixed(Authorization),
    File {
        path: PathBuf,
        scheme: Scheme,
        last: Mutex<Option<Read>>,
    },
}

#[derive(Clone)]
pub(super) struct Read {
    modified: Option<SystemTime>,
    authorization: Authorization,
}

impl CredentialSource {
    /// `what` names the credential's setting in messages.
    pub(super) fn new(
        credential: &Credential,
        scheme: Scheme,
        what: &'static str,
    ) -> Result<Self, BuildError> {
        match credential {
            Credential::Fixed(token) => {
                let secret = Secret {
                    text: trimmed(token.expose_secret()),
                    from_file: false,
                };
                Authorization::new(secret, scheme)
                    .map(Self::Fixed)
                    .ok_or(BuildError::Header { what })
            }
            Credential::File(path) => Ok(Self::File {
                path: path.clone(),
                scheme,
                last: Mutex::default(),
            }),
        }
    }

    /// What tells this credential from others, for sharing a rate limit. A file
    /// stands for whatever token it holds.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Fixed(authorization) => authorization.token().to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Sends what `request` makes, with the credential. When it is refused and
    /// the token file holds another one by now, that is tried, once. What was
    /// sent last comes back beside the reply, to be kept out of messages.
    pub(super) async fn send<'policy>(
        &self,
        http: &HttpClient,
        request: impl Fn() -> Request<'policy>,
    ) -> Result<(Reply, Authorization), ApiError> {
        let send = async |authorization: &Authorization| {
            http.send(&request().header(AUTHORIZATION, authorization.header.clone()))
                .await
        };
        let current = self.current().await?;
        let reply = send(&current).await?;
        if reply.status == 401
            && let Some(other) = self.other_than(&current).await?
        {
            return Ok((send(&other).await?, other));
        }
        Ok((reply, current))
    }

    async fn current(&self) -> Result<Authorization, ApiError> {
        let (path, scheme, last) = match self {
            Self::Fixed(authorization) => return Ok(authorization.clone()),
            Self::File { path, scheme, last } => (path, *scheme, last),
        };
        let known = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) if known.modified.is_some() && modified(path).await == known.modified => {
                Ok(known.authorization)
            }
            _ => read(path, scheme, last).await,
        }
    }

    async fn other_than(&self, refused: &Authorization) -> Result<Option<Authorization>, ApiError> {
        let Self::File { path, scheme, last } = self else {
            return Ok(None);
        };
        let fresh = read(path, *scheme, last).await?;
        Ok((fresh.token() != refused.token()).then_some(fresh))
    }
}

async fn read(
    path: &Path,
    scheme: Scheme,
    last: &Mutex<Option<Read>>,
) -> Result<Authorization, ApiError> {
    // Taken before reading: a change in between is then noticed next time.
    let modified = modified(path).await;
    let content = fs::read_to_string(path)
        .await
        .map_err(|source| ApiError::TokenFile {
            path: path.to_owned(),
            source,
        })?;
    let unusable = |problem| ApiError::UnusableToken {
        path: path.to_owned(),
        problem,
    };
    let text = trimmed(&content);
    if text.expose_secret().is_empty() {
        return Err(unusable("empty"));
    }
    let authorization = Authorization::new(
        Secret {
            text,
            from_file: true,
        },
        scheme,
    )
    .ok_or_else(|| unusable("not a single line of text"))?;
    let read = Read {
        modified,
        authorization: authorization.clone(),
    };
    let before = last
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(read);
    // Where the file has no time it is read for every request.
    if before.is_none_or(|before| before.authorization.token() != authorization.token()) {
        telemetry::learn(&path.display().to_string(), &authorization.token);
    }
    Ok(authorization)
}

async fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).await.ok()?.modified().ok()
}

/// Tokens are pasted with line breaks at their end.
fn trimmed(text: &str) -> SecretString {
    SecretString::from(text.trim())
}
