//! Expressions compiled once, run within limits.
//!
//! Mappings are written in jq. The language is that of jq 1.8: an expression
//! is compiled, run on one object, and its first output counts. Underneath is
//! the `jaq` engine. Where it differs from jq it is corrected: the grammar in
//! `parse`, values and operators in `value`, assignments in `instrument`, and
//! what expressions call in `prelude.jq` and `functions`.
//!
//! Whoever writes a mapping is trusted, but makes mistakes; the data is not
//! trusted at all. So an expression can neither read nor print anything, and
//! whatever it does ends within its limits, in a result or in an error that
//! nothing in the language can catch: steps, time, memory and depth of the
//! stack are watched by `fuel`. Deep recursion needs a deep stack, which
//! [`on_large_stack`] provides; elsewhere such an expression ends in an error.
//!
//! What is left out on purpose: modules, alternatives in destructuring
//! (`?//`), and the local time zone, in whose place stands UTC.

mod blame;
mod compile;
mod convert;
mod filter;
mod fuel;
mod functions;
mod instrument;
mod leading;
mod library;
mod looked;
mod parse;
mod quotes;
mod reads;
mod simple;
mod stack;
mod terms;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use jaq_json::Val;

pub use self::convert::{from_val, to_val, to_val_within};
pub use self::filter::Filter;
pub use self::looked::Looked;
pub use self::stack::{Panicked, on_large_stack, on_large_stack_blocking};
use crate::excerpt::To;

/// What a single evaluation may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls, elements and rounds of loops.
    pub steps: u64,
    pub time: Duration,
    /// Length of a result as JSON.
    pub output_bytes: usize,
    /// Length of an expression.
    pub expression_bytes: usize,
    /// How deeply brackets of an expression, and a result, may be nested.
    pub nesting: usize,
}

impl Default for Limits {
    /// A million steps take well under a second in an optimised build, and the
    /// largest mappings in use take some thousands. The time is for what is
    /// slow without taking steps; results are far smaller than Port accepts.
    fn default() -> Self {
        Self {
            steps: 1_000_000,
            time: Duration::from_secs(2),
            output_bytes: 4 << 20,
            expression_bytes: 64 << 10,
            nesting: 256,
        }
    }
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// One line, in plain words.
    pub message: String,
    /// Where, in bytes of the text as it was written.
    pub span: Option<Range<usize>>,
    /// What the author can do about it, where known.
    pub hint: Option<String>,
}

/// Why an evaluation gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// One line, at most a short excerpt of the data.
    #[error("{0}")]
    Failed(String),
    #[error("stopped: {0}")]
    Limit(&'static str),
}

/// A step of a path into the input of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Key(Cow<'static, str>),
    /// Every element of an array, every value of an object.
    Each,
}

impl<'a> From<&'a Step> for To<'a> {
    fn from(step: &'a Step) -> Self {
        match step {
            Step::Key(key) => Self::Key(key),
            Step::Each => Self::Each,
        }
    }
}

/// Compiles expressions and shares what was compiled: one [`Filter`] for each
/// distinct text.
pub struct Jq {
    environment: Arc<BTreeMap<String, String>>,
    limits: Limits,
    compiled: Mutex<HashMap<String, Result<Arc<Filter>, CompileError>>>,
}

impl Jq {
    /// `environment` is what `env` and `$ENV` show, and all that they show.
    pub fn new(environment: BTreeMap<String, String>, limits: Limits) -> Self {
        Self {
            environment: Arc::new(environment),
            limits,
            compiled: Mutex::default(),
        }
    }

    /// Compiles an expression, or finds it compiled.
    pub fn compile(&self, text: &str) -> Result<Arc<Filter>, CompileError> {
        let known = |compiled: &HashMap<_, _>| compiled.get(text).cloned();
        let found = known(&self.compiled.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(found) = found {
            return found;
        }
        // Compiling recurses as deeply as the expression is nested.
        let compiled = on_large_stack_blocking(|| compile::compile(text, &self.limits))
            .unwrap_or_else(|panicked| {
                Err(CompileError {
                    message: panicked.to_string(),
                    span: None,
                    hint: None,
                })
            })
            .map(|compiled| {
                Arc::new(Filter::new(
                    text.to_owned(),
                    compiled,
                    self.environment.clone(),
                    self.limits.clone(),
                ))
            });
        // Whoever was first meanwhile is the one to share.
        self.compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(text.to_owned())
            .or_insert(compiled)
            .clone()
    }
}

impl std::fmt::Debug for Jq {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Jq")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
