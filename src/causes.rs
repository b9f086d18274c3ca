//! An error and what caused it, on one line.
//!
//! An error's own text never repeats its cause (`source()` has it), so whoever
//! prints one has to walk the chain.

use std::error::Error;
use std::fmt::Write as _;

/// `could not list services: GET https://… answered 503 after 6 attempt(s): …`
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some libraries do repeat their cause; twice helps nobody.
        let text = error.to_string();
        if !line.ends_with(&text) {
            // Writing to a string cannot fail.
            let _infallible = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
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

    #[test]
    fn causes_follow_on_the_same_line() {
        assert_eq!(one_line(&Outer(Inner)), "outer: inner second line");
    }
}
