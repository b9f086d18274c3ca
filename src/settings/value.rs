//! What a setting may be, in one place: how it is parsed and how what is
//! accepted is told.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

/// The type of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueType {
    Text,
    Path,
    /// `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off` in any case.
    Boolean,
    /// A decimal number within a range.
    Whole {
        min: u64,
        max: u64,
        unit: &'static str,
    },
    /// A number that may have a fraction, 0 or more.
    Decimal {
        unit: &'static str,
    },
    /// `http` or `https`, without user name and password.
    Url,
    /// A JSON array of texts.
    List,
    /// A JSON array of texts, or texts with commas between.
    CommaList,
    /// A JSON array of objects, one an account.
    Accounts {
        example: &'static str,
    },
    /// A JSON object, taken as a text: what is in it is understood elsewhere.
    Object,
    /// One of these, in any case.
    Choice(&'static [&'static str]),
    /// One of these, exactly as written.
    ExactChoice(&'static [&'static str]),
    /// Minutes, as a number or as `15m` or `1h`, of a fixed choice.
    SyncInterval,
}

/// A value that fits its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parsed {
    Text(String),
    Boolean(bool),
    Whole(u64),
    Decimal(f64),
    Url(Url),
    List(Vec<String>),
}

impl ValueType {
    /// The value, or `None` where it does not fit. `value` is a text wherever
    /// it came from a variable, and anything where it came from JSON or YAML.
    pub(super) fn parse(self, value: &Value) -> Option<Parsed> {
        match self {
            Self::Text | Self::Path => text(value).map(Parsed::Text),
            Self::Boolean => boolean(value).map(Parsed::Boolean),
            Self::Whole { min, max, .. } => whole(value)
                .filter(|number| (min..=max).contains(number))
                .map(Parsed::Whole),
            Self::Decimal { .. } => decimal(value).map(Parsed::Decimal),
            Self::Url => base_url(&text(value)?).map(Parsed::Url),
            Self::List => list(value).map(Parsed::List),
            Self::CommaList => list(value).or_else(|| comma_list(value)).map(Parsed::List),
            Self::Accounts { .. } => accounts(value).map(|_| Parsed::List(Vec::new())),
            Self::Object => object(value).map(Parsed::Text),
            Self::Choice(choices) => {
                let written = text(value)?;
                let choice = choices
                    .iter()
                    .find(|choice| choice.eq_ignore_ascii_case(&written))?;
                Some(Parsed::Text((*choice).to_owned()))
            }
            Self::ExactChoice(choices) => text(value)
                .filter(|text| choices.contains(&text.as_str()))
                .map(Parsed::Text),
            Self::SyncInterval => sync_interval(value).map(Parsed::Whole),
        }
    }

    /// What would have been accepted, for a problem.
    pub(super) fn accepted(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Boolean => "true, false, 1, 0, yes, no, on or off".to_owned(),
            Self::Whole { min, max, unit } => {
                format!("a whole number{} from {min} to {max}", of_unit(unit))
            }
            Self::Decimal { unit } => format!("a number{}, 0 or more", of_unit(unit)),
            Self::Url => "an http or https URL with a host and without user name, password, query \
                          and fragment"
                .to_owned(),
            Self::List => "a JSON array of texts".to_owned(),
            Self::CommaList => "texts with commas between, or a JSON array of texts".to_owned(),
            Self::Accounts { example } => format!("a JSON array of accounts: {example}"),
            Self::Object => "a JSON object".to_owned(),
            Self::Choice(choices) | Self::ExactChoice(choices) => one_of(choices),
            Self::SyncInterval => "15, 30 or 60 minutes, written 15, 15m, 1h …".to_owned(),
        }
    }

    /// How this value would have to be written, where that can be told from it.
    pub(super) fn hint(self, variable: &str, value: &str) -> Option<String> {
        match self {
            Self::List if !value.contains('{') => {
                Some(format!("write it as {variable}='{}'", as_json_array(value)))
            }
            Self::Object => serde_json::from_str::<Value>(value)
                .err()
                .map(|error| format!("it is not JSON: {error}")),
            Self::Choice(choices) | Self::ExactChoice(choices) => {
                super::nearest(value, choices.iter().copied()).map(|near| format!("write {near}"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_unit = |formatter: &mut fmt::Formatter<'_>, name: &str, unit: &str| match unit {
            "" => formatter.write_str(name),
            _ => write!(formatter, "{name} ({unit})"),
        };
        match self {
            Self::Text => formatter.write_str("text"),
            Self::Path => formatter.write_str("path"),
            Self::Boolean => formatter.write_str("boolean"),
            Self::Whole { unit, .. } => with_unit(formatter, "integer", unit),
            Self::Decimal { unit } => with_unit(formatter, "number", unit),
            Self::Url => formatter.write_str("URL"),
            Self::List => formatter.write_str("JSON array"),
            Self::CommaList => formatter.write_str("comma list or JSON array"),
            Self::Accounts { .. } => formatter.write_str("JSON array of objects"),
            Self::Object => formatter.write_str("JSON object"),
            Self::Choice(choices) | Self::ExactChoice(choices) => {
                formatter.write_str(&one_of(choices))
            }
            Self::SyncInterval => formatter.write_str("15, 30, 60, `15m`, `1h` (minutes)"),
        }
    }
}

fn of_unit(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!(" of {unit}")
    }
}

fn one_of(choices: &[&str]) -> String {
    match choices {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A scalar as text, without surrounding white space: YAML and JSON turn an
/// identifier such as `123` into a number that was meant as a text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<u64> {
    let written = text(value)?;
    // `60.0` is a whole number where JSON or YAML gave it as a number.
    let digits = if value.is_number() {
        written.trim_end_matches(".0")
    } else {
        &written
    };
    digits.parse().ok()
}

/// The longest time that is accepted: a century. `Duration` cannot overflow
/// within it, nor can a deadline computed from it.
const CENTURY_IN_SECONDS: f64 = 3_155_760_000.0;

fn decimal(value: &Value) -> Option<f64> {
    let number: f64 = text(value)?.parse().ok()?;
    (number.is_finite() && (0.0..=CENTURY_IN_SECONDS).contains(&number)).then_some(number)
}

/// A URL that paths are appended to, without trailing slashes. (A URL without
/// a path keeps the one slash that belongs to it.)
fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !fits {
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(list_item).collect(),
        Value::String(written) => match serde_json::from_str(written).ok()? {
            Value::Array(items) => items.iter().map(list_item).collect(),
            _ => None,
        },
        _ => None,
    }
}

fn list_item(item: &Value) -> Option<String> {
    text(item).filter(|text| !text.is_empty())
}

fn comma_list(value: &Value) -> Option<Vec<String>> {
    let written = text(value)?;
    if written.starts_with(['[', '{']) {
        return None;
    }
    Some(comma_separated(&written))
}

fn comma_separated(written: &str) -> Vec<String> {
    written
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The accounts as JSON values; their fields are looked at where they are used.
pub(super) fn accounts(value: &Value) -> Option<Vec<Map<String, Value>>> {
    let parsed;
    let items = match value {
        Value::Array(items) => items,
        Value::String(written) => {
            parsed = serde_json::from_str::<Vec<Value>>(written).ok()?;
            &parsed
        }
        _ => return None,
    };
    items.iter().map(|item| item.as_object().cloned()).collect()
}

/// The object as it was written, where it was written as JSON.
fn object(value: &Value) -> Option<String> {
    match value {
        Value::Object(_) => Some(value.to_string()),
        Value::String(written) => serde_json::from_str::<Map<String, Value>>(written)
            .is_ok()
            .then(|| written.clone()),
        _ => None,
    }
}

fn sync_interval(value: &Value) -> Option<u64> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "15" | "15m" => Some(15),
        "30" | "30m" => Some(30),
        "60" | "60m" | "1h" => Some(60),
        _ => None,
    }
}

/// What was probably meant by a list that is not JSON: commas or spaces between
/// items, with or without brackets and single quotes. (A Helm template that
/// prints a list without saying how gives `[a b]`.)
fn as_json_array(written: &str) -> String {
    let inner = written.trim().trim_start_matches('[').trim_end_matches(']');
    let items: Vec<String> = inner
        .split([',', ' '])
        .map(|item| item.trim_matches(['\'', '"']).to_owned())
        .filter(|item| !item.is_empty())
        .collect();
    Value::from(items).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_are_accepted_in_every_spelling_of_the_contract() {
        for written in ["true", "TRUE", "1", "yes", "On"] {
            assert_eq!(boolean(&json!(written)), Some(true), "{written}");
        }
        for written in ["False", "0", "no", "OFF"] {
            assert_eq!(boolean(&json!(written)), Some(false), "{written}");
        }
        assert_eq!(boolean(&json!(true)), Some(true));
        assert_eq!(boolean(&json!("maybe")), None);
    }

    #[test]
    fn whole_numbers_are_decimal_and_within_range() {
        let port = ValueType::Whole {
            min: 1,
            max: 65_535,
            unit: "",
        };

        assert_eq!(port.parse(&json!("8000")), Some(Parsed::Whole(8000)));
        assert_eq!(port.parse(&json!(8000.0)), Some(Parsed::Whole(8000)));
        for refused in ["0", "65536", "-1", "0x10", "1.5", "8000.0", ""] {
            assert_eq!(port.parse(&json!(refused)), None, "{refused}");
        }
    }

    #[test]
    fn a_number_is_finite_and_not_negative() {
        assert_eq!(decimal(&json!("2.5")), Some(2.5));
        for refused in ["NaN", "inf", "-1", "1e300"] {
            assert_eq!(decimal(&json!(refused)), None, "{refused}");
        }
    }

    #[test]
    fn a_url_loses_its_trailing_slashes() {
        let strip = |text: &str| base_url(text).map(String::from);

        assert_eq!(
            strip("https://api.example.com//").as_deref(),
            Some("https://api.example.com/")
        );
        assert_eq!(
            strip("http://localhost:1/api/").as_deref(),
            Some("http://localhost:1/api")
        );
        for refused in [
            "api.example.com",
            "ftp://a",
            "https://",
            "https://a:b@c",
            "https://a?b",
            "https://a#b",
        ] {
            assert_eq!(strip(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_list_is_a_json_array_only() {
        assert_eq!(
            list(&json!(r#"["a", "b"]"#)),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(
            list(&json!(["a", 2])),
            Some(vec!["a".to_owned(), "2".to_owned()])
        );
        for refused in ["a,b", "['a','b']", r#"{"a":1}"#, r#"["a",[]]"#, r#"[""]"#] {
            assert_eq!(list(&json!(refused)), None, "{refused}");
        }
    }

    #[test]
    fn a_list_that_is_not_json_is_rewritten_in_the_hint() {
        for written in ["a, b", "['a','b']", "[a,b]", "[a b]"] {
            assert_eq!(as_json_array(written), r#"["a","b"]"#, "{written}");
        }
    }

    #[test]
    fn an_object_stays_as_it_was_written() {
        let written = " { \"b\": 1,\n  \"a\": 2 }";

        assert_eq!(object(&json!(written)).as_deref(), Some(written));
        assert_eq!(
            object(&json!({"b": 1, "a": 2})).as_deref(),
            Some(r#"{"b":1,"a":2}"#)
        );
        for refused in [json!("[]"), json!("a: 1"), json!([]), json!(1)] {
            assert_eq!(object(&refused), None, "{refused}");
        }
    }

    #[test]
    fn a_sync_interval_is_one_of_three() {
        for (written, minutes) in [("15", 15), ("30m", 30), ("1h", 60)] {
            assert_eq!(sync_interval(&json!(written)), Some(minutes), "{written}");
        }
        assert_eq!(sync_interval(&json!(60)), Some(60));
        assert_eq!(sync_interval(&json!("20")), None);
    }
}
