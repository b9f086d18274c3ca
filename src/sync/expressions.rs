//! The compiled expressions of the mapping, kept from one resync to the next.
//!
//! A mapping that did not change is not compiled again; one that did gets a
//! compiler of its own, so that a service that runs for months does not collect
//! every expression anybody ever tried.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::jq::{Jq, Limits};

/// Compiles expressions and remembers those of the mapping it saw last.
pub struct Expressions {
    environment: BTreeMap<String, String>,
    limits: Limits,
    last: Mutex<Option<(Value, Arc<Jq>)>>,
}

impl Expressions {
    /// `environment`: what `env` and `$ENV` show.
    pub fn new(environment: BTreeMap<String, String>, limits: Limits) -> Self {
        Self {
            environment,
            limits,
            last: Mutex::new(None),
        }
    }

    /// The compiler for this mapping.
    pub(super) fn of(&self, mapping: &Value) -> Arc<Jq> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, jq)) = &*last
            && known == mapping
        {
            return Arc::clone(jq);
        }
        let jq = Arc::new(Jq::new(self.environment.clone(), self.limits.clone()));
        *last = Some((mapping.clone(), Arc::clone(&jq)));
        jq
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_mapping_that_changed_gets_a_compiler_of_its_own() {
        let expressions = Expressions::new(BTreeMap::new(), Limits::default());
        let first = expressions.of(&json!({"resources": []}));
        let again = expressions.of(&json!({"resources": []}));
        let other = expressions.of(&json!({"resources": [1]}));

        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &other));
    }
}
