//! Names and texts, from `resources/sandbox/company.json`.

use serde::Deserialize;

const COMPANY: &str = include_str!("../../../resources/sandbox/company.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) domain: String,
    /// The company's address at PagerDuty.
    pub(super) account: String,
    pub(super) pages: Vec<PageWords>,
    pub(super) regions: Vec<String>,
    pub(super) teams: Vec<TeamWords>,
    pub(super) given_names: Vec<Name>,
    pub(super) family_names: Vec<Name>,
    pub(super) job_titles: Vec<Option<String>>,
    pub(super) roles: Vec<String>,
    pub(super) time_zones: Vec<String>,
    pub(super) alerts: Vec<String>,
    pub(super) monitors: Vec<String>,
    pub(super) outages: Vec<Outage>,
    pub(super) identified: String,
    pub(super) monitoring: String,
    pub(super) resolved: String,
    pub(super) maintenances: Vec<Maintenance>,
    pub(super) postmortem: String,
}

#[derive(Deserialize)]
pub(super) struct PageWords {
    pub(super) name: String,
    pub(super) subdomain: String,
    pub(super) domain: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct TeamWords {
    pub(super) name: String,
    pub(super) services: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Outage {
    pub(super) name: String,
    pub(super) symptom: String,
}

#[derive(Deserialize)]
pub(super) struct Maintenance {
    pub(super) name: String,
    pub(super) body: String,
}

/// A name as it is written and as it stands in an e-mail address; the file
/// gives the second after a bar where it does not follow from the first.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Name {
    pub(super) written: String,
    pub(super) plain: String,
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        let (written, plain) = text.split_once('|').unwrap_or((&text, &text));
        Self {
            written: written.to_owned(),
            plain: plain.to_lowercase(),
        }
    }
}

/// Somebody who works at the company. Every vendor knows the same people.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

impl Words {
    pub(super) fn load() -> Self {
        serde_json::from_str(COMPANY).expect("the embedded names and texts fit their type")
    }

    /// The person of that number.
    pub(super) fn person(&self, number: usize) -> Person {
        let given = &self.given_names[number % self.given_names.len()];
        // Moves on by one with every round, so that no two people share both
        // names until every pair has been used.
        let round = number / self.given_names.len();
        let family = &self.family_names[(number + round) % self.family_names.len()];
        Person {
            name: format!("{} {}", given.written, family.written),
            email: format!("{}.{}.{number}@{}", given.plain, family.plain, self.domain),
        }
    }

    /// The name of the team of that number.
    pub(super) fn team(&self, number: usize) -> String {
        let base = &self.teams[number % self.teams.len()].name;
        regional(base, number / self.teams.len(), &self.regions)
    }

    /// The name of one of that team's services, in a company that is so many times
    /// that of its dataset.
    pub(super) fn service(&self, team: usize, number: usize, times: usize) -> String {
        let names = &self.teams[team % self.teams.len()].services;
        // Teams beyond the first round carry a region, and so do their services. No dataset
        // goes round the teams more than six times.
        let round = team / self.teams.len() + number / names.len() * 6 * times;
        regional(&names[number % names.len()], round, &self.regions)
    }
}

/// A base name for the first round through a list, and one with a region for
/// the rounds after it.
pub(super) fn regional(base: &str, round: usize, regions: &[String]) -> String {
    match round.checked_sub(1) {
        None => base.to_owned(),
        Some(number) => {
            let region = &regions[number % regions.len()];
            match number / regions.len() {
                0 => format!("{base} {region}"),
                more => format!("{base} {region} {}", more + 1),
            }
        }
    }
}
