//! Reads `rules`.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{
    AlertSource, ComponentStatus, Group, Rule, Status, StatusRule,
    parse::{name, names},
    template::Templates,
};
use crate::{
    document::{Path, Reader, nearest},
    jq::Filter,
};

const KEYS: &[&str] = &[
    "name",
    "source",
    "accounts",
    "pages",
    "statuses",
    "keep",
    "when",
    "components",
    "componentStatus",
    "group",
    "template",
];

/// Adds what a rule leaves out, as in the built-in rule for the same source.
pub(super) fn complete(rules: &mut [Value], built_in: &[Value]) {
    for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
        let same_source = built_in
            .iter()
            .find(|default| default.get("source") == rule.get("source"));
        // Any other for a source that there is not, so that this alone is reported.
        let default = same_source.or(built_in.first()).and_then(Value::as_object);
        if let Some(default) = default {
            let defaults: Map<String, Value> = default
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "name" | "source"))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            super::parse::complete(rule, &defaults, &[]);
        }
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    path: &Path,
    value: Option<&Value>,
    templates: &Templates,
) -> Option<Vec<Rule>> {
    let Some(Value::Array(written)) = value else {
        let hint = "begin each rule with `- name: …`; leave `rules` out for the default rules";
        reader.problem(path, "`rules` has to be a list", Some(hint.to_owned()));
        return None;
    };
    if written.is_empty() {
        reader.warning(
            path,
            "there is no rule, so nothing is announced; what is announced already is resolved once its incidents are over",
        );
    }
    let mut used = Vec::new();
    let rules = written
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let path = path.index(index);
            let Some(object) = reader.object(&path, Some(value)) else {
                if value.is_null() {
                    reader.problem(&path, "this rule is empty", Some("remove it".to_owned()));
                }
                return None;
            };
            let rule = rule(reader, &path, object, templates);
            used.extend(object.get("template")?.as_str().map(str::to_owned));
            rule
        })
        .collect();
    names_differ(reader, path, written);
    templates.warn_of_unused(reader, &Path::default().key("templates"), &used);
    Some(rules)
}

/// A public incident remembers its rule by name.
fn names_differ(reader: &mut Reader<'_>, path: &Path, rules: &[Value]) {
    let written = |rule: &Value| match rule.get("name")? {
        Value::String(name) => Some(name.clone()),
        Value::Number(name) => Some(name.to_string()),
        _ => None,
    };
    let mut seen = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        let Some(name) = written(rule) else { continue };
        if !seen.insert(name.clone()) {
            reader.problem(
                &path.index(index).key("name"),
                format!("there already is a rule `{name}`"),
                Some("give each rule a name of its own".to_owned()),
            );
        }
    }
}

fn rule(
    reader: &mut Reader<'_>,
    path: &Path,
    rule: &Map<String, Value>,
    templates: &Templates,
) -> Option<Rule> {
    reader.refuse_unknown_keys(path, rule, KEYS);
    // Read everything before giving up on anything, so that all of it is reported.
    let name = name(reader, path, "name", rule);
    let source = source(reader, path, rule);
    let accounts = names(reader, &path.key("accounts"), rule.get("accounts"));
    let pages = names(reader, &path.key("pages"), rule.get("pages"));
    let statuses = source.and_then(|source| {
        let opens = statuses(reader, path, "statuses", rule, source);
        let keeps = statuses(reader, path, "keep", rule, source);
        let (opens, keeps) = (opens?, keeps?);
        check_keep(reader, &path.key("keep"), source, &opens, &keeps);
        Some((opens, keeps))
    });
    let when = when(reader, path, rule);
    let components = components(reader, path, rule);
    let component_status = component_status(reader, path, rule);
    let group = reader.choice(&path.key("group"), rule.get("group"), Group::WORDS);
    let template_path = path.key("template");
    let template = reader
        .string(&template_path, rule.get("template"))
        .and_then(|name| templates.find(reader, &template_path, &name));
    let (opens, keeps) = statuses?;
    Some(Rule {
        name: name?,
        source: source?,
        accounts: accounts?,
        pages: pages?,
        opens,
        keeps,
        when: when?,
        components: components?,
        component_status: component_status?,
        group: group?,
        template: template?,
    })
}

fn source(reader: &mut Reader<'_>, path: &Path, rule: &Map<String, Value>) -> Option<AlertSource> {
    if rule.get("source").is_none_or(Value::is_null) {
        reader.missing(path, "source", rule);
        return None;
    }
    reader.choice(&path.key("source"), rule.get("source"), AlertSource::WORDS)
}

fn statuses(
    reader: &mut Reader<'_>,
    path: &Path,
    key: &str,
    rule: &Map<String, Value>,
    source: AlertSource,
) -> Option<Vec<Status>> {
    let path = path.key(key);
    let written = match rule.get(key) {
        Some(Value::Array(written)) => written.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    if written.is_empty() {
        let hint = "leave the key out for the default, or the rule for none".to_owned();
        reader.problem(&path, format!("`{key}` is empty"), Some(hint));
        return None;
    }
    let mut statuses = Vec::with_capacity(written.len());
    for (index, value) in written.iter().enumerate() {
        let path = path.index(index);
        let word = value.as_str().unwrap_or_default();
        match source.status(word) {
            Some(status) if statuses.contains(&status) => {}
            Some(status) => statuses.push(status),
            None => {
                let known: Vec<&str> = source.statuses().iter().map(|(word, _)| *word).collect();
                reader.problem(
                    &path,
                    format!("{source} has no status {value}"),
                    Some(format!("it has {}", known.join(" and "))),
                );
            }
        }
    }
    (!statuses.is_empty()).then_some(statuses)
}

/// What would open an incident and not keep it open would do both for ever.
fn check_keep(
    reader: &mut Reader<'_>,
    path: &Path,
    source: AlertSource,
    opens: &[Status],
    keeps: &[Status],
) {
    let mut statuses = source.statuses().iter();
    let lost = statuses.find(|(_, status)| opens.contains(status) && !keeps.contains(status));
    if let Some((word, _)) = lost {
        let message = format!("`{word}` opens an incident and does not keep it open");
        let hint = format!("add `{word}` here, or take it out of `statuses`");
        reader.problem(path, message, Some(hint));
    }
}

fn when(reader: &mut Reader<'_>, path: &Path, rule: &Map<String, Value>) -> Option<Arc<Filter>> {
    let filter = reader.required_expression(path, "when", rule)?.filter;
    if filter.literal().is_some() {
        let hint = "write `when: \"true\"`, or a comparison such as `.urgency == \"high\"`";
        reader.problem(
            &path.key("when"),
            "`when` has to give true or false, this one always gives a text",
            Some(hint.to_owned()),
        );
        return None;
    }
    Some(filter)
}

fn components(
    reader: &mut Reader<'_>,
    path: &Path,
    rule: &Map<String, Value>,
) -> Option<Arc<Filter>> {
    if let Some(list @ Value::Array(_)) = rule.get("components") {
        let hint = format!("for fixed components write the list as a text: '{list}'");
        let message = "expected an expression, found a list";
        reader.problem(&path.key("components"), message, Some(hint));
        return None;
    }
    let components = reader.required_expression(path, "components", rule)?;
    Some(components.filter)
}

/// The words that a public incident may give a component.
fn component_statuses() -> impl Iterator<Item = (&'static str, ComponentStatus)> {
    let all = ComponentStatus::WORDS.iter().copied();
    all.filter(|(_, status)| *status != ComponentStatus::Operational)
}

/// A word for a status, or an expression.
fn component_status(
    reader: &mut Reader<'_>,
    path: &Path,
    rule: &Map<String, Value>,
) -> Option<StatusRule> {
    let path = path.key("componentStatus");
    let words: Vec<_> = component_statuses().collect();
    let value = rule.get("componentStatus")?;
    let written = value.as_str().unwrap_or_default().trim();
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    // A word that is nearly one of them is not meant as an expression.
    let is_word = !written.contains('"')
        && (written == ComponentStatus::Operational.as_str() || nearest(written, &known).is_some());
    if is_word {
        let chosen = reader.choice(&path, Some(&Value::from(written)), &words);
        return chosen.map(StatusRule::Fixed);
    }
    let filter = reader.expression(&path, value)?.filter;
    match filter.literal() {
        Some(word) => {
            let chosen = reader.choice(&path, Some(&Value::from(word)), &words);
            chosen.map(StatusRule::Fixed)
        }
        None => Some(StatusRule::Expression(filter)),
    }
}
