//! The table that ends a resync: Markdown, so that it can be put into a job summary as it is.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::sync::ResyncReport;

/// One row a resource config, in the order of the mapping, and the total.
pub(super) fn table(report: &ResyncReport) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "kind", "fetched", "filtered", "mapped", "written", "failed", "seconds",
        ]);
    let mut total = [0_u64; 5];
    for kind in &report.kinds {
        let counts = [
            kind.fetched,
            kind.filtered,
            kind.mapped,
            kind.written.stored,
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
    table.to_string()
}

fn row(name: String, counts: [u64; 5], seconds: f64) -> Vec<String> {
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
    use crate::catalog::Written;
    use crate::sync::KindReport;

    #[test]
    fn it_counts_every_kind_and_marks_what_is_incomplete() {
        let kind = |kind: &str, fetched, mapped, stored, refused| KindReport {
            kind: kind.to_owned(),
            fetched,
            filtered: fetched - mapped,
            mapped,
            written: Written {
                stored,
                refused,
                ..Written::default()
            },
            duration: Duration::from_millis(1_260),
            ..KindReport::default()
        };
        let mut broken = kind("incidents (resources[7])", 100, 100, 98, 2);
        broken.errors.push("could not list incidents".to_owned());
        let report = ResyncReport {
            id: Uuid::nil(),
            duration: Duration::from_secs(61),
            kinds: vec![kind("component", 34, 27, 27, 0), broken],
            ..ResyncReport::default()
        };

        insta::assert_snapshot!(table(&report), @"
        | kind                                  | fetched | filtered | mapped | written | failed | seconds |
        |---------------------------------------|---------|----------|--------|---------|--------|---------|
        | component                             |      34 |        7 |     27 |      27 |      0 |     1.3 |
        | incidents (resources[7]) (incomplete) |     100 |        0 |    100 |      98 |      2 |     1.3 |
        | total                                 |     134 |        7 |    127 |     125 |      2 |    61.0 |
        ");
    }
}
