//! What a check found, and how it is told.

use std::error::Error;

use serde::Serialize;

use crate::causes::one_line;
use crate::document::{DocumentProblem, InvalidDocument};
use crate::settings::Problems;
use crate::telemetry;

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// Worth knowing: a run would begin.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    verdict: Verdict,
    /// What it is about.
    about: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    /// The expression, with what is to blame underlined.
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<String>,
}

/// Where in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Place {
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    path: String,
}

impl Finding {
    fn new(verdict: Verdict, about: &str, text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self {
            verdict,
            about: about.to_owned(),
            text: masked(&text),
            remedy: None,
            place: None,
            excerpt: None,
        }
    }

    pub(super) fn good(about: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::Good, about, text)
    }

    pub(super) fn note(about: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::Note, about, text)
    }

    pub(super) fn bad(about: &str, text: impl Into<String>) -> Self {
        Self::new(Verdict::Bad, about, text)
    }

    /// Something that went wrong, with its causes.
    pub(super) fn error(about: &str, error: &dyn Error, hint: Option<&str>) -> Self {
        let remedy = hint.map(str::to_owned);
        Self {
            remedy,
            ..Self::bad(about, one_line(error))
        }
    }

    /// To be shown as it is, on purpose: an address with its token.
    pub(super) fn unmasked(about: &str, text: String) -> Self {
        Self {
            text,
            ..Self::note(about, "")
        }
    }

    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn is_bad(&self) -> bool {
        self.verdict == Verdict::Bad
    }
}

/// What comes from outside may repeat a secret.
fn masked(text: &str) -> String {
    telemetry::masker().mask(text).into_owned()
}

/// One for each problem of the settings.
pub(super) fn of_settings(problems: &Problems) -> Vec<Finding> {
    let found = problems.iter().map(|problem| {
        let found = problem.found.as_deref().unwrap_or("nothing");
        let text = format!(
            "{}: expected {}, found {found}",
            problem.variable, problem.accepted
        );
        Finding {
            remedy: problem.hint.clone(),
            ..Finding::bad("settings", text)
        }
    });
    let related = problems.related.iter();
    found
        .chain(related.map(|line| Finding::note("settings", line)))
        .collect()
}

/// One for each problem of a document.
pub(super) fn of_document(about: &str, invalid: &InvalidDocument) -> Vec<Finding> {
    let found = invalid.problems.iter().map(|problem| {
        let DocumentProblem {
            path,
            position,
            message,
            hint,
            ..
        } = problem;
        let excerpt = problem.expression.as_ref();
        let excerpt = excerpt.map(|text| masked(text.to_string().trim_matches('\n')));
        let hint = hint.as_deref().map(masked);
        let correct = || "correct the expression where it is underlined".to_owned();
        Finding {
            remedy: hint.or_else(|| excerpt.is_some().then(correct)),
            place: Some(Place {
                origin: invalid.origin.clone(),
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                path: masked(path),
            }),
            excerpt,
            ..Finding::bad(about, message)
        }
    });
    found.collect()
}

/// A line each; an expression is shown below it.
pub(super) fn for_people(findings: &[Finding]) -> String {
    let told: Vec<String> = findings.iter().map(told).collect();
    told.join("\n")
}

fn told(finding: &Finding) -> String {
    let sign = match finding.verdict {
        Verdict::Good => '✓',
        Verdict::Note => '!',
        Verdict::Bad => '✗',
    };
    let place = finding.place.as_ref().map(|place| match place {
        Place {
            origin,
            line: Some(line),
            column: Some(column),
            path,
        } if path.is_empty() => format!("{origin}:{line}:{column}: "),
        Place {
            origin,
            line: Some(line),
            column: Some(column),
            path,
        } => format!("{origin}:{line}:{column} {path}: "),
        Place { origin, path, .. } if path.is_empty() => format!("{origin}: "),
        Place { origin, path, .. } => format!("{origin}, {path}: "),
    });
    let mut line = format!(
        "{sign} {}: {}{}",
        finding.about,
        place.unwrap_or_default(),
        finding.text
    );
    if let Some(remedy) = &finding.remedy {
        line.push_str(". Hint: ");
        line.push_str(remedy);
    }
    if let Some(excerpt) = &finding.excerpt {
        line.push('\n');
        line.push_str(excerpt);
    }
    line
}

pub(super) fn json(findings: &[Finding]) -> String {
    let document = serde_json::json!({
        "ready": !findings.iter().any(Finding::is_bad),
        "findings": findings,
    });
    // Plain data, which JSON can hold.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Position, Snippet};

    #[test]
    fn a_problem_of_a_document_has_its_place_its_remedy_and_what_is_to_blame() {
        let invalid = InvalidDocument {
            origin: "m.yaml".to_owned(),
            problems: vec![DocumentProblem {
                path: "resources[0].selector.query".to_owned(),
                position: Some(Position {
                    line: 4,
                    column: 14,
                }),
                expression: Some(Snippet {
                    text: ".a | nope".to_owned(),
                    span: Some(5..9),
                }),
                message: "there is no function `nope`".to_owned(),
                hint: Some("did you mean `not`?".to_owned()),
            }],
        };
        let mut findings = of_document("mapping", &invalid);
        findings.insert(0, Finding::good("Port", "the credentials are accepted"));
        findings.push(Finding::note("clocks", "nobody tells the time"));
        insta::assert_snapshot!(for_people(&findings), @"
        ✓ Port: the credentials are accepted
        ✗ mapping: m.yaml:4:14 resources[0].selector.query: there is no function `nope`. Hint: did you mean `not`?
              .a | nope
                   ^^^^
        ! clocks: nobody tells the time
        ");
    }
    #[test]
    fn a_document_as_a_whole_has_no_path() {
        let place = |line, column| Place {
            origin: "m.yaml".to_owned(),
            line,
            column,
            path: String::new(),
        };
        let finding = |place| Finding {
            place: Some(place),
            ..Finding::bad("mapping", "this is not valid YAML")
        };
        let findings = [finding(place(Some(1), Some(9))), finding(place(None, None))];
        insta::assert_snapshot!(for_people(&findings), @"
        ✗ mapping: m.yaml:1:9: this is not valid YAML
        ✗ mapping: m.yaml: this is not valid YAML
        ");
    }
}
