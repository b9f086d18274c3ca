//! What a first start puts into Port: blueprints, mapping, and what else the
//! resource files hold, the program's own or a directory's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::settings::SourceName;

/// The originals' default folder. It is in their image, not in this one, so an
/// environment that spells the default out means what is built in.
const ORIGINAL_FOLDER: &str = ".port/resources";

/// Blueprints, mapping and what else a first start puts into Port.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Blueprint definitions.
    pub blueprints: Vec<Value>,
    /// The mapping document.
    pub mapping: Value,
    /// The text of a mapping document of one's own, and where it stands, so that
    /// what is wrong with it can be shown in it.
    pub own_mapping: Option<OwnMapping>,
    pub(super) actions: Vec<Value>,
    pub(super) scorecards: Vec<Value>,
    pub(super) pages: Vec<Value>,
}

/// A mapping document in a file.
#[derive(Clone, Debug)]
pub struct OwnMapping {
    /// The file.
    pub origin: String,
    /// What it holds: YAML or JSON.
    pub text: String,
}

/// Resource files that cannot be used.
#[derive(Debug, Error)]
pub enum DefaultsError {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// A folder that was named and is not there. Without this, a first start
    /// would store an empty mapping and call it a success.
    #[error("there is no folder {} with default blueprints and mapping", path.display())]
    NoFolder {
        /// What was named.
        path: PathBuf,
    },

    /// A file that holds neither JSON nor YAML, or something else than expected.
    #[error("{origin} is not {expected}{}", reason.as_ref().map_or(String::new(), |reason| format!(": {reason}")))]
    Malformed {
        /// Which file.
        origin: String,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        reason: Option<String>,
    },
}

impl DefaultsError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoFolder { .. } => Some(
                "correct OCEAN__RESOURCES_PATH, or leave it out for the defaults that come with the program",
            ),
            Self::Unreadable { .. } | Self::Malformed { .. } => {
                Some("correct the file, or leave OCEAN__RESOURCES_PATH out")
            }
        }
    }
}

impl Defaults {
    /// The files of `directory`, or what the program brings for `sources`.
    pub fn load(directory: Option<&Path>, sources: &[SourceName]) -> Result<Self, DefaultsError> {
        match directory {
            Some(directory) if directory == Path::new(ORIGINAL_FOLDER) && !directory.is_dir() => {
                Self::embedded(sources)
            }
            Some(directory) => Self::from_directory(directory),
            None => Self::embedded(sources),
        }
    }

    /// What the program brings along, one source after the other. With several of
    /// them, a kind whose name another source has as well carries its source's name,
    /// whether that other source is on or not: turning it on later must not make
    /// the document ambiguous that was stored before. Then comes what pairs of
    /// sources have between them.
    pub fn embedded(sources: &[SourceName]) -> Result<Self, DefaultsError> {
        let mut defaults = Self::default();
        let shared = match sources {
            [] | [_] => BTreeSet::new(),
            _ => shared_kinds()?,
        };
        for &source in sources {
            let (blueprints, _) = embedded_files(source);
            let origin = format!("the default {source} blueprints");
            defaults.blueprints.extend(list(&origin, blueprints)?);
            let (origin, mut mapping) = embedded_mapping(source)?;
            for kind in kinds(&mut mapping) {
                if shared.contains(kind) {
                    *kind = format!("{source}.{kind}");
                }
            }
            defaults.add_mapping(&origin, mapping)?;
        }
        for pair in &PAIRS {
            if pair.sources.iter().all(|source| sources.contains(source)) {
                defaults.add_pair(pair)?;
            }
        }
        Ok(defaults)
    }

    /// The mapping that comes with the program, as people would write it: of one source
    /// with the comments that it has, of several as they are joined at a first start.
    pub fn embedded_mapping_text(sources: &[SourceName]) -> Result<String, DefaultsError> {
        if let [source] = sources {
            return Ok(embedded_files(*source).1.to_owned());
        }
        let mapping = Self::embedded(sources)?.mapping;
        serde_yaml::to_string(&mapping).map_err(|error| DefaultsError::Malformed {
            origin: "the default mapping".to_owned(),
            expected: "something that YAML can hold",
            reason: Some(error.to_string()),
        })
    }

    fn from_directory(directory: &Path) -> Result<Self, DefaultsError> {
        if !directory.is_dir() {
            return Err(DefaultsError::NoFolder {
                path: directory.to_owned(),
            });
        }
        let mut defaults = Self::default();
        if let Some((origin, text)) = find(directory, "port-app-config")? {
            defaults.add_mapping(&origin, parse(&origin, &text)?)?;
            defaults.own_mapping = Some(OwnMapping { origin, text });
        }
        let read = |name| match find(directory, name)? {
            Some((origin, text)) => list(&origin, &text),
            None => Ok(Vec::new()),
        };
        defaults.blueprints = read("blueprints")?;
        defaults.actions = read("actions")?;
        defaults.scorecards = read("scorecards")?;
        defaults.pages = read("pages")?;
        Ok(defaults)
    }

    /// The first document's settings hold; the resources of all are joined.
    fn add_mapping(&mut self, origin: &str, mut mapping: Value) -> Result<(), DefaultsError> {
        let malformed = |reason| DefaultsError::Malformed {
            origin: origin.to_owned(),
            expected: "a mapping document",
            reason,
        };
        let Some(resources) = mapping.get_mut("resources").and_then(Value::as_array_mut) else {
            return Err(malformed(Some("it has no list `resources`".to_owned())));
        };
        match self
            .mapping
            .get_mut("resources")
            .and_then(Value::as_array_mut)
        {
            Some(known) => known.append(resources),
            None => self.mapping = mapping,
        }
        Ok(())
    }

    /// Adds to what is there; a part that is added to nothing is a mistake.
    fn add_pair(&mut self, pair: &Pair) -> Result<(), DefaultsError> {
        let [one, other] = pair.sources;
        let origin = format!("what the defaults of {one} and {other} have between them");
        let mut mapping = parse(&origin, pair.mapping)?;
        let added = mapping.get_mut("resources").map(Value::take);
        let resources = self.mapping.get_mut("resources");
        let resources = resources.and_then(Value::as_array_mut);
        let (Some(Value::Array(added)), Some(resources)) = (added, resources) else {
            return Err(DefaultsError::Malformed {
                origin,
                expected: "a mapping document",
                reason: Some("it has no list `resources`".to_owned()),
            });
        };
        merge_by("kind", resources, added, &origin)?;
        let blueprints = list(&origin, pair.blueprints)?;
        merge_by("identifier", &mut self.blueprints, blueprints, &origin)
    }
}

/// What two sources have between them: added to the defaults of both when both
/// are on, so that the defaults of one alone stay the originals'.
struct Pair {
    sources: [SourceName; 2],
    blueprints: &'static str,
    mapping: &'static str,
}

const PAIRS: [Pair; 1] = [Pair {
    sources: [SourceName::Statuspage, SourceName::Pagerduty],
    blueprints: include_str!("../../.port/resources/statuspage-and-pagerduty/blueprints.json"),
    mapping: include_str!("../../.port/resources/statuspage-and-pagerduty/port-app-config.yaml"),
}];

/// Adds each object to the one that has the same under `key`.
fn merge_by(
    key: &str,
    objects: &mut [Value],
    added: Vec<Value>,
    origin: &str,
) -> Result<(), DefaultsError> {
    for part in added {
        let name = part.get(key);
        let same = objects
            .iter_mut()
            .find(|object| name.is_some() && object.get(key) == name);
        match same {
            Some(object) => merge(object, part),
            None => {
                return Err(DefaultsError::Malformed {
                    origin: origin.to_owned(),
                    expected: "an addition to the defaults",
                    reason: Some(format!("it adds to a {key} that they do not have")),
                });
            }
        }
    }
    Ok(())
}

/// Adds members to an object, and to the objects in it.
fn merge(into: &mut Value, added: Value) {
    match (into, added) {
        (Value::Object(into), Value::Object(added)) => {
            for (key, value) in added {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, added) => *into = added,
    }
}

/// Blueprints and mapping that come with the program for a source.
const fn embedded_files(source: SourceName) -> (&'static str, &'static str) {
    match source {
        SourceName::Statuspage => (
            include_str!("../../.port/resources/statuspage/blueprints.json"),
            include_str!("../../.port/resources/statuspage/port-app-config.yaml"),
        ),
        SourceName::Pagerduty => (
            include_str!("../../.port/resources/pagerduty/blueprints.json"),
            include_str!("../../.port/resources/pagerduty/port-app-config.yaml"),
        ),
        SourceName::Opsgenie => (
            include_str!("../../.port/resources/opsgenie/blueprints.json"),
            include_str!("../../.port/resources/opsgenie/port-app-config.yaml"),
        ),
    }
}

/// The mapping that comes with the program for a source, and what to call it.
fn embedded_mapping(source: SourceName) -> Result<(String, Value), DefaultsError> {
    let (_, mapping) = embedded_files(source);
    let origin = format!("the default {source} mapping");
    let mapping = parse(&origin, mapping)?;
    Ok((origin, mapping))
}

/// Kinds that the default mappings of several sources have.
fn shared_kinds() -> Result<BTreeSet<String>, DefaultsError> {
    let mut seen = BTreeSet::new();
    let mut shared = BTreeSet::new();
    for source in SourceName::ALL {
        let (_, mut mapping) = embedded_mapping(source)?;
        let own: BTreeSet<String> = kinds(&mut mapping).map(|kind| kind.clone()).collect();
        shared.extend(own.intersection(&seen).cloned());
        seen.extend(own);
    }
    Ok(shared)
}

/// The kind of every resource config.
fn kinds(mapping: &mut Value) -> impl Iterator<Item = &mut String> {
    let resources = mapping.get_mut("resources").and_then(Value::as_array_mut);
    resources
        .into_iter()
        .flatten()
        .filter_map(|resource| match resource.get_mut("kind") {
            Some(Value::String(kind)) => Some(kind),
            _ => None,
        })
}

/// `<name>.json`, `.yaml` or `.yml` in `directory`.
fn find(directory: &Path, name: &str) -> Result<Option<(String, String)>, DefaultsError> {
    for ending in ["json", "yaml", "yml"] {
        let path = directory.join(format!("{name}.{ending}"));
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path.display().to_string(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(DefaultsError::Unreadable { path, source }),
        }
    }
    Ok(None)
}

fn list(origin: &str, text: &str) -> Result<Vec<Value>, DefaultsError> {
    match parse(origin, text)? {
        Value::Array(items) => Ok(items),
        _ => Err(DefaultsError::Malformed {
            origin: origin.to_owned(),
            expected: "a list",
            reason: None,
        }),
    }
}

/// YAML with its merge keys applied; JSON is YAML.
fn parse(origin: &str, text: &str) -> Result<Value, DefaultsError> {
    let malformed = |error: serde_yaml::Error| DefaultsError::Malformed {
        origin: origin.to_owned(),
        expected: "readable YAML or JSON",
        reason: Some(error.to_string()),
    };
    let mut document: serde_yaml::Value = serde_yaml::from_str(text).map_err(malformed)?;
    document.apply_merge().map_err(malformed)?;
    serde_yaml::from_value(document).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::jq::{Jq, Limits};
    use crate::resource_config;

    fn kinds_of(sources: &[SourceName]) -> Vec<String> {
        let mut mapping = Defaults::embedded(sources).unwrap().mapping;
        kinds(&mut mapping).map(|kind| kind.clone()).collect()
    }

    /// Every subset of the sources but the empty one, in their order.
    fn subsets() -> Vec<Vec<SourceName>> {
        let all = SourceName::ALL;
        let chosen = |mask: usize| (0..all.len()).filter(move |place| mask & (1 << place) != 0);
        (1..1 << all.len())
            .map(|mask| chosen(mask).map(|place| all[place]).collect())
            .collect()
    }

    #[test]
    fn one_source_alone_has_its_kinds_as_the_original_writes_them() {
        for source in SourceName::ALL {
            let kinds = kinds_of(&[source]);
            assert!(kinds.iter().all(|kind| !kind.contains('.')), "{kinds:?}");
        }
    }

    #[test]
    fn several_sources_qualify_what_more_than_one_of_them_could_mean() {
        use SourceName::{Opsgenie, Pagerduty, Statuspage};
        for sources in subsets().into_iter().filter(|sources| sources.len() > 1) {
            let qualified: Vec<String> = kinds_of(&sources)
                .into_iter()
                .filter(|kind| kind.contains('.'))
                .collect();
            let expected: Vec<String> = [Statuspage, Opsgenie]
                .into_iter()
                .filter(|source| sources.contains(source))
                .map(|source| format!("{source}.incident"))
                .collect();
            assert_eq!(qualified, expected, "{sources:?}");
        }
        assert!(kinds_of(&[Statuspage, Pagerduty]).contains(&"incident_update".to_owned()));
    }

    /// Relations of a blueprint that lead to another source's.
    fn led_to(defaults: &Defaults) -> Vec<String> {
        let foreign = defaults.blueprints.iter().flat_map(|blueprint| {
            let of = blueprint["identifier"].as_str().unwrap_or_default();
            let prefix: String = of.chars().take(4).collect();
            let relations = blueprint["relations"].as_object().into_iter().flatten();
            relations.filter_map(move |(name, relation)| {
                let target = relation["target"].as_str()?;
                (!target.starts_with(&prefix)).then(|| format!("{of}.{name} → {target}"))
            })
        });
        foreign.collect()
    }

    #[test]
    fn only_sources_that_are_on_together_have_something_between_them() {
        use SourceName::{Pagerduty, Statuspage};
        for sources in subsets() {
            let defaults = Defaults::embedded(&sources).unwrap();
            let has_both = [Statuspage, Pagerduty]
                .iter()
                .all(|source| sources.contains(source));
            let expected: &[&str] = if has_both {
                &["statuspageIncident.pagerdutyIncidents → pagerdutyIncident"]
            } else {
                &[]
            };
            assert_eq!(led_to(&defaults), expected, "{sources:?}");
            let mapping = defaults.mapping.to_string();
            assert_eq!(
                mapping.contains("pagerdutyIncidents"),
                has_both,
                "{sources:?}"
            );
        }
    }

    #[test]
    fn what_a_pair_has_is_added_and_takes_nothing_away() {
        let mut plain = Defaults::default();
        for source in SourceName::ALL {
            let one = Defaults::embedded(&[source]).unwrap();
            plain.blueprints.extend(one.blueprints);
        }
        let both = Defaults::embedded(&SourceName::ALL).unwrap();
        for (mut with, without) in both.blueprints.into_iter().zip(plain.blueprints) {
            if with["identifier"] == "statuspageIncident" {
                let relations = with["relations"].as_object_mut().unwrap();
                assert!(relations.remove("pagerdutyIncidents").is_some());
            }
            assert_eq!(with, without);
        }
    }

    #[test]
    fn the_mapping_of_every_subset_is_one_without_a_mistake() {
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        for sources in subsets() {
            let mapping = Defaults::embedded(&sources).unwrap().mapping;
            let text = serde_json::to_string(&mapping).unwrap();
            let parsed = resource_config::parse_text(&text, "mapping", &sources, &jq)
                .unwrap_or_else(|invalid| panic!("{sources:?}: {invalid}"));
            assert_eq!(parsed.warnings, Vec::<String>::new(), "{sources:?}");
            // What is stored today is understood when another source is turned on.
            if sources.len() > 1 {
                resource_config::parse_text(&text, "mapping", &SourceName::ALL, &jq)
                    .unwrap_or_else(|invalid| panic!("{sources:?}: {invalid}"));
            }
        }
    }
}
