//! Integrations: their mapping, their state, and what they report.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::chassis::{Reply, Request};
use super::{Answered, Port, Refusal, known_keys, no_route, object, ok, required_text};

/// What an integration may be patched with.
const PATCHABLE: [&str; 8] = [
    "installationAppType",
    "changelogDestination",
    "actionsProcessingEnabled",
    "incrementalSyncEnabled",
    "processingMode",
    "arePortResourcesInitialized",
    "createPortResourcesOrigin",
    "version",
];

/// What the state of a resync consists of. The misspelling is Port's.
const STATE: [&str; 5] = [
    "status",
    "lastResyncStart",
    "lastResyncEnd",
    "nextResync",
    "intervalInMinuets",
];

/// How many log records and metrics are kept of each integration.
const REPORTS: usize = 10_000;

/// One integration and everything that it sent about itself.
#[derive(Default)]
pub(super) struct Integration {
    pub(super) object: Map<String, Value>,
    pub(super) states: Vec<Value>,
    pub(super) resync_request: Option<Value>,
    pub(super) examples: Vec<(String, Value)>,
    /// A mapping that Port makes by itself, and how many more reads until it is there.
    pub(super) provisioned: Option<(u32, Value)>,
}

impl Port {
    pub(super) fn integration_route(
        &mut self,
        method: &str,
        rest: &[&str],
        request: &Request,
    ) -> Answered {
        match (method, rest) {
            ("POST", []) => self.create_integration(request),
            ("GET", ["provision-enabled"]) => {
                Ok(ok("integrations", self.provisioned_types.clone()))
            }
            ("GET", [id]) => self.read_integration(id),
            ("PATCH", [id]) => {
                let body = object(request)?;
                known_keys(&body, &PATCHABLE)?;
                self.patch_integration(id, body)
            }
            ("DELETE", [id]) => {
                self.integrations
                    .remove(*id)
                    .ok_or_else(|| Refusal::not_found("Integration", id))?;
                Ok(Reply::json(200, &json!({"ok": true})))
            }
            ("PATCH", [id, "config"]) => {
                let body = object(request)?;
                known_keys(&body, &["config"])?;
                if !body.get("config").is_some_and(Value::is_object) {
                    return Err(Refusal::invalid("body must have the object \"config\""));
                }
                self.patch_integration(id, body)
            }
            ("PATCH", [id, "resync-state"]) => self.set_resync_state(id, request),
            ("GET", [id, "resync-request"]) => {
                let request = self.known_integration(id)?.resync_request.clone();
                Ok(ok("request", request.unwrap_or_default()))
            }
            ("POST", [id, "kinds", kind, "examples"]) => {
                let mut body = object(request)?;
                match body.remove("examples") {
                    Some(Value::Array(examples)) => {
                        let kept = &mut self.known_integration(id)?.examples;
                        kept.extend(
                            examples
                                .into_iter()
                                .map(|example| ((*kind).to_owned(), example)),
                        );
                        Ok(Reply::json(200, &json!({"ok": true})))
                    }
                    _ => Err(Refusal::invalid("body must have the list \"examples\"")),
                }
            }
            _ => Err(no_route()),
        }
    }

    pub(super) fn known_integration(&mut self, id: &str) -> Result<&mut Integration, Refusal> {
        self.integrations
            .get_mut(id)
            .ok_or_else(|| Refusal::not_found("Integration", id))
    }

    fn create_integration(&mut self, request: &Request) -> Answered {
        let mut body = object(request)?;
        let id = required_text(&body, "installationId")?.to_owned();
        required_text(&body, "installationAppType")?;
        known_keys(
            &body,
            &[
                &["installationId", "config", "installationType"],
                PATCHABLE.as_slice(),
            ]
            .concat(),
        )?;
        if self.integrations.contains_key(&id) {
            let message = format!("There is an integration \"{id}\" already");
            return Err(Refusal::new(409, "conflict", message));
        }
        body.retain(|_, value| !value.is_null());
        let integration = self.make_integration(&id, body);
        let object = Value::Object(integration.object.clone());
        Ok(Reply::json(
            201,
            &json!({"ok": true, "integration": object}),
        ))
    }

    /// An integration as Port shows it, with what was given on top.
    pub(super) fn make_integration(
        &mut self,
        id: &str,
        given: Map<String, Value>,
    ) -> &mut Integration {
        let now = text(self.clock.now());
        let ingest = |what: &str| {
            let url = self.url.as_str().trim_end_matches('/');
            json!({"ingestUrl": format!("{url}/ingest/{what}")})
        };
        let mut object = Map::new();
        for (key, value) in [
            ("_id", json!(format!("integration_{id}"))),
            ("identifier", json!(id)),
            ("title", json!(id)),
            ("installationId", json!(id)),
            ("installationType", json!("OnPrem")),
            ("installationAppType", Value::Null),
            ("version", Value::Null),
            ("changelogDestination", json!({})),
            ("config", json!({})),
            ("actionsProcessingEnabled", json!(false)),
            ("incrementalSyncEnabled", json!(false)),
            ("processingMode", json!("ocean-core")),
            ("arePortResourcesInitialized", json!(false)),
            ("createPortResourcesOrigin", Value::Null),
            ("resyncState", json!({})),
            ("logAttributes", ingest("logs")),
            ("metricAttributes", ingest("metrics")),
            ("ingestAttributes", ingest("lake")),
            ("spec", json!({"appSpec": {}})),
            ("createdAt", json!(now)),
            ("updatedAt", json!(now)),
        ] {
            object.insert(key.to_owned(), value);
        }
        object.extend(given);
        let integration = self.integrations.entry(id.to_owned()).or_default();
        integration.object = object;
        integration
    }

    fn read_integration(&mut self, id: &str) -> Answered {
        let integration = self.known_integration(id)?;
        match &mut integration.provisioned {
            Some((0, config)) => {
                let config = config.take();
                integration.object.insert("config".to_owned(), config);
                integration.provisioned = None;
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        Ok(ok("integration", Value::Object(integration.object.clone())))
    }

    fn patch_integration(&mut self, id: &str, patch: Map<String, Value>) -> Answered {
        let now = text(self.clock.now());
        let integration = self.known_integration(id)?;
        integration.object.extend(patch);
        integration
            .object
            .insert("updatedAt".to_owned(), now.into());
        Ok(ok("integration", Value::Object(integration.object.clone())))
    }

    fn set_resync_state(&mut self, id: &str, request: &Request) -> Answered {
        let mut state = object(request)?;
        known_keys(&state, &STATE)?;
        let status = required_text(&state, "status")?;
        if !["running", "completed", "failed", "aborted"].contains(&status) {
            return Err(Refusal::invalid(format!(
                "\"{status}\" is no state of a resync"
            )));
        }
        for key in ["lastResyncStart", "lastResyncEnd", "nextResync"] {
            let fits = match state.get(key) {
                None | Some(Value::Null) => true,
                Some(value) => value
                    .as_str()
                    .is_some_and(|at| at.parse::<Timestamp>().is_ok()),
            };
            if !fits {
                return Err(Refusal::invalid(format!(
                    "\"{key}\" must be a date and time"
                )));
            }
        }
        let now = text(self.clock.now());
        let integration = self.known_integration(id)?;
        integration.states.push(Value::Object(state.clone()));
        state.insert("updatedAt".to_owned(), now.clone().into());
        let current = integration
            .object
            .entry("resyncState")
            .or_insert_with(|| json!({}));
        if let Some(current) = current.as_object_mut() {
            current.extend(state);
        }
        // Port counts a change of state as a change of the integration.
        integration
            .object
            .insert("updatedAt".to_owned(), now.into());
        Ok(ok("integration", Value::Object(integration.object.clone())))
    }

    pub(super) fn request_resync(&mut self) {
        let now = text(self.clock.now());
        for (number, integration) in (1..).zip(self.integrations.values_mut()) {
            let id = format!("request-{number}-{now}");
            integration.resync_request = Some(json!({"id": id, "updatedAt": now}));
        }
    }

    /// Logs, metrics and raw data. They are taken in and kept for the tests to see.
    pub(super) fn ingest(&mut self, method: &str, rest: &[&str], request: &Request) -> Answered {
        let body = object(request)?;
        let known = match (method, rest) {
            ("POST", ["logs"]) => body.get("logs").is_some_and(Value::is_array),
            ("POST", ["metrics", "syncMetrics"]) => {
                body.get("syncKindsMetrics").is_some_and(Value::is_array)
            }
            ("PUT", ["metrics", "syncMetrics", "resync", _, "kind", _]) => {
                body.get("syncKindMetrics").is_some_and(Value::is_object)
            }
            ("POST", ["metrics", "heartbeat"]) => body.contains_key("eventId"),
            ("POST", ["lake", "lake", "write", ..]) => true,
            _ => return Err(no_route()),
        };
        if !known {
            return Err(Refusal::invalid("The body does not fit the route"));
        }
        if self.ingested.len() < REPORTS {
            self.ingested.push((rest.join("/"), Value::Object(body)));
        }
        Ok(Reply::json(200, &json!({"ok": true})))
    }
}

/// An instant as Port writes it.
pub(super) fn text(instant: Timestamp) -> String {
    format!("{instant:.3}")
}
