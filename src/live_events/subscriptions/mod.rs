//! Keeps vendors telling us of changes: webhook subscriptions, found, created,
//! corrected and revived, and never two where one is enough.
//!
//! ```text
//! at once, then every hour:   look ─▶ plan (pure) ─▶ apply ─▶ look again … until nothing is left
//! ```
//!
//! Every account, and every status page, is kept for itself: what fails with one
//! is said once, with its remedy, and said again only when it changes; it is tried
//! again sooner than after an hour where it may pass by itself. Any step may be
//! repeated, so a pass may be broken off anywhere, and any number of replicas may
//! do the same at once.
//!
//! What is touched is ours: it leads to this service, or is marked with its token,
//! or is the subscription of the integration whose place this one takes.
//!
//! Opsgenie's webhooks can only be set up by hand; here is what to enter there.

mod address;
mod pagerduty;
mod statuspage;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::address::WebhookAddress;
use crate::api::{ApiError, PagerdutyClient, StatuspageClient};
use crate::causes::with_hint;
use crate::http::BuildError;
use crate::settings::{OutboundSettings, RateLimits, SourceName, SourceSettings};
use crate::source::SourceError;
use crate::telemetry;

/// From the end of a pass to the next one.
const INTERVAL: Duration = Duration::from_hours(1);

/// The same where something failed that may pass by itself.
const AFTER_TROUBLE: Duration = Duration::from_mins(5);

/// How often a pass looks at one account: to create, to delete what is double
/// then, to see that it is well, and a few times more for replicas in between.
const TURNS: usize = 6;

/// Pages of a hundred webhooks: more than anybody has.
const MOST_PAGES: u32 = 100;

/// Is told what PagerDuty signs webhooks with. It is said once, to the process
/// that creates the subscription, and kept nowhere.
pub type OnSecret = Arc<dyn Fn(&SecretString) + Send + Sync>;

/// The subscriptions of all accounts.
pub struct Subscriptions {
    address: WebhookAddress,
    pagerduty: Vec<pagerduty::Account>,
    statuspage: Vec<statuspage::Account>,
    opsgenie: Vec<Option<String>>,
    on_secret: OnSecret,
    /// What was said of each account and page, as long as it holds.
    said: Mutex<HashMap<String, String>>,
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Accounts and status pages that are as they should be.
    pub kept: usize,
    /// Those that are not.
    pub failed: usize,
    /// Those of them that may be well again without anybody's doing.
    pub passing: usize,
}

/// How the webhooks of an account or a status page stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As they should.
    Kept,
    /// A pass has something to do.
    ToDo {
        /// How many things.
        steps: usize,
    },
    /// They are not as they should be, or could not be looked at.
    Failed {
        /// Why, with the remedy.
        text: String,
        /// It stays until somebody does something.
        needs_somebody: bool,
    },
}

impl Passed {
    /// How long nothing has to be looked at.
    const fn pause(self) -> Duration {
        if self.passing > 0 {
            AFTER_TROUBLE
        } else {
            INTERVAL
        }
    }
}

impl Subscriptions {
    /// Asks nobody anything. The token is masked in the log from now on.
    pub fn new(
        sources: &SourceSettings,
        outbound: &OutboundSettings,
        limits: &RateLimits,
        address: WebhookAddress,
        on_secret: OnSecret,
    ) -> Result<Self, BuildError> {
        telemetry::learn("webhook token", address.token());
        let pagerduty = sources.pagerduty.iter().map(|account| {
            let name = account.name.as_deref();
            Ok(pagerduty::Account {
                label: label(SourceName::Pagerduty, name),
                client: PagerdutyClient::new(account, outbound, limits.pagerduty_per_minute)?,
                url: address.bare(SourceName::Pagerduty, name),
                has_less: AtomicBool::new(false),
            })
        });
        let pagerduty = pagerduty.collect::<Result<_, BuildError>>()?;
        let statuspage = sources.statuspage.iter().map(|account| {
            let name = account.name.as_deref();
            let client = StatuspageClient::new(account, outbound, limits.statuspage_per_minute)?;
            Ok(statuspage::Account {
                label: label(SourceName::Statuspage, name),
                client: Arc::new(client),
                page_ids: account.page_ids.clone(),
                url: address.with_token(SourceName::Statuspage, name),
            })
        });
        let statuspage = statuspage.collect::<Result<_, BuildError>>()?;
        let opsgenie = sources.opsgenie.iter();
        Ok(Self {
            pagerduty,
            statuspage,
            opsgenie: opsgenie.map(|account| account.name.clone()).collect(),
            address,
            on_secret,
            said: Mutex::default(),
        })
    }

    /// Keeps everything right until it is stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        self.say_what_is_left_to_do();
        loop {
            let Some(passed) = stop.run_until_cancelled(self.pass()).await else {
                return;
            };
            let pause = sleep(passed.pause());
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Looks at everything once and puts it right. What fails is said.
    pub async fn pass(&self) -> Passed {
        let urls: Vec<Url> = self.pagerduty.iter().map(|one| one.url.clone()).collect();
        let pagerduty = self.pagerduty.iter().map(async |account| {
            let kept = account.keep(&self.address, &urls, &self.on_secret).await;
            vec![(account.label.clone(), kept)]
        });
        let urls: Vec<Url> = self.statuspage.iter().map(|one| one.url.clone()).collect();
        let statuspage = self.statuspage.iter();
        let statuspage = statuspage.map(|account| account.keep(&self.address, &urls));
        let (pagerduty, statuspage) = tokio::join!(join_all(pagerduty), join_all(statuspage));
        let mut passed = Passed::default();
        for (what, outcome) in pagerduty.into_iter().chain(statuspage).flatten() {
            match &outcome {
                Ok(()) => passed.kept += 1,
                Err(problem) => {
                    passed.failed += 1;
                    passed.passing += usize::from(!problem.needs_somebody);
                }
            }
            self.say(&what, outcome.err());
        }
        passed
    }

    /// Looks at everything once and changes nothing: how each account, and each status
    /// page, stands, by what messages call it.
    pub async fn look(&self) -> Vec<(String, Standing)> {
        let urls: Vec<Url> = self.pagerduty.iter().map(|one| one.url.clone()).collect();
        let pagerduty = self.pagerduty.iter().map(async |account| {
            let found = account.standing(&self.address, &urls).await;
            vec![(account.label.clone(), found)]
        });
        let urls: Vec<Url> = self.statuspage.iter().map(|one| one.url.clone()).collect();
        let statuspage = self.statuspage.iter();
        let statuspage = statuspage.map(|account| account.standing(&self.address, &urls));
        let (pagerduty, statuspage) = tokio::join!(join_all(pagerduty), join_all(statuspage));
        let found = pagerduty.into_iter().chain(statuspage).flatten();
        let standing = |(what, found)| match found {
            Ok(0) => (what, Standing::Kept),
            Ok(steps) => (what, Standing::ToDo { steps }),
            Err(Problem {
                text,
                needs_somebody,
                ..
            }) => (
                what,
                Standing::Failed {
                    text,
                    needs_somebody,
                },
            ),
        };
        found.map(standing).collect()
    }

    /// The address to enter in Opsgenie for each of its accounts, by the name of
    /// the account. It carries the token: whoever shows it does so on purpose, to
    /// the person who is to enter it, on standard output. In the log the token is
    /// masked, so there it would be of no use.
    pub fn opsgenie_webhook_urls(&self) -> Vec<(Option<&str>, SecretString)> {
        let accounts = self.opsgenie.iter().map(Option::as_deref);
        accounts
            .map(|account| {
                let url = self.address.with_token(SourceName::Opsgenie, account);
                (account, SecretString::from(String::from(url)))
            })
            .collect()
    }

    fn say_what_is_left_to_do(&self) {
        for account in &self.opsgenie {
            let account = account.as_deref();
            let label = label(SourceName::Opsgenie, account);
            let url = self.address.bare(SourceName::Opsgenie, account);
            tracing::info!(
                "Webhooks of {label} are set up by hand: add a webhook integration with {url}?token=TOKEN; under \"Live events\", docs/operations.md says how to make the token"
            );
        }
    }

    /// Says what is new about an account or a page.
    fn say(&self, what: &str, problem: Option<Problem>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(problem) = problem else {
            if said.remove(what).is_some() {
                tracing::info!("Webhooks of {what} are kept in order again");
            }
            return;
        };
        let Problem {
            text,
            sign,
            needs_somebody,
        } = problem;
        if said.insert(what.to_owned(), sign.clone()) == Some(sign) {
            return;
        }
        if needs_somebody {
            tracing::error!("Cannot keep the webhooks of {what} in order: {text}");
        } else {
            tracing::warn!(
                "Cannot keep the webhooks of {what} in order for now, it is tried again: {text}"
            );
        }
    }
}

/// Why something is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// With its remedy.
    text: String,
    /// What makes it the same as before: texts differ in times and attempts.
    sign: String,
    /// It stays until somebody does something.
    needs_somebody: bool,
}

impl Problem {
    fn of_people(sign: &str, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            sign: sign.to_owned(),
            needs_somebody: true,
        }
    }

    fn page_without_webhooks() -> Self {
        Self::of_people(
            "page without webhooks",
            "the status page takes no webhook subscribers. Hint: switch them on in Statuspage, under Subscribers > Settings of the page; until then its changes are seen by resyncs only",
        )
    }

    fn switched_off() -> Self {
        Self::of_people(
            "switched off",
            "somebody has switched the webhook subscription off in PagerDuty. Hint: switch it on there, under Integrations > Generic Webhooks (v3), or delete it to have it created anew",
        )
    }

    /// Half a list could make one more subscription at each pass.
    fn endless() -> Self {
        Self {
            text: format!("the list of webhooks did not end after {MOST_PAGES} pages"),
            sign: "endless".to_owned(),
            needs_somebody: false,
        }
    }

    /// Somebody else keeps changing it.
    fn restless() -> Self {
        Self {
            text: "it was different each time it was looked at. Hint: something else may be managing the same webhooks; two installations with one identifier must not share an address".to_owned(),
            sign: "restless".to_owned(),
            needs_somebody: false,
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let status = error.status();
        let settled = matches!(status, Some(400..=407 | 409..=417 | 421..=428));
        Self {
            text: with_hint(&error, error.hint()),
            sign: status.map_or("no answer".to_owned(), |status| status.to_string()),
            needs_somebody: settled || error.is_token_file(),
        }
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::List { source, .. } => source.into(),
            other => Self {
                text: with_hint(&other, other.hint()),
                sign: other.to_string(),
                needs_somebody: false,
            },
        }
    }
}

fn label(source: SourceName, account: Option<&str>) -> String {
    match account {
        Some(account) => format!("{} (account `{account}`)", source.title()),
        None => source.title().to_owned(),
    }
}

#[cfg(test)]
mod tests;
