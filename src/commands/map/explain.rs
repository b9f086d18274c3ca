//! `portolan map --explain`: for each object and resource config what becomes of
//! it, and every expression on the way with what it gave.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::mapper::{Mapper, Tally};
use crate::commands::output::printable;
use crate::document::{DocumentProblem, Expression, Snippet};
use crate::jq::Looked;
use crate::mapping::{Asked, Cause, EntityIdentifier, Explained, Fate, explain};
use crate::resource_config::ResourceConfig;
use crate::source::may_list;

/// Longest expression and value that are shown, in characters.
const SHOWN: usize = 160;
/// Widest column of names.
const NAMES: usize = 36;

/// Explains some objects; `before`: how many there were before them.
pub(super) fn told(
    mapper: &Mapper<'_>,
    before: usize,
    objects: &[Value],
    tally: &mut Tally,
) -> String {
    tally.count(objects, &mapper.configs);
    let mut text = String::new();
    for (place, object) in objects.iter().enumerate() {
        let name = match object.get("id") {
            Some(Value::String(id)) => format!("object {} `{}`", before + place + 1, cut(id)),
            Some(Value::Number(id)) => format!("object {} `{id}`", before + place + 1),
            _ => format!("object {}", before + place + 1),
        };
        for config in &mapper.configs {
            let at = format!("{name} by resources[{}]", config.index);
            if !may_list(config, object) {
                line(
                    &mut text,
                    &format!(
                        "{at}: is not asked for: the API would not list it for this selector\n"
                    ),
                );
                continue;
            }
            tell_object(&mut text, mapper, &at, object, config, tally);
        }
    }
    text
}

fn tell_object(
    text: &mut String,
    mapper: &Mapper<'_>,
    at: &str,
    object: &Value,
    config: &Arc<ResourceConfig>,
    tally: &mut Tally,
) {
    let all = explain(object, config, &mapper.limits);
    let several = all.len();
    for (item, explained) in all.into_iter().enumerate() {
        let at = match several {
            1 => at.to_owned(),
            _ => format!("{at}, item {}", item + 1),
        };
        line(text, &format!("{at}: {}", fate(&explained, tally)));
        let width = explained
            .asked
            .iter()
            .map(|asked| field(asked.expression).len());
        let width = width.max().unwrap_or_default().min(NAMES);
        for asked in &explained.asked {
            tell_asked(text, mapper, asked, width, &explained.fate);
        }
        for finding in explained.findings.iter() {
            if !matches!(finding.cause, Cause::Null | Cause::Failed) {
                below(text, &mapper.told(finding, finding.message.clone()));
            }
        }
        line(text, "");
    }
}

/// What became of it, which is counted.
fn fate(explained: &Explained<'_>, tally: &mut Tally) -> String {
    match &explained.fate {
        Fate::Entity(entity) => {
            tally.entities += 1;
            let identifier = match &entity.identifier {
                EntityIdentifier::Text(identifier) => format!("`{identifier}`"),
                EntityIdentifier::Search(_) => "that the search finds".to_owned(),
            };
            format!("becomes the entity {identifier} of `{}`", entity.blueprint)
        }
        Fate::FilteredOut => {
            tally.filtered += 1;
            "is dropped by selector.query".to_owned()
        }
        Fate::LeftOut => {
            let is_of_items = explained.asked.len() == 1;
            if is_of_items {
                return "has no items".to_owned();
            }
            tally.filtered += 1;
            "is left out".to_owned()
        }
        Fate::Failed => {
            tally.failed += 1;
            "fails".to_owned()
        }
    }
}

fn tell_asked(
    text: &mut String,
    mapper: &Mapper<'_>,
    asked: &Asked<'_>,
    width: usize,
    fate: &Fate,
) {
    let name = field(asked.expression);
    let expression = cut(asked.expression.filter.text());
    let gave = match &asked.gave {
        Ok(Some(value)) => cut(&value.to_string()),
        Ok(None) => "null".to_owned(),
        Err(_) => "failed".to_owned(),
    };
    let is_dropping = matches!(fate, Fate::FilteredOut) && name == "selector.query";
    let why = match &asked.gave {
        Ok(None) => listed(&asked.looked, false),
        Ok(Some(_)) if is_dropping => listed(&asked.looked, true),
        Ok(Some(_)) | Err(_) => String::new(),
    };
    line(
        text,
        &format!("    {name:<width$}  {expression} → {gave}{why}"),
    );
    if let Err(error) = &asked.gave {
        let filter = &asked.expression.filter;
        let problem = DocumentProblem {
            path: asked.expression.path.clone(),
            position: asked.expression.position,
            expression: Some(Snippet {
                text: filter.text().to_owned(),
                span: Some(mapper.jq.blame(filter, &asked.input)),
            }),
            message: format!("failed: {error}"),
            hint: remedy(Cause::Failed, &error.to_string()).map(str::to_owned),
        };
        below(text, &problem.in_document(&mapper.origin).to_string());
    }
}

/// Why a value is null, or a selector false: what was looked at.
fn listed(looked: &[Looked], with_found: bool) -> String {
    let parts: Vec<String> = looked
        .iter()
        .filter_map(|part| match part {
            Looked::Missing(reason) => Some(reason.clone()),
            Looked::Found(path, value) => {
                with_found.then(|| format!("`{path}` is {}", cut(&value.to_string())))
            }
        })
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    }
}

/// `properties.startDate` of `resources[3].port.entity.mappings.properties.startDate`.
fn field(expression: &Expression) -> &str {
    let path = expression.path.as_str();
    path.split_once(".mappings.")
        .or_else(|| path.split_once("]."))
        .map_or(path, |(_, field)| field)
}

fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What the author can do about an expression that fell short.
pub(super) fn remedy(cause: Cause, message: &str) -> Option<&'static str> {
    let says = |words: &str| message.contains(words);
    match cause {
        Cause::Failed if says("stopped: ") => {
            Some("give it less to do: a shorter list, or no loop without an end")
        }
        Cause::Failed if says("cannot iterate over") => Some(
            "`[]` wants a list or an object: `[]?` gives nothing where there is none, and `// []` \
             before it makes null an empty list",
        ),
        Cause::Failed if says("cannot index") => Some(
            "`.key` wants an object and `.[0]` a list: a `?` behind it gives nothing where there is none",
        ),
        Cause::Failed => Some(
            "`(…)? // null` around what may fail gives null instead; `if … then … else … end` asks first",
        ),
        Cause::WrongType if says("instead of true or false") => {
            Some("compare, so that it is true or false: `.key == true`, `.key != null`")
        }
        Cause::WrongType if says("Port wants a text") => Some("`| tostring` makes it a text"),
        Cause::WrongType if says("instead of a list") => {
            Some("`[…]` around it makes a list of it, `to_entries` one of an object")
        }
        Cause::WrongType | Cause::Null | Cause::LeftOut | Cause::Refused | Cause::Unavailable => {
            None
        }
    }
}

/// A problem, indented below what it is about.
fn below(text: &mut String, problem: &str) {
    for part in problem.lines() {
        line(text, &format!("      {part}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    writeln!(text, "{}", printable(line)).unwrap_or_default();
}
