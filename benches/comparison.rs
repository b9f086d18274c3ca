//! From mapped entities to the knowledge that nothing has to be written: how many a
//! second.
//!
//! ```sh
//! cargo bench --bench comparison
//! ```
//!
//! Incidents of PagerDuty as its default mapping makes them are in Port already. A
//! writer reads what Port holds, which is not measured, and then gets ten thousand of
//! them once more. It sends nothing, so what is measured is what each entity costs in
//! a resync that changes nothing: its fingerprint, its place in the ledger, and the
//! comparison of digests.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use jiff::Timestamp;
use portolan::api::{PortClient, UpsertOptions};
use portolan::catalog::{
    Contribution, Defaults, MappedEntities, RecentWrites, ToWrite, WriteLimits, Writer, Written,
};
use portolan::jq::{Jq, Limits, on_large_stack_blocking};
use portolan::mapping::{Consumer, Entity, RawBatch, map_batch};
use portolan::resource_config::{ResourceConfig, parse_value};
use portolan::sandbox::{DatasetSize, Sandbox, SandboxOptions};
use portolan::settings::{
    IntegrationSettings, OutboundSettings, PortSettings, ProxySettings, SourceName,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const ENTITIES: usize = 10_000;

/// As a page of a vendor's list.
const PAGE: usize = 100;

/// Pages that wait for the writer, as in a resync.
const WAITING: usize = 4;

/// Between two looks at whether the writer has read what Port holds.
const LOOK: Duration = Duration::from_millis(1);

fn main() -> Result<(), Box<dyn Error>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = Runtime::new()?;
    let sandbox = runtime.block_on(Sandbox::start(SandboxOptions {
        dataset: DatasetSize::Large,
        ..SandboxOptions::default()
    }))?;
    let defaults = Defaults::embedded(&[SourceName::Pagerduty])?;
    insert(&sandbox, &defaults.blueprints);
    let config = incidents(&defaults.mapping)?;
    let entities = map(&sandbox, &config)?;
    let catalog = Catalog {
        port: client(&sandbox)?,
        contribution: Contribution {
            blueprint: config.literal_blueprint().map(str::to_owned),
            fields: config.mapped_fields(),
            may_repeat: config.may_repeat_identifiers(),
        },
    };
    runtime.block_on(catalog.fill(&entities))?;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("comparison");
    group.throughput(Throughput::Elements(ENTITIES as u64));
    group.sample_size(10);
    let mut failed = None;
    group.bench_function("unchanged entities", |bencher| {
        bencher.iter_custom(|times| {
            let rounds = (0..times).map(|_| runtime.block_on(catalog.compare(&entities)));
            let took: Result<Duration, Box<dyn Error>> = rounds.sum();
            took.unwrap_or_else(|error| {
                failed = Some(error);
                Duration::MAX
            })
        });
    });
    group.finish();
    criterion.final_summary();
    failed.map_or(Ok(()), Err)
}

/// Port, and what is written to it.
struct Catalog {
    port: PortClient,
    contribution: Contribution,
}

/// A writer at work.
struct Writing {
    sender: mpsc::Sender<ToWrite>,
    /// Entities that are in Port as they should be.
    settled: Arc<AtomicU64>,
    written: JoinHandle<(Vec<Written>, MappedEntities)>,
}

impl Catalog {
    fn write(&self) -> Writing {
        let settled = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(
            self.port.clone(),
            UpsertOptions {
                merge: true,
                create_missing_related_entities: true,
                validation_only: false,
                event_type: "resync",
                resync_id: None,
            },
            WriteLimits {
                batch_entities: 20,
                batch_bytes: 1 << 20,
                concurrency: 4,
            },
            vec![self.contribution.clone()],
            Arc::clone(&settled),
            Arc::new(RecentWrites::default()),
        );
        let (sender, receiver) = mpsc::channel(WAITING);
        Writing {
            sender,
            settled,
            written: tokio::spawn(writer.run(receiver)),
        }
    }

    /// Writes all of them into an empty Port.
    async fn fill(&self, entities: &[Entity]) -> Result<(), Box<dyn Error>> {
        let writing = self.write();
        for page in pages(entities) {
            writing.sender.send(page).await?;
        }
        drop(writing.sender);
        let (written, _) = writing.written.await?;
        expect(written.iter().map(|written| written.stored).sum(), "stored")
    }

    /// Has a writer take the same entities again, and tells how long it took for all
    /// but the first. That one waits until everything that Port holds is read.
    async fn compare(&self, entities: &[Entity]) -> Result<Duration, Box<dyn Error>> {
        let writing = self.write();
        let (first, rest) = entities.split_at(1);
        let rest = pages(rest);
        for page in pages(first) {
            writing.sender.send(page).await?;
        }
        while writing.settled.load(Ordering::Relaxed) == 0 && !writing.written.is_finished() {
            sleep(LOOK).await;
        }
        let began = Instant::now();
        for page in rest {
            writing.sender.send(page).await?;
        }
        drop(writing.sender);
        let (written, _) = writing.written.await?;
        let took = began.elapsed();
        expect(
            written.iter().map(|written| written.unchanged).sum(),
            "unchanged",
        )?;
        Ok(took)
    }
}

/// A comparison of what is not the same would measure something else.
fn expect(count: u64, what: &str) -> Result<(), Box<dyn Error>> {
    let all = ENTITIES as u64 + 1;
    if count == all {
        return Ok(());
    }
    Err(format!("{count} of {all} entities were {what}").into())
}

fn pages(entities: &[Entity]) -> Vec<ToWrite> {
    let page = |entities: &[Entity]| ToWrite {
        config: 0,
        entities: entities.to_vec(),
        asked: Timestamp::now(),
    };
    entities.chunks(PAGE).map(page).collect()
}

/// Bare at first, for they relate to each other.
fn insert(sandbox: &Sandbox, blueprints: &[Value]) {
    for blueprint in blueprints {
        let bare = json!({
            "identifier": blueprint["identifier"],
            "title": blueprint["title"],
            "schema": {"properties": {}, "required": []},
            "relations": {},
        });
        sandbox.port.insert_blueprint(&bare);
    }
    for blueprint in blueprints {
        sandbox.port.insert_blueprint(blueprint);
    }
}

/// The first resource config of the default mapping that makes incidents.
fn incidents(mapping: &Value) -> Result<Arc<ResourceConfig>, Box<dyn Error>> {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let parsed = parse_value(mapping, "the defaults", &[SourceName::Pagerduty], &jq)?;
    let mut configs = parsed.document.resources.into_iter();
    let incidents = configs.find(|config| config.kind_text == "incidents");
    incidents.ok_or_else(|| "the default mapping has no incidents".into())
}

/// Ten thousand entities, and one that is there before them.
fn map(sandbox: &Sandbox, config: &Arc<ResourceConfig>) -> Result<Vec<Entity>, Box<dyn Error>> {
    let batch = RawBatch {
        objects: sandbox.pagerduty.objects("incidents"),
        ..RawBatch::default()
    };
    let consumer = Consumer {
        config: Arc::clone(config),
        columns: Vec::new(),
    };
    let limits = Limits::default();
    let mapped = on_large_stack_blocking(|| map_batch(&batch, &[consumer], &limits))?;
    let mut entities: Vec<Entity> = mapped.into_iter().flat_map(|one| one.entities).collect();
    entities.truncate(ENTITIES + 1);
    Ok(entities)
}

fn client(sandbox: &Sandbox) -> Result<PortClient, Box<dyn Error>> {
    let environment: BTreeMap<String, String> = sandbox
        .environment_for(SourceName::Pagerduty)
        .into_iter()
        .collect();
    let setting = |name: &str| {
        let found = environment.get(&format!("OCEAN__{name}")).cloned();
        found.ok_or_else(|| format!("the sandbox does not say {name}"))
    };
    Ok(PortClient::new(
        &PortSettings {
            base_url: setting("PORT__BASE_URL")?.parse()?,
            client_id: setting("PORT__CLIENT_ID")?,
            client_secret: setting("PORT__CLIENT_SECRET")?.into(),
        },
        &IntegrationSettings {
            identifier: setting("INTEGRATION__IDENTIFIER")?,
            kind: setting("INTEGRATION__TYPE")?,
            incremental_sync_enabled: false,
            incremental_sync_interval: Duration::from_hours(1),
        },
        &OutboundSettings {
            client_timeout: Duration::from_secs(20),
            verify_port: false,
            verify_third_party: false,
            system_authorities: true,
            extra_ca_files: Vec::new(),
            extra_ca_dirs: Vec::new(),
            proxies: ProxySettings::default(),
        },
    )?)
}
