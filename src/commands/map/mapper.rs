//! A mapping, and the resource configs of it that objects of a kind go through.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::Refused;
use super::explain::remedy;
use crate::catalog::{Defaults, DefaultsError};
use crate::causes::one_line;
use crate::commands::Exit;
use crate::commands::output::{printable, tell};
use crate::document::{DocumentProblem, Snippet};
use crate::jq::{Jq, Limits};
use crate::mapping::{Cause, Consumer, Finding, Findings, RawBatch, Severity, map_batch};
use crate::resource_config::{self, MappingDocument, ResourceConfig, UnknownKind};
use crate::settings::SourceName;
use crate::source::may_list;

/// The mapping of a file, or the defaults of whatever source is asked for.
pub(super) struct Mappings<'a> {
    jq: &'a Jq,
    file: Option<&'a Path>,
    /// By origin: each is read once, and its warnings are told once.
    read: RefCell<BTreeMap<String, Rc<MappingDocument>>>,
}

impl<'a> Mappings<'a> {
    pub(super) fn new(jq: &'a Jq, file: Option<&'a Path>) -> Self {
        Self {
            jq,
            file,
            read: RefCell::default(),
        }
    }

    /// What maps objects of this kind, or of the one kind that the mapping has.
    pub(super) fn mapper(&self, kind: Option<&str>) -> Result<Mapper<'a>, Refused> {
        let (origin, document) = match (self.file, kind) {
            (Some(file), _) => self.own(file)?,
            (None, Some(kind)) => {
                let source = resource_config::source_of(kind).map_err(unknown)?;
                let (origin, document) = self.defaults(source)?;
                if !document
                    .resources
                    .iter()
                    .any(|config| is_meant(config, kind))
                {
                    return Err(Refused::Mapping(format!(
                        "no default mapping has a kind `{kind}`\n    hint: they have {}; any other needs a \
                         mapping of its own with --mapping",
                        default_kinds()?
                    )));
                }
                (origin, document)
            }
            (None, None) => {
                return Err(Refused::Mapping(format!(
                    "the objects may be of any kind\n    hint: say which with --kind, one of {}; or give a \
                     mapping of one kind with --mapping",
                    default_kinds()?
                )));
            }
        };
        let configs = chosen(&origin, &document.resources, kind)?;
        Ok(Mapper {
            jq: self.jq,
            limits: Limits::default(),
            kind: configs
                .first()
                .map_or_else(String::new, |config| config.kind_text.clone()),
            origin,
            configs,
        })
    }

    fn own(&self, file: &Path) -> Result<(String, Rc<MappingDocument>), Refused> {
        self.once(file.display().to_string(), |origin| {
            let text = fs::read_to_string(file)
                .map_err(|error| Refused::Mapping(format!("cannot read {origin}: {error}")))?;
            resource_config::parse_text_alone(&text, origin, self.jq)
                .map_err(|invalid| Refused::Mapping(invalid.to_string()))
        })
    }

    fn defaults(&self, source: SourceName) -> Result<(String, Rc<MappingDocument>), Refused> {
        self.once(format!("the default {source} mapping"), |origin| {
            let defaults = Defaults::embedded(&[source]).map_err(|error| broken(&error))?;
            resource_config::parse_value(&defaults.mapping, origin, &[source], self.jq)
                .map_err(|invalid| Refused::Mapping(invalid.to_string()))
        })
    }

    fn once(
        &self,
        origin: String,
        read: impl FnOnce(&str) -> Result<resource_config::Parsed, Refused>,
    ) -> Result<(String, Rc<MappingDocument>), Refused> {
        if let Some(known) = self.read.borrow().get(&origin) {
            return Ok((origin, Rc::clone(known)));
        }
        let parsed = read(&origin)?;
        for warning in parsed.warnings {
            tell(&format_args!("warning: {warning}"));
        }
        let document = Rc::new(parsed.document);
        let mut known = self.read.borrow_mut();
        known.insert(origin.clone(), Rc::clone(&document));
        Ok((origin, document))
    }
}

fn unknown(unknown: UnknownKind) -> Refused {
    let hint = unknown
        .hint
        .map_or_else(String::new, |hint| format!("\n    hint: {hint}"));
    Refused::Mapping(format!("{}{hint}", unknown.message))
}

/// What comes with the program is tested; that it is broken can only be told.
fn broken(error: &DefaultsError) -> Refused {
    Refused::Mapping(one_line(error))
}

/// The kinds of all defaults, with their source where that is needed.
fn default_kinds() -> Result<String, Refused> {
    let defaults = Defaults::embedded(&SourceName::ALL).map_err(|error| broken(&error))?;
    let resources = defaults.mapping.get("resources").and_then(Value::as_array);
    let kinds = resources.into_iter().flatten();
    Ok(listed(
        kinds.filter_map(|resource| resource.get("kind")?.as_str()),
    ))
}

/// Each once, in their order.
fn listed<'k>(kinds: impl Iterator<Item = &'k str>) -> String {
    let mut listed: Vec<&str> = Vec::new();
    for kind in kinds {
        if !listed.contains(&kind) {
            listed.push(kind);
        }
    }
    listed.join(", ")
}

/// The resource configs of a kind, as the document spells it or with its source.
fn chosen(
    origin: &str,
    resources: &[Arc<ResourceConfig>],
    kind: Option<&str>,
) -> Result<Vec<Arc<ResourceConfig>>, Refused> {
    let kinds = || listed(resources.iter().map(|config| config.kind_text.as_str()));
    let configs: Vec<_> = resources
        .iter()
        .filter(|config| kind.is_none_or(|kind| is_meant(config, kind)))
        .cloned()
        .collect();
    let refused = |message: String, hint: &str| {
        Err(Refused::Mapping(format!(
            "{message}\n    hint: {hint} {}",
            kinds()
        )))
    };
    match (configs.as_slice(), kind) {
        ([], _) if resources.is_empty() => Err(Refused::Mapping(format!(
            "{origin} has no resources\n    hint: give it a list `resources`, each of them with kind, \
             selector and port"
        ))),
        ([], Some(kind)) => refused(format!("{origin} has no kind `{kind}`"), "it has"),
        ([first, rest @ ..], _) if rest.iter().all(|other| is_same_kind(other, first)) => {
            Ok(configs)
        }
        (_, None) => refused(
            format!("{origin} has several kinds"),
            "say which the objects are with --kind, one of",
        ),
        (_, Some(kind)) => refused(
            format!("several sources of {origin} have a kind `{kind}`"),
            "say which one:",
        ),
    }
}

/// Whether a kind is that of the resource config, as it is spelt there or with its source.
fn is_meant(config: &ResourceConfig, kind: &str) -> bool {
    let name = config.kind.to_string();
    config.kind_text == kind
        || name == kind
        || kind.split_once('.') == Some((config.kind.source().as_str(), &name))
}

fn is_same_kind(one: &ResourceConfig, other: &ResourceConfig) -> bool {
    one.kind.source() == other.kind.source() && one.kind.to_string() == other.kind.to_string()
}

/// Maps objects of one kind.
pub(super) struct Mapper<'a> {
    pub(super) jq: &'a Jq,
    pub(super) limits: Limits,
    pub(super) origin: String,
    pub(super) configs: Vec<Arc<ResourceConfig>>,
    kind: String,
}

/// What came of the objects so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) objects: usize,
    pub(super) entities: usize,
    pub(super) filtered: u64,
    pub(super) failed: u64,
    /// Objects that no selector asks the API for.
    pub(super) unlisted: usize,
    pub(super) findings: Findings,
}

impl Mapper<'_> {
    /// The kind as the mapping writes it.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// The entities of some objects, as they would be sent.
    pub(super) fn map(&self, objects: &[Value], tally: &mut Tally) -> Vec<Value> {
        tally.count(objects, &self.configs);
        let mut entities = Vec::new();
        for config in &self.configs {
            let listed = objects.iter().filter(|object| may_list(config, object));
            let batch = RawBatch {
                objects: listed.cloned().collect(),
                ..RawBatch::default()
            };
            let consumer = Consumer {
                config: Arc::clone(config),
                columns: Vec::new(),
            };
            for mapped in map_batch(&batch, &[consumer], &self.limits) {
                tally.filtered += mapped.filtered_out;
                tally.failed += mapped.failed;
                tally.findings.merge(mapped.findings);
                // An entity is plain data, which JSON can hold.
                let values = mapped.entities.iter().map(serde_json::to_value);
                entities.extend(values.filter_map(Result::ok));
            }
        }
        tally.entities += entities.len();
        entities
    }

    /// Tells on standard error what fell short: what a resync would log, a null aside.
    pub(super) fn tell_findings(&self, tally: &Tally) {
        for finding in tally.findings.iter() {
            if finding.severity == Severity::Warning && finding.cause == Cause::Null {
                continue;
            }
            let level = match finding.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            let message = format!("{} ({})", finding.message, finding.objects());
            let told = self.told(finding, message);
            tell(&format_args!("{level}: {}", printable(told.trim_start())));
        }
    }

    /// A finding in these words, with its place in the mapping.
    pub(super) fn told(&self, finding: &Finding, message: String) -> String {
        let text = finding.expression.trim_end();
        // Of an expression of several lines only the first would be underlined.
        let span = (!text.contains('\n')).then_some(0..text.len());
        let problem = DocumentProblem {
            path: finding.path.clone(),
            position: finding.position,
            expression: Some(Snippet {
                text: text.to_owned(),
                span,
            }),
            message,
            hint: remedy(finding.cause, &finding.message).map(str::to_owned),
        };
        problem.in_document(&self.origin).to_string()
    }
}

impl Tally {
    pub(super) fn count(&mut self, objects: &[Value], configs: &[Arc<ResourceConfig>]) {
        let is_listed = |object: &&Value| configs.iter().any(|config| may_list(config, object));
        self.objects += objects.len();
        self.unlisted += objects.len() - objects.iter().filter(is_listed).count();
    }

    /// One line for people.
    pub(super) fn told(&self, kind: &str) -> String {
        let (objects, entities) = (self.objects, self.entities);
        let of = |count: usize, one: &str, several: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {several}"),
        };
        let unlisted = match self.unlisted {
            0 => String::new(),
            count => format!(", {count} that no selector asks the API for"),
        };
        format!(
            "{} of `{kind}`: {}, {} filtered, {} failed{unlisted}",
            of(objects, "object", "objects"),
            of(entities, "entity", "entities"),
            self.filtered,
            self.failed
        )
    }

    pub(super) fn exit(&self) -> Exit {
        if self.failed == 0 {
            Exit::Done
        } else {
            Exit::Partly
        }
    }
}
