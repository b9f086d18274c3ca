//! Reads one entry of `resources`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    EntityMapping, Expression, ItemsToParse, ResourceConfig, kind, selector,
    template::{Search, SearchRule, SearchValue, Template},
};
use crate::{
    document::{Path, Reader},
    settings::SourceName,
};

/// The resource config, or None when something in it was noted as a problem.
pub(super) fn read(
    reader: &mut Reader<'_>,
    path: &Path,
    index: usize,
    value: &Value,
    sources: &[SourceName],
) -> Option<Arc<ResourceConfig>> {
    let Some(resource) = reader.object(path, Some(value)) else {
        if value.is_null() {
            reader.problem(path, "this resource is empty", Some("remove it".to_owned()));
        }
        return None;
    };
    reader.known_keys(path, resource, &["kind", "selector", "port"]);

    // Read everything before giving up on anything, so that all of it is reported.
    let kind_path = path.key("kind");
    let kind_text = reader.string(&kind_path, resource.get("kind"));
    if resource.get("kind").is_none_or(Value::is_null) {
        reader.missing(path, "kind", resource);
    }
    let name = kind_text
        .as_deref()
        .and_then(|written| match kind::resolve(written, sources) {
            Ok(name) => Some(name),
            Err(unknown) => {
                reader.problem(&kind_path, unknown.message, unknown.hint);
                None
            }
        });

    let selector_path = path.key("selector");
    let selector = reader.required_object(path, "selector", resource);
    let query = selector.and_then(|selector| query(reader, &selector_path, selector));
    let kind = selector
        .zip(name)
        .map(|(selector, name)| selector::read(reader, &selector_path, name, selector));

    let port_path = path.key("port");
    let port = reader.required_object(path, "port", resource)?;
    reader.known_keys(
        &port_path,
        port,
        &[
            "entity",
            "itemsToParse",
            "itemsToParseName",
            "itemsToParseTopLevelTransform",
        ],
    );
    let items_to_parse = items_to_parse(reader, &port_path, port);
    let entity_path = port_path.key("entity");
    let entity = reader.required_object(&port_path, "entity", port)?;
    reader.known_keys(&entity_path, entity, &["mappings"]);
    let mappings = reader.required_object(&entity_path, "mappings", entity)?;
    let mapping = mapping(reader, &entity_path.key("mappings"), mappings);

    Some(Arc::new(ResourceConfig {
        index,
        kind: kind?,
        kind_text: kind_text?,
        query: query?,
        items_to_parse,
        mapping: mapping?,
    }))
}

fn query(
    reader: &mut Reader<'_>,
    path: &Path,
    selector: &Map<String, Value>,
) -> Option<Expression> {
    let query = reader.required_expression(path, "query", selector)?;
    if query.filter.literal().is_some() {
        let hint =
            "write `query: \"true\"`, or a comparison such as `.status == \"open\"`".to_owned();
        reader.problem(
            &path.key("query"),
            "a selector has to give true or false, this one always gives a text",
            Some(hint),
        );
        return None;
    }
    Some(query)
}

fn items_to_parse(
    reader: &mut Reader<'_>,
    port: &Path,
    object: &Map<String, Value>,
) -> Option<ItemsToParse> {
    let path = port.key("itemsToParse");
    let name = reader.string(
        &port.key("itemsToParseName"),
        object.get("itemsToParseName"),
    );
    let top_level_transform = reader.boolean(
        &port.key("itemsToParseTopLevelTransform"),
        object.get("itemsToParseTopLevelTransform"),
        true,
    );
    // An empty expression is how Port's editor leaves a cleared field.
    let value = object
        .get("itemsToParse")
        .filter(|value| value.as_str() != Some(""));
    let expression = reader.optional_expression(&path, value)?;
    if top_level_transform
        && expression
            .filter
            .leading_path()
            .is_none_or(|path| path.is_empty())
    {
        reader.warning(
            &path,
            "does not begin with a path such as `.items`, so removing it removes the whole object \
             and nothing is left to map; set itemsToParseTopLevelTransform to false",
        );
    }
    Some(ItemsToParse {
        expression,
        name: name.unwrap_or_else(|| "item".to_owned()),
        top_level_transform,
    })
}

fn mapping(
    reader: &mut Reader<'_>,
    path: &Path,
    mappings: &Map<String, Value>,
) -> Option<EntityMapping> {
    const KEYS: &[&str] = &[
        "identifier",
        "title",
        "icon",
        "team",
        "blueprint",
        "properties",
        "relations",
    ];
    reader.known_keys(path, mappings, KEYS);

    let identifier = match mappings.get("identifier") {
        Some(value @ Value::Object(_)) => {
            search(reader, &path.key("identifier"), value).map(Template::Search)
        }
        _ => reader
            .required_expression(path, "identifier", mappings)
            .map(Template::Expression),
    };
    let blueprint = reader.required_expression(path, "blueprint", mappings);
    let title = reader.optional_expression(&path.key("title"), mappings.get("title"));
    let icon = reader.optional_expression(&path.key("icon"), mappings.get("icon"));
    let team_path = path.key("team");
    let team = match mappings.get("team") {
        Some(value @ Value::Object(_)) => search(reader, &team_path, value).map(Template::Search),
        value => reader
            .optional_expression(&team_path, value)
            .map(Template::Expression),
    };
    let properties = fields(
        reader,
        &path.key("properties"),
        mappings.get("properties"),
        property,
    );
    let relations = fields(
        reader,
        &path.key("relations"),
        mappings.get("relations"),
        relation,
    );

    Some(EntityMapping {
        identifier: identifier?,
        blueprint: blueprint?,
        title,
        icon,
        team,
        properties,
        relations,
    })
}

type ReadTemplate = fn(&mut Reader<'_>, &Path, &Value) -> Option<Template>;

fn fields(
    reader: &mut Reader<'_>,
    path: &Path,
    value: Option<&Value>,
    read: ReadTemplate,
) -> Vec<(String, Template)> {
    let Some(object) = reader.object(path, value) else {
        return Vec::new();
    };
    let mut fields = Vec::with_capacity(object.len());
    for (key, value) in object {
        let path = path.key(key);
        if !is_property_key(key) {
            reader.warning(
                &path,
                "Port allows only letters, digits and @ _ = \\ - in such a key, 100 at most",
            );
        }
        fields.extend(read(reader, &path, value).map(|template| (key.clone(), template)));
    }
    fields
}

/// What Port accepts as the key of a property or a relation.
fn is_property_key(key: &str) -> bool {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || "@_=\\-".contains(character);
    !key.is_empty() && key.len() <= 100 && key.chars().all(allowed)
}

fn property(reader: &mut Reader<'_>, path: &Path, value: &Value) -> Option<Template> {
    match value {
        Value::Object(object) => {
            let fields: Vec<_> = object
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.clone(), property(reader, &path.key(key), value)?))
                })
                .collect();
            Some(Template::Object(fields))
        }
        Value::Array(items) => Some(list(reader, path, items, property)),
        value => leaf(reader, path, value),
    }
}

fn relation(reader: &mut Reader<'_>, path: &Path, value: &Value) -> Option<Template> {
    match value {
        Value::Object(_) => search(reader, path, value).map(Template::Search),
        Value::Array(items) => Some(list(reader, path, items, relation)),
        value => leaf(reader, path, value),
    }
}

fn leaf(reader: &mut Reader<'_>, path: &Path, value: &Value) -> Option<Template> {
    if value.is_null() {
        reader.warning(
            path,
            "nothing is given here, so it is always null; write an expression, or leave the key out",
        );
    }
    let value = match value {
        Value::Null => &Value::from("null"),
        value => value,
    };
    reader.expression(path, value).map(Template::Expression)
}

fn list(reader: &mut Reader<'_>, path: &Path, items: &[Value], read: ReadTemplate) -> Template {
    let templates: Vec<_> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| read(reader, &path.index(index), item))
        .collect();
    Template::List(templates)
}

fn search(reader: &mut Reader<'_>, path: &Path, value: &Value) -> Option<Search> {
    let object = reader.object(path, Some(value))?;
    let combinator_path = path.key("combinator");
    let combinator = object
        .get("combinator")
        .map(|combinator| fixed_text(reader, combinator));
    let combinator = reader.string(&combinator_path, combinator.as_ref());
    if !matches!(combinator.as_deref(), Some("and" | "or")) {
        let found = combinator
            .as_deref()
            .map_or_else(|| "is missing".to_owned(), |found| format!("is `{found}`"));
        let hint = "a search looks like {combinator: and, rules: [{property: …, operator: \"=\", value: …}]}";
        reader.problem(
            &combinator_path,
            format!("`combinator` {found}, expected `and` or `or`"),
            Some(hint.to_owned()),
        );
    }
    let rules_path = path.key("rules");
    let rules = match object.get("rules") {
        Some(Value::Array(rules)) if !rules.is_empty() => rules,
        _ => {
            reader.problem(
                &rules_path,
                "`rules` has to be a list of at least one rule",
                None,
            );
            return None;
        }
    };
    let rules = rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| search_rule(reader, &rules_path.index(index), rule))
        .collect();
    Some(Search {
        combinator: combinator?,
        rules,
    })
}

fn search_rule(reader: &mut Reader<'_>, path: &Path, value: &Value) -> Option<SearchRule> {
    let Some(rule) = reader.object(path, Some(value)) else {
        if value.is_null() {
            reader.problem(path, "this rule is empty", None);
        }
        return None;
    };
    if rule.contains_key("rules") {
        return search(reader, path, value).map(SearchRule::Nested);
    }
    for key in ["property", "operator"] {
        if !rule.get(key).is_some_and(Value::is_string) {
            reader.problem(
                &path.key(key),
                format!("a rule needs `{key}`, a text"),
                None,
            );
        }
    }
    let mut rest = rule.clone();
    let value = match rest.shift_remove("value") {
        None => None,
        Some(value @ Value::String(_)) => Some(SearchValue::Expression(
            reader.expression(&path.key("value"), &value)?,
        )),
        Some(literal) => Some(SearchValue::Literal(literal)),
    };
    let fixed = rest
        .into_iter()
        .map(|(key, value)| {
            let value = fixed_text(reader, &value);
            (key, value)
        })
        .collect();
    Some(SearchRule::Compare { fixed, value })
}

/// A fixed text as it stands or, as Port's own examples have it, as the string
/// literal of an expression: `and`, `'"and"'`.
fn fixed_text(reader: &Reader<'_>, value: &Value) -> Value {
    let literal = value.as_str().and_then(|text| reader.literal(text));
    literal.map_or_else(|| value.clone(), Value::String)
}
