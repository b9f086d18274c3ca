//! Whole configurations, from variables and files to settings or problems.

mod contract;
mod documentation;
mod incident_sync;
mod layers;
mod pagerstatus;
mod problems;
mod secrets;
mod sources;

use std::time::Duration;

use super::*;

/// Enough for a start with PagerDuty.
const PAGERDUTY: &[(&str, &str)] = &[
    ("OCEAN__PORT__CLIENT_ID", "port-client-id"),
    ("OCEAN__PORT__CLIENT_SECRET", "port-client-secret"),
    ("OCEAN__INTEGRATION__CONFIG__TOKEN", "pagerduty-token"),
];

/// Port's credentials only.
const PORT: &[(&str, &str)] = PAGERDUTY.split_at(2).0;

fn inputs(base: &[(&str, &str)], more: &[(&str, &str)]) -> Inputs {
    let mut environment = BTreeMap::new();
    for (name, value) in base.iter().chain(more) {
        environment.insert((*name).to_owned(), OsString::from(value));
    }
    // A directory without files.
    let directory = PathBuf::from("/nonexistent/portolan");
    Inputs {
        environment,
        directory,
        overrides: Overrides::default(),
    }
}

/// What comes of PagerDuty's minimum and `more`.
fn loaded(more: &[(&str, &str)]) -> Loaded {
    load(inputs(PAGERDUTY, more)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn settings(more: &[(&str, &str)]) -> Settings {
    loaded(more).settings
}

/// The catalog's part of them.
fn catalog(more: &[(&str, &str)]) -> CatalogSettings {
    catalog_of(loaded(more))
}

fn catalog_of(loaded: Loaded) -> CatalogSettings {
    loaded.settings.catalog.expect("the catalog is on")
}

/// What is said of settings that do not work.
fn problems(base: &[(&str, &str)], more: &[(&str, &str)]) -> String {
    match load(inputs(base, more)) {
        Ok(loaded) => panic!("no problem was found: {loaded:?}"),
        Err(problems) => problems.to_string(),
    }
}

fn warnings(more: &[(&str, &str)]) -> String {
    loaded(more).warnings.join("\n")
}
