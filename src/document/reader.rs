//! Reads values out of the document and collects everything that is wrong on
//! the way, so that one run reports all of it.
//!
//! Every method that finds a mistake notes it and answers `None`; the caller
//! goes on with the rest. A document is only used when nothing was noted.

use std::{ops::Range, time::Duration};

use serde_json::{Map, Value};

use super::{
    Expression, InvalidDocument,
    position::{Path, Position, Positions},
    problem::{DocumentProblem, Snippet},
    text,
};
use crate::jq::{CompileError, Jq};

pub(crate) struct Reader<'a> {
    jq: &'a Jq,
    origin: &'a str,
    positions: Positions,
    problems: Vec<DocumentProblem>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of a document as people write it, YAML or JSON, and its value;
    /// no value when the text is neither, which is then noted.
    pub(crate) fn of_text(jq: &'a Jq, origin: &'a str, text: &str) -> (Self, Option<Value>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Self::new(jq, origin, Positions::of_text(text));
        let value = text::value(text, &mut reader);
        (reader, value)
    }

    /// A reader of a document that has no text, only values.
    pub(crate) fn of_value(jq: &'a Jq, origin: &'a str) -> Self {
        Self::new(jq, origin, Positions::default())
    }

    fn new(jq: &'a Jq, origin: &'a str, positions: Positions) -> Self {
        let mut reader = Self {
            jq,
            origin,
            positions,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        for duplicate in std::mem::take(&mut reader.positions.duplicates) {
            reader.problems.push(DocumentProblem {
                path: duplicate.path.to_string(),
                position: Some(duplicate.position),
                expression: None,
                message: format!(
                    "this key was already given on line {}",
                    duplicate.first.line
                ),
                hint: Some("remove one of the two".to_owned()),
            });
        }
        reader
    }

    /// What was read and the warnings, unless nothing was or anything was noted.
    pub(crate) fn finish<T>(
        mut self,
        read: Option<T>,
    ) -> Result<(T, Vec<String>), InvalidDocument> {
        self.problems.sort_by_key(|problem| problem.position);
        match read {
            Some(read) if self.problems.is_empty() => Ok((read, self.warnings)),
            _ => Err(InvalidDocument {
                origin: self.origin.to_owned(),
                problems: self.problems,
            }),
        }
    }

    pub(crate) fn problem(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.problems.push(DocumentProblem {
            path: path.to_string(),
            position: self.positions.value(path),
            expression: None,
            message: message.into(),
            hint,
        });
    }

    /// A problem of a text of the document, with the bytes of it that are to blame.
    pub(crate) fn problem_within(
        &mut self,
        path: &Path,
        text: &str,
        span: Option<Range<usize>>,
        message: String,
        hint: Option<String>,
    ) {
        self.problems.push(DocumentProblem {
            path: path.to_string(),
            position: self.positions.value(path),
            expression: Some(Snippet {
                text: text.to_owned(),
                span,
            }),
            message,
            hint,
        });
    }

    pub(super) fn invalid_syntax(
        &mut self,
        language: &str,
        message: &str,
        position: Option<Position>,
    ) {
        // The heading of the problem names the place already.
        let message = message
            .rfind(" at line ")
            .map_or(message, |end| &message[..end]);
        self.problems.push(DocumentProblem {
            path: String::new(),
            position,
            expression: None,
            message: format!("this is not valid {language}: {message}"),
            hint: None,
        });
    }

    pub(crate) fn warning(&mut self, path: &Path, message: &str) {
        let place = match self.positions.key(path) {
            Some(position) => format!("{}:{position}: ", self.origin),
            None => format!("{}: ", self.origin),
        };
        self.warnings.push(format!("{place}{path}: {message}"));
    }

    fn unexpected(&mut self, path: &Path, expected: &str, found: &Value) {
        self.problem(
            path,
            format!("expected {expected}, found {}", describe(found)),
            None,
        );
    }

    /// An object; absent and null are an empty one.
    pub(crate) fn object<'v>(
        &mut self,
        path: &Path,
        value: Option<&'v Value>,
    ) -> Option<&'v Map<String, Value>> {
        match value {
            Some(Value::Object(object)) => Some(object),
            None | Some(Value::Null) => None,
            Some(other) => {
                self.unexpected(path, "an object", other);
                None
            }
        }
    }

    /// Notes a key that has to be there and is not.
    pub(crate) fn missing(&mut self, parent: &Path, key: &str, object: &Map<String, Value>) {
        let misspelt = object
            .keys()
            .find(|sibling| nearest(sibling, &[key]).is_some());
        let hint = misspelt.map(|sibling| format!("is `{sibling}` meant to be `{key}`?"));
        self.problem(&parent.key(key), format!("`{key}` is missing"), hint);
    }

    /// An object that has to be there.
    pub(crate) fn required_object<'v>(
        &mut self,
        parent: &Path,
        key: &str,
        object: &'v Map<String, Value>,
    ) -> Option<&'v Map<String, Value>> {
        match object.get(key) {
            None | Some(Value::Null) => {
                self.missing(parent, key, object);
                None
            }
            value => self.object(&parent.key(key), value),
        }
    }

    /// Warns of keys that nothing reads, naming the one that was perhaps meant.
    pub(crate) fn known_keys(&mut self, path: &Path, object: &Map<String, Value>, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let meant = nearest(key, known)
                .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            self.warning(
                &path.key(key),
                &format!("this key is not known and has no effect{meant}"),
            );
        }
    }

    /// Refuses keys that nothing reads, naming the one that was perhaps meant.
    pub(crate) fn refuse_unknown_keys(
        &mut self,
        path: &Path,
        object: &Map<String, Value>,
        known: &[&str],
    ) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(key, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known are {}", known.join(", ")),
            };
            let path = path.key(key);
            self.problems.push(DocumentProblem {
                path: path.to_string(),
                position: self.positions.key(&path),
                expression: None,
                message: format!("there is no key `{key}` here"),
                hint: Some(hint),
            });
        }
    }

    /// One of a closed list of words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        path: &Path,
        value: Option<&Value>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let written = self.string(path, value)?;
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = nearest(&written, &known).map(|word| format!("did you mean `{word}`?"));
            let message = match known.as_slice() {
                [only] => format!("expected `{only}`, found `{written}`"),
                several => format!("expected one of {}, found `{written}`", several.join(", ")),
            };
            self.problem(path, message, hint);
        }
        found.map(|(_, chosen)| *chosen)
    }

    /// A time span: `90s`, `10m`, `1h30m`, or a whole number of seconds.
    pub(crate) fn duration(&mut self, path: &Path, value: Option<&Value>) -> Option<Duration> {
        // Far longer than anybody waits, and short enough to calculate with.
        const LONGEST: Duration = Duration::from_hours(366 * 24);
        let value = value.filter(|value| !value.is_null())?;
        let duration = match value {
            Value::Number(number) => number.as_u64().map(Duration::from_secs),
            Value::String(text) => {
                let text = text.trim();
                let seconds = text.parse().ok().map(Duration::from_secs);
                seconds.or_else(|| {
                    let duration: jiff::SignedDuration = text.parse().ok()?;
                    Duration::try_from(duration).ok()
                })
            }
            _ => None,
        };
        let duration = duration.filter(|duration| *duration <= LONGEST);
        if duration.is_none() {
            let message = format!("expected a time span, found {}", describe(value));
            let hint = "write a number and a unit, such as 90s, 10m or 1h30m".to_owned();
            self.problem(path, message, Some(hint));
        }
        duration
    }

    /// A flag: a boolean or its name as a string.
    pub(crate) fn boolean(&mut self, path: &Path, value: Option<&Value>, default: bool) -> bool {
        match value {
            None | Some(Value::Null) => return default,
            Some(Value::Bool(flag)) => return *flag,
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "t" | "1" => return true,
                "false" | "no" | "off" | "n" | "f" | "0" => return false,
                _ => {}
            },
            Some(Value::Number(number)) if number.as_u64() == Some(1) => return true,
            Some(Value::Number(number)) if number.as_u64() == Some(0) => return false,
            Some(_) => {}
        }
        self.unexpected(path, "true or false", value.unwrap_or(&Value::Null));
        default
    }

    /// A whole number, or one written as a string.
    pub(crate) fn whole_number(&mut self, path: &Path, value: Option<&Value>) -> Option<u32> {
        let number = match value? {
            Value::Null => return None,
            Value::Number(number) => number.as_u64().or_else(|| {
                number
                    .to_string()
                    .strip_suffix(".0")
                    .and_then(|whole| whole.parse().ok())
            }),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.unexpected(path, "a whole number", value.unwrap_or(&Value::Null));
        }
        number
    }

    /// A share between 0 and 1.
    pub(crate) fn share(&mut self, path: &Path, value: Option<&Value>, default: f64) -> f64 {
        let share = match value {
            None | Some(Value::Null) => return default,
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match (share, value) {
            (Some(share), _) if (0.0..=1.0).contains(&share) => share,
            (Some(share), _) if share > 1.0 && share <= 100.0 => {
                let hint = format!("it is a share, not a percentage: write {}", share / 100.0);
                self.problem(
                    path,
                    format!("expected a number from 0 to 1, found {share}"),
                    Some(hint),
                );
                default
            }
            (_, found) => {
                self.unexpected(path, "a number from 0 to 1", found.unwrap_or(&Value::Null));
                default
            }
        }
    }

    /// A string; numbers and booleans are taken as their text.
    pub(crate) fn string(&mut self, path: &Path, value: Option<&Value>) -> Option<String> {
        match value? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            other => {
                self.unexpected(path, "a string", other);
                None
            }
        }
    }

    /// A list of strings; a single one is a list of one.
    pub(crate) fn strings(&mut self, path: &Path, value: Option<&Value>) -> Option<Vec<String>> {
        match value? {
            Value::Null => None,
            Value::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.string(&path.index(index), Some(item)))
                    .collect(),
            ),
            single => self.string(path, Some(single)).map(|text| vec![text]),
        }
    }

    /// An expression; a boolean or a number stands for the expression of that text.
    pub(crate) fn expression(&mut self, path: &Path, value: &Value) -> Option<Expression> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            other => {
                self.unexpected(path, "an expression", other);
                return None;
            }
        };
        match self.jq.compile(&text) {
            Ok(filter) => Some(Expression {
                path: path.to_string(),
                position: self.positions.value(path),
                filter,
            }),
            Err(CompileError {
                message,
                span,
                hint,
            }) => {
                let hint = hint.or_else(|| quoting_hint(&text));
                self.problem_within(path, &text, span, message, hint);
                None
            }
        }
    }

    /// The text that an expression always gives, when it is a string literal.
    pub(crate) fn literal(&self, text: &str) -> Option<String> {
        let is_quoted = text.trim_start().starts_with(['"', '\'']);
        let filter = is_quoted.then(|| self.jq.compile(text).ok()).flatten()?;
        filter.literal().map(str::to_owned)
    }

    /// An expression that has to be there.
    pub(crate) fn required_expression(
        &mut self,
        parent: &Path,
        key: &str,
        object: &Map<String, Value>,
    ) -> Option<Expression> {
        match object.get(key) {
            None | Some(Value::Null) => {
                self.missing(parent, key, object);
                None
            }
            Some(value) => self.expression(&parent.key(key), value),
        }
    }

    /// An expression that may be left away.
    pub(crate) fn optional_expression(
        &mut self,
        path: &Path,
        value: Option<&Value>,
    ) -> Option<Expression> {
        self.expression(path, value.filter(|value| !value.is_null())?)
    }
}

/// A bare word is the commonest mistake: a blueprint's name without its inner quotes.
fn quoting_hint(text: &str) -> Option<String> {
    let word = text.trim();
    let is_word = word.starts_with(|first: char| first.is_alphabetic())
        && word
            .chars()
            .all(|character| character.is_alphanumeric() || "_-".contains(character));
    is_word.then(|| format!("a fixed text needs quotes of its own: '\"{word}\"'"))
}

/// The known name that is most like what was written, when one is like it at all.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|name| {
            let distance =
                strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase());
            (distance, *name)
        })
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => format!("{text:?}"),
        Value::String(_) => "a long text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
