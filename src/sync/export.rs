//! Everything that a mapping makes of the sources, for somebody else than Port.
//!
//! The reading half of a resync: the same lists, the same expressions, the same
//! report, and nothing is written or deleted anywhere. What a resync joins before it
//! writes, since several objects lead to one entity, comes here as it was mapped, one
//! after another.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::log;
use super::progress::{KindProgress, Progress};
use super::report::{KindReport, ResyncReport};
use super::reporting::Reporter;
use super::resync::{Running, WAITING_ENTITIES, labels, open};
use crate::jq;
use crate::mapping::Entity;
use crate::resource_config::MappingDocument;
use crate::source::{Detail, Source};

/// What an export works with.
pub struct Export {
    /// Accounts to read from.
    pub sources: Vec<Arc<dyn Source>>,
    /// Bounds of an expression's result.
    pub jq_limits: jq::Limits,
}

impl Export {
    /// Hands everything that there is to `take`, in the order in which it comes. `stop`
    /// ends it early; what was not read by then is told in the report.
    pub async fn run(
        &self,
        document: &MappingDocument,
        progress: &Progress,
        stop: &CancellationToken,
        mut take: impl FnMut(&[Entity]),
    ) -> ResyncReport {
        let (clock, started) = (Instant::now(), Timestamp::now());
        let configs = &document.resources;
        let labels = labels(configs);
        let kinds = progress.kinds.get_or_init(|| {
            let kinds = labels.iter().map(|label| KindProgress {
                kind: label.clone(),
                ..KindProgress::default()
            });
            kinds.collect()
        });
        let tallies: Vec<Mutex<KindReport>> = configs
            .iter()
            .zip(labels)
            .map(|(config, label)| Mutex::new(KindReport::new(config, label)))
            .collect();
        let detail = Detail::Read { whole_first: 0 };
        let listings: Vec<_> = self
            .sources
            .iter()
            .map(|source| (source, source.datasets(configs, started, detail)))
            .collect();
        let running = Running {
            tallies: &tallies,
            open: open(configs, listings.iter().flat_map(|(_, datasets)| datasets)),
            kinds,
            limits: &self.jq_limits,
            reporter: &Reporter::silent(),
        };
        let (sender, mut receiver) = mpsc::channel(WAITING_ENTITIES);
        let read_all = async {
            let listings = listings.into_iter();
            let listings =
                join_all(listings.map(|(source, datasets)| {
                    running.run_source(&**source, datasets, sender.clone())
                }));
            tokio::select! {
                _ = listings => {}
                () = stop.cancelled() => running.break_off(configs),
            }
            drop(sender);
        };
        let take_all = async {
            while let Some(mapped) = receiver.recv().await {
                take(&mapped.entities);
                let count = mapped.entities.len() as u64;
                progress.settled.fetch_add(count, Ordering::Relaxed);
                if let Some(tally) = tallies.get(mapped.config) {
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.written.stored += count;
                }
            }
        };
        tokio::join!(read_all, take_all);
        let tallies = tallies.into_iter();
        let report = ResyncReport {
            id: Uuid::new_v4(),
            started,
            duration: clock.elapsed(),
            kinds: tallies
                .map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner))
                .collect(),
            stopped: stop.is_cancelled(),
            ..ResyncReport::default()
        };
        log::export(&report, configs);
        report
    }
}
