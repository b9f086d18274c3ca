//! `portolan map`: raw objects to entities without an account, a network or Port.
//!
//! It runs what a resync runs ([`map_batch`](crate::mapping::map_batch)), on objects
//! that somebody has at hand. What a resync asks of the APIs beyond that is missing:
//! enrichment is what the objects hold of it, and whether the API would have listed
//! an object for a selector is judged on the object.

mod explain;
mod golden;
mod mapper;

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::Value;

use self::mapper::{Mappings, Tally};
use super::Exit;
use super::input::Input;
use super::jq::offline;
use super::output::{tell, written};
use crate::causes::one_line;
use crate::cli::MapArguments;
use crate::jq;

/// Objects that are mapped before the first of their entities is printed.
const AT_A_TIME: usize = 500;

/// Why nothing can be mapped.
#[derive(Debug)]
enum Refused {
    /// What is to be mapped cannot be read, or entities cannot be written.
    Input(String),
    /// The mapping, or the kind, is wrong.
    Mapping(String),
}

/// Runs the command to its end.
pub(super) fn run(arguments: &MapArguments) -> Exit {
    let Some(new_jq) = offline() else {
        return Exit::NotStarted;
    };
    let jq = new_jq();
    let work = || {
        let mappings = Mappings::new(&jq, arguments.mapping.as_deref());
        match &arguments.test {
            Some(folder) => golden::run(&mappings, folder, arguments.update),
            None => map(&mappings, arguments),
        }
    };
    let done = jq::on_large_stack_blocking(work)
        .unwrap_or_else(|panicked| Err(Refused::Input(panicked.to_string())));
    done.unwrap_or_else(|refused| {
        let (message, exit) = match refused {
            Refused::Input(message) => (message, Exit::Failed),
            Refused::Mapping(message) => (message, Exit::NotStarted),
        };
        tell(&format_args!("error: {message}"));
        exit
    })
}

fn map(mappings: &Mappings<'_>, arguments: &MapArguments) -> Result<Exit, Refused> {
    let mapper = mappings.mapper(arguments.kind.as_deref())?;
    let objects = objects(&arguments.files, mapper.kind())?;
    let mut tally = Tally::default();
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut outcome = Ok(());
    for (place, batch) in objects.chunks(AT_A_TIME).enumerate() {
        let text = if arguments.explain {
            explain::told(&mapper, place * AT_A_TIME, batch, &mut tally)
        } else {
            lines(&mapper.map(batch, &mut tally))
        };
        // What comes of the rest counts all the same.
        outcome = outcome.and_then(|()| output.write_all(text.as_bytes()));
    }
    outcome = outcome.and_then(|()| output.flush());
    if !arguments.explain {
        mapper.tell_findings(&tally);
    }
    tell(&tally.told(mapper.kind()));
    Ok(match written(&outcome) {
        Exit::Done => tally.exit(),
        lost => lost,
    })
}

/// One entity a line, as it would be sent.
fn lines(entities: &[Value]) -> String {
    let mut text = String::new();
    for entity in entities {
        text.push_str(&entity.to_string());
        text.push('\n');
    }
    text
}

/// The objects of all files, or of standard input.
fn objects(files: &[PathBuf], kind: &str) -> Result<Vec<Value>, Refused> {
    let paths: Vec<_> = match files {
        [] => vec![None],
        files => files.iter().map(|file| Some(file.as_path())).collect(),
    };
    let mut objects = Vec::new();
    for path in paths {
        let input = Input::read(path).map_err(|error| Refused::Input(one_line(&error)))?;
        for value in input.values() {
            match value.map_err(|error| Refused::Input(error.to_string()))? {
                Value::Array(items) => objects.extend(items),
                value => objects.push(value),
            }
        }
    }
    let bare = kind.rsplit('.').next().unwrap_or(kind);
    for (place, object) in objects.iter().enumerate() {
        let refused = |what: String, key: &str| {
            Err(Refused::Input(format!(
                "value {} of the input is {what}\n    hint: give the objects as the API lists them, without what \
                 is around them: `portolan jq .{key} page.json | portolan map …`",
                place + 1
            )))
        };
        if !object.is_object() {
            return refused("no object".to_owned(), bare);
        }
        let is_page = |key: &&str| object.get("id").is_none() && object[*key].is_array();
        if let Some(key) = [bare, "data"].iter().find(|key| is_page(key)) {
            return refused(format!("a whole page, with the objects under `{key}`"), key);
        }
    }
    Ok(objects)
}
