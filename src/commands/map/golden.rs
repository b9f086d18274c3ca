//! `portolan map --test`: the recorded objects of a folder, mapped, against the
//! entities that are expected of them.
//!
//! ```text
//! DIR/incidents.ndjson            raw objects, as `portolan record` writes them
//! DIR/expected/incidents.ndjson   what they have to become, as --update writes it
//! ```
//!
//! Whether an entity is the same is a matter of values, not of texts: the order of
//! keys and of lines does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::mapper::{Mappings, Tally};
use super::{Refused, lines, objects};
use crate::causes::one_line;
use crate::commands::Exit;
use crate::commands::input::Input;
use crate::commands::output::{print, printable, tell};
use crate::commands::recording::{self, Recorded};

/// The folder of what is expected.
const EXPECTED: &str = "expected";

/// Compares, or writes what later runs compare with.
pub(super) fn run(
    mappings: &Mappings<'_>,
    folder: &Path,
    is_update: bool,
) -> Result<Exit, Refused> {
    let files = recording::files(folder).map_err(Refused::Input)?;
    if files.is_empty() {
        return Err(Refused::Input(format!(
            "{} holds no recorded objects\n    hint: `portolan record {0}` records those of an account; files \
             of your own are called after their kind, such as incidents.ndjson",
            folder.display()
        )));
    }
    let expected = folder.join(EXPECTED);
    if is_update {
        fs::create_dir_all(&expected).map_err(|error| unwritable(&expected, &error))?;
    }
    let mut all = Tally::default();
    let mut differences = 0;
    for Recorded {
        file,
        kind,
        is_incomplete,
    } in &files
    {
        if *is_incomplete {
            tell(&format_args!(
                "warning: {file} was not listed to its end when it was recorded"
            ));
        }
        let mapper = mappings.mapper(Some(kind))?;
        let mut tally = Tally::default();
        let raw = objects(&[folder.join(file)], mapper.kind())?;
        let entities = mapper.map(&raw, &mut tally);
        mapper.tell_findings(&tally);
        let golden = expected.join(file);
        if is_update {
            fs::write(&golden, lines(&entities)).map_err(|error| unwritable(&golden, &error))?;
        } else {
            differences += compare(&golden, file, entities)?;
        }
        tell(&format_args!("{file}: {}", tally.told(mapper.kind())));
        all.failed += tally.failed;
    }
    if !is_update {
        differences += tell_unrecorded(&expected, &files);
    }
    let outcome = match (is_update, differences) {
        (true, _) => format!("Wrote what is expected of {}", counted(files.len())),
        (false, 0) => format!("No difference in {}", counted(files.len())),
        (false, 1) => "1 difference".to_owned(),
        (false, several) => format!("{several} differences"),
    };
    print(&outcome);
    match differences {
        0 => Ok(all.exit()),
        _ => Ok(Exit::Failed),
    }
}

fn counted(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        several => format!("{several} files"),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Refused {
    Refused::Input(format!("cannot write {}: {error}", path.display()))
}

/// What is expected of files that are not there is a difference as well.
fn tell_unrecorded(expected: &Path, files: &[Recorded]) -> usize {
    let mut known: Vec<String> = recording::ndjson(expected).unwrap_or_default();
    known.retain(|name| files.iter().all(|recorded| recorded.file != *name));
    for name in &known {
        print(&format!(
            "{EXPECTED}/{name}: no recorded file of that name is there any more; delete it, or record again"
        ));
    }
    known.len()
}

/// Prints how the entities differ, and counts those that do.
fn compare(golden: &Path, file: &str, entities: Vec<Value>) -> Result<usize, Refused> {
    if !golden.exists() {
        print(&format!(
            "{file}: nothing is expected of it yet; --update writes what its objects become"
        ));
        return Ok(1);
    }
    let expected = expected(golden)?;
    let (mut old, mut new) = (by_name(expected), by_name(entities));
    let mut differences = 0;
    let names: Vec<(String, usize)> = old.keys().chain(new.keys()).cloned().collect();
    for name in names {
        let told = match (old.remove(&name), new.remove(&name)) {
            (Some(old), Some(new)) => {
                let fields = changed(&old, &new);
                if fields.is_empty() {
                    continue;
                }
                format!("differs{}", fields.concat())
            }
            (Some(_), None) => "is not made any more".to_owned(),
            (None, Some(_)) => "is new".to_owned(),
            // Looked at already, under the same name.
            (None, None) => continue,
        };
        differences += 1;
        print(&printable(&format!("{file}: {} {told}", name.0)));
    }
    Ok(differences)
}

fn expected(golden: &Path) -> Result<Vec<Value>, Refused> {
    let input = Input::read(Some(golden)).map_err(|error| Refused::Input(one_line(&error)))?;
    let values: Result<Vec<_>, _> = input.values().collect();
    values.map_err(|error| Refused::Input(error.to_string()))
}

/// By blueprint and identifier, and how many there were of that before.
fn by_name(entities: Vec<Value>) -> BTreeMap<(String, usize), Value> {
    let mut named = BTreeMap::new();
    for entity in entities {
        let text = |key: &str| match entity.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let name = format!("{} `{}`", text("blueprint"), text("identifier"));
        let mut place = 0;
        while named.contains_key(&(name.clone(), place)) {
            place += 1;
        }
        named.insert((name, place), entity);
    }
    named
}

/// A line for each field that is another.
fn changed(old: &Value, new: &Value) -> Vec<String> {
    let (old, new) = (fields(old), fields(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&Value>| {
        value.map_or_else(|| "(not mapped)".to_owned(), ToString::to_string)
    };
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| {
            let (old, new) = (shown(old.get(name)), shown(new.get(name)));
            format!("\n    {name}: {old} → {new}")
        })
        .collect()
}

/// The fields of an entity, `properties.status` for example.
fn fields(entity: &Value) -> BTreeMap<String, Value> {
    let none = Map::new();
    let mut fields = BTreeMap::new();
    for (key, value) in entity.as_object().unwrap_or(&none) {
        match value {
            Value::Object(parts) if matches!(key.as_str(), "properties" | "relations") => {
                let parts = parts.iter();
                fields.extend(parts.map(|(part, value)| (format!("{key}.{part}"), value.clone())));
            }
            value => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
    fields
}
