//! `portolan defaults`: the mapping and the blueprints that a first start stores in Port.
//!
//! They are in the program, so neither settings nor a network are needed.

use super::Exit;
use super::output::{print, tell};
use crate::catalog::{Defaults, DefaultsError};
use crate::cli::DefaultsArguments;
use crate::settings::SourceName;

/// Runs the command to its end.
pub(super) fn run(arguments: &DefaultsArguments) -> Exit {
    match text(arguments) {
        Ok(text) => print(text.trim_end()),
        Err(error) => {
            tell(&format_args!("error: {error}"));
            Exit::Failed
        }
    }
}

/// YAML, of which JSON is a part; both of them are two documents.
fn text(arguments: &DefaultsArguments) -> Result<String, DefaultsError> {
    let chosen =
        |source: &SourceName| arguments.source.is_empty() || arguments.source.contains(source);
    // In the order of a first start, whatever the order of the flags.
    let sources: Vec<SourceName> = SourceName::ALL.into_iter().filter(chosen).collect();
    let mut parts = Vec::new();
    if !arguments.blueprints {
        parts.push(Defaults::embedded_mapping_text(&sources)?);
    }
    if !arguments.mapping {
        let blueprints = Defaults::embedded(&sources)?.blueprints;
        // Plain data, which JSON can hold.
        parts.push(serde_json::to_string_pretty(&blueprints).unwrap_or_default());
    }
    Ok(parts.join("\n---\n"))
}
