//! From text or value to a checked document, completed from the built-in one.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Config, Guards, Mode, Notify, rule, template};
use crate::{
    document::{InvalidDocument, Path, Reader},
    jq::Jq,
};

type Parsed = Result<(Config, Vec<String>), InvalidDocument>;

/// A pass takes requests to every page and account.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

pub(super) fn text(text: &str, origin: &str, jq: &Jq) -> Parsed {
    let (reader, value) = Reader::of_text(jq, origin, text);
    finish(reader, value.as_ref(), jq)
}

pub(super) fn value(value: &Value, origin: &str, jq: &Jq) -> Parsed {
    finish(Reader::of_value(jq, origin), Some(value), jq)
}

fn finish(mut reader: Reader<'_>, value: Option<&Value>, jq: &Jq) -> Parsed {
    let config = value.and_then(|value| document(&mut reader, value, jq));
    reader.finish(config)
}

fn document(reader: &mut Reader<'_>, value: &Value, jq: &Jq) -> Option<Config> {
    const KEYS: &[&str] = &[
        "mode",
        "owner",
        "interval",
        "pages",
        "rules",
        "templates",
        "guards",
        "notify",
    ];
    let root = Path::default();
    if value.is_null() {
        // Perhaps a template of something else came out empty. Incidents would be
        // announced by rules that nobody has chosen.
        let hint = "write `{}` for the defaults alone".to_owned();
        reader.problem(&root, "it is empty", Some(hint));
        return None;
    }
    let written = reader.object(&root, Some(value))?;
    reader.refuse_unknown_keys(&root, written, KEYS);
    let document = completed(written, &built_in(jq));

    let mode = mode(reader, &root.key("mode"), written.get("mode"));
    let owner = name(reader, &root, "owner", &document);
    let interval = interval(reader, &root.key("interval"), document.get("interval"));
    let pages = names(reader, &root.key("pages"), document.get("pages"));
    let templates = template::read(reader, &root.key("templates"), document.get("templates"));
    let rules = rule::read(
        reader,
        &root.key("rules"),
        document.get("rules"),
        &templates,
    );
    let guards = guards(reader, &root.key("guards"), document.get("guards"));
    let notify = notify(reader, &root.key("notify"), document.get("notify"));
    Some(Config {
        mode,
        owner: owner?,
        interval: interval?,
        pages: pages?,
        rules: rules?,
        default_template: templates.default()?,
        guards: guards?,
        notify: notify?,
    })
}

fn built_in(jq: &Jq) -> Map<String, Value> {
    let (_, value) = Reader::of_text(jq, "incident-sync.yaml", Config::DEFAULT_DOCUMENT);
    match value {
        Some(Value::Object(document)) => document,
        _ => Map::new(),
    }
}

/// What is written, and what it leaves out as in the built-in document. Whatever has
/// the wrong shape is left as it is, for the reader to find.
fn completed(written: &Map<String, Value>, built_in: &Map<String, Value>) -> Map<String, Value> {
    let mut document = written.clone();
    for (key, default) in built_in {
        let value = document.entry(key.clone()).or_insert(Value::Null);
        match (key.as_str(), &mut *value, default) {
            // Commented out to the last rule, it means none as likely as the default ones.
            ("rules", Value::Null, _) if written.contains_key("rules") => {}
            ("rules", Value::Array(rules), Value::Array(defaults)) => {
                rule::complete(rules, defaults);
            }
            ("templates", Value::Object(templates), Value::Object(defaults)) => {
                template::complete(templates, defaults);
            }
            ("guards" | "notify", Value::Object(section), Value::Object(defaults)) => {
                complete(section, defaults, &["maxChangesPerHour"]);
            }
            (_, Value::Null, _) => *value = default.clone(),
            _ => {}
        }
    }
    document
}

/// Adds what is not there. Null is as good as not there, except where it says "none".
pub(super) fn complete(
    object: &mut Map<String, Value>,
    defaults: &Map<String, Value>,
    nullable: &[&str],
) {
    for (key, default) in defaults {
        let is_given = match object.get(key) {
            None => false,
            Some(Value::Null) => nullable.contains(&key.as_str()),
            Some(_) => true,
        };
        if !is_given {
            object.insert(key.clone(), default.clone());
        }
    }
}

fn mode(reader: &mut Reader<'_>, path: &Path, value: Option<&Value>) -> Option<Mode> {
    // YAML 1.1, which Helm for one still speaks, takes the word `off` for this.
    if value == Some(&Value::Bool(false)) {
        return Some(Mode::Off);
    }
    reader.choice(path, value, Mode::WORDS)
}

/// A name that has to be there.
pub(super) fn name(
    reader: &mut Reader<'_>,
    parent: &Path,
    key: &str,
    object: &Map<String, Value>,
) -> Option<String> {
    let path = parent.key(key);
    if object.get(key).is_none_or(Value::is_null) {
        reader.missing(parent, key, object);
        return None;
    }
    let name = reader.string(&path, object.get(key))?;
    if name.trim().is_empty() {
        reader.problem(&path, format!("`{key}` is empty"), None);
        return None;
    }
    Some(name)
}

/// A list of names. An empty list means all of them, so none may get lost.
pub(super) fn names(
    reader: &mut Reader<'_>,
    path: &Path,
    value: Option<&Value>,
) -> Option<Vec<String>> {
    let is_nothing =
        |item: &Value| item.is_null() || item.as_str().is_some_and(|name| name.trim().is_empty());
    let items = match value {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    for (index, _) in items
        .iter()
        .enumerate()
        .filter(|(_, item)| is_nothing(item))
    {
        let hint = "remove it; write `[]` for all".to_owned();
        reader.problem(&path.index(index), "there is no name here", Some(hint));
    }
    reader.strings(path, value)
}

fn interval(reader: &mut Reader<'_>, path: &Path, value: Option<&Value>) -> Option<Duration> {
    let interval = reader.duration(path, value)?;
    if interval < SHORTEST_INTERVAL {
        let message = format!("expected at least {SHORTEST_INTERVAL:?}, found {interval:?}");
        let hint = "webhooks are followed at once; this is for what they miss".to_owned();
        reader.problem(path, message, Some(hint));
        return None;
    }
    Some(interval)
}

fn guards(reader: &mut Reader<'_>, path: &Path, value: Option<&Value>) -> Option<Guards> {
    const KEYS: &[&str] = &[
        "openAfter",
        "resolveAfter",
        "reopenWithin",
        "settle",
        "maxChangesPerHour",
        "openDuringMaintenance",
        "openBesideOthers",
    ];
    let guards = reader.object(path, value)?;
    reader.refuse_unknown_keys(path, guards, KEYS);
    let mut duration = |key: &str| reader.duration(&path.key(key), guards.get(key));
    let [open_after, resolve_after, reopen_within, settle] =
        ["openAfter", "resolveAfter", "reopenWithin", "settle"].map(&mut duration);

    let key = "maxChangesPerHour";
    let max_changes_per_hour = reader.whole_number(&path.key(key), guards.get(key));
    if max_changes_per_hour == Some(0) {
        let hint = "write `mode: plan` to see what would change, or null for no limit".to_owned();
        reader.problem(&path.key(key), "with 0 nothing is ever changed", Some(hint));
    }
    let mut flag = |key: &str| reader.boolean(&path.key(key), guards.get(key), false);
    let [open_during_maintenance, open_beside_others] =
        ["openDuringMaintenance", "openBesideOthers"].map(&mut flag);
    Some(Guards {
        open_after: open_after?,
        resolve_after: resolve_after?,
        reopen_within: reopen_within?,
        settle: settle?,
        max_changes_per_hour,
        open_during_maintenance,
        open_beside_others,
    })
}

fn notify(reader: &mut Reader<'_>, path: &Path, value: Option<&Value>) -> Option<Notify> {
    const KEYS: &[&str] = &["opened", "updated", "reopened", "resolved"];
    let notify = reader.object(path, value)?;
    reader.refuse_unknown_keys(path, notify, KEYS);
    let mut flag = |key: &str| reader.boolean(&path.key(key), notify.get(key), true);
    let [opened, updated, reopened, resolved] =
        ["opened", "updated", "reopened", "resolved"].map(&mut flag);
    Some(Notify {
        opened,
        updated,
        reopened,
        resolved,
    })
}
