//! Portolan keeps a Port software catalog in step with Statuspage, PagerDuty and
//! Opsgenie.
//!
//! The binary is a few lines around this library, so that the tests can use the
//! sandbox and the settings. It is no interface for others and may change at any
//! time.
//!
//! # How data flow
//!
//! ```text
//!  main ─▶ cli ─▶ commands::run ◀── settings ◀── environment, .env, config.yaml
//!                      │
//!                      ▼             resource_config ◀── the mapping, as edited in Port
//!                sync::resync               │
//!                      │                    ▼
//!                      └──▶ source ──raw──▶ mapping ──entities──▶ catalog ──▶ Port
//!                             │                │                     │
//!                             ▼                ▼                     ▼
//!   api::{statuspage, pagerduty, opsgenie}     jq                api::port
//!                             └───────────────▶ http ◀───────────────┘
//!
//!  commands::{run, plan, reconcile} ─▶ reconcile ◀── source::whole ◀── both sides
//!                                          ├──▶ store          each step before it is done
//!                                          └──▶ api::statuspage ──▶ the public page
//! ```
//!
//! # Modules
//!
//! | module | what is in it |
//! |---|---|
//! | [`cli`] | commands, flags and help text |
//! | [`commands`] | one file a command; the only place that starts a run and ends it |
//! | [`settings`] | environment, `.env` and `config.yaml` to checked values; every problem at once |
//! | [`telemetry`] | log lines, with secrets masked; every metric as a typed function |
//! | [`web`] | inbound HTTP: health, metrics, Port's wish for a resync, webhooks |
//! | [`causes`] | an error, its causes and its remedy on one line |
//! | [`excerpt`] | what of a JSON document is kept: the parts that somebody reads |
//! | [`event_listener`] | what asks for a resync: the start, Port, the schedule |
//! | [`sync`] | source → mapping → catalog: one resync, and what is said of it |
//! | [`document`] | what people write as YAML or JSON: values, places, everything that is wrong at once |
//! | [`resource_config`] | the mapping document: kinds, selectors, expressions; checked whole |
//! | [`source`] | which lists the mapping needs, each fetched once; enrichment; whole lists |
//! | [`mapping`] | raw objects to entities; pure, no I/O and no clock |
//! | [`jq`] | expressions compiled once and run within limits |
//! | [`catalog`] | first-start blueprints and mapping; writes entities to Port, and deletes them, or only plans to |
//! | [`api`] | what each REST API offers: endpoints, paging, wire types; no policy |
//! | [`http`] | how any request leaves the process: deadlines, retry, pacing |
//! | [`live_events`] | what webhooks tell: whose it is, what it is about, the spool, the workers; keeps their subscriptions right |
//! | [`reconcile`] | public incidents follow on-call incidents: desired, observed, plan, apply |
//! | [`store`] | the local state database: the history of runs, the trail of incident sync, live events that wait |
//! | [`sandbox`] | simulators of Statuspage, PagerDuty, Opsgenie and Port, for `sandbox` and the tests |
//!
//! # Who uses whom
//!
//! - `main` → `cli`, `commands`; `commands` → all.
//! - `sync` → `source`, `mapping`, `catalog`, `resource_config`, and `api::port` for the
//!   mapping, the state and what is reported.
//! - `event_listener` → `api::port`, to ask for requests; `http`, for whom Kafka is to trust;
//!   `sync` for the types of what it asks for. Who runs resyncs is handed what it hears.
//! - `source` → `api::{statuspage, pagerduty, opsgenie}`, `resource_config`, `mapping` and
//!   `jq` for the types of what it hands on, `live_events` for what an event is about.
//! - `live_events` → `api::{statuspage, pagerduty}` and `source::whole`, to keep subscriptions.
//! - `mapping` → `resource_config`, `document`, `jq`; `resource_config` → `document`, `jq`;
//!   `document` → `jq`.
//! - `reconcile` → `source::whole`, to read either side to its end, and
//!   `api::{statuspage, pagerduty, opsgenie}` for single objects and for what it writes;
//!   `document` and `jq` for its rules; `store`, to note each step. Never Port, nor anything
//!   of the catalog: a status page must not depend on it.
//! - `catalog` → `api::port`, `mapping::{Entity, Identity}`, `resource_config::MappedFields`.
//! - `api` → `http`; `http` → nobody; `store` → `telemetry`, to mask what it keeps.
//! - `telemetry` → `api::port`, to ship log lines; all log through it, and tell it the
//!   secrets they come by.
//! - `sandbox` uses nothing of the program but the names of settings, so that a mistake
//!   is not made twice in the same way.
//! - `web` → `telemetry::metrics`, `live_events` for what webhooks tell, and `api` for the
//!   version it names and the messages of Port's that it gets; who hears of a request is
//!   handed to it.
//! - `live_events` → `store`, for the file of the spool; `sync` for the types of what comes
//!   of an event. Who works on events is handed to it.
//! - Everybody may use `causes`, `excerpt`, `telemetry::metrics`, and its own section of `settings`.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod api;
pub mod catalog;
pub mod causes;
pub mod cli;
pub mod commands;
pub mod document;
pub mod event_listener;
pub mod excerpt;
pub mod http;
pub mod jq;
pub mod live_events;
pub mod mapping;
pub mod reconcile;
pub mod resource_config;
pub mod sandbox;
pub mod settings;
pub mod source;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod web;
