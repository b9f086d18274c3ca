//! What Port is told while a resync runs, beside the entities: how each kind
//! stands, a sign of life, examples of raw objects. All of it is best effort.

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::report::{KindReport, ResyncReport};
use crate::api::{Integration, PortClient};
use crate::mapping::RawBatch;
use crate::resource_config::ResourceConfig;
use crate::settings::Runtime;

/// What to tell, as the settings say.
#[derive(Clone, Debug)]
pub struct Reporting {
    /// Whether a few raw objects of each kind go to Port, masked.
    pub send_examples: bool,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// Where the metrics go as well.
    pub webhook_url: Option<Url>,
    pub runtime: Runtime,
}

impl Reporting {
    /// A reporter for one resync, and what does its work: to be polled beside
    /// the resync. It ends, soon, when every clone of the reporter is dropped.
    pub(super) fn start(
        &self,
        _port: &PortClient,
        _integration: &Integration,
        _id: Uuid,
    ) -> (Reporter, impl Future<Output = ()> + use<>) {
        (Reporter {}, async {})
    }
}

/// Takes notes of a resync and tells Port; nobody waits for it.
#[derive(Clone)]
pub(super) struct Reporter {}

impl Reporter {
    /// The mapping is read; every kind is about to begin.
    pub(super) fn began(&self, _configs: &[Arc<ResourceConfig>]) {}

    /// A kind's first request is about to be sent.
    pub(super) fn kind_began(&self, _config: &ResourceConfig) {}

    /// Raw objects of a kind, as they were read. Called for every page, so it
    /// must be cheap once it has seen enough.
    pub(super) fn raw_objects(&self, _config: &ResourceConfig, _batch: &RawBatch) {}

    /// A kind has been read to its end, or as far as it went. Its entities may
    /// not be written yet.
    pub(super) fn kind_listed(&self, _config: &ResourceConfig, _report: &KindReport) {}

    /// Everything is written and deleted; the last thing that is called.
    pub(super) fn ended(&self, _report: &ResyncReport) {}
}
