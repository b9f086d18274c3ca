//! The files in `resources/deploy` are in form, and the environment that each gives
//! the program is one that it takes: no problem, no warning.

mod charts;
mod monitoring;
mod pipelines;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portolan::settings::{self, Inputs, Settings, ValueType, table};
use serde_json::Value;

type Environment = BTreeMap<String, String>;

const PORT: [&str; 2] = ["OCEAN__PORT__CLIENT_ID", "OCEAN__PORT__CLIENT_SECRET"];
const TOKEN: &str = "OCEAN__INTEGRATION__CONFIG__TOKEN";
const STATUSPAGE_KEY: &str = "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY";
const PAGERDUTY_TOKEN: &str = "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("resources/deploy")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All files below, by the name that `read` takes.
fn files() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                walk(&file, found);
            } else {
                let name = file.strip_prefix(path("")).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&path(""), &mut found);
    found.sort();
    found
}

/// What stands in for a secret: a text, or a URL where only that is accepted.
fn placeholder(name: &str) -> String {
    let row = table().iter().find(|row| row.variable == name);
    let row = row.unwrap_or_else(|| panic!("`{name}` is not a setting"));
    match row.value_type {
        ValueType::Url => "https://placeholder.example.com".to_owned(),
        _ => "placeholder".to_owned(),
    }
}

fn placeholders<'a>(names: impl IntoIterator<Item = &'a str>) -> Environment {
    let names = names.into_iter();
    names
        .map(|name| (name.to_owned(), placeholder(name)))
        .collect()
}

/// The settings that the program makes of this environment and nothing else.
#[track_caller]
fn accepted(file: &str, environment: Environment) -> Settings {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment
        .into_iter()
        .map(|(name, value)| (name, value.into()));
    let inputs = Inputs {
        environment: environment.collect(),
        directory: directory.path().to_owned(),
        ..Inputs::default()
    };
    let loaded = settings::load(inputs).unwrap_or_else(|problems| panic!("{file}: {problems}"));
    assert_eq!(loaded.warnings, Vec::<String>::new(), "{file}");
    loaded.settings
}

#[test]
fn every_file_is_in_form_and_none_is_forgotten() {
    let mut forms = BTreeMap::new();
    for file in files() {
        let form = match file.rsplit('.').next() {
            // A template becomes YAML when it is rendered; see `charts`.
            Some("yaml") if file.starts_with("chart/templates/") => "template",
            Some("tpl" | "txt") => "template",
            Some("yaml" | "yml") => {
                assert!(yaml(&file).is_object(), "{file}");
                "yaml"
            }
            Some("json") => {
                let document: Result<Value, _> = serde_json::from_str(&read(&file));
                assert!(
                    document.is_ok_and(|document| document.is_object()),
                    "{file}"
                );
                "json"
            }
            _ => "other",
        };
        forms.entry(form).or_insert_with(Vec::new).push(file);
    }
    assert_eq!(forms["json"], ["grafana-dashboard.json"]);
    assert_eq!(forms["other"], ["Jenkinsfile", "README.md"]);
    // What is there is told of.
    let index = read("README.md");
    for file in files() {
        let is_told = file.starts_with("chart/") || index.contains(&format!("]({file})"));
        assert!(
            is_told || file == "README.md",
            "README.md has no link to {file}"
        );
    }
}
