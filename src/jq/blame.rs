//! Which part of an expression fails, found by running its beginnings.
//!
//! A pipeline is cut at its pipes; the first beginning that fails ends in the
//! part to blame. Where a pipe belongs to something else (`. as $x | …`, a
//! branch of an `if`), what stands before it is no expression, and that cut is
//! passed over.

use std::ops::Range;

use jaq_json::Val;

use super::{Filter, Jq, quotes};

impl Jq {
    /// The bytes of a failing filter that are to blame for it on this input. Run
    /// it only inside [`on_large_stack`](super::on_large_stack).
    pub fn blame(&self, filter: &Filter, input: &Val) -> Range<usize> {
        let text = filter.text();
        let mut start = 0;
        for pipe in pipes(&quotes::rewrite(text)) {
            let Ok(beginning) = self.compile(&text[..pipe]) else {
                continue;
            };
            if beginning.first(input).is_err() {
                return trimmed(text, start..pipe);
            }
            start = pipe + 1;
        }
        trimmed(text, start..text.len())
    }
}

/// Where pipes stand that are in no bracket, string or comment.
fn pipes(text: &str) -> Vec<usize> {
    let mut pipes = Vec::new();
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
            '|' if open.is_empty() && characters.peek().is_none_or(|(_, next)| *next != '=') => {
                pipes.push(place);
            }
            _ => {}
        }
    }
    pipes
}

fn trimmed(text: &str, part: Range<usize>) -> Range<usize> {
    let inner = &text[part.clone()];
    let start = part.start + (inner.len() - inner.trim_start().len());
    start..start + inner.trim().len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::{Limits, to_val};
    use super::*;

    #[test]
    fn the_part_that_fails_is_found() {
        let jq = Jq::new(BTreeMap::new(), Limits::default());
        let input = to_val(&json!({"a": null, "b": "text|", "c": 1}));
        for (text, part) in [
            (".a[]", ".a[]"),
            (".b | .c | .d", ".c"),
            (".a |  map(.x) | length", "map(.x)"),
            (".b | split(\"|\") | .x", ".x"),
            (". as $all | .b | tonumber | . + 1", "tonumber"),
            (
                "if .c then .b | .x else 1 end | .y",
                "if .c then .b | .x else 1 end",
            ),
            (".a |= (.[] | .x) | .c", ".a |= (.[] | .x)"),
            ("\"\\(.b | .x) | y\" | length", "\"\\(.b | .x) | y\""),
        ] {
            let filter = jq.compile(text).unwrap();
            assert!(filter.first(&input).is_err(), "{text}");
            assert_eq!(&text[jq.blame(&filter, &input)], part, "{text}");
        }
    }
}
