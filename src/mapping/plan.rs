//! One consumer, prepared for one batch: which columns it sees, and which of
//! its expressions cannot be trusted where data is missing.

use serde_json::{Map, Value};

use super::{
    Mapped,
    entity::{Entity, EntityIdentifier},
    evaluate::{Evaluation, first, type_name},
    finding::{Cause, Findings, Severity},
    identifier, items,
    raw::{Column, Consumer, Object, RawBatch},
};
use crate::{
    jq::{Limits, Step, Val},
    resource_config::{Expression, ResourceConfig, Template},
};

const LOST: &str = "the object is lost";

pub(super) struct Plan<'a> {
    config: &'a ResourceConfig,
    limits: &'a Limits,
    /// Places of the columns that this consumer sees.
    columns: Vec<usize>,
    /// What is missing from some or all objects.
    gaps: Vec<Gap<'a>>,
    title: Option<Part<'a, Expression>>,
    icon: Option<Part<'a, Expression>>,
    team: Option<Part<'a, Template>>,
    properties: Vec<(&'a str, Part<'a, Template>)>,
    relations: Vec<(&'a str, Part<'a, Template>)>,
    /// The expressions without which there is no entity, with the gaps they may see.
    essential: Vec<(&'a Expression, Vec<bool>)>,
}

/// Data that could not be fetched.
struct Gap<'a> {
    path: Vec<Step>,
    /// None: missing from every object.
    column: Option<&'a Column>,
}

/// Part of the mapping, with the gaps it may see.
struct Part<'a, T> {
    mapping: &'a T,
    sees: Vec<bool>,
}

/// One raw object on its way through a plan.
struct Subject<'a> {
    input: &'a Val,
    /// By gap: whether this object has it. Empty when it has none.
    missing: &'a [bool],
    label: Option<String>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(consumer: &'a Consumer, batch: &'a RawBatch, limits: &'a Limits) -> Self {
        let config = consumer.config.as_ref();
        let columns: Vec<_> = (0..batch.columns.len())
            .filter(|&place| consumer.columns.contains(&batch.columns[place].key))
            .collect();
        let incomplete = columns
            .iter()
            .map(|&place| &batch.columns[place])
            .filter(|column| (0..batch.objects.len()).any(|index| column.is_missing(index)))
            .map(|column| Gap {
                path: vec![Step::Key(column.key.into())],
                column: Some(column),
            });
        let everywhere = batch.unavailable.iter().map(|path| Gap {
            path: path.clone(),
            column: None,
        });
        let gaps: Vec<_> = incomplete.chain(everywhere).collect();

        let sees =
            |reads: &dyn Fn(&[Step]) -> bool| gaps.iter().map(|gap| reads(&gap.path)).collect();
        let expression = |mapping: &'a Expression| Part {
            mapping,
            sees: sees(&|path| mapping.filter.may_read(path)),
        };
        let template = |mapping: &'a Template| Part {
            mapping,
            sees: sees(&|path| mapping.may_read(path)),
        };
        let fields = |fields: &'a [(String, Template)]| {
            fields
                .iter()
                .map(|(key, field)| (key.as_str(), template(field)))
                .collect()
        };
        let mapping = &config.mapping;
        let mut needed: Vec<_> = [Some(&config.query), Some(&mapping.blueprint)]
            .into_iter()
            .flatten()
            .collect();
        needed.extend(
            config
                .items_to_parse
                .as_ref()
                .map(|items| &items.expression),
        );
        mapping
            .identifier
            .for_each_expression(&mut |expression| needed.push(expression));

        Self {
            config,
            limits,
            columns,
            title: mapping.title.as_ref().map(expression),
            icon: mapping.icon.as_ref().map(expression),
            team: mapping.team.as_ref().map(template),
            properties: fields(&mapping.properties),
            relations: fields(&mapping.relations),
            essential: needed
                .into_iter()
                .map(|expression| (expression, sees(&|path| expression.filter.may_read(path))))
                .collect(),
            gaps,
        }
    }

    pub(super) fn map(&self, object: &mut Object<'_>, mapped: &mut Mapped) {
        let missing = self.missing_from(object.index);
        let label = || object.label();
        if let Some((expression, _)) = self
            .essential
            .iter()
            .find(|(_, sees)| overlaps(sees, &missing))
        {
            // Whatever came out could be another object's entity, or the
            // wrong answer to whether this one is wanted.
            mapped.examined += 1;
            mapped.failed += 1;
            mapped.findings.note(
                expression,
                (Severity::Error, Cause::Unavailable),
                || {
                    "needs data that could not be fetched; the entity stays as it is in Port"
                        .to_owned()
                },
                label,
            );
            return;
        }
        let view = object.view(&self.columns);
        let each = |input: &Val, mapped: &mut Mapped| {
            let subject = Subject {
                input,
                missing: &missing,
                label: object.label(),
            };
            self.map_one(subject, mapped);
        };
        match &self.config.items_to_parse {
            None => each(&view, mapped),
            Some(items) => {
                for child in items::explode(items, &view, mapped, &|| object.label()) {
                    each(&child, mapped);
                }
            }
        }
    }

    fn missing_from(&self, index: usize) -> Vec<bool> {
        self.gaps
            .iter()
            .map(|gap| gap.column.is_none_or(|column| column.is_missing(index)))
            .collect()
    }

    fn map_one(&self, mut subject: Subject<'_>, mapped: &mut Mapped) {
        mapped.examined += 1;
        match self.is_selected(&subject, &mut mapped.findings) {
            Some(true) => {}
            Some(false) => {
                mapped.filtered_out += 1;
                return;
            }
            None => {
                mapped.failed += 1;
                return;
            }
        }
        match self.entity(&mut subject, &mut mapped.findings) {
            Some(entity) => mapped.entities.push(entity),
            None => mapped.failed += 1,
        }
    }

    fn is_selected(&self, subject: &Subject<'_>, findings: &mut Findings) -> Option<bool> {
        let (cause, message) = match self.config.query.filter.first(subject.input) {
            Ok(Some(Val::Bool(selected))) => return Some(selected),
            Ok(None) => (
                Cause::WrongType,
                "gave nothing instead of true or false".to_owned(),
            ),
            Ok(Some(other)) => (
                Cause::WrongType,
                format!("gave {} instead of true or false", type_name(&other)),
            ),
            Err(error) => (Cause::Failed, error.to_string()),
        };
        subject.lost(findings, &self.config.query, cause, || {
            format!("{message}; {LOST}")
        });
        None
    }

    fn entity(&self, subject: &mut Subject<'_>, findings: &mut Findings) -> Option<Entity> {
        let identifier = match &self.config.mapping.identifier {
            Template::Expression(expression) => self.identifier(expression, subject, findings)?,
            template => {
                let mut evaluation = self.evaluation(subject, findings);
                evaluation.severity = Severity::Error;
                let found = evaluation.template(template);
                if found.is_null() {
                    return None;
                }
                EntityIdentifier::Search(found)
            }
        };
        if let Some(text) = identifier.as_text() {
            subject.label = Some(text.to_owned());
        }
        let blueprint = self.blueprint(subject, findings)?;

        let mut evaluation = self.evaluation(subject, findings);
        let missing = subject.missing;
        let text = |part: &Option<Part<'_, Expression>>, evaluation: &mut Evaluation<'_>| {
            let part = part
                .as_ref()
                .filter(|part| !overlaps(&part.sees, missing))?;
            Some(evaluation.expression(part.mapping, "the field is null"))
        };
        let fields = |fields: &[(&str, Part<'_, Template>)], evaluation: &mut Evaluation<'_>| {
            fields
                .iter()
                .filter(|(_, part)| !overlaps(&part.sees, missing))
                .map(|(key, part)| ((*key).to_owned(), evaluation.template(part.mapping)))
                .collect::<Map<_, _>>()
        };
        Some(Entity {
            identifier,
            blueprint,
            title: text(&self.title, &mut evaluation),
            icon: text(&self.icon, &mut evaluation),
            team: self
                .team
                .as_ref()
                .filter(|part| !overlaps(&part.sees, missing))
                .map(|part| evaluation.template(part.mapping)),
            properties: fields(&self.properties, &mut evaluation),
            relations: fields(&self.relations, &mut evaluation),
        })
    }

    fn evaluation<'s>(
        &'s self,
        subject: &'s Subject<'_>,
        findings: &'s mut Findings,
    ) -> Evaluation<'s> {
        Evaluation {
            input: subject.input,
            limits: self.limits,
            findings,
            severity: Severity::Warning,
            label: subject.label.as_deref(),
        }
    }

    fn identifier(
        &self,
        expression: &Expression,
        subject: &Subject<'_>,
        findings: &mut Findings,
    ) -> Option<EntityIdentifier> {
        let identifier = match first(expression, subject.input, self.limits) {
            Ok(Some(Value::String(text))) => text,
            Ok(Some(Value::Number(number))) => {
                let text = number.to_string();
                text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
            }
            // An expression may build the search that a document could have spelt out.
            Ok(Some(Value::Object(search))) if search.contains_key("rules") => {
                return Some(EntityIdentifier::Search(Value::Object(search)));
            }
            Ok(Some(other)) => {
                subject.lost(findings, expression, Cause::WrongType, || {
                    format!(
                        "gave {} as identifier, Port wants a text; {LOST}",
                        json_type_name(&other)
                    )
                });
                return None;
            }
            Ok(None) => {
                subject.lost(findings, expression, Cause::Null, || {
                    format!("gave no identifier; {LOST} (if it is not wanted, let selector.query leave it out)")
                });
                return None;
            }
            Err(error) => {
                subject.lost(findings, expression, Cause::Failed, || {
                    format!("{error}; {LOST}")
                });
                return None;
            }
        };
        match identifier::check(&identifier) {
            Ok(()) => Some(EntityIdentifier::Text(identifier)),
            Err(refusal) => {
                let remedy = identifier::remedy(expression.filter.text(), refusal);
                let message = || {
                    let remedy =
                        remedy.map_or_else(String::new, |remedy| format!("; use {remedy}"));
                    format!("Port would refuse this identifier: {refusal}{remedy}")
                };
                findings.note(
                    expression,
                    (Severity::Error, Cause::Refused),
                    message,
                    || Some(identifier),
                );
                None
            }
        }
    }

    fn blueprint(&self, subject: &Subject<'_>, findings: &mut Findings) -> Option<String> {
        let expression = &self.config.mapping.blueprint;
        let (cause, message) = match first(expression, subject.input, self.limits) {
            Ok(Some(Value::String(text))) => match identifier::check_blueprint(&text) {
                Ok(()) => return Some(text),
                Err(refusal) => (
                    Cause::Refused,
                    format!("no blueprint can have this identifier: {refusal}"),
                ),
            },
            Ok(Some(other)) => (
                Cause::WrongType,
                format!(
                    "gave {} as blueprint, Port wants a text",
                    json_type_name(&other)
                ),
            ),
            Ok(None) => (Cause::Null, "gave no blueprint".to_owned()),
            Err(error) => (Cause::Failed, error),
        };
        subject.lost(findings, expression, cause, || format!("{message}; {LOST}"));
        None
    }
}

impl Subject<'_> {
    /// Notes why the object gives no entity.
    fn lost(
        &self,
        findings: &mut Findings,
        expression: &Expression,
        cause: Cause,
        message: impl FnOnce() -> String,
    ) {
        findings.note(expression, (Severity::Error, cause), message, || {
            self.label.clone()
        });
    }
}

fn overlaps(sees: &[bool], missing: &[bool]) -> bool {
    sees.iter()
        .zip(missing)
        .any(|(sees, missing)| *sees && *missing)
}

fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
