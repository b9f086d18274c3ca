//! Addresses as they may be shown.

use std::fmt;

use url::Url;

/// Where a request went, without what must not be printed.
///
/// Credentials and the query are dropped when it is made, not when it is
/// shown, so neither `Display` nor `Debug` can give them away later.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(Box<str>);

impl From<&Url> for SafeUrl {
    fn from(url: &Url) -> Self {
        let mut shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        if let Some(port) = url.port() {
            shown.push(':');
            shown.push_str(&port.to_string());
        }
        shown.push_str(url.path());
        Self(shown.into())
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_credentials_nor_the_query_are_shown() {
        let url = Url::parse("https://user:hunter2@api.example.com:8443/v1/pages?api_key=s3cret#x")
            .unwrap();
        let safe = SafeUrl::from(&url);

        assert_eq!(safe.to_string(), "https://api.example.com:8443/v1/pages");
        assert_eq!(format!("{safe:?}"), safe.to_string());
    }

    #[test]
    fn an_ipv6_host_keeps_its_brackets() {
        let url = Url::parse("http://[::1]:80/v1").unwrap();
        assert_eq!(SafeUrl::from(&url).to_string(), "http://[::1]/v1");
    }
}
