//! A plan as a comment under a pull request: a short table, and the details folded.
//!
//! Whatever comes from outside stands in a code block, where it can neither be taken
//! for Markdown nor mention anybody. The whole is bounded, since the sites that take
//! such comments bound them and would take none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::document::{CatalogPlan, Document};
use super::text;
use crate::catalog::{Action, EntityChange};
use crate::commands::output::printable;
use crate::commands::reconcile;

/// In characters; GitHub takes 65,536.
const LONGEST: usize = 60_000;

/// What one line may have, so that a single one does not use all of it up.
const LONGEST_LINE: usize = 1_000;

/// Rows of the table.
const MOST_ROWS: usize = 50;

pub(super) fn told(document: &Document) -> String {
    let mut comment = Comment::default();
    let summary = &document.summary;
    comment.line(&format!("### Portolan plan: {}", summary.told()));
    comment.line("");
    if !summary.pending {
        comment.line("Nothing would change.");
        comment.line("");
    }
    if let Some(plan) = &document.catalog {
        overview(&mut comment, plan);
        details(&mut comment, plan);
    }
    if let Some(report) = &document.incidents {
        let steps = reconcile::steps(report);
        let title = format!("Status pages: {} to do", summary.incidents);
        comment.block(&title, "text", steps.lines().map(str::to_owned));
    }
    comment.end()
}

fn overview(comment: &mut Comment, plan: &CatalogPlan) {
    let by_blueprint = plan.by_blueprint();
    let mut rows: BTreeMap<&str, [u64; 4]> = by_blueprint
        .iter()
        .map(|(blueprint, changes)| {
            let count = |action| {
                let those = changes.iter().filter(|change| change.action == action);
                those.count() as u64
            };
            let counts = [Action::Create, Action::Change, Action::Delete].map(count);
            (*blueprint, [counts[0], counts[1], counts[2], 0])
        })
        .collect();
    for withheld in &plan.withheld {
        rows.entry(&withheld.blueprint).or_default()[3] += withheld.entities;
    }
    if !rows.is_empty() {
        comment.line("| blueprint | create | change | delete | withheld |");
        comment.line("|---|--:|--:|--:|--:|");
        for (blueprint, [create, change, delete, withheld]) in rows.iter().take(MOST_ROWS) {
            comment.line(&format!(
                "| `{}` | {create} | {change} | {delete} | {withheld} |",
                plain(blueprint)
            ));
        }
        if rows.len() > MOST_ROWS {
            comment.line(&format!("| {} more | | | | |", rows.len() - MOST_ROWS));
        }
        comment.line("");
    }
    let integration = &plan.integration;
    let asked = if plan.validated {
        "; Port was asked what it would refuse"
    } else {
        ""
    };
    let about = format!(
        "Integration {} of type {}, planned with {}{asked}.",
        integration.identifier, integration.kind, plan.mapping
    );
    let notes = std::iter::once(about).chain(plan.notes());
    comment.block("About this plan", "text", notes);
    let problems = plan.problems();
    if !problems.is_empty() {
        let title = format!("<b>{} to look at</b>", problems.len());
        comment.block(&title, "text", problems.into_iter());
    }
}

fn details(comment: &mut Comment, plan: &CatalogPlan) {
    for (blueprint, changes) in plan.by_blueprint() {
        let entities = if changes.len() == 1 {
            "entity"
        } else {
            "entities"
        };
        let title = format!(
            "<code>{}</code>: {} {entities}",
            plain(blueprint),
            changes.len()
        );
        let lines = changes
            .iter()
            .flat_map(|change: &&EntityChange| text::entity(change));
        comment.block(&title, "diff", lines);
    }
}

/// Text that knows how much it may still hold.
#[derive(Default)]
struct Comment {
    text: String,
    length: usize,
    /// Blocks for which there was no room at all.
    left_out: usize,
}

impl Comment {
    fn line(&mut self, line: &str) {
        self.length += line.chars().count() + 1;
        // Writing into a string does not fail.
        writeln!(self.text, "{line}").unwrap_or_default();
    }

    /// The text, and what is missing of it.
    fn end(mut self) -> String {
        match self.left_out {
            0 => {}
            1 => self.line("1 more block is left out as well."),
            several => self.line(&format!("{several} more blocks are left out as well.")),
        }
        self.text.trim_end().to_owned()
    }

    /// Folded lines, as many as there is room for.
    fn block(&mut self, title: &str, language: &str, lines: impl Iterator<Item = String>) {
        /// What begins and ends a block, and says that something is missing.
        const AROUND: usize = 400;
        if self.length + 2 * AROUND > LONGEST {
            self.left_out += 1;
            return;
        }
        self.line(&format!("<details><summary>{title}</summary>"));
        self.line("");
        self.line(&format!("```{language}"));
        let mut left_out = 0_usize;
        for line in lines {
            let line = harmless(&line);
            let fits = self.length + line.chars().count() + AROUND <= LONGEST;
            if left_out == 0 && fits {
                self.line(&line);
            } else {
                left_out += 1;
            }
        }
        self.line("```");
        if left_out > 0 {
            self.line("");
            self.line(&format!(
                "{left_out} more lines are left out; `portolan plan --json` has everything."
            ));
        }
        self.line("");
        self.line("</details>");
        self.line("");
    }
}

/// A line that does not end the code block that it stands in.
fn harmless(line: &str) -> String {
    let line = line.replace(['\n', '\r'], " ").replace("```", "'''");
    let line = printable(&line);
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A name outside of a code block. Port has no names with any of these.
fn plain(name: &str) -> String {
    let keep = |one: &char| !matches!(one, '`' | '|' | '<' | '>' | '&' | '\n' | '\r');
    name.chars().filter(keep).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_bounded_and_says_what_is_missing() {
        let mut comment = Comment::default();
        for number in 0..5 {
            let lines = (0..10_000).map(|line| format!("+ create thing/{number}-{line}"));
            comment.block("<code>thing</code>", "diff", lines);
        }
        let text = comment.end();

        assert!(text.chars().count() <= LONGEST, "{}", text.chars().count());
        assert_eq!(text.matches("more lines are left out").count(), 1);
        assert_eq!(
            text.matches("<details>").count(),
            text.matches("</details>").count()
        );
        assert_eq!(text.matches("```").count() % 2, 0);
        assert!(text.ends_with("4 more blocks are left out as well."));
    }

    #[test]
    fn what_comes_from_outside_stays_in_its_block() {
        let mut comment = Comment::default();
        let hostile = "! x: \"```\n</details> @everybody\" \u{1b}[2J".to_owned();
        comment.block("t", "text", std::iter::once(hostile));

        assert_eq!(comment.text.matches("```").count(), 2);
        assert!(
            comment
                .text
                .contains("! x: \"''' </details> @everybody\" \\u{1b}[2J")
        );
        assert_eq!(plain("a|b`<c>"), "abc");
    }
}
