//! Warns of what was set and is not, or not here, a setting.
//!
//! The originals drop what they do not know without a word, so a misspelt
//! setting goes unnoticed. It must not be an error either: a release of the
//! original may carry variables of a version that had them.

use serde_json::Value;

use super::reader::Reader;
use super::table::{self, Effect, SettingRow};
use super::value::Parsed;
use super::variables::Variables;

const NEARLY_THE_SAME: f64 = 0.85;
const IGNORED_MODE: &str = "OCEAN__PROCESS_EXECUTION_MODE";

pub(super) fn warn(reader: &mut Reader<'_>, variables: &Variables) {
    let mut not_yet = Vec::new();
    let mut without_effect = Vec::new();
    for (name, found) in variables.iter() {
        let written = || format!("`{}`", found.origin);
        match table::row(name) {
            None => warn_of_unknown(reader, name, &found.origin),
            Some(_) if name == IGNORED_MODE => reader.warn(format!(
                "`{}` is ignored: everything runs in one process",
                found.origin
            )),
            Some(row) => match row.effect {
                Effect::Acts => {}
                Effect::NotYet if is_off(row, &found.value) => {}
                Effect::NotYet => not_yet.push(written()),
                Effect::Never => without_effect.push(written()),
            },
        }
    }
    for (what, names) in [
        ("accepted, but this version does not act on it yet", not_yet),
        ("accepted, but without effect here", without_effect),
    ] {
        if !names.is_empty() {
            reader.warn(format!("{what}: {}", names.join(", ")));
        }
    }
}

/// Whether the setting switches off what is not there anyway.
fn is_off(row: &SettingRow, value: &Value) -> bool {
    matches!(
        row.value_type.parse(value),
        Some(Parsed::Boolean(false) | Parsed::Whole(0))
    )
}

fn warn_of_unknown(reader: &mut Reader<'_>, name: &str, origin: &str) {
    let near = nearest_variable(name);
    match near {
        Some(near) => reader.warn_of_unknown(format!(
            "`{origin}` is not a setting and has no effect; did you mean `{near}`?"
        )),
        // Other programs use the prefix `APPLICATION__` too.
        None if name.starts_with("APPLICATION__") => {}
        None => reader.warn_of_unknown(format!("`{origin}` is not a setting and has no effect")),
    }
}

/// The variable or section that was probably meant.
///
/// First one of the same section: there the last part of the name is compared
/// alone, because a long common beginning makes everything look alike. Then
/// one whose name was cut in two (`INCIDENT_SYNC__MODE`). Then one of another
/// section whose last part is nearly the same, which finds what was put into
/// the wrong section and sections that are misspelt themselves.
fn nearest_variable(name: &str) -> Option<&'static str> {
    let (section, last) = name.rsplit_once("__")?;
    let known = || {
        let variables = table::table().iter().map(|row| row.variable.as_ref());
        variables.chain(table::sections()).filter_map(|variable| {
            let (section, last) = variable.rsplit_once("__")?;
            Some((variable, section, last))
        })
    };
    let same_section = known()
        .filter(|(_, known_section, _)| *known_section == section)
        .map(|(variable, _, known_last)| (variable, known_last));
    let cut_in_two = || {
        let variable = format!("{section}_{last}");
        table::row(&variable).map(|row| row.variable.as_ref())
    };
    let nearest = super::nearest_by(last, same_section).or_else(cut_in_two);
    nearest.or_else(|| {
        known()
            .filter(|(_, _, known_last)| super::likeness(last, known_last) >= NEARLY_THE_SAME)
            .map(|(variable, ..)| (super::likeness(name, variable), variable))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, variable)| variable)
    })
}
