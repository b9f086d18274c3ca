//! Warns of what was set and is not, or not here, a setting.
//!
//! The originals drop what they do not know without a word, so a misspelt
//! setting goes unnoticed. It must not be an error either: a release of the
//! original may carry variables of a version that had them.

use super::reader::Reader;
use super::table;
use super::variables::Variables;

const IGNORED_MODE: &str = "OCEAN__PROCESS_EXECUTION_MODE";

pub(super) fn warn(reader: &mut Reader<'_>, variables: &Variables) {
    let mut without_effect = Vec::new();
    for (name, found) in variables.iter() {
        match table::row(name) {
            Some(row) if row.effective => {}
            Some(_) if name == IGNORED_MODE => reader.warn(format!(
                "`{}` is ignored: everything runs in one process",
                found.origin
            )),
            Some(_) => without_effect.push(format!("`{}`", found.origin)),
            None => warn_of_unknown(reader, name, &found.origin),
        }
    }
    if !without_effect.is_empty() {
        reader.warn(format!(
            "accepted, but without effect here: {}",
            without_effect.join(", ")
        ));
    }
}

fn warn_of_unknown(reader: &mut Reader<'_>, name: &str, origin: &str) {
    let near = nearest_variable(name);
    match near {
        Some(near) => reader.warn(format!(
            "`{origin}` is not a setting and has no effect; did you mean `{near}`?"
        )),
        // Other programs use the prefix `APPLICATION__` too.
        None if name.starts_with("APPLICATION__") => {}
        None => reader.warn(format!("`{origin}` is not a setting and has no effect")),
    }
}

/// The nearest variable, compared without the section when the section itself
/// is right: a long common beginning makes everything look alike.
fn nearest_variable(name: &str) -> Option<&'static str> {
    let (section, last) = name.rsplit_once("__")?;
    let within = table::table().iter().filter_map(|row| {
        let (row_section, row_last) = row.variable.rsplit_once("__")?;
        (row_section == section).then_some((row.variable.as_ref(), row_last))
    });
    if let Some(variable) = super::nearest_by(last, within) {
        return Some(variable);
    }
    let everywhere = table::table().iter().map(|row| {
        (
            row.variable.as_ref(),
            row.variable
                .strip_prefix("OCEAN__")
                .unwrap_or(&row.variable),
        )
    });
    let bare = name.strip_prefix("OCEAN__").unwrap_or(name);
    super::nearest_by(bare, everywhere)
}
