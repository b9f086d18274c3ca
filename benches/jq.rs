//! What expressions cost: to be compiled, once for each mapping, and to be evaluated,
//! once for each object.
//!
//! ```sh
//! cargo bench --bench jq                # everything
//! cargo bench --bench jq -- evaluate    # what has this in its name
//! ```

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use portolan::catalog::Defaults;
use portolan::jq::{CompileError, Filter, Jq, Limits, on_large_stack_blocking, to_val};
use portolan::resource_config::parse_value;
use portolan::settings::SourceName;
use serde_json::{Value, json};

const SOURCES: [SourceName; 3] = [
    SourceName::Statuspage,
    SourceName::Pagerduty,
    SourceName::Opsgenie,
];

/// What the default mappings are made of, from the plainest to the dearest.
const TYPICAL: [&str; 6] = [
    ".id",
    ".id | tostring",
    ".service.id",
    "if .priority != null then .priority.summary else null end",
    ".assignments | map(.assignee.email)",
    ".oncalls | sort_by(.escalation_level) | .[0].user.email",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mappings: Vec<(SourceName, Value)> = SOURCES
        .into_iter()
        .map(|source| Ok((source, Defaults::embedded(&[source])?.mapping)))
        .collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let filters: Vec<Arc<Filter>> = TYPICAL
        .iter()
        .map(|text| jq.compile(text))
        .collect::<Result<_, CompileError>>()?;
    // As every use of a filter.
    on_large_stack_blocking(|| {
        let mut criterion = Criterion::default().configure_from_args();
        compile(&mut criterion, &mappings);
        evaluate(&mut criterion, &filters);
        criterion.final_summary();
    })?;
    Ok(())
}

/// Every expression of a default mapping, by an engine that has seen none. The checks
/// of the document around them are in it; they are little beside.
fn compile(criterion: &mut Criterion, mappings: &[(SourceName, Value)]) {
    let mut group = criterion.benchmark_group("compile the default mapping");
    group.sample_size(10);
    for (source, mapping) in mappings {
        group.bench_function(source.as_str(), |bencher| {
            bencher.iter(|| {
                let jq = Jq::new(BTreeMap::new(), Limits::default());
                black_box(parse_value(mapping, "the defaults", &[*source], &jq).ok())
            });
        });
    }
    group.finish();
}

/// One expression on one object, which is converted already.
fn evaluate(criterion: &mut Criterion, filters: &[Arc<Filter>]) {
    let incident = to_val(&incident());
    let mut group = criterion.benchmark_group("evaluate");
    group.throughput(Throughput::Elements(1));
    for filter in filters {
        group.bench_function(filter.text(), |bencher| {
            bencher.iter(|| black_box(filter.first(black_box(&incident)).ok()));
        });
    }
    group.finish();
}

/// Something like an incident of PagerDuty, with on-calls beside it.
fn incident() -> Value {
    let user = |number: u32| {
        json!({
            "id": format!("PUSER{number}"),
            "type": "user_reference",
            "summary": format!("User {number}"),
            "email": format!("user.{number}@example.com"),
        })
    };
    let assignments: Vec<Value> = (0..3)
        .map(|number| json!({"at": "2026-01-02T03:04:05Z", "assignee": user(number)}))
        .collect();
    let oncalls: Vec<Value> = (0..6)
        .map(|number| json!({"escalation_level": 6 - number, "user": user(number)}))
        .collect();
    json!({
        "id": "PINC001",
        "type": "incident",
        "incident_number": 4711,
        "title": "The checkout answers slowly",
        "status": "acknowledged",
        "urgency": "high",
        "created_at": "2026-01-02T03:04:05Z",
        "service": {"id": "PSVC001", "type": "service_reference", "summary": "Checkout"},
        "priority": {"id": "PPRI001", "summary": "P2"},
        "assignments": assignments,
        "oncalls": oncalls,
    })
}
