//! The `.env` file in the working directory.
//!
//! Read by the rules of the library that the originals use, because such
//! files exist: a value without quotes is taken as it stands to the end of the
//! line (`OCEAN__EVENT_LISTENER={"type":"ONCE"}` keeps its quotes), a comment
//! needs a space before its `#`, quoted values may span lines, and `${NAME}`
//! and `${NAME:-default}` are replaced. A line that makes no sense is skipped
//! with a warning that names its number and never its text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use super::problem::Problem;

const FILE: &str = ".env";

#[derive(Debug, Default)]
pub(super) struct Dotenv {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
    pub(super) problem: Option<Problem>,
}

/// Reads the file where there is one. `environment` is only looked at for
/// `${NAME}`.
pub(super) fn read(directory: &Path, environment: &BTreeMap<String, OsString>) -> Dotenv {
    match std::fs::read_to_string(directory.join(FILE)) {
        Ok(text) => parse(&text, environment),
        Err(error) if error.kind() == ErrorKind::NotFound => Dotenv::default(),
        Err(error) => Dotenv {
            problem: Some(Problem {
                variable: FILE.to_owned(),
                accepted: "a readable text file, or none".to_owned(),
                found: Some(error.to_string()),
                hint: None,
            }),
            ..Dotenv::default()
        },
    }
}

fn parse(text: &str, environment: &BTreeMap<String, OsString>) -> Dotenv {
    let mut dotenv = Dotenv::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return dotenv;
        }
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let Some((found, after)) = binding(rest) else {
            dotenv.warnings.push(format!(
                "line {line} of {FILE} is no `NAME=value` and is ignored"
            ));
            rest = after_line(rest);
            continue;
        };
        if let Some((name, value)) = found {
            let value = interpolate(&value, &dotenv.variables, environment);
            dotenv.variables.insert(name, value);
        }
        rest = after;
    }
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, after)| after)
}

type Binding<'a> = (Option<(String, String)>, &'a str);

/// One binding from the start of `text`, or nothing for a comment, and what
/// follows it. `None`: the line is neither.
fn binding(text: &str) -> Option<Binding<'_>> {
    if text.starts_with('#') {
        return Some((None, after_line(text)));
    }
    let text = match text.strip_prefix("export") {
        Some(after) if after.starts_with([' ', '\t']) => after.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let end = text.find(|c: char| c == '=' || c == '#' || c.is_whitespace())?;
    let (name, after) = text.split_at(end);
    let after = after.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    if name.is_empty() {
        return None;
    }
    let (value, after) = value(after.trim_start_matches([' ', '\t']))?;
    Some((Some((name.to_owned(), value)), after))
}

fn value(text: &str) -> Option<(String, &str)> {
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let (value, after) = quoted(&text[1..], quote)?;
        let (trailing, after) = after.split_once('\n').unwrap_or((after, ""));
        let trailing = trailing.trim();
        return (trailing.is_empty() || trailing.starts_with('#')).then_some((value, after));
    }
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let comment = line
        .char_indices()
        .zip(line.chars().skip(1))
        .find(|((_, before), hash)| before.is_whitespace() && *hash == '#');
    let value = comment.map_or(line, |((at, _), _)| &line[..at]);
    Some((value.trim().to_owned(), after))
}

/// The text up to the closing quote, escapes resolved, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                let (_, escaped) = characters.next()?;
                match (quote, escaped) {
                    (_, '\\' | '\'') | ('"', '"') => value.push(escaped),
                    ('"', 'n') => value.push('\n'),
                    ('"', 'r') => value.push('\r'),
                    ('"', 't') => value.push('\t'),
                    _ => value.extend(['\\', escaped]),
                }
            }
            _ if character == quote => return Some((value, &text[at + 1..])),
            _ => value.push(character),
        }
    }
    None
}

/// Replaces `${NAME}` and `${NAME:-default}`; what the file itself said so far
/// comes before the environment.
fn interpolate(
    value: &str,
    variables: &BTreeMap<String, String>,
    environment: &BTreeMap<String, OsString>,
) -> String {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        result.push_str(before);
        let Some((expression, after)) = after.split_once('}') else {
            result.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = expression.split_once(":-").unwrap_or((expression, ""));
        let known = variables
            .get(name)
            .map(String::as_str)
            .or_else(|| environment.get(name).and_then(|value| value.to_str()));
        result.push_str(known.unwrap_or(default));
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> BTreeMap<String, String> {
        let environment = BTreeMap::from([("HOME".to_owned(), OsString::from("/root"))]);
        parse(text, &environment).variables
    }

    #[test]
    fn json_without_quotes_around_it_is_kept_as_it_stands() {
        let variables = parsed("OCEAN__EVENT_LISTENER={\"type\":\"ONCE\"}\n");

        assert_eq!(variables["OCEAN__EVENT_LISTENER"], r#"{"type":"ONCE"}"#);
    }

    #[test]
    fn values_may_be_quoted_commented_exported_and_span_lines() {
        let variables = parsed(
            "# first\n\
             A=1 # one\n\
             export B = two words \n\
             C=a#b\n\
             D='single $x \\' \\n'\n\
             E=\"double \\\" \\n\" # comment\n\
             F=\n\
             G='line\nbreak'\r\n\
             H=${A}-${HOME}-${MISSING:-none}-${MISSING}-${open",
        );

        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a#b"),
            ("D", "single $x ' \\n"),
            ("E", "double \" \n"),
            ("F", ""),
            ("G", "line\nbreak"),
            ("H", "1-/root-none--${open"),
        ];
        for (name, value) in expected {
            assert_eq!(variables[name], value, "{name}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_skipped_and_named_by_number_only() {
        let dotenv = parse("A=1\nsecret words\nB='open\nC=3\n", &BTreeMap::new());

        assert_eq!(dotenv.variables["A"], "1");
        assert_eq!(dotenv.variables["C"], "3");
        insta::assert_snapshot!(dotenv.warnings.join("\n"), @r"
        line 2 of .env is no `NAME=value` and is ignored
        line 3 of .env is no `NAME=value` and is ignored
        ");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(text in "(?s).{0,200}") {
            parse(&text, &BTreeMap::new());
        }

        #[test]
        fn a_value_in_double_quotes_comes_back(value in "[^$]{0,40}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let variables = parsed(&format!("A=\"{escaped}\"\n"));
            prop_assert_eq!(&variables["A"], &value);
        }
    }
}
