//! The mapping document edited in Port: which kinds to read, and how their
//! objects become entities.
//!
//! Parse, don't validate: what leaves this module has every expression
//! compiled, every selector typed and every default filled in, so that nothing
//! downstream has to doubt it. A document with mistakes is refused as a whole,
//! with all of them listed at once, because half a mapping would read as "the
//! other half's entities are gone".
//!
//! What Ocean accepts must keep working: a key that is not known is a warning,
//! flags may be strings, YAML anchors and merge keys apply. What it accepts
//! and then silently ignores (a key given twice, a threshold of 90) is refused.
//!
//! Nothing here looks at the network, the environment or the clock.

mod fit;
mod kind;
mod parse;
mod resource;
mod selector;
mod template;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

pub use fit::{Blueprints, literal_blueprints, related_blueprints};
pub use kind::{Kind, OpsgenieKind, PagerdutyKind, StatuspageKind, UnknownKind, source_of};
pub use parse::{fit_text, fit_value, parse_text, parse_text_alone, parse_value, value_of_text};
pub use selector::{
    Comparison, EscalationPoliciesSelector, IncidentsSelector, OncallsSelector, Operator,
    OpsgenieSearch, SchedulesSelector, ServicesSelector,
};
pub use template::{Search, SearchRule, SearchValue, Template};

pub use crate::document::Expression;
use crate::jq::Step;

/// The whole document, ready to be used.
#[derive(Clone, Debug)]
pub struct MappingDocument {
    /// Properties that an entity does not mention keep their value in Port.
    pub enable_merge_entity: bool,
    pub delete_dependent_entities: bool,
    pub create_missing_related_entities: bool,
    /// The largest share of entities that one resync may delete, 0 to 1.
    pub entity_deletion_threshold: f64,
    pub resources: Vec<Arc<ResourceConfig>>,
}

/// A document that may be used, and what its author should know about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub document: MappingDocument,
    pub warnings: Vec<String>,
}

/// One entry of `resources`: a kind, which of its objects, and what they become.
#[derive(Clone, Debug)]
pub struct ResourceConfig {
    /// Place in the document, from 0.
    pub index: usize,
    pub kind: Kind,
    /// The kind as the document spells it.
    pub kind_text: String,
    pub query: Expression,
    pub items_to_parse: Option<ItemsToParse>,
    pub mapping: EntityMapping,
}

/// Makes several raw objects of one: an array's elements, each beside a copy
/// of the object the array was found in.
#[derive(Clone, Debug)]
pub struct ItemsToParse {
    pub expression: Expression,
    /// The key that holds the element.
    pub name: String,
    /// Whether the array is removed from the copies.
    pub top_level_transform: bool,
}

/// What each part of the entity is computed from.
#[derive(Clone, Debug)]
pub struct EntityMapping {
    /// An expression or a search.
    pub identifier: Template,
    pub blueprint: Expression,
    pub title: Option<Expression>,
    pub icon: Option<Expression>,
    /// An expression or a search.
    pub team: Option<Template>,
    pub properties: Vec<(String, Template)>,
    pub relations: Vec<(String, Template)>,
}

/// The parts of an entity that a mapping writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappedFields {
    pub title: bool,
    pub icon: bool,
    pub team: bool,
    pub properties: BTreeSet<String>,
    pub relations: BTreeSet<String>,
}

impl ResourceConfig {
    /// Whether any expression of this config may look at `path` of the raw object.
    pub fn may_read(&self, path: &[Step]) -> bool {
        self.query.filter.may_read(path)
            || self
                .items_to_parse
                .as_ref()
                .is_some_and(|items| items.expression.filter.may_read(path))
            || self.mapping.may_read(path)
    }

    /// Every expression, in no order that means anything.
    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        visit(&self.query);
        if let Some(items) = &self.items_to_parse {
            visit(&items.expression);
        }
        self.mapping.for_each_expression(visit);
    }

    /// The blueprint, when every entity of this config goes to the same one.
    pub fn literal_blueprint(&self) -> Option<&str> {
        self.mapping.blueprint.filter.literal()
    }

    /// Whether Port finds the entities, or some of them, by their properties: the
    /// document spells out a search, or an expression seems to build one.
    pub fn finds_by_search(&self) -> bool {
        let Template::Expression(expression) = &self.mapping.identifier else {
            return true;
        };
        let mut after_rules = expression.filter.text().split("rules").skip(1);
        after_rules.any(|rest| rest.trim_start_matches(['"', ' ']).starts_with(':'))
    }

    /// Whether two objects may give one identifier. The `id` that the vendor
    /// gives tells its objects apart; whatever else is made of them may not.
    pub fn may_repeat_identifiers(&self) -> bool {
        let is_id = matches!(
            &self.mapping.identifier,
            Template::Expression(expression) if expression.filter.text().trim() == ".id"
        );
        !is_id || self.items_to_parse.is_some()
    }

    /// Whether each entity is of one object alone, so that it goes when the object
    /// goes: its identifier is made of what no two objects share. A name may be
    /// that of others, too.
    pub fn names_each_object(&self) -> bool {
        const OWN: [&str; 5] = ["id", "tinyId", "incident_number", "html_url", "self"];
        let identifier = &self.mapping.identifier;
        OWN.iter()
            .any(|key| identifier.may_read(&[Step::Key(Cow::Borrowed(key))]))
    }

    /// Whether the identifier of an entity is made of that of its object.
    pub fn names_by_id(&self) -> bool {
        let identifier = &self.mapping.identifier;
        identifier.may_read(&[Step::Key(Cow::Borrowed("id"))])
    }

    /// What the mapping writes, and so all that need be compared with Port.
    pub fn mapped_fields(&self) -> MappedFields {
        let keys =
            |fields: &[(String, Template)]| fields.iter().map(|(key, _)| key.clone()).collect();
        MappedFields {
            title: self.mapping.title.is_some(),
            icon: self.mapping.icon.is_some(),
            team: self.mapping.team.is_some(),
            properties: keys(&self.mapping.properties),
            relations: keys(&self.mapping.relations),
        }
    }
}

impl EntityMapping {
    /// Every expression, in the order in which people write them.
    pub fn for_each_expression<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        self.identifier.for_each_expression(visit);
        visit(&self.blueprint);
        self.title.iter().chain(&self.icon).for_each(&mut *visit);
        let fields = self.properties.iter().chain(&self.relations);
        let templates = self.team.iter().chain(fields.map(|(_, field)| field));
        templates.for_each(|template| template.for_each_expression(visit));
    }

    fn may_read(&self, path: &[Step]) -> bool {
        let reads = |expression: &Expression| expression.filter.may_read(path);
        self.identifier.may_read(path)
            || reads(&self.blueprint)
            || self.title.as_ref().is_some_and(reads)
            || self.icon.as_ref().is_some_and(reads)
            || self.team.as_ref().is_some_and(|team| team.may_read(path))
            || self
                .properties
                .iter()
                .chain(&self.relations)
                .any(|(_, template)| template.may_read(path))
    }
}
