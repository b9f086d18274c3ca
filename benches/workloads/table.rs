//! The figures as tables.

use super::curve::Curve;
use super::paced::Paced;
use super::stage::Row;
use super::targets::Target;

/// A table in Markdown: its head, and the lines below. What begins with `:` stands left.
struct Table(String);

impl Table {
    fn new(head: &[&str]) -> Self {
        let titles: Vec<_> = head.iter().map(|one| one.trim_start_matches(':')).collect();
        let sides: Vec<_> = head
            .iter()
            .map(|one| if one.starts_with(':') { "---" } else { "---:" })
            .collect();
        let mut table = Self(String::new());
        table.line(&titles);
        table.0.push('|');
        table.0.push_str(&sides.join("|"));
        table.0.push_str("|\n");
        table
    }

    fn line(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            self.0.push_str("| ");
            self.0.push_str(cell.as_ref());
            self.0.push(' ');
        }
        self.0.push_str("|\n");
    }
}

pub(super) fn rows(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ":workload",
        "entities",
        "wall",
        "of it servers answering",
        "CPU",
        "CPU of an entity",
        "peak memory",
        "requests: vendor",
        "Port",
        "original, as many entities: wall",
        "CPU",
        "requests, both",
        "its peak memory",
    ]);
    for row in rows {
        let measured = row.measured;
        let mut cells = vec![
            row.title.clone(),
            row.entities.to_string(),
            seconds(measured.wall_seconds),
            seconds(row.answering_seconds),
            seconds(measured.cpu_seconds),
            format!("{:.0} µs", row.cpu_micros_per_entity()),
            format!("{:.1} MiB", measured.peak_mebibytes),
            row.vendor_requests.to_string(),
            row.port_requests.to_string(),
        ];
        match &row.original {
            Some(original) => cells.extend([
                seconds(row.scaled(original, original.wall_seconds)),
                seconds(row.scaled(original, original.cpu_seconds)),
                format!("{:.0}", row.scaled(original, original.requests)),
                format!("{:.0} MiB", original.peak_mebibytes),
            ]),
            None => cells.extend(std::iter::repeat_n("–".to_owned(), 4)),
        }
        table.line(&cells);
    }
    table.0
}

pub(super) fn curves(curves: &[Curve]) -> String {
    let mut table = Table::new(&[
        ":curve",
        "entities",
        "wall",
        "CPU",
        "CPU of an entity",
        "peak memory",
        "bytes for each entity more",
    ]);
    for curve in curves {
        let slopes = curve.bytes_per_entity.iter();
        let slopes = slopes.map(|slope| format!("{slope:.0}"));
        let slopes = std::iter::once("–".to_owned()).chain(slopes);
        for (row, slope) in curve.points.iter().zip(slopes) {
            table.line(&[
                row.title.clone(),
                row.entities.to_string(),
                seconds(row.measured.wall_seconds),
                seconds(row.measured.cpu_seconds),
                format!("{:.0} µs", row.cpu_micros_per_entity()),
                format!("{:.1} MiB", row.measured.peak_mebibytes),
                slope,
            ]);
        }
    }
    let linear = curves.iter().map(|curve| {
        let linear = if curve.is_linear() { "linear" } else { "not linear" };
        let (title, growth) = (&curve.title, curve.cpu_growth);
        format!("\n{title}: time is {linear}; among ten times as many, an entity takes {growth:.2} times the CPU.")
    });
    let linear: String = linear.collect();
    format!("{}{linear}\n", table.0)
}

pub(super) fn paced(all: &[Paced]) -> String {
    let mut table = Table::new(&[
        ":API",
        "allowed a minute",
        "requests",
        "wall",
        "whole minutes",
        "used of them",
        "refused",
    ]);
    for paced in all {
        table.line(&[
            paced.title.to_owned(),
            paced.allowed_per_minute.to_string(),
            paced.requests.to_string(),
            seconds(paced.wall_seconds),
            paced.whole_minutes.to_string(),
            format!("{:.1} %", paced.used_percent),
            paced.refused.to_string(),
        ]);
    }
    table.0
}

pub(super) fn targets(targets: &[Target]) -> String {
    let mut table = Table::new(&[":target", "wanted", "measured", ":met"]);
    for target in targets {
        table.line(&target.told());
    }
    table.0
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}
