//! The table that ends a resync: Markdown, so that it can be put into a job summary as it is.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::catalog::Deletion;
use crate::sync::ResyncReport;

/// One row a resource config, in the order of the mapping, and the total; then
/// one row a blueprint of which something was to be deleted.
pub(super) fn table(report: &ResyncReport) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "kind",
            "fetched",
            "filtered",
            "mapped",
            "written",
            "unchanged",
            "failed",
            "seconds",
        ]);
    let mut total = [0_u64; 6];
    for kind in &report.kinds {
        let counts = [
            kind.fetched,
            kind.filtered,
            kind.mapped,
            kind.written.stored,
            kind.written.unchanged,
            kind.failed(),
        ];
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        let name = if kind.errors.is_empty() {
            kind.kind.clone()
        } else {
            format!("{} (incomplete)", kind.kind)
        };
        table.add_row(row(name, counts, kind.duration.as_secs_f64()));
    }
    table.add_row(row(
        "total".to_owned(),
        total,
        report.duration.as_secs_f64(),
    ));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    match deletions(&report.deletion) {
        Some(deletions) => format!("{table}\n\n{deletions}"),
        None => table.to_string(),
    }
}

/// One row a blueprint, if there was anything to delete.
fn deletions(deletion: &Deletion) -> Option<Table> {
    let mut rows: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (blueprint, count) in &deletion.deleted {
        rows.entry(blueprint).or_default()[0] += count;
    }
    for (blueprint, count) in &deletion.kept {
        rows.entry(blueprint).or_default()[1] += count;
    }
    for withheld in &deletion.withheld {
        rows.entry(&withheld.blueprint).or_default()[2] += withheld.entities;
    }
    if rows.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["blueprint", "deleted", "kept", "withheld"]);
    for (blueprint, counts) in rows {
        let mut row = vec![blueprint.to_owned()];
        row.extend(counts.iter().map(u64::to_string));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Some(table)
}

fn row(name: String, counts: [u64; 6], seconds: f64) -> Vec<String> {
    let mut row = vec![name];
    row.extend(counts.iter().map(u64::to_string));
    row.push(format!("{seconds:.1}"));
    row
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Withheld, WithheldReason, Written};
    use crate::sync::KindReport;

    #[test]
    fn it_counts_every_kind_and_marks_what_is_incomplete() {
        let kind = |kind: &str, fetched, mapped, unchanged, stored, refused| KindReport {
            kind: kind.to_owned(),
            fetched,
            filtered: fetched - mapped,
            mapped,
            written: Written {
                stored,
                unchanged,
                refused,
                ..Written::default()
            },
            duration: Duration::from_millis(1_260),
            ..KindReport::default()
        };
        let mut broken = kind("incidents (resources[7])", 100, 100, 0, 98, 2);
        broken.errors.push("could not list incidents".to_owned());
        let report = ResyncReport {
            id: Uuid::nil(),
            duration: Duration::from_secs(61),
            kinds: vec![kind("component", 34, 27, 25, 2, 0), broken],
            deletion: Deletion {
                deleted: BTreeMap::from([("page".to_owned(), 4)]),
                kept: BTreeMap::from([("user".to_owned(), 1)]),
                withheld: vec![Withheld {
                    blueprint: "incident".to_owned(),
                    entities: 12,
                    rate: None,
                    reason: WithheldReason::Incomplete {
                        kinds: vec!["incidents (resources[7])".to_owned()],
                    },
                }],
                ..Deletion::default()
            },
            ..ResyncReport::default()
        };

        insta::assert_snapshot!(table(&report), @"
        | kind                                  | fetched | filtered | mapped | written | unchanged | failed | seconds |
        |---------------------------------------|---------|----------|--------|---------|-----------|--------|---------|
        | component                             |      34 |        7 |     27 |       2 |        25 |      0 |     1.3 |
        | incidents (resources[7]) (incomplete) |     100 |        0 |    100 |      98 |         0 |      2 |     1.3 |
        | total                                 |     134 |        7 |    127 |     100 |        25 |      2 |    61.0 |

        | blueprint | deleted | kept | withheld |
        |-----------|---------|------|----------|
        | incident  |       0 |    0 |       12 |
        | page      |       4 |    0 |        0 |
        | user      |       0 |    1 |        0 |
        ");
    }
}
