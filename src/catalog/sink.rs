//! Where a resync reads what it may change, and where it writes.
//!
//! The one seam between a resync and a plan of one: the writer and the deletion are
//! the same code for both, and a [`Draft`] answers each request as Port would.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::draft::Draft;
use crate::api::{
    ApiError, BlueprintRelations, BulkOutcome, EntityName, Listed, PortClient, RelatedEntity,
    UpsertOptions,
};

/// Port, or Port as it would be.
#[derive(Clone)]
pub enum Sink {
    /// What is written is in the catalog.
    Port(PortClient),
    /// What is written is in a plan.
    Draft(Arc<Draft>),
}

impl From<PortClient> for Sink {
    fn from(port: PortClient) -> Self {
        Self::Port(port)
    }
}

impl Sink {
    /// For what nothing that is written changes.
    pub(super) fn port(&self) -> &PortClient {
        match self {
            Self::Port(port) => port,
            Self::Draft(draft) => draft.port(),
        }
    }

    pub(super) async fn upsert_entities(
        &self,
        blueprint: &str,
        entities: &[Bytes],
        options: &UpsertOptions,
    ) -> Result<BulkOutcome, ApiError> {
        match self {
            Self::Port(port) => port.upsert_entities(blueprint, entities, options).await,
            Self::Draft(draft) => draft.upsert_entities(blueprint, entities, options).await,
        }
    }

    pub(super) async fn written_before(
        &self,
        before: Timestamp,
        from: Option<&str>,
    ) -> Result<Listed<EntityName>, ApiError> {
        match self {
            Self::Port(port) => port.written_before(before, from).await,
            Self::Draft(draft) => draft.written_before(before, from).await,
        }
    }

    pub(super) async fn relations(&self) -> Result<BTreeMap<String, BlueprintRelations>, ApiError> {
        match self {
            Self::Port(port) => port.relations().await,
            Self::Draft(draft) => draft.relations().await,
        }
    }

    pub(super) async fn related_entities(
        &self,
        blueprint: &str,
        relations: &[&str],
        of: (&str, &[String]),
        from: Option<&str>,
    ) -> Result<Listed<RelatedEntity>, ApiError> {
        match self {
            Self::Port(port) => port.related_entities(blueprint, relations, of, from).await,
            Self::Draft(draft) => draft.related_entities(blueprint, relations, of, from).await,
        }
    }

    pub(super) async fn delete_entities(
        &self,
        blueprint: &str,
        identifiers: &[String],
    ) -> Result<(), ApiError> {
        match self {
            Self::Port(port) => port.delete_entities(blueprint, identifiers).await,
            Self::Draft(draft) => {
                draft.delete_entities(blueprint, identifiers);
                Ok(())
            }
        }
    }

    pub(super) async fn delete_entity(
        &self,
        blueprint: &str,
        identifier: &str,
    ) -> Result<(), ApiError> {
        match self {
            Self::Port(port) => port.delete_entity(blueprint, identifier).await,
            Self::Draft(draft) => draft.delete_entity(blueprint, identifier).await,
        }
    }
}
