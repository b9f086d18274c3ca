//! Reads `templates`.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::IncidentStatus;
use crate::{
    document::{Path, Reader, nearest},
    reconcile::text::{Layout, Template, Text},
};

/// The template from which others take what they leave out.
const DEFAULT: &str = "default";

const KEYS: &[&str] = &[
    "name",
    "status",
    "opened",
    "reopened",
    "joined",
    "left",
    "acknowledged",
    "escalated",
    "reassigned",
    "resolved",
    "superseded",
];

/// Texts that need not be: null means that there is none.
const OPTIONAL: &[&str] = &[
    "reopened",
    "joined",
    "left",
    "acknowledged",
    "escalated",
    "reassigned",
];

/// By name; None for one with mistakes, which were noted.
pub(super) struct Templates(BTreeMap<String, Option<Arc<Template>>>);

impl Templates {
    pub(super) fn default(&self) -> Option<Arc<Template>> {
        self.0.get(DEFAULT).cloned().flatten()
    }

    /// The template of a rule.
    pub(super) fn find(
        &self,
        reader: &mut Reader<'_>,
        path: &Path,
        name: &str,
    ) -> Option<Arc<Template>> {
        if let Some(template) = self.0.get(name) {
            return template.clone();
        }
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let hint = match nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there is {}", known.join(", ")),
        };
        reader.problem(path, format!("there is no template `{name}`"), Some(hint));
        None
    }

    /// Warns of templates that no rule has.
    pub(super) fn warn_of_unused(&self, reader: &mut Reader<'_>, path: &Path, used: &[String]) {
        let names = self.0.keys().filter(|name| *name != DEFAULT);
        for name in names.filter(|name| !used.contains(name)) {
            reader.warning(&path.key(name), "no rule uses this template");
        }
    }
}

/// Adds what the default template of the document leaves out.
pub(super) fn complete(templates: &mut Map<String, Value>, built_in: &Map<String, Value>) {
    let Some(Value::Object(defaults)) = built_in.get(DEFAULT) else {
        return;
    };
    let default = templates
        .entry(DEFAULT)
        .or_insert_with(|| Value::Object(Map::new()));
    if default.is_null() {
        *default = Value::Object(Map::new());
    }
    if let Value::Object(default) = default {
        super::parse::complete(default, defaults, OPTIONAL);
    }
}

pub(super) fn read(reader: &mut Reader<'_>, path: &Path, value: Option<&Value>) -> Templates {
    let mut templates = BTreeMap::new();
    if let Some(written) = reader.object(path, value) {
        let default = written
            .get(DEFAULT)
            .and_then(|value| template(reader, &path.key(DEFAULT), value, None));
        for (name, value) in written.iter().filter(|(name, _)| *name != DEFAULT) {
            let template = template(reader, &path.key(name), value, default.as_deref());
            templates.insert(name.clone(), template);
        }
        templates.insert(DEFAULT.to_owned(), default);
    }
    Templates(templates)
}

fn template(
    reader: &mut Reader<'_>,
    path: &Path,
    value: &Value,
    base: Option<&Template>,
) -> Option<Arc<Template>> {
    let nothing = Map::new();
    let object = match value {
        Value::Null => &nothing,
        value => reader.object(path, Some(value))?,
    };
    reader.refuse_unknown_keys(path, object, KEYS);

    let status_path = path.key("status");
    let status = match object.get("status") {
        None | Some(Value::Null) => base.map(|base| base.status),
        value => reader.choice(&status_path, value, IncidentStatus::WORDS),
    };
    let mut required = |key: &str, layout, base: Option<&Text>| match object.get(key) {
        None | Some(Value::Null) => base.cloned(),
        Some(value) => text(reader, &path.key(key), value, layout),
    };
    let name = required("name", Layout::Line, base.map(|base| &base.name));
    let opened = required("opened", Layout::Paragraphs, base.map(|base| &base.opened));
    let resolved = required(
        "resolved",
        Layout::Paragraphs,
        base.map(|base| &base.resolved),
    );
    let superseded = required(
        "superseded",
        Layout::Paragraphs,
        base.map(|base| &base.superseded),
    );
    // The outer option is None where there is a mistake.
    let mut optional = |key: &str, base: Option<&Text>| match object.get(key) {
        None => Some(base.cloned()),
        Some(Value::Null) => Some(None),
        Some(value) => text(reader, &path.key(key), value, Layout::Paragraphs).map(Some),
    };
    let own = |text: fn(&Template) -> &Option<Text>| base.and_then(|base| text(base).as_ref());
    let reopened = optional("reopened", own(|base| &base.reopened));
    let joined = optional("joined", own(|base| &base.joined));
    let left = optional("left", own(|base| &base.left));
    let acknowledged = optional("acknowledged", own(|base| &base.acknowledged));
    let escalated = optional("escalated", own(|base| &base.escalated));
    let reassigned = optional("reassigned", own(|base| &base.reassigned));
    Some(Arc::new(Template {
        name: name?,
        status: status?,
        opened: opened?,
        reopened: reopened?,
        joined: joined?,
        left: left?,
        acknowledged: acknowledged?,
        escalated: escalated?,
        reassigned: reassigned?,
        resolved: resolved?,
        superseded: superseded?,
    }))
}

fn text(reader: &mut Reader<'_>, path: &Path, value: &Value, layout: Layout) -> Option<Text> {
    let source = reader.string(path, Some(value))?;
    match Text::parse(&path.to_string(), &source, layout) {
        Ok(text) => Some(text),
        Err(invalid) => {
            reader.problem_within(path, &source, invalid.span, invalid.message, invalid.hint);
            None
        }
    }
}
