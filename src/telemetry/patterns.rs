//! What looks like a secret although nobody named it as one.
//!
//! The list is part of the contract. Where the originals' expressions carry a
//! doubled backslash they match a literal backslash by mistake; here they
//! match what they were meant to. Character classes such as `[a|A]`, meant as
//! "in any case", are written so.

/// Name and expression, for the `regex` crate.
pub(super) const PATTERNS: &[(&str, &str)] = &[
    // The end of the value counts as an end too: values are masked singly, so
    // there is often no quote behind them. Lazy, to end at the first one.
    (
        "password in a URL",
        r#"[a-zA-Z]{3,10}://[^/\\\s:@]{3,20}:[^/\\\s:@]{3,20}@.{1,100}?(?:["'\s]|$)"#,
    ),
    (
        "generic API key",
        r#"(?i:api_?key).*['"][0-9a-zA-Z]{32,45}['"]"#,
    ),
    (
        "generic secret",
        r#"(?i:secret).*['"][0-9a-zA-Z]{32,45}['"]"#,
    ),
    ("Google key", r"AIza[0-9A-Za-z\-_]{35}"),
    ("Firebase", r".*firebaseio\.com"),
    ("RSA key", r"-----BEGIN RSA PRIVATE KEY-----"),
    ("DSA key", r"-----BEGIN DSA PRIVATE KEY-----"),
    ("EC key", r"-----BEGIN EC PRIVATE KEY-----"),
    ("PGP key", r"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
    ("AWS", r"AKIA[0-9A-Z]{16}"),
    (
        "MWS",
        r"amzn\.mws\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("GitHub", r#"(?i:github).*['"][0-9a-zA-Z]{35,40}['"]"#),
    (
        "Google OAuth client",
        r"[0-9]+-[0-9A-Za-z_]{32}\.apps\.googleusercontent\.com",
    ),
    ("Google OAuth token", r"ya29\.[0-9A-Za-z\-_]+"),
    ("GCP service account", r#""type":\s*"service_account""#),
    (
        "connection string",
        r"[a-zA-Z]+://[^/\s]+:[^/\s]+@[^/\s]+/[^/\s]+",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::Masker;

    /// Put together at run time, so that no scanner takes this file for a leak.
    fn examples() -> Vec<(&'static str, String)> {
        let long = |length: usize| "a1B2".chars().cycle().take(length).collect::<String>();
        vec![
            (
                "password in a URL",
                "https://user:hunter2@example.com".to_owned(),
            ),
            ("generic API key", format!("API_KEY = '{}'", long(32))),
            ("generic secret", format!("Secret: \"{}\"", long(45))),
            ("Google key", format!("AIza{}", long(35))),
            ("Firebase", "app.firebaseio.com".to_owned()),
            ("RSA key", format!("-----BEGIN {} PRIVATE KEY-----", "RSA")),
            ("DSA key", format!("-----BEGIN {} PRIVATE KEY-----", "DSA")),
            ("EC key", format!("-----BEGIN {} PRIVATE KEY-----", "EC")),
            (
                "PGP key",
                format!("-----BEGIN {} PRIVATE KEY BLOCK-----", "PGP"),
            ),
            ("AWS", format!("AKIA{}", "A1B2".repeat(4))),
            (
                "MWS",
                "amzn.mws.01234567-89ab-cdef-0123-456789abcdef".to_owned(),
            ),
            ("GitHub", format!("github '{}'", long(40))),
            (
                "Google OAuth client",
                format!("123-{}.apps.googleusercontent.com", long(32)),
            ),
            ("Google OAuth token", format!("ya29.{}", long(20))),
            (
                "GCP service account",
                r#""type": "service_account""#.to_owned(),
            ),
            ("connection string", "postgres://u:p@host/base".to_owned()),
        ]
    }

    #[test]
    fn every_pattern_masks_its_whole_match() {
        let masker = Masker::new([]);

        for (name, example) in examples() {
            assert_eq!(masker.mask(&example), "[REDACTED]", "{name}");
        }
        assert_eq!(examples().len(), super::PATTERNS.len());
    }

    #[test]
    fn ordinary_lines_are_left_alone() {
        let masker = Masker::new([]);

        for line in [
            "Resynced 12 entities of `incident`",
            "GET https://api.example.com/v1/integration answered 200",
            "reading the api key from OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
            "resync 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        ] {
            assert_eq!(masker.mask(line), line);
        }
    }

    #[test]
    fn what_stands_around_a_password_in_a_url_is_kept() {
        let masker = Masker::new([]);

        let line = "via https://user:hunter2@proxy.example and more";

        assert_eq!(masker.mask(line), "via [REDACTED]and more");
    }
}
