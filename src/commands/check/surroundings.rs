//! What is on this machine: the state database, and the rules of the incident sync.

use std::fs::OpenOptions;
use std::path::Path;

use super::finding::{Finding, of_document};
use crate::causes::one_line;
use crate::reconcile::{Mode, Reconciler, SetupError};
use crate::settings::Settings;
use crate::store::{IN_MEMORY, Store};

/// Whether the state database can be written. A file that is not there yet is not made,
/// so of its directory only the permissions are looked at.
pub(super) async fn state_database(path: &Path) -> Vec<Finding> {
    const ABOUT: &str = "state database";
    let shown = path.display();
    if path == Path::new(IN_MEMORY) {
        let text = "it is in memory: live events that wait, and the history, end with the process";
        return vec![
            Finding::note(ABOUT, text).remedy("set OCEAN__STATE_PATH to a file on a volume"),
        ];
    }
    let remedy = "set OCEAN__STATE_PATH to a file in a directory that this user may write to";
    if let Err(error) = Store::look_at_place(path) {
        let text = format!("{shown} cannot be used: {}", one_line(&error));
        return vec![Finding::bad(ABOUT, text).remedy(remedy)];
    }
    if path.exists() {
        if let Err(error) = OpenOptions::new().append(true).open(path) {
            let text = format!("{shown} cannot be written: {error}");
            return vec![Finding::bad(ABOUT, text).remedy(remedy)];
        }
        return vec![match Store::look_into(path).await {
            Ok(_) => Finding::good(ABOUT, format!("{shown} is there and can be written")),
            Err(error) if error.is_settled_by_a_start() => Finding::good(
                ABOUT,
                format!("{shown} is there; the next start brings it up to date"),
            ),
            Err(error) => Finding::bad(
                ABOUT,
                format!("{shown} cannot be used: {}", one_line(&error)),
            )
            .remedy("name another file with OCEAN__STATE_PATH"),
        }];
    }
    vec![match Store::may_be_created(path) {
        Ok(true) => {
            let text = format!("{shown} is not there yet; the first start creates it");
            Finding::good(ABOUT, text)
        }
        Ok(false) => {
            let text = format!("{shown} cannot be created there by this user");
            Finding::bad(ABOUT, text).remedy(remedy)
        }
        Err(error) => {
            Finding::bad(ABOUT, format!("{shown} cannot be created: {error}")).remedy(remedy)
        }
    }]
}

/// The rules and texts of the incident sync, where it is on.
pub(super) async fn incident_sync(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "incident sync";
    let Some(sync) = &settings.incident_sync else {
        return Vec::new();
    };
    // One that ends with this process: nothing is noted.
    let store = Store::open(Path::new(IN_MEMORY)).await;
    match Reconciler::new(sync, &settings.outbound, &settings.rate_limits, store) {
        Ok((reconciler, warnings)) => {
            let mode = reconciler.mode(sync);
            let text = match mode {
                Mode::Off => "it is switched off".to_owned(),
                mode => format!("its rules are right, and its mode is `{mode}`"),
            };
            let warnings = warnings.into_iter().map(|text| Finding::note(ABOUT, text));
            std::iter::once(Finding::good(ABOUT, text))
                .chain(warnings)
                .collect()
        }
        Err(SetupError::Document(invalid)) => of_document(ABOUT, &invalid),
        Err(error) => vec![Finding::error(ABOUT, &error, error.hint())],
    }
}
