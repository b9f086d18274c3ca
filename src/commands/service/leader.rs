//! What the leader does with the catalog: it makes Port ready, listens for
//! requests, runs resyncs, and keeps the vendors' subscriptions.
//!
//! All of it happens in a term, and ends with it: at once where the lead was lost,
//! and in an orderly way where the process is to end.

use std::convert::Infallible;
use std::future::pending;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::BEFORE_ANOTHER_START;
use super::tasks::Terms;
use crate::commands::Exit;
use crate::commands::runner::Runner;
use crate::commands::start::{Connected, Prepared};
#[cfg(feature = "kafka")]
use crate::event_listener::Kafka;
use crate::event_listener::{self, Polling, Queue, Requests, last_served};
use crate::live_events::leader::Term;
use crate::live_events::relay::{Relay, Wanted};
use crate::live_events::subscriptions::Subscriptions;
#[cfg(feature = "kafka")]
use crate::settings::OutboundSettings;
use crate::settings::{CatalogSettings, EventListener};
use crate::sync::Trigger;
#[cfg(feature = "kafka")]
use crate::web::{Health, Requirement};

/// See the module.
pub(super) struct Leader {
    pub(super) catalog: CatalogSettings,
    #[cfg(feature = "kafka")]
    pub(super) outbound: OutboundSettings,
    pub(super) connected: Connected,
    /// What came of the preparation where there is no need to wait for the lead.
    pub(super) prepared: Option<Prepared>,
    /// Whether something else runs here that must not end with the catalog.
    pub(super) has_incident_sync: bool,
    /// Who wants to know where Port takes log lines.
    pub(super) ingest: watch::Sender<Option<Url>>,
    pub(super) runner: Runner,
    pub(super) subscriptions: Option<Subscriptions>,
    pub(super) requests: Requests,
    pub(super) relay: Relay,
    /// Whether another replica may lead after this one.
    pub(super) is_shared: bool,
    #[cfg(feature = "kafka")]
    pub(super) health: Health,
    pub(super) stop: CancellationToken,
}

impl Leader {
    /// Leads whenever it is this replica's turn, until the process is to end. What it
    /// returns has been said.
    pub(super) async fn serve(mut self, mut queue: Queue, terms: Terms) -> Option<Exit> {
        while let Some(term) = terms.next().await {
            let stop = self.stop.clone();
            let preparing = stop.run_until_cancelled(self.prepare());
            match Box::pin(term.within(preparing)).await {
                Some(Some(Ok(prepared))) => {
                    Box::pin(self.lead(&term, prepared, &mut queue)).await;
                }
                Some(Some(Err(exit))) => return Some(exit),
                Some(None) | None => {}
            }
        }
        None
    }

    /// Makes Port ready. A Port that is away is waited for; whatever else keeps it
    /// from being ready would be the same in the next process, and ends this one
    /// unless there is an incident sync, which must not be taken along.
    async fn prepare(&mut self) -> Result<Prepared, Exit> {
        if let Some(prepared) = self.prepared.take() {
            return Ok(prepared);
        }
        loop {
            match self.connected.prepare(&self.catalog).await {
                Err(exit) if exit == Exit::Failed || self.has_incident_sync => {
                    let seconds = BEFORE_ANOTHER_START.as_secs();
                    tracing::warn!(
                        seconds,
                        "There are no resyncs until Port has been prepared; it is tried again in {seconds} s"
                    );
                    sleep(BEFORE_ANOTHER_START).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Until the term is over, or the process is to end.
    async fn lead(&self, term: &Term, prepared: Prepared, queue: &mut Queue) {
        let Prepared {
            last_state,
            was_broken_off,
            log_ingest,
        } = prepared;
        if log_ingest.is_some() {
            self.ingest.send_replace(log_ingest);
        }
        let resyncs_at_start = matches!(
            self.catalog.event_listener,
            EventListener::Polling {
                resync_on_start: true,
                ..
            }
        );
        if was_broken_off && self.is_shared && !resyncs_at_start {
            // Whoever wanted that resync still waits for it.
            self.requests.request(Trigger::Start);
        }
        let (next, asking) = self
            .catalog
            .scheduled_resync_interval
            .map(|interval| event_listener::schedule(interval, self.requests.clone()))
            .unzip();
        self.say_what_is_listened_to();

        let stop = self.stop.clone();
        let asking = async {
            match asking {
                // Beside any listener, also beside one that never asks for a resync
                // itself: whoever sets it wants it.
                Some(asking) => asking.await,
                None => pending::<Infallible>().await,
            }
        };
        let listening = self.listen(&last_state, term);
        let subscribing = async {
            match &self.subscriptions {
                Some(subscriptions) => subscriptions.run(&stop).await,
                None => pending().await,
            }
        };
        let (unserved, (), _, _) = tokio::join!(
            self.runner.serve(queue, next, term, &stop),
            listening,
            stop.run_until_cancelled(term.within(asking)),
            stop.run_until_cancelled(term.within(subscribing)),
        );
        // Whoever leads next is to serve it.
        if let Some(trigger) = unserved.or_else(|| queue.waiting())
            && self.is_shared
            && !resyncs_at_start
        {
            self.relay.give(Wanted::Resync(trigger));
        }
    }

    /// Passes on what Port says, as the settings want it to be heard.
    async fn listen(&self, last_state: &Value, term: &Term) {
        match &self.catalog.event_listener {
            EventListener::Polling {
                interval,
                resync_on_start,
            } => {
                let polling = Polling {
                    interval: *interval,
                    resync_on_start: *resync_on_start,
                    served: last_served(last_state),
                };
                let (port, requests) = (self.connected.resync.port.clone(), self.requests.clone());
                let asking = async move { polling.run(&port, &requests).await };
                self.stop.run_until_cancelled(term.within(asking)).await;
            }
            #[cfg(feature = "kafka")]
            EventListener::Kafka(kafka) => {
                let kafka = Kafka {
                    settings: kafka.clone(),
                    integration: self.catalog.integration.clone(),
                    outbound: self.outbound.clone(),
                };
                let health = self.health.clone();
                let settled = move || health.meet(Requirement::Listener);
                // It leaves the group by itself, whatever it is stopped for.
                let stop = self.stop.child_token();
                let _lost = stop.clone().drop_guard();
                let (port, requests) = (self.connected.resync.port.clone(), self.requests.clone());
                term.within(kafka.run(port, requests, settled, stop)).await;
            }
            _ => {}
        }
    }

    fn say_what_is_listened_to(&self) {
        let listener = self.catalog.event_listener.type_name();
        match self.catalog.scheduled_resync_interval {
            None => tracing::info!(listener, "Listening as {listener}"),
            Some(interval) => {
                let minutes = interval.as_secs() / 60;
                tracing::info!(
                    listener,
                    minutes,
                    "Listening as {listener}, and resyncing every {minutes} minutes"
                );
            }
        }
    }
}
