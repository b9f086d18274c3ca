//! `docs/dependencies.md` has a row for every direct dependency, and no other.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines between the one that says `heading` and the next of its kind.
fn section<'a>(text: &'a str, heading: &str, next: &str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .skip_while(move |line| *line != heading)
        .skip(1)
        .take_while(move |line| !line.starts_with(next))
}

fn declared(manifest: &str, table: &str) -> BTreeSet<String> {
    section(manifest, &format!("[{table}]"), "[")
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .collect()
}

/// The names in the first column; what stands in brackets explains a name.
fn documented(document: &str, heading: &str) -> BTreeSet<String> {
    section(document, heading, "## ")
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" | ").next())
        .map(|cell| cell.split(" (").next().unwrap_or(cell))
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn every_direct_dependency_is_accounted_for_and_no_other() {
    let manifest = read("Cargo.toml");
    let document = read("docs/dependencies.md");
    let on_linux = declared(
        &manifest,
        "target.'cfg(target_os = \"linux\")'.dependencies",
    );
    let at_run_time = &declared(&manifest, "dependencies") | &on_linux;
    // Those that are there at run time as well only bring more features.
    let for_tests = &declared(&manifest, "dev-dependencies") - &at_run_time;

    assert!(on_linux.contains("tikv-jemallocator"));
    assert!(at_run_time.contains("serde_json") && for_tests.contains("insta"));
    assert_eq!(documented(&document, "## At run time"), at_run_time);
    assert_eq!(documented(&document, "## For tests"), for_tests);
}
