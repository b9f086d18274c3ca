//! `portolan record`: the raw objects that a resync would map, into a folder.
//!
//! What is written is meant to be committed beside the mapping that it tests, so
//! secrets are masked as in the log, and e-mail addresses become invented ones, the
//! same for the same address. Names and texts stay: they are what mappings work on.
//!
//! Datasets are listed one after the other, so that the same objects give the same
//! files. Nothing is written to Port or to a vendor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use regex::{Captures, Regex};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::logging;
use super::output::print;
use super::recording::{self, MANIFEST, Manifest, RecordedFile};
use super::signals::{self, Ended};
use super::{Exit, start};
use crate::api::PortClient;
use crate::catalog::Defaults;
use crate::causes::{one_line, with_hint};
use crate::cli::RecordArguments;
use crate::jq::{Jq, Limits};
use crate::mapping::{Consumer, RawBatch};
use crate::resource_config::{self, MappingDocument, ResourceConfig};
use crate::settings::{CatalogSettings, Overrides, Settings, SourceName};
use crate::source::{Dataset, Detail, Pages, Source};
use crate::sync::{Expressions, Mapping, ResyncError};
use crate::telemetry::{self, Masker};

/// Pages that wait to be written.
const WAITING_PAGES: usize = 2;

/// Runs the command to its end.
pub(super) async fn run(arguments: RecordArguments) -> Exit {
    // Nothing goes to Port, log lines neither.
    let (loaded, _logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let settings = &loaded.settings;
    let Some(catalog) = &settings.catalog else {
        tracing::error!(
            "Nothing to record: the catalog is off. Hint: set the variables that `portolan run` needs"
        );
        return Exit::NotStarted;
    };
    let stop = CancellationToken::new();
    let work = record(&arguments, settings, catalog, &stop);
    let Ended { result, signal } = signals::obey(work, &stop).await;
    let exit = result.map_or(Exit::Failed, |done| done.unwrap_or_else(|exit| exit));
    signal.map_or(exit, Exit::Signalled)
}

async fn record(
    arguments: &RecordArguments,
    settings: &Settings,
    catalog: &CatalogSettings,
    stop: &CancellationToken,
) -> Result<Exit, Exit> {
    let sources: Vec<_> = start::sources(settings, &catalog.sources)
        .map_err(|error| start::not_started(&error, error.hint()))?
        .into_iter()
        .map(|(_, source)| source)
        .collect();
    let mut names: Vec<SourceName> = sources.iter().map(|source| source.name()).collect();
    names.dedup();
    let (origin, document) = mapping(arguments, settings, catalog, &names).await?;
    if document.resources.is_empty() {
        tracing::error!("Nothing to record: {origin} has no resources");
        return Err(Exit::NotStarted);
    }

    let began = Timestamp::now();
    let folder = &arguments.folder;
    let mut recorder = Recorder {
        folder,
        configs: &document.resources,
        masker: telemetry::masker(),
        emails: (!arguments.keep_emails).then(Emails::default),
        files: BTreeMap::new(),
    };
    let written = async {
        fs::create_dir_all(folder)?;
        for source in &sources {
            for dataset in source.datasets(&document.resources, began, Detail::Whole) {
                recorder.dataset(&**source, dataset, stop).await?;
                if stop.is_cancelled() {
                    return Ok(None);
                }
            }
        }
        recorder.finish(began, origin).map(Some)
    };
    let written = written.await;
    recorder.discard();
    match written {
        Ok(Some(manifest)) => Ok(told(&manifest)),
        Ok(None) => {
            tracing::error!(
                "The recording was stopped: {} is as it was before",
                folder.display()
            );
            Err(Exit::Failed)
        }
        Err(error) => {
            tracing::error!("Cannot write into {}: {error}", folder.display());
            Err(Exit::Failed)
        }
    }
}

/// The mapping whose kinds are recorded, and what to call it.
async fn mapping(
    arguments: &RecordArguments,
    settings: &Settings,
    catalog: &CatalogSettings,
    names: &[SourceName],
) -> Result<(String, Arc<MappingDocument>), Exit> {
    let limits = Limits::default();
    let environment = catalog.jq_environment.clone();
    let refused = |message: String| {
        tracing::error!("Cannot start: {message}");
        Exit::NotStarted
    };
    let jq = Jq::new(environment.clone(), limits.clone());
    let (origin, parsed) = if let Some(file) = &arguments.mapping {
        let origin = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| refused(format!("cannot read {origin}: {error}")))?;
        let parsed = resource_config::parse_text(&text, &origin, names, &jq);
        (origin, parsed)
    } else if arguments.defaults {
        let defaults = Defaults::load(catalog.resources_path.as_deref(), names)
            .map_err(|error| start::not_started(&error, error.hint()))?;
        let origin = "the default mapping".to_owned();
        let parsed = resource_config::parse_value(&defaults.mapping, &origin, names, &jq);
        (origin, parsed)
    } else {
        let port = PortClient::new(&catalog.port, &catalog.integration, &settings.outbound)
            .map_err(|error| start::not_started(&error, error.hint()))?;
        let expressions = Expressions::new(environment, limits);
        let mapping = Mapping::new(port, names.iter().copied(), expressions);
        return match mapping.read().await {
            Ok((_, document)) => Ok(("the mapping in Port".to_owned(), document)),
            Err(ResyncError::NoIntegration) => Err(refused(
                "the integration is not in Port yet. Hint: record by the default mapping with --defaults, or by \
                 a file with --mapping"
                    .to_owned(),
            )),
            Err(error @ ResyncError::Invalid(_)) => Err(refused(one_line(&error))),
            Err(error) => {
                tracing::error!("{}", with_hint(&error, error.hint()));
                Err(Exit::Failed)
            }
        };
    };
    let parsed = parsed.map_err(|invalid| refused(invalid.to_string()))?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    Ok((origin, Arc::new(parsed.document)))
}

/// Says what was recorded, and how it went.
fn told(manifest: &Manifest) -> Exit {
    for file in &manifest.files {
        let incomplete = if file.complete { "" } else { ", incomplete" };
        print(&format!(
            "{}: {} objects{incomplete}",
            file.file, file.objects
        ));
    }
    if manifest.files.iter().all(|file| file.complete) {
        Exit::Done
    } else if manifest.files.iter().all(|file| file.objects == 0) {
        Exit::Failed
    } else {
        Exit::Partly
    }
}

/// Writes the files of a folder.
struct Recorder<'a> {
    folder: &'a Path,
    configs: &'a [Arc<ResourceConfig>],
    masker: Masker,
    /// None: they are kept.
    emails: Option<Emails>,
    files: BTreeMap<String, Writing>,
}

/// A file that objects are written to.
struct Writing {
    file: BufWriter<File>,
    /// Digests of what is in it: several lists of a kind may have an object in common.
    written: HashSet<[u8; 32]>,
    entry: RecordedFile,
}

impl Recorder<'_> {
    /// Lists a dataset into the files of its kinds.
    async fn dataset(
        &mut self,
        source: &dyn Source,
        dataset: Dataset,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let views = dataset.views().to_vec();
        let mut files = Vec::with_capacity(views.len());
        for consumers in &views {
            files.push(match consumers.first() {
                Some(consumer) => Some(self.open(source, &consumer.config)?),
                None => None,
            });
        }
        let (pages, received) = Pages::channel(WAITING_PAGES);
        let writing = async {
            // Gone with this, so that a listing whose pages cannot be written ends.
            let mut received = received;
            let mut lacking: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
            while let Some(page) = received.recv().await {
                for ((consumers, file), batch) in views.iter().zip(&files).zip(&page.batches) {
                    if let Some(file) = file {
                        self.write(file, consumers, batch)?;
                        count_lacking(file, consumers, batch, &mut lacking);
                    }
                }
            }
            io::Result::Ok(lacking)
        };
        let both = async { tokio::join!(dataset.list(pages), writing) };
        let (listed, lacking) = tokio::select! {
            both = both => both,
            () = stop.cancelled() => return Ok(()),
        };
        for ((file, key), count) in lacking? {
            let reason = format!("`{key}` could not be fetched for {count} objects");
            self.fail([&file], &reason);
        }
        if let Err(error) = listed {
            let reason = with_hint(&error, error.hint());
            self.fail(files.iter().flatten(), &reason);
        }
        Ok(())
    }

    /// The file for the objects of a resource config.
    fn open(&mut self, source: &dyn Source, config: &ResourceConfig) -> io::Result<String> {
        // Two resource configs may spell one kind differently.
        let is_same = |other: &&Arc<ResourceConfig>| {
            other.kind.source() == config.kind.source()
                && other.kind.to_string() == config.kind.to_string()
        };
        let first = self.configs.iter().find(is_same);
        let kind = first.map_or(&config.kind_text, |first| &first.kind_text);
        let name = recording::file_name(kind, source.account());
        if !self.files.contains_key(&name) {
            // What was recorded before stays whole until this is.
            let file = BufWriter::new(File::create(self.folder.join(partial(&name)))?);
            let writing = Writing {
                file,
                written: HashSet::new(),
                entry: RecordedFile {
                    file: name.clone(),
                    kind: kind.clone(),
                    source: source.name().to_string(),
                    account: source.account().map(str::to_owned),
                    objects: 0,
                    complete: true,
                    errors: Vec::new(),
                },
            };
            self.files.insert(name.clone(), writing);
        }
        Ok(name)
    }

    /// Writes objects as the resource configs see them, with all that any of them asks for.
    fn write(&mut self, file: &str, consumers: &[Consumer], batch: &RawBatch) -> io::Result<()> {
        let Some(writing) = self.files.get_mut(file) else {
            return Ok(());
        };
        let columns = columns(consumers);
        for index in 0..batch.objects.len() {
            let Some(object) = batch.seen(index, &columns) else {
                continue;
            };
            let mut object = self.masker.mask_value(&object);
            if let Some(emails) = &mut self.emails {
                emails.replace(&mut object);
            }
            let line = object.to_string();
            if writing.written.insert(digest(&line)) {
                writeln!(writing.file, "{line}")?;
                writing.entry.objects += 1;
            }
        }
        Ok(())
    }

    fn fail<'f>(&mut self, files: impl IntoIterator<Item = &'f String>, reason: &str) {
        for file in files {
            tracing::error!("{file} is incomplete: {reason}");
            if let Some(writing) = self.files.get_mut(file) {
                writing.entry.complete = false;
                let reason = self.masker.mask(reason).into_owned();
                writing.entry.errors.push(reason);
            }
        }
    }

    /// Brings everything to the disk, and says there what it is.
    fn finish(&mut self, began: Timestamp, mapping: String) -> io::Result<Manifest> {
        let mut files = Vec::with_capacity(self.files.len());
        for writing in self.files.values_mut() {
            writing.file.flush()?;
        }
        while let Some((name, writing)) = self.files.pop_first() {
            fs::rename(self.folder.join(partial(&name)), self.folder.join(&name))?;
            files.push(writing.entry);
        }
        let manifest = Manifest {
            recorded: format!("{began:.0}"),
            portolan: env!("CARGO_PKG_VERSION").to_owned(),
            mapping,
            emails_replaced: self.emails.is_some(),
            files,
        };
        let text = serde_json::to_string_pretty(&manifest)?;
        fs::write(self.folder.join(MANIFEST), text + "\n")?;
        Ok(manifest)
    }

    /// Removes what could not be finished: the recording before is the one to use.
    fn discard(&mut self) {
        for name in std::mem::take(&mut self.files).into_keys() {
            // What it fails of has been said, and left over it is in nobody's way.
            drop(fs::remove_file(self.folder.join(partial(&name))));
        }
    }
}

/// What a file is called while it is written.
fn partial(name: &str) -> String {
    format!("{name}.partial")
}

/// The enrichment that any of them takes.
fn columns(consumers: &[Consumer]) -> Vec<&'static str> {
    let mut columns: Vec<_> = consumers
        .iter()
        .flat_map(|consumer| consumer.columns.iter().copied())
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Counts the objects whose enrichment could not be fetched: mapped from here, a
/// field would be null that a resync leaves alone.
fn count_lacking(
    file: &str,
    consumers: &[Consumer],
    batch: &RawBatch,
    lacking: &mut BTreeMap<(String, &'static str), usize>,
) {
    let columns = columns(consumers);
    for column in batch
        .columns
        .iter()
        .filter(|column| columns.contains(&column.key))
    {
        let has = |index: &usize| matches!(column.values.get(*index), Some(Some(_)));
        let count = (0..batch.objects.len()).filter(|index| !has(index)).count();
        if count > 0 {
            *lacking.entry((file.to_owned(), column.key)).or_default() += count;
        }
    }
    if !batch.unavailable.is_empty() {
        *lacking.entry((file.to_owned(), "a part")).or_default() += batch.objects.len();
    }
}

fn digest(line: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, line.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// Invented e-mail addresses, the same for the same address.
#[derive(Default)]
struct Emails {
    invented: HashMap<String, usize>,
}

#[expect(clippy::expect_used, reason = "a constant that every test compiles")]
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}._%+'-]+(@|%40)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+")
        .expect("a valid expression")
});

/// A picture that is named by the hash of an address tells the address.
#[expect(clippy::expect_used, reason = "a constant that every test compiles")]
static AVATAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(gravatar\.com/avatar/)[0-9a-fA-F]{32,64}").expect("a valid expression")
});

impl Emails {
    /// Replaces every address in a value, keys included.
    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(replaced) = self.replaced(text) {
                    *text = replaced;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(object) => {
                object.values_mut().for_each(|value| self.replace(value));
                if object.keys().any(|key| self.replaced(key).is_some()) {
                    let entries = std::mem::take(object).into_iter();
                    *object = entries
                        .map(|(key, value)| (self.replaced(&key).unwrap_or(key), value))
                        .collect();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// None where there is nothing to replace.
    fn replaced(&mut self, text: &str) -> Option<String> {
        let has_email = EMAIL.is_match(text);
        if !has_email && !AVATAR.is_match(text) {
            return None;
        }
        let text = EMAIL.replace_all(text, |found: &Captures<'_>| {
            let at = &found[1];
            let address = found[0].replacen(at, "@", 1).to_lowercase();
            let next = self.invented.len() + 1;
            let number = *self.invented.entry(address).or_insert(next);
            format!("person{number}{at}example.com")
        });
        let zeros = "0".repeat(32);
        Some(
            AVATAR
                .replace_all(&text, format!("${{1}}{zeros}"))
                .into_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_address_becomes_the_same_invented_one_wherever_it_stands() {
        let mut value = json!({
            "email": "Ada.Lovelace+oncall@corp.example.co.uk",
            "text": "ask ada.lovelace+oncall@corp.example.co.uk, or <bob@example.org>",
            "url": "https://x.example/?user=bob%40example.org&x=1",
            "avatar": "https://secure.gravatar.com/avatar/0123456789abcdef0123456789abcdef.png?d=mm",
            "bob@example.org": ["jürgen@müller.example", 7, null],
            "none": "at @home, 5 @ 3, a@b",
        });
        Emails::default().replace(&mut value);
        let zeros = "0".repeat(32);
        let expected = json!({
            "email": "person1@example.com",
            "text": "ask person1@example.com, or <person2@example.com>",
            "url": "https://x.example/?user=person2%40example.com&x=1",
            "avatar": format!("https://secure.gravatar.com/avatar/{zeros}.png?d=mm"),
            "person2@example.com": ["person3@example.com", 7, null],
            "none": "at @home, 5 @ 3, a@b",
        });
        assert_eq!(value, expected);
    }
}
