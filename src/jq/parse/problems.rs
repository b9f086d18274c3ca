//! Errors in an expression, in words.

use jaq_core::load::lex::{Expect, Tok, Token};

use super::{Parser, Problem};

/// How much of the text a message repeats.
const SHOWN: usize = 30;

/// The problem that the tokens have; the first one, if several.
pub(super) fn of_tokens(text: &str, errors: &[(Expect<&str>, &str)]) -> Problem {
    let start = |part: &str| jaq_core::load::span(text, part).start;
    let Some((expected, found)) = errors.iter().min_by_key(|(_, found)| start(found)) else {
        return Problem {
            message: "the expression cannot be read".to_owned(),
            span: 0..text.len(),
        };
    };
    let at = start(found);
    let length = found.chars().next().map_or(0, char::len_utf8);
    let message = match (expected, found.chars().next()) {
        (Expect::Delim("\""), _) => {
            return Problem {
                message: "unterminated string".to_owned(),
                span: opening(text).unwrap_or(at)..text.len(),
            };
        }
        (Expect::Delim(open), Some(found)) if ")]}".contains(found) => {
            format!("unexpected `{found}`: the `{open}` before it is not closed")
        }
        (Expect::Delim(open), None) => format!("the `{open}` is not closed"),
        (Expect::Escape | Expect::Unicode, _) => "invalid escape sequence in a string".to_owned(),
        (Expect::Digit, _) => "a digit is missing in a number".to_owned(),
        (Expect::Ident, _) => "a name is missing after `$` or `@`".to_owned(),
        (_, Some(found)) => format!("unexpected `{found}`"),
        (_, None) => "unexpected end of the expression".to_owned(),
    };
    Problem {
        message,
        span: at..at + length,
    }
}

/// Where the string begins that is open at the end of the text.
fn opening(text: &str) -> Option<usize> {
    let mut open = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if open.is_some() => escaped = true,
            '"' if open.is_some() => open = None,
            '"' => open = Some(at),
            _ => {}
        }
    }
    open
}

pub(super) fn shown(token: &str) -> String {
    let line = token.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < token.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

impl Parser<'_, '_> {
    /// The next token is not what may stand here.
    pub(super) fn unexpected(&self, expected: &str) -> Problem {
        let found = match (self.peek(), self.closing) {
            (Some(Token(text, Tok::Block(_))), _) => {
                format!("`{}`", text.chars().next().unwrap_or_default())
            }
            (Some(Token(text, _)), _) => shown(text),
            (None, Some(closing)) => format!("`{closing}`"),
            (None, None) => "end of the expression".to_owned(),
        };
        Problem {
            message: format!("unexpected {found}, expected {expected}"),
            span: self.here(),
        }
    }

    /// Something that jq has and we do not.
    pub(super) fn unsupported(&self, what: &str) -> Problem {
        Problem {
            message: format!("{what} not supported"),
            span: self.here(),
        }
    }
}
