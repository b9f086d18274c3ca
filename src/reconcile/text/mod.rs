//! The texts that people read on the status page.
//!
//! A text is a template. What can be wrong with one is found when the document is
//! read: its syntax, a name that is not in scope, a filter that does not exist. What
//! is left depends on the incident at hand, and then there is no text at all: a
//! public incident is never opened with half of one, nor with `none`, a raw object
//! or nothing where a word should be.
//!
//! An incident holds text from outside. It can neither make a template run on (work
//! and output are limited) nor get into messages further than a short excerpt.

mod engine;
mod scope;
#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use minijinja::{Environment, Error, ErrorKind, value::Serde};

pub use scope::{Scope, ScopeComponent, ScopePage, Times, listed};

use super::config::IncidentStatus;

/// What is said of a public incident, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Template {
    /// Title of the incident.
    pub name: Text,
    /// State of the incident from its opening until it is resolved.
    pub status: IncidentStatus,
    pub opened: Text,
    /// [`Self::opened`] when there is none.
    pub reopened: Option<Text>,
    /// Where one of these is None, the transition is made without a text.
    pub joined: Option<Text>,
    pub left: Option<Text>,
    pub acknowledged: Option<Text>,
    pub escalated: Option<Text>,
    pub reassigned: Option<Text>,
    pub resolved: Text,
    /// For the younger of two own incidents of one component.
    pub superseded: Text,
}

impl Template {
    /// The text with which an incident that was resolved is opened again.
    pub fn reopened(&self) -> &Text {
        self.reopened.as_ref().unwrap_or(&self.opened)
    }
}

/// A checked template.
#[derive(Clone)]
pub struct Text {
    /// For messages: `templates.default.opened`.
    path: String,
    source: String,
    layout: Layout,
    environment: Arc<Environment<'static>>,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line, whatever is put into it.
    Line,
    Paragraphs,
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidText {
    /// One line, in plain words.
    pub message: String,
    /// Where, in bytes of the template.
    pub span: Option<Range<usize>>,
    pub hint: Option<String>,
}

/// Why there is no text for an incident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// One line, with at most a short excerpt of the incident.
    #[error("{path} could not be written: {message}")]
    Failed { path: String, message: String },
    #[error("{path} came out empty")]
    Empty { path: String },
}

/// How much of a message is shown: it may quote the incident.
const MESSAGE: usize = 200;

impl Text {
    /// Most characters that Statuspage takes as the name of an incident.
    pub const NAME_LIMIT: usize = 255;
    /// Most characters that Statuspage takes as the body of an update.
    pub const BODY_LIMIT: usize = 25_000;

    /// Checks a template. `path` says in messages where it stands.
    pub fn parse(path: &str, source: &str, layout: Layout) -> Result<Self, InvalidText> {
        engine::check(source)?;
        Ok(Self {
            path: path.to_owned(),
            source: source.to_owned(),
            layout,
            environment: Arc::new(engine::of(source).map_err(|error| engine::invalid(&error))?),
        })
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text for `scope`, of at most `longest` characters.
    pub fn render(&self, scope: &Scope, longest: usize) -> Result<String, TextError> {
        let template = self.environment.get_template(engine::NAME);
        let written = template
            .and_then(|template| template.render(Serde(scope)))
            .map_err(|error| TextError::Failed {
                path: self.path.clone(),
                message: shortened(&self.explained(&error), MESSAGE),
            })?;
        let text = match self.layout {
            Layout::Line => shortened(&written, longest),
            Layout::Paragraphs => cut(written.trim(), longest),
        };
        if text.is_empty() {
            return Err(TextError::Empty {
                path: self.path.clone(),
            });
        }
        Ok(text)
    }

    /// What went wrong, and in which expression.
    fn explained(&self, error: &Error) -> String {
        let mut message = described(error);
        let expression = error.range().and_then(|range| self.source.get(range));
        if let Some(expression) = expression
            && !message.contains(expression)
        {
            message = format!("`{expression}`: {message}");
        }
        message
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.path, self.source)
    }
}

/// What the engine says, in plain words.
fn described(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too much work or gives too long a text".to_owned(),
        (ErrorKind::UndefinedError, Some(detail)) => detail.replace("is undefined", "is not there"),
        (ErrorKind::UndefinedError, None) => "a value is not there".to_owned(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    }
}

/// One line of at most `longest` characters.
fn shortened(text: &str, longest: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    cut(&words.join(" "), longest)
}

/// At most `longest` characters of the text, cut between two words where there are any.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    // The cut may already be between two words.
    let ends_word = text[kept.len()..].starts_with(char::is_whitespace);
    let end = if ends_word {
        kept.len()
    } else {
        kept.rfind(char::is_whitespace).unwrap_or(kept.len())
    };
    // A word as long as half of the text is a long word, not one that was cut off.
    let end = if end < kept.len() / 2 {
        kept.len()
    } else {
        end
    };
    let ending: String = std::iter::once('…').take(longest).collect();
    format!("{}{ending}", kept[..end].trim_end())
}
