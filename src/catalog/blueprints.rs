//! Creates the default blueprints at a first start, and completes those that an
//! earlier, broken-off first start left unfinished.
//!
//! ```text
//! missing ─▶ bare ─▶ with relations ─▶ whole      no blueprint is told of another before that is there
//!              ▲            ▲
//!              └─ left unfinished: the next start goes on from here
//! ```
//!
//! A blueprint that exists is somebody's and is never changed, with one
//! exception: one that is, to the letter, what this module leaves between two
//! of its steps. A process that is killed there cannot take anything back, and
//! its bare blueprints, kept as somebody's own, would never be related. Whatever
//! differs from that in anything a person could have meant stays as it is.
//!
//! A failure takes back what this run created, and nothing else: neither what
//! was there before, nor what was only completed, nor a blueprint of which it is
//! not known whose it is because the answer to its creation was lost. That one
//! is completed by the next start.

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Map, Value};

use super::prepare::{PrepareError, attempting, is_empty};
use crate::api::PortClient;
use crate::causes::one_line;

/// Requests that set up blueprints at the same time.
const AT_A_TIME: usize = 8;

/// Parts of a blueprint that refer to other blueprints, and so come after all
/// of them are there.
const REFERRING: [&str; 6] = [
    "calculationProperties",
    "mirrorProperties",
    "aggregationProperties",
    "teamInheritance",
    "ownership",
    "relations",
];

/// The parts of those that come first, since the others may follow them.
const RELATING: [&str; 3] = ["relations", "teamInheritance", "ownership"];

/// What Port adds to a blueprint by itself.
const OF_PORT: [&str; 5] = ["id", "createdAt", "createdBy", "updatedAt", "updatedBy"];

/// What there is of a default blueprint before this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Missing,
    /// As an earlier start that was broken off left it.
    Unfinished,
    /// Whole, or somebody's.
    Present,
}

/// Makes sure that every default blueprint is there.
pub(super) async fn create_blueprints(
    port: &PortClient,
    blueprints: &[Value],
) -> Result<(), PrepareError> {
    let looked = look_for(port, blueprints).await?;
    let those = |wanted: Found| {
        looked
            .iter()
            .filter(move |(_, found)| *found == wanted)
            .map(|(blueprint, _)| *blueprint)
    };
    let kept: Vec<_> = those(Found::Present).map(identifier).collect();
    if !kept.is_empty() {
        tracing::info!(
            blueprints = kept.len(),
            "{} of the default blueprints exist in Port already and stay as they are: {}",
            kept.len(),
            kept.join(", ")
        );
    }

    let missing: Vec<_> = those(Found::Missing).collect();
    let unfinished: Vec<_> = those(Found::Unfinished).collect();
    let mut created = Vec::new();
    let mut outcome = create_bare(port, &missing, &mut created).await;
    if outcome.is_ok() {
        outcome = complete(port, &[&*missing, &*unfinished].concat()).await;
    }
    if outcome.is_err() {
        take_back(port, &created).await;
        return outcome;
    }
    if !created.is_empty() {
        tracing::info!(
            blueprints = created.len(),
            "Created {} blueprints in Port",
            created.len()
        );
    }
    if !unfinished.is_empty() {
        let names: Vec<_> = unfinished.into_iter().map(identifier).collect();
        tracing::info!(
            blueprints = names.len(),
            "Completed {} blueprints that an earlier start had left unfinished: {}",
            names.len(),
            names.join(", ")
        );
    }
    Ok(())
}

/// The default blueprints that [`create_blueprints`] would create or complete.
pub(super) async fn unmade(
    port: &PortClient,
    blueprints: &[Value],
) -> Result<Vec<Value>, PrepareError> {
    let looked = look_for(port, blueprints).await?.into_iter();
    let unmade = looked.filter(|(_, found)| *found != Found::Present);
    Ok(unmade.map(|(blueprint, _)| blueprint.clone()).collect())
}

async fn look_for<'b>(
    port: &PortClient,
    blueprints: &'b [Value],
) -> Result<Vec<(&'b Value, Found)>, PrepareError> {
    let looks = blueprints.iter().map(async |blueprint| {
        let identifier = identifier(blueprint);
        let found = port.blueprint(identifier).await;
        found
            .map(|found| (blueprint, look(found.as_ref(), blueprint)))
            .map_err(attempting(&format!(
                "look for the blueprint `{identifier}`"
            )))
    });
    let looked = a_few_at_a_time(looks.collect()).await;
    looked.into_iter().collect()
}

async fn create_bare(
    port: &PortClient,
    missing: &[&Value],
    created: &mut Vec<String>,
) -> Result<(), PrepareError> {
    let creating = missing.iter().map(async |blueprint| {
        let identifier = identifier(blueprint);
        let outcome = port.create_blueprint(&bare(blueprint)).await;
        (identifier.to_owned(), outcome)
    });
    let mut failed = None;
    for (identifier, outcome) in a_few_at_a_time(creating.collect()).await {
        match outcome {
            Ok(()) => created.push(identifier),
            Err(source) => {
                let attempted = format!("create the blueprint `{identifier}`");
                failed.get_or_insert(PrepareError::Api { attempted, source });
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Relates all of them, then makes all of them whole.
async fn complete(port: &PortClient, blueprints: &[&Value]) -> Result<(), PrepareError> {
    let whole = |blueprint: &Value| Some(blueprint.clone());
    for patch in [relating_part, whole] {
        let patching = blueprints.iter().filter_map(|blueprint| {
            let identifier = identifier(blueprint);
            let patch = patch(blueprint)?;
            Some(async move {
                let outcome = port.patch_blueprint(identifier, &patch).await;
                outcome.map_err(attempting(&format!(
                    "complete the blueprint `{identifier}`"
                )))
            })
        });
        let patched = a_few_at_a_time(patching.collect()).await;
        patched.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    Ok(())
}

/// Their results, in their order. They come in a list, because a stream that makes
/// them from what it borrows cannot be sent to another thread.
async fn a_few_at_a_time<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    stream::iter(futures).buffered(AT_A_TIME).collect().await
}

async fn take_back(port: &PortClient, created: &[String]) {
    for blueprint in created.iter().rev() {
        if let Err(error) = port.delete_blueprint(blueprint).await {
            tracing::warn!(
                blueprint = %blueprint,
                "Could not take back the blueprint `{blueprint}`: {}",
                one_line(&error)
            );
        }
    }
}

fn look(found: Option<&Value>, wanted: &Value) -> Found {
    let Some(found) = found.map(definition) else {
        return Found::Missing;
    };
    let mut related = bare(wanted);
    if let (Some(related), Some(Value::Object(part))) =
        (related.as_object_mut(), relating_part(wanted))
    {
        related.extend(part);
    }
    let is_whole = found == definition(wanted);
    if !is_whole && (found == definition(&bare(wanted)) || found == definition(&related)) {
        Found::Unfinished
    } else {
        Found::Present
    }
}

/// What a blueprint says, whoever shows it: without what Port adds, and without
/// sections that say nothing.
fn definition(blueprint: &Value) -> Value {
    let mut definition = blueprint.clone();
    if let Some(members) = definition.as_object_mut() {
        members.retain(|key, _| !OF_PORT.contains(&key.as_str()));
        if let Some(schema) = members.get_mut("schema").and_then(Value::as_object_mut) {
            schema.retain(|_, value| !says_nothing(value));
        }
        members.retain(|_, value| !says_nothing(value));
    }
    definition
}

fn says_nothing(section: &Value) -> bool {
    is_empty(section) || section.as_array().is_some_and(Vec::is_empty)
}

fn identifier(blueprint: &Value) -> &str {
    blueprint
        .get("identifier")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn bare(blueprint: &Value) -> Value {
    let mut bare = blueprint.clone();
    if let Some(members) = bare.as_object_mut() {
        members.retain(|key, _| !REFERRING.contains(&key.as_str()));
    }
    bare
}

/// Relations and what follows them; none where there are none.
fn relating_part(blueprint: &Value) -> Option<Value> {
    let part: Map<String, Value> = RELATING
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), blueprint.get(key)?.clone())))
        .filter(|(_, value)| !is_empty(value))
        .collect();
    (!part.is_empty()).then_some(Value::Object(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({
            "identifier": "car",
            "title": "Car",
            "schema": {"properties": {"colour": {"type": "string"}}, "required": []},
            "relations": {"owner": {"target": "person", "many": false, "required": false}},
            "mirrorProperties": {},
            "calculationProperties": {"loud": {"title": "Loud", "type": "string", "calculation": ".colour"}},
            "aggregationProperties": {},
        })
    }

    fn without(keys: &[&str]) -> Value {
        let mut blueprint = wanted();
        blueprint
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !keys.contains(&key.as_str()));
        blueprint
    }

    #[test]
    fn what_a_broken_off_start_leaves_is_unfinished_whatever_port_adds_to_it() {
        let mut bare = without(&REFERRING);
        assert_eq!(look(Some(&bare), &wanted()), Found::Unfinished);
        let computed = ["calculationProperties", "mirrorProperties"];
        assert_eq!(
            look(Some(&without(&computed)), &wanted()),
            Found::Unfinished
        );

        for key in OF_PORT {
            bare[key] = json!("something");
        }
        bare["description"] = Value::Null;
        bare["relations"] = json!({});
        bare["schema"] = json!({"properties": {"colour": {"type": "string"}}});
        assert_eq!(look(Some(&bare), &wanted()), Found::Unfinished);
    }

    #[test]
    fn what_differs_in_anything_a_person_could_have_meant_is_not() {
        assert_eq!(look(None, &wanted()), Found::Missing);
        assert_eq!(look(Some(&wanted()), &wanted()), Found::Present);
        // Calculated without being related: no start leaves that.
        assert_eq!(
            look(Some(&without(&["relations"])), &wanted()),
            Found::Present
        );
        for (key, value) in [
            ("title", json!("Our car")),
            ("icon", json!("Car")),
            ("schema", json!({"properties": {}, "required": []})),
            (
                "schema",
                json!({"properties": {"colour": {"type": "string"}}, "required": ["colour"]}),
            ),
            (
                "relations",
                json!({"owner": {"target": "person", "many": true, "required": false}}),
            ),
            ("ownership", json!({"type": "Direct"})),
        ] {
            let mut bare = without(&REFERRING);
            bare[key] = value;
            assert_eq!(look(Some(&bare), &wanted()), Found::Present, "{bare}");
        }
    }

    #[test]
    fn a_blueprint_that_refers_to_nothing_is_whole_at_once() {
        let plain = without(&REFERRING);
        assert_eq!(look(Some(&plain), &plain), Found::Present);
    }
}
