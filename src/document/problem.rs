//! What is wrong with a document, told so that it can be put right at
//! once: where, which expression, what about it, and the remedy.
//!
//! Drawn by hand rather than as a compiler would: an expression is one value
//! inside a YAML document, with escapes and indentation of its own, so a line
//! number of the expression beside the line number of the document would only
//! confuse. The document's position goes in the heading, the expression below.

use std::{fmt, ops::Range};

use super::position::Position;

/// A document that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocument {
    /// The file, or where else the document came from.
    pub origin: String,
    /// In the order of the document.
    pub problems: Vec<DocumentProblem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// Empty for the document as a whole.
    pub path: String,
    /// None when the document has no text (Port stores values, not text).
    pub position: Option<Position>,
    pub expression: Option<Snippet>,
    pub message: String,
    pub hint: Option<String>,
}

/// A text, an expression as a rule, and the bytes of it that are to blame.
/// Displays as lines below the one that says where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    pub text: String,
    pub span: Option<Range<usize>>,
}

impl std::error::Error for InvalidDocument {}

impl fmt::Display for InvalidDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.problems.len() {
            1 => "1 problem".to_owned(),
            several => format!("{several} problems"),
        };
        write!(formatter, "{} has {count}", self.origin)?;
        for problem in &self.problems {
            formatter.write_str("\n\n")?;
            write!(formatter, "{}", problem.in_document(&self.origin))?;
        }
        Ok(())
    }
}

impl DocumentProblem {
    /// Displays as several lines, with the place in the document of this name.
    pub fn in_document<'a>(&'a self, origin: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |formatter| self.write(formatter, origin))
    }

    fn write(&self, formatter: &mut fmt::Formatter<'_>, origin: &str) -> fmt::Result {
        formatter.write_str("  ")?;
        if let Some(position) = self.position {
            write!(formatter, "{origin}:{position}")?;
        }
        match (self.position.is_some(), self.path.is_empty()) {
            (true, false) => write!(formatter, "  {}", self.path)?,
            (false, false) => formatter.write_str(&self.path)?,
            (true, true) => {}
            (false, true) => formatter.write_str("the document")?,
        }
        if let Some(snippet) = &self.expression {
            write!(formatter, "{snippet}")?;
        }
        write!(formatter, "\n    {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

impl Snippet {
    /// Widest part of an expression that is shown.
    const WIDTH: usize = 100;
}

impl fmt::Display for Snippet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(span) = &self.span else {
            for line in self.text.lines() {
                write!(formatter, "\n      {}", shown(line, 0))?;
            }
            return Ok(());
        };
        // What is missing at the end is missing after the last word, not in the
        // empty line that a block of YAML ends in.
        let last = self.text.trim_end().len();
        let start = boundary(&self.text, span.start).min(last);
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |length| start + length);
        let end = boundary(&self.text, span.end).clamp(start, line_end);

        let before = self.text[line_start..start].chars().count();
        let carets = self.text[start..end].chars().count().max(1);
        let skipped = if before + carets > Snippet::WIDTH {
            before.saturating_sub(Snippet::WIDTH / 2)
        } else {
            0
        };
        let lead = if skipped > 0 {
            before - skipped + 1
        } else {
            before
        };
        let carets = carets.min(Snippet::WIDTH.saturating_sub(lead).max(1));

        write!(
            formatter,
            "\n      {}",
            shown(&self.text[line_start..line_end], skipped)
        )?;
        write!(
            formatter,
            "\n      {}{}",
            " ".repeat(lead),
            "^".repeat(carets)
        )
    }
}

/// The nearest place at or before `index` that is between two characters.
fn boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|&index| text.is_char_boundary(index))
        .unwrap_or(0)
}

/// One line, cut to what fits, with every character one column wide.
fn shown(line: &str, skipped: usize) -> String {
    let mut characters = line.chars().map(|character| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    });
    let mut text: String = if skipped > 0 {
        "…".to_owned()
    } else {
        String::new()
    };
    text.extend(characters.by_ref().skip(skipped).take(Snippet::WIDTH));
    if characters.next().is_some() {
        text.push('…');
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_as(text: &str, span: Option<Range<usize>>) -> String {
        Snippet {
            text: text.to_owned(),
            span,
        }
        .to_string()
    }

    #[test]
    fn of_several_lines_the_one_to_blame_is_shown() {
        insta::assert_snapshot!(shown_as(".a\n| \tßß | nope\n| .b", Some(13..17)), @"
        |  ßß | nope
                ^^^^
        ");
    }

    #[test]
    fn a_long_expression_is_cut_around_the_place() {
        let text = format!(
            "{} | nope | {}",
            ".abcdefgh".repeat(20),
            ".ijklmnop".repeat(20)
        );
        insta::assert_snapshot!(shown_as(&text, Some(183..187)), @"
        …gh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh | nope | .ijklmnop.ijklmnop.ijklmnop.ijklmnop.ijklmn…
                                                           ^^^^
        ");
    }

    #[test]
    fn a_place_outside_the_expression_cannot_hurt() {
        insta::assert_snapshot!(shown_as(".a", Some(7..9)), @"
        .a
          ^
        ");
        insta::assert_snapshot!(shown_as("", None), @"");
    }
}
