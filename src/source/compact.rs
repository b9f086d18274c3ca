//! Values that wait for whoever needs them next.

use std::sync::Arc;

use serde_json::Value;

/// A value as its JSON text, which takes a quarter of the memory, or less. For what is
/// kept until a resync ends and may never be asked for again. A fraction may come back
/// different in its last digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compact(Arc<str>);

impl From<&Value> for Compact {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl Compact {
    pub(super) fn value(&self) -> Value {
        // It was written here, so it can be read.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        for value in [
            json!(null),
            json!({"b": [1, -2.5, 1e300, u64::MAX], "a": "é\n\u{1}\"", "c": {}}),
        ] {
            assert_eq!(Compact::from(&value).value().to_string(), value.to_string());
        }
    }
}
