//! The company whose status pages and on-calls the sandbox shows.
use super::DatasetSize;
use super::pagerduty::Pagerduty;
use super::statuspage::Statuspage;
use jiff::Timestamp;
use serde_json::Value;

const STATUSPAGE_EXAMPLE: &str = include_str!("../../../resources/sandbox/statuspage-example.json");
const PAGERDUTY_EXAMPLE: &str = include_str!("../../../resources/sandbox/pagerduty-example.json");

pub(super) struct Company {}
impl Company {
    pub(super) fn new(_size: DatasetSize, _seed: u64, _now: Timestamp) -> Self {
        Self {}
    }
    pub(super) fn fill_statuspage(&self, world: &mut Statuspage) {
        for (kind, objects) in example(STATUSPAGE_EXAMPLE) {
            for object in &objects {
                world.insert(&kind, object);
            }
        }
    }
    pub(super) fn fill_pagerduty(&self, world: &mut Pagerduty) {
        for (kind, objects) in example(PAGERDUTY_EXAMPLE) {
            for object in &objects {
                world.insert(&kind, object);
            }
        }
    }
}
fn example(text: &str) -> Vec<(String, Vec<Value>)> {
    let Ok(Value::Object(all)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    all.into_iter()
        .filter_map(|(kind, objects)| match objects {
            Value::Array(list) => Some((kind, list)),
            _ => None,
        })
        .collect()
}
