//! Regular expressions, with look-around, within bounds.
//!
//! A pattern is compiled once per thread, and a match that backtracks too
//! often is an error.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fancy_regex::{Captures, Regex, RegexBuilder};
use jaq_core::native::{bome, v};
use jaq_core::{Cv, ValR};
use jaq_json::Val;

use super::{Engine, Plain, refused};
use crate::jq::fuel;
use crate::jq::value::{Bounded, Error, error, excerpt, spent};

const BACKTRACKING: usize = 100_000;
/// What a compiled pattern may take, and how many are kept per thread.
const PATTERN_BYTES: usize = 1 << 20;
const KEPT: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Rc<Regex>>> = RefCell::default();
}

pub(super) fn functions() -> Box<[Plain]> {
    Box::new([
        ("__matches", v(2), |cv| bome(run(cv, Wanted::MATCHES))),
        ("__split_matches", v(2), |cv| bome(run(cv, Wanted::BOTH))),
        ("__split", v(2), |cv| bome(run(cv, Wanted::BETWEEN))),
    ])
}

/// Which parts of the text are asked for.
#[derive(Clone, Copy)]
struct Wanted {
    matches: bool,
    between: bool,
}

impl Wanted {
    const MATCHES: Self = Self {
        matches: true,
        between: false,
    };
    const BETWEEN: Self = Self {
        matches: false,
        between: true,
    };
    const BOTH: Self = Self {
        matches: true,
        between: true,
    };
}

#[derive(Default)]
struct Flags {
    global: bool,
    ignore_empty: bool,
    inline: String,
}

impl Flags {
    fn parse(flags: &str) -> Result<Self, Error> {
        let mut parsed = Self::default();
        for flag in flags.chars() {
            match flag {
                'g' => parsed.global = true,
                'n' => parsed.ignore_empty = true,
                'i' | 'x' => parsed.inline.push(flag),
                'p' => parsed.inline.push('s'),
                // A single line is what patterns see anyhow; the longest match
                // is not something this engine looks for.
                's' | 'l' => {}
                _ => return Err(error(format!("{flags:?} is not a valid list of flags"))),
            }
        }
        Ok(parsed)
    }
}

fn compiled(pattern: &str, flags: &Flags) -> Result<Rc<Regex>, Error> {
    let pattern = if flags.inline.is_empty() {
        pattern.to_owned()
    } else {
        format!("(?{}){pattern}", flags.inline)
    };
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(regex) = compiled.get(&pattern) {
            return Ok(regex.clone());
        }
        fuel::allocate(PATTERN_BYTES / 4).map_err(spent)?;
        let regex = RegexBuilder::new(&pattern)
            .backtrack_limit(BACKTRACKING)
            .delegate_size_limit(PATTERN_BYTES)
            .delegate_dfa_size_limit(PATTERN_BYTES)
            .build()
            .map_err(|cause| {
                let pattern = Val::utf8_str(pattern.clone());
                let cause = cause.to_string();
                let cause = cause.lines().last().unwrap_or_default().trim();
                error(format!(
                    "{} is not a valid regular expression: {cause}",
                    excerpt(&pattern)
                ))
            })?;
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        let regex = Rc::new(regex);
        compiled.insert(pattern, regex.clone());
        Ok(regex)
    })
}

fn run(mut cv: Cv<'_, Engine>, wanted: Wanted) -> ValR<Bounded> {
    let flags = cv.0.pop_var();
    let pattern = cv.0.pop_var();
    let input = cv.1;
    let Some(text) = input.as_text() else {
        return Err(refused("matching", "a string", &input));
    };
    let Some(pattern) = pattern.as_text() else {
        return Err(refused(
            "matching",
            "a regular expression as a string",
            &pattern,
        ));
    };
    let flags = match (flags.val(), flags.as_text()) {
        (Val::Null, _) => Flags::default(),
        (_, Some(flags)) => Flags::parse(flags)?,
        _ => return Err(refused("matching", "flags as a string", &flags)),
    };
    let regex = compiled(pattern, &flags)?;
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    let mut characters = Characters::new(text);
    let mut outputs: Vec<Bounded> = Vec::new();
    let mut end = 0;
    let between = |from: usize, to: usize| input_slice(&input, text, from, to);
    for captures in regex.captures_iter(text) {
        let captures =
            captures.map_err(|_| error("a regular expression takes too long to match"))?;
        let Some(whole) = captures.get(0) else { break };
        if flags.ignore_empty && whole.range().is_empty() {
            continue;
        }
        fuel::allocate(512 * captures.len()).map_err(spent)?;
        if wanted.between {
            outputs.push(between(end, whole.start()));
            end = whole.end();
        }
        if wanted.matches {
            outputs.push(groups(&captures, &names, &mut characters));
        }
        if !flags.global {
            break;
        }
    }
    if wanted.between {
        outputs.push(between(end, text.len()));
    }
    Ok(outputs.into_iter().collect())
}

fn input_slice(input: &Bounded, text: &str, from: usize, to: usize) -> Bounded {
    jaq_std::ValT::as_sub_str(input, &text.as_bytes()[from..to])
}

/// The match as a whole, then its groups.
fn groups(
    captures: &Captures<'_, str>,
    names: &[Option<&str>],
    characters: &mut Characters<'_>,
) -> Bounded {
    // Groups may begin in any order, the whole begins first.
    let start = captures.get(0).map_or(0, |whole| whole.start());
    let before = characters.before(start);
    let text = characters.text;
    (0..captures.len())
        .map(|index| {
            let found = captures.get(index);
            let (offset, length, string) = match found {
                Some(found) => (
                    offset(text, before, start, found.start()),
                    Val::from(found.as_str().chars().count()),
                    Val::utf8_str(found.as_str().as_bytes().to_vec()),
                ),
                None => (Val::from(-1_isize), Val::from(0_usize), Val::Null),
            };
            let mut fields = vec![("offset", offset), ("length", length), ("string", string)];
            if index > 0 {
                let name = names.get(index).copied().flatten();
                let name = name.map_or(Val::Null, |name| Val::utf8_str(name.as_bytes().to_vec()));
                fields.push(("name", name));
            }
            let entries = fields
                .into_iter()
                .map(|(key, value)| (Val::utf8_str(key.as_bytes().to_vec()), value));
            Bounded::object(entries.collect(), 0)
        })
        .collect()
}

/// The position in characters of byte `at`, given that `start` is at `before`.
fn offset(text: &str, before: usize, start: usize, at: usize) -> Val {
    Val::from(if at >= start {
        before + text[start..at].chars().count()
    } else {
        // A group within a look-behind.
        before - text[at..start].chars().count()
    })
}

/// Counts characters up to byte positions that only ever grow.
struct Characters<'t> {
    text: &'t str,
    byte: usize,
    count: usize,
}

impl<'t> Characters<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            byte: 0,
            count: 0,
        }
    }

    fn before(&mut self, byte: usize) -> usize {
        self.count += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.count
    }
}
