//! One resync: everything the mapping asks for, from the sources into Port.
//!
//! The mapping is read from Port each time, for people edit it there. A kind
//! that fails does not stop the others; what it did deliver is written. When
//! everything is written, what the sources no longer have is deleted, unless
//! there is a reason not to.
//!
//! Asked to stop, it asks the sources for nothing more, writes what it has and
//! deletes nothing, unless deleting has begun: that it does to the end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::log;
use super::mapping::Mapping;
use super::measure;
use super::progress::{KindProgress, Progress};
use super::report::{Ending, KindReport, ResyncReport};
use super::reporting::{Reporter, Reporting};
use super::request::ResyncRequest;
use super::state::StateInPort;
use crate::api::{ApiError, PortClient, ResyncStatus, UpsertOptions};
use crate::catalog::{
    Contribution, Deletion, DeletionRules, Draft, Feed, MappedEntities, RecentWrites, Sink,
    ToWrite, WriteLimits, Writer, delete_stale,
};
use crate::causes::with_hint;
use crate::document::InvalidDocument;
use crate::jq;
use crate::mapping::{Mapped, map_batch};
use crate::resource_config::{MappingDocument, ResourceConfig};
use crate::source::{Dataset, Detail, Page, Pages, Source, SourceError};

/// Datasets of one source that are listed at a time. More gains nothing: the
/// APIs' rate limits are what bounds a listing.
const DATASETS_AT_A_TIME: usize = 4;

/// Pages that wait between a listing and the mapping of them. More would be memory, and
/// no gain: mapping a page takes less than listing it.
const WAITING_PAGES: usize = 1;

/// Mapped pages that wait for the catalog.
pub(super) const WAITING_ENTITIES: usize = 2;

/// Everything a resync works with. Built once, run as often as needed.
pub struct Resync {
    /// The catalog.
    pub port: PortClient,
    /// Accounts to read from.
    pub sources: Vec<Arc<dyn Source>>,
    /// The mapping, shared with live events.
    pub mapping: Arc<Mapping>,
    /// What live events write, which is not to be undone.
    pub recent: Arc<RecentWrites>,
    /// Bounds of an expression's result.
    pub jq_limits: jq::Limits,
    /// Bounds of the requests to Port.
    pub write_limits: WriteLimits,
    /// Entities in one deletion.
    pub delete_batch: usize,
    /// What Port is told meanwhile.
    pub reporting: Reporting,
    /// What Port shows of all that.
    pub state: StateInPort,
}

/// Why a resync ended before it began.
#[derive(Debug, Error)]
pub enum ResyncError {
    /// The mapping could not be read from Port.
    #[error("could not read the mapping from Port")]
    Unreadable(#[source] ApiError),

    /// The integration is not in Port any more.
    #[error("the integration does not exist in Port any more; restart to create it again")]
    NoIntegration,

    /// The mapping is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidDocument),
}

impl ResyncError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(error) => error.hint(),
            Self::NoIntegration | Self::Invalid(_) => None,
        }
    }
}

impl Resync {
    /// Runs one resync and tells Port how it went.
    ///
    /// Once `stop` is cancelled it ends as soon as what it has is written; who
    /// cannot wait for that drops it and tells `state` that it was aborted.
    pub async fn run(
        &self,
        request: &ResyncRequest,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<ResyncReport, ResyncError> {
        let attempt = Attempt {
            id: Uuid::new_v4(),
            started: Timestamp::now(),
            request,
            sink: &self.port.clone().into(),
            progress,
            stop,
        };
        let next = request.next_scheduled.as_ref();
        self.state.began(attempt.started, next).await;
        let outcome = measure::measured(request.trigger, Box::pin(self.attempt(&attempt))).await;
        let status = match &outcome {
            Ok(report) if report.stopped => ResyncStatus::Aborted,
            // Whatever kept it from beginning, it was not to go on.
            Err(_) if stop.is_cancelled() => ResyncStatus::Aborted,
            Ok(report) if report.ending() != Ending::Failed && !report.is_incomplete() => {
                ResyncStatus::Completed
            }
            Ok(_) | Err(_) => ResyncStatus::Failed,
        };
        self.state.ended(status, next).await;
        outcome
    }

    /// Runs one resync with this mapping into the draft, and tells nobody: what is
    /// reported would be done. Port is only read.
    pub async fn plan(
        &self,
        document: &MappingDocument,
        draft: &Arc<Draft>,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> ResyncReport {
        let attempt = Attempt {
            id: Uuid::new_v4(),
            started: Timestamp::now(),
            request: &ResyncRequest::default(),
            sink: &Sink::Draft(Arc::clone(draft)),
            progress,
            stop,
        };
        self.work(&attempt, document, &Reporter::silent()).await
    }

    async fn attempt(&self, attempt: &Attempt<'_>) -> Result<ResyncReport, ResyncError> {
        let (integration, document) = self.mapping.read().await?;
        if document.resources.is_empty() {
            tracing::warn!(
                "The mapping has no resources, so there is nothing to resync. Hint: edit it on the data source's page in Port"
            );
        }
        measure::began(&document.resources);
        let (reporter, telling) = self.reporting.start(&self.port, &integration, attempt.id);
        let work = async {
            let report = self.work(attempt, &document, &reporter).await;
            reporter.ended(&report);
            drop(reporter);
            report
        };
        let (report, ()) = tokio::join!(work, telling);
        measure::measure(&report);
        log::report(&report, &document.resources);
        Ok(report)
    }

    /// Lists, maps, writes, and deletes what is left over.
    async fn work(
        &self,
        attempt: &Attempt<'_>,
        document: &MappingDocument,
        reporter: &Reporter,
    ) -> ResyncReport {
        let clock = Instant::now();
        let configs = &document.resources;
        let labels = labels(configs);
        let tallies: Vec<Mutex<KindReport>> = configs
            .iter()
            .zip(&labels)
            .map(|(config, label)| Mutex::new(KindReport::new(config, label.clone())))
            .collect();
        // Only the first resync of a progress sets its kinds.
        let kinds = attempt.progress.kinds.get_or_init(|| {
            labels
                .iter()
                .map(|label| KindProgress {
                    kind: label.clone(),
                    ..KindProgress::default()
                })
                .collect()
        });
        reporter.began(configs);

        let writer = Writer::new(
            attempt.sink.clone(),
            UpsertOptions {
                merge: document.enable_merge_entity,
                create_missing_related_entities: document.create_missing_related_entities,
                validation_only: false,
                event_type: "resync",
                resync_id: Some(attempt.id.to_string()),
            },
            self.write_limits,
            contributions(configs),
            Arc::clone(&attempt.progress.settled),
            Arc::clone(&self.recent),
        );
        let (sender, receiver) = mpsc::channel(WAITING_ENTITIES);
        let detail = Detail::Read {
            whole_first: reporter.wanted_examples(),
        };
        let listings: Vec<_> = self
            .sources
            .iter()
            .map(|source| (source, source.datasets(configs, attempt.started, detail)))
            .collect();
        let running = Running {
            tallies: &tallies,
            open: open(configs, listings.iter().flat_map(|(_, datasets)| datasets)),
            kinds,
            limits: &self.jq_limits,
            reporter,
        };
        for (config, open) in configs.iter().zip(&running.open) {
            if open.load(Ordering::Relaxed) == 0 {
                running.fail(config, "no source lists this kind".to_owned());
            }
        }
        let read_all = async {
            let listings =
                join_all(listings.into_iter().map(|(source, datasets)| {
                    running.run_source(&**source, datasets, sender.clone())
                }));
            tokio::select! {
                _ = listings => {}
                () = attempt.stop.cancelled() => running.break_off(configs),
            }
            drop(sender);
        };
        let ((written, mapped), ()) = tokio::join!(writer.run(receiver), read_all);

        let mut kinds: Vec<KindReport> = tallies
            .into_iter()
            .map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        for (kind, written) in kinds.iter_mut().zip(written) {
            kind.written = written;
        }
        let stopped = attempt.stop.is_cancelled();
        let deletion = if stopped {
            Deletion::default()
        } else {
            self.delete_stale(attempt, document, &kinds, &mapped).await
        };
        ResyncReport {
            id: attempt.id,
            trigger: attempt.request.trigger,
            started: attempt.started,
            duration: clock.elapsed(),
            kinds,
            deletion,
            stopped,
        }
    }

    async fn delete_stale(
        &self,
        attempt: &Attempt<'_>,
        document: &MappingDocument,
        kinds: &[KindReport],
        mapped: &MappedEntities,
    ) -> Deletion {
        let feeds = document
            .resources
            .iter()
            .zip(kinds)
            .map(|(config, kind)| Feed {
                kind: kind.kind.clone(),
                blueprint: config.literal_blueprint().map(str::to_owned),
                is_complete: kind.is_complete(),
                searches: config.finds_by_search(),
            })
            .collect();
        let rules = DeletionRules {
            before: attempt.started,
            threshold: document.entity_deletion_threshold,
            delete_dependents: document.delete_dependent_entities,
            keep_related: document.create_missing_related_entities,
            batch: self.delete_batch,
            feeds,
        };
        delete_stale(attempt.sink, mapped, &rules, &self.recent).await
    }
}

/// One resync: what names it and what it was asked for with.
struct Attempt<'a> {
    id: Uuid,
    started: Timestamp,
    request: &'a ResyncRequest,
    sink: &'a Sink,
    progress: &'a Progress,
    stop: &'a CancellationToken,
}

/// What the datasets of a running resync share.
pub(super) struct Running<'a> {
    pub(super) tallies: &'a [Mutex<KindReport>],
    /// Datasets of each resource config that have not ended: several accounts
    /// have one each.
    pub(super) open: Vec<AtomicU32>,
    pub(super) kinds: &'a [KindProgress],
    pub(super) limits: &'a jq::Limits,
    pub(super) reporter: &'a Reporter,
}

impl Running<'_> {
    pub(super) async fn run_source(
        &self,
        source: &dyn Source,
        datasets: Vec<Dataset>,
        catalog: mpsc::Sender<ToWrite>,
    ) {
        stream::iter(datasets)
            .for_each_concurrent(DATASETS_AT_A_TIME, |dataset| {
                self.run_dataset(source.account(), dataset, catalog.clone())
            })
            .await;
    }

    /// Lists one dataset, maps its pages as they come and hands on what they gave.
    async fn run_dataset(
        &self,
        account: Option<&str>,
        dataset: Dataset,
        catalog: mpsc::Sender<ToWrite>,
    ) {
        let clock = Instant::now();
        let name = dataset.name().to_owned();
        let views = dataset.views().to_vec();
        for consumer in views.iter().flat_map(|consumers| consumers.iter()) {
            self.reporter.kind_began(&consumer.config);
        }
        let (pages, mut received) = Pages::channel(WAITING_PAGES);
        let map_pages = async {
            while let Some(Page { batches, asked }) = received.recv().await {
                for (consumers, batch) in views.iter().zip(batches) {
                    if consumers.is_empty() || batch.objects.is_empty() {
                        continue;
                    }
                    for consumer in consumers.iter() {
                        self.reporter.raw_objects(consumer, &batch);
                    }
                    let limits = self.limits.clone();
                    let of_view = Arc::clone(consumers);
                    let mapped =
                        jq::on_large_stack(move || map_batch(&batch, &of_view, &limits)).await;
                    match mapped {
                        Ok(mapped) => {
                            for (consumer, mapped) in consumers.iter().zip(mapped) {
                                self.take(&consumer.config, mapped, asked, &catalog).await;
                            }
                        }
                        Err(panicked) => {
                            for consumer in consumers.iter() {
                                self.fail(&consumer.config, format!("mapping {name}: {panicked}"));
                            }
                        }
                    }
                }
            }
        };
        let (listed, ()) = tokio::join!(dataset.list(pages), map_pages);
        let configs = views
            .iter()
            .flat_map(|consumers| consumers.iter())
            .map(|consumer| &consumer.config);
        for config in configs {
            if let Err(error) = &listed {
                self.fail(config, explain(account, error));
            }
            self.note(config, |tally| {
                tally.duration = tally.duration.max(clock.elapsed());
            });
            let left = self.open.get(config.index);
            let was_last = left.is_none_or(|left| left.fetch_sub(1, Ordering::Relaxed) == 1);
            if was_last && let Some(kind) = self.kinds.get(config.index) {
                kind.ended.store(true, Ordering::Relaxed);
            }
        }
    }

    async fn take(
        &self,
        config: &ResourceConfig,
        mapped: Mapped,
        asked: Timestamp,
        catalog: &mpsc::Sender<ToWrite>,
    ) {
        let entities = mapped.entities.len() as u64;
        if let Some(kind) = self.kinds.get(config.index) {
            kind.fetched.fetch_add(mapped.examined, Ordering::Relaxed);
            kind.mapped.fetch_add(entities, Ordering::Relaxed);
        }
        self.note(config, |tally| {
            tally.fetched += mapped.examined;
            tally.filtered += mapped.filtered_out;
            tally.mapped += entities;
            tally.unmappable += mapped.failed;
            tally.findings.merge(mapped.findings);
        });
        if entities == 0 {
            return;
        }
        let to_write = ToWrite {
            config: config.index,
            entities: mapped.entities,
            asked,
        };
        if catalog.send(to_write).await.is_err() {
            self.fail(config, "the catalog stopped taking entities".to_owned());
        }
    }

    /// Every kind that has not ended is incomplete.
    pub(super) fn break_off(&self, configs: &[Arc<ResourceConfig>]) {
        for (config, open) in configs.iter().zip(&self.open) {
            if open.load(Ordering::Relaxed) > 0 {
                self.fail(config, "the resync was stopped".to_owned());
            }
        }
    }

    fn fail(&self, config: &ResourceConfig, reason: String) {
        self.note(config, |tally| tally.errors.push(reason));
    }

    fn note(&self, config: &ResourceConfig, change: impl FnOnce(&mut KindReport)) {
        if let Some(tally) = self.tallies.get(config.index) {
            change(&mut tally.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// What each resource config contributes to the catalog.
pub(super) fn contributions(configs: &[Arc<ResourceConfig>]) -> Vec<Contribution> {
    configs
        .iter()
        .map(|config| Contribution {
            blueprint: config.literal_blueprint().map(str::to_owned),
            fields: config.mapped_fields(),
            may_repeat: config.may_repeat_identifiers(),
        })
        .collect()
}

/// How many of the datasets each resource config reads.
pub(super) fn open<'a>(
    configs: &[Arc<ResourceConfig>],
    datasets: impl Iterator<Item = &'a Dataset>,
) -> Vec<AtomicU32> {
    let counts: Vec<AtomicU32> = configs.iter().map(|_| AtomicU32::new(0)).collect();
    let consumers = datasets.flat_map(|dataset| dataset.views().iter().flat_map(|of| of.iter()));
    for consumer in consumers {
        if let Some(count) = counts.get(consumer.config.index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    counts
}

/// What to call each resource config: its kind, and its place where that alone
/// would not tell it from another.
pub(super) fn labels(configs: &[Arc<ResourceConfig>]) -> Vec<String> {
    configs
        .iter()
        .map(|config| {
            let same = |other: &&Arc<ResourceConfig>| other.kind_text == config.kind_text;
            if configs.iter().filter(same).count() > 1 {
                format!("{} (resources[{}])", config.kind_text, config.index)
            } else {
                config.kind_text.clone()
            }
        })
        .collect()
}

fn explain(account: Option<&str>, error: &SourceError) -> String {
    let explained = with_hint(error, error.hint());
    match account {
        Some(account) => format!("account `{account}`: {explained}"),
        None => explained,
    }
}
