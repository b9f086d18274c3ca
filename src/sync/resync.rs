//! One resync: everything the mapping asks for, from the sources into Port.
//!
//! The mapping is read from Port each time, for people edit it there. A kind
//! that fails does not stop the others; what it did deliver is written. Nothing
//! is deleted yet.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::log;
use super::progress::{KindProgress, Progress};
use super::report::{Ending, KindReport, ResyncReport};
use crate::api::{ApiError, PortClient, ResyncState, ResyncStatus, UpsertOptions};
use crate::catalog::{ToWrite, WriteLimits, Writer};
use crate::causes::{one_line, with_hint};
use crate::jq::{self, Jq};
use crate::mapping::{Mapped, map_batch};
use crate::resource_config::{self, InvalidMapping, MappingDocument, ResourceConfig};
use crate::settings::SourceName;
use crate::source::{Dataset, Pages, Source, SourceError};

/// Datasets of one source that are listed at a time. More gains nothing: the
/// APIs' rate limits are what bounds a listing.
const DATASETS_AT_A_TIME: usize = 4;

/// Pages that wait between a listing and the mapping of them.
const WAITING_PAGES: usize = 2;

/// Mapped pages that wait for the catalog.
const WAITING_ENTITIES: usize = 4;

/// Everything a resync works with. Built once, run as often as needed.
pub struct Resync {
    /// The catalog.
    pub port: PortClient,
    /// Accounts to read from.
    pub sources: Vec<Arc<dyn Source>>,
    /// Compiles the mapping's expressions; shared, so that a text that did not
    /// change is compiled once.
    pub jq: Arc<Jq>,
    /// Bounds of an expression's result.
    pub jq_limits: jq::Limits,
    /// Bounds of the requests to Port.
    pub write_limits: WriteLimits,
    /// Minutes between scheduled resyncs, told to Port; none without a schedule.
    pub interval_minutes: Option<u64>,
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
    Invalid(#[from] InvalidMapping),
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
    pub async fn run(&self, progress: &Progress) -> Result<ResyncReport, ResyncError> {
        let id = Uuid::new_v4();
        let started = Timestamp::now();
        self.tell(ResyncStatus::Running, Some(started)).await;
        let outcome = self.attempt(id, started, progress).await;
        let status = match &outcome {
            Ok(report) if report.ending() != Ending::Failed && !report.is_incomplete() => {
                ResyncStatus::Completed
            }
            Ok(_) | Err(_) => ResyncStatus::Failed,
        };
        self.tell(status, None).await;
        outcome
    }

    /// Tells Port that the resync was broken off.
    pub async fn tell_aborted(&self) {
        self.tell(ResyncStatus::Aborted, None).await;
    }

    /// The state is for people to look at; a resync does not depend on it.
    /// `started`: the resync begins with this; without it, it ends now.
    async fn tell(&self, status: ResyncStatus, started: Option<Timestamp>) {
        let state = ResyncState {
            status,
            last_resync_start: started,
            last_resync_end: started.is_none().then(Timestamp::now),
            next_resync: None,
            interval_in_minutes: self.interval_minutes,
        };
        if let Err(error) = self.port.set_resync_state(&state).await {
            tracing::warn!(
                "Could not tell Port the state of the resync: {}",
                one_line(&error)
            );
        }
    }

    async fn attempt(
        &self,
        id: Uuid,
        started: Timestamp,
        progress: &Progress,
    ) -> Result<ResyncReport, ResyncError> {
        let clock = Instant::now();
        let document = self.read_mapping().await?;
        let configs = &document.resources;
        let labels = labels(configs);
        let tallies: Vec<Mutex<KindReport>> = labels
            .iter()
            .map(|label| {
                Mutex::new(KindReport {
                    kind: label.clone(),
                    ..KindReport::default()
                })
            })
            .collect();
        // Only the first resync of a progress sets its kinds.
        let kinds = progress.kinds.get_or_init(|| {
            labels
                .iter()
                .map(|label| KindProgress {
                    kind: label.clone(),
                    ..KindProgress::default()
                })
                .collect()
        });
        if configs.is_empty() {
            tracing::warn!(
                "The mapping has no resources, so there is nothing to resync. Hint: edit it on the data source's page in Port"
            );
        }

        let writer = Writer::new(
            self.port.clone(),
            UpsertOptions {
                merge: document.enable_merge_entity,
                create_missing_related_entities: document.create_missing_related_entities,
                validation_only: false,
                event_type: "resync",
                resync_id: Some(id.to_string()),
            },
            self.write_limits,
            configs
                .iter()
                .map(|config| config.mapped_fields())
                .collect(),
            Arc::clone(&progress.stored),
        );
        let (sender, receiver) = mpsc::channel(WAITING_ENTITIES);
        let running = Running {
            tallies: &tallies,
            kinds,
            limits: &self.jq_limits,
        };
        let read_all = async {
            join_all(self.sources.iter().map(|source| {
                running.run_source(&**source, source.datasets(configs, started), sender.clone())
            }))
            .await;
            drop(sender);
        };
        let (written, ()) = tokio::join!(writer.run(receiver), read_all);

        let mut reports: Vec<KindReport> = tallies
            .into_iter()
            .map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        for (report, written) in reports.iter_mut().zip(written) {
            report.written = written;
        }
        let report = ResyncReport {
            id,
            duration: clock.elapsed(),
            kinds: reports,
        };
        log::report(&report, configs);
        Ok(report)
    }

    async fn read_mapping(&self) -> Result<MappingDocument, ResyncError> {
        let integration = self.port.integration().await;
        let config = integration
            .map_err(ResyncError::Unreadable)?
            .ok_or(ResyncError::NoIntegration)?
            .config;
        let config = match config {
            Value::Null => Value::Object(serde_json::Map::new()),
            config => config,
        };
        let mut names: Vec<SourceName> = self.sources.iter().map(|source| source.name()).collect();
        names.sort_unstable();
        names.dedup();
        let parsed =
            resource_config::parse_value(&config, "the mapping in Port", &names, &self.jq)?;
        for warning in parsed.warnings {
            tracing::warn!("{warning}");
        }
        Ok(parsed.document)
    }
}

/// What the datasets of a running resync share.
struct Running<'a> {
    tallies: &'a [Mutex<KindReport>],
    kinds: &'a [KindProgress],
    limits: &'a jq::Limits,
}

impl Running<'_> {
    async fn run_source(
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
        let (pages, mut received) = Pages::channel(WAITING_PAGES);
        let map_pages = async {
            while let Some(batches) = received.recv().await {
                for (consumers, batch) in views.iter().zip(batches) {
                    if consumers.is_empty() || batch.objects.is_empty() {
                        continue;
                    }
                    let limits = self.limits.clone();
                    let of_view = Arc::clone(consumers);
                    let mapped =
                        jq::on_large_stack(move || map_batch(&batch, &of_view, &limits)).await;
                    match mapped {
                        Ok(mapped) => {
                            for (consumer, mapped) in consumers.iter().zip(mapped) {
                                self.take(&consumer.config, mapped, &catalog).await;
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
            if let Some(kind) = self.kinds.get(config.index) {
                kind.ended.store(true, Ordering::Relaxed);
            }
        }
    }

    async fn take(&self, config: &ResourceConfig, mapped: Mapped, catalog: &mpsc::Sender<ToWrite>) {
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
        };
        if catalog.send(to_write).await.is_err() {
            self.fail(config, "the catalog stopped taking entities".to_owned());
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

/// What to call each resource config: its kind, and its place where that alone
/// would not tell it from another.
fn labels(configs: &[Arc<ResourceConfig>]) -> Vec<String> {
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
