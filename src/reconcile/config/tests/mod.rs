//! Documents as people write them: what they come to mean, and what they are told.

mod accepted;
mod refused;
mod tags;

use std::collections::BTreeMap;

use super::Config;
use crate::jq::{Jq, Limits};

fn jq() -> Jq {
    Jq::new(BTreeMap::new(), Limits::default())
}

fn parsed(text: &str) -> (Config, Vec<String>) {
    Config::parse(text, "sync.yaml", &jq()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn config(text: &str) -> Config {
    parsed(text).0
}

fn refused(text: &str) -> String {
    let invalid = Config::parse(text, "sync.yaml", &jq()).unwrap_err();
    assert!(!invalid.problems.is_empty(), "refused without a reason");
    invalid.to_string()
}
