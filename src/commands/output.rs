//! What commands print: results to stdout, everything else to stderr. Whoever reads
//! either may have gone.

use std::fmt;
use std::io::{self, Write as _};

use super::Exit;

/// Results go to stdout. How that went is for those whose results somebody saves.
pub(super) fn print(text: &str) -> Exit {
    written(&writeln!(io::stdout().lock(), "{text}"))
}

/// Whether stdout took what it was given. Whoever reads it may have seen enough
/// (`| head`): that is no reason to end in a panic, or with another exit code. A full
/// disk is.
pub(super) fn written(outcome: &io::Result<()>) -> Exit {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(&format_args!(
                "error: cannot write to standard output: {error}"
            ));
            Exit::Failed
        }
        Ok(()) | Err(_) => Exit::Done,
    }
}

/// Names from outside must not steer the terminal that shows them. Lines stay lines.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// What is wrong goes to stderr, of which the same is true; and where that cannot be
/// written either, nobody can be told.
pub(super) fn tell(text: &dyn fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
