//! Single quotes around strings, as the mappings of Port's integrations allow.
//!
//! The language knows double quotes only. Where a single quote stands at the
//! edge of a word, it is read as a double one; the rule is that of the regular
//! expression `(^|\s)'(?!\s|")|(?<!\s|")'(\s|$)`, replaced by `\1"\2`, and its
//! gaps are part of the contract: `('x')` stays as it is, `split(' ')` breaks.
//!
//! One byte replaces one byte, so a position in the rewritten text is the same
//! position in the text as it was written.

/// Rewrites the quotes that the rule touches.
pub(super) fn rewrite(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied();
    let mut rewritten = String::with_capacity(text.len());
    let mut previous: Option<char> = None;
    let mut index = 0;
    while let Some(character) = at(index) {
        let opens = |quote: usize| at(quote) == Some('\'') && !at(quote + 1).is_some_and(blocks);
        if previous.is_none() && index == 0 && opens(0) {
            rewritten.push('"');
            index += 1;
        } else if is_space(character) && opens(index + 1) {
            rewritten.extend([character, '"']);
            index += 2;
        } else if character == '\''
            && !previous.is_some_and(blocks)
            && at(index + 1).is_none_or(is_space)
        {
            rewritten.push('"');
            rewritten.extend(at(index + 1));
            index += 2;
        } else {
            rewritten.push(character);
            index += 1;
        }
        previous = index.checked_sub(1).and_then(at);
    }
    rewritten
}

/// The text with every single quote made double: what the author may have
/// meant, if that compiles.
pub(super) fn all_doubled(text: &str) -> Option<String> {
    text.contains('\'').then(|| text.replace('\'', "\""))
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

fn blocks(character: char) -> bool {
    is_space(character) || character == '"'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_at_the_edge_of_a_word_become_double() {
        for (written, read) in [
            ("'abc'", "\"abc\""),
            (".a == 'x'", ".a == \"x\""),
            (".a == ('x')", ".a == ('x')"),
            (".a | split(' ')", ".a | split(\" ')"),
            ("'a' + 'b'", "\"a\" + \"b\""),
            ("\"it's\"", "\"it's\""),
            (".a ' b", ".a ' b"),
            ("'", "\""),
            ("''", "\"\""),
            (" \"'", " \"'"),
        ] {
            assert_eq!(rewrite(written), read, "{written}");
        }
    }

    proptest! {
        #[test]
        fn text_without_single_quotes_is_never_changed(text in "[^']*") {
            prop_assert_eq!(rewrite(&text), text);
        }

        #[test]
        fn the_rule_is_that_of_the_regular_expression(text in "[a' \"\n(\u{e9}]{0,12}") {
            let rule = fancy_regex::Regex::new(r#"(^|\s)'(?!\s|")|(?<!\s|")'(\s|$)"#).unwrap();
            let expected = rule.replace_all(&text, "${1}\"${2}").into_owned();
            prop_assert_eq!(rewrite(&text), expected);
        }

        #[test]
        fn positions_stay_where_they_were(text in "['a \u{e9}]{0,20}") {
            let read = rewrite(&text);
            prop_assert_eq!(read.len(), text.len());
            prop_assert!(text.char_indices().map(|(at, _)| at).eq(read.char_indices().map(|(at, _)| at)));
        }
    }
}
