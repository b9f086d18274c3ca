//! `portolan export`: the entities as a resync would send them, on stdout, a line each.
//!
//! Port is not asked for anything: its credentials need not be there, and the mapping is
//! that of a file or the default one.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::logging;
use super::output::tell;
use super::signals::{self, Ended};
use super::start::{accepted, not_started, sources};
use super::summary;
use crate::catalog::{Defaults, OwnMapping};
use crate::cli::ExportArguments;
use crate::document::InvalidDocument;
use crate::jq::{self, Jq};
use crate::mapping::Entity;
use crate::resource_config::{self, MappingDocument};
use crate::settings::{ExportSettings, Overrides, Settings, SourceName};
use crate::source::Source;
use crate::sync::{Ending, Export, Progress, ResyncReport};

/// Runs the command to its end.
pub(super) async fn run(arguments: ExportArguments) -> Exit {
    let (loaded, logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        without_port: true,
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let settings = &loaded.settings;
    let Some(export) = &settings.export else {
        return Exit::NotStarted;
    };
    let (document, sources) = match begin(settings, export, arguments.mapping.as_deref()).await {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let export = Export {
        sources,
        jq_limits: jq::Limits::default(),
    };
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let mut output = Output::new(stop.clone());
    let exporting = export.run(&document, &progress, &stop, |entities| {
        output.write(entities);
    });
    let exporting = Box::pin(logging.console.watch(&progress, exporting));
    let Ended { result, signal } = signals::obey(exporting, &stop).await;
    let exit = match result {
        Some(report) => ended(&report, &output),
        None => Exit::Failed,
    };
    signal.map_or(exit, Exit::Signalled)
}

/// The mapping and the accounts, once both are known to be of use.
async fn begin(
    settings: &Settings,
    export: &ExportSettings,
    file: Option<&Path>,
) -> Result<(MappingDocument, Vec<Arc<dyn Source>>), Exit> {
    let names = export.sources.names();
    let document = mapping(export, file, &names)?;
    let sources =
        sources(settings, &export.sources).map_err(|error| not_started(&error, error.hint()))?;
    let probes = join_all(sources.iter().map(|(_, source)| source.probe())).await;
    let refused = sources
        .iter()
        .zip(probes)
        .filter_map(|((label, _), probe)| Some((label.as_str(), probe.err()?)));
    accepted(&refused.collect::<Vec<_>>())?;
    let sources = sources.into_iter().map(|(_, source)| source).collect();
    Ok((document, sources))
}

fn mapping(
    export: &ExportSettings,
    file: Option<&Path>,
    names: &[SourceName],
) -> Result<MappingDocument, Exit> {
    let jq = Jq::new(export.jq_environment.clone(), jq::Limits::default());
    let of_text = |text: &str, origin: &str| resource_config::parse_text(text, origin, names, &jq);
    let parsed = if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            tracing::error!("Cannot start: cannot read {}: {error}", path.display());
            Exit::NotStarted
        })?;
        of_text(&text, &path.display().to_string())
    } else {
        let defaults = Defaults::load(export.resources_path.as_deref(), names)
            .map_err(|error| not_started(&error, error.hint()))?;
        if let Some(OwnMapping { origin, text }) = &defaults.own_mapping {
            of_text(text, origin)
        } else {
            let origin = "the default mapping";
            resource_config::parse_value(&defaults.mapping, origin, names, &jq)
        }
    };
    let parsed = parsed.map_err(|invalid: InvalidDocument| {
        tracing::error!("Cannot start: {invalid}");
        Exit::NotStarted
    })?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    Ok(parsed.document)
}

/// Says how it went, beside what is read by machines.
fn ended(report: &ResyncReport, output: &Output) -> Exit {
    if output.nobody_reads {
        // They have seen enough, as with `| head`.
        return Exit::Done;
    }
    tell(&summary::table(report));
    if let Some(error) = &output.failed {
        tracing::error!("Could not write to standard output: {error}");
        return Exit::Failed;
    }
    match report.ending() {
        Ending::Done => Exit::Done,
        Ending::Partly => Exit::Partly,
        Ending::Failed => Exit::Failed,
    }
}

/// Standard output. When nothing can be written there any more, nothing more is read.
struct Output {
    stop: CancellationToken,
    nobody_reads: bool,
    failed: Option<std::io::Error>,
}

impl Output {
    fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            nobody_reads: false,
            failed: None,
        }
    }

    fn write(&mut self, entities: &[Entity]) {
        if self.nobody_reads || self.failed.is_some() {
            return;
        }
        let mut lines = Vec::new();
        for entity in entities {
            // Text keys and JSON values can always be written.
            lines.extend(serde_json::to_vec(entity).unwrap_or_default());
            lines.push(b'\n');
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&lines).and_then(|()| stdout.flush());
        if let Err(error) = written {
            self.stop.cancel();
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                self.nobody_reads = true;
            } else {
                self.failed = Some(error);
            }
        }
    }
}
