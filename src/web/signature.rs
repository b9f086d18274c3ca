//! Port's signature of a request.
//!
//! It is computed over the bytes as they came, before anything is read out of
//! them, and compared in constant time.

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

const TIMESTAMP: &str = "x-port-timestamp";
const SIGNATURE: &str = "x-port-signature";

/// What the signature of a request is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// There is none. Port signs only where the organisation has it so.
    Missing,
    Right,
    Wrong,
}

/// Checks `v1,<base64>` of HMAC-SHA256 over `{timestamp}.{body}`, the key being
/// Port's client secret.
pub(super) fn check(headers: &HeaderMap, body: &[u8], secret: &SecretString) -> Signature {
    let Some(signature) = headers.get(SIGNATURE) else {
        return Signature::Missing;
    };
    let told = signature
        .as_bytes()
        .strip_prefix(b"v1,")
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    let (Some(told), Some(timestamp)) = (told, headers.get(TIMESTAMP)) else {
        return Signature::Wrong;
    };
    let mut signed = Vec::with_capacity(timestamp.len() + 1 + body.len());
    signed.extend_from_slice(timestamp.as_bytes());
    signed.push(b'.');
    signed.extend_from_slice(body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    match hmac::verify(&key, &signed, &told) {
        Ok(()) => Signature::Right,
        Err(_) => Signature::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const BODY: &str = r#"{"context":{"integrationId":"my-statuspage-integration"}}"#;
    const SIGNED: &str = "v1,kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnc=";

    fn checked(timestamp: Option<&str>, signature: Option<&str>, body: &str) -> Signature {
        let mut headers = HeaderMap::new();
        for (name, value) in [(TIMESTAMP, timestamp), (SIGNATURE, signature)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        check(
            &headers,
            body.as_bytes(),
            &SecretString::from("PORT_CLIENT_SECRET"),
        )
    }

    #[test]
    fn ports_own_example_is_right() {
        assert_eq!(
            checked(Some("1700000000000"), Some(SIGNED), BODY),
            Signature::Right
        );
    }

    #[test]
    fn anything_else_that_calls_itself_a_signature_is_wrong() {
        let time = Some("1700000000000");
        let table = [
            (None, Some(SIGNED), BODY),
            (Some("1700000000001"), Some(SIGNED), BODY),
            (time, Some(SIGNED), "{}"),
            (time, Some(SIGNED), ""),
            (time, Some(""), BODY),
            (time, Some("v1,"), BODY),
            (time, Some("v1,not base64"), BODY),
            (time, Some("v1,AAAA"), BODY),
            (
                time,
                Some("v2,kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnc="),
                BODY,
            ),
            (
                time,
                Some("kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnc="),
                BODY,
            ),
            (
                time,
                Some("v1,kpVvYGZOxkr10YYLAlbHGYw5BABN8JCy9f0ZcltCmnd="),
                BODY,
            ),
        ];
        for (timestamp, signature, body) in table {
            let checked = checked(timestamp, signature, body);
            assert_eq!(
                checked,
                Signature::Wrong,
                "{timestamp:?} {signature:?} {body}"
            );
        }
    }

    #[test]
    fn without_a_signature_there_is_nothing_to_check() {
        assert_eq!(checked(None, None, BODY), Signature::Missing);
        assert_eq!(
            checked(Some("1700000000000"), None, BODY),
            Signature::Missing
        );
    }
}
