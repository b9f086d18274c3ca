//! The process itself: what it logs and where it listens.

use std::fmt;
use std::str::FromStr;

use super::reader::Reader;

/// Variables that start with `APPLICATION__`, without `OCEAN__` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSettings {
    pub log_level: LogLevel,
    pub port: u16,
    /// Whether log lines also go to Port.
    pub enable_http_logging: bool,
}

/// The levels of the originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Treated as `Error`: nothing here is above an error.
    Critical,
    Error,
    Warning,
    #[default]
    Info,
    Debug,
}

impl LogLevel {
    /// The name as written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A level that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log level is one of ERROR, WARNING, INFO, DEBUG, CRITICAL")]
pub struct UnknownLogLevel;

impl FromStr for LogLevel {
    type Err = UnknownLogLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Critical,
            Self::Error,
            Self::Warning,
            Self::Info,
            Self::Debug,
        ]
        .into_iter()
        .find(|level| level.as_str().eq_ignore_ascii_case(text))
        .ok_or(UnknownLogLevel)
    }
}

impl ApplicationSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            log_level: reader
                .text("APPLICATION__LOG_LEVEL")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            port: reader
                .whole("APPLICATION__PORT")
                .try_into()
                .unwrap_or_default(),
            enable_http_logging: reader.boolean("APPLICATION__ENABLE_HTTP_LOGGING"),
        }
    }
}
