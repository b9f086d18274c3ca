//! Environment and `config.yaml` to checked settings; reports every problem at once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A system whose objects go into the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceName {
    Statuspage,
    Pagerduty,
}

impl SourceName {
    /// Every source there is, in the order in which they are worked on.
    pub const ALL: [Self; 2] = [Self::Statuspage, Self::Pagerduty];

    /// The name as written in settings, kinds and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Statuspage => "statuspage",
            Self::Pagerduty => "pagerduty",
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
