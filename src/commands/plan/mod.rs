//! `portolan plan`: what a resync and a pass of the incident sync would change, without
//! changing anything.
//!
//! ```text
//! settings ─▶ connect ─▶ foresee ─▶ mapping ─▶ Resync::plan into a Draft ─┐
//!             nothing of Port is prepared: what would be is assumed         ├─▶ Document ─▶ text, JSON, Markdown
//!                                   Reconciler::pass in plan mode ──────────┘
//! ```
//!
//! There is no state of a resync in Port, no metrics, no log lines that are shipped.
//! With `--validate` the upserts are sent to be checked (`validation_only`); that is the
//! one request that looks like a write.

mod document;
mod markdown;
mod text;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::document::{CatalogPlan, Document, IntegrationPlan};
use super::Exit;
use super::incident_sync::{self, IncidentSync};
use super::logging;
use super::output::print;
use super::signals::{self, Ended};
use super::start::{Connected, connect};
use crate::catalog::{Draft, Foreseen};
use crate::cli::PlanArguments;
use crate::reconcile::{Ask, Mode};
use crate::resource_config::{MappingDocument, Parsed};
use crate::settings::{CatalogSettings, Overrides, Settings};
use crate::store::{self, Store};
use crate::sync::{Ending, Progress};

/// Runs the command to its end.
pub(super) async fn run(arguments: PlanArguments) -> Exit {
    // Log lines are not shipped: nothing goes to Port.
    let (loaded, _logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        // Whatever listens otherwise: this is done once.
        once: true,
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let stop = CancellationToken::new();
    let work = Box::pin(plan(&loaded.settings, &arguments, &stop));
    let Ended { result, signal } = signals::obey(work, &stop).await;
    if let Some(number) = signal {
        // What was not read to its end is no plan.
        return Exit::Signalled(number);
    }
    let (document, exit) = match result {
        Some(Ok(planned)) => planned,
        Some(Err(exit)) => return exit,
        None => return Exit::Failed,
    };
    let printed = print(&if arguments.json {
        document.json()
    } else if arguments.markdown {
        markdown::told(&document)
    } else {
        text::told(&document)
    });
    if printed != Exit::Done {
        return printed;
    }
    if exit == Exit::Done && arguments.exit_code && document.has_changes() {
        return Exit::Pending;
    }
    exit
}

async fn plan(
    settings: &Settings,
    arguments: &PlanArguments,
    stop: &CancellationToken,
) -> Result<(Document, Exit), Exit> {
    // What is not written into needs no file.
    let state = match &settings.incident_sync {
        Some(_) => settings.state_path.as_path(),
        None => Path::new(store::IN_MEMORY),
    };
    let store = Store::open(state).await;
    let sync = incident_sync::set_up(settings, &store)?;
    let mut document = Document::default();
    let mut exits = Vec::new();
    if let Some(catalog) = &settings.catalog {
        let (plan, exit) = plan_catalog(settings, catalog, arguments, stop).await?;
        document.catalog = Some(plan);
        exits.push(exit);
    } else if let Some(path) = &arguments.mapping {
        tracing::error!(
            "The mapping in {} was not planned: there are no Port credentials, so the catalog is off. \
             Hint: set OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET",
            path.display()
        );
        return Err(Exit::NotStarted);
    }
    if let Some(IncidentSync { reconciler, .. }) = &sync {
        let ask = Ask {
            mode: Mode::Plan,
            with_subscribers: true,
        };
        let report = Box::pin(reconciler.pass(ask, stop)).await;
        exits.push(incident_sync::exit(&report));
        document.incidents = Some(report);
    }
    let Some(exit) = exits.into_iter().reduce(Exit::and) else {
        tracing::error!(
            "Nothing to plan: there are no Port credentials, so the catalog is off, and the incident sync is off as well. \
             Hint: set OCEAN__PORT__CLIENT_ID and OCEAN__PORT__CLIENT_SECRET, or the mode of the incident sync to plan or apply"
        );
        return Err(Exit::NotStarted);
    };
    document.summarize();
    Ok((document, exit))
}

async fn plan_catalog(
    settings: &Settings,
    catalog: &CatalogSettings,
    arguments: &PlanArguments,
    stop: &CancellationToken,
) -> Result<(CatalogPlan, Exit), Exit> {
    // What live events write meanwhile is nothing that a plan could undo.
    let connected = connect(settings, catalog, None).await?;
    let foreseen = connected.foresee(catalog).await?;
    let (mapping, origin) = mapping(&connected, &foreseen, arguments.mapping.as_deref()).await?;
    let port = connected.resync.port.clone();
    let draft = Arc::new(Draft::new(port, arguments.validate, &foreseen.blueprints));
    // A resync that deletes goes to its end of it; a plan may be dropped anywhere.
    let progress = Progress::default();
    // Boxed, for it is a whole resync and would be carried about.
    let planning = Box::pin(connected.resync.plan(&mapping, &draft, &progress, stop));
    let Some(report) = stop.run_until_cancelled(planning).await else {
        return Err(Exit::Failed);
    };
    let exit = match report.ending() {
        Ending::Done => Exit::Done,
        Ending::Partly => Exit::Partly,
        Ending::Failed => Exit::Failed,
    };
    let integration = IntegrationPlan {
        identifier: catalog.integration.identifier.clone(),
        kind: catalog.integration.kind.clone(),
        exists: foreseen.is_known,
    };
    let blueprints = foreseen.blueprints.iter();
    let blueprints = blueprints.filter_map(|blueprint| blueprint["identifier"].as_str());
    let plan = CatalogPlan::new(
        integration,
        origin,
        arguments.validate,
        blueprints.map(str::to_owned).collect(),
        &report,
        draft.changes(),
    );
    Ok((plan, exit))
}

/// The mapping to plan with, and where it is from.
async fn mapping(
    connected: &Connected,
    foreseen: &Foreseen,
    file: Option<&Path>,
) -> Result<(MappingDocument, String), Exit> {
    let mapping = &connected.resync.mapping;
    let (parsed, origin, exit) = if let Some(path) = file {
        let origin = path.display().to_string();
        let text = tokio::fs::read_to_string(path).await.map_err(|error| {
            tracing::error!(
                "Cannot read the mapping in {origin}: {error}. Hint: check the path after --mapping"
            );
            Exit::NotStarted
        })?;
        (mapping.parse_text(&text, &origin), origin, Exit::NotStarted)
    } else {
        let origin = if foreseen.is_default_mapping {
            "the default mapping"
        } else {
            "the mapping in Port"
        };
        let parsed = mapping.parse_value(&foreseen.mapping, origin);
        (parsed, origin.to_owned(), Exit::Failed)
    };
    let Parsed { document, warnings } = parsed.map_err(|invalid| {
        tracing::error!("Cannot plan: {invalid}");
        exit
    })?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok((document, origin))
}
