//! Where vendors are to send webhooks, and what tells our addresses from others.
//!
//! ```text
//! {base URL}{path prefix}/integration/webhook/{source}[/{account}]
//! ```
//!
//! The token that makes a webhook credible is a header at PagerDuty, and a part of
//! the query at Statuspage and Opsgenie, whose addresses are secrets therefore.

use std::fmt::Write as _;

use ring::digest;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::http::SafeUrl;
use crate::settings::SourceName;

/// The header that carries the token.
pub(super) const TOKEN_HEADER: &str = "X-Portolan-Token";
/// The part of the query that carries it.
const TOKEN_PARAMETER: &str = "token";

/// Where the originals had everything sent to; ours are below it.
const PATH: [&str; 2] = ["integration", "webhook"];

/// Enough that two tokens do not look alike.
const FINGERPRINT_BYTES: usize = 8;

/// Where this installation is reached.
#[derive(Clone, Debug)]
pub struct WebhookAddress {
    base: Url,
    prefix: Vec<String>,
    identifier: String,
    token: SecretString,
}

impl WebhookAddress {
    /// `base_url`: the public address of this service. `path_prefix`: below which
    /// its routes are. `identifier`: what the installation is called in Port.
    pub fn new(
        base_url: &Url,
        path_prefix: Option<&str>,
        identifier: &str,
        token: SecretString,
    ) -> Self {
        let mut base = base_url.clone();
        base.set_query(None);
        base.set_fragment(None);
        let prefix = path_prefix.unwrap_or_default().split('/');
        Self {
            base,
            prefix: prefix
                .filter(|segment| !segment.is_empty())
                .map(str::to_owned)
                .collect(),
            identifier: identifier.to_owned(),
            token,
        }
    }

    pub(super) fn token(&self) -> &SecretString {
        &self.token
    }

    /// The address without the token.
    pub(super) fn bare(&self, source: SourceName, account: Option<&str>) -> Url {
        let own = [Some(source.as_str()), account].into_iter().flatten();
        self.join(own)
    }

    /// The address with the token in its query: a secret.
    pub(super) fn with_token(&self, source: SourceName, account: Option<&str>) -> Url {
        let mut url = self.bare(source, account);
        url.query_pairs_mut()
            .append_pair(TOKEN_PARAMETER, self.token.expose_secret());
        url
    }

    /// Whether an original that was here before us subscribed with this address.
    pub(super) fn is_originals(&self, url: &Url) -> bool {
        *url == self.join([])
    }

    /// Whether this leads to a route of ours, with whatever query.
    pub(super) fn is_below(&self, url: &Url) -> bool {
        let root = self.join([]);
        let path = url.path().strip_prefix(root.path());
        root.origin() == url.origin() && path.is_some_and(|path| path.starts_with('/'))
    }

    /// Whether this leads to such a route of this source, wherever that may be.
    pub(super) fn is_route(source: SourceName, url: &Url) -> bool {
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let at = segments
            .windows(3)
            .rposition(|window| window == [PATH[0], PATH[1], source.as_str()]);
        at.is_some_and(|at| segments.len() <= at + 4)
    }

    /// Whether the query carries our token.
    pub(super) fn carries_token(&self, url: &Url) -> bool {
        url.query_pairs()
            .any(|(name, value)| name == TOKEN_PARAMETER && value == self.token.expose_secret())
    }

    /// What PagerDuty's people read about the subscription. It ends in what the
    /// token looks like from afar: of the token itself PagerDuty shows nothing,
    /// and without this nobody could see that it has changed.
    pub(super) fn description(&self) -> String {
        format!("Portolan `{}` {}", self.identifier, self.mark())
    }

    /// Whether a subscription with this description carries our token.
    pub(super) fn is_marked(&self, description: &str) -> bool {
        description.ends_with(&self.mark())
    }

    fn mark(&self) -> String {
        // One-way: the token is as long as the digest and as good as random.
        let text = format!("portolan webhook mark {}", self.token.expose_secret());
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let mut mark = "(key ".to_owned();
        for byte in &digest.as_ref()[..FINGERPRINT_BYTES] {
            // Writing to a string cannot fail.
            let _infallible = write!(mark, "{byte:02x}");
        }
        mark + ")"
    }

    fn join<'a>(&self, own: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        // An address with a host, which settings make sure of, has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(&self.prefix)
                .extend(PATH)
                .extend(own);
        }
        url
    }
}

/// An address as it may be shown.
pub(super) fn shown(url: &Url) -> SafeUrl {
    SafeUrl::from(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base: &str, prefix: Option<&str>) -> WebhookAddress {
        let token = SecretString::from("t0ken");
        WebhookAddress::new(&base.parse().unwrap(), prefix, "mine", token)
    }

    #[test]
    fn an_address_is_put_together_from_all_its_parts() {
        let statuspage = SourceName::Statuspage;
        let table = [
            (
                "https://h.example",
                None,
                None,
                "https://h.example/integration/webhook/statuspage",
            ),
            (
                "https://h.example/",
                None,
                Some("eu"),
                "https://h.example/integration/webhook/statuspage/eu",
            ),
            (
                "https://h.example:8443/x/",
                Some("/pfx"),
                Some("a b/c"),
                "https://h.example:8443/x/pfx/integration/webhook/statuspage/a%20b%2Fc",
            ),
            (
                "https://h.example/?q=1#f",
                Some("/a/b"),
                None,
                "https://h.example/a/b/integration/webhook/statuspage",
            ),
        ];
        for (base, prefix, account, expected) in table {
            let address = address(base, prefix);
            assert_eq!(address.bare(statuspage, account).as_str(), expected);
            let secret = address.with_token(statuspage, account);
            assert_eq!(secret.as_str(), format!("{expected}?token=t0ken"));
            assert!(address.carries_token(&secret));
            assert!(address.is_below(&secret));
            assert_eq!(shown(&secret).to_string(), expected);
        }
    }

    #[test]
    fn addresses_of_the_originals_and_of_others_are_told_from_ours() {
        let address = address("https://h.example", Some("/pfx"));
        let table = [
            ("https://h.example/integration/webhook", false, false),
            ("https://h.example/pfx/integration/webhook", true, false),
            (
                "https://h.example/pfx/integration/webhook?token=x",
                false,
                false,
            ),
            (
                "https://h.example/pfx/integration/webhook/pagerduty",
                false,
                true,
            ),
            (
                "https://h.example/pfx/integration/webhook/old/x?y=z",
                false,
                true,
            ),
            ("https://h.example/pfx/integration/webhooks", false, false),
            (
                "https://h.example/integration/webhook/pagerduty",
                false,
                false,
            ),
            (
                "https://other.example/pfx/integration/webhook/pagerduty",
                false,
                false,
            ),
            (
                "http://h.example/pfx/integration/webhook/pagerduty",
                false,
                false,
            ),
        ];
        for (url, originals, ours) in table {
            let url = Url::parse(url).unwrap();
            assert_eq!(address.is_originals(&url), originals, "{url}");
            assert_eq!(address.is_below(&url), ours, "{url}");
        }
    }

    #[test]
    fn a_route_of_a_source_is_known_wherever_it_is() {
        let table = [
            ("https://h.example/integration/webhook/pagerduty", true),
            (
                "https://h.example/x/y/integration/webhook/pagerduty/eu?token=x",
                true,
            ),
            (
                "https://h.example/integration/webhook/pagerduty/eu/more",
                false,
            ),
            ("https://h.example/integration/webhook/statuspage", false),
            ("https://h.example/integration/webhook", false),
        ];
        for (url, expected) in table {
            let url = Url::parse(url).unwrap();
            let is_route = WebhookAddress::is_route(SourceName::Pagerduty, &url);
            assert_eq!(is_route, expected, "{url}");
        }
    }

    #[test]
    fn the_description_shows_another_token_and_not_the_token() {
        let ours = address("https://h.example", None);
        let theirs = WebhookAddress {
            token: SecretString::from("other"),
            ..ours.clone()
        };

        assert!(ours.is_marked(&ours.description()));
        assert!(!ours.is_marked(&theirs.description()));
        assert!(!ours.description().contains("t0ken"));
        insta::assert_snapshot!(ours.description(), @"Portolan `mine` (key b089428abe9a9c5f)");
    }
}
