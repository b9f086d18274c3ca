//! Whether a mapping fits the blueprints that it writes to.
//!
//! It looks at the document itself rather than at what was parsed of it, so that a
//! mistake in one place does not hide those in others. A blueprint that is computed
//! for each object is not known here, and nothing is said about what goes there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    document::{Path, Reader, nearest},
    jq::Jq,
};

/// Blueprints as Port has them, by their identifiers; `None`: there is none.
pub type Blueprints = BTreeMap<String, Option<Value>>;

/// Where one resource config writes to.
struct Target<'a> {
    /// The place of its mappings.
    path: Path,
    mappings: &'a Map<String, Value>,
    blueprint: String,
}

/// The blueprints that a document names.
pub fn literal_blueprints(document: &Value, jq: &Jq) -> BTreeSet<String> {
    let reader = Reader::of_value(jq, "");
    let targets = targets(&reader, document).into_iter();
    targets.map(|target| target.blueprint).collect()
}

/// Blueprints that those there are relate to.
pub fn related_blueprints(blueprints: &Blueprints) -> BTreeSet<String> {
    let relations = blueprints.values().flatten().flat_map(relations);
    let targets = relations.filter_map(|(_, relation)| relation["target"].as_str());
    targets.map(str::to_owned).collect()
}

/// Notes everything in which the document does not fit. Of blueprints that are not
/// among `blueprints`, nothing is said.
pub(super) fn compare(reader: &mut Reader<'_>, document: &Value, blueprints: &Blueprints) {
    let targets = targets(reader, document);
    for target in &targets {
        let Some(found) = blueprints.get(&target.blueprint) else {
            continue;
        };
        let Some(blueprint) = found else {
            absent(reader, target, blueprints);
            continue;
        };
        properties(reader, target, blueprint);
        relations_of(reader, target, blueprint, blueprints);
        // An entity may be put together by several.
        let same = |other: &&Target<'_>| other.blueprint == target.blueprint;
        let together: Vec<&Target<'_>> = targets.iter().filter(same).collect();
        let is_first = together
            .first()
            .is_some_and(|first| std::ptr::eq(*first, target));
        if is_first {
            required(reader, &together, blueprint);
        }
    }
}

fn targets<'a>(reader: &Reader<'_>, document: &'a Value) -> Vec<Target<'a>> {
    let resources = document["resources"].as_array().into_iter().flatten();
    let read = |(index, resource): (usize, &'a Value)| {
        let mappings = resource["port"]["entity"]["mappings"].as_object()?;
        let blueprint = reader.literal(mappings.get("blueprint")?.as_str()?)?;
        let path = Path::default().key("resources").index(index);
        Some(Target {
            path: path.key("port").key("entity").key("mappings"),
            mappings,
            blueprint,
        })
    };
    resources.enumerate().filter_map(read).collect()
}

fn absent(reader: &mut Reader<'_>, target: &Target<'_>, blueprints: &Blueprints) {
    let name = &target.blueprint;
    let there = blueprints.iter().filter(|(_, found)| found.is_some());
    let there: Vec<&str> = there.map(|(name, _)| name.as_str()).collect();
    let hint = match nearest(name, &there) {
        Some(meant) => format!("did you mean `{meant}`? Otherwise create `{name}` in Port"),
        None => "create it in Port, or correct the name".to_owned(),
    };
    let path = target.path.key("blueprint");
    let message = format!("there is no blueprint `{name}` in Port");
    reader.problem(&path, message, Some(hint));
}

fn properties(reader: &mut Reader<'_>, target: &Target<'_>, blueprint: &Value) {
    const COMPUTED: [&str; 3] = [
        "calculationProperties",
        "mirrorProperties",
        "aggregationProperties",
    ];
    let name = &target.blueprint;
    let known = keys(&blueprint["schema"]["properties"]);
    let mapped = section(target.mappings, "properties");
    let open: Vec<&str> = known
        .iter()
        .copied()
        .filter(|key| !mapped.contains(key))
        .collect();
    for key in mapped.iter().filter(|key| !known.contains(*key)) {
        let path = target.path.key("properties").key(key);
        if COMPUTED
            .iter()
            .any(|part| keys(&blueprint[*part]).contains(key))
        {
            reader.warning(
                &path,
                &format!("Port computes this property of the blueprint `{name}` itself, so what is mapped has no effect; leave it out"),
            );
        } else if let Some(meant) = nearest(key, &open) {
            reader.problem(
                &path,
                format!("the blueprint `{name}` has no property `{key}`"),
                Some(format!("did you mean `{meant}`, which is not mapped?")),
            );
        } else {
            reader.warning(
                &path,
                &format!("the blueprint `{name}` has no property `{key}`, so Port does not show it; add it to the blueprint, or leave it out"),
            );
        }
    }
}

fn relations_of(
    reader: &mut Reader<'_>,
    target: &Target<'_>,
    blueprint: &Value,
    blueprints: &Blueprints,
) {
    let name = &target.blueprint;
    let known: BTreeMap<&str, &Value> = relations(blueprint).collect();
    let names: Vec<&str> = known.keys().copied().collect();
    for key in section(target.mappings, "relations") {
        let path = target.path.key("relations").key(key);
        let Some(relation) = known.get(key) else {
            let hint = match nearest(key, &names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if names.is_empty() => {
                    format!("`{name}` has no relations: add it there, or leave it out")
                }
                None => format!(
                    "`{name}` has {}: add it there, or leave it out",
                    names.join(", ")
                ),
            };
            let message = format!("the blueprint `{name}` has no relation `{key}`");
            reader.problem(&path, message, Some(hint));
            continue;
        };
        let related = relation["target"].as_str().unwrap_or_default();
        if blueprints.get(related).is_some_and(Option::is_none) {
            let message =
                format!("it leads to the blueprint `{related}`, which is not there in Port");
            let hint = format!("create `{related}`, or correct the relation in `{name}`");
            reader.problem(&path, message, Some(hint));
        }
    }
}

/// Notes what the blueprint requires and no resource config gives.
fn required(reader: &mut Reader<'_>, together: &[&Target<'_>], blueprint: &Value) {
    let Some(first) = together.first() else {
        return;
    };
    let properties = blueprint["schema"]["required"].as_array();
    let properties = properties.into_iter().flatten().filter_map(Value::as_str);
    let properties = properties.map(|key| ("property", "properties", key));
    let relations = relations(blueprint).filter(|(_, relation)| relation["required"] == true);
    let relations = relations.map(|(key, _)| ("relation", "relations", key));
    for (what, part, key) in properties.chain(relations) {
        let is_mapped = |target: &&Target<'_>| section(target.mappings, part).contains(&key);
        if !together.iter().any(is_mapped) {
            let message = format!(
                "the blueprint `{}` requires the {what} `{key}`, which is not mapped",
                first.blueprint
            );
            let hint = "map it, or make it optional in Port: entities without it are refused";
            reader.problem(&first.path.key(part), message, Some(hint.to_owned()));
        }
    }
}

fn relations(blueprint: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let relations = blueprint["relations"].as_object().into_iter().flatten();
    relations.map(|(name, relation)| (name.as_str(), relation))
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(key, _)| key.as_str()).collect()
}

fn section<'a>(mappings: &'a Map<String, Value>, part: &str) -> Vec<&'a str> {
    mappings.get(part).map(keys).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jq::Limits;
    use crate::resource_config::fit_text;
    use crate::settings::SourceName;

    fn blueprints() -> Blueprints {
        let thing = json!({
            "schema": {
                "properties": {"status": {}, "startedAt": {}, "name": {}},
                "required": ["name"],
            },
            "relations": {
                "page": {"target": "page", "required": true},
                "gone": {"target": "gone"},
            },
            "calculationProperties": {"age": {}},
        });
        [
            ("thing".to_owned(), Some(thing)),
            (
                "page".to_owned(),
                Some(json!({"schema": {"properties": {}}})),
            ),
            ("gone".to_owned(), None),
            ("thinq".to_owned(), None),
        ]
        .into()
    }

    fn told(text: &str) -> String {
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        match fit_text(text, "m.yaml", &SourceName::ALL, &jq, &blueprints()) {
            Ok(parsed) => parsed.warnings.join("\n"),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn everything_that_does_not_fit_is_told_with_its_place() {
        let text = "\
resources:
  - kind: component
    selector:
      query: .group == false |
    port:
      entity:
        mappings:
          identifier: .id
          blueprint: '\"thing\"'
          properties:
            statos: .status
          relations:
            pge: .page_id
            gone: .x
  - kind: component
    selector:
      query: 'true'
    port:
      entity:
        mappings:
          identifier: .id
          blueprint: '\"thinq\"'
";
        insta::assert_snapshot!(told(text), @"
        m.yaml has 7 problems

          m.yaml:4:14  resources[0].selector.query
              .group == false |
                               ^
            unexpected end of the expression, expected an expression

          m.yaml:11:13  resources[0].port.entity.mappings.properties
            the blueprint `thing` requires the property `name`, which is not mapped
            hint: map it, or make it optional in Port: entities without it are refused

          m.yaml:11:21  resources[0].port.entity.mappings.properties.statos
            the blueprint `thing` has no property `statos`
            hint: did you mean `status`, which is not mapped?

          m.yaml:13:13  resources[0].port.entity.mappings.relations
            the blueprint `thing` requires the relation `page`, which is not mapped
            hint: map it, or make it optional in Port: entities without it are refused

          m.yaml:13:18  resources[0].port.entity.mappings.relations.pge
            the blueprint `thing` has no relation `pge`
            hint: did you mean `page`?

          m.yaml:14:19  resources[0].port.entity.mappings.relations.gone
            it leads to the blueprint `gone`, which is not there in Port
            hint: create `gone`, or correct the relation in `thing`

          m.yaml:22:22  resources[1].port.entity.mappings.blueprint
            there is no blueprint `thinq` in Port
            hint: did you mean `thing`? Otherwise create `thinq` in Port
        ");
    }

    #[test]
    fn what_port_takes_without_showing_it_is_only_worth_knowing() {
        let text = "\
resources:
  - kind: component
    selector:
      query: 'true'
    port:
      entity:
        mappings:
          identifier: .id
          blueprint: '\"thing\"'
          properties:
            name: .name
            impact_override: .impact
            age: .age
          relations:
            page: .page_id
";
        insta::assert_snapshot!(told(text), @"
        m.yaml:12:13: resources[0].port.entity.mappings.properties.impact_override: the blueprint `thing` has no property `impact_override`, so Port does not show it; add it to the blueprint, or leave it out
        m.yaml:13:13: resources[0].port.entity.mappings.properties.age: Port computes this property of the blueprint `thing` itself, so what is mapped has no effect; leave it out
        ");
    }

    #[test]
    fn of_two_that_write_to_one_blueprint_one_may_give_what_it_requires() {
        let text = r#"{"resources": [
            {"kind": "component", "selector": {"query": "true"}, "port": {"entity": {"mappings":
                {"identifier": ".id", "blueprint": "\"thing\"", "properties": {"name": ".name"}}}}},
            {"kind": "component", "selector": {"query": "true"}, "port": {"entity": {"mappings":
                {"identifier": ".id", "blueprint": "\"thing\"", "relations": {"page": ".page_id"}}}}}
        ]}"#;
        assert_eq!(told(text), "");
    }
}
