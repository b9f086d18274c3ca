//! An error, what caused it and what can be done about it, on one line.
//!
//! An error's own text never repeats its cause (`source()` has it) and never
//! its remedy (`hint()` has it), so whoever prints one puts the three together
//! here, and all messages come to look alike.

use std::error::Error;
use std::fmt::Write as _;

/// `could not list services: GET https://… answered 503 (6 attempts): …`
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let says_nothing = error.source().is_some() && is_transport_layer(&text);
        // Some libraries do repeat their cause; twice helps nobody.
        if !says_nothing && !line.ends_with(&text) {
            // Writing to a string cannot fail.
            let _infallible = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}

/// The same with the remedy after it, where one is known.
pub fn with_hint(error: &dyn Error, hint: Option<&str>) -> String {
    let line = one_line(error);
    match hint {
        Some(hint) => format!("{line}. Hint: {hint}"),
        None => line,
    }
}

/// Whether a cause only names the layer of the HTTP library that it passed
/// through: our own text says already that it was a request, and the next cause
/// says what happened to it.
fn is_transport_layer(text: &str) -> bool {
    text.starts_with("error sending request")
        || text.starts_with("client error (")
        || matches!(
            text,
            "tcp connect error"
                | "dns error"
                | "error resolving DNS"
                | "request or response body error"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner\nsecond line")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Inner);

    #[test]
    fn causes_follow_on_the_same_line() {
        assert_eq!(one_line(&Outer(Inner)), "outer: inner second line");
    }

    #[test]
    fn layers_of_the_http_library_are_left_out_unless_they_are_all_there_is() {
        let error = Layer("tcp connect error", Inner);

        assert_eq!(one_line(&error), "tcp connect error: inner second line");
        assert_eq!(
            one_line(&Wrapped(Layer("client error (Connect)", Inner))),
            "could not connect: inner second line"
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("could not connect")]
    struct Wrapped(#[source] Layer);

    #[test]
    fn a_remedy_is_a_sentence_of_its_own() {
        assert_eq!(
            with_hint(&Inner, Some("look at it")),
            "inner second line. Hint: look at it"
        );
        assert_eq!(with_hint(&Inner, None), "inner second line");
    }
}
