//! Which part of an expression fails, found by running its beginnings.
//!
//! A pipeline is cut at its pipes; the first beginning that fails ends in the
//! part to blame. Where a pipe belongs to something else (`. as $x | …`, a
//! branch of an `if`), what stands before it is no expression, and that cut is
//! passed over.

use std::ops::Range;

use jaq_json::Val;

use super::{Filter, Jq, parse, quotes};

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
    parse::scan(text, &mut |place, character, open| {
        let is_pipe = character == '|' && !text[place..].starts_with("|=");
        if is_pipe && open == 0 {
            pipes.push(place);
        }
    });
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
