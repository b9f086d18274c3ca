//! The mapping, and the blueprints in Port that it writes to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::finding::{Finding, of_document};
use super::port::Found;
use crate::api::{ApiError, Integration, PortClient};
use crate::catalog::{Defaults, OwnMapping};
use crate::document::{Expression, InvalidDocument};
use crate::jq::{Jq, Limits};
use crate::resource_config::{
    self, Blueprints, EntityMapping, Parsed, ResourceConfig, Template, literal_blueprints,
    related_blueprints,
};
use crate::settings::{CatalogSettings, SourceName};

const ABOUT: &str = "mapping";

/// Blueprints that are asked for at the same time.
const AT_A_TIME: usize = 8;

/// A mapping document, and what messages call it.
enum Document {
    /// As people write it.
    Text { origin: String, text: String },
    /// As Port stores it.
    Stored { origin: &'static str, value: Value },
}

impl Document {
    fn value(&self, jq: &Jq) -> Value {
        match self {
            Self::Text { text, .. } => resource_config::value_of_text(text, jq),
            Self::Stored { value, .. } => value.clone(),
        }
    }

    fn fit(
        &self,
        sources: &[SourceName],
        jq: &Jq,
        blueprints: &Blueprints,
    ) -> Result<Parsed, InvalidDocument> {
        match self {
            Self::Text { origin, text } => {
                resource_config::fit_text(text, origin, sources, jq, blueprints)
            }
            Self::Stored { origin, value } => {
                resource_config::fit_value(value, origin, sources, jq, blueprints)
            }
        }
    }
}

/// Checks the mapping of `file`, or the one that a run would use. Returns what there is
/// to read for it as well; of a mapping with mistakes, for the defaults.
pub(super) async fn check(
    port: &PortClient,
    catalog: &CatalogSettings,
    found: Found,
    file: Option<&Path>,
) -> (Vec<Finding>, Vec<Arc<ResourceConfig>>) {
    let sources = catalog.sources.names();
    let jq = Jq::new(catalog.jq_environment.clone(), Limits::default());
    let defaults = match Defaults::load(catalog.resources_path.as_deref(), &sources) {
        Ok(defaults) => defaults,
        Err(error) => {
            return (
                vec![Finding::error(ABOUT, &error, error.hint())],
                Vec::new(),
            );
        }
    };
    let of_defaults = || {
        let parsed = resource_config::parse_value(&defaults.mapping, "", &sources, &jq);
        parsed.map_or_else(|_| Vec::new(), |parsed| parsed.document.resources)
    };
    if file.is_none() && matches!(found, Found::Unknown) {
        let text = "the one in Port could not be read, since Port could not be asked";
        let finding = Finding::note(ABOUT, text).remedy("--mapping FILE checks that of a file");
        return (vec![finding], reading_only(&jq, &of_defaults()));
    }
    let document = match document(file, &found, &defaults) {
        Ok(document) => document,
        Err(finding) => return (vec![*finding], reading_only(&jq, &of_defaults())),
    };
    let mut findings = Vec::new();
    let blueprints = match &found {
        Found::Unknown => {
            findings.push(Finding::note(
                ABOUT,
                "whether it fits the blueprints is not known, since Port could not be asked",
            ));
            Blueprints::new()
        }
        Found::Nothing | Found::There(_) => {
            let named = literal_blueprints(&document.value(&jq), &jq);
            match blueprints(port, named, first_blueprints(catalog, &found, &defaults)).await {
                Ok(blueprints) => blueprints,
                Err(error) => {
                    findings.push(Finding::error("blueprints", &error, error.hint()));
                    Blueprints::new()
                }
            }
        }
    };
    let configs = match document.fit(&sources, &jq, &blueprints) {
        Ok(Parsed { document, warnings }) => {
            let configs = document.resources.len();
            let fits = match blueprints.values().flatten().count() {
                0 => String::new(),
                there => format!(", and fit the {there} blueprints that they concern"),
            };
            let text = format!("{configs} resource configs are right{fits}");
            findings.insert(0, Finding::good(ABOUT, text));
            findings.extend(warnings.into_iter().map(|text| Finding::note(ABOUT, text)));
            document.resources
        }
        Err(invalid) => {
            findings.extend(of_document(ABOUT, &invalid));
            of_defaults()
        }
    };
    (findings, reading_only(&jq, &configs))
}

fn document(
    file: Option<&Path>,
    found: &Found,
    defaults: &Defaults,
) -> Result<Document, Box<Finding>> {
    if let Some(path) = file {
        let origin = path.display().to_string();
        return match std::fs::read_to_string(path) {
            Ok(text) => Ok(Document::Text { origin, text }),
            Err(error) => {
                let text = format!("cannot read {origin}: {error}");
                Err(Box::new(Finding::bad(ABOUT, text)))
            }
        };
    }
    if let Found::There(integration) = found
        && has_mapping(integration)
    {
        return Ok(Document::Stored {
            origin: "the mapping in Port",
            value: integration.config.clone(),
        });
    }
    Ok(match &defaults.own_mapping {
        Some(OwnMapping { origin, text }) => Document::Text {
            origin: origin.clone(),
            text: text.clone(),
        },
        None => Document::Stored {
            origin: "the default mapping",
            value: defaults.mapping.clone(),
        },
    })
}

fn has_mapping(integration: &Integration) -> bool {
    let config = integration.config.as_object();
    config.is_some_and(|config| !config.is_empty())
}

/// The blueprints that the first start will create, by their identifiers.
fn first_blueprints<'a>(
    catalog: &CatalogSettings,
    found: &Found,
    defaults: &'a Defaults,
) -> BTreeMap<&'a str, &'a Value> {
    let is_to_come = match found {
        Found::There(integration) => integration.are_port_resources_initialized != Some(true),
        Found::Nothing | Found::Unknown => true,
    };
    if !catalog.initialize_port_resources || !is_to_come {
        return BTreeMap::new();
    }
    let blueprints = defaults.blueprints.iter();
    blueprints
        .filter_map(|blueprint| Some((blueprint["identifier"].as_str()?, blueprint)))
        .collect()
}

/// Those that are named, and those that these relate to.
async fn blueprints(
    port: &PortClient,
    named: BTreeSet<String>,
    to_come: BTreeMap<&str, &Value>,
) -> Result<Blueprints, ApiError> {
    let mut blueprints = Blueprints::new();
    read_into(&mut blueprints, port, named, &to_come).await?;
    let related = related_blueprints(&blueprints);
    read_into(&mut blueprints, port, related, &to_come).await?;
    Ok(blueprints)
}

async fn read_into(
    blueprints: &mut Blueprints,
    port: &PortClient,
    names: BTreeSet<String>,
    to_come: &BTreeMap<&str, &Value>,
) -> Result<(), ApiError> {
    let unread = names
        .into_iter()
        .filter(|name| !blueprints.contains_key(name));
    let reads: Vec<_> = unread
        .map(async |name| {
            let read = port.blueprint(&name).await;
            read.map(|read| (name, read))
        })
        .collect();
    let reads: Vec<_> = stream::iter(reads)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    for read in reads {
        let (name, read) = read?;
        let read = read.or_else(|| to_come.get(name.as_str()).map(|&one| one.clone()));
        blueprints.insert(name, read);
    }
    Ok(())
}

/// The same resource configs without anything that would have to be fetched for each
/// object: whoever only wants to see a list needs no more.
fn reading_only(jq: &Jq, configs: &[Arc<ResourceConfig>]) -> Vec<Arc<ResourceConfig>> {
    let expression = |text: &str| {
        let filter = jq.compile(text).ok()?;
        Some(Expression {
            path: String::new(),
            position: None,
            filter,
        })
    };
    let bare = |config: &Arc<ResourceConfig>| {
        Some(Arc::new(ResourceConfig {
            query: expression("true")?,
            items_to_parse: None,
            mapping: EntityMapping {
                identifier: Template::Expression(expression(".id")?),
                blueprint: expression("\"any\"")?,
                title: None,
                icon: None,
                team: None,
                properties: Vec::new(),
                relations: Vec::new(),
            },
            ..ResourceConfig::clone(config)
        }))
    };
    configs.iter().filter_map(bare).collect()
}
