//! README and the guide to the incident sync say what the program says, and every link of
//! every document leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::CommandFactory as _;
use portolan::cli::Cli;
use portolan::jq::{Jq, Limits};
use portolan::reconcile::config::Config;
use portolan::settings::{DefaultValue, Effect, SettingRow, table};
use regex::Regex;
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

/// Every document that people read, by its place below the top of the project.
fn documents() -> BTreeMap<String, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = BTreeMap::new();
    for folder in ["", "docs", "resources/deploy"] {
        for entry in std::fs::read_dir(top.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(top).unwrap().to_str().unwrap();
                documents.insert(name.to_owned(), text);
            }
        }
    }
    documents
}

/// What a relative link of a document leads to, below the top of the project.
fn target(document: &str, file: &str) -> String {
    if file.is_empty() {
        return document.to_owned();
    }
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => assert!(
                parts.pop().is_some(),
                "{document}: {file} leaves the project"
            ),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_of_every_document_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 12, "{:?}", documents.keys());
    for (name, text) in &documents {
        for link in links(text).filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = target(name, file);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&target);
            assert!(path.exists(), "{name}: {link}");
            assert!(
                anchor.is_empty() || anchors(&documents[&target]).contains(anchor),
                "{name}: nothing is called #{anchor} in {target}"
            );
        }
    }
}

#[test]
fn every_variable_in_a_document_is_a_setting() {
    // A mistake, to show what is said of it.
    const MISSPELT: [&str; 1] = ["OCEAN__SCHEDULED_RESYNC_INTERVL"];
    let variable = Regex::new(r"\b(?:OCEAN|APPLICATION)(?:__[A-Z0-9]+(?:_[A-Z0-9]+)*)+").unwrap();
    for (name, text) in documents() {
        for found in variable.find_iter(&text) {
            let found = found.as_str();
            let section = format!("{found}__");
            let is_known = table()
                .iter()
                .any(|row| row.variable == found || row.variable.starts_with(&section));
            assert!(is_known || MISSPELT.contains(&found), "{name}: {found}");
        }
    }
}

#[test]
fn readme_leads_to_every_document() {
    let linked: BTreeSet<String> = links(README)
        .filter(|link| !link.contains("://"))
        .map(|link| target("README.md", link.split('#').next().unwrap()))
        .collect();
    for name in documents().keys() {
        assert!(linked.contains(name), "README.md has no link to {name}");
    }
}

const INCIDENT_SYNC: &str = include_str!("../../docs/incident-sync.md");

#[test]
fn the_documents_of_the_incident_sync_are_ones_that_it_takes() {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let blocks = INCIDENT_SYNC.split("```yaml\n").skip(1);
    let documents: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
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

/// Targets of `[text](target)`, outside blocks of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| {
        line.split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
    })
}

/// The lines that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What the headings are called in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| {
        let heading = line.trim_start_matches('#').strip_prefix(' ')?;
        line.starts_with('#').then_some(heading)
    });
    headings
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let kept = heading
                .to_lowercase()
                .chars()
                .filter(kept)
                .collect::<String>();
            kept.replace(' ', "-")
        })
        .collect()
}
