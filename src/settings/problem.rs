//! What is wrong with the settings, told so that one reading is enough to put
//! it right.
//!
//! A problem names the variable the way its author wrote it, what would have
//! been accepted, what was found instead, and a remedy where there is one.
//! It never carries the value of a sensitive setting: problems are printed
//! before anything is known that could mask them.

use std::fmt;

/// One setting that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable (or flag, or key of `config.yaml`) as it was written, or
    /// as it would have to be written where it is missing.
    pub variable: String,
    /// What would have been accepted.
    pub accepted: String,
    /// What was found; `None` when there was nothing.
    pub found: Option<String>,
    /// How to put it right, where that is not plain from `accepted`.
    pub hint: Option<String>,
}

/// Everything there is to say of settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// In the order in which they were met.
    pub problems: Vec<Problem>,
    /// What would only have been warned of. It is said all the same: a setting
    /// that is missing may be there under a misspelt name.
    pub warnings: Vec<String>,
}

impl Problems {
    /// The single problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.as_deref().unwrap_or("nothing");
        write!(formatter, "{}", self.variable)?;
        write!(formatter, "\n  expected  {}", self.accepted)?;
        write!(formatter, "\n  found     {found}")?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint      {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => formatter.write_str("The settings have a problem:")?,
            count => write!(formatter, "The settings have {count} problems:")?,
        }
        for problem in &self.problems {
            write!(formatter, "\n\n{problem}")?;
        }
        if !self.warnings.is_empty() {
            formatter.write_str("\n\nBesides:")?;
        }
        for warning in &self.warnings {
            write!(formatter, "\n  {warning}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The longest value that is repeated in a problem.
const SHOWN_CHARACTERS: usize = 80;

/// A value as it may be shown: short, on one line, without the user name and
/// password that a URL can carry.
pub(super) fn shown(value: &str) -> String {
    let mut text = without_credentials(value);
    if text.chars().count() > SHOWN_CHARACTERS {
        text = text.chars().take(SHOWN_CHARACTERS).collect();
        text.push('…');
    }
    format!(
        "`{}`",
        text.escape_debug()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'")
    )
}

/// What is said of a sensitive value instead of the value.
pub(super) fn shown_secret(value: &str) -> String {
    match value.chars().count() {
        0 => "an empty value".to_owned(),
        1 => "(a value of 1 character)".to_owned(),
        count => format!("(a value of {count} characters)"),
    }
}

/// A value that should have been a URL. Where nothing of one is in it, it may
/// be a token that was put into the wrong variable, and is not shown.
pub(super) fn shown_url(value: &str) -> String {
    if value.contains(['.', ':', '/']) {
        shown(value)
    } else {
        shown_secret(value)
    }
}

/// Replaces what stands between `//` and the last `@` before the next slash.
///
/// Works on text because values that are no URL at all are shown too, and the
/// password in a mistyped URL is as secret as in a right one.
pub(super) fn without_credentials(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("//") else {
        return match value.rsplit_once('@') {
            Some((before, host)) if before.contains(':') => format!("…@{host}"),
            _ => value.to_owned(),
        };
    };
    // The last `@` of the whole value: an unescaped slash in a password would
    // otherwise end the search too early and show the rest of it.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}//…@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_problems_are_one_block_each() {
        let problems = vec![
            Problem {
                variable: "OCEAN__PORT__CLIENT_ID".to_owned(),
                accepted: "a text".to_owned(),
                found: None,
                hint: Some("create credentials in Port".to_owned()),
            },
            Problem {
                variable: "OCEAN__CLIENT_TIMEOUT".to_owned(),
                accepted: "a whole number".to_owned(),
                found: Some(shown("soon")),
                hint: None,
            },
        ];
        let problems = Problems {
            problems,
            warnings: vec!["`OCEAN__TIMEOUT` is not a setting and has no effect".to_owned()],
        };

        insta::assert_snapshot!(problems, @r"
        The settings have 2 problems:

        OCEAN__PORT__CLIENT_ID
          expected  a text
          found     nothing
          hint      create credentials in Port

        OCEAN__CLIENT_TIMEOUT
          expected  a whole number
          found     `soon`

        Besides:
          `OCEAN__TIMEOUT` is not a setting and has no effect
        ");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(shown("http://me:pa/ss@proxy:3128"), "`http://…@proxy:3128`");
        assert_eq!(shown("me:pass@proxy:3128"), "`…@proxy:3128`");
    }

    #[test]
    fn a_token_in_place_of_a_url_is_not_shown() {
        assert_eq!(shown_url("u+hunter22"), "(a value of 10 characters)");
        assert_eq!(shown_url("api.example.com"), "`api.example.com`");
    }

    #[test]
    fn a_long_value_is_cut_and_kept_on_one_line() {
        assert_eq!(shown("a\nb"), r"`a\nb`");
        assert_eq!(
            shown(&"x".repeat(200)).chars().count(),
            SHOWN_CHARACTERS + 3
        );
    }
}
