//! A compiled expression.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jaq_core::{Ctx, Exn, Vars};
use jaq_json::Val;
use serde_json::Value;

use super::compile::Compiled;
use super::fuel::{self, Run};
use super::functions::Engine;
use super::looked::{self, Looked};
use super::reads::Key;
use super::value::{Bounded, text_of};
use super::{Limits, RunError, Step};
use crate::excerpt::To;

/// How long the message of a failed evaluation may be.
const MESSAGE: usize = 200;

/// A compiled expression. Share it freely; run it only inside
/// [`on_large_stack`](super::on_large_stack).
pub struct Filter {
    text: String,
    compiled: Compiled,
    environment: Arc<BTreeMap<String, String>>,
    limits: Limits,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl Filter {
    pub(super) fn new(
        text: String,
        compiled: Compiled,
        environment: Arc<BTreeMap<String, String>>,
        limits: Limits,
    ) -> Self {
        Self {
            text,
            compiled,
            environment,
            limits,
        }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first output, if there is one.
    ///
    /// Never panics, never prints or reads anything, and never exceeds the
    /// limits: an expression that would ends in an error.
    pub fn first(&self, input: &Val) -> Result<Option<Val>, RunError> {
        if !fuel::holds(self.compiled.depth) {
            return Err(RunError::Limit(fuel::STACK));
        }
        let run = Run::start(&self.limits);
        let output = catch_unwind(AssertUnwindSafe(|| self.output(input.clone())));
        if let Some(limit) = run.finish() {
            return Err(RunError::Limit(limit));
        }
        output.unwrap_or_else(|_| Err(RunError::Failed("it could not be evaluated".to_owned())))
    }

    fn output(&self, input: Val) -> Result<Option<Val>, RunError> {
        let program = &self.compiled.program;
        let context = Ctx::<Engine>::new(&program.lut, Vars::new([self.environment()]));
        let output = program.id.run((context, Bounded::input(input))).next();
        match output {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value.into_val())),
            Some(Err(exception)) => Err(RunError::Failed(message(exception))),
        }
    }

    fn environment(&self) -> Bounded {
        if !self.compiled.uses_environment {
            return Bounded::default();
        }
        let text = |text: &String| Val::utf8_str(text.as_bytes().to_vec());
        let entries = self.environment.iter();
        Bounded::object(
            entries
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            0,
        )
    }

    /// Whether the filter may look at `path` of its input. Passing an object
    /// on whole counts as looking at everything below it.
    pub fn may_read(&self, path: &[Step]) -> bool {
        self.compiled.reads.may_read(path)
    }

    /// Every path into its input that the filter may look at, with what is below or, at a
    /// glance, without: given another input that has the same there, it yields the same.
    pub fn reads(&self) -> impl Iterator<Item = impl Iterator<Item = To<'_>>> {
        self.compiled.read.iter().map(|(path, is_whole)| {
            let end = (!is_whole).then_some(To::Nothing);
            path.iter().map(To::from).chain(end)
        })
    }

    /// The first output as JSON, null and none being the same, where that can be told
    /// without running the filter. `member`: what the input, an object, has under a
    /// key. None: it has to be run.
    pub fn told<'v>(
        &self,
        member: impl FnOnce(&str) -> Option<&'v Value>,
        limits: &Limits,
    ) -> Option<Result<Option<Value>, RunError>> {
        self.compiled.simple.as_ref()?.first(member, limits)
    }

    /// Whether [`told`](Self::told) may be able to say.
    pub fn is_simple(&self) -> bool {
        self.compiled.simple.is_some()
    }

    /// What the filter looks at in this input: each part of it once, and of a path
    /// its end alone.
    pub fn looks_at(&self, input: &Val) -> Vec<Looked> {
        let mut parts: Vec<Looked> = Vec::new();
        let paths: Vec<_> = self.compiled.reads.paths().collect();
        for path in &paths {
            let goes_on = |other: &&[Key]| other.len() > path.len() && other.starts_with(path);
            if paths.iter().any(goes_on) {
                continue;
            }
            let part = looked::at(input, path, &self.limits);
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts
    }

    /// The string, when the whole expression is a string literal.
    pub fn literal(&self) -> Option<&str> {
        self.compiled.literal.as_deref()
    }

    /// The simple path at the start of the expression: `.rotations` of
    /// `.rotations | map(.)`. The root alone is none.
    pub fn leading_path(&self) -> Option<Vec<String>> {
        super::leading::path(&self.text)
    }
}

/// What an error says, on one line.
fn message(exception: Exn<'_, Bounded>) -> String {
    let Ok(error) = exception.get_err() else {
        return "it ended without a result".to_owned();
    };
    let value = error.into_val();
    let text = match text_of(value.val()) {
        Some(text) => text.to_owned(),
        None => format!("it failed with {}", super::value::described(&value)),
    };
    let mut message: String = text
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(MESSAGE)
        .collect();
    if text.chars().nth(MESSAGE).is_some() {
        message.pop();
        message.push('…');
    }
    message
}
