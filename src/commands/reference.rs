//! `portolan completions` and `portolan man`: what shells and manual readers know of the
//! command line, from the same definition that parses it.

use clap::CommandFactory as _;

use super::Exit;
use super::output::{print, tell};
use crate::cli::{Cli, CompletionsArguments, ManArguments};

/// Prints the completions of a shell.
pub(super) fn completions(arguments: &CompletionsArguments) -> Exit {
    // Not to stdout itself: the generators panic when nobody reads on.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "portolan",
        &mut script,
    );
    print(String::from_utf8_lossy(&script).trim_end())
}

/// Prints a page of the manual.
pub(super) fn man(arguments: &ManArguments) -> Exit {
    let mut program = Cli::command();
    program.build();
    let described = match &arguments.command {
        None => Some(program),
        Some(name) => program.find_subcommand(name).cloned(),
    };
    let Some(described) = described else {
        let name = arguments.command.as_deref().unwrap_or_default();
        tell(&format_args!(
            "error: there is no command `{name}`; `portolan --help` lists them"
        ));
        return Exit::NotStarted;
    };
    let mut page = Vec::new();
    let version = concat!("portolan ", env!("CARGO_PKG_VERSION"));
    let described = clap_mangen::Man::new(described).source(version);
    if let Err(error) = described.render(&mut page) {
        tell(&format_args!("error: could not write the page: {error}"));
        return Exit::Failed;
    }
    print(String::from_utf8_lossy(&page).trim_end())
}
