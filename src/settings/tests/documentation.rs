//! `docs/configuration.md` and the table in code say the same.

use std::fmt::Write as _;

use super::*;

const BEGIN: &str = "<!-- settings: begin -->\n";
const END: &str = "<!-- settings: end -->";

/// The table as it has to stand in the documentation.
fn documented() -> String {
    let mut markdown = "| Variable | Type | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for row in table() {
        let secret = if row.sensitive { ", secret" } else { "" };
        let default = match row.default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Absent => "–".to_owned(),
            DefaultValue::Value(value) => format!("`{value}`"),
        };
        let effect = match row.effect {
            Effect::Acts => "",
            Effect::NotYet => "*Not yet.* ",
            Effect::Never => "*No effect.* ",
        };
        writeln!(
            markdown,
            "| `{}` | {}{secret} | {default} | {effect}{} |",
            row.variable, row.value_type, row.meaning
        )
        .unwrap();
    }
    markdown
}

#[test]
fn every_setting_is_documented_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(BEGIN).unwrap();
    let (written, _) = after.split_once(END).unwrap();

    let expected = documented();
    assert_eq!(
        written, expected,
        "put this between the markers:\n{expected}"
    );
}
