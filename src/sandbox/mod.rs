//! A company to try Portolan on: stateful simulators of Statuspage,
//! PagerDuty, Opsgenie and Port, inside the process, on free loopback ports.
//!
//! They serve two masters. `portolan sandbox` shows a whole run without an
//! account anywhere, and the integration tests drive the program against
//! them. Both need the same thing, vendors that behave like the real ones,
//! quirks included: they check what they are sent, remember it, and refuse
//! what the vendor would refuse. A request that no vendor has a route for is
//! answered as the vendor would answer it and remembered as unexpected.
//!
//! Nothing here may reach beyond the loopback interface, and nothing here is
//! ever part of a real run.

pub mod chassis;
pub mod clock;
mod company;
mod objects;
pub mod opsgenie;
pub mod pagerduty;
pub mod port;
pub mod statuspage;
mod table;
#[cfg(test)]
mod tests;
mod webhook;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use self::company::Company;
use self::opsgenie::Opsgenie;
use self::pagerduty::Pagerduty;
use self::port::Port;
use self::statuspage::Statuspage;
use crate::settings::SourceName;

pub use self::chassis::{Answer, Gate, Matcher, RateLimit, RecordedRequest, Simulator};
pub use self::clock::Clock;
pub use self::opsgenie::OpsgenieSimulator;
pub use self::pagerduty::PagerdutySimulator;
pub use self::port::PortSimulator;
pub use self::statuspage::StatuspageSimulator;
pub use self::webhook::{Delivered, WebhookRequest};

/// The name under which the sandbox's environment installs the integration.
pub const IDENTIFIER: &str = "portolan-sandbox";

/// How large the company is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DatasetSize {
    /// What the vendors' documentation shows, and nothing else
    Examples,
    /// A few hundred objects
    #[default]
    Small,
    /// A few thousand objects
    Medium,
    /// Tens of thousands of objects, more incidents than PagerDuty and more alerts
    /// than Opsgenie lists at once
    Large,
}

/// What the sandbox is like.
#[derive(Clone, Copy, Debug)]
pub struct SandboxOptions {
    pub dataset: DatasetSize,
    /// So many times the dataset: pages, teams, people, services, incidents, alerts.
    pub times: u16,
    /// Every answer is delayed by so much.
    pub latency: Duration,
    /// Sprinkles errors, cut connections and damaged replies over everything.
    pub faults: bool,
    /// Refuses what exceeds the vendors' rate limits.
    pub rate_limits: bool,
    /// The same seed gives the same company and the same faults.
    pub seed: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            dataset: DatasetSize::Small,
            times: 1,
            latency: Duration::ZERO,
            faults: false,
            rate_limits: false,
            seed: 1,
        }
    }
}

/// The vendors, running.
pub struct Sandbox {
    pub port: PortSimulator,
    pub statuspage: StatuspageSimulator,
    pub pagerduty: PagerdutySimulator,
    pub opsgenie: OpsgenieSimulator,
    rate_limits: bool,
}

impl Sandbox {
    /// Starts the vendors with a company that is there right now.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        Self::start_at(options, Clock::real()).await
    }

    /// Starts the vendors with their own idea of what time it is.
    pub async fn start_at(options: SandboxOptions, clock: Clock) -> io::Result<Self> {
        // A large company takes a while to make up; nobody else has to wait for that.
        let founder = clock.clone();
        let (company, statuspage) = tokio::task::spawn_blocking(move || {
            let company = Company::new(options, founder.now());
            let mut world = Statuspage::new(founder);
            company.fill_statuspage(&mut world);
            (Arc::new(company), world)
        })
        .await?;
        // What monitors watch are the components of the pages.
        let watched = Arc::new(statuspage.free_components());
        let (duties, watched_too) = (Arc::clone(&company), Arc::clone(&watched));
        let (first, second) = (clock.clone(), clock.clone());
        let (pagerduty, mut opsgenie) = tokio::try_join!(
            tokio::task::spawn_blocking(move || {
                let mut world = Pagerduty::new(first);
                company.fill_pagerduty(&watched, &mut world);
                world
            }),
            tokio::task::spawn_blocking(move || {
                let mut world = Opsgenie::new(second);
                duties.fill_opsgenie(&watched_too, &mut world);
                world
            }),
        )?;
        let port = Simulator::start(port::RATE_LIMIT, |url| Port::new(clock.clone(), url)).await?;
        let statuspage = Simulator::start(statuspage::RATE_LIMIT, |_| statuspage).await?;
        let pagerduty = Simulator::start(pagerduty::RATE_LIMIT, |_| pagerduty).await?;
        let opsgenie = Simulator::start(opsgenie::RATE_LIMIT, |url| {
            opsgenie.pages_at(url);
            opsgenie
        })
        .await?;
        let sandbox = Self {
            port,
            statuspage,
            pagerduty,
            opsgenie,
            rate_limits: options.rate_limits,
        };
        set_up(&sandbox.port, options, 1);
        set_up(&sandbox.statuspage, options, 2);
        set_up(&sandbox.pagerduty, options, 3);
        set_up(&sandbox.opsgenie, options, 4);
        Ok(sandbox)
    }

    /// The settings with which another `portolan run` brings the whole company
    /// into the sandbox's Port, once.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = self.common("portolan");
        for (name, value) in [
            (
                "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
                statuspage::API_KEY.to_owned(),
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
                base(&self.statuspage.url()),
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN",
                pagerduty::TOKEN.to_owned(),
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_API_URL",
                base(&self.pagerduty.url()),
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN",
                opsgenie::API_TOKEN.to_owned(),
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL",
                base(&self.opsgenie.url()),
            ),
        ] {
            environment.push((name.to_owned(), value));
        }
        environment
    }

    /// The settings of an installation of the original with this source alone.
    pub fn environment_for(&self, source: SourceName) -> Vec<(String, String)> {
        let mut environment = self.common(source.as_str());
        let config = match source {
            SourceName::Statuspage => [
                ("STATUSPAGE_API_KEY", statuspage::API_KEY.to_owned()),
                ("STATUSPAGE_HOST", base(&self.statuspage.url())),
            ],
            SourceName::Pagerduty => [
                ("TOKEN", pagerduty::TOKEN.to_owned()),
                ("API_URL", base(&self.pagerduty.url())),
            ],
            SourceName::Opsgenie => [
                ("API_TOKEN", opsgenie::API_TOKEN.to_owned()),
                ("API_URL", base(&self.opsgenie.url())),
            ],
        };
        for (name, value) in config {
            environment.push((format!("OCEAN__INTEGRATION__CONFIG__{name}"), value));
        }
        environment
    }

    fn common(&self, kind: &str) -> Vec<(String, String)> {
        let mut environment = vec![
            ("OCEAN__PORT__BASE_URL", base(&self.port.url())),
            ("OCEAN__PORT__CLIENT_ID", port::CLIENT_ID.to_owned()),
            ("OCEAN__PORT__CLIENT_SECRET", port::CLIENT_SECRET.to_owned()),
            ("OCEAN__INTEGRATION__IDENTIFIER", IDENTIFIER.to_owned()),
            ("OCEAN__INTEGRATION__TYPE", kind.to_owned()),
            ("OCEAN__EVENT_LISTENER__TYPE", "ONCE".to_owned()),
        ];
        if !self.rate_limits {
            // Nobody counts, so there is nothing to keep below. Opsgenie's client
            // goes by what it is told.
            environment.push((
                "OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE",
                "60000".to_owned(),
            ));
            environment.push((
                "OCEAN__RATE_LIMITS__PAGERDUTY_PER_MINUTE",
                "60000".to_owned(),
            ));
        }
        environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Everything that a well-behaved client would not have caused, of all of them.
    pub fn problems(&self) -> Vec<String> {
        [
            self.port.problems(),
            self.statuspage.problems(),
            self.pagerduty.problems(),
            self.opsgenie.problems(),
        ]
        .concat()
    }

    /// Forgets every request so far, of all of them.
    pub fn clear_requests(&self) {
        self.port.clear_requests();
        self.statuspage.clear_requests();
        self.pagerduty.clear_requests();
        self.opsgenie.clear_requests();
    }

    /// Lets requests that are under way end, for a bounded time, and stops.
    pub async fn stop(self) {
        tokio::join!(
            self.port.stop(),
            self.statuspage.stop(),
            self.pagerduty.stop(),
            self.opsgenie.stop()
        );
    }
}

fn set_up<W: chassis::World>(simulator: &Simulator<W>, options: SandboxOptions, salt: u64) {
    simulator.set_latency(options.latency);
    simulator.enforce_rate_limit(options.rate_limits);
    simulator.random_faults(
        options
            .faults
            .then_some(options.seed.wrapping_mul(31) + salt),
    );
}

/// An address as settings have it: without a slash at its end.
fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
