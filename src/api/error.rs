//! Why an API did not give what it was asked for.

use std::io;
use std::path::PathBuf;

use serde_json::Value;
use thiserror::Error;

use crate::http::{Call, HttpError, Reply, SafeUrl};

/// A vendor's explanation is cut to this many characters.
const LONGEST_SUMMARY: usize = 200;

/// A request to an API that did not bring what it should have.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The API answered, and the answer was no.
    #[error("{call} answered {status}{}: {summary}", call.times())]
    Refused {
        call: Call,
        status: u16,
        /// The API's own explanation on one line, shortened.
        summary: String,
        /// The API's name for what is wrong, where it sent one.
        code: Option<String>,
        quota_spent: bool,
        hint: Option<&'static str>,
    },

    /// No usable answer came.
    #[error(transparent)]
    Http(#[from] HttpError),

    /// The API answered with JSON that is not what it documents.
    #[error("{call} answered {status}, but {problem}")]
    Malformed {
        call: Call,
        status: u16,
        problem: String,
    },

    /// The credentials would cross the network for everyone to read.
    #[error("nothing was sent to {url}, which is neither https nor Port's own address")]
    InClear { url: SafeUrl },

    #[error("cannot read the access token in {}", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("the access token in {} is {problem}", path.display())]
    UnusableToken {
        path: PathBuf,
        problem: &'static str,
    },

    /// Nothing was sent: this is what Port would answer, as far as is known here.
    #[error("Port would answer {status}: {problem}")]
    Foreseen { status: u16, problem: String },

    /// What was to be sent cannot be written as JSON.
    #[error("the body of a request to {what} cannot be written as JSON")]
    Body {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl ApiError {
    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. }
            | Self::Malformed { status, .. }
            | Self::Foreseen { status, .. }
            | Self::Http(HttpError::Body { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// The API's name for what is wrong (`not_found`, `2001`), where it sent one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether there is no token to ask with, because its file gives none.
    pub fn is_token_file(&self) -> bool {
        matches!(self, Self::TokenFile { .. } | Self::UnusableToken { .. })
    }

    /// Whether a quota counted by the day is used up, so that asking again
    /// today is no use.
    pub fn is_quota_spent(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                quota_spent: true,
                ..
            }
        )
    }

    /// Whether the request may have been carried out although no usable answer
    /// came. Who wrote something has to look before writing it again.
    ///
    /// False only where that is certain. It is said of what was sent last; a
    /// request that is safe to repeat may have had an effect before.
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            Self::Refused { status, .. } => !is_certainly_refused(*status),
            Self::Malformed { .. } => true,
            Self::Http(error) => error.may_have_had_effect(),
            Self::InClear { .. }
            | Self::TokenFile { .. }
            | Self::UnusableToken { .. }
            | Self::Foreseen { .. }
            | Self::Body { .. } => false,
        }
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { hint, .. } => *hint,
            Self::Http(error) => error.hint(),
            Self::Malformed { .. } => Some(
                "check the base URL's setting; if it is right, the API has changed and this is worth reporting",
            ),
            Self::TokenFile { .. } | Self::UnusableToken { .. } => {
                Some("check OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH and what writes that file")
            }
            Self::Body { .. } | Self::InClear { .. } | Self::Foreseen { .. } => None,
        }
    }

    /// A reply that is not a success, told without any of `secrets`.
    pub(super) fn refused(
        reply: Reply,
        hints: fn(u16) -> Option<&'static str>,
        secrets: &[&str],
    ) -> Self {
        let explanation = Explanation::read(reply.body.as_ref());
        let message = explanation
            .message
            .as_deref()
            .map(|message| one_line(&redact(message, secrets)))
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| reason(reply.status).to_owned());
        let trace = reply
            .headers
            .get("x-trace-id")
            .and_then(|id| id.to_str().ok())
            .map(|id| format!(" (trace {})", one_line(&redact(id, secrets))));
        let again = reply
            .ask_again
            .map(|time| format!("; not before {time:.0}"));
        let summary = [Some(message), trace, again]
            .into_iter()
            .flatten()
            .collect();
        Self::Refused {
            call: reply.call,
            status: reply.status,
            summary,
            code: explanation
                .code
                .map(|code| one_line(&redact(&code, secrets))),
            quota_spent: reply.quota_spent,
            hint: hints(reply.status).or_else(|| common_hint(reply.status)),
        }
    }

    pub(super) fn malformed(reply: &Reply, problem: impl Into<String>) -> Self {
        Self::Malformed {
            call: reply.call.clone(),
            status: reply.status,
            problem: problem.into(),
        }
    }
}

/// Whether an answer with this status says that nothing was done. Of 5xx, only
/// "not implemented" does: the others may come from something on the way that
/// does not know what became of the request. Nor does a redirect, which may
/// lead to what was made.
const fn is_certainly_refused(status: u16) -> bool {
    matches!(status, 400..=407 | 409..=499 | 501)
}

/// Remedies that do not depend on the vendor.
fn common_hint(status: u16) -> Option<&'static str> {
    match status {
        300..400 => Some("the address redirects: give the final one in the base URL's setting"),
        407 => Some(
            "the proxy wants credentials: write HTTPS_PROXY like http://user:password@proxy.example.com:3128",
        ),
        404 => Some("check the base URL's setting"),
        500.. => Some("the API has a problem of its own: see its status page, and try again later"),
        _ => None,
    }
}

fn reason(status: u16) -> &'static str {
    reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no explanation")
}

/// What an error body says, in any of the forms in which vendors say it:
/// `{"message"}`, `{"error": text}`, `{"error": [texts]}`,
/// `{"error": code, "message"}`, `{"error": {"message", "code", "errors"}}`,
/// `{"message", "errors": {field: text}}`.
#[derive(Default)]
struct Explanation {
    message: Option<String>,
    code: Option<String>,
}

impl Explanation {
    fn read(body: Option<&Value>) -> Self {
        let Some(body) = body else {
            return Self::default();
        };
        let message = body.get("message").and_then(Value::as_str);
        match body.get("error") {
            Some(Value::Object(error)) => {
                let details = error.get("errors").and_then(joined);
                let message = error.get("message").and_then(Value::as_str).or(message);
                Self {
                    message: match (message, details) {
                        (Some(message), Some(details)) => Some(format!("{message}: {details}")),
                        (message, details) => message.map(str::to_owned).or(details),
                    },
                    code: error.get("code").and_then(code),
                }
            }
            Some(error) => Self {
                message: message.map(str::to_owned).or_else(|| joined(error)),
                code: code(error),
            },
            None => Self {
                message: match (message, body.get("errors").and_then(by_field)) {
                    (Some(message), Some(details)) => Some(format!("{message}: {details}")),
                    (message, details) => message.map(str::to_owned).or(details),
                },
                code: None,
            },
        }
    }
}

/// A text, or a list of texts as one.
fn joined(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(texts) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        _ => None,
    }
}

/// `{"field": "what is wrong with it"}` as one text.
fn by_field(errors: &Value) -> Option<String> {
    let errors = errors.as_object()?.iter();
    let errors: Vec<String> = errors
        .filter_map(|(field, problem)| Some(format!("{field} {}", joined(problem)?)))
        .collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// A number, or a word that is a name rather than a sentence.
fn code(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(word)
            if !word.is_empty()
                && word.len() <= 100
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Some(word.clone())
        }
        _ => None,
    }
}

/// A vendor may repeat a credential in its refusal.
fn redact(text: &str, secrets: &[&str]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| {
            text.replace(secret, "[REDACTED]")
        })
}

/// A text on one line, no longer than fits a log line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_SUMMARY) {
        let kept = line
            .char_indices()
            .nth(LONGEST_SUMMARY - 1)
            .map_or(cut, |(at, _)| at);
        line.truncate(kept);
        line.push('…');
    }
    line
}

/// What a value is, without what it says.
pub(super) fn shape(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(_)) => "a boolean".to_owned(),
        Some(Value::Number(_)) => "a number".to_owned(),
        Some(Value::String(_)) => "a text".to_owned(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(Value::Object(object)) if object.is_empty() => "an empty object".to_owned(),
        Some(Value::Object(object)) => {
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            one_line(&format!("an object with {}", keys.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Response;
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::http::BodyProblem;

    fn call() -> Call {
        Call {
            method: "POST",
            url: SafeUrl::from(&Url::parse("https://api.example.com/things").unwrap()),
            attempts: 1,
        }
    }

    fn refused(status: u16) -> ApiError {
        ApiError::Refused {
            call: call(),
            status,
            summary: String::new(),
            code: None,
            quota_spent: false,
            hint: None,
        }
    }

    fn source() -> reqwest::Error {
        let failed = axum::http::Response::builder().status(500).body("");
        let failed = Response::from(failed.unwrap());
        failed.error_for_status().unwrap_err()
    }

    #[test]
    fn only_what_certainly_was_not_carried_out_had_no_effect() {
        let call = call();
        let table = [
            (true, vec![303, 408, 500, 502, 503, 504, 520]),
            (
                false,
                vec![400, 401, 403, 404, 409, 413, 420, 422, 429, 501],
            ),
        ];
        for (expected, statuses) in table {
            for status in statuses {
                let may_have_had = refused(status).may_have_had_effect();
                assert_eq!(may_have_had, expected, "{status}");
            }
        }
        let body = |problem| HttpError::Body {
            call: call.clone(),
            status: 201,
            problem,
        };
        let table = [
            (true, body(BodyProblem::CutShort)),
            (true, body(BodyProblem::NotJson)),
            (true, body(BodyProblem::TooLarge(1))),
            (
                true,
                HttpError::TimedOut {
                    call: call.clone(),
                    within: Duration::from_secs(1),
                },
            ),
            (
                true,
                HttpError::Interrupted {
                    call: call.clone(),
                    source: source(),
                },
            ),
            (
                false,
                HttpError::NotConnected {
                    call: call.clone(),
                    source: source(),
                },
            ),
            (
                false,
                HttpError::NotTrusted {
                    call: call.clone(),
                    source: source(),
                },
            ),
            (
                false,
                HttpError::NoSuchHost {
                    call: call.clone(),
                    source: source(),
                },
            ),
        ];
        for (expected, error) in table {
            let error = ApiError::from(error);
            assert_eq!(error.may_have_had_effect(), expected, "{error}");
        }
        let malformed = ApiError::Malformed {
            call,
            status: 201,
            problem: "an incident should be an object with `id`, not null".to_owned(),
        };
        assert!(malformed.may_have_had_effect());
        let unusable = ApiError::UnusableToken {
            path: PathBuf::new(),
            problem: "empty",
        };
        assert!(!unusable.may_have_had_effect());
    }

    #[test]
    fn an_explanation_is_found_in_every_form_in_which_vendors_send_it() {
        let table = [
            (json!({"message": "Blank name"}), Some("Blank name"), None),
            (
                json!({"error": "Not allowed here"}),
                Some("Not allowed here"),
                None,
            ),
            (json!({"error": ["One", "Two"]}), Some("One; Two"), None),
            (
                json!({"ok": false, "error": "not_found", "message": "No such blueprint"}),
                Some("No such blueprint"),
                Some("not_found"),
            ),
            (
                json!({"ok": false, "error": "invalid_credentials"}),
                Some("invalid_credentials"),
                Some("invalid_credentials"),
            ),
            (
                json!({"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["Title cannot be empty"]}}),
                Some("Invalid Input Provided: Title cannot be empty"),
                Some("2001"),
            ),
            (
                json!({"error": {"message": "Invalid Input Provided", "code": 2001, "errors": "Offset too large"}}),
                Some("Invalid Input Provided: Offset too large"),
                Some("2001"),
            ),
            (
                json!({"error": {"message": "Not Found", "code": 2100}}),
                Some("Not Found"),
                Some("2100"),
            ),
            (
                json!({"message": "Not processable", "errors": {"query": "is not valid"}}),
                Some("Not processable: query is not valid"),
                None,
            ),
            (json!([1, 2]), None, None),
            (json!({"error": null}), None, None),
        ];
        for (body, message, code) in table {
            let explanation = Explanation::read(Some(&body));
            assert_eq!(explanation.message.as_deref(), message, "{body}");
            assert_eq!(explanation.code.as_deref(), code, "{body}");
        }
    }

    #[test]
    fn a_text_is_put_on_one_line_and_shortened_to_whole_characters() {
        assert_eq!(one_line(" a\n\tb \u{7} c "), "a b c");
        let long = one_line(&"ä".repeat(500));
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_secret_that_the_vendor_repeats_is_not_passed_on() {
        assert_eq!(
            redact("key s3cret is unknown", &["", "s3cret"]),
            "key [REDACTED] is unknown"
        );
    }
}
