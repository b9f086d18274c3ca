//! README and the guide to the incident sync say what the program says.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;
use portolan::cli::Cli;
use portolan::jq::{Jq, Limits};
use portolan::reconcile::config::Config;
use portolan::settings::{DefaultValue, Effect, SettingRow, table};

use serde_json::Value;

use crate::program::portolan;

const README: &str = include_str!("../../README.md");

/// Variables that every HTTP program reads; they are no settings of the table.
const OF_EVERYBODY: [&str; 7] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
];

/// The part of README under a heading, up to the next one of any level.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("README has no heading `{heading}`"));
    rest.split("\n#").next().unwrap()
}

/// Cells of the rows of a section's table, without its head.
fn rows(section: &str) -> Vec<Vec<&str>> {
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split(" |").map(str::trim).collect())
        .collect()
}

/// What stands in back quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[tokio::test]
async fn its_help_blocks_are_those_of_the_program() {
    let commands = Cli::command();
    let commands = commands.get_subcommands().map(clap::Command::get_name);
    let of_commands = commands.map(|name| vec![name, "--help"]);
    for arguments in std::iter::once(vec!["--help"]).chain(of_commands) {
        let help = portolan(&arguments, &[]).await.expect_code(0).stdout;
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let block = format!(
            "```console\n$ portolan {}\n{}\n```",
            arguments.join(" "),
            help.join("\n")
        );

        assert!(
            README.contains(&block),
            "README has to show this under \"Command line\":\n\n{block}\n"
        );
    }
}

#[test]
fn every_command_is_told_of_outside_of_the_help_as_well() {
    let prose: String = README.split("```").step_by(2).collect();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let is_told = ["`", " "]
            .iter()
            .any(|end| prose.contains(&format!("`portolan {name}{end}")));
        assert!(is_told, "README has to say what `portolan {name}` is for");
    }
}

#[tokio::test]
async fn without_a_command_the_program_shows_its_help_and_does_not_start() {
    let outcome = portolan(&[], &[]).await.expect_code(2);

    assert!(outcome.stderr.contains("Usage: portolan <COMMAND>"));
    assert!(outcome.stdout.is_empty());
}

#[tokio::test]
async fn its_exit_codes_are_those_of_the_help() {
    let help = portolan(&["--help"], &[]).await.expect_code(0).stdout;
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<Vec<&str>> = codes
        .lines()
        .map_while(|line| line.strip_prefix("  ")?.split_once("  "))
        .map(|(code, meaning)| vec![code, meaning])
        .collect();

    let mut told = rows(section("### Exit codes"));
    // The last row is about signals, which the help puts into a sentence.
    let signals = told.pop().unwrap();

    assert_eq!(told, codes);
    assert!(signals[0].starts_with("128"), "{signals:?}");
}

/// The row of a variable as README writes it, `…__TOKEN` for example.
fn setting(name: &str) -> Option<&'static SettingRow> {
    let full = name.replace('…', "OCEAN__INTEGRATION__CONFIG");
    table().iter().find(|row| row.variable == full)
}

#[test]
fn its_settings_are_settings_with_their_defaults() {
    let rows = rows(section("## Settings"));
    assert!(rows.len() > 10, "the table of settings was not found");
    for row in rows {
        let [variables, default, _meaning] = row[..] else {
            panic!("not three cells: {row:?}")
        };
        for name in quoted(variables) {
            if OF_EVERYBODY.contains(&name) {
                continue;
            }
            // A section is given as JSON, its parts are what the table lists.
            let known = if name == "OCEAN__EVENT_LISTENER" {
                setting("OCEAN__EVENT_LISTENER__TYPE")
            } else {
                setting(name)
            };
            let known = known.unwrap_or_else(|| panic!("`{name}` is not a setting"));
            assert_eq!(known.effect, Effect::Acts, "`{name}` has no effect");
            match known.default {
                DefaultValue::Required => assert_eq!(default, "required", "{name}"),
                DefaultValue::Value(value) => {
                    assert!(default.contains(value), "{name}: {default}, really {value}");
                }
                DefaultValue::Absent => {
                    assert!(!default.contains("required"), "{name}: {default}");
                }
            }
        }
    }
}

#[test]
fn what_is_needed_to_start_is_among_its_settings() {
    let section = section("## Settings");
    for row in table() {
        if row.default == DefaultValue::Required {
            assert!(section.contains(&*row.variable), "{}", row.variable);
        }
    }
}

#[test]
fn its_links_lead_somewhere() {
    let mut documents: BTreeMap<&str, String> = BTreeMap::new();
    documents.insert("README.md", README.to_owned());
    for name in [
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/configuration.md",
        "docs/dependencies.md",
        "docs/incident-sync.md",
        "docs/mapping.md",
        "docs/operations.md",
    ] {
        let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
        documents.insert(name, std::fs::read_to_string(path).unwrap());
    }
    for (name, text) in &documents {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(text).filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match (file, folder) {
                ("", _) => (*name).to_owned(),
                (file, "") => file.to_owned(),
                (file, folder) => format!("{folder}/{file}"),
            };
            let Some(document) = documents.get(target.as_str()) else {
                let path = format!("{}/{target}", env!("CARGO_MANIFEST_DIR"));
                assert!(std::path::Path::new(&path).exists(), "{name}: {link}");
                continue;
            };
            assert!(
                anchor.is_empty()
                    || document
                        .lines()
                        .any(|line| anchor_of(line) == Some(anchor.to_owned())),
                "{name}: nothing is called #{anchor} in {target}"
            );
        }
    }
}

const INCIDENT_SYNC: &str = include_str!("../../docs/incident-sync.md");

#[test]
fn the_documents_of_the_incident_sync_are_ones_that_it_takes() {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let blocks = INCIDENT_SYNC.split("```yaml\n").skip(1);
    let documents: Vec<&str> = blocks
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| !block.starts_with("groups:"))
        .collect();
    assert!(documents.len() > 8, "the documents were not found");
    for document in documents {
        let (_, warnings) = Config::parse(document, "incident-sync.md", &jq)
            .unwrap_or_else(|invalid| panic!("{invalid}\n\n{document}"));
        assert_eq!(warnings, Vec::<String>::new(), "{document}");
    }
}

#[test]
fn every_setting_of_the_incident_sync_is_in_its_table_with_its_default() {
    let (_, table) = INCIDENT_SYNC.split_once("\n## Every setting\n").unwrap();
    let told: BTreeMap<&str, &str> = rows(table)
        .into_iter()
        .map(|row| (quoted(row[0])[0], row[1]))
        .collect();
    let document: Value = serde_yaml::from_str(Config::DEFAULT_DOCUMENT).unwrap();
    let mut keys = BTreeMap::new();
    for (key, value) in document.as_object().unwrap() {
        match (key.as_str(), value) {
            ("rules", Value::Array(rules)) => {
                let rule = rules[0].as_object().unwrap().iter();
                keys.extend(rule.map(|(key, value)| (format!("rules[].{key}"), value)));
            }
            ("templates", templates) => {
                let template = templates["default"].as_object().unwrap().iter();
                keys.extend(template.map(|(key, value)| (format!("templates.*.{key}"), value)));
            }
            (section, Value::Object(parts)) => {
                let parts = parts.iter();
                keys.extend(parts.map(|(key, value)| (format!("{section}.{key}"), value)));
            }
            (key, value) => {
                keys.insert(key.to_owned(), value);
            }
        }
    }
    let named: BTreeSet<&str> = told.keys().copied().collect();
    assert_eq!(named, keys.keys().map(String::as_str).collect());
    for (key, value) in keys {
        // Texts and expressions are told in words, and so is what each source has of its own.
        let shown = match value {
            Value::String(text) if text.contains(' ') => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let default = told[key.as_str()];
        let is_in_words = ["required", "by source"].contains(&default);
        assert!(is_in_words || default.contains(&shown), "{key}: {default}");
    }
}

/// Targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

/// What a heading is called in links.
fn anchor_of(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#').strip_prefix(' ')?;
    line.starts_with('#').then(|| {
        heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}
