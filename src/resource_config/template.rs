//! What a part of an entity is computed from: an expression, or a structure
//! with expressions as its leaves.

use serde_json::{Map, Value};

use super::Expression;
use crate::jq::Step;

/// Shape of one value of an entity.
#[derive(Clone, Debug)]
pub enum Template {
    Expression(Expression),
    /// A related entity (or the entity itself) found by its properties.
    Search(Search),
    /// Nested mapping: an object computed key by key.
    Object(Vec<(String, Template)>),
    List(Vec<Template>),
}

/// `{"combinator": …, "rules": […]}`.
#[derive(Clone, Debug)]
pub struct Search {
    pub combinator: String,
    pub rules: Vec<SearchRule>,
}

#[derive(Clone, Debug)]
pub enum SearchRule {
    Compare {
        /// `property`, `operator` and whatever else stands there, as text.
        fixed: Map<String, Value>,
        /// What to compare with; operators such as `isEmpty` need nothing.
        value: Option<SearchValue>,
    },
    Nested(Search),
}

#[derive(Clone, Debug)]
pub enum SearchValue {
    Expression(Expression),
    /// Anything but a string is meant literally.
    Literal(Value),
}

impl Template {
    /// Whether any expression in it may look at `path` of the raw object.
    pub fn may_read(&self, path: &[Step]) -> bool {
        let mut reads = false;
        self.for_each_expression(&mut |expression| reads |= expression.filter.may_read(path));
        reads
    }

    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        match self {
            Self::Expression(expression) => visit(expression),
            Self::Search(search) => search.for_each_expression(visit),
            Self::Object(fields) => fields
                .iter()
                .for_each(|(_, field)| field.for_each_expression(visit)),
            Self::List(items) => items
                .iter()
                .for_each(|item| item.for_each_expression(visit)),
        }
    }
}

impl Search {
    fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        for rule in &self.rules {
            match rule {
                SearchRule::Compare {
                    value: Some(SearchValue::Expression(expression)),
                    ..
                } => visit(expression),
                SearchRule::Compare { .. } => {}
                SearchRule::Nested(search) => search.for_each_expression(visit),
            }
        }
    }
}
