//! The accounts of the sources: whether their credentials are accepted, what they may
//! read, how their clocks go, and what is left of their rate limits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::super::start::Labelled;
use super::finding::Finding;
use crate::api::PortClient;
use crate::http::LastAnswer;
use crate::resource_config::ResourceConfig;
use crate::settings::{RateLimits, SourceName};
use crate::source::{Dataset, Detail, Pages, SourceError};

/// How long the first page of a list is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clocks that differ by more than this are wrong: signatures expire, and "the last
/// hour" is another one.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// Asks every account once. Returns those that accept their credentials, too.
pub(super) async fn credentials(accounts: &[Labelled]) -> (Vec<Finding>, Vec<Labelled>) {
    let probes = join_all(accounts.iter().map(|(_, source)| source.probe())).await;
    let mut findings = Vec::new();
    let mut accepted = Vec::new();
    for ((label, source), probe) in accounts.iter().zip(probes) {
        match probe {
            Ok(()) => {
                findings.push(Finding::good(label, "the credentials are accepted"));
                accepted.push((label.clone(), Arc::clone(source)));
            }
            Err(error) => findings.push(Finding::error(label, &error, error.hint())),
        }
    }
    (findings, accepted)
}

/// Whether each account may read what the mapping wants of it: the first page of
/// every list, without what would be fetched for each object.
pub(super) async fn access(accounts: &[Labelled], configs: &[Arc<ResourceConfig>]) -> Vec<Finding> {
    let now = Timestamp::now();
    let looks = accounts.iter().map(async |(label, source)| {
        let datasets = source.datasets(configs, now, Detail::Whole);
        let looks = datasets.into_iter().map(async |dataset| {
            let name = dataset.name().to_owned();
            (name, timeout(PATIENCE, first_page(dataset)).await)
        });
        let mut readable = Vec::new();
        let mut findings = Vec::new();
        for (name, looked) in join_all(looks).await {
            match looked {
                Ok(Ok(())) => readable.push(name),
                Ok(Err(error)) => findings.push(may_not(label, &error)),
                Err(_) => findings.push(Finding::note(
                    label,
                    format!("whether {name} can be read is not known: no answer came within {PATIENCE:?}"),
                )),
            }
        }
        if !readable.is_empty() {
            let text = format!("may read {}", readable.join(", "));
            findings.insert(0, Finding::good(label, text));
        }
        findings
    });
    join_all(looks).await.concat()
}

fn may_not(label: &str, error: &SourceError) -> Finding {
    Finding::error(label, error, error.hint())
}

/// Lists until there is a page; what would come after it is not asked for.
async fn first_page(dataset: Dataset) -> Result<(), SourceError> {
    let (pages, mut receiver) = Pages::channel(1);
    let listing = dataset.list(pages);
    tokio::select! {
        biased;
        listed = listing => listed,
        Some(_) = receiver.recv() => Ok(()),
    }
}

/// Whether the clocks of Port and of the accounts agree with that of this machine.
pub(super) fn clocks(port: Option<&PortClient>, accounts: &[Labelled]) -> Vec<Finding> {
    let of_port = port.map(|port| ("Port".to_owned(), port.last_answer()));
    let of_accounts = accounts
        .iter()
        .map(|(label, source)| (label.clone(), source.last_answer()));
    let answers: Vec<_> = of_port.into_iter().chain(of_accounts).collect();
    told_clocks(&answers)
}

fn told_clocks(answers: &[(String, Option<LastAnswer>)]) -> Vec<Finding> {
    const ABOUT: &str = "clocks";
    let mut findings = Vec::new();
    let mut agreeing = Vec::new();
    for (label, answer) in answers {
        let Some(ahead) = answer.and_then(|answer| answer.clock_ahead) else {
            continue;
        };
        if ahead.abs() <= TOLERANCE {
            agreeing.push(label.as_str());
            continue;
        }
        let seconds = ahead.as_secs().unsigned_abs();
        let direction = if ahead.is_positive() {
            "ahead of"
        } else {
            "behind"
        };
        let text = format!("that of {label} is {seconds} s {direction} the one of this machine");
        findings.push(
            Finding::bad(ABOUT, text).remedy("set the clock of this machine, by NTP for example"),
        );
    }
    if !agreeing.is_empty() {
        let text = format!(
            "this machine agrees with {} to within {} s",
            agreeing.join(", "),
            TOLERANCE.as_secs()
        );
        findings.insert(0, Finding::good(ABOUT, text));
    }
    findings
}

/// What the settings allow, and what the APIs say is left.
pub(super) fn rate_limits(limits: &RateLimits, accounts: &[Labelled]) -> Vec<Finding> {
    let told = accounts.iter().map(|(label, source)| {
        let configured = match source.name() {
            SourceName::Statuspage => Some(limits.statuspage_per_minute),
            SourceName::Pagerduty => Some(limits.pagerduty_per_minute),
            SourceName::Opsgenie => limits.opsgenie_per_minute,
        };
        told_rate_limit(label, configured, source.last_answer())
    });
    told.collect()
}

fn told_rate_limit(label: &str, configured: Option<u32>, answer: Option<LastAnswer>) -> Finding {
    const ABOUT: &str = "rate limits";
    let configured = match configured {
        Some(limit) => format!("{limit} requests a minute by the settings"),
        None => "no limit by the settings".to_owned(),
    };
    let announced = answer.map(|answer| answer.announced).unwrap_or_default();
    let left = match (announced.remaining, announced.limit) {
        (Some(left), Some(limit)) => format!("the API says that {left} of {limit} are left"),
        (Some(left), None) => format!("the API says that {left} are left"),
        (None, _) => "the API does not say what is left".to_owned(),
    };
    let text = format!("{label}: {configured}; {left}");
    if announced.remaining == Some(0) {
        return Finding::note(ABOUT, text)
            .remedy("something else uses the same key: give this installation one of its own");
    }
    Finding::good(ABOUT, text)
}

#[cfg(test)]
mod tests {
    use super::super::finding::for_people;
    use super::*;
    use crate::http::Announced;

    fn answer(ahead: i64, remaining: Option<u64>) -> LastAnswer {
        LastAnswer {
            clock_ahead: Some(SignedDuration::from_secs(ahead)),
            announced: Announced {
                remaining,
                limit: remaining.map(|_| 960),
                reset: None,
            },
        }
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        let answers = [
            ("Port".to_owned(), Some(answer(30, None))),
            ("Statuspage".to_owned(), Some(answer(-31, None))),
            ("PagerDuty".to_owned(), Some(answer(3_600, None))),
            ("Opsgenie".to_owned(), None),
        ];
        insta::assert_snapshot!(for_people(&told_clocks(&answers)), @"
        ✓ clocks: this machine agrees with Port to within 30 s
        ✗ clocks: that of Statuspage is 31 s behind the one of this machine. Hint: set the clock of this machine, by NTP for example
        ✗ clocks: that of PagerDuty is 3600 s ahead of the one of this machine. Hint: set the clock of this machine, by NTP for example
        ");
    }

    #[test]
    fn a_rate_limit_is_told_as_far_as_it_is_known() {
        let told = [
            told_rate_limit("PagerDuty", Some(960), Some(answer(0, Some(940)))),
            told_rate_limit("PagerDuty", Some(960), Some(answer(0, Some(0)))),
            told_rate_limit("Opsgenie", None, None),
        ];
        insta::assert_snapshot!(for_people(&told), @"
        ✓ rate limits: PagerDuty: 960 requests a minute by the settings; the API says that 940 of 960 are left
        ! rate limits: PagerDuty: 960 requests a minute by the settings; the API says that 0 of 960 are left. Hint: something else uses the same key: give this installation one of its own
        ✓ rate limits: Opsgenie: no limit by the settings; the API does not say what is left
        ");
    }
}
