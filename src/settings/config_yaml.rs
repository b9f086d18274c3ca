//! `config.yaml` in the working directory: the same settings in camelCase.
//!
//! A value that is nothing but `{{ from env NAME }}`, spaced exactly so, is
//! replaced by that variable; where the variable is missing, so is the key.
//! No other provider exists, and asking for one is a problem rather than a
//! literal text in a credential.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::problem::Problem;

const FILE: &str = "config.yaml";

#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    pub(super) object: Map<String, Value>,
    pub(super) problems: Vec<Problem>,
    /// Keys that are absent because their variable is, one line each. Nothing
    /// to say unless something is missing.
    pub(super) absent: Vec<String>,
}

/// Reads the file where there is one; `lookup` gives variables by exact name.
pub(super) fn read(directory: &Path, lookup: &dyn Fn(&str) -> Option<String>) -> ConfigFile {
    match std::fs::read_to_string(directory.join(FILE)) {
        Ok(text) => parse(&text, lookup),
        Err(error) if error.kind() == ErrorKind::NotFound => ConfigFile::default(),
        Err(error) => unusable(error.to_string()),
    }
}

fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> ConfigFile {
    match serde_yaml::from_str(text) {
        Ok(Value::Object(mut object)) => {
            let mut file = ConfigFile::default();
            provide(&mut object, "", lookup, &mut file);
            ConfigFile { object, ..file }
        }
        Ok(Value::Null) => ConfigFile::default(),
        Ok(_) => unusable("something else than keys and values".to_owned()),
        Err(error) => unusable(error.to_string()),
    }
}

fn unusable(found: String) -> ConfigFile {
    ConfigFile {
        object: Map::new(),
        problems: vec![Problem {
            variable: FILE.to_owned(),
            accepted: "a readable YAML file with keys and values, or none".to_owned(),
            found: Some(found),
            hint: None,
        }],
        absent: Vec::new(),
    }
}

fn provide(
    object: &mut Map<String, Value>,
    path: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    file: &mut ConfigFile,
) {
    object.retain(|key, value| {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match value {
            Value::Object(inner) => provide(inner, &path, lookup, file),
            Value::String(text) => match provider(text) {
                Some(("env", name)) => {
                    let Some(found) = lookup(name) else {
                        file.absent.push(format!(
                            "`{path} in {FILE}` counts as absent: the variable `{name}` is not set"
                        ));
                        return false;
                    };
                    *text = found;
                }
                Some((kind, _)) => {
                    file.problems.push(Problem {
                        variable: format!("{path} in {FILE}"),
                        accepted: "{{ from env NAME }}, or the value itself".to_owned(),
                        found: Some(format!("the provider `{kind}`")),
                        hint: None,
                    });
                    return false;
                }
                None => {}
            },
            _ => {}
        }
        true
    });
}

/// Type and name of a provider, where the whole text is one.
fn provider(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("{{ from ")?.strip_suffix(" }}")?;
    let (kind, name) = inner.split_once(' ')?;
    let plain = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    (plain(kind) && plain(name)).then_some((kind, name))
}

/// `scheduledResyncInterval` → `scheduled_resync_interval`; a run of capitals
/// is one word (`apiURL` → `api_url`).
pub(super) fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, &character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| characters[before]);
        let ends_a_run = characters
            .get(at + 1)
            .is_some_and(|next| next.is_lowercase());
        let starts_a_word = character.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && ends_a_run)
            });
        if starts_a_word {
            snake.push('_');
        }
        match character {
            '-' => snake.push('_'),
            _ => snake.extend(character.to_lowercase()),
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "from the environment".to_owned())
    }

    #[test]
    fn camel_case_becomes_snake_case() {
        for (camel, snake) in [
            ("scheduledResyncInterval", "scheduled_resync_interval"),
            ("apiURL", "api_url"),
            ("URLPrefix", "url_prefix"),
            ("already_snake", "already_snake"),
            ("client-id", "client_id"),
            ("X", "x"),
            ("", ""),
        ] {
            assert_eq!(snake_case(camel), snake);
        }
    }

    #[test]
    fn a_provider_is_replaced_and_a_missing_variable_removes_its_key() {
        let config = parse(
            "integration:\n  config:\n    token: \"{{ from env TOKEN }}\"\n    \
             apiUrl: \"{{ from env MISSING }}\"\n    literal: \"{{from env TOKEN}}\"\n",
            &lookup,
        );

        assert_eq!(
            Value::Object(config.object),
            json!({"integration": {"config": {
                "token": "from the environment",
                "literal": "{{from env TOKEN}}",
            }}})
        );
    }

    #[test]
    fn another_provider_is_a_problem() {
        let config = parse(
            "port:\n  clientSecret: \"{{ from file /run/secret }}\"\n",
            &lookup,
        );

        insta::assert_snapshot!(config.problems[0], @r"
        port.clientSecret in config.yaml
          expected  {{ from env NAME }}, or the value itself
          found     the provider `file`
        ");
    }

    #[test]
    fn a_file_that_is_no_mapping_is_a_problem() {
        insta::assert_snapshot!(parse("- a\n", &lookup).problems[0], @r"
        config.yaml
          expected  a readable YAML file with keys and values, or none
          found     something else than keys and values
        ");
        assert_eq!(parse("a: [", &lookup).problems.len(), 1);
        assert!(parse("# nothing\n", &lookup).problems.is_empty());
    }
}
