//! The company whose status pages and on-calls the sandbox shows.
//!
//! Halyard, which moves parcels and the money for them, is made up: names come
//! from lists in `resources/sandbox/`, numbers from a seeded generator, and all
//! dates lie relative to the sandbox's present, so that listings which look
//! back a month always find something. Some of its teams work with Opsgenie, and
//! are the same people there under the same addresses. The examples of Port's documentation
//! live in it as well, with the dates that they have there; where these say
//! `"None"`, the vendor's `null` is meant.
//!
//! It is awkward where real companies are: people who left but stand in a
//! schedule, on-calls that never end, services that nobody watches, updates
//! that name no components, texts in several scripts. But it is legal: Port
//! accepts everything that the default mapping makes of it. Some of what is
//! open names components of the status pages, as monitors are told to, so that
//! there is something to tell customers.

mod incidents;
mod opsgenie;
mod organisation;
mod random;
mod status;
mod tags;
#[cfg(test)]
mod tests;
mod words;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use self::random::Random;
use self::words::Words;
use super::opsgenie::Opsgenie;
use super::pagerduty::Pagerduty;
use super::statuspage::Statuspage;
use super::{DatasetSize, SandboxOptions};

const STATUSPAGE_EXAMPLE: &str = include_str!("../../../resources/sandbox/statuspage-example.json");
const PAGERDUTY_EXAMPLE: &str = include_str!("../../../resources/sandbox/pagerduty-example.json");
const OPSGENIE_EXAMPLE: &str = include_str!("../../../resources/sandbox/opsgenie-example.json");

/// How much there is of everything, beside the examples.
struct Plan {
    pages: usize,
    groups: usize,
    incidents: usize,
    teams: usize,
    users: usize,
    services: usize,
    /// Resolved incidents of the last weeks, and older ones.
    resolved: (usize, usize),
    /// Open incidents of the last weeks, and older ones.
    open: (usize, usize),
    /// People who are permanently on call for several policies.
    double_duty: bool,
    opsgenie: OpsgeniePlan,
}

/// How much there is of everything at Opsgenie.
struct OpsgeniePlan {
    /// The first so many of the company's teams.
    teams: usize,
    /// Of each team.
    services: usize,
    /// Incidents that are over, and open ones.
    incidents: (usize, usize),
    /// Closed alerts and open ones, beside those of open incidents.
    alerts: (usize, usize),
}

impl Plan {
    /// How many people each team has.
    const fn members(&self) -> usize {
        self.users / self.teams
    }

    /// Whether there are the examples alone.
    const fn is_empty(&self) -> bool {
        self.teams == 0
    }

    /// A larger company: what a page, a team or a service has stays, and there are more
    /// of them.
    const fn times(self, times: usize) -> Self {
        Self {
            pages: self.pages * times,
            teams: self.teams * times,
            users: self.users * times,
            services: self.services * times,
            resolved: (self.resolved.0 * times, self.resolved.1 * times),
            open: (self.open.0 * times, self.open.1 * times),
            opsgenie: self.opsgenie.times(times),
            ..self
        }
    }

    const fn of(size: DatasetSize) -> Self {
        match size {
            DatasetSize::Examples => Self {
                pages: 0,
                groups: 0,
                incidents: 0,
                teams: 0,
                users: 0,
                services: 0,
                resolved: (0, 0),
                open: (0, 0),
                double_duty: false,
                opsgenie: OpsgeniePlan {
                    teams: 0,
                    services: 0,
                    incidents: (0, 0),
                    alerts: (0, 0),
                },
            },
            DatasetSize::Small => Self {
                pages: 2,
                groups: 3,
                incidents: 18,
                teams: 6,
                users: 24,
                services: 14,
                resolved: (50, 10),
                open: (9, 3),
                double_duty: false,
                opsgenie: OpsgeniePlan {
                    teams: 4,
                    services: 2,
                    incidents: (12, 6),
                    alerts: (60, 24),
                },
            },
            DatasetSize::Medium => Self {
                pages: 5,
                groups: 6,
                incidents: 110,
                teams: 20,
                users: 160,
                services: 130,
                resolved: (1_300, 400),
                open: (60, 20),
                double_duty: true,
                opsgenie: OpsgeniePlan {
                    teams: 14,
                    services: 4,
                    incidents: (220, 40),
                    alerts: (1_600, 420),
                },
            },
            DatasetSize::Large => Self {
                pages: 11,
                groups: 12,
                incidents: 350,
                teams: 60,
                users: 600,
                services: 480,
                resolved: (11_500, 1_200),
                open: (150, 100),
                double_duty: true,
                opsgenie: OpsgeniePlan {
                    teams: 40,
                    services: 6,
                    incidents: (1_400, 90),
                    alerts: (4_200, 20_700),
                },
            },
        }
    }
}

impl OpsgeniePlan {
    const fn times(self, times: usize) -> Self {
        Self {
            teams: self.teams * times,
            incidents: (self.incidents.0 * times, self.incidents.1 * times),
            alerts: (self.alerts.0 * times, self.alerts.1 * times),
            ..self
        }
    }
}

/// A company of some size at some time.
pub(super) struct Company {
    plan: Plan,
    /// How many times that of its dataset it is.
    times: usize,
    seed: u64,
    now: Timestamp,
    words: Words,
}

impl Company {
    pub(super) fn new(options: SandboxOptions, now: Timestamp) -> Self {
        let times = usize::from(options.times).max(1);
        Self {
            plan: Plan::of(options.dataset).times(times),
            times,
            seed: options.seed,
            now,
            words: Words::load(),
        }
    }

    /// Fills the status pages.
    pub(super) fn fill_statuspage(&self, world: &mut Statuspage) {
        for (kind, object) in example(STATUSPAGE_EXAMPLE) {
            world.insert(&kind, &object);
        }
        status::fill(self, &mut Random::new(self.seed, 1), world);
    }

    /// Fills the PagerDuty account. `watched` are the components that incidents
    /// may be tagged with.
    pub(super) fn fill_pagerduty(&self, watched: &[String], world: &mut Pagerduty) {
        for (endpoint, object) in example(PAGERDUTY_EXAMPLE) {
            world.insert(&endpoint, &object);
        }
        if self.plan.is_empty() {
            return;
        }
        let mut random = Random::new(self.seed, 2);
        let organisation = organisation::fill(self, &mut random, world);
        incidents::fill(self, &organisation, watched, &mut random, world);
    }

    /// Fills the Opsgenie account. `watched` are the components that alerts may
    /// be tagged with.
    pub(super) fn fill_opsgenie(&self, watched: &[String], world: &mut Opsgenie) {
        for (kind, object) in example(OPSGENIE_EXAMPLE) {
            opsgenie::insert(world, &kind, &object);
        }
        if self.plan.is_empty() {
            return;
        }
        let mut random = Random::new(self.seed, 3);
        opsgenie::fill(self, watched, &mut random, world);
    }

    /// So long before the sandbox's present, to the second.
    fn ago(&self, minutes: i64) -> Timestamp {
        self.after(self.now, -minutes)
    }

    fn after(&self, start: Timestamp, minutes: i64) -> Timestamp {
        let whole = Timestamp::from_second(start.as_second()).unwrap_or(self.now);
        whole
            .saturating_add(SignedDuration::from_mins(minutes))
            .unwrap_or(self.now)
    }
}

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// The objects of an embedded example, with their kinds.
fn example(text: &str) -> Vec<(String, Value)> {
    let all: Map<String, Value> =
        serde_json::from_str(text).expect("the embedded examples are JSON objects");
    let lists = all.into_iter().filter_map(|(kind, list)| match list {
        Value::Array(objects) => Some((kind, objects)),
        _ => None,
    });
    lists
        .flat_map(|(kind, list)| list.into_iter().map(move |object| (kind.clone(), object)))
        .collect()
}
