//! From raw objects to entities: how many a second, beside what parsing the same
//! JSON takes, which nothing can do without.
//!
//! ```sh
//! cargo bench --bench mapping             # everything
//! cargo bench --bench mapping -- pager    # what has this in its name
//! ```
//!
//! Ten thousand objects of each source, as the simulators hold them, go through that
//! source's default mapping, each kind through its own resource configs. A line for
//! each source at the end says how the two compare.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, Throughput};
use portolan::catalog::Defaults;
use portolan::excerpt::{Excerpt, To};
use portolan::jq::{Jq, Limits, on_large_stack_blocking};
use portolan::mapping::{Consumer, RawBatch, map_batch};
use portolan::resource_config::{ResourceConfig, parse_value};
use portolan::sandbox::{DatasetSize, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde_json::Value;

/// As the program has it.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
        let compared: Vec<_> = sources
            .iter()
            .map(|(source, kinds)| measure(&mut criterion, *source, kinds))
            .collect();
        criterion.final_summary();
        compared.iter().for_each(Compared::tell);
    })?;
    Ok(())
}

/// What one source took at best: whatever else runs on the machine only adds to it.
struct Compared {
    source: SourceName,
    objects: usize,
    /// All of every page, with `serde_json`.
    parsing: Option<Duration>,
    /// What the mapping reads of every page.
    reading: Option<Duration>,
    mapping: Option<Duration>,
}

impl Compared {
    /// Says nothing where the command line left one of them out.
    #[expect(clippy::print_stdout, reason = "the result of a benchmark")]
    fn tell(&self) {
        let (Some(parsing), Some(reading), Some(mapping)) =
            (self.parsing, self.reading, self.mapping)
        else {
            return;
        };
        let times = |took: Duration| took.as_secs_f64() / parsing.as_secs_f64();
        let each_second = self.objects as u128 * 1_000_000_000 / mapping.as_nanos().max(1);
        println!(
            "{}: reading pages takes {:.2} times what parsing them whole takes, mapping {:.2} times, {each_second} objects a second",
            self.source.as_str(),
            times(reading),
            times(mapping),
        );
    }
}

/// Measures `work`, and keeps the best of what it took.
fn keep_best(bencher: &mut Bencher, best: &mut Option<Duration>, mut work: impl FnMut()) {
    bencher.iter_custom(|times| {
        let began = Instant::now();
        for _ in 0..times {
            work();
        }
        let took = began.elapsed();
        let each = took / u32::try_from(times).unwrap_or(u32::MAX);
        *best = Some(best.map_or(each, |best| best.min(each)));
        took
    });
}

fn measure(criterion: &mut Criterion, source: SourceName, kinds: &[Kind]) -> Compared {
    let objects: usize = kinds.iter().map(|kind| kind.batch.objects.len()).sum();
    let pages: Vec<(Excerpt, Vec<u8>)> = kinds
        .iter()
        .flat_map(|kind| {
            let read = read_by(&kind.consumers).listed(0);
            let pages = kind.batch.objects.chunks(PAGE);
            pages.filter_map(move |page| Some((read.clone(), serde_json::to_vec(page).ok()?)))
        })
        .collect();
    // As a resync has them.
    let batches: Vec<RawBatch> = kinds
        .iter()
        .map(|kind| {
            let read = read_by(&kind.consumers).listed(0);
            let objects = read.taken_from(&Value::Array(kind.batch.objects.clone()));
            RawBatch {
                objects: objects.as_array().cloned().unwrap_or_default(),
                ..RawBatch::default()
            }
        })
        .collect();
    let mut group = criterion.benchmark_group(source.as_str());
    group.throughput(Throughput::Elements(objects as u64));
    group.sample_size(10);
    let (mut parsing, mut reading, mut mapping) = (None, None, None);
    group.bench_function("parse pages", |bencher| {
        keep_best(bencher, &mut parsing, || {
            for (_, page) in &pages {
                black_box(serde_json::from_slice::<Value>(page).ok());
            }
        });
    });
    group.bench_function("read pages", |bencher| {
        keep_best(bencher, &mut reading, || {
            for (read, page) in &pages {
                black_box(read.read(page).ok());
            }
        });
    });
    let limits = Limits::default();
    group.bench_function("map", |bencher| {
        keep_best(bencher, &mut mapping, || {
            for (kind, batch) in kinds.iter().zip(&batches) {
                black_box(map_batch(batch, &kind.consumers, &limits));
            }
        });
    });
    group.finish();
    Compared {
        source,
        objects,
        parsing,
        reading,
        mapping,
    }
}

/// What the expressions of these can read of an object.
fn read_by(consumers: &[Consumer]) -> Excerpt {
    let mut paths = vec![vec![To::Key("id")]];
    for consumer in consumers {
        consumer.config.for_each_expression(&mut |expression| {
            paths.extend(expression.filter.reads().map(Iterator::collect::<Vec<_>>));
        });
    }
    Excerpt::of(paths)
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
