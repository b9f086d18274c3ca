//! Who may tell us something.
//!
//! Two things are accepted. A token that only we and the vendor know: it is
//! derived from Port's client secret, so that nobody has to think of one, keep it
//! or tell it to a second replica, and the subscriptions that this program makes
//! carry it, as a header at PagerDuty and as a part of the address at Statuspage
//! and Opsgenie, which have nothing else. And PagerDuty's signature, where the
//! secret of a subscription is known.
//!
//! Everything is looked at as the bytes it came in, before anything is parsed,
//! and compared in constant time. What is wrong with a request is told to nobody:
//! it is either somebody who guesses, or a matter for the settings. A token is part
//! of an address, so no address of a request may ever be logged with its query.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use super::recognize::hex;
use crate::telemetry;

/// The header that carries the token.
pub const TOKEN_HEADER: &str = "X-Portolan-Token";

/// The part of the query that carries the token, where headers cannot be had.
pub const TOKEN_PARAMETER: &str = "token";

const TOKEN: HeaderName = HeaderName::from_static("x-portolan-token");
const SIGNATURE: HeaderName = HeaderName::from_static("x-pagerduty-signature");

/// Signatures of one request that are looked at. There are two while a secret is
/// replaced.
const MOST_SIGNATURES: usize = 8;

/// The token of an installation: lower-case hexadecimal.
pub fn derived_token(client_secret: &SecretString, identifier: &str) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("portolan webhook {identifier}").as_bytes());
    SecretString::from(hex(tag.as_ref()))
}

/// Knows who may tell us something. Cheap to clone; what one clone learns all
/// know.
#[derive(Clone)]
pub struct Authenticator {
    known: Arc<Known>,
}

struct Known {
    is_off: bool,
    /// What tokens are compared by: equal texts have equal tags, and comparing
    /// tags tells nothing about a text, not even its length. The key is this
    /// process' own.
    key: hmac::Key,
    tokens: Vec<hmac::Tag>,
    pagerduty: RwLock<Vec<hmac::Key>>,
}

/// What a request has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// That it may come from anybody whom we told the token, or that nothing has
    /// to be proved.
    Token,
    /// That it comes from PagerDuty.
    Pagerduty,
}

impl Authenticator {
    /// Accepts these. They are masked in the log from now on.
    pub fn new<'a>(
        tokens: impl IntoIterator<Item = &'a SecretString>,
        pagerduty_secrets: impl IntoIterator<Item = &'a SecretString>,
    ) -> Self {
        let authenticator = Self::with_tokens(false, tokens);
        for secret in pagerduty_secrets {
            authenticator.learn_pagerduty_secret(secret);
        }
        authenticator
    }

    /// Accepts everything, and says so.
    pub fn off() -> Self {
        tracing::warn!(
            "Webhooks are not authenticated (OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH is off): whoever reaches this \
             service can have objects fetched anew"
        );
        Self::with_tokens(true, [])
    }

    fn with_tokens<'a>(is_off: bool, tokens: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let key = process_key();
        let tokens = tokens.into_iter().filter_map(|token| {
            telemetry::learn("webhook token", token);
            let token = token.expose_secret();
            // An empty one would be proved by an empty header.
            (!token.is_empty()).then(|| hmac::sign(&key, token.as_bytes()))
        });
        let tokens = tokens.collect();
        Self {
            known: Arc::new(Known {
                is_off,
                key,
                tokens,
                pagerduty: RwLock::default(),
            }),
        }
    }

    /// Accepts PagerDuty's signatures by this secret, too. It is told only once,
    /// when a subscription is made.
    pub fn learn_pagerduty_secret(&self, secret: &SecretString) {
        let text = secret.expose_secret();
        if text.is_empty() {
            return;
        }
        telemetry::learn("PagerDuty webhook secret", secret);
        let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let known = &self.known.pagerduty;
        known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key);
    }

    /// What the head of a request proves, so that the body of one that proves
    /// nothing need not be read. None: it needs a signature.
    pub fn by_head(&self, headers: &HeaderMap, query: Option<&str>) -> Option<Proof> {
        if self.known.is_off {
            return Some(Proof::Token);
        }
        let in_headers = headers.get_all(TOKEN).iter();
        let in_headers = in_headers.map(|value| Cow::Borrowed(value.as_bytes()));
        let in_query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .filter(|(name, _)| name == TOKEN_PARAMETER)
            .map(|(_, value)| match value {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            });
        in_headers
            .chain(in_query)
            .any(|told| self.knows_token(&told))
            .then_some(Proof::Token)
    }

    /// Whether a request that proves nothing by its head may do so by its body.
    pub fn may_be_signed(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(SIGNATURE) && !self.pagerduty_secrets().is_empty()
    }

    /// What the body proves.
    pub fn by_body(&self, headers: &HeaderMap, body: &[u8]) -> Option<Proof> {
        let secrets = self.pagerduty_secrets();
        let signatures = headers
            .get_all(SIGNATURE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|signature| from_hex(signature.trim().strip_prefix("v1=")?))
            .take(MOST_SIGNATURES);
        let is_signed = |signature: Vec<u8>| {
            let mut secrets = secrets.iter();
            secrets.any(|secret| hmac::verify(secret, body, &signature).is_ok())
        };
        signatures
            .into_iter()
            .any(is_signed)
            .then_some(Proof::Pagerduty)
    }

    fn knows_token(&self, told: &[u8]) -> bool {
        let Known { key, tokens, .. } = &*self.known;
        tokens
            .iter()
            .any(|tag| hmac::verify(key, told, tag.as_ref()).is_ok())
    }

    fn pagerduty_secrets(&self) -> Vec<hmac::Key> {
        let secrets = self.known.pagerduty.read();
        secrets.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authenticator")
            .field("is_off", &self.known.is_off)
            .field("tokens", &self.known.tokens.len())
            .field("pagerduty_secrets", &self.pagerduty_secrets().len())
            .finish()
    }
}

fn process_key() -> hmac::Key {
    hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
        .expect("a system without random numbers could not have started TLS")
}

/// None if it is not lower-case hexadecimal.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// PagerDuty's documented example.
    const BODY: &str = r#"{"event":{"id":"01EXAMPLE","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-01-02T03:04:05.678Z","agent":null,"client":null,"data":{"id":"PINC001","type":"incident","status":"acknowledged"}}}"#;
    const ALPHA: &str = "8dfa1c1ecd3990dd192671838e5644081f179c6338b14b002c3991597913f485";
    const BETA: &str = "38a2c910c64ee1ae5d2bdb476ca668f1c70a1d6e8f4f261daef39f4eba6cad8d";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn proves(authenticator: &Authenticator, signature: &str, body: &str) -> bool {
        let headers = headers(&[(SIGNATURE, signature)]);
        authenticator.by_body(&headers, body.as_bytes()) == Some(Proof::Pagerduty)
    }

    #[test]
    fn the_token_is_derived_from_the_secret_and_the_identifier() {
        // printf 'portolan webhook my-identifier' | openssl dgst -sha256 -hmac invented-secret
        let token = derived_token(&secret("invented-secret"), "my-identifier");
        assert_eq!(
            token.expose_secret(),
            "6e5580332359b440142f9fbf1bbc076b08548f9622375f0cec5bbc7014be7fb8"
        );
        for (client_secret, identifier) in [
            ("invented-secret", "my-identifier2"),
            ("invented-secret2", "my-identifier"),
        ] {
            let other = derived_token(&secret(client_secret), identifier);
            assert_ne!(other.expose_secret(), token.expose_secret());
        }
    }

    #[test]
    fn a_token_counts_in_the_header_and_in_the_query() {
        let authenticator = Authenticator::new(&[secret("tok+en/1")], &[]);
        let proved = |fields: &[(HeaderName, &str)], query| {
            authenticator.by_head(&headers(fields), query).is_some()
        };
        let bare = |value| [(TOKEN, value)];

        assert!(proved(&bare("tok+en/1"), None));
        assert!(proved(&[(TOKEN, "wrong"), (TOKEN, "tok+en/1")], None));
        assert!(proved(&[], Some("token=tok%2Ben%2F1")));
        assert!(proved(&[], Some("a=b&token=tok%2Ben/1&c")));
        for value in ["", "tok+en/", "tok+en/12", "TOK+EN/1", " "] {
            assert!(!proved(&bare(value), None), "{value:?}");
        }
        for query in [
            None,
            Some(""),
            Some("token"),
            Some("token="),
            Some("token=tok+en/1"),
            Some("Token=tok%2Ben%2F1"),
            Some("%ff&&==&token=%"),
        ] {
            assert!(!proved(&[], query), "{query:?}");
        }
    }

    #[test]
    fn nothing_is_proved_where_no_token_is_known() {
        let authenticator = Authenticator::new(&[secret("")], &[secret("")]);
        for value in ["", "x"] {
            let told = headers(&[(TOKEN, value), (SIGNATURE, "v1=")]);
            assert_eq!(authenticator.by_head(&told, Some("token=")), None);
            assert!(!authenticator.may_be_signed(&told));
            assert_eq!(authenticator.by_body(&told, b"{}"), None);
        }
    }

    #[test]
    fn pagerdutys_own_examples_are_right() {
        assert_eq!(BODY.len(), 226);
        let alpha = Authenticator::new(&[], &[secret("pdsecret-alpha")]);
        let beta = Authenticator::new(&[], &[secret("pdsecret-beta")]);
        let rotating = format!("v1={ALPHA},v1={BETA}");

        assert!(proves(&alpha, &format!("v1={ALPHA}"), BODY));
        assert!(proves(&beta, &format!("v1={BETA}"), BODY));
        assert!(proves(&alpha, &rotating, BODY));
        assert!(proves(&beta, &rotating, BODY));
        assert!(!proves(&alpha, &format!("v1={BETA}"), BODY));
        assert!(!proves(&beta, &format!("v1={ALPHA}"), BODY));
        let many = format!("v2=00,v1=zz,,v1=abc, v1={ALPHA}");
        assert!(proves(&alpha, &many, BODY));
    }

    #[test]
    fn anything_else_that_calls_itself_a_signature_proves_nothing() {
        let alpha = Authenticator::new(&[], &[secret("pdsecret-alpha")]);
        let upper = format!("v1={}", ALPHA.to_ascii_uppercase());
        for signature in [
            "",
            "v1=",
            "v1",
            ALPHA,
            &upper,
            &format!("v2={ALPHA}"),
            &format!("v1={}", &ALPHA[..62]),
            &format!("v1={ALPHA}00"),
        ] {
            assert!(!proves(&alpha, signature, BODY), "{signature}");
        }
        for body in [
            "",
            "{}",
            &format!("{BODY}\n"),
            &BODY.replace("PINC001", "PINC002"),
        ] {
            assert!(!proves(&alpha, &format!("v1={ALPHA}"), body), "{body}");
        }
    }

    #[test]
    fn a_secret_that_is_learnt_later_counts_for_every_clone() {
        let authenticator = Authenticator::new(&[], &[secret("pdsecret-alpha")]);
        let clone = authenticator.clone();
        assert!(!proves(&clone, &format!("v1={BETA}"), BODY));

        authenticator.learn_pagerduty_secret(&secret("pdsecret-beta"));

        assert!(proves(&clone, &format!("v1={BETA}"), BODY));
        assert!(proves(&clone, &format!("v1={ALPHA}"), BODY));
    }

    #[test]
    fn nothing_has_to_be_proved_once_it_is_off() {
        let proof = Authenticator::off().by_head(&HeaderMap::new(), None);
        assert_eq!(proof, Some(Proof::Token));
    }

    #[test]
    fn no_secret_is_seen_in_what_is_printed() {
        let authenticator = Authenticator::new(&[secret("invented")], &[secret("invented")]);
        let printed = format!("{authenticator:?}");
        assert!(!printed.contains("invented"), "{printed}");
    }
}
