//! How Port itself is reached.

use std::fmt;

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;

/// Port's address and the credentials of this installation.
#[derive(Clone)]
pub struct PortSettings {
    /// Without a trailing slash, except where the URL has no path at all.
    pub base_url: Url,
    pub client_id: String,
    pub client_secret: SecretString,
}

const CLIENT_ID: &str = "OCEAN__PORT__CLIENT_ID";
const CLIENT_SECRET: &str = "OCEAN__PORT__CLIENT_SECRET";

impl PortSettings {
    /// Whether somebody gave credentials, or half of them.
    pub(super) fn is_asked_for(reader: &Reader<'_>) -> bool {
        reader.is_set(CLIENT_ID) || reader.is_set(CLIENT_SECRET)
    }

    /// `None` when credentials are missing; the problems are with `reader`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let base_url = reader.url("OCEAN__PORT__BASE_URL");
        let client_id = reader.required_text(
            CLIENT_ID,
            "in Port, open the `...` menu at the top right and choose Credentials",
        );
        let client_secret =
            reader.required_secret(CLIENT_SECRET, "Port shows it beside the client id");
        Some(Self {
            base_url: base_url?,
            client_id: client_id?,
            client_secret: client_secret?,
        })
    }
}

// By hand, because the client id is half of a credential pair and is masked
// wherever the secret is.
impl fmt::Debug for PortSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PortSettings")
            .field("base_url", &self.base_url.as_str())
            .field("client_id", &"[REDACTED]")
            .field("client_secret", &"[REDACTED]")
            .finish()
    }
}
