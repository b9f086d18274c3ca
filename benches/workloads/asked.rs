//! The command line.

use super::Outcome;

pub(super) const USAGE: &str = "Usage: scripts/bench [--runs N] [--json] [NAME]...

Measures what has one of the names in its name, or everything, which takes about ten minutes:
  program              the size of the binary, and how long it takes to start
  statuspage large     rows of the table: source, dataset, and first or unchanged
  curve pagerduty      how time and memory grow with what there is
  paced                how much of the vendors' rate limits is used; takes minutes

Options:
  --runs N   how often each is run; what is told is the median [default: 3]
  --json     print everything as JSON";

const RUNS: usize = 3;

pub(super) struct Asked {
    pub(super) runs: usize,
    pub(super) as_json: bool,
    pub(super) help: bool,
    /// Parts of names; all of them where there is none.
    names: Vec<String>,
}

impl Asked {
    /// `known` are the names of all that there is.
    pub(super) fn parse(arguments: Vec<String>, known: &[String]) -> Outcome<Self> {
        let mut asked = Self {
            runs: RUNS,
            as_json: false,
            help: false,
            names: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => asked.as_json = true,
                "--help" | "-h" => asked.help = true,
                "--runs" => {
                    let runs = arguments.next().and_then(|runs| runs.parse().ok());
                    let runs = runs.filter(|runs| *runs > 0);
                    asked.runs = runs.ok_or("--runs needs a number of 1 or more")?;
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("there is no {flag}\n\n{USAGE}").into());
                }
                _ => asked.names.push(argument.to_lowercase()),
            }
        }
        for part in &asked.names {
            if !known.iter().any(|name| name.contains(part.as_str())) {
                let known = known.join("\n  ");
                return Err(
                    format!("nothing has \"{part}\" in its name; there are\n  {known}").into(),
                );
            }
        }
        Ok(asked)
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        self.names.is_empty() || names.any(|part| name.contains(part.as_str()))
    }
}
