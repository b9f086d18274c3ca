//! One consumer, prepared for one batch: which columns it sees, and which of
//! its expressions cannot be trusted where data is missing.

use serde_json::Map;

use super::{
    Identity, Mapped, Which,
    entity::Entity,
    evaluate::Evaluation,
    finding::{Cause, Findings, Severity},
    items,
    raw::{Column, Consumer, Input, Object, RawBatch},
    subject::{Dropped, Subject},
};
use crate::{
    jq::{Limits, Step},
    resource_config::{Expression, ResourceConfig, Template},
};

pub(super) struct Plan<'a> {
    config: &'a ResourceConfig,
    limits: &'a Limits,
    /// Places of the columns that this consumer sees.
    columns: Vec<usize>,
    /// What is missing from some or all objects.
    gaps: Vec<Gap<'a>>,
    items_to_parse: Option<Part<'a, Expression>>,
    query: Part<'a, Expression>,
    /// Every expression of the identifier and that of the blueprint.
    identity: Vec<Part<'a, Expression>>,
    title: Option<Part<'a, Expression>>,
    icon: Option<Part<'a, Expression>>,
    team: Option<Part<'a, Template>>,
    properties: Vec<(&'a str, Part<'a, Template>)>,
    relations: Vec<(&'a str, Part<'a, Template>)>,
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

impl<T> Part<'_, T> {
    /// Whether it may look at something that this object lacks.
    fn sees_any(&self, missing: &[bool]) -> bool {
        self.sees
            .iter()
            .zip(missing)
            .any(|(sees, missing)| *sees && *missing)
    }
}

impl Subject<'_> {
    /// Notes when an expression that the object cannot do without may look at
    /// what is missing: whatever it gave could be another object's entity, or
    /// the wrong answer to whether this one is wanted.
    fn is_blind(
        &self,
        part: &Part<'_, Expression>,
        missing: &[bool],
        findings: &mut Findings,
    ) -> bool {
        let is_blind = part.sees_any(missing);
        if is_blind {
            self.lost(findings, part.mapping, Cause::Unavailable, || {
                "needs data that could not be fetched; the entity stays as it is in Port".to_owned()
            });
        }
        is_blind
    }
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
        let mut identity = vec![expression(&mapping.blueprint)];
        mapping
            .identifier
            .for_each_expression(&mut |part| identity.push(expression(part)));

        Self {
            config,
            limits,
            columns,
            items_to_parse: config
                .items_to_parse
                .as_ref()
                .map(|items| expression(&items.expression)),
            query: expression(&config.query),
            identity,
            title: mapping.title.as_ref().map(expression),
            icon: mapping.icon.as_ref().map(expression),
            team: mapping.team.as_ref().map(template),
            properties: fields(&mapping.properties),
            relations: fields(&mapping.relations),
            gaps,
        }
    }

    pub(super) fn map(&self, object: &Object<'_>, mapped: &mut Mapped) {
        let missing = self.missing_from(object.index);
        let raw = Input::Raw(object, &self.columns);
        let subject = |input| Subject {
            input,
            limits: self.limits,
            label: object.label(),
        };
        let (Some(items), Some(part)) = (&self.config.items_to_parse, &self.items_to_parse) else {
            self.map_one(subject(raw), &missing, mapped);
            return;
        };
        if subject(Input::Raw(object, &self.columns)).is_blind(part, &missing, &mut mapped.findings)
        {
            mapped.lose_object();
            return;
        }
        for child in items::explode(items, &object.view(&self.columns), mapped, &|| {
            object.label()
        }) {
            self.map_one(subject(Input::Made(child)), &missing, mapped);
        }
    }

    /// The entities of an object, as far as they can be told without making them.
    pub(super) fn identify(
        &self,
        object: &Object<'_>,
        which: Which,
        identities: &mut Vec<Identity>,
    ) {
        // What goes wrong here has been said where the object was mapped, or
        // is no loss: the entity stays.
        let mut unsaid = Mapped::default();
        let missing = self.missing_from(object.index);
        let raw = Input::Raw(object, &self.columns);
        let subject = |input| Subject {
            input,
            limits: self.limits,
            label: None,
        };
        let (Some(items), Some(part)) = (&self.config.items_to_parse, &self.items_to_parse) else {
            identities.extend(self.identity_of(&subject(raw), which, &missing));
            return;
        };
        if part.sees_any(&missing) {
            return;
        }
        for child in items::explode(items, &object.view(&self.columns), &mut unsaid, &|| None) {
            identities.extend(self.identity_of(&subject(Input::Made(child)), which, &missing));
        }
    }

    fn identity_of(
        &self,
        subject: &Subject<'_>,
        which: Which,
        missing: &[bool],
    ) -> Option<Identity> {
        let mut unsaid = Findings::default();
        if which == Which::Unselected
            && self.is_selected(subject, missing, &mut unsaid) != Some(false)
        {
            return None;
        }
        if self.identity.iter().any(|part| part.sees_any(missing)) {
            return None;
        }
        let mapping = &self.config.mapping;
        let identifier = subject.identifier(&mapping.identifier, &mut unsaid).ok()?;
        let blueprint = subject.blueprint(&mapping.blueprint, &mut unsaid).ok()?;
        Some(Identity {
            blueprint,
            identifier: identifier.as_text()?.to_owned(),
        })
    }

    fn missing_from(&self, index: usize) -> Vec<bool> {
        self.gaps
            .iter()
            .map(|gap| gap.column.is_none_or(|column| column.is_missing(index)))
            .collect()
    }

    pub(super) fn map_one(&self, mut subject: Subject<'_>, missing: &[bool], mapped: &mut Mapped) {
        mapped.examined += 1;
        match self.is_selected(&subject, missing, &mut mapped.findings) {
            Some(true) => match self.entity(&mut subject, missing, &mut mapped.findings) {
                Ok(entity) => mapped.entities.push(entity),
                Err(Dropped::LeftOut) => mapped.filtered_out += 1,
                Err(Dropped::Lost) => mapped.failed += 1,
            },
            Some(false) => mapped.filtered_out += 1,
            None => mapped.failed += 1,
        }
    }

    fn is_selected(
        &self,
        subject: &Subject<'_>,
        missing: &[bool],
        findings: &mut Findings,
    ) -> Option<bool> {
        if subject.is_blind(&self.query, missing, findings) {
            return None;
        }
        subject.is_selected(&self.config.query, findings)
    }

    fn entity(
        &self,
        subject: &mut Subject<'_>,
        missing: &[bool],
        findings: &mut Findings,
    ) -> Result<Entity, Dropped> {
        if self
            .identity
            .iter()
            .any(|part| subject.is_blind(part, missing, findings))
        {
            return Err(Dropped::Lost);
        }
        let mapping = &self.config.mapping;
        let identifier = subject.identifier(&mapping.identifier, findings)?;
        if let Some(text) = identifier.as_text() {
            subject.label = Some(text.to_owned());
        }
        let blueprint = subject.blueprint(&mapping.blueprint, findings)?;

        let mut evaluation = subject.evaluation(Severity::Warning, findings);
        let text = |part: &Option<Part<'_, Expression>>, evaluation: &mut Evaluation<'_>| {
            let part = part.as_ref().filter(|part| !part.sees_any(missing))?;
            Some(evaluation.expression(part.mapping, "the field is null"))
        };
        let fields = |fields: &[(&str, Part<'_, Template>)], evaluation: &mut Evaluation<'_>| {
            fields
                .iter()
                .filter(|(_, part)| !part.sees_any(missing))
                .map(|(key, part)| ((*key).to_owned(), evaluation.template(part.mapping)))
                .collect::<Map<_, _>>()
        };
        Ok(Entity {
            identifier,
            blueprint,
            title: text(&self.title, &mut evaluation),
            icon: text(&self.icon, &mut evaluation),
            team: self
                .team
                .as_ref()
                .filter(|part| !part.sees_any(missing))
                .map(|part| evaluation.template(part.mapping)),
            properties: fields(&self.properties, &mut evaluation),
            relations: fields(&self.relations, &mut evaluation),
        })
    }
}
