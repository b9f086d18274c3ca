//! `portolan jq`: one expression, run as mappings run it.
//!
//! What is printed is what a field would become: the first output, and null
//! where there is none. Only a failure, which is null in a field as well, is
//! told apart here, since somebody is looking for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Exit;
use super::input::{self, Input};
use super::output::{tell, written};
use crate::causes::one_line;
use crate::cli::JqArguments;
use crate::document::Snippet;
use crate::jq::{self, CompileError, Jq, Limits, to_val};
use crate::mapping::field;
use crate::settings::{self, Inputs, Overrides};

/// Lines after which what was compiled is forgotten: a filter takes some hundred
/// kilobytes, and a test of an engine has thousands of them.
const LINES_REMEMBERED: usize = 500;

/// Runs the command to its end.
pub(super) fn run(arguments: JqArguments) -> Exit {
    let Some(jq) = offline() else {
        return Exit::NotStarted;
    };
    let JqArguments {
        filter,
        file,
        lines,
    } = arguments;
    match (filter, file) {
        (Some(_), Some(_)) if lines => {
            tell(&"error: with --lines the filters are in the input: leave <FILTER> out");
            Exit::NotStarted
        }
        (file, None) if lines => on_lines(file.as_deref().map(Path::new), &jq),
        (Some(filter), file) => on_values(&filter, file.as_deref(), &jq()),
        // The command line sees to it that there is one.
        (None, _) => Exit::NotStarted,
    }
}

/// What makes compilers for work without any account; what is wrong with the
/// settings has been said.
pub(super) fn offline() -> Option<impl Fn() -> Jq> {
    let inputs = Inputs::from_process(Overrides::default());
    match settings::jq_environment(inputs) {
        Ok((environment, warnings)) => {
            for warning in warnings {
                tell(&format_args!("warning: {warning}"));
            }
            Some(move || Jq::new(environment.clone(), Limits::default()))
        }
        Err(problems) => {
            tell(&problems);
            None
        }
    }
}

fn on_values(filter: &str, file: Option<&Path>, jq: &Jq) -> Exit {
    let compiled = match jq.compile(filter) {
        Ok(compiled) => compiled,
        Err(error) => {
            tell(&format_args!("error: {}", does_not_compile(filter, &error)));
            return Exit::NotStarted;
        }
    };
    let given = match Input::read(file) {
        Ok(given) => given,
        Err(error) => {
            tell(&format_args!("error: {}", one_line(&error)));
            return Exit::Failed;
        }
    };
    let limits = Limits::default();
    let work = || {
        let mut exit = Exit::Done;
        let mut output = io::stdout().lock();
        for (place, value) in given.values().enumerate() {
            let value = match value {
                Ok(value) => value,
                Err(error) => {
                    tell(&format_args!("error: {error}"));
                    return Exit::Failed;
                }
            };
            let input = to_val(&value);
            match field(&compiled, &input, &limits) {
                Ok(result) => {
                    let result = result.unwrap_or_default();
                    let outcome = writeln!(output, "{result}");
                    if outcome.is_err() {
                        return match written(&outcome) {
                            Exit::Done => exit,
                            lost => lost,
                        };
                    }
                }
                Err(error) => {
                    let to_blame = Snippet {
                        text: filter.to_owned(),
                        span: Some(jq.blame(&compiled, &input)),
                    };
                    let place = place + 1;
                    tell(&format_args!(
                        "error: the filter failed on value {place} of the input{to_blame}\n    {error}"
                    ));
                    exit = Exit::Failed;
                }
            }
        }
        exit
    };
    jq::on_large_stack_blocking(work).unwrap_or_else(|panicked| {
        tell(&format_args!("error: {panicked}"));
        Exit::Failed
    })
}

fn does_not_compile(filter: &str, error: &CompileError) -> String {
    let snippet = Snippet {
        text: filter.to_owned(),
        span: error.span.clone(),
    };
    let hint = error
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!("\n    hint: {hint}"));
    format!("the filter does not compile{snippet}\n    {error}{hint}")
}

/// A line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    filter: String,
    #[serde(default)]
    input: Value,
}

fn on_lines(file: Option<&Path>, jq: &impl Fn() -> Jq) -> Exit {
    let file = file.filter(|path| *path != Path::new("-"));
    let reader: Box<dyn BufRead + Send> = match file.map(File::open) {
        None => Box::new(BufReader::new(io::stdin())),
        Some(Ok(file)) => Box::new(BufReader::new(file)),
        Some(Err(error)) => {
            tell(&format_args!(
                "error: cannot read {}: {error}",
                input::name(file)
            ));
            return Exit::Failed;
        }
    };
    match answer_lines(reader, jq) {
        Ok(exit) => exit,
        Err(error) => {
            tell(&format_args!(
                "error: cannot read {}: {error}",
                input::name(file)
            ));
            Exit::Failed
        }
    }
}

fn answer_lines(mut reader: Box<dyn BufRead + Send>, new: &impl Fn() -> Jq) -> io::Result<Exit> {
    let limits = Limits::default();
    let mut jq = new();
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if number.is_multiple_of(LINES_REMEMBERED) {
            jq = new();
        }
        // Editors of some systems begin a file with it.
        let mark = if number == 1 { "\u{feff}" } else { "" };
        let question = line.strip_prefix(mark.as_bytes()).unwrap_or(&line);
        let answer = jq::on_large_stack_blocking(|| answer(question, &jq, &limits));
        let answer = answer.unwrap_or_else(|panicked| Err(panicked.to_string()));
        let answer = match answer {
            Ok(value) => json!({"value": value}),
            Err(error) => json!({"error": error}),
        };
        // Standard output is flushed at the end of a line, so that another
        // program can wait for each answer before it asks for the next.
        let outcome = writeln!(io::stdout().lock(), "{answer}");
        if outcome.is_err() {
            return Ok(written(&outcome));
        }
    }
    Ok(Exit::Done)
}

fn answer(line: &[u8], jq: &Jq, limits: &Limits) -> Result<Value, String> {
    let Line { filter, input } = serde_json::from_slice(line)
        .map_err(|error| format!("this line is not {{\"filter\":…,\"input\":…}}: {error}"))?;
    let filter = jq
        .compile(&filter)
        .map_err(|error| format!("does not compile: {}", with_place(&error)))?;
    let value =
        field(&filter, &to_val(&input), limits).map_err(|error| format!("failed: {error}"))?;
    Ok(value.unwrap_or_default())
}

/// The message, the bytes that it is about and the remedy, on one line.
fn with_place(error: &CompileError) -> String {
    let place = error.span.as_ref().map_or_else(String::new, |span| {
        format!(" (bytes {} to {})", span.start, span.end)
    });
    let hint = error
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!("; hint: {hint}"));
    format!("{error}{place}{hint}")
}
