//! The files of `.port/` hold together.
//!
//! Port takes a blueprint or a mapping as it is and complains at the first
//! start of somebody's installation, so what can be wrong between the files is
//! looked for here: names that do not exist, links that lead nowhere, limits
//! that Port enforces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portolan::settings::{DefaultValue, ValueType, table};
use serde_json::{Map, Value, json};

const SOURCES: [&str; 3] = ["statuspage", "pagerduty", "opsgenie"];

/// Properties that a default mapping writes although the blueprint has none of
/// that name. Catalogs were built with them; they are kept.
const UNDECLARED: [(&str, &str); 2] = [
    ("statuspageIncident", "impact_override"),
    ("pagerdutyEscalationPolicy", "description"),
];

const PROPERTY_TYPES: [&str; 5] = ["string", "number", "boolean", "array", "object"];

fn file(source: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".port/resources")
        .join(source)
        .join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blueprints(source: &str) -> Vec<Value> {
    let path = file(source, "blueprints.json");
    serde_json::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn every_blueprint() -> Vec<Value> {
    SOURCES.into_iter().flat_map(blueprints).collect()
}

fn mapping(source: &str) -> Value {
    let path = file(source, "port-app-config.yaml");
    serde_yaml::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn spec() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".port/spec.yaml");
    serde_yaml::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn resources(mapping: &Value) -> &Vec<Value> {
    mapping["resources"]
        .as_array()
        .expect("a mapping has a list of resources")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("`{key}` is no text in {value}"))
}

/// The object under `key`; an absent key is an empty object.
fn object(value: &Value, key: &str) -> Map<String, Value> {
    match value.get(key) {
        None => Map::new(),
        Some(Value::Object(object)) => object.clone(),
        Some(other) => panic!("`{key}` is no object but {other}"),
    }
}

fn properties(blueprint: &Value) -> Map<String, Value> {
    object(&blueprint["schema"], "properties")
}

/// The blueprint that a resource config writes to, out of its quoted literal.
fn target(resource: &Value) -> String {
    let expression = text(&resource["port"]["entity"]["mappings"], "blueprint");
    serde_json::from_str(expression)
        .unwrap_or_else(|error| panic!("{expression} is no quoted literal: {error}"))
}

#[test]
fn blueprint_identifiers_are_ones_that_port_accepts_and_unique() {
    let mut seen = BTreeSet::new();
    for blueprint in every_blueprint() {
        let identifier = text(&blueprint, "identifier");
        assert!(
            !identifier.is_empty() && identifier.chars().count() <= 100,
            "{identifier}"
        );
        assert!(
            identifier
                .chars()
                .all(|c| c.is_alphanumeric() || "@_.+:\\/-".contains(c)),
            "{identifier}"
        );
        assert!(
            seen.insert(identifier.to_owned()),
            "{identifier} is there twice"
        );
    }
}

#[test]
fn titles_and_descriptions_keep_to_the_lengths_that_port_allows() {
    for blueprint in every_blueprint() {
        let description = text(&blueprint, "description");
        assert!(
            (1..=200).contains(&description.chars().count()),
            "{description}"
        );
        assert!((1..=100).contains(&text(&blueprint, "title").chars().count()));
        let relations = object(&blueprint, "relations");
        for (key, part) in properties(&blueprint).iter().chain(&relations) {
            assert!(
                (1..=100).contains(&text(part, "title").chars().count()),
                "title of {key}"
            );
        }
    }
}

#[test]
fn property_and_relation_keys_are_ones_that_port_accepts() {
    for blueprint in every_blueprint() {
        let relations = object(&blueprint, "relations");
        for key in properties(&blueprint).keys().chain(relations.keys()) {
            assert!((1..=100).contains(&key.len()), "{key}");
            assert!(
                key.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "@_=\\-".contains(c)),
                "{key}"
            );
        }
    }
}

#[test]
fn properties_have_a_known_type_and_arrays_say_what_they_hold() {
    for blueprint in every_blueprint() {
        for (key, property) in properties(&blueprint) {
            let kind = text(&property, "type");
            assert!(PROPERTY_TYPES.contains(&kind), "{key} is of type {kind}");
            assert_eq!(
                kind == "array",
                property.get("items").is_some(),
                "items of {key}"
            );
        }
        for required in blueprint["schema"]["required"]
            .as_array()
            .expect("a list of names")
        {
            assert!(properties(&blueprint).contains_key(required.as_str().unwrap()));
        }
    }
}

#[test]
fn colours_are_given_to_values_of_the_enumeration_only() {
    for blueprint in every_blueprint() {
        for (key, property) in properties(&blueprint) {
            let values: BTreeSet<&str> = property["enum"]
                .as_array()
                .map(|values| values.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            for coloured in object(&property, "enumColors").keys() {
                assert!(values.contains(coloured.as_str()), "{coloured} of {key}");
            }
        }
    }
}

#[test]
fn relations_and_aggregations_lead_to_blueprints_of_the_same_source() {
    for source in SOURCES {
        let blueprints = blueprints(source);
        let known: BTreeMap<&str, &Value> = blueprints
            .iter()
            .map(|blueprint| (text(blueprint, "identifier"), blueprint))
            .collect();
        for blueprint in &blueprints {
            for (key, relation) in object(blueprint, "relations") {
                assert!(
                    known.contains_key(text(&relation, "target")),
                    "relation {key}"
                );
                assert!(relation["many"].is_boolean() && relation["required"].is_boolean());
            }
            for (key, aggregation) in object(blueprint, "aggregationProperties") {
                let target = known.get(text(&aggregation, "target"));
                let target = target.unwrap_or_else(|| panic!("aggregation {key} leads nowhere"));
                for rule in aggregation["query"]["rules"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    assert!(
                        properties(target).contains_key(text(rule, "property")),
                        "{key}"
                    );
                }
            }
        }
    }
}

/// What is added when two sources are on together is all that leads from one to
/// the other.
#[test]
fn what_a_pair_of_sources_adds_leads_from_one_to_the_other() {
    let folder = "statuspage-and-pagerduty";
    let of = |source: &str, identifier: &str| {
        blueprints(source)
            .into_iter()
            .find(|blueprint| text(blueprint, "identifier") == identifier)
    };
    let mut added = BTreeSet::new();
    for blueprint in blueprints(folder) {
        let identifier = text(&blueprint, "identifier");
        let whole = of("statuspage", identifier).expect("it is there to be added to");
        for (key, relation) in object(&blueprint, "relations") {
            assert!(!object(&whole, "relations").contains_key(&key), "{key}");
            assert!(
                of("pagerduty", text(&relation, "target")).is_some(),
                "{key}"
            );
            assert_eq!(relation["required"], false, "{key}");
            added.insert(key);
        }
    }
    let mapping = mapping(folder);
    let mapped: BTreeSet<String> = resources(&mapping)
        .iter()
        .flat_map(|resource| object(&resource["port"]["entity"]["mappings"], "relations"))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(mapped, added);
}

#[test]
fn mirror_properties_follow_relations_that_exist_to_properties_that_exist() {
    for source in SOURCES {
        let blueprints = blueprints(source);
        for blueprint in &blueprints {
            for (key, mirror) in object(blueprint, "mirrorProperties") {
                let path = text(&mirror, "path");
                let (relation, property) = path
                    .split_once('.')
                    .unwrap_or_else(|| panic!("mirror {key} has the path {path}"));
                let target = text(&blueprint["relations"][relation], "target");
                let target = blueprints
                    .iter()
                    .find(|blueprint| text(blueprint, "identifier") == target);
                assert!(
                    properties(target.unwrap()).contains_key(property),
                    "mirror {key} has the path {path}"
                );
            }
        }
    }
}

#[test]
fn what_a_mapping_writes_exists_in_its_blueprint() {
    let mut undeclared = BTreeSet::new();
    for source in SOURCES {
        let blueprints = blueprints(source);
        for resource in resources(&mapping(source)) {
            let target = target(resource);
            let blueprint = blueprints
                .iter()
                .find(|blueprint| text(blueprint, "identifier") == target)
                .unwrap_or_else(|| panic!("there is no blueprint {target}"));
            let mappings = &resource["port"]["entity"]["mappings"];
            let properties = properties(blueprint);
            for key in object(mappings, "properties").keys() {
                if !properties.contains_key(key) {
                    undeclared.insert((target.clone(), key.clone()));
                }
            }
            let relations = object(blueprint, "relations");
            for key in object(mappings, "relations").keys() {
                assert!(
                    relations.contains_key(key),
                    "{target} has no relation {key}"
                );
            }
        }
    }
    let expected: BTreeSet<_> = UNDECLARED
        .iter()
        .map(|(target, key)| ((*target).to_owned(), (*key).to_owned()))
        .collect();
    assert_eq!(undeclared, expected);
}

#[test]
fn every_blueprint_is_written_by_a_resource_config() {
    for source in SOURCES {
        let mapping = mapping(source);
        let written: BTreeSet<String> = resources(&mapping).iter().map(target).collect();
        for blueprint in blueprints(source) {
            assert!(
                written.contains(text(&blueprint, "identifier")),
                "{blueprint}"
            );
        }
    }
}

/// YAML would make booleans of unquoted `true`, and lists of unquoted
/// `[.components[].id]`.
#[test]
fn every_expression_of_a_mapping_is_text() {
    for source in SOURCES {
        for resource in resources(&mapping(source)) {
            assert!(resource["selector"]["query"].is_string(), "{resource}");
            let mappings = &resource["port"]["entity"]["mappings"];
            for key in ["identifier", "title", "blueprint"] {
                assert!(!text(mappings, key).is_empty());
            }
            for group in ["properties", "relations"] {
                for (key, expression) in object(mappings, group) {
                    assert!(expression.is_string(), "{group}.{key} is {expression}");
                }
            }
        }
    }
}

/// With several sources on, their documents become one.
#[test]
fn the_default_mappings_agree_on_what_holds_for_all_of_them() {
    for source in SOURCES {
        let Value::Object(mut mapping) = mapping(source) else {
            panic!("no object")
        };
        mapping.remove("resources");
        assert_eq!(
            Value::Object(mapping),
            serde_json::json!({"createMissingRelatedEntities": true, "deleteDependentEntities": true})
        );
    }
}

#[test]
fn the_spec_names_every_kind_of_the_default_mappings() {
    let spec = spec();
    let named: BTreeSet<&str> = spec["features"][0]["resources"]
        .as_array()
        .expect("the exporter lists its kinds")
        .iter()
        .map(|resource| text(resource, "kind"))
        .collect();
    for source in SOURCES {
        for resource in resources(&mapping(source)) {
            assert!(named.contains(text(resource, "kind")), "{resource}");
        }
    }
}

#[test]
fn the_settings_of_the_spec_have_known_types_and_explain_themselves() {
    let spec = spec();
    let mut seen = BTreeSet::new();
    for setting in spec["configurations"]
        .as_array()
        .expect("a list of settings")
    {
        let name = text(setting, "name");
        assert!(seen.insert(name), "{name} is there twice");
        assert!(
            ["object", "url", "string", "integer", "boolean", "array"]
                .contains(&text(setting, "type"))
        );
        assert!(setting["required"].is_boolean());
        assert!(!text(setting, "description").is_empty());
    }
    for secret in [
        "statuspageApiKey",
        "statuspageAccounts",
        "token",
        "pagerdutyToken",
        "pagerdutyAccounts",
        "apiToken",
        "opsgenieApiToken",
        "opsgenieAccounts",
    ] {
        let setting = spec["configurations"].as_array().into_iter().flatten();
        let setting = setting
            .into_iter()
            .find(|setting| setting["name"] == secret);
        assert_eq!(
            setting.map(|setting| &setting["sensitive"]),
            Some(&Value::Bool(true))
        );
    }
}

/// `statuspageApiKey` → `STATUSPAGE_API_KEY`
fn variable(name: &str) -> String {
    let mut variable = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            variable.push('_');
        }
        variable.push(character.to_ascii_uppercase());
    }
    variable
}

#[test]
fn the_specification_offers_the_settings_that_the_program_reads() {
    let specified: BTreeMap<String, Value> = spec()["configurations"]
        .as_array()
        .expect("a specification has configurations")
        .iter()
        .map(|setting| {
            let facts = json!({
                "type": setting["type"],
                "required": setting["required"],
                "sensitive": setting.get("sensitive").unwrap_or(&Value::Bool(false)),
                "default": setting["default"],
            });
            (variable(text(setting, "name")), facts)
        })
        .collect();

    let read: BTreeMap<String, Value> = table()
        .iter()
        .filter_map(|row| {
            let name = row.variable.strip_prefix("OCEAN__INTEGRATION__CONFIG__")?;
            let facts = json!({
                "type": match row.value_type {
                    ValueType::Text | ValueType::Path | ValueType::Choice(_) => "string",
                    ValueType::Object => "object",
                    ValueType::Url => "url",
                    ValueType::Boolean => "boolean",
                    ValueType::List | ValueType::Accounts { .. } => "array",
                    other => panic!("{name}: {other:?} has no name in a specification"),
                },
                "required": row.default == DefaultValue::Required,
                "sensitive": row.sensitive,
                "default": match row.default {
                    DefaultValue::Value("on") => Value::from(true),
                    DefaultValue::Value(value) => Value::from(value),
                    DefaultValue::Required | DefaultValue::Absent => Value::Null,
                },
            });
            Some((name.to_owned(), facts))
        })
        .collect();

    assert_eq!(specified, read);
}
