//! Portolan keeps a Port software catalog in step with Statuspage and PagerDuty.
//!
//! ```text
//! event listener ──ResyncRequest──▶ sync::resync ──▶ source ─raw─▶ mapping ─entities─▶ catalog ─▶ Port
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod api;
pub mod catalog;
pub mod causes;
pub mod cli;
pub mod commands;
pub mod http;
pub mod jq;
pub mod mapping;
pub mod resource_config;
pub mod sandbox;
pub mod settings;
pub mod source;
pub mod sync;
pub mod telemetry;
