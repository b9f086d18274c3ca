//! Logging, and the masking of secrets in it.
//!
//! Every line goes to standard error through one [`Sink`], so that standard
//! output stays free for results and whoever draws a progress bar there can
//! step aside while a line is written. On a terminal lines are for people,
//! elsewhere each is one JSON object.
//!
//! Masking happens on single values, before they are put into a line: a
//! pattern that runs over the quotes of a finished JSON line would eat the
//! fields beside it, and a secret is not spelt the same once it is escaped.
//! There is no way into a line around the [`Masker`]; secrets that are no
//! settings (a token issued by a login, or read from a file) are told to it
//! with [`learn`]. What [`Shipper`] sends to Port are the same lines.

mod layer;
mod line;
mod masker;
pub mod metrics;
mod patterns;
mod shipping;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use secrecy::SecretString;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};

pub use crate::settings::LogLevel;
pub use masker::Masker;
pub use shipping::Shipper;

/// Takes one finished line, its line break included, at a time.
///
/// Must not log, or it would call itself.
pub type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: one line of text, with colours or without.
    Human { colour: bool },
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// For people where standard error is a terminal, in colours unless
    /// `NO_COLOR` is set; JSON elsewhere.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Self::Human { colour }
        } else {
            Self::Json
        }
    }
}

/// Writes lines to standard error.
pub fn stderr() -> Sink {
    Arc::new(|line| {
        // There is nowhere left to say that standard error is closed.
        drop(std::io::stderr().lock().write_all(line));
    })
}

/// Logging was set up before, in this process.
#[derive(Debug, thiserror::Error)]
#[error("logging is already set up")]
pub struct AlreadySetUp(#[source] tracing::subscriber::SetGlobalDefaultError);

/// The masker of the process' log, once there is one.
static MASKER: OnceLock<Masker> = OnceLock::new();

/// Masks this in the process' log from now on. `holder`: whose it is, as its
/// former ones are forgotten some time.
pub fn learn(holder: &str, secret: &SecretString) {
    if let Some(masker) = MASKER.get() {
        masker.learn(holder, secret);
    }
}

/// What masks the process' log; while there is none, one that knows no secrets.
pub fn masker() -> Masker {
    MASKER.get().cloned().unwrap_or_else(|| Masker::new([]))
}

/// Sets logging up for the whole process, once. With a shipper, lines go to
/// Port as well.
pub fn init(
    level: LogLevel,
    format: LogFormat,
    masker: Masker,
    sink: Sink,
    shipper: Option<Shipper>,
) -> Result<(), AlreadySetUp> {
    let shared = masker.clone();
    let lines = layer::Lines::new(format, masker, sink).shipped_by(shipper);
    tracing::subscriber::set_global_default(at_level(level, lines)).map_err(AlreadySetUp)?;
    MASKER.get_or_init(|| shared);
    Ok(())
}

/// What [`init`] sets up, without a shipper, to be used for a part of the process (in tests).
pub fn subscriber(
    level: LogLevel,
    format: LogFormat,
    masker: Masker,
    sink: Sink,
) -> impl Subscriber + Send + Sync {
    at_level(level, layer::Lines::new(format, masker, sink))
}

fn at_level(level: LogLevel, lines: layer::Lines) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(lines.with_filter(targets(level)))
}

/// The chosen level holds for this program; the libraries below it are only
/// heard when something is wrong, or their wire traffic would drown the rest
/// at DEBUG (and carry headers into the log).
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Critical | LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("portolan", level)
}

#[cfg(test)]
mod tests;
