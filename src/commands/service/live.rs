//! Live events, put together: who takes webhooks, who works on what they tell, and
//! who has the vendors send them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::tasks::Tasks;
use crate::commands::Exit;
use crate::commands::start::not_started;
use crate::live_events::relay::{Relay, Wanted};
use crate::live_events::shared_redis::SharedRedis;
use crate::live_events::subscriptions::{Subscriptions, WebhookAddress};
use crate::live_events::{Authenticator, Spool, Workers, derived_token};
use crate::settings::{CatalogSettings, EventListener, LiveEventSettings, Settings};
use crate::sync::{LiveProcessor, Resync};
use crate::web::{Accounts, Ask, WebhookRoute};

/// What is there before Port is ready: a webhook that comes early is kept.
#[derive(Clone)]
pub(super) struct LiveEvents {
    authenticator: Authenticator,
    spool: Spool,
    accounts: Accounts,
    is_detailed: bool,
}

impl LiveEvents {
    /// None where there is no catalog, or none that is to follow webhooks.
    pub(super) async fn open(settings: &Settings, redis: Option<&SharedRedis>) -> Option<Self> {
        let catalog = settings.catalog.as_ref()?;
        if matches!(catalog.event_listener, EventListener::ActionsOnly) {
            return None;
        }
        let live = &settings.live_events;
        let authenticator = if live.webhook_auth {
            let identifier = &catalog.integration.identifier;
            let token = derived_token(&catalog.port.client_secret, identifier);
            Authenticator::new([&token], &live.pagerduty_webhook_secrets)
        } else {
            Authenticator::off()
        };
        Some(Self {
            authenticator,
            spool: Spool::open(settings, redis).await,
            accounts: Accounts::of(&catalog.sources),
            is_detailed: live.debug_logging,
        })
    }

    /// The routes; whatever they take is also a hint to the incident sync of the
    /// leader.
    pub(super) fn route(&self, relay: Option<&Relay>) -> WebhookRoute {
        let hint = relay
            .cloned()
            .map(|relay| -> Ask { Arc::new(move || relay.give(Wanted::Reconcile)) });
        WebhookRoute {
            authenticator: self.authenticator.clone(),
            spool: self.spool.clone(),
            accounts: self.accounts.clone(),
            hint,
            is_detailed: self.is_detailed,
        }
    }

    /// Works on events beside resyncs, in every replica. Returns the vendors'
    /// subscriptions, which are for one of them to keep.
    pub(super) fn attach(
        self,
        settings: &Settings,
        catalog: &CatalogSettings,
        resync: &Resync,
        tasks: &mut Tasks,
    ) -> Result<Option<Subscriptions>, Exit> {
        let subscriptions = self.subscriptions(settings, catalog)?;
        let processor = LiveProcessor::beside(resync, catalog.mapping_age);
        // What the workers hold is kept until the last of them has given it back.
        let worked = CancellationToken::new();
        let (spool, ended) = (self.spool.clone(), worked.clone());
        tasks.spawn("locks of live events", async move {
            spool.keep(&ended).await;
        });
        let stop = tasks.stop.clone();
        let (live_events, spool, working) = (
            settings.live_events.clone(),
            self.spool,
            worked.drop_guard(),
        );
        tasks.spawn("workers of live events", async move {
            work(live_events, spool, processor, stop).await;
            drop(working);
        });
        Ok(subscriptions)
    }

    /// None where nobody knows under which address the vendors reach this service.
    fn subscriptions(
        &self,
        settings: &Settings,
        catalog: &CatalogSettings,
    ) -> Result<Option<Subscriptions>, Exit> {
        let Some(base_url) = &settings.live_events.base_url else {
            tracing::info!(
                "Webhooks are taken at /integration/webhook, and nobody is asked to send any, since OCEAN__BASE_URL, the public address of \
                 this service, is not set: the catalog follows with each resync"
            );
            return Ok(None);
        };
        let identifier = &catalog.integration.identifier;
        let address = WebhookAddress::new(
            base_url,
            settings.live_events.path_prefix.as_deref(),
            identifier,
            derived_token(&catalog.port.client_secret, identifier),
        );
        let authenticator = self.authenticator.clone();
        Subscriptions::new(
            &catalog.sources,
            &settings.outbound,
            &settings.rate_limits,
            address,
            Arc::new(move |secret| authenticator.learn_pagerduty_secret(secret)),
        )
        .map(Some)
        .map_err(|error| not_started(&error, error.hint()))
    }
}

async fn work(
    settings: LiveEventSettings,
    spool: Spool,
    processor: LiveProcessor,
    stop: CancellationToken,
) {
    let processor = Arc::new(processor);
    Workers::new(&settings)
        .run(
            &spool,
            |taken| {
                let processor = Arc::clone(&processor);
                Box::pin(async move { processor.process(taken).await })
            },
            &stop,
        )
        .await;
}
