//! Why an object becomes the entity it becomes, or none: every expression with
//! what it gave.
//!
//! What becomes of the object is found by mapping it, not by judging the
//! expressions a second time, so that the explanation cannot differ from what
//! is written. Nothing is missing here: the object is all there is.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Consumer, Entity, Findings, Mapped, RawBatch, evaluate::field, items, plan::Plan, raw::Input,
    raw::Object, subject::Subject,
};
use crate::{
    document::Expression,
    excerpt::Excerpt,
    jq::{Limits, Looked, RunError, Val},
    resource_config::ResourceConfig,
};

/// An object, or one of its items, and one resource config.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Every expression that was needed, in the order in which they are asked.
    pub asked: Vec<Asked<'a>>,
    pub fate: Fate,
    /// What the log of a resync would say.
    pub findings: Findings,
}

/// An expression and what it gave.
#[derive(Debug)]
pub struct Asked<'a> {
    pub expression: &'a Expression,
    pub gave: Result<Option<Value>, RunError>,
    /// What it looked at.
    pub looked: Vec<Looked>,
    /// What it ran on, to run parts of it on.
    pub input: Val,
}

/// What became of it.
#[derive(Debug)]
pub enum Fate {
    Entity(Box<Entity>),
    /// The selector says no.
    FilteredOut,
    /// It has no identifier or no blueprint, or no items.
    LeftOut,
    Failed,
}

/// Explains what becomes of an object; several times where it has items.
///
/// Must be called on a large stack, as [`map_batch`](super::map_batch).
pub fn explain<'a>(
    object: &Value,
    config: &'a Arc<ResourceConfig>,
    limits: &Limits,
) -> Vec<Explained<'a>> {
    let batch = RawBatch {
        objects: vec![object.clone()],
        ..RawBatch::default()
    };
    let consumer = Consumer {
        config: Arc::clone(config),
        columns: Vec::new(),
    };
    let plan = Plan::new(&consumer, &batch, limits);
    let object = Object::new(&batch, 0, Excerpt::WHOLE);
    let whole = object.view(&[]);
    let label = object.label();
    let asking = Asking { config, limits };

    let Some(items) = &config.items_to_parse else {
        let raw = Input::Raw(&object, &[]);
        return vec![asking.explained(&plan, raw, label, Vec::new())];
    };
    let list = || asking.ask(&items.expression, &whole);
    let mut unsplit = Mapped::default();
    let children: Vec<Val> =
        items::explode(items, &whole, &mut unsplit, &|| label.clone()).collect();
    if children.is_empty() {
        let fate = match unsplit.failed {
            0 => Fate::LeftOut,
            _ => Fate::Failed,
        };
        return vec![Explained {
            asked: vec![list()],
            fate,
            findings: unsplit.findings,
        }];
    }
    children
        .into_iter()
        .map(|child| {
            let made = Input::Made(child);
            asking.explained(&plan, made, label.clone(), vec![list()])
        })
        .collect()
}

struct Asking<'a, 'l> {
    config: &'a ResourceConfig,
    limits: &'l Limits,
}

impl<'a> Asking<'a, '_> {
    fn explained(
        &self,
        plan: &Plan<'_>,
        input: Input<'_>,
        label: Option<String>,
        mut asked: Vec<Asked<'a>>,
    ) -> Explained<'a> {
        let val = input.val(&self.config.query.filter);
        let query = self.ask(&self.config.query, &val);
        let is_selected = matches!(query.gave, Ok(Some(Value::Bool(true))));
        asked.push(query);
        if is_selected {
            let each = &mut |expression| asked.push(self.ask(expression, &val));
            self.config.mapping.for_each_expression(each);
        }
        let mut mapped = Mapped::default();
        let subject = Subject {
            input,
            limits: self.limits,
            label,
        };
        plan.map_one(subject, &[], &mut mapped);
        let fate = match mapped.entities.pop() {
            Some(entity) => Fate::Entity(Box::new(entity)),
            None if mapped.failed > 0 => Fate::Failed,
            None if is_selected => Fate::LeftOut,
            None => Fate::FilteredOut,
        };
        Explained {
            asked,
            fate,
            findings: mapped.findings,
        }
    }

    fn ask(&self, expression: &'a Expression, input: &Val) -> Asked<'a> {
        Asked {
            expression,
            gave: field(&expression.filter, input, self.limits),
            looked: expression.filter.looks_at(input),
            input: input.clone(),
        }
    }
}
