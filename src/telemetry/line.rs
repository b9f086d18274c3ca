//! One log line: what it says, and how it is written.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::Level;

use super::LogFormat;

/// The keys that every line has; a field of the same name is set apart.
const RESERVED: [&str; 4] = ["timestamp", "level", "message", "target"];

/// A line, masked already.
pub(super) struct Line<'a> {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: String,
    /// Those of the spans around it, outermost first, and its own.
    pub(super) fields: Map<String, Value>,
}

impl Line<'_> {
    /// The line with its line break.
    pub(super) fn write(self, format: LogFormat) -> String {
        let mut line = match format {
            LogFormat::Human { colour } => self.human(colour),
            LogFormat::Json => self.json(),
        };
        line.push('\n');
        line
    }

    fn json(self) -> String {
        let mut object = Map::new();
        object.insert("timestamp".to_owned(), format!("{:.6}", self.time).into());
        object.insert("level".to_owned(), level_name(self.level).into());
        object.insert("message".to_owned(), self.message.into());
        object.insert("target".to_owned(), self.target.into());
        for (name, value) in self.fields {
            let name = if RESERVED.contains(&name.as_str()) {
                format!("field_{name}")
            } else {
                name
            };
            object.insert(name, value);
        }
        Value::Object(object).to_string()
    }

    fn human(self, colour: bool) -> String {
        let paint = |code: &str, text: &str| {
            if colour {
                format!("\u{1b}[{code}m{text}\u{1b}[0m")
            } else {
                text.to_owned()
            }
        };
        let level = format!("{:<7}", level_name(self.level));
        let mut line = format!(
            "{} {} ",
            // Who watches a terminal does not count microseconds.
            paint("2", &format!("{:.0}", self.time)),
            paint(level_colour(self.level), &level),
        );
        if !is_own(self.target) {
            line.push_str(&paint("2", &format!("{}: ", self.target)));
        }
        line.push_str(&printable(&self.message));
        for (name, value) in &self.fields {
            let value = match value {
                Value::String(text) if is_plain(text) => text.clone(),
                other => other.to_string(),
            };
            line.push_str(&paint("2", &format!("  {name}={}", printable(&value))));
        }
        line
    }
}

/// Whether this program says it, and not a library below it.
pub(super) fn is_own(target: &str) -> bool {
    target
        .strip_prefix("portolan")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=')
}

/// The name that the settings, and Port, have for a level.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "34",
    }
}

/// Text that cannot move the cursor or pretend to be another line: further
/// lines are indented, control characters are escaped.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => printable.push_str("\n    "),
            '\t' => printable.push(character),
            _ if character.is_control() => printable.extend(character.escape_default()),
            _ => printable.push(character),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(fields: Value) -> Line<'static> {
        let Value::Object(fields) = fields else {
            panic!("fields are an object")
        };
        Line {
            time: "2026-11-21T01:02:03.5Z".parse().unwrap(),
            level: Level::WARN,
            target: "portolan::sync",
            message: "Resynced 2 entities".to_owned(),
            fields,
        }
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let written = line(json!({"kind": "incident", "entities": 2})).write(LogFormat::Json);

        insta::assert_snapshot!(written, @r#"{"timestamp":"2026-11-21T01:02:03.500000Z","level":"WARNING","message":"Resynced 2 entities","target":"portolan::sync","kind":"incident","entities":2}"#);
    }

    #[test]
    fn a_field_cannot_take_the_place_of_what_every_line_has() {
        let written = line(json!({"level": "x"})).write(LogFormat::Json);

        assert!(
            written.contains(r#""level":"WARNING""#) && written.contains(r#""field_level":"x""#)
        );
    }

    #[test]
    fn a_human_line_names_the_fields_after_the_message() {
        let written = line(json!({"kind": "incident", "state": "not done", "entities": 2}))
            .write(LogFormat::Human { colour: false });

        insta::assert_snapshot!(written, @r#"2026-11-21T01:02:03Z WARNING Resynced 2 entities  kind=incident  state="not done"  entities=2"#);
    }

    #[test]
    fn a_human_line_lets_nobody_move_the_cursor_or_fake_a_line() {
        assert_eq!(
            printable("a\u{1b}[2Jb\nINFO c\rd"),
            "a\\u{1b}[2Jb\n    INFO c\\rd"
        );
    }
}
