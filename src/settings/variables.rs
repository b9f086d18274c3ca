//! One flat map of everything that was set, whatever way it was set.
//!
//! Later layers win: `config.yaml`, then sections given as JSON (outer ones
//! first), then single variables. The command line wins over all of them, save
//! that `APPLICATION__*` wins over its flags for log level and port, as in the
//! originals. `.env` and the real
//! environment are joined before that, the real one winning, so a single
//! variable beats a JSON section wherever either of them is written. (The
//! originals leave the order of some of these combinations to chance.)
//!
//! Names are upper case throughout. An empty text counts as nothing: it
//! neither sets a value nor takes one away from a layer below. It is
//! remembered, so that "empty" can be told from "missing".
//!
//! Pagerstatus' variables are no settings by name and are kept apart, under
//! their exact names.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::{Map, Value};

use super::problem::{Problem, shown, shown_secret};
use super::{Inputs, config_yaml, dotenv, pagerstatus, table, value};

/// A value and where it was written, the way its author would say it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) origin: String,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Variables {
    found: BTreeMap<String, Found>,
    /// Name and origin of what was set to an empty text.
    empty: BTreeMap<String, String>,
    /// Pagerstatus' variables, by their exact names.
    pagerstatus: BTreeMap<String, Found>,
}

/// What came of reading all layers.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) variables: Variables,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// What is worth saying only when something is missing.
    pub(super) absent: Vec<String>,
}

/// Where a JSON or YAML object was written.
#[derive(Clone, Copy)]
enum Place<'a> {
    Section(&'a str),
    ConfigFile,
}

impl Variables {
    pub(super) fn get(&self, name: &str) -> Option<&Found> {
        self.found.get(name)
    }

    /// Where an empty text was given, and nothing else.
    pub(super) fn empty(&self, name: &str) -> Option<&String> {
        self.empty.get(name)
    }

    /// Pagerstatus' variables that have a value, by their exact names.
    pub(super) fn pagerstatus(&self) -> &BTreeMap<String, Found> {
        &self.pagerstatus
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.found
            .iter()
            .map(|(name, found)| (name.as_str(), found))
    }

    /// Everything whose name begins with `prefix`.
    pub(super) fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Found)> {
        self.iter()
            .filter(move |(name, _)| name.starts_with(prefix))
    }

    /// Keeps one of Pagerstatus' variables, unless it is there already.
    fn set_pagerstatus(&mut self, name: &str, text: &str, origin: &str) {
        if !pagerstatus::is_variable(name) || text.trim().is_empty() {
            return;
        }
        self.pagerstatus
            .entry(name.to_owned())
            .or_insert_with(|| Found {
                value: Value::String(text.to_owned()),
                origin: origin.to_owned(),
            });
    }

    fn set(&mut self, name: String, value: Value, origin: String) {
        match &value {
            Value::Null => {}
            Value::String(text) if text.trim().is_empty() => {
                self.empty.insert(name, origin);
            }
            _ => {
                self.found.insert(name, Found { value, origin });
            }
        }
    }
}

/// Reads every layer. Never fails: what cannot be read is a problem.
pub(super) fn collect(inputs: &Inputs) -> Collected {
    let mut collected = Collected::default();

    let dotenv = dotenv::read(&inputs.directory, &inputs.environment);
    collected.problems.extend(dotenv.problem);
    collected.warnings.extend(dotenv.warnings);
    let environment = collected.join(&inputs.environment, dotenv.variables);

    let config = config_yaml::read(&inputs.directory, &|name| {
        environment.exact.get(name).cloned()
    });
    collected.problems.extend(config.problems);
    collected.absent.extend(config.absent);
    collected.object("OCEAN", &config.object, Place::ConfigFile, "");

    let (sections, single): (Vec<_>, Vec<_>) = environment
        .settings
        .into_iter()
        .partition(|(name, _)| table::is_section(name));
    // In alphabetical order an outer section comes before those within it.
    for (name, (origin, text)) in sections {
        collected.section(&name, &text, &origin);
    }
    for (name, (origin, text)) in single {
        collected.variables.set(name, Value::String(text), origin);
    }

    collected.command_line(inputs);
    collected
}

/// The environment with what `.env` adds to it.
struct Environment {
    /// Settings only: upper-case name → as written, value.
    settings: BTreeMap<String, (String, String)>,
    /// Everything, by its exact name, for providers in `config.yaml`.
    exact: BTreeMap<String, String>,
}

impl Collected {
    fn join(
        &mut self,
        environment: &BTreeMap<String, OsString>,
        dotenv: BTreeMap<String, String>,
    ) -> Environment {
        let mut settings = BTreeMap::new();
        let mut exact = BTreeMap::new();
        for (name, value) in environment {
            match value.to_str() {
                Some(text) => {
                    exact.insert(name.clone(), text.to_owned());
                    self.variables.set_pagerstatus(name, text, name);
                    self.join_one(&mut settings, name, name.clone(), text);
                }
                None if is_setting(&name.to_ascii_uppercase())
                    || pagerstatus::is_variable(name) =>
                {
                    self.problems.push(Problem {
                        variable: name.clone(),
                        accepted: "a text in UTF-8".to_owned(),
                        found: Some("bytes that are none".to_owned()),
                        hint: None,
                    });
                }
                None => {}
            }
        }
        let mut below = BTreeMap::new();
        for (name, text) in dotenv {
            let origin = format!("{name} in .env");
            self.variables.set_pagerstatus(&name, &text, &origin);
            self.join_one(&mut below, &name, origin, &text);
            exact.entry(name).or_insert(text);
        }
        for (name, (origin, text)) in below {
            let entry = settings
                .entry(name)
                .or_insert_with(|| (origin.clone(), text.clone()));
            if entry.1.trim().is_empty() {
                *entry = (origin, text);
            }
        }
        Environment { settings, exact }
    }

    /// Takes a variable up under its upper-case name. Where one name is
    /// written in several ways, the first in alphabetical order counts, which
    /// is the one in upper case.
    fn join_one(
        &mut self,
        settings: &mut BTreeMap<String, (String, String)>,
        name: &str,
        origin: String,
        text: &str,
    ) {
        let canonical = name.to_ascii_uppercase();
        if !is_setting(&canonical) {
            return;
        }
        match settings.get(&canonical) {
            Some((_, kept)) if kept.trim().is_empty() => {}
            Some((first, kept)) => {
                if kept != text {
                    self.warnings.push(format!(
                        "`{origin}` is ignored: `{first}` is the same setting and has another value"
                    ));
                }
                return;
            }
            None => {}
        }
        settings.insert(canonical, (origin, text.to_owned()));
    }

    /// A whole section as JSON text.
    fn section(&mut self, name: &str, text: &str, origin: &str) {
        if text.trim().is_empty() {
            return;
        }
        let hint = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => {
                self.object(name, &object, Place::Section(origin), "");
                return;
            }
            Ok(_) => None,
            Err(error) => Some(format!("it is not JSON: {error}")),
        };
        self.not_an_object(name, origin.to_owned(), text, hint);
    }

    fn not_an_object(&mut self, name: &str, origin: String, text: &str, reason: Option<String>) {
        let example = table::table()
            .iter()
            .map(|row| row.variable.as_ref())
            .find(|variable| variable.starts_with(name) && !table::is_section(variable));
        let single = example.map(|variable| format!("a single setting is written {variable}=…"));
        let hint: Vec<String> = [reason, single].into_iter().flatten().collect();
        let sensitive = table::is_sensitive_section(name);
        self.problems.push(Problem {
            variable: origin,
            accepted: match name {
                "OCEAN__EVENT_LISTENER" => r#"a JSON object such as {"type":"POLLING"}"#.to_owned(),
                _ => "a JSON object with lower-case keys".to_owned(),
            },
            found: Some(if sensitive {
                shown_secret(text)
            } else {
                shown(text)
            }),
            hint: (!hint.is_empty()).then(|| hint.join("; ")),
        });
    }

    /// Sets what an object holds; objects within it are sections of their own.
    fn object(&mut self, name: &str, object: &Map<String, Value>, place: Place<'_>, path: &str) {
        for (key, value) in object {
            let segment = match place {
                Place::Section(_) => key.clone(),
                Place::ConfigFile => config_yaml::snake_case(key),
            };
            let name = format!("{name}__{}", segment.to_ascii_uppercase());
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let origin = match place {
                Place::Section(variable) => format!("{variable} ({path})"),
                Place::ConfigFile => format!("{path} in config.yaml"),
            };
            match value {
                Value::Object(inner) if table::row(&name).is_none() => {
                    self.object(&name, inner, place, &path);
                }
                Value::String(text) if table::is_section(&name) => {
                    self.section(&name, text, &origin);
                }
                Value::Null => {}
                other if table::is_section(&name) => {
                    self.not_an_object(&name, origin, &other.to_string(), None);
                }
                other => self.variables.set(name, other.clone(), origin),
            }
        }
    }

    fn command_line(&mut self, inputs: &Inputs) {
        let overrides = &inputs.overrides;
        for (name, value, flag) in [
            (
                "APPLICATION__LOG_LEVEL",
                overrides.log_level.map(|level| level.as_str().into()),
                "--log-level",
            ),
            (
                "APPLICATION__PORT",
                overrides.port.map(Value::from),
                "--port",
            ),
        ] {
            let Some(value) = value else { continue };
            match self.variables.get(name) {
                Some(found) if says_the_same(&found.value, &value) => {}
                Some(found) => self.warnings.push(format!(
                    "`{flag}` has no effect: `{}` is set and wins over it",
                    found.origin
                )),
                None => self.variables.set(name.to_owned(), value, flag.to_owned()),
            }
        }
        if let Some(initialize) = overrides.initialize_port_resources {
            self.variables.set(
                "OCEAN__INITIALIZE_PORT_RESOURCES".to_owned(),
                initialize.into(),
                "--initialize-port-resources".to_owned(),
            );
        }
        if let Some(mode) = overrides.incident_sync_mode {
            self.variables.set(
                "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE".to_owned(),
                mode.as_str().into(),
                "--plan".to_owned(),
            );
        }
        if overrides.once {
            // The options that belong to the type set elsewhere go with it.
            self.variables
                .found
                .retain(|name, _| !name.starts_with("OCEAN__EVENT_LISTENER__"));
            self.variables.set(
                "OCEAN__EVENT_LISTENER__TYPE".to_owned(),
                "ONCE".into(),
                "--once".to_owned(),
            );
        }
    }
}

fn says_the_same(one: &Value, other: &Value) -> bool {
    match (value::text(one), value::text(other)) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(&other),
        _ => false,
    }
}

fn is_setting(canonical: &str) -> bool {
    canonical.starts_with("OCEAN__") || canonical.starts_with("APPLICATION__")
}
