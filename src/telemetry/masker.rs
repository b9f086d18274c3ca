//! Replaces secrets by `[REDACTED]`.
//!
//! A secret is masked whole wherever it stands, in the spellings in which it
//! reaches a log: as it is, percent-encoded (a query, a path), escaped (JSON,
//! Rust's `Debug`). All matches, of secrets and of patterns, are found in the
//! original text and joined before anything is replaced, so that two secrets
//! that overlap leave nothing of either.
//!
//! Secrets shorter than four characters are masked only where they are the
//! whole value: masked inside of words they would make every log unreadable
//! (and tell the secret by what is missing).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use regex::{Regex, RegexBuilder, RegexSet};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::patterns::PATTERNS;

/// What stands in for a secret.
pub(super) const REDACTED: &str = "[REDACTED]";

/// Shorter secrets are not looked for inside of text.
const SHORTEST_LITERAL: usize = 4;

/// How many secrets learnt later are remembered of each holder. Tokens are
/// renewed for as long as the process lives; those before the last few have
/// expired.
const LEARNT: usize = 8;

/// Masks secrets; cheap to clone, and what one clone learns all know.
#[derive(Clone)]
pub struct Masker {
    given: Arc<Secrets>,
    /// With whose they are, oldest first.
    learnt: Arc<RwLock<Vec<(String, Secrets)>>>,
}

#[derive(Default)]
struct Secrets {
    /// One expression a secret, matching all of its spellings.
    literals: Vec<Regex>,
    /// Secrets too short to be looked for inside of text.
    short: Vec<SecretString>,
}

// By hand: an expression shows the secret it looks for.
impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.given.literals.len() + self.given.short.len();
        write!(formatter, "Masker({count} secrets)")
    }
}

impl Secrets {
    fn add(&mut self, secret: &SecretString) {
        let text = secret.expose_secret();
        match text.chars().count() {
            0 => {}
            1..SHORTEST_LITERAL => self.short.push(secret.clone()),
            _ => self.literals.extend(literal(text)),
        }
    }

    fn equal(&self, text: &str) -> bool {
        self.short
            .iter()
            .any(|secret| secret.expose_secret() == text)
    }

    fn find(&self, text: &str, matches: &mut Vec<Range<usize>>) {
        for literal in &self.literals {
            overlapping(literal, text, matches);
        }
    }
}

impl Masker {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut given = Secrets::default();
        for secret in secrets {
            given.add(secret);
        }
        Self {
            given: Arc::new(given),
            learnt: Arc::default(),
        }
    }

    /// Masks this from now on, too: a token that was not among the settings,
    /// but issued by a login or read from a file. Only what `holder` had before
    /// makes room for it: a token that is renewed every hour must not drive out
    /// another that is good for a year.
    pub fn learn(&self, holder: &str, secret: &SecretString) {
        let mut secrets = Secrets::default();
        secrets.add(secret);
        let mut learnt = self.learnt.write().unwrap_or_else(PoisonError::into_inner);
        learnt.push((holder.to_owned(), secrets));
        let is_of_holder = |(known, _): &(String, Secrets)| known == holder;
        if learnt.iter().filter(|known| is_of_holder(known)).count() > LEARNT
            && let Some(oldest) = learnt.iter().position(is_of_holder)
        {
            learnt.remove(oldest);
        }
    }

    /// `text` without secrets; borrowed when it has none.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let learnt = self.learnt.read().unwrap_or_else(PoisonError::into_inner);
        let mut matches = Vec::new();
        let learnt_later = learnt.iter().map(|(_, secrets)| secrets);
        for secrets in std::iter::once(&*self.given).chain(learnt_later) {
            if secrets.equal(text) {
                return Cow::Borrowed(REDACTED);
            }
            secrets.find(text, &mut matches);
        }
        drop(learnt);
        for index in &SET.matches(text) {
            matches.extend(
                EXPRESSIONS[index]
                    .find_iter(text)
                    .map(|found| found.range()),
            );
        }
        if matches.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(replace(text, matches))
        }
    }

    /// A JSON value without secrets in any text of it, keys included.
    pub fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.mask_value(item)).collect(),
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| (self.mask(key).into_owned(), self.mask_value(value)))
                .collect(),
            Value::Number(number) => match self.mask(&number.to_string()) {
                Cow::Borrowed(text) if text != REDACTED => value.clone(),
                masked => Value::String(masked.into_owned()),
            },
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }
}

static SET: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(PATTERNS.iter().map(|(_, expression)| expression))
        .expect("the patterns are constant and tested")
});

static EXPRESSIONS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    PATTERNS
        .iter()
        .map(|(_, expression)| {
            Regex::new(expression).expect("the patterns are constant and tested")
        })
        .collect()
});

/// An expression for every spelling of a secret. Letters, digits and `-_.~`
/// are spelt the same everywhere; any other character may be encoded or
/// escaped, whatever its neighbours are, since encoders differ in what they
/// leave as it is.
fn literal(secret: &str) -> Option<Regex> {
    let expression: String = secret.chars().map(spellings).collect();
    let build = |expression: &str| {
        RegexBuilder::new(expression)
            .size_limit(64 << 20)
            .build()
            .ok()
    };
    // A secret too large for that (no credential is) is masked as it stands.
    build(&expression).or_else(|| build(&regex::escape(secret)))
}

fn spellings(character: char) -> String {
    let plain = regex::escape(character.encode_utf8(&mut [0; 4]));
    if character.is_ascii_alphanumeric() || "-_.~".contains(character) {
        return plain;
    }
    let percent: String = character
        .encode_utf8(&mut [0; 4])
        .bytes()
        .flat_map(|byte| ['%', hex(u16::from(byte) >> 4), hex(u16::from(byte) & 15)])
        .collect();
    let mut utf_16 = String::new();
    for unit in character.encode_utf16(&mut [0; 2]) {
        let digits = [*unit >> 12, *unit >> 8 & 15, *unit >> 4 & 15, *unit & 15];
        utf_16.push_str(r"\\u");
        utf_16.extend(digits.map(hex));
    }
    let braces = format!(r"\\u\{{{:x}\}}", u32::from(character));
    let mut forms = vec![
        format!("(?i:{percent}|{utf_16}|{braces})"),
        format!(r"\\{plain}"),
    ];
    match character {
        ' ' => forms.push(r"\+".to_owned()),
        '\0' => forms.push(r"\\0".to_owned()),
        '\u{8}' => forms.push(r"\\b".to_owned()),
        '\u{c}' => forms.push(r"\\f".to_owned()),
        '\n' => forms.push(r"\\n".to_owned()),
        '\r' => forms.push(r"\\r".to_owned()),
        '\t' => forms.push(r"\\t".to_owned()),
        _ => {}
    }
    forms.push(plain);
    format!("(?:{})", forms.join("|"))
}

fn hex(digit: u16) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0')
}

/// Every match, those that overlap an earlier match of the same secret too.
fn overlapping(literal: &Regex, text: &str, matches: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(found) = literal.find_at(text, from) {
        matches.push(found.range());
        let step = text[found.start()..]
            .chars()
            .next()
            .map_or(1, char::len_utf8);
        from = found.start() + step;
    }
}

fn replace(text: &str, mut matches: Vec<Range<usize>>) -> String {
    matches.sort_by_key(|range| (range.start, range.end));
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for (index, range) in matches.iter().enumerate() {
        if index == 0 || range.start > end {
            masked.push_str(&text[end..range.start]);
            masked.push_str(REDACTED);
        }
        end = end.max(range.end);
    }
    masked.push_str(&text[end..]);
    masked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masker(secrets: &[&str]) -> Masker {
        let secrets: Vec<SecretString> = secrets.iter().map(|text| (*text).into()).collect();
        Masker::new(&secrets)
    }

    #[test]
    fn a_secret_is_masked_whole_wherever_it_stands() {
        let masker = masker(&["s3cr3t-token"]);

        assert_eq!(
            masker.mask("a s3cr3t-token, ans3cr3t-tokens"),
            "a [REDACTED], an[REDACTED]s"
        );
    }

    #[test]
    fn a_secret_is_masked_in_every_spelling() {
        let secret = "p\"a\\s/s w+ö\nrd";
        let masker = masker(&[secret]);
        let json = serde_json::to_string(secret).unwrap();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();

        for spelling in [
            secret.to_owned(),
            json[1..json.len() - 1].to_owned(),
            json[1..json.len() - 1]
                .replace('/', "\\/")
                .replace('ö', "\\u00f6"),
            form.clone(),
            form.replace('+', "%20").to_lowercase(),
            secret.escape_debug().to_string(),
        ] {
            assert_eq!(
                masker.mask(&format!("<{spelling}>")),
                "<[REDACTED]>",
                "{spelling}"
            );
        }
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let masker = masker(&["abcd", "cdefgh", "xyxy"]);

        assert_eq!(masker.mask("-abcdefgh-"), "-[REDACTED]-");
        assert_eq!(masker.mask("-xyxyxy-"), "-[REDACTED]-");
    }

    #[test]
    fn a_secret_of_less_than_four_characters_is_masked_only_as_a_whole_value() {
        let masker = masker(&["abc", "", "7"]);

        assert_eq!(masker.mask("abc"), "[REDACTED]");
        assert_eq!(masker.mask("abcd 17"), "abcd 17");
        assert_eq!(
            masker.mask_value(&json!([7, 17])),
            json!(["[REDACTED]", 17])
        );
    }

    #[test]
    fn json_values_are_masked_at_every_depth() {
        let masker = masker(&["12345678", "hunter22"]);

        assert_eq!(
            masker.mask_value(&json!({"a": [{"hunter22": "x hunter22"}, 12_345_678, true, null]})),
            json!({"a": [{"[REDACTED]": "x [REDACTED]"}, "[REDACTED]", true, null]})
        );
    }

    #[test]
    fn a_token_learnt_later_is_masked_by_every_clone() {
        let masker = masker(&[]);
        let clone = masker.clone();

        masker.learn("a file", &"lasting-token".into());
        masker.learn("Port", &"issued-token".into());
        assert_eq!(clone.mask("an issued-token"), "an [REDACTED]");
        for renewal in 0..LEARNT {
            masker.learn("Port", &format!("renewed-{renewal}").into());
        }

        assert_eq!(clone.mask("renewed-0"), "[REDACTED]");
        assert_eq!(clone.mask("an issued-token"), "an issued-token");
        assert_eq!(clone.mask("lasting-token"), "[REDACTED]");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(
            format!("{:?}", masker(&["s3cr3t-token"])),
            "Masker(1 secrets)"
        );
    }

    proptest! {
        #[test]
        fn no_secret_survives_in_any_text(
            secret in "(?s).{4,12}",
            before in "(?s).{0,10}",
            after in "(?s).{0,10}",
        ) {
            // A secret that is part of the replacement itself cannot vanish.
            prop_assume!(!REDACTED.contains(&secret));
            let masker = masker(&[&secret]);
            let plain = format!("{before}{secret}{after}");
            let debug = format!("{before}{secret:?}{after}");
            prop_assert!(masker.mask(&plain).contains(REDACTED));
            prop_assert!(masker.mask(&debug).contains(REDACTED));
        }
    }
}
