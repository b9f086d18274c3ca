//! Mapping from the outside: whole documents on whole payloads.

mod batch;
mod fixtures;
mod identify;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Column, Consumer, Mapped, RawBatch, map_batch};
use crate::{
    jq::{Jq, Limits, on_large_stack_blocking},
    resource_config::{ResourceConfig, parse_text},
    settings::SourceName,
};

fn resources(mapping: &str) -> Vec<Arc<ResourceConfig>> {
    resources_for(mapping, &SourceName::ALL)
}

fn resources_for(mapping: &str, sources: &[SourceName]) -> Vec<Arc<ResourceConfig>> {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    parse_text(mapping, "mapping.yaml", sources, &jq)
        .unwrap_or_else(|invalid| panic!("{invalid}"))
        .document
        .resources
}

fn map(batch: &RawBatch, consumers: &[Consumer]) -> Vec<Mapped> {
    on_large_stack_blocking(|| map_batch(batch, consumers, &Limits::default())).unwrap()
}

/// As a source has it: the value of a key, or None where it could not be fetched.
fn column(key: &'static str, values: &[Option<Value>]) -> Column {
    Column {
        key,
        values: values.to_vec(),
    }
}
