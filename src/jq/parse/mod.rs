//! The text of an expression into a tree.
//!
//! Splitting into tokens is the engine's; the grammar is ours. The engine's
//! own gives some operators another precedence than jq does (`.a = .b // 1`
//! and `2 * 3 % 4` would mean something else), and what it says about an
//! error does not help the author of a mapping.
//!
//! Trees are walked by recursion, so how deep one may become is limited here.

mod atoms;
mod operators;
mod problems;

use std::ops::Range;

use jaq_core::load::lex::{Lexer, Tok, Token};
use jaq_core::load::parse::{Def, Term};

/// How deep a tree may be. Chains of operators count, each adding a level.
const DEPTH: usize = 1_000;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

type Parsed<T> = Result<T, Problem>;

pub(super) fn expression(text: &str) -> Parsed<Term<&str>> {
    let tokens = tokens(text)?;
    let mut parser = Parser::new(text, &tokens);
    let term = parser.pipe()?;
    parser.end()?;
    Ok(term)
}

pub(super) fn definitions(text: &'static str) -> Parsed<Vec<Def<&'static str>>> {
    let tokens = tokens(text)?;
    let mut parser = Parser::new(text, &tokens);
    let mut defs = Vec::new();
    while parser.take("def") {
        defs.push(parser.definition()?);
    }
    parser.end()?;
    Ok(defs)
}

fn tokens(text: &str) -> Parsed<Vec<Token<&str>>> {
    Lexer::new(text)
        .lex()
        .map_err(|errors| problems::of_tokens(text, &errors))
}

/// How many brackets are open at once, at most. Counted before anything else
/// looks at the text: splitting it into tokens is recursive already.
pub(super) fn bracket_depth(text: &str) -> usize {
    let mut deepest = 0;
    scan(text, &mut |_, _, open| deepest = deepest.max(open));
    deepest
}

/// Visits the characters of an expression, comments aside: where each stands, and
/// how many brackets and strings are open behind it.
pub(super) fn scan(text: &str, visit: &mut dyn FnMut(usize, char, usize)) {
    // What is open: a bracket, or a string (with the bracket that an
    // interpolation opened in it on top).
    let mut open: Vec<char> = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        let in_string = open.last() == Some(&'"');
        match character {
            '"' if in_string => {
                open.pop();
            }
            '\\' if in_string => {
                let next = characters.next().map(|(_, next)| next);
                open.extend(next.filter(|next| *next == '('));
            }
            '"' => open.push('"'),
            '(' | '[' | '{' if !in_string => open.push(character),
            ')' | ']' | '}' if !in_string => {
                open.pop();
            }
            '#' if !in_string => while characters.next_if(|(_, next)| *next != '\n').is_some() {},
            _ => {}
        }
        visit(place, character, open.len());
    }
}

/// Reads a list of tokens; what is in brackets is a list of its own, read by
/// a parser of its own.
struct Parser<'s, 't> {
    text: &'s str,
    tokens: &'t [Token<&'s str>],
    at: usize,
    /// Where a problem at the end is shown.
    end: Range<usize>,
    /// What was expected to close this list.
    closing: Option<&'static str>,
    depth: usize,
}

impl<'s, 't> Parser<'s, 't> {
    fn new(text: &'s str, tokens: &'t [Token<&'s str>]) -> Self {
        Self {
            text,
            tokens,
            at: 0,
            end: text.len()..text.len(),
            closing: None,
            depth: 0,
        }
    }

    /// A parser for what is between the brackets of `block`.
    fn inside(&self, block: &'t Token<&'s str>) -> Self {
        let (tokens, end): (&[Token<&str>], _) = match &block.1 {
            Tok::Block(tokens) => match tokens.split_last() {
                Some((closing, tokens)) => (tokens, self.span(closing.0)),
                None => (&[], self.span(block.0)),
            },
            _ => (&[], self.span(block.0)),
        };
        let closing = match block.0.as_bytes().first() {
            Some(b'(') => ")",
            Some(b'[') => "]",
            _ => "}",
        };
        Self {
            text: self.text,
            tokens,
            at: 0,
            end,
            closing: Some(closing),
            depth: self.depth,
        }
    }

    fn span(&self, part: &str) -> Range<usize> {
        jaq_core::load::span(self.text, part)
    }

    fn peek(&self) -> Option<&'t Token<&'s str>> {
        self.tokens.get(self.at)
    }

    /// The text of the next token, unless it is a string or in brackets.
    fn peek_word(&self) -> Option<&'s str> {
        match self.peek() {
            Some(Token(text, Tok::Word | Tok::Sym)) => Some(text),
            _ => None,
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let taken = self.peek_word() == Some(text);
        self.at += usize::from(taken);
        taken
    }

    fn expect(&mut self, text: &'static str) -> Parsed<()> {
        if self.take(text) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{text}`")))
    }

    fn end(&self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("an operator or the end")),
        }
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.descend()?;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn descend(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth <= DEPTH {
            return Ok(());
        }
        Err(Problem {
            message: "the expression is nested too deeply".to_owned(),
            span: self.here(),
        })
    }

    fn here(&self) -> Range<usize> {
        self.peek()
            .map_or(self.end.clone(), |token| self.span(token.0))
    }
}
