//! `portolan check`: whether a run would find everything that it needs.
//!
//! ```text
//! settings ─▶ Port ─▶ accounts ─▶ mapping ─▶ clocks, rate limits ─▶ surroundings
//!    exit 2              each is looked at although another is wrong
//! ```
//!
//! It asks what a run would ask and writes nothing, neither to Port nor to a vendor
//! nor to the disk; that is why what only a write would show is not found here.

mod accounts;
mod finding;
mod live;
mod mapping;
mod port;
mod surroundings;

use self::finding::{Finding, for_people, json};
use super::Exit;
use super::logging::Logging;
use super::output::print;
use super::start::{Labelled, sources};
use crate::api::PortClient;
use crate::cli::CheckArguments;
use crate::settings::{
    self, CatalogSettings, Inputs, Overrides, Settings, SourceSettings, SyncMode,
};

/// Runs the command to its end.
pub(super) async fn run(arguments: CheckArguments) -> Exit {
    let inputs = Inputs::from_process(Overrides {
        log_level: arguments.log_level,
        ..Overrides::default()
    });
    let findings = match settings::load(inputs) {
        Ok(mut loaded) => {
            let warnings = std::mem::take(&mut loaded.warnings);
            let _logging = Logging::start(&loaded);
            let mut findings = vec![settings_are_right(&loaded.settings)];
            findings.extend(
                warnings
                    .into_iter()
                    .map(|text| Finding::note("settings", text)),
            );
            findings.extend(everything(&loaded.settings, &arguments).await);
            findings
        }
        Err(problems) => finding::of_settings(&problems),
    };
    print(&if arguments.json {
        json(&findings)
    } else {
        for_people(&findings)
    });
    if findings.iter().any(Finding::is_bad) {
        Exit::NotStarted
    } else {
        Exit::Done
    }
}

fn settings_are_right(settings: &Settings) -> Finding {
    let text = match &settings.catalog {
        Some(CatalogSettings { integration, .. }) => format!(
            "complete, for the integration `{}` of type `{}`",
            integration.identifier, integration.kind
        ),
        None => "complete, for the incident sync without a catalog".to_owned(),
    };
    Finding::good("settings", text)
}

/// Everything but the settings.
async fn everything(settings: &Settings, arguments: &CheckArguments) -> Vec<Finding> {
    let accounts = match sources(settings, &account_settings(settings)) {
        Ok(accounts) => accounts,
        Err(error) => return vec![Finding::error("accounts", &error, error.hint())],
    };
    let mut findings = Vec::new();
    if let Some(catalog) = &settings.catalog {
        let built = PortClient::new(&catalog.port, &catalog.integration, &settings.outbound);
        match built {
            Ok(port) => findings.extend(of_catalog(&port, catalog, &accounts, arguments).await),
            Err(error) => findings.push(Finding::error("Port", &error, error.hint())),
        }
    } else {
        findings.extend(accounts::credentials(&accounts).await.0);
        findings.extend(accounts::clocks(None, &accounts));
    }
    findings.extend(accounts::rate_limits(&settings.rate_limits, &accounts));
    match sources(settings, &accounts_of_sync_alone(settings)) {
        Ok(accounts) => findings.extend(accounts::credentials(&accounts).await.0),
        Err(error) => findings.push(Finding::error("accounts", &error, error.hint())),
    }
    if let Some(catalog) = settings.catalog.as_ref().filter(|_| !settings.once) {
        let show = arguments.show_webhook_urls;
        findings.extend(live::webhooks(settings, catalog, show).await);
        findings.extend(live::public_url(settings).await);
    }
    if !settings.once {
        findings.extend(live::redis(settings).await);
    }
    findings.extend(surroundings::state_database(&settings.state_path).await);
    findings.extend(surroundings::incident_sync(settings).await);
    findings
}

/// What a resync needs: Port, the accounts, and a mapping that fits both.
async fn of_catalog(
    port: &PortClient,
    catalog: &CatalogSettings,
    accounts: &[Labelled],
    arguments: &CheckArguments,
) -> Vec<Finding> {
    let ((mut findings, integration), (credentials, accepted)) = tokio::join!(
        port::integration(port, &catalog.integration),
        accounts::credentials(accounts)
    );
    findings.extend(credentials);
    let file = arguments.mapping.as_deref();
    let (of_mapping, configs) = mapping::check(port, catalog, integration, file).await;
    findings.extend(accounts::access(&accepted, &configs).await);
    findings.extend(of_mapping);
    findings.extend(accounts::clocks(Some(port), accounts));
    findings
}

/// The accounts of the catalog; without one, those of the incident sync.
fn account_settings(settings: &Settings) -> SourceSettings {
    match (&settings.catalog, &settings.incident_sync) {
        (Some(catalog), _) => catalog.sources.clone(),
        (None, Some(sync)) => SourceSettings {
            statuspage: sync.statuspage.clone(),
            pagerduty: sync.pagerduty.clone(),
            opsgenie: sync.opsgenie.clone(),
            app_host: None,
        },
        (None, None) => SourceSettings::default(),
    }
}

/// The accounts that the incident sync has beside those of the catalog: they come from
/// Pagerstatus' variables, after the others.
fn accounts_of_sync_alone(settings: &Settings) -> SourceSettings {
    let (Some(catalog), Some(sync)) = (&settings.catalog, &settings.incident_sync) else {
        return SourceSettings::default();
    };
    if sync.mode == Some(SyncMode::Off) {
        return SourceSettings::default();
    }
    let shared = &catalog.sources;
    let (statuspage, pagerduty) = (shared.statuspage.len(), shared.pagerduty.len());
    SourceSettings {
        statuspage: sync.statuspage.iter().skip(statuspage).cloned().collect(),
        pagerduty: sync.pagerduty.iter().skip(pagerduty).cloned().collect(),
        ..SourceSettings::default()
    }
}
