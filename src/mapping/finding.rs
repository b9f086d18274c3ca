//! What went wrong while mapping, told once per expression rather than once
//! per object.

use std::{collections::BTreeMap, fmt};

use crate::document::Position;
use crate::resource_config::Expression;

/// How much a finding costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A field is null, as it would be with Ocean.
    Warning,
    /// An object gave no entity, so that its kind cannot count as complete.
    Error,
}

/// In which way an expression fell short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Null or no output where a value was hoped for.
    Null,
    /// No identifier, or no blueprint: a way to say that an object has no entity.
    LeftOut,
    /// The expression failed or went over its limits.
    Failed,
    /// An output of a type that cannot be used there.
    WrongType,
    /// Port would refuse the value.
    Refused,
    /// It needs data that could not be fetched, and the object cannot do without.
    Unavailable,
}

/// One expression that fell short in one way, over all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub cause: Cause,
    /// `resources[3].port.entity.mappings.properties.startDate`
    pub path: String,
    /// Where that is in the text of the mapping, if it has one.
    pub position: Option<Position>,
    pub expression: String,
    /// What happened to the first of the objects, one line.
    pub message: String,
    /// How many objects it happened to.
    pub count: u64,
    /// The identifier of one of them, where one had an identifier.
    pub sample: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            expression,
            message,
            ..
        } = self;
        write!(
            formatter,
            "{path}: `{}` {message} ({})",
            one_line(expression),
            self.objects()
        )
    }
}

impl Finding {
    /// How many objects it happened to, and one of them: "3 objects, one of them `P1`".
    pub fn objects(&self) -> String {
        let count = self.count;
        let (objects, one_of_them) = match count {
            1 => ("object", ""),
            _ => ("objects", "one of them "),
        };
        match &self.sample {
            Some(sample) => format!("{count} {objects}, {one_of_them}`{}`", one_line(sample)),
            None => format!("{count} {objects}"),
        }
    }
}

/// Findings of a batch, of a kind, of a resync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    by_path: BTreeMap<String, Vec<Finding>>,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// By path.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.by_path.values().flatten()
    }

    pub fn has_errors(&self) -> bool {
        self.iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    pub fn merge(&mut self, other: Self) {
        for finding in other.by_path.into_values().flatten() {
            match self.slot(&finding.path, finding.severity, finding.cause) {
                Some(mine) => {
                    mine.count += finding.count;
                    mine.sample = mine.sample.take().or(finding.sample);
                }
                None => self
                    .by_path
                    .entry(finding.path.clone())
                    .or_default()
                    .push(finding),
            }
        }
    }

    /// Counts one object; `message` and `sample` are only asked for the first time.
    pub(super) fn note(
        &mut self,
        expression: &Expression,
        (severity, cause): (Severity, Cause),
        message: impl FnOnce() -> String,
        sample: impl FnOnce() -> Option<String>,
    ) {
        if let Some(finding) = self.slot(&expression.path, severity, cause) {
            finding.count += 1;
            if finding.sample.is_none() {
                finding.sample = sample();
            }
            return;
        }
        self.by_path
            .entry(expression.path.clone())
            .or_default()
            .push(Finding {
                severity,
                cause,
                path: expression.path.clone(),
                position: expression.position,
                expression: expression.filter.text().to_owned(),
                message: one_line(&message()),
                count: 1,
                sample: sample(),
            });
    }

    fn slot(&mut self, path: &str, severity: Severity, cause: Cause) -> Option<&mut Finding> {
        self.by_path
            .get_mut(path)?
            .iter_mut()
            .find(|finding| finding.severity == severity && finding.cause == cause)
    }
}

/// Longest expression, identifier or message shown, in characters.
const SHOWN: usize = 300;

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
