//! JSON that people hand to a command: a file, or standard input.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use thiserror::Error;

use crate::document::{Position, Snippet};

/// A text that holds JSON values, one after the other.
pub(super) struct Input {
    name: String,
    text: String,
}

/// A text that could not be had.
#[derive(Debug, Error)]
#[error("cannot read {name}")]
pub(super) struct Unreadable {
    name: String,
    #[source]
    source: io::Error,
}

/// Something in a text that is no JSON.
#[derive(Debug)]
pub(super) struct NoJson {
    name: String,
    position: Position,
    snippet: Snippet,
    message: String,
}

impl fmt::Display for NoJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            position,
            snippet,
            message,
        } = self;
        write!(
            formatter,
            "{name}:{position} is not JSON{snippet}\n    {message}"
        )
    }
}

impl Input {
    /// The file; `-` and nothing at all are standard input.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, Unreadable> {
        let path = path.filter(|path| *path != Path::new("-"));
        let name = name(path);
        let text = path.map_or_else(
            || io::read_to_string(io::stdin().lock()),
            fs::read_to_string,
        );
        match text {
            Ok(text) => Ok(Self { name, text }),
            Err(source) => Err(Unreadable { name, source }),
        }
    }

    /// The values, up to what is none.
    pub(super) fn values(&self) -> impl Iterator<Item = Result<Value, NoJson>> {
        // Editors of some systems begin a file with it.
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let value = values.next()?;
            is_over = value.is_err();
            Some(value.map_err(|error| self.no_json(text, &error)))
        })
    }

    fn no_json(&self, text: &str, error: &serde_json::Error) -> NoJson {
        let message = error.to_string();
        let told = message
            .rfind(" at line ")
            .map_or(message.as_str(), |end| &message[..end]);
        NoJson {
            name: self.name.clone(),
            position: Position {
                line: error.line(),
                column: error.column().max(1),
            },
            snippet: Snippet {
                text: text.to_owned(),
                span: Some(byte(text, error)),
            },
            message: told.to_owned(),
        }
    }
}

/// What a file, or the lack of one, is called in messages.
pub(super) fn name(path: Option<&Path>) -> String {
    path.map_or_else(
        || "standard input".to_owned(),
        |path| path.display().to_string(),
    )
}

/// The byte that an error is about. Its column counts bytes, from 1.
fn byte(text: &str, error: &serde_json::Error) -> Range<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let start = before + error.column().saturating_sub(1);
    start..start + 1
}
