//! Documents that people write: from YAML or JSON to checked values.
//!
//! What a document means is the business of who reads it (`resource_config`,
//! `reconcile`); here is what they share: a [`Reader`] that takes values out and
//! collects everything that is wrong on the way, and the form in which that is
//! told, with the place and the remedy.
//!
//! Nothing here looks at the network, the environment or the clock.

mod position;
mod problem;
mod reader;
mod text;

use std::{fmt, sync::Arc};

pub use position::Position;
pub use problem::{DocumentProblem, InvalidDocument, Snippet};

pub(crate) use position::Path;
pub(crate) use reader::{Reader, nearest};

use crate::jq::Filter;

/// A compiled expression and where it stands.
#[derive(Clone)]
pub struct Expression {
    /// For messages: `resources[3].port.entity.mappings.properties.startDate`.
    pub path: String,
    /// None when the document has no text.
    pub position: Option<Position>,
    pub filter: Arc<Filter>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.filter.text())
    }
}
