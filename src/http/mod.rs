//! How any request leaves the process.
//!
//! Every vendor's client sends through [`HttpClient`], so that deadlines, body
//! caps, repetition and pacing are decided in one place and are the same
//! everywhere:
//!
//! ```text
//! api::* ─Request─▶ HttpClient ─▶ Pacer (per key: window, holds) ─▶ reqwest ─▶ vendor
//!                       ▲                                              │
//!                       └────────── retry::decide ◀── outcome ─────────┘
//! ```
//!
//! This module knows HTTP, not vendors: it hands back any status as a
//! [`Reply`], and what a body means is for `api` to say. It must never put a
//! credential, a query string or a response body into an error or a log line,
//! and must never repeat a request that may have had an effect unless its
//! sender said that this is safe.

mod authorities;
mod client;
mod connection;
mod error;
mod headers;
mod last_answer;
mod pacing;
mod retry;
mod safe_url;
#[cfg(test)]
pub(crate) mod testing;

#[cfg(feature = "kafka")]
pub(crate) use authorities::trusted_in_pem;
pub use client::{Expect, HttpClient, ReadBody, Reply, Request};
pub use connection::BuildError;
pub(crate) use connection::install_crypto_provider;
pub use error::{BodyProblem, Call, HttpError};
pub use headers::{Announced, RateHeaders};
pub use last_answer::LastAnswer;
pub use pacing::{Pacer, Slot};
pub use retry::RetryPolicy;
pub use safe_url::SafeUrl;
