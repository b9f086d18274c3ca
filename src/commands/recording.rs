//! What a folder of recorded objects looks like: `record` writes it, `map --test`
//! reads it.
//!
//! ```text
//! manifest.json          what was recorded, how much of it, and whether all
//! incidents.ndjson       raw objects of a kind, one a line
//! incidents@eu.ndjson    the same of one account of several
//! ```

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(super) const MANIFEST: &str = "manifest.json";
const ENDING: &str = ".ndjson";

/// A file of raw objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) file: String,
    pub(super) kind: String,
    /// Whether it is known not to be all there was.
    pub(super) is_incomplete: bool,
}

/// What was recorded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// When it began, as RFC 3339.
    pub(super) recorded: String,
    /// The version that recorded it.
    pub(super) portolan: String,
    /// Where the mapping came from.
    pub(super) mapping: String,
    pub(super) emails_replaced: bool,
    pub(super) files: Vec<RecordedFile>,
}

/// What was recorded into one file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RecordedFile {
    pub(super) file: String,
    /// As the mapping writes it.
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) account: Option<String>,
    pub(super) objects: usize,
    /// Whether everything was listed to its end.
    pub(super) complete: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<String>,
}

/// What the file for a kind of an account is called.
pub(super) fn file_name(kind: &str, account: Option<&str>) -> String {
    let plain = |text: &str| -> String {
        let keep = |character: char| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => character,
            _ => '_',
        };
        text.chars().map(keep).collect()
    };
    match account {
        Some(account) => format!("{}@{}{ENDING}", plain(kind), plain(account)),
        None => format!("{}{ENDING}", plain(kind)),
    }
}

/// The files of a folder: those of its manifest or, without one, all that are there,
/// called after their kind. What is wrong comes back in words.
pub(super) fn files(folder: &Path) -> Result<Vec<Recorded>, String> {
    let manifest = folder.join(MANIFEST);
    let text = match fs::read_to_string(&manifest) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let names = ndjson(folder)
                .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
            let recorded = names.into_iter().map(|file| {
                let stem = file.strip_suffix(ENDING).unwrap_or(&file);
                let kind = stem.split_once('@').map_or(stem, |(kind, _)| kind);
                let kind = kind.to_owned();
                Recorded {
                    file,
                    kind,
                    is_incomplete: false,
                }
            });
            return Ok(recorded.collect());
        }
        Err(error) => return Err(format!("cannot read {}: {error}", manifest.display())),
    };
    let read: Manifest = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no manifest: {error}", manifest.display()))?;
    read.files
        .into_iter()
        .map(|recorded| {
            let RecordedFile { file, kind, .. } = recorded;
            // A folder from elsewhere must not lead out of itself.
            if file.contains(['/', '\\']) || !file.ends_with(ENDING) {
                return Err(format!(
                    "{} names a file that is none of its folder: `{file}`",
                    manifest.display()
                ));
            }
            Ok(Recorded {
                file,
                kind,
                is_incomplete: !recorded.complete,
            })
        })
        .collect()
}

/// The names of a folder's files of objects, in order.
pub(super) fn ndjson(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| name.ends_with(ENDING))
                .map(str::to_owned),
        );
    }
    names.sort_unstable();
    Ok(names)
}
