//! What live events need: subscriptions, the public address, the Redis of replicas.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret as _;

use super::finding::Finding;
use crate::http::{Expect, HttpClient, Pacer, RateHeaders, Request, RetryPolicy, SafeUrl};
use crate::live_events::derived_token;
use crate::live_events::shared_redis::{RedisFacts, SharedRedis};
use crate::live_events::subscriptions::{Standing, Subscriptions, WebhookAddress};
use crate::settings::{CatalogSettings, Settings};

/// How long the public address is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the webhooks of the vendors stand.
pub(super) async fn webhooks(
    settings: &Settings,
    catalog: &CatalogSettings,
    show_urls: bool,
) -> Vec<Finding> {
    const ABOUT: &str = "webhooks";
    let Some(base_url) = &settings.live_events.base_url else {
        let text = "nobody is asked to send any, so the catalog follows with each resync only";
        return vec![
            Finding::note(ABOUT, text).remedy(
                "set OCEAN__BASE_URL to the address at which the vendors reach this service",
            ),
        ];
    };
    let identifier = &catalog.integration.identifier;
    let address = WebhookAddress::new(
        base_url,
        settings.live_events.path_prefix.as_deref(),
        identifier,
        derived_token(&catalog.port.client_secret, identifier),
    );
    let subscriptions = Subscriptions::new(
        &catalog.sources,
        &settings.outbound,
        &settings.rate_limits,
        address,
        // Nothing is created, so nothing is told.
        Arc::new(|_| {}),
    );
    let subscriptions = match subscriptions {
        Ok(subscriptions) => subscriptions,
        Err(error) => return vec![Finding::error(ABOUT, &error, error.hint())],
    };
    let looked = subscriptions.look().await.into_iter();
    let mut findings: Vec<Finding> = looked
        .map(|(what, standing)| match standing {
            Standing::Kept => Finding::good(ABOUT, format!("those of {what} are in order")),
            Standing::ToDo { steps: 1 } => Finding::note(
                ABOUT,
                format!("the service will create or correct the subscription of {what}"),
            ),
            Standing::ToDo { steps } => Finding::note(
                ABOUT,
                format!("the service will put {steps} things of the subscriptions of {what} right"),
            ),
            Standing::Failed {
                text,
                needs_somebody: true,
            } => Finding::bad(ABOUT, format!("{what}: {text}")),
            Standing::Failed { text, .. } => Finding::note(ABOUT, format!("{what}: {text}")),
        })
        .collect();
    for (account, url) in subscriptions.opsgenie_webhook_urls() {
        let of = account.map_or_else(String::new, |account| format!(" (account `{account}`)"));
        let asked = format!("Opsgenie{of} is set up by hand: its webhook integration has to call");
        findings.push(if show_urls {
            Finding::unmasked(ABOUT, format!("{asked} {}", url.expose_secret()))
        } else {
            let bare = url.expose_secret().split('?').next().unwrap_or_default();
            Finding::note(ABOUT, format!("{asked} {bare}?token=…"))
                .remedy("--show-webhook-urls shows the address with its token, which is a secret")
        });
    }
    findings
}

/// Whether anybody answers at the public address. From in here that need not work.
pub(super) async fn public_url(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "public address";
    let Some(base_url) = &settings.live_events.base_url else {
        return Vec::new();
    };
    let prefix = settings.live_events.path_prefix.as_deref();
    let mut url = base_url.clone();
    url.set_query(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        let prefix = prefix.unwrap_or_default().split('/');
        segments.pop_if_empty();
        segments.extend(prefix.filter(|segment| !segment.is_empty()));
        segments.extend(["health", "live"]);
    }
    let shown = SafeUrl::from(&url);
    let client = HttpClient::new(
        &settings.outbound,
        settings.outbound.verify_third_party,
        PATIENCE,
        Pacer::new("the public address", None),
        RateHeaders::RetryAfter,
    );
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Finding::error(ABOUT, &error, error.hint())],
    };
    let request = Request::new(Method::GET, url, &RetryPolicy::ONCE).expect(Expect::Success);
    let remedy = "that may be so from here alone: look from outside as well, and at the ingress, once the service runs";
    vec![match client.send(&request).await {
        Ok(reply) if reply.is_success() => Finding::good(ABOUT, format!("{shown} answers")),
        Ok(reply) => {
            Finding::note(ABOUT, format!("{shown} answers {}", reply.status)).remedy(remedy)
        }
        Err(error) => Finding::note(ABOUT, crate::causes::one_line(&error)).remedy(remedy),
    }]
}

/// The Redis that replicas share, where there is one.
pub(super) async fn redis(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "Redis";
    let Some(redis) = &settings.live_events.redis else {
        return Vec::new();
    };
    let shared = match SharedRedis::open(redis, &settings.identifier).await {
        Ok(shared) => shared,
        Err(error) => return vec![Finding::error(ABOUT, &error, error.hint())],
    };
    match shared.facts().await {
        Ok(facts) => of_facts(ABOUT, &facts),
        Err(error) => vec![Finding::error(ABOUT, &error, error.hint())],
    }
}

fn of_facts(about: &str, facts: &RedisFacts) -> Vec<Finding> {
    let version = facts.version.as_deref().unwrap_or("unknown");
    let mut findings = vec![if facts.is_too_old() {
        Finding::bad(about, format!("it answers, in version {version}"))
            .remedy("6.2 or later is needed, or Valkey")
    } else {
        Finding::good(about, format!("it answers, in version {version}"))
    }];
    if facts.keeps_log == Some(false) {
        let text = "it keeps no log of what it is told: accepted live events are lost with it since its last snapshot";
        findings.push(Finding::note(about, text).remedy("set `appendonly yes`"));
    }
    if let Some(policy) = facts.eviction.as_deref().filter(|_| facts.evicts()) {
        let text = format!(
            "it deletes keys when its memory is full (`maxmemory-policy {policy}`), live events among them"
        );
        findings.push(Finding::bad(about, text).remedy("set `maxmemory-policy noeviction`"));
    }
    if facts.version.is_none() {
        let text = "its user may not ask how it is set up";
        findings.push(Finding::note(about, text).remedy("add `+info` to what the user may do"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::for_people;
    use super::*;

    #[test]
    fn a_redis_is_judged_by_what_it_is_asked_to_be() {
        let good = RedisFacts {
            version: Some("7.2.4".to_owned()),
            keeps_log: Some(true),
            eviction: Some("noeviction".to_owned()),
        };
        let bad = RedisFacts {
            version: Some("5.0.7".to_owned()),
            keeps_log: Some(false),
            eviction: Some("allkeys-lru".to_owned()),
        };
        let told = [good, bad, RedisFacts::default()];
        let told: Vec<Finding> = told
            .iter()
            .flat_map(|facts| of_facts("Redis", facts))
            .collect();
        insta::assert_snapshot!(for_people(&told), @"
        ✓ Redis: it answers, in version 7.2.4
        ✗ Redis: it answers, in version 5.0.7. Hint: 6.2 or later is needed, or Valkey
        ! Redis: it keeps no log of what it is told: accepted live events are lost with it since its last snapshot. Hint: set `appendonly yes`
        ✗ Redis: it deletes keys when its memory is full (`maxmemory-policy allkeys-lru`), live events among them. Hint: set `maxmemory-policy noeviction`
        ✓ Redis: it answers, in version unknown
        ! Redis: its user may not ask how it is set up. Hint: add `+info` to what the user may do
        ");
    }
}
