//! What Port accepts as an identifier.
//!
//! Checked before sending: a refused entity would cost its bulk request a
//! second attempt and come back as an error that names no expression.

use std::{fmt, sync::LazyLock};

use regex::Regex;

/// Longest identifier of an entity, in characters.
pub const MAX_LENGTH: usize = 1000;
/// Longest identifier of a blueprint, in characters.
pub const MAX_BLUEPRINT_LENGTH: usize = 100;

/// Punctuation an entity's identifier may have.
const PUNCTUATION: &str = "@_.+:\\/=-";
const BLUEPRINT_PUNCTUATION: &str = "@_.+:\\/-";

#[expect(clippy::expect_used, reason = "a constant that every test compiles")]
static LETTER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\p{L}$").expect("a valid expression"));

/// Why Port would refuse an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Empty,
    /// `.` and `..` mean something else in a URL.
    OnlyDots,
    Character(char),
    TooLong(usize, usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("it is empty"),
            Self::OnlyDots => formatter.write_str("`.` and `..` are not allowed"),
            Self::Character(' ') => formatter.write_str("it contains a space"),
            Self::Character(character) => write!(formatter, "it contains {character:?}"),
            Self::TooLong(length, most) => {
                write!(formatter, "it has {length} characters, {most} are allowed")
            }
        }
    }
}

/// Whether Port takes this as an entity's identifier:
/// `^(?!\.{1,2}$)[\p{L}0-9@_.+:\\/=-]+$`, 1000 characters at most.
pub fn check(identifier: &str) -> Result<(), Refusal> {
    if matches!(identifier, "." | "..") {
        return Err(Refusal::OnlyDots);
    }
    check_characters(identifier, PUNCTUATION, MAX_LENGTH)
}

/// Whether Port takes this as a blueprint's identifier:
/// `[\p{L}0-9@_.+:\\/-]+`, 100 characters at most.
pub fn check_blueprint(identifier: &str) -> Result<(), Refusal> {
    check_characters(identifier, BLUEPRINT_PUNCTUATION, MAX_BLUEPRINT_LENGTH)
}

fn check_characters(identifier: &str, punctuation: &str, most: usize) -> Result<(), Refusal> {
    if identifier.is_empty() {
        return Err(Refusal::Empty);
    }
    let is_allowed = |character: char| {
        if character.is_ascii() {
            character.is_ascii_alphanumeric() || punctuation.contains(character)
        } else {
            LETTER.is_match(character.encode_utf8(&mut [0; 4]))
        }
    };
    if let Some(character) = identifier.chars().find(|&character| !is_allowed(character)) {
        return Err(Refusal::Character(character));
    }
    match identifier.chars().count() {
        length if length > most => Err(Refusal::TooLong(length, most)),
        _ => Ok(()),
    }
}

/// An expression like `expression` whose result Port accepts.
pub fn remedy(expression: &str, refusal: Refusal) -> Option<String> {
    let is_path = expression
        .chars()
        .all(|character| character.is_alphanumeric() || "._[]".contains(character));
    let operand = if is_path {
        expression.to_owned()
    } else {
        format!("({expression})")
    };
    match refusal {
        Refusal::Character(_) => Some(format!(
            r#"{operand} | gsub("[^A-Za-z0-9@_.+:\\\\/=-]"; "-")"#
        )),
        Refusal::TooLong(_, most) => Some(format!("{operand} | .[:{most}]")),
        Refusal::Empty | Refusal::OnlyDots => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Port's own expression, look-ahead and all.
    fn oracle(identifier: &str) -> bool {
        let rule = fancy_regex::Regex::new(r"^(?!\.{1,2}$)[\p{L}0-9@_.+:\\/=-]+$").unwrap();
        rule.is_match(identifier).unwrap() && identifier.chars().count() <= 1000
    }

    #[test]
    fn identifiers_of_every_vendor_are_accepted() {
        for identifier in [
            "8m2l51279rpl",
            "PUSER1--",
            "PU-PS-2024-01-01T00:00:00+02:00",
            "größe",
            "日本語",
            "...",
            r"a\b/c=d",
            "e@x.io",
        ] {
            assert_eq!(check(identifier), Ok(()), "{identifier}");
        }
    }

    #[test]
    fn each_refusal_says_why() {
        let reasons: Vec<_> = ["", ".", "..", "a b", "a#b", "a\nb", "٣", &"x".repeat(1001)]
            .into_iter()
            .map(|identifier| check(identifier).unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(reasons.join("\n"), @r#"
        it is empty
        `.` and `..` are not allowed
        `.` and `..` are not allowed
        it contains a space
        it contains '#'
        it contains '\n'
        it contains '٣'
        it has 1001 characters, 1000 are allowed
        "#);
    }

    #[test]
    fn the_remedy_is_the_expression_to_use() {
        let remedy = |expression| remedy(expression, Refusal::Character('#')).unwrap();
        insta::assert_snapshot!(remedy(".id"), @r#".id | gsub("[^A-Za-z0-9@_.+:\\\\/=-]"; "-")"#);
        insta::assert_snapshot!(remedy(".a, .b"), @r#"(.a, .b) | gsub("[^A-Za-z0-9@_.+:\\\\/=-]"; "-")"#);
    }

    #[test]
    fn a_blueprint_has_stricter_rules() {
        assert_eq!(check_blueprint("statuspageIncident"), Ok(()));
        assert_eq!(check_blueprint("a=b"), Err(Refusal::Character('=')));
        assert_eq!(
            check_blueprint(&"x".repeat(101)),
            Err(Refusal::TooLong(101, 100))
        );
    }

    proptest! {
        #[test]
        fn accepted_is_what_ports_own_expression_accepts(identifier in r"[ -~]{0,4}|\PC{0,6}|[\p{L}0-9.]{1,3}|[.]{0,3}|[a.]{998,1003}") {
            prop_assert_eq!(check(&identifier).is_ok(), oracle(&identifier));
        }

        #[test]
        fn what_is_accepted_survives_a_url_path(identifier in r"[\p{L}0-9@_.+:\\/=-]{1,20}") {
            prop_assert_eq!(check(&identifier).is_ok(), identifier != "." && identifier != "..");
        }
    }
}
