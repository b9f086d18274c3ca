//! An installation in this process: a sandbox, a resync and a processor of events
//! that share what they share in a service.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portolan::api::{OpsgenieClient, PagerdutyClient, PortClient, StatuspageClient};
use portolan::catalog::{Defaults, RecentWrites, WriteLimits};
use portolan::jq;
use portolan::live_events::{Lease, NewEvent, SpooledEvent, Subject, Taken, Thing};
use portolan::sandbox::Sandbox;
use portolan::settings::{self, Inputs, Overrides, Runtime, Settings, SourceName};
use portolan::source::{Opsgenie, Pagerduty, Source, Statuspage};
use portolan::sync::{
    Expressions, LiveError, LiveOutcome, LiveProcessor, Mapping, Processed, Progress, Reporting,
    Resync, ResyncReport, ResyncRequest, StateInPort,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Place, catalog};
use crate::installed::install;
use crate::program::small_sandbox;

/// Long enough ago that no API lags behind it.
const LONG_AGO: SignedDuration = SignedDuration::from_mins(2);

pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) resync: Arc<Resync>,
    pub(super) processor: LiveProcessor,
}

impl World {
    /// With the default blueprints and mapping of a source.
    pub(super) async fn new(source: SourceName) -> Self {
        let Defaults {
            blueprints,
            mapping,
            ..
        } = Defaults::embedded(&[source]).unwrap();
        Self::with(source, &blueprints, &mapping).await
    }

    /// With another mapping to the default blueprints, which may lack what it maps:
    /// only their relations have to fit.
    pub(super) async fn mapped(source: SourceName, mapping: &Value) -> Self {
        let mut blueprints = Defaults::embedded(&[source]).unwrap().blueprints;
        for blueprint in &mut blueprints {
            blueprint["schema"]["properties"] = json!({});
            blueprint["schema"]["required"] = json!([]);
            for computed in [
                "mirrorProperties",
                "calculationProperties",
                "aggregationProperties",
            ] {
                blueprint[computed] = json!({});
            }
        }
        Self::with(source, &blueprints, mapping).await
    }

    async fn with(source: SourceName, blueprints: &[Value], mapping: &Value) -> Self {
        Self::on(small_sandbox().await, source, blueprints, mapping)
    }

    pub(super) fn on(
        sandbox: Sandbox,
        source: SourceName,
        blueprints: &[Value],
        mapping: &Value,
    ) -> Self {
        // They refer to each other.
        for blueprint in blueprints {
            let name = blueprint["identifier"].as_str().unwrap();
            crate::installed::blueprint(&sandbox, name, &[], &[]);
        }
        for blueprint in blueprints {
            let mut related = blueprint.clone();
            related["aggregationProperties"] = json!({});
            related["mirrorProperties"] = json!({});
            sandbox.port.insert_blueprint(&related);
        }
        install(&sandbox, mapping);
        let resync = Arc::new(resync(&sandbox, source, RecentWrites::default()));
        let processor = LiveProcessor::beside(&resync, Duration::ZERO);
        Self {
            sandbox,
            resync,
            processor,
        }
    }

    /// A resync that shares nothing with events: what it writes is what ought to
    /// be there.
    pub(super) async fn resync_apart(&self) -> ResyncReport {
        let source = self.resync.sources[0].name();
        let resync = resync(&self.sandbox, source, RecentWrites::default());
        run(&resync).await
    }

    pub(super) async fn process(&self, event: NewEvent) -> Result<LiveOutcome, LiveError> {
        self.look(event).await.result
    }

    /// The same with what else has to be looked at.
    pub(super) async fn look(&self, event: NewEvent) -> Processed {
        Box::pin(self.processor.process(&taken(event))).await
    }

    /// A processor of Statuspage's events with these accounts instead, by name and
    /// pages.
    pub(super) fn processor_for(&self, accounts: &[Value]) -> LiveProcessor {
        let mut processor = LiveProcessor::beside(&self.resync, Duration::ZERO);
        processor.sources.clear();
        for account in accounts {
            let pages = serde_json::from_value(account["page_ids"].clone()).unwrap();
            let name = account["name"].as_str().map(str::to_owned);
            let source = Statuspage::new(statuspage(&self.sandbox), name, pages);
            processor.sources.push(Arc::new(source));
        }
        processor
    }

    /// Processes an event, and all that has to be looked at because of it.
    pub(super) async fn process_all(&self, event: NewEvent) -> LiveOutcome {
        let Processed { result, also } = self.look(event).await;
        for also in also {
            let processed = self.look(also).await;
            assert!(processed.result.is_ok(), "{processed:?}");
            assert_eq!(processed.also, []);
        }
        result.unwrap()
    }

    /// Everything in these blueprints, with the properties that they do not show.
    pub(super) fn entities(&self, blueprints: &[&str]) -> Catalog {
        let mut entities = catalog(&self.sandbox);
        entities.retain(|(blueprint, _), _| blueprints.contains(&blueprint.as_str()));
        for ((blueprint, identifier), entity) in &mut entities {
            let stored = self.sandbox.port.stored_properties(blueprint, identifier);
            entity["properties"] = stored.unwrap();
        }
        entities
    }

    pub(super) fn has(&self, blueprint: &str, identifier: &str) -> bool {
        self.sandbox.port.entity(blueprint, identifier).is_some()
    }

    /// Gives an entity to another installation.
    pub(super) fn give_away(&self, (blueprint, identifier): &Place) {
        let agent = "port-ocean/portolan/0.1.0/somebody-else/exporter";
        let nothing = json!({"identifier": identifier});
        self.sandbox.port.insert_entity(blueprint, &nothing, agent);
    }
}

pub(super) async fn run(resync: &Resync) -> ResyncReport {
    let request = ResyncRequest::default();
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    resync.run(&request, &progress, &stop).await.unwrap()
}

fn load(sandbox: &Sandbox, source: SourceName) -> Settings {
    let environment: BTreeMap<String, OsString> = sandbox
        .environment_for(source)
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let inputs = Inputs {
        environment,
        directory: "/nowhere".into(),
        overrides: Overrides::default(),
    };
    settings::load(inputs).unwrap().settings
}

fn statuspage(sandbox: &Sandbox) -> StatuspageClient {
    let settings = load(sandbox, SourceName::Statuspage);
    let account = &settings.catalog.as_ref().unwrap().sources.statuspage[0];
    let limit = settings.rate_limits.statuspage_per_minute;
    StatuspageClient::new(account, &settings.outbound, limit).unwrap()
}

/// What the program builds of its settings, without a first start.
pub(super) fn resync(sandbox: &Sandbox, source: SourceName, recent: RecentWrites) -> Resync {
    let settings = load(sandbox, source);
    let catalog = settings.catalog.as_ref().unwrap();
    let outbound = &settings.outbound;
    let port = PortClient::new(&catalog.port, &catalog.integration, outbound).unwrap();
    let limits = &settings.rate_limits;
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for account in &catalog.sources.statuspage {
        let pages = account.page_ids.clone();
        sources.push(Arc::new(Statuspage::new(statuspage(sandbox), None, pages)));
    }
    for account in &catalog.sources.pagerduty {
        let client = PagerdutyClient::new(account, outbound, limits.pagerduty_per_minute);
        sources.push(Arc::new(Pagerduty::new(client.unwrap(), None)));
    }
    for account in &catalog.sources.opsgenie {
        let client = OpsgenieClient::new(account, outbound, limits.opsgenie_per_minute);
        sources.push(Arc::new(Opsgenie::new(client.unwrap(), None)));
    }
    let names = sources.iter().map(|source| source.name());
    let jq_limits = jq::Limits::default();
    let expressions = Expressions::new(BTreeMap::new(), jq_limits.clone());
    Resync {
        mapping: Arc::new(Mapping::new(port.clone(), names, expressions)),
        state: StateInPort::new(port.clone(), None),
        recent: Arc::new(recent),
        port,
        sources,
        jq_limits,
        write_limits: WriteLimits {
            batch_entities: 20,
            batch_bytes: 1 << 20,
            concurrency: 4,
        },
        delete_batch: 100,
        reporting: Reporting {
            send_examples: false,
            heartbeat: Duration::from_mins(1),
            webhook_url: None,
            runtime: Runtime::OnPrem,
        },
    }
}

/// What a spool would give.
pub(super) fn taken(event: NewEvent) -> Taken {
    let subject = event.subject.clone();
    let spooled = SpooledEvent {
        id: "1".to_owned(),
        event,
    };
    Taken::new(subject, vec![spooled], 1, Lease::held())
}

/// An event of some time ago; just the hint.
pub(super) fn event(thing: Thing, id: &str, event_type: &str) -> NewEvent {
    let source = match thing {
        Thing::PagerdutyIncident | Thing::PagerdutyService => SourceName::Pagerduty,
        Thing::StatuspagePage | Thing::StatuspageComponent | Thing::StatuspageIncident => {
            SourceName::Statuspage
        }
        Thing::OpsgenieAlert => SourceName::Opsgenie,
    };
    NewEvent {
        delivery: format!("{event_type} {id}"),
        subject: Subject {
            source,
            account: None,
            thing,
            id: id.to_owned(),
            page: None,
        },
        event_type: event_type.to_owned(),
        is_gone: false,
        payload: json!({"id": id}),
        received: Timestamp::now() - LONG_AGO,
    }
}

/// An event of something on a page.
pub(super) fn on_page(thing: Thing, object: &Value) -> NewEvent {
    let mut event = event(thing, object["id"].as_str().unwrap(), "update");
    event.subject.page = object["page_id"].as_str().map(str::to_owned);
    event.payload = object.clone();
    event
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap()
}

/// An incident `PLIVE01` that began an hour ago: what is of this very second is not
/// in the figures yet.
pub(super) fn open_incident(world: &World) {
    let channel = json!({"type": "api", "details": {"tags": "a"}});
    let pagerduty = &world.sandbox.pagerduty;
    pagerduty.open_incident("PLIVE01", "Checkout is slow", channel);
    let began = Timestamp::now() - SignedDuration::from_hours(1);
    pagerduty.update("incidents", "PLIVE01", |incident| {
        incident["created_at"] = json!(format!("{began:.0}"));
    });
}

/// An alert `live-1` that somebody owns.
pub(super) fn open_alert(world: &World, message: &str) {
    let opsgenie = &world.sandbox.opsgenie;
    opsgenie.open_alert("live-1", message, &["db"]);
    opsgenie.update("alerts", "live-1", |alert| {
        alert["owner"] = json!("ann@example.com");
    });
}
