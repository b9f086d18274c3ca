//! The mapping as it is in Port, read for resyncs and kept for live events.
//!
//! People edit it there, so each resync reads it afresh. Events come by the
//! dozen, and make do with what was read within the last minute or so. Whoever
//! reads it, the other has it as well, expressions compiled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::expressions::Expressions;
use super::resync::ResyncError;
use crate::api::{Integration, PortClient};
use crate::resource_config::{self, MappingDocument};
use crate::settings::SourceName;

/// Reads the mapping; see the module.
pub struct Mapping {
    port: PortClient,
    /// The sources that are on, each once.
    sources: Vec<SourceName>,
    expressions: Expressions,
    last: Mutex<Option<Read>>,
    /// So that one reads for all who wait for it.
    reading: tokio::sync::Mutex<()>,
}

/// What was read last.
#[derive(Clone)]
struct Read {
    at: Instant,
    config: Arc<Value>,
    document: Arc<MappingDocument>,
    warnings: Arc<[String]>,
}

impl Mapping {
    /// `sources`: those that are on.
    pub fn new(
        port: PortClient,
        sources: impl IntoIterator<Item = SourceName>,
        expressions: Expressions,
    ) -> Self {
        let mut sources: Vec<SourceName> = sources.into_iter().collect();
        sources.sort_unstable();
        sources.dedup();
        Self {
            port,
            sources,
            expressions,
            last: Mutex::new(None),
            reading: tokio::sync::Mutex::new(()),
        }
    }

    /// The mapping as it is now, and the integration that it belongs to. What its
    /// author should know is said.
    pub async fn read(&self) -> Result<(Integration, Arc<MappingDocument>), ResyncError> {
        let (integration, read) = self.fetch(true).await?;
        Ok((integration, read.document))
    }

    /// The mapping as it was at most `age` ago.
    pub(super) async fn recent(&self, age: Duration) -> Result<Arc<MappingDocument>, ResyncError> {
        let fresh = || {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = last.as_ref().filter(|read| read.at.elapsed() < age);
            fresh.map(|read| Arc::clone(&read.document))
        };
        if let Some(document) = fresh() {
            return Ok(document);
        }
        let _reading = self.reading.lock().await;
        if let Some(document) = fresh() {
            return Ok(document);
        }
        let (_, read) = self.fetch(false).await?;
        Ok(read.document)
    }

    /// Whether nobody has read another mapping since.
    pub(super) fn is_last(&self, document: &Arc<MappingDocument>) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .is_some_and(|read| Arc::ptr_eq(&read.document, document))
    }

    /// `is_to_warn`: also where the mapping is what it was.
    async fn fetch(&self, is_to_warn: bool) -> Result<(Integration, Read), ResyncError> {
        let at = Instant::now();
        let integration = self.port.integration().await;
        let mut integration = integration
            .map_err(ResyncError::Unreadable)?
            .ok_or(ResyncError::NoIntegration)?;
        let config = match integration.config.take() {
            Value::Null => Value::Object(Map::new()),
            config => config,
        };
        let known = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.clone().filter(|read| *read.config == config)
        };
        let is_news = known.is_none();
        let read = if let Some(known) = known {
            Read { at, ..known }
        } else {
            let jq = self.expressions.of(&config);
            let from = "the mapping in Port";
            let parsed = resource_config::parse_value(&config, from, &self.sources, &jq)?;
            Read {
                at,
                config: Arc::new(config),
                document: Arc::new(parsed.document),
                warnings: parsed.warnings.into(),
            }
        };
        if is_news || is_to_warn {
            for warning in &*read.warnings {
                tracing::warn!("{warning}");
            }
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        Ok((integration, read))
    }
}
