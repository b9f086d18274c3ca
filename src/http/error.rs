//! Requests that brought no usable answer.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use thiserror::Error;

use super::SafeUrl;

/// What was attempted, on what, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    pub url: SafeUrl,
    pub attempts: u32,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url)
    }
}

impl Call {
    /// How often, as the end of a sentence; nothing when it was once.
    pub(crate) fn times(&self) -> impl fmt::Display + use<> {
        Times(self.attempts)
    }
}

struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            attempts => write!(formatter, " ({attempts} attempts)"),
        }
    }
}

/// A request that brought no usable answer, once it was not worth repeating.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("{call} found no such host{}", call.times())]
    NoSuchHost {
        call: Call,
        #[source]
        source: reqwest::Error,
    },

    #[error("{call} found no trust in the server's certificate")]
    NotTrusted {
        call: Call,
        #[source]
        source: reqwest::Error,
    },

    #[error("{call} could not connect{}", call.times())]
    NotConnected {
        call: Call,
        #[source]
        source: reqwest::Error,
    },

    #[error("{call} lost its connection{}", call.times())]
    Interrupted {
        call: Call,
        #[source]
        source: reqwest::Error,
    },

    #[error("{call} got no complete answer within {} s{}", within.as_secs_f32(), call.times())]
    TimedOut { call: Call, within: Duration },

    #[error("{call} answered {status} with a body that {problem}{}", call.times())]
    Body {
        call: Call,
        status: u16,
        problem: BodyProblem,
    },
}

/// What is wrong with a body. The body itself is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProblem {
    /// The connection ended before the body did, or its compression is broken.
    CutShort,
    NotJson,
    /// Larger than this many bytes once decompressed.
    TooLarge(usize),
}

impl fmt::Display for BodyProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => formatter.write_str("was cut short"),
            Self::NotJson => formatter.write_str("is not JSON"),
            Self::TooLarge(cap) => write!(formatter, "is larger than {cap} bytes"),
        }
    }
}

impl HttpError {
    /// What was attempted.
    pub fn call(&self) -> &Call {
        match self {
            Self::NoSuchHost { call, .. }
            | Self::NotTrusted { call, .. }
            | Self::NotConnected { call, .. }
            | Self::Interrupted { call, .. }
            | Self::TimedOut { call, .. }
            | Self::Body { call, .. } => call,
        }
    }

    /// Whether the server may have acted on the request: it was sent, and no
    /// usable answer came.
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::NoSuchHost { .. } | Self::NotTrusted { .. } | Self::NotConnected { .. } => false,
            Self::Interrupted { .. } | Self::TimedOut { .. } | Self::Body { .. } => true,
        }
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchHost { .. } => Some(
                "check the host name in the base URL's setting, and that DNS works from where Portolan runs",
            ),
            Self::NotTrusted { .. } => Some(
                "if the certificate comes from your own authority, name its file in REQUESTS_CA_BUNDLE; \
                 if this machine has no authorities at all, install the package ca-certificates; \
                 OCEAN__SSL__PORT__VERIFY=false and OCEAN__SSL__THIRD_PARTY__VERIFY=false switch the check off",
            ),
            Self::NotConnected { .. } => Some(
                "check that a firewall lets this address through, and HTTPS_PROXY and NO_PROXY if a proxy is needed",
            ),
            Self::TimedOut { .. } => Some(
                "check the way to this host (firewall, HTTPS_PROXY); a slow vendor, though not Port, can be given more time with OCEAN__CLIENT_TIMEOUT",
            ),
            Self::Body {
                problem: BodyProblem::NotJson,
                ..
            } => Some(
                "something other than the API may have answered, such as a proxy's page: check the base URL's setting",
            ),
            Self::Interrupted { .. } | Self::Body { .. } => None,
        }
    }
}

/// The method's name, for messages.
pub(crate) fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "request",
    }
}
