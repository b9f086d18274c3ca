//! From raw objects to entities: how many a second, beside what parsing the same
//! JSON takes, which nothing can do without.
//!
//! ```sh
//! cargo bench --bench mapping             # everything
//! cargo bench --bench mapping -- pager    # what has this in its name
//! ```
//!
//! Ten thousand objects of each source, as the simulators hold them, go through that
//! source's default mapping, each kind through its own resource configs.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use portolan::catalog::Defaults;
use portolan::jq::{Jq, Limits, on_large_stack_blocking};
use portolan::mapping::{Consumer, RawBatch, map_batch};
use portolan::resource_config::{ResourceConfig, parse_value};
use portolan::sandbox::{DatasetSize, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde_json::Value;

const OBJECTS: usize = 10_000;

/// As a page of a vendor's list.
const PAGE: usize = 100;

const SOURCES: [SourceName; 3] = [
    SourceName::Statuspage,
    SourceName::Pagerduty,
    SourceName::Opsgenie,
];

/// Objects of one kind, and what maps them.
struct Kind {
    batch: RawBatch,
    consumers: Vec<Consumer>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(SandboxOptions {
        dataset: DatasetSize::Large,
        ..SandboxOptions::default()
    })
    .await?;
    let mut sources = Vec::new();
    for source in SOURCES {
        sources.push((source, kinds(&sandbox, source)?));
    }
    sandbox.stop().await;
    // As every use of a filter.
    on_large_stack_blocking(|| {
        let mut criterion = Criterion::default().configure_from_args();
        for (source, kinds) in &sources {
            measure(&mut criterion, *source, kinds);
        }
        compile(&mut criterion);
        criterion.final_summary();
    })?;
    Ok(())
}

fn measure(criterion: &mut Criterion, source: SourceName, kinds: &[Kind]) {
    let objects: usize = kinds.iter().map(|kind| kind.batch.objects.len()).sum();
    let pages: Vec<Vec<u8>> = kinds
        .iter()
        .flat_map(|kind| kind.batch.objects.chunks(PAGE))
        .filter_map(|page| serde_json::to_vec(page).ok())
        .collect();
    let mut group = criterion.benchmark_group(source.as_str());
    group.throughput(Throughput::Elements(objects as u64));
    group.sample_size(10);
    group.bench_function("parse pages", |bencher| {
        bencher.iter(|| {
            for page in &pages {
                black_box(serde_json::from_slice::<Value>(page).ok());
            }
        });
    });
    let limits = Limits::default();
    group.bench_function("map", |bencher| {
        bencher.iter(|| {
            for kind in kinds {
                black_box(map_batch(&kind.batch, &kind.consumers, &limits));
            }
        });
    });
    group.finish();
}

/// Every expression of the three default mappings, by an engine that has seen none.
fn compile(criterion: &mut Criterion) {
    let mappings: Vec<(SourceName, Value)> = SOURCES
        .into_iter()
        .filter_map(|source| Some((source, Defaults::embedded(&[source]).ok()?.mapping)))
        .collect();
    criterion.bench_function("compile the default mappings", |bencher| {
        bencher.iter(|| {
            for (source, mapping) in &mappings {
                let jq = Jq::new(BTreeMap::new(), Limits::default());
                black_box(parse_value(mapping, "the defaults", &[*source], &jq).ok());
            }
        });
    });
}

fn kinds(sandbox: &Sandbox, source: SourceName) -> Result<Vec<Kind>, Box<dyn std::error::Error>> {
    let mapping = Defaults::embedded(&[source])?.mapping;
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let parsed = parse_value(&mapping, "the defaults", &[source], &jq)?;
    let mut by_kind: BTreeMap<String, Vec<Arc<ResourceConfig>>> = BTreeMap::new();
    for config in parsed.document.resources {
        by_kind
            .entry(config.kind_text.clone())
            .or_default()
            .push(config);
    }
    let found: Vec<(Vec<Value>, Vec<Arc<ResourceConfig>>)> = by_kind
        .into_iter()
        .map(|(kind, configs)| (objects(sandbox, source, &kind), configs))
        .filter(|(objects, _)| !objects.is_empty())
        .collect();
    let of_each = OBJECTS.div_ceil(found.len().max(1));
    let kinds = found.into_iter().map(|(objects, configs)| Kind {
        batch: RawBatch {
            objects: objects.into_iter().cycle().take(of_each).collect(),
            ..RawBatch::default()
        },
        consumers: configs
            .into_iter()
            .map(|config| Consumer {
                config,
                columns: Vec::new(),
            })
            .collect(),
    });
    Ok(kinds.collect())
}

/// What the simulators have of a kind. Opsgenie's are called by the plural, and what
/// belongs to a single object is in no list.
fn objects(sandbox: &Sandbox, source: SourceName, kind: &str) -> Vec<Value> {
    match (source, kind) {
        (SourceName::Statuspage, _) => sandbox.statuspage.objects(kind),
        (SourceName::Pagerduty, _) => sandbox.pagerduty.objects(kind),
        (SourceName::Opsgenie, "alert" | "incident" | "service" | "team" | "schedule" | "user") => {
            sandbox.opsgenie.objects(&format!("{kind}s"))
        }
        (SourceName::Opsgenie, _) => Vec::new(),
    }
}
